//! What the tests of several crates share and a user of the product needs not: a proxy that makes
//! trouble, and beside it in `clients/` the stock clients with their drivers, in `schemathesis/`
//! how Schemathesis asks a hub.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what fails here fails the test that uses it"
)]

pub mod proxy;
pub mod random;
