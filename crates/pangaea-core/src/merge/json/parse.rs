//! Reads JSON without losing how it was written: every value keeps its source text.
//!
//! The syntax is `serde_json`'s; here it is only taken apart level by level.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::Deserialize;
use serde::de::Deserializer;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;
use sha2::Digest;
use sha2::Sha256;

/// How deep arrays and objects may lie in each other.
pub(super) const DEPTH_MAX: usize = 64;

/// A value and the text that it was read from.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) raw: &'a str,
    pub(super) kind: Kind<'a>,
    /// A digest of what it means, so that subtrees are compared at once.
    meaning: [u8; 32],
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// A number, a string, `true`, `false` or `null`.
    Scalar,
    Array(Vec<Node<'a>>),
    /// Fields with names that are all different.
    Object(Vec<Field<'a>>),
}

#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    /// The name as written, with quotes.
    pub(super) raw_name: &'a str,
    pub(super) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// Reads a document; none if it is not JSON, too deep, or names a field twice.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let raw: &'a RawValue = serde_json::from_str(text).ok()?;
        Self::take_apart(raw.get(), DEPTH_MAX)
    }

    fn take_apart(raw: &'a str, depth_left: usize) -> Option<Self> {
        let inner = |raw: &'a RawValue| Self::take_apart(raw.get(), depth_left.checked_sub(1)?);
        let kind = match raw.as_bytes().first()? {
            b'[' => {
                let elements: Vec<&'a RawValue> = serde_json::from_str(raw).ok()?;
                Kind::Array(elements.into_iter().map(inner).collect::<Option<_>>()?)
            }
            b'{' => {
                let fields: RawFields<'a> = serde_json::from_str(raw).ok()?;
                let field = |(name, raw_name, value): (String, &'a RawValue, &'a RawValue)| {
                    Some(Field {
                        name,
                        raw_name: raw_name.get(),
                        value: inner(value)?,
                    })
                };
                Kind::Object(fields.0.into_iter().map(field).collect::<Option<_>>()?)
            }
            // A string that cannot be decoded (half a surrogate pair) could not be compared.
            b'"' => serde_json::from_str::<String>(raw)
                .ok()
                .map(|_| Kind::Scalar)?,
            _ => Kind::Scalar,
        };
        // A string that cannot be decoded (half a surrogate pair) has no meaning to compare.
        let meaning = digest(raw, &kind)?;
        Some(Self { raw, kind, meaning })
    }

    /// Returns the fields of an object; nothing else has any.
    pub(super) fn fields(&self) -> &[Field<'a>] {
        match &self.kind {
            Kind::Object(fields) => fields,
            Kind::Scalar | Kind::Array(_) => &[],
        }
    }

    /// Returns the elements of an array; nothing else has any.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.kind {
            Kind::Array(elements) => elements,
            Kind::Scalar | Kind::Object(_) => &[],
        }
    }

    /// Tells whether two values mean the same, however they are laid out. Numbers mean the same only
    /// if they are written alike: which digits matter is the application's business.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.meaning == other.meaning
    }

    /// Returns a text that stands for a scalar: equal for equal scalars, and only for them.
    pub(super) fn identity(&self) -> Option<String> {
        match self.kind {
            Kind::Array(_) | Kind::Object(_) => None,
            Kind::Scalar => scalar_identity(self.raw),
        }
    }
}

fn scalar_identity(raw: &str) -> Option<String> {
    if !raw.starts_with('"') {
        return Some(raw.to_owned());
    }
    let decoded: String = serde_json::from_str(raw).ok()?;
    Some(format!("\"{decoded}"))
}

fn digest(raw: &str, kind: &Kind<'_>) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    match kind {
        Kind::Scalar => {
            hasher.update(b"s");
            hasher.update(scalar_identity(raw)?);
        }
        Kind::Array(elements) => {
            hasher.update(b"a");
            elements
                .iter()
                .for_each(|element| hasher.update(element.meaning));
        }
        Kind::Object(fields) => {
            let mut fields: Vec<&Field<'_>> = fields.iter().collect();
            fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            hasher.update(b"o");
            for field in fields {
                hasher.update(Sha256::digest(&field.name));
                hasher.update(field.value.meaning);
            }
        }
    }
    Some(hasher.finalize().into())
}

/// The fields of an object in order: name, name as written, value.
struct RawFields<'a>(Vec<(String, &'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawFieldsVisitor)
    }
}

struct RawFieldsVisitor;

impl<'de> Visitor<'de> for RawFieldsVisitor {
    type Value = RawFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        let mut names = BTreeSet::new();
        while let Some((raw_name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let name: String = serde_json::from_str(raw_name.get()).map_err(A::Error::custom)?;
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a field is named twice"));
            }
            fields.push((name, raw_name, value));
        }
        Ok(RawFields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(text: &str) -> bool {
        Node::parse(text).is_some()
    }

    fn same(a: &str, b: &str) -> bool {
        Node::parse(a)
            .expect("JSON")
            .is_same(&Node::parse(b).expect("JSON"))
    }

    #[test]
    fn what_is_json() {
        assert!(is_json(" {\"a\": [1, 1e400, \"\\u00fc\", null]}\n"));
        for text in [
            "",
            "{",
            "{}{}",
            "{a:1}",
            "[1,]",
            "// x\n1",
            "{\"a\":1,\"\\u0061\":2}",
        ] {
            assert!(!is_json(text), "{text}");
        }
        assert!(!is_json("\"\\ud800\"") && !is_json("{\"\\ud800\":1}"));
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_json(&deep(DEPTH_MAX)));
        assert!(!is_json(&deep(DEPTH_MAX + 2)) && !is_json(&deep(100_000)));
    }

    #[test]
    fn what_means_the_same() {
        assert!(same(
            "{\"a\":1,\"b\":[true]}",
            "{ \"b\" : [ true ], \"a\" : 1 }"
        ));
        assert!(same("\"\\u00fc\"", "\"ü\""));
        assert!(!same("1", "1.0"));
        assert!(!same("\"1\"", "1"));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("{\"a\":1}", "{\"a\":1,\"b\":1}"));
    }

    #[test]
    fn names_and_values_keep_their_text() {
        let node = Node::parse(r#"{ "\u00fc" : 12345678901234567890.50 }"#).expect("JSON");
        let field = &node.fields()[0];
        assert_eq!((field.name.as_str(), field.raw_name), ("ü", r#""\u00fc""#));
        assert_eq!(field.value.raw, "12345678901234567890.50");
    }
}
