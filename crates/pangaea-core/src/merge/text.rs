//! The three-way merge of text by lines.
//!
//! Each side is compared with the base; the changed places of both are put together:
//!
//! - Changes in different places are both kept, and so are changes of neighbouring lines: in a list
//!   each line is an item of its own, and two items ticked on two devices are no conflict. (Git,
//!   made for programs, refuses those.) Only if neighbouring changes bring in the same line, they
//!   are taken for one change made twice, and overlap.
//! - The same change on both sides is made once.
//! - Both sides inserting at the same place: at the end of the file, and where both sides insert
//!   only list items or table rows, a person expects all of them, so both are kept, the older
//!   version's first. Anywhere else that is an overlap.
//! - Where changes overlap, the winner's lines stand and the loser's file becomes a conflict copy.
//!
//! Line endings and the newline at the end of the file are merged by themselves, so that an editor
//! that converts them does not turn every line into a conflict. Content that is not UTF-8, or holds
//! NUL, is no text and is kept whole.

use std::collections::HashSet;
use std::ops::Range;

use imara_diff::Algorithm;
use imara_diff::Diff;
use imara_diff::InternedInput;
use imara_diff::Interner;

use super::Merged;
use super::Sides;
use super::three_way;

pub(super) fn merge(sides: &Sides<'_>) -> Merged {
    let Some(contents) = sides.mergeable() else {
        return Merged::Whole;
    };
    let [Some(base), Some(winner), Some(loser)] = contents.map(read) else {
        return Merged::Whole;
    };
    let styles = [base, winner, loser].map(Ending::of_text);
    let uniform = !styles.contains(&Some(Ending::Mixed));
    let ending = merge_endings(styles);
    let texts = [base, winner, loser].map(|text| Text::split(text, uniform));
    let [base, winner, loser] = &texts;
    let (lines, is_overlap) = merge_lines(&base.lines, &winner.lines, &loser.lines);
    let ends = three_way(
        base.newline_at_end,
        winner.newline_at_end,
        loser.newline_at_end,
    );
    let bytes = join(
        &lines,
        uniform.then_some(ending),
        ends.unwrap_or(NewlineAtEnd::Present),
    );
    if is_overlap {
        Merged::Overlap(bytes)
    } else {
        Merged::Clean(bytes)
    }
}

