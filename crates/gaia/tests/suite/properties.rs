//! Laws that hold for every input, tried on many.

use gaia::auth::{AuthContext, authenticate};
use gaia::challenge::challenge_text;
use gaia::envelope::{
    CipherTextEncoding, ContentKind, EnvelopeLayout, Opened, Opener, Sealer, Shape,
    derive_ephemeral, looks_encrypted, open, predicted_len, seal,
};
use gaia::etag::ETag;
use gaia::key::SecretKey;
use gaia::path::FilePath;
use gaia::scope::{Scope, ScopeKind, Scopes};
use gaia::token::{ParsedToken, TokenBuilder};
use gaia::{changes, hub_info, legacy, listing, replies, revoke, signed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn key() -> SecretKey {
    SecretKey::from_bytes(&[6; 32]).unwrap()
}

fn encodings() -> impl Strategy<Value = CipherTextEncoding> {
    select(vec![CipherTextEncoding::Hex, CipherTextEncoding::Base64])
}

fn kinds() -> impl Strategy<Value = ContentKind> {
    select(vec![ContentKind::String, ContentKind::Bytes])
}

/// Names that are likely to be near the edge of what is allowed.
fn near_paths() -> impl Strategy<Value = String> {
    let bits = select(vec![
        "a", "b.txt", ".", "..", "/", "//", "%", "%2F", "%2e", "%00", "%ff", "%c3%bc", "é", " ",
        "#", "?", "\\", "\0", "\n", "\u{301}", "+",
    ]);
    vec(bits, 0..12).prop_map(|bits| bits.concat())
}

fn scopes() -> impl Strategy<Value = Scopes> {
    let scope = (
        select(ScopeKind::ALL.to_vec()),
        prop_oneof![near_paths(), any::<String>()],
    );
    vec(
        scope.prop_map(|(kind, domain)| Scope::new(kind, domain)),
        0..=8,
    )
    .prop_map(|list| Scopes::new(list).unwrap())
}

/// What a hub on disk would make of the beginning of a domain.
fn without_leading_aliases(domain: &str) -> &str {
    match domain.split_once('/') {
        Some(("" | ".", rest)) => without_leading_aliases(rest),
        _ => domain,
    }
}

/// Cuts bytes into pieces at the given places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    at.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in at {
        pieces.push(&bytes[start..end]);
        start = end;
    }
    pieces.push(&bytes[start..]);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn envelopes_are_the_same_in_any_pieces(
        plaintext in vec(any::<u8>(), 0..40_000),
        places in vec(any::<prop::sample::Index>(), 0..8),
        encoding in encodings(),
        kind in kinds(),
    ) {
        let (ephemeral, iv) = derive_ephemeral(&key(), &plaintext);
        let whole = seal(&key().public(), &ephemeral, iv, &plaintext, encoding, kind);
        prop_assert_eq!(whole.len() as u64, predicted_len(plaintext.len() as u64, encoding, kind));
        prop_assert_eq!(looks_encrypted("application/json", &whole), Shape::Encrypted);

        let mut sealer = Sealer::new(&key().public(), &ephemeral, iv, encoding, kind);
        let mut pieced = Vec::new();
        for piece in cut(&plaintext, &places) {
            sealer.update(piece, &mut pieced);
        }
        sealer.finish(&mut pieced);
        prop_assert_eq!(&pieced, &whole);

        let opened = open(&key(), &whole);
        prop_assert_eq!(opened, Ok(Opened { content: plaintext.clone(), kind }));

        let ends = whole.len().min(gaia::limits::ENVELOPE_SCAN_BYTES);
        let tail = &whole[whole.len() - ends..];
        let layout = EnvelopeLayout::scan(&whole[..ends], tail, whole.len() as u64).unwrap();
        let range = layout.cipher_text();
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        let mut opener = Opener::new(&key(), &layout);
        let mut content = Vec::new();
        for piece in cut(&whole[start..end], &places) {
            opener.update(piece, &mut content).unwrap();
        }
        prop_assert_eq!(opener.finish(&mut content), Ok(kind));
        prop_assert_eq!(content, plaintext);
    }

    #[test]
    fn paths_print_as_they_parse_and_survive_urls(text in near_paths()) {
        if let Ok(path) = FilePath::parse(&text) {
            prop_assert_eq!(path.as_str(), &text);
            prop_assert_eq!(FilePath::parse_from_url(&path.to_url_path()), Ok(path.clone()));
            prop_assert_eq!(&path.segments().collect::<Vec<_>>().join("/"), &text);
            prop_assert_eq!(path.with_file_name(path.file_name()), Ok(path.clone()));
            if let Some(parent) = path.parent() {
                prop_assert!(path.is_below(&parent));
                prop_assert_eq!(parent.join(path.file_name()), Ok(path));
            }
        }
        // Whatever a URL becomes is canonical, and stays what it is.
        if let Ok(path) = FilePath::parse_from_url(&text) {
            prop_assert_eq!(FilePath::parse(path.as_str()), Ok(path.clone()));
            prop_assert!(!path.as_str().contains("..") && !path.as_str().contains("//"));
        }
    }

    #[test]
    fn any_path_of_any_letters_keeps_its_promises(text in any::<String>()) {
        let parsed = FilePath::parse(&text);
        let promised = !text.is_empty()
            && text.len() <= gaia::limits::PATH_BYTES_MAX
            && !text.contains("..")
            && !text.contains('\0')
            && text.split('/').count() <= gaia::limits::PATH_SEGMENTS_MAX
            && text.split('/').all(|name| !name.is_empty() && name != "." && name.len() <= 255);
        prop_assert_eq!(parsed.is_ok(), promised);
    }

    #[test]
    fn tokens_say_what_was_put_into_them(
        challenge in any::<String>(),
        hub_url in prop::option::of("[ -~]{1,40}"),
        issued_at in prop::option::of(1..1_u64 << 53),
        expires_at in prop::option::of(1..1_u64 << 53),
        scopes in scopes(),
        salt in any::<[u8; 16]>(),
    ) {
        let mut builder = TokenBuilder::new(&challenge, salt).scopes(scopes.clone());
        if let Some(url) = &hub_url {
            builder = builder.hub_url(url);
        }
        if let Some(seconds) = issued_at {
            builder = builder.issued_at(seconds);
        }
        if let Some(seconds) = expires_at {
            builder = builder.expires_at(seconds);
        }
        let token = builder.sign(&key()).unwrap();
        let verified = ParsedToken::parse(token.as_str()).unwrap().verify().unwrap();
        let claims = verified.claims();
        prop_assert_eq!(&claims.challenge_text, &Some(challenge));
        prop_assert_eq!(&claims.hub_url, &hub_url);
        prop_assert_eq!(claims.issued_at_seconds, issued_at.map(|seconds| seconds as f64));
        prop_assert_eq!(claims.expires_at_seconds, expires_at.map(|seconds| seconds as f64));
        prop_assert_eq!(&claims.scopes, &scopes);
        prop_assert_eq!(claims.issuer, key().public());
    }

    #[test]
    fn a_token_with_a_changed_letter_opens_nothing(
        at in any::<prop::sample::Index>(),
        letter in "[A-Za-z0-9_.-]",
    ) {
        let token = TokenBuilder::new(challenge_text("hub"), [1; 16]).sign(&key()).unwrap();
        let mut changed = token.as_str().to_owned();
        let at = at.index(changed.len());
        changed.replace_range(at..=at, &letter);
        let bucket = key().address();
        let context = AuthContext::new("hub", &bucket, 0);
        let result = authenticate(&format!("bearer v1:{changed}"), &context);
        prop_assert_eq!(result.is_ok(), changed == token.as_str());
    }

    #[test]
    fn verdicts_follow_from_the_groups(
        scopes in scopes(),
        text in near_paths(),
    ) {
        let Ok(path) = FilePath::parse(&text) else { return Ok(()) };
        let covered = |names: &[ScopeKind]| {
            let mut of_group = scopes.as_slice().iter().filter(|scope| names.contains(&scope.kind));
            scopes.as_slice().iter().all(|scope| !names.contains(&scope.kind))
                || of_group.any(|scope| {
                    let domain = without_leading_aliases(&scope.domain);
                    !domain.is_empty() && match scope.kind {
                        ScopeKind::PutFile
                        | ScopeKind::DeleteFile
                        | ScopeKind::PutFileArchival => path.as_str() == domain,
                        ScopeKind::PutFilePrefix
                        | ScopeKind::DeleteFilePrefix
                        | ScopeKind::PutFileArchivalPrefix => path.as_str().starts_with(domain),
                    }
                })
        };
        let archival = covered(&[ScopeKind::PutFileArchival, ScopeKind::PutFileArchivalPrefix]);
        let put = covered(&[ScopeKind::PutFile, ScopeKind::PutFilePrefix]);
        let delete = covered(&[ScopeKind::DeleteFile, ScopeKind::DeleteFilePrefix]);
        let allowed = gaia::scope::Verdict::Allowed;
        prop_assert_eq!(scopes.store(&path) == allowed, archival && put);
        prop_assert_eq!(scopes.delete(&path) == allowed, archival && delete);
    }

    #[test]
    fn tags_compare_equal_however_they_are_spelled(bytes in vec(any::<u8>(), 0..100)) {
        let tag = ETag::of(&bytes);
        for text in [
            tag.as_str().to_owned(),
            format!("\"{tag}\""),
            format!("W/\"{}\"", tag.as_str().to_uppercase()),
        ] {
            prop_assert_eq!(ETag::parse(&text), Some(tag.clone()));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..600), text in any::<String>()) {
        swallow(&bytes, &text);
    }

    #[test]
    fn damaged_messages_never_panic(
        sample in select(samples()),
        at in any::<prop::sample::Index>(),
        with in vec(any::<u8>(), 0..6),
        cut in 0..20_usize,
    ) {
        let mut bytes = sample;
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + cut);
        bytes.splice(at..end, with);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        swallow(&bytes, &text);
    }
}

