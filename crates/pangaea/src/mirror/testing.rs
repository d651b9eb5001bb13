//! The folder's ignore rules, for fuzzers. Test tooling, behind the feature `testing`.

use std::sync::Arc;

use super::disk::Kind;
use super::rules::RuleStack;
use super::rules::Rules;

/// Whether rules with this text leave a file with this path out.
pub fn ignores(rules: &str, path: &str) -> bool {
    let mut stack = RuleStack::default();
    stack.push(0, Arc::new(Rules::parse(rules)));
    stack.ignores(path, Kind::Folder);
    stack.ignores(path, Kind::File)
}
