//! One sync until nothing more can be done now, and how that is told.

use gaia::path::FilePath;
use pangaea::replica::FolderReport;
use pangaea::replica::Progress;
use pangaea::replica::Replica;
use pangaea::replica::RoundEnd;
use pangaea_core::engine::HubState;
use pangaea_core::engine::Status;
use pangaea_core::io::Event;
use pangaea_core::io::Question;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::is_reserved;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;

use crate::cli::Answers;
use crate::error::CliError;
use crate::error::Exit;
use crate::open::Opened;
use crate::output::Output;
use crate::progress;
use crate::replica_dir::ReplicaDir;
use crate::report::Report;
use crate::report::exit_of;
use crate::words;

/// History is kept up to so many bytes of content.
const HISTORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// So many lines about single files are told at once.
const LINES_MAX: usize = 10;

/// What happened during a sync.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    received: u64,
    conflicts: Vec<(FilePath, FilePath)>,
}

impl Tally {
    fn take(&mut self, replica: &mut Replica) {
        while let Some(event) = replica.poll_event() {
            match event {
                Event::Stored { path, .. } if !is_reserved(&path) => self.sent += 1,
                Event::Changed { path } if !is_reserved(&path) => self.received += 1,
                Event::Conflict { path, copy } => self.conflicts.push((path, copy)),
                Event::Stored { .. }
                | Event::Changed { .. }
                | Event::Quiet
                | Event::Parked { .. }
                | Event::Waiting { .. }
                | Event::Paused { .. }
                | Event::Halted(_) => {}
            }
        }
    }
}

/// Syncs and tells how it ended.
pub(crate) async fn sync_once(
    dir: &ReplicaDir,
    opened: &mut Opened,
    answers: Answers,
    output: &Output,
) -> Result<Exit, CliError> {
    let status = work(dir, &mut opened.replica, answers, output).await?;
    let mut tally = Tally::default();
    tally.take(&mut opened.replica);
    let mut report = Report::read(&dir.report_file());
    report.note(&opened.replica, &status, words::now_ms());
    let exit = exit_of(&status, opened.replica.folder_report());
    if exit == Exit::Done {
        clean(&mut opened.replica).await;
    }
    report.store(&dir.report_file())?;
    let told = Told {
        replica: &opened.replica,
        status: &status,
        report: &report,
        exit,
    };
    output.result(&told.document(&tally), || told.words(&tally))?;
    Ok(exit)
}

/// Takes in what changed in the folder and leaves the hub alone.
pub(crate) async fn take_in(
    dir: &ReplicaDir,
    opened: &mut Opened,
    output: &Output,
) -> Result<Exit, CliError> {
    opened.replica.scan_folder().await?;
    let mut report = Report::read(&dir.report_file());
    report.note_folder(opened.replica.folder_report());
    report.store(&dir.report_file())?;
    let status = opened.replica.status();
    let exit = exit_of(&status, opened.replica.folder_report());
    let told = Told {
        replica: &opened.replica,
        status: &status,
        report: &report,
        exit,
    };
    output.result(&told.document(&Tally::default()), || {
        let mut lines = vec![match status.pending {
            0 => "Nothing waits to be sent.".to_owned(),
            _ => format!("{} to be sent.", waiting_words(&status)),
        }];
        told.add_lines(&mut lines);
        lines.join("\n")
    })?;
    Ok(exit)
}

async fn work(
    dir: &ReplicaDir,
    replica: &mut Replica,
    answers: Answers,
    output: &Output,
) -> Result<Status, CliError> {
    let (sender, progress) = watch::channel(Progress { done: 0, left: 0 });
    let mut on_progress = move |progress| {
        sender.send_replace(progress);
    };
    tokio::select! {
        status = rounds(replica, answers, &mut on_progress) => status,
        never = progress::show(dir, output, progress) => match never {},
    }
}

/// Rounds until nothing is left to do, or to answer.
async fn rounds(
    replica: &mut Replica,
    answers: Answers,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Status, CliError> {
    let mut left = answers;
    loop {
        match replica.round(on_progress).await? {
            RoundEnd::Complete => return Ok(replica.status()),
            RoundEnd::Left(status) => match &status.hub {
                HubState::Halted(question) if left.take(question) => {
                    replica.accept(question.clone());
                }
                HubState::Halted(_)
                | HubState::Ready
                | HubState::Waiting { .. }
                | HubState::Paused { .. } => return Ok(*status),
            },
        }
    }
}

impl Answers {
    /// Whether the person said yes to this; each yes counts once.
    pub(crate) fn take(&mut self, question: &Question) -> bool {
        let answer = match question {
            Question::MassDelete { .. } => &mut self.accept_deletes,
            Question::OtherBucket => &mut self.accept_new_bucket,
        };
        std::mem::take(answer)
    }
}

/// Cuts history to its limits, once a day. To be called when nothing is under way.
pub(crate) async fn clean(replica: &mut Replica) {
    if let Err(error) = replica.clean(HISTORY_BYTES_MAX).await {
        // Nothing is wrong but the space that it takes; tomorrow is another day.
        tracing::warn!(%error, "history could not be cut to its limits");
    }
}

/// How things are after a sync, to be told.
struct Told<'a> {
    replica: &'a Replica,
    status: &'a Status,
    report: &'a Report,
    exit: Exit,
}

