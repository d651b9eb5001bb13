//! The whole check of an `Authorization` header, in the order of the stock hub.
//!
//! The expensive part, signatures, depends on nothing but the header and the name of the server:
//! a hub keeps [`ProvenCredentials`] under [`Credentials::fingerprint`] and calls
//! [`ProvenCredentials::authorize`] for each further request, which asks everything that can
//! change with time again.

mod error;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

pub use self::error::AuthError;
use crate::address::Address;
use crate::association;
use crate::association::AssociationError;
use crate::association::VerifiedAssociation;
use crate::challenge;
use crate::legacy::ParsedLegacyToken;
use crate::limits::TOKEN_BYTES_MAX;
use crate::path::FilePath;
use crate::scope::Scopes;
use crate::scope::Verdict;
use crate::token::Claims;
use crate::token::ParsedToken;

/// What a hub knows when a request arrives.
#[derive(Debug, Clone, Copy)]
pub struct AuthContext<'a> {
    /// The name in the hub's challenge text.
    pub server_name: &'a str,
    /// The bucket that the request is about.
    pub bucket: &'a Address,
    /// Seconds since 1970.
    pub now_seconds: u64,
    /// The oldest valid time stamp that the owner has set for the bucket, if any.
    pub revoked_before_seconds: Option<u64>,
    /// Whether tokens must name this hub.
    pub hub_urls: HubUrls<'a>,
    /// The addresses that may write; nothing means everybody.
    pub whitelist: Option<&'a BTreeSet<Address>>,
}

impl<'a> AuthContext<'a> {
    /// A hub as it comes: no revocation, no hub URL asked for, no whitelist.
    #[must_use]
    pub fn new(server_name: &'a str, bucket: &'a Address, now_seconds: u64) -> Self {
        Self {
            server_name,
            bucket,
            now_seconds,
            revoked_before_seconds: None,
            hub_urls: HubUrls::Any,
            whitelist: None,
        }
    }
}

/// Whether tokens must name the hub that they are for.
#[derive(Debug, Clone, Copy)]
pub enum HubUrls<'a> {
    /// They may say what they like.
    Any,
    /// They must name one of these, or `https://` and the server name.
    OneOf(&'a [String]),
}

/// Checks the value of an `Authorization` header from end to end.
///
/// # Errors
/// See [`AuthError`]; where several things are wrong, the one that a stock hub would name.
pub fn authenticate(header: &str, context: &AuthContext<'_>) -> Result<Authorization, AuthError> {
    let credentials = Credentials::parse(header)?;
    credentials.check_before_signature(context)?;
    credentials
        .prove(context.server_name)?
        .check_after_signature(context)
}

/// A header that has been read; no signature has been checked.
#[derive(Clone)]
pub struct Credentials {
    fingerprint: [u8; 32],
    kind: Kind,
    issuer: Address,
}

