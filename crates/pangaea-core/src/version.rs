//! The names of things that are compared across devices: which device, which version, which content.
//!
//! A [`VersionId`] is totally ordered, so any two devices agree on the greater of two concurrent
//! versions. The order says nothing about cause: a device with a slow clock may write a successor
//! whose id is the smaller one. What a version was made from stands in the parents of its
//! [header](crate::header). Reading the time is not done here, and how a clock advances is
//! [`crate::clock`]'s matter.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;
use sha2::Sha256;

/// Number of bits of a clock value that count events inside one millisecond.
const COUNTER_BITS: u32 = 16;
/// The greatest millisecond that a clock value can hold (in the year 10889).
pub const CLOCK_MS_MAX: u64 = (1 << (64 - COUNTER_BITS)) - 1;

/// Says why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    /// The text that was given, cut to a length that can be shown.
    pub text: String,
    /// What was expected, in words.
    pub expected: &'static str,
}

impl ParseIdError {
    fn new(text: &str, expected: &'static str) -> Self {
        let text = text.chars().take(80).collect();
        Self { text, expected }
    }
}

/// Decodes exactly `2 * N` lower- or upper-case hexadecimal digits.
fn decode_hex<const N: usize>(text: &str, expected: &'static str) -> Result<[u8; N], ParseIdError> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(ParseIdError::new(text, expected)),
    }
}

/// Names one device (one replica), shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId([u8; 8]);

impl DeviceId {
    /// Makes an id out of its eight bytes, as they stand in a store or a header.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Makes the id of a new device out of eight random bytes.
    ///
    /// The last byte of a device's id is never zero: that marks the stand-in for a program that keeps
    /// no versions, see [`VersionId::synthetic`].
    pub const fn from_random(mut bytes: [u8; 8]) -> Self {
        if bytes[7] == 0 {
            bytes[7] = 1;
        }
        Self(bytes)
    }

    /// Returns the eight bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Tells whether this stands for a program that writes no version headers.
    pub const fn is_foreign(&self) -> bool {
        self.0[7] == 0
    }

    /// Returns the first six hexadecimal digits, which is what names in a folder show.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..3])
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

impl FromStr for DeviceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        decode_hex(text, "a device id (16 hexadecimal digits)").map(Self)
    }
}

/// A hybrid logical clock value: 48 bits of Unix milliseconds, then a 16-bit counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(u64);

impl Hlc {
    /// Before everything.
    pub const ZERO: Self = Self(0);
    /// After everything.
    pub const MAX: Self = Self(u64::MAX);

    /// Makes a value out of milliseconds (cut to [`CLOCK_MS_MAX`]) and a counter.
    pub const fn new(ms: u64, counter: u16) -> Self {
        let ms = if ms > CLOCK_MS_MAX { CLOCK_MS_MAX } else { ms };
        Self((ms << COUNTER_BITS) | counter as u64)
    }

    /// Makes a value out of the 64 bits that a store or a header holds.
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns all 64 bits.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the Unix milliseconds.
    pub const fn ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// Returns the counter inside the millisecond.
    pub const fn counter(self) -> u16 {
        let bytes = self.0.to_be_bytes();
        u16::from_be_bytes([bytes[6], bytes[7]])
    }

    /// Returns the next value; the counter carries into the milliseconds.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hlc({}ms+{})", self.ms(), self.counter())
    }
}

impl FromStr for Hlc {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = decode_hex(text, "a clock value (16 hexadecimal digits)")?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

/// Names one version of one path; totally ordered by clock, then device.
///
/// Shown as `<16 hex clock>-<16 hex device>`; that text sorts as the value does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId {
    /// When it was made, by its writer's hybrid logical clock.
    pub clock: Hlc,
    /// Who made it.
    pub device: DeviceId,
}

impl VersionId {
    /// Number of bytes of the binary form.
    pub const BYTES: usize = 16;

    /// Puts a version id together.
    pub const fn new(clock: Hlc, device: DeviceId) -> Self {
        Self { clock, device }
    }

