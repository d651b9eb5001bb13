//! Complete listings of the bucket: what they show to be new, changed or missing, and when they
//! are too strange to be believed.

use std::collections::BTreeSet;

use gaia::etag::ETag;
use gaia::path::FilePath;

use super::Engine;
use super::schedule::HubState;
use crate::io::Event;
use crate::io::ListedFile;
use crate::io::Question;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::state::Base;
use crate::state::Entry;
use crate::state::IDENTITY_PATH;
use crate::state::Local;
use crate::state::Remote;

/// Whether a listing is wanted or under way, and what happened since it began.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Listing {
    wanted: bool,
    running: bool,
    /// The last request that the hub could not carry out was a listing.
    failed: bool,
    /// Paths whose state on the hub moved by our own requests since the listing began: it may show
    /// them as they were before.
    touched: BTreeSet<FilePath>,
}

impl Listing {
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted && !self.running
    }

    pub(super) fn is_done(&self) -> bool {
        !self.wanted && !self.running
    }

    pub(super) fn begin(&mut self) {
        self.wanted = false;
        self.running = true;
        self.touched.clear();
    }

    pub(super) fn end(&mut self) {
        self.running = false;
    }

    /// The hub could not carry out a request: a listing, or one about a path.
    pub(super) fn note_failure(&mut self, path: Option<&FilePath>) {
        self.failed = path.is_none();
    }

    /// Whether others go first: a hub that cannot list, for a time or for ever, may take files all the
    /// same.
    pub(super) fn goes_last(&self) -> bool {
        self.failed
    }

    pub(super) fn touch(&mut self, path: &FilePath) {
        if self.running && !planted(Bug::OldListing) {
            self.touched.insert(path.clone());
        }
    }
}

impl Engine {
    /// Asks for a fresh listing: at the start of a round, on a timer, when a gap shows.
    pub fn handle_round_start(&mut self) {
        self.listing.want();
    }

    pub(super) fn handle_listing(&mut self, mut files: Vec<ListedFile>, now_ms: u64) {
        self.listing.end();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(question) = self.doubt(&files) {
            self.hub = HubState::Halted(question.clone());
            self.events.push_back(Event::Halted(question));
            return;
        }
        self.mass_delete_allowed = false;
        self.has_listed = true;
        for file in &files {
            self.note_listed(file, now_ms);
        }
        self.clear_problems_of_missing(&files);
        for path in self.missing(&files) {
            if let Some(entry) = self.entries.get_mut(&path) {
                entry.remote = Remote::Missing;
                self.make_ready(&path);
            }
        }
        self.offer_identity(&files, now_ms);
    }

    /// A listing that no sane hub would give is not acted upon before a person confirms it.
    fn doubt(&self, files: &[ListedFile]) -> Option<Question> {
        let identity = self
            .entries
            .iter()
            .find(|(path, _)| path.as_str() == IDENTITY_PATH);
        if let Some((path, entry)) = identity
            && let Base::File(base) = &entry.base
            && !self.listing.touched.contains(path)
            && !self.busy.contains_key(path)
        {
            let listed = find(files, path);
            if listed.is_none_or(|file| file.tag.as_ref().is_some_and(|tag| *tag != base.tag)) {
                return Some(Question::OtherBucket);
            }
        }
        let known = self
            .entries
            .values()
            .filter(|entry| entry.base.file().is_some())
            .count();
        let missing = self
            .missing(files)
            .iter()
            .filter_map(|path| self.entries.get(path))
            .filter(|entry| matches!(entry.local, Local::File(_)) && entry.base.file().is_some())
            .count();
        let most = missing * 2 > known && missing > self.options.mass_delete_floor;
        let many = missing > self.options.mass_delete_ceiling;
        ((most || many) && !self.mass_delete_allowed)
            .then_some(Question::MassDelete { missing, known })
    }

