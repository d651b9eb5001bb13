#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    pangaea_fuzz_targets::run("batch", bytes);
});
