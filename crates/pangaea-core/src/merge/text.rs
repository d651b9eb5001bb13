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
//! NUL, is no text and is kept whole; so is a text of so many equal lines that comparing it would
//! take long.

mod lines;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Range;

use imara_diff::Algorithm;
use imara_diff::Diff;
use imara_diff::InternedInput;
use imara_diff::Interner;
use imara_diff::Token;

use self::lines::Ending;
use self::lines::Line;
use self::lines::NewlineAtEnd;
use self::lines::Text;
use self::lines::join;
use super::Merged;
use super::three_way;

pub(super) fn merge(contents: [&[u8]; 3]) -> Merged {
    let [Some(base), Some(winner), Some(loser)] = contents.map(read) else {
        return Merged::Whole;
    };
    let styles = [base, winner, loser].map(Ending::of_text);
    let uniform = !styles.contains(&Some(Ending::Mixed));
    let ending = merge_endings(styles);
    let texts = [base, winner, loser].map(|text| Text::split(text, uniform));
    let [base, winner, loser] = &texts;
    let Some((lines, is_overlap)) = merge_lines(&base.lines, &winner.lines, &loser.lines) else {
        return Merged::Whole;
    };
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

/// Decides how lines end; a text of one line says nothing about it.
fn merge_endings([base, winner, loser]: [Option<Ending>; 3]) -> Ending {
    three_way(base, winner.or(base), loser.or(base)).unwrap_or(Ending::Lf)
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

/// How much comparing of often repeated lines is worth a merge: about half a second.
const REPETITION_MAX: usize = 400_000_000;
/// From how many copies of a line on the line does not help to find what was kept.
const COPIES_MAX: usize = 63;

/// Finds what a side changed; none if that would take too long.
fn hunks<'a>(base: &[Line<'a>], side: &'a [Line<'a>]) -> Option<Vec<Hunk<'a>>> {
    let interner = Interner::new(base.len() + side.len());
    let mut input = InternedInput {
        before: Vec::new(),
        after: Vec::new(),
        interner,
    };
    input.update_before(base.iter().copied());
    input.update_after(side.iter().copied());
    if repetition(&input.before, &input.after) > REPETITION_MAX {
        return None;
    }
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    // Of several equal lines it is arbitrary which one was added: both sides must choose alike.
    diff.postprocess_no_heuristic(&input);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    let hunk = |hunk: imara_diff::Hunk| Hunk {
        range: range(hunk.before),
        lines: &side[range(hunk.after)],
    };
    Some(diff.hunks().map(hunk).collect())
}

/// Bounds the work of a comparison: where only often repeated lines are left, every one of them is
/// compared with every one on the other side.
fn repetition(before: &[Token], after: &[Token]) -> usize {
    let same = |pair: &(&Token, &Token)| pair.0 == pair.1;
    let start = before.iter().zip(after).take_while(same).count();
    let (before, after) = (&before[start..], &after[start..]);
    let end = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(same)
        .count();
    let (before, after) = (&before[..before.len() - end], &after[..after.len() - end]);
    let mut copies: HashMap<Token, (usize, usize)> = HashMap::new();
    for token in before {
        copies.entry(*token).or_default().0 += 1;
    }
    for token in after {
        copies.entry(*token).or_default().1 += 1;
    }
    let is_repeated = |token: &&Token| {
        copies
            .get(*token)
            .is_some_and(|copies| copies.0 > COPIES_MAX && copies.1 > 0)
    };
    let count = |tokens: &[Token]| tokens.iter().filter(is_repeated).count();
    count(before).saturating_mul(count(after))
}

/// Merges lines; the second result tells whether changes overlapped. None if it takes too long.
fn merge_lines<'a>(
    base: &'a [Line<'a>],
    winner: &'a [Line<'a>],
    loser: &'a [Line<'a>],
) -> Option<(Vec<Line<'a>>, bool)> {
    let (winner, loser) = (hunks(base, winner)?, hunks(base, loser)?);
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
    Some((merged, is_overlap))
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
