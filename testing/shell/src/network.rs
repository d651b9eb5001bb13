//! What lies between a device and the hub: a proxy, whose moods are drawn from the seed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use gaia::challenge::challenge_text;
use gaia::etag::ETag;
use gaia::token::TokenBuilder;
use pangaea_kit::proxy::Fate;
use pangaea_kit::proxy::Proxy;
use serde_json::Value;
use serde_json::json;

use crate::device::IDLE_TIMEOUT_MS;
use crate::device::key;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::settings::Planted;
use crate::world::Timeline;
use pangaea_kit::random::Random;

/// How many writes pass between two that are thrown away, where that is planted.
const HONEST_PERMILLE: u64 = 850;

/// Has the proxy of a device draw what becomes of each request.
pub fn make_trouble(
    proxy: &Proxy,
    device: usize,
    (faults, planted): (Arc<Mutex<Faults>>, Option<Planted>),
    mut rng: Random,
    timeline: Timeline,
) {
    proxy.take_reads();
    proxy.judge(Box::new(move |method, path| {
        let mut faults = faults.lock().unwrap();
        let is_lie = planted == Some(Planted::WriteThrownAway)
            && path.starts_with("/store/")
            && !faults.rates().is_empty()
            && !rng.chance(HONEST_PERMILLE);
        let fate = if is_lie {
            Fate::Lie(success)
        } else {
            draw(method, &mut faults, &mut rng)
        };
        if !matches!(fate, Fate::Pass) {
            timeline.note(&format!("device {device}: {method} {path}: {fate:?}"));
        }
        fate
    }));
}

fn draw(method: &str, faults: &mut Faults, rng: &mut Random) -> Fate {
    if method == "CONNECT" {
        return if faults.strikes(Fault::Refused, rng) {
            Fate::Cut
        } else {
            Fate::Pass
        };
    }
    let order = [
        Fault::LostRequest,
        Fault::LostAnswer,
        Fault::HalfAnswer,
        Fault::Delay,
        Fault::Slow,
        Fault::Silence,
        Fault::Unwell,
        Fault::Portal,
        Fault::Redirect,
        Fault::Twice,
    ];
    // Where one begins is drawn, so that none of them hides the others.
    let start = rng.index(order.len());
    let mut turned = order.iter().cycle().skip(start).take(order.len());
    let struck = turned.find(|fault| faults.strikes(**fault, rng));
    match struck {
        Some(Fault::LostRequest) => Fate::Cut,
        Some(Fault::LostAnswer) => Fate::LoseAnswer,
        Some(Fault::HalfAnswer) => Fate::HalfAnswer,
        Some(Fault::Delay) => Fate::Delay(rng.below(40)),
        Some(Fault::Slow) => Fate::Slow(rng.below(5)),
        Some(Fault::Silence) => Fate::Delay(IDLE_TIMEOUT_MS * 2),
        Some(Fault::Unwell) => Fate::Status([429, 502, 503][rng.index(3)]),
        Some(Fault::Portal) => Fate::Portal,
        Some(Fault::Redirect) => {
            let targets = [
                "http://portal.invalid/login",
                "/hub_info",
                "/read/elsewhere",
            ];
            Fate::Redirect(targets[rng.index(targets.len())])
        }
        Some(Fault::Twice) => Fate::Twice,
        _ => Fate::Pass,
    }
}

/// The words of a hub that has stored this.
fn success(body: &[u8]) -> Value {
    json!({"publicURL": "http://hub.invalid/read/a", "etag": ETag::of(body).as_str()})
}

/// Reads a file of the hub without any proxy and stores it with one more line, on condition that
/// nobody else did, as stock programs do. Nothing if the file is not a plain one, or has just
/// changed. What was there, and what is there now.
pub async fn write_plainly(hub: SocketAddr, path: &str, token: u32) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = key();
    let bucket = key.address();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let http = client.build().unwrap();
    let url = format!("http://{hub}/read/{bucket}/{path}");
    let response = http.get(url).send().await.ok()?;
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (content_type, tag) = (header("content-type").unwrap_or_default(), header("etag"));
    let is_there = response.status().is_success();
    let before = match response.bytes().await.ok()? {
        bytes if is_there => bytes.to_vec(),
        _ => Vec::new(),
    };
    if content_type.contains("enc=") {
        return None;
    }
    let mut after = before.clone();
    after.extend_from_slice(format!("line {token}\n").as_bytes());
    let condition = match tag {
        Some(tag) if is_there => ("if-match", tag),
        _ => ("if-none-match", "*".to_owned()),
    };
    let token = TokenBuilder::new(challenge_text("gaia-0"), [7; 16]);
    let request = http
        .post(format!("http://{hub}/store/{bucket}/{path}"))
        .header("authorization", token.sign(&key).ok()?.authorization())
        .header("content-type", "text/plain; charset=utf-8")
        .header(condition.0, condition.1);
    let response = request.body(after.clone()).send().await.ok()?;
    response.status().is_success().then_some((before, after))
}
