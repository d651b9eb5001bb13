//! secp256k1 keys and signatures as Gaia uses them: ECDSA over SHA-256, deterministic nonces
//! (RFC 6979), low-S when signing, either S when verifying.
//!
//! Nothing here makes random numbers: the caller brings the bytes of a new key.

use std::fmt;
use std::str::FromStr;

use k256::FieldBytes;
use k256::ProjectivePoint;
use k256::Scalar;
use k256::ecdsa::SigningKey;
use k256::ecdsa::VerifyingKey;
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::elliptic_curve::ops::Invert;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::point::AffineCoordinates;
use sha2::Digest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::address::Address;

/// Why a key or a signature could not be read, or does not hold.
///
/// No variant carries any part of the input, so that a mistyped secret never reaches a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 64 hex digits (nor 66 that end in `01`), or no number that can be a key.
    #[error(
        "this is not a secret key: give 64 hexadecimal digits, or 66 that end in 01, \
         as a wallet exports them"
    )]
    BadSecretKey,
    /// Not a point on the curve, in compressed or uncompressed form.
    #[error("this is not a secp256k1 public key of 33 or 65 bytes")]
    BadPublicKey,
    /// Not a signature of the expected form.
    #[error("this is not a secp256k1 signature")]
    BadSignature,
    /// A well-formed signature that this key did not make over these bytes.
    #[error("the signature does not fit the key and the signed bytes")]
    WrongSignature,
}

/// A secret key. Wiped from memory when dropped, never shown by `Debug`.
#[derive(Clone)]
pub struct SecretKey {
    signing: SigningKey,
}

