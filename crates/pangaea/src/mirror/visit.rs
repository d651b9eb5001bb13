//! One folder of a walk: what each name in it stands for.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gaia::limits::PATH_SEGMENTS_MAX;
use gaia::path::FilePath;
use rustix::fs::DirEntry;

use super::Refused;
use super::disk;
use super::disk::Kind;
use super::disk::Listing;
use super::disk::Meta;
use super::names;
use super::names::Named;
use super::root::LinkProblem;
use super::rules::RULES_FILE;
use super::rules::RuleStack;
use super::walk::Candidate;
use super::walk::Share;
use super::walk::Walk;
use super::walk::Walked;

/// How many links to folders may be followed on the way to one file. Without a limit, a few links
/// among neighbours make more paths than anyone can count.
const FOLLOWED_LINKS_MAX: usize = 3;

/// A folder to look at, or being looked at.
#[derive(Debug)]
pub(super) struct Visit {
    door: Door,
    share: Share,
    /// Path in the bucket: of the folder, and while it is looked at, of one name after the other.
    path: String,
    /// The same on disk.
    disk: String,
    /// How many names there are in the path of the folder.
    depth: usize,
    /// How many links to folders were followed on the way here.
    followed: usize,
    above: Option<Arc<Above>>,
    /// The rules of the folders above.
    rules: RuleStack,
}

/// How to get into a folder.
#[derive(Debug)]
enum Door {
    /// It is open.
    Open(OwnedFd),
    /// From the folder above.
    From(Arc<OwnedFd>),
}

/// The folders above a folder, and itself.
#[derive(Debug)]
struct Above {
    device: u64,
    inode: u64,
    rest: Option<Arc<Above>>,
}

impl Above {
    fn has(&self, meta: &Meta) -> bool {
        let mut next = Some(self);
        while let Some(here) = next {
            if (here.device, here.inode) == (meta.device, meta.inode) {
                return true;
            }
            next = here.rest.as_deref();
        }
        false
    }
}

/// What is the same for all names of the folder being looked at.
struct Here<'a, 'w> {
    walk: &'a Walk<'w>,
    folder: Arc<OwnedFd>,
    above: Arc<Above>,
    found: &'a mut Walked,
    /// The folders in it.
    more: Vec<Visit>,
}

impl Visit {
    pub(super) fn root(walk: &Walk<'_>, share: Share) -> io::Result<Self> {
        Ok(Self {
            door: Door::Open(walk.root.folder()?),
            share,
            path: String::new(),
            disk: String::new(),
            depth: 0,
            followed: 0,
            above: None,
            rules: RuleStack::default(),
        })
    }

