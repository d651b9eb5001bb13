//! What people write: the hub's configuration, policies, ignore rules.

use pangaea_core::media::MediaType;
use pangaea_core::policy::Policy;

use crate::halves;
use crate::taken;

/// The hub's TOML file. What is accepted can be shown.
pub(crate) fn hub_config(bytes: &[u8]) {
    taken(pangaea_hub::testing::config(&String::from_utf8_lossy(
        bytes,
    )));
}

/// Ignore rules, and a path to try them on.
pub(crate) fn ignore_rules(bytes: &[u8]) {
    let (rules, path) = halves(bytes);
    let (rules, path) = (
        String::from_utf8_lossy(rules),
        String::from_utf8_lossy(path),
    );
    taken(pangaea::mirror::testing::ignores(&rules, &path));
}

/// `policy.json`: what is accepted is written and read again, and answers every path.
pub(crate) fn policy(bytes: &[u8]) {
    let (json, path) = halves(bytes);
    let Ok(policy) = Policy::from_json(json) else {
        return;
    };
    let path = String::from_utf8_lossy(path);
    let again = Policy::from_json(policy.to_json().as_bytes()).expect("our own");
    assert_eq!(again.to_json(), policy.to_json());
    let media = MediaType::of(&path, b"");
    assert_eq!(
        again.strategy_for(&path, &media),
        policy.strategy_for(&path, &media)
    );
    assert_eq!(again.encryption_for(&path), policy.encryption_for(&path));
}
