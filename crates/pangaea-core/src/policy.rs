//! Policies: which merge strategy and which encryption a path gets.
//!
//! A policy is data that all devices of a bucket share (the file `.pangaea/policy.json` in it), and
//! for each property the first rule that matches and speaks of it wins. How a strategy merges is in
//! [`crate::merge`].

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::media::MediaType;

/// Where the policy lies in a bucket.
pub const POLICY_PATH: &str = ".pangaea/policy.json";
/// Rules that one policy may have.
pub const RULES_MAX: usize = 1000;
/// Bytes that one pattern may have.
pub const GLOB_BYTES_MAX: usize = 1024;
/// Bytes that a policy file may have.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;

/// How concurrent versions of one path become one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// The greater version takes the path, the other goes to history.
    Latest,
    /// The greater version takes the path, the other becomes a conflict copy beside it.
    KeepBoth,
    /// Three-way merge by lines.
    Text,
    /// Three-way merge by fields.
    Json {
        /// Fields by which the elements of an array are recognised; the first that an array's
        /// elements all have counts. None means that an array is one value.
        keys: Vec<String>,
    },
    /// Held until the application has decided.
    Ask,
    /// Any other name: a way to merge of the application's own. Where that is not known, it is treated
    /// like [`Strategy::KeepBoth`].
    Other(String),
}

impl Strategy {
    /// Returns the name that stands in the policy file.
    pub fn name(&self) -> &str {
        match self {
            Self::Latest => "latest",
            Self::KeepBoth => "keep-both",
            Self::Text => "text",
            Self::Json { .. } => "json",
            Self::Ask => "ask",
            Self::Other(name) => name,
        }
    }

    /// Returns the strategy that a kind of content gets when no rule speaks of it.
    pub fn default_for(media: &MediaType) -> Self {
        match media.essence() {
            // Lines of these do not stand alone: half of two events merged is neither.
            "text/calendar" | "text/vcard" | "text/x-vcard" => Self::KeepBoth,
            _ if media.is_json() => Self::Json { keys: Vec::new() },
            _ if media.is_text() => Self::Text,
            _ => Self::KeepBoth,
        }
    }

    /// Tells whether merging needs the content of the common base.
    pub fn needs_base(&self) -> bool {
        matches!(self, Self::Text | Self::Json { .. } | Self::Other(_))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a file is encrypted before it leaves the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// The envelope that all Gaia clients read; the default.
    #[default]
    Ecies,
    /// Stored as it is.
    Plain,
}

impl Encryption {
    /// Returns the name that stands in the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecies => "ecies",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rule: a pattern, and what it says of the paths that match.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    glob: String,
    strategy: Option<Strategy>,
    encryption: Option<Encryption>,
    /// Fields that this version does not know, written back as they were.
    extra: Map<String, Value>,
}

impl Rule {
    /// Makes a rule that says nothing yet.
    ///
    /// `*` and `?` stay inside one folder, `**` goes through all; `{a,b}` and `[a-z]` work as in a
    /// shell. A pattern is matched against the whole path.
    ///
    /// # Errors
    /// Fails when the pattern is too long or is not one.
    pub fn new(glob: &str) -> Result<Self, RuleError> {
        if glob.len() > GLOB_BYTES_MAX {
            return Err(RuleError::GlobTooLong);
        }
        if glob.starts_with('!') {
            // To the matcher it would mean all other paths, which only confuses among rules.
            return Err(RuleError::Glob(
                "it begins with \"!\"; write \"\\!\"".to_owned(),
            ));
        }
        fast_glob::validate(glob).map_err(|error| RuleError::Glob(error.to_string()))?;
        Ok(Self {
            glob: glob.to_owned(),
            strategy: None,
            encryption: None,
            extra: Map::new(),
        })
    }

    /// Sets the strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets the encryption.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = Some(encryption);
        self
    }

