//! The walk over the folder: which files there are, which of them may have changed, and what can
//! not be synced. Nothing is read but names and file system data. Folders are looked at one by
//! one, by several threads; what is found in one is in [`super::visit`].

use std::collections::BTreeSet;
use std::io;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use gaia::path::FilePath;

use super::Refused;
use super::State;
use super::disk::Meta;
use super::names;
use super::names::Spelling;
use super::root::Root;
use super::visit::Visit;

/// Asking the file system is most of the work, and two threads get two answers at a time.
const THREADS_MAX: usize = 4;

/// Which part of the folder a walk looks at.
#[derive(Debug)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// These files and folders, in composed form.
    Below(BTreeSet<String>),
}

/// How much of a name is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    All,
    Some,
    None,
}

impl Wanted {
    pub(super) fn share(&self, path: &str) -> Share {
        let Self::Below(wanted) = self else {
            return Share::All;
        };
        let path = names::nfc(path);
        if self.covers(&path) {
            return Share::All;
        }
        let below = format!("{path}/");
        match wanted.range(below.clone()..).next() {
            Some(first) if first.starts_with(&below) => Share::Some,
            Some(_) | None => Share::None,
        }
    }

    /// Whether the walk looks at this path if it is there.
    pub(super) fn covers(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(wanted) => {
                !wanted.is_empty() && has_self_or_above(wanted, &names::nfc(path))
            }
        }
    }
}

/// Whether a set holds a path or one of the folders above it.
pub(super) fn has_self_or_above(set: &BTreeSet<String>, path: &str) -> bool {
    set.contains(path)
        || path
            .match_indices('/')
            .any(|(at, _)| path.get(..at).is_some_and(|up| set.contains(up)))
}

/// A file that is new or does not look as its stamp says.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) path: FilePath,
    /// Its path on disk where that differs.
    pub(super) disk: Option<Box<str>>,
    /// As the walk saw it.
    pub(super) meta: Meta,
}

impl Candidate {
    pub(super) fn disk(&self) -> &str {
        self.disk.as_deref().unwrap_or(self.path.as_str())
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) candidates: Vec<Candidate>,
    pub(super) refused: Vec<Refused>,
    pub(super) notes: Vec<Refused>,
    /// Files and folders that were not looked at: what is known of them stays known.
    pub(super) kept: BTreeSet<String>,
    /// Where links were followed.
    pub(super) links: BTreeSet<String>,
}

/// What all folders of one walk have in common.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Root,
    pub(super) state: &'a State,
    pub(super) spelling: Spelling,
    pub(super) wanted: &'a Wanted,
    pub(super) now_ns: i64,
}

/// The folders still to be looked at.
#[derive(Default)]
struct Queue {
    /// The last in is the first out, so that few folders are open at a time.
    waiting: Vec<Visit>,
    /// How many are being looked at, each of which may bring more.
    busy: usize,
}

impl Walk<'_> {
    /// Walks from the root.
    ///
    /// # Errors
    /// The root itself cannot be read; of everything else that cannot, the findings tell.
    pub(super) fn run(&self) -> io::Result<Walked> {
        let (share, threads) = match self.wanted {
            Wanted::All => (Share::All, threads()),
            Wanted::Below(_) => (Share::Some, 1),
        };
        let mut found = Walked::default();
        let waiting = Visit::root(self, share)?.run(self, &mut found)?;
        let queue = Mutex::new(Queue { waiting, busy: 0 });
        let news = Condvar::new();
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads)
                .map(|_| scope.spawn(|| self.work(&queue, &news)))
                .collect();
            found.add(self.work(&queue, &news));
            for helper in helpers {
                match helper.join() {
                    Ok(more) => found.add(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        Ok(found)
    }

    /// Looks at folders until there are no more.
    fn work(&self, queue: &Mutex<Queue>, news: &Condvar) -> Walked {
        let mut found = Walked::default();
        let mut guard = lock(queue);
        loop {
            let Some(mut visit) = guard.waiting.pop() else {
                if guard.busy == 0 {
                    return found;
                }
                guard = news.wait(guard).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            guard.busy += 1;
            drop(guard);
            // The whole of the root is read already, so what fails here is one folder.
            let more = match visit.run(self, &mut found) {
                Ok(more) => more,
                Err(error) => {
                    visit.fail(&error, &mut found);
                    Vec::new()
                }
            };
            drop(visit);
            guard = lock(queue);
            guard.busy -= 1;
            guard.waiting.extend(more);
            if guard.waiting.is_empty() && guard.busy == 0 || guard.waiting.len() > 1 {
                news.notify_all();
            }
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX)
}

impl Walked {
    fn add(&mut self, other: Self) {
        let Self {
            candidates,
            refused,
            notes,
            kept,
            links,
        } = other;
        self.candidates.extend(candidates);
        self.refused.extend(refused);
        self.notes.extend(notes);
        self.kept.extend(kept);
        self.links.extend(links);
    }
}
