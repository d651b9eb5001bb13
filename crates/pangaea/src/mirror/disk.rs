//! The calls to the file system that the mirror is made of, all relative to open folders so that
//! nobody can swap a symbolic link in under them. What the answers mean is decided elsewhere.

use std::ffi::CStr;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::fs::Dir;
use rustix::fs::DirEntry;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::RenameFlags;
use rustix::fs::Stat;
use rustix::io::Errno;

/// The folder inside the root that holds the replica's own state; never part of the bucket.
pub(super) const STATE_FOLDER: &str = ".pangaea";
/// What files are called that the mirror must make beside the user's own, on disks where the
/// staging folder is out of reach of a rename.
pub(super) const TEMP_PREFIX: &str = ".pangaea-tmp-";

pub(super) const FOLDER_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// A pipe that is opened by mistake must not block, hence `NONBLOCK`.
pub(super) const FILE_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What a name on disk stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    /// A pipe, a socket or a device.
    Other,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// What the file system says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) inode: u64,
    pub(super) device: u64,
    pub(super) mode: u32,
    pub(super) links: u64,
}

impl Meta {
    // The fields' types differ from one platform to the next.
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        clippy::cast_possible_truncation
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            kind: Kind::of(FileType::from_raw_mode(stat.st_mode)),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            device: stat.st_dev as u64,
            mode: stat.st_mode as u32,
            links: stat.st_nlink as u64,
        }
    }

    /// Whether both describe the same file in the same state. A rename moves the change time, so
    /// that is left out.
    pub(super) fn is_same_file_as(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.size == other.size
            && self.mtime_ns == other.mtime_ns
            && self.inode == other.inode
            && self.device == other.device
    }

    /// Whether nothing at all happened between the two.
    pub(super) fn is_untouched_since(&self, other: &Self) -> bool {
        self.is_same_file_as(other) && self.ctime_ns == other.ctime_ns
    }
}

/// Makes everything written to the file system of a folder survive a power cut.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn sync_disk_of(folder: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

/// Makes everything written to any file system survive a power cut.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn sync_disk_of(_folder: BorrowedFd<'_>) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

/// A folder's names.
pub(super) struct Listing {
    pub(super) entries: Vec<DirEntry>,
    /// Reading stopped before the end.
    pub(super) error: Option<io::Error>,
}

impl Listing {
    /// Reads a folder, without `.` and `..`.
    pub(super) fn read(folder: impl AsFd) -> io::Result<Self> {
        let mut dir = Dir::read_from(folder)?;
        let mut entries = Vec::new();
        let mut error = None;
        while let Some(entry) = dir.read() {
            match entry {
                Ok(entry) if is_dots(entry.file_name()) => {}
                Ok(entry) => entries.push(entry),
                Err(errno) => {
                    error = Some(errno.into());
                    break;
                }
            }
        }
        Ok(Self { entries, error })
    }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// What a listing says a name is, where it says so at all.
pub(super) fn kind_hint(entry: &DirEntry) -> Option<Kind> {
    match entry.file_type() {
        FileType::Unknown => None,
        known => Some(Kind::of(known)),
    }
}

/// The names in a folder that can be read as text, for looking one up in another spelling.
pub(super) fn names_in(folder: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let listing = Listing::read(folder)?;
    if let Some(error) = listing.error {
        return Err(error);
    }
    let mut names: Vec<String> = listing
        .entries
        .iter()
        .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// What the file system says about a name, links not followed.
pub(super) fn meta_at(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Meta> {
    Ok(Meta::of(&rustix::fs::statat(
        folder,
        name,
        AtFlags::SYMLINK_NOFOLLOW,
    )?))
}

/// The same for a name out of a listing.
pub(super) fn meta_of_entry(folder: BorrowedFd<'_>, entry: &DirEntry) -> io::Result<Meta> {
    let stat = rustix::fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Meta::of(&stat))
}

/// What the file system says about an open file.
pub(super) fn meta_of(file: impl AsFd) -> io::Result<Meta> {
    Ok(Meta::of(&rustix::fs::fstat(file)?))
}

/// Opens a folder in a folder; a link is an error.
pub(super) fn open_folder_at(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(
        folder,
        name,
        FOLDER_FLAGS,
        Mode::empty(),
    )?)
}

/// Opens a file in a folder for reading; a link is an error.
pub(super) fn open_file_at(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    Ok(File::from(rustix::fs::openat(
        folder,
        name,
        FILE_FLAGS,
        Mode::empty(),
    )?))
}

/// Opens a folder by its path.
pub(super) fn open_folder_path(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Makes a new file in a folder; that it exists already is an error.
pub(super) fn create_at(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(
        folder,
        name,
        flags,
        Mode::from_raw_mode(0o666),
    )?))
}

/// Removes a file or a link.
pub(super) fn remove_at(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
}

/// Sets the permissions of a file.
pub(super) fn set_mode_at(folder: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmodat(
        folder,
        name,
        Mode::from_raw_mode(mode),
        AtFlags::empty(),
    )?)
}

/// The text of a link.
pub(super) fn link_text(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes())
}

/// One end of a rename.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) folder: BorrowedFd<'a>,
    pub(super) name: &'a OsStr,
}

/// Swaps two names atomically.
pub(super) fn exchange(a: Spot<'_>, b: Spot<'_>) -> Result<(), Errno> {
    rustix::fs::renameat_with(a.folder, a.name, b.folder, b.name, RenameFlags::EXCHANGE)
}

/// Moves a name to where nothing is yet; [`Errno::EXIST`] if something is.
pub(super) fn rename_new(from: Spot<'_>, to: Spot<'_>) -> Result<(), Errno> {
    let flags = RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(from.folder, from.name, to.folder, to.name, flags) {
        Err(errno) if is_unsupported(errno) => {}
        other => return other,
    }
    // A hard link never replaces anything either.
    match rustix::fs::linkat(from.folder, from.name, to.folder, to.name, AtFlags::empty()) {
        Ok(()) => return rustix::fs::unlinkat(from.folder, from.name, AtFlags::empty()),
        Err(Errno::PERM | Errno::MLINK) => {}
        Err(errno) if is_unsupported(errno) => {}
        Err(errno) => return Err(errno),
    }
    match rustix::fs::statat(to.folder, to.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rustix::fs::renameat(from.folder, from.name, to.folder, to.name),
        Err(errno) => Err(errno),
    }
}

/// Whether a file system or kernel does not know an operation at all.
pub(super) fn is_unsupported(errno: Errno) -> bool {
    errno == Errno::INVAL || errno == Errno::NOSYS || errno == Errno::OPNOTSUPP
}

/// Folder and last name of a path from the root.
pub(super) fn split(disk: &str) -> (&str, &str) {
    disk.rsplit_once('/').unwrap_or(("", disk))
}

/// Bytes of a name as the file system takes them.
pub(super) fn os(name: &str) -> &OsStr {
    OsStr::from_bytes(name.as_bytes())
}
