//! Putting a file in place, or taking one away, so that nothing of the user's is ever lost: what
//! comes out is verified to be what was expected, and put back if it is not.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pangaea_core::version::ContentHash;
use rustix::io::Errno;

use super::disk;
use super::disk::Kind;
use super::disk::Meta;
use super::disk::Spot;
use super::read;
use super::read::Keep;
use super::root::Root;
use super::stage;
use super::stage::Bench;
use super::stage::Made;
use super::stage::Placing;
use super::stage::Staged;
use super::stamp::Stamp;

/// A file that gave way, now in the staging folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// Where it is. The caller takes it over, or removes it.
    pub file: PathBuf,
    /// What it contains.
    pub hash: ContentHash,
    /// Its length in bytes.
    pub size: u64,
}

/// How files are put in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum SwapMode {
    /// In one step where the file system can do that.
    #[default]
    Exchange,
    /// In two steps, between which the name is missing for a moment.
    TwoSteps,
}

/// A file of the folder as it was found.
#[derive(Debug)]
pub(super) struct Current {
    /// Of the name itself.
    pub(super) meta: Meta,
    /// Of the file that it stands for; other than the above for a link only.
    pub(super) target: Meta,
    /// Of that file.
    pub(super) stamp: Stamp,
    /// If the name is a symbolic link: its text.
    pub(super) link: Option<Vec<u8>>,
}

impl Current {
    pub(super) fn hash(&self) -> ContentHash {
        self.stamp.content
    }
}

/// What came of a swap.
#[derive(Debug)]
pub(super) enum Swapped {
    /// Done; of a file put in place, how it is now.
    Done {
        placed: Option<(Meta, Certain)>,
        displaced: Option<Displaced>,
    },
    /// The user was faster; nothing was changed.
    Differs,
}

/// Whether the file in place is certainly the one that was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certain {
    Yes,
    /// Somebody wrote to it in the same moment; it must be read.
    No,
}

/// A name in the folder, and the tools to change what it stands for.
pub(super) struct Swap<'a> {
    pub(super) root: &'a Root,
    pub(super) mode: SwapMode,
    pub(super) bench: &'a Arc<Bench>,
    pub(super) made: &'a AtomicU64,
    pub(super) folder: &'a OwnedFd,
    /// Path on disk, from the root.
    pub(super) disk: &'a str,
}

