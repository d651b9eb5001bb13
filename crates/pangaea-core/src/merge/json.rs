//! The three-way merge of JSON by fields.
//!
//! - Objects are merged field by field, at any depth. The order of fields is the winner's (or that
//!   of the only side that changed it); what the other side added stands behind the field that it
//!   stood behind there.
//! - Arrays are merged element by element if the policy names a key by which elements are
//!   recognised, and all elements are objects that have it, each another one. Any other array is
//!   one value.
//! - A value that one side deleted and the other edited is kept as edited. That is no overlap:
//!   nothing that anyone wrote is lost.
//! - Where both sides changed one value, the winner's stands and the loser's file becomes a conflict
//!   copy. The same goes for two different orders of one keyed array.
//!
//! Numbers and strings are never rewritten: they go from input to output as they were written. So do
//! whole subtrees, with their layout, wherever only one side changed them. Indentation and line ends
//! are the winner's, or those of the only side that changed them.
//!
//! A file that is JSON on neither side (with comments, one value per line) is merged as text; one
//! that is damaged on one side only is not touched: both are kept.

mod layout;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use self::layout::Layout;
use self::layout::Out;
use self::layout::Shape;
use self::parse::Field;
use self::parse::Kind;
use self::parse::Node;
use super::Merged;
use super::text;
use super::three_way;

pub(super) fn merge(contents: [&[u8]; 3], keys: &[String]) -> Merged {
    let [base, winner, loser] = contents.map(Document::read);
    let (base, winner, loser) = match (base, winner, loser) {
        (Some(base), Some(winner), Some(loser)) => (base, winner, loser),
        (_, None, None) => return text::merge(contents),
        (_, _, _) => return Merged::Whole,
    };
    let layout = three_way(&base.layout, &winner.layout, &loser.layout);
    let ends_with_newline = three_way(
        base.ends_with_newline,
        winner.ends_with_newline,
        loser.ends_with_newline,
    );
    let mut merger = Merger {
        keys,
        winner_fits: winner.layout == *layout,
        loser_fits: loser.layout == *layout,
        is_overlap: false,
    };
    let versions = Versions {
        base: Some(&base.root),
        winner: Some(&winner.root),
        loser: Some(&loser.root),
    };
    // Both sides have a root, so the result has one.
    let Some(root) = merger.value(versions) else {
        return Merged::Whole;
    };
    let mut text = layout.render(&root);
    if ends_with_newline {
        text.push_str(layout.line_end());
    }
    if merger.is_overlap {
        Merged::Overlap(text.into_bytes())
    } else {
        Merged::Clean(text.into_bytes())
    }
}

struct Document<'a> {
    root: Node<'a>,
    layout: Layout,
    ends_with_newline: bool,
}

impl<'a> Document<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let root = Node::parse(text)?;
        let layout = Layout::of(&root);
        Some(Self {
            root,
            layout,
            ends_with_newline: text.ends_with('\n'),
        })
    }
}

/// One place of the document in its three versions; none where a version does not have it.
#[derive(Clone, Copy)]
struct Versions<'n, 'a> {
    base: Option<&'n Node<'a>>,
    winner: Option<&'n Node<'a>>,
    loser: Option<&'n Node<'a>>,
}

struct Merger<'k> {
    keys: &'k [String],
    /// Whether text of the winner can be used as it stands.
    winner_fits: bool,
    loser_fits: bool,
    is_overlap: bool,
}

