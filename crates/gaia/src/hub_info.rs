//! What a hub says about itself at `GET /hub_info`, and what our own hub adds to it.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

use crate::address::Address;
use crate::limits::MEGABYTE_BYTES;
use crate::limits::UPLOAD_MEGABYTES_DEFAULT;
use crate::path::FilePath;

/// The only version of v1 tokens that stock software announces.
pub const AUTH_VERSION: &str = "v1";

/// The version of the `pangaea` announcement that this code understands.
pub const PANGAEA_VERSION: u32 = 1;

/// The JSON answer of `GET /hub_info`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HubInfo {
    /// The text that tokens for this hub carry.
    pub challenge_text: String,
    /// The newest token format; absent on very old hubs, which take legacy tokens only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_auth_version: Option<String>,
    /// The largest file, in units of 1 048 576 bytes; may be fractional.
    #[serde(
        default = "default_megabytes",
        serialize_with = "whole_numbers_plainly",
        deserialize_with = "number_or_default"
    )]
    pub max_file_upload_size_megabytes: f64,
    /// Where files are read: this, the address, a slash, the path. Ends in a slash.
    pub read_url_prefix: String,
    /// What this hub can do beyond the stock protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pangaea: Option<Announcement>,
}

/// The `pangaea` member of [`HubInfo`]: a hub's accelerations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Announcement {
    /// The version of this announcement.
    pub version: u32,
    /// The names of what the hub offers; see [`feature`]. Unknown names mean nothing.
    #[serde(default)]
    pub features: Vec<String>,
}

/// Names of accelerations in [`Announcement::features`].
pub mod feature {
    /// A feed of what changed since a cursor.
    pub const CHANGES: &str = "changes";
    /// Many writes and deletes in one request.
    pub const BATCH: &str = "batch";
    /// Many small files in one answer.
    pub const FETCH: &str = "fetch";
    /// `DELETE` honours `If-Match`.
    pub const CONDITIONAL_DELETE: &str = "conditional-delete";
    /// Reads honour `If-None-Match` and answer 304.
    pub const NOT_MODIFIED: &str = "not-modified";
    /// Reads honour `Range`.
    pub const RANGE: &str = "range";
    /// `list-files` takes `prefix`, `after` and `limit`.
    pub const LIST_PREFIX: &str = "list-prefix";
    /// The body of a 412 carries the current tag.
    pub const TAG_IN_CONFLICT: &str = "tag-in-412";
    /// Chunked transfer of large files that changed a little.
    pub const DELTA: &str = "delta";
}

impl HubInfo {
    /// The largest file in bytes; a hub that announces nonsense gets the stock default.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "float to integer casts saturate, and a limit may be off by a byte above 2^53"
    )]
    pub fn max_upload_bytes(&self) -> u64 {
        let announced = self.max_file_upload_size_megabytes;
        let megabytes = if announced.is_finite() && announced > 0.0 {
            announced
        } else {
            UPLOAD_MEGABYTES_DEFAULT
        };
        (megabytes * MEGABYTE_BYTES as f64) as u64
    }

    /// Whether the hub announces an acceleration, in a version that this code understands.
    #[must_use]
    pub fn offers(&self, feature: &str) -> bool {
        self.pangaea.as_ref().is_some_and(|announcement| {
            announcement.version == PANGAEA_VERSION
                && announcement.features.iter().any(|name| name == feature)
        })
    }

    /// Whether the hub takes v1 tokens; if not, only legacy ones work.
    #[must_use]
    pub fn takes_v1_tokens(&self) -> bool {
        self.latest_auth_version.is_some()
    }

    /// Where a file is read.
    #[must_use]
    pub fn read_url(&self, bucket: &Address, path: &FilePath) -> String {
        let prefix = self.read_url_prefix.trim_end_matches('/');
        format!("{prefix}/{bucket}/{}", path.to_url_path())
    }
}

fn default_megabytes() -> f64 {
    UPLOAD_MEGABYTES_DEFAULT
}

/// A hub may leave the limit out or send null; both mean the default.
fn number_or_default<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(UPLOAD_MEGABYTES_DEFAULT))
}

/// Writes `20` rather than `20.0`, as JavaScript does.
#[expect(
    clippy::cast_possible_truncation,
    clippy::trivially_copy_pass_by_ref,
    reason = "the range is checked; serde gives a reference"
)]
fn whole_numbers_plainly<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        to.serialize_i64(*number as i64)
    } else {
        to.serialize_f64(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock() -> &'static str {
        concat!(
            r#"{"challenge_text":"[\"gaiahub\",\"0\",\"gaia-0\",\"blockstack_storage_please_sign\"]","#,
            r#""latest_auth_version":"v1","max_file_upload_size_megabytes":20,"#,
            r#""read_url_prefix":"http://127.0.0.1:3901/"}"#
        )
    }

    #[test]
    fn a_stock_answer_survives_byte_for_byte() {
        let info: HubInfo = serde_json::from_str(stock()).unwrap();
        assert_eq!(info.max_upload_bytes(), 20_971_520);
        assert!(info.takes_v1_tokens());
        assert!(!info.offers(feature::CHANGES));
        assert_eq!(serde_json::to_string(&info).unwrap(), stock());
        let bucket = Address::parse("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH").unwrap();
        let path = FilePath::parse("a b").unwrap();
        let url = "http://127.0.0.1:3901/1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH/a%20b";
        assert_eq!(info.read_url(&bucket, &path), url);
    }

    #[test]
    fn unknown_and_missing_members_are_tolerated() {
        let text = r#"{"challenge_text":"c","read_url_prefix":"x/","new":[1],
            "max_file_upload_size_megabytes":null,"pangaea":{"version":1,"features":["changes"]}}"#;
        let info: HubInfo = serde_json::from_str(text).unwrap();
        assert_eq!(info.max_upload_bytes(), 20_971_520);
        assert!(!info.takes_v1_tokens());
        assert!(info.offers(feature::CHANGES));
        assert!(!info.offers(feature::BATCH));
    }

    #[test]
    fn odd_limits_do_no_harm() {
        let mut info: HubInfo = serde_json::from_str(stock()).unwrap();
        for (megabytes, bytes) in [(0.5, 524_288), (-1.0, 20_971_520), (f64::NAN, 20_971_520)] {
            info.max_file_upload_size_megabytes = megabytes;
            assert_eq!(info.max_upload_bytes(), bytes);
        }
        info.max_file_upload_size_megabytes = 1e300;
        assert_eq!(info.max_upload_bytes(), u64::MAX);
        info.pangaea = Some(Announcement {
            version: 2,
            features: vec![feature::CHANGES.into()],
        });
        assert!(
            !info.offers(feature::CHANGES),
            "a newer announcement is not understood"
        );
    }

    #[test]
    fn the_session_of_a_stock_client_agrees() {
        let vectors = include_str!("../tests/vectors/gaia-clients.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let config = &vectors["hubConfig"];
        let info: HubInfo = serde_json::from_str(stock()).unwrap();
        assert_eq!(config["url_prefix"], info.read_url_prefix);
        let megabytes = config["max_file_upload_size_megabytes"].as_f64();
        assert_eq!(megabytes, Some(info.max_file_upload_size_megabytes));
    }
}
