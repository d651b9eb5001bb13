//! A disk that lies. A real process runs under `strace`; [`trace`] reads what it did to the files
//! below a folder; [`disk`] says in which states a power cut at any moment can leave them: what was
//! synced is there, of the rest nothing, all, or any part. The tests open each state with the real
//! program.
//!
//! What is assumed of the file system: a rename is atomic; names change in the order of the calls,
//! as every journal keeps it, and are safe only once their folder or the file system was synced; of
//! data that was not synced any write may be missing, whatever came after it, and the last may be
//! torn. Not modelled: time stamps, wrong bits, memory maps (SQLite's `-shm` is left out: it is
//! made anew).

pub mod disk;
pub mod trace;
