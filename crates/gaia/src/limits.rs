//! Every size limit of the protocol, by name. What a stock hub enforces is marked so; the others
//! are ours and keep a hostile or broken peer from making us allocate or loop without bound.

/// Longest path inside a bucket, in bytes of UTF-8.
///
/// A stock hub on disk allows 4096 characters for the storage root, the address and the path
/// together, so this leaves room for a root of ordinary length.
pub const PATH_BYTES_MAX: usize = 3_584;

/// Most segments in a path inside a bucket.
///
/// A stock hub on disk allows 100 for the storage root, the address and the path together.
pub const PATH_SEGMENTS_MAX: usize = 90;

/// Longest path segment in bytes: the limit of the file systems under a stock hub.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// Longest `Content-Type` that a stock hub stores, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 1_024;

/// Longest `Authorization` header that is looked at, in bytes (the stock hub's header limit).
pub const TOKEN_BYTES_MAX: usize = 16 * 1_024;

/// Most scopes in one token (stock).
pub const TOKEN_SCOPES_MAX: usize = 8;

/// Largest body of a `list-files` or `revoke-all` request, in bytes (stock).
pub const REQUEST_BODY_BYTES_MAX: usize = 4_096;

/// Entries on one page of a listing unless the hub is configured otherwise (stock).
pub const PAGE_ENTRIES_DEFAULT: usize = 100;

/// Most entries on one page of a listing (stock).
pub const PAGE_ENTRIES_MAX: usize = 4_096;

/// Largest listing page that a client reads, in bytes: [`PAGE_ENTRIES_MAX`] stat entries whose
/// path and content type are as long as they may be, with room for JSON escapes.
pub const LISTING_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// Longest cursor of a change feed, in bytes.
pub const CURSOR_BYTES_MAX: usize = 128;

/// Largest `hub_info` answer that a client reads, in bytes.
pub const HUB_INFO_BYTES_MAX: usize = 64 * 1_024;

/// Largest error body that a client reads, in bytes.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * 1_024;

/// Largest upload that a hub takes when its `hub_info` does not say, in megabytes (stock).
pub const UPLOAD_MEGABYTES_DEFAULT: f64 = 20.0;

/// Bytes in what the protocol calls a megabyte.
pub const MEGABYTE_BYTES: u64 = 1_048_576;

/// Shortest challenge text that stock software accepts (stock).
pub const CHALLENGE_BYTES_MIN: usize = 10;

/// How many bytes of each end of a stored file suffice to find the parts of an envelope.
pub const ENVELOPE_SCAN_BYTES: usize = 512;

/// Longest first line of a frame with its line feed, in bytes. Any path and type fit, also if all
/// of a path is control characters, for each of which JSON needs six bytes.
pub const FRAME_HEAD_BYTES_MAX: usize = 32 * 1_024;

/// Most operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 1_000;

/// Largest batch, with everything in it, in bytes.
pub const BATCH_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Largest answer to a batch that a client reads, in bytes.
pub const BATCH_REPLY_BYTES_MAX: usize = 1_024 * 1_024;

/// Most paths in one fetch.
pub const FETCH_PATHS_MAX: usize = 1_000;

/// Largest request of a fetch, in bytes.
pub const FETCH_REQUEST_BYTES_MAX: usize = 1_024 * 1_024;

/// Largest file in the answer to a fetch, in bytes.
pub const FETCH_FILE_BYTES_MAX: u64 = 1_024 * 1_024;

/// Most bytes of files in the answer to one fetch.
pub const FETCH_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
