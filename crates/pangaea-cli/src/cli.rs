//! What can be typed: commands, options and their help texts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; after a sync: everything is stored
  1  it failed; the message says why
  2  wrong usage
  3  work is left that needs no one: it is sent when the hub can take it
  4  a person has to act first: a sign-in, a question, a name that cannot be synced

Secret keys are read from files, from PANGAEA_KEY, or from a prompt, never from arguments.";

/// Keeps a folder and a Gaia bucket equal, on any number of devices, with or without a network.
#[derive(Debug, Parser)]
#[command(name = "pangaea", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands take.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print JSON: one document, or one a line from commands that go on running
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more about what is going on, on standard error; twice: much more (see also RUST_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything: a hub on this machine and a folder that is kept in sync with it
    Up(UpArgs),
    /// Join a bucket with the link that `pangaea up` printed on another device
    Join(JoinArgs),
    /// Run a hub alone; check, back up or import what it stores
    Hub(HubArgs),
    /// Make, show or import the key of a bucket
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make a folder the mirror of a bucket
    Init(InitArgs),
    /// Bring folder and bucket to the same state
    Sync(SyncArgs),
    /// Show what is stored, what waits, and why
    Status(FolderArgs),
    /// List the files
    Ls(LsArgs),
    /// Print a file
    Cat(FileArgs),
    /// Write a file
    Put(PutArgs),
    /// Delete a file; its last content stays in history
    Rm(FileArgs),
    /// Show what happened, and which earlier versions are kept
    Log(LogArgs),
    /// Bring back an earlier version of a file
    Restore(RestoreArgs),
    /// List the conflicts
    Conflicts(FolderArgs),
    /// Settle a conflict
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// The file, as it is called inside the folder
    pub(crate) path: String,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The folder to keep in sync; made if it does not exist
    #[arg(default_value = "bucket")]
    pub(crate) dir: PathBuf,
    /// Where the hub listens; without it: a free port of this machine, the same one every time
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// A built web application to serve to browsers of this machine, such as packages/examples/notes/dist
    #[arg(long, value_name = "DIR")]
    pub(crate) app: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The link; `-` reads it from standard input, `@FILE` from a file. It is a secret
    pub(crate) link: String,
    /// The folder to keep in sync; made if it does not exist
    pub(crate) dir: PathBuf,
    /// Stay and keep the folder in sync
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) options: WatchArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HubArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HubCommand>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Look for damage in what a hub has stored; a hub may be serving meanwhile
    Check(HubCheckArgs),
    /// Copy everything that a hub has stored; a hub may be serving meanwhile
    Backup(HubBackupArgs),
    /// Take over what a stock Gaia hub has stored on its disk; no hub may be running
    Import(HubImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HubBackupArgs {
    /// The hub's data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where the backup is to be: a new folder, or an earlier backup, of which only what changed
    /// is copied
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct HubImportArgs {
    /// The stock hub's storage folder, with a folder for each address in it
    pub(crate) dir: PathBuf,
    /// The hub's data folder; made if it does not exist
    #[arg(long, value_name = "HUBDIR")]
    pub(crate) data: PathBuf,
    /// Remove each original once it is taken over; on one disk, large files are not copied
    #[arg(long = "move")]
    pub(crate) moves: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HubCheckArgs {
    /// The hub's data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ApiDocument {
    /// What clients ask
    Hub,
    /// What operators ask
    Admin,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file; options and PANGAEA_HUB_ variables go before it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Look whether the hub could start, print all settings, and start nothing
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Print what the hub answers to as an OpenAPI document, and start nothing; or, with =admin,
    /// what its admin service answers to
    #[arg(
        long,
        value_name = "WHICH",
        conflicts_with = "check_config",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "hub"
    )]
    pub(crate) print_openapi: Option<ApiDocument>,
    /// Where to listen; without it: 127.0.0.1:3000
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The folder for everything that is stored; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How clients reach the hub from outside, if not at the address it listens on
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Where clients read files, if not at the hub itself
    #[arg(long, value_name = "URL")]
    pub(crate) read_url: Option<String>,
    /// The name that tokens for this hub carry
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// The largest file that is taken, in units of 1048576 bytes; without it: 1024
    #[arg(long, value_name = "N")]
    pub(crate) max_file_megabytes: Option<u32>,
    /// Take writes for this address only; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) allow: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new key and print the address of its bucket
    New(KeyFileArgs),
    /// Print the address and public key that belong to a key
    Show(KeyFileArgs),
    /// Store a key that is typed in, or comes from standard input, as hexadecimal digits
    Import(KeyImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeyFileArgs {
    /// The key's file; without it: pangaea/key in your configuration folder
    #[arg(long, visible_alias = "out", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct KeyImportArgs {
    #[command(flatten)]
    pub(crate) file: KeyFileArgs,
    /// There for a better answer than "unexpected argument", which would repeat the secret.
    #[arg(hide = true, num_args = 0..)]
    pub(crate) refused: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder; made if it does not exist, and what is in it already will be uploaded
    pub(crate) dir: PathBuf,
    /// The hub's address, such as `https://hub.example`
    #[arg(long, value_name = "URL")]
    pub(crate) hub: String,
    /// The file of the bucket's key; without it: PANGAEA_KEY, or pangaea/key in your configuration
    /// folder
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Store files unencrypted, unless the bucket has policies of its own already
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// Stay, and sync whenever something changes here or there
    #[arg(long)]
    pub(crate) watch: bool,
    /// Only take in what changed in the folder; the hub is not asked
    #[arg(long, conflicts_with = "watch")]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) answers: Answers,
    #[command(flatten)]
    pub(crate) options: WatchArgs,
}

/// Answers to what a sync may ask.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Answers {
    /// Answer to "so many files are gone from the bucket": they were really deleted
    #[arg(long)]
    pub(crate) accept_deletes: bool,
    /// Answer to "this is another bucket than before": go on with it, and keep the folder's files
    #[arg(long)]
    pub(crate) accept_new_bucket: bool,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WatchArgs {
    /// Seconds between two looks at the bucket while watching
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) poll: u64,
}

impl WatchArgs {
    pub(crate) fn poll_interval(self) -> Duration {
        Duration::from_secs(self.poll)
    }
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// Only this file, or what is in this folder inside
    pub(crate) path: Option<String>,
    /// Also size, age and state
    #[arg(short, long)]
    pub(crate) long: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// The file, as it is to be called inside the folder
    pub(crate) path: String,
    /// Where the content comes from; without it, or with `-`: standard input
    pub(crate) source: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// Only this file
    pub(crate) path: Option<String>,
    /// Show so many entries at most; 0: all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// The file
    pub(crate) path: String,
    /// The version, as `pangaea log DIR PATH` shows it, or the beginning of it
    #[arg(long = "version", value_name = "V")]
    pub(crate) wanted: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The synced folder
    pub(crate) dir: PathBuf,
    /// The file, or its conflict copy
    pub(crate) path: String,
    /// What shall stay
    #[arg(long, value_enum)]
    pub(crate) keep: KeepArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepArg {
    /// The file as it is; the conflict copy goes
    Ours,
    /// What is in the conflict copy takes the file's place
    Theirs,
    /// Both, the copy under a name of its own
    Both,
}
