//! Conditions of reads: which of them a browser or a cache sent, and whether they hold.
//!
//! They are asked in the order of RFC 9110, section 13.2.2. Tags are taken in every spelling, as
//! in conditions of writes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gaia::etag::ETag;
use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

use crate::respond::header_text;

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The client wants the file.
    Send,
    /// The client has this version already.
    Unchanged,
    /// The client wants another version than this, or nothing.
    Failed,
}

/// By what a client recognises a version.
#[derive(Clone, Debug)]
pub(super) struct Validators {
    pub(super) etag: ETag,
    modified_seconds: u64,
}

impl Validators {
    pub(super) fn new(etag: ETag, modified_ms: i64) -> Self {
        Self {
            etag,
            modified_seconds: u64::try_from(modified_ms).unwrap_or(0) / 1000,
        }
    }

    /// The text of `Last-Modified`. While the second of the change lasts, another change may
    /// follow in it, so until then the version goes by the second before: a date, once given
    /// out, is that of one version only.
    pub(super) fn last_modified(&self, now: SystemTime) -> String {
        let now_seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let given = self.modified_seconds.min(now_seconds.saturating_sub(1));
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(given))
    }

    /// Asks the conditions of a `GET` or `HEAD`.
    pub(super) fn check(&self, headers: &HeaderMap) -> Outcome {
        let wanted = match header_text(headers, IF_MATCH) {
            Some(text) => self.is_among(&text),
            None => {
                date(headers, IF_UNMODIFIED_SINCE).is_none_or(|time| self.modified_seconds <= time)
            }
        };
        if !wanted {
            return Outcome::Failed;
        }
        let known = match header_text(headers, IF_NONE_MATCH) {
            Some(text) => self.is_among(&text),
            None => {
                date(headers, IF_MODIFIED_SINCE).is_some_and(|time| self.modified_seconds <= time)
            }
        };
        if known {
            Outcome::Unchanged
        } else {
            Outcome::Send
        }
    }

    /// Whether a part may be sent: `If-Range`, if there is one, names just this version. A weak
    /// tag names none, for parts of two versions must never be put together.
    pub(super) fn allow_part(&self, headers: &HeaderMap) -> bool {
        let Some(text) = header_text(headers, IF_RANGE) else {
            return true;
        };
        match date(headers, IF_RANGE) {
            Some(time) => time == self.modified_seconds,
            None => {
                !text.trim_start().starts_with("W/")
                    && ETag::parse(&text).as_ref() == Some(&self.etag)
            }
        }
    }

    fn is_among(&self, tags: &str) -> bool {
        tags.split(',')
            .any(|one| one.trim() == "*" || ETag::parse(one).as_ref() == Some(&self.etag))
    }
}

/// The date in a header, in seconds since 1970; what is no date is as good as absent.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let text = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let time = httpdate::parse_http_date(text).ok()?;
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Monday, 1 January 2024, 00:00:00 GMT.
    const NEW_YEAR: u64 = 1_704_067_200;

    fn validators() -> Validators {
        Validators::new(
            ETag::of(b"x"),
            i64::try_from(NEW_YEAR).unwrap() * 1000 + 700,
        )
    }

    fn check(sent: &[(HeaderName, &str)]) -> Outcome {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        validators().check(&headers)
    }

    #[test]
    fn a_date_is_given_out_once_its_second_is_over() {
        let at = |ms| {
            let now = UNIX_EPOCH + Duration::from_secs(NEW_YEAR) + Duration::from_millis(ms);
            validators().last_modified(now)
        };
        assert_eq!(at(700), "Sun, 31 Dec 2023 23:59:59 GMT");
        assert_eq!(at(999), "Sun, 31 Dec 2023 23:59:59 GMT");
        assert_eq!(at(1000), "Mon, 01 Jan 2024 00:00:00 GMT");
        assert_eq!(at(99_000), "Mon, 01 Jan 2024 00:00:00 GMT");
    }

    #[test]
    fn conditions_have_an_order() {
        let tag = ETag::of(b"x").to_string();
        let before = "Sun, 31 Dec 2023 23:59:59 GMT";
        let exactly = "Mon, 01 Jan 2024 00:00:00 GMT";
        for (sent, want) in [
            (vec![], Outcome::Send),
            (vec![(IF_NONE_MATCH, tag.as_str())], Outcome::Unchanged),
            (vec![(IF_NONE_MATCH, "*")], Outcome::Unchanged),
            (vec![(IF_MODIFIED_SINCE, exactly)], Outcome::Unchanged),
            (vec![(IF_MODIFIED_SINCE, before)], Outcome::Send),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Outcome::Send),
            (
                vec![(IF_MODIFIED_SINCE, exactly), (IF_MODIFIED_SINCE, exactly)],
                Outcome::Send,
            ),
            // A tag says more than a date.
            (
                vec![(IF_NONE_MATCH, "\"y\""), (IF_MODIFIED_SINCE, exactly)],
                Outcome::Send,
            ),
            (vec![(IF_MATCH, "\"y\"")], Outcome::Failed),
            (
                vec![(IF_MATCH, "\"y\""), (IF_NONE_MATCH, &tag)],
                Outcome::Failed,
            ),
            (
                vec![(IF_MATCH, &tag), (IF_NONE_MATCH, &tag)],
                Outcome::Unchanged,
            ),
            (
                vec![(IF_MATCH, &tag), (IF_UNMODIFIED_SINCE, before)],
                Outcome::Send,
            ),
            (vec![(IF_UNMODIFIED_SINCE, before)], Outcome::Failed),
            (vec![(IF_UNMODIFIED_SINCE, exactly)], Outcome::Send),
        ] {
            assert_eq!(check(&sent), want, "{sent:?}");
        }
    }
}
