//! A real tree of thousands of files goes from one device to the other, and only once.

use std::fs;
use std::io::BufWriter;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use pangaea_e2e::tree;
use pangaea_e2e::world::World;
use pangaea_kit::random::Random;
use serde_json::json;

const GENERATED_FILES: usize = 3_200;
const COPIED_FILES_MAX: usize = 1_500;
const COPIED_FILE_BYTES_MAX: u64 = 1024 * 1024;
const LARGE_BYTES: usize = 100 * 1024 * 1024;
/// What is in the first folder alone on purpose: links that lead nowhere or out of it, and names
/// that are composed on their way.
const EXCLUDED: &[&str] = &["link-not-followed-*", "decomposed-*"];
/// `café`, with a letter e and an accent of its own.
const DECOMPOSED: &str = "names/decomposed-cafe\u{301}.txt";
const COMPOSED: &str = "names/decomposed-caf\u{e9}.txt";

#[test]
fn a_real_tree_arrives_and_a_second_sync_sends_nothing() {
    let world = World::new();
    let (a, b) = (world.device("a"), world.device("b"));
    let files = make_tree(&a.folder);
    let made = tree::read(&a.folder);
    assert!(made.len() > 3_000);

    assert_eq!(a.sync()["received"], 0);
    assert_eq!(b.sync()["sent"], 0);
    assert_eq!(tree::diff(&a.folder, &b.folder, EXCLUDED), "");
    let copy = b.tree();
    assert!(copy.len() >= files, "{} files of {files}", copy.len());
    assert_eq!(copy.get(COMPOSED), made.get(DECOMPOSED));
    assert!(copy.contains_key(COMPOSED) && !copy.contains_key(DECOMPOSED));
    let outside = copy.keys().find(|name| name.contains("link-not-followed"));
    assert_eq!(outside, None, "a link out of the folder was followed");

    let stored = world.stats();
    assert!(stored.len() >= files, "{} files stored", stored.len());
    for device in [&a, &b, &a, &b] {
        let told = device.sync();
        assert_eq!(
            (&told["sent"], &told["received"]),
            (&json!(0), &json!(0)),
            "{told}"
        );
    }
    // Each write has a time of its own, even of bytes that are there already.
    assert_eq!(
        world.stats(),
        stored,
        "a sync with nothing to send sent something"
    );
    assert_eq!(tree::diff(&a.folder, &b.folder, EXCLUDED), "");
    tree::assert_same(&a.tree(), &made);
}

/// Fills a folder; returns how many files another device is to get at least.
fn make_tree(root: &Path) -> usize {
    let mut random = Random::new(1);
    let mut count = 0;
    for number in 0..GENERATED_FILES {
        let depth = random.below(5);
        let folder: String = (0..depth)
            .map(|_| format!("d{}/", random.below(6)))
            .collect();
        let (name, content) = match number % 5 {
            0 => (format!("{number}.txt"), text(&mut random)),
            1 => (format!("{number}.bin"), bytes(&mut random)),
            2 => (format!("{number}.json"), fields(&mut random)),
            3 => (format!("{number}"), text(&mut random)),
            _ => (format!("{number}.empty"), Vec::new()),
        };
        write(root, &format!("generated/{folder}{name}"), &content);
        count += 1;
    }
    count += names(root, &mut random);
    count += links(root);
    count += copy_of_documentation(root);
    large(root, &mut random);
    count + 2
}

fn text(random: &mut Random) -> Vec<u8> {
    let size = usize::try_from(random.below(4_000)).unwrap();
    random.text(size).into_bytes()
}

fn bytes(random: &mut Random) -> Vec<u8> {
    // A few beyond the sizes that are kept in one piece, or in the store itself.
    let limit = if random.below(40) == 0 {
        2_000_000
    } else {
        8_000
    };
    let size = usize::try_from(random.below(limit)).unwrap();
    random.bytes(size)
}

