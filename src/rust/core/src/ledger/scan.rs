//! Checking rows from their raw bytes: their form, their order and the chain.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::chain::{self, Head};
use crate::digest::{Digest, HEX_LEN};
use crate::json::Json;
use crate::ledger::read::{self, First};
use crate::ledger::tail::{self, FIRST_ROW, Tail};
use crate::record::{CELLS, Row};

/// Below this many bytes another thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 20;
/// The largest integer that every reader of JSON keeps.
const MAX_INT: i64 = 1 << 53;

/// Checks every row and says where and how the ledger ends. `bytes` is the file after its header.
///
/// Each row's check needs only the hash that the row before it states, so parts of the file are
/// checked side by side.
pub fn scan(bytes: &[u8]) -> Tail {
    let complete = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    let parts = split(&bytes[..complete]);
    let first_bad = AtomicUsize::new(usize::MAX);
    let outcomes: Vec<Part> = thread::scope(|scope| {
        let check = |at: usize, end: usize| check_part(bytes, at, end, &first_bad);
        let (first, rest) = parts.split_first().expect("there is a first part");
        let rest: Vec<_> = rest
            .iter()
            .map(|&(at, end)| scope.spawn(move || check(at, end)))
            .collect();
        let first = check(first.0, first.1);
        let rest = rest
            .into_iter()
            .map(|part| part.join().expect("a check doesn't panic"));
        std::iter::once(first).chain(rest).collect()
    });

    let mut head = Head::genesis();
    for part in outcomes {
        if let Some(fault) = part.fault {
            let head = part.head.unwrap_or(head);
            return tail::broken(
                head,
                &bytes[fault.at..],
                FIRST_ROW + fault.at as u64,
                &fault.why,
            );
        }
        head = part.head.unwrap_or(head);
    }
    if complete == bytes.len() {
        Tail::Whole { head }
    } else {
        tail::broken(
            head,
            &bytes[complete..],
            FIRST_ROW + complete as u64,
            "it is unfinished",
        )
    }
}

/// Cuts the bytes at line feeds into a part for each processor.
fn split(bytes: &[u8]) -> Vec<(usize, usize)> {
    let worth = bytes.len() / WORTH_A_THREAD;
    let count = match worth {
        0 | 1 => 1,
        _ => thread::available_parallelism()
            .map_or(1, usize::from)
            .min(worth),
    };
    let mut cuts = vec![0];
    for part in 1..count {
        let near = bytes.len() / count * part;
        let cut = memchr::memchr(b'\n', &bytes[near..]).map_or(bytes.len(), |at| near + at + 1);
        if cut > cuts[cuts.len() - 1] {
            cuts.push(cut);
        }
    }
    cuts.push(bytes.len());
    cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

struct Fault {
    at: usize,
    why: String,
}

/// What the check of a part found: its last good row, and the first bad one.
struct Part {
    head: Option<Head>,
    fault: Option<Fault>,
}

fn check_part(bytes: &[u8], start: usize, end: usize, first_bad: &AtomicUsize) -> Part {
    let mut part = Part {
        head: None,
        fault: None,
    };
    // What the row before says of itself is that row's own affair.
    let mut previous = stated_head(&bytes[..start]);
    let mut at = start;
    while at < end && at < first_bad.load(Ordering::Relaxed) {
        let length = memchr::memchr(b'\n', &bytes[at..end]).unwrap_or(end - at);
        match check_row(&bytes[at..at + length], previous) {
            Ok(head) => {
                part.head = Some(head);
                previous = Some(head);
                at += length + 1;
            }
            Err(why) => {
                first_bad.fetch_min(at, Ordering::Relaxed);
                part.fault = Some(Fault { at, why });
                break;
            }
        }
    }
    part
}

fn stated_head(before: &[u8]) -> Option<Head> {
    let Some(lines) = before.strip_suffix(b"\n") else {
        return Some(Head::genesis());
    };
    let start = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
    let line = &lines[start..];
    let hash = Digest::from_hex(&line[line.len().saturating_sub(HEX_LEN)..])?;
    let seq = memchr::memchr(b',', line).and_then(|comma| {
        let digits = std::str::from_utf8(&line[..comma]).ok()?;
        digits.parse().ok()
    })?;
    Some(Head {
        seq: crate::id::Seq(seq),
        hash,
    })
}

fn check_row(line: &[u8], previous: Option<Head>) -> Result<Head, String> {
    let row = Row::parse(line)?;
    // Without one the row before is damaged, which its own part reports.
    if let Some(previous) = previous {
        if row.seq != previous.seq.next() {
            return Err(format!("its seq is {} after {}", row.seq, previous.seq));
        }
        if chain::link(&previous.hash, row.body) != row.hash {
            return Err("its hash doesn't match its content and the row before it".into());
        }
    }
    check_rules(&row)?;
    Ok(Head {
        seq: row.seq,
        hash: row.hash,
    })
}

/// What the format asks of a row beyond its form.
fn check_rules(row: &Row<'_>) -> Result<(), String> {
    let mut session = false;
    for (cell, name) in row.cells().into_iter().zip(CELLS) {
        if cell.is_empty() {
            continue;
        }
        let json =
            Json::parse_canonical(&cell.text()).map_err(|e| format!("its {name} cell is {e}"))?;
        let most = if name == "params" {
            i64::from(i32::MAX)
        } else {
            MAX_INT
        };
        if !integers_within(&json, most) {
            return Err(format!("its {name} cell holds an integer beyond ±{most}"));
        }
        session |= name == "context" && json.get("session").is_some_and(|id| id.as_str().is_some());
    }
    if let Err(First::Wrong) = read::check_first(row) {
        return Err("the first row, and no other, is the ledger's own".into());
    }
    if !matches!(row.event, "ledger" | "session" | "recovered") && !session {
        return Err("it names no session".into());
    }
    const OF_A_RUN: [&str; 8] = [
        "run", "start", "resume", "log", "end", "void", "reveal", "register",
    ];
    if OF_A_RUN.contains(&row.event) && row.run_id.is_empty() {
        return Err("it names no run".into());
    }
    Ok(())
}

fn integers_within(json: &Json, most: i64) -> bool {
    match json {
        Json::Int(x) => x.unsigned_abs() <= most.unsigned_abs(),
        Json::Array(items) => items.iter().all(|item| integers_within(item, most)),
        Json::Object(pairs) => pairs.iter().all(|(_, value)| integers_within(value, most)),
        _ => true,
    }
}
