//! Files go back and forth between the folder and the stock client, `@stacks/storage`.

use std::collections::BTreeMap;

use pangaea_e2e::EMPTY_TAG;
use pangaea_e2e::device::Device;
use pangaea_e2e::stock;
use pangaea_e2e::stock::StockClient;
use pangaea_e2e::uses_plain_calls;
use pangaea_e2e::world::World;
use serde_json::Value;
use serde_json::json;

/// A file as the stock client writes and reads it.
struct StockFile {
    path: &'static str,
    content: Content,
    encrypt: bool,
    sign: bool,
    /// What `put` gets beside that.
    extra: Value,
}

enum Content {
    Text(&'static str),
    Bytes(&'static [u8]),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// What the library hands it out as.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
        }
    }
}

impl StockFile {
    fn put(&self) -> Value {
        let mut request = json!({
            "operation": "put",
            "path": self.path,
            "content": match &self.content {
                Content::Text(text) => stock::as_string(text),
                Content::Bytes(bytes) => stock::as_bytes(bytes),
            },
            "encrypt": self.encrypt,
            "sign": self.sign,
        });
        for (name, value) in self.extra.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    }

    fn get(&self) -> Value {
        json!({
            "operation": "get",
            "path": self.path,
            "decrypt": self.encrypt,
            "verify": self.sign,
        })
    }

    fn delete(&self) -> Value {
        // Encrypted files carry their signature inside.
        let signed = self.sign && !self.encrypt;
        json!({ "operation": "delete", "path": self.path, "signed": signed })
    }
}

fn file(
    path: &'static str,
    content: Content,
    encrypt: bool,
    sign: bool,
    extra: Value,
) -> StockFile {
    StockFile {
        path,
        content,
        encrypt,
        sign,
        extra,
    }
}

fn files() -> Vec<StockFile> {
    use Content::Bytes;
    use Content::Text;
    const BINARY: &[u8] = &[0, 1, 2, 0xff, 0xfe, b'\n', 0];
    let base64 = || json!({ "encoding": "base64" });
    let typed = |kind: &str| json!({ "contentType": kind });
    vec![
        file(
            "stock/hex.txt",
            Text("hex: größe\n"),
            true,
            false,
            json!({}),
        ),
        file("stock/hex.bin", Bytes(BINARY), true, false, json!({})),
        file("stock/base64.txt", Text("base64\n"), true, false, base64()),
        file("stock/base64.bin", Bytes(BINARY), true, false, base64()),
        file(
            "stock/signed secret.txt",
            Text("signed, encrypted\n"),
            true,
            true,
            json!({}),
        ),
        file(
            "stock/signed-base64.bin",
            Bytes(BINARY),
            true,
            true,
            base64(),
        ),
        file(
            "stock/plain.txt",
            Text("plain text\n"),
            false,
            false,
            json!({}),
        ),
        file(
            "stock/plain.json",
            Text("{\"a\": 1}"),
            false,
            false,
            typed("application/json"),
        ),
        file("stock/plain.bin", Bytes(BINARY), false, false, json!({})),
        file(
            "stock/signed.txt",
            Text("signed, plain\n"),
            false,
            true,
            json!({}),
        ),
        file("stock/signed.bin", Bytes(BINARY), false, true, json!({})),
        file("stock/empty.txt", Text(""), false, false, json!({})),
        file("stock/empty-secret.txt", Text(""), true, false, json!({})),
    ]
}

/// What is in the folder, as the stock client wrote it; nothing else, no file of signatures.
#[track_caller]
fn assert_folder_holds(device: &Device, files: &[StockFile]) {
    let expected: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|file| (file.path.to_owned(), file.content.bytes().to_vec()))
        .collect();
    pangaea_e2e::tree::assert_same(&device.tree(), &expected);
}

