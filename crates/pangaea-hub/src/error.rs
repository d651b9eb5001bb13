//! What can go wrong: with the hub as a whole ([`HubError`]), and with one request (`Refusal`).
//!
//! A refusal knows its status and the words that stock clients are used to. What is said to the
//! client never holds the inner cause; that goes to the log, where the answer is made.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gaia::auth::AuthError;
use gaia::changes::BadChangesRequest;
use gaia::etag::ETag;
use gaia::frames::FrameError;
use gaia::path::PathError;
use gaia::replies::ErrorName;
use http::StatusCode;

use crate::config::ConfigError;
pub use crate::index::IndexError;
use crate::quota::OverQuota;

/// Why a hub could not start or went down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}: {source}; check that it exists and is writable")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another hub has the data folder.
    #[error("another hub is using the data folder {path}; stop it first")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A part of the data folder is gone.
    #[error(
        "{missing} is gone from the data folder {path}, and without it nothing can be served; \
         put it back, or restore a backup of the whole folder"
    )]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// What is not in it.
        missing: &'static str,
    },
    /// The index cannot be opened.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the hub stopped by itself.
    #[error("the hub stopped because of a fault of its own ({0}); start it again and report this")]
    Fault(&'static str),
}

/// What is said when a tag in a condition is not that of the file.
pub(crate) const MISMATCH: &str =
    "The provided ETag does not match that of the resource on the server";

