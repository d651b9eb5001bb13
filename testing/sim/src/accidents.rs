//! What befalls the hub or a device as a whole, between requests: partitions, crashes, clocks, backups,
//! disks that are replaced. What is lost with them is noted for the judge.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::etag::ETag;
use gaia::path::FilePath;

use crate::content::Token;
use crate::device::Chance;
use crate::fault::Fault;
use crate::header::version_of;
use crate::hub::Object;
use crate::oracle::Excuse;
use crate::oracle::root;
use crate::world::World;

impl World {
    /// What a fault that strikes between requests does.
    pub(crate) fn befall(&mut self, fault: Fault, number: usize) {
        self.note(|| format!("device {number}, or the hub: {fault:?}"));
        let device = &mut self.devices[number];
        match fault {
            Fault::Partition => {
                device.cut_off_until_ms = self.now_ms + self.rng.below(300_000);
            }
            Fault::OneWayPartition => {
                device.deaf_until_ms = self.now_ms + self.rng.below(300_000);
            }
            Fault::HubRestart => self.hub.restart(),
            Fault::HubRollback => {
                if !self.roll_hub_back() {
                    return;
                }
            }
            Fault::Crash => device.lose_power(&mut Chance {
                rng: &mut self.rng,
                faults: &mut self.faults,
            }),
            Fault::Restored | Fault::Evicted => {
                if !self.replace_disk(fault, number) {
                    return;
                }
            }
            Fault::OtherTab if device.has_folder() => return,
            Fault::OtherTab => device.reload(),
            Fault::ClockSet => {
                device.set_clock(crate::settings::draw_skew_ms(&mut self.rng));
                // By its new clock, nobody can say how long it has waited.
                device.not_before_ms = 0;
            }
            Fault::Suspend => self.now_ms += self.rng.below(8 * 60 * 60 * 1_000),
            Fault::NewerFormat => self.newer_program_writes(),
            _ => return,
        }
        self.faults.note(fault);
    }

    fn roll_hub_back(&mut self) -> bool {
        let before = self.hub.objects().clone();
        let lines = before.keys().map(|path| self.lines_at(path));
        let lines: Vec<BTreeSet<Token>> = lines.collect();
        if !self.hub.roll_back() {
            return false;
        }
        for ((path, object), lost) in before.iter().zip(lines) {
            let is_other = self.hub.object(path) != Some(object);
            if is_other {
                self.oracle.wipe(lost, Excuse::RolledBack);
                self.oracle.rewind(path);
                self.truth.rewind(path);
            }
        }
        let back: Vec<FilePath> = self.hub.objects().keys().cloned().collect();
        for path in back.iter().filter(|path| !before.contains_key(*path)) {
            self.oracle.rewind(path);
            self.truth.rewind(path);
        }
        true
    }

    /// A disk becomes another one. What was on it alone may be gone.
    fn replace_disk(&mut self, fault: Fault, number: usize) -> bool {
        let left = self.lines_left(number);
        let device = &mut self.devices[number];
        let lost = device.on_disk();
        let lost = lost.map(|(path, content)| (path.clone(), content));
        let history = device.history().iter().cloned();
        let lost: Vec<_> = lost.chain(history).collect();
        let before: Vec<FilePath> = device.stored_entries().keys().cloned().collect();
        match fault {
            Fault::Restored => {
                if !device.restore() {
                    return false;
                }
                self.oracle.go_back(number);
                self.note_forgotten(number);
            }
            _ => {
                self.evictions += 1;
                let name = [0x80 | self.evictions; 8];
                device.evict(pangaea_core::version::DeviceId::from_bytes(name));
                self.oracle.forget(number);
            }
        }
        self.truth.forget(number);
        let entries = self.devices[number].stored_entries();
        self.truth.remember(number, entries, &self.hub);
        self.replaced.insert(number);
        let device = &self.devices[number];
        let back: Vec<FilePath> = device.stored_entries().keys().cloned().collect();
        for path in before.iter().chain(&back) {
            self.oracle.revive(path);
        }
        for (path, content) in lost {
            if let Some(bytes) = self.contents.get(&content) {
                let mut lost = crate::content::tokens(bytes);
                let root = root(path.as_str());
                if let Some(left) = left.get(root) {
                    // What was dropped once is dropped there too, when it hears of that.
                    let oracle = &self.oracle;
                    lost.retain(|line| !left.contains(line) || oracle.was_dropped(root, *line));
                }
                self.oracle.wipe(lost, Excuse::DiskLost);
            }
        }
        true
    }

    /// A restored device has forgotten what it wrote since the image, and where a stock program wrote or deleted,
    /// nothing but its name says what that was made from.
    fn note_forgotten(&mut self, number: usize) {
        let device = &self.devices[number];
        let known = device.stored_clock();
        let forgotten = self.hub.objects().iter().filter(|(path, object)| {
            let version = version_of(object);
            let is_own = version.device == device.id() && Some(version.clock) > known;
            let mut past = self.hub.past(path).iter();
            let is_traceless = self.untraced.contains(*path)
                || past.any(|was| was.object.as_ref().is_some_and(|it| it.header.is_none()));
            is_own && is_traceless
        });
        let forgotten: Vec<_> = forgotten.map(|(path, _)| self.lines_at(path)).collect();
        for lines in forgotten {
            self.oracle.wipe(lines, Excuse::Forgotten);
        }
    }

    /// All lines that the hub has, file by file. What other disks have follows the hub. A file does not
    /// count that an upload under way from `sender` replaces: that may be a merge whose conflict copy
    /// was to follow. Nor does one that is torn, so that nobody takes it, or one that the hub was set back
    /// to, and that another device has replaced by a merge since: what lost there is in the history of
    /// the one that merged.
    fn lines_left(&self, sender: usize) -> BTreeMap<String, BTreeSet<Token>> {
        let mut left: BTreeMap<String, BTreeSet<Token>> = BTreeMap::new();
        for (path, object) in self.hub.objects() {
            let is_readable = object.header.is_none() || object.tag == ETag::of(&object.bytes);
            let is_replaced = self.is_replaced_elsewhere(sender, path, object);
            if is_readable && !is_replaced && !self.is_being_changed(sender, path) {
                let lines = crate::content::tokens(&object.bytes);
                left.entry(root(path.as_str()).to_owned())
                    .or_default()
                    .extend(lines);
            }
        }
        left
    }

    /// Whether the hub was set back to a version that another device than this one has replaced.
    fn is_replaced_elsewhere(&self, number: usize, path: &FilePath, object: &Object) -> bool {
        let version = version_of(object);
        let mut others = self.devices.iter().enumerate();
        self.oracle.is_rewound(root(path.as_str()))
            && others.any(|(other, device)| {
                let stored = device.stored_entries().get(path);
                let replaced = stored.map(|entry| entry.local.ancestors());
                other != number && replaced.is_some_and(|it| it.contains(&version))
            })
    }
}
