//! What calls do to the files below a folder, and in which states a power cut leaves them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::trace::Call;

/// Where writes are torn: at the end of a sector, or of a page.
const TORN_AT: [usize; 2] = [512, 4096];

/// Names a file, whatever it is called.
type Node = usize;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Entry {
    Folder,
    File(Node),
}

/// The files below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Files {
    names: BTreeMap<PathBuf, Entry>,
    nodes: BTreeMap<Node, Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(Node, usize, Vec<u8>),
    Resize(Node, usize),
    Name(PathBuf, Entry),
    Unname(PathBuf),
    Rename(PathBuf, PathBuf),
    Swap(PathBuf, PathBuf),
}

impl Change {
    fn node(&self) -> Option<Node> {
        match self {
            Self::Write(node, ..) | Self::Resize(node, _) => Some(*node),
            Self::Name(..) | Self::Unname(_) | Self::Rename(..) | Self::Swap(..) => None,
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Name(path, _) | Self::Unname(path) => path.parent() == Some(folder),
            Self::Rename(from, to) | Self::Swap(from, to) => {
                from.parent() == Some(folder) || to.parent() == Some(folder)
            }
            Self::Write(..) | Self::Resize(..) => false,
        }
    }
}

#[derive(Debug, Clone)]
enum Synced {
    Node(Node),
    Folder(PathBuf),
    All,
}

#[derive(Debug, Clone)]
enum Event {
    Change(Change),
    /// What was synced, and how many events had ended when that began.
    Sync(Synced, usize),
    /// The step with this number was acknowledged.
    Acknowledged(usize),
}

/// What happened to the files below a folder.
#[derive(Debug)]
pub struct Recording {
    root: PathBuf,
    start: Files,
    now: Files,
    next_node: Node,
    answers: usize,
    events: Vec<Event>,
}

/// A state after a power cut.
#[derive(Debug)]
pub struct State {
    /// The files.
    pub files: Files,
    /// How many steps were acknowledged before.
    pub acknowledged: usize,
    /// After how many events the power was cut, and what became of what was not synced.
    pub story: String,
}

impl Recording {
    /// Begins with what is below `root`, all of it safe.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn new(root: &Path) -> io::Result<Self> {
        let mut start = Files::default();
        start.read(root)?;
        Ok(Self {
            root: root.to_owned(),
            next_node: start.nodes.len(),
            now: start.clone(),
            start,
            answers: 0,
            events: Vec::new(),
        })
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// How often a hub told a client that something was done.
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whoever waited for this step was told that it is done.
    pub fn acknowledge(&mut self, step: usize) {
        self.events.push(Event::Acknowledged(step));
    }

    /// Adds the calls of a process.
    ///
    /// # Errors
    /// A call that this does not know and that may matter.
    pub fn add(&mut self, calls: &[Call]) -> Result<(), String> {
        let mut positions: BTreeMap<i64, usize> = BTreeMap::new();
        // How many events there were when each call ended.
        let mut ended = vec![self.events.len()];
        for call in calls {
            let began = ended.get(call.began).copied().unwrap_or(self.events.len());
            if is_answer(call) {
                self.acknowledge(self.answers);
                self.answers += 1;
            } else {
                self.add_call(call, began, &mut positions)?;
            }
            ended.push(self.events.len());
        }
        Ok(())
    }

