//! `pangaea status`: what is stored, what waits, and why. Looks only: also while another process
//! syncs, and when the hub is down.

use std::collections::BTreeMap;

use gaia::path::FilePath;
use pangaea::mirror::Change;
use pangaea::mirror::Scope;
use pangaea_core::engine::HubState;
use pangaea_core::engine::Status;
use pangaea_core::state::Problem;
use pangaea_core::state::ProblemKind;
use serde_json::Value;
use serde_json::json;

use crate::cli::FolderArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::live;
use crate::live::Live;
use crate::live::Task;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;
use crate::report::Report;
use crate::round;
use crate::view::View;
use crate::words;

/// All that is told.
struct Summary {
    status: Status,
    problems: BTreeMap<FilePath, Problem>,
    report: Report,
    live: Option<Live>,
    device: String,
    conflicts: usize,
    /// Files that changed in the folder and are not in the journal yet.
    unread: usize,
}

pub(crate) async fn run(args: FolderArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let view = View::open(&dir).await?;
    let summary = summarize(&dir, &view)?;
    output.result(&summary.document(&dir), || summary.words(&dir))?;
    Ok(Exit::Done)
}

fn summarize(dir: &ReplicaDir, view: &View) -> Result<Summary, CliError> {
    let scan = view.mirror.scan(Scope::All)?;
    let is_touched = |change: &&Change| matches!(change, Change::Touched { .. });
    let unread = scan.changes.len() - scan.changes.iter().filter(is_touched).count();
    let mut status = Status {
        files: view.files().count(),
        pending: 0,
        pending_bytes: 0,
        oldest_ms: None,
        in_flight: 0,
        parked: 0,
        hub: HubState::Ready,
    };
    let mut problems = BTreeMap::new();
    for (path, entry) in &view.entries {
        if let Some(pending) = &entry.pending {
            status.pending += 1;
            status.pending_bytes += entry.local.file().map_or(0, |file| file.size);
            let oldest = status.oldest_ms.unwrap_or(u64::MAX).min(pending.since_ms);
            status.oldest_ms = Some(oldest);
        }
        if let Some(problem) = &entry.problem
            && problem.kind != ProblemKind::Ignored
        {
            status.parked += 1;
            problems.insert(path.clone(), problem.clone());
        }
    }
    Ok(Summary {
        status,
        problems,
        report: Report::read(&dir.report_file()),
        live: live::read(dir),
        device: view.device().unwrap_or("none yet").to_owned(),
        conflicts: view.conflicts().len(),
        unread,
    })
}

impl Summary {
    fn document(&self, dir: &ReplicaDir) -> Value {
        let parked: Vec<Value> = self
            .problems
            .iter()
            .map(|(path, problem)| round::problem_document(path, problem.kind, &problem.message))
            .collect();
        let running = self.live.as_ref().map(|live| {
            json!({ "pid": live.pid, "task": live.task, "done": live.done, "left": live.left })
        });
        json!({
            "folder": dir.folder().display().to_string(),
            "bucket": dir.config.bucket,
            "hub": dir.config.hub,
            "device": self.device,
            "files": self.status.files,
            "pending": round::pending_document(&self.status),
            "unread": self.unread,
            "in_flight": self.in_flight(),
            "running": running,
            "last_success": self.report.last_success_ms.and_then(words::iso_time),
            "last_error": self.report.last_error.as_ref().map(round::error_document),
            "next_try": self.next_try_ms().and_then(words::iso_time),
            "parked": parked,
            "conflicts": self.conflicts,
            "delayed": self.report.delayed.first,
            "not_synced": self.report.refused.first,
            "left_out": self.report.notes.first,
            "unusable_on_hub": self.report.unusable.first,
        })
    }

    /// Requests under way; none if the process at work does not tell.
    fn in_flight(&self) -> Option<usize> {
        match &self.live {
            Some(live) => live.in_flight,
            None => Some(0),
        }
    }

