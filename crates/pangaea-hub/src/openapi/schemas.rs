//! The forms of bodies, from the types that are read and written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

const FOLDER: &str = "/components/schemas";

/// Collects the named schemas of a document.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings =
            || SchemaSettings::draft2020_12().with(|own| own.definitions_path = FOLDER.into());
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    /// What clients send.
    pub(super) fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// What the hub sends.
    pub(super) fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    /// All that were asked for, by name.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.answers.take_definitions(true));
        all.values_mut().for_each(plain_descriptions);
        all
    }
}

/// Descriptions are those of the Rust types, whose links lead nowhere in this document.
fn plain_descriptions(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = plain(text),
                    _ => plain_descriptions(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_descriptions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text with `[name](target)` and `[name]` as the name alone, in one line.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let (name, after) = link.split_once(']').unwrap_or((link, ""));
        match name
            .strip_prefix("`crate::")
            .and_then(|path| path.rsplit_once("::"))
        {
            Some((_, last)) => out.extend(["`", last]),
            None => out.push_str(name),
        }
        rest = match after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    out.push_str(rest);
    out.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_rust_are_taken_out() {
        for (text, want) in [
            ("a [`B::c`] d", "a `B::c` d"),
            ("[frames](crate::frames):\nan x", "frames: an x"),
            ("a [`crate::b::C`]", "a `C`"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(plain(text), want);
        }
    }
}
