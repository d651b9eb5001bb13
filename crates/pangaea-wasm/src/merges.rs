//! Merges by functions of the application, in JavaScript.

use async_trait::async_trait;
use bytes::Bytes;
use gaia::path::FilePath;
use js_sys::Function;
use js_sys::Object;
use js_sys::Promise;
use js_sys::Reflect;
use js_sys::Uint8Array;
use pangaea::replica::AppMerge;
use pangaea::replica::AppMerged;
use pangaea::replica::MergeSides;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// A function that gets `{strategy, path, base?, a, b}` and promises bytes, `undefined` to keep both,
/// or `null` when nobody can merge now.
pub(crate) struct JsMerge(pub(crate) Function);

#[async_trait(?Send)]
impl AppMerge for JsMerge {
    async fn merge(&self, strategy: &str, path: &FilePath, sides: MergeSides) -> AppMerged {
        let input = Object::new();
        let set = |name: &str, value: &JsValue| drop(Reflect::set(&input, &name.into(), value));
        set("strategy", &strategy.into());
        set("path", &path.as_str().into());
        for (name, bytes) in [
            ("base", sides.base),
            ("a", Some(sides.a)),
            ("b", Some(sides.b)),
        ] {
            if let Some(bytes) = bytes {
                set(name, &Uint8Array::from(&bytes[..]).into());
            }
        }
        let Ok(asked) = self.0.call1(&JsValue::UNDEFINED, &input) else {
            return AppMerged::NotNow;
        };
        match JsFuture::from(Promise::resolve(&asked)).await {
            Ok(merged) if merged.is_undefined() => AppMerged::KeepBoth,
            Ok(merged) => match merged.dyn_ref::<Uint8Array>() {
                Some(bytes) => AppMerged::Content(Bytes::from(bytes.to_vec())),
                None => AppMerged::NotNow,
            },
            Err(_) => AppMerged::NotNow,
        }
    }
}
