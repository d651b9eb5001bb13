//! The stock client itself, `@stacks/storage` 7.4.0 as it comes from npm, at this hub.

use gaia::association::{AssociationToken, Validity};
use gaia::etag::ETag;
use pangaea_kit::proxy::{Fate, Proxy};
use serde_json::{Value, json};

use crate::node::{Library, Session, content, get_plain, put_plain, request};
use crate::stock_files::{files, names};
use crate::support::{Client, World, forge, key, world, world_with};

fn session(world: &World) -> Session {
    Session::start(Library::Stacks, &world.client.url, &world.client.key)
}

/// Connects, stores, replaces, fetches, lists and deletes files of all kinds.
async fn whole_life_of_files(world: &World) {
    let mut device = session(world);
    let info = device.perform(json!({"operation": "connect"})).await;
    let (url, bucket) = (&world.client.url, world.client.bucket());
    let want = json!({
        "ok": true, "address": bucket, "server": url, "readPrefix": format!("{url}/read/"),
        "maxMegabytes": 1024, "token": "v1",
    });
    assert_eq!(info, want);
    let files = files();
    for file in &files {
        let answer = device.perform(file.put()).await;
        let public_url = format!("{url}/read/{bucket}/{}", file.path);
        assert_eq!(answer["url"], public_url);
        let response = world.client.http.get(public_url).send().await.unwrap();
        assert_eq!(answer["etag"], response.headers()["etag"].to_str().unwrap());
        let listed = world.client.list(json!({"stat": true})).await;
        let entries = listed.json["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["name"] == file.path);
        let stored_as = &entry.unwrap()["contentType"];
        assert_eq!(stored_as, file.stored_as, "{}", file.path);
        let raw = response.bytes().await.unwrap();
        let open = file.options.get("encrypt").is_some();
        assert_eq!(raw == file.body, open, "{}", file.path);
    }
    let mut other = session(world);
    for file in &files {
        let answer = other.perform(file.get()).await;
        file.check(&answer);
        // What a library has read or written, it may replace.
        if !file.has_signature_beside() {
            other.perform(file.put()).await;
            device.perform(file.get()).await;
            device.perform(file.put()).await;
        }
    }
    let names = names(&files);
    assert_eq!(device.list().await, names);
    let some = device
        .perform(json!({"operation": "list", "stopAfter": 3}))
        .await;
    assert_eq!(
        (&some["count"], &some["files"]),
        (&json!(3), &json!(names[..3]))
    );
    for file in &files {
        device.perform(file.delete()).await;
        let get = get_plain(file.path);
        device.fail(get, "DoesNotExist", 404).await;
    }
    assert!(device.list().await.is_empty());
    let gone = request("delete", "plain/text", &json!({}));
    device.fail(gone, "DoesNotExist", 404).await;
}

/// Keys that are not those of the bucket.
async fn keys_of_others(world: &World) {
    let mut device = session(world);
    let friend = key(7);
    let sealed = json!({"content": {"string": "for you"}, "encrypt": friend.public().to_hex()});
    device
        .perform(request("put", "for a friend", &sealed))
        .await;
    let own = request("get", "for a friend", &json!({}));
    assert_eq!(device.ask(own).await["ok"], false, "not even the owner");
    let reading = json!({"decrypt": friend.to_hex().as_str()});
    let opened = device
        .perform(request("get", "for a friend", &reading))
        .await;
    assert_eq!(content(&opened), ("string", b"for you".to_vec()));
    let forged = json!({
        "content": {"string": "x"}, "encrypt": false, "sign": friend.to_hex().as_str(),
    });
    device.perform(request("put", "forged", &forged)).await;
    let reading = json!({"decrypt": false, "verify": true});
    let name = "SignatureVerificationError";
    device
        .fail(request("get", "forged", &reading), name, Value::Null)
        .await;
}

/// URLs, and the files of somebody else, found by name.
async fn files_of_others(world: &World) {
    const APP: &str = "http://localhost";
    let (url, bucket) = (&world.client.url, world.client.bucket());
    let mut owner = session(world);
    owner.perform(put_plain("shared", "for all to read")).await;
    let signed = json!({"content": {"string": "so signed"}, "encrypt": false, "sign": true});
    owner.perform(request("put", "signed", &signed)).await;
    let answer = owner.perform(request("url", "shared", &json!({}))).await;
    assert_eq!(answer["url"], format!("{url}/read/{bucket}/shared"));
    let answer = owner.perform(json!({"operation": "bucket-url"})).await;
    assert_eq!(answer["url"], format!("{url}/read/{bucket}/"));

    // Her identity has a bucket too, and in it the profile that says where the app's is.
    let identity = Client::new(url, key(8));
    let public = json!({"publicKey": identity.key.public().to_hex()});
    let profile = json!({
        "subject": public, "issuer": public,
        "claim": {"apps": {APP: format!("{url}/read/{bucket}/")}},
    });
    let token = forge(&identity.key, &profile).replace("bearer v1:", "");
    let profile = json!([{"token": token}]).to_string();
    let stored = identity.put("profile.json", profile).await;
    let zone_file = format!(
        "$ORIGIN alice.id\n$TTL 3600\n_http._tcp URI 10 1 \"{}\"\n",
        stored.text("publicURL")
    );
    let names = Proxy::listen().await;
    // The library takes the key itself as well as the address that other networks make of it.
    let record = json!({"zonefile": zone_file, "address": identity.key.public().to_hex()});
    names.publish("/v1/names/alice.id", record);

    let mut reader = Session::start(Library::Stacks, url, &key(9));
    let lookup = format!("{}/v1/names", names.url);
    let of = json!({"username": "alice.id", "app": APP, "zoneFileLookupURL": lookup});
    let answer = reader
        .perform(request("url", "shared", &json!({"of": of})))
        .await;
    assert_eq!(answer["url"], format!("{url}/read/{bucket}/shared"));
    for (path, verify, want) in [
        ("shared", false, "for all to read"),
        ("signed", true, "so signed"),
    ] {
        let reading = json!({"of": of, "decrypt": false, "verify": verify});
        let answer = reader.perform(request("get", path, &reading)).await;
        assert_eq!(content(&answer), ("string", want.as_bytes().to_vec()));
    }
}

/// A hub for certain people only, one of whom vouches for the app's key.
async fn vouched_for() {
    let person = key(3);
    let listed = [person.address()].into();
    let world = world_with(|config| config.whitelist = Some(listed)).await;
    let name = "ValidationError";
    session(&world).fail(put_plain("a", "1"), name, 401).await;
    let validity = Validity {
        issued_at_seconds: 1,
        expires_at_seconds: 4_102_444_800,
    };
    let (url, key) = (&world.client.url, &world.client.key);
    let word = AssociationToken::make(&person, &key.public(), validity, [1; 16]).unwrap();
    let mut device = Session::start_vouched(Library::Stacks, url, key, word.as_str());
    device.perform(put_plain("a", "1")).await;
    assert_eq!(device.list().await, ["a"]);
}

#[tokio::test]
async fn case_097_everything_that_the_client_can_do() {
    let world = world().await;
    whole_life_of_files(&world).await;
    keys_of_others(&world).await;
    files_of_others(&world).await;
    vouched_for().await;
}

/// The library writes the signature beside a plain file as if it were always new, so a second
/// write changes the file and not its signature. A hub cannot mend that: it would have to take
/// `If-None-Match: *` for something else than it says. Deleting first helps.
#[tokio::test]
async fn case_098_rewriting_a_signed_plain_file_is_a_fault_of_the_client() {
    let world = world().await;
    let mut device = session(&world);
    let write = |text: &str| {
        let options = json!({"content": {"string": text}, "encrypt": false, "sign": true});
        request("put", "a", &options)
    };
    let read = || request("get", "a", &json!({"decrypt": false, "verify": true}));
    device.perform(write("1")).await;
    assert_eq!(content(&device.perform(read()).await).1, b"1");
    device
        .fail(write("2"), "PreconditionFailedError", 412)
        .await;
    let tag = ETag::of(b"2");
    // The two uploads are made at once, and the failure of one does not wait for the other.
    for _ in 0..500 {
        if world.client.get("a").await.headers()["etag"] == tag.as_str() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(world.client.body("a").await, "2");
    device
        .fail(read(), "SignatureVerificationError", Value::Null)
        .await;
    device
        .perform(request("delete", "a", &json!({"signed": true})))
        .await;
    device.perform(write("3")).await;
    assert_eq!(content(&device.perform(read()).await).1, b"3");
}

#[tokio::test]
async fn case_099_two_devices() {
    const NAME: &str = "PreconditionFailedError";
    let world = world().await;
    let (mut one, mut two) = (session(&world), session(&world));
    one.perform(put_plain("a", "1")).await;
    // Who never saw the file takes it for new.
    two.fail(put_plain("a", "x"), NAME, 412).await;
    assert_eq!(content(&two.perform(get_plain("a")).await).1, b"1");
    two.perform(put_plain("a", "2")).await;
    // Who saw an older one is told, and by this hub also what the tag is now.
    let answer = one.fail(put_plain("a", "x"), NAME, 412).await;
    let tag = ETag::of(b"2");
    assert_eq!(answer["error"]["hub"]["etag"], tag.as_str());
    assert_eq!(world.client.body("a").await, "2");
    let mut after_reading = put_plain("a", "3");
    after_reading["afterRead"] = json!(true);
    one.perform(after_reading).await;
    two.fail(put_plain("a", "x"), NAME, 412).await;
    let mut by_force = put_plain("a", "4");
    by_force["ignoreEtag"] = json!(true);
    two.perform(by_force).await;
    assert_eq!(content(&one.perform(get_plain("a")).await).1, b"4");
    // Deleted by one, unknown to the other.
    one.perform(request("delete", "a", &json!({}))).await;
    two.fail(put_plain("a", "x"), NAME, 412).await;
    one.perform(put_plain("a", "5")).await;
    assert_eq!(world.client.body("a").await, "5");
}

/// A hub behind a proxy, and a client that knows only the proxy.
async fn behind_proxy() -> (World, Proxy, Session) {
    let proxy = Proxy::listen().await;
    let url = proxy.url.clone();
    let world = world_with(|config| config.public_url = Some(url)).await;
    proxy.forward_to(world.address());
    let mut device = Session::start(Library::Stacks, &proxy.url, &world.client.key);
    device.perform(json!({"operation": "connect"})).await;
    proxy.seen();
    (world, proxy, device)
}

/// How often the proxy was asked since the last call: for the hub's information, and otherwise.
fn asked(proxy: &Proxy) -> (usize, usize) {
    let seen = proxy.seen();
    let info = seen.iter().filter(|one| one.path == "/hub_info").count();
    (info, seen.len() - info)
}

/// The error of the library for a status, and the status that it knows then.
fn told(status: u16) -> (&'static str, Value) {
    let name = match status {
        401 => "ValidationError",
        402 => "NotEnoughProofError",
        403 => "BadPathError",
        404 => "DoesNotExist",
        409 => "ConflictError",
        412 => "PreconditionFailedError",
        413 => "PayloadTooLargeError",
        _ => return ("Error", Value::Null),
    };
    (name, status.into())
}

#[tokio::test]
async fn case_100_what_the_client_tries_again() {
    let (world, proxy, mut device) = behind_proxy().await;
    let statuses = [401, 402, 403, 404, 409, 412, 413, 429, 500, 503];
    for status in statuses {
        let path = format!("put-{status}");
        let write = put_plain(&path, "1");
        let (name, known) = told(status);
        let route = format!("POST {path}");
        proxy.decide(&route, &[Fate::Status(status), Fate::Pass]);
        if [401, 409].contains(&status) {
            // Once, after it has asked for the hub's information anew.
            device.perform(write.clone()).await;
            assert_eq!(asked(&proxy), (1, 2), "{status}");
            proxy.decide(&route, &[Fate::Status(status), Fate::Status(status)]);
            device.fail(write, name, known).await;
            assert_eq!(asked(&proxy), (1, 2), "{status}");
        } else {
            device.fail(write.clone(), name, known).await;
            assert_eq!(asked(&proxy), (0, 1), "{status}");
            device.perform(write).await;
        }
        assert_eq!(world.client.body(&path).await, "1");
        proxy.seen();
    }
    for status in statuses {
        let path = format!("put-{status}");
        let (name, known) = told(status);
        let get = get_plain(&path);
        proxy.decide(&format!("GET {path}"), &[Fate::Status(status)]);
        device.fail(get.clone(), name, known.clone()).await;
        assert_eq!(asked(&proxy), (0, 1), "{status}");
        // Deletes are tried once more whatever the reason.
        let delete = request("delete", &path, &json!({}));
        let route = format!("DELETE {path}");
        proxy.decide(&route, &[Fate::Status(status), Fate::Status(status)]);
        device.fail(delete.clone(), name, known.clone()).await;
        assert_eq!(asked(&proxy), (1, 2), "{status}");
        proxy.decide(&route, &[Fate::Status(status)]);
        device.perform(delete).await;
        assert_eq!(asked(&proxy), (1, 2), "{status}");
        // So are listings.
        let route = format!("POST {}", world.client.bucket());
        let list = json!({"operation": "list"});
        proxy.decide(&route, &[Fate::Status(status), Fate::Status(status)]);
        device.fail(list.clone(), name, known).await;
        assert_eq!(asked(&proxy), (1, 2), "{status}");
        proxy.decide(&route, &[Fate::Status(status)]);
        device.perform(list).await;
        assert_eq!(asked(&proxy), (1, 2), "{status}");
    }
    broken_connections(&proxy, &mut device).await;
}

async fn broken_connections(proxy: &Proxy, device: &mut Session) {
    proxy.decide("POST cut", &[Fate::Cut]);
    device
        .fail(put_plain("cut", "1"), "TypeError", Value::Null)
        .await;
    assert_eq!(asked(proxy), (0, 1));
    device.perform(put_plain("cut", "1")).await;
    let of_bucket: Vec<_> = proxy.seen();
    assert_eq!(
        of_bucket[0].headers["if-none-match"], "*",
        "still new to it"
    );
    proxy.decide("DELETE cut", &[Fate::Cut]);
    device.perform(request("delete", "cut", &json!({}))).await;
    assert_eq!(asked(proxy), (1, 2));
}
