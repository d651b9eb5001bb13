//! Batches: many stores and deletes in one request.

use gaia::batch::{Kind, MEDIA_TYPE, Operation, Outcome, Reply};
use gaia::etag::ETag;
use gaia::frames::write_head;
use gaia::scope::ScopeKind;
use reqwest::Method;

use crate::support::{Answer, Client, eventually, scopes, token, world, world_with};

const EXISTS: &str = "The entity you are trying to create already exists";
const MISMATCH: &str = "The provided ETag does not match that of the resource on the server";

/// The body of a batch, in the making.
#[derive(Clone, Default)]
pub struct Batch(pub Vec<u8>);

impl Batch {
    pub fn operation(mut self, operation: &Operation, body: &[u8]) -> Self {
        write_head(operation, &mut self.0).unwrap();
        self.0.extend_from_slice(body);
        self
    }

    /// A line as it stands, with bytes behind it.
    pub fn raw(mut self, line: &str, body: &[u8]) -> Self {
        self.0.extend_from_slice(line.as_bytes());
        self.0.push(b'\n');
        self.0.extend_from_slice(body);
        self
    }

    pub fn store(self, path: &str, body: impl AsRef<[u8]>) -> Self {
        self.operation(&store(path, body.as_ref()), body.as_ref())
    }

    pub fn create(self, path: &str, body: &str) -> Self {
        let mut operation = store(path, body.as_bytes());
        operation.if_none_match = Some("*".into());
        self.operation(&operation, body.as_bytes())
    }

    pub fn replace(self, path: &str, tag: &str, body: &str) -> Self {
        let mut operation = store(path, body.as_bytes());
        operation.if_match = Some(tag.into());
        self.operation(&operation, body.as_bytes())
    }

    pub fn delete(self, path: &str, tag: Option<&str>) -> Self {
        let mut operation = store(path, b"");
        operation.op = Kind::Delete;
        operation.if_match = tag.map(str::to_owned);
        self.operation(&operation, b"")
    }
}

pub fn store(path: &str, body: &[u8]) -> Operation {
    Operation {
        op: Kind::Store,
        path: path.into(),
        content_type: None,
        if_match: None,
        if_none_match: None,
        length: body.len() as u64,
    }
}

pub fn tag(body: impl AsRef<[u8]>) -> String {
    ETag::of(body.as_ref()).as_str().to_owned()
}

impl Client {
    pub async fn send_batch(&self, query: &str, batch: &Batch) -> Answer {
        let route = format!("/batch/{}{query}", self.bucket());
        let request = self.request(Method::POST, &route);
        let request = request.header("Content-Type", MEDIA_TYPE);
        Answer::of(request.body(batch.0.clone()).send().await.unwrap()).await
    }

    /// The results of a batch that is whole.
    pub async fn batch(&self, batch: &Batch) -> Vec<Outcome> {
        results(&self.send_batch("", batch).await)
    }

    pub async fn atomic(&self, batch: &Batch) -> Vec<Outcome> {
        results(&self.send_batch("?atomic=true", batch).await)
    }
}

#[track_caller]
pub fn results(answer: &Answer) -> Vec<Outcome> {
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let reply: Reply = serde_json::from_value(answer.json.clone()).unwrap();
    reply.results
}

pub fn statuses(results: &[Outcome]) -> Vec<u16> {
    results.iter().map(|result| result.status).collect()
}

fn refused(status: u16, error: &str, message: &str, etag: Option<String>) -> Outcome {
    Outcome {
        status,
        etag,
        message: Some(message.into()),
        error: Some(error.into()),
    }
}