#[derive(Clone)]
enum Kind {
    V1(Box<ParsedToken>),
    Legacy(ParsedLegacyToken),
}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`AuthError::Unreadable`].
    pub fn parse(header: &str) -> Result<Self, AuthError> {
        const BEARER: &str = "bearer";
        if header.len() > TOKEN_BYTES_MAX
            || !header
                .get(..BEARER.len())
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER))
        {
            return Err(AuthError::Unreadable);
        }
        // Whatever stands between the scheme and the token, it is one byte.
        let text = header
            .get(BEARER.len() + 1..)
            .ok_or(AuthError::Unreadable)?;
        let kind = match text.split_once(':') {
            Some(("v1", compact)) => {
                let token = ParsedToken::parse(compact).map_err(|_| AuthError::Unreadable)?;
                Kind::V1(Box::new(token))
            }
            Some(_) => return Err(AuthError::Unreadable),
            None => {
                let token = ParsedLegacyToken::parse(text).map_err(|_| AuthError::Unreadable)?;
                Kind::Legacy(token)
            }
        };
        let issuer = match &kind {
            Kind::V1(token) => token.unverified_claims().issuer.address(),
            Kind::Legacy(token) => token.public_key().address(),
        };
        Ok(Self {
            fingerprint: Self::fingerprint_of(text),
            kind,
            issuer,
        })
    }

    /// The bucket of whoever signed the token. Nobody has looked at the signature.
    #[must_use]
    pub fn issuer(&self) -> &Address {
        &self.issuer
    }

    /// A digest of the token: a key under which [`ProvenCredentials`] can be kept.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Checks the signatures: the expensive part.
    ///
    /// # Errors
    /// [`AuthError::Signature`] and [`AuthError::LegacySignature`].
    pub fn prove(self, server_name: &str) -> Result<ProvenCredentials, AuthError> {
        let proof = match &self.kind {
            Kind::V1(token) => {
                token.verify_signature().map_err(|_| AuthError::Signature)?;
                // A bad association token is told of only after the challenge and the end of
                // the outer one, as the stock hub does.
                let claims = token.unverified_claims();
                let association = claims.association.as_deref();
                Proof::V1 {
                    association: association.map(association::verify).map(Box::new),
                    challenged_by: is_challenge_of(claims, server_name)
                        .then(|| server_name.to_owned()),
                }
            }
            Kind::Legacy(token) => {
                token
                    .verify(server_name)
                    .map_err(|_| AuthError::LegacySignature)?;
                Proof::Legacy {
                    server_name: server_name.to_owned(),
                }
            }
        };
        Ok(ProvenCredentials {
            inner: Arc::new(Proven {
                credentials: self,
                proof,
            }),
        })
    }

    fn fingerprint_of(text: &str) -> [u8; 32] {
        Sha256::digest(text).into()
    }

    /// Asks what a stock hub asks before it looks at the signature: which refusal a client sees
    /// depends on the order, and what is refused here costs little.
    ///
    /// # Errors
    /// See [`AuthError`]; nothing is proven when there is none.
    pub fn check_before_signature(&self, context: &AuthContext<'_>) -> Result<(), AuthError> {
        let Kind::V1(token) = &self.kind else {
            return check_bucket(self.issuer, context);
        };
        let claims = token.unverified_claims();
        check_revocation(claims, context)?;
        check_bucket(self.issuer, context)?;
        check_hub_url(claims, context)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::V1(_) => "Credentials(v1)",
            Kind::Legacy(_) => "Credentials(legacy)",
        })
    }
}

/// A header whose signatures hold. Clones share what they hold.
#[derive(Debug, Clone)]
pub struct ProvenCredentials {
    inner: Arc<Proven>,
}

#[derive(Debug)]
struct Proven {
    credentials: Credentials,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    V1 {
        association: Option<Box<Result<VerifiedAssociation, AssociationError>>>,
        /// The server whose challenge it has, if that is the one it was proven to.
        challenged_by: Option<String>,
    },
    Legacy {
        server_name: String,
    },
}

impl ProvenCredentials {
    /// The bucket of whoever signed the token.
    #[must_use]
    pub fn issuer(&self) -> &Address {
        self.inner.credentials.issuer()
    }

