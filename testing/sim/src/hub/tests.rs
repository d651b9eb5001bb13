use super::*;
use crate::settings::Settings;

fn stock() -> HubSettings {
    HubSettings {
        family: Family::Stock,
        page: 2,
        skew_s: 0,
        in_place: true,
        archival: false,
        tags: true,
    }
}

fn put(path: &str, bytes: &[u8], condition: Option<Condition>) -> Call {
    Call::Put {
        path: FilePath::parse(path).unwrap(),
        bytes: bytes.into(),
        header: None,
        condition,
    }
}

#[test]
fn a_cut_upload_leaves_torn_bytes_under_the_old_tag() {
    let mut hub = Hub::new(stock());
    hub.handle(&put("a", b"before", None), Slow::No, 0);
    let path = FilePath::parse("a").unwrap();
    let old = ETag::of(b"before");
    let replace = Some(Condition::Replace(old.clone()));
    let call = put("a", b"after!", replace.clone());
    assert_eq!(hub.handle(&call, Slow::Yes, 0), Reply::Uploading(1));
    assert_eq!(hub.handle(&call, Slow::No, 0), Reply::Busy);
    hub.cut_upload(&path, 1);
    let object = hub.object(&path).unwrap().clone();
    assert_eq!((&*object.bytes, object.tag), (b"aft".as_slice(), old));
    let stored = hub.handle(&put("a", b"again", replace), Slow::No, 0);
    assert_eq!(stored, Reply::Stored(ETag::of(b"again")));
}

#[test]
fn stock_pages_go_on_for_ever_and_deletes_look_at_nothing() {
    let mut hub = Hub::new(stock());
    for path in ["a", "b", "c"] {
        hub.handle(&put(path, b"x", None), Slow::No, 0);
    }
    let page = hub.page(Some(7));
    assert_eq!((page.entries.len(), page.next), (0, Some(8)));
    let delete = Call::Delete {
        path: FilePath::parse("a").unwrap(),
        condition: Some(ETag::of(b"other")),
    };
    assert_eq!(hub.handle(&delete, Slow::No, 0), Reply::Deleted);
    assert_eq!(hub.handle(&delete, Slow::No, 0), Reply::NotFound);
}

#[test]
fn our_family_deletes_on_condition_and_tells_tags_and_changes() {
    let settings = HubSettings {
        family: Family::Pangaea,
        in_place: false,
        ..stock()
    };
    let mut hub = Hub::new(settings);
    let Reply::Changes(_, start) = hub.changed_since(None) else {
        panic!("no feed");
    };
    hub.handle(&put("a", b"x", None), Slow::Yes, 0);
    let delete = Call::Delete {
        path: FilePath::parse("a").unwrap(),
        condition: Some(ETag::of(b"other")),
    };
    let failed = Reply::ConditionFailed(Some(ETag::of(b"x")));
    assert_eq!(hub.handle(&delete, Slow::No, 0), failed);
    let Reply::Changes(changed, _) = hub.changed_since(Some(start)) else {
        panic!("no feed");
    };
    assert_eq!(changed.len(), 1);
    hub.back_up();
    assert!(hub.roll_back());
    assert_eq!(hub.changed_since(Some(start)), Reply::Expired);
}

#[test]
fn settings_are_drawn_for_both_families() {
    let mut rng = crate::rng::Rng::new(1);
    let drawn: Vec<Family> = (0..50)
        .map(|_| Settings::draw(&mut rng).hub.family)
        .collect();
    assert!(drawn.contains(&Family::Stock) && drawn.contains(&Family::Pangaea));
}