impl Told<'_> {
    fn document(&self, tally: &Tally) -> Value {
        let state = match self.exit {
            Exit::Done => "stored",
            Exit::Pending | Exit::Failed | Exit::Usage => "pending",
            Exit::NeedsPerson => "needs-person",
        };
        let conflicts: Vec<Value> = tally
            .conflicts
            .iter()
            .map(|(path, copy)| json!({ "path": path.as_str(), "copy": copy.as_str() }))
            .collect();
        let next_try_ms = self.replica.next_turn_ms();
        json!({
            "state": state,
            "exit_code": self.exit.code(),
            "files": self.status.files,
            "sent": tally.sent,
            "received": tally.received,
            "conflicts": conflicts,
            "pending": pending_document(self.status),
            "parked": self.parked().collect::<Vec<_>>(),
            "not_synced": self.report.refused.first,
            "delayed": self.report.delayed.first,
            "error": self.error(),
            "next_try": next_try_ms.and_then(words::iso_time),
        })
    }

    fn error(&self) -> Option<Value> {
        self.report.last_error.as_ref().map(error_document)
    }

    fn parked(&self) -> impl Iterator<Item = Value> {
        self.replica
            .problems()
            .filter(|(_, problem)| problem.kind != ProblemKind::Ignored)
            .map(|(path, problem)| problem_document(path, problem.kind, &problem.message))
    }

    fn words(&self, tally: &Tally) -> String {
        let mut lines = Vec::new();
        let moved = match (tally.sent, tally.received) {
            (0, 0) => String::new(),
            (sent, 0) => format!(" Sent {}.", words::count(sent, "change")),
            (0, received) => format!(" Received {}.", words::count(received, "change")),
            (sent, received) => format!(
                " Sent {}, received {}.",
                words::count(sent, "change"),
                words::grouped(received)
            ),
        };
        let files = words::count(self.status.files as u64, "file");
        lines.push(match self.exit {
            Exit::Done => format!("Everything is stored: {files}.{moved}"),
            _ if self.status.pending > 0 => format!("{}.{moved}", waiting_words(self.status)),
            _ => format!("Nothing waits here, and not everything is done.{moved}"),
        });
        self.add_lines(&mut lines);
        add_some(&mut lines, self.delayed_lines());
        if let Some(error) = &self.report.last_error {
            lines.push(words::sentence(&error.message));
            lines.push(error.kind.meaning().to_owned());
        }
        let conflict = |(path, copy): &(FilePath, FilePath)| {
            format!("  conflict: {path} was changed on two devices; the other version is {copy}")
        };
        add_some(&mut lines, tally.conflicts.iter().map(conflict));
        lines.join("\n")
    }

    /// Lines about what is left for a later sync, if that is all that is wrong.
    fn delayed_lines(&self) -> impl Iterator<Item = String> {
        let delayed = &self.report.delayed.first;
        let has_reason = self.exit != Exit::Pending
            || self.report.last_error.is_some()
            || !delayed.is_empty()
            || !self.replica.folder_report().unsettled.is_empty();
        let otherwise = (!has_reason)
            .then(|| "Files changed while this sync ran; the next one sends them.".to_owned());
        delayed
            .iter()
            .map(|one| format!("  {}: {}; the next sync tries again", one.name, one.reason))
            .chain(otherwise)
    }

    /// Lines about what is not synced.
    fn add_lines(&self, lines: &mut Vec<String>) {
        let parked = self
            .replica
            .problems()
            .filter(|(_, problem)| problem.kind != ProblemKind::Ignored);
        add_some(
            lines,
            parked.map(|(path, problem)| format!("  {path}: {}", problem.message)),
        );
        let folder: &FolderReport = self.replica.folder_report();
        add_some(
            lines,
            folder.refused.iter().map(|refused| format!("  {refused}")),
        );
        let unsettled = |path| format!("  {path}: it is being written all the time");
        add_some(lines, folder.unsettled.iter().map(unsettled));
    }
}

/// `3 changes wait here (1.2 MiB)`.
pub(crate) fn waiting_words(status: &Status) -> String {
    let verb = if status.pending == 1 { "waits" } else { "wait" };
    format!(
        "{} {verb} here ({})",
        words::count(status.pending as u64, "change"),
        words::bytes(status.pending_bytes)
    )
}

/// The JSON form of what waits.
pub(crate) fn pending_document(status: &Status) -> Value {
    json!({
        "count": status.pending,
        "bytes": status.pending_bytes,
        "oldest": status.oldest_ms.and_then(words::iso_time),
    })
}

/// The JSON form of what stands in the way.
pub(crate) fn error_document(error: &crate::report::LastError) -> Value {
    json!({
        "at": words::iso_time(error.at_ms),
        "kind": error.kind,
        "message": error.message,
        "meaning": error.kind.meaning(),
    })
}

/// The JSON form of a path that waits for somebody.
pub(crate) fn problem_document(path: &FilePath, kind: ProblemKind, message: &str) -> Value {
    let kind = match kind {
        ProblemKind::Refused => "refused",
        ProblemKind::Damaged => "damaged",
        ProblemKind::Newer => "newer",
        ProblemKind::Device => "device",
        ProblemKind::Undecided => "undecided",
        ProblemKind::Ignored => "ignored",
    };
    json!({ "path": path.as_str(), "kind": kind, "message": message })
}

/// Adds the first lines, and how many more there would be.
pub(crate) fn add_some(lines: &mut Vec<String>, all: impl Iterator<Item = String>) {
    let mut all = all.fuse();
    lines.extend(all.by_ref().take(LINES_MAX));
    match all.count() {
        0 => {}
        more => lines.push(format!("  … and {} more", words::grouped(more as u64))),
    }
}
