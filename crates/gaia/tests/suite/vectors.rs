//! Known answers: values taken from `@stacks/storage`, `blockstack` and the stock hub.

use gaia::address::Address;
use gaia::association::{AssociationToken, Validity};
use gaia::auth::{AuthContext, authenticate};
use gaia::challenge::challenge_text;
use gaia::envelope::{
    CipherTextEncoding, ContentKind, EnvelopeLayout, Opened, Opener, Sealer, Shape,
    looks_encrypted, open, predicted_len, seal,
};
use gaia::etag::ETag;
use gaia::key::{PublicKey, SecretKey, Signature};
use gaia::legacy::{LegacyToken, ParsedLegacyToken};
use gaia::scope::{Scope, ScopeKind, Scopes};
use gaia::signed;
use gaia::token::{ParsedToken, Token, TokenBuilder};
use serde_json::Value;

const FIXED_SALT: &str = "00112233445566778899aabbccddeeff";
const HUB_URL: &str = "http://127.0.0.1:3900";
const SERVER: &str = "gaia-0";

fn clients() -> Value {
    serde_json::from_str(include_str!("../vectors/gaia-clients.json")).unwrap()
}

fn known_answer() -> Value {
    serde_json::from_str(include_str!("../vectors/gaia-ecies-known-answer.json")).unwrap()
}

/// The text at a JSON pointer.
fn at(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer);
    let found = found.unwrap_or_else(|| panic!("no {pointer} in the vectors"));
    found
        .as_str()
        .unwrap_or_else(|| panic!("{pointer} is no text"))
        .to_owned()
}

fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn key1() -> SecretKey {
    SecretKey::from_hex(&at(&clients(), "/key1/priv")).unwrap()
}

fn key2() -> SecretKey {
    SecretKey::from_hex(&at(&clients(), "/key2/priv")).unwrap()
}

fn builder(salt: &str) -> TokenBuilder {
    TokenBuilder::new(challenge_text(SERVER), hex_array(salt)).hub_url(HUB_URL)
}

fn association() -> AssociationToken {
    let validity = Validity {
        issued_at_seconds: 1_600_000_000,
        expires_at_seconds: 4_102_444_800,
    };
    let salt = hex_array("ffeeddccbbaa99887766554433221100");
    AssociationToken::make(&key2(), &key1().public(), validity, salt).unwrap()
}

/// Shows a token to a hub as its client does.
fn accepted(token: &str) -> gaia::auth::Authorization {
    let bucket = key1().address();
    let context = AuthContext::new(SERVER, &bucket, 1_700_000_000);
    authenticate(&format!("bearer v1:{token}"), &context).unwrap()
}

#[test]
fn keys_and_addresses() {
    let clients = clients();
    for name in ["/key1", "/key2"] {
        let text = at(&clients, &format!("{name}/priv"));
        let key = SecretKey::from_hex(&text).unwrap();
        assert_eq!(key.to_hex().as_str(), text);
        assert_eq!(key.public().to_hex(), at(&clients, &format!("{name}/pub")));
        let address = at(&clients, &format!("{name}/address"));
        assert_eq!(key.address(), Address::parse(&address).unwrap());
        assert_eq!(key.address().as_str(), address);
        // `hexKey66same`: the longer spelling is the same key.
        let longer = SecretKey::from_hex(&format!("{text}01")).unwrap();
        assert_eq!(longer.address(), key.address());
    }
    assert_eq!(clients["hexKey66same"], true);
    assert_eq!(key1().address().as_str(), at(&clients, "/bsAddr"));
}

