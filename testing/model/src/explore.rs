//! Visits every state of a world once, nearest first, so that what is found is found by a shortest
//! way.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::collections::VecDeque;

use crate::bounds::Bounds;
use crate::bounds::FaultKind;
use crate::world::Step;
use crate::world::World;

/// What an exploration found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub transitions: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How often each fault struck.
    pub struck: BTreeMap<FaultKind, usize>,
    /// The promise that was broken, and the way there.
    pub broken: Option<(String, Vec<Step>)>,
    /// The limit of states was reached before the end.
    pub is_cut: bool,
}

/// One visited state, for the way back.
struct Visit {
    before: usize,
    step: Option<Step>,
    depth: usize,
}

/// Explores all of a world, or up to `states_max` states, or up to the first broken promise.
pub fn explore(bounds: &Bounds, states_max: usize) -> Found {
    let mut found = Found::default();
    let world = match World::new(bounds) {
        Ok(world) => world,
        Err(error) => {
            found.broken = Some((error.to_string(), Vec::new()));
            return found;
        }
    };
    let mut seen = HashSet::from([world.fingerprint()]);
    let mut visits = vec![Visit {
        before: 0,
        step: None,
        depth: 0,
    }];
    let mut queue = VecDeque::from([(0, world)]);
    while let Some((at, world)) = queue.pop_front() {
        if let Err(broken) = world.check_heals() {
            found.broken = Some((broken, way(&visits, at)));
            break;
        }
        for step in world.steps(bounds) {
            let mut next = world.clone();
            let taken = next.take(&step, bounds);
            found.transitions += 1;
            if let Step::Fault(fault, ..) = step {
                *found.struck.entry(fault).or_default() += 1;
            }
            if let Err(broken) = taken {
                let mut way = way(&visits, at);
                way.push(step);
                found.broken = Some((broken, way));
                found.states = visits.len();
                return found;
            }
            if seen.insert(next.fingerprint()) {
                let depth = visits[at].depth + 1;
                found.depth = found.depth.max(depth);
                visits.push(Visit {
                    before: at,
                    step: Some(step),
                    depth,
                });
                queue.push_back((visits.len() - 1, next));
            }
        }
        if visits.len() > states_max {
            found.is_cut = true;
            break;
        }
    }
    found.states = visits.len();
    found
}

fn way(visits: &[Visit], mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = &visits[at].step {
        steps.push(step.clone());
        at = visits[at].before;
    }
    steps.reverse();
    steps
}
