//! How the fields of [`HubConfig`](super::HubConfig) become values of settings, and the other way
//! round. Which setting uses which of these is said in `settings`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use gaia::address::Address;
use http::{HeaderValue, Uri};
use ipnet::IpNet;

use super::HubUrlRule;
use super::value::Value;

pub(super) fn text(value: Value) -> String {
    match value {
        Value::Text(text) => text,
        // `Takes` lets neither of these through to a setting that is a text.
        Value::Whole(number) => number.to_string(),
        Value::List(items) => items.join(","),
    }
}

pub(super) fn list(value: Value) -> Vec<String> {
    match value {
        Value::List(items) => items,
        Value::Text(text) => vec![text],
        Value::Whole(number) => vec![number.to_string()],
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every row's `get` returns this")]
pub(super) fn chosen(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "every row's `get` returns this")]
pub(super) fn get_shown(value: &impl ToString) -> Option<Value> {
    Some(Value::Text(value.to_string()))
}

pub(super) fn set_parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    value: Value,
) -> Result<T, String> {
    text(value)
        .parse()
        .map_err(|error: T::Err| error.to_string())
}

pub(super) fn get_text(value: &Option<String>) -> Option<Value> {
    value.clone().map(Value::Text)
}

/// Takes a URL that a path can be put behind.
pub(super) fn set_url(value: Value) -> Result<Option<String>, String> {
    let text = text(value);
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    if is_web && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none() {
        Ok(Some(text))
    } else {
        Err("it begins with http:// or https:// and a host, and has no query".to_owned())
    }
}

pub(super) fn set_header(value: Value) -> Result<String, String> {
    let text = text(value);
    let is_good = HeaderValue::from_str(&text).is_ok_and(|value| value.to_str().is_ok());
    if is_good {
        Ok(text)
    } else {
        Err("a header is one line of plain ASCII".to_owned())
    }
}

pub(super) fn get_whole<T: Copy + TryInto<u64>>(number: &T) -> Option<Value> {
    (*number).try_into().ok().map(Value::Whole)
}

pub(super) fn set_whole<T: TryFrom<u64>>(value: Value) -> Result<T, String> {
    let too_large = || "it is too large for this machine".to_owned();
    match value {
        Value::Whole(number) => number.try_into().map_err(|_| too_large()),
        Value::Text(_) | Value::List(_) => Err(too_large()),
    }
}

pub(super) fn get_optional<T: Copy + Into<u64>>(number: &Option<T>) -> Option<Value> {
    number.map(|number| Value::Whole(number.into()))
}

pub(super) fn set_optional<T: TryFrom<u64>>(value: Value) -> Result<Option<T>, String> {
    set_whole(value).map(Some)
}

#[expect(clippy::unnecessary_wraps, reason = "every row's `get` returns this")]
pub(super) fn get_seconds(time: &Duration) -> Option<Value> {
    Some(Value::Whole(time.as_secs()))
}

pub(super) fn set_seconds(value: Value) -> Result<Duration, String> {
    set_whole(value).map(Duration::from_secs)
}

pub(super) fn get_path(path: &Option<PathBuf>) -> Option<Value> {
    let path = path.as_ref()?;
    Some(Value::Text(path.display().to_string()))
}

#[expect(clippy::unnecessary_wraps, reason = "every row's `set` returns this")]
pub(super) fn set_path(value: Value) -> Result<Option<PathBuf>, String> {
    Ok(Some(text(value).into()))
}

pub(super) fn get_whitelist(allowed: &Option<BTreeSet<Address>>) -> Option<Value> {
    let allowed = allowed.as_ref()?;
    Some(Value::List(
        allowed.iter().map(Address::to_string).collect(),
    ))
}

pub(super) fn set_whitelist(value: Value) -> Result<Option<BTreeSet<Address>>, String> {
    let items = list(value);
    if items.is_empty() {
        let problem = "an empty list would let nobody write; leave the setting out to let \
                       everybody write";
        return Err(problem.to_owned());
    }
    let parse =
        |item: String| Address::parse(&item).map_err(|error| format!("\"{item}\": {error}"));
    items
        .into_iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map(Some)
}

pub(super) fn get_hub_urls(rule: &HubUrlRule) -> Option<Value> {
    match rule {
        HubUrlRule::Any => None,
        HubUrlRule::OneOf(urls) => Some(Value::List(urls.clone())),
    }
}

pub(super) fn set_nets(value: Value) -> Result<Vec<IpNet>, String> {
    let parse = |item: String| {
        let address = item.parse().map(|address: std::net::IpAddr| address.into());
        address
            .or_else(|_| item.parse())
            .map_err(|_| format!("\"{item}\" is neither an address nor a network"))
    };
    list(value).into_iter().map(parse).collect()
}

pub(super) fn shown_net(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}
