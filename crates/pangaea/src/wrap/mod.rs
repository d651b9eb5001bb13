//! Between plain content and the bytes that a hub stores: encryption, signatures and the version
//! header, both ways. What fits in memory is done here, the rest in `file`.
//!
//! Stored bytes are a pure function of bucket key, path, version and content: the ephemeral key of
//! the envelope is derived, not drawn. So an upload whose answer was lost can be repeated byte for
//! byte without keeping the ciphertext, and its tag is known before it is sent.

#[cfg(feature = "native")]
pub mod file;

use bytes::Bytes;
use gaia::address::Address;
use gaia::envelope;
use gaia::envelope::CipherTextEncoding;
use gaia::envelope::EnvelopeError;
use gaia::envelope::Shape;
use gaia::etag::ETag;
use gaia::key::PublicKey;
use gaia::key::SecretKey;
use gaia::path::FilePath;
use gaia::signed;
use pangaea_core::header;
use pangaea_core::header::EncryptionMark;
use pangaea_core::header::HeaderError;
use pangaea_core::header::HeaderFields;
use pangaea_core::header::VersionHeader;
use pangaea_core::io::Failure;
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
use sha2::Digest;
use sha2::Sha256;

/// The keys of one bucket, ready to wrap and unwrap its files.
pub struct Wrapper {
    secret: SecretKey,
    public: PublicKey,
    address: Address,
}

/// Stored bytes with what goes along with them.
#[derive(Debug, Clone)]
pub struct Wrapped {
    /// Carries the version header.
    pub content_type: String,
    /// The tag that the hub will give them.
    pub tag: ETag,
    /// The bytes.
    pub bytes: Bytes,
}

/// What a hub said of stored bytes.
#[derive(Debug, Clone)]
pub struct StoredAs {
    /// Their tag.
    pub tag: ETag,
    /// Their `Content-Type`.
    pub content_type: String,
    /// `Last-Modified`, in seconds since 1970.
    pub modified_s: u64,
}

/// Why content cannot be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The content is not what it was when the version was made.
    #[error("the file was changed while it was being sent; it is read again")]
    ContentChanged,
    /// The version header is damaged, foreign or too new.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The stored bytes are not the ones that the header was made for.
    #[error("the hub's bytes do not match their version header: a torn upload, or tampering")]
    WrongDigest,
    /// The envelope does not open.
    #[error("the file cannot be decrypted: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The signature around the envelope does not hold.
    #[error(transparent)]
    Signed(#[from] signed::SignedError),
    /// Encrypted in a way that this program does not know.
    #[error("the file is encrypted as `{0}`, which this program does not know; update it")]
    UnknownEncryption(String),
    /// A local file failed.
    #[error("a local file cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// Too large for the form that it has.
    #[error("signed and encrypted files of more than {limit_mib} MiB are not supported")]
    TooLarge {
        /// The limit in MiB.
        limit_mib: u64,
    },
}

impl WrapError {
    /// What the engine makes of it; `tag` is the hub's of what was read.
    pub fn into_failure(self, tag: Option<ETag>) -> Failure {
        let kind = match &self {
            Self::ContentChanged => {
                return Failure::Busy {
                    message: self.to_string(),
                };
            }
            Self::Header(HeaderError::Newer { .. }) | Self::UnknownEncryption(_) => {
                ProblemKind::Newer
            }
            Self::Header(HeaderError::ContentTypeTooLong { .. }) | Self::TooLarge { .. } => {
                ProblemKind::Refused
            }
            Self::Header(_) | Self::WrongDigest | Self::Envelope(_) | Self::Signed(_) => {
                ProblemKind::Damaged
            }
            Self::Io(_) => ProblemKind::Device,
        };
        Failure::Problem {
            kind,
            message: self.to_string(),
            tag,
        }
    }
}

/// Who wrote stored bytes and how they are wrapped, as far as their type tells.
pub(crate) struct Reading {
    version: VersionId,
    origin: Origin,
    ancestors: Ancestors,
    header: Option<VersionHeader>,
    encryption: Option<EncryptionMark>,
    media_type: MediaType,
}

impl Wrapper {
    /// For the bucket that `secret` owns.
    pub fn new(secret: SecretKey) -> Self {
        let public = secret.public();
        let address = public.address();
        Self {
            secret,
            public,
            address,
        }
    }

