//! Watching the folder: tells when and where a scan is worth while. Events are hints only: what
//! changed is found out by scanning, and a lost event costs time, not data.

use std::collections::BTreeSet;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;

use gaia::path::FilePath;
use notify::Config;
use notify::ErrorKind;
use notify::Event;
use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher;
use notify::event::AccessKind;
use notify::event::AccessMode;
use notify::event::ModifyKind;

use super::Mirror;
use super::MirrorError;
use super::disk::STATE_FOLDER;
use super::disk::TEMP_PREFIX;
use super::names;

/// More changed paths than this are not listed one by one.
const PATHS_MAX: usize = 1_000;

/// What is told about the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderEvent {
    /// Something happened to these files or folders: scan them.
    Paths(Vec<FilePath>),
    /// Something happened, and too much of it, or nobody knows where: scan all.
    Everything,
    /// The system cannot watch the folder, for this reason, for a person; from now on
    /// [`FolderEvent::Everything`] comes at intervals.
    Polling(String),
}

/// How to watch; the default is right for people at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// Events are told once it has been quiet for so long…
    pub quiet: Duration,
    /// … or after this time, if it never is.
    pub delay_max: Duration,
    /// Time between two scans where the system cannot watch.
    pub poll_interval: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(200),
            delay_max: Duration::from_secs(2),
            poll_interval: Duration::from_secs(10),
        }
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Watch {
    signals: mpsc::Sender<Signal>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If the thread is gone already, that is what was wanted.
        self.signals.send(Signal::Stop).ok();
    }
}

#[derive(Debug)]
pub(super) enum Signal {
    Event(notify::Result<Event>),
    Stop,
}

impl Mirror {
    /// Watches the folder and calls `tell`, from a thread of its own, when a scan is worth while.
    /// The mirror's own writes are told as well; scanning those costs next to nothing.
    ///
    /// # Errors
    /// The folder is not there, or the system gives out no thread.
    pub fn watch(
        &self,
        options: WatchOptions,
        tell: impl FnMut(FolderEvent) + Send + 'static,
    ) -> Result<Watch, MirrorError> {
        self.root()?;
        let (signals, inbox) = mpsc::channel();
        let root = self.root.clone();
        let sender = signals.clone();
        // Watching begins before this returns, so that a scan right after misses nothing.
        let watcher = start(&root, move |event| {
            sender.send(Signal::Event(event)).ok();
        });
        let mut watching = Watching::new(root, options, inbox, tell);
        std::thread::Builder::new()
            .name("folder-watch".into())
            .spawn(move || watching.run(watcher))
            .map_err(|source| super::io_error("watch", &self.root, source))?;
        Ok(Watch { signals })
    }
}

/// The system's watcher with what it looks at.
pub(super) struct Watched {
    watcher: RecommendedWatcher,
}

/// Starts the system's watcher.
fn start(
    root: &Path,
    handler: impl FnMut(notify::Result<Event>) + Send + 'static,
) -> notify::Result<Watched> {
    let config = Config::default().with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(handler, config)?;
    let mut watched = Watched { watcher };
    if !cfg!(target_os = "linux") {
        watched.watcher.watch(root, RecursiveMode::Recursive)?;
        return Ok(watched);
    }
    // The replica's own state is written to all the time. To leave it out, the root is watched
    // by itself, and each folder in it as a tree.
    watched.watcher.watch(root, RecursiveMode::NonRecursive)?;
    for entry in std::fs::read_dir(root)? {
        watched.watch_tree(&entry?.path())?;
    }
    Ok(watched)
}

impl Watched {
    /// Watches a folder of the root with all that is in it.
    fn watch_tree(&mut self, path: &Path) -> notify::Result<()> {
        let is_folder = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        if !is_folder || path.file_name().is_some_and(|name| name == STATE_FOLDER) {
            return Ok(());
        }
        match self.watcher.watch(path, RecursiveMode::Recursive) {
            // Gone again already, or not ours to read: the scan will tell.
            Err(error) if !is_exhausted(&error) => Ok(()),
            other => other,
        }
    }