#[test]
fn files_of_the_stock_client_are_read_edited_and_deleted() {
    let world = World::new();
    let device = world.device("a");
    let client = world.stock();
    let mut files = files();
    client.perform(&files.iter().map(StockFile::put).collect::<Vec<_>>());
    device.sync();
    assert_folder_holds(&device, &files);
    let stored = world.stats();
    device.sync();
    for (name, stat) in &stored {
        assert_eq!(
            world.stats().get(name),
            Some(stat),
            "{name} was written without being edited"
        );
    }

    for file in &mut files {
        file.content = match file.content {
            Content::Text(_) if file.path.ends_with("json") => Content::Text("{\"a\": 2}"),
            Content::Text(_) => Content::Text("edited in the folder: ñ\n"),
            Content::Bytes(_) => Content::Bytes(&[0xff, 0, 7, 8, 9, 0xfe]),
        };
        device.write(file.path, file.content.bytes());
    }
    device.sync();
    let answers = client.perform(&files.iter().map(StockFile::get).collect::<Vec<_>>());
    for (file, answer) in files.iter().zip(&answers) {
        assert_eq!(
            stock::content(answer),
            file.content.bytes(),
            "{}",
            file.path
        );
        assert_eq!(
            answer["kind"],
            file.content.kind(),
            "{}: {answer}",
            file.path
        );
    }

    // The stock client edits what the folder wrote.
    let file = &mut files[0];
    file.content = Content::Text("edited by the stock client\n");
    let mut put = file.put();
    put["afterRead"] = json!(true);
    client.perform(&[put]);
    device.sync();
    assert_folder_holds(&device, &files);

    // One half is deleted there, the other half here.
    let here = files.split_off(files.len() / 2);
    client.perform(&files.iter().map(StockFile::delete).collect::<Vec<_>>());
    device.sync();
    assert_folder_holds(&device, &here);
    for file in &here {
        device.remove(file.path);
    }
    device.sync();
    assert_folder_holds(&device, &[]);
    assert_gone(&world, &client, &here);
    let left: Vec<String> = client
        .list()
        .into_iter()
        .filter(|name| !name.starts_with(".pangaea/"))
        .filter(|name| !uses_plain_calls() || here.iter().all(|file| file.path != *name))
        .collect();
    assert!(left.is_empty(), "{left:?} are left in the bucket");
}

#[test]
fn new_files_of_the_folder_are_read_by_the_stock_client() {
    let world = World::new();
    let device = world.device("a");
    let texts = [
        ("note.txt", "a note, größe\n"),
        ("deep/in folders/data.json", "{\"a\": [1, 2]}\n"),
        ("page.html", "<p>hello</p>\n"),
        ("no extension", "text all the same\n"),
        // Not `#`, `?` and `%`: the stock client puts names into addresses as they are.
        ("größe & \"so\".md", "# title\n"),
    ];
    let binary: &[u8] = &[0, 159, 146, 150, 0xff];
    for (path, text) in texts {
        device.write(path, text);
    }
    device.write("data.bin", binary);
    device.write("empty.txt", "");
    device.sync();
    let get = |path: &str| json!({ "operation": "get", "path": path, "decrypt": true });
    let client = world.stock();
    let mut requests: Vec<Value> = texts.iter().map(|(path, _)| get(path)).collect();
    requests.extend([get("data.bin"), get("empty.txt")]);
    let answers = client.perform(&requests);
    for ((path, text), answer) in texts.iter().zip(&answers) {
        assert_eq!(stock::content(answer), text.as_bytes(), "{path}");
        assert_eq!(answer["kind"], "string", "{path}: {answer}");
    }
    assert_eq!(stock::content(&answers[texts.len()]), binary);
    assert_eq!(answers[texts.len()]["kind"], "bytes");
    assert_eq!(stock::content(&answers[texts.len() + 1]), b"");
    // Encrypted is what nobody can read without being asked to decrypt.
    let raw =
        client.perform(&[json!({ "operation": "get", "path": "note.txt", "decrypt": false })]);
    let raw = String::from_utf8(stock::content(&raw[0])).unwrap();
    assert!(
        raw.contains("cipherText") && !raw.contains("a note"),
        "{raw}"
    );
}

#[test]
fn a_bucket_without_encryption_is_plain_for_the_stock_client() {
    let world = World::new();
    let device = world.blank_device("a");
    world.init(&device, &["--plain"]);
    device.write("note.txt", "open to all\n");
    device.write("data.json", "{\"open\": true}\n");
    device.write("data.bin", [0, 1, 0xff]);
    device.sync();
    let get = |path: &str| json!({ "operation": "get", "path": path, "decrypt": false });
    let client = world.stock();
    let answers = client.perform(&[get("note.txt"), get("data.json"), get("data.bin")]);
    assert_eq!(stock::content(&answers[0]), b"open to all\n");
    assert_eq!(answers[0]["kind"], "string");
    assert_eq!(stock::content(&answers[1]), b"{\"open\": true}\n");
    assert_eq!(stock::content(&answers[2]), [0, 1, 0xff]);
    assert_eq!(answers[2]["kind"], "bytes");
}

/// What a device deleted is not there for the stock client.
fn assert_gone(world: &World, client: &StockClient, here: &[StockFile]) {
    // Without `verify`, which makes two requests at once and fails by whichever answer comes first.
    let gets: Vec<Value> = here
        .iter()
        .map(|file| json!({ "operation": "get", "path": file.path, "decrypt": file.encrypt }))
        .collect();
    if uses_plain_calls() {
        let stats = world.stats();
        for file in here {
            let (tag, _) = &stats[file.path];
            assert!(tag.contains(EMPTY_TAG), "{}: {tag}", file.path);
        }
    } else {
        for (get, answer) in gets.iter().zip(client.session(&gets)) {
            assert_eq!(answer["error"]["status"], 404, "{get}: {answer}");
        }
    }
}
