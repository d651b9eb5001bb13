//! The values of settings, whichever way they are written: TOML, JSON, or the text of a variable.

use toml_edit::{Array, Value as Toml};

/// What stands for a secret.
pub(crate) const MASK: &str = "***";

/// A value whose meaning is not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Whole(u64),
    List(Vec<String>),
}

/// What a setting takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    /// A text; the words say which kind.
    Text(&'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A list of texts; the words say which kind.
    List(&'static str),
}

impl Takes {
    /// What to write, in words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text(what) => what.to_owned(),
            Self::Choice(texts) => {
                let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::List(what) => format!("a list of {what}"),
        }
    }

    /// Holds a value against what is taken; the error says what was given instead.
    pub(crate) fn admit(self, value: Value) -> Result<Value, String> {
        let fits = match (self, &value) {
            (Self::Text(_), Value::Text(text)) => !text.is_empty(),
            (Self::Choice(texts), Value::Text(text)) => texts.contains(&text.as_str()),
            (Self::Whole(min, max), Value::Whole(number)) => (min..=max).contains(number),
            (Self::List(_), Value::List(_)) => true,
            _ => false,
        };
        let given = match &value {
            Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Value::Text(text) => format!("\"{text}\""),
            Value::Whole(number) => number.to_string(),
            Value::List(_) => "a list".to_owned(),
        };
        if fits { Ok(value) } else { Err(given) }
    }

    pub(crate) fn read_toml(self, value: &Toml) -> Result<Value, String> {
        match value {
            Toml::String(text) => self.admit(Value::Text(text.value().clone())),
            Toml::Integer(number) => match u64::try_from(*number.value()) {
                Ok(number) => self.admit(Value::Whole(number)),
                Err(_) => Err(number.value().to_string()),
            },
            Toml::Array(list) => {
                let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
                match texts.collect::<Option<Vec<_>>>() {
                    Some(texts) => self.admit(Value::List(texts)),
                    None => Err("a list with something else in it".to_owned()),
                }
            }
            Toml::Float(_) => Err("a number with a fraction".to_owned()),
            Toml::Boolean(value) => Err(value.value().to_string()),
            Toml::Datetime(_) => Err("a date".to_owned()),
            Toml::InlineTable(_) => Err("a table".to_owned()),
        }
    }

    pub(crate) fn read_json(self, value: &serde_json::Value) -> Result<Value, String> {
        use serde_json::Value as Json;
        match value {
            Json::String(text) => self.admit(Value::Text(text.clone())),
            Json::Number(number) => match number.as_u64() {
                Some(number) => self.admit(Value::Whole(number)),
                None => Err(number.to_string()),
            },
            Json::Array(list) => {
                let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
                match texts.collect::<Option<Vec<_>>>() {
                    Some(texts) => self.admit(Value::List(texts)),
                    None => Err("a list with something else in it".to_owned()),
                }
            }
            Json::Bool(value) => Err(value.to_string()),
            Json::Object(_) => Err("an object".to_owned()),
            Json::Null => Err("nothing".to_owned()),
        }
    }

    /// Reads what variables and options hold: lists are separated by commas.
    pub(crate) fn read_text(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match self {
            Self::Text(_) | Self::Choice(_) => Value::Text(text.to_owned()),
            Self::Whole(..) => match text.parse() {
                Ok(number) => Value::Whole(number),
                Err(_) => Value::Text(text.to_owned()),
            },
            Self::List(_) => {
                let items = text.split(',').map(str::trim);
                Value::List(
                    items
                        .filter(|item| !item.is_empty())
                        .map(str::to_owned)
                        .collect(),
                )
            }
        };
        self.admit(value)
    }
}

impl Value {
    pub(crate) fn to_toml(&self) -> Toml {
        match self {
            Self::Text(text) => text.into(),
            // No setting takes more than a TOML number holds.
            Self::Whole(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
            Self::List(items) => items.iter().collect::<Array>().into(),
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Whole(number) => (*number).into(),
            Self::List(items) => items.as_slice().into(),
        }
    }
}
