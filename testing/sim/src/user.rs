//! What people and other programs do in a world.

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::plan::Condition;
use pangaea_core::version::ContentHash;

use crate::content::Bytes;
use crate::content::edited;
use crate::content::tokens;
use crate::device::Chance;
use crate::device::Stored;
use crate::header::Form;
use crate::header::Header;
use crate::header::content;
use crate::header::version_of;
use crate::hub::Call;
use crate::hub::Reply;
use crate::hub::Slow;
use crate::oracle::Author;
use crate::oracle::Edit;
use crate::oracle::Excuse;
use crate::oracle::Sight;
use crate::oracle::Told;
use crate::oracle::is_copy;
use crate::schedule::Deed;
use crate::settings::Style;
use crate::world::World;

impl World {
    fn path(&self, number: usize) -> Option<FilePath> {
        self.paths.get(number % self.paths.len().max(1)).cloned()
    }

    /// What the user of a device sees at a path.
    fn shown(&self, device: usize, path: &FilePath) -> Option<Bytes> {
        let hash = self.devices[device].read(path)?;
        self.contents.get(&hash).cloned()
    }

    /// In a relay, whether everybody has the newest version of `path` and nothing is under way.
    fn may_edit(&self, path: &FilePath) -> bool {
        if self.settings.style == Style::Free {
            return true;
        }
        let newest = self.oracle.newest(path).map(ContentHash::of);
        let on_hub = self.hub_content(path).map(|bytes| ContentHash::of(&bytes));
        let mut present = (0..self.devices.len()).filter(|number| self.is_present(*number));
        on_hub == newest && present.all(|number| self.devices[number].is_settled(path, newest))
    }

    pub(crate) fn user_does(&mut self, device: usize, number: usize, deed: Deed) {
        let Some(path) = self.path(number) else {
            return;
        };
        *self.deeds.entry(deed).or_default() += 1;
        match deed {
            Deed::Burst => {
                for step in 0..3 {
                    if let Some(path) = self.path(number + step / 2) {
                        self.simple_edit(device, &path, Deed::Append);
                    }
                }
            }
            Deed::Revert => {
                let key = (device, path.clone());
                if let Some(before) = self.before.get(&key).cloned() {
                    self.write(device, &path, before);
                }
            }
            Deed::Rename => {
                let other = self.rng.index(self.paths.len());
                if let (Some(target), Some(bytes)) = (self.path(other), self.shown(device, &path))
                    && target != path
                {
                    self.write(device, &target, Some(bytes));
                    self.write(device, &path, None);
                }
            }
            Deed::Swap => {
                let other = self.rng.index(self.paths.len());
                if let Some(target) = self.path(other)
                    && target != path
                {
                    let (a, b) = (self.shown(device, &path), self.shown(device, &target));
                    self.write(device, &path, b);
                    self.write(device, &target, a);
                }
            }
            Deed::Copy => {
                let files = self.devices[device].files().into_keys();
                let copies: Vec<FilePath> = files.filter(|path| is_copy(path.as_str())).collect();
                if !copies.is_empty() {
                    let copy = copies[self.rng.index(copies.len())].clone();
                    let deed = [Deed::Append, Deed::Replace, Deed::Delete][self.rng.index(3)];
                    self.simple_edit(device, &copy, deed);
                }
            }
            Deed::DeleteTree => {
                let below = format!("{path}/");
                let files = self.devices[device].files().into_keys();
                let tree = files.filter(|file| *file == path || file.as_str().starts_with(&below));
                for file in tree.collect::<Vec<_>>() {
                    self.write(device, &file, None);
                }
            }
            deed => {
                self.simple_edit(device, &path, deed);
            }
        }
    }

    fn simple_edit(&mut self, device: usize, path: &FilePath, deed: Deed) {
        if !self.may_edit(path) {
            return;
        }
        let before = self.shown(device, path);
        let token = self.oracle.new_token();
        let bytes = before.as_deref().unwrap_or_default();
        let after = edited(path.as_str(), bytes, deed, token, &mut self.rng);
        if after.is_some() || before.is_some() {
            self.write_as(device, path, after, token);
        }
    }

    fn write(&mut self, device: usize, path: &FilePath, after: Option<Bytes>) {
        if after.is_some() || self.shown(device, path).is_some() {
            let token = self.oracle.new_token();
            self.write_as(device, path, after, token);
        }
    }

    pub(crate) fn write_as(
        &mut self,
        number: usize,
        path: &FilePath,
        after: Option<Bytes>,
        token: u32,
    ) {
        let before = self.shown(number, path);
        let sight = self.devices[number].sight(path);
        let content = after.as_ref().map(|bytes| self.contents.keep(bytes));
        let mut chance = Chance {
            rng: &mut self.rng,
            faults: &mut self.faults,
        };
        let stored = self.devices[number].user_edit(path, content, self.now_ms, &mut chance);
        self.mark(&[1, number as u64, u64::from(token)]);
        self.note(|| {
            let lines = after.as_deref().map(crate::content::lines);
            format!("device {number} edits {path} to {lines:?} (edit {token}): {stored:?}")
        });
        let told = match stored {
            Stored::Lost => return,
            // It was durable: it must not get lost.
            Stored::Done | Stored::Untold => Told::Saved,
            Stored::Failed => Told::Nothing,
        };
        self.before.insert((number, path.clone()), before.clone());
        let edit = Edit {
            path: path.clone(),
            author: Author::Device(number),
            token,
            sight,
            told,
        };
        let before = before.as_deref().unwrap_or_default();
        self.oracle.note(&edit, before, after.as_deref());
    }

