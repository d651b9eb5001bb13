//! Keeps a folder in sync for as long as the program runs: on the folder's own events, when the
//! hub says that something changed, on a look at the bucket now and then for a hub that does not
//! say, and when the engine's waits are over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pangaea::hub::Hub;
use pangaea::hub::HubError;
use pangaea::hub::HubNews;
use pangaea::hub::http::HttpHub;
use pangaea::mirror::FolderEvent;
use pangaea::mirror::Watch;
use pangaea::mirror::WatchOptions;
use pangaea_core::engine::HubState;
use pangaea_core::engine::Status;
use pangaea_core::io::Event;
use pangaea_core::state::Local;
use pangaea_core::state::is_reserved;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cli::Answers;
use crate::error::CliError;
use crate::live::Live;
use crate::live::LiveFile;
use crate::live::Task;
use crate::open::Opened;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;
use crate::report::Report;
use crate::report::question_words;
use crate::round;
use crate::signals::Stop;
use crate::words;

/// A look at the whole folder, in case the system lost an event.
const FULL_SCAN_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Files that change while they are read are looked at again after this time.
const UNSETTLED_DELAY: Duration = Duration::from_secs(1);
/// "All is well" is stored at most so often.
const REPORT_INTERVAL_MS: u64 = 60 * 1_000;
/// After a refused sign-in, the hub is tried again after this time.
const SIGN_IN_INTERVAL: Duration = Duration::from_secs(60);

/// After a hub that does not tell of changes, or cannot be reached, it is asked again for news.
const NEWS_PAUSE: Duration = Duration::from_secs(5);
/// A hub that tells of changes is asked for all of them so often all the same.
const TOLD_POLL_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Between doing all that can be done and looking again.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// While much is going on, onlookers are told so often.
const LIVE_INTERVAL: Duration = Duration::from_secs(1);

/// How to follow.
pub(crate) struct FollowOptions {
    pub(crate) poll_interval: Duration,
    pub(crate) answers: Answers,
}

/// Syncs until somebody asks to stop, or this device's own storage fails.
pub(crate) async fn follow(
    dir: &ReplicaDir,
    opened: &mut Opened,
    options: FollowOptions,
    stop: &mut Stop,
    output: &Output,
) -> Result<(), CliError> {
    let (sender, folder_events) = mpsc::unbounded_channel();
    // Nobody listens any more only when this function has ended.
    let _watch: Watch = opened.mirror.watch(WatchOptions::default(), move |event| {
        drop(sender.send(event));
    })?;
    let report = Report::read(&dir.report_file());
    let mut follower = Follower {
        opened,
        report_file: dir.report_file(),
        options,
        output,
        stored: report.clone(),
        report,
        live: LiveFile::new(dir),
        live_at: Instant::now(),
        is_waiting: false,
        poll_at: Instant::now(),
        full_scan_at: Instant::now() + FULL_SCAN_INTERVAL,
        unsettled_at: None,
        has_settled: false,
    };
    let worked = tokio::select! {
        worked = follower.work(folder_events) => worked,
        () = stop.asked() => Ok(()),
    };
    worked?;
    follower.end()
}

struct Follower<'a> {
    opened: &'a mut Opened,
    options: FollowOptions,
    output: &'a Output,
    report: Report,
    report_file: PathBuf,
    /// As the file has it.
    stored: Report,
    live: LiveFile,
    live_at: Instant,
    /// The hub was seen failing, and not well since.
    is_waiting: bool,
    poll_at: Instant,
    full_scan_at: Instant,
    unsettled_at: Option<Instant>,
    /// Everything was stored when this was told last.
    has_settled: bool,
}

