//! Opening envelopes, as a whole or piece by piece.

use std::borrow::Cow;

use aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::Array;
use cbc::cipher::BlockModeDecrypt;
use cbc::cipher::consts::U16;
use hmac::Hmac;
use hmac::Mac;
use serde::Deserialize;
use sha2::Sha256;
use zeroize::Zeroize;

use super::BLOCK_BYTES;
use super::CipherTextEncoding;
use super::ContentKind;
use super::EnvelopeError;
use super::EnvelopeLayout;
use super::WINDOW_BYTES;
use super::keys::EnvelopeKeys;
use crate::key::PublicKey;
use crate::key::SecretKey;

/// Text that stands for whole blocks in either encoding.
const UNIT_CHARS: usize = 64;

/// What was inside an envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The plaintext.
    pub content: Vec<u8>,
    /// What it was to the program that encrypted it.
    pub kind: ContentKind,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.content.len();
        write!(f, "Opened({:?}, {bytes} bytes)", self.kind)
    }
}

/// Opens an envelope that is in memory as a whole. Its members may stand in any order.
///
/// # Errors
/// See [`EnvelopeError`]; nothing comes out unless the MAC fits.
pub fn open(secret: &SecretKey, bytes: &[u8]) -> Result<Opened, EnvelopeError> {
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|_| EnvelopeError::NotAnEnvelope)?;
    let iv: [u8; 16] = array(&wire.iv, "iv")?;
    let expected: [u8; 32] = array(&wire.mac, "mac")?;
    let ephemeral = PublicKey::from_hex(&wire.ephemeral).map_err(|_| malformed("ephemeralPK"))?;
    // The MAC is over the key as it was written, compressed or not.
    let ephemeral_bytes = hex::decode(&*wire.ephemeral).map_err(|_| malformed("ephemeralPK"))?;
    let encoding = match wire.encoding.as_deref() {
        None | Some("hex") => CipherTextEncoding::Hex,
        Some("base64") => CipherTextEncoding::Base64,
        Some(_) => return Err(malformed("cipherTextEncoding")),
    };
    let mut content = match encoding {
        CipherTextEncoding::Hex => hex::decode(&*wire.cipher_text).ok(),
        CipherTextEncoding::Base64 => STANDARD.decode(&*wire.cipher_text).ok(),
    }
    .filter(|cipher| !cipher.is_empty() && cipher.len() % BLOCK_BYTES == 0)
    .ok_or(malformed("cipherText"))?;

    let keys = EnvelopeKeys::agree(secret, &ephemeral);
    let mut mac = keys.mac(&iv, &ephemeral_bytes);
    mac.update(&content);
    mac.verify_slice(&expected)
        .map_err(|_| EnvelopeError::WrongMac)?;
    let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(&mut content);
    keys.decryptor(&iv).decrypt_blocks(blocks);
    let plain_len = unpadded_len(&content)?;
    content.truncate(plain_len);
    let kind = match wire.was_string {
        true => ContentKind::String,
        false => ContentKind::Bytes,
    };
    Ok(Opened { content, kind })
}

/// Decrypts the ciphertext of an envelope that arrives in pieces.
///
/// What [`Opener::update`] gives out is not trustworthy until [`Opener::finish`] has checked the
/// MAC: keep it out of sight (in a temporary file, say) until then.
pub struct Opener {
    cipher: cbc::Decryptor<Aes256>,
    mac: Hmac<Sha256>,
    expected_mac: [u8; 32],
    encoding: CipherTextEncoding,
    kind: ContentKind,
    /// Text not yet decoded. The end of the file is always in here, because its last block has
    /// to lose its padding.
    rest: [u8; UNIT_CHARS],
    rest_len: usize,
    window: Vec<u8>,
}

impl Opener {
    /// Starts on the ciphertext of an envelope.
    #[must_use]
    pub fn new(secret: &SecretKey, layout: &EnvelopeLayout) -> Self {
        let keys = EnvelopeKeys::agree(secret, layout.ephemeral());
        let ephemeral = layout.ephemeral().to_bytes();
        Self {
            cipher: keys.decryptor(layout.iv()),
            mac: keys.mac(layout.iv(), &ephemeral),
            expected_mac: *layout.mac(),
            encoding: layout.encoding(),
            kind: layout.kind(),
            rest: [0; UNIT_CHARS],
            rest_len: 0,
            window: Vec::new(),
        }
    }

