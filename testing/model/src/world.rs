//! A world between two steps, and every step that can come next.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::rc::Rc;

use gaia::path::FilePath;
use gaia::path::PathError;
use pangaea_core::backoff::BACKOFF_MS_MAX;
use pangaea_core::io::Failure;
use pangaea_core::io::Request;
use pangaea_core::io::Response;

use crate::bounds::Bounds;
use crate::bounds::Bug;
use crate::bounds::EditKind;
use crate::bounds::FaultKind;
use crate::device::Device;
use crate::device::Packet;
use crate::hub::Hub;
use crate::judge::Contents;
use crate::judge::Judge;
use crate::judge::line;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A user edits a file, and is told that it is safe.
    Edit(usize, FilePath, EditKind),
    /// A device looks at the hub.
    Look(usize),
    /// A request reaches the hub, or is carried out on the device.
    Arrive(usize, usize),
    /// An answer reaches the device.
    Answer(usize, usize),
    /// Time passes for a device that waits.
    Wait(usize),
    /// A request that the network had kept reaches the hub.
    Late(usize),
    /// Something goes wrong, with which device and with which of its requests.
    Fault(FaultKind, usize, usize),
}

/// All that there is.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) devices: Vec<Rc<Device>>,
    pub(crate) hub: Rc<Hub>,
    pub(crate) judge: Rc<Judge>,
    /// Requests that the network keeps for later.
    pub(crate) late: Vec<Request>,
    pub(crate) contents: Contents,
    faults: u8,
    paths: Rc<Vec<FilePath>>,
}

impl World {
    /// A world in which nothing happened yet.
    ///
    /// # Errors
    /// Fails if the bounds name a path that is none.
    pub fn new(bounds: &Bounds) -> Result<Self, PathError> {
        let paths: Result<Vec<FilePath>, PathError> = bounds
            .paths
            .iter()
            .map(|path| FilePath::parse(path))
            .collect();
        let devices = (0_u8..).take(bounds.devices);
        Ok(Self {
            devices: devices
                .map(|number| Rc::new(Device::new(number, bounds)))
                .collect(),
            hub: Rc::new(Hub::new(bounds.deletes, bounds.bug)),
            judge: Rc::default(),
            late: Vec::new(),
            contents: Contents::default(),
            faults: 0,
            paths: Rc::new(paths?),
        })
    }

