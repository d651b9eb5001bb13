//! What a hub and its clients say to each other.

use gaia::batch::Operation;
use gaia::batch::Reply;
use gaia::changes::ChangesRequest;
use gaia::changes::Cursor;
use gaia::etag::ETag;
use gaia::fetch::AnswerHead;
use gaia::frames::Decoder;
use gaia::frames::FrameError;
use gaia::frames::FrameHead;
use gaia::frames::Piece;
use gaia::frames::write_head;
use gaia::hub_info::HubInfo;
use gaia::listing::ListRequest;
use gaia::path::FilePath;
use gaia::replies::ErrorBody;
use gaia::replies::StoreReply;
use gaia::revoke::RevokeRequest;
use pangaea_core::conflict;
use pangaea_core::version::VersionId;

use crate::choice;
use crate::halves;
use crate::taken;

/// Frames with their bytes, and whether the body ended between two.
type Frames = (Vec<(Vec<u8>, Vec<u8>)>, bool);

/// Takes a body apart that comes in pieces of this length.
fn frames<H: FrameHead>(body: &[u8], length: usize) -> Result<Frames, FrameError> {
    let mut decoder = Decoder::<H>::new();
    let mut frames: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for mut piece in body.chunks(length.max(1)) {
        while let Some(found) = decoder.next(&mut piece)? {
            match found {
                Piece::Head(head) => {
                    let mut line = Vec::new();
                    // A line that came in a shorter spelling may be too long in ours.
                    if write_head(&head, &mut line).is_ok() {
                        check_head(&head, &line);
                    }
                    frames.push((line, Vec::new()));
                }
                Piece::Bytes(bytes) => {
                    let frame = frames.last_mut();
                    assert!(frame.is_some(), "bytes follow a head");
                    frame
                        .into_iter()
                        .for_each(|(_, content)| content.extend_from_slice(bytes));
                }
            }
        }
        assert!(piece.is_empty(), "everything is taken");
    }
    Ok((frames, decoder.is_between_frames()))
}

fn check_head<H: FrameHead>(head: &H, line: &[u8]) {
    let again: H = serde_json::from_slice(line).expect("what was written is read");
    assert_eq!(again.length(), head.length());
}

/// Frames are the same in whatever pieces they come.
fn check_frames<H: FrameHead>(bytes: &[u8]) {
    let (length, body) = choice(bytes);
    let whole = frames::<H>(body, body.len());
    assert_eq!(whole, frames::<H>(body, usize::from(length)));
}

/// A batch as the hub receives it, and the answer as the client does.
pub(crate) fn batch(bytes: &[u8]) {
    check_frames::<Operation>(bytes);
    if let Ok(reply) = serde_json::from_slice::<Reply>(bytes) {
        for outcome in reply.results {
            taken(outcome.into_error_body());
        }
    }
}

/// A fetch as the hub receives it, and the answer as the client does.
pub(crate) fn fetch(bytes: &[u8]) {
    check_frames::<AnswerHead>(bytes);
    if let Ok(request) = serde_json::from_slice::<gaia::fetch::Request>(bytes) {
        for path in request.paths {
            check_path(&path);
        }
    }
}

