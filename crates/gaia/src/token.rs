//! v1 tokens: what a client sends to show that it holds the key of a bucket.
//!
//! Making and taking apart is here, and the check of the signature; whether a token is good for
//! one hub, bucket and moment is decided in [`crate::auth`].

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::association::AssociationToken;
use crate::jws;
use crate::jws::JwsError;
use crate::key::KeyError;
use crate::key::PublicKey;
use crate::key::SecretKey;
use crate::scope::ScopeError;
use crate::scope::ScopeWire;
use crate::scope::Scopes;

/// Why a token could not be made, read or verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a JSON web signature with a Gaia payload.
    #[error(transparent)]
    Form(#[from] JwsError),
    /// No issuer, or not a public key.
    #[error("the token does not name the public key that issued it")]
    Issuer,
    /// Scopes that no hub would take.
    #[error(transparent)]
    Scopes(#[from] ScopeError),
    /// Not signed by its issuer.
    #[error("the token is not signed by the key that it names")]
    Signature,
}

impl From<KeyError> for TokenError {
    fn from(_: KeyError) -> Self {
        Self::Signature
    }
}

/// A v1 token, ready to be sent. It opens the bucket, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    compact: String,
}

impl Token {
    /// Keeps a token that was made elsewhere, with or without its `v1:`.
    ///
    /// # Errors
    /// See [`TokenError`]; the signature is not checked.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let compact = text.strip_prefix("v1:").unwrap_or(text);
        ParsedToken::parse(compact)?;
        Ok(Self {
            compact: compact.to_owned(),
        })
    }

    /// The JSON web token alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.compact
    }

    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("bearer v1:{}", self.compact)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Makes [`Token`]s. The order of the members in the payload is that of the stock clients.
#[derive(Debug, Clone)]
pub struct TokenBuilder {
    challenge_text: String,
    salt: [u8; 16],
    hub_url: Option<String>,
    association: Option<String>,
    issued_at_seconds: Option<u64>,
    expires_at_seconds: Option<u64>,
    scopes: Scopes,
}

impl TokenBuilder {
    /// Starts a token for the hub that gave this challenge text. `salt` is 16 random bytes.
    #[must_use]
    pub fn new(challenge_text: impl Into<String>, salt: [u8; 16]) -> Self {
        Self {
            challenge_text: challenge_text.into(),
            salt,
            hub_url: None,
            association: None,
            issued_at_seconds: None,
            expires_at_seconds: None,
            scopes: Scopes::default(),
        }
    }

    /// Names the hub that the token is meant for; some hubs insist.
    #[must_use]
    pub fn hub_url(mut self, url: impl Into<String>) -> Self {
        self.hub_url = Some(url.into());
        self
    }

    /// Says when the token was made. Without it, one `revoke-all` shuts the token out for ever.
    #[must_use]
    pub fn issued_at(mut self, seconds: u64) -> Self {
        self.issued_at_seconds = Some(seconds);
        self
    }

    /// Says when the token ends. Without it, it never does.
    #[must_use]
    pub fn expires_at(mut self, seconds: u64) -> Self {
        self.expires_at_seconds = Some(seconds);
        self
    }

    /// Restricts what the token may do.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Attaches the word of another key that vouches for this one.
    #[must_use]
    pub fn association(mut self, token: &AssociationToken) -> Self {
        self.association = Some(token.as_str().to_owned());
        self
    }

    /// Signs the token with the key of the bucket.
    ///
    /// # Errors
    /// [`TokenError::Form`] when it would be too long to be sent.
    pub fn sign(self, key: &SecretKey) -> Result<Token, TokenError> {
        let scopes = self.scopes.to_wire();
        let payload = ClaimsWire {
            challenge: Some(self.challenge_text),
            hub_url: self.hub_url,
            issuer: Some(key.public().to_hex()),
            salt: Some(hex::encode(self.salt)),
            association: self.association,
            issued_at: self.issued_at_seconds.map(Into::into),
            expires_at: self.expires_at_seconds.map(Into::into),
            scopes: (!scopes.is_empty()).then_some(scopes),
        };
        let compact = jws::sign(key, &payload)?;
        Ok(Token { compact })
    }
}

/// What a token says. Times are seconds since 1970 and may be fractional.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Claims {
    /// The challenge text that the client was given.
    pub challenge_text: Option<String>,
    /// The hub that the token is meant for.
    pub hub_url: Option<String>,
    /// The key that signed, whose address is the bucket.
    pub issuer: PublicKey,
    /// When it was made; nothing if it does not say.
    pub issued_at_seconds: Option<f64>,
    /// When it ends; nothing if never.
    pub expires_at_seconds: Option<f64>,
    /// What it may do.
    pub scopes: Scopes,
    /// The word of another key, not yet looked at.
    pub association: Option<String>,
}

/// A token that has been read; nobody has vouched for its claims yet.
#[derive(Debug, Clone)]
pub struct ParsedToken {
    jws: jws::Unverified,
    claims: Claims,
}

impl ParsedToken {
    /// Reads a token without its `v1:`.
    ///
    /// # Errors
    /// See [`TokenError`]; all but `Signature`.
    pub fn parse(compact: &str) -> Result<Self, TokenError> {
        let jws = jws::parse(compact)?;
        let wire: ClaimsWire = jws.claims()?;
        let issuer = wire.issuer.ok_or(TokenError::Issuer)?;
        let claims = Claims {
            challenge_text: wire.challenge,
            hub_url: wire.hub_url.filter(|url| !url.is_empty()),
            issuer: PublicKey::from_hex(&issuer).map_err(|_| TokenError::Issuer)?,
            issued_at_seconds: wire.issued_at.and_then(seconds),
            expires_at_seconds: wire.expires_at.and_then(seconds),
            scopes: Scopes::from_wire(wire.scopes.unwrap_or_default())?,
            association: wire.association.filter(|token| !token.is_empty()),
        };
        Ok(Self { jws, claims })
    }

