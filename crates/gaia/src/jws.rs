//! Compact JSON web signatures with ES256K, the one algorithm there is.
//!
//! The header of a token is never asked which algorithm or key to use: an attacker writes it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;
use sha2::Digest;
use sha2::Sha256;

use crate::key::KeyError;
use crate::key::PublicKey;
use crate::key::SecretKey;
use crate::key::Signature;
use crate::limits::TOKEN_BYTES_MAX;

/// The header as every Gaia client writes it.
const HEADER: &str = r#"{"typ":"JWT","alg":"ES256K"}"#;

/// A token taken apart; its signature has not been checked.
#[derive(Debug, Clone)]
pub(crate) struct Unverified {
    digest: [u8; 32],
    signature: Option<Signature>,
    payload: Vec<u8>,
}

/// Why a text is not a JSON web signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts joined by dots.
    #[error("the token does not have three parts joined by dots")]
    Parts,
    /// Header or payload is not base64url without padding.
    #[error("the token is not base64url without padding")]
    Base64,
    /// Header or payload is not the JSON that is expected.
    #[error("the token does not hold the JSON that is expected")]
    Json,
}

/// Takes a token apart.
pub(crate) fn parse(compact: &str) -> Result<Unverified, JwsError> {
    if compact.len() > TOKEN_BYTES_MAX {
        return Err(JwsError::TooLong);
    }
    let (signed, signature) = compact.rsplit_once('.').ok_or(JwsError::Parts)?;
    let (header, payload) = signed.split_once('.').ok_or(JwsError::Parts)?;
    if payload.contains('.') {
        return Err(JwsError::Parts);
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Base64);
    let header = decode(header)?;
    let payload = decode(payload)?;
    serde_json::from_slice::<IgnoredAny>(&header).map_err(|_| JwsError::Json)?;
    // Serde would take the members of a struct from a JSON array too.
    if !is_object(&header) || !is_object(&payload) {
        return Err(JwsError::Json);
    }
    Ok(Unverified {
        digest: Sha256::digest(signed).into(),
        // A signature that cannot be read is one that does not hold.
        signature: decode(signature)
            .ok()
            .and_then(|raw| Signature::from_bytes(&raw).ok()),
        payload,
    })
}

/// Signs a payload.
pub(crate) fn sign(key: &SecretKey, payload: &impl Serialize) -> Result<String, JwsError> {
    let payload = serde_json::to_vec(payload).map_err(|_| JwsError::Json)?;
    let mut compact = URL_SAFE_NO_PAD.encode(HEADER);
    compact.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut compact);
    let signature = key.sign(compact.as_bytes());
    compact.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut compact);
    if compact.len() > TOKEN_BYTES_MAX {
        return Err(JwsError::TooLong);
    }
    Ok(compact)
}

impl Unverified {
    /// Reads the payload, which nobody has vouched for yet.
    pub(crate) fn claims<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JwsError> {
        serde_json::from_slice(&self.payload).map_err(|_| JwsError::Json)
    }

    /// Checks the signature: the expensive part.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), KeyError> {
        let signature = self.signature.as_ref().ok_or(KeyError::BadSignature)?;
        key.verify_digest(&self.digest, signature)
    }
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Payload {
        a: u8,
    }

    #[test]
    fn what_was_signed_verifies_and_reads_back() {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let compact = sign(&key, &Payload { a: 1 }).unwrap();
        let parsed = parse(&compact).unwrap();
        assert_eq!(parsed.claims::<Payload>(), Ok(Payload { a: 1 }));
        parsed.verify(&key.public()).unwrap();
    }

    #[test]
    fn laxness_of_encoding_is_refused() {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let compact = sign(&key, &Payload { a: 1 }).unwrap();
        let [header, payload, signature] = {
            let parts: Vec<&str> = compact.split('.').collect();
            <[&str; 3]>::try_from(parts).unwrap()
        };
        let refused = |text: String| match parse(&text) {
            Err(error) => Err(error),
            Ok(parsed) => Ok(parsed.verify(&key.public())),
        };
        let bad = Ok(Err(KeyError::BadSignature));
        assert_eq!(refused(String::new()), Err(JwsError::Parts));
        assert_eq!(refused(format!("{header}.{payload}")), Err(JwsError::Parts));
        assert_eq!(refused(format!("{compact}.x")), Err(JwsError::Parts));
        assert_eq!(
            refused(format!("{header}=.{payload}.{signature}")),
            Err(JwsError::Base64)
        );
        assert_eq!(
            refused(format!("{header}.{payload}==.{signature}")),
            Err(JwsError::Base64)
        );
        assert_eq!(
            refused(format!("W10.{payload}.{signature}")),
            Err(JwsError::Json)
        );
        assert_eq!(refused(format!("{header}.{payload}.")), bad);
        assert_eq!(refused(format!("{header}.{payload}.{signature}==")), bad);
        assert_eq!(
            refused(format!("{header}.{payload}.{}", &signature[..80])),
            bad
        );
        assert_eq!(
            refused("x".repeat(TOKEN_BYTES_MAX + 1)),
            Err(JwsError::TooLong)
        );
    }
}
