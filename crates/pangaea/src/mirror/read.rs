//! Reading files whole: what they contain, provided that they hold still.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use pangaea_core::media::MediaType;
use pangaea_core::media::SAMPLE_BYTES_MAX;
use pangaea_core::version::ContentHash;
use pangaea_core::version::ContentHasher;

use super::disk;
use super::disk::Kind;
use super::disk::Meta;
use super::root::Root;
use super::walk::Candidate;

/// How often a file that changes while it is read is tried before it is left for the next scan.
const ATTEMPTS_MAX: usize = 3;
const BUFFER_BYTES: usize = 256 * 1024;
/// Fewer files than this are read by one thread.
const FILES_PER_THREAD_MIN: usize = 16;
const THREADS_MAX: usize = 4;

/// What a file contains.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) hash: ContentHash,
    /// The file as it was before and after reading.
    pub(super) meta: Meta,
    /// When reading began.
    pub(super) read_at_ns: i64,
    /// The beginning.
    pub(super) sample: Vec<u8>,
    /// All of it, if that was asked for.
    pub(super) bytes: Option<Bytes>,
}

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Reading {
    Whole(Box<Content>),
    /// It changed all the time, or is gone: the next scan sees more.
    Restless,
    Failed(io::Error),
}

/// Whether the bytes are wanted besides their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Bytes,
    Nothing,
}

/// The time, in nanoseconds since 1970.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Reads a file of the folder, again if it changes meanwhile.
pub(super) fn read_file(root: &Root, disk: &str, keep: Keep) -> Reading {
    for _ in 0..ATTEMPTS_MAX {
        let attempt = root
            .open_file(disk)
            .and_then(|(file, _)| read_open(file, keep));
        match attempt {
            Ok(Some(content)) => return Reading::Whole(Box::new(content)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Reading::Restless,
            Err(error) => return Reading::Failed(error),
        }
    }
    Reading::Restless
}

/// Reads an open file; nothing if it changed meanwhile.
pub(super) fn read_open(mut file: File, keep: Keep) -> io::Result<Option<Content>> {
    let read_at_ns = now_ns();
    let before = disk::meta_of(&file)?;
    if before.kind != Kind::File {
        return Ok(None);
    }
    let (hash, size, sample, bytes) = match keep {
        Keep::Bytes => {
            let mut all = Vec::new();
            // One byte more shows that it grew.
            file.by_ref()
                .take(before.size.saturating_add(1))
                .read_to_end(&mut all)?;
            let sample = all.get(..SAMPLE_BYTES_MAX).unwrap_or(&all).to_vec();
            (
                ContentHash::of(&all),
                all.len() as u64,
                sample,
                Some(Bytes::from(all)),
            )
        }
        Keep::Nothing => {
            let (hash, size, sample) = hash_stream(&mut file, before.size.saturating_add(1))?;
            (hash, size, sample, None)
        }
    };
    let meta = disk::meta_of(&file)?;
    if size != before.size || !meta.is_untouched_since(&before) {
        return Ok(None);
    }
    Ok(Some(Content {
        hash,
        meta,
        read_at_ns,
        sample,
        bytes,
    }))
}

/// Hashes what can be read, at most `bytes_max` of it: hash, length, beginning.
pub(super) fn hash_stream(
    from: &mut impl Read,
    bytes_max: u64,
) -> io::Result<(ContentHash, u64, Vec<u8>)> {
    let mut from = from.take(bytes_max);
    let mut buffer = vec![0; buffer_bytes(bytes_max)];
    let mut hasher = ContentHasher::new();
    let mut sample = Vec::new();
    let mut size = 0u64;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        hasher.update(piece);
        let missing = SAMPLE_BYTES_MAX.saturating_sub(sample.len());
        sample.extend_from_slice(piece.get(..missing).unwrap_or(piece));
        size += read as u64;
    }
    Ok((hasher.finish(), size, sample))
}

/// A buffer as large as is useful for so many bytes.
pub(super) fn buffer_bytes(size: u64) -> usize {
    usize::try_from(size)
        .unwrap_or(BUFFER_BYTES)
        .clamp(512, BUFFER_BYTES)
}

/// The media type of a file that was read.
pub(super) fn media_type(path: &str, content: &Content) -> MediaType {
    MediaType::of(path, &content.sample)
}

/// Reads many files, with several threads if that pays; answers in the order of the candidates.
pub(super) fn read_all(root: &Root, candidates: &[(Candidate, Keep)]) -> Vec<Reading> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((candidate, keep)) = candidates.get(at) else {
                return done;
            };
            done.push((at, read_file(root, candidate.disk(), *keep)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores
        .min(THREADS_MAX)
        .min(candidates.len() / FILES_PER_THREAD_MIN);
    let mut readings: Vec<(usize, Reading)> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for helper in helpers {
            match helper.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    readings.sort_unstable_by_key(|(at, _)| *at);
    readings.into_iter().map(|(_, reading)| reading).collect()
}

/// Where a file really is, for readers outside of the mirror.
pub(super) fn real_path(root: &Root, disk: &str) -> io::Result<(File, PathBuf)> {
    let (file, place) = root.open_file(disk)?;
    Ok((file, root.path().join(place)))
}
