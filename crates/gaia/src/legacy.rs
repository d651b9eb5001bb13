//! Legacy tokens: a bare signature over the challenge text. They have no end, no scopes, and no
//! date that a revocation could be compared with. Very old hubs know nothing else.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use crate::challenge;
use crate::key::KeyError;
use crate::key::PublicKey;
use crate::key::SecretKey;
use crate::key::Signature;
use crate::limits::TOKEN_BYTES_MAX;

/// Stock hubs do not mind whether the padding is there.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A legacy token, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyToken {
    text: String,
}

impl LegacyToken {
    /// Signs the challenge text of a hub.
    #[must_use]
    pub fn make(key: &SecretKey, challenge_text: &str) -> Self {
        let json = serde_json::json!({
            "publickey": key.public().to_hex(),
            "signature": key.sign(challenge_text.as_bytes()).to_der_hex(),
        });
        Self {
            text: STANDARD.encode(json.to_string()),
        }
    }

    /// The token alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("bearer {}", self.text)
    }
}

impl fmt::Debug for LegacyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyToken(..)")
    }
}

/// A legacy token that has been read; its signature has not been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedLegacyToken {
    key: PublicKey,
    signature: Signature,
}

/// Why a text is not a legacy token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a legacy token: base64 of JSON with a public key and a DER signature")]
pub struct LegacyError;

impl ParsedLegacyToken {
    /// Reads a token.
    ///
    /// # Errors
    /// [`LegacyError`].
    pub fn parse(text: &str) -> Result<Self, LegacyError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(LegacyError);
        }
        let json = LENIENT.decode(text).map_err(|_| LegacyError)?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| LegacyError)?;
        Ok(Self {
            key: PublicKey::from_hex(&wire.publickey).map_err(|_| LegacyError)?,
            signature: Signature::from_der_hex(&wire.signature).map_err(|_| LegacyError)?,
        })
    }

    /// The key that is said to have signed.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Checks the signature over any of the texts that a hub of this name takes.
    ///
    /// # Errors
    /// [`KeyError::WrongSignature`].
    pub fn verify(&self, server_name: &str) -> Result<(), KeyError> {
        challenge::accepted_texts(server_name)
            .iter()
            .map(|text| self.key.verify(text.as_bytes(), &self.signature))
            .find(Result::is_ok)
            .unwrap_or(Err(KeyError::WrongSignature))
    }
}

/// The token as JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    publickey: String,
    signature: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_hub_in_any_year() {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        for text in challenge::accepted_texts("here") {
            let token = LegacyToken::make(&key, &text);
            let parsed = ParsedLegacyToken::parse(token.as_str().trim_end_matches('=')).unwrap();
            assert_eq!(parsed.public_key(), &key.public());
            parsed.verify("here").unwrap();
            assert!(parsed.verify("there").is_err());
        }
        let token = LegacyToken::make(
            &key,
            r#"["gaiahub","2020","here","blockstack_storage_please_sign"]"#,
        );
        assert!(
            ParsedLegacyToken::parse(token.as_str())
                .unwrap()
                .verify("here")
                .is_err()
        );
    }

    #[test]
    fn garbage_is_refused() {
        for text in [
            "",
            "e30=",
            "bm8=",
            "%%%",
            &STANDARD.encode(r#"{"publickey":"02","signature":"30"}"#),
        ] {
            assert_eq!(ParsedLegacyToken::parse(text), Err(LegacyError), "{text}");
        }
    }
}
