//! The checks that every store must pass, on IndexedDB in a real browser.

use std::cell::Cell;

use async_trait::async_trait;
use pangaea::store::contract;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::store::IndexedDb;

struct Named(String);

#[async_trait(?Send)]
impl contract::Opener for Named {
    type Store = IndexedDb;

    #[expect(clippy::panic, reason = "a check fails by panicking")]
    async fn open(&self) -> IndexedDb {
        match IndexedDb::open(&self.0).await {
            Ok(store) => store,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Runs all checks on databases whose names begin so; throws what is wrong.
#[wasm_bindgen]
pub async fn check_store(prefix: String) {
    std::panic::set_hook(Box::new(|what| wasm_bindgen::throw_str(&what.to_string())));
    let made = Cell::new(0_u32);
    contract::run_all(|| {
        made.set(made.get() + 1);
        Named(format!("{prefix}-{}", made.get()))
    })
    .await;
}
