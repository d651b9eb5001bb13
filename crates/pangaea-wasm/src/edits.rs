//! Edits as JavaScript hands them in.

use bytes::Bytes;
use gaia::path::FilePath;
use js_sys::Array;
use js_sys::JsString;
use js_sys::Reflect;
use js_sys::Uint8Array;
use pangaea::replica::Edit;
use pangaea::replica::EditedContent;
use pangaea_core::media::MediaType;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

use crate::failure::error;

/// Reads a list of `{path, content?, type?}`; without content it is a delete.
pub(crate) fn read(list: &JsValue) -> Result<Vec<Edit>, JsValue> {
    let list: &Array = list
        .dyn_ref()
        .ok_or_else(|| error("refused", "edits are a list"))?;
    list.iter().map(|edit| read_one(&edit)).collect()
}

pub(crate) fn path(text: &str) -> Result<FilePath, JsValue> {
    FilePath::parse(text).map_err(|failure| error("bad-path", &format!("{text}: {failure}")))
}

fn read_one(edit: &JsValue) -> Result<Edit, JsValue> {
    let field = |name: &str| Reflect::get(edit, &name.into()).unwrap_or_default();
    let text = |name: &str| field(name).dyn_ref::<JsString>().map(String::from);
    let path = path(&text("path").unwrap_or_default())?;
    let Some(content) = field("content").dyn_ref::<Uint8Array>().map(Uint8Array::to_vec) else {
        return Ok(Edit {
            path,
            content: None,
        });
    };
    let media_type = match text("type") {
        Some(text) => Some(media_type(&text)?),
        None => None,
    };
    let bytes = Bytes::from(content);
    Ok(Edit {
        path,
        content: Some(EditedContent { bytes, media_type }),
    })
}

fn media_type(text: &str) -> Result<MediaType, JsValue> {
    pangaea_core::record::decode_media_type(text)
        .map_err(|_| error("refused", &format!("{text:?} is not the type of any content")))
}