#[tokio::test]
async fn each_operation_has_the_result_of_a_single_request() {
    let world = world().await;
    let client = &world.client;
    client.put("there", "old").await;
    client.put("gone", "x").await;
    let batch = Batch::default()
        .create("new", "1")
        .create("there", "2")
        .replace("there", &tag("old"), "3")
        .replace("there", &tag("old"), "4")
        .replace("absent", "x", "5")
        .delete("gone", Some("x"))
        .delete("gone", Some(&tag("x")))
        .delete("gone", None)
        .store("a/../b", "6")
        .delete("a..b", None);
    let precondition = |message, etag| refused(412, "PreconditionFailedError", message, etag);
    let done = |body| Outcome::done(Some(tag(body)));
    let bad_path = || refused(403, "BadPathError", "Invalid Path", None);
    let expected = [
        done("1"),
        precondition(EXISTS, Some(tag("old"))),
        done("3"),
        precondition(MISMATCH, Some(tag("3"))),
        precondition(MISMATCH, None),
        precondition(MISMATCH, Some(tag("x"))),
        Outcome::done(None),
        refused(404, "DoesNotExist", "File does not exist", None),
        bad_path(),
        bad_path(),
    ];
    assert_eq!(client.batch(&batch).await, expected);
    assert_eq!(client.body("there").await, "3");
    assert_eq!(client.names().await, ["new", "there"]);
    let untyped = client.get("new").await.headers()["content-type"].clone();
    assert_eq!(untyped, "application/octet-stream");
}

#[tokio::test]
async fn names_sizes_and_types_of_every_kind() {
    let world = world_with(|config| config.max_file_megabytes = 1).await;
    let client = &world.client;
    let large = vec![b'l'; 200_000];
    let misused = Operation {
        if_none_match: Some("\"x\"".into()),
        ..store("m", b"")
    };
    let both = Operation {
        if_match: Some("x".into()),
        ..misused.clone()
    };
    let typed = |content_type: &str| Operation {
        content_type: Some(content_type.into()),
        ..store("typed", b"t")
    };
    let batch = Batch::default()
        .store("grüße/日本 %2F+.txt", "7")
        .store("large", &large)
        .store("too-large", vec![b'x'; 1_048_577])
        .store("empty", "")
        .operation(&misused, b"")
        .operation(&both, b"")
        .operation(&typed("text/plain; a=\"b\""), b"t")
        .operation(&typed(&"x".repeat(1025)), b"t")
        .operation(&typed("text/plain\r\nx: y"), b"t")
        .operation(&typed("ü"), b"t");
    let results = client.batch(&batch).await;
    let expected = [202, 202, 413, 202, 412, 412, 202, 400, 400, 400];
    assert_eq!(statuses(&results), expected);
    assert!(results[2].message.as_ref().unwrap().contains("1 megabytes"));
    let unicode = "gr%C3%BC%C3%9Fe/%E6%97%A5%E6%9C%AC%20%252F+.txt";
    assert_eq!(client.body(unicode).await, "7");
    assert_eq!(client.get("large").await.bytes().await.unwrap(), large);
    assert_eq!(client.body("empty").await, "");
    let typed = client.get("typed").await.headers()["content-type"].clone();
    assert_eq!(typed, "text/plain; a=\"b\"; charset=utf-8");
    assert_eq!(client.names().await.len(), 4);
}

#[tokio::test]
async fn a_path_that_occurs_twice_is_changed_in_order() {
    let world = world().await;
    let client = &world.client;
    let batch = Batch::default()
        .create("a", "1")
        .replace("a", &tag("1"), "2")
        .create("a", "3")
        .delete("a", Some(&tag("2")))
        .create("a", "4")
        .delete("a", None)
        .delete("a", None);
    let results = client.batch(&batch).await;
    assert_eq!(statuses(&results), [202, 202, 412, 202, 202, 202, 404]);
    assert_eq!(client.get("a").await.status(), 404);
}

