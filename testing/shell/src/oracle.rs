//! Remembers what was written, outside the product, and says what must and must not be there in
//! the end. Every write adds a line that occurs nowhere else; the oracle looks for those lines.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Names a write by the line that only it added.
pub type Token = u32;

/// A device's number, or none for a program that knows nothing of versions.
pub type Author = Option<usize>;

/// One acknowledged edit. Its token is its own line; that of a delete appears nowhere.
#[derive(Debug)]
struct Edit {
    author: Author,
    path: String,
    /// Lines in the file before it, as its author saw it.
    seen: BTreeSet<Token>,
    /// Lines in the file after it.
    kept: BTreeSet<Token>,
    /// The edits of this path that its author knew of, directly or through others.
    past: BTreeSet<Token>,
}

impl Edit {
    fn dropped(&self, token: Token) -> bool {
        self.seen.contains(&token) && !self.kept.contains(&token)
    }
}

#[derive(Debug, Default)]
pub struct Oracle {
    next: Token,
    edits: BTreeMap<Token, Edit>,
    known: BTreeMap<(Author, String), BTreeSet<Token>>,
}

impl Oracle {
    pub fn new_token(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// An edit was acknowledged: its author saw the file with `before`, and it holds `after` now.
    pub fn acknowledge(
        &mut self,
        author: Author,
        path: &str,
        token: Token,
        before: &[u8],
        after: &[u8],
    ) {
        let seen = tokens(before);
        let mut learned = seen.clone();
        for earlier in &seen {
            if let Some(edit) = self.edits.get(earlier) {
                learned.extend(&edit.past);
            }
        }
        let known = self.known.entry((author, path.to_owned())).or_default();
        known.extend(learned);
        let past = known.clone();
        known.insert(token);
        let edit = Edit {
            author,
            path: path.to_owned(),
            seen,
            kept: tokens(after),
            past,
        };
        self.edits.insert(token, edit);
    }

    pub fn count(&self) -> usize {
        self.edits.len()
    }

    /// I-1: each acknowledged line is somewhere unless an edit that saw it dropped it.
    pub fn check_nothing_lost(&self, found: &BTreeSet<Token>) -> Result<(), String> {
        for (token, edit) in &self.edits {
            let dropped = self.edits.values().any(|other| other.dropped(*token));
            if edit.kept.contains(token) && !dropped && !found.contains(token) {
                let (author, path) = (edit.author, &edit.path);
                return Err(format!(
                    "I-1: line {token} of {path}, acknowledged to {author:?}, is nowhere"
                ));
            }
        }
        Ok(())
    }

    /// I-2: a line that an edit dropped does not come back, unless another edit of the same file
    /// overlapped with the dropping: neither knew of the other, and of two such edits one wins.
    /// Programs without versions drop lines without anybody being able to tell what they saw.
    pub fn check_nothing_resurrected(&self, current: &BTreeSet<Token>) -> Result<(), String> {
        for (dropper, edit) in &self.edits {
            let crossed = self.edits.iter().any(|(other, keeper)| {
                other != dropper
                    && keeper.path == edit.path
                    && (keeper.author.is_none()
                        || !keeper.past.contains(dropper) && !edit.past.contains(other))
            });
            if crossed || edit.author.is_none() {
                continue;
            }
            if let Some(token) = current.iter().find(|token| edit.dropped(**token)) {
                return Err(format!(
                    "I-2: line {token} came back after edit {dropper} of {}",
                    edit.path
                ));
            }
        }
        Ok(())
    }
}

/// The lines in a content.
pub fn tokens(content: &[u8]) -> BTreeSet<Token> {
    content
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("line "))
        .filter_map(|number| number.parse().ok())
        .collect()
}