/// Returns content as text, if that is what it is.
fn read(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ending {
    Lf,
    CrLf,
    Mixed,
}

impl Ending {
    /// Tells how the lines of a text end; none if it has no line end.
    fn of_text(text: &str) -> Option<Self> {
        let mut endings = text.split_inclusive('\n').filter_map(Self::of_line);
        let first = endings.next()?;
        Some(if endings.all(|ending| ending == first) {
            first
        } else {
            Self::Mixed
        })
    }

    fn of_line(line: &str) -> Option<Self> {
        let content = line.strip_suffix('\n')?;
        Some(if content.ends_with('\r') {
            Self::CrLf
        } else {
            Self::Lf
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Lf | Self::Mixed => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// Decides how lines end; a text of one line says nothing about it.
fn merge_endings([base, winner, loser]: [Option<Ending>; 3]) -> Ending {
    three_way(base, winner.or(base), loser.or(base)).unwrap_or(Ending::Lf)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewlineAtEnd {
    Present,
    Missing,
}

/// A line without its ending; the ending is the same for all lines of a uniform text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Line<'a> {
    text: &'a str,
    ending: Ending,
}

struct Text<'a> {
    lines: Vec<Line<'a>>,
    /// None for an empty text.
    newline_at_end: Option<NewlineAtEnd>,
}

impl<'a> Text<'a> {
    fn split(text: &'a str, uniform: bool) -> Self {
        let mut last = Ending::Lf;
        let line = |line: &'a str| {
            last = Ending::of_line(line).unwrap_or(last);
            let text = line.strip_suffix('\n').unwrap_or(line);
            let is_crlf = text.len() < line.len() && last == Ending::CrLf;
            let text = if is_crlf {
                text.strip_suffix('\r').unwrap_or(text)
            } else {
                text
            };
            Line {
                text,
                ending: if uniform { Ending::Lf } else { last },
            }
        };
        let lines = text.split_inclusive('\n').map(line).collect();
        let newline_at_end = match text.as_bytes().last() {
            None => None,
            Some(b'\n') => Some(NewlineAtEnd::Present),
            Some(_) => Some(NewlineAtEnd::Missing),
        };
        Self {
            lines,
            newline_at_end,
        }
    }
}

fn join(lines: &[Line<'_>], ending: Option<Ending>, newline_at_end: NewlineAtEnd) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.text.len() + 2).sum());
    for (index, line) in lines.iter().enumerate() {
        bytes.extend_from_slice(line.text.as_bytes());
        let is_last = index + 1 == lines.len();
        if !is_last || newline_at_end == NewlineAtEnd::Present {
            bytes.extend_from_slice(ending.unwrap_or(line.ending).as_str().as_bytes());
        }
    }
    bytes
}

/// A place where a side differs from the base.
#[derive(Debug, Clone)]
struct Hunk<'a> {
    /// The lines of the base that are replaced; empty for an insertion.
    range: Range<usize>,
    /// What stands there instead.
    lines: &'a [Line<'a>],
}

impl Hunk<'_> {
    /// Tells whether two sides' changes cannot both be made.
    fn collides_with(&self, other: &Hunk<'_>) -> bool {
        let (a, b) = (&self.range, &other.range);
        if a.is_empty() && b.is_empty() {
            return a.start == b.start;
        }
        if a.start < b.end && b.start < a.end {
            return true;
        }
        let touches = a.end == b.start || b.end == a.start;
        touches && have_line_in_common(self.lines, other.lines)
    }
}

fn have_line_in_common(a: &[Line<'_>], b: &[Line<'_>]) -> bool {
    let lines: HashSet<&Line<'_>> = a.iter().filter(|line| !is_blank(line)).collect();
    b.iter().any(|line| lines.contains(line))
}

fn is_blank(line: &Line<'_>) -> bool {
    line.text.trim().is_empty()
}

fn hunks<'a>(base: &[Line<'a>], side: &'a [Line<'a>]) -> Vec<Hunk<'a>> {
    let interner = Interner::new(base.len() + side.len());
    let mut input = InternedInput {
        before: Vec::new(),
        after: Vec::new(),
        interner,
    };
    input.update_before(base.iter().copied());
    input.update_after(side.iter().copied());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    // Of several equal lines it is arbitrary which one was added: both sides must choose alike.
    diff.postprocess_no_heuristic(&input);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    let hunk = |hunk: imara_diff::Hunk| Hunk {
        range: range(hunk.before),
        lines: &side[range(hunk.after)],
    };
    diff.hunks().map(hunk).collect()
}

/// Merges lines; the second result tells whether changes overlapped.
fn merge_lines<'a>(
    base: &'a [Line<'a>],
    winner: &'a [Line<'a>],
    loser: &'a [Line<'a>],
) -> (Vec<Line<'a>>, bool) {
    let (winner, loser) = (hunks(base, winner), hunks(base, loser));
    let (mut winner, mut loser) = (winner.as_slice(), loser.as_slice());
    let mut merged = Vec::with_capacity(base.len());
    let mut is_overlap = false;
    let mut done = 0;
    while let Some(region) = Region::next(&mut winner, &mut loser) {
        merged.extend_from_slice(&base[done..region.range.start]);
        done = region.range.end;
        is_overlap |= region.resolve(base, &mut merged) == Resolved::WinnerOnly;
    }
    merged.extend_from_slice(&base[done..]);
    (merged, is_overlap)
}

/// A stretch of the base with the changes that cannot be told apart there.
struct Region<'h, 'a> {
    range: Range<usize>,
    winner: &'h [Hunk<'a>],
    loser: &'h [Hunk<'a>],
}

#[derive(Debug, PartialEq, Eq)]
enum Resolved {
    All,
    WinnerOnly,
}

