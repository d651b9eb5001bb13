//! Who is measured, and with which commands.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::process::{Sample, Server, free_address, timed};
use super::tree::{self, Shape};

/// One program with one set of settings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Contender {
    /// Pangaea as it is by default: encrypted.
    Pangaea,
    /// Pangaea without encryption.
    PangaeaPlain,
    /// `rclone sync` as it is by default.
    Sync,
    /// `rclone sync` with more transfers and checkers.
    SyncTuned,
    /// `rclone bisync` as it is by default.
    Bisync,
    /// `rclone bisync` with more transfers and checkers.
    BisyncTuned,
}

impl Contender {
    /// All contenders, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Pangaea,
        Self::PangaeaPlain,
        Self::Sync,
        Self::SyncTuned,
        Self::Bisync,
        Self::BisyncTuned,
    ];

    /// The contender's name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pangaea => "pangaea",
            Self::PangaeaPlain => "pangaea --plain",
            Self::Sync => "rclone sync",
            Self::SyncTuned => "rclone sync, tuned",
            Self::Bisync => "rclone bisync",
            Self::BisyncTuned => "rclone bisync, tuned",
        }
    }

    /// What a reader of the numbers must know about its settings.
    pub fn settings(self) -> &'static str {
        match self {
            Self::Pangaea => {
                "hub: `pangaea hub`; client: `pangaea sync DIR`, all settings as they are by default, encrypted"
            }
            Self::PangaeaPlain => "as pangaea, with `--plain` at init: no encryption",
            Self::Sync => {
                "server: `rclone serve webdav`; client: `rclone sync`, WebDAV vendor `other`, all settings as they are \
                 by default. It compares lengths only, as this server keeps no modification times; its WebDAV client \
                 leaves 10 ms between requests, which no option of Debian 12's version changes"
            }
            Self::SyncTuned => "as rclone sync, with `--transfers 16 --checkers 16`",
            Self::Bisync => {
                "server: `rclone serve webdav`; client: `rclone bisync`, WebDAV vendor `owncloud`, because bisync refuses \
                 a server that keeps no modification times; the server starts with the tree, `--resync` is not timed"
            }
            Self::BisyncTuned => "as rclone bisync, with `--transfers 16 --checkers 16`",
        }
    }

    /// Tells whether this is the program of this workspace.
    pub fn is_pangaea(self) -> bool {
        matches!(self, Self::Pangaea | Self::PangaeaPlain)
    }

    /// Tells whether the cold syncs are measured; bisync is for what changed since the last time.
    pub fn syncs_whole_trees(self) -> bool {
        !matches!(self, Self::Bisync | Self::BisyncTuned)
    }

    /// Starts the contender's server and does what has to be done once, untimed.
    pub fn prepare<'a>(
        self,
        programs: &'a Programs,
        place: &'a Place,
        shape: Shape,
    ) -> Result<Running<'a>> {
        let address = free_address()?;
        if !self.syncs_whole_trees() {
            tree::make(&place.server(), shape)?;
        }
        let command = match self.is_pangaea() {
            true => programs.pangaea_hub(place, address),
            false => programs.rclone_server(place, address),
        };
        let server = Server::start(&command, address, &place.log("server"))?;
        let running = Running {
            contender: self,
            programs,
            place,
            address,
            _server: server,
        };
        if self.is_pangaea() {
            running.make_replicas()?;
        }
        if !self.syncs_whole_trees() {
            let mut resync = running.client(&place.first());
            resync.arg("--resync");
            timed(resync, &place.log("resync"))?;
        }
        Ok(running)
    }
}

/// Where the programs are.
pub struct Programs {
    /// The program of this workspace, built for release.
    pub pangaea: PathBuf,
    /// rclone.
    pub rclone: PathBuf,
}

