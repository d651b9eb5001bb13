//! What threads ask of a type, where there are threads: one bound for native programs and for
//! browsers, whose objects belong to the thread that made them.

/// Can be used by several threads at once; in a browser, where there is one, anything can.
#[cfg(not(target_arch = "wasm32"))]
pub trait Shared: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> Shared for T {}

/// Can be used by several threads at once; in a browser, where there is one, anything can.
#[cfg(target_arch = "wasm32")]
pub trait Shared {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> Shared for T {}
