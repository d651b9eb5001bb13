//! Calls that are made at the same time: against our own hub with and without what it announces,
//! and against servers that announce what they do not keep.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use gaia::batch::Operation;
use gaia::fetch;
use gaia::frames::Decoder;
use gaia::frames::Piece;
use pangaea_hub::Hub as HubServer;
use tempfile::TempDir;

use super::raw::Asked;
use super::raw::CHALLENGE;
use super::raw::RawServer;
use super::raw::Reply;
use super::raw::answer;
use super::raw::answer_bytes;
use super::*;
use crate::hub::http::Features;

/// What a read brought: tag, type, time and bytes.
type Content = Option<(Option<ETag>, String, Vec<u8>)>;

async fn content(hub: &HttpHub, name: &str) -> Result<Content, HubError> {
    let Some(read) = hub.read(&path(name)).await? else {
        return Ok(None);
    };
    let (tag, kind, size) = (read.tag.clone(), read.content_type.clone(), read.size);
    assert!(read.modified_s > 0);
    let bytes = drain(read).await?;
    assert_eq!(size, Some(bytes.len() as u64));
    Ok(Some((tag, kind, bytes)))
}

/// Many calls at once, in rounds; what came of each.
async fn work(hub: &HttpHub) -> (Vec<HubOutcome>, Vec<Content>) {
    let names: Vec<_> = (0..150)
        .map(|number| format!("ü {}/{number}", number % 7))
        .collect();
    let mut outcomes = Vec::new();
    let mut note = |round: Vec<Result<HubOutcome, HubError>>| {
        outcomes.extend(round.into_iter().map(Result::unwrap));
    };
    // Every third one is there already, and every tenth one is large.
    note(join_all(names.iter().step_by(3).map(|name| create(hub, name, "old"))).await);
    let bodies: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            if at % 10 == 5 {
                name.repeat(20_000)
            } else {
                name.clone()
            }
        })
        .collect();
    note(
        join_all(
            names
                .iter()
                .zip(&bodies)
                .map(|(name, body)| create(hub, name, body)),
        )
        .await,
    );
    let old = ETag::of(b"old");
    note(join_all(names.iter().map(|name| replace(hub, name, "new", &old))).await);
    let new = ETag::of(b"new");
    let paths: Vec<_> = names.iter().step_by(2).map(|name| path(name)).collect();
    note(join_all(paths.iter().map(|path| hub.delete(path, &new))).await);
    note(join_all(paths.iter().map(|path| hub.delete(path, &new))).await);
    let reads = join_all(names.iter().map(|name| content(hub, name))).await;
    (outcomes, reads.into_iter().map(Result::unwrap).collect())
}

