//! The simulator's own version header, and the bytes around a content: what the shell does with
//! signatures and encryption, without the cryptography. The hub treats it as opaque.

use std::rc::Rc;

use gaia::path::FilePath;
use pangaea_core::media::MediaType;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Ancestors;
use pangaea_core::state::ContentKind;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::Origin;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::RemoteBody;
use pangaea_core::state::RemoteFile;
use pangaea_core::state::Signing;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

use crate::content::Bytes;
use crate::hub::Object;

/// What a file's type says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Which version it is.
    pub version: VersionId,
    /// What that replaces.
    pub ancestors: Ancestors,
    /// Names the stored bytes.
    pub digest: ContentHash,
    /// What is stored.
    pub form: Form,
}

/// What the bytes under a header are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A file.
    File(MediaType, Format),
    /// The stand-in for a deleted file.
    Tombstone,
    /// Something that only a newer program understands.
    Newer,
}

/// What stands before the content in an encrypted file, up to a zero byte.
const ENVELOPE: &str = "sealed ";

/// The bytes that a hub stores: those of a file that is encrypted are a function of path, version
/// and content.
pub fn wrap(path: &FilePath, file: &LocalFile, format: Format, content: &[u8]) -> Bytes {
    match format.encryption {
        Encryption::Plain => content.into(),
        Encryption::Ecies => {
            let mut bytes = format!("{ENVELOPE}{path} {}\0", file.version).into_bytes();
            bytes.extend_from_slice(content);
            bytes.into()
        }
    }
}

/// The plain content of stored bytes.
pub fn content(bytes: &Bytes) -> Bytes {
    if !bytes.starts_with(ENVELOPE.as_bytes()) {
        return bytes.clone();
    }
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => bytes[at + 1..].into(),
        None => bytes.clone(),
    }
}

/// The version that a stored object has for everybody who reads it.
pub fn version_of(object: &Object) -> VersionId {
    match &object.header {
        Some(header) => header.version,
        None => VersionId::synthetic(object.modified_s, object.tag.as_str()),
    }
}

/// Reads a stored object, as the shell does.
///
/// # Errors
/// Why the bytes are not taken for the file's.
pub fn unwrap(path: &FilePath, object: &Object) -> Result<(RemoteFile, Bytes), ProblemKind> {
    let version = version_of(object);
    let plain = content(&object.bytes);
    let (origin, ancestors, media_type, format) = match object.header.as_deref() {
        None => {
            let media_type = MediaType::of(path.as_str(), b"");
            let kind = ContentKind::Bytes;
            let format = Format {
                encryption: Encryption::Plain,
                signing: Signing::Unsigned,
                kind,
            };
            (Origin::Foreign, Ancestors::default(), media_type, format)
        }
        Some(header) => {
            if ContentHash::of(&object.bytes) != header.digest {
                return Err(ProblemKind::Damaged);
            }
            let ancestors = header.ancestors.clone();
            match &header.form {
                Form::Newer => return Err(ProblemKind::Newer),
                Form::Tombstone => {
                    let remote = RemoteFile {
                        tag: object.tag.clone(),
                        version,
                        origin: Origin::Header,
                        ancestors,
                        body: RemoteBody::Tombstone,
                    };
                    return Ok((remote, Rc::from([])));
                }
                Form::File(media_type, format) => {
                    (Origin::Header, ancestors, media_type.clone(), *format)
                }
            }
        }
    };
    let body = RemoteBody::File {
        content: ContentHash::of(&plain),
        size: plain.len() as u64,
        media_type,
        format,
    };
    let remote = RemoteFile {
        tag: object.tag.clone(),
        version,
        origin,
        ancestors,
        body,
    };
    Ok((remote, plain))
}
