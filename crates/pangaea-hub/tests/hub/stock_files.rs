//! Files in all the ways in which the stock clients can store them.

use serde_json::{Value, json};

use crate::node::{bytes, content, request};

const BINARY: &[u8] = &[0, 1, 2, 0xff, 0xfe, b'\n', 0];

/// One way to store a file.
pub struct File {
    pub path: &'static str,
    content: Value,
    /// What `put` gets beside path and content.
    pub options: Value,
    /// What `get` gets beside the path.
    reading: Value,
    /// The type that the hub stores.
    pub stored_as: &'static str,
    /// What the library gives back.
    kind: &'static str,
    pub body: Vec<u8>,
}

pub fn files() -> Vec<File> {
    const TEXT: &str = "text, größe\n";
    const OCTETS: &str = "application/octet-stream";
    const UTF8: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json";
    let text = |text: &str| (json!({"string": text}), "string", text.as_bytes().to_vec());
    let octets = |body: &[u8]| (bytes(body), "bytes", body.to_vec());
    let given_as = |form: &str| {
        let mut content = bytes(BINARY);
        content["as"] = json!(form);
        content["type"] = json!("image/gif");
        (content, "bytes", BINARY.to_vec())
    };
    let plain = || json!({"encrypt": false});
    let typed = |kind: &str| json!({"encrypt": false, "contentType": kind});
    let signed = || json!({"encrypt": false, "sign": true});
    let sealed = |encoding: &str| json!({"encoding": encoding});
    let both = |encoding: &str| json!({"sign": true, "encoding": encoding});
    let large: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    [
        ("plain/text", text(TEXT), plain(), UTF8),
        ("plain/empty", text(""), plain(), UTF8),
        ("plain/data.json", text("{\"a\": 1}"), typed(JSON), JSON),
        (
            "plain/page.html",
            text("<p>"),
            typed("text/html"),
            "text/html",
        ),
        ("plain/bytes", octets(BINARY), plain(), OCTETS),
        ("plain/no bytes", octets(b""), plain(), OCTETS),
        ("plain/large", octets(&large), plain(), OCTETS),
        (
            "plain/image.png",
            octets(BINARY),
            typed("image/png"),
            "image/png",
        ),
        ("plain/buffer", given_as("buffer"), plain(), OCTETS),
        ("plain/view", given_as("view"), plain(), OCTETS),
        ("plain/blob.gif", given_as("blob"), plain(), "image/gif"),
        ("signed/text", text(TEXT), signed(), UTF8),
        ("signed/bytes", octets(BINARY), signed(), OCTETS),
        ("secret/text", text(TEXT), sealed("hex"), JSON),
        ("secret/empty", text(""), sealed("hex"), JSON),
        ("secret/text64", text(TEXT), sealed("base64"), JSON),
        ("secret/bytes", octets(BINARY), sealed("hex"), JSON),
        ("secret/bytes64", octets(&large), sealed("base64"), JSON),
        ("both/text", text(TEXT), both("hex"), JSON),
        ("both/bytes64", octets(BINARY), both("base64"), JSON),
    ]
    .map(|(path, (content, kind, body), options, stored_as)| File {
        path,
        content,
        reading: json!({
            "decrypt": options.get("encrypt").is_none(),
            "verify": options.get("sign").is_some(),
        }),
        options,
        stored_as,
        kind,
        body,
    })
    .into()
}

impl File {
    pub fn put(&self) -> Value {
        let mut request = request("put", self.path, &self.options);
        request["content"] = self.content.clone();
        request
    }

    pub fn get(&self) -> Value {
        request("get", self.path, &self.reading)
    }

    pub fn delete(&self) -> Value {
        let options = json!({"signed": self.has_signature_beside()});
        request("delete", self.path, &options)
    }

    /// Checks what the library has made of it.
    #[track_caller]
    pub fn check(&self, answer: &Value) {
        let (kind, body) = content(answer);
        assert!((kind, &body) == (self.kind, &self.body), "{}", self.path);
    }

    /// Encrypted files carry their signature inside. One beside the file cannot be replaced: the
    /// libraries take it for new every time.
    pub fn has_signature_beside(&self) -> bool {
        self.path.starts_with("signed/")
    }
}

/// The names that a bucket with these files lists.
pub fn names(files: &[File]) -> Vec<String> {
    let mut names = Vec::new();
    for file in files {
        names.push(file.path.to_owned());
        if file.has_signature_beside() {
            names.push(format!("{}.sig", file.path));
        }
    }
    names.sort();
    names
}
