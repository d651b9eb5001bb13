//! Carries out the engine's requests: moves bytes between hub, content store and folder, and wraps
//! and merges them on the way. Each request runs by itself; what is to be stored along with its
//! answer comes back in the [`Completion`].

#[cfg(feature = "mirror")]
mod folder;
mod merge;
mod read;
mod write;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use gaia::address::Address;
use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::media;
use pangaea_core::policy::Policy;
use pangaea_core::state::LocalFile;
use pangaea_core::state::ProblemKind;
use pangaea_core::version::ContentHash;
#[cfg(feature = "http")]
use tokio::sync::Semaphore;
#[cfg(feature = "http")]
use tokio::sync::SemaphorePermit;

use super::Merges;
use super::Parts;
use crate::body::Body;
use crate::hub::Hub;
use crate::hub::HubError;
#[cfg(feature = "mirror")]
use crate::mirror::Mirror;
use crate::store::INLINE_BYTES_MAX;
use crate::store::Store;
use crate::store::StoreError;
use crate::time::Time;
use crate::wrap::WrapError;
use crate::wrap::Wrapper;

/// A request under way.
#[cfg(not(target_arch = "wasm32"))]
pub(super) type Running = std::pin::Pin<Box<dyn Future<Output = Vec<Completion>> + Send>>;
/// A request under way.
#[cfg(target_arch = "wasm32")]
pub(super) type Running = std::pin::Pin<Box<dyn Future<Output = Vec<Completion>>>>;

/// The answer to a request, and what must be stored together with what the engine makes of it.
pub(super) struct Completion {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) response: Response,
    pub(super) stamps: Vec<(FilePath, Option<Vec<u8>>)>,
    pub(super) contents: Vec<(ContentHash, Bytes)>,
    /// The folder was changed.
    #[cfg(feature = "mirror")]
    pub(super) applied: bool,
    /// The folder has something else at these paths than was known.
    pub(super) rescan: Vec<FilePath>,
}

impl Completion {
    fn new(id: RequestId, request: Request) -> Self {
        let response = Response::ContentMissing;
        let (stamps, contents, rescan) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            id,
            request,
            response,
            stamps,
            contents,
            #[cfg(feature = "mirror")]
            applied: false,
            rescan,
        }
    }

    /// For a request whose task ended without an answer.
    #[cfg(feature = "native")]
    fn cut_off(id: RequestId, request: Request) -> Self {
        let message = "the request was cut off inside this program".to_owned();
        let response = Response::Failed(Failure::Busy { message });
        Self {
            response,
            ..Self::new(id, request)
        }
    }
}

/// Uploads under way may hold so many KiB of content in memory, or one file that is larger. Encryption makes up to three times as
/// much of it, and a browser gives a module 4 GiB at most.
#[cfg(feature = "http")]
const ROOM_KIB: u32 = 64 * 1024;

/// Everything that requests need, shared by all that are under way.
pub(super) struct Carrier {
    store: Arc<dyn Store>,
    hub: Arc<dyn Hub>,
    time: Arc<dyn Time>,
    wrapper: Arc<Wrapper>,
    #[cfg(feature = "mirror")]
    mirror: Option<Arc<Mirror>>,
    merges: Arc<dyn Merges>,
    policy: Mutex<Policy>,
    /// Content that was fetched or merged and is not in place yet, by the path that it is for.
    fetched: Mutex<BTreeMap<FilePath, Vec<(ContentHash, Body)>>>,
    /// Plain files that a stock client signed: their signature files are kept up to date and not
    /// shown.
    signed: Mutex<BTreeMap<FilePath, Option<ETag>>>,
    /// The bucket was listed, so `signed` is complete.
    has_listed: AtomicBool,
    /// Names on the hub that no path here can hold.
    unusable: Mutex<BTreeSet<String>>,
    /// Memory for content on its way to the hub, in KiB.
    #[cfg(feature = "http")]
    room: Semaphore,
}