fn ignore<T>(_: T) {}

/// Feeds every reader of outside input; what they make of it is not the question here.
fn swallow(bytes: &[u8], text: &str) {
    let bucket = key().address();
    let context = AuthContext::new("hub", &bucket, 0);
    ignore(authenticate(text, &context));
    ignore(authenticate(&format!("bearer {text}"), &context));
    ignore(authenticate(&format!("bearer v1:{text}"), &context));
    ignore(gaia::association::verify(text));
    ignore(legacy::ParsedLegacyToken::parse(text));
    ignore(gaia::address::Address::parse(text));
    ignore(gaia::key::PublicKey::from_hex(text));
    ignore(gaia::key::PublicKey::from_bytes(bytes));
    ignore(gaia::key::SecretKey::from_hex(text));
    ignore(gaia::key::Signature::from_der_hex(text));
    ignore(gaia::key::Signature::from_bytes(bytes));
    ignore(gaia::challenge::server_name(text));
    ignore(FilePath::parse(text));
    ignore(FilePath::parse_from_url(text));
    ignore(ETag::parse(text));
    ignore(open(&key(), bytes));
    ignore(looks_encrypted("application/json", bytes));
    ignore(signed::unwrap(bytes, &bucket));
    ignore(signed::verify_detached(bytes, bytes, &bucket));
    ignore(listing::parse_names(bytes));
    ignore(listing::parse_stat(bytes));
    ignore(changes::parse_page(bytes));
    ignore(changes::ChangesRequest::parse_query(text));
    ignore(serde_json::from_slice::<listing::ListRequest>(bytes));
    ignore(serde_json::from_slice::<hub_info::HubInfo>(bytes));
    ignore(replies::ErrorBody::parse(bytes));
    ignore(revoke::RevokeRequest::parse(bytes));
    for total in [0, bytes.len() as u64, u64::MAX] {
        if let Ok(layout) = EnvelopeLayout::scan(bytes, bytes, total) {
            let mut opener = Opener::new(&key(), &layout);
            let mut out = Vec::new();
            if opener.update(bytes, &mut out).is_ok() {
                ignore(opener.finish(&mut out));
            }
        }
    }
}

/// One good message of each kind, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    let token = TokenBuilder::new(challenge_text("hub"), [1; 16])
        .sign(&key())
        .unwrap();
    let legacy = legacy::LegacyToken::make(&key(), &challenge_text("hub"));
    let sealed = |encoding| {
        let kind = ContentKind::String;
        seal(&key().public(), &key(), [0; 16], b"words", encoding, kind)
    };
    let hex = sealed(CipherTextEncoding::Hex);
    vec![
        token.as_str().into(),
        legacy.as_str().into(),
        signed::wrap(&key(), &hex).unwrap(),
        signed::sign_detached(&key(), b"words"),
        hex,
        sealed(CipherTextEncoding::Base64),
        key().address().as_str().into(),
        br#"{"entries":[{"name":"a","contentLength":1,"etag":"b"},null],"page":"1"}"#.to_vec(),
        br#"{"entries":[{"exists":false,"name":"a"},null],"cursor":"AQ","more":true}"#.to_vec(),
        br#"{"oldestValidTimestamp":"1600000000"}"#.to_vec(),
        br#"{"challenge_text":"c","read_url_prefix":"u/","pangaea":{"version":1}}"#.to_vec(),
    ]
}
