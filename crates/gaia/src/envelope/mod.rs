//! Encrypted files: the ECIES envelope that the stock JavaScript clients write and read.
//!
//! An envelope is a JSON object: `iv`, `ephemeralPK`, `cipherText`, `mac`, `wasString` and, for
//! base64, `cipherTextEncoding`. AES-256-CBC with PKCS#7 padding, then HMAC-SHA256 over IV,
//! ephemeral key and ciphertext; both keys come from SHA-512 of the ECDH x coordinate.
//!
//! Small files go through [`seal`] and [`open`]. Large ones go piece by piece through [`Sealer`],
//! whose output is the same to the byte, and through [`EnvelopeLayout`] and [`Opener`].
//!
//! An envelope says neither where it belongs nor who made it: whoever knows the public key can
//! make one. Binding bytes to a path and a version is done elsewhere.

mod keys;
mod layout;
mod open;
mod seal;
mod shape;

pub use keys::derive_ephemeral;
pub use layout::EnvelopeLayout;
pub use open::Opened;
pub use open::Opener;
pub use open::open;
pub use seal::Sealer;
pub use seal::seal;
pub use shape::Shape;
pub use shape::looks_encrypted;

/// The media type that stock clients give to every encrypted file.
pub const CONTENT_TYPE: &str = "application/json";

/// How the ciphertext is written inside the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CipherTextEncoding {
    /// Two hex digits a byte: what stock clients write unless told otherwise.
    Hex,
    /// A third shorter; every stock client since 2020 reads it.
    Base64,
}

/// What the plaintext was before it was encrypted (`wasString`): stock clients give it back as
/// the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// A JavaScript string, as UTF-8.
    String,
    /// Bytes.
    Bytes,
}

/// Why an envelope could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not JSON, or without the members of an envelope.
    #[error("this is not an encrypted file")]
    NotAnEnvelope,
    /// A member of the envelope does not have the form that it must have.
    #[error("the encrypted file is damaged: its `{member}` cannot be read")]
    Malformed {
        /// The name of the member in the JSON.
        member: &'static str,
    },
    /// An envelope perhaps, but not laid out as stock clients do: open it as a whole.
    #[error("the parts of this encrypted file are not where they usually are; open it as a whole")]
    UnsupportedLayout,
    /// The MAC does not fit.
    #[error("the file was encrypted for another key, or it has been damaged")]
    WrongMac,
    /// The MAC fits and the padding does not, which no honest program writes.
    #[error("the encrypted file was made by a faulty program: its padding is wrong")]
    WrongPadding,
}

/// Bytes of an AES block.
const BLOCK_BYTES: usize = 16;
/// Plaintext or ciphertext that fills whole blocks and whole groups of base64 at once.
const UNIT_BYTES: usize = 48;
/// How much is encrypted or decrypted at a time: small enough to stay in the first cache.
const WINDOW_BYTES: usize = 256 * UNIT_BYTES;

// The fixed text between the variable parts, in the order of the stock clients.
const OPEN_IV: &str = "{\"iv\":\"";
const OPEN_EPHEMERAL: &str = "\",\"ephemeralPK\":\"";
const OPEN_CIPHER_TEXT: &str = "\",\"cipherText\":\"";
const OPEN_MAC: &str = "\",\"mac\":\"";
const OPEN_WAS_STRING: &str = "\",\"wasString\":";
const OPEN_ENCODING: &str = ",\"cipherTextEncoding\":\"";

impl CipherTextEncoding {
    fn encoded_len(self, cipher_bytes: u64) -> u64 {
        match self {
            Self::Hex => cipher_bytes.saturating_mul(2),
            Self::Base64 => cipher_bytes.div_ceil(3).saturating_mul(4),
        }
    }
}