async fn results_with(features: Features) -> (Vec<HubOutcome>, Vec<Content>) {
    let folder = TempDir::new().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = pangaea_hub::HubConfig::new(folder.path(), listen);
    let server = HubServer::start(settings).await.unwrap();
    let mut config = config(server.url());
    config.features = features;
    let hub = HttpHub::new(config).unwrap();
    assert_eq!(
        hub.info().await.unwrap().pangaea.is_some(),
        features == Features::Announced
    );
    let results = work(&hub).await;
    server.shutdown().await.unwrap();
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_mean_the_same_together_and_alone() {
    let (together, together_read) = results_with(Features::Announced).await;
    let (alone, alone_read) = results_with(Features::Ignored).await;
    assert_eq!(together_read, alone_read);
    assert!(
        together_read
            .iter()
            .flatten()
            .any(|(_, _, bytes)| bytes.len() > 100_000)
    );
    assert!(together_read.contains(&None));
    assert_eq!(together.len(), alone.len());
    for (together, alone) in together.iter().zip(&alone) {
        match (together, alone) {
            // Without its announcements the client asks for the tag before it deletes.
            (HubOutcome::ConditionFailed(_), HubOutcome::ConditionFailed(_)) => {}
            _ => assert_eq!(together, alone),
        }
    }
}

/// What a hub with batches and fetches says of itself.
fn announce(base: &str) -> Vec<u8> {
    let info = format!(
        r#"{{"challenge_text":"{CHALLENGE}","latest_auth_version":"v1","read_url_prefix":"{base}/read/","pangaea":{{"version":1,"features":["batch","fetch","conditional-delete"]}}}}"#
    );
    answer_bytes(
        "200 OK",
        &[("Date", "Mon, 23 Nov 2026 10:00:00 GMT")],
        &info,
    )
}

/// A server with batches and fetches; `reply` answers them, everything else succeeds.
fn server(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |asked| {
        let host = asked.header("host").unwrap_or_default();
        match asked.line() {
            (_, "/hub_info") => Reply::Send(announce(&format!("http://{host}"))),
            (_, target) if target.starts_with("/batch/") || target.starts_with("/fetch/") => {
                reply(asked)
            }
            ("POST", _) => answer("202 Accepted", &[], r#"{"publicURL":"u","etag":"single"}"#),
            ("DELETE", _) => answer("202 Accepted", &[], ""),
            _ => answer("200 OK", &[("ETag", "aa")], "single"),
        }
    })
}

fn operations(asked: &Asked) -> Vec<Operation> {
    let (mut decoder, mut input) = (Decoder::<Operation>::new(), asked.body.as_slice());
    let mut operations = Vec::new();
    while let Some(piece) = decoder.next(&mut input).unwrap() {
        if let Piece::Head(operation) = piece {
            operations.push(operation);
        }
    }
    operations
}

/// Twenty creates at once.
async fn creates(hub: &HttpHub) -> Vec<Result<HubOutcome, HubError>> {
    let names: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    join_all(names.iter().map(|name| create(hub, name, name))).await
}

async fn reads(hub: &HttpHub) -> Vec<Result<Content, HubError>> {
    let names: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    let read = async |name: &String| match hub.read(&path(name)).await? {
        None => Ok(None),
        Some(read) => {
            let (tag, kind) = (read.tag.clone(), read.content_type.clone());
            Ok(Some((tag, kind, drain(read).await?)))
        }
    };
    join_all(names.iter().map(read)).await
}

fn single() -> HubOutcome {
    HubOutcome::Done(ETag::parse("single"))
}

fn count(server: &RawServer, beginning: &str) -> usize {
    let lines = server.lines();
    lines
        .iter()
        .filter(|line| line.starts_with(beginning))
        .count()
}

#[tokio::test]
async fn a_result_of_a_batch_means_what_a_single_answer_means() {
    let server = server(|asked| {
        let results: Vec<_> = operations(asked)
            .iter()
            .map(|operation| match operation.path.as_str() {
                "00" => r#"{"status":412,"etag":"bb","message":"m"}"#,
                "01" => r#"{"status":412}"#,
                "02" => r#"{"status":401,"error":"ValidationError","message":"m"}"#,
                "03" => r#"{"status":403,"error":"BadPathError","message":"no such path"}"#,
                "04" => r#"{"status":409,"message":"m"}"#,
                "05" => r#"{"status":413,"message":"m"}"#,
                "06" => r#"{"status":500,"message":"Server Error"}"#,
                "07" => r#"{"status":503,"message":"later"}"#,
                "08" => r#"{"status":7}"#,
                "09" => r#"{"status":404,"error":"DoesNotExist"}"#,
                _ => r#"{"status":202,"etag":"batched"}"#,
            })
            .collect();
        let body = format!(r#"{{"results":[{}]}}"#, results.join(","));
        answer("200 OK", &[], &body)
    });
    let outcomes = creates(&client(&server.url)).await;
    let ok = |at: usize| outcomes[at].as_ref().unwrap();
    assert_eq!(*ok(0), HubOutcome::ConditionFailed(ETag::parse("bb")));
    assert_eq!(*ok(1), HubOutcome::ConditionFailed(None));
    assert_eq!(*ok(2), single(), "tried by itself");
    for at in [3, 5, 9] {
        assert!(
            matches!(outcomes[at], Err(HubError::Refused { .. })),
            "{at}"
        );
    }
    for at in [4, 6] {
        assert!(matches!(outcomes[at], Err(HubError::Busy { .. })), "{at}");
    }
    for at in [7, 8] {
        assert!(is_unreachable(&outcomes[at]), "{at}: {:?}", outcomes[at]);
    }
    for at in 10..20 {
        assert_eq!(*ok(at), HubOutcome::Done(ETag::parse("batched")));
    }
    assert_eq!(count(&server, "POST /batch/"), 1);
    assert_eq!(count(&server, "POST /store/"), 1);
}

#[tokio::test]
async fn a_call_by_itself_is_a_plain_call() {
    let server = server(|_| panic!("nothing to gather"));
    let hub = client(&server.url);
    assert_eq!(create(&hub, "a", "a").await.unwrap(), single());
    assert!(hub.read(&path("a")).await.unwrap().is_some());
    hub.delete(&path("a"), &ETag::of(b"a")).await.unwrap();
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn batches_that_are_refused_as_such_are_taken_apart() {
    for (status, batches) in [
        ("404 Not Found", 1),
        ("405 Method Not Allowed", 1),
        ("501 Not Implemented", 1),
        ("413 Payload Too Large", 2),
        ("400 Bad Request", 2),
        ("403 Forbidden", 2),
        ("500 Internal Server Error", 2),
    ] {
        let server = server(move |_| answer(status, &[], ""));
        let hub = client(&server.url);
        for _ in 0..2 {
            for outcome in creates(&hub).await {
                assert_eq!(outcome.unwrap(), single(), "{status}");
            }
            for read in reads(&hub).await {
                assert_eq!(read.unwrap().unwrap().2, b"single", "{status}");
            }
        }
        // A route that is not there is not asked for again.
        assert_eq!(count(&server, "POST /batch/"), batches, "{status}");
        assert_eq!(count(&server, "POST /fetch/"), batches, "{status}");
    }
}

#[tokio::test]
async fn a_batch_without_a_good_answer_fails_for_each_of_its_changes() {
    for (name, reply) in [
        ("cut", (|| Reply::SendAndClose(Vec::new())) as fn() -> Reply),
        ("gateway", || answer("502 Bad Gateway", &[], "")),
        ("later", || {
            answer("503 Service Unavailable", &[("Retry-After", "7")], "")
        }),
        ("limited", || {
            answer("429 Too Many Requests", &[("Retry-After", "7")], "")
        }),
        ("page", || answer("200 OK", &[], "<html>")),
        ("other JSON", || answer("200 OK", &[], "{\"results\":7}")),
        ("too few", || {
            answer("200 OK", &[], "{\"results\":[{\"status\":202}]}")
        }),
        ("cut JSON", || {
            let mut bytes = answer_bytes("200 OK", &[], "{\"results\":[{\"status\":202}]}");
            bytes.truncate(bytes.len() - 3);
            Reply::SendAndClose(bytes)
        }),
    ] {
        let server = server(move |_| reply());
        for outcome in creates(&client(&server.url)).await {
            let Err(HubError::Unreachable { retry_after_ms, .. }) = outcome else {
                panic!("{name}: {outcome:?}")
            };
            let asks = ["later", "limited"].contains(&name);
            assert_eq!(retry_after_ms, asks.then_some(7000), "{name}");
        }
        assert_eq!(count(&server, "POST /store/"), 0, "{name}");
    }
    let refusing = server(|_| {
        let body = r#"{"message":"no","error":"ValidationError"}"#;
        answer("401 Unauthorized", &[], body)
    });
    for outcome in creates(&client(&refusing.url)).await {
        assert!(
            matches!(outcome, Err(HubError::Unauthorized { .. })),
            "{outcome:?}"
        );
    }
}

/// A frame of an answer to a fetch.
fn frame(name: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{{\"name\":\"{name}\",\"status\":200,\"etag\":\"ff\",\"contentType\":\"t/t\",\"length\":{length}}}\n{body}"
    )
}

/// How many reads were settled by a fetch, and how many by themselves.
async fn settled(reply: impl Fn(Vec<String>) -> Vec<u8> + Send + Sync + 'static) -> (usize, usize) {
    let server = server(move |asked| {
        let request: fetch::Request = serde_json::from_slice(&asked.body).unwrap();
        Reply::SendAndClose(reply(request.paths))
    });
    let results = reads(&client(&server.url)).await;
    let (mut fetched, mut single) = (0, 0);
    for (at, result) in results.into_iter().enumerate() {
        match result.unwrap() {
            Some((tag, kind, bytes)) if bytes == format!("{at:02}").as_bytes() => {
                assert_eq!((tag, kind.as_str()), (ETag::parse("ff"), "t/t"));
                fetched += 1;
            }
            Some((_, _, bytes)) => {
                assert_eq!(bytes, b"single");
                single += 1;
            }
            None => panic!("everything is there"),
        }
    }
    assert_eq!(count(&server, "GET /read/"), single);
    (fetched, single)
}

#[tokio::test]
async fn what_a_fetch_does_not_bring_is_read_by_itself() {
    const END: &str = "{\"end\":true}\n";
    let frames = |paths: &[String]| {
        paths
            .iter()
            .map(|path| frame(path, path))
            .collect::<String>()
    };
    let whole = move |paths: Vec<String>| answer_bytes("200 OK", &[], &(frames(&paths) + END));
    assert_eq!(settled(whole).await, (20, 0));
    let cut = move |paths: Vec<String>| {
        let mut bytes = whole(paths);
        bytes.truncate(bytes.len() - END.len() - 1);
        bytes
    };
    assert_eq!(settled(cut).await, (19, 1));
    let early = move |paths: Vec<String>| answer_bytes("200 OK", &[], &(frames(&paths[..5]) + END));
    assert_eq!(settled(early).await, (5, 15));
    let endless = move |paths: Vec<String>| answer_bytes("200 OK", &[], &frames(&paths[..7]));
    assert_eq!(settled(endless).await, (7, 13));
    let swapped = move |mut paths: Vec<String>| {
        paths.swap(3, 4);
        whole(paths)
    };
    assert_eq!(settled(swapped).await, (3, 17));
    let garbage = move |paths: Vec<String>| {
        answer_bytes(
            "200 OK",
            &[],
            &(frames(&paths[..2]) + "<html>\n" + &frames(&paths[2..])),
        )
    };
    assert_eq!(settled(garbage).await, (2, 18));
    let large = move |paths: Vec<String>| {
        let huge = "{\"name\":\"02\",\"status\":200,\"etag\":\"ff\",\"length\":9999999999}\n";
        answer_bytes("200 OK", &[], &(frames(&paths[..2]) + huge))
    };
    assert_eq!(settled(large).await, (2, 18));
    let some = move |paths: Vec<String>| {
        let odd = [413, 500, 400, 299].map(|status| {
            let at = match status {
                413 => 2,
                500 => 3,
                400 => 4,
                _ => 5,
            };
            format!("{{\"name\":\"{}\",\"status\":{status}}}\n", paths[at])
        });
        let untagged = "{\"name\":\"06\",\"status\":200,\"length\":1}\nx";
        let text = frames(&paths[..2]) + &odd.concat() + untagged + &frames(&paths[7..]) + END;
        answer_bytes("200 OK", &[], &text)
    };
    assert_eq!(settled(some).await, (15, 5));
}

#[tokio::test]
async fn a_lost_connection_fails_each_read() {
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    let server = server(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Reply::SendAndClose(Vec::new())
    });
    for read in reads(&client(&server.url)).await {
        assert!(is_unreachable(&read), "{read:?}");
    }
    assert_eq!(tries.load(Ordering::SeqCst), 2, "once more, and no more");
}
