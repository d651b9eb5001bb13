//! Carries requests to the hub and answers back, with all that can happen on the way.

use pangaea_core::io::Failure;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::plan::Condition;
use pangaea_core::state::ProblemKind;

use crate::fault::Fault;
use crate::mutant::Mutant;
use crate::world::World;

/// A request on its way, or its answer on the way back.
pub(crate) struct Packet {
    device: usize,
    life: u32,
    id: RequestId,
    request: Request,
    /// None on the way to the hub; the answer on the way back.
    answer: Option<Response>,
}

impl World {
    pub(crate) fn send(
        &mut self,
        device: usize,
        id: RequestId,
        request: Request,
    ) -> Result<(), String> {
        if self.now_ms < self.devices[device].not_before_ms {
            return Err(format!(
                "L-3: device {device} asks the hub earlier than it said"
            ));
        }
        if self.strikes(Fault::LateDuplicate) {
            self.late.push(request.clone());
        }
        let life = self.devices[device].life;
        self.packets.push(Packet {
            device,
            life,
            id,
            request,
            answer: None,
        });
        Ok(())
    }

    pub(crate) fn deliver(&mut self, index: usize) -> Result<(), String> {
        if !self.late.is_empty() && self.rng.chance(20) {
            let at = self.rng.index(self.late.len());
            let request = self.late.swap_remove(at);
            self.arrive_late(&request);
        }
        let packet = self.packets.swap_remove(index);
        let Some(answer) = packet.answer else {
            let answer = Some(self.ask_hub(packet.device, &packet.request));
            self.packets.push(Packet { answer, ..packet });
            return Ok(());
        };
        let device = &mut self.devices[packet.device];
        let any_life = self.settings.mutant == Some(Mutant::AnswersOfAnotherLife);
        if device.life != packet.life && !any_life {
            return Ok(());
        }
        if device.life == packet.life
            && let Response::Failed(Failure::Unreachable {
                retry_after_ms: Some(wait),
                ..
            }) = &answer
        {
            device.not_before_ms = device.not_before_ms.max(self.now_ms + wait);
        }
        let now_ms = device.now_ms(self.now_ms);
        device
            .engine
            .handle_response(packet.id, answer.clone(), now_ms);
        let (number, id) = (packet.device, packet.id);
        self.note(|| format!("device {number} gets {id:?} {answer:?}"));
        self.step_device(number)
    }

    /// A request arrives a second time.
    pub(crate) fn arrive_late(&mut self, request: &Request) {
        self.note(|| format!("late {request:?}"));
        let answer = self.hub.handle(request);
        if let (
            Request::Push {
                path,
                condition: Condition::Create,
                ..
            },
            Some(Response::Stored(_)),
        ) = (request, answer)
        {
            self.oracle.revive(path);
        }
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        self.settings.faults.strikes(fault, &mut self.rng)
    }

    fn ask_hub(&mut self, device: usize, request: &Request) -> Response {
        if self.strikes(Fault::LostRequest) {
            return unreachable("timeout", None);
        }
        if self.strikes(Fault::HubUnwell) {
            return match self.rng.below(3) {
                0 => Response::Failed(Failure::Busy {
                    message: "busy".to_owned(),
                }),
                1 => unreachable("503", Some(self.rng.below(20_000))),
                _ => unreachable("503", None),
            };
        }
        if self.strikes(Fault::SignedOut) {
            return Response::Failed(Failure::Unauthorized {
                message: "401".to_owned(),
            });
        }
        if matches!(request, Request::Push { .. }) && self.strikes(Fault::Refused) {
            let message = "413".to_owned();
            let kind = ProblemKind::Refused;
            return Response::Failed(Failure::Problem {
                kind,
                message,
                tag: None,
            });
        }
        if let Request::Fetch { path } = request {
            if self.settings.mutant == Some(Mutant::ListingIsTruth)
                && self.unlisted.remove(&(device, path.clone()))
            {
                return Response::Absent;
            }
            if self.strikes(Fault::StaleRead)
                && let Some(answer) = self.hub.read_stale(path, &mut self.rng)
            {
                return answer;
            }
        }
        let Some(mut answer) = self.hub.handle(request) else {
            return unreachable("not for a hub", None);
        };
        if self.strikes(Fault::LostAnswer) {
            return unreachable("reset", None);
        }
        if let Response::Listed(files) = &mut answer
            && !files.is_empty()
            && self.strikes(Fault::PartialListing)
        {
            let file = files.swap_remove(self.rng.index(files.len()));
            self.unlisted.insert((device, file.path));
        }
        answer
    }
}

fn unreachable(message: &str, retry_after_ms: Option<u64>) -> Response {
    let message = message.to_owned();
    Response::Failed(Failure::Unreachable {
        message,
        retry_after_ms,
    })
}
