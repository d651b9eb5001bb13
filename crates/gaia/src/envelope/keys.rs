//! The keys of one envelope, and the ephemeral key that is derived instead of drawn.

use aes::Aes256;
use cbc::cipher::KeyIvInit;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Digest;
use sha2::Sha256;
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::key::PublicKey;
use crate::key::SecretKey;

/// Sets the derivation apart from whatever else may be computed with the bucket's key.
const EPHEMERAL_LABEL: &[u8] = b"pangaea/envelope-ephemeral/1\0";

/// What both sides compute from the shared point: 32 bytes for AES, 32 for the MAC.
pub(super) struct EnvelopeKeys(Zeroizing<[u8; 64]>);

impl EnvelopeKeys {
    /// `mine` and `theirs` are the ephemeral key and the recipient's, either way round.
    pub(super) fn agree(mine: &SecretKey, theirs: &PublicKey) -> Self {
        let shared = mine.shared_x(theirs);
        Self(Zeroizing::new(Sha512::digest(shared.as_slice()).into()))
    }

    pub(super) fn encryptor(&self, iv: &[u8; 16]) -> cbc::Encryptor<Aes256> {
        cbc::Encryptor::new(&self.cipher_key().into(), &(*iv).into())
    }

    pub(super) fn decryptor(&self, iv: &[u8; 16]) -> cbc::Decryptor<Aes256> {
        cbc::Decryptor::new(&self.cipher_key().into(), &(*iv).into())
    }

    /// A MAC that has taken in the IV and the ephemeral key; the ciphertext is to follow.
    pub(super) fn mac(&self, iv: &[u8; 16], ephemeral: &[u8]) -> Hmac<Sha256> {
        let (_, mac_key) = self.0.split_at(32);
        let mut mac = keyed::<Hmac<Sha256>>(mac_key);
        mac.update(iv);
        mac.update(ephemeral);
        mac
    }

    fn cipher_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(&self.0[..32]);
        key
    }
}

/// Derives the ephemeral key and the IV of an envelope from the secret and a context.
///
/// The context must differ for different content (bucket, path, version, digest of the content).
/// Then the envelope is a pure function of what it holds: an upload can be repeated byte for
/// byte without keeping the ciphertext, and nobody without the secret can tell the derived key
/// from a random one.
#[must_use]
pub fn derive_ephemeral(secret: &SecretKey, context: &[u8]) -> (SecretKey, [u8; 16]) {
    let mut round: u64 = 0;
    loop {
        let mut mac = keyed::<Hmac<Sha512>>(secret.to_bytes().as_slice());
        mac.update(EPHEMERAL_LABEL);
        mac.update(&round.to_be_bytes());
        mac.update(context);
        let derived: Zeroizing<[u8; 64]> = Zeroizing::new(mac.finalize().into_bytes().into());
        let mut scalar = Zeroizing::new([0; 32]);
        scalar.copy_from_slice(&derived[..32]);
        // All but one number in 2^128 are keys.
        if let Ok(ephemeral) = SecretKey::from_bytes(&scalar) {
            let mut iv = [0; 16];
            iv.copy_from_slice(&derived[32..48]);
            return (ephemeral, iv);
        }
        round += 1;
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_depends_on_secret_and_context_only() {
        let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
        let other = SecretKey::from_bytes(&[2; 32]).unwrap();
        let (key, iv) = derive_ephemeral(&secret, b"a");
        let (again, iv_again) = derive_ephemeral(&secret, b"a");
        assert_eq!((key.public(), iv), (again.public(), iv_again));
        for (secret, context) in [(&secret, b"b"), (&other, b"a")] {
            let (different, different_iv) = derive_ephemeral(secret, context);
            assert_ne!(different.public(), key.public());
            assert_ne!(different_iv, iv);
        }
        // Uploads that were begun by an earlier release are repeated by later ones, so the
        // derivation may never change.
        assert_eq!(
            (key.to_hex().as_str(), hex::encode(iv).as_str()),
            (
                "5ac51982d01cf713a22f6f457cc163047d613468803b087dd1d5da56ab651fe3",
                "e4cc83b1e8b73f8c2bc4fdcfbdd05b82"
            )
        );
    }

    fn vectors(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    fn check(mine: &SecretKey, theirs: &PublicKey, answer: &serde_json::Value) -> EnvelopeKeys {
        assert_eq!(hex::encode(mine.shared_x(theirs)), answer["sharedX"]);
        let keys = EnvelopeKeys::agree(mine, theirs);
        assert_eq!(hex::encode(keys.0.as_slice()), answer["sha512"]);
        keys
    }

    #[test]
    fn known_answer_of_the_key_agreement() {
        let known = vectors(include_str!(
            "../../tests/vectors/gaia-ecies-known-answer.json"
        ));
        let key = |name: &str| SecretKey::from_hex(known[name].as_str().unwrap()).unwrap();
        let (recipient, ephemeral) = (key("recipientPriv"), key("ephemeralPriv"));
        check(&ephemeral, &recipient.public(), &known);
        check(&recipient, &ephemeral.public(), &known);
    }

    #[test]
    fn keys_found_by_an_independent_program() {
        let clients = vectors(include_str!("../../tests/vectors/gaia-clients.json"));
        let key = SecretKey::from_hex(clients["key1"]["priv"].as_str().unwrap()).unwrap();
        let sample = vectors(clients["encHex"]["json"].as_str().unwrap());
        let text = |name: &str| sample[name].as_str().unwrap().to_owned();
        let ephemeral = PublicKey::from_hex(&text("ephemeralPK")).unwrap();
        let independent = &clients["independent"];
        let keys = check(&key, &ephemeral, independent);
        assert_eq!(hex::encode(keys.cipher_key()), independent["encKey"]);
        assert_eq!(hex::encode(&keys.0[32..]), independent["macKey"]);

        let iv = hex::decode(text("iv")).unwrap().try_into().unwrap();
        let mut mac = keys.mac(&iv, &ephemeral.to_bytes());
        mac.update(&hex::decode(text("cipherText")).unwrap());
        let fits = mac.verify_slice(&hex::decode(text("mac")).unwrap()).is_ok();
        assert_eq!(independent["macMatches"], fits);
        assert!(fits);
    }
}
