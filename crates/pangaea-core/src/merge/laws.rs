//! What holds for every strategy and any content, as properties, and the helper through which all
//! tests of merges go.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use serde_json::Value;

use super::Input;
use super::merge;
use crate::io::Side;
use crate::policy::Strategy;
use crate::version::VersionId;

/// A merge's result without sides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    pub(super) copy: Option<Vec<u8>>,
}

/// Merges an older and a newer version on both devices and demands that they agree.
pub(super) fn merge_both_ways(
    strategy: &Strategy,
    base: Option<&[u8]>,
    older: &[u8],
    newer: &[u8],
) -> Seen {
    let older = Input {
        bytes: older,
        version: VersionId::from_bytes([1; 16]),
    };
    let newer = Input {
        bytes: newer,
        version: VersionId::from_bytes([2; 16]),
    };
    let seen = |ours: Input<'_>, theirs: Input<'_>| {
        let outcome = merge(strategy, base, ours, theirs);
        let copy = outcome.copy().map(|side| match side {
            Side::Ours => ours.bytes.to_vec(),
            Side::Theirs => theirs.bytes.to_vec(),
        });
        Seen {
            bytes: outcome.bytes(&ours, &theirs).to_vec(),
            copy,
        }
    };
    let one = seen(older, newer);
    assert_eq!(one, seen(newer, older), "the devices disagree");
    one
}

fn strategies() -> Vec<Strategy> {
    vec![
        Strategy::Latest,
        Strategy::KeepBoth,
        Strategy::Text,
        Strategy::Json { keys: Vec::new() },
        Strategy::Json {
            keys: vec!["id".to_owned()],
        },
        Strategy::Ask,
    ]
}

/// The laws that need no look at the content.
fn check_laws(base: &[u8], older: &[u8], newer: &[u8]) {
    for strategy in strategies() {
        for base in [None, Some(base)] {
            let merged = merge_both_ways(&strategy, base, older, newer);
            let same = merge_both_ways(&strategy, base, newer, newer);
            assert_eq!(
                same,
                Seen {
                    bytes: newer.to_vec(),
                    copy: None
                },
                "{strategy}: idempotent"
            );
            if merged.copy.is_some() {
                assert_eq!(
                    merged.copy.as_deref(),
                    Some(older),
                    "{strategy}: the older one loses"
                );
            }
            // Merging the result with what went into it changes nothing and makes no new copy.
            let again = merge_both_ways(&strategy, Some(older), older, &merged.bytes);
            assert_eq!(
                again,
                Seen {
                    bytes: merged.bytes,
                    copy: None
                },
                "{strategy}: again"
            );
        }
        let only_newer = merge_both_ways(&strategy, Some(base), base, newer);
        assert_eq!(
            only_newer,
            Seen {
                bytes: newer.to_vec(),
                copy: None
            },
            "{strategy}: one side"
        );
        let only_older = merge_both_ways(&strategy, Some(base), older, base);
        assert_eq!(
            only_older,
            Seen {
                bytes: older.to_vec(),
                copy: None
            },
            "{strategy}: one side"
        );
    }
}

/// An edit of a list of lines or fields: where (wrapped around), and what.
#[derive(Debug, Clone)]
enum Edit {
    Remove(usize),
    Insert(usize, String),
    Replace(usize, String),
}

fn edits(words: &'static str) -> impl Generator<Value = Vec<Edit>> {
    let edit = prop_oneof![
        any::<usize>().prop_map(Edit::Remove),
        (any::<usize>(), words).prop_map(|(at, word)| Edit::Insert(at, word)),
        (any::<usize>(), words).prop_map(|(at, word)| Edit::Replace(at, word)),
    ];
    prop::collection::vec(edit, 0..6)
}

fn apply(lines: &[String], edits: &[Edit], tag: &str) -> Vec<String> {
    let mut lines = lines.to_vec();
    for (number, edit) in edits.iter().enumerate() {
        let len = lines.len();
        let text = |word: &str| {
            if tag.is_empty() {
                word.to_owned()
            } else {
                format!("{word} {tag}{number}")
            }
        };
        match edit {
            Edit::Insert(at, word) => lines.insert(at % (len + 1), text(word)),
            Edit::Remove(at) if len > 0 => drop(lines.remove(at % len)),
            Edit::Replace(at, word) if len > 0 => lines[at % len] = text(word),
            Edit::Remove(_) | Edit::Replace(..) => {}
        }
    }
    lines
}

fn text_of(lines: &[String], end: &str) -> String {
    lines.iter().map(|line| format!("{line}{end}")).collect()
}

fn lines_of(bytes: &[u8]) -> BTreeSet<String> {
    String::from_utf8(bytes.to_vec())
        .expect("text")
        .lines()
        .map(str::to_owned)
        .collect()
}

