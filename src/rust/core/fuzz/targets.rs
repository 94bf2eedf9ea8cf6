//! What must hold for any bytes whatever. The fuzzer looks for bytes for which it doesn't, and
//! `cargo test` tries those of the corpus.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use fitledger_core::error::Error;
use fitledger_core::format::chain;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::Json;
use fitledger_core::format::object::Object;
use fitledger_core::format::plain::{self, Column};
use fitledger_core::format::row::{self, HEADER, Row};
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session, Tail, folder};
use fitledger_core::mlflow::yaml::{self, Mapping};
use fitledger_core::views::checkpoint::Checkpoint;
use fitledger_core::views::fold;
use fitledger_core::views::registry::Registry;
use fitledger_core::views::runs::Runs;
use fitledger_core::views::series::Points;
use fitledger_core::views::verify::{self, Status};

/// A row that parses is what its cells would be written as.
pub fn row(line: &[u8]) {
    let Ok(row) = Row::parse(line) else {
        return;
    };
    let cells = row.cells().map(|cell| cell.text().into_owned());
    if cells.iter().any(|cell| cell == b"{}") {
        // An empty object is written as an empty cell; that the cell's JSON is canonical is
        // checked where it is read.
        return;
    }
    let [params, metrics, artifacts, context] =
        cells.map(|cell| Object::from_text(&cell).expect("a cell is an object"));
    let event = Event {
        run_id: RunId::new(row.run_id),
        params,
        metrics,
        artifacts,
        context,
        ..Event::new(EventKind::parse(interned(row.event.name())))
    };
    let mut again = Vec::new();
    row::write_body(row.seq, row.time, &event, &mut again);
    assert_eq!(again, row.body);
    again.push(b',');
    again.extend_from_slice(&row.hash.hex());
    assert_eq!(again, line);
}

/// An event's name lives as long as the program.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().expect("no target panics here");
    if !names.contains(name) {
        names.insert(name.to_owned().leak());
    }
    names.get(name).expect("it was just inserted")
}

/// There is one encoding of each JSON value, and one of each value behind it.
pub fn json(bytes: &[u8]) {
    let Ok(json) = Json::parse(bytes) else {
        assert!(Json::parse_canonical(bytes).is_err());
        return;
    };
    let written = json.text();
    let again = Json::parse(written.as_bytes()).expect("what was written reads");
    assert_eq!(again.text(), written);
    if let Ok(canonical) = Json::parse_canonical(bytes) {
        assert_eq!(canonical.text().as_bytes(), bytes);
    }
    let value = value_text(&json);
    let json = Json::parse(value.as_bytes()).expect("a value that was written reads");
    assert_eq!(value_text(&json), value);
}

