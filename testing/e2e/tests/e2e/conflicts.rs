//! Two people edit while they are offline, and find afterwards what they expect.

use pangaea_e2e::device::Device;
use pangaea_e2e::device::settle;
use pangaea_e2e::tree;
use pangaea_e2e::world::World;

struct Case {
    world: World,
    a: Device,
    b: Device,
}

impl Case {
    /// Two devices that have the same files.
    fn new(files: &[(&str, &str)]) -> Self {
        let world = World::new();
        let (a, b) = (world.device("a"), world.device("b"));
        for (name, content) in files {
            a.write(name, content);
        }
        settle(&[&a, &b]);
        tree::assert_same_tree(&a.folder, &b.folder);
        assert_eq!(a.tree().len(), files.len());
        Self { world, a, b }
    }

    /// The hub is gone while both edit, first A, then B. Then both sync twice.
    fn offline(&mut self, edit_a: impl FnOnce(&Device), edit_b: impl FnOnce(&Device)) {
        self.world.hub.kill();
        edit_a(&self.a);
        // One takes its edits in without asking for the hub, the other one in vain.
        self.a.run("sync", &["--offline"]).expect(3);
        edit_b(&self.b);
        self.b.run("sync", &[]).expect(3);
        self.world.hub.start();
        settle(&[&self.a, &self.b]);
        tree::assert_same_tree(&self.a.folder, &self.b.folder);
        let stored = self.world.stats();
        settle(&[&self.b, &self.a]);
        assert_eq!(self.world.stats(), stored, "the devices go on merging");
        tree::assert_same_tree(&self.a.folder, &self.b.folder);
    }

    /// Files with the name of a conflict copy of `name`, with their content.
    fn copies(&self, name: &str) -> Vec<(String, String)> {
        let (stem, extension) = name.rsplit_once('.').unwrap();
        let start = format!("{stem} (conflict ");
        let text = |content: Vec<u8>| String::from_utf8_lossy(&content).into_owned();
        self.a
            .tree()
            .into_iter()
            .filter(|(path, _)| path.starts_with(&start) && path.ends_with(extension))
            .map(|(path, content)| (path, text(content)))
            .collect()
    }

    /// What happened to a file by the logs of both devices.
    #[track_caller]
    fn log(&self, name: &str) -> Vec<String> {
        let mut actions = Vec::new();
        for device in [&self.a, &self.b] {
            let log = device.ask("log", &[name]);
            let rows = log["log"].as_array().unwrap();
            assert!(!rows.is_empty(), "{name} is not in the log");
            actions.extend(
                rows.iter()
                    .map(|row| row["action"].as_str().unwrap().to_owned()),
            );
        }
        actions
    }

    /// Both devices can tell what happened to a file, this among it.
    #[track_caller]
    fn assert_logged(&self, name: &str, action: &str) {
        let log = self.log(name);
        assert!(log.iter().any(|logged| logged == action), "{name}: {log:?}");
    }

    #[track_caller]
    fn assert_no_conflicts(&self) {
        for device in [&self.a, &self.b] {
            let listed = device.ask("conflicts", &[]);
            assert_eq!(
                listed["conflicts"].as_array().map(Vec::len),
                Some(0),
                "{listed}"
            );
        }
        let copy = self
            .a
            .tree()
            .into_keys()
            .find(|name| name.contains("(conflict "));
        assert_eq!(copy, None);
    }
}

#[test]
fn different_files_are_just_both_there() {
    let mut case = Case::new(&[
        ("one.txt", "one\n"),
        ("two.txt", "two\n"),
        ("gone.txt", "x\n"),
    ]);
    case.offline(
        |a| {
            a.write("one.txt", "one by a\n");
            a.write("new/by a.txt", "new by a\n");
            a.remove("gone.txt");
        },
        |b| {
            b.write("two.txt", "two by b\n");
            b.write("new/by b.txt", "new by b\n");
        },
    );
    let expected = [
        ("one.txt", "one by a\n"),
        ("two.txt", "two by b\n"),
        ("new/by a.txt", "new by a\n"),
        ("new/by b.txt", "new by b\n"),
    ];
    assert_eq!(case.b.tree().len(), expected.len());
    for (name, content) in expected {
        assert_eq!(case.b.read(name).as_deref(), Some(content));
        case.assert_logged(name, "edited");
    }
    case.assert_logged("gone.txt", "deleted");
    case.assert_no_conflicts();
}

