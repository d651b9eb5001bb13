//! Remembers what users and programs did, outside the engines, and judges the end state. It shares
//! no code with planner or merges: every write carries a line that occurs nowhere else, and the
//! oracle looks for those lines.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;

/// Names a write by the line that only it added.
pub type Token = u32;

/// Who made an edit: a device's number, or none for a program that is no replica.
pub type Author = Option<usize>;

/// Whether a replica knows what the author of an edit saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It does.
    Recorded,
    /// The folder showed what was just put there, and no commit says so yet: if power fails before
    /// one does, the edit looks as if it was made to what was there before. Or a stock program saw a
    /// version whose author has no answer yet, or whose author's clock is fast: nothing tells that what
    /// it wrote came after that.
    Unrecorded,
}

/// One acknowledged edit. Its token is its own line; that of a delete appears nowhere.
#[derive(Debug, Clone)]
struct Edit {
    path: FilePath,
    /// Lines in the file before it, as its author saw it.
    seen: BTreeSet<Token>,
    /// Lines in the file after it.
    kept: BTreeSet<Token>,
    /// The edits of this path whose effects its author had seen, directly or through others.
    past: BTreeSet<Token>,
    sight: Sight,
}

impl Edit {
    fn dropped(&self, token: Token) -> bool {
        self.seen.contains(&token) && !self.kept.contains(&token)
    }
}

/// The judge.
#[derive(Debug, Default)]
pub struct Oracle {
    next: Token,
    edits: BTreeMap<Token, Edit>,
    /// What each author knows of a path.
    known: BTreeMap<(Author, FilePath), BTreeSet<Token>>,
    /// Lines that a stock program wiped from the hub without having seen them.
    wiped: BTreeSet<Token>,
    /// Paths that a late duplicate of a first upload brought back to a hub that had forgotten them.
    revived: BTreeSet<FilePath>,
    /// Edits that a crash made up.
    phantoms: u32,
    /// What each path holds if edits never cross.
    newest: BTreeMap<FilePath, Vec<u8>>,
}

impl Oracle {
    /// A line for a write that is about to be made.
    pub fn new_token(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// An edit was acknowledged: its author saw the file with `before`, and it holds `after` now.
    pub fn acknowledge(
        &mut self,
        author: Author,
        path: &FilePath,
        token: Token,
        (before, sight): (&[u8], Sight),
        after: &[u8],
    ) {
        let seen = tokens(before);
        let mut learned = seen.clone();
        for earlier in &seen {
            if let Some(edit) = self.edits.get(earlier) {
                learned.extend(edit.past.iter().copied());
            }
        }
        let known = self.known.entry((author, path.clone())).or_default();
        known.extend(learned);
        let past = known.clone();
        known.insert(token);
        let edit = Edit {
            path: path.clone(),
            seen,
            kept: tokens(after),
            past,
            sight,
        };
        self.edits.insert(token, edit);
        self.newest.insert(path.clone(), after.to_vec());
    }

    /// A crash made a replica take for an edit what it had pulled itself.
    pub fn note_phantom(
        &mut self,
        device: usize,
        path: &FilePath,
        token: Token,
        before: (&[u8], Sight),
        after: &[u8],
    ) {
        self.phantoms += 1;
        let newest = self.newest.get(path).cloned();
        self.acknowledge(Some(device), path, token, before, after);
        match newest {
            Some(newest) => self.newest.insert(path.clone(), newest),
            None => self.newest.remove(path),
        };
    }

    /// A stock program is about to overwrite what the hub has, whatever that is. What it did not
    /// see and does not keep is lost if it is nowhere else; no replica can help that. This excuses
    /// exactly the lines that are on the hub at that moment.
    pub fn excuse(&mut self, on_hub: &[u8], after: &[u8]) {
        let kept = tokens(after);
        self.wiped.extend(tokens(on_hub).difference(&kept));
    }

    /// The hub took a late duplicate of a first upload for a new file, since what was there had been
    /// removed without a trace. A replica that sees it before its author does cannot tell either.
    pub fn revive(&mut self, path: &FilePath) {
        self.revived.insert(path.clone());
    }

    /// How many edits a crash made up.
    pub fn phantoms(&self) -> u32 {
        self.phantoms
    }

    /// How many edits were acknowledged.
    pub fn count(&self) -> usize {
        self.edits.len()
    }

    /// What a path holds if edits never cross; empty if it was deleted.
    pub fn newest(&self, path: &FilePath) -> &[u8] {
        self.newest.get(path).map_or(&[], Vec::as_slice)
    }

    /// I-1: each acknowledged line is in the end state unless an edit that saw it dropped it.
    pub fn check_nothing_lost(&self, found: &BTreeSet<Token>) -> Result<(), String> {
        for (token, edit) in &self.edits {
            let dropped = self.edits.values().any(|other| other.dropped(*token));
            let excused = dropped || self.wiped.contains(token);
            if edit.kept.contains(token) && !excused && !found.contains(token) {
                return Err(format!("I-1: the acknowledged line {token} is nowhere"));
            }
        }
        Ok(())
    }

    /// I-2: a line that an edit dropped does not come back by itself. It may come back through an
    /// edit of the same file that did not know of the dropping, and that the dropping did not know
    /// of: of two such edits that overlap, one wins and has its way with the whole place, which may
    /// hold lines that it never saw itself but was merged with before; and an edit beats a delete.
    /// A dropping that saw a line only through an edit whose sight nobody could record is excused
    /// too: keeping too much is the safe side. So is one of a path that was removed without a trace
    /// and came back as a late duplicate. Worlds in which edits never cross are judged by [`Oracle::newest`] instead,
    /// without excuse.
    pub fn check_nothing_resurrected(&self, current: &BTreeSet<Token>) -> Result<(), String> {
        for (dropper, edit) in &self.edits {
            let crossed = self.edits.iter().any(|(other, keeper)| {
                other != dropper
                    && keeper.path == edit.path
                    && !keeper.past.contains(dropper)
                    && !edit.past.contains(other)
            });
            let excused = edit.sight == Sight::Unrecorded || self.revived.contains(&edit.path);
            if crossed || excused {
                continue;
            }
            let came_back =
                |token: &&Token| edit.dropped(**token) && !self.is_doubtful(edit, **token);
            if let Some(token) = current.iter().find(came_back) {
                return Err(format!("I-2: line {token} came back after edit {dropper}"));
            }
        }
        Ok(())
    }

    /// Whether what an edit builds upon holds a line that somebody saw unrecorded: then nothing
    /// tells the line's author that the edit came after it.
    fn is_doubtful(&self, edit: &Edit, token: Token) -> bool {
        edit.past
            .iter()
            .filter_map(|earlier| self.edits.get(earlier))
            .any(|earlier| earlier.sight == Sight::Unrecorded && earlier.seen.contains(&token))
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
