//! The replica: the engine driven over a [`Store`], a [`Hub`], a clock and, if there is one, a
//! mirrored folder. It carries and decides nothing: what happens is decided in
//! [`pangaea_core::engine`].
//!
//! `carry` turns the engine's requests into I/O, `drive` turns the crank, `edit` takes what the
//! application does, `query` answers its questions, `clean` bounds what it keeps, `merges` is how it merges by itself,
//! `folder` brings in what happened in a mirrored folder.

mod carry;
mod clean;
mod drive;
mod edit;
#[cfg(feature = "mirror")]
mod folder;
mod merges;
mod query;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use gaia::address::Address;
use gaia::key::SecretKey;
use gaia::path::FilePath;
use pangaea_core::engine::Engine;
#[cfg(feature = "mirror")]
use pangaea_core::engine::LocalFiles;
use pangaea_core::engine::Options;
use pangaea_core::io::Event;
use pangaea_core::io::NewContent;
use pangaea_core::media::MediaType;
use pangaea_core::policy::POLICY_PATH;
use pangaea_core::policy::Policy;
use pangaea_core::policy::PolicyError;
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;

use self::carry::Carrier;
use self::carry::Completion;
use self::carry::Running;
use self::clean::SETTING_CLEANED;
pub use self::drive::Progress;
pub use self::drive::RoundEnd;
pub use self::edit::Edit;
pub use self::edit::EditError;
pub use self::edit::EditedContent;
#[cfg(feature = "mirror")]
pub use self::folder::FolderReport;
pub use self::merges::AppMerged;
pub use self::merges::BuiltInMerges;
pub use self::merges::MergeSides;
pub use self::merges::Merges;
pub use self::query::Conflict;
pub use self::query::FileState;
use crate::body::Body;
use crate::hub::Hub;
#[cfg(feature = "mirror")]
use crate::mirror::Mirror;
#[cfg(feature = "mirror")]
use crate::mirror::MirrorError;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::time::Time;

/// The setting that holds this device's id.
pub const SETTING_DEVICE: &str = "device";

/// The setting that is there once this device has had everything that the hub had.
const SETTING_CAUGHT_UP: &str = "caught-up";

/// What a replica is made of.
pub struct Parts {
    /// Where it remembers.
    pub store: Arc<dyn Store>,
    /// Whom it syncs with.
    pub hub: Arc<dyn Hub>,
    /// Where time comes from.
    pub time: Arc<dyn Time>,
    /// The bucket's key.
    pub key: SecretKey,
    /// 48 random bytes: for a new device's id, a new bucket's identity, and jitter.
    pub random: [u8; 48],
    /// How contents are merged.
    pub merges: Arc<dyn Merges>,
    /// The folder to mirror, if any.
    #[cfg(feature = "mirror")]
    pub mirror: Option<Arc<Mirror>>,
}