#[tokio::test]
async fn an_atomic_batch_is_applied_whole_or_not_at_all() {
    let world = world().await;
    let client = &world.client;
    let large = vec![b'l'; 200_000];
    client.put("old", "old").await;
    client.put("blob", vec![b'b'; 100_000]).await;
    let good = Batch::default()
        .create("a", "1")
        .replace("a", &tag("1"), "2")
        .replace("old", &tag("old"), "new")
        .store("blob", &large);
    assert_eq!(statuses(&client.atomic(&good).await), [202; 4]);
    assert_eq!(client.body("a").await, "2");
    eventually("the replaced blob is swept", || world.blobs().len() == 1).await;

    let before = client.names().await;
    let late = Batch::default()
        .create("b", "1")
        .delete("old", None)
        .store("blob", vec![b'x'; 300_000])
        .replace("a", "stale", "3")
        .store("c", "1");
    let results = client.atomic(&late).await;
    assert_eq!(statuses(&results), [424, 424, 424, 412, 424]);
    assert_eq!(results[3].etag, Some(tag("2")));
    let why = "Not applied, because another operation of this batch was refused";
    assert_eq!(results[0].message.as_deref(), Some(why));
    // A refusal that needs no look at the index.
    let early = Batch::default().create("b", "1").store("a/..", "x");
    assert_eq!(statuses(&client.atomic(&early).await), [424, 403]);

    assert_eq!(client.names().await, before);
    assert_eq!(client.body("old").await, "new");
    assert_eq!(client.get("blob").await.bytes().await.unwrap(), large);
    eventually("what was not stored is swept", || world.blobs().len() == 1).await;
    // The bucket goes on as if nothing had been.
    assert_eq!(
        statuses(&client.atomic(&Batch::default().create("b", "1")).await),
        [202]
    );
    let first = Client::new(&client.url, crate::support::key(2));
    let refused = Batch::default().create("x", "1").delete("y", None);
    assert_eq!(
        statuses(&first.atomic(&refused).await),
        [424, 404],
        "in a new bucket"
    );
    assert!(first.names().await.is_empty());
    assert_eq!(statuses(&first.batch(&refused).await), [202, 404]);
}

