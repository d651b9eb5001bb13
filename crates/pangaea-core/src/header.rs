//! The version header: what a stored file says of itself, and the `Content-Type` that carries it.
//!
//! Gaia hubs keep a file's `Content-Type` as sent, so a version rides in a parameter of it:
//! `application/json; charset=utf-8; enc=ecies; pangaea="1.<base64url>"`. Before the dot stands the
//! number of the format; behind it, without padding, these bytes (numbers are big-endian):
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 1 | flags: bit 0 means deleted, all others are zero |
//! | 1 | 8 | clock: 48 bits of Unix milliseconds, 16 bits of counter |
//! | 9 | 8 | device |
//! | 17 | 1 | n, the number of ancestors named, 0 to 16 |
//! | 18 | 16 n | the ancestors, parents first, each clock and device |
//! | 18 + 16 n | 32 | SHA-256 of the stored bytes (of the envelope, if the file is encrypted) |
//! | 50 + 16 n | 64 | ECDSA signature of the bucket's key, r and s |
//!
//! Signed is the SHA-256 of: `pangaea/version-header/1`, a zero byte, the length of the address
//! (2 bytes), the address, the length of the path (2 bytes), the path, and all bytes above before
//! the signature. So a hub cannot move a version to another path or bucket, nor pair it with other
//! bytes.
//!
//! What follows from a header (successor, conflict, damage) is decided elsewhere.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gaia::address::Address;
use gaia::key::SecretKey;
use gaia::key::Signature;
use gaia::limits::CONTENT_TYPE_BYTES_MAX;
use gaia::path::FilePath;
use sha2::Digest;
use sha2::Sha256;

use crate::media::MediaType;
use crate::policy::Encryption;
use crate::state::ANCESTORS_MAX;
use crate::version::VersionId;

/// The format that this program writes.
pub const HEADER_FORMAT: u32 = 1;
/// The name of the parameter that carries the header.
pub const HEADER_PARAMETER: &str = "pangaea";
/// The name of the parameter that says how the bytes are encrypted.
pub const ENCRYPTION_PARAMETER: &str = "enc";

const FLAG_DELETED: u8 = 1;
const DOMAIN: &[u8] = b"pangaea/version-header/1\0";
const SIGNATURE_BYTES: usize = 64;

/// What a header says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFields {
    /// This version.
    pub version: VersionId,
    /// The versions that it replaces, newest first; [`ANCESTORS_MAX`] of them are kept.
    pub ancestors: Vec<VersionId>,
    /// Whether the file is deleted: the stored bytes are then an empty stand-in.
    pub deleted: bool,
    /// SHA-256 of the bytes that the hub stores.
    pub stored_sha256: [u8; 32],
}

impl HeaderFields {
    /// Returns everything but the signature, byte by byte as in the table above.
    fn to_bytes(&self) -> Vec<u8> {
        let ancestors = &self.ancestors[..self.ancestors.len().min(ANCESTORS_MAX)];
        let mut bytes = Vec::with_capacity(50 + 16 * ancestors.len() + SIGNATURE_BYTES);
        bytes.push(if self.deleted { FLAG_DELETED } else { 0 });
        bytes.extend(self.version.to_bytes());
        bytes.push(u8::try_from(ancestors.len()).unwrap_or(u8::MAX));
        bytes.extend(ancestors.iter().flat_map(|ancestor| ancestor.to_bytes()));
        bytes.extend(self.stored_sha256);
        bytes
    }

    fn digest(&self, address: &Address, path: &FilePath) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        for text in [address.as_str(), path.as_str()] {
            // Both are far below 64 KiB.
            hasher.update(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            hasher.update(text);
        }
        hasher.update(self.to_bytes());
        hasher.finalize().into()
    }
}

/// A signed version header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionHeader {
    /// What it says.
    pub fields: HeaderFields,
    /// The signature of the bucket's key; check it with [`VersionHeader::verify`].
    pub signature: [u8; SIGNATURE_BYTES],
}

impl VersionHeader {
    /// Signs what is said of the file at `path` in the bucket of `key`.
    pub fn sign(key: &SecretKey, path: &FilePath, mut fields: HeaderFields) -> Self {
        fields.ancestors.truncate(ANCESTORS_MAX);
        let digest = fields.digest(&key.address(), path);
        Self {
            signature: key.sign_digest(&digest).to_bytes(),
            fields,
        }
    }