/// Why one request is not fulfilled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No file can have this path.
    #[error("{}", .0.stock_message())]
    BadPath(PathError),
    /// The escapes of the URL are broken.
    #[error("Failed to decode param")]
    BadUrl,
    /// No route has this method and path.
    #[error("Cannot {method} {path}")]
    NoRoute { method: String, path: String },
    #[error("File does not exist")]
    NoSuchFile,
    #[error("{message}")]
    Precondition {
        message: &'static str,
        current: Option<ETag>,
    },
    #[error("Max file upload size is {max_megabytes} megabytes. {rejected}")]
    TooLarge {
        max_megabytes: u32,
        rejected: String,
    },
    /// The bucket has no room for this.
    #[error("{0}")]
    OverQuota(OverQuota),
    /// The JSON body of a request is too large.
    #[error("request entity too large")]
    JsonTooLarge,
    /// The JSON body of a request cannot be read.
    #[error("{0}")]
    BadJson(&'static str),
    #[error(transparent)]
    BadChangesRequest(#[from] BadChangesRequest),
    /// A cursor of the change feed from which not everything can be told any more.
    #[error("The cursor has expired: take a new one, then list the files anew")]
    CursorExpired,
    #[error("{0}")]
    BadContentType(&'static str),
    #[error("Content-Encoding is not supported: files are stored as they are sent")]
    ContentEncoding,
    /// The frames of a batch cannot be told apart.
    #[error("Invalid batch: {0}")]
    BadFrames(#[from] FrameError),
    /// A request that makes no sense, and why.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The body is not of the type that the route takes.
    #[error("The body must be of the type {0}")]
    MediaType(&'static str),
    /// More than one request of this kind may hold.
    #[error("{0}")]
    TooMuch(&'static str),
    /// A change of an atomic batch in which another one was refused.
    #[error("Not applied, because another operation of this batch was refused")]
    Undone,
    /// More requests than the hub's operator lets one bucket or one address make.
    #[error("Too many requests; try again in {} seconds", seconds(*.wait))]
    TooManyRequests { wait: Duration },
    /// The hub is about to stop.
    #[error("The hub is stopping; try again soon")]
    Stopping,
    /// Too much is under way.
    #[error("The hub is busy; try again soon")]
    Busy,
    /// The client sends too slowly or not at all.
    #[error("The request took too long to arrive")]
    TooSlow,
    /// The client went away while it sent.
    #[error("The request ended early")]
    Incomplete,
    /// More headers than this hub takes.
    #[error("The headers of the request are too large")]
    HeadTooLarge,
    /// A range outside the file.
    #[error("Range not satisfiable")]
    Range { size: u64 },
    /// A failure of this hub. Clients learn no more of it than what to do.
    #[error("{}", outside_words(Self::status(self)))]
    Index(#[from] IndexError),
    /// A failure of this hub's disk.
    #[error("{}", outside_words(Self::status(self)))]
    Disk(#[from] io::Error),
}

/// Whole seconds after which a time is over.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Auth(_) => StatusCode::UNAUTHORIZED,
            Self::BadPath(_) => StatusCode::FORBIDDEN,
            Self::BadUrl
            | Self::BadJson(_)
            | Self::BadChangesRequest(_)
            | Self::BadContentType(_)
            | Self::BadFrames(_)
            | Self::BadRequest(_)
            | Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::CursorExpired => StatusCode::GONE,
            Self::NoRoute { .. } | Self::NoSuchFile => StatusCode::NOT_FOUND,
            Self::Precondition { .. } => StatusCode::PRECONDITION_FAILED,
            // Not 507: of a server's failure, clients think that it may pass by itself.
            Self::TooLarge { .. } | Self::OverQuota(_) | Self::JsonTooLarge | Self::TooMuch(_) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::ContentEncoding | Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Undone => StatusCode::FAILED_DEPENDENCY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Index(error) => match error.cause() {
                IndexError::Stopping | IndexError::Busy => StatusCode::SERVICE_UNAVAILABLE,
                IndexError::Full => StatusCode::INSUFFICIENT_STORAGE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Disk(error) if is_full(error) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The cause in a word, for metrics and logs.
    pub(crate) fn cause(&self) -> &'static str {
        match self {
            Self::Auth(_) => "auth",
            Self::BadPath(_) | Self::BadUrl => "path",
            Self::NoRoute { .. } => "route",
            Self::NoSuchFile => "missing",
            Self::Precondition { .. } => "precondition",
            Self::TooLarge { .. } | Self::JsonTooLarge | Self::TooMuch(_) => "size",
            Self::OverQuota(_) => "quota",
            Self::TooManyRequests { .. } => "rate",
            Self::BadJson(_)
            | Self::BadChangesRequest(_)
            | Self::BadFrames(_)
            | Self::BadRequest(_) => "request",
            Self::BadContentType(_) | Self::ContentEncoding | Self::MediaType(_) => "type",
            Self::CursorExpired => "cursor",
            Self::HeadTooLarge => "head",
            Self::Undone => "undone",
            Self::TooSlow => "slow",
            Self::Incomplete => "incomplete",
            Self::Range { .. } => "range",
            Self::Stopping => "stopping",
            Self::Busy => "busy",
            Self::Index(error) => match error.cause() {
                IndexError::Stopping => "stopping",
                IndexError::Busy => "busy",
                IndexError::Full => "full",
                _ => "index",
            },
            Self::Disk(error) if is_full(error) => "full",
            Self::Disk(_) => "disk",
        }
    }

    /// What went wrong inside the hub, if anything did.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Index(error) => Some(error.to_string()),
            Self::Disk(error) => Some(format!("the disk failed: {error}")),
            _ => None,
        }
    }

    /// The `error` member of the body, where the stock hub has one.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Auth(error) => Some(error.name()),
            Self::BadPath(_) => Some("BadPathError"),
            Self::NoSuchFile => Some("DoesNotExist"),
            Self::Precondition { .. } => Some("PreconditionFailedError"),
            Self::TooLarge { .. } | Self::TooMuch(_) => Some("PayloadTooLargeError"),
            Self::OverQuota(_) => Some(ErrorName::QuotaExceeded.as_str()),
            Self::TooManyRequests { .. } => Some(ErrorName::TooManyRequests.as_str()),
            Self::BadContentType(_) | Self::BadFrames(_) | Self::BadRequest(_) => {
                Some("InvalidInputError")
            }
            Self::CursorExpired => Some(ErrorName::CursorExpired.as_str()),
            Self::BadUrl
            | Self::NoRoute { .. }
            | Self::JsonTooLarge
            | Self::BadJson(_)
            | Self::BadChangesRequest(_)
            | Self::ContentEncoding
            | Self::MediaType(_)
            | Self::Undone
            | Self::Busy
            | Self::Stopping
            | Self::HeadTooLarge
            | Self::TooSlow
            | Self::Incomplete
            | Self::Range { .. }
            | Self::Index(_)
            | Self::Disk(_) => None,
        }
    }
}

/// Whether a disk, or what this process may have of it, is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// What clients are told of a failure.
fn outside_words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::INSUFFICIENT_STORAGE => "The hub has no room left; try again later",
        StatusCode::SERVICE_UNAVAILABLE => "The hub is busy; try again soon",
        _ => "Server Error",
    }
}
