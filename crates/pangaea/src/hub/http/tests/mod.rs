//! The client against a real hub, and against servers that answer what no hub should.

mod answers;
mod feed;
mod gathered;
mod listings;
mod raw;
mod real;
mod resumed;
mod transfers;

use futures_util::StreamExt;
use gaia::etag::ETag;
use gaia::key::SecretKey;
use gaia::path::FilePath;
use pangaea_core::plan::Condition;

use super::HttpHub;
use super::HttpHubConfig;
use crate::hub::Hub;
use crate::hub::HubBody;
use crate::hub::HubError;
use crate::hub::HubOutcome;
use crate::hub::HubRead;

fn config(url: &str) -> HttpHubConfig {
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    HttpHubConfig::new(url, key)
}

fn client(url: &str) -> HttpHub {
    HttpHub::new(config(url)).unwrap()
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn bytes(text: &str) -> HubBody {
    HubBody::Bytes(text.to_owned().into())
}

async fn create(hub: &HttpHub, name: &str, text: &str) -> Result<HubOutcome, HubError> {
    hub.write(
        &path(name),
        "text/plain; charset=utf-8",
        bytes(text),
        &Condition::Create,
    )
    .await
}

async fn replace(
    hub: &HttpHub,
    name: &str,
    text: &str,
    tag: &ETag,
) -> Result<HubOutcome, HubError> {
    let condition = Condition::Replace(tag.clone());
    hub.write(
        &path(name),
        "text/plain; charset=utf-8",
        bytes(text),
        &condition,
    )
    .await
}

fn done(text: &str) -> HubOutcome {
    HubOutcome::Done(Some(ETag::of(text.as_bytes())))
}

/// Reads a body to its end, or to the error that cut it off.
async fn drain(read: HubRead) -> Result<Vec<u8>, HubError> {
    let mut body = read.body;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

fn is_unreachable<T>(outcome: &Result<T, HubError>) -> bool {
    matches!(outcome, Err(HubError::Unreachable { .. }))
}

/// The outcome of every call there is.
async fn every_call(hub: &HttpHub) -> Vec<Result<(), HubError>> {
    let tag = ETag::of(b"a");
    vec![
        hub.list().await.map(drop),
        hub.read(&path("a")).await.map(drop),
        create(hub, "a", "a").await.map(drop),
        replace(hub, "a", "b", &tag).await.map(drop),
        hub.delete(&path("a"), &tag).await.map(drop),
    ]
}
