//! Power cuts on a device: what was saved is there, nothing is torn, and what was pulled stays
//! pulled.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;

use pangaea_disk::check_model;
use pangaea_disk::chosen;
use pangaea_disk::disk::Recording;
use pangaea_disk::disk::State;
use pangaea_disk::trace;
use pangaea_e2e::device::Device;
use pangaea_e2e::world::World;
use pangaea_kit::random::Random;

/// Runs a command of a device to its end, and adds what it did.
fn record(world: &World, device: &Device, recording: &mut Recording, command: &str, more: &[&str]) {
    let output = world.folder("traces").join("trace");
    let command = trace::traced(&device.command(command, more), &output);
    device
        .start_command(command)
        .wait(pangaea_e2e::program::COMMAND_LIMIT)
        .expect(0);
    let text = fs::read_to_string(&output).unwrap();
    recording.add(&trace::calls(&text)).unwrap();
}

#[test]
fn what_was_saved_outlives_a_power_cut() {
    assert!(
        trace::can_trace(),
        "strace is needed, and the right to trace"
    );
    let mut world = World::new();
    let device = world.device("a");
    world.hub.kill();
    let sources = world.folder("sources");
    let mut random_bytes = Random::new(7);
    let large = random_bytes.bytes(150_000);
    let larger = random_bytes.bytes(200_000);
    let steps: [Step<'_>; 5] = [
        ("a.txt", Some(b"one\n")),
        ("b.bin", Some(&large)),
        ("a.txt", Some(b"one\ntwo\n")),
        ("b.bin", Some(&larger)),
        ("a.txt", None),
    ];
    let mut recording = Recording::new(&device.folder).unwrap();
    for (number, (path, content)) in steps.iter().enumerate() {
        match content {
            Some(content) => {
                let source = sources.join("source");
                fs::write(&source, content).unwrap();
                let source = source.to_str().unwrap();
                record(&world, &device, &mut recording, "put", &[path, source]);
            }
            None => record(&world, &device, &mut recording, "rm", &[path]),
        }
        recording.acknowledge(number);
    }
    check_model(&recording, &device.folder);
    let check = |state: &State| {
        state.files.write(&device.folder).unwrap();
        check_saved(&device, &steps, state)
    };
    for state in chosen(&recording) {
        check(&state).unwrap();
    }
    // On a disk that ignores every fsync something must be missing, or this test sees nothing.
    let broken = chosen(&recording.without_syncs());
    assert!(broken.iter().any(|state| check(state).is_err()));
}

/// A file, and what was saved in it; none: it was deleted.
type Step<'a> = (&'a str, Option<&'a [u8]>);

/// Each file is as the last acknowledged step left it, or the step after that.
fn check_saved(device: &Device, steps: &[Step<'_>], state: &State) -> Result<(), String> {
    for path in ["a.txt", "b.bin"] {
        let after = |count: usize| {
            let done = steps.iter().take(count).rev();
            let mut of_path = done.filter(|(known, _)| *known == path);
            of_path.next().and_then(|(_, content)| *content)
        };
        let found = device.run("cat", &[path]);
        let found = (found.code == Some(0)).then_some(found.stdout);
        let acknowledged = state.acknowledged;
        if found.as_deref() != after(acknowledged) && found.as_deref() != after(acknowledged + 1) {
            let length = found.map(|bytes| bytes.len());
            return Err(format!(
                "{path} has {length:?} bytes, {acknowledged} steps were acknowledged: {}",
                state.story
            ));
        }
    }
    let status = device.run("status", &[]);
    match status.code {
        Some(0) if status.json()["conflicts"] == 0 => Ok(()),
        _ => Err(format!("{}: {status:?}", state.story)),
    }
}

#[test]
fn what_was_pulled_is_not_taken_for_an_edit_after_a_power_cut() {
    assert!(
        trace::can_trace(),
        "strace is needed, and the right to trace"
    );
    let world = World::new();
    let (writer, reader) = (world.device("writer"), world.device("reader"));
    let mut random_bytes = Random::new(8);
    writer.write("a.txt", "one\n");
    writer.write("b.bin", random_bytes.bytes(100_000));
    writer.write("d/gone.txt", "soon gone\n");
    writer.sync();
    reader.sync();
    writer.write("a.txt", "one\ntwo\n");
    writer.write("b.bin", random_bytes.bytes(120_000));
    writer.write("d/new.txt", "new\n");
    writer.remove("d/gone.txt");
    writer.sync();
    let (wanted, on_hub) = (writer.tree(), world.stats());

    let mut recording = Recording::new(&reader.folder).unwrap();
    record(&world, &reader, &mut recording, "sync", &[]);
    recording.acknowledge(0);
    check_model(&recording, &reader.folder);
    assert_eq!(reader.tree(), wanted);
    for state in chosen(&recording) {
        state.files.write(&reader.folder).unwrap();
        reader.run("sync", &[]).expect(0);
        assert!(reader.tree() == wanted, "{}", state.story);
        assert_eq!(world.stats(), on_hub, "{}", state.story);
    }
}
