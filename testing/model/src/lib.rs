//! Every history of small worlds: two or three devices with the real engine, one or two files, a
//! few edits and faults, in every order that there is.
//!
//! [`bounds`] says how small a world is, [`world`] what can happen next in it, `device` and `hub`
//! carry that out, [`judge`] remembers the edits and says what may never be, [`mod@explore`] visits
//! each state once and, from each, lets the world heal. Deep histories in large worlds are the
//! simulator's matter (`testing/sim`), which draws them instead of enumerating them.
//!
//! Not built on `stateright`: the engine is a value that changes in place and knows of time, and of
//! that crate only the loop of [`mod@explore`] would be used.

pub mod bounds;
mod device;
pub mod explore;
mod heal;
mod hub;
pub mod judge;
pub mod world;

pub use bounds::Bounds;
pub use bounds::Bug;
pub use explore::Found;
pub use explore::explore;
