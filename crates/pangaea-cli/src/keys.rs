//! Secret keys: where they are kept, and how they get there. Never from arguments, which other
//! users of the machine can see, and never into any output.

use std::env;
use std::fs;
use std::io;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use gaia::key::SecretKey;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::output::Output;

/// Holds a key as hexadecimal digits, for programs that start this one.
pub(crate) const KEY_VARIABLE: &str = "PANGAEA_KEY";
/// No key file is longer than this.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        CliError::failed(format!("the system gives no random numbers: {error}"))
    })?;
    Ok(bytes)
}

/// A new key.
pub(crate) fn generate() -> Result<SecretKey, CliError> {
    SecretKey::generate(random()?).map_err(|error| CliError::failed(error.to_string()))
}

/// Where a key is kept if nobody says otherwise.
pub(crate) fn default_file() -> Result<PathBuf, CliError> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("pangaea").join("key"))
        .ok_or_else(|| {
            CliError::usage("there is no HOME folder to keep a key in")
                .hint("say where the key is: --key-file FILE")
        })
}

/// The key in the environment, if there is one.
pub(crate) fn from_environment() -> Result<Option<SecretKey>, CliError> {
    let Some(text) = env::var_os(KEY_VARIABLE) else {
        return Ok(None);
    };
    let Ok(text) = text.into_string().map(Zeroizing::new) else {
        return Err(CliError::usage(format!(
            "{KEY_VARIABLE} does not hold a key"
        )));
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let key = SecretKey::from_hex(&text)
        .map_err(|error| CliError::usage(format!("{KEY_VARIABLE}: {error}")))?;
    Ok(Some(key))
}

/// Reads a key from its file.
pub(crate) fn read_file(path: &Path, output: &Output) -> Result<SecretKey, CliError> {
    let cannot = |error: io::Error| {
        let failure = CliError::of_file("read the key file", path, &error);
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint(
                "`pangaea key new` makes a key, `pangaea key import` stores one that you have",
            ),
            _ => failure,
        }
    };
    let file = fs::File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        output.warning(&format!(
            "other users of this machine may open the key file {0}; `chmod 600 {0}` changes that",
            path.display()
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    SecretKey::from_hex(&text)
        .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))
}

/// Writes a key to a new file that only its owner can open.
pub(crate) fn write_new_file(path: &Path, key: &SecretKey) -> Result<(), CliError> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::failed(format!(
            "there is a file at {} already; it is left as it is, since it may hold the only key \
             of a bucket",
            path.display()
        ))
        .hint("choose another file with --key-file"),
        _ => CliError::of_file("write the key file", path, &error),
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        create_private_folder(folder).map_err(cannot)?;
    }
    let mut text = key.to_hex();
    text.push('\n');
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(cannot)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a key is worse than none; what remains in the worst case is an empty file.
        fs::remove_file(path).ok();
        return Err(cannot(error));
    }
    Ok(())
}

/// Makes a folder that only its owner can look into, and the folders above it.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Asks for a key: at a terminal without showing it, else from standard input.
pub(crate) fn ask() -> Result<SecretKey, CliError> {
    let cannot = |error: io::Error| CliError::failed(format!("cannot read the key: {error}"));
    let text = if io::stdin().is_terminal() {
        Zeroizing::new(rpassword::prompt_password("Key (hexadecimal): ").map_err(cannot)?)
    } else {
        let mut text = Zeroizing::new(String::new());
        io::stdin()
            .take(KEY_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(cannot)?;
        text
    };
    SecretKey::from_hex(&text).map_err(|error| CliError::failed(error.to_string()))
}