    /// Asks everything but the signatures, as of now.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub fn authorize(&self, context: &AuthContext<'_>) -> Result<Authorization, AuthError> {
        self.inner.credentials.check_before_signature(context)?;
        self.check_after_signature(context)
    }

    /// What a stock hub asks once it knows the signature to hold.
    fn check_after_signature(&self, context: &AuthContext<'_>) -> Result<Authorization, AuthError> {
        let mut signer = *context.bucket;
        let mut scopes = Scopes::default();
        match (&self.inner.credentials.kind, &self.inner.proof) {
            (
                Kind::V1(token),
                Proof::V1 {
                    association,
                    challenged_by,
                },
            ) => {
                let claims = token.unverified_claims();
                if challenged_by.as_deref() != Some(context.server_name) {
                    check_challenge(claims, context)?;
                }
                check_expiry(claims, context)?;
                if let Some(association) = association {
                    signer = association
                        .as_ref()
                        .as_ref()
                        .map_err(Clone::clone)?
                        .parent_of(context.bucket, context.now_seconds)?;
                }
                scopes = claims.scopes.clone();
            }
            (Kind::Legacy(_), Proof::Legacy { server_name })
                if server_name == context.server_name => {}
            (Kind::Legacy(_) | Kind::V1(_), _) => return Err(AuthError::LegacySignature),
        }
        if context
            .whitelist
            .is_some_and(|list| !list.contains(&signer))
        {
            return Err(AuthError::NotWhitelisted { signer });
        }
        Ok(Authorization {
            bucket: *context.bucket,
            signer,
            scopes,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
fn check_revocation(claims: &Claims, context: &AuthContext<'_>) -> Result<(), AuthError> {
    let Some(revoked_before_seconds) = context.revoked_before_seconds.filter(|time| *time > 0)
    else {
        return Ok(());
    };
    match claims.issued_at_seconds {
        None => Err(AuthError::RevokedUndated {
            revoked_before_seconds,
        }),
        Some(issued_at_seconds) if issued_at_seconds < revoked_before_seconds as f64 => {
            Err(AuthError::Revoked {
                revoked_before_seconds,
                issued_at_seconds,
            })
        }
        Some(_) => Ok(()),
    }
}

fn check_bucket(issuer: Address, context: &AuthContext<'_>) -> Result<(), AuthError> {
    if issuer == *context.bucket {
        Ok(())
    } else {
        Err(AuthError::OtherBucket)
    }
}

fn check_hub_url(claims: &Claims, context: &AuthContext<'_>) -> Result<(), AuthError> {
    let HubUrls::OneOf(valid) = context.hub_urls else {
        return Ok(());
    };
    let claimed = claims.hub_url.as_deref().ok_or(AuthError::NoHubUrl)?;
    let claimed = claimed.strip_suffix('/').unwrap_or(claimed);
    let own = format!("https://{}", context.server_name);
    if claimed == own || valid.iter().any(|url| url == claimed) {
        return Ok(());
    }
    let mut all: Vec<&str> = valid.iter().map(String::as_str).collect();
    if !all.contains(&own.as_str()) {
        all.push(&own);
    }
    Err(AuthError::OtherHubUrl {
        claimed: claimed.to_owned(),
        valid: serde_json::json!(all).to_string(),
    })
}

fn is_challenge_of(claims: &Claims, server_name: &str) -> bool {
    let text = claims.challenge_text.as_ref();
    text.is_some_and(|text| challenge::accepted_texts(server_name).contains(text))
}

fn check_challenge(claims: &Claims, context: &AuthContext<'_>) -> Result<(), AuthError> {
    let valid = challenge::accepted_texts(context.server_name);
    match &claims.challenge_text {
        Some(text) if valid.contains(text) => Ok(()),
        claimed => Err(AuthError::Challenge {
            claimed: claimed.as_deref().unwrap_or("undefined").to_owned(),
            valid: serde_json::json!(valid).to_string(),
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
fn check_expiry(claims: &Claims, context: &AuthContext<'_>) -> Result<(), AuthError> {
    match claims.expires_at_seconds {
        Some(expired_at_seconds) if expired_at_seconds < context.now_seconds as f64 => {
            Err(AuthError::Expired { expired_at_seconds })
        }
        Some(_) | None => Ok(()),
    }
}

/// What the sender of a request may do in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    bucket: Address,
    signer: Address,
    scopes: Scopes,
}

impl Authorization {
    /// The bucket that this is about.
    #[must_use]
    pub fn bucket(&self) -> &Address {
        &self.bucket
    }

    /// Who answers for the request: the bucket itself, or the key that vouched for it.
    #[must_use]
    pub fn signer(&self) -> &Address {
        &self.signer
    }

    /// The scopes of the token.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Whether a store or delete first moves the old file to its historical name, and listings
    /// leave historical files out.
    #[must_use]
    pub fn is_archival(&self) -> bool {
        self.scopes.is_archival()
    }

    /// Whether a file may be stored at `path`.
    ///
    /// # Errors
    /// [`AuthError::ScopesModify`] and [`AuthError::ScopesStore`].
    pub fn may_store(&self, path: &FilePath) -> Result<(), AuthError> {
        self.judge(self.scopes.store(path), path, |bucket, path| {
            AuthError::ScopesStore { bucket, path }
        })
    }

    /// Whether the file at `path` may be deleted.
    ///
    /// # Errors
    /// [`AuthError::ScopesModify`] and [`AuthError::ScopesDelete`].
    pub fn may_delete(&self, path: &FilePath) -> Result<(), AuthError> {
        self.judge(self.scopes.delete(path), path, |bucket, path| {
            AuthError::ScopesDelete { bucket, path }
        })
    }

    fn judge(
        &self,
        verdict: Verdict,
        path: &FilePath,
        outside: impl FnOnce(Address, FilePath) -> AuthError,
    ) -> Result<(), AuthError> {
        match verdict {
            Verdict::Allowed => Ok(()),
            Verdict::OutsideArchival => Err(AuthError::ScopesModify {
                bucket: self.bucket,
                path: path.clone(),
            }),
            Verdict::OutsideScopes => Err(outside(self.bucket, path.clone())),
        }
    }
}