impl SecretKey {
    /// Reads 64 hex digits, or 66 that end in `01` (the mark of a compressed key in exports).
    ///
    /// # Errors
    /// [`KeyError::BadSecretKey`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let digits = match text.len() {
            64 => text,
            66 => text.strip_suffix("01").ok_or(KeyError::BadSecretKey)?,
            _ => return Err(KeyError::BadSecretKey),
        };
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| KeyError::BadSecretKey)?;
        Self::from_bytes(&bytes)
    }

    /// Takes the big-endian bytes of the secret number.
    ///
    /// # Errors
    /// [`KeyError::BadSecretKey`] for zero and for numbers not below the order of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let signing = SigningKey::from_slice(bytes).map_err(|_| KeyError::BadSecretKey)?;
        Ok(Self { signing })
    }

    /// Makes a new key out of 32 bytes from a cryptographic random source.
    ///
    /// # Errors
    /// [`KeyError::BadSecretKey`] for about one input in 2^128: draw again.
    pub fn generate(random: [u8; 32]) -> Result<Self, KeyError> {
        Self::from_bytes(&Zeroizing::new(random))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            verifying: *self.signing.verifying_key(),
        }
    }

    /// The address of the bucket that this key owns.
    #[must_use]
    pub fn address(&self) -> Address {
        self.public().address()
    }

    /// The secret number, big-endian, in memory that is wiped on drop.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes().into())
    }

    /// The secret number as 64 hex digits, in memory that is wiped on drop.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.to_bytes().as_slice()))
    }

    /// Signs a SHA-256 digest. The same digest always gets the same signature.
    #[must_use]
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Signature {
        let inner = self
            .signing
            .sign_prehash(digest)
            .expect("signing refuses only digests shorter than half a scalar");
        Signature { inner }
    }

    /// Signs the SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        self.sign_digest(&Sha256::digest(bytes).into())
    }

    /// Checks a signature of this key's over a SHA-256 digest; either S is accepted. As
    /// [`PublicKey::verify_digest`], in half the time: who knows the secret number d need not multiply
    /// the public point, since (z/s)G + (r/s)dG is one multiple of the generator, for which there are tables.
    ///
    /// # Errors
    /// [`KeyError::WrongSignature`].
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &Signature) -> Result<(), KeyError> {
        let (r, s) = signature.inner.split_scalars();
        let z = Scalar::reduce(&FieldBytes::from(*digest));
        // For a signature that holds this is its nonce, or the nonce's negative, which has the same x. It is as
        // secret as the key, so the multiplication is one that takes the same time for all numbers.
        let secret = self.signing.as_nonzero_scalar().as_ref();
        let u = Zeroizing::new((z + *r * secret) * *s.invert_vartime());
        let point = ProjectivePoint::mul_by_generator(&u).to_affine();
        // Of zero the point is none; its x counts as 0 then, which r is not.
        let x = Scalar::reduce(&point.x());
        if x == *r {
            Ok(())
        } else {
            Err(KeyError::WrongSignature)
        }
    }

    /// The x coordinate of the shared point: 32 bytes, big-endian, zero-padded.
    pub(crate) fn shared_x(&self, other: &PublicKey) -> Zeroizing<[u8; 32]> {
        let shared = k256::ecdh::diffie_hellman(
            self.signing.as_nonzero_scalar(),
            other.verifying.as_affine(),
        );
        Zeroizing::new((*shared.raw_secret_bytes()).into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

/// A public key, on the curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    verifying: VerifyingKey,
}

impl PublicKey {
    /// Reads a compressed (66 digits) or uncompressed (130 digits) key.
    ///
    /// # Errors
    /// [`KeyError::BadPublicKey`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 65];
        let bytes = match text.len() {
            66 => &mut bytes[..33],
            130 => &mut bytes[..],
            _ => return Err(KeyError::BadPublicKey),
        };
        hex::decode_to_slice(text, bytes).map_err(|_| KeyError::BadPublicKey)?;
        Self::from_bytes(bytes)
    }

    /// Takes a compressed (33 bytes) or uncompressed (65 bytes) key.
    ///
    /// # Errors
    /// [`KeyError::BadPublicKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        // Other SEC1 forms (identity, compact) exist and are no keys of ours.
        if !matches!(
            (bytes.len(), bytes.first()),
            (33, Some(2 | 3)) | (65, Some(4))
        ) {
            return Err(KeyError::BadPublicKey);
        }
        let verifying = VerifyingKey::from_sec1_bytes(bytes).map_err(|_| KeyError::BadPublicKey)?;
        Ok(Self { verifying })
    }

    /// The compressed form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        k256::CompressedPoint::from(&self.verifying).into()
    }

    /// The compressed form as 66 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.to_bytes())
    }

    /// The address of the bucket that this key owns (always that of the compressed form).
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of_compressed(&self.to_bytes())
    }

    /// Checks a signature over a SHA-256 digest; either S is accepted.
    ///
    /// # Errors
    /// [`KeyError::WrongSignature`].
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &Signature) -> Result<(), KeyError> {
        // JavaScript clients sign without choosing the low S, so about half of their signatures
        // are the high twin, which k256 refuses unless it is folded first.
        self.verifying
            .verify_prehash(digest, &signature.inner.normalize_s())
            .map_err(|_| KeyError::WrongSignature)
    }

    /// Checks a signature over the SHA-256 digest of `bytes`; either S is accepted.
    ///
    /// # Errors
    /// [`KeyError::WrongSignature`].
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), KeyError> {
        self.verify_digest(&Sha256::digest(bytes).into(), signature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_hex(text)
    }
}

/// An ECDSA signature: two numbers in range. Tokens write it raw, files in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    inner: k256::ecdsa::Signature,
}

