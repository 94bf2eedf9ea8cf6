//! `checker verdict FILE [CHECKPOINT]`: what verification says, `status row byte`.
//!
//! `checker after FILE ACKED REFUSED`: what came of a file that writers were stopped at. ACKED and
//! REFUSED hold what `writer` said on stdout and stderr. Appends a run, as the next healthy process
//! would, and says how many acknowledged rows are `lost` after that, how many were `false`ly
//! acknowledged, how many refused ones are `there`, whether the ledger is `dead` to that next
//! append, and how it verifies in the end.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use fitledger_core::Error;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session};
use fitledger_core::platform::sys;
use fitledger_core::views::checkpoint::Checkpoint;
use fitledger_core::views::verify::verify;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["verdict", file] => println!("{}", verdict(Path::new(file), None)),
        ["verdict", file, checkpoint] => {
            let text = fs::read_to_string(checkpoint).expect("a file");
            let checkpoint = Checkpoint::parse(&text).expect("a checkpoint");
            println!("{}", verdict(Path::new(file), Some(&checkpoint)));
        }
        ["after", file, acked, refused] => println!("{}", after(file, acked, refused)),
        _ => eprintln!("checker verdict FILE [CHECKPOINT] | after FILE ACKED REFUSED"),
    }
}

fn verdict(file: &Path, checkpoint: Option<&Checkpoint>) -> String {
    match verify(file, checkpoint) {
        Err(e) => e.class().to_owned(),
        Ok(report) => match report.fault {
            None => report.status.name().to_owned(),
            Some(fault) => format!("{} {} {}", report.status.name(), fault.row, fault.byte),
        },
    }
}

fn after(file: &str, acked: &str, refused: &str) -> String {
    let acked = acknowledged(acked);
    let refused = words(refused, 1, &["remains", "durability_unknown"]);
    let before = runs(file);
    let falsely = acked.iter().filter(|id| !before.contains_key(*id)).count();
    let there = refused.iter().filter(|id| before.contains_key(*id)).count();

    let next = format!("next-{}", std::process::id());
    let dead = log(Path::new(file), &next);
    let now = runs(file);
    let once = |id: &String| now.get(id) == Some(&1);
    let lost = acked
        .iter()
        .filter(|id| before.contains_key(*id) && !once(id))
        .count();
    let dead = match dead {
        Err(e) => e.class(),
        Ok(()) if !once(&next) => "dead",
        Ok(()) => "alive",
    };
    let verdict = verdict(Path::new(file), None).replace(' ', ":");
    format!("{lost} {falsely} {there} {dead} {verdict}")
}

/// The ids in a list of acknowledgements, each the first word of a line. A kill may cut a line short:
/// an id is whole where a space ends it.
fn acknowledged(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// The n-th word of each line that doesn't begin with one of some others.
fn words(file: &str, n: usize, without: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|words| words.len() > n && !without.contains(&words[0]))
        .map(|words| words[n].to_owned())
        .collect()
}

/// The ids of the runs in whole lines, and how often each is there, read without the code under test.
fn runs(file: &str) -> HashMap<String, u32> {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut runs = HashMap::new();
    for line in whole.lines() {
        let cells: Vec<&str> = line.splitn(5, ',').collect();
        if cells.len() == 5 && cells[2] == "run" {
            *runs.entry(cells[3].to_owned()).or_default() += 1;
        }
    }
    runs
}

fn log(path: &Path, id: &str) -> Result<(), Error> {
    let event = Event {
        run_id: RunId::new(id),
        ..Event::new(EventKind::Run)
    };
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: true,
        now: Timestamp::now(),
        random: &mut |bytes| sys::random(bytes).expect("random bytes"),
        since: Instant::now(),
        give_up: &mut || false,
    };
    let events = vec![(Timestamp::now(), event)];
    let memory = &mut Memory::default();
    ledger::append(|| FileStore::open(path), path, memory, &mut how, events).map(drop)
}