    /// Returns the pattern as it was written.
    pub fn glob(&self) -> &str {
        &self.glob
    }

    fn from_json(value: &Value) -> Result<Self, RuleError> {
        let mut fields = value.as_object().ok_or(RuleError::NotAnObject)?.clone();
        let glob = take_text(&mut fields, "glob")?.ok_or(RuleError::NoGlob)?;
        let mut rule = Self::new(&glob)?;
        rule.strategy = match take_text(&mut fields, "strategy")?.as_deref() {
            None => None,
            Some("latest") => Some(Strategy::Latest),
            Some("keep-both") => Some(Strategy::KeepBoth),
            Some("text") => Some(Strategy::Text),
            Some("json") => Some(Strategy::Json {
                keys: take_keys(&mut fields)?,
            }),
            Some("ask") => Some(Strategy::Ask),
            Some(other) => Some(Strategy::Other(other.to_owned())),
        };
        rule.encryption = match take_text(&mut fields, "encryption")?.as_deref() {
            None => None,
            Some("ecies") => Some(Encryption::Ecies),
            Some("plain") => Some(Encryption::Plain),
            // Guessing here could publish what somebody wanted secret, or the other way round.
            Some(other) => return Err(RuleError::UnknownEncryption(other.to_owned())),
        };
        rule.extra = fields;
        Ok(rule)
    }

    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("glob".to_owned(), self.glob.clone().into());
        if let Some(strategy) = &self.strategy {
            fields.insert("strategy".to_owned(), strategy.name().into());
            if let Strategy::Json { keys } = strategy {
                match keys.as_slice() {
                    [] => {}
                    [key] => drop(fields.insert("key".to_owned(), key.clone().into())),
                    keys => drop(fields.insert("key".to_owned(), keys.into())),
                }
            }
        }
        if let Some(encryption) = self.encryption {
            fields.insert("encryption".to_owned(), encryption.name().into());
        }
        fields.extend(self.extra.clone());
        fields.into()
    }
}

fn take_text(
    fields: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, RuleError> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RuleError::NotText(name)),
    }
}

/// Reads `"key": "id"` or `"key": ["id", "uid"]`.
fn take_keys(fields: &mut Map<String, Value>) -> Result<Vec<String>, RuleError> {
    let values = match fields.remove("key") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    };
    let text = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(RuleError::NotText("key")),
    };
    values.into_iter().map(text).collect()
}

/// The rules of a bucket, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Policy {
    /// Makes a policy of rules.
    ///
    /// # Errors
    /// Fails when there are more than [`RULES_MAX`].
    pub fn new(rules: Vec<Rule>) -> Result<Self, PolicyError> {
        if rules.len() > RULES_MAX {
            return Err(PolicyError::TooManyRules { count: rules.len() });
        }
        Ok(Self { rules })
    }

    /// Returns the rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns how concurrent versions of a path are merged.
    pub fn strategy_for(&self, path: &str, media: &MediaType) -> Strategy {
        let said = self.first(path, |rule| rule.strategy.as_ref()).cloned();
        said.unwrap_or_else(|| Strategy::default_for(media))
    }

    /// Returns whether a path is encrypted.
    pub fn encryption_for(&self, path: &str) -> Encryption {
        self.first(path, |rule| rule.encryption.as_ref())
            .copied()
            .unwrap_or_default()
    }

    fn first<'a, T>(&'a self, path: &str, of: impl Fn(&'a Rule) -> Option<&'a T>) -> Option<&'a T> {
        self.rules
            .iter()
            .find_map(|rule| of(rule).filter(|_| fast_glob::glob_match(&rule.glob, path)))
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// Fails when the file is not JSON or a rule is wrong; the message says where.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge { bytes: bytes.len() });
        }
        let value: Value = serde_json::from_slice(bytes).map_err(PolicyError::Json)?;
        let rules = value
            .get("rules")
            .and_then(Value::as_array)
            .ok_or(PolicyError::NoRules)?;
        let read = |(index, value): (usize, &Value)| {
            Rule::from_json(value).map_err(|error| PolicyError::Rule {
                number: index + 1,
                glob: value
                    .get("glob")
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned(),
                error,
            })
        };
        Self::new(
            rules
                .iter()
                .enumerate()
                .map(read)
                .collect::<Result<_, _>>()?,
        )
    }

    /// Writes the policy file, one rule a line.
    pub fn to_json(&self) -> String {
        let lines: Vec<String> = self
            .rules
            .iter()
            .map(|rule| format!("    {}", rule.to_json()))
            .collect();
        if lines.is_empty() {
            return "{\n  \"rules\": []\n}\n".to_owned();
        }
        format!("{{\n  \"rules\": [\n{}\n  ]\n}}\n", lines.join(",\n"))
    }
}

