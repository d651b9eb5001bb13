//! The reference hub: written from what is known of the Gaia protocol, with the quirks of the stock
//! hub that clients have to live with, and none of the product's hub code. It stores bytes and
//! what came with them, and knows nothing of versions.

mod listing;
mod upload;

use std::collections::BTreeMap;
use std::rc::Rc;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::plan::Condition;

use crate::content::Bytes;
use crate::header::Header;
use crate::settings::Family;
use crate::settings::HubSettings;

pub use self::listing::Page;
use self::upload::Upload;

/// What a hub holds at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The stored bytes.
    pub bytes: Bytes,
    /// What its type carries; none if a program wrote it that knows nothing of versions.
    pub header: Option<Rc<Header>>,
    /// The tag that the hub keeps for it. After a torn write it is that of the bytes before.
    pub tag: ETag,
    /// When, in seconds by the hub's clock.
    pub modified_s: u64,
}

/// A request as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Store a file.
    Put {
        /// Where to.
        path: FilePath,
        /// What.
        bytes: Bytes,
        /// What its type carries.
        header: Option<Rc<Header>>,
        /// What must be there; none is what only stock programs send.
        condition: Option<Condition>,
    },
    /// Delete a file.
    Delete {
        /// Which.
        path: FilePath,
        /// What must be there; only some hubs look at it.
        condition: Option<ETag>,
    },
    /// Read a file.
    Get {
        /// Which.
        path: FilePath,
    },
    /// Ask for a file's tag.
    Head {
        /// Which.
        path: FilePath,
    },
    /// Ask for a page of the listing.
    List {
        /// The mark that the page before gave.
        mark: Option<u64>,
    },
    /// Ask what changed; none: where the feed is now.
    Changes {
        /// What the answer before gave.
        since: Option<Cursor>,
    },
}

impl Call {
    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. })
    }
}

/// A place in the change feed: a life of the hub's index, and how far in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    life: u32,
    at: usize,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Stored, under this tag.
    Stored(ETag),
    /// Deleted.
    Deleted,
    /// There is nothing.
    NotFound,
    /// The condition does not hold.
    ConditionFailed(Option<ETag>),
    /// Somebody else is writing this path.
    Busy,
    /// The upload goes on: the answer comes at its end.
    Uploading(u64),
    /// A file.
    Object(Object),
    /// A file's tag.
    Tag(ETag),
    /// A page.
    Page(Page),
    /// What changed, path by path, and where the feed is now.
    Changes(Vec<(FilePath, Option<ETag>)>, Cursor),
    /// The mark or the cursor means nothing any more.
    Expired,
    /// The hub, or something before it, cannot do that now.
    Unwell {
        /// How long it asks to wait.
        retry_after_ms: Option<u64>,
    },
    /// The token is not accepted.
    Unauthorized,
    /// Too large.
    Refused,
}

/// Every state that a path ever had on the hub, for judges.
#[derive(Debug, Clone)]
pub struct Was {
    /// A number that grows with every change of the hub.
    pub at: u64,
    /// What was put there; none: it was removed.
    pub object: Option<Object>,
}

/// The hub.
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    objects: BTreeMap<FilePath, Object>,
    /// Names that an archival scope hides, in the order of their making.
    archived: u32,
    uploads: BTreeMap<FilePath, Upload>,
    /// Uploads that ever began.
    begun: u64,
    /// Changed paths, for the feed.
    feed: Vec<FilePath>,
    life: u32,
    backup: Option<BTreeMap<FilePath, Object>>,
    changes: u64,
    past: BTreeMap<FilePath, Vec<Was>>,
}

impl Hub {
    /// An empty one.
    pub fn new(settings: HubSettings) -> Self {
        Self {
            settings,
            objects: BTreeMap::new(),
            archived: 0,
            uploads: BTreeMap::new(),
            begun: 0,
            feed: Vec::new(),
            life: 0,
            backup: None,
            changes: 0,
            past: BTreeMap::new(),
        }
    }

    /// Whether it has the accelerations.
    pub fn is_ours(&self) -> bool {
        self.settings.family == Family::Pangaea
    }

    /// What is there.
    pub fn objects(&self) -> &BTreeMap<FilePath, Object> {
        &self.objects
    }

