//! `pangaea hub backup`: copies everything that a hub has stored.

use pangaea_hub::backup;
use pangaea_hub::backup::BackupReport;
use serde_json::json;

use super::task::followed;
use crate::cli::HubBackupArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;
use crate::words::bytes;
use crate::words::count;

pub(crate) fn run(args: &HubBackupArgs, output: &Output) -> Result<Exit, CliError> {
    let report = followed(output, |tell| backup::backup(&args.data, &args.to, tell))?;
    let report = report.map_err(|error| CliError::failed(error.to_string()))?;
    let (data, to) = (
        args.data.display().to_string(),
        args.to.display().to_string(),
    );
    let document = json!({ "event": "backed-up", "data": data, "to": to, "report": report });
    output.result(&document, || summary(&report))?;
    Ok(match report.problems {
        0 => Exit::Done,
        _ => Exit::NeedsPerson,
    })
}

fn summary(report: &BackupReport) -> String {
    let mut lines = vec![format!(
        "The backup has {}: {} copied ({}), {} there already, {} no longer needed.",
        count(report.files, "file"),
        count(report.copied_blobs, "blob"),
        bytes(report.copied_bytes),
        report.kept_blobs,
        report.removed_blobs
    )];
    if report.problems > 0 {
        lines.push(format!(
            "{} could not be copied, because the original is damaged; the list is above.",
            count(report.problems, "blob")
        ));
    }
    lines.join("\n")
}