impl<'h, 'a> Region<'h, 'a> {
    /// Takes the next region off both lists.
    fn next(winner: &mut &'h [Hunk<'a>], loser: &mut &'h [Hunk<'a>]) -> Option<Self> {
        let first = match (winner.first(), loser.first()) {
            (None, None) => return None,
            (Some(only), None) | (None, Some(only)) => only,
            // What is inserted before a line comes before what replaces that line.
            (Some(one), Some(other)) => {
                let place = |hunk: &Hunk<'_>| (hunk.range.start, hunk.range.end);
                if place(one) <= place(other) {
                    one
                } else {
                    other
                }
            }
        };
        let mut range = first.range.clone();
        let (mut from_winner, mut from_loser) = (0, 0);
        let is_first = |hunk: Option<&Hunk<'_>>| hunk.is_some_and(|hunk| hunk.range == first.range);
        if is_first(winner.first()) {
            from_winner = 1;
        } else {
            from_loser = 1;
        }
        loop {
            // Both lists are in order, so only the other side's last hunk can reach the next one.
            let joins = |own: &[Hunk<'_>], taken: usize, others: &[Hunk<'_>]| {
                let next = own.get(taken).zip(others.last());
                next.is_some_and(|(next, last)| next.collides_with(last))
            };
            let grown = if joins(winner, from_winner, &loser[..from_loser]) {
                from_winner += 1;
                &winner[from_winner - 1]
            } else if joins(loser, from_loser, &winner[..from_winner]) {
                from_loser += 1;
                &loser[from_loser - 1]
            } else {
                break;
            };
            range = range.start.min(grown.range.start)..range.end.max(grown.range.end);
        }
        let (winner_region, winner_rest) = winner.split_at(from_winner);
        let (loser_region, loser_rest) = loser.split_at(from_loser);
        (*winner, *loser) = (winner_rest, loser_rest);
        Some(Self {
            range,
            winner: winner_region,
            loser: loser_region,
        })
    }

    fn resolve(&self, base: &[Line<'a>], merged: &mut Vec<Line<'a>>) -> Resolved {
        let winner = self.side(base, self.winner);
        let loser = self.side(base, self.loser);
        if self.winner.is_empty() {
            merged.extend(loser);
            return Resolved::All;
        }
        if self.loser.is_empty() || winner == loser {
            merged.extend(winner);
            return Resolved::All;
        }
        let all_items = is_list(&winner) && is_list(&loser);
        let at_end = self.range.start == base.len() && !base.is_empty();
        if self.range.is_empty() && (all_items || at_end) {
            let same = if all_items {
                common_prefix(&winner, &loser)
            } else {
                0
            };
            merged.extend(loser);
            merged.extend(&winner[same..]);
            return Resolved::All;
        }
        merged.extend(winner);
        Resolved::WinnerOnly
    }

    /// Returns what a side has in place of the region's lines.
    fn side(&self, base: &[Line<'a>], hunks: &[Hunk<'a>]) -> Vec<Line<'a>> {
        let mut lines = Vec::new();
        let mut done = self.range.start;
        for hunk in hunks {
            lines.extend_from_slice(&base[done..hunk.range.start]);
            lines.extend_from_slice(hunk.lines);
            done = hunk.range.end;
        }
        lines.extend_from_slice(&base[done..self.range.end]);
        lines
    }
}

fn common_prefix(a: &[Line<'_>], b: &[Line<'_>]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Tells whether lines are items of a list (with what is indented below them) or rows of a table.
fn is_list(lines: &[Line<'_>]) -> bool {
    let mut lines = lines
        .iter()
        .filter(|line| !is_blank(line))
        .map(|line| line.text);
    let Some(first) = lines.next() else {
        return false;
    };
    let indent = |text: &str| text.len() - text.trim_start().len();
    is_item(first) && lines.all(|line| is_item(line) || indent(line) > indent(first))
}

fn is_item(line: &str) -> bool {
    let line = line.trim();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = rest.len() < line.len() && (rest.starts_with(". ") || rest.starts_with(") "));
    let marks = ["- ", "* ", "+ ", "• ", "|"];
    is_numbered || marks.iter().any(|mark| line.starts_with(mark))
}

#[cfg(test)]
mod tests {
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
        let numbers = |step: usize| -> String {
            (0..60_000)
                .map(|number| format!("{}\n", number * step % 9973))
                .collect()
        };
        let (base, older, newer) = (numbers(1), numbers(7), numbers(13));
        let merged = show(&Strategy::Text, &base, &older, &newer);
        assert!(merged.ends_with("=== and a copy of the older one\n"));
    }
}
#[cfg(test)]
mod probe {
    #[test]
    fn probe() {
        let gen_ = |seed: u64, m: u64| -> String {
            let mut x = seed;
            (0..500_000)
                .map(|_| {
                    x = x
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    if (x >> 33) % m == 0 { "a\n" } else { "b\n" }
                })
                .collect()
        };
        for m in [2, 3, 50] {
            let (b, o, n) = (gen_(1, m), gen_(2, m), gen_(3, m));
            let t = std::time::Instant::now();
            let s = crate::merge::laws::show(&crate::policy::Strategy::Text, &b, &o, &n);
            println!("{m} {} {:?}", s.len(), t.elapsed());
        }
    }
}