    /// Follows folders of the root that come, go or change their names.
    fn follow(&mut self, root: &Path, event: &Event) -> notify::Result<()> {
        let moved = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        if !moved || !cfg!(target_os = "linux") {
            return Ok(());
        }
        for path in event
            .paths
            .iter()
            .filter(|path| path.parent() == Some(root))
        {
            // What was watched under this name may be another folder by now.
            self.watcher.unwatch(path).ok();
            self.watch_tree(path)?;
        }
        Ok(())
    }
}

fn is_exhausted(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        // Too many watchers, or open files, for this user or at all.
        ErrorKind::Io(error) => {
            let errno = error
                .raw_os_error()
                .map(rustix::io::Errno::from_raw_os_error);
            errno.is_some_and(|errno| {
                use rustix::io::Errno;
                errno == Errno::NOSPC || errno == Errno::MFILE || errno == Errno::NFILE
            })
        }
        _ => false,
    }
}

/// What happened since the last time that something was told.
#[derive(Debug, Default)]
struct Pending {
    paths: BTreeSet<FilePath>,
    everything: bool,
    since: Option<Instant>,
}

impl Pending {
    fn add(&mut self, root: &Path, event: &Event) {
        if event.need_rescan() {
            self.everything = true;
        }
        if is_change(&event.kind) {
            for path in &event.paths {
                match place(root, path) {
                    Place::Nowhere => {}
                    Place::At(path) => {
                        self.paths.insert(path);
                    }
                    Place::Unknown => self.everything = true,
                }
            }
        }
        self.everything |= self.paths.len() > PATHS_MAX;
        if self.everything {
            self.paths.clear();
        }
        if self.everything || !self.paths.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    fn take(&mut self) -> Option<FolderEvent> {
        let taken = std::mem::take(self);
        if taken.everything {
            Some(FolderEvent::Everything)
        } else if taken.paths.is_empty() {
            None
        } else {
            Some(FolderEvent::Paths(taken.paths.into_iter().collect()))
        }
    }
}

/// The watching thread.
pub(super) struct Watching<T> {
    root: PathBuf,
    options: WatchOptions,
    inbox: mpsc::Receiver<Signal>,
    tell: T,
}

impl<T: FnMut(FolderEvent)> Watching<T> {
    pub(super) fn new(
        root: PathBuf,
        options: WatchOptions,
        inbox: mpsc::Receiver<Signal>,
        tell: T,
    ) -> Self {
        Self {
            root,
            options,
            inbox,
            tell,
        }
    }

    pub(super) fn run(&mut self, watcher: notify::Result<Watched>) {
        let trouble = match watcher {
            Ok(watcher) => match self.follow_events(watcher) {
                Some(trouble) => trouble,
                None => return,
            },
            Err(error) => error,
        };
        (self.tell)(FolderEvent::Polling(format!(
            "the system cannot watch the folder ({trouble}); it is looked through every {} s \
             instead{}",
            self.options.poll_interval.as_secs(),
            if is_exhausted(&trouble) {
                "; raising fs.inotify.max_user_watches helps on Linux"
            } else {
                ""
            },
        )));
        self.poll();
    }

