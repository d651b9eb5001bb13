//! Who may do what: checks tokens, and remembers those whose signatures hold.
//!
//! Signatures depend on nothing but the token, so each is checked once while it is remembered.
//! Everything that changes with time (end, revocation) is asked for every request, and revocation
//! once more where the change is decided. What tokens look like is `gaia`'s business.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use gaia::address::Address;
use gaia::auth::{AuthContext, AuthError, Authorization, Credentials, HubUrls, ProvenCredentials};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use lru::LruCache;
use sha2::{Digest as _, Sha256};

use crate::config::{HubConfig, HubUrlRule, LegacyTokens, Live, Quota};
use crate::index::Revocations;
use crate::metrics::Metrics;

/// Proven tokens that are remembered.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Checks the `Authorization` header of requests.
pub(crate) struct Gate {
    live: Arc<Live>,
    revocations: Arc<Revocations>,
    remembered: Mutex<LruCache<[u8; 32], Proof>>,
    metrics: Arc<Metrics>,
}

/// A token whose signatures hold.
#[derive(Clone, Debug)]
struct Proof {
    credentials: ProvenCredentials,
    kind: TokenKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TokenKind {
    V1,
    /// Says neither when it was made nor when it ends.
    Legacy,
}

/// Leave to work on one bucket, given to one request. Cheap to clone: each change of a batch has
/// it.
#[derive(Clone, Debug)]
pub(crate) struct Grant(Arc<Granted>);

#[derive(Debug)]
struct Granted {
    /// The settings at the beginning of the request.
    config: Arc<HubConfig>,
    proof: Proof,
    authorization: Authorization,
    /// The revocation time that the token was checked against.
    oldest_valid: u64,
}

impl Gate {
    pub(crate) fn new(
        live: Arc<Live>,
        revocations: Arc<Revocations>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            live,
            revocations,
            remembered: Mutex::new(LruCache::new(REMEMBERED_MAX)),
            metrics,
        }
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Checks the token of a request against a bucket.
    pub(crate) fn admit(&self, headers: &HeaderMap, bucket: &str) -> Result<Grant, AuthError> {
        let header = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .ok_or(AuthError::Unreadable)?;
        let config = self.live.get();
        let fingerprint = Sha256::digest(header).into();
        if let Some(proof) = self.recall(&fingerprint)
            && proof.credentials.issuer().as_str() == bucket
        {
            self.metrics.token_hits.add(1);
            let bucket = *proof.credentials.issuer();
            return self.grant(config, proof, &bucket);
        }
        // Any alphanumeric text is let through to here; one that is no address is no token's.
        let bucket = Address::parse(bucket).map_err(|_| AuthError::OtherBucket)?;
        self.metrics.token_misses.add(1);
        let credentials = Credentials::parse(header)?;
        let oldest_valid = self.revocations.oldest_valid(&bucket);
        credentials.check_before_signature(&context(&config, &bucket, oldest_valid))?;
        // Every remembered proof is for this name, so it must not change while the hub runs.
        let credentials = credentials.prove(&config.server_name)?;
        let proof = Proof {
            credentials,
            kind: TokenKind::of(header),
        };
        let grant = self.grant(config, proof.clone(), &bucket)?;
        self.remember(fingerprint, proof);
        Ok(grant)
    }

    fn grant(
        &self,
        config: Arc<HubConfig>,
        proof: Proof,
        bucket: &Address,
    ) -> Result<Grant, AuthError> {
        let oldest_valid = self.revocations.oldest_valid(bucket);
        let authorization = proof.authorize(&config, bucket, oldest_valid)?;
        Ok(Grant(Arc::new(Granted {
            config,
            proof,
            authorization,
            oldest_valid,
        })))
    }

    fn recall(&self, fingerprint: &[u8; 32]) -> Option<Proof> {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.get(fingerprint).cloned()
    }

    fn remember(&self, fingerprint: [u8; 32], proof: Proof) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.put(fingerprint, proof);
    }
}

impl TokenKind {
    /// Only v1 tokens have a version before a colon; base64 has no colon.
    fn of(header: &str) -> Self {
        if header.contains(':') {
            Self::V1
        } else {
            Self::Legacy
        }
    }
}

impl Proof {
    fn authorize(
        &self,
        config: &HubConfig,
        bucket: &Address,
        oldest_valid: u64,
    ) -> Result<Authorization, AuthError> {
        if self.kind == TokenKind::Legacy && config.legacy_tokens == LegacyTokens::Refuse {
            return Err(AuthError::LegacyRefused);
        }
        let context = context(config, bucket, oldest_valid);
        let authorization = self.credentials.authorize(&context)?;
        // The stock hub lets a legacy token in even after a revocation. Nothing tells a stolen
        // one from another, so here a revocation means all of them.
        if self.kind == TokenKind::Legacy && oldest_valid > 0 {
            return Err(AuthError::RevokedUndated {
                revoked_before_seconds: oldest_valid,
            });
        }
        Ok(authorization)
    }
}

impl Grant {
    /// The bucket, the scopes, and what they allow.
    pub(crate) fn authorization(&self) -> &Authorization {
        &self.0.authorization
    }

    /// What the bucket may hold, as of the beginning of the request.
    pub(crate) fn quota(&self) -> Quota {
        let bucket = self.0.authorization.bucket();
        self.0.config.quota.of(bucket)
    }

    /// Asks again, if the bucket's revocation time moved since the request began.
    pub(crate) fn check_again(&self, oldest_valid: u64) -> Result<(), AuthError> {
        let granted = &*self.0;
        if oldest_valid == granted.oldest_valid {
            return Ok(());
        }
        self.check_now(oldest_valid)
    }

    /// Asks again, its end included: for answers that go on long after the request.
    pub(crate) fn check_now(&self, oldest_valid: u64) -> Result<(), AuthError> {
        let granted = &*self.0;
        let bucket = granted.authorization.bucket();
        granted
            .proof
            .authorize(&granted.config, bucket, oldest_valid)?;
        Ok(())
    }
}

/// What a token is checked against, as of now.
fn context<'a>(config: &'a HubConfig, bucket: &'a Address, oldest_valid: u64) -> AuthContext<'a> {
    AuthContext {
        server_name: &config.server_name,
        bucket,
        now_seconds: now_seconds(),
        revoked_before_seconds: (oldest_valid > 0).then_some(oldest_valid),
        hub_urls: match &config.hub_urls {
            HubUrlRule::Any => HubUrls::Any,
            HubUrlRule::OneOf(urls) => HubUrls::OneOf(urls),
        },
        whitelist: config.whitelist.as_ref(),
    }
}

/// Seconds since 1970.
fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