    fn add_call(
        &mut self,
        call: &Call,
        began: usize,
        positions: &mut BTreeMap<i64, usize>,
    ) -> Result<(), String> {
        let at = |path: Option<PathBuf>| path.filter(|path| self.is_ours(path));
        match call.name.as_str() {
            "open" | "openat" | "creat" => {
                let (path, flags) = match call.name.as_str() {
                    "openat" => (call.path_in(0), 2),
                    _ => (call.path(0), 1),
                };
                positions.insert(call.result, 0);
                if let Some(path) = at(path) {
                    self.open(&path, call, flags, positions);
                }
            }
            "lseek" => {
                let number = call.file_number(0).unwrap_or(-1);
                positions.insert(number, usize::try_from(call.result).unwrap_or(0));
            }
            "write" | "writev" | "pwrite64" => {
                if let Some(node) = at(call.file_path(0)).and_then(|path| self.node(&path)) {
                    self.add_write(node, call, positions)?;
                }
            }
            "ftruncate" => {
                if let Some(node) = at(call.file_path(0)).and_then(|path| self.node(&path)) {
                    let length = call
                        .number(1)
                        .and_then(|length| usize::try_from(length).ok());
                    self.change(Change::Resize(node, length.ok_or("a length that is none")?));
                }
            }
            "mkdir" | "rmdir" | "unlink" | "mkdirat" | "unlinkat" => {
                let path = if call.name.ends_with("at") {
                    call.path_in(0)
                } else {
                    call.path(0)
                };
                if let Some(path) = at(path) {
                    self.change(match call.name.starts_with("mkdir") {
                        true => Change::Name(path, Entry::Folder),
                        false => Change::Unname(path),
                    });
                }
            }
            "rename" | "renameat" | "renameat2" => self.add_rename(call),
            "fsync" | "fdatasync" => {
                if let Some(path) = at(call.file_path(0)) {
                    let synced = match self.now.names.get(&path) {
                        Some(Entry::File(node)) => Synced::Node(*node),
                        Some(Entry::Folder) | None => Synced::Folder(path),
                    };
                    self.events.push(Event::Sync(synced, began));
                }
            }
            "sync" | "syncfs" => self.events.push(Event::Sync(Synced::All, began)),
            "sendto" | "sendmsg" => {}
            _ => {
                let paths = [
                    call.path(0),
                    call.path_in(0),
                    call.file_path(0),
                    call.file_path(2),
                ];
                if paths.into_iter().any(|path| at(path).is_some()) {
                    return Err(format!("{} is not modelled", call.name));
                }
            }
        }
        Ok(())
    }

    fn add_write(
        &mut self,
        node: Node,
        call: &Call,
        positions: &mut BTreeMap<i64, usize>,
    ) -> Result<(), String> {
        let mut bytes = call.bytes(1).unwrap_or_default();
        bytes.truncate(usize::try_from(call.result).unwrap_or(0));
        let offset = if call.name == "pwrite64" {
            let offset = call.number(3).and_then(|at| usize::try_from(at).ok());
            offset.ok_or("a write without a place")?
        } else {
            let position = positions
                .entry(call.file_number(0).unwrap_or(-1))
                .or_default();
            let offset = *position;
            *position += bytes.len();
            offset
        };
        self.change(Change::Write(node, offset, bytes));
        Ok(())
    }

    fn open(
        &mut self,
        path: &Path,
        call: &Call,
        flags: usize,
        positions: &mut BTreeMap<i64, usize>,
    ) {
        match self.node(path) {
            None if call.has_flag(flags, "O_CREAT") => {
                self.next_node += 1;
                let entry = Entry::File(self.next_node);
                self.now.nodes.insert(self.next_node, Vec::new());
                self.change(Change::Name(path.to_owned(), entry));
            }
            Some(node) if call.has_flag(flags, "O_TRUNC") => self.change(Change::Resize(node, 0)),
            Some(node) if call.has_flag(flags, "O_APPEND") => {
                let length = self.now.nodes.get(&node).map_or(0, Vec::len);
                positions.insert(call.result, length);
            }
            Some(_) | None => {}
        }
    }