    /// The bucket.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Wraps a version's content.
    ///
    /// # Errors
    /// [`WrapError::ContentChanged`] if `content` is not the version's.
    pub fn wrap(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        content: &[u8],
    ) -> Result<Wrapped, WrapError> {
        if ContentHash::of(content) != file.content {
            return Err(WrapError::ContentChanged);
        }
        let bytes = match format.encryption {
            Encryption::Plain => Bytes::copy_from_slice(content),
            Encryption::Ecies => {
                let (ephemeral, iv) = self.ephemeral(path, file);
                let kind = envelope_kind(format.kind);
                let encoding = CipherTextEncoding::Base64;
                let sealed = envelope::seal(&self.public, &ephemeral, iv, content, encoding, kind);
                match format.signing {
                    Signing::Unsigned => sealed.into(),
                    Signing::Signed => signed::wrap(&self.secret, &sealed)?.into(),
                }
            }
        };
        let digest = Sha256::digest(&bytes).into();
        Ok(Wrapped {
            content_type: self.content_type(path, file, format, digest)?,
            tag: ETag::of(&bytes),
            bytes,
        })
    }

    /// The stand-in for a deleted file: an empty body whose header says that it is deleted.
    ///
    /// # Errors
    /// None that a caller could cause; see [`header::compose`].
    pub fn tombstone(
        &self,
        path: &FilePath,
        version: VersionId,
        ancestors: &Ancestors,
    ) -> Result<Wrapped, WrapError> {
        let fields = HeaderFields {
            version,
            ancestors: ancestors.as_slice().to_vec(),
            deleted: true,
            stored_sha256: Sha256::digest(b"").into(),
        };
        let header = VersionHeader::sign(&self.secret, path, fields);
        let media_type = MediaType::octet_stream();
        let content_type = header::compose(&media_type, Encryption::Plain, Some(&header))?;
        Ok(Wrapped {
            content_type,
            tag: ETag::of(b""),
            bytes: Bytes::new(),
        })
    }

    /// The stock clients' signature file for plain content with this digest.
    pub fn detached_signature(&self, content: ContentHash) -> Vec<u8> {
        signed::sign_detached_digest(&self.secret, content.as_bytes())
    }

    /// Verifies and unwraps stored bytes. The content is none for a tombstone.
    ///
    /// # Errors
    /// Whatever speaks against taking the bytes for the file's (I-15).
    pub fn unwrap(
        &self,
        path: &FilePath,
        stored_as: &StoredAs,
        stored: Bytes,
    ) -> Result<(RemoteFile, Option<Bytes>), WrapError> {
        let reading = self.read_type(path, stored_as)?;
        reading.check_digest(Sha256::digest(&stored).into())?;
        if reading.is_tombstone() {
            return Ok((reading.tombstone(stored_as), None));
        }
        let shape = match &reading.encryption {
            Some(EncryptionMark::Other(name)) => {
                return Err(WrapError::UnknownEncryption(name.clone()));
            }
            // What we wrote plain is plain, whatever it looks like.
            None if reading.header.is_some() => Shape::Plain,
            Some(EncryptionMark::Ecies) | None => {
                envelope::looks_encrypted(&stored_as.content_type, &stored)
            }
        };
        let (content, format) = match shape {
            Shape::Plain if reading.encryption.is_some() => {
                return Err(EnvelopeError::NotAnEnvelope.into());
            }
            Shape::Plain => {
                let kind = reading.plain_kind();
                let format = Format {
                    encryption: Encryption::Plain,
                    signing: Signing::Unsigned,
                    kind,
                };
                (stored, format)
            }
            Shape::Encrypted => self.open(&stored, Signing::Unsigned)?,
            Shape::SignedEncrypted => {
                let inner = signed::unwrap(&stored, &self.address)?;
                self.open(&inner, Signing::Signed)?
            }
        };
        let hash = ContentHash::of(&content);
        let sample = content.get(..content.len().min(8192)).unwrap_or_default();
        let remote = reading.file(path, stored_as, hash, content.len() as u64, format, sample);
        Ok((remote, Some(content)))
    }

    fn open(&self, stored: &[u8], signing: Signing) -> Result<(Bytes, Format), WrapError> {
        let opened = envelope::open(&self.secret, stored)?;
        let kind = content_kind(opened.kind);
        let format = Format {
            encryption: Encryption::Ecies,
            signing,
            kind,
        };
        Ok((opened.content.into(), format))
    }

