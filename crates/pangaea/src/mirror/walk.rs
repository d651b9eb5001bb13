//! The walk over the folder: which files there are, which of them may have changed, and what can
//! not be synced. Nothing is read but names and file system data.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use gaia::limits::PATH_SEGMENTS_MAX;
use gaia::path::FilePath;
use rustix::fs::DirEntry;

use super::Refused;
use super::State;
use super::disk;
use super::disk::Kind;
use super::disk::Listing;
use super::disk::Meta;
use super::names;
use super::names::Named;
use super::names::Spelling;
use super::root::LinkProblem;
use super::root::Root;
use super::rules::RULES_FILE;
use super::rules::RuleStack;

/// How many links to folders may be followed on the way to one file. Without a limit, a few links
/// among neighbours make more paths than anyone can count.
const FOLLOWED_LINKS_MAX: usize = 3;

/// Which part of the folder a walk looks at.
#[derive(Debug)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// These files and folders, in composed form.
    Below(BTreeSet<String>),
}

/// How much of a name is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    All,
    Some,
    None,
}

impl Wanted {
    fn share(&self, path: &str) -> Share {
        let Self::Below(wanted) = self else {
            return Share::All;
        };
        let path = names::nfc(path);
        if self.covers(&path) {
            return Share::All;
        }
        let below = format!("{path}/");
        match wanted.range(below.clone()..).next() {
            Some(first) if first.starts_with(&below) => Share::Some,
            Some(_) | None => Share::None,
        }
    }

    /// Whether the walk looks at this path if it is there.
    pub(super) fn covers(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(wanted) => {
                !wanted.is_empty() && has_self_or_above(wanted, &names::nfc(path))
            }
        }
    }
}

/// Whether a set holds a path or one of the folders above it.
pub(super) fn has_self_or_above(set: &BTreeSet<String>, path: &str) -> bool {
    set.contains(path)
        || path
            .match_indices('/')
            .any(|(at, _)| path.get(..at).is_some_and(|up| set.contains(up)))
}

/// A file that is new or does not look as its stamp says.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) path: FilePath,
    /// Its path on disk where that differs.
    pub(super) disk: Option<Box<str>>,
    /// As the walk saw it.
    pub(super) meta: Meta,
}

