//! What libFuzzer drives: the target that `FUZZ_TARGET` names.

#![no_main]

mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match name.as_str() {
        "row" => targets::row,
        "json" => targets::json,
        "ledger" => targets::ledger,
        "checkpoint" => targets::checkpoint,
        "plain" => targets::plain,
        "yaml" => targets::yaml,
        "archive" => targets::archive,
        _ => panic!("FUZZ_TARGET: there is no target `{name}`"),
    }
});

/// Called for each input. A panic ends the process, by which libFuzzer knows.
#[unsafe(no_mangle)]
extern "C" fn LLVMFuzzerTestOneInput(bytes: *const u8, len: usize) -> i32 {
    // SAFETY: so many bytes are lent for the call. Where there are none the pointer may be null.
    let bytes = match len {
        0 => &[],
        _ => unsafe { std::slice::from_raw_parts(bytes, len) },
    };
    TARGET(bytes);
    0
}
