//! Bucket addresses: Bitcoin P2PKH addresses of compressed secp256k1 keys, in base58check.
//!
//! Parsing checks the version byte, the length and the checksum, so an [`Address`] that exists is
//! one that some key could own. Which characters a hub's routes let through is the hub's business.

use std::fmt;
use std::str::FromStr;

use ripemd::Ripemd160;
use sha2::Digest;
use sha2::Sha256;

/// Version byte of a Bitcoin mainnet P2PKH address.
const VERSION_P2PKH: u8 = 0;
/// Version byte, hash and checksum.
const DECODED_BYTES: usize = 25;
/// No address of 25 bytes takes more base58 characters than this.
const TEXT_BYTES_MAX: usize = 35;

/// The name of a bucket: `base58check(0x00 ‖ RIPEMD160(SHA256(compressed public key)))`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: [u8; TEXT_BYTES_MAX],
    text_len: u8,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A character outside the base58 alphabet, or far too many of them.
    #[error("this is not a bucket address: it holds characters that no address has, or too many")]
    NotBase58,
    /// The decoded text has the wrong length.
    #[error("this is not a bucket address: it is {decoded_bytes} bytes long instead of 25")]
    WrongLength {
        /// How many bytes the text decodes to.
        decoded_bytes: usize,
    },
    /// An address of another network or kind.
    #[error("this address is of another kind (version {version}); a bucket has version 0")]
    WrongVersion {
        /// The version byte found.
        version: u8,
    },
    /// The checksum does not fit: most likely a typing error.
    #[error("the checksum of this address is wrong; check it for a typing error")]
    WrongChecksum,
}

impl Address {
    /// Reads an address and checks it.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(AddressError::NotBase58);
        }
        let decoded = bs58::decode(text)
            .into_vec()
            .map_err(|_| AddressError::NotBase58)?;
        let Ok(decoded) = <[u8; DECODED_BYTES]>::try_from(decoded.as_slice()) else {
            return Err(AddressError::WrongLength {
                decoded_bytes: decoded.len(),
            });
        };
        let (body, sum) = decoded.split_at(DECODED_BYTES - 4);
        if checksum(body) != *sum {
            return Err(AddressError::WrongChecksum);
        }
        if decoded[0] != VERSION_P2PKH {
            return Err(AddressError::WrongVersion {
                version: decoded[0],
            });
        }
        Ok(Self::from_text(text))
    }

    /// The address of a compressed public key of 33 bytes.
    pub(crate) fn of_compressed(public_key: &[u8; 33]) -> Self {
        let hash = Ripemd160::digest(Sha256::digest(public_key));
        let mut decoded = [VERSION_P2PKH; DECODED_BYTES];
        decoded[1..21].copy_from_slice(&hash);
        let sum = checksum(&decoded[..21]);
        decoded[21..].copy_from_slice(&sum);
        Self::from_text(&bs58::encode(decoded).into_string())
    }

    /// The address as people and URLs write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = &self.text[..usize::from(self.text_len)];
        // Only base58 text, which is ASCII, is ever put in.
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// Takes a checked text; base58 of 25 bytes never takes more than 35 characters.
    fn from_text(checked: &str) -> Self {
        let mut text = [0; TEXT_BYTES_MAX];
        let mut text_len = 0;
        for (to, from) in text.iter_mut().zip(checked.bytes()) {
            *to = from;
            text_len += 1;
        }
        Self { text, text_len }
    }
}

/// The first four bytes of the double SHA-256.
fn checksum(body: &[u8]) -> [u8; 4] {
    let twice = Sha256::digest(Sha256::digest(body));
    [twice[0], twice[1], twice[2], twice[3]]
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.as_str())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH";

    #[test]
    fn a_good_address_is_kept_as_written() {
        assert_eq!(Address::parse(GOOD).unwrap().as_str(), GOOD);
        assert_eq!(Address::parse(GOOD).unwrap().to_string(), GOOD);
    }

    #[test]
    fn each_kind_of_bad_address_is_told_apart() {
        use AddressError::*;
        let long = "1".repeat(36);
        for (text, want) in [
            ("", WrongLength { decoded_bytes: 0 }),
            ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAM0", NotBase58),
            ("../etc/passwd", NotBase58),
            (long.as_str(), NotBase58),
            ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMJ", WrongChecksum),
            ("1BgGZ9", WrongLength { decoded_bytes: 5 }),
            // A pay-to-script-hash address.
            (
                "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
                WrongVersion { version: 5 },
            ),
        ] {
            assert_eq!(Address::parse(text), Err(want), "{text:?}");
        }
    }
}
