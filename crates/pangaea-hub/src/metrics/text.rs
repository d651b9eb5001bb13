//! The counts in the text format of Prometheus, version 0.0.4.

use std::fmt::{self, Write as _};
use std::time::UNIX_EPOCH;

use super::{Counter, Metrics, as_float, lock};
use crate::index::Stored;
use crate::routes::RouteName;

/// What is looked up when somebody asks, not counted. What could not be found out is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    pub(crate) stored: Option<Stored>,
    pub(crate) free_bytes: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) followers: u64,
    pub(crate) queued: u64,
}

/// Writes everything.
pub(crate) fn write(metrics: &Metrics, now: &Now) -> String {
    let mut out = String::new();
    // Writing to a text does not fail.
    write_all(&mut out, metrics, now).ok();
    out
}

fn write_all(out: &mut String, metrics: &Metrics, now: &Now) -> fmt::Result {
    head(
        out,
        "build_info",
        "gauge",
        "The version, as a label of a one.",
    )?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "pangaea_hub_build_info{{version=\"{version}\"}} 1")?;
    write_requests(out, metrics)?;
    let refused = lock(&metrics.refused).clone();
    head(
        out,
        "refused_total",
        "counter",
        "Refused requests and operations of batches, by cause.",
    )?;
    for (cause, count) in refused {
        writeln!(
            out,
            "pangaea_hub_refused_total{{cause=\"{cause}\"}} {count}"
        )?;
    }
    write_counters(out, metrics)?;
    head(
        out,
        "commit_requests",
        "histogram",
        "Requests in one transaction of the index.",
    )?;
    metrics
        .group_requests
        .write(out, "pangaea_hub_commit_requests", "", 1.0)?;
    head(
        out,
        "commit_seconds",
        "histogram",
        "Time of one transaction, with its sync to the disk.",
    )?;
    metrics
        .group_micros
        .write(out, "pangaea_hub_commit_seconds", "", 1e6)?;
    write_gauges(out, metrics, now)?;
    let began = metrics.began_at.duration_since(UNIX_EPOCH);
    let began = began.unwrap_or_default().as_secs_f64();
    writeln!(
        out,
        "# HELP process_start_time_seconds When the hub began.\n\
         # TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {began}"
    )?;
    if let Some(bytes) = now.memory_bytes {
        writeln!(
            out,
            "# HELP process_resident_memory_bytes Memory that the process has.\n\
             # TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}"
        )?;
    }
    Ok(())
}

fn write_requests(out: &mut String, metrics: &Metrics) -> fmt::Result {
    head(
        out,
        "requests_total",
        "counter",
        "Answered requests, by route and class of the status.",
    )?;
    for (name, route) in RouteName::ALL.iter().zip(&metrics.routes) {
        for (class, count) in (1..).zip(route.classes.iter().map(Counter::get)) {
            if count > 0 {
                let name = name.as_str();
                writeln!(
                    out,
                    "pangaea_hub_requests_total{{route=\"{name}\",status=\"{class}xx\"}} {count}"
                )?;
            }
        }
    }
    head(
        out,
        "request_seconds",
        "histogram",
        "Time from the head of a request to the head of its answer.",
    )?;
    for (name, route) in RouteName::ALL.iter().zip(&metrics.routes) {
        if route.micros.counts().iter().any(|count| *count > 0) {
            let labels = format!("route=\"{}\"", name.as_str());
            let name = "pangaea_hub_request_seconds";
            route.micros.write(out, name, &labels, 1e6)?;
        }
    }
    Ok(())
}

fn write_counters(out: &mut String, metrics: &Metrics) -> fmt::Result {
    let counters = [
        (
            "received_bytes_total",
            "Bytes in the bodies of requests.",
            &metrics.received_bytes,
        ),
        (
            "sent_bytes_total",
            "Bytes in the bodies of answers.",
            &metrics.sent_bytes,
        ),
        (
            "connections_total",
            "Accepted connections.",
            &metrics.accepted,
        ),
        (
            "blobs_collected_total",
            "Blobs that nothing used any more and that were removed.",
            &metrics.blobs_collected,
        ),
        (
            "token_cache_hits_total",
            "Tokens that were known already.",
            &metrics.token_hits,
        ),
        (
            "token_cache_misses_total",
            "Tokens whose signature had to be looked at.",
            &metrics.token_misses,
        ),
    ];
    for (name, help, counter) in counters {
        head(out, name, "counter", help)?;
        writeln!(out, "pangaea_hub_{name} {}", counter.get())?;
    }
    Ok(())
}

fn write_gauges(out: &mut String, metrics: &Metrics, now: &Now) -> fmt::Result {
    let stored = now.stored;
    let gauges = [
        (
            "connections",
            "Open connections of clients.",
            Some(metrics.connections.count()),
        ),
        (
            "followers",
            "Requests that wait for a bucket to change.",
            Some(now.followers),
        ),
        (
            "commit_queue",
            "Requests whose changes wait for a transaction.",
            Some(now.queued),
        ),
        (
            "buckets",
            "Buckets that anything was ever written to.",
            stored.map(|stored| stored.buckets),
        ),
        ("files", "Files.", stored.map(|stored| stored.usage.files)),
        (
            "stored_bytes",
            "Bytes in files, each file counted by itself.",
            stored.map(|stored| stored.usage.bytes),
        ),
        (
            "disk_free_bytes",
            "Bytes that are free where the data folder is.",
            now.free_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            head(out, name, "gauge", help)?;
            writeln!(out, "pangaea_hub_{name} {}", as_float(value))?;
        }
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(
        out,
        "# HELP pangaea_hub_{name} {help}\n# TYPE pangaea_hub_{name} {kind}"
    )
}
