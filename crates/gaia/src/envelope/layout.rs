//! Finding the parts of a large envelope from its two ends, without reading what lies between.

use std::ops::Range;

use super::CipherTextEncoding;
use super::ContentKind;
use super::EnvelopeError;
use super::OPEN_CIPHER_TEXT;
use super::OPEN_ENCODING;
use super::OPEN_EPHEMERAL;
use super::OPEN_IV;
use super::OPEN_MAC;
use super::OPEN_WAS_STRING;
use crate::key::PublicKey;

/// Where the parts of an envelope are, and the small ones themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeLayout {
    iv: [u8; 16],
    ephemeral: PublicKey,
    mac: [u8; 32],
    encoding: CipherTextEncoding,
    kind: ContentKind,
    cipher_text: Range<u64>,
}

impl EnvelopeLayout {
    /// Reads the layout from the two ends of a stored file.
    ///
    /// `head` and `tail` are the first and the last
    /// [`ENVELOPE_SCAN_BYTES`](crate::limits::ENVELOPE_SCAN_BYTES) bytes of it, or all of it where
    /// it is shorter; `total_bytes` is its length.
    ///
    /// # Errors
    /// [`EnvelopeError::UnsupportedLayout`] for everything that is not written exactly as the
    /// stock clients do: open it as a whole, or take it for a plain file.
    pub fn scan(head: &[u8], tail: &[u8], total_bytes: u64) -> Result<Self, EnvelopeError> {
        Self::try_scan(head, tail, total_bytes).ok_or(EnvelopeError::UnsupportedLayout)
    }

    fn try_scan(head: &[u8], tail: &[u8], total_bytes: u64) -> Option<Self> {
        let rest = head.strip_prefix(OPEN_IV.as_bytes())?;
        let (iv, rest) = hex_prefix::<16>(rest)?;
        let rest = rest.strip_prefix(OPEN_EPHEMERAL.as_bytes())?;
        let (ephemeral, rest) = hex_prefix::<33>(rest)?;
        let rest = rest.strip_prefix(OPEN_CIPHER_TEXT.as_bytes())?;
        let head_bytes = head.len() - rest.len();

        let (rest, encoding) = strip_encoding(tail)?;
        let (rest, kind) = match rest.strip_suffix(b"true") {
            Some(rest) => (rest, ContentKind::String),
            None => (rest.strip_suffix(b"false")?, ContentKind::Bytes),
        };
        let rest = rest.strip_suffix(OPEN_WAS_STRING.as_bytes())?;
        let (rest, mac) = hex_suffix::<32>(rest)?;
        let rest = rest.strip_suffix(OPEN_MAC.as_bytes())?;
        let tail_bytes = tail.len() - rest.len();

        let start = u64::try_from(head_bytes).ok()?;
        let end = total_bytes.checked_sub(u64::try_from(tail_bytes).ok()?)?;
        let len = end.checked_sub(start)?;
        let granule = match encoding {
            CipherTextEncoding::Hex => 32,
            CipherTextEncoding::Base64 => 4,
        };
        if len == 0 || len % granule != 0 {
            return None;
        }
        Some(Self {
            iv,
            ephemeral: PublicKey::from_bytes(&ephemeral).ok()?,
            mac,
            encoding,
            kind,
            cipher_text: start..end,
        })
    }

    /// Where the text of `cipherText` is in the file, without its quotes: what
    /// [`Opener::update`](super::Opener::update) wants, in order.
    #[must_use]
    pub fn cipher_text(&self) -> Range<u64> {
        self.cipher_text.clone()
    }

    /// How long the plaintext is at most; at least this less 16 bytes.
    #[must_use]
    pub fn plain_bytes_max(&self) -> u64 {
        let chars = self.cipher_text.end - self.cipher_text.start;
        match self.encoding {
            CipherTextEncoding::Hex => chars / 2,
            CipherTextEncoding::Base64 => chars / 4 * 3,
        }
    }

    /// How the ciphertext is written.
    #[must_use]
    pub fn encoding(&self) -> CipherTextEncoding {
        self.encoding
    }

    /// What the plaintext was before.
    #[must_use]
    pub fn kind(&self) -> ContentKind {
        self.kind
    }

    pub(super) fn iv(&self) -> &[u8; 16] {
        &self.iv
    }

    pub(super) fn ephemeral(&self) -> &PublicKey {
        &self.ephemeral
    }

    pub(super) fn mac(&self) -> &[u8; 32] {
        &self.mac
    }
}

/// Takes the closing brace and the encoding off the end.
fn strip_encoding(tail: &[u8]) -> Option<(&[u8], CipherTextEncoding)> {
    let rest = tail.strip_suffix(b"}")?;
    for (ending, encoding) in [
        (&b"base64\""[..], CipherTextEncoding::Base64),
        (&b"hex\""[..], CipherTextEncoding::Hex),
    ] {
        if let Some(rest) = rest.strip_suffix(ending) {
            return Some((rest.strip_suffix(OPEN_ENCODING.as_bytes())?, encoding));
        }
    }
    Some((rest, CipherTextEncoding::Hex))
}

fn hex_prefix<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some((bytes, rest))
}

fn hex_suffix<const N: usize>(text: &[u8]) -> Option<(&[u8], [u8; N])> {
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(2 * N)?)?;
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some((rest, bytes))
}
