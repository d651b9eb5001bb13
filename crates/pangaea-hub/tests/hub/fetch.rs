//! Fetches: many files in one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gaia::etag::ETag;
use gaia::fetch::{AnswerHead, FileHead, MEDIA_TYPE};
use gaia::frames::{Decoder, Piece};
use reqwest::Response;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, Client, world};

impl Client {
    /// Anybody may ask, so there is no token.
    async fn send_fetch(&self, bucket: &str, body: String) -> Response {
        let url = format!("{}/fetch/{bucket}", self.url);
        self.http.post(url).body(body).send().await.unwrap()
    }

    async fn fetch(&self, paths: &[&str]) -> Vec<(FileHead, Vec<u8>)> {
        let body = json!({ "paths": paths }).to_string();
        let response = self.send_fetch(&self.bucket(), body).await;
        assert_eq!(response.status(), 200);
        files(&response.bytes().await.unwrap())
    }
}

/// The files of a whole answer.
fn files(mut body: &[u8]) -> Vec<(FileHead, Vec<u8>)> {
    let mut decoder = Decoder::<AnswerHead>::new();
    let mut files: Vec<(FileHead, Vec<u8>)> = Vec::new();
    let mut ended = false;
    while let Some(piece) = decoder.next(&mut body).unwrap() {
        assert!(!ended, "nothing follows the end");
        match piece {
            Piece::Head(AnswerHead::File(head)) => files.push((head, Vec::new())),
            Piece::Head(AnswerHead::End { end }) => ended = end,
            Piece::Bytes(bytes) => files.last_mut().unwrap().1.extend_from_slice(bytes),
        }
    }
    assert!(ended && decoder.is_between_frames());
    files
}

#[tokio::test]
async fn files_come_in_the_order_in_which_they_are_asked_for() {
    let world = world().await;
    let client = &world.client;
    let large = "0123456789".repeat(90_000);
    let request = client
        .store("gr%C3%BC%C3%9Fe/%E6%97%A5 %252F")
        .header("Content-Type", "text/x; a=1");
    request.body("unicode").send().await.unwrap();
    for (path, body) in [("large", large.as_str()), ("empty", ""), ("small", "s")] {
        assert_eq!(client.put(path, body.to_owned()).await.status, 202);
    }
    client.put("huge", vec![b'h'; (1 << 20) + 1]).await;
    let names = [
        "large",
        "grüße/日 %2F",
        "absent",
        "small",
        "empty",
        "a/../b",
        "huge",
        "small",
        "",
    ];
    let files = client.fetch(&names).await;
    let found: Vec<_> = files
        .iter()
        .map(|(head, _)| (head.name.as_str(), head.status))
        .collect();
    let statuses = [200, 200, 404, 200, 200, 400, 413, 200, 400];
    assert_eq!(found, names.into_iter().zip(statuses).collect::<Vec<_>>());
    let bodies = [large.as_str(), "unicode", "", "s", "", "", "", "s", ""];
    for ((head, body), expected) in files.iter().zip(bodies) {
        assert!(body == expected.as_bytes(), "{head:?}");
        if head.status != 200 {
            assert_eq!(head, &FileHead::without_bytes(&head.name, head.status));
            continue;
        }
        assert_eq!(head.etag.as_deref(), Some(ETag::of(body).as_str()));
        assert_eq!(head.length, Some(body.len() as u64));
        assert!(head.last_modified_seconds.unwrap() > 1_500_000_000);
    }
    let single = client.get("gr%C3%BC%C3%9Fe/%E6%97%A5%20%252F").await;
    let kind = single.headers()["content-type"].to_str().unwrap();
    assert_eq!(files[1].0.content_type.as_deref(), Some(kind));
    assert_eq!(client.fetch(&[]).await, []);
}

