//! Remembers what users and programs did, outside the engines, and judges the end state. It shares
//! no code with planner or merges: every write carries a line that occurs nowhere else, and the
//! oracle looks for those lines. What it excuses is named in [`Excuse`] and counted.

mod lineage;
mod truth;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;

use crate::content::Token;
use crate::content::tokens;

pub use self::lineage::Birth;
pub use self::lineage::Lineage;
pub use self::truth::Truth;
pub use self::truth::Who;

/// Who made an edit. None knows what another saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// The user of a device, by its number.
    Device(usize),
    /// A program that knows nothing of versions.
    Stock,
    /// A newer program.
    Newer,
}

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

/// What a user was told of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// That it is safe.
    Saved,
    /// That it failed, or nothing: it may have happened all the same.
    Nothing,
}

/// A reason for which a broken-looking end state is none. Each is as narrow as the judge can make
/// it, and every use is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excuse {
    /// A line is lost that was on the hub alone when a stock program wrote over it unseen.
    Overwritten,
    /// A line is lost that was on the hub alone when it was restored from a backup.
    RolledBack,
    /// A line is lost that an edit brought back which had been dropped before, on a hub that was then
    /// set back to just those bytes: against that, the edit changed nothing.
    SetBack,
    /// A line is lost that an edit brought back which an earlier one, still without an answer, had dropped: that
    /// one was deleted without a trace, and a file that was made anew there seems to come from what both
    /// were made of, and to lack the line for that.
    Undone,
    /// A line is lost that came to a stock hub between the look and the delete of a device that removed
    /// an old stand-in for a deleted file.
    Swept,
    /// A line is lost that was on one disk alone when that was restored or thrown away.
    DiskLost,
    /// A line is lost of what a device wrote where a stock program left no trace, and forgot when its disk was
    /// restored: once others' time stamps have moved its clock beyond that, it is its own past to it.
    Forgotten,
    /// A file stays torn: the writer of a cut upload lost its disk, or never comes back. Or a line is lost
    /// of a stock program's file, or of the upload that tore it, which somebody read just then. Or that one
    /// keeps it: the whole bytes came again, under the tag that what was torn had.
    Torn,
    /// A line came back where the edit that dropped it crossed another edit of the file that did not
    /// have the line itself: what that one was merged with had it.
    Crossed,
    /// A line came back that was dropped by an edit whose sight nobody could record.
    Unrecorded,
    /// A line came back that the dropping saw through an edit whose sight nobody could record; or such an
    /// edit, by a program without versions, came after the dropping, and nothing tells that it did.
    Doubtful,
    /// A line came back that a delete took away, of which nothing is left on the hub, before the author
    /// of what it deleted had an answer; or before somebody heard of it who then found there what came a
    /// second time: a late duplicate, or what its author had no answer for; or a file that was made anew by who
    /// knew nothing of the old one, and was emptied or deleted by who knew both, or met by who kept the old one
    /// beside it.
    Untraced,
    /// A line came back of what a device had when it heard of a successor, or of a delete, that is older by
    /// the clock of who made it, and came after what a stock program wrote in between: nothing tells that this was
    /// in between.
    Backdated,
    /// A file that was made anew is merged by the version before it: it names as many ancestors as it
    /// can, so nobody can tell that it is not one of them.
    Outdone,
    /// More copies than edits: what a merge made lost in its turn; or on a hub that was set back,
    /// everybody who put the same bytes back gave them a name.
    Remade,
    /// The same plain bytes came again, and a cache has them under their earlier version's name: to who
    /// read that, they were never away, also if they were written anew. Or a restored disk put an earlier
    /// version back, and a cache has the later one.
    Recurred,
    /// A line came back at a path that a late duplicate, a backup or a restored disk brought back.
    Revived,
}

/// What the end state owes to whom, and where a line may be looked for.
#[derive(Debug)]
pub struct Edit {
    /// The file.
    pub path: FilePath,
    /// Who.
    pub author: Author,
    /// Which edit.
    pub token: Token,
    /// What the author saw.
    pub sight: Sight,
    /// What the author was told.
    pub told: Told,
}

/// One edit as it is remembered. A delete keeps no line.
#[derive(Debug, Clone)]
struct Known {
    author: Author,
    path: FilePath,
    root: String,
    /// Lines in the file before it, as its author saw it.
    seen: BTreeSet<Token>,
    /// Lines in the file after it.
    kept: BTreeSet<Token>,
    /// The edits of this path whose effects its author had seen, directly or through others.
    past: BTreeSet<Token>,
    sight: Sight,
    told: Told,
}

