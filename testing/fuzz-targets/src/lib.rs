//! Every parser of bytes that come from outside, as a function that takes any bytes and panics if
//! the parser breaks its word: never panics, never believes what is not so, reads back what it
//! writes. The fuzzers under `fuzz/` call these, and so does the test that replays the corpora.
//!
//! `protocol` holds what a hub and its clients say to each other, `secrets` tokens and what is
//! encrypted or signed, `settings` what people write: configuration, policies, rules; `stored` what
//! a program of ours has written and a disk may have changed.

mod protocol;
mod secrets;
mod settings;
mod stored;

/// A target: its name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub const TARGETS: [Target; 18] = [
    ("batch", protocol::batch),
    ("changes", protocol::changes),
    ("conditions", protocol::conditions),
    ("envelope", secrets::envelope),
    ("fetch", protocol::fetch),
    ("hub_config", settings::hub_config),
    ("ignore_rules", settings::ignore_rules),
    ("listing", protocol::listing),
    ("merge", stored::merge),
    ("names", protocol::names),
    ("path", protocol::path),
    ("policy", settings::policy),
    ("range", protocol::range),
    ("record", stored::record),
    ("replies", protocol::replies),
    ("token", secrets::token),
    ("version_header", secrets::version_header),
    ("wrapped_file", secrets::wrapped_file),
];

/// Runs the target of this name. False: there is none.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => {
            target(bytes);
            true
        }
        None => false,
    }
}

/// The first byte as a number, and the rest; for inputs that need a choice besides the bytes.
fn choice(bytes: &[u8]) -> (u8, &[u8]) {
    match bytes.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (0, bytes),
    }
}

/// Two parts, separated by the first zero byte.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// That a parser came back is all that is asked of it here.
fn taken<T>(result: T) {
    drop(result);
}