/// Why a replica cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The store failed; what was acknowledged before is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mirrored folder failed.
    #[cfg(feature = "mirror")]
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The bucket's policies cannot be used.
    #[error("the bucket's policies (.pangaea/policy.json) cannot be used: {0}")]
    Policy(#[from] PolicyError),
    /// The stored device id is not one.
    #[error("the replica's settings are damaged: {0}")]
    Settings(&'static str),
}

/// A device's copy of a bucket.
pub struct Replica {
    engine: Engine,
    carrier: Arc<Carrier>,
    running: FuturesUnordered<Running>,
    /// Answers that came while the store was waited for.
    arrived: VecDeque<Completion>,
    /// What goes into the next transaction beside the engine's commit.
    extra: Transaction,
    /// A transaction that the store did not take yet.
    unsaved: Option<Transaction>,
    /// It changed the policy, which is not loaded yet.
    has_new_policy: bool,
    /// Since when something waits to be stored, in milliseconds since 1970.
    dirty_since_ms: Option<u64>,
    /// How many entries wait to be stored, about.
    dirty: usize,
    /// Files were put into the folder since the last transaction.
    #[cfg(feature = "mirror")]
    applied: bool,
    /// Changes to make in the folder when the batch under way is done.
    #[cfg(feature = "mirror")]
    to_apply: Vec<(pangaea_core::io::RequestId, pangaea_core::io::Request)>,
    /// A batch of such changes is under way.
    #[cfg(feature = "mirror")]
    applying: bool,
    /// Paths of the folder that must be looked at again.
    #[cfg(feature = "mirror")]
    rescan: std::collections::BTreeSet<FilePath>,
    #[cfg(feature = "mirror")]
    folder_report: FolderReport,
    events: VecDeque<Event>,
    done: u64,
    has_caught_up: bool,
    /// When history was cut to its limits last, in milliseconds since 1970.
    cleaned_ms: Option<u64>,
}

impl Replica {
    /// Opens a replica on what its store holds; a new one gets its device id.
    ///
    /// # Errors
    /// [`ReplicaError`]; nothing was changed then.
    pub async fn open(parts: Parts) -> Result<Self, ReplicaError> {
        let loaded = parts.store.load().await?;
        let settings: BTreeMap<String, String> = loaded.settings.into_iter().collect();
        let cleaned = settings.get(SETTING_CLEANED);
        let known = settings.get(SETTING_DEVICE);
        let (ids, seed) = parts.random.split_at(40);
        let mut extra = Transaction::default();
        let is_new = known.is_none();
        let device = match known {
            Some(text) => text
                .parse()
                .map_err(|_| ReplicaError::Settings("the device id is not one"))?,
            None => new_device(ids, &mut extra),
        };
        let seed = seed
            .iter()
            .fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
        let identity = identity_file(ids.get(8..40).unwrap_or_default());
        let hash = ContentHash::of(&identity);
        let options = options_for(&parts, device, seed, &identity);
        let engine = Engine::load(options, loaded.entries, loaded.counters);
        #[cfg(feature = "mirror")]
        if let Some(mirror) = &parts.mirror {
            mirror.load_stamps(loaded.stamps)?;
        }
        let has_identity = engine
            .entries()
            .keys()
            .any(|path| path.as_str() == pangaea_core::state::IDENTITY_PATH);
        if !has_identity {
            extra.contents.push((hash, identity));
        }
        let mut replica = Self {
            engine,
            carrier: Arc::new(Carrier::new(parts)),
            running: FuturesUnordered::new(),
            arrived: VecDeque::new(),
            extra,
            unsaved: None,
            has_new_policy: false,
            dirty_since_ms: None,
            dirty: 0,
            #[cfg(feature = "mirror")]
            applied: false,
            #[cfg(feature = "mirror")]
            to_apply: Vec::new(),
            #[cfg(feature = "mirror")]
            applying: false,
            #[cfg(feature = "mirror")]
            rescan: std::collections::BTreeSet::new(),
            #[cfg(feature = "mirror")]
            folder_report: FolderReport::default(),
            events: VecDeque::new(),
            done: 0,
            has_caught_up: settings.contains_key(SETTING_CAUGHT_UP),
            cleaned_ms: cleaned.and_then(|text| text.parse().ok()),
        };
        replica.load_policy().await?;
        if is_new {
            replica.save().await?;
        }
        Ok(replica)
    }

    /// The bucket's address.
    pub fn address(&self) -> &Address {
        self.carrier.address()
    }

    /// This device.
    pub fn device(&self) -> DeviceId {
        self.engine.device()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether this device has once had everything that the hub had. Until then a file that is not
    /// here may be there.
    pub fn has_caught_up(&self) -> bool {
        self.has_caught_up
    }

    /// The engine, to ask about entries and status.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads the policies from the replica's own copy of them.
    async fn load_policy(&mut self) -> Result<(), ReplicaError> {
        let Ok(path) = FilePath::parse(POLICY_PATH) else {
            return Ok(());
        };
        let Some(hash) = self
            .engine
            .entry(&path)
            .and_then(|entry| entry.local.file())
        else {
            return Ok(());
        };
        let hash = hash.content;
        if let Some(Body::Bytes(bytes)) = self.carrier.store().content(hash).await? {
            let policy = Policy::from_json(&bytes)?;
            self.carrier.set_policy(policy.clone());
            self.engine.set_policy(policy);
        }
        Ok(())
    }
}

/// An id of its own for a new replica, and the setting that keeps it.
fn new_device(random: &[u8], extra: &mut Transaction) -> DeviceId {
    let mut id = [0; 8];
    id.copy_from_slice(random.get(..8).unwrap_or(&[0; 8]));
    let device = DeviceId::from_random(id);
    let setting = (SETTING_DEVICE.to_owned(), Some(device.to_string()));
    extra.settings.push(setting);
    device
}

fn options_for(parts: &Parts, device: DeviceId, seed: u64, identity: &Bytes) -> Options {
    let mut options = Options::new(device, seed);
    // Each request to the hub holds as many of them as it can, and costs a browser more than what it holds.
    #[cfg(target_arch = "wasm32")]
    {
        options.in_flight_max = 512;
    }
    #[cfg(feature = "mirror")]
    if parts.mirror.is_some() {
        options.local_files = LocalFiles::InFolder;
    }
    #[cfg(not(feature = "mirror"))]
    let _unused = parts;
    options.identity = Some(NewContent {
        content: ContentHash::of(identity),
        size: identity.len() as u64,
        media_type: MediaType::json(),
        format: None,
    });
    options
}

/// The file that gives a bucket its identity.
fn identity_file(random: &[u8]) -> Bytes {
    use std::fmt::Write;
    let mut id = String::new();
    for byte in random.iter().take(16) {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    Bytes::from(format!("{{\"pangaea\":1,\"bucket\":\"{id}\"}}\n"))
}
