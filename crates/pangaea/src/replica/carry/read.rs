//! From the hub: listings, and files that are read, verified and unwrapped.

use super::Carrier;
#[cfg(feature = "native")]
use super::StagedFile;
#[cfg(feature = "native")]
use super::blocking;
#[cfg(feature = "native")]
use super::device;
use super::failure;
use super::lock;
use crate::body::Body;
use crate::body::IN_MEMORY_BYTES_MAX;
use crate::hub::HubError;
use crate::hub::HubFile;
use crate::hub::HubRead;
use crate::wrap::StoredAs;
#[cfg(feature = "native")]
use crate::wrap::WrapError;
use futures_util::StreamExt;
use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Response;
use pangaea_core::policy::Encryption;
use pangaea_core::state::RemoteBody;
use pangaea_core::state::RemoteFile;
use pangaea_core::state::Signing;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
#[cfg(feature = "native")]
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Carrier {
    pub(super) async fn list(&self) -> Result<Response, Failure> {
        let mut listing = self.hub.list().await.map_err(failure)?;
        listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut signed = BTreeMap::new();
        for (signer, file) in signature_candidates(&listing.files) {
            let known = lock(&self.signed)
                .get(&signer)
                .is_some_and(|tag| *tag == file.tag);
            if known || self.is_signature(&file.path).await? {
                signed.insert(signer, file.tag.clone());
            }
        }
        let hidden: BTreeSet<FilePath> = signed
            .keys()
            .filter_map(|signer| gaia::signed::signature_path(signer).ok())
            .collect();
        *lock(&self.signed) = signed;
        self.has_listed.store(true, Ordering::Release);
        *lock(&self.unusable) = listing.unusable.into_iter().collect();
        let visible = listing
            .files
            .into_iter()
            .filter(|file| !hidden.contains(&file.path));
        let files = visible
            .map(|file| ListedFile {
                path: file.path,
                tag: file.tag,
            })
            .collect();
        Ok(Response::Listed(files))
    }

    /// Whether a small `.sig` file is what the stock clients put beside a signed plain file, and
    /// not, say, somebody's GnuPG signature.
    pub(super) async fn is_signature(&self, path: &FilePath) -> Result<bool, Failure> {
        let Some(mut read) = self.hub.read(path).await.map_err(failure)? else {
            return Ok(false);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = read.body.next().await {
            bytes.extend_from_slice(&chunk.map_err(failure)?);
            if bytes.len() as u64 > SIGNATURE_BYTES_MAX {
                return Ok(false);
            }
        }
        let members: Result<BTreeMap<String, String>, _> = serde_json::from_slice(&bytes);
        let is_ours = read
            .content_type
            .contains(pangaea_core::header::HEADER_PARAMETER);
        Ok(!is_ours
            && members.is_ok_and(|members| members.keys().eq(["publicKey", "signature"].iter())))
    }

    pub(super) async fn fetch(&self, path: &FilePath) -> Result<Response, Failure> {
        let Some(read) = self.hub.read(path).await.map_err(failure)? else {
            return Ok(Response::Absent);
        };
        let HubRead {
            tag,
            content_type,
            size,
            modified_s,
            body,
        } = read;
        let Some(tag) = tag else {
            return Err(Failure::Unreachable {
                message: "the hub's answer has no ETag: a cache or proxy in between?".to_owned(),
                retry_after_ms: None,
            });
        };
        let stored_as = StoredAs {
            tag: tag.clone(),
            content_type,
            modified_s,
        };
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
                return self
                    .unwrap_large(path, stored_as, stored, body, staging)
                    .await;
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
            file.write_all(&chunk.map_err(failure)?)
                .await
                .map_err(device)?;
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
        let (unwrapped, target) = unwrapped.map_err(|error| error.into_failure(Some(tag)))?;
        let content = match &unwrapped.remote.body {
            RemoteBody::File { size, .. } if unwrapped.has_content => Some(Body::File {
                path: target.keep(),
                size: *size,
            }),
            RemoteBody::File { .. } | RemoteBody::Tombstone => None,
        };
        Ok((unwrapped.remote, content))
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
        let signer = file
            .path
            .as_str()
            .strip_suffix(gaia::signed::SIGNATURE_SUFFIX)?;
        let signer = FilePath::parse(signer).ok()?;
        let is_there = files
            .binary_search_by(|listed| listed.path.cmp(&signer))
            .is_ok();
        let fits = (SIGNATURE_BYTES_MIN..=SIGNATURE_BYTES_MAX).contains(&file.size);
        (is_there && fits).then_some(signer)
    };
    files
        .iter()
        .filter_map(|file| Some((signs(file)?, file)))
        .collect()
}