#[test]
fn the_token_that_the_client_made_itself() {
    let clients = clients();
    let config = at(&clients, "/hubConfig/token");
    let token = Token::parse(&config).unwrap();
    assert_eq!(token.authorization(), format!("bearer {config}"));
    accepted(token.as_str());

    // Its parts: the header as text, the payload in order, a raw signature of 64 bytes.
    let decode = |part: &str| {
        use base64::Engine;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        engine.decode(part).unwrap()
    };
    let parts: Vec<&str> = token.as_str().split('.').collect();
    let raw_header = at(&clients, "/realTokenDecoded/rawHeader");
    let raw_payload = at(&clients, "/realTokenDecoded/rawPayload");
    assert_eq!(decode(parts[0]), raw_header.as_bytes());
    assert_eq!(decode(parts[1]), raw_payload.as_bytes());
    assert_eq!(clients["realTokenDecoded"]["sigB64Len"], parts[2].len());
    assert_eq!(
        clients["realTokenDecoded"]["sigBytes"],
        decode(parts[2]).len()
    );
    let header: Value = serde_json::from_str(&raw_header).unwrap();
    assert_eq!(header, clients["realTokenDecoded"]["header"]);

    let parsed = ParsedToken::parse(token.as_str()).unwrap();
    let claims = parsed.unverified_claims();
    let payload = &clients["realTokenDecoded"]["payload"];
    assert_eq!(claims.challenge_text, Some(at(payload, "/gaiaChallenge")));
    assert_eq!(claims.hub_url, Some(at(payload, "/hubUrl")));
    assert_eq!(claims.hub_url, Some(at(&clients, "/hubConfig/server")));
    assert_eq!(
        claims.issuer,
        PublicKey::from_hex(&at(payload, "/iss")).unwrap()
    );
    assert_eq!(claims.challenge_text, Some(challenge_text(SERVER)));
    assert_eq!(
        key1().address().as_str(),
        at(&clients, "/hubConfig/address")
    );

    // The same bytes but for the nonce: the payload of ours is that of the client.
    let ours = builder(&at(payload, "/salt")).sign(&key1()).unwrap();
    assert_eq!(
        ours.as_str().rsplit_once('.').unwrap().0,
        parts[..2].join(".")
    );
    accepted(ours.as_str());
}

#[test]
fn the_fixed_token_is_made_byte_for_byte() {
    let clients = clients();
    assert_eq!(clients["fixedTokenTwiceEqual"], true);
    let ours = builder(FIXED_SALT).sign(&key1()).unwrap();
    assert_eq!(ours.as_str(), at(&clients, "/fixedToken"));
    let signature = signature_of(ours.as_str());
    assert_eq!(
        hex::encode(signature.to_bytes()),
        at(&clients, "/fixedTokenSigHex")
    );
    assert_eq!(clients["fixedTokenSigHighS"], signature.is_high_s());
    accepted(ours.as_str());
}

#[test]
fn a_high_s_token_is_accepted() {
    let clients = clients();
    let token = at(&clients, "/highSToken");
    assert!(signature_of(&token).is_high_s());
    assert_eq!(clients["highSTokenVerifies"], true);
    accepted(&token);
    ParsedToken::parse(&token).unwrap().verify().unwrap();
    // Ours says the same with the other S.
    let ours = builder("00000000000000000000000000000001")
        .sign(&key1())
        .unwrap();
    let body = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(body(ours.as_str()), body(&token));
    assert!(!signature_of(ours.as_str()).is_high_s());
    // About half of what the client makes.
    assert_eq!(clients["highSCountOf64"], 27);
}

fn signature_of(token: &str) -> Signature {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let raw = engine.decode(token.rsplit_once('.').unwrap().1).unwrap();
    Signature::from_bytes(&raw).unwrap()
}

#[test]
fn association_tokens() {
    let clients = clients();
    let theirs = at(&clients, "/assocToken");
    let payload = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(payload(association().as_str()), payload(&theirs));
    let verified = gaia::association::verify(&theirs).unwrap();
    let parent = verified.parent_of(&key1().address(), 1_700_000_000);
    assert_eq!(parent, Ok(key2().address()));

    let outer = at(&clients, "/tokenWithAssoc");
    assert_eq!(*accepted(&outer).signer(), key2().address());
    let theirs = AssociationToken::parse(&theirs).unwrap();
    let ours = builder(FIXED_SALT)
        .association(&theirs)
        .sign(&key1())
        .unwrap();
    assert_eq!(payload(ours.as_str()), payload(&outer));
    assert_eq!(*accepted(ours.as_str()).signer(), key2().address());
}

#[test]
fn the_scoped_token() {
    let theirs = at(&clients(), "/scopedToken");
    let list = vec![
        Scope::new(ScopeKind::PutFile, "a/b.txt"),
        Scope::new(ScopeKind::DeleteFilePrefix, "a/"),
    ];
    let ours = builder(FIXED_SALT)
        .issued_at(1_600_000_000)
        .expires_at(4_102_444_800)
        .scopes(Scopes::new(list).unwrap())
        .sign(&key1())
        .unwrap();
    let body = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(body(ours.as_str()), body(&theirs));
    let authorization = accepted(&theirs);
    let path = |text: &str| text.parse().unwrap();
    assert_eq!(authorization.may_store(&path("a/b.txt")), Ok(()));
    assert_eq!(authorization.may_delete(&path("a/anything")), Ok(()));
    let bucket = key1().address();
    let refused = authorization.may_store(&path("a/c.txt")).unwrap_err();
    let want = format!("Address {bucket} not authorized to write to a/c.txt by scopes");
    assert_eq!(
        (refused.to_string(), refused.name()),
        (want, "ValidationError")
    );
    let refused = authorization
        .may_delete(&path("b"))
        .unwrap_err()
        .to_string();
    let want = format!("Address {bucket} not authorized to delete from b by scopes");
    assert_eq!(refused, want);
}

