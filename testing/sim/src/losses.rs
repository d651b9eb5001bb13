//! What a call takes away on the hub, or brings back there, that no device could have known of: noted for
//! the judge when it happens, line by line.

use std::collections::BTreeSet;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::plan::Condition;
use pangaea_core::state::Base;
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;

use crate::content::Token;
use crate::content::tokens;
use crate::header::content;
use crate::header::version_of;
use crate::hub::Call;
use crate::hub::Reply;
use crate::hub::Slow;
use crate::network::told;
use crate::oracle::Excuse;
use crate::world::World;

impl World {
    /// A call arrives a second time.
    pub(crate) fn arrive_late(&mut self, call: &Call) {
        self.note(|| format!("the hub gets once more: {}", told(call)));
        self.note_blind_delete(call);
        let reply = self.hub.handle(call, Slow::No, self.now_ms);
        if let (
            Call::Put {
                path,
                header: Some(header),
                condition: Some(Condition::Create),
                ..
            },
            Reply::Stored(_),
        ) = (call, reply)
        {
            let author = header.version.device;
            if self.untraced.contains(path) || !self.remembers(author) {
                self.oracle.revive(path);
            }
            self.note_unheard(path, author);
        }
    }

    /// A device sends anew what it has no answer for, and what was there and was deleted since without a
    /// trace. Or it makes a file anew that was deleted so, and knows nothing of what was there last.
    pub(crate) fn note_resent(&mut self, call: &Call) {
        if let Call::Put {
            path,
            header: Some(header),
            condition: Some(Condition::Create),
            ..
        } = call
            && self.hub.object(path).is_none()
        {
            let past = self.hub.past(path).iter();
            let mut past = past.filter_map(|was| was.object.as_ref()).map(version_of);
            if past.any(|version| version == header.version) {
                self.note_unheard(path, header.version.device);
                return;
            }
            let past = self.hub.past(path).iter().rev();
            let last = past.filter_map(|was| was.object.as_ref()).next();
            if last.is_some_and(|it| !header.ancestors.contains(&version_of(it))) {
                let lines = self.lines_of_others(path, header.version.device);
                self.oracle.note_unheard(path, lines);
            }
        }
    }

    /// An earlier version is at a path again. Who has not heard that the file was deleted, and hears of
    /// this instead, keeps what it has.
    fn note_unheard(&mut self, path: &FilePath, author: DeviceId) {
        let lines = self.lines_of_others(path, author);
        self.oracle.note_untraced(path, lines);
    }

    /// All lines that others than this device have at a path.
    fn lines_of_others(&self, path: &FilePath, author: DeviceId) -> BTreeSet<Token> {
        let others = self.devices.iter().filter(|device| device.id() != author);
        let kept = others.flat_map(|device| device.on_disk().filter(|(at, _)| *at == path));
        kept.filter_map(|(_, content)| self.contents.get(&content))
            .flat_map(|bytes| tokens(bytes))
            .collect()
    }

    /// Whether a device still has all that it ever knew, and tells: then it undoes late duplicates of
    /// what it wrote.
    fn remembers(&self, author: DeviceId) -> bool {
        let mut sound = self.sound().into_iter();
        sound.any(|number| self.devices[number].id() == author && !self.replaced.contains(&number))
    }

    /// All lines that the hub has at a path. What is torn was whole before, under the same tag.
    pub(crate) fn lines_at(&self, path: &FilePath) -> BTreeSet<Token> {
        let Some(there) = self.hub.object(path) else {
            return BTreeSet::new();
        };
        let past = self.hub.past(path).iter().rev();
        let mut past = past.filter_map(|was| was.object.as_ref());
        let whole = past.find(|was| was.tag == there.tag && was.tag == ETag::of(&was.bytes));
        tokens(&content(&whole.unwrap_or(there).bytes))
    }

