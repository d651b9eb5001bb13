//! From names on disk to paths in the bucket: Unicode forms, twins, names that cannot be synced,
//! and the litter of operating systems.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use gaia::path::FilePath;
use unicode_normalization::IsNormalized;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::is_nfc_quick;

use super::disk::STATE_FOLDER;
use super::disk::TEMP_PREFIX;

/// How a disk tells names apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Byte by byte, as on most Unix disks.
    Exact,
    /// `A` and `a` are one name, as are the Unicode forms of one text.
    Folding,
}

/// What the mirror makes of one name of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is its own name in the bucket.
    AsIs,
    /// In the bucket it has this name.
    As(String),
    /// It cannot be synced, for this reason.
    Refused(String),
}

/// The composed form, which is what names in the bucket have.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    let composed: String = text.nfc().collect();
    if composed == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(composed)
    }
}

/// What all spellings of a name have in common on a folding disk.
pub(super) fn fold(text: &str) -> String {
    nfc(&nfc(text).to_lowercase()).into_owned()
}

/// Whether a name is the replica's own and never part of the bucket.
pub(super) fn is_own(name: &str, spelling: Spelling) -> bool {
    match spelling {
        Spelling::Exact => name == STATE_FOLDER || name.starts_with(TEMP_PREFIX),
        Spelling::Folding => {
            name.eq_ignore_ascii_case(STATE_FOLDER)
                || name
                    .get(..TEMP_PREFIX.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(TEMP_PREFIX))
        }
    }
}

/// Whether a name is litter that operating systems and programs leave everywhere. A rule of the
/// user (`!Thumbs.db`) brings it back.
pub(super) fn is_junk(name: &str) -> bool {
    const NAMES: &[&str] = &[
        ".DS_Store",
        ".Spotlight-V100",
        ".TemporaryItems",
        ".Trashes",
        ".fseventsd",
        "Thumbs.db",
        "desktop.ini",
        "ehthumbs.db",
    ];
    match name.as_bytes() {
        [b'.', b'_', ..] | [b'~', b'$', ..] => true,
        [b'.' | b'T' | b'd' | b'e', ..] => {
            NAMES.contains(&name)
                || name.starts_with(".fuse_hidden")
                || name.starts_with(".nfs0")
                || name.starts_with(".goutputstream-")
                || (name.starts_with(".~lock.") && name.ends_with('#'))
        }
        _ => false,
    }
}

/// Whether a path is known, as a file or as a folder of known files.
pub(super) fn is_known<T>(known: &BTreeMap<FilePath, T>, path: &str) -> bool {
    if known.contains_key(path) {
        return true;
    }
    let from = format!("{path}/");
    known
        .range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded))
        .next()
        .is_some_and(|(first, _)| first.as_str().starts_with(&from))
}

/// Gives each name of one folder its name in the bucket. `known` are the paths that folder and
/// replica agreed on, `folder` is the folder's path with a slash at its end, or nothing.
pub(super) fn name_all<'a, T>(
    names: impl Iterator<Item = Option<&'a str>>,
    folder: &str,
    spelling: Spelling,
    known: &BTreeMap<FilePath, T>,
) -> Vec<Named> {
    let names: Vec<Option<&str>> = names.collect();
    let mut named = Vec::with_capacity(names.len());
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        let Some(name) = name else {
            named.push(Named::Refused(
                "its name is not UTF-8 text; rename it".into(),
            ));
            continue;
        };
        named.push(Named::AsIs);
        match spelling {
            Spelling::Exact => {
                // Plain and composed names are what they are; only the others need company.
                if let Cow::Owned(composed) = nfc(name)
                    && !is_known(known, &format!("{folder}{name}"))
                {
                    groups.entry(composed).or_default().push(at);
                }
            }
            Spelling::Folding => groups.entry(fold(name)).or_default().push(at),
        }
    }
    for (key, mut group) in groups {
        let text = |at: usize| names[at].unwrap_or_default();
        group.sort_by_key(|&at| {
            let name = text(at);
            // Who was there first stays; then the composed form; then the order of the bytes.
            (
                !is_known(known, &format!("{folder}{name}")),
                nfc(name) != name,
                name.to_owned(),
            )
        });
        let taken = (spelling == Spelling::Exact && names.contains(&Some(key.as_str())))
            .then_some(key.as_str());
        let keeper = taken.map_or_else(|| group.first().map(|&at| text(at)), Some);
        for (nth, &at) in group.iter().enumerate() {
            named[at] = if taken.is_some() || nth > 0 {
                Named::Refused(twin_words(text(at), keeper.unwrap_or_default()))
            } else {
                match nfc(text(at)) {
                    Cow::Owned(composed) if !is_known(known, &format!("{folder}{}", text(at))) => {
                        Named::As(composed)
                    }
                    Cow::Owned(_) | Cow::Borrowed(_) => Named::AsIs,
                }
            };
        }
    }
    named
}

