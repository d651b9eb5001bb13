//! What goes wrong between a device and the hub: before a call is carried out, in its place, and with the
//! reply on its way back.

use gaia::etag::ETag;
use gaia::path::FilePath;

use crate::fault::Fault;
use crate::header::version_of;
use crate::hub::Call;
use crate::hub::Object;
use crate::hub::Reply;
use crate::network::unwell;
use crate::world::World;

impl World {
    /// What keeps a call from being carried out.
    pub(crate) fn fail_before(&mut self, device: usize, call: &Call) -> Option<Reply> {
        let is_cut_off = self.now_ms < self.devices[device].cut_off_until_ms;
        if is_cut_off
            || self.strikes(Fault::LostRequest)
            || self.strikes(Fault::CaptivePortal)
            || self.strikes(Fault::HubUnwell)
        {
            return Some(unwell(None));
        }
        if self.strikes(Fault::TooManyRequests) {
            let wait = self.rng.below(40_000);
            return Some(unwell((wait >= 20_000).then_some(wait)));
        }
        if self.strikes(Fault::SignedOut) {
            return Some(Reply::Unauthorized);
        }
        match call {
            Call::Put { bytes, .. } => {
                if self.strikes(Fault::Busy) {
                    return Some(Reply::Busy);
                }
                if self.strikes(Fault::CutUpload) {
                    return Some(unwell(None));
                }
                if self.strikes(Fault::FalseCondition) {
                    return Some(Reply::ConditionFailed(None));
                }
                if !bytes.is_empty() && self.strikes(Fault::Refused) {
                    return Some(Reply::Refused);
                }
                None
            }
            Call::Delete { .. } => self.strikes(Fault::Busy).then_some(Reply::Busy),
            Call::List { mark: Some(_) } => {
                self.strikes(Fault::PageExpired).then_some(Reply::Expired)
            }
            Call::Changes { since: Some(_) } => {
                self.strikes(Fault::CursorExpired).then_some(Reply::Expired)
            }
            Call::Get { .. } | Call::Head { .. } | Call::List { .. } | Call::Changes { .. } => None,
        }
    }

    /// What a cache has for a path. It keeps a "not found" only where listings are never wrong: that a
    /// file is gone is believed if a listing and a read agree (I-9), so a listing that lacks the file
    /// and a read that denies it, both wrong at once, are beyond what is promised. It keeps no empty bodies: all of them
    /// have one tag, so a kept tombstone could pass for a later one, and nobody could tell. Nor does it
    /// keep what was torn without a header: where the whole bytes come again, nothing tells them apart.
    pub(crate) fn read_stale(&mut self, call: &Call, path: &FilePath) -> Option<Reply> {
        if self.hub.is_ours() && self.rng.chance(30) {
            self.note(|| format!("a cache knows of no {path}"));
            return Some(Reply::NotFound);
        }
        let past = self.hub.past(path).iter();
        let kept = past.filter_map(|was| was.object.clone());
        let is_whole = |object: &Object| {
            let is_checked = object.header.is_some() || object.tag == ETag::of(&object.bytes);
            is_checked && !object.bytes.is_empty()
        };
        let mut kept: Vec<_> = kept.filter(is_whole).collect();
        if kept.is_empty() {
            return None;
        }
        let object = kept.swap_remove(self.rng.index(kept.len()));
        self.note(|| format!("a cache answers for {path} with {}", version_of(&object)));
        Some(match call {
            Call::Head { .. } => Reply::Tag(object.tag),
            _ => Reply::Object(object),
        })
    }

    /// What goes wrong with a reply on its way back.
    pub(crate) fn distort(&mut self, reply: Reply) -> Reply {
        match reply {
            Reply::Object(mut object) if object.header.is_some() && object.bytes.len() > 1 => {
                if self.strikes(Fault::ShortBody) {
                    object.bytes = object.bytes[..object.bytes.len() / 2].into();
                }
                Reply::Object(object)
            }
            Reply::Page(mut page) if !self.hub.is_ours() => {
                if !page.entries.is_empty() && self.strikes(Fault::ListingGap) {
                    let at = self.rng.index(page.entries.len());
                    page.entries.swap_remove(at);
                    if page.entries.is_empty() {
                        // A page that shows nothing is not the last one for that.
                        page.entries.push(None);
                    }
                }
                if !page.entries.is_empty() && self.strikes(Fault::ListingRepeat) {
                    let at = self.rng.index(page.entries.len());
                    page.entries.push(page.entries[at].clone());
                    page.entries.reverse();
                }
                if self.strikes(Fault::ListingEndless) {
                    page.next = Some(1);
                    if page.entries.is_empty() {
                        page.entries.push(None);
                    }
                }
                Reply::Page(page)
            }
            reply => reply,
        }
    }
}