impl Merger<'_> {
    /// Merges one value; none means that it is deleted.
    fn value<'a>(&mut self, versions: Versions<'_, 'a>) -> Option<Out<'a>> {
        let Versions {
            base,
            winner,
            loser,
        } = versions;
        let (Some(winner_node), Some(loser_node)) = (winner, loser) else {
            return self.with_deletion(versions);
        };
        if winner_node.is_same(loser_node) {
            let prefer_loser = self.loser_fits && !self.winner_fits;
            return Some(if prefer_loser {
                self.loser(loser_node)
            } else {
                self.winner(winner_node)
            });
        }
        if base.is_some_and(|base| base.is_same(winner_node)) {
            return Some(self.loser(loser_node));
        }
        if base.is_some_and(|base| base.is_same(loser_node)) {
            return Some(self.winner(winner_node));
        }
        let merged = match (&winner_node.kind, &loser_node.kind) {
            (Kind::Object(winner), Kind::Object(loser)) => {
                let fields = self.object(base.map_or(&[], Node::fields), winner, loser);
                Some(Out::Object(fields, self.shape(winner_node, loser_node)))
            }
            (Kind::Array(winner), Kind::Array(loser)) => self
                .array(base.map_or(&[], Node::elements), winner, loser)
                .map(|elements| Out::Array(elements, self.shape(winner_node, loser_node))),
            _ => None,
        };
        Some(merged.unwrap_or_else(|| {
            self.is_overlap = true;
            self.winner(winner_node)
        }))
    }

    /// Merges a value that at least one side does not have.
    fn with_deletion<'a>(&self, versions: Versions<'_, 'a>) -> Option<Out<'a>> {
        let Versions {
            base,
            winner,
            loser,
        } = versions;
        // Deleted where the other side still has what the base had; else added, or edited.
        let is_kept = |node: &&Node<'a>| !base.is_some_and(|base| base.is_same(node));
        match (winner, loser) {
            (Some(node), _) => Some(node).filter(is_kept).map(|node| self.winner(node)),
            (None, node) => node.filter(is_kept).map(|node| self.loser(node)),
        }
    }

    fn winner<'a>(&self, node: &Node<'a>) -> Out<'a> {
        if self.winner_fits {
            Out::Verbatim(node.raw)
        } else {
            Out::relaid(node)
        }
    }

    fn loser<'a>(&self, node: &Node<'a>) -> Out<'a> {
        if self.loser_fits {
            Out::Verbatim(node.raw)
        } else {
            Out::relaid(node)
        }
    }

    /// Returns how the brackets of a container that both sides changed are laid out.
    fn shape(&self, winner: &Node<'_>, loser: &Node<'_>) -> Shape {
        let of = |node, fits: bool| fits.then(|| Shape::of(node)).flatten();
        of(winner, self.winner_fits)
            .or(of(loser, self.loser_fits))
            .unwrap_or(Shape::AsDocument)
    }

    fn object<'a>(
        &mut self,
        base: &[Field<'a>],
        winner: &[Field<'a>],
        loser: &[Field<'a>],
    ) -> Vec<(&'a str, Out<'a>)> {
        let index = |fields: &[Field<'a>]| {
            let by_name = |(place, field): (usize, &Field<'a>)| (field.name.clone(), place);
            fields.iter().enumerate().map(by_name).collect()
        };
        let places = Places {
            base: index(base),
            winner: index(winner),
            loser: index(loser),
        };
        let mut merged = BTreeMap::new();
        for name in places.names() {
            let base = places.base.get(name).map(|place| &base[*place]);
            let winner = places.winner.get(name).map(|place| &winner[*place]);
            let loser = places.loser.get(name).map(|place| &loser[*place]);
            let versions = Versions {
                base: base.map(|field| &field.value),
                winner: winner.map(|field| &field.value),
                loser: loser.map(|field| &field.value),
            };
            let raw_name = winner.or(loser).map(|field| field.raw_name);
            if let Some((raw_name, value)) = raw_name.zip(self.value(versions)) {
                merged.insert(name.clone(), (raw_name, value));
            }
        }
        // The order of fields means nothing in JSON: two different ones are no overlap.
        places.order(merged).0
    }

    /// Merges arrays by the key that their elements have; none if they have no such key.
    fn array<'a>(
        &mut self,
        base: &[Node<'a>],
        winner: &[Node<'a>],
        loser: &[Node<'a>],
    ) -> Option<Vec<Out<'a>>> {
        let with_key = |key: &String| {
            let [base, winner, loser] = [base, winner, loser].map(|nodes| identities(nodes, key));
            Some(Places {
                base: base?,
                winner: winner?,
                loser: loser?,
            })
        };
        let places = self.keys.iter().find_map(with_key)?;
        let mut merged = BTreeMap::new();
        for identity in places.names() {
            let versions = Versions {
                base: places.base.get(identity).map(|place| &base[*place]),
                winner: places.winner.get(identity).map(|place| &winner[*place]),
                loser: places.loser.get(identity).map(|place| &loser[*place]),
            };
            if let Some(element) = self.value(versions) {
                merged.insert(identity.clone(), element);
            }
        }
        let (elements, is_overlap) = places.order(merged);
        self.is_overlap |= is_overlap;
        Some(elements)
    }
}

/// Finds the place of each element by its key; none if not all are told apart by it.
fn identities(nodes: &[Node<'_>], key: &str) -> Option<BTreeMap<String, usize>> {
    let mut places = BTreeMap::new();
    for (place, node) in nodes.iter().enumerate() {
        let field = node.fields().iter().find(|field| field.name == key)?;
        if places.insert(field.value.identity()?, place).is_some() {
            return None;
        }
    }
    Some(places)
}

/// Where each field (by name) or element (by key) stands in each version.
struct Places {
    base: BTreeMap<String, usize>,
    winner: BTreeMap<String, usize>,
    loser: BTreeMap<String, usize>,
}

impl Places {
    /// Returns the names that either side has.
    fn names(&self) -> BTreeSet<&String> {
        self.winner.keys().chain(self.loser.keys()).collect()
    }

    /// Puts what was merged in order; the second result tells whether the sides ordered it
    /// differently.
    fn order<T>(&self, mut merged: BTreeMap<String, T>) -> (Vec<T>, bool) {
        let [base, winner, loser] = [&self.base, &self.winner, &self.loser]
            .map(|places| in_order(places, |name| self.is_common(name)));
        let (winner_moved, loser_moved) = (winner != base, loser != base);
        let is_overlap = winner_moved && loser_moved && winner != loser;
        let (spine, other) = if loser_moved && !winner_moved {
            (&self.loser, &self.winner)
        } else {
            (&self.winner, &self.loser)
        };
        let spine = in_order(spine, |name| merged.contains_key(name));
        let other = in_order(other, |name| merged.contains_key(name));
        // What only the other side has follows what it followed there.
        let in_spine: BTreeSet<&str> = spine.iter().copied().collect();
        let mut followers: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
        let mut previous = None;
        for name in other {
            if in_spine.contains(name) {
                previous = Some(name);
            } else {
                followers.entry(previous).or_default().push(name);
            }
        }
        let mut ordered = Vec::with_capacity(merged.len());
        for name in std::iter::once(None).chain(spine.into_iter().map(Some)) {
            let followers = followers.remove(&name).unwrap_or_default();
            let names = name.into_iter().chain(followers);
            ordered.extend(names.filter_map(|name| merged.remove(name)));
        }
        (ordered, is_overlap)
    }

    fn is_common(&self, name: &str) -> bool {
        [&self.base, &self.winner, &self.loser]
            .iter()
            .all(|places| places.contains_key(name))
    }
}

/// Returns the chosen names in the order of their places.
fn in_order(places: &BTreeMap<String, usize>, is_chosen: impl Fn(&str) -> bool) -> Vec<&str> {
    let chosen = places.iter().filter(|(name, _)| is_chosen(name));
    let mut ordered: Vec<(usize, &str)> = chosen
        .map(|(name, place)| (*place, name.as_str()))
        .collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, name)| name).collect()
}
