//! A device: a folder that the program keeps in sync, and what a user does with it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::program::Output;
use crate::program::Place;
use crate::program::Process;
use crate::tree;

/// A synced folder and a home.
#[derive(Debug)]
pub struct Device {
    /// The synced folder.
    pub folder: PathBuf,
    place: Place,
}

impl Device {
    /// A device whose folder is not set up yet.
    pub fn new(base: &Path, name: &str) -> Self {
        let folder = base.join(name);
        let place = Place::new(base.join(format!("{name}-place")));
        Self { folder, place }
    }

    /// `pangaea --json COMMAND FOLDER ARGUMENTS…`.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let words = [
            OsStr::new("--json"),
            command.as_ref(),
            self.folder.as_os_str(),
        ];
        let mut built = self.place.pangaea(words);
        built.args(arguments);
        built
    }

    /// Runs a command on the folder.
    #[track_caller]
    pub fn run(&self, command: &str, arguments: &[&str]) -> Output {
        self.place.run(self.command(command, arguments))
    }

    /// Runs a command on the folder, which must succeed, and returns the JSON that it printed.
    #[track_caller]
    pub fn ask(&self, command: &str, arguments: &[&str]) -> Value {
        self.run(command, arguments).expect(0).json()
    }

    /// Runs the program with any arguments.
    #[track_caller]
    pub fn pangaea(&self, arguments: &[&str]) -> Output {
        self.place.run(self.place.pangaea(arguments))
    }

    /// Starts a command on the folder.
    pub fn start(&self, command: &str, arguments: &[&str]) -> Process {
        self.place.start(self.command(command, arguments))
    }

    /// Starts a command made by [`Device::command`] or any other.
    pub fn start_command(&self, command: Command) -> Process {
        self.place.start(command)
    }

    /// One sync, which must leave nothing behind.
    #[track_caller]
    pub fn sync(&self) -> Value {
        self.ask("sync", &[])
    }

    /// Writes a file as an editor does that overwrites.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    /// Replaces a file as an editor does that writes a new one and moves it into place.
    pub fn replace(&self, path: &str, content: impl AsRef<[u8]>) {
        let outside = self.folder.with_extension("new");
        fs::write(&outside, content).unwrap();
        fs::rename(outside, self.folder.join(path)).unwrap();
    }

    /// The content of a file, if there is one.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(path)).ok()
    }

    /// Deletes a file that is there.
    #[track_caller]
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.folder.join(path)).unwrap();
    }

    /// All files with their content, Pangaea's own left out.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        tree::read(&self.folder)
    }
}

/// Every device syncs twice, in turn: afterwards each has seen what all wrote.
#[track_caller]
pub fn settle(devices: &[&Device]) {
    for _ in 0..2 {
        for device in devices {
            device.sync();
        }
    }
}
