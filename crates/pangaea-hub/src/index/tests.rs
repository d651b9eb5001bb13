//! Listings and the feed over layers and rows: whatever has got how far into the database, pages of
//! every size tell what the changes have made of the bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use gaia::key::SecretKey;
use pangaea_kit::random::Random;
use serde_json::{Value, json};

use super::layer::{BucketState, Entry, Slot};
use super::*;

/// Changes of one test.
const CHANGES: u64 = 40;

/// By path: the number of the last change, and whether there is a file after it.
type Model = BTreeMap<String, (i64, bool)>;

/// How far the second layer is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It waits.
    Taken,
    /// The database has it, and it is still there as well.
    Merged,
    /// The database alone has it.
    Dropped,
}

fn bucket() -> Address {
    SecretKey::from_bytes(&[1; 32]).unwrap().address()
}

/// Adds a change that makes or removes a file.
fn change(layer: &mut Layer, model: &mut Model, dice: &mut Random, seq: i64) {
    let (name, is_there) = (format!("f{:02}", dice.below(12)), dice.below(3) > 0);
    let state = BucketState {
        seq,
        ..BucketState::default()
    };
    layer.bucket_or(bucket(), state).state = state;
    let body = Bytes::from(format!("{name} {seq}"));
    let version = Version::inline(body, seq);
    let slot = if is_there {
        Slot::Present {
            version: Arc::new(version),
            pin: None,
        }
    } else {
        Slot::Removed { removed_ms: seq }
    };
    let path = FilePath::parse(&name).unwrap();
    layer.set(&bucket(), path, Some(Entry { seq, slot }));
    model.insert(name, (seq, is_there));
}

#[tokio::test]
async fn pages_tell_what_the_changes_have_made_however_far_they_are_merged() {
    for seed in 0..40 {
        for stage in [Stage::Taken, Stage::Merged, Stage::Dropped] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("index");
            let Opened {
                index, mut merger, ..
            } = Index::open(&path, 1, Duration::MAX).unwrap();
            let (mut dice, mut model) = (Random::new(seed), Model::new());
            let cuts = [dice.below(CHANGES), dice.below(CHANGES)];
            let mut layers = [Layer::default(), Layer::default(), Layer::default()];
            for step in 0..CHANGES {
                let at = cuts.iter().filter(|cut| step >= **cut).count();
                let seq = i64::try_from(step).unwrap() + 1;
                change(&mut layers[at], &mut model, &mut dice, seq);
            }
            let [first, second, third] = layers;
            let pending = index.pending();
            pending.add(first, 1);
            let (layer, last) = pending.take().unwrap();
            merger.merge(&layer, last).unwrap();
            pending.add(second, 2);
            let (layer, last) = pending.take().unwrap();
            match stage {
                Stage::Taken => {}
                Stage::Merged => merger.write(&layer, last).unwrap(),
                Stage::Dropped => drop(merger.merge(&layer, last).unwrap()),
            }
            pending.add(third, 3);
            for size in 1..7 {
                let what = format!("seed {seed}, {stage:?}, {size} a page");
                listed(&index, &model, size, &what).await;
                told(&index, &model, size, &what).await;
            }
        }
    }
}

async fn listed(index: &Index, model: &Model, size: usize, what: &str) {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let request = ListRequest {
            bucket: bucket(),
            prefix: "f".into(),
            after,
            naming: Naming::Names,
            history: History::Shown,
            entries_max: size,
        };
        let page: Value = serde_json::from_slice(&index.list(request).await.unwrap()).unwrap();
        let names = page["entries"].as_array().unwrap();
        found.extend(names.iter().map(|name| name.as_str().unwrap().to_owned()));
        match page["page"].as_str() {
            Some(cursor) => after = parse_cursor(cursor).unwrap(),
            None => break,
        }
    }
    let there = model.iter().filter(|(_, (_, is_there))| *is_there);
    assert_eq!(
        found,
        there.map(|(path, _)| path.clone()).collect::<Vec<_>>(),
        "{what}"
    );
}

async fn told(index: &Index, model: &Model, size: usize, what: &str) {
    // What was told last of each path, from the beginning on.
    let mut found = BTreeMap::new();
    let mut since = Position::START;
    loop {
        let request = FeedRequest {
            bucket: bucket(),
            since: Some(since),
            entries_max: size,
            history: History::Shown,
        };
        let Feed::Page(page) = index.changes(request).await.unwrap() else {
            panic!("{what}: expired");
        };
        let json: Value = serde_json::from_slice(&page.json).unwrap();
        for entry in json["entries"].as_array().unwrap() {
            let name = entry["name"].as_str().unwrap().to_owned();
            found.insert(name, entry["exists"] == json!(true));
        }
        since = page.next;
        if !page.more {
            break;
        }
    }
    let want: BTreeMap<_, _> = model
        .iter()
        .map(|(path, (_, is_there))| (path.clone(), *is_there))
        .collect();
    assert_eq!(found, want, "{what}");
}
