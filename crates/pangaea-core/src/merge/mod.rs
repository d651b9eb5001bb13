//! Merging two versions of a file that were made from the same base, without knowing of each other.
//!
//! Every strategy is a pure function of base, two contents and their versions, and symmetric: two
//! devices that merge the same three contents get the same bytes, whichever of them calls its own
//! side "ours". Where something must give way, the greater version wins, and what the other side
//! loses is said in the [`Outcome`]. Nothing here reads content, names conflict copies (that is
//! [`crate::conflict`]) or keeps history.
//!
//! What holds for all strategies:
//! - equal contents are no conflict;
//! - if only one side differs from the base, that side is the result;
//! - without a base nothing is guessed: both are kept (`latest` needs no base).

mod json;
#[cfg(test)]
mod laws;
mod text;

use std::cmp::Ordering;

use crate::io::Side;
use crate::media::is_mergeable;
use crate::policy::Strategy;
use crate::version::VersionId;

/// One of the two sides of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input<'a> {
    /// The plain content.
    pub bytes: &'a [u8],
    /// The version that has this content.
    pub version: VersionId,
}

/// What the file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Exactly what one side has.
    Side(Side),
    /// Something that neither side has.
    New(Vec<u8>),
}

/// What one side has that the result has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displaced {
    /// All that either side wrote is in the result, or was replaced by a side that saw it.
    Nothing,
    /// This side's version gave way and is found in the history.
    ToHistory(Side),
    /// This side's version, or a part of it, gave way to a concurrent one: the whole of it must be
    /// kept as a conflict copy.
    ToCopy(Side),
}

/// The result of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What the file becomes.
    pub content: Content,
    /// What must be kept beside it.
    pub displaced: Displaced,
}

impl Outcome {
    /// Returns the side that must become a conflict copy.
    pub fn copy(&self) -> Option<Side> {
        match self.displaced {
            Displaced::ToCopy(side) => Some(side),
            Displaced::Nothing | Displaced::ToHistory(_) => None,
        }
    }

    /// Returns the bytes that the file becomes, given the two sides that were merged.
    pub fn bytes<'a>(&'a self, ours: &Input<'a>, theirs: &Input<'a>) -> &'a [u8] {
        match &self.content {
            Content::Side(Side::Ours) => ours.bytes,
            Content::Side(Side::Theirs) => theirs.bytes,
            Content::New(bytes) => bytes,
        }
    }
}

/// Merges two concurrent contents of one file.
///
/// [`Strategy::Ask`] and strategies that this program does not know keep both: an application that
/// wants to decide is asked before this is called.
pub fn merge(
    strategy: &Strategy,
    base: Option<&[u8]>,
    ours: Input<'_>,
    theirs: Input<'_>,
) -> Outcome {
    match begin(strategy, base, ours, theirs) {
        Begun::Decided(outcome) => outcome,
        Begun::Open(sides) => sides.outcome(merge_contents(strategy, sides.contents())),
    }
}

/// Merges as far as that can be done without looking into the contents.
pub fn begin<'a>(
    strategy: &Strategy,
    base: Option<&'a [u8]>,
    ours: Input<'a>,
    theirs: Input<'a>,
) -> Begun<'a> {
    let undisputed = |side| {
        Begun::Decided(Outcome {
            content: Content::Side(side),
            displaced: Displaced::Nothing,
        })
    };
    if ours.bytes == theirs.bytes || base == Some(ours.bytes) {
        return undisputed(Side::Theirs);
    }
    if base == Some(theirs.bytes) {
        return undisputed(Side::Ours);
    }
    let sides = Sides::of(base, &ours, &theirs);
    match strategy {
        Strategy::Latest => {
            let displaced = Displaced::ToHistory(sides.loser_side);
            Begun::Decided(Outcome {
                content: Content::Side(sides.winner_side),
                displaced,
            })
        }
        Strategy::Text | Strategy::Json { .. } if sides.is_mergeable() => Begun::Open(sides),
        // Where nothing is known of the contents, the winner's takes the path.
        _ => Begun::Decided(sides.outcome(Merged::Whole)),
    }
}

/// The part of a merge that looks into base, winner and loser, which [`Sides::outcome`] makes an
/// outcome of. It is apart so that browsers load it when it is needed.
pub fn merge_contents(strategy: &Strategy, contents: [&[u8]; 3]) -> Merged {
    match strategy {
        Strategy::Text => text::merge(contents),
        Strategy::Json { keys } => json::merge(contents, keys),
        Strategy::Latest | Strategy::KeepBoth | Strategy::Ask | Strategy::Other(_) => Merged::Whole,
    }
}

/// A merge that was begun.
pub enum Begun<'a> {
    /// The contents need not be looked into.
    Decided(Outcome),
    /// [`merge_contents`] has to.
    Open(Sides<'a>),
}

/// What a strategy makes of three contents, without knowing which side is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// All changes of both sides found their place.
    Clean(Vec<u8>),
    /// In some places only the winner's change did.
    Overlap(Vec<u8>),
    /// The contents cannot be merged: the winner's it is.
    Whole,
}

