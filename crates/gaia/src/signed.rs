//! Signed files, in the two forms of the stock clients.
//!
//! An encrypted file is wrapped: `{"signature","publicKey","cipherText"}`, where `cipherText` is
//! the text of the envelope and the signature covers that text. A plain file stays as it is and
//! gets a second file beside it, its path and `.sig`: `{"signature","publicKey"}`.
//!
//! A signature shows that the owner of the bucket wrote these bytes once; it does not say where
//! or when, so a hub can still show an older file or another one.

use std::borrow::Cow;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::address::Address;
use crate::envelope;
use crate::envelope::CipherTextEncoding;
use crate::envelope::ContentKind;
use crate::key::PublicKey;
use crate::key::SecretKey;
use crate::key::Signature;
use crate::path::FilePath;
use crate::path::PathError;

/// What is appended to the path of a plain file to get that of its signature.
pub const SIGNATURE_SUFFIX: &str = ".sig";

/// Why a signed file is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignedError {
    /// Not the JSON of a signed file.
    #[error("this is not a signed file")]
    NotSigned,
    /// The key or the signature cannot be read.
    #[error("the signature of the file is damaged")]
    Malformed,
    /// Another key signed than the one that owns the bucket.
    #[error("the file was signed by {signer}, not by the owner of this bucket")]
    OtherSigner {
        /// The address of the key that signed.
        signer: Address,
    },
    /// The signature does not fit the bytes.
    #[error("the signature does not fit the file: one of them has been changed")]
    WrongSignature,
}

/// Wraps an envelope into its signed form.
///
/// # Errors
/// [`SignedError::NotSigned`] when the envelope is not UTF-8, as all envelopes are.
pub fn wrap(signer: &SecretKey, envelope: &[u8]) -> Result<Vec<u8>, SignedError> {
    let text = std::str::from_utf8(envelope).map_err(|_| SignedError::NotSigned)?;
    let wire = Wrapped {
        signature: signer.sign(envelope).to_der_hex().into(),
        public_key: signer.public().to_hex().into(),
        cipher_text: text.into(),
    };
    serde_json::to_vec(&wire).map_err(|_| SignedError::NotSigned)
}

/// Checks a wrapped envelope and gives out the envelope, still closed.
///
/// # Errors
/// See [`SignedError`].
pub fn unwrap(bytes: &[u8], bucket: &Address) -> Result<Vec<u8>, SignedError> {
    let wire: Wrapped<'_> = serde_json::from_slice(bytes).map_err(|_| SignedError::NotSigned)?;
    let digest = Sha256::digest(wire.cipher_text.as_bytes()).into();
    check(&wire.public_key, &wire.signature, &digest, bucket)?;
    Ok(wire.cipher_text.into_owned().into_bytes())
}

/// The most bytes that the wrapped form of an envelope takes: DER signatures vary by a few bytes.
#[must_use]
pub fn wrapped_len_max(plain_bytes: u64, encoding: CipherTextEncoding, kind: ContentKind) -> u64 {
    /// The members and their punctuation, a signature of 72 bytes and a key of 33, in hex.
    const FRAME: u64 = 47 + 2 * 72 + 2 * 33;
    let quotes = match encoding {
        CipherTextEncoding::Hex => 18,
        CipherTextEncoding::Base64 => 22,
    };
    envelope::predicted_len(plain_bytes, encoding, kind).saturating_add(quotes + FRAME)
}

/// Makes the content of the `.sig` file of a plain file.
#[must_use]
pub fn sign_detached(signer: &SecretKey, content: &[u8]) -> Vec<u8> {
    sign_detached_digest(signer, &Sha256::digest(content).into())
}

/// As [`sign_detached`], from the SHA-256 of the content.
#[must_use]
pub fn sign_detached_digest(signer: &SecretKey, digest: &[u8; 32]) -> Vec<u8> {
    // Both texts are hex digits, which need no escapes.
    format!(
        r#"{{"signature":"{}","publicKey":"{}"}}"#,
        signer.sign_digest(digest).to_der_hex(),
        signer.public(),
    )
    .into_bytes()
}

/// Checks a plain file against the content of its `.sig` file.
///
/// # Errors
/// See [`SignedError`].
pub fn verify_detached(
    signature_file: &[u8],
    content: &[u8],
    bucket: &Address,
) -> Result<(), SignedError> {
    verify_detached_digest(signature_file, &Sha256::digest(content).into(), bucket)
}

