//! pangaea-core.