    fn add_rename(&mut self, call: &Call) {
        let (from, to) = match call.name.as_str() {
            "rename" => (call.path(0), call.path(1)),
            _ => (call.path_in(0), call.path_in(2)),
        };
        let (Some(from), Some(to)) = (from, to) else {
            return;
        };
        match (self.is_ours(&from), self.is_ours(&to)) {
            (true, true) if call.has_flag(4, "RENAME_EXCHANGE") => {
                self.change(Change::Swap(from, to));
            }
            (true, true) => self.change(Change::Rename(from, to)),
            (true, false) => self.change(Change::Unname(from)),
            (false, _) => {}
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(&self.root) && !path.to_string_lossy().ends_with("-shm")
    }

    fn node(&self, path: &Path) -> Option<Node> {
        match self.now.names.get(path)? {
            Entry::File(node) => Some(*node),
            Entry::Folder => None,
        }
    }

    fn change(&mut self, change: Change) {
        self.now.apply(&change);
        self.events.push(Event::Change(change));
    }

    /// The same on a disk that does not do what it is asked to: nothing is ever safe.
    #[must_use]
    pub fn without_syncs(mut self) -> Self {
        self.events
            .retain(|event| !matches!(event, Event::Sync(..)));
        self
    }

    /// The files as the calls left them.
    pub fn end(&self) -> &Files {
        &self.now
    }

    /// Every state that a power cut can leave, each once: after each event, with nothing, all, and
    /// `samples` times a random part of what was not synced.
    pub fn states(&self, samples: u64, mut random: impl FnMut(u64) -> u64) -> Vec<State> {
        let mut seen = BTreeSet::new();
        let mut states = Vec::new();
        for cut in 0..=self.events.len() {
            let events = &self.events[..cut];
            let durable = durable(events);
            let acknowledged = events
                .iter()
                .filter_map(|event| match event {
                    Event::Acknowledged(step) => Some(step + 1),
                    _ => None,
                })
                .max()
                .unwrap_or(0);
            for sample in 0..samples + 3 {
                let (names, data) = match sample {
                    0 => (Luck::None, Luck::None),
                    1 => (Luck::All, Luck::All),
                    2 => (Luck::All, Luck::None),
                    _ => (Luck::Some, Luck::Some),
                };
                let files = self.survive(events, &durable, names, data, &mut random);
                let mut hasher = DefaultHasher::new();
                (&files, acknowledged).hash(&mut hasher);
                if seen.insert(hasher.finish()) {
                    states.push(State {
                        files,
                        acknowledged,
                        story: format!(
                            "power cut after event {cut} of {}, of what was not synced: names \
                             {names:?}, data {data:?}; last event {:?}",
                            self.events.len(),
                            events.last().map(brief)
                        ),
                    });
                }
            }
        }
        states
    }

    fn survive(
        &self,
        events: &[Event],
        durable: &[bool],
        names: Luck,
        data: Luck,
        random: &mut impl FnMut(u64) -> u64,
    ) -> Files {
        let is_name =
            |at: &usize| matches!(&events[*at], Event::Change(change) if change.node().is_none());
        let all_names: Vec<usize> = (0..events.len()).filter(is_name).collect();
        let safe = all_names
            .iter()
            .rposition(|at| durable[*at])
            .map_or(0, |at| at + 1);
        let lost = (all_names.len() - safe) as u64;
        let more = match names {
            Luck::None => 0,
            Luck::All => lost,
            Luck::Some => random(lost + 1),
        };
        let kept = safe + usize::try_from(more).unwrap_or(0);
        let last_name = all_names.get(..kept).and_then(<[usize]>::last).copied();
        let mut files = self.start.clone();
        for (at, event) in events.iter().enumerate() {
            let Event::Change(change) = event else {
                continue;
            };
            let survives = match (change.node(), data) {
                (None, _) => last_name.is_some_and(|last| at <= last),
                (Some(_), _) if durable[at] => true,
                (Some(_), Luck::None) => false,
                (Some(_), Luck::All) => true,
                (Some(_), Luck::Some) => random(2) == 0,
            };
            if !survives {
                continue;
            }
            match change {
                Change::Write(node, offset, bytes)
                    if !durable[at] && data == Luck::Some && random(3) == 0 =>
                {
                    let unit = TORN_AT[usize::try_from(random(2)).unwrap_or(0)];
                    let units = (bytes.len() / unit) as u64;
                    let torn = unit * usize::try_from(random(units + 1)).unwrap_or(0);
                    files.apply(&Change::Write(*node, *offset, bytes[..torn].to_vec()));
                }
                change => files.apply(change),
            }
        }
        files.drop_unnamed();
        files
    }
}

/// How much of what was not synced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    None,
    Some,
    All,
}

