//! The status page of the admin service: one page for a person, with everything in it.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gaia::address::Address;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, Response};
use sha2::{Digest as _, Sha256};

use crate::health::{Readiness, readiness};
use crate::hub::Hub;
use crate::metrics::{Now, as_float};
use crate::quota::Usage;
use crate::respond::{self, Body};

const STYLE: &str = include_str!("status.css");

/// The buckets that are shown.
const LARGEST_MAX: u32 = 10;

/// Seconds after which the page asks again.
const REFRESH_SECONDS: &str = "15";

/// The page as of now.
pub(crate) async fn page(hub: &Hub) -> Response<Body> {
    let now = hub.now().await;
    let ready = readiness(hub).await;
    let largest = hub.index().largest(LARGEST_MAX).await;
    let largest = largest.unwrap_or_else(|error| {
        hub.note(&error.into());
        Vec::new()
    });
    let mut html = String::new();
    // Writing to a text does not fail.
    write_page(&mut html, hub, &now, ready, &largest).ok();
    let mut response = Response::new(respond::bytes(html));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("refresh", HeaderValue::from_static(REFRESH_SECONDS));
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn write_page(
    out: &mut String,
    hub: &Hub,
    now: &Now,
    ready: Readiness,
    largest: &[(Address, Usage)],
) -> fmt::Result {
    let name = escaped(&hub.config().server_name);
    write!(
        out,
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{name} · Pangaea hub</title><style>{STYLE}</style></head><body><header>\
         <h1>Pangaea hub <span>{name}</span></h1>{}</header><main>",
        state(ready)
    )?;
    write_tiles(out, hub, now)?;
    write_requests(out, hub)?;
    write_buckets(out, hub, largest)?;
    write_refusals(out, hub)?;
    write_failures(out, hub)?;
    write_facts(out, hub, now)?;
    write!(out, "</main></body></html>")
}

fn state(ready: Readiness) -> String {
    if ready.is_ready() {
        return "<p class=\"state good\">Ready</p>".to_owned();
    }
    let mut why = Vec::new();
    for (sign, words) in [
        (ready.serving, "it is stopping"),
        (ready.index, "the index cannot be written"),
        (ready.disk, "the disk is nearly full"),
    ] {
        if sign.as_str() != "ok" {
            why.push(words);
        }
    }
    format!("<p class=\"state bad\">Not ready: {}</p>", why.join(", "))
}

fn write_tiles(out: &mut String, hub: &Hub, now: &Now) -> fmt::Result {
    let (time, routes) = hub.metrics().lately();
    let requests: u64 = routes.iter().map(|route| route.requests).sum();
    let per_second = as_float(requests) / time.as_secs_f64().max(1.0);
    let stored = now.stored.unwrap_or_default();
    let free = now.free_bytes.map_or_else(|| "?".to_owned(), bytes);
    write!(out, "<section class=\"tiles\" aria-label=\"Overview\">")?;
    for (value, what) in [
        (format!("{per_second:.1}"), "requests a second"),
        (grouped(stored.buckets), "buckets"),
        (grouped(stored.usage.files), "files"),
        (bytes(stored.usage.bytes), "stored"),
        (free, "free on the disk"),
        (grouped(now.followers), "followers"),
    ] {
        write!(out, "<div><b>{value}</b><span>{what}</span></div>")?;
    }
    write!(out, "</section>")
}

fn write_requests(out: &mut String, hub: &Hub) -> fmt::Result {
    let (time, routes) = hub.metrics().lately();
    let time = duration(time);
    write!(
        out,
        "<section><h2>Requests <small>the last {time}</small></h2>"
    )?;
    if routes.is_empty() {
        return write!(
            out,
            "<p class=\"none\">Nobody asked for anything.</p></section>"
        );
    }
    write!(
        out,
        "<div class=\"wide\"><table><thead><tr><th>Route<th>Requests<th>Half within<th>99 % within\
         </tr></thead><tbody>"
    )?;
    for route in routes {
        let name = route.route.as_str();
        let count = grouped(route.requests);
        let half = millis(route.half_within);
        let most = millis(route.most_within);
        write!(out, "<tr><th>{name}<td>{count}<td>{half}<td>{most}</tr>")?;
    }
    write!(out, "</tbody></table></div></section>")
}

fn write_buckets(out: &mut String, hub: &Hub, largest: &[(Address, Usage)]) -> fmt::Result {
    write!(out, "<section><h2>Largest buckets</h2>")?;
    if largest.is_empty() {
        return write!(
            out,
            "<p class=\"none\">Nothing has been stored yet.</p></section>"
        );
    }
    write!(
        out,
        "<div class=\"wide\"><table><thead><tr><th>Bucket<th>Files<th>Bytes<th>Of its quota</tr></thead>\
         <tbody>"
    )?;
    let config = hub.config();
    for (bucket, usage) in largest {
        let (files, stored) = (grouped(usage.files), bytes(usage.bytes));
        let quota = match config.quota.of(bucket).bytes {
            None => "<td class=\"none\">no limit".to_owned(),
            Some(max) => format!(
                "<td><meter min=\"0\" max=\"{max}\" high=\"{}\" value=\"{}\"></meter> of {}",
                max / 10 * 9,
                usage.bytes,
                bytes(max)
            ),
        };
        write!(
            out,
            "<tr><th><code>{bucket}</code><td>{files}<td>{stored}{quota}</tr>"
        )?;
    }
    write!(out, "</tbody></table></div></section>")
}

fn write_refusals(out: &mut String, hub: &Hub) -> fmt::Result {
    let refused = hub.metrics().refused_lately();
    write!(
        out,
        "<section><h2>Refused <small>the last hour</small></h2>"
    )?;
    if refused.is_empty() {
        return write!(out, "<p class=\"none\">Nothing.</p></section>");
    }
    write!(out, "<ul class=\"causes\">")?;
    for (cause, count) in refused {
        let count = grouped(count);
        write!(out, "<li><b>{count}</b> {}</li>", words(cause))?;
    }
    write!(out, "</ul></section>")
}

fn write_failures(out: &mut String, hub: &Hub) -> fmt::Result {
    let failures = hub.metrics().failures();
    write!(
        out,
        "<section><h2>Failures <small>since the start</small></h2>"
    )?;
    if failures.is_empty() {
        return write!(out, "<p class=\"none\">None.</p></section>");
    }
    write!(out, "<ol class=\"failures\">")?;
    for line in failures {
        let text = escaped(&line.text);
        let ago = SystemTime::now()
            .duration_since(line.at)
            .unwrap_or_default();
        let ago = duration(ago);
        let at = httpdate::fmt_http_date(line.at);
        write!(out, "<li><time title=\"{at}\">{ago} ago</time> {text}</li>")?;
    }
    write!(out, "</ol></section>")
}

fn write_facts(out: &mut String, hub: &Hub, now: &Now) -> fmt::Result {
    let metrics = hub.metrics();
    let folder = hub.config().data_dir.display().to_string();
    let memory = now.memory_bytes.map_or_else(|| "?".to_owned(), bytes);
    write!(out, "<section><h2>This hub</h2><dl>")?;
    for (name, value) in [
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Running for", duration(metrics.uptime())),
        ("Data folder", escaped(&folder)),
        ("Memory", memory),
        ("Connections", grouped(metrics.connections.count())),
        ("Received", bytes(metrics.received_bytes.get())),
        ("Sent", bytes(metrics.sent_bytes.get())),
        ("Changes that wait", grouped(now.queued)),
    ] {
        write!(out, "<div><dt>{name}<dd>{value}</div>")?;
    }
    write!(out, "</dl></section>")
}

/// A cause in words for people.
fn words(cause: &'static str) -> &'static str {
    match cause {
        "auth" => "tokens that did not open the bucket",
        "path" => "impossible paths",
        "route" => "unknown addresses",
        "missing" => "files that are not there",
        "precondition" => "writes that came second",
        "size" => "too large",
        "quota" => "full buckets",
        "rate" => "too many requests",
        "request" | "type" | "head" => "senseless requests",
        "cursor" => "expired cursors",
        "undone" => "parts of refused batches",
        "slow" => "clients that were too slow",
        "incomplete" => "clients that went away",
        "range" => "impossible ranges",
        "stopping" => "while stopping",
        "busy" => "while busy",
        "full" => "for want of disk space",
        "index" => "failures of the index",
        "disk" => "failures of the disk",
        other => other,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn bytes(bytes: u64) -> String {
    let mut value = as_float(bytes);
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            let digits = usize::from(value < 10.0 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.0} PiB")
}

/// A number with a thin space after each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn millis(micros: Option<f64>) -> String {
    match micros.map(|micros| micros / 1000.0) {
        None => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 1000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1000.0),
    }
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(50 << 30), "50 GiB");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(millis(Some(1500.0)), "1.5 ms");
        assert_eq!(millis(Some(2_500_000.0)), "2.5 s");
        assert_eq!(duration(Duration::from_secs(90_000)), "1 d 1 h");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(escaped("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;");
    }
}
