//! gaia.
