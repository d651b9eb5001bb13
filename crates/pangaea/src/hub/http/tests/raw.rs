//! A server that answers exactly what a test wants, also what no HTTP library would send.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

/// What a stock hub says of itself, but for where it is read.
pub const CHALLENGE: &str = r#"[\"gaiahub\",\"0\",\"gaia-0\",\"blockstack_storage_please_sign\"]"#;
/// Requests whose target holds this are answered before their body is read.
pub const EARLY: &str = "answered-early";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    /// Method and target, to be matched on.
    pub fn line(&self) -> (&str, &str) {
        (&self.method, &self.target)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What a test wants to be done about a request.
pub enum Reply {
    /// Send these bytes and go on.
    Send(Vec<u8>),
    /// Send these bytes and close the connection.
    SendAndClose(Vec<u8>),
    /// Send these bytes and then nothing, without closing.
    Stall(Vec<u8>),
    /// Answer as a stock hub's `hub_info`.
    Info,
}

/// An answer with a body of announced length.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    Reply::Send(answer_bytes(status, headers, body))
}

pub fn answer_bytes(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n" + body).into_bytes()
}

/// The server, on loopback. It stays until the process ends.
pub struct RawServer {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl RawServer {
    pub fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (reply, log, base) = (Arc::new(reply), Arc::clone(&asked), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (reply, log, base) = (Arc::clone(&reply), Arc::clone(&log), base.clone());
                std::thread::spawn(move || serve(stream, &*reply, &log, &base));
            }
        });
        Self { url, asked }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The methods and targets so far, without the first words of the session.
    pub fn lines(&self) -> Vec<String> {
        let asked = self.asked();
        let lines = asked
            .iter()
            .map(|asked| format!("{} {}", asked.method, asked.target));
        lines.filter(|line| line != "GET /hub_info").collect()
    }

    /// How often the hub was asked what it is.
    pub fn sessions(&self) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.target == "/hub_info")
            .count()
    }
}

fn serve(
    stream: TcpStream,
    reply: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    log: &Mutex<Vec<Asked>>,
    base: &str,
) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_request(&mut reader) {
        log.lock().unwrap().push(asked.clone());
        let (bytes, goes_on) = match reply(&asked) {
            Reply::Send(bytes) => (bytes, true),
            Reply::SendAndClose(bytes) => (bytes, false),
            Reply::Stall(bytes) => {
                writer.write_all(&bytes).ok();
                std::thread::sleep(Duration::from_secs(60));
                return;
            }
            Reply::Info => (stock_info(base), true),
        };
        if writer.write_all(&bytes).is_err() || !goes_on {
            return;
        }
    }
}

pub fn stock_info(base: &str) -> Vec<u8> {
    let info = format!(
        r#"{{"challenge_text":"{CHALLENGE}","latest_auth_version":"v1","max_file_upload_size_megabytes":20,"read_url_prefix":"{base}/read/"}}"#
    );
    let headers = [("Date", "Mon, 23 Nov 2026 10:00:00 GMT")];
    answer_bytes("200 OK", &headers, &info)
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    let mut next_line = |reader: &mut BufReader<TcpStream>| {
        line.clear();
        let length = reader.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let first = next_line(reader)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = next_line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut asked = Asked {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    assert_eq!(
        asked.header("transfer-encoding"),
        None,
        "lengths are always announced"
    );
    let length = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    if !asked.target.contains(EARLY) {
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body).ok()?;
    }
    Some(asked)
}