impl Carrier {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            hub: parts.hub,
            time: parts.time,
            wrapper: Arc::new(Wrapper::new(parts.key)),
            #[cfg(feature = "mirror")]
            mirror: parts.mirror,
            merges: parts.merges,
            policy: Mutex::default(),
            fetched: Mutex::default(),
            signed: Mutex::default(),
            has_listed: AtomicBool::new(false),
            unusable: Mutex::default(),
            #[cfg(feature = "http")]
            room: Semaphore::new(ROOM_KIB as usize),
        }
    }

    pub(super) fn address(&self) -> &Address {
        self.wrapper.address()
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn time(&self) -> &Arc<dyn Time> {
        &self.time
    }

    pub(super) fn set_policy(&self, policy: Policy) {
        *lock(&self.policy) = policy;
    }

    pub(super) fn unusable(&self) -> Vec<String> {
        lock(&self.unusable).iter().cloned().collect()
    }

    /// The folder, unless `path` is one of Pangaea's own, which live in the store alone.
    #[cfg(feature = "mirror")]
    pub(super) fn mirror_for(&self, path: &FilePath) -> Option<&Arc<Mirror>> {
        self.mirror
            .as_ref()
            .filter(|_| !pangaea_core::state::is_reserved(path))
    }

    #[cfg(feature = "mirror")]
    pub(super) fn mirror(&self) -> Option<&Arc<Mirror>> {
        self.mirror.as_ref()
    }

    /// Whether the local copy of `path` is a file in a folder.
    fn is_mirrored(&self, path: &FilePath) -> bool {
        #[cfg(feature = "mirror")]
        return self.mirror_for(path).is_some();
        #[cfg(not(feature = "mirror"))]
        {
            let _ = path;
            false
        }
    }

    /// Whether the content of a version is kept in the store: always without a folder, else only
    /// where a merge will want it as its base.
    pub(super) fn is_kept(
        &self,
        path: &FilePath,
        media_type: &media::MediaType,
        size: u64,
    ) -> bool {
        !self.is_mirrored(path)
            || (media::is_mergeable(size)
                && lock(&self.policy)
                    .strategy_for(path.as_str(), media_type)
                    .needs_base())
    }

    /// Begins a request.
    pub(super) fn start(self: &Arc<Self>, id: RequestId, request: Request) -> Running {
        let carrier = Arc::clone(self);
        #[cfg(feature = "native")]
        {
            let again = request.clone();
            let task = tokio::spawn(async move { carrier.carry(id, request).await });
            Box::pin(async move {
                vec![
                    task.await
                        .unwrap_or_else(|_| Completion::cut_off(id, again)),
                ]
            })
        }
        #[cfg(not(feature = "native"))]
        Box::pin(async move { vec![carrier.carry(id, request).await] })
    }

    async fn carry(&self, id: RequestId, request: Request) -> Completion {
        let mut done = Completion::new(id, request.clone());
        let result = match request {
            Request::List => self.list().await,
            Request::Fetch { path } => self.fetch(&path).await,
            Request::Push {
                path,
                file,
                format,
                condition,
            } => self.push(&path, &file, format, condition, &mut done).await,
            Request::Remove {
                path,
                version,
                ancestors,
                tag,
            } => self.remove(&path, version, &ancestors, tag).await,
            Request::Sweep { path, tag } => self.sweep(&path, &tag).await,
            Request::Merge {
                path,
                strategy,
                base,
                ours,
                theirs,
            } => {
                self.merge(&path, &strategy, base, (&ours, &theirs), &mut done)
                    .await
            }
            Request::Apply { path, to, .. } => self.apply(&path, to.as_ref(), &mut done).await,
        };
        done.response = result.unwrap_or_else(Response::Failed);
        done
    }

    /// Puts content in place where there is no folder: the store is the local copy.
    async fn apply(
        &self,
        path: &FilePath,
        to: Option<&LocalFile>,
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        if let Some(file) = to {
            let Some(body) = self.remembered(path, file.content).await? else {
                return Ok(Response::ContentMissing);
            };
            self.keep(file.content, body, Origin::Fetched, done).await?;
        }
        lock(&self.fetched).remove(path);
        Ok(Response::Applied)
    }

    /// The local copy's content, if it is still what `hash` says.
    pub(super) async fn local_content(
        &self,
        path: &FilePath,
        hash: ContentHash,
    ) -> Result<Option<Body>, Failure> {
        #[cfg(not(feature = "mirror"))]
        let _unused = path;
        #[cfg(feature = "mirror")]
        if let Some(mirror) = self.mirror_for(path) {
            let (mirror, target) = (Arc::clone(mirror), path.clone());
            let found = blocking(move || mirror.content(&target, hash)).await?;
            if let Ok(Some(body)) = found {
                return Ok(Some(body));
            }
        }
        self.store.content(hash).await.map_err(store_failure)
    }

    /// Waits until there is memory for a file of `size` bytes, for as long as what is returned lives.
    #[cfg(feature = "http")]
    async fn room_for(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
        // It is never closed.
        self.room.acquire_many(kib.min(ROOM_KIB)).await.ok()
    }

    /// Content that was fetched for `path`, that the store has, or that was fetched for another
    /// path: a conflict copy of what was read there is made before the store has it.
    async fn remembered(
        &self,
        path: &FilePath,
        hash: ContentHash,
    ) -> Result<Option<Body>, Failure> {
        let is_it = |(name, body): &(ContentHash, Body)| (*name == hash).then(|| body.clone());
        let own = lock(&self.fetched)
            .get(path)
            .and_then(|bodies| bodies.iter().find_map(is_it));
        if own.is_some() {
            return Ok(own);
        }
        let stored = self.store.content(hash).await.map_err(store_failure)?;
        Ok(stored.or_else(|| lock(&self.fetched).values().flatten().find_map(is_it)))
    }

    /// Puts content into the store: small content along with the answer, large content at once.
    async fn keep(
        &self,
        hash: ContentHash,
        body: Body,
        origin: Origin,
        done: &mut Completion,
    ) -> Result<(), Failure> {
        let body = match body {
            Body::Bytes(bytes) if bytes.len() <= INLINE_BYTES_MAX => {
                done.contents.push((hash, bytes));
                return Ok(());
            }
            #[cfg(feature = "native")]
            Body::File { path, size } => {
                let Some(staging) = self.store.staging() else {
                    return Ok(());
                };
                if size <= INLINE_BYTES_MAX as u64 {
                    let bytes = tokio::fs::read(&path).await.map_err(device)?;
                    if origin.is_ours() {
                        tokio::fs::remove_file(&path).await.map_err(device)?;
                    }
                    done.contents.push((hash, bytes.into()));
                    return Ok(());
                }
                // The store moves files in; what is still needed elsewhere is copied before.
                let copy = StagedFile::new(&staging);
                match origin {
                    #[cfg(feature = "mirror")]
                    Origin::Own => {
                        tokio::fs::rename(&path, &copy.0).await.map_err(device)?;
                    }
                    Origin::Fetched => {
                        if tokio::fs::hard_link(&path, &copy.0).await.is_err() {
                            tokio::fs::copy(&path, &copy.0).await.map_err(device)?;
                        }
                    }
                    Origin::Local => {
                        tokio::fs::copy(&path, &copy.0).await.map_err(device)?;
                    }
                }
                Body::File {
                    path: copy.keep(),
                    size,
                }
            }
            body => body,
        };
        let _ = origin;
        self.store.adopt(hash, body).await.map_err(store_failure)
    }
}

