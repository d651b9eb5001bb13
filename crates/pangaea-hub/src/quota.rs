//! How much of what it may hold a bucket holds: counting, and the words of a refusal. Where a
//! quota is said is in `config`; it is decided with the change, in `index`.

use std::fmt;

use crate::config::Quota;

/// What a bucket holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// A quota that a change would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverQuota {
    what: What,
    used: u64,
    max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Bytes,
    Files,
}

impl Usage {
    /// With one more file of so many bytes, and without one of `replaced` bytes, if any.
    pub(crate) fn with(self, replaced: Option<u64>, bytes: u64) -> Self {
        let rest = replaced.map_or(self, |replaced| self.without(replaced));
        Self {
            files: rest.files.saturating_add(1),
            bytes: rest.bytes.saturating_add(bytes),
        }
    }

    /// Without a file of so many bytes.
    pub(crate) fn without(self, bytes: u64) -> Self {
        Self {
            files: self.files.saturating_sub(1),
            bytes: self.bytes.saturating_sub(bytes),
        }
    }
}

impl Quota {
    /// What stands against a change, if anything. A bucket that holds too much already, because
    /// its quota was lowered, may still shrink.
    pub(crate) fn over(&self, before: Usage, after: Usage) -> Option<OverQuota> {
        let exceeds = |what, max: Option<u64>, before, after| {
            let max = max.filter(|max| after > *max && after > before)?;
            let used = before;
            Some(OverQuota { what, used, max })
        };
        exceeds(What::Bytes, self.bytes, before.bytes, after.bytes)
            .or_else(|| exceeds(What::Files, self.files, before.files, after.files))
    }
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, used, max } = self;
        let what = match what {
            What::Bytes => "bytes",
            What::Files => "files",
        };
        write!(
            f,
            "The bucket has no room for this: it holds {used} of the {max} {what} that it may; \
             delete something, or ask the hub's operator for more"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_always_shrink_and_never_grow_beyond() {
        let quota = Quota {
            bytes: Some(10),
            files: Some(2),
        };
        let usage = |files, bytes| Usage { files, bytes };
        let is_over = |before, after| quota.over(before, after).is_some();
        assert!(!is_over(usage(1, 5), usage(1, 5).with(None, 5)));
        assert!(is_over(usage(1, 5), usage(1, 5).with(None, 6)));
        assert!(is_over(usage(2, 5), usage(2, 5).with(None, 0)));
        assert!(!is_over(usage(2, 10), usage(2, 10).with(Some(10), 10)));
        assert!(is_over(usage(2, 10), usage(2, 10).with(Some(1), 2)));
        // Above both limits already.
        assert!(!is_over(usage(5, 50), usage(5, 50).with(Some(30), 20)));
        assert!(!is_over(usage(5, 50), usage(5, 50).with(Some(20), 20)));
        assert!(is_over(usage(5, 50), usage(5, 50).with(Some(20), 21)));
        assert!(!is_over(usage(5, 50), usage(5, 50).without(20)));
        assert!(Quota::default().over(usage(1, 1), usage(9, 9)).is_none());
    }
}
