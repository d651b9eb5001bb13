//! The program from outside: real processes, real folders, a real hub.

mod conflicts;
mod files;
mod help;
mod hub;
mod hub_data;
mod init;
mod keys;
mod kit;
mod sync;
mod up;
mod watch;
