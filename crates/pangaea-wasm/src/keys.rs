//! Keys, envelopes and signatures outside a replica: for files of other people's buckets, and for an
//! application that encrypts by itself. Keys and signatures are hexadecimal digits.

use gaia::envelope;
use gaia::envelope::CipherTextEncoding;
use gaia::envelope::ContentKind;
use gaia::envelope::EnvelopeError;
use gaia::key::PublicKey;
use gaia::key::SecretKey;
use gaia::key::Signature;
use js_sys::Object;
use js_sys::Reflect;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::error;

/// The compressed public key of a secret one.
#[wasm_bindgen(js_name = publicKey)]
pub fn public_key(secret: &str) -> Result<String, JsValue> {
    Ok(secret_of(secret)?.public().to_hex())
}

/// The address of the bucket that a public key owns.
#[wasm_bindgen(js_name = addressOf)]
pub fn address_of(public_key: &str) -> Result<String, JsValue> {
    Ok(public_of(public_key)?.address().to_string())
}

/// Makes an envelope that the owner of a key can open.
#[wasm_bindgen]
pub fn encrypt(
    public_key: &str,
    content: &[u8],
    was_string: bool,
    encoding: &str,
) -> Result<String, JsValue> {
    let public = public_of(public_key)?;
    let mut random = [0; 48];
    getrandom::fill(&mut random).map_err(|failure| error("storage", &failure.to_string()))?;
    let (key, iv) = random.split_at(32);
    let key = <[u8; 32]>::try_from(key).unwrap_or_default();
    let iv = <[u8; 16]>::try_from(iv).unwrap_or_default();
    let ephemeral = SecretKey::generate(key).map_err(|failure| bad_key(&failure))?;
    let encoding = match encoding {
        "hex" => CipherTextEncoding::Hex,
        _ => CipherTextEncoding::Base64,
    };
    let kind = if was_string {
        ContentKind::String
    } else {
        ContentKind::Bytes
    };
    let sealed = envelope::seal(&public, &ephemeral, iv, content, encoding, kind);
    String::from_utf8(sealed).map_err(|failure| error("damaged", &failure.to_string()))
}

/// Opens an envelope: `{content, wasString}`.
#[wasm_bindgen]
pub fn decrypt(secret: &str, sealed: &str) -> Result<JsValue, JsValue> {
    let opened = envelope::open(&secret_of(secret)?, sealed.as_bytes());
    let opened = opened.map_err(|failure| {
        let code = match failure {
            EnvelopeError::WrongMac => "wrong-key",
            EnvelopeError::NotAnEnvelope => "not-an-envelope",
            _ => "damaged",
        };
        error(code, &failure.to_string())
    })?;
    let found = Object::new();
    let set = |name: &str, value: &JsValue| drop(Reflect::set(&found, &name.into(), value));
    set("content", &Uint8Array::from(&opened.content[..]));
    set("wasString", &(opened.kind == ContentKind::String).into());
    Ok(found.into())
}

/// Signs bytes: `{signature, publicKey}`.
#[wasm_bindgen]
pub fn sign(secret: &str, bytes: &[u8]) -> Result<JsValue, JsValue> {
    let secret = secret_of(secret)?;
    let signed = Object::new();
    let set = |name: &str, text: String| drop(Reflect::set(&signed, &name.into(), &text.into()));
    set("signature", secret.sign(bytes).to_der_hex());
    set("publicKey", secret.public().to_hex());
    Ok(signed.into())
}

/// Whether a signature is a key's over these bytes.
#[wasm_bindgen]
pub fn verify(bytes: &[u8], public_key: &str, signature: &str) -> bool {
    let (Ok(public), Ok(signature)) = (
        PublicKey::from_hex(public_key),
        Signature::from_der_hex(signature),
    ) else {
        return false;
    };
    public.verify(bytes, &signature).is_ok()
}

fn secret_of(text: &str) -> Result<SecretKey, JsValue> {
    SecretKey::from_hex(text).map_err(|failure| bad_key(&failure))
}

fn public_of(text: &str) -> Result<PublicKey, JsValue> {
    PublicKey::from_hex(text).map_err(|failure| bad_key(&failure))
}

fn bad_key(failure: &dyn std::fmt::Display) -> JsValue {
    error("bad-key", &failure.to_string())
}