impl Follower<'_> {
    async fn work(
        &mut self,
        mut folder_events: mpsc::UnboundedReceiver<FolderEvent>,
    ) -> Result<(), CliError> {
        self.opened.replica.begin_round();
        self.poll_at = Instant::now() + self.options.poll_interval;
        self.opened.replica.scan_folder().await?;
        let hub = Arc::clone(&self.opened.hub);
        let mut news = Box::pin(next_news(Arc::clone(&hub), Duration::ZERO));
        let mut is_busy = true;
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                Some(event) = folder_events.recv() => {
                    self.take_folder_event(event).await?;
                    is_busy = true;
                }
                more = self.opened.replica.turn(), if is_busy => {
                    is_busy = more?;
                    self.tell_events()?;
                    if !is_busy {
                        is_busy = self.settle().await?;
                    } else if self.live_at.elapsed() >= LIVE_INTERVAL {
                        self.tell_live(&self.opened.replica.status());
                    }
                }
                // While the hub is unwell, the engine knows when to ask it again.
                told = &mut news, if !is_busy && !self.is_waiting => {
                    let pause = if told.is_ok() { Duration::ZERO } else { NEWS_PAUSE };
                    news = Box::pin(next_news(Arc::clone(&hub), pause));
                    self.opened.replica.begin_round();
                    is_busy = true;
                }
                () = tokio::time::sleep_until(wake_at), if !is_busy => {
                    self.wake().await?;
                    is_busy = true;
                }
            }
        }
    }

    /// When something is to be done without anything happening.
    fn wake_at(&self) -> Instant {
        let turn = self.opened.replica.next_turn_ms().map(|at_ms| {
            Instant::now() + Duration::from_millis(at_ms.saturating_sub(words::now_ms()))
        });
        [turn, self.unsettled_at]
            .into_iter()
            .flatten()
            .chain([self.poll_at, self.full_scan_at])
            .min()
            .unwrap_or(self.poll_at)
            // A wait that is over and leads to nothing must not turn into a busy loop.
            .max(Instant::now() + PAUSE_MIN)
    }

    async fn wake(&mut self) -> Result<(), CliError> {
        let now = Instant::now();
        if now >= self.full_scan_at {
            self.scan_all().await?;
        }
        if self.unsettled_at.is_some_and(|at| now >= at) {
            let paths = self.opened.replica.folder_report().unsettled.clone();
            self.opened.replica.scan_paths(paths).await?;
            self.note_unsettled();
        }
        if now >= self.poll_at {
            self.poll_at = now + self.options.poll_interval;
            if self.opened.hub.tells_news().await {
                self.poll_at = now + self.options.poll_interval.max(TOLD_POLL_INTERVAL);
            }
            match self.opened.replica.status().hub {
                HubState::Ready => self.opened.replica.begin_round(),
                HubState::Paused { .. } => {
                    self.poll_at = now + SIGN_IN_INTERVAL;
                    self.opened.replica.begin_round();
                }
                // The engine knows when.
                HubState::Waiting { .. } => {}
                // A person does.
                HubState::Halted(_) => {}
            }
        }
        Ok(())
    }

    async fn take_folder_event(&mut self, event: FolderEvent) -> Result<(), CliError> {
        match event {
            FolderEvent::Paths(paths) => {
                self.opened.replica.scan_paths(paths).await?;
                self.note_unsettled();
            }
            FolderEvent::Everything => self.scan_all().await?,
            FolderEvent::Polling(reason) => {
                let words = format!("the folder is looked at now and then only: {reason}");
                self.output.warning(&words);
                self.scan_all().await?;
            }
        }
        Ok(())
    }

    async fn scan_all(&mut self) -> Result<(), CliError> {
        self.full_scan_at = Instant::now() + FULL_SCAN_INTERVAL;
        self.opened.replica.scan_folder().await?;
        self.note_unsettled();
        Ok(())
    }

    fn note_unsettled(&mut self) {
        let is_settled = self.opened.replica.folder_report().unsettled.is_empty();
        self.unsettled_at = (!is_settled).then(|| Instant::now() + UNSETTLED_DELAY);
    }

    /// Nothing can be done right now: tells how things are. True: there is something to do after
    /// all.
    async fn settle(&mut self) -> Result<bool, CliError> {
        if self.opened.replica.scan_again().await? {
            return Ok(true);
        }
        let status = self.opened.replica.status();
        if let HubState::Halted(question) = &status.hub
            && self.options.answers.take(question)
        {
            self.opened.replica.accept(question.clone());
            return Ok(true);
        }
        if is_waiting(&status) {
            self.is_waiting = true;
        } else {
            self.tell_back()?;
        }
        self.tell_settled(&status)?;
        self.report
            .note(&self.opened.replica, &status, words::now_ms());
        if status.hub == HubState::Ready && status.pending == 0 {
            round::clean(&mut self.opened.replica).await;
        }
        self.store_report()?;
        self.tell_live(&status);
        Ok(false)
    }

    fn tell_live(&mut self, status: &Status) {
        self.live_at = Instant::now();
        let progress = self.opened.replica.progress();
        self.live.tell(Live {
            pid: std::process::id(),
            task: Task::Watch,
            in_flight: Some(status.in_flight),
            done: progress.done,
            left: progress.left,
            next_try_ms: self.opened.replica.next_turn_ms(),
        });
    }

    /// Says once that everything is stored, when it was not before.
    fn tell_settled(&mut self, status: &Status) -> Result<(), CliError> {
        let is_settled = status.hub == HubState::Ready && status.pending == 0;
        let was_settled = std::mem::replace(&mut self.has_settled, is_settled);
        if !is_settled || was_settled {
            return Ok(());
        }
        let files = words::count(status.files as u64, "file");
        let document = json!({ "event": "settled", "files": status.files });
        self.tell(document, &format!("everything is stored: {files}"))
    }

    /// Stores the report if it says something new.
    fn store_report(&mut self) -> Result<(), CliError> {
        let age = |report: &Report| report.last_success_ms.unwrap_or(0);
        let is_news = Report {
            last_success_ms: None,
            ..self.report.clone()
        } != Report {
            last_success_ms: None,
            ..self.stored.clone()
        };
        if is_news || age(&self.report) >= age(&self.stored) + REPORT_INTERVAL_MS {
            self.report.store(&self.report_file)?;
            self.stored = self.report.clone();
        }
        Ok(())
    }

    fn tell_events(&mut self) -> Result<(), CliError> {
        while let Some(event) = self.opened.replica.poll_event() {
            if matches!(event, Event::Stored { .. } | Event::Changed { .. }) {
                self.tell_back()?;
            }
            if let Some((document, words)) = self.event_words(event) {
                self.tell(document, &words)?;
            }
        }
        Ok(())
    }

    /// Says once that the hub answers again.
    fn tell_back(&mut self) -> Result<(), CliError> {
        if !std::mem::take(&mut self.is_waiting) {
            return Ok(());
        }
        // Whoever stops it now need not read that the hub cannot be reached.
        self.report.last_error = None;
        self.tell(json!({ "event": "back" }), "the hub is back")
    }

    fn event_words(&mut self, event: Event) -> Option<(Value, String)> {
        let now_ms = words::now_ms();
        let is_deleted = |path: &_| {
            let entry = self.opened.replica.engine().entry(path);
            entry.is_none_or(|entry| !matches!(entry.local, Local::File(_)))
        };
        match event {
            Event::Quiet => None,
            Event::Stored { path, .. } | Event::Changed { path } if is_reserved(&path) => None,
            Event::Stored { path, version } => {
                self.has_settled = false;
                let (kind, verb) = match is_deleted(&path) {
                    true => ("sent-delete", "sent the deletion of"),
                    false => ("sent", "sent"),
                };
                let version = version.to_string();
                let document = json!({ "event": kind, "path": path.as_str(), "version": version });
                Some((document, format!("{verb} {path}")))
            }
            Event::Changed { path } => {
                self.has_settled = false;
                let (kind, words) = match is_deleted(&path) {
                    true => (
                        "received-delete",
                        format!("deleted {path}, as on another device"),
                    ),
                    false => ("received", format!("received {path}")),
                };
                Some((json!({ "event": kind, "path": path.as_str() }), words))
            }
            Event::Conflict { path, copy } => Some((
                json!({ "event": "conflict", "path": path.as_str(), "copy": copy.as_str() }),
                format!("conflict: {path} was changed on two devices; the other one is {copy}"),
            )),
            Event::Parked { path, message } => Some((
                json!({ "event": "parked", "path": path.as_str(), "message": message }),
                format!("not synced: {path}: {message}"),
            )),
            Event::Waiting { until_ms, message } => {
                self.is_waiting = true;
                let when = words::until(until_ms, now_ms);
                let until = words::iso_time(until_ms);
                let document = json!({ "event": "waiting", "until": until, "message": message });
                Some((document, format!("waiting: {message}; next try {when}")))
            }
            Event::Paused { message } => {
                self.is_waiting = true;
                let document = json!({ "event": "sign-in", "message": message });
                Some((
                    document,
                    format!("a sign-in is needed: {message}; nothing is lost"),
                ))
            }
            Event::Halted(question) => {
                let words = question_words(&question);
                let flag = match question {
                    pangaea_core::io::Question::MassDelete { .. } => "--accept-deletes",
                    pangaea_core::io::Question::OtherBucket => "--accept-new-bucket",
                };
                let document = json!({ "event": "question", "message": words, "accept": flag });
                let hint = "nothing is changed until you say so: stop this, look, and start again";
                Some((document, format!("{words}; {hint} with {flag}")))
            }
        }
    }

    /// One line: with the time for people, one document for programs.
    fn tell(&self, mut document: Value, words: &str) -> Result<(), CliError> {
        let now_ms = words::now_ms();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("at".to_owned(), words::iso_time(now_ms).into());
        }
        let time = words::local_time(now_ms);
        let time = time.split_once(' ').map_or(time.as_str(), |(_, time)| time);
        self.output.result(&document, || format!("{time}  {words}"))
    }

    /// Stores what is not stored yet; what is under way is taken up again at the next start.
    fn end(mut self) -> Result<(), CliError> {
        self.tell_events()?;
        self.report.store(&self.report_file)?;
        let status = self.opened.replica.status();
        let words = match status.pending {
            0 => "stopped; everything is stored".to_owned(),
            _ => format!("stopped; {}", round::waiting_words(&status)),
        };
        let pending = round::pending_document(&status);
        self.tell(json!({ "event": "stopped", "pending": pending }), &words)
    }
}

/// Ends when the hub says that something changed in the bucket, or cannot be waited on.
async fn next_news(hub: Arc<HttpHub>, pause: Duration) -> Result<(), HubError> {
    tokio::time::sleep(pause).await;
    while hub.news().await? == HubNews::NotTold {
        tokio::time::sleep(NEWS_PAUSE).await;
    }
    Ok(())
}

fn is_waiting(status: &Status) -> bool {
    match status.hub {
        HubState::Waiting { .. } | HubState::Paused { .. } => true,
        HubState::Ready | HubState::Halted(_) => false,
    }
}
