//! pangaea.
