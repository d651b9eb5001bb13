//! What a hub says of all its files: pages, and the feed of what changed.

use gaia::etag::ETag;
use gaia::path::FilePath;

use super::Cursor;
use super::Hub;
use super::Reply;

/// A page of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Paths and tags; none stands for entries that are hidden.
    pub entries: Vec<Option<(FilePath, Option<ETag>)>>,
    /// How to ask for the next page.
    pub next: Option<u64>,
}

impl Hub {
    /// Stock pages are offsets into a live directory: what comes or goes in between shifts them. Once
    /// there is more than a page, every page names a next one, also the empty ones at the end. On
    /// ours a listing is of one moment, which one large page stands for.
    pub(super) fn page(&self, mark: Option<u64>) -> Page {
        let all = self.objects.iter().map(|(path, object)| {
            let is_hidden = self.settings.archival && path.file_name().starts_with(".history.");
            let tag = self.settings.tags.then(|| object.tag.clone());
            (!is_hidden).then(|| (path.clone(), tag))
        });
        if self.is_ours() {
            return Page {
                entries: all.collect(),
                next: None,
            };
        }
        let number = mark.unwrap_or(0);
        let size = self.settings.page;
        let first = usize::try_from(number)
            .unwrap_or(usize::MAX)
            .saturating_mul(size);
        let mut entries: Vec<_> = all.skip(first).take(size).collect();
        if !entries.is_empty() && entries.iter().all(Option::is_none) {
            entries = vec![None];
        } else {
            entries.retain(Option::is_some);
        }
        let more = self.objects.len() > size;
        Page {
            entries,
            next: more.then_some(number + 1),
        }
    }

    pub(super) fn changed_since(&self, since: Option<Cursor>) -> Reply {
        let now = Cursor {
            life: self.life,
            at: self.feed.len(),
        };
        let Some(since) = since else {
            return Reply::Changes(Vec::new(), now);
        };
        if since.life != self.life {
            return Reply::Expired;
        }
        let mut paths = self.feed.get(since.at..).unwrap_or(&[]).to_vec();
        paths.sort();
        paths.dedup();
        let changed = paths.into_iter().map(|path| {
            let tag = self.objects.get(&path).map(|object| object.tag.clone());
            (path, tag)
        });
        Reply::Changes(changed.collect(), now)
    }
}