impl Known {
    fn dropped(&self, token: Token) -> bool {
        self.seen.contains(&token) && !self.kept.contains(&token)
    }
}

type Memory = BTreeMap<FilePath, BTreeSet<Token>>;

/// The judge.
#[derive(Debug, Default)]
pub struct Oracle {
    next: Token,
    edits: BTreeMap<Token, Known>,
    /// What each author knows of a path.
    known: BTreeMap<Author, Memory>,
    images: BTreeMap<Author, Memory>,
    /// Lines that an author moved into a path.
    brought: BTreeMap<(Author, FilePath), BTreeSet<Token>>,
    /// Lines that may be gone from everywhere, and why.
    wiped: BTreeMap<Token, Excuse>,
    revived: BTreeSet<FilePath>,
    untraced: BTreeMap<FilePath, BTreeSet<Token>>,
    unheard: BTreeMap<FilePath, BTreeSet<Token>>,
    kept_unheard: BTreeMap<FilePath, BTreeSet<Token>>,
    backdated: BTreeMap<FilePath, BTreeSet<Token>>,
    rewound: BTreeSet<FilePath>,
    phantoms: u32,
    is_inexact: bool,
    /// What each path holds if edits never cross; none if it was deleted.
    newest: BTreeMap<FilePath, Option<Vec<u8>>>,
    used: BTreeMap<Excuse, u64>,
}

