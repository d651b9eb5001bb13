//! Carries calls to the hub and replies back, with all that can happen on the way.

use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;

use crate::device::Job;
use crate::device::Next;
use crate::fault::Fault;
use crate::header::Form;
use crate::hub::Call;
use crate::hub::Reply;
use crate::hub::Slow;
use crate::mutant::Mutant;
use crate::regime::Regime;
use crate::watch::Refusal;
use crate::world::World;

/// A request of an engine on its way.
#[derive(Debug)]
pub(crate) struct Packet {
    device: usize,
    life: u32,
    id: RequestId,
    request: Request,
    job: Job,
    leg: Leg,
}

/// Where a packet is.
#[derive(Debug)]
enum Leg {
    /// On the way to the hub.
    Out(Call),
    /// The hub has begun to write.
    Uploading(FilePath, u64),
    /// On the way back.
    Back(Reply),
}

/// An answer that is handed in once more.
#[derive(Debug)]
pub(crate) struct LateAnswer {
    device: usize,
    life: u32,
    id: RequestId,
    response: Response,
}

/// So many changes travel in one batch at most.
const BATCH_MAX: usize = 8;

impl World {
    pub(crate) fn send(
        &mut self,
        device: usize,
        id: RequestId,
        request: Request,
    ) -> Result<(), String> {
        let sender = &self.devices[device];
        if self.now_ms < sender.not_before_ms {
            return Err(format!(
                "L-3: device {device} asks the hub earlier than it said"
            ));
        }
        if let Request::Push { path, file, .. } = &request {
            let stored = sender.stored_entries().get(path);
            let stored = stored.and_then(|entry| entry.local.version());
            if stored != Some(file.version) {
                return Err(format!(
                    "I-10: device {device} sends {} of {path} before it is stored",
                    file.version
                ));
            }
        }
        self.requests += 1;
        let begun = sender.begin(&request, self.hub.is_ours(), &self.contents);
        let is_unreadable = matches!(request, Request::Push { .. })
            && self.faults.strikes(Fault::LocalReadFails, &mut self.rng);
        let Some((call, job)) = begun.filter(|_| !is_unreadable) else {
            let now_ms = sender.now_ms(self.now_ms);
            // As the real shell does: the file is looked at again.
            let response = Response::Failed(Failure::Busy {
                message: "the content is not what it was".to_owned(),
            });
            let engine = &mut self.devices[device].engine;
            engine.handle_response(id, response, now_ms);
            return Ok(());
        };
        if call.changes() && self.strikes(Fault::LateDuplicate) {
            self.late_calls.push(call.clone());
        }
        let life = self.devices[device].life;
        self.packets.push(Packet {
            device,
            life,
            id,
            request,
            job,
            leg: Leg::Out(call),
        });
        Ok(())
    }

    /// Whether a change of this path by this device is on its way to the hub, or may come there late.
    pub(crate) fn is_being_changed(&self, device: usize, path: &FilePath) -> bool {
        let id = self.devices[device].id();
        let mut late = self.late_calls.iter();
        let is_late = late.any(|call| match call {
            Call::Put {
                path: at,
                header: Some(header),
                ..
            } => at == path && header.version.device == id,
            _ => false,
        });
        is_late
            || self.packets.iter().any(|packet| {
                packet.device == device
                    && packet.request.path() == Some(path)
                    && match &packet.leg {
                        Leg::Out(call) => call.changes(),
                        Leg::Uploading(..) => true,
                        Leg::Back(_) => false,
                    }
            })
    }

    /// One of the packets arrives, the oldest or another one.
    pub(crate) fn deliver_some(&mut self) -> Result<(), String> {
        if self.packets.is_empty() {
            return Ok(());
        }
        let index = if self.strikes(Fault::Reordered) {
            self.rng.index(self.packets.len())
        } else {
            0
        };
        self.deliver(index)
    }

