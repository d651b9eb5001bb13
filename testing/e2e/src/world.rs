//! One hub, one bucket's key, and any number of devices that share the bucket.

use std::fs;
use std::path::PathBuf;

use gaia::key::SecretKey;
use tempfile::TempDir;

use crate::device::Device;
use crate::hub::HubProcess;
use crate::hub::Stat;
use crate::program::Place;
use crate::stock::StockClient;

/// Set to keep the folders of tests that fail, to look into them.
const KEEP_VARIABLE: &str = "PANGAEA_E2E_KEEP";

/// Everything a test needs; gone when dropped.
#[derive(Debug)]
pub struct World {
    /// The hub, running.
    pub hub: HubProcess,
    /// The bucket's key.
    pub key: SecretKey,
    key_file: PathBuf,
    // Last, so that it is removed when nothing runs any more.
    temp: TempDir,
}

impl World {
    /// A hub as it comes.
    #[track_caller]
    pub fn new() -> Self {
        Self::with_hub_options(&[])
    }

    /// A hub with these options on its command line.
    #[track_caller]
    pub fn with_hub_options(options: &[&str]) -> Self {
        let temp = TempDir::with_prefix("pangaea-e2e-").unwrap();
        let key_file = temp.path().join("key");
        let place = Place::new(temp.path().join("keys"));
        let mut command = place.pangaea(["key", "new", "--key-file"]);
        command.arg(&key_file);
        let output = place.run(command).expect(0);
        let hex = fs::read_to_string(&key_file).unwrap();
        assert!(
            !output.text().contains(hex.trim()),
            "the secret key was printed"
        );
        let key = SecretKey::from_hex(hex.trim()).unwrap();
        assert!(
            output.text().contains(&key.address().to_string()),
            "{}",
            output.text()
        );
        let mut hub = HubProcess::new(temp.path().join("hub"), options);
        hub.start();
        Self {
            hub,
            key,
            key_file,
            temp,
        }
    }

    /// A folder for the test's own use.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.temp.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A device without a synced folder.
    pub fn blank_device(&self, name: &str) -> Device {
        Device::new(self.temp.path(), name)
    }

    /// A new device that shares the bucket; nothing was synced yet.
    #[track_caller]
    pub fn device(&self, name: &str) -> Device {
        let device = self.blank_device(name);
        self.init(&device, &[]);
        device
    }

    /// Makes a device's folder a mirror of the bucket.
    #[track_caller]
    pub fn init(&self, device: &Device, options: &[&str]) {
        let (url, key_file) = (self.hub.url(), self.key_file.to_str().unwrap());
        let mut arguments = vec!["--hub", &url, "--key-file", key_file];
        arguments.extend(options);
        device.run("init", &arguments).expect(0);
    }

    /// The stock client, as the owner of the bucket.
    pub fn stock(&self) -> StockClient {
        StockClient::new(self.hub.url(), &self.key)
    }

    /// What the hub lists, with tags and times.
    #[track_caller]
    pub fn stats(&self) -> std::collections::BTreeMap<String, Stat> {
        self.hub.stats(&self.key)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os(KEEP_VARIABLE).is_some() {
            self.temp.disable_cleanup(true);
            eprintln!("kept: {}", self.temp.path().display());
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
