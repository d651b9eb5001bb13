//! `pangaea hub import`: takes over what a stock hub has stored.

use pangaea_hub::import;
use pangaea_hub::import::Finding;
use pangaea_hub::import::ImportEvent;
use pangaea_hub::import::ImportReport;
use pangaea_hub::import::Originals;
use serde_json::json;

use super::task::Bar;
use super::task::printed;
use crate::cli::HubImportArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;
use crate::words;

pub(crate) fn run(args: &HubImportArgs, output: &Output) -> Result<Exit, CliError> {
    let originals = if args.moves {
        Originals::Move
    } else {
        Originals::Keep
    };
    let mut bar = Bar::new(output);
    let mut unprinted = Ok(());
    let report = import::import(&args.dir, &args.data, originals, &mut |event| match event {
        ImportEvent::Progress { files, bytes } => bar.so_far(|| {
            let files = words::count(files, "file");
            format!("{files} ({})", words::bytes(bytes))
        }),
        ImportEvent::Finding(finding) => {
            bar.aside(|| printed(&mut unprinted, || tell(&finding, output)));
        }
        _ => {}
    });
    drop(bar);
    let report = report.map_err(|error| CliError::failed(error.to_string()))?;
    unprinted?;
    let (dir, data) = (
        args.dir.display().to_string(),
        args.data.display().to_string(),
    );
    let document = json!({ "event": "imported", "dir": dir, "data": data, "report": report });
    output.result(&document, || summary(&report))?;
    Ok(match report.left {
        0 => Exit::Done,
        _ => Exit::NeedsPerson,
    })
}

fn tell(finding: &Finding, output: &Output) -> Result<(), CliError> {
    let document = json!({
        "event": if finding.kind.is_left() { "left" } else { "remark" },
        "kind": finding.kind,
        "name": finding.name,
        "message": finding.message,
    });
    output.result(&document, || {
        let what = if finding.kind.is_left() {
            "left where it is: "
        } else {
            ""
        };
        format!("{}: {what}{}", finding.name, finding.message)
    })
}

fn summary(report: &ImportReport) -> String {
    let mut lines = vec![format!(
        "Imported {} ({}); {} replaced an older one, {} were there already, {} taken over.",
        words::count(report.imported + report.replaced, "file"),
        words::bytes(report.bytes),
        report.replaced,
        report.known,
        words::count(report.revocations, "revocation"),
    )];
    if report.left > 0 {
        lines.push(format!(
            "{} left where it was found; the list is above.",
            words::count(report.left, "thing")
        ));
    }
    lines.join("\n")
}
