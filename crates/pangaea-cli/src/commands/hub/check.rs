//! `pangaea hub check`: looks for damage in what a hub has stored.

use pangaea_hub::check;
use pangaea_hub::check::CheckReport;
use serde_json::json;

use super::task::followed;
use crate::cli::HubCheckArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;
use crate::words::bytes;
use crate::words::count;

pub(crate) fn run(args: &HubCheckArgs, output: &Output) -> Result<Exit, CliError> {
    let report = followed(output, |tell| check::check(&args.data, tell))?;
    let report = report.map_err(|error| CliError::failed(error.to_string()))?;
    let data = args.data.display().to_string();
    let document = json!({ "event": "checked", "data": data, "report": report });
    output.result(&document, || summary(&report))?;
    Ok(match report.problems {
        0 => Exit::Done,
        _ => Exit::NeedsPerson,
    })
}

fn summary(report: &CheckReport) -> String {
    let mut lines = vec![format!(
        "Checked {} ({}) in {}.",
        count(report.files, "file"),
        bytes(report.bytes),
        count(report.buckets, "bucket")
    )];
    if report.unreferenced_blobs > 0 {
        lines.push(format!(
            "Left by replaced files or a crash: {} ({}); a hub collects that when it starts.",
            count(report.unreferenced_blobs, "blob"),
            bytes(report.unreferenced_bytes)
        ));
    }
    if report.staged > 0 {
        lines.push(format!(
            "{} under way, or cut off when the hub died; it removes those when it starts.",
            count(report.staged, "upload")
        ));
    }
    if report.foreign > 0 {
        lines.push(format!(
            "{} among the blobs that no hub has put there; left alone.",
            count(report.foreign, "file")
        ));
    }
    lines.push(match report.problems {
        0 => "Nothing is wrong.".to_owned(),
        1 => "One thing is wrong; it is listed above.".to_owned(),
        problems => format!("{problems} things are wrong; they are listed above."),
    });
    lines.join("\n")
}
