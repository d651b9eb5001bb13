//! Association tokens: one key (say, of a person's identity) vouches for another (of an app's
//! bucket), so that a hub with a whitelist of people lets the bucket in.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::address::Address;
use crate::jws;
use crate::jws::JwsError;
use crate::key::PublicKey;
use crate::key::SecretKey;
use crate::token::seconds;

/// An association token, ready to be put into a [`crate::token::Token`].
#[derive(Clone, PartialEq, Eq)]
pub struct AssociationToken {
    compact: String,
}

/// Why an association token does not help. The messages are those of the stock hub.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssociationError {
    /// Not a token.
    #[error("Failed to decode association token in JWT")]
    Form,
    /// No issuer.
    #[error("Must provide `iss` claim in association JWT.")]
    NoIssuer,
    /// No child key.
    #[error("Must provide `childToAssociate` claim in association JWT.")]
    NoChild,
    /// No end; here it is required.
    #[error("Must provide `exp` claim in association JWT.")]
    NoExpiry,
    /// Not signed by its issuer.
    #[error("Failed to verify association JWT: invalid issuer")]
    Signature,
    /// Past its end.
    #[error("Expired association token: expire time of {expired_at_seconds} (secs since epoch)")]
    Expired {
        /// When it ended.
        expired_at_seconds: f64,
    },
    /// It vouches for another key.
    #[error("Association token child key {child} does not match {bucket}")]
    OtherChild {
        /// The key that it vouches for.
        child: Box<PublicKey>,
        /// The bucket that it was shown for.
        bucket: Address,
    },
}

impl AssociationToken {
    /// Lets `parent` vouch for `child`. `salt` is 16 random bytes.
    ///
    /// # Errors
    /// None that can be met in practice: the token has a fixed size.
    pub fn make(
        parent: &SecretKey,
        child: &PublicKey,
        validity: Validity,
        salt: [u8; 16],
    ) -> Result<Self, JwsError> {
        let payload = Wire {
            child: Some(child.to_hex()),
            issuer: Some(parent.public().to_hex()),
            expires_at: Some(validity.expires_at_seconds.into()),
            issued_at: Some(validity.issued_at_seconds.into()),
            salt: Some(hex::encode(salt)),
        };
        let compact = jws::sign(parent, &payload)?;
        Ok(Self { compact })
    }

    /// Keeps a token that was made elsewhere.
    ///
    /// # Errors
    /// [`AssociationError`], for its form only; the signature is not checked.
    pub fn parse(compact: &str) -> Result<Self, AssociationError> {
        read(compact)?;
        Ok(Self {
            compact: compact.to_owned(),
        })
    }

    /// The JSON web token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.compact
    }
}

impl fmt::Debug for AssociationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssociationToken(..)")
    }
}

/// From when to when a key vouches for another, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When the token was made.
    pub issued_at_seconds: u64,
    /// When it ends.
    pub expires_at_seconds: u64,
}

/// An association whose signature holds; whether it is in time and for whom is yet to be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedAssociation {
    parent: PublicKey,
    child: PublicKey,
    expires_at_seconds: f64,
}

/// Reads a token and checks its signature: the expensive part, which depends on the token alone.
///
/// # Errors
/// See [`AssociationError`]; all but `Expired` and `OtherChild`.
pub fn verify(compact: &str) -> Result<VerifiedAssociation, AssociationError> {
    let (jws, association) = read(compact)?;
    jws.verify(&association.parent)
        .map_err(|_| AssociationError::Signature)?;
    Ok(association)
}

impl VerifiedAssociation {
    /// Gives the address of the key that vouches for `bucket`, if it does so now.
    ///
    /// # Errors
    /// [`AssociationError::Expired`] and [`AssociationError::OtherChild`].
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
    pub fn parent_of(
        &self,
        bucket: &Address,
        now_seconds: u64,
    ) -> Result<Address, AssociationError> {
        if self.expires_at_seconds < now_seconds as f64 {
            return Err(AssociationError::Expired {
                expired_at_seconds: self.expires_at_seconds,
            });
        }
        if self.child.address() != *bucket {
            return Err(AssociationError::OtherChild {
                child: Box::new(self.child),
                bucket: *bucket,
            });
        }
        Ok(self.parent.address())
    }
}

fn read(compact: &str) -> Result<(jws::Unverified, VerifiedAssociation), AssociationError> {
    let jws = jws::parse(compact).map_err(|_| AssociationError::Form)?;
    let wire: Wire = jws.claims().map_err(|_| AssociationError::Form)?;
    let text = |member: Option<String>| member.filter(|text| !text.is_empty());
    let key = |text: &str| PublicKey::from_hex(text).map_err(|_| AssociationError::Form);
    let issuer = text(wire.issuer).ok_or(AssociationError::NoIssuer)?;
    let child = text(wire.child).ok_or(AssociationError::NoChild)?;
    let expires_at_seconds = wire
        .expires_at
        .and_then(seconds)
        .ok_or(AssociationError::NoExpiry)?;
    let association = VerifiedAssociation {
        parent: key(&issuer)?,
        child: key(&child)?,
        expires_at_seconds,
    };
    Ok((jws, association))
}

/// The payload as JSON, in the order of the stock clients.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "childToAssociate")]
    child: Option<String>,
    #[serde(rename = "iss")]
    issuer: Option<String>,
    #[serde(rename = "exp")]
    expires_at: Option<serde_json::Number>,
    #[serde(rename = "iat", skip_deserializing)]
    issued_at: Option<serde_json::Number>,
    #[serde(skip_deserializing)]
    salt: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_vouches_for_its_child_until_the_end() {
        let parent = SecretKey::from_bytes(&[1; 32]).unwrap();
        let child = SecretKey::from_bytes(&[2; 32]).unwrap();
        let validity = Validity {
            issued_at_seconds: 5,
            expires_at_seconds: 10,
        };
        let token = AssociationToken::make(&parent, &child.public(), validity, [0; 16]).unwrap();
        assert_eq!(AssociationToken::parse(token.as_str()).unwrap(), token);
        let verified = verify(token.as_str()).unwrap();
        assert_eq!(
            verified.parent_of(&child.address(), 10),
            Ok(parent.address())
        );
        assert_eq!(
            verified
                .parent_of(&child.address(), 11)
                .unwrap_err()
                .to_string(),
            "Expired association token: expire time of 10 (secs since epoch)"
        );
        assert!(matches!(
            verified.parent_of(&parent.address(), 10),
            Err(AssociationError::OtherChild { .. })
        ));
    }

    #[test]
    fn missing_members_and_wrong_signers_are_told_apart() {
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let hex = key.public().to_hex();
        let other = SecretKey::from_bytes(&[2; 32]).unwrap();
        for (payload, want) in [
            (serde_json::json!({}), AssociationError::NoIssuer),
            (serde_json::json!({"iss": hex}), AssociationError::NoChild),
            (
                serde_json::json!({"iss": hex, "childToAssociate": hex}),
                AssociationError::NoExpiry,
            ),
            (
                serde_json::json!({"iss": hex, "childToAssociate": hex, "exp": 0}),
                AssociationError::NoExpiry,
            ),
            (
                serde_json::json!({"iss": hex, "childToAssociate": "02", "exp": 1}),
                AssociationError::Form,
            ),
            (
                serde_json::json!({"iss": hex, "childToAssociate": hex, "exp": 1.5}),
                AssociationError::Signature,
            ),
        ] {
            let compact = jws::sign(&other, &payload).unwrap();
            assert_eq!(verify(&compact), Err(want), "{payload}");
        }
        assert_eq!(verify("x"), Err(AssociationError::Form));
    }
}