    /// Looks at the folder; returns the folders in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn run(&mut self, walk: &Walk<'_>, found: &mut Walked) -> io::Result<Vec<Self>> {
        #[cfg(test)]
        if walk.state.unreadable.contains(&self.disk) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let folder = match &self.door {
            Door::Open(folder) => folder.try_clone()?,
            Door::From(above) => {
                disk::open_folder_at(above.as_fd(), disk::os(disk::split(&self.disk).1))?
            }
        };
        let meta = disk::meta_of(&folder)?;
        let listing = Listing::read(&folder)?;
        if let Some(error) = listing.error {
            if self.path.is_empty() {
                return Err(error);
            }
            self.fail(&error, found);
        }
        if !self.load_rules(walk, &folder, &listing.entries, found) {
            return Ok(Vec::new());
        }
        let above = Above {
            device: meta.device,
            inode: meta.inode,
            rest: self.above.take(),
        };
        let mut here = Here {
            walk,
            folder: Arc::new(folder),
            above: Arc::new(above),
            found,
            more: Vec::new(),
        };
        self.names(&mut here, &listing.entries);
        Ok(here.more)
    }

    /// Adds the folder's own rules to those from above; false if they cannot be read.
    fn load_rules(
        &mut self,
        walk: &Walk<'_>,
        folder: &OwnedFd,
        entries: &[DirEntry],
        found: &mut Walked,
    ) -> bool {
        let mut cache = walk.state.rules();
        if !entries
            .iter()
            .any(|entry| entry.file_name().to_bytes() == RULES_FILE.as_bytes())
        {
            cache.forget(&self.disk);
            return true;
        }
        match cache.load(folder.as_fd(), &self.disk, walk.now_ns) {
            Ok(Some(rules)) => {
                for problem in &rules.problems {
                    found
                        .notes
                        .push(Refused::new(&join(&self.disk, RULES_FILE), problem.clone()));
                }
                let len = if self.path.is_empty() {
                    0
                } else {
                    self.path.len() + 1
                };
                self.rules.push(len, rules);
                true
            }
            Ok(None) => true,
            Err(reason) => {
                drop(cache);
                if self.path.is_empty() {
                    // Then nothing at all is looked at.
                    let all = walk
                        .state
                        .stamps
                        .keys()
                        .map(|path| path.as_str().to_owned());
                    found.kept.extend(all);
                }
                self.refuse(reason, found);
                false
            }
        }
    }

    fn names(&mut self, here: &mut Here<'_, '_>, entries: &[DirEntry]) {
        let walk = here.walk;
        let folder = if self.path.is_empty() {
            String::new()
        } else {
            format!("{}/", self.path)
        };
        let texts = entries.iter().map(|entry| entry.file_name().to_str().ok());
        let named = names::name_all(texts, &folder, walk.spelling, &walk.state.stamps);
        let (path_len, disk_len) = (self.path.len(), self.disk.len());
        for (entry, named) in entries.iter().zip(named) {
            let Ok(on_disk) = entry.file_name().to_str() else {
                if let (Share::All, Named::Refused(reason)) = (self.share, named) {
                    let name = join(&self.disk, &entry.file_name().to_string_lossy());
                    here.found.refused.push(Refused::new(&name, reason));
                }
                continue;
            };
            if names::is_own(on_disk, walk.spelling) {
                continue;
            }
            push(&mut self.disk, on_disk);
            let (name, refusal) = match &named {
                Named::AsIs => (on_disk, None),
                Named::As(name) => (name.as_str(), None),
                Named::Refused(reason) => (on_disk, Some(reason)),
            };
            push(&mut self.path, name);
            let share = match self.share {
                Share::All => Share::All,
                Share::Some | Share::None => walk.wanted.share(&self.path),
            };
            match refusal {
                _ if share == Share::None => {}
                Some(reason) => self.refuse(reason.clone(), here.found),
                None => self.entry(here, entry, share),
            }
            self.path.truncate(path_len);
            self.disk.truncate(disk_len);
        }
    }

    /// Looks at one name.
    fn entry(&mut self, here: &mut Here<'_, '_>, entry: &DirEntry, share: Share) {
        let (kind, meta) = match disk::kind_hint(entry) {
            Some(kind) => (kind, None),
            None => match self.ask(here, entry) {
                Some(meta) => (meta.kind, Some(meta)),
                None => return,
            },
        };
        match kind {
            Kind::File | Kind::Folder if self.rules.ignores(&self.path, kind) => {
                self.keep(here.found);
            }
            Kind::File => {
                if let Some(meta) = meta.or_else(|| self.ask(here, entry)) {
                    self.file(here, meta);
                }
            }
            Kind::Folder => {
                let door = Door::From(here.folder.clone());
                self.enter(here, door, share, self.followed);
            }
            Kind::Link => self.link(here, share),
            Kind::Other => {
                let reason = "it is a pipe, a socket or a device, which cannot be synced";
                self.note(reason.into(), here.found);
            }
        }
    }

    fn ask(&self, here: &mut Here<'_, '_>, entry: &DirEntry) -> Option<Meta> {
        match disk::meta_of_entry(here.folder.as_fd(), entry) {
            Ok(meta) => Some(meta),
            Err(error) => {
                self.fail(&error, here.found);
                None
            }
        }
    }

    /// A file: nothing to do if it is as its stamp says.
    fn file(&self, here: &mut Here<'_, '_>, meta: Meta) {
        if meta.kind != Kind::File {
            // Replaced since the listing; the next scan sees what it is now.
            self.keep(here.found);
            return;
        }
        let same_name = self.path == self.disk;
        let state = here.walk.state;
        if let Some(held) = state.stamps.get(self.path.as_str()) {
            held.seen.store(state.scan, Ordering::Relaxed);
            let disk = (!same_name).then_some(self.disk.as_str());
            if held.stamp.holds(&meta) && held.stamp.disk.as_deref() == disk {
                return;
            }
        }
        match FilePath::parse(&self.path) {
            Ok(path) => {
                let disk = (!same_name).then(|| self.disk.as_str().into());
                here.found.candidates.push(Candidate { path, disk, meta });
            }
            Err(error) => self.refuse(error.to_string(), here.found),
        }
    }

    /// A folder: to be looked at, unless its files could not have paths.
    fn enter(&self, here: &mut Here<'_, '_>, door: Door, share: Share, followed: usize) {
        let depth = self.depth + 1;
        if let Err(error) = FilePath::parse(&self.path) {
            self.refuse(error.to_string(), here.found);
        } else if depth >= PATH_SEGMENTS_MAX {
            let reason = format!(
                "what is in it lies more than {PATH_SEGMENTS_MAX} folders deep; move it up"
            );
            self.refuse(reason, here.found);
        } else {
            here.more.push(Self {
                door,
                share,
                path: self.path.clone(),
                disk: self.disk.clone(),
                depth,
                followed,
                above: Some(here.above.clone()),
                rules: self.rules.clone(),
            });
        }
    }

    /// A symbolic link: stands for what it leads to, as long as that is inside.
    fn link(&self, here: &mut Here<'_, '_>, share: Share) {
        let ignored = [Kind::File, Kind::Folder].map(|kind| self.rules.ignores(&self.path, kind));
        if ignored == [true, true] {
            self.keep(here.found);
            return;
        }
        let root = here.walk.root;
        let target = match root.resolve(&self.disk) {
            Ok(target) => target,
            Err(problem) => {
                self.note(link_words(problem), here.found);
                return;
            }
        };
        let (meta, folder) = match root.follow(&target) {
            Ok(found) => found,
            Err(error) => {
                self.fail(&error, here.found);
                return;
            }
        };
        if self.rules.ignores(&self.path, meta.kind) {
            self.keep(here.found);
            return;
        }
        match (meta.kind, folder) {
            (Kind::File, _) => {
                here.found.links.insert(names::nfc(&self.path).into_owned());
                self.file(here, meta);
            }
            (Kind::Folder, Some(_)) if here.above.has(&meta) => {
                let reason = "the symbolic link leads back to a folder that it lies in";
                self.note(reason.into(), here.found);
            }
            (Kind::Folder, Some(_)) if self.followed >= FOLLOWED_LINKS_MAX => {
                let reason =
                    format!("the symbolic link lies behind {FOLLOWED_LINKS_MAX} others already");
                self.note(reason, here.found);
            }
            (Kind::Folder, Some(folder)) => {
                here.found.links.insert(names::nfc(&self.path).into_owned());
                self.enter(here, Door::Open(folder), share, self.followed + 1);
            }
            (Kind::Folder | Kind::Link | Kind::Other, _) => {
                self.note(link_words(LinkProblem::Unreadable), here.found);
            }
        }
    }

    /// What is known here stays known, whatever is to be seen.
    fn keep(&self, found: &mut Walked) {
        found.kept.insert(self.path.clone());
    }

    fn note(&self, reason: String, found: &mut Walked) {
        self.keep(found);
        found.notes.push(Refused::new(&self.disk, reason));
    }

    fn refuse(&self, reason: String, found: &mut Walked) {
        self.keep(found);
        let name = if self.disk.is_empty() {
            "."
        } else {
            &self.disk
        };
        found.refused.push(Refused::new(name, reason));
    }

    /// Something cannot be asked or read.
    pub(super) fn fail(&self, error: &io::Error, found: &mut Walked) {
        // Gone since the listing is simply gone.
        if error.kind() != io::ErrorKind::NotFound {
            let reason = format!("it cannot be read ({error}); see to its permissions or its disk");
            self.refuse(reason, found);
        }
    }
}

fn link_words(problem: LinkProblem) -> String {
    format!("the symbolic link {} and is not followed", problem.words())
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