impl Candidate {
    pub(super) fn disk(&self) -> &str {
        self.disk.as_deref().unwrap_or(self.path.as_str())
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) candidates: Vec<Candidate>,
    pub(super) refused: Vec<Refused>,
    pub(super) notes: Vec<Refused>,
    /// Files and folders that were not looked at: what is known of them stays known.
    pub(super) kept: BTreeSet<String>,
    /// Where links were followed.
    pub(super) links: BTreeSet<String>,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    root: &'a Root,
    state: &'a mut State,
    spelling: Spelling,
    wanted: &'a Wanted,
    now_ns: i64,
    /// Path in the bucket of the name that is being looked at.
    path: String,
    /// Its path on disk.
    disk: String,
    depth: usize,
    followed: usize,
    above: Vec<(u64, u64)>,
    rules: RuleStack,
    found: Walked,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        root: &'a Root,
        state: &'a mut State,
        spelling: Spelling,
        wanted: &'a Wanted,
        now_ns: i64,
    ) -> Self {
        Self {
            root,
            state,
            spelling,
            wanted,
            now_ns,
            path: String::new(),
            disk: String::new(),
            depth: 0,
            followed: 0,
            above: Vec::new(),
            rules: RuleStack::default(),
            found: Walked::default(),
        }
    }

    /// Walks from the root.
    ///
    /// # Errors
    /// The root itself cannot be read; of everything else that cannot, the findings tell.
    pub(super) fn run(mut self) -> io::Result<Walked> {
        let meta = self.root.meta()?;
        let share = match self.wanted {
            Wanted::All => Share::All,
            Wanted::Below(_) => Share::Some,
        };
        let root = Listing::read(self.root.folder()?)?;
        if let Some(error) = root.error {
            return Err(error);
        }
        self.folder(root, &meta, share)?;
        Ok(self.found)
    }

    /// Looks at everything in a folder.
    fn folder(&mut self, listing: Listing, meta: &Meta, share: Share) -> io::Result<()> {
        let fd = listing.fd()?;
        if listing
            .entries
            .iter()
            .any(|entry| entry.file_name().to_bytes() == RULES_FILE.as_bytes())
        {
            match self.state.rules.load(fd, &self.disk, self.now_ns) {
                Ok(Some(rules)) => {
                    for problem in &rules.problems {
                        self.note_named(&join(&self.disk, RULES_FILE), problem.clone());
                    }
                    let len = if self.path.is_empty() {
                        0
                    } else {
                        self.path.len() + 1
                    };
                    self.rules.push(len, rules);
                    let result = self.names(&listing, fd, meta, share);
                    self.rules.pop();
                    return result;
                }
                Ok(None) => {}
                Err(reason) => {
                    self.refuse(reason);
                    return Ok(());
                }
            }
        } else {
            self.state.rules.forget(&self.disk);
        }
        self.names(&listing, fd, meta, share)
    }

    fn names(
        &mut self,
        listing: &Listing,
        fd: BorrowedFd<'_>,
        meta: &Meta,
        share: Share,
    ) -> io::Result<()> {
        self.above.push((meta.device, meta.inode));
        self.depth += 1;
        let folder = if self.path.is_empty() {
            String::new()
        } else {
            format!("{}/", self.path)
        };
        let texts = listing
            .entries
            .iter()
            .map(|entry| entry.file_name().to_str().ok());
        let named = names::name_all(texts, &folder, self.spelling, &self.state.stamps);
        let (path_len, disk_len) = (self.path.len(), self.disk.len());
        for (entry, named) in listing.entries.iter().zip(named) {
            let Ok(name) = entry.file_name().to_str() else {
                if share == Share::All {
                    let name = join(&self.disk, &entry.file_name().to_string_lossy());
                    self.found
                        .refused
                        .push(Refused::new(&name, not_text(named)));
                }
                continue;
            };
            if names::is_own(name, self.spelling) {
                continue;
            }
            push(&mut self.disk, name);
            let (name, refusal) = match &named {
                Named::AsIs => (name, None),
                Named::As(name) => (name.as_str(), None),
                Named::Refused(reason) => (name, Some(reason)),
            };
            push(&mut self.path, name);
            let share = if share == Share::All {
                share
            } else {
                self.wanted.share(&self.path)
            };
            match refusal {
                _ if share == Share::None => {}
                Some(reason) => self.refuse(reason.clone()),
                None => self.entry(fd, entry, share)?,
            }
            self.path.truncate(path_len);
            self.disk.truncate(disk_len);
        }
        self.depth -= 1;
        self.above.pop();
        Ok(())
    }

    /// Looks at one name.
    fn entry(&mut self, fd: BorrowedFd<'_>, entry: &DirEntry, share: Share) -> io::Result<()> {
        let (kind, meta) = match disk::kind_hint(entry) {
            Some(kind) => (kind, None),
            None => match self.ask(fd, entry) {
                Some(meta) => (meta.kind, Some(meta)),
                None => return Ok(()),
            },
        };
        match kind {
            Kind::File | Kind::Folder if self.rules.ignores(&self.path, kind) => self.keep(),
            Kind::File => {
                if let Some(meta) = meta.or_else(|| self.ask(fd, entry)) {
                    self.file(meta);
                }
            }
            Kind::Folder => {
                #[cfg(test)]
                if self.state.unreadable.contains(&self.disk) {
                    self.fail(&io::ErrorKind::PermissionDenied.into());
                    return Ok(());
                }
                let name = disk::os(disk::split(&self.disk).1);
                let opened = disk::open_folder_at(fd, name).and_then(|folder| {
                    let meta = disk::meta_of(&folder)?;
                    Ok((folder, meta))
                });
                match opened {
                    Ok((folder, meta)) => self.enter(folder, &meta, share)?,
                    Err(error) => self.fail(&error),
                }
            }
            Kind::Link => self.link(share)?,
            Kind::Other => {
                self.note("it is a pipe, a socket or a device, which cannot be synced".into());
            }
        }
        Ok(())
    }

    fn ask(&mut self, fd: BorrowedFd<'_>, entry: &DirEntry) -> Option<Meta> {
        match disk::meta_of_entry(fd, entry) {
            Ok(meta) => Some(meta),
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// A file: nothing to do if it is as its stamp says.
    fn file(&mut self, meta: Meta) {
        if meta.kind != Kind::File {
            // Replaced since the listing; the next scan sees what it is now.
            self.keep();
            return;
        }
        let same_name = self.path == self.disk;
        let scan = self.state.scan;
        if let Some(held) = self.state.stamps.get_mut(self.path.as_str()) {
            held.seen = scan;
            let disk = (!same_name).then_some(self.disk.as_str());
            if held.stamp.holds(&meta) && held.stamp.disk.as_deref() == disk {
                return;
            }
        }
        match FilePath::parse(&self.path) {
            Ok(path) => {
                let disk = (!same_name).then(|| self.disk.as_str().into());
                self.found.candidates.push(Candidate { path, disk, meta });
            }
            Err(error) => self.refuse(error.to_string()),
        }
    }

    /// A folder: goes into it, unless its files could not have paths.
    fn enter(&mut self, folder: OwnedFd, meta: &Meta, share: Share) -> io::Result<()> {
        if let Err(error) = FilePath::parse(&self.path) {
            self.refuse(error.to_string());
            return Ok(());
        }
        if self.depth >= PATH_SEGMENTS_MAX {
            self.refuse(format!(
                "what is in it lies more than {PATH_SEGMENTS_MAX} folders deep; move it up"
            ));
            return Ok(());
        }
        match Listing::read(folder) {
            Ok(mut listing) => {
                if let Some(error) = listing.error.take() {
                    self.fail(&error);
                }
                self.folder(listing, meta, share)
            }
            Err(error) => {
                self.fail(&error);
                Ok(())
            }
        }
    }

    /// A symbolic link: stands for what it leads to, as long as that is inside.
    fn link(&mut self, share: Share) -> io::Result<()> {
        let ignored = [Kind::File, Kind::Folder].map(|kind| self.rules.ignores(&self.path, kind));
        if ignored == [true, true] {
            self.keep();
            return Ok(());
        }
        let target = match self.root.resolve(&self.disk) {
            Ok(target) => target,
            Err(problem) => {
                self.note(link_words(problem));
                return Ok(());
            }
        };
        let (meta, folder) = match self.root.follow(&target) {
            Ok(found) => found,
            Err(error) => {
                self.fail(&error);
                return Ok(());
            }
        };
        if self.rules.ignores(&self.path, meta.kind) {
            self.keep();
            return Ok(());
        }
        match (meta.kind, folder) {
            (Kind::File, _) => {
                self.found.links.insert(names::nfc(&self.path).into_owned());
                self.file(meta);
            }
            (Kind::Folder, Some(folder)) => {
                if self.above.contains(&(meta.device, meta.inode)) {
                    self.note("the symbolic link leads back to a folder that it lies in".into());
                } else if self.followed >= FOLLOWED_LINKS_MAX {
                    self.note(format!(
                        "the symbolic link lies behind {FOLLOWED_LINKS_MAX} others already"
                    ));
                } else {
                    self.found.links.insert(names::nfc(&self.path).into_owned());
                    self.followed += 1;
                    let result = self.enter(folder, &meta, share);
                    self.followed -= 1;
                    return result;
                }
            }
            (Kind::Folder | Kind::Link | Kind::Other, _) => {
                self.note(link_words(LinkProblem::Unreadable));
            }
        }
        Ok(())
    }

    /// What is known here stays known, whatever is to be seen.
    fn keep(&mut self) {
        if !self.path.is_empty() {
            self.found.kept.insert(self.path.clone());
        }
    }

    fn note(&mut self, reason: String) {
        self.keep();
        self.note_named(&self.disk.clone(), reason);
    }

    fn note_named(&mut self, name: &str, reason: String) {
        self.found.notes.push(Refused::new(name, reason));
    }

    fn refuse(&mut self, reason: String) {
        self.keep();
        if self.path.is_empty() {
            // The root's own rules: then nothing at all was looked at.
            let all = self
                .state
                .stamps
                .keys()
                .map(|path| path.as_str().to_owned());
            self.found.kept.extend(all);
        }
        let name = if self.disk.is_empty() {
            "."
        } else {
            &self.disk
        };
        self.found.refused.push(Refused::new(name, reason));
    }

    fn fail(&mut self, error: &io::Error) {
        // Gone since the listing is simply gone.
        if error.kind() != io::ErrorKind::NotFound {
            self.refuse(format!(
                "it cannot be read ({error}); see to its permissions or its disk"
            ));
        }
    }
}

fn link_words(problem: LinkProblem) -> String {
    format!("the symbolic link {} and is not followed", problem.words())
}

fn not_text(named: Named) -> String {
    match named {
        Named::Refused(reason) => reason,
        Named::AsIs | Named::As(_) => String::new(),
    }
}

/// Adds a name to a path.
fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

fn join(folder: &str, name: &str) -> String {
    let mut path = folder.to_owned();
    push(&mut path, name);
    path
}