    /// Tells worlds apart by all that decides what can happen in them.
    pub fn fingerprint(&self) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.devices.hash(&mut hasher);
            self.hub.hash(&mut hasher);
            self.judge.hash(&mut hasher);
            self.late.hash(&mut hasher);
            self.faults.hash(&mut hasher);
            hasher.finish()
        };
        u128::from(half(0)) << 64 | u128::from(half(1))
    }

    /// How many faults struck.
    pub fn faults(&self) -> u8 {
        self.faults
    }

    /// Everything that can happen next that can make a difference: a device whose requests all came
    /// back, or need no hub, goes first, since nobody else's step changes what its own steps do, nor
    /// the other way round.
    pub fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        let is_local = |packet: &Packet| packet.answer.is_some() || needs_no_hub(&packet.request);
        let alone =
            |device: &Device| !device.packets.is_empty() && device.packets.iter().all(is_local);
        let mut steps = Vec::new();
        if let Some(number) = self.devices.iter().position(|device| alone(device)) {
            self.steps_of(number, bounds, &mut steps);
            return steps;
        }
        for number in 0..self.devices.len() {
            self.steps_of(number, bounds, &mut steps);
        }
        steps.extend((0..self.late.len()).map(Step::Late));
        steps
    }

    fn steps_of(&self, number: usize, bounds: &Bounds, steps: &mut Vec<Step>) {
        let device = &self.devices[number];
        if self.judge.count() < usize::from(bounds.edits) {
            for path in self.paths.iter() {
                let exists = device.read(path).is_some();
                let makes_sense = |kind: &&EditKind| **kind == EditKind::Append || exists;
                let kinds = bounds.kinds.iter().filter(makes_sense);
                steps.extend(kinds.map(|kind| Step::Edit(number, path.clone(), *kind)));
            }
        }
        let lists = |packet: &Packet| packet.request == Request::List;
        if device.looks < bounds.looks && !device.packets.iter().any(lists) {
            steps.push(Step::Look(number));
        }
        if device.waits < bounds.waits && device.engine.poll_timeout().is_some() {
            steps.push(Step::Wait(number));
        }
        let may_fail = self.faults < bounds.faults;
        for (at, packet) in device.packets.iter().enumerate() {
            if packet.answer.is_some() {
                steps.push(Step::Answer(number, at));
                continue;
            }
            steps.push(Step::Arrive(number, at));
            let faults = bounds.fault_kinds.iter();
            let strikes = faults.filter(|fault| may_fail && self.can_strike(**fault, packet));
            steps.extend(strikes.map(|fault| Step::Fault(*fault, number, at)));
        }
        if may_fail && bounds.fault_kinds.contains(&FaultKind::Crash) {
            steps.push(Step::Fault(FaultKind::Crash, number, 0));
        }
    }

    fn can_strike(&self, fault: FaultKind, packet: &Packet) -> bool {
        match (fault, &packet.request) {
            (_, request) if needs_no_hub(request) => false,
            (FaultKind::RequestLost | FaultKind::AnswerLost, _) => true,
            (FaultKind::Duplicate, request) => {
                matches!(request, Request::Push { .. } | Request::Remove { .. })
            }
            (FaultKind::EntryMissing, request) => *request == Request::List && !self.hub.is_empty(),
            (FaultKind::StaleRead, Request::Fetch { path }) => self.hub.stale(path).is_some(),
            (FaultKind::StaleRead | FaultKind::Crash, _) => false,
        }
    }

    /// Takes a step. The error is a promise that it broke.
    ///
    /// # Errors
    /// See above.
    pub fn take(&mut self, step: &Step, bounds: &Bounds) -> Result<(), String> {
        match step {
            Step::Edit(number, path, kind) => self.edit(*number, path, *kind),
            Step::Look(number) => {
                let device = Rc::make_mut(&mut self.devices[*number]);
                device.looks += 1;
                device.engine.handle_round_start();
                device.work(&self.hub)
            }
            Step::Arrive(number, at) => self.arrive(*number, *at),
            Step::Answer(number, at) => {
                let device = Rc::make_mut(&mut self.devices[*number]);
                match device.packets[*at].answer.clone() {
                    Some(answer) => device.take_answer(*at, answer, &self.hub),
                    None => Err("an answer that was never given".to_owned()),
                }
            }
            Step::Wait(number) => {
                Rc::make_mut(&mut self.devices[*number]).waits += 1;
                self.wait(*number)
            }
            Step::Late(at) => {
                let request = self.late.remove(*at);
                Rc::make_mut(&mut self.hub).handle(&request).map(|_| ())
            }
            Step::Fault(fault, number, at) => {
                self.faults += 1;
                self.strike(*fault, *number, *at, bounds.bug)
            }
        }
    }

    /// Time passes on a device: all its waits are over.
    pub(crate) fn wait(&mut self, number: usize) -> Result<(), String> {
        let device = Rc::make_mut(&mut self.devices[number]);
        device.now_ms += BACKOFF_MS_MAX + 1;
        device.engine.handle_timeout(device.now_ms);
        device.work(&self.hub)
    }

    pub(crate) fn arrive(&mut self, number: usize, at: usize) -> Result<(), String> {
        let device = Rc::make_mut(&mut self.devices[number]);
        let request = &device.packets[at].request;
        if let Some(answer) = Device::do_locally(request, &self.contents) {
            return device.take_answer(at, answer, &self.hub);
        }
        let answer = Rc::make_mut(&mut self.hub).handle(request)?;
        device.packets[at].answer = Some(answer);
        Ok(())
    }

    fn edit(&mut self, number: usize, path: &FilePath, kind: EditKind) -> Result<(), String> {
        let device = Rc::make_mut(&mut self.devices[number]);
        let before = device
            .read(path)
            .map(|hash| self.contents.bytes(&hash))
            .unwrap_or_default();
        let token = self.judge.next(u8::try_from(number).unwrap_or(u8::MAX));
        let own = line(token).into_bytes();
        let after = match kind {
            EditKind::Append => Some([before.clone(), own].concat()),
            EditKind::Replace => Some(own),
            EditKind::Delete => None,
        };
        if let Some(bytes) = &after {
            self.contents.keep(bytes);
        }
        device.edit(path, after.as_deref(), &self.hub)?;
        Rc::make_mut(&mut self.judge).acknowledge(token, path, &before, after.as_deref());
        Ok(())
    }

    fn strike(
        &mut self,
        fault: FaultKind,
        number: usize,
        at: usize,
        bug: Option<Bug>,
    ) -> Result<(), String> {
        let device = Rc::make_mut(&mut self.devices[number]);
        let hub = Rc::make_mut(&mut self.hub);
        let lost = Response::Failed(Failure::Unreachable {
            message: String::new(),
            retry_after_ms: None,
        });
        match fault {
            FaultKind::Crash => {
                let under_way = device.packets.drain(..);
                self.late.extend(
                    under_way
                        .filter(|packet| packet.answer.is_none())
                        .map(|packet| packet.request)
                        .filter(|request| {
                            matches!(request, Request::Push { .. } | Request::Remove { .. })
                        }),
                );
                device.restart(hub)
            }
            FaultKind::RequestLost if bug == Some(Bug::LostMeansStored) => {
                let answer = match &device.packets[at].request {
                    Request::Push { file, .. } => {
                        Response::Stored(gaia::etag::ETag::of(file.content.as_bytes()))
                    }
                    _ => lost,
                };
                device.take_answer(at, answer, hub)
            }
            FaultKind::RequestLost => device.take_answer(at, lost, hub),
            FaultKind::AnswerLost => {
                hub.handle(&device.packets[at].request)?;
                device.take_answer(at, lost, hub)
            }
            FaultKind::Duplicate => {
                let request = device.packets[at].request.clone();
                hub.handle(&request)?;
                self.late.push(request);
                device.take_answer(at, lost, hub)
            }
            FaultKind::EntryMissing => {
                if let Response::Listed(mut files) = hub.handle(&Request::List)? {
                    files.pop();
                    device.packets[at].answer = Some(Response::Listed(files));
                }
                Ok(())
            }
            FaultKind::StaleRead => {
                if let Request::Fetch { path } = &device.packets[at].request {
                    device.packets[at].answer = hub.stale(path);
                }
                Ok(())
            }
        }
    }
}

fn needs_no_hub(request: &Request) -> bool {
    matches!(request, Request::Merge { .. } | Request::Apply { .. })
}