/// Where a file that is to be kept lies.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// In the folder or in use: its user may change it.
    Local,
    /// In staging, and perhaps still wanted for another path.
    Fetched,
    /// In staging, and nobody else's.
    #[cfg(feature = "mirror")]
    Own,
}

#[cfg(feature = "native")]
impl Origin {
    /// Whether the file is to be removed once its content is elsewhere.
    fn is_ours(self) -> bool {
        match self {
            Self::Local | Self::Fetched => false,
            #[cfg(feature = "mirror")]
            Self::Own => true,
        }
    }
}

/// A file in the staging folder that is removed when nobody took it over.
#[cfg(feature = "native")]
struct StagedFile(std::path::PathBuf);

#[cfg(feature = "native")]
impl StagedFile {
    fn new(staging: &std::path::Path) -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(staging.join(format!("carry-{}-{number}", std::process::id())))
    }

    fn keep(mut self) -> std::path::PathBuf {
        std::mem::take(&mut self.0)
    }
}

#[cfg(feature = "native")]
impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // It may never have been made.
            drop(std::fs::remove_file(&self.0));
        }
    }
}

/// Runs something that blocks off the async threads.
#[cfg(feature = "native")]
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::Busy {
            message: "work was cut off inside this program".to_owned(),
        })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is valid after every single change to it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn problem(kind: ProblemKind, message: String) -> Failure {
    Failure::Problem {
        kind,
        message,
        tag: None,
    }
}

fn content_changed() -> Failure {
    Failure::Busy {
        message: WrapError::ContentChanged.to_string(),
    }
}

#[cfg(feature = "native")]
fn device(error: std::io::Error) -> Failure {
    let message = format!("this device cannot read or write it: {error}");
    problem(ProblemKind::Device, message)
}

fn store_failure(error: StoreError) -> Failure {
    problem(ProblemKind::Device, error.to_string())
}

/// What the engine is told of a hub's failure.
fn failure(error: HubError) -> Failure {
    match error {
        HubError::Unreachable {
            message,
            retry_after_ms,
        } => Failure::Unreachable {
            message,
            retry_after_ms,
        },
        HubError::Busy { message } => Failure::Busy { message },
        HubError::Unauthorized { message } => Failure::Unauthorized { message },
        HubError::Refused { message } => problem(ProblemKind::Refused, message),
        HubError::Source { message } => Failure::Busy { message },
    }
}
