//! Why a request is refused, in the words of the stock hub.

use crate::address::Address;
use crate::association::AssociationError;
use crate::path::FilePath;

/// Why a request is refused. The messages are the stock hub's, because clients show them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No header, or one that is neither a v1 nor a legacy token.
    #[error("Failed to parse authentication header.")]
    Unreadable,
    /// The bucket has been revoked up to a time, and the token is older.
    #[error(
        "Gaia bucket requires auth token issued after {revoked_before_seconds} but this token \
         was issued {issued_at_seconds}. This token may have been revoked by the user."
    )]
    Revoked {
        /// Tokens must be issued at this time or later.
        revoked_before_seconds: u64,
        /// When the token was issued.
        issued_at_seconds: f64,
    },
    /// The bucket has been revoked up to a time, and the token does not say when it was issued.
    #[error(
        "Gaia bucket requires auth token issued after {revoked_before_seconds} but this token \
         has no creation timestamp. This token may have been revoked by the user."
    )]
    RevokedUndated {
        /// Tokens must be issued at this time or later.
        revoked_before_seconds: u64,
    },
    /// The token belongs to another bucket.
    #[error("Address not allowed to write on this path")]
    OtherBucket,
    /// This hub wants to be named, and the token names none.
    #[error("Authentication must provide a claimed hub. You may need to update stacks.js.")]
    NoHubUrl,
    /// The token names another hub.
    #[error("Auth token's claimed hub url '{claimed}' not found in this hubs set: {valid}")]
    OtherHubUrl {
        /// The hub that the token names.
        claimed: String,
        /// The URLs that this hub takes, as JSON.
        valid: String,
    },
    /// A v1 token was not signed by the key that it names.
    #[error("Failed to verify supplied authentication JWT")]
    Signature,
    /// A legacy token was not signed by the key that it names, or is for another hub.
    #[error("Invalid signature or expired authentication token.")]
    LegacySignature,
    /// A legacy token, at a hub that takes none.
    #[error("This hub takes no tokens of the old kind. You may need to update stacks.js.")]
    LegacyRefused,
    /// The token carries another hub's challenge text.
    #[error("Invalid gaiaChallenge text in supplied JWT: \"{claimed}\" not found in {valid}")]
    Challenge {
        /// The text that the token carries.
        claimed: String,
        /// The texts that this hub takes, as JSON.
        valid: String,
    },
    /// The token has ended.
    #[error("Expired authentication token: expire time of {expired_at_seconds} (secs since epoch)")]
    Expired {
        /// When it ended.
        expired_at_seconds: f64,
    },
    /// The association token inside it does not help.
    #[error(transparent)]
    Association(#[from] AssociationError),
    /// Neither the bucket nor a key that vouches for it may write here.
    #[error("Address {signer} not authorized for writes")]
    NotWhitelisted {
        /// The address that would have to be on the whitelist.
        signer: Address,
    },
    /// The archival scopes of the token do not cover the path.
    #[error("Address {bucket} not authorized to modify {path} by scopes")]
    ScopesModify {
        /// The bucket.
        bucket: Address,
        /// The path.
        path: FilePath,
    },
    /// The put scopes of the token do not cover the path.
    #[error("Address {bucket} not authorized to write to {path} by scopes")]
    ScopesStore {
        /// The bucket.
        bucket: Address,
        /// The path.
        path: FilePath,
    },
    /// The delete scopes of the token do not cover the path.
    #[error("Address {bucket} not authorized to delete from {path} by scopes")]
    ScopesDelete {
        /// The bucket.
        bucket: Address,
        /// The path.
        path: FilePath,
    },
}

impl AuthError {
    /// The `error` member of the stock hub's 401 answer.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Revoked { .. } | Self::RevokedUndated { .. } => {
                "AuthTokenTimestampValidationError"
            }
            Self::Unreadable
            | Self::OtherBucket
            | Self::NoHubUrl
            | Self::OtherHubUrl { .. }
            | Self::Signature
            | Self::LegacySignature
            | Self::LegacyRefused
            | Self::Challenge { .. }
            | Self::Expired { .. }
            | Self::Association(_)
            | Self::NotWhitelisted { .. }
            | Self::ScopesModify { .. }
            | Self::ScopesStore { .. }
            | Self::ScopesDelete { .. } => "ValidationError",
        }
    }
}