    /// Takes the next piece of the text of `cipherText`, without the quotes, and appends the
    /// plaintext that can be given out already.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] when the text is not of its encoding.
    pub fn update(&mut self, mut text: &[u8], out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if self.rest_len > 0 {
            let fill = text.len().min(UNIT_CHARS - self.rest_len);
            let (now, later) = text.split_at(fill);
            self.rest[self.rest_len..][..fill].copy_from_slice(now);
            self.rest_len += fill;
            text = later;
            if text.is_empty() {
                return Ok(());
            }
            let unit = self.rest;
            self.rest_len = 0;
            self.decrypt(&unit, out)?;
        }
        // At least one character stays behind.
        let units_len = text.len().saturating_sub(1) / UNIT_CHARS * UNIT_CHARS;
        let (units, rest) = text.split_at(units_len);
        for window in units.chunks(WINDOW_BYTES / UNIT_CHARS * UNIT_CHARS) {
            self.decrypt(window, out)?;
        }
        self.rest[..rest.len()].copy_from_slice(rest);
        self.rest_len = rest.len();
        Ok(())
    }

    /// Checks the MAC over everything, then appends the end of the plaintext.
    ///
    /// # Errors
    /// [`EnvelopeError`]: then nothing that was given out before may be used.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<ContentKind, EnvelopeError> {
        let start = out.len();
        let unit = self.rest;
        self.decrypt(&unit[..self.rest_len], out)?;
        if out.len() == start {
            return Err(malformed("cipherText"));
        }
        let verified = self.mac.clone().verify_slice(&self.expected_mac);
        let plain_len = match verified {
            Ok(()) => unpadded_len(&out[start..]),
            Err(_) => Err(EnvelopeError::WrongMac),
        };
        match plain_len {
            Ok(plain_len) => {
                out.truncate(start + plain_len);
                Ok(self.kind)
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// Decrypts the text of whole blocks and appends their plaintext.
    fn decrypt(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        self.window.clear();
        match self.encoding {
            CipherTextEncoding::Hex => {
                self.window.resize(text.len() / 2, 0);
                hex::decode_to_slice(text, &mut self.window)
                    .map_err(|_| malformed("cipherText"))?;
            }
            CipherTextEncoding::Base64 => {
                STANDARD
                    .decode_vec(text, &mut self.window)
                    .map_err(|_| malformed("cipherText"))?;
            }
        }
        self.mac.update(&self.window);
        let (blocks, incomplete) = Array::<u8, U16>::slice_as_chunks_mut(&mut self.window);
        if !incomplete.is_empty() {
            return Err(malformed("cipherText"));
        }
        self.cipher.decrypt_blocks(blocks);
        out.extend_from_slice(&self.window);
        Ok(())
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.window.zeroize();
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("encoding", &self.encoding)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// How much of decrypted blocks is left without the PKCS#7 padding. The MAC has been checked, so
/// there is no secret in how long this takes.
fn unpadded_len(blocks: &[u8]) -> Result<usize, EnvelopeError> {
    let padding = blocks.last().copied().map_or(0, usize::from);
    let plain_len = blocks
        .len()
        .checked_sub(padding)
        .filter(|_| (1..=BLOCK_BYTES).contains(&padding))
        .ok_or(EnvelopeError::WrongPadding)?;
    if blocks[plain_len..]
        .iter()
        .any(|byte| usize::from(*byte) != padding)
    {
        return Err(EnvelopeError::WrongPadding);
    }
    Ok(plain_len)
}

fn array<const N: usize>(text: &str, member: &'static str) -> Result<[u8; N], EnvelopeError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed(member))?;
    Ok(bytes)
}

const fn malformed(member: &'static str) -> EnvelopeError {
    EnvelopeError::Malformed { member }
}

/// An envelope as JSON.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    iv: Cow<'a, str>,
    #[serde(rename = "ephemeralPK", borrow)]
    ephemeral: Cow<'a, str>,
    #[serde(rename = "cipherText", borrow)]
    cipher_text: Cow<'a, str>,
    #[serde(borrow)]
    mac: Cow<'a, str>,
    #[serde(rename = "wasString")]
    was_string: bool,
    #[serde(rename = "cipherTextEncoding", borrow, default)]
    encoding: Option<Cow<'a, str>>,
}