/// Why the second of two names that mean the same is not synced.
fn twin_words(name: &str, keeper: &str) -> String {
    if nfc(name) == nfc(keeper) {
        "another name in this folder looks just the same and differs only in how its letters are \
         put together (Unicode composed and decomposed form); rename one of the two"
            .into()
    } else {
        format!(
            "its name differs from {keeper:?} only in upper and lower case, which this disk takes \
             for the same; rename one of the two"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSED: &str = "caf\u{e9}";
    const DECOMPOSED: &str = "cafe\u{301}";

    fn known(paths: &[&str]) -> BTreeMap<FilePath, ()> {
        paths
            .iter()
            .map(|path| (path.parse().unwrap(), ()))
            .collect()
    }

    fn exact(names: &[&str], paths: &[&str]) -> Vec<Named> {
        let names = names.iter().map(|name| Some(*name));
        name_all(names, "d/", Spelling::Exact, &known(paths))
    }

    fn folding(names: &[&str], paths: &[&str]) -> Vec<Named> {
        let names = names.iter().map(|name| Some(*name));
        name_all(names, "d/", Spelling::Folding, &known(paths))
    }

    #[test]
    fn decomposed_names_are_composed_unless_known_as_they_are() {
        assert_eq!(
            exact(&[DECOMPOSED, "a"], &[]),
            [Named::As(COMPOSED.into()), Named::AsIs]
        );
        let path = format!("d/{DECOMPOSED}");
        assert_eq!(exact(&[DECOMPOSED], &[&path]), [Named::AsIs]);
        // A folder is known by the files in it.
        assert_eq!(exact(&[DECOMPOSED], &[&format!("{path}/x")]), [Named::AsIs]);
        assert_eq!(
            exact(&[DECOMPOSED, COMPOSED], &[&path]),
            [Named::AsIs, Named::AsIs]
        );
    }

    #[test]
    fn of_unicode_twins_the_composed_one_is_synced() {
        for names in [[DECOMPOSED, COMPOSED], [COMPOSED, DECOMPOSED]] {
            for (name, named) in names.iter().zip(exact(&names, &[])) {
                match named {
                    Named::AsIs => assert_eq!(*name, COMPOSED),
                    Named::Refused(reason) => {
                        assert_eq!(*name, DECOMPOSED);
                        assert!(reason.contains("rename"), "{reason}");
                    }
                    Named::As(other) => panic!("{other}"),
                }
            }
        }
        // Two decomposed forms of one name (marks in different order): the first by bytes.
        let (one, two) = ("a\u{323}\u{302}", "a\u{302}\u{323}");
        let named = exact(&[one, two], &[]);
        assert!(matches!(named[0], Named::Refused(_)), "{named:?}");
        assert_eq!(named[1], Named::As("\u{1ead}".into()));
    }

    #[test]
    fn case_twins_are_fine_where_the_disk_tells_them_apart() {
        assert_eq!(exact(&["A", "a"], &[]), [Named::AsIs, Named::AsIs]);
        let named = folding(&["a", "A"], &[]);
        assert!(matches!(&named[0], Named::Refused(reason) if reason.contains("\"A\"")));
        assert_eq!(named[1], Named::AsIs);
        let named = folding(&["a", "A", "b"], &["d/a"]);
        assert_eq!((&named[0], &named[2]), (&Named::AsIs, &Named::AsIs));
        assert!(matches!(named[1], Named::Refused(_)));
    }

    #[test]
    fn names_that_are_not_text_are_refused() {
        let named = name_all(
            [None, Some("a")].into_iter(),
            "",
            Spelling::Exact,
            &known(&[]),
        );
        assert!(matches!(&named[0], Named::Refused(reason) if reason.contains("UTF-8")));
        assert_eq!(named[1], Named::AsIs);
    }

    #[test]
    fn litter_and_our_own_names_are_told() {
        for name in [
            ".DS_Store",
            "._a",
            "Thumbs.db",
            "~$letter.docx",
            ".~lock.a.odt#",
            ".nfs0001",
        ] {
            assert!(is_junk(name), "{name}");
        }
        for name in [
            "a", ".profile", "~a", "Thumbs", "desktop", ".~lock.a", "", ".",
        ] {
            assert!(!is_junk(name), "{name}");
        }
        assert!(is_own(".pangaea", Spelling::Exact) && is_own(".pangaea-tmp-7", Spelling::Exact));
        assert!(!is_own(".Pangaea", Spelling::Exact) && is_own(".Pangaea", Spelling::Folding));
        assert!(!is_own(".pangaeaignore", Spelling::Folding));
    }
}
