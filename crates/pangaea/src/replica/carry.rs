//! Carries out the engine's requests: moves bytes between hub, content store and folder, and wraps
//! and merges them on the way. Each request runs by itself; what is to be stored along with its
//! answer comes back in the [`Completion`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;
use futures_util::StreamExt;
use gaia::address::Address;
use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::Keep;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Merged;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::io::Side;
use pangaea_core::media;
use pangaea_core::merge;
use pangaea_core::plan::Condition;
use pangaea_core::policy::Encryption;
use pangaea_core::policy::Policy;
use pangaea_core::policy::Strategy;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::RemoteBody;
use pangaea_core::state::RemoteFile;
use pangaea_core::state::Signing;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

use super::Parts;
use crate::body::Body;
use crate::body::IN_MEMORY_BYTES_MAX;
use crate::hub::Hub;
use crate::hub::HubBody;
use crate::hub::HubError;
use crate::hub::HubFile;
use crate::hub::HubOutcome;
use crate::hub::HubRead;
#[cfg(feature = "mirror")]
use crate::mirror::Mirror;
use crate::store::INLINE_BYTES_MAX;
use crate::store::Store;
use crate::store::StoreError;
use crate::time::Time;
use crate::wrap::StoredAs;
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
    pub(super) applied: bool,
    /// The folder has something else at these paths than was known.
    pub(super) rescan: Vec<FilePath>,
}

impl Completion {
    fn new(id: RequestId, request: Request) -> Self {
        let response = Response::ContentMissing;
        let (stamps, contents, rescan) = (Vec::new(), Vec::new(), Vec::new());
        Self { id, request, response, stamps, contents, applied: false, rescan }
    }

    /// For a request whose task ended without an answer.
    #[cfg(feature = "native")]
    fn cut_off(id: RequestId, request: Request) -> Self {
        let message = "the request was cut off inside this program".to_owned();
        let response = Response::Failed(Failure::Busy { message });
        Self { response, ..Self::new(id, request) }
    }
}

/// Everything that requests need, shared by all that are under way.
pub(super) struct Carrier {
    store: Arc<dyn Store>,
    hub: Arc<dyn Hub>,
    time: Arc<dyn Time>,
    wrapper: Arc<Wrapper>,
    #[cfg(feature = "mirror")]
    mirror: Option<Arc<Mirror>>,
    policy: Mutex<Policy>,
    /// Content that was fetched or merged and is not in place yet, by the path that it is for.
    fetched: Mutex<BTreeMap<FilePath, Vec<(ContentHash, Body)>>>,
    /// Plain files that a stock client signed: their signature files are kept up to date and not
    /// shown.
    signed: Mutex<BTreeMap<FilePath, Option<ETag>>>,
    /// Names on the hub that no path here can hold.
    unusable: Mutex<BTreeSet<String>>,
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
            policy: Mutex::default(),
            fetched: Mutex::default(),
            signed: Mutex::default(),
            unusable: Mutex::default(),
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
        self.mirror.as_ref().filter(|_| !pangaea_core::state::is_reserved(path))
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
    pub(super) fn is_kept(&self, path: &FilePath, media_type: &media::MediaType, size: u64) -> bool {
        !self.is_mirrored(path)
            || (media::is_mergeable(size)
                && lock(&self.policy).strategy_for(path.as_str(), media_type).needs_base())
    }