    pub(crate) fn deliver(&mut self, index: usize) -> Result<(), String> {
        if !self.late_calls.is_empty()
            && self.rng.chance(Regime::echo_percent(self.settings.regime))
        {
            let at = self.rng.index(self.late_calls.len());
            let call = self.late_calls.swap_remove(at);
            self.arrive_late(&call);
        }
        if !self.late_answers.is_empty() && self.rng.chance(15) {
            let at = self.rng.index(self.late_answers.len());
            let late = self.late_answers.swap_remove(at);
            self.answer_late(late)?;
        }
        if index >= self.packets.len() {
            return Ok(());
        }
        let packet = self.packets.remove(index);
        match &packet.leg {
            Leg::Out(call) if self.hub.is_ours() && call.changes() => self.deliver_batch(packet),
            Leg::Out(_) => self.deliver_out(packet),
            Leg::Uploading(..) => self.deliver_rest(packet),
            Leg::Back(_) => return self.deliver_back(packet),
        }
        Ok(())
    }

    fn deliver_out(&mut self, packet: Packet) {
        let Leg::Out(call) = &packet.leg else { return };
        let reply = self.ask_hub(packet.device, call);
        let leg = match (reply, call) {
            (Reply::Uploading(number), Call::Put { path, .. }) => {
                Leg::Uploading(path.clone(), number)
            }
            (reply, _) => Leg::Back(reply),
        };
        self.packets.push(Packet { leg, ..packet });
    }

    /// Changes that a device sent together arrive together. If the connection breaks, some of them
    /// were made and some of those were answered.
    fn deliver_batch(&mut self, first: Packet) {
        let device = first.device;
        let mut batch = vec![first];
        let mut at = 0;
        while at < self.packets.len() && batch.len() < BATCH_MAX {
            let packet = &self.packets[at];
            let is_change = matches!(&packet.leg, Leg::Out(call) if call.changes());
            if packet.device == device && is_change {
                batch.push(self.packets.remove(at));
            } else {
                at += 1;
            }
        }
        let breaks = batch.len() > 1 && self.strikes(Fault::HalfBatch);
        let answered = self.rng.index(batch.len() + 1);
        let made = answered + self.rng.index(batch.len() - answered + 1);
        for (at, packet) in batch.into_iter().enumerate() {
            if !breaks || at < answered {
                self.deliver_out(packet);
                continue;
            }
            let Leg::Out(call) = &packet.leg else {
                continue;
            };
            if at < made {
                self.hub.handle(call, Slow::No, self.now_ms);
            }
            let reply = match &packet.job {
                Job::Push(tag) if self.planted.is(Mutant::WholeBatch) => Reply::Stored(tag.clone()),
                _ => unwell(None),
            };
            let leg = Leg::Back(reply);
            self.packets.push(Packet { leg, ..packet });
        }
    }

    /// The connections of a device break.
    pub(crate) fn cut_uploads_of(&mut self, device: usize) {
        for packet in &self.packets {
            if let Leg::Uploading(path, number) = &packet.leg
                && packet.device == device
            {
                self.hub.cut_upload(path, *number);
            }
        }
        self.packets.retain(|packet| packet.device != device);
    }

    fn deliver_rest(&mut self, packet: Packet) {
        let Leg::Uploading(path, number) = &packet.leg else {
            return;
        };
        let reply = if self.strikes(Fault::CutUpload) {
            self.hub.cut_upload(path, *number);
            unwell(None)
        } else {
            let reply = self.hub.end_upload(path, *number);
            if self.strikes(Fault::LostAnswer) {
                unwell(None)
            } else {
                reply
            }
        };
        let leg = Leg::Back(reply);
        self.packets.push(Packet { leg, ..packet });
    }

    fn deliver_back(&mut self, packet: Packet) -> Result<(), String> {
        let Packet {
            device: number,
            life,
            id,
            request,
            job,
            leg: Leg::Back(reply),
        } = packet
        else {
            return Ok(());
        };
        let device = &self.devices[number];
        if device.life != life && !self.planted.is(Mutant::AnswersOfAnotherLife) {
            return Ok(());
        }
        if reply == Reply::Refused {
            self.refused.push(Refusal::of(self, number, &request));
        }
        let device = &mut self.devices[number];
        if let Reply::Unwell {
            retry_after_ms: Some(wait),
        } = &reply
        {
            device.not_before_ms = device.not_before_ms.max(self.now_ms + wait);
        }
        let reply = match reply {
            Reply::Unwell { .. } if self.planted.is(Mutant::IgnoreRetryAfter) => unwell(None),
            reply => reply,
        };
        match device.take_reply(&request, job, reply, &mut self.contents) {
            Next::Ask(call, job) => {
                self.packets.push(Packet {
                    device: number,
                    life,
                    id,
                    request,
                    job,
                    leg: Leg::Out(call),
                });
                Ok(())
            }
            Next::Answer(response) => self.answer(number, life, id, response),
        }
    }

