//! Wrapping and unwrapping of files that are too large for memory, with blocking file I/O: call it
//! off the async threads. Sending takes two passes over the file, one for the digests that go
//! ahead in the headers, one for the bytes; both produce the same, or the second stops short.

use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;

use gaia::envelope::EnvelopeLayout;
use gaia::envelope::Opener;
use gaia::envelope::Sealer;
use gaia::etag::ETag;
use gaia::etag::ETagHasher;
use gaia::limits::ENVELOPE_SCAN_BYTES;
use gaia::path::FilePath;
use pangaea_core::header::EncryptionMark;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::RemoteFile;
use pangaea_core::state::Signing;
use pangaea_core::version::ContentHash;
use pangaea_core::version::ContentHasher;
use sha2::Digest;
use sha2::Sha256;

use super::StoredAs;
use super::WrapError;
use super::Wrapper;
use super::content_kind;
use super::envelope_kind;

/// How much is read and sent at a time.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// The form of signed and encrypted files needs all of it in memory.
const SIGNED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What the first pass over a file found.
#[derive(Debug, Clone)]
pub struct WrappedFile {
    /// Carries the version header.
    pub content_type: String,
    /// The tag that the hub will give the stored bytes.
    pub tag: ETag,
    /// How many stored bytes the second pass will produce.
    pub size: u64,
}

/// A small or a large stored file, read from the hub, in plain.
pub struct UnwrappedFile {
    /// What it is.
    pub remote: RemoteFile,
    /// Whether `target` holds its content; not for a tombstone.
    pub has_content: bool,
}

impl Wrapper {
    /// First pass: what the stored form of the file at `source` will be.
    ///
    /// # Errors
    /// [`WrapError::ContentChanged`] if the file is not the version's any more.
    pub fn measure_file(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        source: &Path,
    ) -> Result<WrappedFile, WrapError> {
        let (mut sha256, mut md5, mut size) = (Sha256::new(), ETagHasher::new(), 0);
        self.wrap_file(path, file, format, source, &mut |chunk| {
            sha256.update(chunk);
            md5.update(chunk);
            size += chunk.len() as u64;
            Ok(())
        })?;
        let content_type = self.content_type(path, file, format, sha256.finalize().into())?;
        Ok(WrappedFile {
            content_type,
            tag: md5.finish(),
            size,
        })
    }

    /// Second pass, and the heart of the first: hands the stored bytes to `sink` in order. The last
    /// piece is handed over only after the content was found to be the version's, so that a file
    /// which changed in between never becomes a complete upload.
    ///
    /// # Errors
    /// [`WrapError::ContentChanged`] if the file is not the version's any more; what `sink` fails
    /// with.
    pub fn wrap_file(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        source: &Path,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), WrapError> {
        if format.signing == Signing::Signed && format.encryption == Encryption::Ecies {
            if file.size > SIGNED_BYTES_MAX {
                return Err(WrapError::TooLarge {
                    limit_mib: SIGNED_BYTES_MAX >> 20,
                });
            }
            let content = std::fs::read(source)?;
            sink(&self.wrap(path, file, format, &content)?.bytes)?;
            return Ok(());
        }
        let mut sealer = (format.encryption == Encryption::Ecies).then(|| {
            let (ephemeral, iv) = self.ephemeral(path, file);
            let encoding = gaia::envelope::CipherTextEncoding::Base64;
            Sealer::new(
                &self.public,
                &ephemeral,
                iv,
                encoding,
                envelope_kind(format.kind),
            )
        });
        let mut hasher = ContentHasher::new();
        let mut source = File::open(source)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut held = Vec::new();
        let mut out = Vec::new();
        loop {
            let read = source.read(&mut chunk)?;
            let Some(plain) = chunk.get(..read).filter(|plain| !plain.is_empty()) else {
                break;
            };
            hasher.update(plain);
            out.clear();
            match &mut sealer {
                Some(sealer) => sealer.update(plain, &mut out),
                None => out.extend_from_slice(plain),
            }
            if !held.is_empty() {
                sink(&held)?;
            }
            std::mem::swap(&mut held, &mut out);
        }
        if let Some(sealer) = sealer {
            sealer.finish(&mut held);
        }
        if hasher.finish() != file.content {
            return Err(WrapError::ContentChanged);
        }
        sink(&held)?;
        Ok(())
    }