/// As [`verify_detached`], from the SHA-256 of the content.
///
/// # Errors
/// See [`SignedError`].
pub fn verify_detached_digest(
    signature_file: &[u8],
    digest: &[u8; 32],
    bucket: &Address,
) -> Result<(), SignedError> {
    let wire: Detached<'_> =
        serde_json::from_slice(signature_file).map_err(|_| SignedError::NotSigned)?;
    check(&wire.public_key, &wire.signature, digest, bucket)
}

/// Where the signature of a plain file is.
///
/// # Errors
/// [`PathError`] where the path has no room for the suffix.
pub fn signature_path(path: &FilePath) -> Result<FilePath, PathError> {
    FilePath::parse(&format!("{path}{SIGNATURE_SUFFIX}"))
}

fn check(
    public_key: &str,
    signature: &str,
    digest: &[u8; 32],
    bucket: &Address,
) -> Result<(), SignedError> {
    let key = PublicKey::from_hex(public_key).map_err(|_| SignedError::Malformed)?;
    let signature = Signature::from_der_hex(signature).map_err(|_| SignedError::Malformed)?;
    let signer = key.address();
    if signer != *bucket {
        return Err(SignedError::OtherSigner { signer });
    }
    key.verify_digest(digest, &signature)
        .map_err(|_| SignedError::WrongSignature)
}

/// The wrapped form as JSON, in the order of the stock clients.
#[derive(Serialize, Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(rename = "publicKey", borrow)]
    public_key: Cow<'a, str>,
    #[serde(rename = "cipherText", borrow)]
    cipher_text: Cow<'a, str>,
}

/// The `.sig` file as JSON.
#[derive(Deserialize)]
struct Detached<'a> {
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(rename = "publicKey", borrow)]
    public_key: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[4; 32]).unwrap()
    }

    fn sealed(encoding: CipherTextEncoding, kind: ContentKind) -> Vec<u8> {
        envelope::seal(
            &key().public(),
            &key(),
            [0; 16],
            b"0123456789",
            encoding,
            kind,
        )
    }

    #[test]
    fn wrapped_envelopes_come_out_again_and_fit_the_prediction() {
        for encoding in [CipherTextEncoding::Hex, CipherTextEncoding::Base64] {
            for kind in [ContentKind::String, ContentKind::Bytes] {
                let inner = sealed(encoding, kind);
                let wrapped = wrap(&key(), &inner).unwrap();
                let most = wrapped_len_max(10, encoding, kind);
                // A DER signature has 70 to 72 bytes, and very rarely fewer.
                assert!((most - 12..=most).contains(&(wrapped.len() as u64)));
                assert_eq!(unwrap(&wrapped, &key().address()), Ok(inner));
            }
        }
        assert_eq!(
            wrapped_len_max(10, CipherTextEncoding::Hex, ContentKind::String),
            537
        );
    }

    #[test]
    fn each_kind_of_distrust_has_its_error() {
        let wrapped = wrap(
            &key(),
            &sealed(CipherTextEncoding::Hex, ContentKind::String),
        )
        .unwrap();
        let other = SecretKey::from_bytes(&[5; 32]).unwrap().address();
        let signer = key().address();
        assert_eq!(
            unwrap(&wrapped, &other),
            Err(SignedError::OtherSigner { signer })
        );
        let text = String::from_utf8(wrapped).unwrap();
        let changed = text.replace(":true", ":false");
        assert_eq!(
            unwrap(changed.as_bytes(), &signer),
            Err(SignedError::WrongSignature)
        );
        let changed = text.replace("\"signature\":\"30", "\"signature\":\"31");
        assert_eq!(
            unwrap(changed.as_bytes(), &signer),
            Err(SignedError::Malformed)
        );
        assert_eq!(unwrap(b"{}", &signer), Err(SignedError::NotSigned));
        assert_eq!(wrap(&key(), b"\xff"), Err(SignedError::NotSigned));
    }

    #[test]
    fn a_signature_beside_a_file_holds_for_that_file() {
        let file = sign_detached(&key(), b"content");
        let bucket = key().address();
        assert_eq!(verify_detached(&file, b"content", &bucket), Ok(()));
        let wrong = verify_detached(&file, b"contend", &bucket);
        assert_eq!(wrong, Err(SignedError::WrongSignature));
        let path = FilePath::parse("a/b.txt").unwrap();
        assert_eq!(signature_path(&path).unwrap().as_str(), "a/b.txt.sig");
    }
}
