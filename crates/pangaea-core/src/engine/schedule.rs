//! What may run when: which path's turn it is, how many requests are under way, and how long the
//! hub is left alone after a failure.

use gaia::etag::ETag;
use gaia::path::FilePath;

use super::Engine;
use super::InFlight;
use super::step::AfterApply;
use crate::backoff;
use crate::io::Event;
use crate::io::Failure;
use crate::io::Question;
use crate::io::Request;
use crate::io::RequestId;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Remote;

/// Whether the hub can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubState {
    /// As far as is known.
    Ready,
    /// Not before a time, after failures.
    Waiting {
        /// In milliseconds since 1970.
        until_ms: u64,
        /// Failures in a row.
        attempt: u32,
        /// For a person: the last failure.
        message: String,
    },
    /// Not before somebody signs in again.
    Paused {
        /// For a person.
        message: String,
    },
    /// Not before a person answers.
    Halted(Question),
}

/// Why a path is left alone for a while, although the hub can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Its turn comes then, in milliseconds since 1970.
    pub until_ms: u64,
    /// For a person.
    pub reason: String,
}

impl Engine {
    /// The next thing to do. The commit of everything handed in before must be stored first.
    pub fn poll_request(&mut self, now_ms: u64) -> Option<(RequestId, Request)> {
        self.wake(now_ms);
        if self.in_flight.len() >= self.in_flight_limit() {
            return None;
        }
        while let Some((request, after)) = self.follow_up.pop_front() {
            let is_free = request
                .path()
                .is_none_or(|path| !self.busy.contains_key(path));
            if is_free {
                return Some(self.send(request, after));
            }
        }
        if !self.listing.goes_last()
            && let Some(listing) = self.poll_listing(now_ms)
        {
            return Some(listing);
        }
        if self.hub_is_usable(now_ms) {
            self.ready.append(&mut self.held);
        }
        let mut passed_over = None;
        while let Some(path) = self.next_ready(passed_over.as_ref()) {
            if !self.commit.entries.is_empty() && self.commit.entries.contains(&path) {
                self.ready.remove(&path);
                self.unstored.insert(path);
                continue;
            }
            match self.advance(&path, now_ms) {
                Some((request, after)) => {
                    self.unready(&path);
                    return Some(self.send(request, after));
                }
                None if self.ready.contains(&path) => passed_over = Some(path),
                None => {}
            }
        }
        // It is the listing's turn, or one of the paths just found that only a listing helps it.
        self.poll_listing(now_ms)
    }

    fn poll_listing(&mut self, now_ms: u64) -> Option<(RequestId, Request)> {
        if !self.listing.is_wanted() || !self.hub_is_usable(now_ms) {
            return None;
        }
        self.listing.begin();
        Some(self.send(Request::List, None))
    }

    /// When to call [`Engine::handle_timeout`], in milliseconds since 1970, and why.
    pub fn poll_timeout(&self) -> Option<(u64, &'static str)> {
        let path = self
            .waiting
            .values()
            .map(|delay| delay.until_ms)
            .min()
            .map(|at| (at, "a path's wait is over"));
        let has_ready =
            !(self.ready.is_empty() && self.held.is_empty() && self.unstored.is_empty());
        let has_work = has_ready || self.listing.is_wanted();
        let hub = match &self.hub {
            HubState::Waiting { until_ms, .. } => Some((*until_ms).max(self.hub_asked_ms)),
            HubState::Ready if self.hub_asked_ms > 0 => Some(self.hub_asked_ms),
            HubState::Ready | HubState::Paused { .. } | HubState::Halted(_) => None,
        };
        let hub = hub
            .filter(|_| has_work)
            .map(|at| (at, "the hub is tried again"));
        path.into_iter().chain(hub).min_by_key(|(at, _)| *at)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.wake(now_ms);
    }

    /// Whether the hub may be asked now.
    pub(super) fn hub_is_usable(&self, now_ms: u64) -> bool {
        match &self.hub {
            HubState::Ready => self.hub_asked_ms <= now_ms,
            HubState::Waiting { until_ms, .. } => {
                *until_ms <= now_ms && self.hub_asked_ms <= now_ms
            }
            HubState::Paused { .. } | HubState::Halted(_) => false,
        }
    }