fn value_text(json: &Json) -> String {
    let mut out = Vec::new();
    Value::from_json(json).write(&mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// What follows `!` are rows without hashes: a fuzzer finds no SHA-256, and what lies behind the
/// check of the chain is to be tried too.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let rows = bytes.strip_prefix(b"!")?;
    let mut out = format!("{HEADER}\n").into_bytes();
    let mut hash = Digest::of(&[HEADER.as_bytes()]);
    for body in rows
        .split(|&byte| byte == b'\n')
        .filter(|body| !body.is_empty())
    {
        hash = chain::link(&hash, body);
        out.extend_from_slice(body);
        out.push(b',');
        out.extend_from_slice(&hash.hex());
        out.push(b'\n');
    }
    Some(out)
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Every reader takes any file, they agree, and an append leaves alone what it refuses.
pub fn ledger(bytes: &[u8]) {
    thread_local! {
        static FOLDER: Folder = {
            let thread = format!("{:?}", std::thread::current().id());
            let name = format!("fitledger-fuzz-{}-{thread}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a temporary folder");
            Folder(path)
        };
    }
    let sealed = sealed(bytes);
    let bytes = sealed.as_deref().unwrap_or(bytes);
    FOLDER.with(|folder| {
        let path = folder.0.join("log.csv");
        fs::write(&path, bytes).expect("a file");
        read(&path, bytes);
        append(&path, bytes);
        for file in fs::read_dir(&folder.0).expect("the folder").flatten() {
            fs::remove_file(file.path()).expect("a file of ours");
        }
    });
}

fn read(path: &Path, bytes: &[u8]) {
    let report = verify::verify(path, None);
    let status = report.as_ref().ok().map(|report| report.status);
    let Ok(ledger) = ledger::read(path) else {
        assert!(matches!(status, None | Some(Status::Corrupt)));
        return;
    };
    let found = ledger.validate();
    let tail = &found.tail;
    let rows = ledger.links().take_while(Result::is_ok).count() as u64;
    assert!(rows >= tail.head().seq.0, "a reader sees less than holds");
    assert_eq!(ledger.size(), bytes.len() as u64);
    match (&report, tail) {
        (Ok(report), Tail::Whole { .. }) => assert_eq!(report.status, Status::Ok),
        (Ok(report), Tail::Torn { .. }) => assert_eq!(report.status, Status::Torn),
        (Ok(report), Tail::Corrupt { .. }) => assert_eq!(report.status, Status::Corrupt),
        _ => {}
    }
    if let Ok(report) = &report {
        assert_eq!(report.rows, tail.head().seq.0);
    }
    drop(Runs::fold(&ledger));
    drop(Registry::fold(&ledger));
    drop(fold::fold::<Points>(&ledger));
    drop(ledger.id());
    assert!(
        fs::read(path).is_ok_and(|after| after == bytes),
        "a reader wrote"
    );
}

fn append(path: &Path, bytes: &[u8]) {
    let now = Timestamp::parse(b"2026-11-23T04:20:47.000000Z").expect("a time");
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: false,
        now,
        random: &mut |bytes| bytes.fill(7),
        since: Instant::now(),
        give_up: &mut || true,
    };
    let event = Event::new(EventKind::Note);
    let open = || FileStore::open(path);
    let before = ledger::read(path).map(|ledger| ledger.validate().tail);
    let appended = ledger::append(
        open,
        path,
        &mut Memory::default(),
        &mut how,
        vec![(now, event)],
    );
    let after = fs::read(path).expect("the file is there");
    match appended {
        Ok(head) => match before {
            Ok(Tail::Corrupt { .. }) | Err(_) => {}
            Ok(_) => {
                let tail = ledger::read(path).expect("a ledger").validate().tail;
                let closed = true;
                assert_eq!(tail, Tail::Whole { head, closed });
            }
        },
        Err(Error::Io { source, .. }) => panic!("{source}"),
        Err(_) => assert_eq!(after, bytes, "what was refused was touched"),
    }
}

/// A checkpoint that parses is written as its first three lines.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(checkpoint) = Checkpoint::parse(text) else {
        return;
    };
    let canonical = checkpoint.to_string();
    let lines: Vec<&str> = text.split('\n').take(3).collect();
    assert_eq!(canonical, lines.join("\n") + "\n");
    assert_eq!(Checkpoint::parse(&canonical), Ok(checkpoint));
}

/// A plain CSV that is read has a value or a reason for each cell, whichever way its columns are taken.
pub fn plain(bytes: &[u8]) {
    let table = match plain::parse(bytes) {
        Ok(table) => table,
        Err(e) => return assert!(e.line >= 1 && !e.why.is_empty()),
    };
    let columns = table.names().count();
    for column in 0..columns {
        let values = match table.column(column) {
            Column::Logical(values) => values.len(),
            Column::Integer(values) => values.len(),
            Column::Double(values) => values.len(),
            Column::Text(values) => values.len(),
        };
        assert_eq!(values, table.rows());
        let lines = 1..=table
            .rows()
            .checked_sub(1)
            .map_or(1, |last| table.line(last));
        if let Err(e) = table.metric(column) {
            assert!(lines.contains(&e.line));
        }
        match table.times(column) {
            Ok(times) => assert_eq!(times.len(), table.rows()),
            Err(e) => assert!(lines.contains(&e.line)),
        }
    }
}

/// What is read of a `meta.yaml` is the same once it is written as we write it.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for value in yaml::scalars(text).unwrap_or_default().into_values() {
        let written = Mapping::new().text("value", &value);
        let again = yaml::scalars(written.as_str()).expect("it is a mapping");
        assert_eq!(again["value"], value);
    }
}

/// What an archive is listed to hold stays in its folder: relative names, none of which leads up.
pub fn archive(bytes: &[u8]) {
    let Ok(entries) = folder::list(&mut Cursor::new(bytes)) else {
        return;
    };
    for entry in entries {
        let mut parts = Path::new(&entry.name).components();
        assert!(parts.all(|part| matches!(part, Component::Normal(_))));
    }
}
