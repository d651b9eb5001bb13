//! Numbers that look random and that a seed determines, so that a failure can be run again.

/// A generator (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator whose sequence `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// An index into something of length `len`, which must not be 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True in `permille` of 1000 cases.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A generator of its own for something that draws in an order nobody knows.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.number())
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    /// Lines of words, about `count` bytes.
    pub fn text(&mut self, count: usize) -> String {
        const WORDS: [&str; 16] = [
            "bucket", "hub", "replica", "journal", "version", "policy", "beacon", "intent",
            "document", "pack", "größe", "naïve", "and", "the", "of", "a",
        ];
        let mut text = String::with_capacity(count + 64);
        while text.len() < count {
            let number = self.number();
            for shift in 0..8 {
                let word = usize::try_from((number >> (shift * 8)) & 15).unwrap();
                text.push_str(WORDS[word]);
                text.push(' ');
            }
            text.push_str(&format!("{number:016x}\n"));
        }
        text
    }
}
