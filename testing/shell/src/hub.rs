//! A real hub in a runtime of its own, so that it can end at any moment.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use pangaea_hub::Hub;
use pangaea_hub::HubConfig;
use pangaea_hub::HubError;
use pangaea_hub::RunningHub;
use pangaea_hub::check::FolderEvent;
use pangaea_hub::check::check;
use tokio::runtime::Runtime;

/// How long a hub may take to let go of its folder after it ended.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct HubBox {
    folder: PathBuf,
    running: Option<(Runtime, RunningHub)>,
}

impl HubBox {
    pub fn start(folder: &Path) -> Self {
        let mut hub = Self {
            folder: folder.to_owned(),
            running: None,
        };
        hub.start_again();
        hub
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().1.local_addr()
    }

    /// Ends it in the middle of whatever it does, and starts another one on its folder.
    pub fn kill(&mut self) {
        let (runtime, hub) = self.running.take().unwrap();
        // First the tasks, so that none of them hears that it is to stop in good order.
        runtime.shutdown_timeout(PATIENCE);
        drop(hub);
        self.start_again();
    }

    fn start_again(&mut self) {
        let begun = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        loop {
            let config = HubConfig::new(&self.folder, any_port);
            match runtime.block_on(Hub::start(config)) {
                Ok(hub) => {
                    self.running = Some((runtime, hub));
                    return;
                }
                Err(HubError::InUse { .. }) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("the hub does not start: {error}"),
            }
        }
    }

    /// Stops it in good order, and looks at what it leaves behind.
    pub fn stop_and_check(&mut self) -> Result<(), String> {
        let (runtime, hub) = self.running.take().unwrap();
        runtime
            .block_on(hub.shutdown())
            .map_err(|error| format!("H-1: the hub did not stop: {error}"))?;
        let mut problems = Vec::new();
        let report = check(&self.folder, &mut |event| {
            if let FolderEvent::Problem(problem) = event {
                problems.push(format!("{problem:?}"));
            }
        });
        match report {
            Ok(_) if problems.is_empty() => Ok(()),
            Ok(_) => Err(format!("H-1: the hub's folder is damaged: {problems:?}")),
            Err(error) => Err(format!("H-1: the hub's folder cannot be checked: {error}")),
        }
    }
}
