//! Ctrl-C and the system's request to end: the first one asks the work to end well, the second one
//! does not wait for that. Nothing that was acknowledged is lost either way.

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::error::CliError;

/// What a shell shows for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Whether somebody asked the program to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Listens from now on. Needs a tokio runtime.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let cannot = |error| CliError::failed(format!("cannot listen for signals: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(cannot)?;
        let (sender, asked) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                if sender.send_replace(true) {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
        Ok(Self { asked })
    }

    /// Returns once somebody asked.
    pub(crate) async fn asked(&mut self) {
        // The sender lives as long as the runtime; without it, nobody can ask any more.
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
