//! Keys: who may read them, and that nothing shows them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::Place;
use crate::kit::Ran;

const SECRET: &str = "a25629673b468789f8cbf84e24a6b9d97a97c5e12cf3796001dde2927021cdaf";

fn mode(place: &Place, name: &str) -> u32 {
    let metadata = fs::metadata(place.path(name)).expect("the file is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_new_key_is_private_and_only_its_address_is_printed() {
    let place = Place::new();
    let out = place.run(&["key", "new", "--key-file", "keys/mine"]).ok();
    let secret = place.read("keys/mine").trim().to_owned();
    assert_eq!(secret.len(), 64);
    assert_eq!(mode(&place, "keys/mine"), 0o600);
    assert_eq!(mode(&place, "keys"), 0o700);
    let shown = place
        .run(&["key", "show", "--key-file", "keys/mine", "--json"])
        .json();
    assert_eq!(shown["address"], out.trim());
    assert_eq!(shown["public_key"].as_str().map(str::len), Some(66));
    assert!(!format!("{out}{shown}").contains(&secret));
}

#[test]
fn a_key_is_never_written_over() {
    let place = Place::with_key();
    let before = place.read("key");
    let said = place.run(&["key", "new", "--key-file", "key"]).code(1);
    assert!(said.contains("already"), "{said}");
    place
        .run_with_input(&["key", "import", "--key-file", "key"], SECRET)
        .code(1);
    assert_eq!(place.read("key"), before);
}

#[test]
fn without_a_name_the_key_is_kept_in_the_configuration() {
    let place = Place::new();
    let address = place.run(&["key", "new"]).ok();
    assert_eq!(mode(&place, "home/.config/pangaea/key"), 0o600);
    assert!(place.run(&["key", "show"]).ok().contains(address.trim()));
    let mut elsewhere = place.command(&["key", "show"]);
    elsewhere.env("XDG_CONFIG_HOME", place.path("other"));
    let said = Ran::of(&mut elsewhere, "").code(1);
    assert!(said.contains("key new"), "{said}");
}

#[test]
fn a_key_is_imported_from_the_input_and_refused_as_an_argument() {
    let place = Place::new();
    for arguments in [
        &["key", "import", "--key-file", "key", SECRET][..],
        &["key", "import", SECRET],
    ] {
        let said = place.run(arguments).code(2);
        assert!(!said.contains(SECRET), "{said}");
        assert!(said.contains("standard input"), "{said}");
    }
    place
        .run_with_input(&["key", "import", "--key-file", "key"], "nonsense")
        .code(1);
    assert!(!place.path("key").exists());
    let address = place
        .run_with_input(
            &["key", "import", "--key-file", "key"],
            &format!("{SECRET}01\n"),
        )
        .ok();
    assert_eq!(place.read("key").trim(), SECRET);
    assert_eq!(mode(&place, "key"), 0o600);
    let mut from_environment = place.command(&["key", "show"]);
    let shown = Ran::of(from_environment.env("PANGAEA_KEY", SECRET), "").ok();
    assert!(shown.contains(address.trim()), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn a_key_that_others_can_read_is_warned_about() {
    let place = Place::with_key();
    let quiet = place.run(&["key", "show", "--key-file", "key"]);
    assert_eq!(quiet.err, "");
    fs::set_permissions(place.path("key"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let warned = place.run(&["key", "show", "--key-file", "key"]);
    assert!(warned.err.contains("chmod 600"), "{warned:?}");
    warned.ok();
}

#[test]
fn a_damaged_key_is_not_repeated() {
    let place = Place::new();
    place.write("key", &SECRET[1..]);
    let said = place.run(&["key", "show", "--key-file", "key"]).code(1);
    assert!(!said.contains(&SECRET[1..]), "{said}");
    let mut wrong = place.command(&["key", "show"]);
    let said = Ran::of(wrong.env("PANGAEA_KEY", &SECRET[1..]), "").code(2);
    assert!(!said.contains(&SECRET[1..]), "{said}");
}