/// A page of changes as the client reads it; the query as the hub does.
pub(crate) fn changes(bytes: &[u8]) {
    if let Ok(page) = gaia::changes::parse_page(bytes) {
        assert!(Cursor::parse(page.cursor.as_str()).is_some());
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(request) = ChangesRequest::parse_query(&text) {
        let again = ChangesRequest::parse_query(&request.to_query());
        assert_eq!(again.ok(), Some(request));
    }
    if let Some(cursor) = Cursor::parse(&text) {
        assert_eq!(cursor.as_str(), text);
    }
}

/// A page of a listing, as the protocol crate and as the client read it.
pub(crate) fn listing(bytes: &[u8]) {
    taken(gaia::listing::parse_names(bytes));
    let stat = gaia::listing::parse_stat(bytes);
    let client = pangaea::hub::http::testing::listing_page(bytes);
    if let (Ok(stat), Some(client)) = (&stat, &client) {
        // What one reading misses would be taken for absent (I-9).
        for entry in &stat.entries {
            let known = client.files.iter().any(|file| file.path == entry.path);
            assert!(known, "the client misses {}", entry.path);
        }
    }
    if let Ok(request) = serde_json::from_slice::<ListRequest>(bytes) {
        let text = serde_json::to_string(&request).expect("it was JSON");
        let again: ListRequest = serde_json::from_str(&text).expect("our own");
        assert_eq!(again, request);
    }
}

fn check_path(text: &str) {
    let Ok(path) = FilePath::parse(text) else {
        return;
    };
    assert_eq!(path.as_str(), text);
    for segment in path.segments() {
        assert!(!matches!(segment, "" | "." | ".."));
        assert!(!segment.contains(['\0', '/']));
    }
    assert_eq!(FilePath::parse_from_url(&path.to_url_path()), Ok(path));
}

/// Paths as text and in URLs: H-6.
pub(crate) fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    check_path(&text);
    if let Ok(path) = FilePath::parse_from_url(&text) {
        check_path(path.as_str());
    }
    let (method, target) = halves(bytes);
    let (method, target) = (
        String::from_utf8_lossy(method),
        String::from_utf8_lossy(target),
    );
    if let Some((bucket, path)) = pangaea_hub::testing::route(&method, &target) {
        assert!(!bucket.contains('/'), "{bucket}");
        assert!(target.ends_with(&path));
        if let Ok(path) = FilePath::parse_from_url(&path) {
            check_path(path.as_str());
        }
    }
}

/// Small names: tags, versions, addresses, conflict copies.
pub(crate) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(tag) = ETag::parse(&text) {
        assert_eq!(ETag::parse(tag.if_match()), Some(tag));
    }
    if let Ok(address) = gaia::address::Address::parse(&text) {
        assert_eq!(address.as_str(), text);
    }
    if let Ok(version) = text.parse::<VersionId>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    if let Some((version, path)) = bytes.split_first_chunk::<16>()
        && let Ok(path) = FilePath::parse(&String::from_utf8_lossy(path))
    {
        let version = VersionId::from_bytes(*version);
        if let Ok(copy) = conflict::copy_path(&path, &version) {
            assert!(conflict::is_copy(&copy), "{copy}");
            assert!(conflict::original_path(&copy).is_some());
        }
    }
}

/// `If-Match` and its kin on reads.
pub(crate) fn conditions(bytes: &[u8]) {
    let (name, value) = halves(bytes);
    let (name, value) = (
        String::from_utf8_lossy(name),
        String::from_utf8_lossy(value),
    );
    pangaea_hub::testing::conditions(&name, &value);
}

/// `Range`: parts lie inside the file and are together no longer than it.
pub(crate) fn range(bytes: &[u8]) {
    let Some((size, header)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_le_bytes(*size) >> (size[0] % 64);
    let header = String::from_utf8_lossy(header);
    let Some(parts) = pangaea_hub::testing::range(&header, size) else {
        return;
    };
    let mut total = 0_u64;
    for part in &parts {
        assert!(part.start < part.end && part.end <= size, "{part:?}");
        total = total.saturating_add(part.end - part.start);
    }
    assert!(parts.len() == 1 || total <= size);
}

/// Answers and small requests.
pub(crate) fn replies(bytes: &[u8]) {
    let body = ErrorBody::parse(bytes);
    taken(body.name());
    taken(serde_json::from_slice::<StoreReply>(bytes));
    if let Ok(info) = serde_json::from_slice::<HubInfo>(bytes) {
        taken((
            info.max_upload_bytes(),
            info.offers("batch"),
            info.takes_v1_tokens(),
        ));
    }
    taken(RevokeRequest::parse(bytes));
}