    /// Checks that the owner of the bucket, who has `key` and thereby `address`, wrote this for this path.
    ///
    /// Whether the bytes at hand are the ones meant is [`VersionHeader::describes`].
    ///
    /// # Errors
    /// [`HeaderError::WrongSignature`].
    pub fn verify(
        &self,
        key: &SecretKey,
        address: &Address,
        path: &FilePath,
    ) -> Result<(), HeaderError> {
        let digest = self.fields.digest(address, path);
        Signature::from_bytes(&self.signature)
            .and_then(|signature| key.verify_digest(&digest, &signature))
            .map_err(|_| HeaderError::WrongSignature)
    }

    /// Tells whether stored bytes with this SHA-256 are the ones that the header was written for.
    pub fn describes(&self, stored_sha256: &[u8; 32]) -> bool {
        self.fields.stored_sha256 == *stored_sha256
    }

    /// Returns the text form, `1.<base64url>`: letters, digits, `.`, `-` and `_` only.
    pub fn encode(&self) -> String {
        let mut bytes = self.fields.to_bytes();
        bytes.extend(self.signature);
        format!("{HEADER_FORMAT}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the text form; the signature is not checked yet.
    ///
    /// # Errors
    /// [`HeaderError::Newer`] or [`HeaderError::Malformed`].
    pub fn decode(text: &str) -> Result<Self, HeaderError> {
        const NO_FORMAT: HeaderError = HeaderError::Malformed("it does not begin with a format");
        let (format, rest) = text.split_once('.').ok_or(NO_FORMAT)?;
        if format.starts_with('0') || !format.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NO_FORMAT);
        }
        match format.parse::<u32>() {
            Ok(HEADER_FORMAT) => {}
            Err(_) => return Err(NO_FORMAT),
            Ok(format) => return Err(HeaderError::Newer { format }),
        }
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(rest)
            .map_err(|_| HeaderError::Malformed("it is not base64url"))?;
        let mut reader = Reader(&bytes);
        let header = Self::read(&mut reader)?;
        if !reader.0.is_empty() {
            return Err(HeaderError::Malformed("it goes on after its end"));
        }
        Ok(header)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, HeaderError> {
        let [flags] = reader.take()?;
        if flags & !FLAG_DELETED != 0 {
            // Flags may be added without a new format: this one's meaning is not known here.
            return Err(HeaderError::Newer {
                format: HEADER_FORMAT,
            });
        }
        let version = VersionId::from_bytes(reader.take()?);
        let [count] = reader.take()?;
        if usize::from(count) > ANCESTORS_MAX {
            return Err(HeaderError::Malformed("it names too many ancestors"));
        }
        let ancestors = (0..count).map(|_| Ok(VersionId::from_bytes(reader.take()?)));
        let ancestors = ancestors.collect::<Result<_, HeaderError>>()?;
        let stored_sha256 = reader.take()?;
        let deleted = flags & FLAG_DELETED != 0;
        let fields = HeaderFields {
            version,
            ancestors,
            deleted,
            stored_sha256,
        };
        Ok(Self {
            fields,
            signature: reader.take()?,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .ok_or(HeaderError::Malformed("it is cut short"))?;
        self.0 = rest;
        Ok(*first)
    }
}

/// Says why a version header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The header has a meaning that this program does not know (I-18).
    #[error(
        "this file was written by a newer Pangaea (version header format {format}): update this \
         program to read or change it"
    )]
    Newer {
        /// The format number that was met.
        format: u32,
    },
    /// The parameter is there, but it is not a header.
    #[error("the file's version header is damaged: {0}")]
    Malformed(&'static str),
    /// The header was not made by the owner of the bucket, or for another path.
    #[error(
        "the file's version header is not signed by this bucket's key for this path: the hub, or \
         somebody with access to it, changed or moved the file"
    )]
    WrongSignature,
    /// The `Content-Type` is longer than a hub keeps.
    #[error("the Content-Type has {bytes} bytes; a hub keeps {CONTENT_TYPE_BYTES_MAX}")]
    ContentTypeTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Writes the `Content-Type` of a file.
