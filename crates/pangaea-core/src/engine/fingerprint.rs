//! Tells two engines apart by what they will do, for whoever enumerates or compares histories.

use std::hash::Hash;
use std::hash::Hasher;

use super::Engine;
use super::HubState;

impl Engine {
    /// Feeds `hasher` with everything that decides what the engine does from here on, between two
    /// commits. Left out is what only names or times it: the numbers of requests, the jitter, the
    /// ends of waits (who waits counts), the events that nobody took. Two engines with one
    /// fingerprint that wait equally long answer equal inputs alike.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        self.options.device.hash(hasher);
        self.clock.last().hash(hasher);
        (self.own.stored, self.own.given).hash(hasher);
        self.sequence.hash(hasher);
        self.entries.hash(hasher);
        self.ready.hash(hasher);
        self.held.hash(hasher);
        self.unstored.hash(hasher);
        self.waiting.len().hash(hasher);
        for path in self.waiting.keys() {
            path.hash(hasher);
        }
        self.unseen.hash(hasher);
        self.setbacks.hash(hasher);
        for in_flight in self.in_flight.values() {
            in_flight.local.hash(hasher);
            in_flight.request.hash(hasher);
            in_flight.after_apply.hash(hasher);
        }
        self.follow_up.hash(hasher);
        self.listing.hash(hasher);
        match &self.hub {
            HubState::Waiting { attempt, .. } => attempt.hash(hasher),
            HubState::Ready => 0.hash(hasher),
            HubState::Paused { .. } => "paused".hash(hasher),
            HubState::Halted(question) => question.hash(hasher),
        }
        self.mass_delete_allowed.hash(hasher);
        self.decisions.hash(hasher);
        self.commit.counters.hash(hasher);
    }
}
