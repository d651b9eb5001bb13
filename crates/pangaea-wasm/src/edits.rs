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
use pangaea_core::policy::Encryption;
use pangaea_core::state::ContentKind;
use pangaea_core::state::FormatWish;
use pangaea_core::state::Signing;
use pangaea_core::version::VersionId;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

use crate::failure::error;

/// Reads a list of `{path, content?, type?, format?, after?}`; without content it is a delete.
pub(crate) fn read(list: &JsValue) -> Result<Vec<Edit>, JsValue> {
    let list: &Array = list
        .dyn_ref()
        .ok_or_else(|| error("refused", "edits are a list"))?;
    list.iter().map(|edit| read_one(&edit)).collect()
}

pub(crate) fn path(text: &str) -> Result<FilePath, JsValue> {
    FilePath::parse(text).map_err(|failure| error("bad-path", &format!("{text}: {failure}")))
}

pub(crate) fn version(text: &str) -> Result<VersionId, JsValue> {
    text.parse()
        .map_err(|_| error("not-kept", "this is not the name of a version"))
}

fn read_one(edit: &JsValue) -> Result<Edit, JsValue> {
    let field = |name: &str| Reflect::get(edit, &name.into()).unwrap_or_default();
    let text = |name: &str| field(name).dyn_ref::<JsString>().map(String::from);
    let path = path(&text("path").unwrap_or_default())?;
    let after = text("after")
        .map(|version| self::version(&version))
        .transpose()?;
    let Some(content) = field("content")
        .dyn_ref::<Uint8Array>()
        .map(Uint8Array::to_vec)
    else {
        return Ok(Edit {
            path,
            content: None,
            after,
        });
    };
    let media_type = match text("type") {
        Some(text) => Some(media_type(&text)?),
        None => None,
    };
    let wish = format(&field("format"));
    let says_how = media_type.is_some() || wish != FormatWish::default();
    Ok(Edit {
        path,
        content: Some(EditedContent {
            bytes: Bytes::from(content),
            media_type,
            format: says_how.then_some(wish),
        }),
        after,
    })
}

/// Reads `{encryption?, signed?, kind?}`.
fn format(wish: &JsValue) -> FormatWish {
    if !wish.is_object() {
        return FormatWish::default();
    }
    let field = |name: &str| Reflect::get(wish, &name.into()).unwrap_or_default();
    let text = |name: &str| field(name).dyn_ref::<JsString>().map(String::from);
    FormatWish {
        encryption: match text("encryption").as_deref() {
            Some("ecies") => Some(Encryption::Ecies),
            Some("plain") => Some(Encryption::Plain),
            _ => None,
        },
        signing: field("signed").as_bool().map(|is_signed| {
            if is_signed {
                Signing::Signed
            } else {
                Signing::Unsigned
            }
        }),
        kind: match text("kind").as_deref() {
            Some("text") => Some(ContentKind::Text),
            Some("bytes") => Some(ContentKind::Bytes),
            _ => None,
        },
    }
}

fn media_type(text: &str) -> Result<MediaType, JsValue> {
    pangaea_core::record::decode_media_type(text).map_err(|_| {
        error(
            "refused",
            &format!("{text:?} is not the type of any content"),
        )
    })
}
