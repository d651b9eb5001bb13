//! `pangaea hub --data DIR`: runs the hub.

use std::collections::BTreeSet;

use gaia::address::Address;
use pangaea_hub::Hub;
use pangaea_hub::HubConfig;
use serde_json::json;

use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;
use crate::signals::Stop;

pub(crate) fn run(args: ServeArgs, output: &Output) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| CliError::failed(format!("the system gives out no threads: {error}")))?;
    runtime.block_on(serve(args, output))
}

async fn serve(args: ServeArgs, output: &Output) -> Result<Exit, CliError> {
    let mut stop = Stop::listen()?;
    let data = args.data.display().to_string();
    let hub = Hub::start(config(args)?).await?;
    let document = json!({
        "event": "ready",
        "url": hub.url(),
        "listen": hub.local_addr().to_string(),
        "data": data,
    });
    output.result(&document, || {
        format!("The hub is at {} (Ctrl-C stops it).", hub.url())
    })?;
    stop.asked().await;
    hub.shutdown().await?;
    Ok(Exit::Done)
}

fn config(args: ServeArgs) -> Result<HubConfig, CliError> {
    let mut config = HubConfig::new(args.data, args.listen);
    config.public_url = args.public_url;
    config.read_url = args.read_url;
    config.max_file_megabytes = args.max_file_megabytes;
    if let Some(name) = args.server_name {
        config.server_name = name;
    }
    if !args.allow.is_empty() {
        let mut allowed = BTreeSet::new();
        for text in &args.allow {
            let address = Address::parse(text)
                .map_err(|error| CliError::usage(format!("--allow {text}: {error}")))?;
            allowed.insert(address);
        }
        config.whitelist = Some(allowed);
    }
    Ok(config)
}
