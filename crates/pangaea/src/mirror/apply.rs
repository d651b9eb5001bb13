//! Applying: making files of the folder what the replica decided, unless their user was faster.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use gaia::path::FilePath;
use pangaea_core::version::ContentHash;
use rustix::io::Errno;

use super::Held;
use super::Mirror;
use super::MirrorError;
use super::State;
use super::disk;
use super::disk::Kind;
use super::locate;
use super::locate::Located;
use super::read;
use super::read::Keep;
use super::read::Reading;
use super::root::Blocked;
use super::root::LinkProblem;
use super::root::Reached;
use super::root::Root;
use super::stage;
use super::stage::Bench;
use super::stage::Durable;
use super::stage::Staged;
use super::stamp::Stamp;
use super::swap::Certain;
use super::swap::Current;
use super::swap::Displaced;
use super::swap::Swap;
use super::swap::Swapped;
use crate::body::Body;

/// Up to this many files are made durable one by one; more are cheaper with the whole disk.
const SYNC_EACH_MAX: usize = 8;

/// One change to make in the folder.
#[derive(Debug, Clone)]
pub struct ApplyTask {
    /// Which file.
    pub path: FilePath,
    /// What it must still contain; none: there must be no such file.
    pub expected: Option<ContentHash>,
    /// What it shall contain; none: it is to be deleted. A [`Body::File`] that lies in the
    /// staging folder and has no other name is moved, not copied: it is gone once the task is
    /// done.
    pub to: Option<(ContentHash, Body)>,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// The folder has it, also if it did before.
    Done {
        /// To be stored; none for a delete.
        stamp: Option<Stamp>,
        /// What was in the file's place.
        displaced: Option<Displaced>,
    },
    /// The user wrote or deleted the file meanwhile, which a scan will tell. Nothing was changed.
    Differs,
    /// Ignore rules say that this is not for the folder. Nothing was changed. It is worth trying
    /// again when a scan says that rules changed.
    Ignored,
    /// Something stands in the way that only a person, or another task, can take away. Nothing
    /// was changed.
    Refused {
        /// What, and what to do, to follow the path and a colon.
        reason: String,
    },
}

/// What is to be done next about a task.
#[derive(Debug)]
pub(super) enum Step {
    Answer(Applied),
    Create,
    Replace(Box<Current>),
    Delete(Box<Current>),
}

/// A task as far as it goes without touching the folder.
enum Prepared {
    Answer(Applied),
    Ready(Option<Staged>),
}

/// What a name in the folder stands for.
enum Found {
    Nothing,
    Folder,
    File(Box<Current>),
    /// It changes all the time.
    Restless,
    /// Something else, in words.
    InTheWay(String),
}

impl Mirror {
    /// Makes one file what the replica decided. Its content is durable before it is swapped in;
    /// the swap itself is after [`Mirror::sync_to_disk`].
    ///
    /// # Errors
    /// The folder is not there, the disk is full or failing, or the content is damaged. The file
    /// was not changed then.
    pub fn apply(&self, task: &ApplyTask, staging: &Path) -> Result<Applied, MirrorError> {
        let bench = Bench::staging(staging)?;
        match self.prepare(task, &bench, Durable::Now)? {
            Prepared::Answer(applied) => Ok(applied),
            Prepared::Ready(staged) => self.finish(task, staged, &bench),
        }
    }

    /// Makes many files what the replica decided: deletes first, since a file may be in the way
    /// of a folder, then writes. Cheaper than one by one, since all content is made durable
    /// together. The answers are in the order of the tasks.
    ///
    /// # Errors
    /// The staging folder is not there or its disk is failing. Everything else concerns single
    /// tasks, as with [`Mirror::apply`].
    pub fn apply_batch(
        &self,
        tasks: &[ApplyTask],
        staging: &Path,
    ) -> Result<Vec<Result<Applied, MirrorError>>, MirrorError> {
        let bench = Bench::staging(staging)?;
        let durable = if tasks.len() > SYNC_EACH_MAX {
            Durable::Later
        } else {
            Durable::Now
        };
        let mut work: Vec<_> = tasks
            .iter()
            .enumerate()
            .map(|(at, task)| (at, task, self.prepare(task, &bench, durable)))
            .collect();
        if durable == Durable::Later {
            bench
                .sync()
                .map_err(|source| super::io_error("write to", staging, source))?;
        }
        work.sort_by_key(|(_, task, _)| task.to.is_some());
        let mut done: Vec<_> = work
            .into_iter()
            .map(|(at, task, prepared)| {
                let result = match prepared {
                    Ok(Prepared::Ready(staged)) => self.finish(task, staged, &bench),
                    // What was in the way may have been deleted by now.
                    Ok(Prepared::Answer(Applied::Refused { .. })) => self.apply(task, staging),
                    Ok(Prepared::Answer(applied)) => Ok(applied),
                    Err(error) => Err(error),
                };
                (at, result)
            })
            .collect();
        done.sort_unstable_by_key(|(at, _)| *at);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }

