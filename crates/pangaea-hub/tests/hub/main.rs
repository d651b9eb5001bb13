//! The hub as its clients see it, over real HTTP. Tests named `case_…` carry the number of the
//! behaviour that they pin down in the list of black-box cases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod store;
mod support;
