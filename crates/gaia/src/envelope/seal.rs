//! Making envelopes, as a whole or piece by piece; both give the same bytes.

use aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::Array;
use cbc::cipher::BlockModeEncrypt;
use cbc::cipher::consts::U16;
use hmac::Hmac;
use hmac::Mac;
use sha2::Sha256;
use zeroize::Zeroize;

use super::BLOCK_BYTES;
use super::CipherTextEncoding;
use super::ContentKind;
use super::OPEN_CIPHER_TEXT;
use super::OPEN_ENCODING;
use super::OPEN_EPHEMERAL;
use super::OPEN_IV;
use super::OPEN_MAC;
use super::OPEN_WAS_STRING;
use super::UNIT_BYTES;
use super::WINDOW_BYTES;
use super::keys::EnvelopeKeys;
use super::predicted_len;
use crate::key::PublicKey;
use crate::key::SecretKey;

/// Encrypts a file for a recipient.
///
/// `ephemeral` and `iv` must be fresh for each content: random, or from
/// [`derive_ephemeral`](super::derive_ephemeral).
#[must_use]
pub fn seal(
    recipient: &PublicKey,
    ephemeral: &SecretKey,
    iv: [u8; 16],
    plaintext: &[u8],
    encoding: CipherTextEncoding,
    kind: ContentKind,
) -> Vec<u8> {
    let len = predicted_len(plaintext.len() as u64, encoding, kind);
    let mut out = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let mut sealer = Sealer::new(recipient, ephemeral, iv, encoding, kind);
    sealer.update(plaintext, &mut out);
    sealer.finish(&mut out);
    out
}

/// Encrypts a file that arrives in pieces. Each call appends to `out` what can be written already.
pub struct Sealer {
    /// What stands before the ciphertext, until it is written.
    head: Option<String>,
    cipher: cbc::Encryptor<Aes256>,
    mac: Hmac<Sha256>,
    encoding: CipherTextEncoding,
    kind: ContentKind,
    /// Plaintext that does not fill a unit yet, so that neither a block nor a group of base64
    /// ever has to be carried over.
    rest: [u8; UNIT_BYTES],
    rest_len: usize,
    window: Vec<u8>,
}

impl Sealer {
    /// Starts an envelope; see [`seal`].
    #[must_use]
    pub fn new(
        recipient: &PublicKey,
        ephemeral: &SecretKey,
        iv: [u8; 16],
        encoding: CipherTextEncoding,
        kind: ContentKind,
    ) -> Self {
        let keys = EnvelopeKeys::agree(ephemeral, recipient);
        let ephemeral = ephemeral.public().to_bytes();
        let head = format!(
            "{OPEN_IV}{}{OPEN_EPHEMERAL}{}{OPEN_CIPHER_TEXT}",
            hex::encode(iv),
            hex::encode(ephemeral),
        );
        Self {
            head: Some(head),
            cipher: keys.encryptor(&iv),
            mac: keys.mac(&iv, &ephemeral),
            encoding,
            kind,
            rest: [0; UNIT_BYTES],
            rest_len: 0,
            window: Vec::new(),
        }
    }

    /// Takes the next plaintext.
    pub fn update(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) {
        self.write_head(out);
        if self.rest_len > 0 {
            let fill = plaintext.len().min(UNIT_BYTES - self.rest_len);
            let (now, later) = plaintext.split_at(fill);
            self.rest[self.rest_len..][..fill].copy_from_slice(now);
            self.rest_len += fill;
            plaintext = later;
            if self.rest_len < UNIT_BYTES {
                return;
            }
            self.rest_len = 0;
            let unit = self.rest;
            self.encrypt(&unit, out);
        }
        let (units, rest) = plaintext.split_at(plaintext.len() - plaintext.len() % UNIT_BYTES);
        for window in units.chunks(WINDOW_BYTES) {
            self.encrypt(window, out);
        }
        self.rest[..rest.len()].copy_from_slice(rest);
        self.rest_len = rest.len();
    }

    /// Writes the end of the envelope.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.write_head(out);
        // The rest is shorter than a unit, which is a multiple of a block: its padding fits.
        let mut last = self.rest;
        let padded_len = (self.rest_len / BLOCK_BYTES + 1) * BLOCK_BYTES;
        let padding = padded_len - self.rest_len;
        last[self.rest_len..padded_len].fill(u8::try_from(padding).unwrap_or_default());
        self.encrypt(&last[..padded_len], out);
        last.zeroize();

        let mac: [u8; 32] = self.mac.clone().finalize().into_bytes().into();
        out.extend_from_slice(OPEN_MAC.as_bytes());
        append_hex(&mac, out);
        out.extend_from_slice(OPEN_WAS_STRING.as_bytes());
        out.extend_from_slice(match self.kind {
            ContentKind::String => b"true",
            ContentKind::Bytes => b"false",
        });
        if self.encoding == CipherTextEncoding::Base64 {
            out.extend_from_slice(OPEN_ENCODING.as_bytes());
            out.extend_from_slice(b"base64\"");
        }
        out.push(b'}');
    }

    fn write_head(&mut self, out: &mut Vec<u8>) {
        if let Some(head) = self.head.take() {
            out.extend_from_slice(head.as_bytes());
        }
    }

    /// Encrypts whole blocks and appends their text.
    fn encrypt(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        self.window.clear();
        self.window.extend_from_slice(plaintext);
        let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(&mut self.window);
        self.cipher.encrypt_blocks(blocks);
        self.mac.update(&self.window);
        match self.encoding {
            CipherTextEncoding::Hex => append_hex(&self.window, out),
            CipherTextEncoding::Base64 => append_base64(&self.window, out),
        }
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.rest.zeroize();
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("encoding", &self.encoding)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn append_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let written = hex::encode_to_slice(bytes, &mut out[start..]);
    debug_assert!(written.is_ok(), "twice the length was made room for");
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    debug_assert!(written.is_ok(), "the padded length was made room for");
}