#[tokio::test]
async fn the_answer_is_safe_and_open_to_every_page() {
    let world = world().await;
    let body = json!({"paths": ["a"]}).to_string();
    let response = world.client.send_fetch(&world.client.bucket(), body).await;
    let headers = response.headers();
    for (name, value) in [
        ("content-type", MEDIA_TYPE),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[tokio::test]
async fn an_answer_holds_so_much_and_no_more() {
    let world = world().await;
    let client = &world.client;
    let body = vec![b'x'; 1 << 20];
    for number in 0..17 {
        client.put(&number.to_string(), body.clone()).await;
    }
    client.put("small", "s").await;
    let names: Vec<String> = (0..17)
        .map(|number| number.to_string())
        .chain(["small".into(), "absent".into()])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = client.fetch(&names).await;
    for (at, (head, bytes)) in files.iter().enumerate() {
        let status = [200, 413, 404][usize::from(at >= 16) + usize::from(at == 18)];
        assert_eq!(head.status, status, "{at}");
        assert!(status != 200 || *bytes == body);
    }
    assert_eq!(files.len(), 19);
}

#[tokio::test]
async fn a_thousand_files_in_one_answer() {
    let world = world().await;
    let mut tasks = JoinSet::new();
    for worker in 0..10 {
        let client = world.client.clone();
        tasks.spawn(async move {
            for number in 0..100 {
                let name = format!("{:03}", worker * 100 + number);
                client.put(&name, name.repeat(400)).await;
            }
        });
    }
    tasks.join_all().await;
    let names: Vec<String> = (0..1000)
        .rev()
        .map(|number| format!("{number:03}"))
        .collect();
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = world.client.fetch(&asked).await;
    assert_eq!(files.len(), 1000);
    for ((head, body), name) in files.iter().zip(&names) {
        assert_eq!((head.status, &head.name), (200, name));
        assert!(*body == name.repeat(400).into_bytes());
    }
}

#[tokio::test]
async fn what_is_no_fetch_is_refused() {
    let world = world().await;
    let client = &world.client;
    let bucket = client.bucket();
    for (body, status) in [
        (String::new(), 400),
        ("{".into(), 400),
        ("[]".into(), 400),
        (json!({"paths": "a"}).to_string(), 400),
        (json!({"paths": [1]}).to_string(), 400),
        (json!({"paths": ["x".repeat(3_585)]}).to_string(), 400),
        (json!({"paths": vec!["a"; 1001]}).to_string(), 413),
        (
            json!({"paths": ["a"], "x": "y".repeat(1 << 20)}).to_string(),
            413,
        ),
    ] {
        let answer = Answer::of(client.send_fetch(&bucket, body).await).await;
        assert_eq!(answer.status, status, "{:?}", answer.json);
        assert!(!answer.text("message").is_empty());
    }
    let body = json!({"paths": ["a"]}).to_string();
    let response = client.send_fetch("nobody", body).await;
    assert_eq!(files(&response.bytes().await.unwrap())[0].0.status, 404);
    // The longest path there is, with what JSON needs most room for, is still answered.
    let segment = "\u{1}".repeat(255);
    let longest = vec![segment.as_str(); 14].join("/");
    assert_eq!(longest.len(), 3583);
    assert_eq!(client.fetch(&[&longest]).await[0].0.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replaced_files_never_come_mixed() {
    let world = world().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let (client, stop) = (world.client.clone(), Arc::clone(&stop));
        readers.spawn(async move {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                for (head, body) in client.fetch(&["a", "b", "a"]).await {
                    if head.status == 404 {
                        continue;
                    }
                    assert_eq!(head.etag.as_deref(), Some(ETag::of(&body).as_str()));
                    let kind = format!("application/x-{}", body.len());
                    assert_eq!(head.content_type, Some(kind));
                    seen += 1;
                }
            }
            seen
        });
    }
    for number in 0..80_usize {
        for path in ["a", "b"] {
            // Small and large in turn, so that bodies change where they lie.
            let length = if number.is_multiple_of(2) {
                1_000
            } else {
                150_000
            } + number;
            let request = world.client.store(path);
            let request = request.header("Content-Type", format!("application/x-{length}"));
            let response = request.body("v".repeat(length)).send().await.unwrap();
            assert_eq!(response.status(), 202);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let seen: usize = readers.join_all().await.into_iter().sum();
    assert!(seen > 20, "{seen}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_said_to_be_so() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "1").await;
    client.put("lost", vec![b'x'; 100_000]).await;
    let blob = world.blobs().remove(0);
    std::fs::remove_file(
        world
            .folder
            .path()
            .join("blobs")
            .join(&blob[..2])
            .join(&blob),
    )
    .unwrap();
    let files = client.fetch(&["a", "lost", "a"]).await;
    let statuses: Vec<_> = files.iter().map(|(head, _)| head.status).collect();
    assert_eq!(statuses, [200, 500, 200]);
}
