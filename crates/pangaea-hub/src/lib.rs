//! pangaea-hub.
