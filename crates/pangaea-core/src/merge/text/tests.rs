//! Merges of text as a person sees them.

use expect_test::Expect;
use expect_test::expect;

use crate::merge::laws::show;
use crate::policy::Strategy;

fn check(base: &str, older: &str, newer: &str, expected: &Expect) {
    expected.assert_eq(&show(&Strategy::Text, base, older, newer));
}

/// For results in which line ends matter.
fn check_exact(base: &str, older: &str, newer: &str, expected: &str) {
    assert_eq!(show(&Strategy::Text, base, older, newer), expected);
}

const SHOPPING: &str = "milk\neggs\nbread\n";

#[test]
fn a_shopping_list_gets_what_both_added() {
    check(
        SHOPPING,
        "milk\neggs\nbread\njam\n",
        "milk\neggs\nbread\nrice\ntea\n",
        &expect![[r#"
            milk
            eggs
            bread
            jam
            rice
            tea
        "#]],
    );
    check(
        SHOPPING,
        "butter\nmilk\neggs\nbread\n",
        "milk\neggs\nbread\ntea\n",
        &expect![[r#"
            butter
            milk
            eggs
            bread
            tea
        "#]],
    );
}

#[test]
fn neighbouring_items_are_ticked_on_two_devices() {
    let base = "- [ ] milk\n- [ ] eggs\n- [ ] bread\n";
    let older = "- [x] milk\n- [ ] eggs\n- [ ] bread\n";
    let newer = "- [ ] milk\n- [x] eggs\n- [ ] bread\n- [ ] tea\n";
    check(
        base,
        older,
        newer,
        &expect![[r#"
        - [x] milk
        - [x] eggs
        - [ ] bread
        - [ ] tea
    "#]],
    );
    check(
        base,
        "- [ ] milk\n- [ ] bread\n",
        newer,
        &expect![[r#"
        - [ ] milk
        - [x] eggs
        - [ ] bread
        - [ ] tea
        === and a copy of the older one
    "#]],
    );
}

#[test]
fn one_line_changed_twice_is_an_overlap() {
    check(
        SHOPPING,
        "milk\n12 eggs\nbread\n",
        "oat milk\n6 eggs\nbread\n",
        &expect![[r#"
            oat milk
            6 eggs
            bread
            === and a copy of the older one
        "#]],
    );
    check(
        SHOPPING,
        "milk\nbread\n",
        "milk\n6 eggs\nbread\n",
        &expect![[r#"
            milk
            6 eggs
            bread
            === and a copy of the older one
        "#]],
    );
}

#[test]
fn one_change_made_twice_is_made_once() {
    check(
        SHOPPING,
        "milk\n6 eggs\nbread\njam\n",
        "milk\n6 eggs\nbread\n",
        &expect![[r#"
            milk
            6 eggs
            bread
            jam
        "#]],
    );
    check(
        SHOPPING,
        "milk\neggs\nbread\njam\n",
        "milk\neggs\nbread\njam\n",
        &expect![[r#"
            milk
            eggs
            bread
            jam
        "#]],
    );
}

#[test]
fn items_added_in_one_place_of_a_markdown_list() {
    let base = "# Today\n- call Ann\n\n# Later\n- read\n";
    let older = "# Today\n- call Ann\n- post letter\n\n# Later\n- read\n";
    let newer = "# Today\n- call Ann\n- pay rent\n  by card\n\n# Later\n- read\n";
    check(
        base,
        older,
        newer,
        &expect![[r#"
        # Today
        - call Ann
        - post letter
        - pay rent
          by card

        # Later
        - read
    "#]],
    );
}

#[test]
fn rows_added_to_a_table() {
    let base = "| a | b |\n|---|---|\n\nend\n";
    let older = "| a | b |\n|---|---|\n| 1 | 2 |\n\nend\n";
    let newer = "| a | b |\n|---|---|\n| 3 | 4 |\n\nend\n";
    check(
        base,
        older,
        newer,
        &expect![[r#"
        | a | b |
        |---|---|
        | 1 | 2 |
        | 3 | 4 |

        end
    "#]],
    );
}

#[test]
fn prose_written_in_one_place_is_an_overlap() {
    let base = "Intro.\n\nEnd.\n";
    check(
        base,
        "Intro.\n\nIt rained.\n\nEnd.\n",
        "Intro.\n\nIt was dry.\n\nEnd.\n",
        &expect![[r#"
            Intro.

            It was dry.

            End.
            === and a copy of the older one
        "#]],
    );
}

#[test]
fn sections_appended_to_a_diary() {
    let base = "# Monday\nRain.\n";
    let older = "# Monday\nRain.\n\n# Tuesday\nSun.\n";
    let newer = "# Monday\nRain.\n\n# Wednesday\nSun.\n";
    check(
        base,
        older,
        newer,
        &expect![[r#"
        # Monday
        Rain.

        # Tuesday
        Sun.

        # Wednesday
        Sun.
    "#]],
    );
}

#[test]
fn two_texts_written_into_an_empty_file_are_kept_apart() {
    check(
        "",
        "Dear Ann\n",
        "Dear Bob\n",
        &expect![[r#"
        Dear Bob
        === and a copy of the older one
    "#]],
    );
    check(
        "",
        "- milk\n",
        "- eggs\n",
        &expect![[r#"
        - milk
        - eggs
    "#]],
    );
}

#[test]
fn a_paragraph_moved_and_edited_is_an_overlap() {
    check(
        "a\nb\nc\nd\n",
        "c\nd\na\nb\n",
        "a\nB\nc\nd\n",
        &expect![[r#"
        a
        B
        c
        d
        a
        b
        === and a copy of the older one
    "#]],
    );
}

#[test]
fn line_ends_are_merged_by_themselves() {
    check_exact(
        "a\nb\nc\n",
        "a\r\nb\r\nc\r\n",
        "a\nB\nc\n",
        "a\r\nB\r\nc\r\n",
    );
    check_exact(
        "a\r\nb\r\n",
        "A\r\nb\r\n",
        "a\r\nb\r\nc\r\n",
        "A\r\nb\r\nc\r\n",
    );
    check_exact("a\r\nb\n", "A\r\nb\n", "a\r\nb\nc\r\n", "A\r\nb\nc\r\n");
    check_exact("a\nb", "A\nb", "a\nb\nc", "A\nb\nc");
    check_exact("a\nb", "a\nb\n", "A\nb", "A\nb\n");
    check_exact("a\nb\n", "a\nb", "a\nb\nc\n", "a\nb\nc");
    check_exact("milk", "milk\njam", "milk\ntea\n", "milk\njam\ntea\n");
    check_exact("milk", "milk\r\njam", "milk\r\ntea", "milk\r\njam\r\ntea");
}

#[test]
fn what_is_no_text_is_kept_whole() {
    check(
        "a\nb\n",
        "a\0\nb\n",
        "a\nB\n",
        &expect![[r#"
        a
        B
        === and a copy of the older one
    "#]],
    );
}

#[test]
fn large_changes_do_not_take_for_ever() {
    let numbers = |step: usize, different: usize| -> String {
        (0..60_000)
            .map(|number| format!("{}\n", number * step % different))
            .collect()
    };
    for different in [5, 997, 9973] {
        let base = numbers(1, different);
        let (older, newer) = (numbers(7, different), numbers(13, different));
        let merged = show(&Strategy::Text, &base, &older, &newer);
        assert!(
            merged.ends_with("=== and a copy of the older one\n"),
            "{different}"
        );
    }
}

#[test]
fn a_large_file_of_equal_lines_is_merged_when_little_changed() {
    let base = "}\n".repeat(150_000);
    let (older, newer) = (format!("first\n{base}"), format!("{base}last\n"));
    let merged = show(&Strategy::Text, &base, &older, &newer);
    assert_eq!(merged, format!("first\n{base}last\n"));
}