    /// What is at a path.
    pub fn object(&self, path: &FilePath) -> Option<&Object> {
        self.objects.get(path)
    }

    /// All that was ever at a path.
    pub fn past(&self, path: &FilePath) -> &[Was] {
        self.past.get(path).map_or(&[], Vec::as_slice)
    }

    /// How often something changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Answers a call. `slow` uploads may take their time.
    pub fn handle(&mut self, call: &Call, slow: Slow, now_ms: u64) -> Reply {
        match call {
            Call::Put {
                path,
                bytes,
                header,
                condition,
            } => {
                let object = Object {
                    bytes: bytes.clone(),
                    header: header.clone(),
                    tag: ETag::of(bytes),
                    modified_s: self.now_s(now_ms),
                };
                self.put(path, object, condition.as_ref(), slow)
            }
            Call::Delete { path, condition } => self.delete(path, condition.as_ref(), now_ms),
            Call::Get { path } => match self.objects.get(path) {
                Some(object) => Reply::Object(object.clone()),
                None => Reply::NotFound,
            },
            Call::Head { path } => match self.objects.get(path) {
                Some(object) => Reply::Tag(object.tag.clone()),
                None => Reply::NotFound,
            },
            Call::List { mark } => Reply::Page(self.page(*mark)),
            Call::Changes { since } => self.changed_since(*since),
        }
    }

    /// Keeps what is there now, for [`Hub::roll_back`].
    pub fn back_up(&mut self) {
        self.backup = Some(self.objects.clone());
    }

    /// Restores the backup. False: there is none.
    pub fn roll_back(&mut self) -> bool {
        let Some(backup) = self.backup.clone() else {
            return false;
        };
        self.restart();
        let paths: Vec<FilePath> = self.objects.keys().chain(backup.keys()).cloned().collect();
        for path in paths {
            self.set(&path, backup.get(&path).cloned());
        }
        // What the feed said is not what there is now.
        self.life += 1;
        self.feed.clear();
        true
    }

    /// A restart: uploads under way are cut off.
    pub fn restart(&mut self) {
        self.uploads.clear();
    }

    fn now_s(&self, now_ms: u64) -> u64 {
        (now_ms / 1_000).saturating_add_signed(self.settings.skew_s)
    }

    fn condition_failed(&self, path: &FilePath) -> Reply {
        // The stock hub has a field for the tag and never fills it.
        let current = self.objects.get(path).filter(|_| self.is_ours());
        Reply::ConditionFailed(current.map(|object| object.tag.clone()))
    }

    fn delete(&mut self, path: &FilePath, condition: Option<&ETag>, now_ms: u64) -> Reply {
        if self.uploads.contains_key(path) {
            return Reply::Busy;
        }
        let Some(current) = self.objects.get(path) else {
            return Reply::NotFound;
        };
        if self.is_ours() && condition.is_some_and(|tag| *tag != current.tag) {
            return self.condition_failed(path);
        }
        self.archive(path, now_ms);
        self.set(path, None);
        Reply::Deleted
    }

    /// Under an archival scope nothing is replaced: it gets another name.
    fn archive(&mut self, path: &FilePath, now_ms: u64) {
        if !self.settings.archival {
            return;
        }
        let Some(object) = self.objects.get(path).cloned() else {
            return;
        };
        self.archived += 1;
        let name = format!(
            ".history.{now_ms}.{:010}.{}",
            self.archived,
            path.file_name()
        );
        let hidden = path.with_file_name(&name);
        let hidden =
            hidden.or_else(|_| path.with_file_name(&format!(".history.{}", self.archived)));
        // A short name fits where a longer one did.
        if let Ok(old) = hidden {
            self.objects.insert(old, object);
        }
    }

    fn set(&mut self, path: &FilePath, object: Option<Object>) {
        let before = match object.clone() {
            Some(object) => self.objects.insert(path.clone(), object),
            None => self.objects.remove(path),
        };
        if before == object {
            return;
        }
        self.changes += 1;
        self.feed.push(path.clone());
        let at = self.changes;
        let past = self.past.entry(path.clone()).or_default();
        past.push(Was { at, object });
    }
}

/// Whether an upload takes its time, so that others see what is there meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// It does.
    Yes,
    /// It is done at once.
    No,
}

#[cfg(test)]
mod tests;