/// How many bytes the envelope of a plaintext of this size takes: exactly, before sealing it.
#[must_use]
pub fn predicted_len(plain_bytes: u64, encoding: CipherTextEncoding, kind: ContentKind) -> u64 {
    let cipher_bytes = (plain_bytes / BLOCK_BYTES as u64)
        .saturating_add(1)
        .saturating_mul(BLOCK_BYTES as u64);
    let frame = match encoding {
        CipherTextEncoding::Hex => 230,
        CipherTextEncoding::Base64 => 260,
    };
    let kind = match kind {
        ContentKind::String => 0,
        ContentKind::Bytes => 1,
    };
    encoding
        .encoded_len(cipher_bytes)
        .saturating_add(frame + kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use CipherTextEncoding::Base64;
    use CipherTextEncoding::Hex;
    use ContentKind::Bytes;
    use ContentKind::String;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).unwrap()
    }

    fn sealed(plaintext: &[u8], encoding: CipherTextEncoding, kind: ContentKind) -> Vec<u8> {
        let (ephemeral, iv) = derive_ephemeral(&key(), plaintext);
        seal(&key().public(), &ephemeral, iv, plaintext, encoding, kind)
    }

    fn cipher_text<'a>(bytes: &'a [u8], layout: &EnvelopeLayout) -> &'a [u8] {
        let range = layout.cipher_text();
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        &bytes[start..end]
    }

    /// Opens by way of the layout, in pieces.
    fn stream_open(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, ContentKind), EnvelopeError> {
        let ends = bytes.len().min(crate::limits::ENVELOPE_SCAN_BYTES);
        let (head, tail) = (&bytes[..ends], &bytes[bytes.len() - ends..]);
        let layout = EnvelopeLayout::scan(head, tail, bytes.len() as u64)?;
        let text = cipher_text(bytes, &layout);
        let mut opener = Opener::new(&key(), &layout);
        let mut plaintext = Vec::new();
        for piece in text.chunks(piece) {
            opener.update(piece, &mut plaintext)?;
        }
        let kind = opener.finish(&mut plaintext)?;
        assert!(plaintext.len() as u64 <= layout.plain_bytes_max());
        assert!(plaintext.len() as u64 + 18 >= layout.plain_bytes_max());
        Ok((plaintext, kind))
    }

    #[test]
    fn sizes_are_those_of_the_table() {
        for (plain, kind, encoding, total) in [
            (0, String, Hex, 262),
            (10, String, Hex, 262),
            (10, Bytes, Hex, 263),
            (16, String, Hex, 294),
            (10, String, Base64, 284),
            (1_048_576, Bytes, Hex, 2_097_415),
            (1_048_576, Bytes, Base64, 1_398_385),
        ] {
            assert_eq!(predicted_len(plain, encoding, kind), total);
            let plain = vec![7; usize::try_from(plain).unwrap()];
            assert_eq!(sealed(&plain, encoding, kind).len() as u64, total);
        }
        assert!(predicted_len(u64::MAX, Base64, Bytes) > u64::MAX / 2);
    }

    #[test]
    fn every_length_around_the_units_survives() {
        for len in (0..200).chain([WINDOW_BYTES - 1, WINDOW_BYTES, WINDOW_BYTES + 1]) {
            let plaintext: Vec<u8> = (0..=250).cycle().take(len).collect();
            for encoding in [Hex, Base64] {
                let bytes = sealed(&plaintext, encoding, Bytes);
                let opened = open(&key(), &bytes).unwrap();
                assert_eq!((&opened.content, opened.kind), (&plaintext, Bytes));
                for piece in [1, 63, 64, 65, 1 << 20] {
                    assert_eq!(stream_open(&bytes, piece), Ok((plaintext.clone(), Bytes)));
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        for encoding in [Hex, Base64] {
            let bytes = sealed(b"some words that take two blocks", encoding, String);
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
                let whole = open(&key(), &changed).map(|opened| (opened.content, opened.kind));
                assert!(
                    whole.is_err(),
                    "{}",
                    std::string::String::from_utf8_lossy(&changed)
                );
                assert!(stream_open(&changed, 50).is_err());
            }
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        let bytes = sealed(b"secret", Hex, String);
        let other = SecretKey::from_bytes(&[2; 32]).unwrap();
        assert_eq!(open(&other, &bytes), Err(EnvelopeError::WrongMac));
    }

    #[test]
    fn members_in_another_order_open_as_a_whole_only() {
        let bytes = sealed(b"words", Base64, String);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(open(&key(), &pretty).unwrap().content, b"words");
        assert_eq!(
            stream_open(&pretty, 9),
            Err(EnvelopeError::UnsupportedLayout)
        );
    }

    #[test]
    fn a_failed_opener_takes_back_what_finish_would_have_added() {
        let mut bytes = sealed(b"words", Hex, String);
        let at = bytes.len() - 30;
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let layout = EnvelopeLayout::scan(&bytes, &bytes, bytes.len() as u64).unwrap();
        let mut opener = Opener::new(&key(), &layout);
        let mut out = b"before".to_vec();
        let text = cipher_text(&bytes, &layout);
        opener.update(text, &mut out).unwrap();
        assert_eq!(opener.finish(&mut out), Err(EnvelopeError::WrongMac));
        assert_eq!(out, b"before");
        // A truncated ciphertext and none at all.
        let mut opener = Opener::new(&key(), &layout);
        opener.update(&text[..31], &mut out).unwrap();
        assert_eq!(
            opener.finish(&mut out),
            Err(EnvelopeError::Malformed {
                member: "cipherText"
            })
        );
        let opener = Opener::new(&key(), &layout);
        assert!(opener.finish(&mut out).is_err());
    }
}
