//! What becomes of a world in which nothing goes wrong any more and nobody edits: it must come to
//! rest, with everything everywhere and nothing lost.

use std::collections::BTreeSet;
use std::rc::Rc;

use pangaea_core::conflict::is_copy;

use crate::judge::tokens;
use crate::world::World;

/// Rounds in which everybody lists, settles and lists again; what one sends, others must fetch.
const ROUNDS: usize = 6;
/// Answers and waits within one device's part of a round.
const STEPS: usize = 200;

impl World {
    /// Heals a copy of this world and judges it. The error is a promise that it breaks.
    ///
    /// # Errors
    /// See above.
    pub fn check_heals(&self) -> Result<(), String> {
        let mut world = self.clone();
        for request in std::mem::take(&mut world.late) {
            Rc::make_mut(&mut world.hub).handle(&request)?;
        }
        let mut before = None;
        for _ in 0..ROUNDS {
            for number in 0..world.devices.len() {
                world.settle(number)?;
            }
            let now = world.hub.contents();
            if before.as_ref() == Some(&now) && world.check_end().is_ok() {
                return Ok(());
            }
            before = Some(now);
        }
        world.check_end()
    }

    fn settle(&mut self, number: usize) -> Result<(), String> {
        let device = Rc::make_mut(&mut self.devices[number]);
        device.engine.resume();
        device.engine.handle_round_start();
        device.work(&self.hub)?;
        for _ in 0..STEPS {
            let device = Rc::make_mut(&mut self.devices[number]);
            if let Some(packet) = device.packets.first() {
                match packet.answer.clone() {
                    Some(answer) => device.take_answer(0, answer, &self.hub)?,
                    None => self.arrive(number, 0)?,
                }
            } else if device.engine.poll_timeout().is_some() {
                self.wait(number)?;
            } else {
                return Ok(());
            }
        }
        Err(format!("L-1: device {number} does not come to rest"))
    }

    fn check_end(&self) -> Result<(), String> {
        let on_hub = self.hub.contents();
        for (number, device) in self.devices.iter().enumerate() {
            let status = device.engine.status();
            if status.parked > 0 {
                return Err(format!("I-16: device {number} has something parked"));
            }
            if status.pending > 0 {
                return Err(format!("L-2: device {number} has something pending"));
            }
            let files = device.files();
            if files != on_hub {
                return Err(format!(
                    "I-3: device {number} has {files:?}, the hub {on_hub:?}"
                ));
            }
        }
        let (mut everywhere, mut in_files) = (BTreeSet::new(), BTreeSet::new());
        for (path, hash) in &on_hub {
            let found = tokens(&self.contents.bytes(hash));
            if !is_copy(path) {
                in_files.extend(found.iter().copied());
            }
            everywhere.extend(found);
        }
        let copies = on_hub.keys().filter(|path| is_copy(path)).count();
        if copies > 0 && copies >= self.judge.count() {
            return Err(format!(
                "I-14: {copies} conflict copies of {} edits",
                self.judge.count()
            ));
        }
        self.judge.check(&everywhere, &in_files)
    }
}
