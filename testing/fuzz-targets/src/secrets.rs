//! Tokens, and what is encrypted or signed.

use bytes::Bytes;
use gaia::address::Address;
use gaia::association;
use gaia::auth::AuthContext;
use gaia::auth::Credentials;
use gaia::envelope::EnvelopeLayout;
use gaia::envelope::Opener;
use gaia::etag::ETag;
use gaia::key::SecretKey;
use gaia::legacy::ParsedLegacyToken;
use gaia::path::FilePath;
use gaia::token::ParsedToken;
use pangaea::wrap::StoredAs;
use pangaea::wrap::Wrapper;
use pangaea_core::header;
use pangaea_core::header::VersionHeader;
use pangaea_core::state::Origin;

use crate::choice;
use crate::halves;
use crate::taken;

/// The key that the test vectors of the stock clients were made with.
fn key() -> SecretKey {
    let hex = "a1b2c3d4e5f60718293a4b5c6d7e8f90112233445566778899aabbccddeeff01";
    SecretKey::from_hex(hex).expect("a key")
}

/// Tokens of every kind. What is authorised names its bucket and has a signature of its own.
pub(crate) fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let bucket = key().address();
    let context = AuthContext::new("hub.example", &bucket, 1_700_000_000);
    if let Ok(credentials) = Credentials::parse(&text) {
        taken(credentials.fingerprint());
        // Another hub's challenge is not this one's.
        let elsewhere = credentials.clone().prove("other.example").is_ok();
        let early = credentials.check_before_signature(&context);
        if let Ok(proven) = credentials.prove("hub.example")
            && let Ok(authorization) = proven.authorize(&context)
        {
            assert_eq!(early, Ok(()), "refused at first and then let in");
            assert_eq!(authorization.bucket(), &bucket);
            assert!(!elsewhere, "good for every hub");
        }
    }
    if let Ok(token) = ParsedToken::parse(&text) {
        let claims = token.unverified_claims().clone();
        if let Ok(verified) = token.verify() {
            assert_eq!(verified.claims(), &claims);
        }
    }
    taken(association::verify(&text));
    if let Ok(legacy) = ParsedLegacyToken::parse(&text) {
        taken(legacy.verify("hub.example"));
    }
}

/// The content type with a version header: what is read is what would be written.
pub(crate) fn version_header(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let info = header::parse(&text);
    if let Some(Ok(header)) = &info.header {
        let path = FilePath::parse("notes/a.txt").expect("a path");
        let verdict = header.verify(&key(), &key().address(), &path);
        let again = VersionHeader::decode(&header.encode()).expect("our own");
        assert_eq!(&again, header);
        assert_eq!(again.verify(&key(), &key().address(), &path), verdict);
    }
    // The type itself is one that can be sent again.
    let media = header::parse(info.media_type.as_str()).media_type;
    assert_eq!(media, info.media_type);
}

/// Envelopes and signed envelopes, whole and in pieces.
pub(crate) fn envelope(bytes: &[u8]) {
    let (length, body) = choice(bytes);
    let key = key();
    let whole = gaia::envelope::open(&key, body);
    let head = &body[..body.len().min(512)];
    let tail = &body[body.len().saturating_sub(512)..];
    if let Ok(layout) = EnvelopeLayout::scan(head, tail, body.len() as u64) {
        let span = layout.cipher_text();
        let (from, to) = (
            usize::try_from(span.start).expect("within the body"),
            usize::try_from(span.end).expect("within the body"),
        );
        let text = body.get(from..to).expect("within the body");
        let mut opener = Opener::new(&key, &layout);
        let mut out = Vec::new();
        let pieces = text.chunks(usize::from(length).max(1));
        let updated = pieces
            .into_iter()
            .try_for_each(|piece| opener.update(piece, &mut out));
        let kind = updated.and_then(|()| opener.finish(&mut out));
        if let (Ok(opened), Ok(kind)) = (&whole, &kind) {
            assert_eq!((&opened.content, &opened.kind), (&out, kind));
        }
        if kind.is_ok() {
            assert!(out.len() as u64 <= layout.plain_bytes_max());
        }
    }
    taken(gaia::envelope::looks_encrypted("application/json", body));
    let address: Address = key.address();
    if let Ok(inner) = gaia::signed::unwrap(body, &address) {
        taken(gaia::envelope::open(&key, &inner));
    }
    let (content, signature) = halves(body);
    taken(gaia::signed::verify_detached(signature, content, &address));
}

/// A file as it comes from a hub: its type and its bytes. What carries no header of the bucket's own
/// is told as somebody else's.
pub(crate) fn wrapped_file(bytes: &[u8]) {
    let (content_type, body) = halves(bytes);
    let stored_as = StoredAs {
        tag: ETag::of(body),
        content_type: String::from_utf8_lossy(content_type).into_owned(),
        modified_s: 1_700_000_000,
    };
    let path = FilePath::parse("notes/a.txt").expect("a path");
    let stored = Bytes::copy_from_slice(body);
    let unwrapped = Wrapper::new(key()).unwrap(&path, &stored_as, stored);
    if let Ok((file, content)) = unwrapped {
        assert_eq!(file.tag, stored_as.tag);
        if content.is_none() {
            assert_eq!(file.origin, Origin::Header, "only a header says deleted");
        }
    }
}