    fn note_listed(&mut self, file: &ListedFile, now_ms: u64) {
        let path = &file.path;
        if self.listing.touched.contains(path) || self.busy.contains_key(path) {
            return;
        }
        let entry = match self.entries.get_mut(path) {
            Some(entry) => entry,
            None => self.entries.entry(path.clone()).or_default(),
        };
        let problem = entry.problem.as_ref().and_then(|it| it.tag.as_ref());
        if problem.is_some() && file.tag.is_some() && problem != file.tag.as_ref() {
            entry.problem = None;
            self.commit.entries.insert(path.clone());
            self.make_ready(path);
        }
        let Some(entry) = self.entries.get_mut(path) else {
            return;
        };
        if file.tag.is_some() && file.tag.as_ref() == entry.base.tag() {
            entry.suspect = None;
            entry.remote = Remote::AsBase;
            if entry.pending.is_some() && entry.is_clean() {
                // A delete that waits to hear that the hub has nothing else.
                entry.remote = Remote::Seen(file.tag.clone());
                self.make_ready(path);
            } else if !entry.is_clean() || self.is_due_for_sweep(path, now_ms) {
                self.make_ready(path);
            }
            return;
        }
        if let Remote::File(remote) = &entry.remote
            && file.tag.as_ref() == Some(&remote.tag)
        {
            self.make_ready(path);
            return;
        }
        if let Some(problem) = &entry.problem {
            // A listing without tags says nothing new of a file that was known to be there: to try again
            // at every look would be for ever (L-5).
            let is_known = problem.tag.is_some() || entry.base.tag().is_some();
            if is_known && file.tag.is_none() && problem.kind.is_in_what_was_read() {
                // It is read at every look, as all files of such a hub are.
                entry.remote = Remote::Seen(None);
                self.make_ready(path);
                return;
            }
            if is_known && (file.tag.is_none() || problem.tag == file.tag) {
                return;
            }
            entry.problem = None;
            self.commit.entries.insert(path.clone());
        }
        entry.remote = Remote::Seen(file.tag.clone());
        self.make_ready(path);
    }

    /// Lets a path be planned, unless it waits: a listing does not shorten that.
    fn make_ready(&mut self, path: &FilePath) {
        if !self.waiting.contains_key(path) {
            self.ready.insert(path.clone());
        }
    }

    /// Paths that the hub had and the listing lacks, as far as the listing can know.
    fn missing(&self, files: &[ListedFile]) -> Vec<FilePath> {
        self.entries
            .iter()
            .filter(|(path, entry)| {
                (entry.base.tag().is_some()
                    || (entry.pending.is_some() && entry.local.file().is_none())
                    || matches!(entry.remote, Remote::Seen(_) | Remote::File(_)))
                    && find(files, path).is_none()
                    && !self.listing.touched.contains(*path)
                    && !self.busy.contains_key(*path)
            })
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// What the hub had that was in somebody's way is not there any more: that is a reason to look
    /// again, as another tag is.
    fn clear_problems_of_missing(&mut self, files: &[ListedFile]) {
        let is_about_hub = |entry: &Entry| {
            let problem = entry.problem.as_ref();
            problem.is_some_and(|problem| problem.tag.is_some())
        };
        let gone: Vec<FilePath> = self
            .entries
            .iter()
            .filter(|(path, entry)| {
                is_about_hub(entry)
                    && find(files, path).is_none()
                    && !self.listing.touched.contains(*path)
                    && !self.busy.contains_key(*path)
            })
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.update(&path, |entry| entry.problem = None);
            self.make_ready(&path);
        }
    }

    /// A bucket without identity gets the one that this replica offers.
    fn offer_identity(&mut self, files: &[ListedFile], now_ms: u64) {
        let Some(identity) = self.options.identity.clone() else {
            return;
        };
        let Ok(path) = FilePath::parse(IDENTITY_PATH) else {
            return;
        };
        let unknown = self.entries.get(&path).is_none_or(Entry::is_blank);
        if unknown && find(files, &path).is_none() {
            self.handle_local_write(&path, identity, now_ms);
        }
    }

    /// Whether the tombstone at `path` has been there long enough.
    pub(super) fn is_due_for_sweep(&self, path: &FilePath, now_ms: u64) -> bool {
        self.sweepable(path, now_ms).is_some()
    }

    pub(super) fn sweepable(&self, path: &FilePath, now_ms: u64) -> Option<ETag> {
        match &self.entries.get(path)?.base {
            Base::Gone {
                tombstone: Some(tag),
                since_ms,
                ..
            } if now_ms.saturating_sub(*since_ms) > self.options.tombstone_ms
                || planted(Bug::SweepAtOnce) =>
            {
                Some(tag.clone())
            }
            Base::Gone { .. } | Base::File(_) | Base::Unknown => None,
        }
    }
}

fn find<'a>(files: &'a [ListedFile], path: &FilePath) -> Option<&'a ListedFile> {
    files
        .binary_search_by(|file| file.path.cmp(path))
        .ok()
        .and_then(|index| files.get(index))
}