    /// Returns what makes watching impossible, or nothing if it was stopped.
    fn follow_events(&mut self, mut watched: Watched) -> Option<notify::Error> {
        let mut pending = Pending::default();
        loop {
            let wait = match pending.since {
                None => Duration::from_secs(3600),
                Some(since) => self
                    .options
                    .quiet
                    .min(self.options.delay_max.saturating_sub(since.elapsed())),
            };
            match self.inbox.recv_timeout(wait) {
                Ok(Signal::Event(Ok(event))) => {
                    if let Err(error) = watched.follow(&self.root, &event) {
                        return Some(error);
                    }
                    pending.add(&self.root, &event);
                    let overdue = pending
                        .since
                        .is_some_and(|since| since.elapsed() >= self.options.delay_max);
                    if !overdue {
                        continue;
                    }
                }
                Ok(Signal::Event(Err(error))) if is_exhausted(&error) => return Some(error),
                Ok(Signal::Event(Err(error))) => {
                    tracing::debug!(%error, "a folder event was lost");
                    pending.everything = true;
                    pending.since.get_or_insert_with(Instant::now);
                    continue;
                }
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(event) = pending.take() {
                (self.tell)(event);
            }
        }
    }

    fn poll(&mut self) {
        loop {
            match self.inbox.recv_timeout(self.options.poll_interval) {
                Err(RecvTimeoutError::Timeout) => (self.tell)(FolderEvent::Everything),
                Ok(Signal::Event(_)) => {}
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Whether an event can mean that a file is other than before. Reading is none, or every scan
/// would cause the next.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// Where an event happened, as a path of the bucket.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    At(FilePath),
    /// At the root, or outside.
    Unknown,
    /// In the replica's own files.
    Nowhere,
}

fn place(root: &Path, path: &Path) -> Place {
    let Ok(below) = path.strip_prefix(root) else {
        return Place::Unknown;
    };
    let mut text = String::new();
    for component in below.components() {
        let Component::Normal(name) = component else {
            return Place::Unknown;
        };
        // What cannot be a name in the bucket is seen with its folder.
        let Some(name) = name.to_str() else { break };
        if name == STATE_FOLDER || name.starts_with(TEMP_PREFIX) {
            return Place::Nowhere;
        }
        let len = text.len();
        if !text.is_empty() {
            text.push('/');
        }
        text.push_str(&names::nfc(name));
        if FilePath::parse(&text).is_err() {
            text.truncate(len);
            break;
        }
    }
    FilePath::parse(&text).map_or(Place::Unknown, Place::At)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn events_are_placed_in_the_bucket() {
        let root = Path::new("/r");
        let at = |path: &str| Place::At(path.parse().unwrap());
        assert_eq!(place(root, Path::new("/r/a/b")), at("a/b"));
        assert_eq!(place(root, Path::new("/r/cafe\u{301}")), at("caf\u{e9}"));
        assert_eq!(place(root, Path::new("/r/d/a..b/c")), at("d"));
        assert_eq!(
            place(root, &root.join("d").join(OsStr::from_bytes(b"\xff"))),
            at("d")
        );
        assert_eq!(
            place(root, &root.join(OsStr::from_bytes(b"\xff"))),
            Place::Unknown
        );
        assert_eq!(place(root, root), Place::Unknown);
        assert_eq!(place(root, Path::new("/elsewhere")), Place::Unknown);
        assert_eq!(
            place(root, Path::new("/r/.pangaea/state.db")),
            Place::Nowhere
        );
        assert_eq!(
            place(root, Path::new("/r/d/.pangaea-tmp-new-1")),
            Place::Nowhere
        );
    }

    #[test]
    fn too_many_paths_become_everything() {
        let root = Path::new("/r");
        let mut pending = Pending::default();
        let event = |path: String| Event::new(EventKind::Any).add_path(root.join(path));
        pending.add(root, &event("a".into()));
        pending.add(root, &event("a".into()));
        assert_eq!(
            pending.take(),
            Some(FolderEvent::Paths(vec!["a".parse().unwrap()]))
        );
        assert_eq!(pending.take(), None);
        for number in 0..=PATHS_MAX {
            pending.add(root, &event(format!("f{number}")));
        }
        assert_eq!(pending.take(), Some(FolderEvent::Everything));
        assert!(pending.since.is_none());
    }

    #[test]
    fn reading_is_no_change() {
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(!is_change(&open));
        assert!(is_change(&EventKind::Access(AccessKind::Close(
            AccessMode::Write
        ))));
    }
}
