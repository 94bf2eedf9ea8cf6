//! What the fuzzer has found so far, and cases at the edges, hold still. See `dev/fuzz`.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| target(&bytes)).is_err() {
            panic!("{}", path.display());
        }
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn rows() {
    replay("row", targets::row);
}

#[test]
fn json() {
    replay("json", targets::json);
}

#[test]
fn ledgers() {
    replay("ledger", targets::ledger);
}

#[test]
fn checkpoints() {
    replay("checkpoint", targets::checkpoint);
}

#[test]
fn plain_csvs() {
    replay("plain", targets::plain);
}

#[test]
fn yaml() {
    replay("yaml", targets::yaml);
}

#[test]
fn archives() {
    replay("archive", targets::archive);
}