///
/// Of a plain file it names the type of the content, and text always gets a charset (the stock
/// reader appends one to a bare `text/*`, behind our parameters). An encrypted file is an envelope
/// in JSON and says nothing of what is inside.
///
/// # Errors
/// [`HeaderError::ContentTypeTooLong`], which only a media type with long parameters causes.
pub fn compose(
    media_type: &MediaType,
    encryption: Encryption,
    header: Option<&VersionHeader>,
) -> Result<String, HeaderError> {
    let mut text = match encryption {
        Encryption::Ecies => format!("{}; {ENCRYPTION_PARAMETER}=ecies", MediaType::json()),
        Encryption::Plain => media_type.as_str().to_owned(),
    };
    if encryption == Encryption::Plain
        && media_type.is_text()
        && parameters(&text).all(|(name, _)| name != "charset")
    {
        text.push_str("; charset=utf-8");
    }
    if let Some(header) = header {
        text.push_str(&format!("; {HEADER_PARAMETER}=\"{}\"", header.encode()));
    }
    if text.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(HeaderError::ContentTypeTooLong { bytes: text.len() });
    }
    Ok(text)
}

/// How stored bytes are encrypted, as their `Content-Type` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncryptionMark {
    /// The envelope that all Gaia clients read.
    Ecies,
    /// Something that this program does not know.
    Other(String),
}

/// What a `Content-Type` says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentTypeInfo {
    /// The type without our parameters; `application/octet-stream` if there is no readable one.
    pub media_type: MediaType,
    /// How the bytes are encrypted. None with a header means plain; none without a header means
    /// that nobody said.
    pub encryption: Option<EncryptionMark>,
    /// The version header, not yet verified; none if the writer was another program.
    pub header: Option<Result<VersionHeader, HeaderError>>,
}

