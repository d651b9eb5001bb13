//! The merges that look into contents, as a WebAssembly module of their own: most visits to an
//! application merge nothing, and need not download this. When to merge, and what becomes of the
//! result, is decided in `pangaea-wasm`, which asks for this module.
//!
//! Elsewhere than in browsers this crate is empty.

#![cfg(target_arch = "wasm32")]

use js_sys::Object;
use js_sys::Reflect;
use js_sys::Uint8Array;
use pangaea_core::merge::Merged;
use pangaea_core::merge::merge_contents;
use pangaea_core::policy::Strategy;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Merges JSON if there are keys, which may be none at all, and else text. Gives `{content, overlap}`, or
/// undefined for contents that cannot be merged.
#[wasm_bindgen]
pub fn merge(keys: Option<Vec<String>>, base: &[u8], winner: &[u8], loser: &[u8]) -> JsValue {
    let strategy = keys.map_or(Strategy::Text, |keys| Strategy::Json { keys });
    let (content, overlap) = match merge_contents(&strategy, [base, winner, loser]) {
        Merged::Clean(content) => (content, false),
        Merged::Overlap(content) => (content, true),
        Merged::Whole => return JsValue::UNDEFINED,
    };
    let merged = Object::new();
    let content = Uint8Array::from(&content[..]);
    // A new object takes any property.
    drop(Reflect::set(&merged, &"content".into(), &content));
    drop(Reflect::set(&merged, &"overlap".into(), &overlap.into()));
    merged.into()
}