const WORDS: &str = "[ab]|- [ab]|||    c|1\\. a|x\r|é";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn garbage_obeys_the_laws(base: Vec<u8>, older: Vec<u8>, newer: Vec<u8>) {
        check_laws(&base, &older, &newer);
    }

    #[test]
    fn texts_obey_the_laws(
        base in prop::collection::vec(WORDS, 0..12),
        older in edits(WORDS),
        newer in edits(WORDS),
        ends in prop::collection::vec("\n|\r\n", 3),
        cut in prop::collection::vec(0..2_usize, 3),
    ) {
        let text = |edits: &[Edit], index: usize| {
            let text = text_of(&apply(&base, edits, ""), &ends[index]);
            text[..text.len().saturating_sub(cut[index])].to_owned()
        };
        let (older, newer) = (text(&older, 0), text(&newer, 1));
        check_laws(text(&[], 2).as_bytes(), older.as_bytes(), newer.as_bytes());
    }

    /// Lines that repeat, blank ones, items: whatever a side brought in is there, or is in a copy.
    #[test]
    fn no_line_is_dropped_silently(
        base in prop::collection::vec(WORDS, 0..12),
        older in edits(WORDS),
        newer in edits(WORDS),
    ) {
        let text = |edits: &[Edit]| text_of(&apply(&base, edits, ""), "\n").into_bytes();
        let (base, older, newer) = (text(&[]), text(&older), text(&newer));
        let merged = merge_both_ways(&Strategy::Text, Some(&base), &older, &newer);
        let known = lines_of(&base);
        let found = lines_of(&merged.bytes);
        for line in lines_of(&newer).difference(&known) {
            prop_assert!(found.contains(line), "{line:?} of the winner");
        }
        for line in lines_of(&older).difference(&known) {
            prop_assert!(found.contains(line) || merged.copy.is_some(), "{line:?} of the loser");
        }
    }

    /// With lines that are all different it is exact: what either removed is gone, what either
    /// added is there.
    #[test]
    fn a_clean_text_merge_makes_all_changes_and_no_other(
        len in 0..15_usize,
        older in edits("- w|w"),
        newer in edits("- w|w"),
    ) {
        let base: Vec<String> = (0..len).map(|number| format!("line {number}")).collect();
        let sides = [apply(&base, &older, "older"), apply(&base, &newer, "newer")];
        let [older, newer] = sides.each_ref().map(|lines| text_of(lines, "\n"));
        let whole = text_of(&base, "\n");
        let merged =
            merge_both_ways(&Strategy::Text, Some(whole.as_bytes()), older.as_bytes(), newer.as_bytes());
        let base: BTreeSet<String> = base.into_iter().collect();
        let [older, newer] = sides.map(|lines| lines.into_iter().collect::<BTreeSet<_>>());
        let kept = base.iter().filter(|line| older.contains(*line) && newer.contains(*line));
        let added = older.union(&newer).filter(|line| !base.contains(*line));
        let expected: BTreeSet<String> = kept.chain(added).cloned().collect();
        if merged.copy.is_none() {
            prop_assert_eq!(lines_of(&merged.bytes), expected);
        }
    }

    /// Every line has at most one device that changes it: never a conflict, and exactly the lines
    /// that a person expects, neighbours included.
    #[test]
    fn changes_of_different_lines_are_all_made(owners in prop::collection::vec(0..5_u8, 0..30)) {
        let text = |change: fn(u8, usize) -> Option<String>| -> String {
            owners.iter().enumerate().filter_map(|(at, owner)| change(*owner, at)).collect()
        };
        let base = text(|_, at| Some(format!("line {at}\n")));
        let older = text(|owner, at| match owner {
            1 => Some(format!("line {at} changed\n")),
            2 => None,
            _ => Some(format!("line {at}\n")),
        });
        let newer = text(|owner, at| match owner {
            3 => Some(format!("line {at} changed\n")),
            4 => None,
            _ => Some(format!("line {at}\n")),
        });
        let expected = text(|owner, at| match owner {
            1 | 3 => Some(format!("line {at} changed\n")),
            2 | 4 => None,
            _ => Some(format!("line {at}\n")),
        });
        let merged =
            merge_both_ways(&Strategy::Text, Some(base.as_bytes()), older.as_bytes(), newer.as_bytes());
        prop_assert_eq!(String::from_utf8(merged.bytes).expect("text"), expected);
        prop_assert_eq!(merged.copy, None);
    }

    #[test]
    fn json_obeys_the_laws(base in json(), older in json(), newer in json()) {
        let [base, older, newer] = [base, older, newer].map(|value| value.to_string());
        check_laws(base.as_bytes(), older.as_bytes(), newer.as_bytes());
        for keys in [vec![], vec!["id".to_owned()]] {
            let strategy = Strategy::Json { keys };
            let merged = merge_both_ways(
                &strategy, Some(base.as_bytes()), older.as_bytes(), newer.as_bytes());
            prop_assert!(serde_json::from_slice::<Value>(&merged.bytes).is_ok());
        }
    }

    /// Fields at two depths, laid out in different ways; no field has two devices that change it.
    #[test]
    fn changes_of_different_fields_are_all_made(
        owners in prop::collection::vec((0..7_u8, 0..3_u8), 0..20),
        pretty in prop::collection::vec(any::<bool>(), 3),
    ) {
        let document = |of: fn(u8, usize) -> Option<String>| {
            let mut document = serde_json::json!({"0": {}, "1": {}, "2": {}});
            for (at, (owner, group)) in owners.iter().enumerate() {
                if let Some(value) = of(*owner, at) {
                    document[group.to_string()][format!("f{at}")] = value.into();
                }
            }
            document
        };
        let base = document(|owner, at| (owner < 5).then(|| format!("v{at}")));
        let older = document(|owner, at| match owner {
            1 | 5 => Some(format!("older {at}")),
            2 | 6 => None,
            _ => Some(format!("v{at}")),
        });
        let newer = document(|owner, at| match owner {
            3 | 6 => Some(format!("newer {at}")),
            4 | 5 => None,
            _ => Some(format!("v{at}")),
        });
        let expected = document(|owner, at| match owner {
            1 | 5 => Some(format!("older {at}")),
            3 | 6 => Some(format!("newer {at}")),
            2 | 4 => None,
            _ => Some(format!("v{at}")),
        });
        let print = |value: &Value, index: usize| match pretty[index] {
            true => serde_json::to_string_pretty(value).expect("JSON"),
            false => value.to_string(),
        };
        let [base, older, newer] = [print(&base, 0), print(&older, 1), print(&newer, 2)];
        let strategy = Strategy::Json { keys: Vec::new() };
        let merged =
            merge_both_ways(&strategy, Some(base.as_bytes()), older.as_bytes(), newer.as_bytes());
        prop_assert_eq!(merged.copy, None);
        let merged: Value = serde_json::from_slice(&merged.bytes).expect("JSON");
        prop_assert_eq!(merged, expected);
    }

    /// The scalars that a side brought in are in the result, or its file becomes a copy.
    #[test]
    fn no_value_is_dropped_silently(base in json(), older in json(), newer in json()) {
        let texts = [&base, &older, &newer].map(Value::to_string);
        let [base_text, older_text, newer_text] = texts.each_ref().map(String::as_bytes);
        for keys in [vec![], vec!["id".to_owned()]] {
            let strategy = Strategy::Json { keys };
            let merged = merge_both_ways(&strategy, Some(base_text), older_text, newer_text);
            let value: Value = serde_json::from_slice(&merged.bytes).expect("JSON");
            let [mut known, mut found] = [BTreeSet::new(), BTreeSet::new()];
            scalars(&base, &mut known);
            scalars(&value, &mut found);
            for (side, is_winner) in [(&newer, true), (&older, false)] {
                let mut brought = BTreeSet::new();
                scalars(side, &mut brought);
                for scalar in brought.difference(&known) {
                    let is_safe = found.contains(scalar) || (!is_winner && merged.copy.is_some());
                    prop_assert!(is_safe, "{scalar} is lost");
                }
            }
        }
    }
}