    /// Answers a task at once if that is possible, and stages its content if not.
    fn prepare(
        &self,
        task: &ApplyTask,
        bench: &Arc<Bench>,
        durable: Durable,
    ) -> Result<Prepared, MirrorError> {
        let root = self.root()?;
        let (_, step) = self.look(&root, &mut self.lock(), task)?;
        match (step, &task.to) {
            (Step::Answer(applied), _) => Ok(Prepared::Answer(applied)),
            (Step::Create | Step::Replace(_) | Step::Delete(_), None) => Ok(Prepared::Ready(None)),
            (Step::Create | Step::Replace(_) | Step::Delete(_), Some((hash, body))) => {
                let staged = stage::stage(bench, &self.made, &task.path, *hash, body, durable)?;
                Ok(Prepared::Ready(Some(staged)))
            }
        }
    }

    /// Swaps staged content in, or deletes.
    fn finish(
        &self,
        task: &ApplyTask,
        staged: Option<Staged>,
        bench: &Arc<Bench>,
    ) -> Result<Applied, MirrorError> {
        let root = self.root()?;
        let mut state = self.lock();
        let (disk, step) = self.look(&root, &mut state, task)?;
        let above = disk::split(&disk).0;
        let opened = match &step {
            Step::Answer(_) | Step::Replace(_) | Step::Delete(_) => root.open_folder(above),
            Step::Create => root.make_folder(above),
        };
        let hash = staged.as_ref().map(|staged| staged.placing.hash);
        let (swapped, reached) = match (step, opened, staged) {
            (Step::Answer(applied), _, _) => return Ok(applied),
            (_, Err(blocked), _) => return blocked_words(task, blocked),
            (step, Ok((folder, reached)), staged) => {
                state.placed += 1;
                let swap = self.swap(&root, bench, &folder, &disk);
                let swapped = match (step, staged) {
                    (Step::Create, Some(staged)) => swap.create(staged),
                    (Step::Replace(current), Some(staged)) => swap.replace(staged, &current),
                    (Step::Delete(current), None) => swap.delete(&current),
                    (Step::Create | Step::Replace(_), None)
                    | (Step::Delete(_), Some(_))
                    | (Step::Answer(_), _) => return Ok(Applied::Differs),
                };
                (swapped, reached)
            }
        };
        let (placed, displaced) = match swapped {
            Ok(Swapped::Done { placed, displaced }) => (placed, displaced),
            Ok(Swapped::Differs) => return Ok(Applied::Differs),
            Err(error) => return refused_name(task, error),
        };
        let stamp = placed.zip(hash).map(|((meta, certain), hash)| {
            let name = (disk != task.path.as_str()).then(|| disk.as_str().into());
            let stamp = Stamp::written(&meta, hash, name);
            Stamp {
                racy: stamp.racy || certain == Certain::No,
                ..stamp
            }
        });
        state.settle(&task.path, stamp.clone());
        if stamp.is_none() && reached == Reached::Directly {
            remove_empty(&root, above);
        }
        Ok(Applied::Done { stamp, displaced })
    }

    pub(super) fn swap<'a>(
        &'a self,
        root: &'a Root,
        bench: &'a Arc<Bench>,
        folder: &'a OwnedFd,
        disk: &'a str,
    ) -> Swap<'a> {
        Swap {
            root,
            mode: self.swap,
            bench,
            made: &self.made,
            folder,
            disk,
        }
    }

    /// Looks at the folder and decides what there is to do, and where on disk.
    pub(super) fn look(
        &self,
        root: &Root,
        state: &mut State,
        task: &ApplyTask,
    ) -> Result<(String, Step), MirrorError> {
        let failed = |source| failed(task, source);
        let disk = match locate::locate(root, state, self.spelling, &task.path).map_err(failed)? {
            Located::At(disk) => disk,
            Located::Ignored => return Ok((String::new(), Step::Answer(Applied::Ignored))),
            Located::Refused(reason) => {
                return Ok((String::new(), Step::Answer(Applied::Refused { reason })));
            }
        };
        let found = match find(root, state, &task.path, &disk, &task.to) {
            Ok(found) => found,
            Err(error) => return Ok((disk, Step::Answer(refused_name(task, error)?))),
        };
        let to = task.to.as_ref().map(|(hash, _)| *hash);
        let step = match (found, to) {
            (Found::Nothing | Found::Folder, None) => {
                state.settle(&task.path, None);
                Step::Answer(Applied::Done {
                    stamp: None,
                    displaced: None,
                })
            }
            (Found::File(current), Some(to)) if current.hash() == to => {
                state.settle(&task.path, Some(current.stamp.clone()));
                Step::Answer(Applied::Done {
                    stamp: Some(current.stamp),
                    displaced: None,
                })
            }
            (Found::File(current), to) if Some(current.hash()) == task.expected => match to {
                Some(_) => Step::Replace(current),
                None => Step::Delete(current),
            },
            (Found::Nothing, Some(_)) if task.expected.is_none() => Step::Create,
            (Found::Folder, Some(_)) if task.expected.is_none() => Step::Answer(Applied::Refused {
                reason: "a folder of this name is in the way of the file; rename one of the \
                             two"
                .into(),
            }),
            (Found::InTheWay(reason), _) => Step::Answer(Applied::Refused { reason }),
            (Found::File(_) | Found::Nothing | Found::Folder | Found::Restless, _) => {
                Step::Answer(Applied::Differs)
            }
        };
        Ok((disk, step))
    }
}