    fn answer(
        &mut self,
        number: usize,
        life: u32,
        id: RequestId,
        response: Response,
    ) -> Result<(), String> {
        self.mark(&[3, number as u64, id.0, kind_of(&response)]);
        self.note(|| format!("device {number} gets {id:?} {response:?}"));
        self.watch_answer(number, &response);
        if self.strikes(Fault::LateAnswer) {
            let response = response.clone();
            self.late_answers.push(LateAnswer {
                device: number,
                life,
                id,
                response,
            });
        }
        let device = &mut self.devices[number];
        let now_ms = device.now_ms(self.now_ms);
        device.engine.handle_response(id, response, now_ms);
        self.step_device(number)
    }

    pub(crate) fn answer_late(&mut self, late: LateAnswer) -> Result<(), String> {
        let device = &mut self.devices[late.device];
        if device.life != late.life {
            return Ok(());
        }
        let now_ms = device.now_ms(self.now_ms);
        device
            .engine
            .handle_response(late.id, late.response, now_ms);
        let (number, id) = (late.device, late.id);
        self.note(|| format!("device {number} gets {id:?} once more"));
        self.step_device(number)
    }

    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, &mut self.rng)
    }

    fn ask_hub(&mut self, device: usize, call: &Call) -> Reply {
        if let Some(reply) = self.fail_before(device, call) {
            return reply;
        }
        if let Call::Get { path } | Call::Head { path } = call
            && self.strikes(Fault::StaleRead)
            && let Some(reply) = self.read_stale(call, path)
        {
            return reply;
        }
        let slow = if self.rng.chance(30) && !self.is_healed {
            Slow::Yes
        } else {
            Slow::No
        };
        self.note_blind_delete(call);
        self.note_untraced_delete(Some(device), call);
        self.note_recurring(device, call);
        self.note_resent(call);
        let reply = self.hub.handle(call, slow, self.now_ms);
        self.note_torn_read(device, call, &reply);
        self.mark(&[4, device as u64, self.hub.changes()]);
        self.note(|| format!("the hub gets from device {device}: {}", told(call)));
        if matches!(reply, Reply::Uploading(_)) {
            return reply;
        }
        let is_deaf = self.now_ms < self.devices[device].deaf_until_ms;
        if is_deaf || self.strikes(Fault::LostAnswer) || self.strikes(Fault::FailsAfterCommit) {
            return unwell(None);
        }
        self.distort(reply)
    }
}

pub(crate) fn unwell(retry_after_ms: Option<u64>) -> Reply {
    Reply::Unwell { retry_after_ms }
}

/// A call in one line.
pub(crate) fn told(call: &Call) -> String {
    match call {
        Call::Put {
            path,
            header,
            condition,
            ..
        } => {
            let version = header.as_ref().map(|header| header.version);
            let form = header.as_ref().map(|header| &header.form);
            let what = match form {
                Some(Form::Tombstone) => "bury",
                _ => "store",
            };
            format!("{what} {path} {version:?} if {condition:?}")
        }
        Call::Delete { path, condition } => format!("delete {path} if {condition:?}"),
        Call::Get { path } => format!("read {path}"),
        Call::Head { path } => format!("ask for the tag of {path}"),
        Call::List { mark } => format!("list from {mark:?}"),
        Call::Changes { since } => format!("changes since {since:?}"),
    }
}

/// A number for each kind of answer, for the digest.
fn kind_of(response: &Response) -> u64 {
    match response {
        Response::Listed(files) => 16 + files.len() as u64,
        Response::Fetched(_) => 1,
        Response::Absent => 2,
        Response::Stored(_) => 3,
        Response::ConditionFailed(_) => 4,
        Response::Merged(_) => 5,
        Response::Applied => 6,
        Response::LocalDiffers => 7,
        Response::ContentMissing => 8,
        Response::Failed(_) => 9,
    }
}
