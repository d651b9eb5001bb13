//! How a hub writes: at once on ours; on a stock hub in place, so that a reader in the meantime, or
//! everybody after a crash, finds a part of the new bytes under the old tag.

use gaia::path::FilePath;
use pangaea_core::plan::Condition;

use super::Hub;
use super::Object;
use super::Reply;
use super::Slow;

/// An upload that is not at its end.
#[derive(Debug)]
pub(super) struct Upload {
    number: u64,
    object: Object,
}

impl Hub {
    pub(super) fn put(
        &mut self,
        path: &FilePath,
        object: Object,
        condition: Option<&Condition>,
        slow: Slow,
    ) -> Reply {
        if self.uploads.contains_key(path) {
            return Reply::Busy;
        }
        let current = self.objects.get(path).map(|object| &object.tag);
        let holds = match condition {
            None => true,
            Some(Condition::Create) => current.is_none(),
            Some(Condition::Replace(tag)) => current == Some(tag),
        };
        if !holds {
            return self.condition_failed(path);
        }
        let now_ms = object.modified_s.saturating_mul(1_000);
        self.archive(path, now_ms);
        if self.settings.in_place && slow == Slow::Yes {
            return Reply::Uploading(self.begin_upload(path, object));
        }
        let tag = object.tag.clone();
        self.set(path, Some(object));
        Reply::Stored(tag)
    }

    /// The old file is truncated and half of the new bytes are in it; what was known of the old one
    /// still stands beside it. A new file is not there before it is whole, as on a cloud drive.
    fn begin_upload(&mut self, path: &FilePath, object: Object) -> u64 {
        if self.settings.archival {
            // The old file was renamed: in between there is none.
            self.set(path, None);
        } else if let Some(old) = self.objects.get(path) {
            let half = object.bytes.len() / 2;
            let torn = Object {
                bytes: object.bytes[..half].into(),
                ..old.clone()
            };
            self.set(path, Some(torn));
        }
        self.begun += 1;
        let number = self.begun;
        self.uploads.insert(path.clone(), Upload { number, object });
        number
    }

    /// The rest of an upload arrived.
    pub fn end_upload(&mut self, path: &FilePath, number: u64) -> Reply {
        match self.uploads.remove(path) {
            Some(upload) if upload.number == number => {
                let tag = upload.object.tag.clone();
                self.set(path, Some(upload.object));
                Reply::Stored(tag)
            }
            // The hub was restarted since.
            other => {
                if let Some(other) = other {
                    self.uploads.insert(path.clone(), other);
                }
                Reply::Unwell {
                    retry_after_ms: None,
                }
            }
        }
    }

    /// The rest never arrives: what is there stays as it is.
    pub fn cut_upload(&mut self, path: &FilePath, number: u64) {
        let cut = self.uploads.get(path);
        if cut.is_some_and(|upload| upload.number == number) {
            self.uploads.remove(path);
        }
    }
}
