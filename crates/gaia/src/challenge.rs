//! The challenge text: what a token says so that it is meant for one particular hub.

use crate::limits::CHALLENGE_BYTES_MIN;

/// The second item of the text that hubs send today.
const CURRENT_SPAN: &str = "0";
/// The second item of texts from earlier years, which hubs still take.
const OLDER_SPANS: [&str; 2] = ["2018", "2019"];

/// The challenge text of a hub with this server name, as its `hub_info` gives it.
///
/// ```
/// assert_eq!(
///     gaia::challenge::challenge_text("gaia-0"),
///     r#"["gaiahub","0","gaia-0","blockstack_storage_please_sign"]"#,
/// );
/// ```
#[must_use]
pub fn challenge_text(server_name: &str) -> String {
    text_with(CURRENT_SPAN, server_name)
}

/// Every challenge text that a hub with this server name takes, the current one first.
#[must_use]
pub fn accepted_texts(server_name: &str) -> [String; 3] {
    [CURRENT_SPAN, OLDER_SPANS[0], OLDER_SPANS[1]].map(|span| text_with(span, server_name))
}

/// The server name in a challenge text of the expected form, or nothing.
///
/// A client signs only texts of this form, so that a hostile server cannot have it sign words
/// that mean something elsewhere.
#[must_use]
pub fn server_name(challenge_text: &str) -> Option<String> {
    if challenge_text.len() < CHALLENGE_BYTES_MIN {
        return None;
    }
    let [header, _span, server_name, request]: [String; 4] =
        serde_json::from_str(challenge_text).ok()?;
    (header == HEADER && request == REQUEST).then_some(server_name)
}

const HEADER: &str = "gaiahub";
const REQUEST: &str = "blockstack_storage_please_sign";

fn text_with(span: &str, server_name: &str) -> String {
    serde_json::json!([HEADER, span, server_name, REQUEST]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_years_are_taken_and_no_other() {
        let texts = accepted_texts("s");
        assert_eq!(texts[0], challenge_text("s"));
        assert_eq!(
            texts[1],
            r#"["gaiahub","2018","s","blockstack_storage_please_sign"]"#
        );
        assert_eq!(
            texts[2],
            r#"["gaiahub","2019","s","blockstack_storage_please_sign"]"#
        );
    }

    #[test]
    fn the_server_name_comes_back_out() {
        assert_eq!(server_name(&challenge_text("a\"b")), Some("a\"b".into()));
        for text in ["", "I owe you money", "[]", r#"["gaiahub","0","s","pay"]"#] {
            assert_eq!(server_name(text), None, "{text}");
        }
    }
}
