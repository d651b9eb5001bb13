//! Remembers what the users of all devices did, outside the engines, and judges the end state. It
//! shares no code with planner or merges: every write carries a line that occurs nowhere else, and
//! the oracle looks for those lines.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Names a write by the line that only it added.
pub type Token = u32;

/// One acknowledged edit.
#[derive(Debug, Clone)]
struct Edit {
    /// Lines in the file before it, on that device.
    seen: BTreeSet<Token>,
    /// Lines in the file after it.
    kept: BTreeSet<Token>,
    /// The edits whose effects it saw, directly or through others.
    past: BTreeSet<Token>,
}

/// The judge.
#[derive(Debug, Default)]
pub struct Oracle {
    next: Token,
    edits: BTreeMap<Token, Edit>,
}

impl Oracle {
    /// A line for a write that is about to be made.
    pub fn new_token(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// An edit was acknowledged: the file held `before`, and holds `after` now. A delete has a
    /// token of its own, which appears nowhere.
    pub fn acknowledge(&mut self, token: Token, before: &[u8], after: &[u8]) {
        let seen = tokens(before);
        let mut past = seen.clone();
        for earlier in &seen {
            if let Some(edit) = self.edits.get(earlier) {
                past.extend(edit.past.iter().copied());
            }
        }
        self.edits.insert(token, Edit { seen, kept: tokens(after), past });
    }

    /// How many edits were acknowledged.
    pub fn count(&self) -> usize {
        self.edits.len()
    }

    /// I-1: each acknowledged line is in the end state unless an edit that saw it dropped it.
    pub fn check_nothing_lost(&self, found: &BTreeSet<Token>) -> Result<(), String> {
        for (token, edit) in &self.edits {
            let dropped = self.edits.values().any(|other| {
                other.seen.contains(token) && !other.kept.contains(token)
            });
            if edit.kept.contains(token) && !dropped && !found.contains(token) {
                return Err(format!("I-1: the acknowledged line {token} is nowhere"));
            }
        }
        Ok(())
    }

    /// I-2: a line that an edit dropped comes back only if an edit that this one did not see kept
    /// it.
    pub fn check_nothing_resurrected(&self, current: &BTreeSet<Token>) -> Result<(), String> {
        for token in current {
            for (dropper, edit) in &self.edits {
                if !edit.seen.contains(token) || edit.kept.contains(token) {
                    continue;
                }
                let excused = self.edits.iter().any(|(other, keeper)| {
                    other != dropper
                        && keeper.kept.contains(token)
                        && !edit.past.contains(other)
                });
                if !excused {
                    return Err(format!("I-2: line {token} came back after edit {dropper}"));
                }
            }
        }
        Ok(())
    }
}

/// The lines in a content.
pub fn tokens(content: &[u8]) -> BTreeSet<Token> {
    String::from_utf8_lossy(content)
        .lines()
        .filter_map(|line| line.strip_prefix("line "))
        .filter_map(|number| number.parse().ok())
        .collect()
}