impl State {
    /// Folder and replica agree on a file.
    fn settle(&mut self, path: &FilePath, stamp: Option<Stamp>) {
        self.placed += 1;
        match stamp {
            Some(stamp) => {
                let seen = self.scan;
                self.stamps.insert(path.clone(), Held::new(stamp, seen));
            }
            None => {
                self.stamps.remove(path);
            }
        }
    }
}

/// Looks at what a name on disk stands for.
fn find(
    root: &Root,
    state: &State,
    path: &FilePath,
    disk: &str,
    to: &Option<(ContentHash, Body)>,
) -> io::Result<Found> {
    let (above, name) = disk::split(disk);
    let folder = match root.open_folder(above) {
        Ok((folder, _)) => folder,
        Err(Blocked::Missing) => return Ok(Found::Nothing),
        // Without its folder the file is gone; only a new one is in trouble.
        Err(Blocked::NotAFolder(_)) if to.is_none() => return Ok(Found::Nothing),
        Err(Blocked::NotAFolder(_)) => return Ok(Found::InTheWay(file_in_the_way(above))),
        Err(Blocked::Link(problem)) => return Ok(Found::InTheWay(link_words(problem))),
        Err(Blocked::Io(error)) => return Err(error),
    };
    let meta = match disk::meta_at(folder.as_fd(), disk::os(name)) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let (target, link) = match meta.kind {
        Kind::File => (meta, None),
        Kind::Folder => return Ok(Found::Folder),
        Kind::Other => {
            let words = "a pipe, a socket or a device of this name is in the way; remove it";
            return Ok(Found::InTheWay(words.into()));
        }
        Kind::Link => {
            let text = disk::link_text(folder.as_fd(), disk::os(name))?;
            let target = match root.resolve(disk) {
                Ok(target) => root.follow(&target)?.0,
                Err(problem) => return Ok(Found::InTheWay(link_words(problem))),
            };
            match target.kind {
                Kind::File => (target, Some(text)),
                Kind::Folder => return Ok(Found::Folder),
                Kind::Link | Kind::Other => {
                    return Ok(Found::InTheWay(link_words(LinkProblem::Unreadable)));
                }
            }
        }
    };
    let held = state.stamps.get(path).map(|held| &held.stamp);
    if let Some(stamp) = held
        && stamp.holds(&target)
    {
        let stamp = stamp.clone();
        return Ok(Found::File(Box::new(Current {
            meta,
            target,
            stamp,
            link,
        })));
    }
    match read::read_file(root, disk, Keep::Nothing) {
        Reading::Whole(content) => {
            let name = (disk != path.as_str()).then(|| disk.into());
            let stamp = Stamp::read(&content.meta, content.hash, name, content.read_at_ns);
            let meta = if link.is_some() { meta } else { content.meta };
            let target = content.meta;
            Ok(Found::File(Box::new(Current {
                meta,
                target,
                stamp,
                link,
            })))
        }
        Reading::Restless => Ok(Found::Restless),
        Reading::Failed(error) => Err(error),
    }
}

/// Removes folders that have become empty, from the inside out.
fn remove_empty(root: &Root, folder: &str) {
    let mut folder = folder;
    while !folder.is_empty() && root.remove_empty_folder(folder) {
        folder = disk::split(folder).0;
    }
}

fn failed(task: &ApplyTask, source: io::Error) -> MirrorError {
    MirrorError::Io {
        action: "change",
        place: task.path.as_str().to_owned(),
        source,
    }
}

fn file_in_the_way(folder: &str) -> String {
    format!("{folder} should be a folder, but there is a file of that name; rename the file")
}

fn link_words(problem: LinkProblem) -> String {
    format!(
        "a symbolic link is in the way that {}; remove the link or point it elsewhere",
        problem.words()
    )
}

/// The answer where the folder of a file cannot be had.
fn blocked_words(task: &ApplyTask, blocked: Blocked) -> Result<Applied, MirrorError> {
    match blocked {
        Blocked::Missing => Ok(Applied::Differs),
        Blocked::NotAFolder(folder) => Ok(Applied::Refused {
            reason: file_in_the_way(&folder),
        }),
        Blocked::Link(problem) => Ok(Applied::Refused {
            reason: link_words(problem),
        }),
        Blocked::Io(error) => refused_name(task, error),
    }
}

/// Tells names that this disk cannot hold from disks that fail.
pub(super) fn refused_name(task: &ApplyTask, error: io::Error) -> Result<Applied, MirrorError> {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ) => Ok(Applied::Refused {
            reason: format!(
                "the disk cannot hold a file of this name ({error}); rename it on another device"
            ),
        }),
        Some(_) | None => Err(failed(task, error)),
    }
}