    /// Plain bytes that come again have the tag that they had. Who has them under an earlier version's
    /// name, from a cache, replaces them without having seen who wrote them again.
    pub(crate) fn note_recurring(&mut self, sender: usize, call: &Call) {
        let Call::Put {
            path,
            condition: Some(Condition::Replace(tag)),
            ..
        } = call
        else {
            return;
        };
        let known = self.devices[sender].stored_entries().get(path);
        let known = known.and_then(|entry| entry.base.version());
        let there = self.hub.object(path).filter(|object| object.tag == *tag);
        if there.is_some_and(|object| Some(version_of(object)) != known) {
            let lines = self.lines_at(path);
            self.oracle.wipe(lines, Excuse::Recurred);
        }
    }

    /// Who reads a stock program's file while it is torn by an upload in place takes that for what the
    /// program wrote: what it lacks, the program seems to have taken out, and to have put in what the
    /// upload brings. And where the whole bytes come again, they have the tag of what was read.
    pub(crate) fn note_torn_read(&mut self, device: usize, call: &Call, reply: &Reply) {
        if let (Call::Get { path }, Reply::Object(object)) = (call, reply)
            && object.header.is_none()
            && object.tag != ETag::of(&object.bytes)
        {
            let (whole, torn) = (self.lines_at(path), tokens(&content(&object.bytes)));
            let doubtful = whole.symmetric_difference(&torn).copied();
            self.oracle.wipe(doubtful, Excuse::Torn);
            let read = ContentHash::of(&content(&object.bytes));
            let at = (device, path.clone());
            self.torn_reads.insert((at, read), object.tag.clone());
        }
    }

    /// Whether what a device has is what it read of a file while that was torn, and the hub has the whole
    /// bytes since, under the same tag.
    pub(crate) fn is_torn_for_good(
        &self,
        number: usize,
        path: &FilePath,
        has: ContentHash,
    ) -> bool {
        let stored = self.devices[number].stored_entries().get(path);
        let Some(Base::File(base)) = stored.map(|entry| &entry.base) else {
            return false;
        };
        let read = self.torn_reads.get(&((number, path.clone()), base.content));
        let there = self.hub.object(path);
        base.content == has
            && read == Some(&base.tag)
            && there.is_some_and(|object| object.tag == base.tag)
    }

    /// A stock hub deletes whatever is there, also what came after the sender looked.
    pub(crate) fn note_blind_delete(&mut self, call: &Call) {
        if let Call::Delete {
            path,
            condition: Some(tag),
        } = call
            && !self.hub.is_ours()
            && let Some(object) = self.hub.object(path)
            && object.tag != *tag
        {
            let lost = self.lines_at(path);
            self.oracle.wipe(lost, Excuse::Swept);
            self.oracle.blur();
        }
    }

    /// A delete that leaves nothing, or the sweep of an old stand-in for a deleted file, takes away what
    /// somebody has no answer for yet: when that one looks, nothing tells it that the upload arrived. No
    /// device is the deleter if a stock program deletes.
    pub(crate) fn note_untraced_delete(&mut self, deleter: Option<usize>, call: &Call) {
        let Call::Delete { path, .. } = call else {
            return;
        };
        let Some(object) = self.hub.object(path) else {
            return;
        };
        // What it replaced is named by it alone.
        let replaced = object.header.iter().flat_map(|it| it.ancestors.as_slice());
        let mut gone = vec![version_of(object)];
        gone.extend(replaced);
        let others = self.devices.iter().enumerate();
        let others = others.filter(|(number, _)| Some(*number) != deleter);
        let waiting: Vec<_> = others
            .filter(|(_, device)| device.has_pending(path))
            .map(|(_, device)| device.id())
            .collect();
        let past = self.hub.past(path).iter();
        let past = past.filter_map(|was| was.object.as_ref());
        let lines: Vec<_> = past
            .filter(|object| {
                let version = version_of(object);
                gone.contains(&version) && waiting.contains(&version.device)
            })
            .flat_map(|object| tokens(&object.bytes))
            .collect();
        self.oracle.note_untraced(path, lines);
    }
}