    /// Makes the id of a file that carries no version header, written by somebody else's program.
    ///
    /// It is a pure function of what the hub says about the file, so all devices name it alike.
    /// `etag` is the bare tag, without quotes.
    pub fn synthetic(last_modified_seconds: u64, etag: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"pangaea/synthetic-version/1\0");
        hasher.update(etag.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut device = [0; 8];
        device[..7].copy_from_slice(&digest[..7]);
        let ms = last_modified_seconds.saturating_mul(1000);
        Self::new(Hlc::new(ms, 0), DeviceId(device))
    }

    /// Returns the binary form: the clock big-endian, then the device. It sorts as the value does.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.clock.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.device.0);
        bytes
    }

    /// Reads the binary form back.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut clock = [0; 8];
        let mut device = [0; 8];
        clock.copy_from_slice(&bytes[..8]);
        device.copy_from_slice(&bytes[8..]);
        Self::new(Hlc(u64::from_be_bytes(clock)), DeviceId(device))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.clock, self.device)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

impl FromStr for VersionId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        const EXPECTED: &str = "a version (16 hexadecimal digits, a hyphen, 16 more)";
        let error = || ParseIdError::new(text, EXPECTED);
        let (clock, device) = text.split_once('-').ok_or_else(error)?;
        Ok(Self::new(
            clock.parse().map_err(|_| error())?,
            device.parse().map_err(|_| error())?,
        ))
    }
}

/// SHA-256 of a file's plain content: how the engine and the content store refer to bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of no bytes at all.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Hashes bytes that are in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes a hash that was computed or stored elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", hex::encode(&self.0[..6]))
    }
}

impl FromStr for ContentHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        decode_hex(text, "a content hash (64 hexadecimal digits)").map(Self)
    }
}

/// Hashes content that arrives in pieces.
#[derive(Clone, Default)]
pub struct ContentHasher(Sha256);

impl ContentHasher {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the hash of all pieces.
    pub fn finish(self) -> ContentHash {
        ContentHash(self.0.finalize().into())
    }
}

impl fmt::Debug for ContentHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_back() {
        let version: VersionId = "0190a1b2c3d40007-0011223344556677"
            .parse()
            .expect("a version");
        assert_eq!(version.clock.ms(), 0x0190_a1b2_c3d4);
        assert_eq!(version.clock.counter(), 7);
        assert_eq!(version.to_string(), "0190a1b2c3d40007-0011223344556677");
        assert_eq!(version.device.short(), "001122");
        for wrong in [
            "",
            "-",
            "0190a1b2c3d40007",
            "x190a1b2c3d40007-0011223344556677",
            "é-é",
        ] {
            assert!(wrong.parse::<VersionId>().is_err(), "{wrong}");
        }
        assert_eq!(ContentHash::of(b""), ContentHash::EMPTY);
        assert_eq!(ContentHash::EMPTY.to_hex().parse(), Ok(ContentHash::EMPTY));
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut hasher = ContentHasher::new();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), ContentHash::of(b"abc"));
    }

    #[test]
    fn synthetic_versions_agree_and_are_told_apart() {
        let one = VersionId::synthetic(1_700_000_000, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            one,
            VersionId::synthetic(1_700_000_000, "d41d8cd98f00b204e9800998ecf8427e")
        );
        assert_ne!(
            one,
            VersionId::synthetic(1_700_000_000, "0cc175b9c0f1b6a831c399e269772661")
        );
        assert_eq!(one.clock.ms(), 1_700_000_000_000);
        assert!(one.device.is_foreign());
        assert!(!DeviceId::from_random([0; 8]).is_foreign());
        assert_eq!(VersionId::synthetic(u64::MAX, "").clock.ms(), CLOCK_MS_MAX);
    }

    proptest! {
        #[test]
        fn bytes_and_text_keep_the_order(a: [u8; 16], b: [u8; 16]) {
            let (x, y) = (VersionId::from_bytes(a), VersionId::from_bytes(b));
            prop_assert_eq!(x.to_bytes(), a);
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
            prop_assert_eq!(x.to_string().parse(), Ok(x));
        }
    }
}
