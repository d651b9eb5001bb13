//! Ctrl-C and the system's request to end: the first one asks the work to end well, the second one
//! does not wait for that. Nothing that was acknowledged is lost either way.

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::error::CliError;

/// What a shell shows for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Whether somebody asked the program to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    sender: watch::Sender<bool>,
    asked: watch::Receiver<bool>,
}

/// The signal that means "read your settings again" to programs that run in the background, and
/// "your terminal is gone" to all others.
#[derive(Debug)]
pub(crate) struct HangUp {
    signal: Option<Signal>,
}

impl Stop {
    /// Listens from now on. Needs a tokio runtime.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let (stop, mut hang_up) = Self::listen_apart_from_hang_up()?;
        let sender = stop.sender.clone();
        tokio::spawn(async move {
            loop {
                hang_up.received().await;
                ask(&sender);
            }
        });
        Ok(stop)
    }

    /// Listens from now on, but leaves hang-ups to the caller.
    pub(crate) fn listen_apart_from_hang_up() -> Result<(Self, HangUp), CliError> {
        let cannot = |error| CliError::failed(format!("cannot listen for signals: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let hang_up = signal(SignalKind::hangup()).map_err(cannot)?;
        let (sender, asked) = watch::channel(false);
        let asking = sender.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                ask(&asking);
            }
        });
        let hang_up = HangUp {
            signal: Some(hang_up),
        };
        Ok((Self { sender, asked }, hang_up))
    }

    /// Returns once somebody asked.
    pub(crate) async fn asked(&mut self) {
        // The sender lives as long as this does; without it, nobody could ask any more.
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Asks the work to end, or ends the program if it was asked before.
fn ask(sender: &watch::Sender<bool>) {
    if sender.send_replace(true) {
        std::process::exit(INTERRUPTED);
    }
}

impl HangUp {
    /// One that never comes.
    pub(crate) fn never() -> Self {
        Self { signal: None }
    }

    /// Returns when the signal comes next.
    pub(crate) async fn received(&mut self) {
        let received = match &mut self.signal {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if received.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