    /// Whether nothing is under way and nothing can be begun now.
    pub fn is_quiet(&self, now_ms: u64) -> bool {
        let blocked = !self.hub_is_usable(now_ms);
        self.in_flight.is_empty()
            && self.commit.entries.is_empty()
            && self.follow_up.is_empty()
            && (blocked
                || (self.ready.is_empty() && self.held.is_empty() && self.listing.is_done()))
    }

    pub(super) fn note_failure(&mut self, path: Option<&FilePath>, failure: Failure, now_ms: u64) {
        match failure {
            Failure::Unreachable {
                message,
                retry_after_ms,
            } => {
                self.note_unreachable(message, retry_after_ms, now_ms);
                self.listing.note_failure(path);
                if let Some(path) = path {
                    self.ready.insert(path.clone());
                } else {
                    self.listing.want();
                }
            }
            Failure::Busy { message } => {
                if let Some(path) = path {
                    self.wait_for(path, message, now_ms);
                } else {
                    self.listing.want();
                }
            }
            Failure::Unauthorized { message } => {
                if let Some(path) = path {
                    self.ready.insert(path.clone());
                } else {
                    self.listing.want();
                }
                if !matches!(self.hub, HubState::Paused { .. }) {
                    self.hub = HubState::Paused {
                        message: message.clone(),
                    };
                    self.events.push_back(Event::Paused { message });
                }
            }
            Failure::Problem { kind, message, tag } => {
                let Some(path) = path else { return };
                if kind == ProblemKind::Damaged && self.take_for_base(path, tag.as_ref()) {
                    return;
                }
                if self.is_known_problem(path, kind, tag.as_ref()) {
                    return;
                }
                // What is damaged may be what came through, not what is there: it is read again before
                // it is set aside.
                let is_first = !self.setbacks.contains_key(path) && !planted(Bug::DamagedForEver);
                if kind == ProblemKind::Damaged && is_first {
                    self.wait_for(path, message, now_ms);
                } else {
                    self.park(path, Problem { kind, message, tag }, now_ms);
                }
            }
        }
    }

    /// Damaged bytes under the tag of the base: whatever came through, and if it is an upload that
    /// was cut off, the hub goes by that tag. What the device has to send replaces it. False: they are
    /// under another tag.
    fn take_for_base(&mut self, path: &FilePath, tag: Option<&ETag>) -> bool {
        match self.entries.get_mut(path) {
            Some(entry) if tag.is_some() && entry.base.tag() == tag => {
                entry.remote = Remote::AsBase;
                self.note_readable(path);
                true
            }
            Some(_) | None => false,
        }
    }

    /// What was set aside was read once more, and is as it was: nothing is stored or told of that.
    fn is_known_problem(&mut self, path: &FilePath, kind: ProblemKind, tag: Option<&ETag>) -> bool {
        let Some(entry) = self.entries.get_mut(path) else {
            return false;
        };
        let is_known = entry.problem.as_ref().is_some_and(|problem| {
            kind.is_in_what_was_read() && problem.kind == kind && problem.tag.as_ref() == tag
        });
        if is_known {
            entry.remote = Remote::AsBase;
            self.unready(path);
        }
        is_known
    }

    /// What was set aside as unreadable stands in the way no more.
    pub(super) fn note_readable(&mut self, path: &FilePath) {
        let problem = self.entries.get(path).and_then(|it| it.problem.as_ref());
        if problem.is_some_and(|problem| problem.kind.is_in_what_was_read()) {
            self.update(path, |entry| entry.problem = None);
        }
    }

    /// The answer to a first attempt after a wait ends the waiting. One to a request that was under
    /// way since before says nothing about now.
    pub(super) fn note_hub_answered(&mut self, now_ms: u64) {
        if matches!(self.hub, HubState::Waiting { until_ms, .. } if until_ms <= now_ms) {
            self.hub = HubState::Ready;
        }
    }

