//! Reads the output of `strace -f -y -xx`: which calls on which files, with all bytes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// The calls that are recorded: all that change files, names or positions, and what syncs.
const CALLS: &str = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,\
                     truncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
                     unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,sync,syncfs,\
                     sync_file_range,copy_file_range,sendfile,sendto,sendmsg";

/// Makes a command run under strace, which writes to `output`.
pub fn traced(command: &Command, output: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-y", "-xx", "-s", "16777216", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(output)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    traced
}

/// Whether strace is there and may be used.
pub fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    tried.is_ok_and(|status| status.success())
}

/// One call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub name: String,
    /// Its arguments, as strace writes them.
    pub arguments: Vec<String>,
    /// What it returned.
    pub result: i64,
    /// How many calls had ended when it began.
    pub began: usize,
}

/// The calls of a trace, in the order in which they ended. Those that failed are counted, and left
/// out.
pub fn calls(text: &str) -> Vec<Call> {
    let mut open: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread, (begun.trim_end().to_owned(), calls.len()));
            continue;
        }
        let (whole, began) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let Some((begun, began)) = open.remove(thread) else {
                    continue;
                };
                let Some((_, end)) = resumed.split_once(" resumed>") else {
                    continue;
                };
                (format!("{begun}{end}"), began)
            }
            None => (rest.to_owned(), calls.len()),
        };
        calls.extend(call(&whole, began));
    }
    calls
}

fn call(line: &str, began: usize) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    // The result stands behind the last `) = `; blanks may stand before the sign.
    let equals = rest.rfind("= ")?;
    let arguments = rest[..equals].trim_end().strip_suffix(')')?;
    let result: String = rest[equals + 2..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '-')
        .collect();
    let result = result.parse().ok().filter(|result| *result >= 0)?;
    Some(Call {
        name: name.to_owned(),
        arguments: split(arguments),
        result,
        began,
    })
}

/// Splits at the commas that are not inside of quotes or brackets.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quoted, mut from) = (Vec::new(), 0_i32, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            b',' if !quoted && depth == 0 => {
                parts.push(text[from..at].trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim().to_owned());
    parts
}

impl Call {
    /// The number of the file that an argument names.
    pub fn file_number(&self, at: usize) -> Option<i64> {
        let digits = self.arguments.get(at)?.split('<').next()?;
        digits.parse().ok()
    }

    /// The path of an open file or folder that an argument names.
    pub fn file_path(&self, at: usize) -> Option<PathBuf> {
        let argument = self.arguments.get(at)?;
        let (_, path) = argument.split_once('<')?;
        let path = path
            .strip_suffix('>')
            .or_else(|| path.strip_suffix(">(deleted)"))?;
        Some(as_path(unescape(path)))
    }

    /// The path of which `at` is the folder and the next argument the name.
    pub fn path_in(&self, at: usize) -> Option<PathBuf> {
        let name = as_path(self.bytes(at + 1)?);
        if name.is_absolute() {
            return Some(name);
        }
        Some(self.file_path(at)?.join(name))
    }

    /// An absolute path.
    pub fn path(&self, at: usize) -> Option<PathBuf> {
        Some(as_path(self.bytes(at)?))
    }

    /// The bytes of a text argument, or of a list of parts.
    pub fn bytes(&self, at: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut parts = self.arguments.get(at)?.split('"');
        parts.next()?;
        while let Some(part) = parts.next() {
            bytes.extend(unescape(part));
            parts.next();
        }
        Some(bytes)
    }

    /// A number.
    pub fn number(&self, at: usize) -> Option<u64> {
        self.arguments.get(at)?.parse().ok()
    }

    /// Whether an argument names this flag.
    pub fn has_flag(&self, at: usize, flag: &str) -> bool {
        let argument = self.arguments.get(at);
        argument.is_some_and(|argument| argument.split('|').any(|known| known == flag))
    }
}

fn as_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

fn unescape(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits
        .filter_map(|two| u8::from_str_radix(two.get(..2)?, 16).ok())
        .collect()
}