#[test]
fn different_lines_of_a_text_are_merged() {
    let text = |lines: [&str; 6]| lines.map(|line| format!("{line}\n")).concat();
    let base = text(["milk", "bread", "eggs", "tea", "salt", "rice"]);
    let mut case = Case::new(&[("list.txt", &base)]);
    case.offline(
        |a| {
            a.write(
                "list.txt",
                text(["oat milk", "bread", "eggs", "tea", "salt", "rice"]),
            );
        },
        |b| {
            b.write(
                "list.txt",
                text(["milk", "bread", "eggs", "tea", "salt", "rice\nsoap"]),
            );
        },
    );
    let merged = text(["oat milk", "bread", "eggs", "tea", "salt", "rice\nsoap"]);
    assert_eq!(case.a.read("list.txt"), Some(merged));
    case.assert_no_conflicts();
    case.assert_logged("list.txt", "merged");
}

#[test]
fn different_fields_of_a_json_file_are_merged() {
    let json = |colour: &str, size: u32, extra: &str| {
        format!(
            "{{\n  \"colour\": \"{colour}\",\n  \"size\": {size},\n  \"tags\": [\"x\"]{extra}\n}}\n"
        )
    };
    let mut case = Case::new(&[("settings.json", &json("red", 1, ""))]);
    case.offline(
        |a| a.write("settings.json", json("blue", 1, "")),
        |b| b.write("settings.json", json("red", 2, ",\n  \"new\": true")),
    );
    assert_eq!(
        case.b.read("settings.json"),
        Some(json("blue", 2, ",\n  \"new\": true"))
    );
    case.assert_no_conflicts();
    case.assert_logged("settings.json", "merged");
}

#[test]
fn the_same_line_edited_twice_is_kept_twice() {
    let mut case = Case::new(&[("line.txt", "before\nthe line\nafter\n")]);
    case.offline(
        |a| a.write("line.txt", "before\nby a\nafter\n"),
        |b| b.write("line.txt", "before\nby b\nafter\n"),
    );
    // Who wrote last keeps the name.
    assert_eq!(
        case.a.read("line.txt").as_deref(),
        Some("before\nby b\nafter\n")
    );
    let copies = case.copies("line.txt");
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(copies[0].1, "before\nby a\nafter\n");
    for device in [&case.a, &case.b] {
        let listed = device.ask("conflicts", &[]).to_string();
        assert!(
            listed.contains("line.txt") && listed.contains(&copies[0].0),
            "{listed}"
        );
    }
    case.assert_logged("line.txt", "conflict");

    case.a
        .run("resolve", &["line.txt", "--keep", "theirs"])
        .expect(0);
    settle(&[&case.a, &case.b]);
    tree::assert_same_tree(&case.a.folder, &case.b.folder);
    assert_eq!(
        case.b.read("line.txt").as_deref(),
        Some("before\nby a\nafter\n")
    );
    case.assert_no_conflicts();
}

#[test]
fn an_edit_wins_over_a_delete() {
    let old = "old\n";
    let mut case = Case::new(&[
        ("a deletes.txt", old),
        ("b deletes.txt", old),
        ("both.txt", old),
    ]);
    case.offline(
        |a| {
            a.remove("a deletes.txt");
            a.write("b deletes.txt", "edited by a\n");
            a.remove("both.txt");
        },
        |b| {
            b.write("a deletes.txt", "edited by b\n");
            b.remove("b deletes.txt");
            b.remove("both.txt");
        },
    );
    assert_eq!(
        case.a.read("a deletes.txt").as_deref(),
        Some("edited by b\n")
    );
    assert_eq!(
        case.a.read("b deletes.txt").as_deref(),
        Some("edited by a\n")
    );
    assert_eq!(case.a.tree().len(), 2, "{:?}", case.a.tree().keys());
    case.assert_logged("a deletes.txt", "edit-kept");
    case.assert_logged("b deletes.txt", "edit-kept");
}

#[test]
fn two_new_files_of_one_name_are_both_kept() {
    let mut case = Case::new(&[]);
    case.offline(
        |a| {
            a.write("new.txt", "new by a\n");
            a.write("new.bin", [0, 1, 2, 3]);
            a.write("same.txt", "the same on both\n");
        },
        |b| {
            b.write("new.txt", "new by b\n");
            b.write("new.bin", [0, 9, 9, 9]);
            b.write("same.txt", "the same on both\n");
        },
    );
    assert_eq!(case.a.read("new.txt").as_deref(), Some("new by b\n"));
    let copies = case.copies("new.txt");
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(copies[0].1, "new by a\n");
    assert_eq!(case.a.tree().get("new.bin").unwrap(), &[0, 9, 9, 9]);
    let copies = case.copies("new.bin");
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(copies[0].1.as_bytes(), [0, 1, 2, 3]);
    assert!(case.copies("same.txt").is_empty());
    assert_eq!(case.a.tree().len(), 5, "{:?}", case.a.tree().keys());
    case.assert_logged("new.txt", "conflict");
    case.assert_logged("new.bin", "conflict");
}