fn fields(random: &mut Random) -> Vec<u8> {
    format!(
        "{{\n  \"id\": {},\n  \"tags\": [\"a\", \"b\"]\n}}\n",
        random.number()
    )
    .into_bytes()
}

/// Names that have gone wrong somewhere, sometime.
fn names(root: &Path, random: &mut Random) -> usize {
    let names = [
        "with space.txt",
        " leading and trailing ",
        "hash#mark.txt",
        "question?mark.txt",
        "per%cent.txt",
        "per%2Fcent%41.txt",
        "plus+and&amp;.txt",
        "quote's \"double\".txt",
        "back\\slash.txt",
        "colon:star*pipe|.txt",
        "new\nline.txt",
        "tab\there.txt",
        "-leading-dash",
        ".hidden",
        "trailing.dot.",
        "Case.txt",
        "case.txt",
        "NUL",
        "con.txt",
        "gr\u{f6}\u{df}e.txt",
        "\u{65e5}\u{672c}\u{8a9e}/\u{6587}\u{66f8}.txt",
        "\u{1f600} smile.txt",
        "\u{5d0}\u{5d1}\u{202e}override.txt",
        "semi;colon,comma=equals@at.txt",
        "~tilde$dollar!bang(paren)[bracket]{brace}.txt",
        "conflict (conflict abcdef).txt",
        "x.pangaea/file.txt",
        DECOMPOSED.strip_prefix("names/").unwrap(),
    ];
    for name in names {
        let content = random.text(100);
        write(root, &format!("names/{name}"), content.as_bytes());
    }
    let long = "l".repeat(251) + ".txt";
    write(root, &format!("names/{long}"), b"a long name\n");
    let deep = "deep/".repeat(60);
    write(root, &format!("names/{deep}file.txt"), b"far down\n");
    names.len() + 2
}

/// Symbolic links: those that lead to something inside stand for it.
fn links(root: &Path) -> usize {
    write(root, "links/target.txt", b"what the links lead to\n");
    write(root, "links/folder/inner.txt", b"in a linked folder\n");
    let link = |to: &str, name: &str| symlink(to, root.join("links").join(name)).unwrap();
    link("target.txt", "to-file.txt");
    link("folder", "to-folder");
    link("to-file.txt", "to-link.txt");
    symlink("../../links/target.txt", root.join("links/folder/up.txt")).unwrap();
    link("/etc/hostname", "link-not-followed-out");
    link("/etc", "link-not-followed-folder");
    link("nowhere", "link-not-followed-dangling");
    link("..", "link-not-followed-loop");
    // The two files, two links to files, and what is seen through the link to the folder.
    2 + 2 + 2
}

/// Some of the machine's own documentation, as far as there is any.
fn copy_of_documentation(root: &Path) -> usize {
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/usr/share/doc").to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) if meta.is_file() && meta.len() <= COPIED_FILE_BYTES_MAX => {
                    found.push(entry.path());
                }
                Ok(_) | Err(_) => {}
            }
        }
        if found.len() >= COPIED_FILES_MAX {
            break;
        }
    }
    found.truncate(COPIED_FILES_MAX);
    for file in &found {
        let inside = file.strip_prefix("/usr/share").unwrap();
        write(root, inside.to_str().unwrap(), &fs::read(file).unwrap());
    }
    found.len()
}

/// Two files of 100 MiB of real data.
fn large(root: &Path, random: &mut Random) {
    fs::create_dir_all(root.join("large")).unwrap();
    let mut file = BufWriter::new(fs::File::create(root.join("large/binary.bin")).unwrap());
    for _ in 0..LARGE_BYTES / (1024 * 1024) {
        file.write_all(&random.bytes(1024 * 1024)).unwrap();
    }
    file.flush().unwrap();
    let mut file = BufWriter::new(fs::File::create(root.join("large/text.log")).unwrap());
    for _ in 0..LARGE_BYTES / (1024 * 1024) {
        file.write_all(random.text(1024 * 1024).as_bytes()).unwrap();
    }
    file.flush().unwrap();
}

fn write(root: &Path, name: &str, content: &[u8]) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}
