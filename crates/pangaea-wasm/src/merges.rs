//! Merges: by functions of the application, in JavaScript, and by the module `pangaea-merges`, which
//! is loaded when it is needed.

use async_trait::async_trait;
use bytes::Bytes;
use gaia::path::FilePath;
use js_sys::Array;
use js_sys::Function;
use js_sys::JsString;
use js_sys::Object;
use js_sys::Promise;
use js_sys::Reflect;
use js_sys::Uint8Array;
use pangaea::replica::AppMerged;
use pangaea::replica::MergeSides;
use pangaea::replica::Merges;
use pangaea_core::merge::Merged;
use pangaea_core::policy::Strategy;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// Two functions that fail when it cannot be done now.
pub(crate) struct JsMerges {
    /// Gets `{strategy, path, base?, a, b}` and promises bytes, or `undefined` to keep both.
    pub(crate) by_app: Function,
    /// Gets `{keys?, base, a, b}`, with keys if it is JSON, and promises `{content, overlap}`, or
    /// `undefined` if that cannot be merged.
    pub(crate) built_in: Function,
}

#[async_trait(?Send)]
impl Merges for JsMerges {
    async fn by_app(&self, strategy: &str, path: &FilePath, sides: MergeSides) -> AppMerged {
        let input = input(sides);
        set(&input, "strategy", &strategy.into());
        set(&input, "path", &path.as_str().into());
        match ask(&self.by_app, input).await {
            Some(merged) if merged.is_undefined() => AppMerged::KeepBoth,
            Some(merged) => bytes(&merged).map_or(AppMerged::NotNow, |bytes| {
                AppMerged::Content(Bytes::from(bytes))
            }),
            None => AppMerged::NotNow,
        }
    }

    async fn built_in(&self, strategy: &Strategy, sides: MergeSides) -> Option<Merged> {
        let input = input(sides);
        // Besides JSON only text is merged by its content.
        if let Strategy::Json { keys } = strategy {
            let keys: Array = keys.iter().map(|key| JsValue::from(key.as_str())).collect();
            set(&input, "keys", &keys);
        }
        let merged = ask(&self.built_in, input).await?;
        if merged.is_undefined() {
            return Some(Merged::Whole);
        }
        let get = |name: &str| Reflect::get(&merged, &name.into()).ok();
        let content = bytes(&get("content")?)?;
        Some(if get("overlap")?.is_truthy() {
            Merged::Overlap(content)
        } else {
            Merged::Clean(content)
        })
    }
}

fn input(sides: MergeSides) -> Object {
    let input = Object::new();
    for (name, bytes) in [
        ("base", sides.base),
        ("a", Some(sides.a)),
        ("b", Some(sides.b)),
    ] {
        if let Some(bytes) = bytes {
            set(&input, name, &Uint8Array::from(&bytes[..]));
        }
    }
    input
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // A new object takes any property.
    drop(Reflect::set(object, &JsString::from(name), value));
}

/// What a function promises; none if it fails.
async fn ask(function: &Function, input: Object) -> Option<JsValue> {
    let asked = function.call1(&JsValue::UNDEFINED, &input).ok()?;
    JsFuture::from(Promise::resolve(&asked)).await.ok()
}

fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