/// The contents of a merge by rank instead of by place, which is what makes merges symmetric.
pub struct Sides<'a> {
    base: Option<&'a [u8]>,
    winner: &'a [u8],
    loser: &'a [u8],
    winner_side: Side,
    loser_side: Side,
}

impl<'a> Sides<'a> {
    fn of(base: Option<&'a [u8]>, ours: &Input<'a>, theirs: &Input<'a>) -> Self {
        // Versions are unique, so content decides only for a caller that made something up.
        let rank = |side: &Input<'a>| (side.version, side.bytes);
        let (winner, loser, winner_side, loser_side) = match rank(ours).cmp(&rank(theirs)) {
            Ordering::Greater => (ours, theirs, Side::Ours, Side::Theirs),
            Ordering::Less | Ordering::Equal => (theirs, ours, Side::Theirs, Side::Ours),
        };
        Self {
            base,
            winner: winner.bytes,
            loser: loser.bytes,
            winner_side,
            loser_side,
        }
    }

    /// Whether there is a base and nothing is too large to be merged.
    fn is_mergeable(&self) -> bool {
        let fits = |bytes: &[u8]| u64::try_from(bytes.len()).is_ok_and(is_mergeable);
        self.base.is_some_and(fits) && fits(self.winner) && fits(self.loser)
    }

    /// Returns base, winner and loser.
    pub fn contents(&self) -> [&'a [u8]; 3] {
        // What is merged has a base.
        [self.base.unwrap_or_default(), self.winner, self.loser]
    }

    /// Returns which of the two sides is the winner.
    pub fn winner(&self) -> Side {
        self.winner_side
    }

    /// Returns what the file becomes, given what its contents were merged into.
    pub fn outcome(&self, merged: Merged) -> Outcome {
        let (bytes, displaced) = match merged {
            Merged::Clean(bytes) => (bytes, Displaced::Nothing),
            Merged::Overlap(bytes) => (bytes, Displaced::ToCopy(self.loser_side)),
            Merged::Whole => {
                let content = Content::Side(self.winner_side);
                return Outcome {
                    content,
                    displaced: Displaced::ToCopy(self.loser_side),
                };
            }
        };
        // A result that the hub already has needs no upload, and one that a side has no new version.
        let content = if bytes == self.winner {
            Content::Side(self.winner_side)
        } else if bytes == self.loser {
            Content::Side(self.loser_side)
        } else {
            Content::New(bytes)
        };
        Outcome { content, displaced }
    }
}

/// Decides something that base, winner and loser each have one of.
fn three_way<T: PartialEq>(base: T, winner: T, loser: T) -> T {
    if winner == base { loser } else { winner }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::laws::merge_both_ways;

    const BASE: Option<&[u8]> = Some(b"base\n");

    fn check(strategy: &Strategy, base: Option<&[u8]>, expected: (&[u8], Option<&[u8]>)) {
        let merged = merge_both_ways(strategy, base, b"older\n", b"newer\n");
        assert_eq!(
            (merged.bytes.as_slice(), merged.copy.as_deref()),
            expected,
            "{strategy:?}"
        );
    }

    #[test]
    fn the_greater_version_takes_the_path() {
        let both: (&[u8], Option<&[u8]>) = (b"newer\n", Some(b"older\n"));
        check(&Strategy::KeepBoth, BASE, both);
        check(&Strategy::Ask, BASE, both);
        check(&Strategy::Other("ical".to_owned()), BASE, both);
        check(&Strategy::Text, BASE, both);
        check(&Strategy::Latest, BASE, (b"newer\n", None));
        check(&Strategy::Latest, None, (b"newer\n", None));
    }

    #[test]
    fn without_a_base_both_are_kept() {
        let both: (&[u8], Option<&[u8]>) = (b"newer\n", Some(b"older\n"));
        check(&Strategy::Text, None, both);
        check(&Strategy::Json { keys: Vec::new() }, None, both);
    }

    #[test]
    fn what_is_too_large_is_kept_whole() {
        let base = "line\n".repeat(300_000);
        let (older, newer) = (format!("first\n{base}"), format!("{base}last\n"));
        let merged = merge_both_ways(
            &Strategy::Text,
            Some(base.as_bytes()),
            older.as_bytes(),
            newer.as_bytes(),
        );
        assert_eq!(merged.bytes, newer.as_bytes());
        assert_eq!(merged.copy.as_deref(), Some(older.as_bytes()));
    }

    #[test]
    fn latest_keeps_the_loser_in_history() {
        let version = |seed| VersionId::from_bytes([seed; 16]);
        let ours = Input {
            bytes: b"a",
            version: version(2),
        };
        let theirs = Input {
            bytes: b"b",
            version: version(1),
        };
        let outcome = merge(&Strategy::Latest, None, ours, theirs);
        assert_eq!(outcome.displaced, Displaced::ToHistory(Side::Theirs));
        assert_eq!(outcome.content, Content::Side(Side::Ours));
    }
}
