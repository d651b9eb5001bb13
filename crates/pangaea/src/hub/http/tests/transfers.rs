//! Connections that break, stall, or carry something else than was stored.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;

use super::raw::EARLY;
use super::raw::RawServer;
use super::raw::Reply;
use super::raw::answer;
use super::raw::answer_bytes;
use super::*;

/// A hub whose reader answers every path with this.
fn reader(reply: impl Fn() -> Reply + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |asked| match asked.line() {
        (_, "/hub_info") => Reply::Info,
        _ => reply(),
    })
}

fn impatient(url: &str) -> HttpHub {
    let mut config = config(url);
    config.idle_timeout = Duration::from_millis(200);
    HttpHub::new(config).unwrap()
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    for (head, body) in [
        ("Content-Length: 10\r\n", "12345"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n123"),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nETag: aa\r\n{head}\r\n{body}");
        let server = reader(move || Reply::SendAndClose(text.clone().into_bytes()));
        let read = client(&server.url).read(&path("a")).await.unwrap().unwrap();
        assert_eq!(read.tag, ETag::parse("aa"));
        let outcome = drain(read).await;
        assert!(is_unreachable(&outcome), "{head}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_stall_is_noticed() {
    let server = reader(|| Reply::Stall(Vec::new()));
    let outcome = impatient(&server.url).read(&path("a")).await.map(drop);
    assert!(is_unreachable(&outcome), "{outcome:?}");
    let outcome = create(&impatient(&server.url), "a", "a").await;
    assert!(is_unreachable(&outcome), "{outcome:?}");

    let start = "HTTP/1.1 200 OK\r\nETag: aa\r\nContent-Length: 10\r\n\r\n12345";
    let server = reader(move || Reply::Stall(start.into()));
    let read = impatient(&server.url)
        .read(&path("a"))
        .await
        .unwrap()
        .unwrap();
    let outcome = drain(read).await;
    assert!(is_unreachable(&outcome), "{outcome:?}");

    let server = RawServer::start(|_| Reply::Stall(Vec::new()));
    let outcome = impatient(&server.url).info().await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let server = RawServer::start(|_| Reply::Info);
    let hub = impatient(&server.url);
    let first = stream::iter([Ok(Bytes::from_static(b"first"))]);
    let stream = Box::pin(first.chain(stream::pending()));
    let body = HubBody::Stream { size: 100, stream };
    let outcome = hub
        .write(&path("a"), "text/plain", body, &Condition::Create)
        .await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_read_that_is_no_stored_file_is_refused() {
    for headers in [
        &[][..],
        &[("Content-Type", "text/html")][..],
        &[("ETag", "aa"), ("Content-Encoding", "gzip")][..],
    ] {
        let server = reader(move || answer("200 OK", headers, "<html>"));
        let outcome = client(&server.url).read(&path("a")).await.map(drop);
        assert!(is_unreachable(&outcome), "{headers:?}: {outcome:?}");
    }
    // A stock hub forgets the tag of a file whose upload was cut off.
    let server = reader(|| answer("200 OK", &[("etag", "undefined")], "torn"));
    let read = client(&server.url).read(&path("a")).await.unwrap().unwrap();
    assert_eq!((read.tag.clone(), read.content_type.as_str()), (None, ""));
    assert_eq!(read.modified_s, 0);
    assert_eq!(drain(read).await.unwrap(), b"torn");
}

#[tokio::test]
async fn reads_go_past_caches_and_carry_no_token() {
    let server = reader(|| answer("404 Not Found", &[("ETag", "W/\"e-1\"")], "File not found"));
    let hub = client(&server.url);
    assert!(hub.read(&path("ü/a b")).await.unwrap().is_none());
    let asked = server.asked()[1].clone();
    assert_eq!(asked.target, format!("/read/{}/%C3%BC/a%20b", hub.bucket()));
    assert_eq!(asked.header("cache-control"), Some("no-cache"));
    assert_eq!(
        (
            asked.header("authorization"),
            asked.header("accept-encoding")
        ),
        (None, None)
    );
}

#[tokio::test]
async fn redirects_stay_within_their_origin() {
    let server = RawServer::start(|asked| match asked.line() {
        ("GET", target) if target.ends_with("/near") => {
            answer("302 Found", &[("Location", "/elsewhere")], "")
        }
        ("GET", target) if target.ends_with("/circle") => {
            answer("302 Found", &[("Location", "circle")], "")
        }
        ("GET", target) if target.ends_with("/far") => {
            answer("302 Found", &[("Location", "http://far.invalid/")], "")
        }
        ("GET", "/elsewhere") => answer("200 OK", &[("ETag", "aa")], "here"),
        _ => Reply::Info,
    });
    let hub = client(&server.url);
    let read = hub.read(&path("near")).await.unwrap().unwrap();
    assert_eq!(drain(read).await.unwrap(), b"here");
    for name in ["far", "circle"] {
        let outcome = hub.read(&path(name)).await.map(drop);
        assert!(is_unreachable(&outcome), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_kept_too_long_costs_nothing() {
    // Every second request of a connection finds it closed.
    let count = AtomicUsize::new(0);
    let server = RawServer::start(move |asked| match asked.line() {
        (_, "/hub_info") => Reply::Info,
        _ if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => {
            Reply::SendAndClose(Vec::new())
        }
        _ => answer("200 OK", &[("ETag", "aa")], "whole"),
    });
    let hub = client(&server.url);
    for _ in 0..3 {
        let read = hub.read(&path("a")).await.unwrap().unwrap();
        assert_eq!(drain(read).await.unwrap(), b"whole");
    }
    assert_eq!(server.lines().len(), 6);
}

#[tokio::test]
async fn a_path_that_the_reader_chokes_on_stops_no_other() {
    let server = RawServer::start(|asked| match asked.line() {
        ("GET", target) if target.ends_with("/folder") => Reply::SendAndClose(Vec::new()),
        ("HEAD", _) => answer("404 Not Found", &[], ""),
        _ => Reply::Info,
    });
    let error = client(&server.url)
        .read(&path("folder"))
        .await
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, HubError::Busy { .. }), "{error:?}");

    let server = reader(|| Reply::SendAndClose(Vec::new()));
    let outcome = client(&server.url).read(&path("folder")).await.map(drop);
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

/// A hub that refuses a large upload closes the connection on the rest of it; whether the answer
/// gets through is luck.
#[tokio::test]
async fn a_condition_that_fails_early_is_found_out() {
    let server = RawServer::start(|asked| match asked.line() {
        ("POST", _) => Reply::SendAndClose(Vec::new()),
        ("HEAD", _) => Reply::Send(answer_bytes("200 OK", &[("ETag", "bb")], "")),
        _ => Reply::Info,
    });
    let hub = client(&server.url);
    let write = async |condition: Condition| {
        let chunks = (0..200).map(|_| Ok(Bytes::from(vec![7; 64 * 1024])));
        let body = HubBody::Stream {
            size: 200 * 64 * 1024,
            stream: Box::pin(stream::iter(chunks)),
        };
        hub.write(&path(EARLY), "text/plain", body, &condition)
            .await
    };
    let (aa, bb) = (ETag::parse("aa").unwrap(), ETag::parse("bb").unwrap());
    let failed = HubOutcome::ConditionFailed(Some(bb.clone()));
    assert_eq!(write(Condition::Create).await.unwrap(), failed);
    assert_eq!(write(Condition::Replace(aa)).await.unwrap(), failed);
    let outcome = write(Condition::Replace(bb)).await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_run_than_allowed() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let server = RawServer::start(move |asked| {
        if asked.target == "/hub_info" {
            return Reply::Info;
        }
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        now.fetch_sub(1, Ordering::SeqCst);
        answer("200 OK", &[("ETag", "aa")], "x")
    });
    let mut config = config(&server.url);
    config.requests_max = 3;
    let hub = HttpHub::new(config).unwrap();
    let reads = (0..20).map(async |number| {
        let read = hub.read(&path(&number.to_string())).await.unwrap().unwrap();
        drain(read).await.unwrap()
    });
    assert_eq!(futures_util::future::join_all(reads).await.len(), 20);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_told_without_names_of_files() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = create(&client(&url), "private name", "a")
        .await
        .unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("the hub cannot be reached"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("private"), "{error:?}");
}
