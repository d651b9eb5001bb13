//! Ignore rules: `.pangaeaignore` files in the syntax of `.gitignore`, read when they changed. The
//! walk over the folder is elsewhere; here is only which names of it are left out.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::Gitignore;
use ignore::gitignore::GitignoreBuilder;

use super::disk;
use super::disk::Kind;
use super::disk::Meta;
use super::names;
use super::stamp;

/// What files with ignore rules are called. They are synced like any other file.
pub const RULES_FILE: &str = ".pangaeaignore";
/// Largest file with ignore rules that is read.
const RULES_BYTES_MAX: u64 = 1024 * 1024;

/// The rules of one folder.
#[derive(Debug)]
pub(super) struct Rules {
    matcher: Gitignore,
    /// Lines that could not be understood, for a person.
    pub(super) problems: Vec<String>,
}

impl Rules {
    pub(super) fn parse(text: &str) -> Self {
        let mut builder = GitignoreBuilder::new(".");
        let mut problems = Vec::new();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            // Paths are matched in composed form, so the rules must have it as well.
            if let Err(error) = builder.add_line(None, &names::nfc(line)) {
                problems.push(format!("line {} is not understood: {error}", number + 1));
            }
        }
        let matcher = builder.build().unwrap_or_else(|error| {
            problems.push(format!("the rules together are not understood: {error}"));
            Gitignore::empty()
        });
        Self { matcher, problems }
    }
}

#[derive(Debug)]
struct Cached {
    meta: Meta,
    settled: bool,
    rules: Arc<Rules>,
}

/// All rules files read so far, by the folder's path on disk.
#[derive(Debug, Default)]
pub(super) struct RuleCache {
    files: BTreeMap<String, Cached>,
    changed: bool,
}

impl RuleCache {
    /// The rules of a folder whose listing may lack a rules file.
    ///
    /// # Errors
    /// A sentence for a person, if there are rules that cannot be read. The folder must not be
    /// synced then: it may hold what the rules were to keep out.
    pub(super) fn load(
        &mut self,
        folder: BorrowedFd<'_>,
        disk: &str,
        now_ns: i64,
    ) -> Result<Option<Arc<Rules>>, String> {
        let meta = match disk::meta_at(folder, disk::os(RULES_FILE)) {
            Ok(meta) if meta.kind == Kind::Folder => {
                self.forget(disk);
                return Ok(None);
            }
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.forget(disk);
                return Ok(None);
            }
            Err(error) => return Err(unreadable(&error.to_string())),
        };
        if let Some(cached) = self.files.get(disk)
            && cached.settled
            && cached.meta.is_untouched_since(&meta)
        {
            return Ok(Some(cached.rules.clone()));
        }
        let text = read(folder, &meta)?;
        let rules = Arc::new(Rules::parse(&text));
        let settled = !stamp::is_racy(&meta, now_ns);
        let cached = Cached {
            meta,
            settled,
            rules: rules.clone(),
        };
        let before = self.files.insert(disk.to_owned(), cached);
        self.changed |= before.is_none_or(|before| !before.meta.is_untouched_since(&meta));
        Ok(Some(rules))
    }

    /// The folder has no rules.
    pub(super) fn forget(&mut self, disk: &str) {
        self.changed |= !self.files.is_empty() && self.files.remove(disk).is_some();
    }

    /// Whether any rules changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

fn unreadable(why: &str) -> String {
    format!(
        "its {RULES_FILE} cannot be read ({why}), so nothing in this folder is synced; make that a \
         readable text file"
    )
}

fn read(folder: BorrowedFd<'_>, meta: &Meta) -> Result<String, String> {
    if meta.kind != Kind::File {
        return Err(unreadable("it is not a plain file"));
    }
    if meta.size > RULES_BYTES_MAX {
        return Err(unreadable("it is larger than 1 MiB"));
    }
    let mut text = Vec::new();
    disk::open_file_at(folder, disk::os(RULES_FILE))
        .and_then(|file| file.take(RULES_BYTES_MAX).read_to_end(&mut text))
        .map_err(|error| unreadable(&error.to_string()))?;
    // A name in some old encoding in one line must not take the other rules away.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The rules that hold in a folder: its own and those of the folders above, as far as there are
/// any.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleStack {
    /// With the length of the part of the path (up to and with its slash) that leads to them.
    layers: Vec<(usize, Arc<Rules>)>,
}

impl RuleStack {
    pub(super) fn push(&mut self, folder_len: usize, rules: Arc<Rules>) {
        self.layers.push((folder_len, rules));
    }

    /// Whether a path is left out, provided that no folder above it is. Of the rules the last
    /// line of the nearest file counts.
    pub(super) fn ignores(&self, path: &str, kind: Kind) -> bool {
        for (from, rules) in self.layers.iter().rev() {
            let Some(below) = path.get(*from..) else {
                continue;
            };
            match rules
                .matcher
                .matched(Path::new(below), kind == Kind::Folder)
            {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        names::is_junk(disk::split(path).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(layers: &[(&str, &str)]) -> RuleStack {
        let mut stack = RuleStack::default();
        for (folder, text) in layers {
            let len = if folder.is_empty() {
                0
            } else {
                folder.len() + 1
            };
            stack.push(len, Arc::new(Rules::parse(text)));
        }
        stack
    }

    fn check(stack: &RuleStack, path: &str, want: bool) {
        assert_eq!(stack.ignores(path, Kind::File), want, "{path}");
    }

    #[test]
    fn the_syntax_is_that_of_git() {
        let rules = stack(&[(
            "",
            "# comment\n*.log\n!keep.log\n/top\nbuild/\ndoc/*.txt\n\\#x\n",
        )]);
        for (path, want) in [
            ("a.log", true),
            ("d/a.log", true),
            ("d/keep.log", false),
            ("top", true),
            ("d/top", false),
            ("doc/a.txt", true),
            ("doc/e/a.txt", false),
            ("#x", true),
            ("build", false),
        ] {
            check(&rules, path, want);
        }
        assert!(rules.ignores("build", Kind::Folder) && rules.ignores("d/build", Kind::Folder));
    }

    #[test]
    fn nearer_rules_win_over_farther_ones() {
        let rules = stack(&[("", "*.log\n/x\n"), ("d", "!*.log\n/y\n")]);
        check(&rules, "d/a.log", false);
        check(&rules, "d/y", true);
        check(&rules, "d/x", false);
        check(&rules, "d/e/y", false);
        check(&rules, "d/.DS_Store", true);
        check(&stack(&[("", "!.DS_Store")]), "d/.DS_Store", false);
    }

    #[test]
    fn forms_of_unicode_do_not_matter_in_rules() {
        check(&stack(&[("", "cafe\u{301}\n")]), "caf\u{e9}", true);
    }

    #[test]
    fn one_broken_line_leaves_the_others() {
        let rules = Rules::parse("[z-a]\n*.log\n");
        assert_eq!(rules.problems.len(), 1, "{:?}", rules.problems);
        assert!(rules.problems[0].contains("line 1"), "{:?}", rules.problems);
        assert!(rules.matcher.matched("x.log", false).is_ignore());
    }
}