impl Swap<'_> {
    fn spot(&self) -> Spot<'_> {
        Spot {
            folder: self.folder.as_fd(),
            name: disk::os(disk::split(self.disk).1),
        }
    }

    /// Puts a file where none is.
    pub(super) fn create(&self, mut staged: Staged) -> io::Result<Swapped> {
        match self.move_in(&mut staged) {
            Ok(()) => Ok(self.placed(&staged.placing, None)),
            Err(Errno::EXIST) => Ok(Swapped::Differs),
            Err(errno) => Err(errno.into()),
        }
    }

    fn move_in(&self, staged: &mut Staged) -> Result<(), Errno> {
        match disk::rename_new(staged.file.spot(), self.spot()) {
            Err(Errno::XDEV) => {
                staged
                    .move_beside(self.folder, self.made)
                    .map_err(errno_of)?;
                disk::rename_new(staged.file.spot(), self.spot())
            }
            other => other,
        }
    }

    /// Puts a file in place of another.
    pub(super) fn replace(&self, mut staged: Staged, current: &Current) -> io::Result<Swapped> {
        staged.take_mode(current.target.mode)?;
        let saved = match self.save_target(current)? {
            Saved::Differs => return Ok(Swapped::Differs),
            Saved::NotNeeded => None,
            Saved::Copy(copy) => Some(copy),
        };
        if self.mode == SwapMode::TwoSteps {
            return self.replace_in_two_steps(staged, current, saved);
        }
        let mut swapped = disk::exchange(staged.file.spot(), self.spot());
        if swapped == Err(Errno::XDEV) {
            staged.move_beside(self.folder, self.made)?;
            swapped = disk::exchange(staged.file.spot(), self.spot());
        }
        match swapped {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Swapped::Differs),
            Err(errno) if disk::is_unsupported(errno) => {
                return self.replace_in_two_steps(staged, current, saved);
            }
            Err(errno) => return Err(errno.into()),
        }
        // From here on the staged file's name stands for what came out.
        let Staged { file: out, placing } = staged;
        if self.is_expected(&out, current) {
            let displaced = self.hand_over(saved.unwrap_or(out), current)?;
            return Ok(self.placed(&placing, Some(displaced)));
        }
        self.exchange_back(out, &placing);
        Ok(Swapped::Differs)
    }

    /// Undoes an exchange that brought out something unexpected.
    fn exchange_back(&self, out: Made, placing: &Placing) {
        match disk::exchange(out.spot(), self.spot()) {
            Ok(())
                if out
                    .meta()
                    .is_ok_and(|meta| meta.is_same_file_as(&placing.meta)) =>
            {
                return;
            }
            // The user replaced our file in that moment: the newest edit belongs in place, the
            // one before stays on the bench.
            Ok(()) => match disk::exchange(out.spot(), self.spot()) {
                Ok(()) => tracing::warn!("an older edit of a synced file was left in staging"),
                Err(error) => left_behind(error),
            },
            // The user deleted our file in that moment; what came out goes back.
            Err(Errno::NOENT) => {
                if let Err(error) = disk::rename_new(out.spot(), self.spot()) {
                    left_behind(error);
                }
            }
            Err(error) => left_behind(error),
        }
        out.keep();
    }

    fn replace_in_two_steps(
        &self,
        mut staged: Staged,
        current: &Current,
        saved: Option<Made>,
    ) -> io::Result<Swapped> {
        let Some(out) = self.take_out(current)? else {
            return Ok(Swapped::Differs);
        };
        match self.move_in(&mut staged) {
            Ok(()) => {
                let displaced = self.hand_over(saved.unwrap_or(out), current)?;
                Ok(self.placed(&staged.placing, Some(displaced)))
            }
            // The user made a new file meanwhile, which replaces the one that is out. That one had
            // been seen before; it stays on the bench until the replica is opened again.
            Err(Errno::EXIST) => {
                out.keep();
                Ok(Swapped::Differs)
            }
            Err(errno) => {
                self.put_back(out);
                Err(errno.into())
            }
        }
    }

    /// Takes a file away.
    pub(super) fn delete(&self, current: &Current) -> io::Result<Swapped> {
        let saved = match self.save_target(current)? {
            Saved::Differs => return Ok(Swapped::Differs),
            Saved::NotNeeded => None,
            Saved::Copy(copy) => Some(copy),
        };
        let Some(out) = self.take_out(current)? else {
            return Ok(Swapped::Differs);
        };
        let displaced = self.hand_over(saved.unwrap_or(out), current)?;
        Ok(Swapped::Done {
            placed: None,
            displaced: Some(displaced),
        })
    }

    /// Moves what has the name to the bench; nothing if it is not what was expected.
    fn take_out(&self, current: &Current) -> io::Result<Option<Made>> {
        let mut bench = self.bench.clone();
        let mut out = Made::new(bench.clone(), bench.fresh_name(self.made, "old"));
        let mut moved = disk::rename_new(self.spot(), out.spot());
        if moved == Err(Errno::XDEV) {
            bench = Bench::beside(self.folder)?;
            out = Made::new(bench.clone(), bench.fresh_name(self.made, "old"));
            moved = disk::rename_new(self.spot(), out.spot());
        }
        match moved {
            Ok(()) if self.is_expected(&out, current) => Ok(Some(out)),
            Ok(()) => {
                self.put_back(out);
                Ok(None)
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn put_back(&self, out: Made) {
        if let Err(error) = disk::rename_new(out.spot(), self.spot()) {
            left_behind(error);
        }
        out.keep();
    }

    /// Whether what came out is what was looked at before.
    fn is_expected(&self, out: &Made, current: &Current) -> bool {
        let Ok(meta) = out.meta() else { return false };
        if let Some(text) = &current.link {
            let spot = out.spot();
            return meta.kind == Kind::Link
                && disk::link_text(spot.folder, spot.name).is_ok_and(|found| found == *text);
        }
        if meta.kind != Kind::File {
            return false;
        }
        // A change of a racy file may not show.
        !current.stamp.racy && meta.is_same_file_as(&current.meta)
            || out
                .open()
                .and_then(|file| read::read_open(file, Keep::Nothing))
                .is_ok_and(|content| content.is_some_and(|content| content.hash == current.hash()))
    }

    /// What a link stands for stays behind when the link goes, so it is copied.
    fn save_target(&self, current: &Current) -> io::Result<Saved> {
        if current.link.is_none() {
            return Ok(Saved::NotNeeded);
        }
        let (file, _) = self.root.open_file(self.disk)?;
        Ok(
            match stage::copy_out(file, current.hash(), self.bench, self.made)? {
                Some(copy) => Saved::Copy(copy),
                None => Saved::Differs,
            },
        )
    }

    fn hand_over(&self, out: Made, current: &Current) -> io::Result<Displaced> {
        let file = out.bring_home(self.bench, self.made)?;
        Ok(Displaced {
            file,
            hash: current.hash(),
            size: current.target.size,
        })
    }

    fn placed(&self, placing: &Placing, displaced: Option<Displaced>) -> Swapped {
        placing.drop_source();
        let spot = self.spot();
        let placed = match disk::meta_at(spot.folder, spot.name) {
            Ok(meta) if meta.is_same_file_as(&placing.meta) => (meta, Certain::Yes),
            Ok(_) | Err(_) => (placing.meta, Certain::No),
        };
        Swapped::Done {
            placed: Some(placed),
            displaced,
        }
    }
}

/// Nothing is lost, but somebody has to look.
fn left_behind(error: Errno) {
    tracing::warn!(%error, "an edit in the synced folder was left in staging");
}

enum Saved {
    NotNeeded,
    Copy(Made),
    Differs,
}

fn errno_of(error: io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error)
}
