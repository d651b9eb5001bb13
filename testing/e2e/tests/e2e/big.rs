//! What cannot be synced is told and kept, and does not stand in the way of the rest.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use pangaea_e2e::tree;
use pangaea_e2e::world::World;
use pangaea_kit::random::Random;

#[test]
fn a_file_above_the_limit_of_the_hub_waits_and_the_others_flow() {
    let world = World::with_hub_options(&["--max-file-megabytes", "1"]);
    let (a, b) = (world.device("a"), world.device("b"));
    let large = Random::new(3).bytes(1_500_000);
    a.write("large.bin", &large);
    for number in 0..20 {
        a.write(&format!("small/{number}.txt"), format!("{number}\n"));
    }
    let told = a.run("sync", &[]).expect(4).json();
    assert_eq!(told["state"], "needs-person", "{told}");
    let parked = told["parked"].as_array().unwrap();
    assert_eq!(parked.len(), 1, "{told}");
    assert_eq!(parked[0]["path"], "large.bin", "{told}");
    let message = parked[0]["message"].as_str().unwrap();
    assert!(message.contains("large"), "{message}");
    let status = a.ask("status", &[]);
    assert_eq!(status["parked"][0]["path"], "large.bin", "{status}");
    let words = a
        .pangaea(&["status", a.folder.to_str().unwrap()])
        .expect(0)
        .text();
    assert!(words.contains("large.bin"), "{words}");

    b.sync();
    assert_eq!(b.tree().len(), 20);
    assert_eq!(a.tree().get("large.bin"), Some(&large));
    // It is not forgotten, and not sent again and again either.
    let stored = world.stats();
    a.run("sync", &[]).expect(4);
    assert_eq!(world.stats(), stored);

    // Encryption adds a third.
    a.write("large.bin", &large[..700_000]);
    a.sync();
    b.sync();
    tree::assert_same_tree(&a.folder, &b.folder);
    assert_eq!(b.tree().len(), 21);
}

#[test]
fn names_that_a_bucket_cannot_hold_are_told_and_stay() {
    let world = World::new();
    let (a, b) = (world.device("a"), world.device("b"));
    let not_text = OsStr::from_bytes(b"not \xff\xfe text.txt");
    a.write("fine.txt", "fine\n");
    a.write("two..dots.txt", "two dots\n");
    fs::write(a.folder.join(not_text), "not text\n").unwrap();
    let told = a.run("sync", &[]).expect(4).json();
    let refused = told["not_synced"].as_array().unwrap();
    assert_eq!(refused.len(), 2, "{told}");
    for name in ["two..dots.txt", "text.txt"] {
        let is_told = refused.iter().any(|one| {
            let reason = one["reason"].as_str().unwrap();
            one["name"].as_str().unwrap().contains(name) && reason.contains("rename")
        });
        assert!(is_told, "{told}");
    }
    let words = a
        .pangaea(&["status", a.folder.to_str().unwrap()])
        .expect(0)
        .text();
    assert!(words.contains("two..dots.txt"), "{words}");
    b.sync();
    assert_eq!(b.tree().into_keys().collect::<Vec<_>>(), ["fine.txt"]);
    assert_eq!(a.tree().len(), 3);

    fs::rename(
        a.folder.join("two..dots.txt"),
        a.folder.join("two.dots.txt"),
    )
    .unwrap();
    fs::rename(a.folder.join(not_text), a.folder.join("text.txt")).unwrap();
    a.sync();
    b.sync();
    tree::assert_same_tree(&a.folder, &b.folder);
    assert_eq!(b.tree().len(), 3);
}

#[test]
fn ignored_files_stay_where_they_are() {
    let world = World::new();
    let (a, b) = (world.device("a"), world.device("b"));
    a.write(".pangaeaignore", "*.tmp\n/build/\n!keep.tmp\n");
    for name in [
        "a.tmp",
        "sub/b.tmp",
        "build/out.txt",
        "keep.tmp",
        "sub/build/in.txt",
        "c.txt",
    ] {
        a.write(name, name);
    }
    a.sync();
    b.sync();
    let names: Vec<String> = b.tree().into_keys().collect();
    assert_eq!(
        names,
        [".pangaeaignore", "c.txt", "keep.tmp", "sub/build/in.txt"]
    );
    assert_eq!(a.tree().len(), 7);
    // What is ignored here is safe from what happens elsewhere, and the rules themselves travel.
    b.write("a.tmp", "another one\n");
    b.sync();
    a.sync();
    assert_eq!(a.read("a.tmp").as_deref(), Some("a.tmp"));

    a.write(".pangaeaignore", "/build/\n");
    a.sync();
    b.sync();
    a.sync();
    let (tree_a, tree_b) = (a.tree(), b.tree());
    assert_eq!(
        tree_b.get("sub/b.tmp").map(Vec::as_slice),
        Some(&b"sub/b.tmp"[..])
    );
    assert!(!tree_b.contains_key("build/out.txt") && tree_a.contains_key("build/out.txt"));
    // Two files of one name meet: both are kept.
    let kept: Vec<&Vec<u8>> = tree_b.values().collect();
    assert!(kept.contains(&&b"another one\n".to_vec()) && kept.contains(&&b"a.tmp".to_vec()));
}
