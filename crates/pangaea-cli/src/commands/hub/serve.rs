//! `pangaea hub --data DIR`: runs the hub.

use std::path::Path;

use pangaea_hub::ConfigSources;
use pangaea_hub::Hub;
use pangaea_hub::RunningHub;
use pangaea_hub::openapi;
use serde_json::json;

use crate::cli::ApiDocument;
use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::logging;
use crate::output::Output;
use crate::signals::HangUp;
use crate::signals::Stop;

pub(crate) fn run(args: ServeArgs, output: &Output) -> Result<Exit, CliError> {
    if let Some(which) = args.print_openapi {
        output.text(match which {
            ApiDocument::Hub => openapi::text(),
            ApiDocument::Admin => openapi::admin_text(),
        })?;
        return Ok(Exit::Done);
    }
    let is_check = args.check_config;
    let sources = sources(args)?;
    let loaded = sources.load()?;
    if is_check {
        for warning in &loaded.warnings {
            output.warning(warning);
        }
        loaded.check_outside()?;
        output.result(&json!({ "config": loaded.to_json() }), || loaded.describe())?;
        return Ok(Exit::Done);
    }
    logging::configure(loaded.config.log);
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| CliError::failed(format!("the system gives out no threads: {error}")))?;
    runtime.block_on(serve(sources, output))
}

async fn serve(sources: ConfigSources, output: &Output) -> Result<Exit, CliError> {
    // A terminal that goes away takes the hub with it, unless it was set up to stay.
    let (mut stop, mut hang_up) = match sources.file() {
        Some(_) => Stop::listen_apart_from_hang_up()?,
        None => (Stop::listen()?, HangUp::never()),
    };
    let hub = Hub::start_from(sources).await?;
    let document = json!({
        "event": "ready",
        "url": hub.url(),
        "listen": hub.local_addr().to_string(),
        "data": hub.config().data_dir.display().to_string(),
    });
    output.result(&document, || {
        format!("The hub is at {} (Ctrl-C stops it).", hub.url())
    })?;
    let mut changes = hub.config_changes();
    loop {
        tokio::select! {
            () = stop.asked() => break,
            () = hang_up.received() => reload(&hub).await,
            Ok(()) = changes.changed() => logging::configure(changes.borrow_and_update().log),
        }
    }
    hub.shutdown().await?;
    Ok(Exit::Done)
}

/// Nobody waits for the outcome of a signal, so the log gets to know it.
async fn reload(hub: &RunningHub) {
    if let Err(error) = hub.reload().await {
        tracing::error!("the settings stay as they are:\n{error}");
    }
}

fn sources(args: ServeArgs) -> Result<ConfigSources, CliError> {
    let mut sources = ConfigSources::new().with_environment(std::env::vars_os());
    if let Some(file) = args.config {
        sources = sources.with_file(file);
    }
    let allow = (!args.allow.is_empty()).then(|| args.allow.join(","));
    let data = args.data.as_deref().map(utf8).transpose()?;
    let options = [
        (
            "--listen",
            "listen.address",
            args.listen.map(|address| address.to_string()),
        ),
        ("--data", "storage.data_dir", data),
        ("--public-url", "listen.public_url", args.public_url),
        ("--read-url", "listen.read_url", args.read_url),
        ("--server-name", "access.server_name", args.server_name),
        (
            "--max-file-megabytes",
            "limits.max_file_megabytes",
            args.max_file_megabytes.map(|number| number.to_string()),
        ),
        ("--allow", "access.allow", allow),
    ];
    for (option, key, text) in options {
        if let Some(text) = text {
            sources = sources.with_option(option, key, text);
        }
    }
    Ok(sources)
}

fn utf8(path: &Path) -> Result<String, CliError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| CliError::usage(format!("--data {}: not UTF-8", path.display())))
}
