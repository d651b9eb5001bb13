//! What the program says of itself.

use crate::kit::Place;

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let help = Place::new().run(&["--help"]).ok();
    for command in [
        "up",
        "join",
        "hub",
        "key",
        "init",
        "sync",
        "status",
        "ls",
        "cat",
        "put",
        "rm",
        "log",
        "restore",
        "conflicts",
        "resolve",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} in {help}"
        );
    }
    for line in [
        "Exit codes:",
        "\n  0  ",
        "\n  1  ",
        "\n  2  ",
        "\n  3  ",
        "\n  4  ",
    ] {
        assert!(help.contains(line), "{line} in {help}");
    }
    assert!(help.contains("never from arguments"), "{help}");
}

#[test]
fn mistakes_on_the_command_line_have_a_code_of_their_own() {
    let place = Place::new();
    place.run(&[]).code(2);
    place.run(&["dance"]).code(2);
    place.run(&["sync"]).code(2);
    place
        .run(&["sync", "folder", "--watch", "--offline"])
        .code(2);
    place
        .run(&["hub", "--data", "data", "--listen", "somewhere"])
        .code(2);
    place
        .run(&[
            "hub",
            "--data",
            "data",
            "--listen",
            "127.0.0.1:0",
            "--allow",
            "x",
        ])
        .code(2);
}

#[test]
fn the_documentation_names_every_option() {
    let docs = include_str!("../../../../docs/cli.md");
    let place = Place::new();
    for command in [
        "up",
        "join",
        "hub",
        "hub check",
        "hub backup",
        "hub import",
        "key new",
        "key show",
        "key import",
        "init",
        "sync",
        "status",
        "ls",
        "cat",
        "put",
        "rm",
        "log",
        "restore",
        "conflicts",
        "resolve",
    ] {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = place.run(&arguments).ok();
        assert!(
            docs.contains(&format!("pangaea {command}")),
            "{command} is not documented"
        );
        let words = help.split(|letter: char| !(letter.is_alphanumeric() || letter == '-'));
        for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            assert!(
                docs.contains(option),
                "{option} of {command} is not documented"
            );
        }
    }
}