fn json() -> impl Generator<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        "[a-c\"\\\\é]{0,2}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]|id", inner.clone(), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            prop::collection::btree_map(
                0..5_u8,
                prop::collection::btree_map("[ab]", inner, 0..3),
                0..4
            )
            .prop_map(|elements| elements.into_iter().map(keyed_element).collect()),
        ]
    })
}

fn keyed_element((id, fields): (u8, std::collections::BTreeMap<String, Value>)) -> Value {
    let id = [("id".to_owned(), Value::from(id))];
    Value::Object(fields.into_iter().chain(id).collect())
}

fn scalars(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| scalars(element, found)),
        Value::Object(fields) => fields.values().for_each(|field| scalars(field, found)),
        scalar => drop(found.insert(scalar.to_string())),
    }
}

/// Shows a merge's result as a test prints it.
pub(super) fn show(strategy: &Strategy, base: &str, older: &str, newer: &str) -> String {
    let merged = merge_both_ways(
        strategy,
        Some(base.as_bytes()),
        older.as_bytes(),
        newer.as_bytes(),
    );
    let text = String::from_utf8(merged.bytes).expect("text");
    let copy = if merged.copy.is_some() {
        "=== and a copy of the older one\n"
    } else {
        ""
    };
    format!("{text}{copy}")
}
