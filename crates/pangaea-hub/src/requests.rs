//! What becomes of requests: one line each in the log, and the counts.
//!
//! No token and no path is ever in these lines, and of a bucket's address only the beginning.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, Response};
use http_body::Body as _;

use crate::config::RequestLog;
use crate::hub::Hub;
use crate::respond::{Body, Refused};
use crate::routes::{Route, RouteName};

/// How much of a bucket's address is shown: enough to tell a few apart, not to find one.
const ADDRESS_CHARS: usize = 6;

/// Gives every request a number, by which its lines are found.
#[derive(Debug)]
pub(crate) struct Requests(AtomicU64);

impl Requests {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// A request whose answer begins now.
    pub(crate) fn answered(
        &self,
        hub: &Hub,
        method: &Method,
        route: Option<Route<'_>>,
        answer: &Response<Body>,
        time: Duration,
    ) {
        let id = self.0.fetch_add(1, Ordering::Relaxed);
        let name = route.map_or(RouteName::Unknown, Route::name);
        let status = answer.status();
        hub.metrics().answered(name, status, time);
        let refused = answer.extensions().get::<Refused>();
        if let Some(refused) = refused {
            hub.metrics().refused(refused.cause);
            if let Some(fault) = &refused.fault {
                tracing::error!(
                    request = id,
                    route = name.as_str(),
                    fault,
                    "a request failed"
                );
                hub.metrics().failed(format!("{}: {fault}", name.as_str()));
            }
        }
        let line = Line {
            id,
            method: method.as_str(),
            route: name.as_str(),
            bucket: route.and_then(Route::bucket).map(beginning),
            status: status.as_u16(),
            bytes: answer.body().size_hint().exact(),
            time,
            cause: refused.map(|refused| refused.cause),
        };
        line.write(hub.config().log.requests);
    }
}

struct Line<'a> {
    id: u64,
    method: &'a str,
    route: &'static str,
    bucket: Option<&'a str>,
    status: u16,
    /// In the body of the answer; nothing if they are counted only while it is sent.
    bytes: Option<u64>,
    time: Duration,
    cause: Option<&'static str>,
}

impl Line<'_> {
    fn write(&self, level: RequestLog) {
        // Where an event is made its level must be a constant.
        macro_rules! write_at {
            ($level:ident) => {
                tracing::event!(
                    tracing::Level::$level,
                    request = self.id,
                    method = self.method,
                    route = self.route,
                    bucket = self.bucket,
                    status = self.status,
                    bytes = self.bytes,
                    ms = self.time.as_secs_f64() * 1000.0,
                    cause = self.cause,
                    "request"
                )
            };
        }
        match level {
            RequestLog::Info => write_at!(INFO),
            RequestLog::Debug => write_at!(DEBUG),
        }
    }
}

fn beginning(bucket: &str) -> &str {
    bucket.get(..ADDRESS_CHARS).unwrap_or("short")
}