    fn next_try_ms(&self) -> Option<u64> {
        self.live.as_ref().and_then(|live| live.next_try_ms)
    }

    fn words(&self, dir: &ReplicaDir) -> String {
        let now_ms = words::now_ms();
        let mut lines = vec![
            format!("folder  {}", dir.folder().display()),
            format!("bucket  {}", dir.config.bucket),
            format!("hub     {}", dir.config.hub),
            format!("device  {}", self.device),
            format!("files   {}", words::grouped(self.status.files as u64)),
            String::new(),
        ];
        lines.push(self.pending_words(now_ms));
        if self.unread > 0 {
            let files = words::count(self.unread as u64, "file");
            lines.push(format!(
                "{files} changed in the folder since it was last taken in."
            ));
        }
        lines.push(match self.report.last_success_ms {
            Some(then_ms) => format!("Everything was stored {}.", words::ago(then_ms, now_ms)),
            None => "It was never synced completely.".to_owned(),
        });
        lines.push(self.live_words());
        if let Some(error) = &self.report.last_error {
            let passed = words::duration(now_ms.saturating_sub(error.at_ms));
            lines.push(format!("\nIn the way for {passed}: {}.", error.message));
            lines.push(error.kind.meaning().to_owned());
        }
        match (self.next_try_ms(), &self.live) {
            (Some(at_ms), _) => {
                lines.push(format!("The next try is {}.", words::until(at_ms, now_ms)));
            }
            (None, Some(_)) => {}
            (None, None) => lines.push("The next try is the next `pangaea sync`.".to_owned()),
        }
        self.add_paths(&mut lines);
        lines.join("\n")
    }

    fn pending_words(&self, now_ms: u64) -> String {
        match (self.status.pending, self.status.oldest_ms) {
            (0, _) => "Nothing waits to be sent.".to_owned(),
            (_, None) => format!("{} to be sent.", round::waiting_words(&self.status)),
            (_, Some(oldest_ms)) => format!(
                "{} to be sent, the oldest for {}.",
                round::waiting_words(&self.status),
                words::duration(now_ms.saturating_sub(oldest_ms))
            ),
        }
    }

    fn live_words(&self) -> String {
        match &self.live {
            None => "No process keeps it in sync right now.".to_owned(),
            Some(Live {
                task,
                pid,
                left,
                in_flight,
                ..
            }) => {
                let task = match task {
                    Task::Sync => "is syncing it",
                    Task::Watch => "keeps it in sync",
                };
                let flight = match in_flight {
                    Some(count) => format!(", {} in flight", words::grouped(*count as u64)),
                    None => String::new(),
                };
                let steps = words::count(*left, "step");
                format!("Process {pid} {task}: {steps} left{flight}.")
            }
        }
    }

    fn add_paths(&self, lines: &mut Vec<String>) {
        if !self.problems.is_empty() {
            lines.push("\nThese wait for somebody:".to_owned());
            let problem =
                |(path, problem): (&FilePath, &Problem)| format!("  {path}: {}", problem.message);
            round::add_some(lines, self.problems.iter().map(problem));
        }
        if self.conflicts > 0 {
            let conflicts = words::count(self.conflicts as u64, "conflict");
            lines.push(format!("\n{conflicts}: see `pangaea conflicts`."));
        }
        let kinds = [
            (
                &self.report.delayed,
                "The last sync left these for the next one:",
            ),
            (
                &self.report.refused,
                "These are not synced until somebody acts:",
            ),
            (&self.report.notes, "These are left out:"),
            (&self.report.unusable, "These are on the hub only:"),
        ];
        for (names, title) in kinds {
            if names.total > 0 {
                lines.push(format!("\n{title}"));
                let name = |one: &crate::report::Name| format!("  {}: {}", one.name, one.reason);
                round::add_some(lines, names.first.iter().map(name));
            }
        }
    }
}
