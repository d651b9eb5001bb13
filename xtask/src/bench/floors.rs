//! The floors: what has to hold for a change to be good enough, judged from the medians.

use std::time::Duration;

use super::Scenario;
use super::contender::Contender;
use super::report::Report;

/// How long a sync that finds nothing may take beyond the start of the process.
const NO_OP_LIMIT: Duration = Duration::from_millis(100);

/// How much memory the client may have resident.
const MEMORY_LIMIT_BYTES: u64 = 100_000_000;

/// One promise and what was measured.
pub struct Floor {
    /// What is promised.
    pub promise: String,
    /// What was measured.
    pub measured: String,
    pub(super) held: bool,
}

impl Floor {
    /// Tells whether the promise held.
    pub fn held(&self) -> bool {
        self.held
    }
}

/// Judges every floor for which both sides were measured.
pub fn judge(report: &Report) -> Vec<Floor> {
    let ours = [Contender::Pangaea, Contender::PangaeaPlain];
    let mut floors = Vec::new();
    for contender in ours {
        for scenario in Scenario::ALL
            .into_iter()
            .filter(|scenario| *scenario != Scenario::Start)
        {
            floors.extend(ahead(report, contender, scenario));
        }
        floors.extend(no_op(report, contender));
        floors.extend(memory(report, contender));
    }
    floors
}

fn ahead(report: &Report, contender: Contender, scenario: Scenario) -> Option<Floor> {
    let ours = report.median(contender, scenario)?;
    let (best, rival) = Contender::ALL
        .into_iter()
        .filter(|other| !other.is_pangaea())
        .filter_map(|other| Some((report.median(other, scenario)?, other)))
        .min()?;
    Some(Floor {
        promise: format!("{}: {} ahead of rclone", contender.name(), scenario.name()),
        measured: format!(
            "{:.3} s, {} {:.3} s, {:.1} times",
            ours.as_secs_f64(),
            rival.name(),
            best.as_secs_f64(),
            best.as_secs_f64() / ours.as_secs_f64()
        ),
        held: ours < best,
    })
}

fn no_op(report: &Report, contender: Contender) -> Option<Floor> {
    let whole = report.median(contender, Scenario::NoOp)?;
    let start = report.median(contender, Scenario::Start)?;
    let beyond = whole.saturating_sub(start);
    Some(Floor {
        promise: format!(
            "{}: no-op sync under {} ms beyond process start",
            contender.name(),
            NO_OP_LIMIT.as_millis()
        ),
        measured: format!("{:.1} ms", beyond.as_secs_f64() * 1000.0),
        held: beyond < NO_OP_LIMIT,
    })
}

fn memory(report: &Report, contender: Contender) -> Option<Floor> {
    let peak = report.peak_bytes(contender)?;
    Some(Floor {
        promise: format!(
            "{}: client memory under {} MB",
            contender.name(),
            MEMORY_LIMIT_BYTES / 1_000_000
        ),
        measured: format!("{}.{} MB", peak / 1_000_000, peak / 100_000 % 10),
        held: peak < MEMORY_LIMIT_BYTES,
    })
}