    /// The content at a path, as a stock program sees it that has the key.
    fn hub_content(&self, path: &FilePath) -> Option<Bytes> {
        let object = self.hub.object(path)?;
        let header = object.header.as_deref();
        let is_tombstone = header.is_some_and(|header| header.form == Form::Tombstone);
        (!is_tombstone).then(|| content(&object.bytes))
    }

    pub(crate) fn foreign_look(&mut self, number: usize) {
        if let Some(path) = self.path(number) {
            let there = self.hub_content(&path);
            self.looked.insert(path, there);
        }
    }

    /// A program that knows nothing of versions writes a file or deletes it, as it saw it when it
    /// last looked. In a relay it looks and writes in one moment, like everybody there.
    pub(crate) fn foreign_edit(&mut self, number: usize, deed: Deed) {
        let Some(path) = self.path(number) else {
            return;
        };
        if !self.may_edit(&path) {
            return;
        }
        let there = self.hub.object(&path).cloned();
        let seen = match self.settings.style {
            Style::Free => self.looked.get(&path).cloned().flatten(),
            Style::Relay => self.hub_content(&path),
        };
        let wiped = self.lines_at(&path);
        let is_unanswered = self.devices.iter().any(|device| device.has_pending(&path));
        // By a clock that is fast, what is overwritten is newer than what the program writes.
        let hub_ms = (self.now_ms / 1_000).saturating_add_signed(self.settings.hub.skew_s) * 1_000;
        let there_ms = there.map_or(0, |object| version_of(&object).clock.ms());
        let sight = if is_unanswered || there_ms >= hub_ms {
            Sight::Unrecorded
        } else {
            Sight::Recorded
        };
        // A program that deletes leaves no trace: a late duplicate cannot be told from a new file. A
        // relay has no room for such doubts.
        let is_doubtful = sight == Sight::Unrecorded || deed == Deed::Delete;
        if self.settings.style == Style::Relay && is_doubtful {
            return;
        }
        let token = self.oracle.new_token();
        let before = seen.as_deref().unwrap_or_default();
        let after = edited(path.as_str(), before, deed, token, &mut self.rng);
        self.note(|| format!("a stock program edits {path} (edit {token})"));
        let edit = Edit {
            path: path.clone(),
            author: Author::Stock,
            token,
            sight,
            told: Told::Saved,
        };
        let call = match after.clone() {
            Some(bytes) => Call::Put {
                path: path.clone(),
                bytes,
                header: None,
                condition: None,
            },
            None => Call::Delete {
                path: path.clone(),
                condition: None,
            },
        };
        self.note_untraced_delete(None, &call);
        let reply = self.hub.handle(&call, Slow::No, self.now_ms);
        if !matches!(reply, Reply::Stored(_) | Reply::Deleted) {
            return;
        }
        if after.is_none() {
            self.untraced.insert(path.clone());
        }
        self.oracle.note(&edit, before, after.as_deref());
        let kept = after.as_deref().map(tokens).unwrap_or_default();
        self.oracle
            .wipe(wiped.difference(&kept).copied(), Excuse::Overwritten);
        self.faults.note(crate::fault::Fault::ForeignWrite);
        self.looked.insert(path, after);
    }

    /// A newer program writes a file, knowing what is there, in a form that nobody here knows.
    pub(crate) fn newer_program_writes(&mut self) {
        let number = self.rng.index(self.paths.len());
        let Some(path) = self.path(number) else {
            return;
        };
        let there = self.hub.object(&path).cloned();
        let before = self.hub_content(&path);
        let before = before.as_deref().unwrap_or_default();
        let token = self.oracle.new_token();
        let after = edited(path.as_str(), before, Deed::Append, token, &mut self.rng);
        let Some(bytes) = after else { return };
        let tag = ETag::of(&bytes);
        let header = Header {
            version: pangaea_core::version::VersionId::synthetic(self.now_ms / 1_000, tag.as_str()),
            ancestors: pangaea_core::state::Ancestors::default(),
            digest: ContentHash::of(&bytes),
            form: Form::Newer,
        };
        let condition = match there {
            Some(object) => Condition::Replace(object.tag),
            None => Condition::Create,
        };
        let edit = Edit {
            path: path.clone(),
            author: Author::Newer,
            token,
            sight: Sight::Recorded,
            told: Told::Saved,
        };
        let call = Call::Put {
            path,
            bytes: bytes.clone(),
            header: Some(header.into()),
            condition: Some(condition),
        };
        let reply = self.hub.handle(&call, Slow::No, self.now_ms);
        if matches!(reply, Reply::Stored(_)) {
            self.oracle.note(&edit, before, Some(&bytes));
        }
    }
}
