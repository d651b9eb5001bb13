//! Any sequence of edits, scans and pulls against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NAMES: &[&str] = &[
    "a",
    "b",
    "d/a",
    "d/b",
    "d/e/a",
    "f",
    "f/a",
    "caf\u{e9}",
    "g.log",
    "d/\u{fc}/x",
];

#[derive(Debug, Clone)]
enum Step {
    Write(usize, u8),
    Delete(usize),
    Rename(usize, usize),
    RemoveFolder(usize),
    Touch(usize),
    Scan,
    ScanPath(usize),
    /// From what the replica knows: as a pull that nobody got in the way of.
    Pull(usize, Option<u8>),
    /// From something else than what is there.
    PullOver(usize, Option<u8>),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let content = || 0u8..4;
    let step = prop_oneof![
        4 => (name(), content()).prop_map(|(name, content)| Step::Write(name, content)),
        2 => name().prop_map(Step::Delete),
        1 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => name().prop_map(Step::RemoveFolder),
        1 => name().prop_map(Step::Touch),
        2 => Just(Step::Scan),
        2 => name().prop_map(Step::ScanPath),
        3 => (name(), proptest::option::of(content())).prop_map(|(name, to)| Step::Pull(name, to)),
        1 => (name(), proptest::option::of(content()))
            .prop_map(|(name, to)| Step::PullOver(name, to)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The folder, and what somebody believes who only hears what the mirror tells.
struct World {
    folder: Folder,
    believed: BTreeMap<String, ContentHash>,
    stamps: BTreeMap<String, Stamp>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: Folder::new(),
            believed: BTreeMap::new(),
            stamps: BTreeMap::new(),
        }
    }

    fn hear(&mut self, scan: &Scan) {
        assert!(
            scan.refused.is_empty() && scan.unsettled.is_empty(),
            "{scan:?}"
        );
        for change in &scan.changes {
            let name = change.path().as_str().to_owned();
            match change {
                Change::Written {
                    content,
                    stamp,
                    bytes,
                    ..
                } => {
                    assert_eq!(bytes.as_deref().map(ContentHash::of), Some(*content));
                    assert_ne!(self.believed.insert(name.clone(), *content), Some(*content));
                    self.stamps.insert(name, stamp.clone());
                }
                Change::Deleted { .. } => {
                    assert!(self.believed.remove(&name).is_some());
                    self.stamps.remove(&name);
                }
                Change::Touched { stamp, .. } => {
                    assert_eq!(self.believed.get(&name), Some(&stamp.content));
                    self.stamps.insert(name, stamp.clone());
                }
            }
        }
    }

    /// The files that are really there.
    fn disk(&self) -> BTreeMap<String, ContentHash> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let place = entry.unwrap().path();
                let name = place
                    .strip_prefix(self.folder.root.path())
                    .unwrap()
                    .to_str()
                    .unwrap();
                if name == ".pangaea" {
                } else if place.is_dir() {
                    folders.push(place);
                } else {
                    found.insert(name.to_owned(), ContentHash::of(&fs::read(&place).unwrap()));
                }
            }
        }
        found
    }

    fn pull(&mut self, name: &str, expected: Option<ContentHash>, to: Option<u8>) {
        let before = self.disk();
        let to = to.map(|content| {
            let text = text(content);
            (hash(&text), body(&text))
        });
        let wanted = to.as_ref().map(|(hash, _)| *hash);
        let task = ApplyTask {
            path: path(name),
            expected,
            to,
        };
        let mut after = before.clone();
        match self
            .folder
            .mirror
            .apply(&task, &self.folder.staging())
            .unwrap()
        {
            Applied::Done { stamp, displaced } => {
                let was = before.get(name).copied();
                assert!(was == expected || was == wanted, "{name}: {was:?}");
                assert_eq!(
                    displaced.as_ref().map(|displaced| displaced.hash),
                    match was {
                        was if was == wanted => None,
                        was => was,
                    }
                );
                if let Some(displaced) = displaced {
                    assert_eq!(
                        ContentHash::of(&fs::read(&displaced.file).unwrap()),
                        displaced.hash
                    );
                    fs::remove_file(displaced.file).unwrap();
                }
                match (wanted, stamp) {
                    (Some(hash), Some(stamp)) => {
                        after.insert(name.to_owned(), hash);
                        self.believed.insert(name.to_owned(), hash);
                        self.stamps.insert(name.to_owned(), stamp);
                    }
                    (None, None) => {
                        after.remove(name);
                        self.believed.remove(name);
                        self.stamps.remove(name);
                    }
                    other => panic!("{other:?}"),
                }
            }
            Applied::Differs => assert_ne!(before.get(name), expected.as_ref(), "{name}"),
            Applied::Refused { .. } => {
                let in_the_way = |other: &String| {
                    path(other).is_below(&path(name)) || path(name).is_below(&path(other))
                };
                let folder_in_the_way = self.folder.at(name).is_dir();
                assert!(folder_in_the_way || before.keys().any(in_the_way), "{name}");
            }
            Applied::Ignored => panic!("{name} is not ignored"),
        }
        assert_eq!(self.disk(), after);
        assert_eq!(self.folder.staged(), Vec::<PathBuf>::new());
    }

    fn step(&mut self, step: &Step) {
        let at = |name: &usize| self.folder.at(NAMES[*name]);
        match step {
            // What the folder does not allow (a file below a file) does not happen.
            Step::Write(name, content) => {
                let place = at(name);
                fs::create_dir_all(place.parent().unwrap()).ok();
                fs::write(place, text(*content)).ok();
            }
            Step::Delete(name) => drop(fs::remove_file(at(name))),
            Step::Rename(from, to) => drop(fs::rename(at(from), at(to))),
            Step::RemoveFolder(name) => {
                if let Some((folder, _)) = NAMES[*name].split_once('/') {
                    drop(fs::remove_dir_all(self.folder.at(folder)));
                }
            }
            Step::Touch(name) => {
                if let Ok(file) = fs::File::open(at(name)) {
                    file.set_modified(std::time::SystemTime::UNIX_EPOCH).ok();
                }
            }
            Step::Scan => {
                let scan = self.folder.scan();
                self.hear(&scan);
                assert_eq!(self.believed, self.disk());
            }
            Step::ScanPath(name) => {
                let scan = self.folder.scan_paths(&[NAMES[*name]]);
                self.hear(&scan);
                let scanned = |other: &&String| {
                    other.as_str() == NAMES[*name] || path(other).is_below(&path(NAMES[*name]))
                };
                let disk = self.disk();
                assert!(
                    disk.keys()
                        .filter(scanned)
                        .eq(self.believed.keys().filter(scanned))
                );
            }
            Step::Pull(name, to) => {
                let expected = self.believed.get(NAMES[*name]).copied();
                self.pull(NAMES[*name], expected, *to);
            }
            Step::PullOver(name, to) => self.pull(NAMES[*name], Some(hash("elsewhere")), *to),
            Step::Restart => {
                let root = self.folder.root.path();
                self.folder.mirror = Mirror::open(root, MirrorOptions::default()).unwrap();
                let stamps = self
                    .stamps
                    .iter()
                    .map(|(name, stamp)| (path(name), stamp.encode()))
                    .collect();
                self.folder.mirror.load_stamps(stamps).unwrap();
            }
        }
    }
}

/// Contents of one length, so that only reading or times can tell them apart.
fn text(content: u8) -> String {
    format!("content {content}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whoever_listens_knows_the_folder(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let scan = world.folder.scan();
        world.hear(&scan);
        prop_assert_eq!(&world.believed, &world.disk());
        let again = world.folder.scan();
        prop_assert_eq!(lines(&again), Vec::<String>::new());
    }
}