    /// Leaves one path alone for a while.
    pub(super) fn wait_for(&mut self, path: &FilePath, reason: impl Into<String>, now_ms: u64) {
        let setbacks = self.setbacks.entry(path.clone()).or_default();
        *setbacks = setbacks.saturating_add(1);
        let wait = backoff::wait_ms(*setbacks, None, self.jitter.draw());
        let delay = Delay {
            until_ms: now_ms.saturating_add(wait),
            reason: reason.into(),
        };
        self.waiting.insert(path.clone(), delay);
        self.unready(path);
    }

    fn note_unreachable(&mut self, message: String, retry_after_ms: Option<u64>, now_ms: u64) {
        let retry_after_ms = retry_after_ms.filter(|_| !planted(Bug::NoRetryAfter));
        if let Some(asked_ms) = retry_after_ms {
            let until_ms = now_ms.saturating_add(backoff::honoured_ms(asked_ms));
            self.hub_asked_ms = self.hub_asked_ms.max(until_ms);
        }
        let attempt = match &self.hub {
            // Answers to requests that were sent together count as one failure.
            HubState::Waiting { until_ms, .. } if *until_ms > now_ms => return,
            HubState::Waiting { attempt, .. } => attempt.saturating_add(1),
            HubState::Ready => 1,
            HubState::Paused { .. } | HubState::Halted(_) => return,
        };
        let wait = backoff::wait_ms(attempt, retry_after_ms, self.jitter.draw());
        let until_ms = now_ms.saturating_add(wait);
        self.hub = HubState::Waiting {
            until_ms,
            attempt,
            message: message.clone(),
        };
        self.events.push_back(Event::Waiting { until_ms, message });
    }

    /// Many at a time while all is well, one at a time to find out whether it is again.
    fn in_flight_limit(&self) -> usize {
        match &self.hub {
            HubState::Waiting { .. } => 1,
            HubState::Ready | HubState::Paused { .. } | HubState::Halted(_) => {
                self.options.in_flight_max
            }
        }
    }

    /// Nothing is to be decided about a path for now.
    pub(super) fn unready(&mut self, path: &FilePath) {
        self.ready.remove(path);
        self.held.remove(path);
        self.unstored.remove(path);
    }

    fn next_ready(&self, after: Option<&FilePath>) -> Option<FilePath> {
        match after {
            None => self.ready.first().cloned(),
            Some(path) => {
                let beyond = (std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded);
                self.ready.range::<FilePath, _>(beyond).next().cloned()
            }
        }
    }

    /// Ends the waits that are over, and those that a clock which was set back would prolong.
    pub(super) fn wake(&mut self, now_ms: u64) {
        let is_over = |at: u64, longest_ms| at <= now_ms || at > now_ms.saturating_add(longest_ms);
        if is_over(self.hub_asked_ms, backoff::RETRY_AFTER_MS_MAX) {
            self.hub_asked_ms = 0;
        }
        if let HubState::Waiting { until_ms, .. } = &mut self.hub
            && is_over(*until_ms, backoff::WAIT_MS_MAX)
        {
            *until_ms = now_ms.min(*until_ms);
        }
        if self.waiting.is_empty() {
            return;
        }
        let due: Vec<FilePath> = self
            .waiting
            .iter()
            .filter(|(_, delay)| is_over(delay.until_ms, backoff::BACKOFF_MS_MAX))
            .map(|(path, _)| path.clone())
            .collect();
        for path in due {
            self.waiting.remove(&path);
            self.ready.insert(path);
        }
    }

    fn send(&mut self, request: Request, after_apply: Option<AfterApply>) -> (RequestId, Request) {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let path = request.path().cloned();
        if let Some(path) = &path {
            self.busy.insert(path.clone(), id);
        }
        let local = path.as_ref().and_then(|path| self.local_version(path));
        self.in_flight.insert(
            id,
            InFlight {
                path,
                local,
                request: request.clone(),
                after_apply,
            },
        );
        (id, request)
    }
}
