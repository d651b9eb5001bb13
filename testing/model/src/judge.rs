//! Remembers who edited what, having seen what, outside the engines; says what a healed world must
//! hold. Every edit carries a line of its own, and the judge looks for the lines.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;

use gaia::path::FilePath;
use pangaea_core::version::ContentHash;

/// Names an edit by its line: the device's number and its how-manieth edit it is.
pub type Token = (u8, u8);

/// Contents by name, for all worlds of an exploration: a name says all.
#[derive(Debug, Clone, Default)]
pub struct Contents(Rc<RefCell<BTreeMap<ContentHash, Vec<u8>>>>);

impl Contents {
    pub(crate) fn keep(&self, bytes: &[u8]) -> ContentHash {
        let hash = ContentHash::of(bytes);
        self.0
            .borrow_mut()
            .entry(hash)
            .or_insert_with(|| bytes.to_vec());
        hash
    }

    pub(crate) fn bytes(&self, hash: &ContentHash) -> Vec<u8> {
        self.0.borrow().get(hash).cloned().unwrap_or_default()
    }
}

/// An acknowledged edit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Edit {
    path: FilePath,
    /// Lines that its author saw and took away.
    dropped: BTreeSet<Token>,
    /// Whether it left a line of its own: a delete does not.
    wrote: bool,
    /// Edits of this path that its author had seen the effects of.
    past: BTreeSet<Token>,
}

/// The judge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Judge {
    edits: BTreeMap<Token, Edit>,
    known: BTreeMap<(u8, FilePath), BTreeSet<Token>>,
}

impl Judge {
    /// How many edits were acknowledged.
    pub fn count(&self) -> usize {
        self.edits.len()
    }

    /// The name of the next edit of a device.
    pub(crate) fn next(&self, device: u8) -> Token {
        let made = self.edits.keys().filter(|token| token.0 == device).count();
        (device, u8::try_from(made).unwrap_or(u8::MAX))
    }

    /// An edit was acknowledged.
    pub(crate) fn acknowledge(
        &mut self,
        token: Token,
        path: &FilePath,
        before: &[u8],
        after: Option<&[u8]>,
    ) {
        let seen = tokens(before);
        let kept = tokens(after.unwrap_or_default());
        let known = self.known.entry((token.0, path.clone())).or_default();
        for earlier in &seen {
            known.insert(*earlier);
            if let Some(edit) = self.edits.get(earlier) {
                known.extend(edit.past.iter().copied());
            }
        }
        let edit = Edit {
            path: path.clone(),
            dropped: seen.difference(&kept).copied().collect(),
            wrote: after.is_some(),
            past: known.clone(),
        };
        known.insert(token);
        self.edits.insert(token, edit);
    }

    /// I-1: each line is somewhere, unless an edit that saw it took it away. I-2: what an edit took
    /// away is not back in its file, unless another edit of the file crossed it.
    pub(crate) fn check(
        &self,
        everywhere: &BTreeSet<Token>,
        in_files: &BTreeSet<Token>,
    ) -> Result<(), String> {
        for (token, edit) in &self.edits {
            let dropped = self
                .edits
                .values()
                .any(|other| other.dropped.contains(token));
            if edit.wrote && !dropped && !everywhere.contains(token) {
                return Err(format!("I-1: the acknowledged line {token:?} is nowhere"));
            }
        }
        for (dropper, edit) in &self.edits {
            let crossed = self.edits.iter().any(|(other, keeper)| {
                other != dropper
                    && keeper.path == edit.path
                    && !keeper.past.contains(dropper)
                    && !edit.past.contains(other)
            });
            if !crossed
                && let Some(token) = edit.dropped.iter().find(|token| in_files.contains(token))
            {
                return Err(format!("I-2: line {token:?} came back after {dropper:?}"));
            }
        }
        Ok(())
    }
}

/// The line of an edit.
pub(crate) fn line(token: Token) -> String {
    format!("line {} {}\n", token.0, token.1)
}

/// The lines in a content.
pub(crate) fn tokens(content: &[u8]) -> BTreeSet<Token> {
    String::from_utf8_lossy(content)
        .lines()
        .filter_map(|line| {
            let (device, number) = line.strip_prefix("line ")?.split_once(' ')?;
            Some((device.parse().ok()?, number.parse().ok()?))
        })
        .collect()
}