    /// What the token says, true or not.
    #[must_use]
    pub fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Checks the signature. This is the expensive part, and depends on nothing but the token.
    ///
    /// # Errors
    /// [`TokenError::Signature`].
    pub fn verify_signature(&self) -> Result<(), TokenError> {
        Ok(self.jws.verify(&self.claims.issuer)?)
    }

    /// Checks the signature and gives the claims that it vouches for.
    ///
    /// # Errors
    /// [`TokenError::Signature`].
    pub fn verify(self) -> Result<VerifiedToken, TokenError> {
        self.verify_signature()?;
        Ok(VerifiedToken {
            claims: self.claims,
        })
    }
}

/// A token that was really signed by the key that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    claims: Claims,
}

impl VerifiedToken {
    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// A time from a token; zero means the same as absent, as in JavaScript.
pub(crate) fn seconds(number: serde_json::Number) -> Option<f64> {
    number.as_f64().filter(|seconds| *seconds != 0.0)
}

/// The payload as JSON.
#[derive(Serialize, Deserialize)]
struct ClaimsWire {
    #[serde(rename = "gaiaChallenge")]
    challenge: Option<String>,
    #[serde(rename = "hubUrl", skip_serializing_if = "Option::is_none")]
    hub_url: Option<String>,
    #[serde(rename = "iss")]
    issuer: Option<String>,
    #[serde(skip_deserializing)]
    salt: Option<String>,
    #[serde(rename = "associationToken", skip_serializing_if = "Option::is_none")]
    association: Option<String>,
    #[serde(rename = "iat", skip_serializing_if = "Option::is_none")]
    issued_at: Option<serde_json::Number>,
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    expires_at: Option<serde_json::Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<ScopeWire>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;
    use crate::scope::ScopeKind;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[9; 32]).unwrap()
    }

    #[test]
    fn everything_put_in_comes_out() {
        let scopes = Scopes::new(vec![Scope::new(ScopeKind::PutFile, "a")]).unwrap();
        let token = TokenBuilder::new("challenge", [1; 16])
            .hub_url("https://hub")
            .issued_at(10)
            .expires_at(20)
            .scopes(scopes.clone())
            .sign(&key())
            .unwrap();
        let verified = ParsedToken::parse(token.as_str())
            .unwrap()
            .verify()
            .unwrap();
        let want = Claims {
            challenge_text: Some("challenge".into()),
            hub_url: Some("https://hub".into()),
            issuer: key().public(),
            issued_at_seconds: Some(10.0),
            expires_at_seconds: Some(20.0),
            scopes,
            association: None,
        };
        assert_eq!(verified.claims(), &want);
        assert_eq!(
            token.authorization(),
            format!("bearer v1:{}", token.as_str())
        );
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_signed_by_another_key_than_it_names_is_refused() {
        let mine = TokenBuilder::new("c", [1; 16]).sign(&key()).unwrap();
        let other = SecretKey::from_bytes(&[8; 32]).unwrap();
        let theirs = TokenBuilder::new("c", [1; 16]).sign(&other).unwrap();
        let (body, _) = mine.as_str().rsplit_once('.').unwrap();
        let (_, signature) = theirs.as_str().rsplit_once('.').unwrap();
        let forged = ParsedToken::parse(&format!("{body}.{signature}")).unwrap();
        assert_eq!(forged.verify(), Err(TokenError::Signature));
    }

    #[test]
    fn payloads_that_no_client_sends_are_refused() {
        let issuer = key().public().to_hex();
        for (payload, want) in [
            (serde_json::json!({}), TokenError::Issuer),
            (serde_json::json!({"iss": "02"}), TokenError::Issuer),
            (
                serde_json::json!({"iss": 5}),
                TokenError::Form(JwsError::Json),
            ),
            (serde_json::json!([]), TokenError::Form(JwsError::Json)),
            (
                serde_json::json!({"iss": issuer, "exp": "1"}),
                TokenError::Form(JwsError::Json),
            ),
            (
                serde_json::json!({"iss": issuer, "scopes": [{"scope": "x", "domain": "a"}]}),
                TokenError::Scopes(ScopeError::UnknownKind { name: "x".into() }),
            ),
        ] {
            let compact = jws::sign(&key(), &payload).unwrap();
            let error = ParsedToken::parse(&compact).unwrap_err();
            assert_eq!(error, want, "{payload}");
        }
    }

    #[test]
    fn nulls_and_zeroes_mean_absent_and_strangers_are_ignored() {
        let payload = serde_json::json!({
            "iss": key().public().to_hex(), "exp": 0, "iat": null, "scopes": null,
            "hubUrl": "", "associationToken": "", "salt": 7, "else": {"a": [1]},
        });
        let compact = jws::sign(&key(), &payload).unwrap();
        let parsed = ParsedToken::parse(&compact).unwrap();
        let claims = parsed.unverified_claims();
        assert_eq!(
            (claims.expires_at_seconds, claims.issued_at_seconds),
            (None, None)
        );
        assert_eq!((&claims.hub_url, &claims.association), (&None, &None));
    }
}