/// Reads a `Content-Type`. Parameters may come in any order, quoted or not; whatever is damaged is
/// said in the result.
pub fn parse(content_type: &str) -> ContentTypeInfo {
    let mut info = ContentTypeInfo {
        media_type: MediaType::octet_stream(),
        encryption: None,
        header: None,
    };
    if content_type.len() > CONTENT_TYPE_BYTES_MAX {
        info.header = Some(Err(HeaderError::ContentTypeTooLong {
            bytes: content_type.len(),
        }));
        return info;
    }
    let mut kept = String::new();
    let mut seen = Vec::new();
    for (name, value) in parameters(content_type) {
        let again = seen.contains(&name);
        match name.as_str() {
            HEADER_PARAMETER if again => {
                info.header = Some(Err(HeaderError::Malformed("there are two of them")));
            }
            HEADER_PARAMETER => info.header = Some(VersionHeader::decode(&unquote(value))),
            ENCRYPTION_PARAMETER if !again => info.encryption = Some(read_mark(&unquote(value))),
            _ if again || !is_printable(&name) || !is_printable(value) => {}
            _ => kept.push_str(&format!("; {name}={value}")),
        }
        seen.push(name);
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if is_essence(essence) {
        info.media_type = MediaType::from_parts(essence, &kept);
    }
    info
}

fn read_mark(value: &str) -> EncryptionMark {
    if value.eq_ignore_ascii_case("ecies") {
        EncryptionMark::Ecies
    } else {
        EncryptionMark::Other(value.to_owned())
    }
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn is_essence(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(is_token_byte)
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Yields the parameters behind the type: lower-case name, and the value as written.
fn parameters(content_type: &str) -> impl Iterator<Item = (String, &str)> {
    let mut rest = content_type.split_once(';').map(|(_, rest)| rest);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = end_of_parameter(text);
        rest = text.get(end + 1..);
        Some(text[..end].split_once('='))
    })
    .flatten()
    .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
}

/// Finds the semicolon that ends a parameter, or the end of the text; quotes may hold semicolons.
fn end_of_parameter(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return index,
            _ => {}
        }
    }
    text.len()
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut escaped = false;
    let is_content = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inner.chars().filter(is_content).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::DeviceId;
    use crate::version::Hlc;
    use expect_test::expect;
    use proptest::prelude::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).expect("a key")
    }

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).expect("a path")
    }

    fn version(seed: u64) -> VersionId {
        let device = DeviceId::from_random([9; 8]);
        VersionId::new(Hlc::new(1_800_000_000_000 + seed, 3), device)
    }

    fn fields(ancestors: u64) -> HeaderFields {
        HeaderFields {
            version: version(9),
            ancestors: (0..ancestors).map(version).collect(),
            deleted: false,
            stored_sha256: [5; 32],
        }
    }

    fn header(ancestors: u64) -> VersionHeader {
        VersionHeader::sign(&key(), &path("notes/a.md"), fields(ancestors))
    }

    /// The bytes on the hubs: a change here is a new format.
    #[test]
    fn the_form_is_fixed() {
        expect!["1.AAGjGFxQCQADCQkJCQkJCQkBAaMYXFAAAAMJCQkJCQkJCQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFE9hGnTlQUIkJJFMRT8syNPFqXDaaLV4WuJwcdVHgPBNIwBacJ190zL0D7WEwW1pTOdazgORKHx_ytv6tEsHNrA"].assert_eq(&header(1).encode());
        let plain = compose(&MediaType::of("a.md", b""), Encryption::Plain, None).expect("short");
        expect!["text/markdown; charset=utf-8"].assert_eq(&plain);
        let whole = compose(
            &MediaType::of("a.md", b""),
            Encryption::Ecies,
            Some(&header(0)),
        );
        expect![[r#"application/json; charset=utf-8; enc=ecies; pangaea="1.AAGjGFxQCQADCQkJCQkJCQkABQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQV0CKq2cC7WJURre9AtcvJ8Kz7jRJlD1PuBtpCV-vzhbmUzbTj6Ekq9I5q9UyZixEV_VqILT9nzi5vnczkP3vqy""#]].assert_eq(&whole.expect("short"));
    }

    fn verify(header: &VersionHeader, key: &SecretKey, at: &str) -> Result<(), HeaderError> {
        header.verify(key, &key.address(), &path(at))
    }

    #[test]
    fn a_signature_binds_everything() {
        let (key, header) = (key(), header(2));
        assert_eq!(verify(&header, &key, "notes/a.md"), Ok(()));
        let wrong = Err(HeaderError::WrongSignature);
        assert_eq!(verify(&header, &key, "notes/b.md"), wrong);
        let other = SecretKey::from_bytes(&[8; 32]).expect("a key");
        assert_eq!(verify(&header, &other, "notes/a.md"), wrong);
        let changes: [fn(&mut HeaderFields); 5] = [
            |fields| fields.deleted = true,
            |fields| fields.version = version(10),
            |fields| fields.ancestors.reverse(),
            |fields| fields.ancestors.truncate(1),
            |fields| fields.stored_sha256[31] ^= 1,
        ];
        for change in changes {
            let mut changed = header.clone();
            change(&mut changed.fields);
            assert_eq!(verify(&changed, &key, "notes/a.md"), wrong);
        }
        let zero = VersionHeader {
            signature: [0; 64],
            ..header
        };
        assert_eq!(verify(&zero, &key, "notes/a.md"), wrong);
    }

    #[test]
    fn sixteen_ancestors_are_kept_and_fit() {
        let full = header(19);
        assert_eq!(full.fields.ancestors, fields(16).ancestors);
        let text = compose(&MediaType::json(), Encryption::Ecies, Some(&full)).expect("short");
        assert!(text.len() < 600, "{}", text.len());
        assert_eq!(parse(&text).header, Some(Ok(full)));
    }

    #[test]
    fn parameters_are_found_however_they_are_written() {
        let (header, text) = (header(1), header(1).encode());
        let spellings = [
            format!("text/markdown; charset=utf-8; enc=ecies; pangaea=\"{text}\""),
            format!("text/markdown; charset=utf-8; enc=ecies; pangaea=\"{text}\"; charset=utf-8"),
            format!("Text/Markdown;PANGAEA={text};Enc=\"ECIES\" ; Charset=utf-8"),
            format!("text/markdown ; pangaea = \"\\{text}\"; enc=ecies; charset=utf-8;"),
        ];
        for spelling in spellings {
            let info = parse(&spelling);
            assert_eq!(
                info.media_type.as_str(),
                "text/markdown; charset=utf-8",
                "{spelling}"
            );
            assert_eq!(info.encryption, Some(EncryptionMark::Ecies), "{spelling}");
            assert_eq!(info.header, Some(Ok(header.clone())), "{spelling}");
        }
        let info = parse("text/plain; title=\"; pangaea=1.x\"; enc=age");
        assert_eq!(
            info.media_type.as_str(),
            "text/plain; title=\"; pangaea=1.x\""
        );
        assert_eq!(
            info.encryption,
            Some(EncryptionMark::Other("age".to_owned()))
        );
        assert_eq!(info.header, None);
    }

    #[test]
    fn a_newer_format_says_so() {
        let error = VersionHeader::decode("2.whatever").expect_err("newer");
        expect!["this file was written by a newer Pangaea (version header format 2): update this program to read or change it"].assert_eq(&error.to_string());
        let mut flagged = header(0).fields.to_bytes();
        flagged[0] = 0x82;
        let text = format!("1.{}", BASE64_URL_SAFE_NO_PAD.encode(flagged));
        assert_eq!(
            VersionHeader::decode(&text),
            Err(HeaderError::Newer { format: 1 })
        );
    }

    #[test]
    fn damage_is_a_value() {
        let text = header(1).encode();
        let mut damaged = vec![
            String::new(),
            "x".to_owned(),
            "0.".to_owned(),
            "+1.AA".to_owned(),
        ];
        damaged.extend((2..text.len()).map(|end| text[..end].to_owned()));
        damaged.extend([
            format!("{text}AAAA"),
            format!("{text}="),
            format!("01{text}"),
        ]);
        for text in damaged {
            let error = VersionHeader::decode(&text).expect_err(&text);
            assert!(
                matches!(error, HeaderError::Malformed(_)),
                "{text}: {error}"
            );
        }
        let twice = parse(&format!("a/b; pangaea={text}; pangaea={text}"));
        assert!(matches!(twice.header, Some(Err(HeaderError::Malformed(_)))));
        let long = parse(&format!("a/b; pangaea={text}; x={}", "x".repeat(1024)));
        assert!(matches!(
            long.header,
            Some(Err(HeaderError::ContentTypeTooLong { .. }))
        ));
        for nothing in ["", ";", "text", "text/", "a b/c", "text/é"] {
            assert_eq!(
                parse(nothing).media_type,
                MediaType::octet_stream(),
                "{nothing}"
            );
        }
    }

    proptest! {
        #[test]
        fn anything_is_parsed_without_panic(text: String, tail: String) {
            let info = parse(&format!("{text}; pangaea={tail}"));
            prop_assert!(is_essence(info.media_type.essence()));
            let garbled = format!("1.{text}");
            prop_assert!(VersionHeader::decode(&garbled).is_err());
        }

        /// One changed bit anywhere in the header: refused as damaged, as of a newer program, or as
        /// not signed by the bucket's key.
        #[test]
        fn no_changed_bit_is_believed(ancestors in 0..17_u64, at: prop::sample::Index, bit in 0..8_u8) {
            let header = header(ancestors);
            let text = header.encode();
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&text[2..]).expect("our own");
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let changed = format!("1.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
            if let Ok(changed) = VersionHeader::decode(&changed) {
                let verdict = verify(&changed, &key(), "notes/a.md");
                prop_assert_eq!(verdict, Err(HeaderError::WrongSignature));
            }
        }

        #[test]
        fn what_is_composed_is_parsed(
            bytes in prop::collection::vec(any::<[u8; 16]>(), 1..6),
            deleted: bool,
            stored_sha256: [u8; 32],
        ) {
            let ids: Vec<_> = bytes.into_iter().map(VersionId::from_bytes).collect();
            let ancestors = ids[1..].to_vec();
            let fields = HeaderFields { version: ids[0], ancestors, deleted, stored_sha256 };
            let header = VersionHeader { fields, signature: [3; 64] };
            let media = MediaType::of("a.txt", b"");
            let text = compose(&media, Encryption::Plain, Some(&header)).expect("short");
            let expected =
                ContentTypeInfo { media_type: media, encryption: None, header: Some(Ok(header)) };
            prop_assert_eq!(parse(&text), expected);
        }
    }
}