#[test]
fn the_legacy_token_is_made_byte_for_byte() {
    let clients = clients();
    let theirs = at(&clients, "/legacyToken");
    let ours = LegacyToken::make(&key1(), &challenge_text(SERVER));
    assert_eq!(ours.as_str(), theirs);
    let parsed = ParsedLegacyToken::parse(&theirs).unwrap();
    parsed.verify(SERVER).unwrap();
    let public_key = at(&clients, "/legacyDecoded/publickey");
    assert_eq!(parsed.public_key().to_hex(), public_key);
    let signature = Signature::from_der_hex(&at(&clients, "/legacyDecoded/signature")).unwrap();
    assert_eq!(signature, key1().sign(challenge_text(SERVER).as_bytes()));
    let bucket = key1().address();
    let context = AuthContext::new(SERVER, &bucket, 0);
    authenticate(&ours.authorization(), &context).unwrap();
}

#[test]
fn the_ecies_known_answer() {
    let known = known_answer();
    let recipient = SecretKey::from_hex(&at(&known, "/recipientPriv")).unwrap();
    assert_eq!(recipient.public().to_hex(), at(&known, "/recipientPub"));
    let ephemeral = SecretKey::from_hex(&at(&known, "/ephemeralPriv")).unwrap();
    let plaintext = at(&known, "/plaintext");
    assert_eq!(plaintext, at(&known, "/decryptedByStacks"));
    let bytes = seal(
        &recipient.public(),
        &ephemeral,
        hex_array(&at(&known, "/iv")),
        plaintext.as_bytes(),
        CipherTextEncoding::Hex,
        ContentKind::String,
    );
    assert_eq!(String::from_utf8_lossy(&bytes), at(&known, "/json"));
    assert_eq!(ETag::of(&bytes).as_str(), at(&known, "/jsonMd5Etag"));
    opens_to(
        &bytes,
        &recipient,
        plaintext.as_bytes(),
        ContentKind::String,
    );
}

#[test]
fn encrypted_samples_of_both_clients() {
    use ContentKind::{Bytes, String};
    let clients = clients();
    let samples = [
        ("/encHex/json", &b"hello gaia"[..], String),
        ("/encB64/json", &ENC_B64_PLAINTEXT, Bytes),
        ("/bsEnc/json", b"from blockstack", String),
        ("/emptyEnc", b"", String),
    ];
    for (pointer, plaintext, kind) in samples {
        let json = at(&clients, pointer);
        opens_to(json.as_bytes(), &key1(), plaintext, kind);
    }
    assert_eq!(
        clients["encHex"]["total"],
        at(&clients, "/encHex/json").len()
    );
    let predicted = predicted_len(10, CipherTextEncoding::Hex, String);
    assert_eq!(clients["encHex"]["predicted"], predicted);
    for name in ["encHex", "encB64", "bsEnc"] {
        check_members(&clients[name]);
    }
    assert_eq!(at(&clients, "/decHexOk"), "hello gaia");
    assert_eq!(at(&clients, "/bsDecryptsStacks"), "hello gaia");
    assert_eq!(at(&clients, "/independent/plaintext"), "hello gaia");
    assert_eq!(at(&clients, "/stacksDecryptsBs"), "from blockstack");
    assert_eq!(at(&clients, "/decB64Type"), "Uint8Array");
    assert_eq!(at(&clients, "/emptyDec"), "");
}

/// The sample does not say; it is the bytes in order.
const ENC_B64_PLAINTEXT: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Our own output has the same members, in the same order and of the same lengths.
fn check_members(sample: &Value) {
    let json = at(sample, "/json");
    let opened = open(&key1(), json.as_bytes()).unwrap();
    let encoding = match json.contains("cipherTextEncoding") {
        true => CipherTextEncoding::Base64,
        false => CipherTextEncoding::Hex,
    };
    let (ephemeral, iv) = gaia::envelope::derive_ephemeral(&key1(), b"sample");
    let recipient = key1().public();
    let ours = seal(
        &recipient,
        &ephemeral,
        iv,
        &opened.content,
        encoding,
        opened.kind,
    );
    let ours = String::from_utf8(ours).unwrap();
    assert_eq!(ours.len(), json.len());
    let members: serde_json::Map<String, Value> = serde_json::from_str(&ours).unwrap();
    let mut last = 0;
    for key in sample["keys"].as_array().unwrap() {
        let position = ours
            .find(&format!("\"{}\":", key.as_str().unwrap()))
            .unwrap();
        assert!(last <= position, "{key} comes too early in {ours}");
        last = position;
        let Some(lens) = sample.get("lens") else {
            continue;
        };
        let member = &members[key.as_str().unwrap()];
        match member.as_str() {
            Some(text) => assert_eq!(lens[key.as_str().unwrap()], text.len()),
            None => assert_eq!(&lens[key.as_str().unwrap()], member),
        }
    }
    assert_eq!(members.len(), sample["keys"].as_array().unwrap().len());
}