/// Says why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The text is not JSON.
    #[error("the policy is not valid JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The file is too large to be a policy.
    #[error("the policy has {bytes} bytes; at most {POLICY_BYTES_MAX} are read")]
    TooLarge {
        /// The file's size.
        bytes: usize,
    },
    /// There is no list of rules.
    #[error("the policy has no list of rules: write {{\"rules\": [{{\"glob\": \"**\"}}]}}")]
    NoRules,
    /// There are too many rules.
    #[error("the policy has {count} rules; at most {RULES_MAX} are allowed")]
    TooManyRules {
        /// How many there are.
        count: usize,
    },
    /// One rule is wrong.
    #[error("rule {number} of the policy (glob {glob:?}): {error}")]
    Rule {
        /// Its place, counted from 1.
        number: usize,
        /// Its pattern, empty if it has none.
        glob: String,
        /// What is wrong with it.
        #[source]
        error: RuleError,
    },
}

/// Says why one rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The rule is a text, a number or a list.
    #[error("a rule is an object such as {{\"glob\": \"notes/**\", \"strategy\": \"text\"}}")]
    NotAnObject,
    /// The rule does not say which paths it is for.
    #[error("\"glob\" is missing")]
    NoGlob,
    /// A field holds something else than text.
    #[error("{0:?} must be text")]
    NotText(&'static str),
    /// The pattern is longer than any path.
    #[error("the pattern is longer than {GLOB_BYTES_MAX} bytes")]
    GlobTooLong,
    /// The pattern is not one.
    #[error("the pattern is wrong: {0}")]
    Glob(String),
    /// An encryption that this version does not know.
    #[error(
        "unknown encryption {0:?}: this version of Pangaea knows \"ecies\" and \"plain\"; if a newer \
         one wrote the policy, update this program"
    )]
    UnknownEncryption(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::Expect;
    use expect_test::expect;
    use proptest::prelude::*;

    fn check(json: &str, paths: &[&str], expected: &Expect) {
        let policy = Policy::from_json(json.as_bytes()).expect("a policy");
        let line = |path: &&str| {
            let media = MediaType::of(path, b"\xff");
            let strategy = policy.strategy_for(path, &media);
            format!("{path}: {strategy:?}, {}\n", policy.encryption_for(path))
        };
        expected.assert_eq(&paths.iter().map(line).collect::<String>());
        let printed = policy.to_json();
        let again = Policy::from_json(printed.as_bytes()).expect("what was printed");
        assert_eq!(again, policy, "{printed}");
    }

    fn check_error(json: &str, expected: &Expect) {
        let error = Policy::from_json(json.as_bytes()).expect_err("wrong");
        expected.assert_eq(&error.to_string());
    }

    #[test]
    fn defaults_follow_the_kind_of_content() {
        check(
            r#"{"rules":[]}"#,
            &["a.md", "a.json", "a.jpg", "a.ics", "unknown"],
            &expect![[r#"
                a.md: Text, ecies
                a.json: Json { keys: [] }, ecies
                a.jpg: KeepBoth, ecies
                a.ics: KeepBoth, ecies
                unknown: KeepBoth, ecies
            "#]],
        );
    }

    #[test]
    fn the_first_rule_that_speaks_of_a_property_wins() {
        check(
            r#"{"rules":[
                {"glob":"notes/**","strategy":"latest"},
                {"glob":"notes/public/*","strategy":"ask","encryption":"plain"},
                {"glob":"todo/*.json","strategy":"json","key":"id"},
                {"glob":"{a,b}.json","strategy":"json","key":["uid","id"]},
                {"glob":"**","encryption":"ecies"},
                {"glob":"**","encryption":"plain"}
            ]}"#,
            &[
                "notes/a.md",
                "notes/public/a",
                "notes/public/b/c",
                "todo/x.json",
                "todo/y/x.json",
                "b.json",
            ],
            &expect![[r#"
                notes/a.md: Latest, ecies
                notes/public/a: Latest, plain
                notes/public/b/c: Latest, ecies
                todo/x.json: Json { keys: ["id"] }, ecies
                todo/y/x.json: Json { keys: [] }, ecies
                b.json: Json { keys: ["uid", "id"] }, ecies
            "#]],
        );
    }

    #[test]
    fn what_a_newer_version_wrote_survives() {
        let json =
            r#"{"rules":[{"glob":"*.ics","strategy":"ical","zone":"UTC","deep":{"a":[1]}}]}"#;
        check(
            json,
            &["a.ics"],
            &expect![[r#"
            a.ics: Other("ical"), ecies
        "#]],
        );
        let policy = Policy::from_json(json.as_bytes()).expect("a policy");
        let printed: Value = serde_json::from_str(&policy.to_json()).expect("JSON");
        assert_eq!(printed, serde_json::from_str::<Value>(json).expect("JSON"));
    }

    #[test]
    fn errors_say_where() {
        check_error(
            "{\n  \"rules\": [}",
            &expect!["the policy is not valid JSON: expected value at line 2 column 13"],
        );
        check_error(
            "[]",
            &expect![[r#"the policy has no list of rules: write {"rules": [{"glob": "**"}]}"#]],
        );
        check_error(
            r#"{"rules":[{"glob":"a"},{"strategy":"text"}]}"#,
            &expect![[r#"rule 2 of the policy (glob ""): "glob" is missing"#]],
        );
        check_error(
            r#"{"rules":[{"glob":"a"},"b"]}"#,
            &expect![[
                r#"rule 2 of the policy (glob ""): a rule is an object such as {"glob": "notes/**", "strategy": "text"}"#
            ]],
        );
        check_error(
            r#"{"rules":[{"glob":"a["}]}"#,
            &expect![[
                r#"rule 1 of the policy (glob "a["): the pattern is wrong: unclosed character class at byte 1; missing ']' (to match a literal '[', escape it as '\[' or '[[]')"#
            ]],
        );
        check_error(
            r#"{"rules":[{"glob":"a","strategy":7}]}"#,
            &expect![[r#"rule 1 of the policy (glob "a"): "strategy" must be text"#]],
        );
        check_error(
            r#"{"rules":[{"glob":"a","encryption":"age"}]}"#,
            &expect![[
                r#"rule 1 of the policy (glob "a"): unknown encryption "age": this version of Pangaea knows "ecies" and "plain"; if a newer one wrote the policy, update this program"#
            ]],
        );
    }

    proptest! {
        #[test]
        fn garbage_is_an_error(bytes: Vec<u8>, glob: String) {
            prop_assert!(Policy::from_json(&bytes).is_err());
            if let Ok(rule) = Rule::new(&glob) {
                let policy = Policy::new(vec![rule.encryption(Encryption::Plain)]).expect("one rule");
                let printed = policy.to_json();
                prop_assert_eq!(Policy::from_json(printed.as_bytes()).expect("printed"), policy);
            }
        }
    }
}
