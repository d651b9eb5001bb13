//! Hubs that page badly.

use super::raw::Asked;
use super::raw::RawServer;
use super::raw::Reply;
use super::raw::answer;
use super::*;

/// Pages by their number, as a hub on disk gives them; the page asked for is a decimal.
fn paging(page: impl Fn(u64) -> String + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |asked| match asked.line() {
        ("POST", target) if target.starts_with("/list-files/") => {
            answer("202 Accepted", &[], &page(number_asked_for(asked)))
        }
        _ => Reply::Info,
    })
}

fn number_asked_for(asked: &Asked) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["stat"], true);
    body["page"]
        .as_str()
        .map_or(0, |page| page.parse().unwrap())
}

#[tokio::test]
async fn a_stock_hub_ends_with_an_empty_page() {
    let server = paging(|number| match number {
        0..5 => format!(
            r#"{{"entries":[{{"name":"f{number}","etag":"aa","contentLength":1}},null],"page":"{}"}}"#,
            number + 1
        ),
        // Hidden entries only, then what moved up while it was listed, then nothing.
        5 => r#"{"entries":[null],"page":"6"}"#.to_owned(),
        6 => r#"{"entries":[{"name":"f4","etag":"bb"},{"name":"a//b"}],"page":"7"}"#.to_owned(),
        _ => format!(r#"{{"entries":[],"page":"{}"}}"#, number + 1),
    });
    let listing = client(&server.url).list().await.unwrap();
    let names: Vec<_> = listing
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(names, ["f0", "f1", "f2", "f3", "f4"]);
    assert_eq!(listing.files[4].tag, ETag::parse("bb"));
    assert_eq!(listing.unusable, ["a//b"]);
    assert_eq!(server.lines().len(), 8);
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_is_an_error() {
    let server = paging(|_| r#"{"entries":[{"name":"a"}],"page":"1"}"#.to_owned());
    let outcome = client(&server.url).list().await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_listing_that_never_ends_is_an_error() {
    let server =
        paging(|number| format!(r#"{{"entries":[{{"name":"a"}}],"page":"{}"}}"#, number + 1));
    let outcome = client(&server.url).list().await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_no_listing() {
    let server = paging(|number| match number {
        0 => r#"{"entries":[{"name":"a"}],"page":"1"}"#.to_owned(),
        _ => "<html>busy</html>".to_owned(),
    });
    let outcome = client(&server.url).list().await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_hub_without_stat_is_listed_by_name() {
    let server = paging(|_| r#"{"entries":["a","b/c"],"page":null}"#.to_owned());
    let files = client(&server.url).list().await.unwrap().files;
    assert_eq!(files.len(), 2);
    assert!(
        files
            .iter()
            .all(|file| file.tag.is_none() && file.size == 0)
    );
}
