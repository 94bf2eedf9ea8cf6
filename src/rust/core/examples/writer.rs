//! `writer FILE PREFIX COUNT`: logs runs PREFIX-1, PREFIX-2 … durably, one append each.
//!
//! Says on stdout what was acknowledged, and after how many microseconds; on stderr what was
//! refused, and with which class of error. For `dev/faults`, which stops it, and fails its system
//! calls, at every point.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session};
use fitledger_core::platform::sys;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, prefix, count] = &arguments[..] else {
        eprintln!("writer FILE PREFIX COUNT");
        return ExitCode::from(2);
    };
    let path = PathBuf::from(file);
    let count: u32 = count.parse().expect("a number of runs");
    let mut memory = Memory::default();
    let mut said = ExitCode::SUCCESS;
    for i in 1..=count {
        let id = format!("{prefix}-{i}");
        let begin = Instant::now();
        let outcome = log(&path, &mut memory, &id);
        let micros = begin.elapsed().as_micros();
        // Each line in one system call, so that what is cut off is a whole line.
        let told = match outcome {
            Ok(()) => std::io::stdout().write_all(format!("{id} {micros}\n").as_bytes()),
            Err(e) => {
                said = ExitCode::FAILURE;
                let line = format!("{} {id} {}\n", e.class(), e.in_full());
                std::io::stderr().write_all(line.as_bytes())
            }
        };
        if told.is_err() {
            said = ExitCode::FAILURE;
        }
    }
    said
}

fn log(path: &std::path::Path, memory: &mut Memory, id: &str) -> fitledger_core::Result<()> {
    let event = Event {
        run_id: RunId::new(id),
        params: Object::new().value("lambda", &Value::Double(0.1)),
        metrics: Object::new().value("rmse", &Value::Double(1.5)),
        ..Event::new(EventKind::Run)
    };
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new().text("user", "writer"),
            lockfile: None,
            code: &[],
        },
        sync: true,
        now: Timestamp::now(),
        random: &mut |bytes| {
            if let Err(e) = sys::random(bytes) {
                eprintln!("random {e}");
                std::process::exit(1);
            }
        },
        since: Instant::now(),
        give_up: &mut || false,
    };
    let events = vec![(Timestamp::now(), event)];
    ledger::append(|| FileStore::open(path), path, memory, &mut how, events).map(drop)
}