    /// Begins a request.
    pub(super) fn start(self: &Arc<Self>, id: RequestId, request: Request) -> Running {
        let carrier = Arc::clone(self);
        #[cfg(feature = "native")]
        {
            let again = request.clone();
            let task = tokio::spawn(async move { carrier.carry(id, request).await });
            Box::pin(async move {
                vec![task.await.unwrap_or_else(|_| Completion::cut_off(id, again))]
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
            Request::Push { path, file, format, condition } => {
                self.push(&path, &file, format, condition, &mut done).await
            }
            Request::Remove { path, version, ancestors, tag } => {
                self.remove(&path, version, &ancestors, tag).await
            }
            Request::Sweep { path, tag } => self.sweep(&path, &tag).await,
            Request::Merge { path, strategy, base, ours, theirs } => {
                self.merge(&path, &strategy, base, (&ours, &theirs), &mut done).await
            }
            Request::Apply { path, to, .. } => self.apply(&path, to.as_ref(), &mut done).await,
        };
        done.response = result.unwrap_or_else(Response::Failed);
        done
    }

    async fn list(&self) -> Result<Response, Failure> {
        let mut listing = self.hub.list().await.map_err(failure)?;
        listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut signed = BTreeMap::new();
        for (signer, file) in signature_candidates(&listing.files) {
            let known = lock(&self.signed).get(&signer).is_some_and(|tag| *tag == file.tag);
            if known || self.is_signature(&file.path).await? {
                signed.insert(signer, file.tag.clone());
            }
        }
        let hidden: BTreeSet<FilePath> = signed
            .keys()
            .filter_map(|signer| gaia::signed::signature_path(signer).ok())
            .collect();
        *lock(&self.signed) = signed;
        *lock(&self.unusable) = listing.unusable.into_iter().collect();
        let visible = listing.files.into_iter().filter(|file| !hidden.contains(&file.path));
        let files = visible.map(|file| ListedFile { path: file.path, tag: file.tag }).collect();
        Ok(Response::Listed(files))
    }

    /// Whether a small `.sig` file is what the stock clients put beside a signed plain file, and
    /// not, say, somebody's GnuPG signature.
    async fn is_signature(&self, path: &FilePath) -> Result<bool, Failure> {
        let Some(mut read) = self.hub.read(path).await.map_err(failure)? else { return Ok(false) };
        let mut bytes = Vec::new();
        while let Some(chunk) = read.body.next().await {
            bytes.extend_from_slice(&chunk.map_err(failure)?);
            if bytes.len() as u64 > SIGNATURE_BYTES_MAX {
                return Ok(false);
            }
        }
        let members: Result<BTreeMap<String, String>, _> = serde_json::from_slice(&bytes);
        let is_ours = read.content_type.contains(pangaea_core::header::HEADER_PARAMETER);
        Ok(!is_ours
            && members.is_ok_and(|members| members.keys().eq(["publicKey", "signature"].iter())))
    }

    async fn fetch(&self, path: &FilePath) -> Result<Response, Failure> {
        let Some(read) = self.hub.read(path).await.map_err(failure)? else {
            return Ok(Response::Absent);
        };
        let HubRead { tag, content_type, size, modified_s, body } = read;
        let Some(tag) = tag else {
            return Err(Failure::Unreachable {
                message: "the hub's answer has no ETag: a cache or proxy in between?".to_owned(),
                retry_after_ms: None,
            });
        };
        let stored_as = StoredAs { tag: tag.clone(), content_type, modified_s };
        let unwrapped = self.unwrap(path, &stored_as, size, body).await?;
        let (mut remote, content) = unwrapped;
        if let RemoteBody::File { format, .. } = &mut remote.body
            && format.encryption == Encryption::Plain
            && lock(&self.signed).contains_key(path)
        {
            format.signing = Signing::Signed;
        }
        if let (RemoteBody::File { content: hash, .. }, Some(content)) = (&remote.body, content) {
            lock(&self.fetched).insert(path.clone(), vec![(*hash, content)]);
        }
        Ok(Response::Fetched(Box::new(remote)))
    }

    async fn unwrap(
        &self,
        path: &FilePath,
        stored_as: &StoredAs,
        size: Option<u64>,
        mut body: crate::body::ByteStream<HubError>,
    ) -> Result<(RemoteFile, Option<Body>), Failure> {
        let mut stored = Vec::new();
        if size.is_none_or(|size| size <= IN_MEMORY_BYTES_MAX) {
            while let Some(chunk) = body.next().await {
                stored.extend_from_slice(&chunk.map_err(failure)?);
                if stored.len() as u64 > IN_MEMORY_BYTES_MAX {
                    break;
                }
            }
        }
        let small = stored.len() as u64 <= IN_MEMORY_BYTES_MAX
            && size.is_none_or(|size| size == stored.len() as u64);
        if !small {
            #[cfg(feature = "native")]
            if let Some(staging) = self.store.staging() {
                return self.unwrap_large(path, stored_as, stored, body, staging).await;
            }
            while let Some(chunk) = body.next().await {
                stored.extend_from_slice(&chunk.map_err(failure)?);
            }
        }
        let tag = stored_as.tag.clone();
        let unwrapped = self.wrapper.unwrap(path, stored_as, stored.into());
        let (remote, content) = unwrapped.map_err(|error| error.into_failure(Some(tag)))?;
        Ok((remote, content.map(Body::Bytes)))
    }

    #[cfg(feature = "native")]
    async fn unwrap_large(
        &self,
        path: &FilePath,
        stored_as: &StoredAs,
        head: Vec<u8>,
        mut body: crate::body::ByteStream<HubError>,
        staging: std::path::PathBuf,
    ) -> Result<(RemoteFile, Option<Body>), Failure> {
        use tokio::io::AsyncWriteExt;
        let stored = StagedFile::new(&staging);
        let target = StagedFile::new(&staging);
        let mut file = tokio::fs::File::create(&stored.0).await.map_err(device)?;
        file.write_all(&head).await.map_err(device)?;
        drop(head);
        while let Some(chunk) = body.next().await {
            file.write_all(&chunk.map_err(failure)?).await.map_err(device)?;
        }
        file.flush().await.map_err(device)?;
        drop(file);
        let (wrapper, path, stored_as) =
            (Arc::clone(&self.wrapper), path.clone(), stored_as.clone());
        let tag = stored_as.tag.clone();
        let unwrapped = blocking(move || {
            let unwrapped = wrapper.unwrap_file(&path, &stored_as, &stored.0, &target.0)?;
            Ok::<_, WrapError>((unwrapped, target))
        })
        .await?;
        let (unwrapped, target) =
            unwrapped.map_err(|error| error.into_failure(Some(tag)))?;
        let content = match &unwrapped.remote.body {
            RemoteBody::File { size, .. } if unwrapped.has_content => {
                Some(Body::File { path: target.keep(), size: *size })
            }
            RemoteBody::File { .. } | RemoteBody::Tombstone => None,
        };
        Ok((unwrapped.remote, content))
    }

    async fn push(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        condition: Condition,
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        self.check_size(file, format).await?;
        let Some(content) = self.local_content(path, file.content).await? else {
            done.rescan.push(path.clone());
            return Err(content_changed());
        };
        let (tag, outcome) = match content {
            Body::Bytes(content) => {
                let wrapped = self
                    .wrapper
                    .wrap(path, file, format, &content)
                    .map_err(|error| self.wrap_failure(error, path, done))?;
                let body = HubBody::Bytes(wrapped.bytes);
                let outcome = self.hub.write(path, &wrapped.content_type, body, &condition).await;
                (wrapped.tag, outcome)
            }
            Body::File { path: source, .. } => {
                self.push_file(path, file, format, &condition, source)
                    .await
                    .map_err(|error| self.wrap_failure(error, path, done))?
            }
        };
        let outcome = outcome.map_err(|error| match error {
            HubError::Source { .. } => {
                done.rescan.push(path.clone());
                content_changed()
            }
            error => failure(error),
        })?;
        let response = match outcome {
            HubOutcome::Done(stored) => Response::Stored(stored.unwrap_or(tag)),
            // The answer to an earlier attempt was lost: exactly this is stored already.
            HubOutcome::ConditionFailed(Some(there)) if there == tag => Response::Stored(tag),
            HubOutcome::ConditionFailed(there) => return Ok(Response::ConditionFailed(there)),
            HubOutcome::Absent => return Ok(Response::ConditionFailed(None)),
        };
        if format.signing == Signing::Signed && format.encryption == Encryption::Plain {
            self.push_signature(path, file.content).await?;
        }
        Ok(response)
    }

    fn wrap_failure(&self, error: WrapError, path: &FilePath, done: &mut Completion) -> Failure {
        if matches!(error, WrapError::ContentChanged | WrapError::Io(_)) {
            done.rescan.push(path.clone());
            return content_changed();
        }
        error.into_failure(None)
    }

    #[cfg(feature = "native")]
    async fn push_file(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        condition: &Condition,
        source: std::path::PathBuf,
    ) -> Result<(ETag, Result<HubOutcome, HubError>), WrapError> {
        let (wrapper, to, version, from) =
            (Arc::clone(&self.wrapper), path.clone(), file.clone(), source.clone());
        let measured = blocking(move || wrapper.measure_file(&to, &version, format, &from))
            .await
            .map_err(|_| WrapError::ContentChanged)??;
        let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
        let (wrapper, to, version) = (Arc::clone(&self.wrapper), path.clone(), file.clone());
        let sending = tokio::task::spawn_blocking(move || {
            let mut sink = |chunk: &[u8]| {
                sender
                    .blocking_send(Ok(Bytes::copy_from_slice(chunk)))
                    .map_err(|_| std::io::ErrorKind::BrokenPipe.into())
            };
            if let Err(error) = wrapper.wrap_file(&to, &version, format, &source, &mut sink) {
                // The upload is cut off, so that the hub never takes it for complete.
                let _ = sender.blocking_send(Err(std::io::Error::other(error.to_string())));
            }
        });
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        let body = HubBody::Stream { size: measured.size, stream: Box::pin(stream) };
        let outcome = self.hub.write(path, &measured.content_type, body, condition).await;
        // The receiver is gone by now, so the thread ends by itself.
        drop(sending);
        Ok((measured.tag, outcome))
    }

    #[cfg(not(feature = "native"))]
    async fn push_file(
        &self,
        _path: &FilePath,
        _file: &LocalFile,
        _format: Format,
        _condition: &Condition,
        _source: std::path::PathBuf,
    ) -> Result<(ETag, Result<HubOutcome, HubError>), WrapError> {
        // Only native stores hand out files.
        Err(WrapError::ContentChanged)
    }

    /// A file that the hub would refuse is not sent at all.
    async fn check_size(&self, file: &LocalFile, format: Format) -> Result<(), Failure> {
        let info = self.hub.info().await.map_err(failure)?;
        let limit = info.max_upload_bytes();
        let stored = crate::wrap::stored_size(file.size, format);
        if stored <= limit {
            return Ok(());
        }
        Err(Failure::Problem {
            kind: ProblemKind::Refused,
            message: format!(
                "too large for this hub: {stored} bytes as stored, the hub takes {limit}; the file \
                 stays on this device"
            ),
            tag: None,
        })
    }

    /// Keeps a stock client's signature file in step with the content that it signs.
    async fn push_signature(&self, path: &FilePath, content: ContentHash) -> Result<(), Failure> {
        let Ok(beside) = gaia::signed::signature_path(path) else { return Ok(()) };
        let signature = Bytes::from(self.wrapper.detached_signature(content));
        let mut tag = lock(&self.signed).get(path).cloned().flatten();
        for _ in 0..2 {
            let condition = match tag.clone() {
                Some(tag) => Condition::Replace(tag),
                None => Condition::Create,
            };
            let body = HubBody::Bytes(signature.clone());
            let outcome = self.hub.write(&beside, "application/json", body, &condition).await;
            match outcome.map_err(failure)? {
                HubOutcome::Done(stored) => {
                    lock(&self.signed).insert(path.clone(), stored);
                    return Ok(());
                }
                HubOutcome::ConditionFailed(_) | HubOutcome::Absent => {
                    let read = self.hub.read(&beside).await.map_err(failure)?;
                    tag = read.and_then(|read| read.tag);
                }
            }
        }
        Err(Failure::Busy { message: "the signature file is being changed elsewhere".to_owned() })
    }

    async fn remove(
        &self,
        path: &FilePath,
        version: VersionId,
        ancestors: &Ancestors,
        tag: ETag,
    ) -> Result<Response, Failure> {
        let info = self.hub.info().await.map_err(failure)?;
        let response = if info.offers("conditional-delete") {
            match self.hub.delete(path, &tag).await.map_err(failure)? {
                HubOutcome::Done(_) | HubOutcome::Absent => Response::Absent,
                HubOutcome::ConditionFailed(there) => Response::ConditionFailed(there),
            }
        } else {
            let tombstone = self
                .wrapper
                .tombstone(path, version, ancestors)
                .map_err(|error| error.into_failure(None))?;
            let body = HubBody::Bytes(tombstone.bytes);
            let condition = Condition::Replace(tag);
            let content_type = &tombstone.content_type;
            match self.hub.write(path, content_type, body, &condition).await.map_err(failure)? {
                HubOutcome::Done(stored) => Response::Stored(stored.unwrap_or(tombstone.tag)),
                HubOutcome::ConditionFailed(there) => Response::ConditionFailed(there),
                HubOutcome::Absent => Response::ConditionFailed(None),
            }
        };
        let signature = lock(&self.signed).remove(path);
        if let (Some(Some(tag)), Ok(beside)) = (signature, gaia::signed::signature_path(path)) {
            self.hub.delete(&beside, &tag).await.map_err(failure)?;
        }
        Ok(response)
    }

    async fn sweep(&self, path: &FilePath, tag: &ETag) -> Result<Response, Failure> {
        Ok(match self.hub.delete(path, tag).await.map_err(failure)? {
            HubOutcome::Done(_) | HubOutcome::Absent => Response::Absent,
            HubOutcome::ConditionFailed(there) => Response::ConditionFailed(there),
        })
    }

    async fn merge(
        &self,
        path: &FilePath,
        strategy: &Strategy,
        base: Option<ContentHash>,
        (ours, theirs): (&LocalFile, &LocalFile),
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        let Some(our_body) = self.local_content(path, ours.content).await? else {
            done.rescan.push(path.clone());
            return Err(content_changed());
        };
        let Some(their_body) = self.remembered(path, theirs.content).await? else {
            return Ok(Response::ContentMissing);
        };
        let base = match base {
            Some(hash) => self.store.content(hash).await.map_err(store_failure)?,
            None => None,
        };
        let merged = match (&our_body, &their_body) {
            (Body::Bytes(a), Body::Bytes(b)) => {
                let base = match &base {
                    Some(Body::Bytes(bytes)) => Some(bytes.as_ref()),
                    Some(Body::File { .. }) | None => None,
                };
                let outcome = merge::merge(
                    strategy,
                    base,
                    merge::Input { bytes: a, version: ours.version },
                    merge::Input { bytes: b, version: theirs.version },
                );
                self.keep_outcome(path, &outcome)
            }
            // What does not fit into memory is not looked into.
            (Body::File { .. }, _) | (_, Body::File { .. }) => {
                merge_unread(strategy, ours.version, theirs.version)
            }
        };
        match merged.copy {
            Some(Side::Ours) => self.keep(ours.content, our_body, Origin::Local, done).await?,
            Some(Side::Theirs) => {
                self.keep(theirs.content, their_body, Origin::Fetched, done).await?;
            }
            None => {}
        }
        Ok(Response::Merged(merged))
    }

    fn keep_outcome(&self, path: &FilePath, outcome: &merge::Outcome) -> Merged {
        let keep = match &outcome.content {
            merge::Content::Side(side) => Keep::Side(*side),
            merge::Content::New(bytes) => {
                let content = ContentHash::of(bytes);
                let size = bytes.len() as u64;
                let body = Body::Bytes(Bytes::copy_from_slice(bytes));
                lock(&self.fetched).entry(path.clone()).or_default().push((content, body));
                Keep::New { content, size }
            }
        };
        Merged { keep, copy: outcome.copy() }
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

    /// Begins to change files of the folder, all together: that is much cheaper than one by one.
    #[cfg(feature = "mirror")]
    pub(super) fn start_applying(
        self: &Arc<Self>,
        mirror: Arc<Mirror>,
        requests: Vec<(RequestId, Request)>,
    ) -> Running {
        let carrier = Arc::clone(self);
        let again = requests.clone();
        let task = tokio::spawn(async move { carrier.apply_to_folder(mirror, requests).await });
        Box::pin(async move {
            task.await.unwrap_or_else(|_| {
                again.into_iter().map(|(id, request)| Completion::cut_off(id, request)).collect()
            })
        })
    }

    #[cfg(feature = "mirror")]
    async fn apply_to_folder(
        &self,
        mirror: Arc<Mirror>,
        requests: Vec<(RequestId, Request)>,
    ) -> Vec<Completion> {
        let mut answered = Vec::with_capacity(requests.len());
        let (mut tasks, mut waiting) = (Vec::new(), Vec::new());
        for (id, request) in requests {
            let mut done = Completion::new(id, request.clone());
            match self.apply_task(request, &mut done).await {
                Ok(Some(task)) => {
                    tasks.push(task);
                    waiting.push(done);
                }
                Ok(None) => answered.push(done),
                Err(failure) => {
                    done.response = Response::Failed(failure);
                    answered.push(done);
                }
            }
        }
        let Some(staging) = self.store.staging() else { return answered };
        let applied = blocking(move || mirror.apply_batch(&tasks, &staging)).await;
        match applied {
            Ok(Ok(results)) => {
                for (mut done, result) in waiting.into_iter().zip(results) {
                    done.response = match result {
                        Ok(applied) => self.note_applied(applied, &mut done).await,
                        Err(error) => Err(problem(ProblemKind::Device, error.to_string())),
                    }
                    .unwrap_or_else(Response::Failed);
                    answered.push(done);
                }
            }
            Ok(Err(error)) => {
                for mut done in waiting {
                    let failure = problem(ProblemKind::Device, error.to_string());
                    done.response = Response::Failed(failure);
                    answered.push(done);
                }
            }
            Err(failure) => {
                for mut done in waiting {
                    done.response = Response::Failed(failure.clone());
                    answered.push(done);
                }
            }
        }
        answered
    }

    /// What is to be done in the folder; none if the content is not at hand any more.
    #[cfg(feature = "mirror")]
    async fn apply_task(
        &self,
        request: Request,
        done: &mut Completion,
    ) -> Result<Option<crate::mirror::ApplyTask>, Failure> {
        let Request::Apply { path, expected, to } = request else { return Ok(None) };
        let to = match to {
            None => None,
            Some(file) => {
                let Some(body) = self.remembered(&path, file.content).await? else {
                    return Ok(None);
                };
                if self.is_kept(&path, &file.media_type, file.size) {
                    self.keep(file.content, body.clone(), Origin::Local, done).await?;
                }
                Some((file.content, body))
            }
        };
        Ok(Some(crate::mirror::ApplyTask { path, expected, to }))
    }

    #[cfg(feature = "mirror")]
    async fn note_applied(
        &self,
        applied: crate::mirror::Applied,
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        use crate::mirror::Applied;
        let Some(path) = done.request.path().cloned() else { return Ok(Response::ContentMissing) };
        match applied {
            Applied::Done { stamp, displaced } => {
                lock(&self.fetched).remove(&path);
                done.applied = true;
                done.stamps.push((path, stamp.map(|stamp| stamp.encode())));
                if let Some(displaced) = displaced {
                    let body = Body::File { path: displaced.file, size: displaced.size };
                    self.keep(displaced.hash, body, Origin::Fetched, done).await?;
                }
                Ok(Response::Applied)
            }
            Applied::Differs => {
                done.rescan.push(path);
                Ok(Response::LocalDiffers)
            }
            Applied::Ignored => {
                let message = "kept out of the folder by .pangaeaignore".to_owned();
                Err(problem(ProblemKind::Ignored, message))
            }
            Applied::Refused { reason } => Err(problem(ProblemKind::Device, reason)),
        }
    }

    /// Makes what was applied to the folder survive a power cut.
    #[cfg(feature = "mirror")]
    pub(super) async fn sync_folder(&self) -> Result<(), crate::mirror::MirrorError> {
        let Some(mirror) = self.mirror.clone() else { return Ok(()) };
        match blocking(move || mirror.sync_to_disk()).await {
            Ok(result) => result,
            Err(_) => Ok(()),
        }
    }

    /// The local copy's content, if it is still what `hash` says.
    pub(super) async fn local_content(
        &self,
        path: &FilePath,
        hash: ContentHash,
    ) -> Result<Option<Body>, Failure> {
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

    /// Content that was fetched for `path`, or that the store has.
    async fn remembered(
        &self,
        path: &FilePath,
        hash: ContentHash,
    ) -> Result<Option<Body>, Failure> {
        let fetched = lock(&self.fetched)
            .get(path)
            .and_then(|bodies| bodies.iter().find(|(name, _)| *name == hash))
            .map(|(_, body)| body.clone());
        match fetched {
            Some(body) => Ok(Some(body)),
            None => self.store.content(hash).await.map_err(store_failure),
        }
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
                let Some(staging) = self.store.staging() else { return Ok(()) };
                if size <= INLINE_BYTES_MAX as u64 {
                    let bytes = tokio::fs::read(&path).await.map_err(device)?;
                    if matches!(origin, Origin::Fetched) {
                        tokio::fs::remove_file(&path).await.map_err(device)?;
                    }
                    done.contents.push((hash, bytes.into()));
                    return Ok(());
                }
                // The store moves files in; what is still needed elsewhere is copied before.
                let copy = StagedFile::new(&staging);
                match origin {
                    Origin::Fetched => {
                        if tokio::fs::hard_link(&path, &copy.0).await.is_err() {
                            tokio::fs::copy(&path, &copy.0).await.map_err(device)?;
                        }
                    }
                    Origin::Local => {
                        tokio::fs::copy(&path, &copy.0).await.map_err(device)?;
                    }
                }
                Body::File { path: copy.keep(), size }
            }
            body => body,
        };
        let _ = origin;
        self.store.adopt(hash, body).await.map_err(store_failure)
    }
}

/// The signature files of the stock clients are about this long.
const SIGNATURE_BYTES_MIN: u64 = 200;
/// The signature files of the stock clients are never longer.
const SIGNATURE_BYTES_MAX: u64 = 260;

/// Files beside a file of the same name and `.sig`, with the size of a stock client's signature.
/// `files` is sorted.
fn signature_candidates(files: &[HubFile]) -> Vec<(FilePath, &HubFile)> {
    let signs = |file: &HubFile| {
        let signer = file.path.as_str().strip_suffix(gaia::signed::SIGNATURE_SUFFIX)?;
        let signer = FilePath::parse(signer).ok()?;
        let is_there = files.binary_search_by(|listed| listed.path.cmp(&signer)).is_ok();
        let fits = (SIGNATURE_BYTES_MIN..=SIGNATURE_BYTES_MAX).contains(&file.size);
        (is_there && fits).then_some(signer)
    };
    files.iter().filter_map(|file| Some((signs(file)?, file))).collect()
}

/// Where a file that is to be kept lies.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// In the folder or in use: its user may change it.
    Local,
    /// In staging, and nobody else's.
    Fetched,
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
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// A merge of contents that are too large to look into.
fn merge_unread(strategy: &Strategy, ours: VersionId, theirs: VersionId) -> Merged {
    let (winner, loser) =
        if ours > theirs { (Side::Ours, Side::Theirs) } else { (Side::Theirs, Side::Ours) };
    let copy = (*strategy != Strategy::Latest).then_some(loser);
    Merged { keep: Keep::Side(winner), copy }
}

/// Runs something that blocks off the async threads.
#[cfg(feature = "native")]
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Busy {
        message: "work was cut off inside this program".to_owned(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is valid after every single change to it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn problem(kind: ProblemKind, message: String) -> Failure {
    Failure::Problem { kind, message, tag: None }
}

fn content_changed() -> Failure {
    Failure::Busy { message: WrapError::ContentChanged.to_string() }
}

#[cfg(feature = "native")]
fn device(error: std::io::Error) -> Failure {
    let message = format!("this device cannot read or write it: {error}");
    Failure::Problem { kind: ProblemKind::Device, message, tag: None }
}

fn store_failure(error: StoreError) -> Failure {
    Failure::Problem { kind: ProblemKind::Device, message: error.to_string(), tag: None }
}

/// What the engine is told of a hub's failure.
fn failure(error: HubError) -> Failure {
    match error {
        HubError::Unreachable { message, retry_after_ms } => {
            Failure::Unreachable { message, retry_after_ms }
        }
        HubError::Busy { message } => Failure::Busy { message },
        HubError::Unauthorized { message } => Failure::Unauthorized { message },
        HubError::Refused { message } => {
            Failure::Problem { kind: ProblemKind::Refused, message, tag: None }
        }
        HubError::Source { message } => Failure::Busy { message },
    }
}