/// Which changes are safe after these events.
fn durable(events: &[Event]) -> Vec<bool> {
    let mut durable = vec![false; events.len()];
    for event in events {
        let Event::Sync(synced, began) = event else {
            continue;
        };
        for (at, earlier) in events.iter().enumerate().take(*began) {
            if let Event::Change(change) = earlier {
                durable[at] |= match synced {
                    Synced::All => true,
                    Synced::Node(node) => change.node() == Some(*node),
                    Synced::Folder(folder) => change.is_in(folder),
                };
            }
        }
    }
    durable
}

/// Whether a hub tells a client that something is stored or deleted: that acknowledges a step.
fn is_answer(call: &Call) -> bool {
    matches!(call.name.as_str(), "write" | "writev" | "sendto")
        && call
            .bytes(1)
            .is_some_and(|bytes| bytes.starts_with(b"HTTP/1.1 202"))
}

fn brief(event: &Event) -> String {
    match event {
        Event::Change(Change::Write(node, offset, bytes)) => {
            format!("write of {} bytes at {offset} of file {node}", bytes.len())
        }
        event => format!("{event:?}"),
    }
}

impl Files {
    /// Reads all files below a folder.
    fn read(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.names.insert(path.clone(), Entry::Folder);
                self.read(&path)?;
            } else {
                let node = self.nodes.len();
                self.nodes.insert(node, fs::read(&path)?);
                self.names.insert(path, Entry::File(node));
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(node, offset, bytes) => {
                let file = self.nodes.entry(*node).or_default();
                let end = offset + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*offset..end].copy_from_slice(bytes);
            }
            Change::Resize(node, length) => {
                self.nodes.entry(*node).or_default().resize(*length, 0);
            }
            Change::Name(path, entry) => {
                self.names.insert(path.clone(), entry.clone());
            }
            Change::Unname(path) => {
                self.names.remove(path);
            }
            Change::Rename(from, to) => {
                let moved = self.take_below(from);
                self.put_below(to, moved);
            }
            Change::Swap(one, other) => {
                let (ones, others) = (self.take_below(one), self.take_below(other));
                self.put_below(other, ones);
                self.put_below(one, others);
            }
        }
    }

    /// Takes a name and all below it out; the paths that remain are what follows it.
    fn take_below(&mut self, path: &Path) -> Vec<(PathBuf, Entry)> {
        let below: Vec<PathBuf> = self
            .names
            .range(path.to_owned()..)
            .take_while(|(known, _)| known.starts_with(path))
            .map(|(known, _)| known.clone())
            .collect();
        let mut taken = Vec::new();
        for known in below {
            if let (Some(entry), Ok(rest)) = (self.names.remove(&known), known.strip_prefix(path)) {
                taken.push((rest.to_owned(), entry));
            }
        }
        taken
    }

    fn put_below(&mut self, path: &Path, moved: Vec<(PathBuf, Entry)>) {
        for (rest, entry) in moved {
            // To join nothing would add a slash.
            let is_itself = rest.as_os_str().is_empty();
            let name = if is_itself {
                path.to_owned()
            } else {
                path.join(rest)
            };
            self.names.insert(name, entry);
        }
    }

    fn drop_unnamed(&mut self) {
        let named: BTreeSet<Node> = self
            .names
            .values()
            .filter_map(|entry| match entry {
                Entry::File(node) => Some(*node),
                Entry::Folder => None,
            })
            .collect();
        self.nodes.retain(|node, _| named.contains(node));
    }

    /// The content of a file.
    pub fn content(&self, path: &Path) -> Option<&[u8]> {
        match self.names.get(path)? {
            Entry::File(node) => Some(self.nodes.get(node).map_or(&[], Vec::as_slice)),
            Entry::Folder => None,
        }
    }

    /// Makes a folder hold exactly these files.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        fs::create_dir_all(root)?;
        for (path, entry) in &self.names {
            match entry {
                Entry::Folder => fs::create_dir_all(path)?,
                Entry::File(_) => {
                    if let Some(folder) = path.parent() {
                        fs::create_dir_all(folder)?;
                    }
                    fs::write(path, self.content(path).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }
}