impl Programs {
    /// Returns the first line of what rclone and, where it is built, pangaea say of their version.
    pub fn versions(&self, contenders: &[Contender]) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        if contenders.iter().any(|contender| contender.is_pangaea()) {
            versions.push(version(&self.pangaea, "--version")?);
        }
        if contenders.iter().any(|contender| !contender.is_pangaea()) {
            versions.push(version(&self.rclone, "version")?);
        }
        Ok(versions)
    }

    /// Pangaea as it is without anybody's settings.
    fn pangaea(&self) -> Command {
        without_variables(Command::new(&self.pangaea), "PANGAEA_")
    }

    fn pangaea_hub(&self, place: &Place, address: SocketAddr) -> Command {
        let mut command = self.pangaea();
        command
            .arg("hub")
            .arg("--listen")
            .arg(address.to_string())
            .arg("--data")
            .arg(place.server());
        command
    }

    fn rclone_server(&self, place: &Place, address: SocketAddr) -> Command {
        let mut command = self.rclone(place);
        command
            .args(["serve", "webdav", "--addr"])
            .arg(address.to_string())
            .arg(place.server());
        command
    }

    /// rclone as it is without anybody's settings: an empty configuration, folders of its own, no variables.
    fn rclone(&self, place: &Place) -> Command {
        let mut command = without_variables(Command::new(&self.rclone), "RCLONE_");
        command
            .arg("--config")
            .arg(place.own("rclone.conf"))
            .arg("--cache-dir")
            .arg(place.own("cache"));
        command
    }
}

/// The folders of one contender in one run.
pub struct Place(PathBuf);

impl Place {
    /// Makes the folders.
    pub fn new(root: &Path) -> Result<Self> {
        let place = Self(root.to_path_buf());
        for folder in [
            place.first(),
            place.second(),
            place.server(),
            place.own("cache"),
        ] {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        // rclone remarks on every start that there is no configuration, so there is one, with nothing in it.
        File::create(place.own("rclone.conf"))?;
        Ok(place)
    }

    /// The folder of the first device, which has the tree.
    pub fn first(&self) -> PathBuf {
        self.own("first")
    }

    /// The folder of the second device.
    pub fn second(&self) -> PathBuf {
        self.own("second")
    }

    /// The data of the server.
    pub fn server(&self) -> PathBuf {
        self.own("server")
    }

    fn own(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.own(&format!("{name}.log"))
    }
}

/// A contender whose server runs.
pub struct Running<'a> {
    contender: Contender,
    programs: &'a Programs,
    place: &'a Place,
    address: SocketAddr,
    _server: Server,
}

impl Running<'_> {
    /// Times a process that does nothing but start.
    pub fn start(&self) -> Result<Sample> {
        let command = match self.contender.is_pangaea() {
            true => with(self.programs.pangaea(), &["--version"]),
            false => with(self.programs.rclone(self.place), &["version"]),
        };
        timed(command, &self.place.log("start"))
    }

    /// Times a sync of the first device with the server.
    pub fn sync_first(&self) -> Result<Sample> {
        timed(self.client(&self.place.first()), &self.place.log("first"))
    }

    /// Times a sync of the second device with the server.
    pub fn sync_second(&self) -> Result<Sample> {
        timed(self.client(&self.place.second()), &self.place.log("second"))
    }

    fn make_replicas(&self) -> Result<()> {
        let key = self.place.own("key");
        let mut new = self.programs.pangaea();
        new.args(["key", "new", "--key-file"]).arg(&key);
        timed(new, &self.place.log("key"))?;
        for folder in [self.place.first(), self.place.second()] {
            let mut init = self.programs.pangaea();
            init.arg("init")
                .arg(folder)
                .arg("--hub")
                .arg(format!("http://{}", self.address));
            init.arg("--key-file").arg(&key);
            if self.contender == Contender::PangaeaPlain {
                init.arg("--plain");
            }
            timed(init, &self.place.log("init"))?;
        }
        Ok(())
    }

    fn client(&self, folder: &Path) -> Command {
        if self.contender.is_pangaea() {
            let mut command = self.programs.pangaea();
            command.arg("sync").arg(folder);
            return command;
        }
        let mut command = self.programs.rclone(self.place);
        if matches!(
            self.contender,
            Contender::SyncTuned | Contender::BisyncTuned
        ) {
            command.args(["--transfers", "16", "--checkers", "16"]);
        }
        let remote =
            |vendor: &str| format!(":webdav,url='http://{}',vendor={vendor}:", self.address);
        if !self.contender.syncs_whole_trees() {
            command.arg("bisync").arg(folder).arg(remote("owncloud"));
            command.arg("--workdir").arg(self.place.own("bisync"));
        } else if folder == self.place.first() {
            command.arg("sync").arg(folder).arg(remote("other"));
        } else {
            command.arg("sync").arg(remote("other")).arg(folder);
        }
        command
    }
}

fn version(program: &Path, argument: &str) -> Result<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| {
            format!(
                "cannot start {}: is it installed? `cargo xtask setup`",
                program.display()
            )
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_string())
}

fn without_variables(mut command: Command, prefix: &str) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}