    /// Verifies the stored bytes in the file `stored` and writes their plain content to `target`.
    ///
    /// # Errors
    /// Whatever speaks against taking the bytes for the file's (I-15); `target` is then worthless.
    pub fn unwrap_file(
        &self,
        path: &FilePath,
        stored_as: &StoredAs,
        stored: &Path,
        target: &Path,
    ) -> Result<UnwrappedFile, WrapError> {
        let mut source = File::open(stored)?;
        let size = source.metadata()?.len();
        let reading = self.read_type(path, stored_as)?;
        reading.check_digest(digest_of(&mut source)?)?;
        let layout = match &reading.encryption {
            Some(EncryptionMark::Other(name)) => {
                return Err(WrapError::UnknownEncryption(name.clone()));
            }
            None if reading.header.is_some() => None,
            Some(EncryptionMark::Ecies) | None => scan(&mut source, size)?,
        };
        let Some(layout) = layout else {
            if size <= SIGNED_BYTES_MAX {
                // Another layout, a signed form, or plain: all of it is looked at at once.
                let bytes = std::fs::read(stored)?.into();
                let (remote, content) = self.unwrap(path, stored_as, bytes)?;
                if let Some(content) = &content {
                    write_out(target, content)?;
                }
                return Ok(UnwrappedFile {
                    remote,
                    has_content: content.is_some(),
                });
            }
            return self.unwrap_plain(path, stored_as, &mut source, target, reading);
        };
        let mut opener = Opener::new(&self.secret, &layout);
        let range = layout.cipher_text();
        source.seek(SeekFrom::Start(range.start))?;
        let mut text = source.take(range.end - range.start);
        let mut sink = Sink::create(target)?;
        let (mut chunk, mut out) = (vec![0; CHUNK_BYTES], Vec::new());
        loop {
            let read = text.read(&mut chunk)?;
            let Some(piece) = chunk.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            out.clear();
            opener.update(piece, &mut out)?;
            sink.write(&out)?;
        }
        out.clear();
        let kind = content_kind(opener.finish(&mut out)?);
        sink.write(&out)?;
        let format = Format {
            encryption: Encryption::Ecies,
            signing: Signing::Unsigned,
            kind,
        };
        let (content, size, sample) = sink.finish()?;
        let remote = reading.file(path, stored_as, content, size, format, &sample);
        Ok(UnwrappedFile {
            remote,
            has_content: true,
        })
    }

    fn unwrap_plain(
        &self,
        path: &FilePath,
        stored_as: &StoredAs,
        source: &mut File,
        target: &Path,
        reading: super::Reading,
    ) -> Result<UnwrappedFile, WrapError> {
        if reading.encryption.is_some() {
            return Err(gaia::envelope::EnvelopeError::NotAnEnvelope.into());
        }
        source.seek(SeekFrom::Start(0))?;
        let mut sink = Sink::create(target)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = source.read(&mut chunk)?;
            let Some(piece) = chunk.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            sink.write(piece)?;
        }
        let kind = reading.plain_kind();
        let format = Format {
            encryption: Encryption::Plain,
            signing: Signing::Unsigned,
            kind,
        };
        let (content, size, sample) = sink.finish()?;
        let remote = reading.file(path, stored_as, content, size, format, &sample);
        Ok(UnwrappedFile {
            remote,
            has_content: true,
        })
    }
}

fn scan(source: &mut File, size: u64) -> Result<Option<EnvelopeLayout>, WrapError> {
    let window = (ENVELOPE_SCAN_BYTES as u64).min(size);
    let mut head = Vec::new();
    source.seek(SeekFrom::Start(0))?;
    source.take(window).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    source.seek(SeekFrom::Start(size - window))?;
    source.take(window).read_to_end(&mut tail)?;
    Ok(EnvelopeLayout::scan(&head, &tail, size).ok())
}

fn digest_of(source: &mut File) -> std::io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = source.read(&mut chunk)?;
        match chunk.get(..read) {
            Some(piece) if !piece.is_empty() => hasher.update(piece),
            _ => return Ok(hasher.finalize().into()),
        }
    }
}

fn write_out(target: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(target)?;
    file.write_all(content)
}

/// Writes plain content and learns its digest on the way.
struct Sink {
    file: File,
    hasher: ContentHasher,
    size: u64,
    sample: Vec<u8>,
}

impl Sink {
    fn create(target: &Path) -> std::io::Result<Self> {
        let file = File::create(target)?;
        Ok(Self {
            file,
            hasher: ContentHasher::new(),
            size: 0,
            sample: Vec::new(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let wanted = pangaea_core::media::SAMPLE_BYTES_MAX.saturating_sub(self.sample.len());
        self.sample.extend(bytes.iter().take(wanted));
        self.file.write_all(bytes)
    }

    fn finish(self) -> std::io::Result<(ContentHash, u64, Vec<u8>)> {
        Ok((self.hasher.finish(), self.size, self.sample))
    }
}