impl Oracle {
    /// A line for a write that is about to be made.
    pub fn new_token(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// An edit was made: its author saw the file with `before`, and it holds `after` now.
    pub fn note(&mut self, edit: &Edit, before: &[u8], after: Option<&[u8]>) {
        let Edit {
            path,
            author,
            token,
            sight,
            told,
        } = edit;
        let seen = tokens(before);
        let kept = after.map(tokens).unwrap_or_default();
        // What the author brought from another file says nothing of what happened to this one.
        let brought = self.brought.entry((*author, path.clone())).or_default();
        let mut learned: BTreeSet<Token> = seen.difference(brought).copied().collect();
        brought.extend(kept.difference(&seen).filter(|line| *line != token));
        for earlier in learned.clone() {
            if let Some(edit) = self.edits.get(&earlier) {
                learned.extend(edit.past.iter().copied());
            }
        }
        let memory = self.known.entry(*author).or_default();
        let known = memory.entry(path.clone()).or_default();
        known.extend(learned);
        let past = known.clone();
        known.insert(*token);
        let edit = Known {
            author: *author,
            path: path.clone(),
            root: root(path.as_str()).to_owned(),
            seen,
            kept,
            past,
            sight: *sight,
            told: *told,
        };
        self.edits.insert(*token, edit);
        self.newest.insert(path.clone(), after.map(<[u8]>::to_vec));
    }

    /// A crash made a replica take for an edit what it had pulled itself.
    pub fn note_phantom(&mut self, edit: &Edit, before: &[u8], after: Option<&[u8]>) {
        self.phantoms += 1;
        let newest = self.newest.get(&edit.path).cloned();
        self.note(edit, before, after);
        match newest {
            Some(newest) => self.newest.insert(edit.path.clone(), newest),
            None => self.newest.remove(&edit.path),
        };
    }

    /// An image of a device's disk is taken.
    pub fn take_image(&mut self, device: usize) {
        let memory = self.known.get(&Author::Device(device)).cloned();
        self.images
            .insert(Author::Device(device), memory.unwrap_or_default());
    }

    /// A device knows again what it knew when the image was taken, or nothing.
    pub fn go_back(&mut self, device: usize) {
        let memory = self.images.get(&Author::Device(device)).cloned();
        self.known
            .insert(Author::Device(device), memory.unwrap_or_default());
    }

    /// A device is another one from now on.
    pub fn forget(&mut self, device: usize) {
        self.known.remove(&Author::Device(device));
        self.images.remove(&Author::Device(device));
    }

    /// These lines may be gone from everywhere from now on.
    pub fn wipe(&mut self, lines: impl IntoIterator<Item = Token>, why: Excuse) {
        for line in lines {
            self.wiped.insert(line, why);
        }
    }

    /// What was removed from this path without a trace may come back.
    pub fn revive(&mut self, path: &FilePath) {
        self.revived.insert(path.clone());
    }

    /// A delete that leaves nothing took these lines away before their author had an answer, or before
    /// somebody heard of it who never will.
    pub fn note_untraced(&mut self, path: &FilePath, lines: impl IntoIterator<Item = Token>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_some() {
            self.untraced.entry(path.clone()).or_default().extend(lines);
        }
    }

    /// Who has these lines has not heard that the file was deleted, and hears of another one instead.
    pub fn note_unheard(&mut self, path: &FilePath, lines: impl IntoIterator<Item = Token>) {
        self.unheard.entry(path.clone()).or_default().extend(lines);
    }

    /// A device keeps these lines beside a file that it takes for unrelated. It has not heard yet that they
    /// were deleted, if it did not know that before.
    pub fn note_kept_unheard(&mut self, path: &FilePath, lines: &BTreeSet<Token>) {
        let Some(unheard) = self.unheard.get(path) else {
            return;
        };
        let kept = lines.intersection(unheard).copied();
        self.kept_unheard
            .entry(path.clone())
            .or_default()
            .extend(kept);
    }

    /// What a device has at this path is kept from a successor of it that looks older.
    pub fn note_backdated(&mut self, path: &FilePath, lines: BTreeSet<Token>) {
        self.blur();
        self.backdated
            .entry(path.clone())
            .or_default()
            .extend(lines);
    }

    /// An excuse is needed.
    pub fn excuse(&mut self, excuse: Excuse) {
        *self.used.entry(excuse).or_default() += 1;
    }

    /// Whether the hub was set back at a path with this root.
    pub fn is_rewound(&self, root: &str) -> bool {
        let mut rewound = self.rewound.iter();
        rewound.any(|path| self::root(path.as_str()) == root)
    }

    /// Something happened that a relay leaves room for no more than for crossing edits.
    pub fn blur(&mut self) {
        self.is_inexact = true;
    }

    /// Whether what edits made is the exact end, if they never crossed.
    pub fn is_exact(&self) -> bool {
        self.phantoms == 0 && !self.is_inexact
    }

    /// The hub was set back at this path.
    pub fn rewind(&mut self, path: &FilePath) {
        self.revive(path);
        self.rewound.insert(path.clone());
    }

    /// Whether an edit of a file with this root, or of a copy of it, ever dropped the line.
    pub fn was_dropped(&self, root: &str, line: Token) -> bool {
        let mut edits = self.edits.values();
        edits.any(|edit| edit.root == root && edit.dropped(line))
    }

    /// How many edits there were.
    pub fn count(&self) -> usize {
        self.edits.len()
    }

    /// How many edits there were of a path, its conflict copies included.
    pub fn count_at(&self, path: &str) -> usize {
        let root = root(path);
        self.edits.values().filter(|edit| edit.root == root).count()
    }

    /// What a path holds if edits never cross; none if it was deleted.
    pub fn newest(&self, path: &FilePath) -> Option<&[u8]> {
        self.newest.get(path)?.as_deref()
    }

    /// How often each excuse was needed.
    pub fn used(&self) -> &BTreeMap<Excuse, u64> {
        &self.used
    }

    /// I-1: each line of an edit that was acknowledged is in the end state, unless a later edit of
    /// the same file, or of a conflict copy of it, saw the line and dropped it.
    pub fn check_nothing_lost(&mut self, found: &BTreeSet<Token>) -> Result<(), String> {
        for (id, edit) in &self.edits {
            if edit.told == Told::Nothing {
                continue;
            }
            for token in edit.kept.difference(found) {
                let is_dropped = self.edits.iter().any(|(other, dropper)| {
                    dropper.root == edit.root
                        && dropper.dropped(*token)
                        && !edit.past.contains(other)
                });
                if is_dropped {
                    continue;
                }
                let excuse = self.wiped.get(token).copied();
                match excuse.or_else(|| self.was_brought_back(*id, edit, *token)) {
                    Some(excuse) => *self.used.entry(excuse).or_default() += 1,
                    None => {
                        return Err(format!(
                            "I-1: line {token}, kept by the acknowledged edit {id} of {}, is nowhere",
                            edit.path
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Why a line may be lost that was in a file, was dropped, and came back with this edit.
    fn was_brought_back(&self, id: Token, edit: &Known, line: Token) -> Option<Excuse> {
        if line == id {
            return None;
        }
        if self.rewound.contains(&edit.path) {
            return Some(Excuse::SetBack);
        }
        let past = edit.past.iter();
        let mut past = past.filter_map(|earlier| self.edits.get(earlier));
        let was_dropped = past.any(|earlier| {
            let is_own = earlier.author == edit.author && earlier.path == edit.path;
            is_own && earlier.dropped(line)
        });
        let is_untraced = self.untraced.contains_key(&edit.path);
        (was_dropped && is_untraced).then_some(Excuse::Undone)
    }

    /// I-2: a line that an edit dropped does not come back to the file by itself. It may come back
    /// through an edit of the same file that has the line and did not know of the dropping. Nobody may
    /// ever hear of what the device `stranded` did.
    pub fn check_nothing_resurrected(
        &mut self,
        path: &FilePath,
        current: &BTreeSet<Token>,
        stranded: Option<usize>,
    ) -> Result<(), String> {
        let edits = &self.edits;
        let lasting = edits.iter().filter(|(_, edit)| {
            let is_stranded = stranded.map(Author::Device) == Some(edit.author);
            edit.path == *path && edit.told == Told::Saved && !is_stranded
        });
        for (id, edit) in lasting {
            for token in current.iter().filter(|token| edit.dropped(**token)) {
                let others = edits.iter().filter(|(other, keeper)| {
                    *other != id && keeper.path == *path && !edit.past.contains(other)
                });
                if others
                    .clone()
                    .any(|(_, keeper)| keeper.kept.contains(token))
                {
                    continue;
                }
                let crossed = others.clone().any(|(_, keeper)| !keeper.past.contains(id));
                let untraced = self.untraced.get(path);
                let unheard = self.unheard.get(path);
                let kept_unheard = self.kept_unheard.get(path);
                let backdated = self.backdated.get(path);
                let excuse = if edit.sight == Sight::Unrecorded {
                    Excuse::Unrecorded
                } else if edit.kept.is_empty() && untraced.is_some_and(|it| it.contains(token)) {
                    Excuse::Untraced
                } else if self.revived.contains(path) {
                    Excuse::Revived
                } else if crossed {
                    Excuse::Crossed
                } else if backdated.is_some_and(|it| it.contains(token)) {
                    Excuse::Backdated
                } else if self.is_doubtful((*id, edit), *token) {
                    Excuse::Doubtful
                } else if edit.kept.is_empty() && unheard.is_some_and(|it| it.contains(token))
                    || kept_unheard.is_some_and(|it| it.contains(token))
                {
                    Excuse::Untraced
                } else {
                    return Err(format!(
                        "I-2: line {token} came back to {path} after edit {id}"
                    ));
                };
                *self.used.entry(excuse).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Whether what an edit builds upon holds a line that somebody saw unrecorded: then nothing
    /// tells the line's author that the edit came after it. Or whether a stock program saw the edit's
    /// effect unrecorded: then nothing tells who still has the line that what came of that is newer.
    fn is_doubtful(&self, (id, edit): (Token, &Known), token: Token) -> bool {
        let mut others = self.edits.values();
        let is_hidden = others.any(|later| {
            let is_unrecorded = later.author == Author::Stock && later.sight == Sight::Unrecorded;
            is_unrecorded
                && later.path == edit.path
                && later.past.contains(&id)
                && !later.kept.contains(&token)
        });
        let past = edit
            .past
            .iter()
            .filter_map(|earlier| self.edits.get(earlier));
        let mut past = past.into_iter();
        is_hidden
            || past
                .any(|earlier| earlier.sight == Sight::Unrecorded && earlier.seen.contains(&token))
    }
}

/// The name of the file that a conflict copy is made of, or the name itself.
pub fn root(path: &str) -> &str {
    let name = path
        .split_once(" (conflict ")
        .map_or_else(|| stem(path), |(stem, _)| stem);
    // The name of a copy is cut where it would get too long.
    name.get(..ROOT_BYTES_MAX).unwrap_or(name)
}

const ROOT_BYTES_MAX: usize = 150;

/// Whether a name is that of a conflict copy.
pub fn is_copy(path: &str) -> bool {
    path.contains(" (conflict ")
}

/// A name without its extension, as conflict copies have it.
fn stem(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name + dot],
        Some(_) | None => path,
    }
}