#[tokio::test]
async fn faults_of_framing_apply_nothing() {
    let world = world().await;
    let client = &world.client;
    let good = Batch::default().create("a", "1");
    let long = " ".repeat(40_000);
    let mut cut = good.clone().create("b", "0123456789");
    cut.0.truncate(cut.0.len() - 1);
    let mut headless = good.clone();
    headless
        .0
        .extend_from_slice(b"{\"op\":\"delete\",\"path\":\"a\"}");
    for (name, batch) in [
        ("cut in a body", cut),
        ("cut in a line", headless),
        ("garbage", good.clone().raw("\u{0}\u{1}\u{2}", b"")),
        ("no JSON object", good.clone().raw("7", b"")),
        (
            "unknown operation",
            good.clone().raw(r#"{"op":"move","path":"a"}"#, b""),
        ),
        (
            "unknown condition",
            good.clone()
                .raw(r#"{"op":"store","path":"a","if":"x"}"#, b""),
        ),
        ("no path", good.clone().raw(r#"{"op":"store"}"#, b"")),
        (
            "delete with bytes",
            good.clone()
                .raw(r#"{"op":"delete","path":"a","length":1}"#, b"1"),
        ),
        (
            "length too small",
            good.clone()
                .raw(r#"{"op":"store","path":"b","length":1}"#, b"123"),
        ),
        (
            "length too large",
            good.clone()
                .raw(r#"{"op":"store","path":"b","length":99}"#, b"1"),
        ),
        (
            "huge length",
            good.clone().raw(
                r#"{"op":"store","path":"b","length":18446744073709551615}"#,
                b"1",
            ),
        ),
        (
            "negative length",
            good.clone()
                .raw(r#"{"op":"store","path":"b","length":-1}"#, b""),
        ),
        ("line too long", good.clone().raw(&long, b"")),
    ] {
        let answer = client.send_batch("", &batch).await;
        assert_eq!(answer.status, 400, "{name}: {:?}", answer.json);
        assert_eq!(answer.text("error"), "InvalidInputError", "{name}");
        assert!(client.names().await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_batch_is_refused_and_an_empty_one_is_not() {
    let world = world().await;
    let client = &world.client;
    let good = Batch::default().create("a", "1");
    let answer = client.send_batch("?atomic=1", &good).await;
    answer.is(
        400,
        "InvalidInputError",
        "Invalid query: atomic is true or false",
    );
    let plain = client.request(Method::POST, &format!("/batch/{}", client.bucket()));
    let answer = Answer::of(plain.body(good.0.clone()).send().await.unwrap()).await;
    assert_eq!(answer.status, 415);
    assert!(client.names().await.is_empty());
    assert_eq!(client.batch(&Batch::default()).await, []);
    assert_eq!(client.atomic(&Batch::default()).await, []);
}

#[tokio::test]
async fn what_is_too_much_is_refused_as_a_whole() {
    let world = world().await;
    let client = &world.client;
    let mut thousand = Batch::default();
    for number in 0..1000 {
        thousand = thousand.create(&format!("{number:04}"), &number.to_string());
    }
    let more = thousand.clone().create("one too many", "");
    let answer = client.send_batch("", &more).await;
    answer.is(
        413,
        "PayloadTooLargeError",
        "A batch holds at most 1000 operations",
    );
    let half = vec![b'x'; 8 << 20];
    let large = Batch::default().store("a", &half).store("b", &half);
    for sized in [true, false] {
        let route = format!("/batch/{}", client.bucket());
        let request = client
            .request(Method::POST, &route)
            .header("Content-Type", MEDIA_TYPE);
        let request = if sized {
            request.body(large.0.clone())
        } else {
            let chunks: Vec<_> = large
                .0
                .chunks(1 << 20)
                .map(|c| Ok::<_, std::io::Error>(c.to_vec()))
                .collect();
            request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(
                chunks,
            )))
        };
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.is(
            413,
            "PayloadTooLargeError",
            "A batch holds at most 16 megabytes",
        );
    }
    assert!(client.names().await.is_empty());
    eventually("what was refused is swept up", || world.blobs().is_empty()).await;

    assert_eq!(statuses(&client.batch(&thousand).await), [202; 1000]);
    assert_eq!(client.names().await.len(), 1000);
    assert_eq!(client.body("0999").await, "999");
    // One file may fill it.
    let whole = Batch::default().store("whole", vec![b'x'; (16 << 20) - 200]);
    assert_eq!(statuses(&client.batch(&whole).await), [202]);
}

#[tokio::test]
async fn tokens_and_scopes_count_for_each_path() {
    let world = world().await;
    let client = &world.client;
    let batch = Batch::default()
        .store("a/b.txt", "1")
        .store("a/c.txt", "2")
        .delete("a/b.txt", None)
        .delete("d/e", None);
    let list = [
        (ScopeKind::PutFile, "a/b.txt"),
        (ScopeKind::DeleteFilePrefix, "d/"),
    ];
    let scoped = client.with_token(token().scopes(scopes(&list)));
    let results = scoped.batch(&batch).await;
    assert_eq!(statuses(&results), [202, 401, 401, 404]);
    assert_eq!(results[1].error.as_deref(), Some("ValidationError"));
    assert_eq!(client.names().await, ["a/b.txt"]);

    let stranger =
        client.with_authorization(Client::new(&client.url, crate::support::key(2)).authorization);
    assert_eq!(stranger.send_batch("", &batch).await.status, 401);
    let nobody = client.with_authorization("bearer v1:rubbish");
    assert_eq!(nobody.send_batch("", &batch).await.status, 401);
    let owner = client.with_token(token().issued_at(2_000));
    owner.revoke("{\"oldestValidTimestamp\":1000}").await;
    let answer = client.send_batch("", &batch).await;
    assert_eq!(
        (answer.status, answer.text("error")),
        (401, "AuthTokenTimestampValidationError")
    );
    assert_eq!(statuses(&owner.batch(&batch).await), [202, 202, 202, 404]);
}

#[tokio::test]
async fn an_archival_token_keeps_what_it_replaces() {
    let world = world().await;
    let client = &world.client;
    let archival =
        client.with_token(token().scopes(scopes(&[(ScopeKind::PutFileArchivalPrefix, "d/")])));
    let batch = Batch::default()
        .store("d/a", "1")
        .store("d/a", "2")
        .store("d/b", "3")
        .delete("d/b", None)
        .store("e", "4");
    assert_eq!(
        statuses(&archival.batch(&batch).await),
        [202, 202, 202, 202, 401]
    );
    let names = client.names().await;
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(client.body("d/a").await, "2");
    for (name, body) in [("a", "1"), ("b", "3")] {
        let kept = names
            .iter()
            .find(|one| one.starts_with("d/.history.") && one.ends_with(name));
        assert_eq!(client.body(kept.unwrap()).await, body);
    }
}