impl Signature {
    /// Takes the raw form, r then s, 64 bytes.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let inner =
            k256::ecdsa::Signature::from_slice(bytes).map_err(|_| KeyError::BadSignature)?;
        Ok(Self { inner })
    }

    /// Reads the DER form in hex digits.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn from_der_hex(text: &str) -> Result<Self, KeyError> {
        // The longest DER signature has 72 bytes.
        if text.len() > 2 * 72 {
            return Err(KeyError::BadSignature);
        }
        let der = hex::decode(text).map_err(|_| KeyError::BadSignature)?;
        let inner = k256::ecdsa::Signature::from_der(&der).map_err(|_| KeyError::BadSignature)?;
        Ok(Self { inner })
    }

    /// The raw form, r then s.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        self.inner.to_bytes().into()
    }

    /// The DER form in hex digits.
    #[must_use]
    pub fn to_der_hex(&self) -> String {
        hex::encode(self.inner.to_der().as_bytes())
    }

    /// Whether S is the greater of the two that are possible: as valid as the other, and what a
    /// JavaScript client sends about half of the time. Keys here never sign so.
    #[must_use]
    pub fn is_high_s(&self) -> bool {
        self.inner.normalize_s() != self.inner
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    #[test]
    fn both_spellings_of_a_secret_key_are_one_key() {
        let short = SecretKey::from_hex(ONE).unwrap();
        let long = SecretKey::from_hex(&format!("{ONE}01\n")).unwrap();
        assert_eq!(short.public(), long.public());
        assert_eq!(short.to_hex().as_str(), ONE);
    }

    #[test]
    fn what_is_no_secret_key_is_refused_without_being_repeated() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for text in [
            "",
            "01",
            &ONE.replace('1', "0"),
            order,
            &format!("{ONE}02"),
            &"g".repeat(64),
        ] {
            let error = SecretKey::from_hex(text).unwrap_err();
            assert_eq!(error, KeyError::BadSecretKey);
            assert!(text.len() < 3 || !error.to_string().contains(text));
        }
    }

    #[test]
    fn debug_shows_the_address_and_nothing_else() {
        let key = SecretKey::from_hex(ONE).unwrap();
        assert_eq!(
            format!("{key:?}"),
            "SecretKey(of 1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH)"
        );
    }

    #[test]
    fn an_uncompressed_key_is_the_same_key() {
        let key = SecretKey::from_hex(ONE).unwrap().public();
        let uncompressed = hex::encode(key.verifying.to_sec1_point(false).as_bytes());
        assert_eq!(uncompressed.len(), 130);
        assert_eq!(PublicKey::from_hex(&uncompressed).unwrap(), key);
        assert!(PublicKey::from_hex(&format!("05{}", &key.to_hex()[2..])).is_err());
        assert!(PublicKey::from_bytes(&[0]).is_err());
    }

    /// Whether both ways of checking agree that `signature` holds, or does not.
    fn holds(key: &SecretKey, digest: &[u8; 32], signature: &Signature) -> bool {
        let by_owner = key.verify_digest(digest, signature);
        assert_eq!(by_owner, key.public().verify_digest(digest, signature));
        by_owner.is_ok()
    }

    #[test]
    fn the_owner_checks_signatures_as_everybody_does() {
        for number in 1..=60_u8 {
            let key = SecretKey::from_bytes(&[number; 32]).unwrap();
            let other = SecretKey::from_bytes(&[number + 1; 32]).unwrap();
            // The last ones are not below the order of the curve.
            for digest in [[0; 32], [number; 32], [0xFF; 32]] {
                let signature = key.sign_digest(&digest);
                assert!(holds(&key, &digest, &signature));
                assert!(!holds(&other, &digest, &signature));
                assert!(!holds(&key, &[number ^ 0x80; 32], &signature));
                let (r, s) = signature.inner.split_scalars();
                let twin = k256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
                assert!(holds(&key, &digest, &Signature { inner: twin }));
                let changed = k256::ecdsa::Signature::from_scalars(*s, *r).unwrap();
                assert!(!holds(&key, &digest, &Signature { inner: changed }));
            }
            // One that leads to the point at infinity.
            let digest = [number; 32];
            let z = Scalar::reduce(&FieldBytes::from(digest));
            let r = -z * *key.signing.as_nonzero_scalar().invert_vartime();
            let nowhere = k256::ecdsa::Signature::from_scalars(r, Scalar::ONE).unwrap();
            assert!(!holds(&key, &digest, &Signature { inner: nowhere }));
        }
    }

    #[test]
    fn a_signature_holds_for_its_key_and_bytes_only() {
        let key = SecretKey::from_hex(ONE).unwrap();
        let other = SecretKey::from_bytes(&[7; 32]).unwrap();
        let signature = key.sign(b"bytes");
        assert!(!signature.is_high_s());
        key.public().verify(b"bytes", &signature).unwrap();
        assert!(key.public().verify(b"bytez", &signature).is_err());
        assert!(other.public().verify(b"bytes", &signature).is_err());
        let der = Signature::from_der_hex(&signature.to_der_hex()).unwrap();
        assert_eq!(der, signature);
        assert_eq!(
            Signature::from_bytes(&signature.to_bytes()).unwrap(),
            signature
        );
        assert!(Signature::from_bytes(&signature.to_bytes()[1..]).is_err());
        assert!(Signature::from_bytes(&[0; 64]).is_err());
    }
}