/// Opens a file as a whole and piece by piece, and seals it again piece by piece.
fn opens_to(bytes: &[u8], key: &SecretKey, plaintext: &[u8], kind: ContentKind) {
    let whole = open(key, bytes).unwrap();
    let content = plaintext.to_vec();
    assert_eq!(whole, Opened { content, kind });
    assert_eq!(looks_encrypted("application/json", bytes), Shape::Encrypted);
    let layout = EnvelopeLayout::scan(bytes, bytes, bytes.len() as u64).unwrap();
    let mut opener = Opener::new(key, &layout);
    let range = layout.cipher_text();
    let mut out = Vec::new();
    for at in range {
        opener
            .update(&bytes[usize::try_from(at).unwrap()..][..1], &mut out)
            .unwrap();
    }
    assert_eq!(opener.finish(&mut out), Ok(kind));
    assert_eq!(out, plaintext);
    let predicted = predicted_len(plaintext.len() as u64, layout.encoding(), kind);
    assert_eq!(predicted, bytes.len() as u64);
    let mut sealer = Sealer::new(&key.public(), key, [0; 16], layout.encoding(), kind);
    let mut resealed = Vec::new();
    for byte in plaintext {
        sealer.update(&[*byte], &mut resealed);
    }
    sealer.finish(&mut resealed);
    assert_eq!(resealed.len(), bytes.len());
    assert_eq!(open(key, &resealed).unwrap(), whole);
}

#[test]
fn the_signed_and_encrypted_sample() {
    let clients = clients();
    let json = at(&clients, "/encSigned/json");
    assert_eq!(
        looks_encrypted("application/json", json.as_bytes()),
        Shape::SignedEncrypted
    );
    assert_eq!(clients["encSigned"]["verify"], true);
    let inner = signed::unwrap(json.as_bytes(), &key1().address()).unwrap();
    assert_eq!(open(&key1(), &inner).unwrap().kind, ContentKind::String);
    assert_eq!(clients["encSigned"]["lens"]["cipherText"], inner.len());
    // The client signs deterministically over the text, so the wrapping can be made again.
    let ours = signed::wrap(&key1(), &inner).unwrap();
    let value: serde_json::Map<String, Value> = serde_json::from_slice(&ours).unwrap();
    for key in clients["encSigned"]["keys"].as_array().unwrap() {
        let key = key.as_str().unwrap();
        assert_eq!(
            clients["encSigned"]["lens"][key],
            value[key].as_str().unwrap().len()
        );
    }
    assert_eq!(String::from_utf8(ours).unwrap(), json);
    let other = signed::unwrap(json.as_bytes(), &key2().address());
    let signer = key1().address();
    assert_eq!(other, Err(signed::SignedError::OtherSigner { signer }));
}

#[test]
fn the_sig_file_is_made_byte_for_byte() {
    let clients = clients();
    let json = at(&clients, "/sigFile/json");
    assert_eq!(clients["sigFile"]["deterministic"], true);
    assert_eq!(clients["sigFile"]["verify"], true);
    let ours = signed::sign_detached(&key1(), b"hello gaia");
    assert_eq!(String::from_utf8(ours).unwrap(), json);
    let bucket = key1().address();
    signed::verify_detached(json.as_bytes(), b"hello gaia", &bucket).unwrap();
}

/// A vector that is added and not looked at would prove nothing.
#[test]
fn no_vector_is_forgotten() {
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut known = names(&clients());
    known.extend(names(&known_answer()));
    let tests = concat!(
        include_str!("vectors.rs"),
        include_str!("../../src/envelope/keys.rs"),
        include_str!("../../src/hub_info.rs")
    );
    for name in known {
        let looked_at =
            tests.contains(&format!("/{name}")) || tests.contains(&format!("[\"{name}\"]"));
        assert!(looked_at, "nothing tests the vector {name}");
    }
}
