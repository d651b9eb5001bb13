//! Telling encrypted files from plain ones by their looks, for files whose writer left no word
//! about it: the stock protocol has no mark.

use std::borrow::Cow;

use serde::Deserialize;

/// What a stored file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing but itself.
    Plain,
    /// An envelope.
    Encrypted,
    /// An envelope inside a signature.
    SignedEncrypted,
}

/// Judges a file by its media type and its members.
///
/// Stock clients give every encrypted file the type `application/json`. A plain JSON file that
/// happens to have the members of an envelope, in the right sizes, is taken for one.
#[must_use]
pub fn looks_encrypted(content_type: &str, bytes: &[u8]) -> Shape {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(super::CONTENT_TYPE)
        || bytes.trim_ascii_start().first() != Some(&b'{')
    {
        return Shape::Plain;
    }
    // A member of an unexpected type makes this fail, and the file plain.
    let Ok(members) = serde_json::from_slice::<Members<'_>>(bytes) else {
        return Shape::Plain;
    };
    if members.cipher_text.is_none() {
        Shape::Plain
    } else if is_hex(&members.iv, 32) && is_hex(&members.ephemeral, 66) && is_hex(&members.mac, 64)
    {
        Shape::Encrypted
    } else if members.signature.is_some() && is_hex(&members.public_key, 66) {
        Shape::SignedEncrypted
    } else {
        Shape::Plain
    }
}

fn is_hex(member: &Option<Text<'_>>, len: usize) -> bool {
    member.as_ref().is_some_and(|Text(text)| {
        text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// A string that is not copied: serde borrows in a field of its own, not inside an option.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow)]
    iv: Option<Text<'a>>,
    #[serde(rename = "ephemeralPK", borrow)]
    ephemeral: Option<Text<'a>>,
    #[serde(rename = "cipherText", borrow)]
    cipher_text: Option<Text<'a>>,
    #[serde(borrow)]
    mac: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(rename = "publicKey", borrow)]
    public_key: Option<Text<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_plain() {
        let hex = |len: usize| "a".repeat(len);
        let envelope = format!(
            r#"{{"iv":"{}","ephemeralPK":"{}","cipherText":"","mac":"{}"}}"#,
            hex(32),
            hex(66),
            hex(64)
        );
        let signed = format!(
            r#"{{"signature":"30","publicKey":"{}","cipherText":"{{}}"}}"#,
            hex(66)
        );
        let json = "application/json";
        for (content_type, bytes, want) in [
            (json, envelope.as_str(), Shape::Encrypted),
            (
                "Application/JSON; charset=utf-8",
                &envelope,
                Shape::Encrypted,
            ),
            ("text/plain", &envelope, Shape::Plain),
            ("", &envelope, Shape::Plain),
            (json, &envelope.replace("\"mac\"", "\"mad\""), Shape::Plain),
            (json, &envelope.replacen('a', "x", 1), Shape::Plain),
            (json, &envelope[..envelope.len() - 1], Shape::Plain),
            (json, &signed, Shape::SignedEncrypted),
            (json, &signed.replace("\"30\"", "30"), Shape::Plain),
            (json, "{}", Shape::Plain),
            (json, "[]", Shape::Plain),
            (json, r#"{"cipherText":"x"}"#, Shape::Plain),
            (json, "\u{feff}{}", Shape::Plain),
        ] {
            assert_eq!(
                looks_encrypted(content_type, bytes.as_bytes()),
                want,
                "{bytes}"
            );
        }
    }
}
