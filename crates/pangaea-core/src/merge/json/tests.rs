//! Merges of JSON files as a person sees them.

use expect_test::Expect;
use expect_test::expect;

use crate::merge::laws::show;
use crate::policy::Strategy;

fn check(base: &str, older: &str, newer: &str, expected: &Expect) {
    let strategy = Strategy::Json { keys: Vec::new() };
    expected.assert_eq(&show(&strategy, base, older, newer));
}

fn check_keyed(base: &str, older: &str, newer: &str, expected: &Expect) {
    let strategy = Strategy::Json {
        keys: vec!["uid".to_owned(), "id".to_owned()],
    };
    expected.assert_eq(&show(&strategy, base, older, newer));
}

const SETTINGS: &str = r#"{
  "theme": "light",
  "size": 12,
  "tags": ["a", "b"],
  "window": { "x": 0, "y": 0 }
}
"#;

#[test]
fn different_fields_are_both_taken() {
    let older = SETTINGS
        .replace("light", "dark")
        .replace("\"x\": 0", "\"x\": 5");
    let newer = SETTINGS.replace("12", "14").replace("\"y\": 0", "\"y\": 7");
    check(
        SETTINGS,
        &older,
        &newer,
        &expect![[r#"
        {
          "theme": "dark",
          "size": 14,
          "tags": ["a", "b"],
          "window": { "x": 5, "y": 7 }
        }
    "#]],
    );
}

#[test]
fn the_same_field_is_an_overlap() {
    let older = SETTINGS.replace("light", "dark").replace("12", "10");
    let newer = SETTINGS.replace("light", "blue");
    check(
        SETTINGS,
        &older,
        &newer,
        &expect![[r#"
        {
          "theme": "blue",
          "size": 10,
          "tags": ["a", "b"],
          "window": { "x": 0, "y": 0 }
        }
        === and a copy of the older one
    "#]],
    );
    check(
        "{\"a\":[1]}",
        "{\"a\":[1,2]}",
        "{\"a\":[1,3]}",
        &expect![[r#"
        {"a":[1,3]}=== and a copy of the older one
    "#]],
    );
    check(
        "1",
        "2",
        "3",
        &expect![[r#"
        3=== and a copy of the older one
    "#]],
    );
}

#[test]
fn fields_are_added_and_removed() {
    let older = SETTINGS.replace(
        "  \"size\": 12,\n",
        "  \"size\": 12,\n  \"font\": \"Sans\",\n",
    );
    let newer = SETTINGS.replace("  \"size\": 12,\n", "  \"size\": 12,\n  \"bold\": true,\n");
    check(
        SETTINGS,
        &older,
        &newer.replace("  \"theme\": \"light\",\n", ""),
        &expect![[r#"
            {
              "size": 12,
              "font": "Sans",
              "bold": true,
              "tags": ["a", "b"],
              "window": { "x": 0, "y": 0 }
            }
        "#]],
    );
}

#[test]
fn a_field_that_was_deleted_and_edited_is_kept() {
    check(
        r#"{"a":1,"b":{"c":1}}"#,
        r#"{"a":1}"#,
        r#"{"a":1,"b":{"c":2}}"#,
        &expect![[r#"{"a":1,"b":{"c":2}}"#]],
    );
    check(
        r#"{"a":1,"b":1}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"a":1}"#,
        &expect![[r#"{"a":1,"b":2}"#]],
    );
    check(
        r#"{"a":1,"b":1}"#,
        r#"{"a":2}"#,
        r#"{"a":1,"b":1,"c":1}"#,
        &expect![[r#"{"a":2,"c":1}"#]],
    );
}

const TODO: &str = r#"[
  {"id": 1, "text": "milk", "done": false},
  {"id": 2, "text": "eggs", "done": false},
  {"id": 3, "text": "bread", "done": false}
]
"#;

#[test]
fn a_todo_list_with_ids() {
    // One device ticks, adds and removes; so does the other.
    let older = r#"[
  {"id": 1, "text": "milk", "done": true},
  {"id": 2, "text": "eggs", "done": false},
  {"id": 4, "text": "jam", "done": false}
]
"#;
    let newer = r#"[
  {"id": 1, "text": "oat milk", "done": false},
  {"id": 2, "text": "eggs", "done": false},
  {"id": 5, "text": "tea", "done": false},
  {"id": 3, "text": "bread", "done": false}
]
"#;
    check_keyed(
        TODO,
        older,
        newer,
        &expect![[r#"
        [
          {"id": 1, "text": "oat milk", "done": true},
          {"id": 2, "text": "eggs", "done": false},
          {"id": 4, "text": "jam", "done": false},
          {"id": 5, "text": "tea", "done": false}
        ]
    "#]],
    );
    check(
        TODO,
        older,
        newer,
        &expect![[r#"
        [
          {"id": 1, "text": "oat milk", "done": false},
          {"id": 2, "text": "eggs", "done": false},
          {"id": 5, "text": "tea", "done": false},
          {"id": 3, "text": "bread", "done": false}
        ]
        === and a copy of the older one
    "#]],
    );
}

#[test]
fn the_order_of_a_keyed_list() {
    let list = |ids: &[u8]| {
        let items: Vec<String> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
        format!("[{}]", items.join(","))
    };
    let base = list(&[1, 2, 3]);
    check_keyed(
        &base,
        &list(&[3, 1, 2]),
        &list(&[1, 2, 3, 4]),
        &expect![[r#"[{"id":3},{"id":4},{"id":1},{"id":2}]"#]],
    );
    check_keyed(
        &base,
        &list(&[3, 2, 1]),
        &list(&[2, 1, 3]),
        &expect![[r#"
        [{"id":2},{"id":1},{"id":3}]=== and a copy of the older one
    "#]],
    );
    check_keyed(
        &base,
        &list(&[9, 1, 2, 3]),
        &list(&[8, 1, 3, 7]),
        &expect![[r#"[{"id":9},{"id":8},{"id":1},{"id":3},{"id":7}]"#]],
    );
    // Not all have a key, or two have the same: such an array is one value.
    check_keyed(
        &base,
        &list(&[1, 2, 3, 4]),
        "[{\"id\":1},7]",
        &expect![[r#"
        [{"id":1},7]=== and a copy of the older one
    "#]],
    );
    check_keyed(
        &base,
        &list(&[1, 2, 3, 4]),
        &list(&[1, 2, 2]),
        &expect![[r#"
        [{"id":1},{"id":2},{"id":2}]=== and a copy of the older one
    "#]],
    );
}

#[test]
fn numbers_and_strings_are_not_rewritten() {
    let base = r#"{"big": 123456789012345678901234567890, "float": 1.10, "exp": 1E400, "text": "\u00fc\/", "n": 1}"#;
    let older = base.replace("1.10", "1.100");
    let newer = base.replace("\"n\": 1", "\"n\": 2");
    check(
        base,
        &older,
        &newer,
        &expect![[
            r#"{"big": 123456789012345678901234567890, "float": 1.100, "exp": 1E400, "text": "\u00fc\/", "n": 2}"#
        ]],
    );
}

#[test]
fn the_layout_of_the_side_that_changed_it_is_taken() {
    let base = "{\"a\":1,\"b\":{\"c\":[1,2]},\"d\":[]}";
    let older = "{\n    \"a\": 1,\n    \"b\": {\n        \"c\": [\n            1,\n            2\n        ]\n    },\n    \"d\": []\n}\n";
    check(
        base,
        older,
        "{\"a\":2,\"b\":{\"c\":[1,2,3]},\"d\":[]}",
        &expect![[r#"
            {
                "a": 2,
                "b": {
                    "c": [
                        1,
                        2,
                        3
                    ]
                },
                "d": []
            }
        "#]],
    );
    check(
        older,
        &older.replace("1,", "5,"),
        base,
        &expect![[r#"{"a":5,"b":{"c":[5,2]},"d":[]}"#]],
    );
    let tabs = older.replace("    ", "\t").replace('\n', "\r\n");
    let merged = show(
        &Strategy::Json { keys: Vec::new() },
        &tabs,
        &tabs.replace("[]", "[7]"),
        &tabs.replace("\"a\": 1", "\"a\": 3"),
    );
    assert_eq!(
        merged,
        tabs.replace("[]", "[7]").replace("\"a\": 1", "\"a\": 3")
    );
}

#[test]
fn json_with_comments_is_merged_as_text() {
    let base = "{\n  // the theme\n  \"theme\": \"light\",\n  \"size\": 12\n}\n";
    let (older, newer) = (base.replace("light", "dark"), base.replace("12", "14"));
    check(
        base,
        &older,
        &newer,
        &expect![[r#"
        {
          // the theme
          "theme": "dark",
          "size": 14
        }
    "#]],
    );
    check(
        "{\"a\":1}\n",
        "{\"a\":1}\n{\"b\":2}\n",
        "{\"a\":1}\n{\"c\":3}\n",
        &expect![[r#"
            {"a":1}
            {"b":2}
            {"c":3}
        "#]],
    );
}

#[test]
fn a_damaged_side_is_kept_apart() {
    check(
        "{\"a\":1,\"b\":1}\n",
        "{\"a\":1,\n",
        "{\"a\":1,\"b\":2}\n",
        &expect![[r#"
            {"a":1,"b":2}
            === and a copy of the older one
        "#]],
    );
    check(
        "{\"a\":1,\"b\":1}\n",
        "{\"a\":2,\"b\":1}\n",
        "{\"a\":1,\"a\":2}\n",
        &expect![[r#"
            {"a":1,"a":2}
            === and a copy of the older one
        "#]],
    );
}

#[test]
fn deep_and_large_files_do_not_take_for_ever() {
    let document = |last: &str| {
        let fields: Vec<String> = (0..30_000).map(|at| format!("\"f{at}\":{at}")).collect();
        let inner = format!("{{{},{last}}}", fields.join(","));
        format!("{}{inner}{}", "{\"a\":".repeat(50), "}".repeat(50))
    };
    let (base, older, newer) = (
        document("\"x\":1"),
        document("\"y\":1"),
        document("\"x\":2"),
    );
    let strategy = Strategy::Json { keys: Vec::new() };
    let expected = document("\"y\":1,\"x\":2");
    assert_eq!(show(&strategy, &base, &older, &newer), expected);
}