    pub(crate) fn read_type(
        &self,
        path: &FilePath,
        stored_as: &StoredAs,
    ) -> Result<Reading, WrapError> {
        let info = header::parse(&stored_as.content_type);
        let header = info.header.transpose()?;
        if let Some(header) = &header {
            header.verify(&self.secret, &self.address, path)?;
        }
        let (version, origin, ancestors) = match &header {
            Some(header) => (
                header.fields.version,
                Origin::Header,
                Ancestors::new(header.fields.ancestors.iter().copied()),
            ),
            None => (
                VersionId::synthetic(stored_as.modified_s, stored_as.tag.as_str()),
                Origin::Foreign,
                Ancestors::default(),
            ),
        };
        let (encryption, media_type) = (info.encryption, info.media_type);
        Ok(Reading {
            version,
            origin,
            ancestors,
            header,
            encryption,
            media_type,
        })
    }

    pub(crate) fn ephemeral(&self, path: &FilePath, file: &LocalFile) -> (SecretKey, [u8; 16]) {
        let mut context = Vec::with_capacity(path.as_str().len() + 64);
        context.extend_from_slice(path.as_str().as_bytes());
        context.push(0);
        context.extend_from_slice(&file.version.to_bytes());
        context.extend_from_slice(file.content.as_bytes());
        envelope::derive_ephemeral(&self.secret, &context)
    }

    pub(crate) fn content_type(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        stored_sha256: [u8; 32],
    ) -> Result<String, WrapError> {
        let fields = HeaderFields {
            version: file.version,
            ancestors: file.ancestors.as_slice().to_vec(),
            deleted: false,
            stored_sha256,
        };
        let header = VersionHeader::sign(&self.secret, path, fields);
        Ok(header::compose(
            &file.media_type,
            format.encryption,
            Some(&header),
        )?)
    }
}

impl Reading {
    pub(crate) fn is_tombstone(&self) -> bool {
        self.header
            .as_ref()
            .is_some_and(|header| header.fields.deleted)
    }

    pub(crate) fn check_digest(&self, stored_sha256: [u8; 32]) -> Result<(), WrapError> {
        match &self.header {
            Some(header) if !header.describes(&stored_sha256) => Err(WrapError::WrongDigest),
            Some(_) | None => Ok(()),
        }
    }

    fn plain_kind(&self) -> ContentKind {
        if self.media_type.is_text() {
            ContentKind::Text
        } else {
            ContentKind::Bytes
        }
    }

    fn tombstone(self, stored_as: &StoredAs) -> RemoteFile {
        RemoteFile {
            tag: stored_as.tag.clone(),
            version: self.version,
            origin: self.origin,
            ancestors: self.ancestors,
            body: RemoteBody::Tombstone,
        }
    }

    pub(crate) fn file(
        self,
        path: &FilePath,
        stored_as: &StoredAs,
        content: ContentHash,
        size: u64,
        format: Format,
        sample: &[u8],
    ) -> RemoteFile {
        // The type of an encrypted file, and a type that says nothing, are told from the name.
        let known =
            format.encryption == Encryption::Plain && self.media_type != MediaType::octet_stream();
        let media_type = if known {
            self.media_type
        } else {
            MediaType::of(path.as_str(), sample)
        };
        RemoteFile {
            tag: stored_as.tag.clone(),
            version: self.version,
            origin: self.origin,
            ancestors: self.ancestors,
            body: RemoteBody::File {
                content,
                size,
                media_type,
                format,
            },
        }
    }
}

/// How many bytes the stored form will have, for telling early that a hub would refuse it.
pub fn stored_size(size: u64, format: Format) -> u64 {
    match format.encryption {
        Encryption::Plain => size,
        Encryption::Ecies => {
            let encoding = CipherTextEncoding::Base64;
            envelope::predicted_len(size, encoding, envelope_kind(format.kind))
        }
    }
}

pub(crate) fn envelope_kind(kind: ContentKind) -> envelope::ContentKind {
    match kind {
        ContentKind::Text => envelope::ContentKind::String,
        ContentKind::Bytes => envelope::ContentKind::Bytes,
    }
}

pub(crate) fn content_kind(kind: envelope::ContentKind) -> ContentKind {
    match kind {
        envelope::ContentKind::String => ContentKind::Text,
        envelope::ContentKind::Bytes => ContentKind::Bytes,
    }
}
