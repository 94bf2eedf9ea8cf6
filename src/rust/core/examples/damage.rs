//! `damage FOLDER [--short]`: damages a ledger in every way that `dev/faults` asks for, and checks
//! that each is found and named as the format says. In one process, since it does so some hundred
//! thousand times. Says a line for each class: its name, cases, acknowledged rows lost, false
//! acknowledgements, damage missed, wrong verdicts or first bad rows, all else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fitledger_core::Error;
use fitledger_core::format::chain::{self, Head};
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::ledger_context::LedgerContext;
use fitledger_core::format::object::Object;
use fitledger_core::format::row::HEADER;
use fitledger_core::format::run_context::SESSION;
use fitledger_core::format::session_context::SessionContext;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session};
use fitledger_core::views::checkpoint::Checkpoint;
use fitledger_core::views::verify::{Status, verify};

const SECTOR: usize = 512;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(&arguments[0]);
    let short = arguments.get(1).is_some_and(|form| form == "--short");
    let ledger = Rows::new(b'a', 100);
    let bench = Bench {
        lines: ledger.lines(),
        starts: ledger.starts(),
        whole: ledger.bytes(),
        checkpoint: ledger.checkpoint(),
        ledger,
        other: Rows::new(b'b', 100),
        folder: folder.clone(),
        path: folder.join("log.csv"),
    };
    bench.bytes_changed(short);
    bench.bytes_gone_or_doubled(if short { 8 } else { 1 });
    bench.rows_moved();
    bench.rows_spliced();
    bench.chain_recomputed();
    bench.cuts();
    bench.tails();
    bench.sectors_lost();
    bench.births();
}

/// A ledger as the bodies of its rows, to be sealed into a chain.
#[derive(Clone)]
struct Rows(Vec<Vec<u8>>);

impl Rows {
    fn new(name: u8, count: usize) -> Rows {
        let name = char::from(name);
        let id = name.to_string().repeat(32);
        let mut rows = Vec::new();
        for i in 1..=count {
            let session = name.to_string();
            let (kind, context) = match i {
                1 => (EventKind::Ledger, LedgerContext::object(1, &id)),
                2 => {
                    let recorded = Object::new().text("user", "reader");
                    let context = SessionContext::object(&session, &recorded, None, &[]);
                    (EventKind::Session, context)
                }
                _ => (EventKind::Run, Object::new().text(SESSION, &session)),
            };
            let mut event = Event {
                context,
                ..Event::new(kind)
            };
            if i > 2 {
                event.run_id = RunId::new(&format!("{name}-{i}"));
                event.params = Object::new().text("text", &"é, \"".repeat(i % 7));
                event.metrics = Object::new().value("rmse", &Value::Double(i as f64 + 0.5));
            }
            let mut row = Vec::new();
            let before = &mut Head {
                seq: fitledger_core::format::id::Seq(i as u64 - 1),
                hash: Digest::of(&[]),
            };
            chain::write_row(before, now(), &event, &mut row).expect("a short row");
            row.truncate(row.len() - 66);
            rows.push(row);
        }
        Rows(rows)
    }

    /// Each row with its line feed.
    fn lines(&self) -> Vec<Vec<u8>> {
        let mut hash = Head::genesis().hash;
        let seal = |body: &Vec<u8>| {
            hash = chain::link(&hash, body);
            [body, &b","[..], &hash.hex(), b"\n"].concat()
        };
        self.0.iter().map(seal).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        file(&self.lines())
    }

    fn checkpoint(&self) -> Checkpoint {
        let lines = self.lines();
        let last = &lines[lines.len() - 1];
        let hash = String::from_utf8_lossy(&last[last.len() - 65..last.len() - 1]);
        let first = String::from_utf8_lossy(&self.0[0]);
        let id = first.split("\"\"").nth(5).expect("an id");
        let text = format!("fitledger/1 {id}\n{}\n{hash}\n", lines.len());
        Checkpoint::parse(&text).expect("a checkpoint")
    }

    /// Where each row starts, and where the file ends.
    fn starts(&self) -> Vec<usize> {
        let mut starts = vec![HEADER.len() + 1];
        for line in self.lines() {
            starts.push(starts[starts.len() - 1] + line.len());
        }
        starts
    }
}

fn file(lines: &[Vec<u8>]) -> Vec<u8> {
    [HEADER.as_bytes(), b"\n", &lines.concat()].concat()
}

fn now() -> Timestamp {
    Timestamp::parse(b"2026-11-23T04:20:47.123456Z").expect("a time")
}

/// What verification should say: one of some verdicts, and, of a fault, its row and byte.
struct Want(&'static [Status], Option<(usize, usize)>);

impl Want {
    fn corrupt(row: usize, byte: usize) -> Want {
        Want(&[Status::Corrupt], Some((row, byte)))
    }
    fn torn(row: usize, byte: usize) -> Want {
        Want(&[Status::Torn], Some((row, byte)))
    }
}

const OK: Want = Want(&[Status::Ok], None);
const CHANGED: Want = Want(&[Status::Truncated, Status::Forked], None);

struct Class {
    name: &'static str,
    cases: u32,
    lost: u32,
    falsely: u32,
    missed: u32,
    wrong: u32,
    other: u32,
}

impl Class {
    fn new(name: &'static str) -> Class {
        Class {
            name,
            cases: 0,
            lost: 0,
            falsely: 0,
            missed: 0,
            wrong: 0,
            other: 0,
        }
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        println!(
            "{}|{}|{}|{}|{}|{}|{}",
            self.name, self.cases, self.lost, self.falsely, self.missed, self.wrong, self.other
        );
    }
}

struct Bench {
    ledger: Rows,
    lines: Vec<Vec<u8>>,
    starts: Vec<usize>,
    whole: Vec<u8>,
    checkpoint: Checkpoint,
    other: Rows,
    folder: PathBuf,
    path: PathBuf,
}

impl Bench {
    /// Verifies these bytes, which must not change them, and counts the case.
    fn verify(
        &self,
        class: &mut Class,
        bytes: &[u8],
        checkpoint: Option<&Checkpoint>,
        want: &Want,
        what: &dyn Fn() -> String,
    ) {
        fs::write(&self.path, bytes).expect("a file to write");
        class.cases += 1;
        let Want(statuses, location) = want;
        let complaint = match verify(&self.path, checkpoint) {
            // A file that doesn't begin as a ledger is refused by name.
            Err(Error::NotALedger { .. } | Error::PlainCsv { .. })
                if location.is_some_and(|(row, _)| row == 0) =>
            {
                return;
            }
            Err(e) => {
                class.wrong += 1;
                e.to_string()
            }
            Ok(report) => {
                let found = report.fault.as_ref().map(|fault| (fault.row, fault.byte));
                let wanted = location.map(|(row, byte)| (row as u64, byte as u64));
                let anchored =
                    report.status != Status::Ok || report.anchored == checkpoint.is_some();
                if fs::read(&self.path).is_ok_and(|now| now != bytes) {
                    class.other += 1;
                    "verification changed the file".to_owned()
                } else if !statuses.contains(&report.status) || !anchored {
                    match report.status {
                        Status::Ok => class.missed += 1,
                        _ => class.wrong += 1,
                    }
                    format!("{:?}, not {statuses:?}", report.status)
                } else if wanted.is_some() && found != wanted {
                    class.wrong += 1;
                    format!("{found:?}, not {wanted:?}")
                } else {
                    return;
                }
            }
        };
        eprintln!("{}: {}: {complaint}", class.name, what());
    }

    /// The same without a checkpoint and with one of the last row; damage shows either way.
    fn both(&self, class: &mut Class, bytes: &[u8], want: &Want, what: &dyn Fn() -> String) {
        self.verify(class, bytes, None, want, what);
        let torn = Want(&[Status::Truncated], None);
        let want = if want.0 == [Status::Torn] {
            &torn
        } else {
            want
        };
        self.verify(class, bytes, Some(&self.checkpoint), want, &|| {
            format!("{} (checkpoint)", what())
        });
    }

    /// The row at a byte, counted from 1, and where it starts; row 0 is the header.
    fn row_at(&self, byte: usize) -> (usize, usize) {
        match self.starts.iter().rposition(|&start| start <= byte) {
            Some(i) => (i + 1, self.starts[i]),
            None => (0, byte),
        }
    }

    fn bytes_changed(&self, short: bool) {
        let mut class = Class::new("a byte changed");
        let whole = &self.whole;
        let changes: &[fn(u8) -> u8] = &[|b| b ^ 1, |_| b'\n', |b| b ^ 32, |_| 0, |_| b'!'];
        for at in 0..whole.len() {
            let is_line_feed = at > HEADER.len() && whole[at] == b'\n';
            let is_quick = short && !is_line_feed;
            for change in if is_quick { &changes[..1] } else { changes } {
                let mut bytes = whole.clone();
                bytes[at] = change(whole[at]);
                if bytes[at] == whole[at] {
                    continue;
                }
                let (row, start) = self.row_at(at);
                let what = || format!("byte {at} of row {row} is {}", bytes[at]);
                // The row holds without its line feed, and a zero follows it.
                let is_zero = is_line_feed && bytes[at] == 0;
                if is_zero && at == whole.len() - 1 {
                    let want = Want::torn(row + 1, at);
                    self.verify(&mut class, &bytes, None, &want, &what);
                    self.verify(&mut class, &bytes, Some(&self.checkpoint), &want, &what);
                } else if is_zero {
                    self.both(&mut class, &bytes, &Want::corrupt(row + 1, at), &what);
                } else {
                    self.both(&mut class, &bytes, &Want::corrupt(row, start), &what);
                }
            }
        }
    }

    fn bytes_gone_or_doubled(&self, step: usize) {
        let mut class = Class::new("a byte gone, or doubled");
        let whole = &self.whole;
        for at in (0..whole.len()).step_by(step) {
            let (row, start) = self.row_at(at);
            let mut bytes = whole.clone();
            bytes.remove(at);
            let want = match at == whole.len() - 1 {
                true => OK,
                false => Want::corrupt(row, start),
            };
            self.both(&mut class, &bytes, &want, &|| format!("byte {at} gone"));

            let mut bytes = whole.clone();
            bytes.insert(at, whole[at]);
            // A line feed more is an empty row more; the header's first wrong byte is the second.
            let (row, start) = match (row, whole[at]) {
                (_, b'\n') | (0, _) => self.row_at(at + 1),
                _ => (row, start),
            };
            let want = Want::corrupt(row, start);
            self.both(&mut class, &bytes, &want, &|| format!("byte {at} doubled"));
        }
    }

    fn rows_moved(&self) {
        let (lines, starts) = (&self.lines, &self.starts);
        let last = lines.len() - 1;
        let mut class = Class::new("rows deleted");
        for (i, &start) in starts.iter().enumerate().take(last) {
            let mut rows = lines.clone();
            rows.remove(i);
            let want = Want::corrupt(i + 1, start);
            self.both(&mut class, &file(&rows), &want, &|| {
                format!("row {} deleted", i + 1)
            });
        }
        drop(class);
        let mut class = Class::new("rows cut off at the end");
        for kept in 1..=last {
            let bytes = file(&lines[..kept]);
            let what = || format!("{kept} rows kept");
            // Without a checkpoint nothing can show this.
            self.verify(&mut class, &bytes, None, &OK, &what);
            let want = Want(&[Status::Truncated], None);
            self.verify(&mut class, &bytes, Some(&self.checkpoint), &want, &what);
        }
        drop(class);
        let mut class = Class::new("rows swapped");
        for (i, &start) in starts.iter().enumerate().take(last) {
            for j in [i + 1, last] {
                let mut rows = lines.clone();
                rows.swap(i, j);
                let want = Want::corrupt(i + 1, start);
                self.both(&mut class, &file(&rows), &want, &|| {
                    format!("rows {} and {} swapped", i + 1, j + 1)
                });
            }
        }
        drop(class);
        let mut class = Class::new("rows doubled");
        for i in 0..=last {
            let mut rows = lines.clone();
            rows.insert(i, lines[i].clone());
            let want = Want::corrupt(i + 2, starts[i + 1]);
            self.both(&mut class, &file(&rows), &want, &|| {
                format!("row {} doubled", i + 1)
            });
        }
    }

    fn rows_spliced(&self) {
        let mut class = Class::new("rows spliced in from another ledger");
        let (lines, starts) = (&self.lines, &self.starts);
        let strange = self.other.lines();
        for i in 0..lines.len() {
            let mut replaced = lines.clone();
            replaced[i] = strange[i].clone();
            // The other ledger's first row holds as well as ours does.
            let bad = i.max(1);
            let byte = if i == 0 {
                starts[0] + strange[0].len()
            } else {
                starts[i]
            };
            let want = Want::corrupt(bad + 1, byte);
            self.both(&mut class, &file(&replaced), &want, &|| {
                format!("row {} replaced", i + 1)
            });

            if i > 0 {
                let tail = [&lines[..i], &strange[i..]].concat();
                let want = Want::corrupt(i + 1, starts[i]);
                self.both(&mut class, &file(&tail), &want, &|| {
                    format!("from row {} on", i + 1)
                });
            }
        }
    }

    fn chain_recomputed(&self) {
        let mut class = Class::new("the chain recomputed");
        let count = self.ledger.0.len();
        let mut case = |rows: &Rows, what: &dyn Fn() -> String| {
            self.verify(&mut class, &rows.bytes(), None, &OK, what);
            self.verify(
                &mut class,
                &rows.bytes(),
                Some(&self.checkpoint),
                &CHANGED,
                what,
            );
        };
        for i in 2..count {
            let mut rows = self.ledger.clone();
            let text = String::from_utf8_lossy(&rows.0[i]).replace(".5}", ".25}");
            rows.0[i] = text.into_bytes();
            case(&rows, &|| format!("row {} improved", i + 1));
            let more = Rows::new(b'a', count + 5);
            rows.0.extend_from_slice(&more.0[count..]);
            case(&rows, &|| format!("row {} improved, and rows added", i + 1));
            rows.0.truncate(i + 1);
            case(&rows, &|| format!("row {} improved, and rows cut", i + 1));
        }
        case(&self.other, &|| "another ledger".into());
        let longer = Rows::new(b'a', count + 5);
        let what = || "rows added, as it should be".into();
        self.verify(
            &mut class,
            &longer.bytes(),
            Some(&self.checkpoint),
            &OK,
            &what,
        );
    }

    /// What a cut leaves: a row that has its hash counts, without its line feed too.
    fn cut_at(&self, cut: usize) -> Want {
        let (row, start) = self.row_at(cut);
        match cut == start || self.starts.contains(&(cut + 1)) {
            true => OK,
            false => Want::torn(row, start),
        }
    }

    fn cuts(&self) {
        let mut class = Class::new("cut at every byte of the last three rows");
        let (whole, starts) = (&self.whole, &self.starts);
        for cut in starts[97]..whole.len() {
            let want = match cut == whole.len() - 1 {
                true => OK,
                false => Want(&[Status::Truncated], None),
            };
            let what = || format!("cut at {cut}");
            self.verify(
                &mut class,
                &whole[..cut],
                Some(&self.checkpoint),
                &want,
                &what,
            );
            self.damaged_end(&mut class, &whole[..cut], &self.cut_at(cut), &what);
        }
    }

    fn tails(&self) {
        let whole = &self.whole;
        let end = whole.len();
        let longer = Rows::new(b'a', 103).lines();
        let (next, after) = (&longer[100], &longer[101]);
        let mut class = Class::new("tails of zeros");
        let zeros = |n: usize| vec![0; n];
        let case = |class: &mut Class, parts: &[&[u8]], want: &Want, what: &str| {
            let bytes = [whole, &parts.concat()[..]].concat();
            self.damaged_end(class, &bytes, want, &|| what.to_owned());
        };
        let torn = Want::torn(101, end);
        let corrupt = Want::corrupt(101, end);
        let sectors = |n: usize| (end.next_multiple_of(SECTOR) - end) + n * SECTOR;
        let half = next.len() / 2;
        for n in [1, 2, 511, 512, 513, 1024, 4096, 5000] {
            case(&mut class, &[&zeros(n)], &torn, &format!("{n} zeros"));
        }
        for n in 1..4 {
            let gap = &zeros(sectors(n))[..];
            case(&mut class, &[gap], &torn, &format!("{n} sectors"));
            case(
                &mut class,
                &[gap, b"\n"],
                &torn,
                &format!("{n} sectors, LF"),
            );
            case(
                &mut class,
                &[gap, next],
                &corrupt,
                &format!("{n} sectors, a row at once"),
            );
            case(
                &mut class,
                &[gap, b"\n", next],
                &corrupt,
                &format!("{n} sectors, LF, a row"),
            );
            let what = format!("{n} sectors, LF, a row, half a row");
            case(
                &mut class,
                &[gap, b"\n", next, &after[..9]],
                &corrupt,
                &what,
            );
            let what = format!("half a row, {n} sectors, the rest of another");
            let gap = &zeros(SECTOR * (n + 1))[..];
            case(
                &mut class,
                &[&next[..half], gap, &after[half..]],
                &torn,
                &what,
            );
        }
        let few = &zeros(100)[..];
        case(
            &mut class,
            &[few, b"\n"],
            &corrupt,
            "less than a sector, LF",
        );
        case(
            &mut class,
            &[few, b"\n", next],
            &corrupt,
            "less than a sector, LF, a row",
        );
        drop(class);

        let mut class = Class::new("tails of garbage");
        let garbage: Vec<u8> = (0..700_u32)
            .map(|i| (i * 37 % 251 + 11) as u8 | 128)
            .collect();
        for n in [1, 10, 511, 700] {
            let garbage = &garbage[..n];
            let say = |what: &str| format!("{n} bytes of garbage{what}");
            case(&mut class, &[garbage], &corrupt, &say(""));
            case(&mut class, &[garbage, b"\n"], &corrupt, &say(", LF"));
            case(
                &mut class,
                &[garbage, b"\n", garbage],
                &corrupt,
                &say(", LF, as much"),
            );
            case(
                &mut class,
                &[garbage, b"\n", garbage, b"\n"],
                &corrupt,
                &say(" twice"),
            );
            case(
                &mut class,
                &[garbage, b"\n", next],
                &corrupt,
                &say(", LF, a row"),
            );
            let parts = [garbage, b"\n", next, garbage];
            case(&mut class, &parts, &corrupt, &say(", LF, a row, as much"));
            let (row, byte) = (102, end + next.len());
            case(
                &mut class,
                &[next, garbage],
                &Want::corrupt(row, byte),
                &say(" behind a row"),
            );
            let want = Want::corrupt(row, byte);
            case(
                &mut class,
                &[next, garbage, b"\n"],
                &want,
                &say(" behind a row, LF"),
            );
        }
        case(&mut class, &[b"\n"], &corrupt, "a line feed");
        case(&mut class, &[b"\r\n"], &corrupt, "an empty line of Windows");
        drop(class);

        let mut class = Class::new("half a row and half of another");
        for cut in 1..next.len() {
            let say = |what: &str| format!("cut at {cut}{what}");
            let rest = &after[cut.min(after.len() - 1)..];
            let line_open = &rest[..rest.len() - 1];
            let open = [&next[..cut], line_open].concat();
            let want = match open.starts_with(b"101,") && !has_hash(&open) {
                true => &torn,
                false => &corrupt,
            };
            case(&mut class, &[&open], want, &say(", open"));
            case(
                &mut class,
                &[&next[..cut], rest],
                &corrupt,
                &say(", closed"),
            );
            if cut < next.len() - 1 {
                let parts = [&next[..cut], b"\n", line_open];
                case(&mut class, &parts, &corrupt, &say(", LF, open"));
            }
        }
    }

    /// A write of several rows of which whole sectors never reached the disk. Where a row behind
    /// them holds, a writer, who looks at the end only, goes on; verification shows it.
    fn sectors_lost(&self) {
        let mut class = Class::new("sectors of the last rows lost");
        let (whole, starts) = (&self.whole, &self.starts);
        let first = starts[90].next_multiple_of(SECTOR);
        for sector in (first..whole.len()).step_by(SECTOR) {
            let end = (sector + SECTOR).min(whole.len());
            let mut bytes = whole.clone();
            bytes[sector..end].fill(0);
            let (row, start) = self.row_at(sector);
            let row_behind = starts
                .iter()
                .any(|&start| start >= end && start < whole.len());
            let what = || format!("sector at {sector}");
            if row_behind {
                self.both(&mut class, &bytes, &Want::corrupt(row, start), &what);
            } else {
                self.damaged_end(&mut class, &bytes, &Want::torn(row, start), &what);
            }
        }
    }

    fn births(&self) {
        let mut class = Class::new("births cut short");
        let whole = Rows::new(b'a', 2).bytes();
        for cut in 0..whole.len() {
            let what = || format!("cut at {cut}");
            let want = match cut {
                0 => OK,
                cut if cut <= HEADER.len() => Want::torn(1, 0),
                _ => self.cut_at(cut),
            };
            self.damaged_end(&mut class, &whole[..cut], &want, &what);
        }
    }

    /// A file whose end was damaged: verified, appended to, and verified again.
    fn damaged_end(&self, class: &mut Class, bytes: &[u8], want: &Want, what: &dyn Fn() -> String) {
        drop(fs::remove_dir_all(&self.folder));
        fs::create_dir_all(&self.folder).expect("a folder");
        self.verify(class, bytes, None, want, what);
        let Want(statuses, location) = want;
        let appended = log(&self.path);
        let now = fs::read(&self.path).expect("a file to read");
        let beside = self.beside();
        let complaint = match (statuses[0], appended) {
            (Status::Corrupt, Err(Error::Corrupt { row, byte, .. })) => {
                if *location != Some((row as usize, byte as usize)) {
                    class.wrong += 1;
                    "refused, with another row and byte"
                } else if now != bytes || !beside.is_empty() {
                    class.other += 1;
                    "refused, and not left alone"
                } else {
                    return;
                }
            }
            (Status::Corrupt, Ok(())) => {
                class.missed += 1;
                "written to in spite of the damage"
            }
            (_, Err(e)) => {
                class.wrong += 1;
                eprintln!("{}: {}: {}", class.name, what(), e.in_full());
                return;
            }
            (status, Ok(())) => {
                let start = location.map_or(bytes.len(), |(_, byte)| byte);
                // What was torn before the first whole row began is a birth, and leaves nothing.
                let torn = status == Status::Torn && start > HEADER.len();
                let aside = if torn {
                    vec![bytes[start..].to_vec()]
                } else {
                    vec![]
                };
                let kept = start <= HEADER.len() + 1 || now.starts_with(&bytes[..start]);
                let row = String::from_utf8_lossy(now.get(start..).unwrap_or(&[])).into_owned();
                let events: Vec<_> = row.lines().map(|row| row.split(',').nth(2)).collect();
                let recovered = events.contains(&Some("recovered"));
                if !kept {
                    class.lost += 1;
                    "rows that held are gone"
                } else if events.last() != Some(&Some("run")) {
                    class.falsely += 1;
                    "the new run isn't there"
                } else if beside != aside || recovered != torn {
                    class.other += 1;
                    "what was torn isn't set aside and recorded"
                } else if !verify(&self.path, None).is_ok_and(|report| report.status == Status::Ok)
                {
                    class.wrong += 1;
                    "doesn't verify after the next append"
                } else {
                    return;
                }
            }
        };
        eprintln!("{}: {}: {complaint}", class.name, what());
    }

    /// The files beside the ledger.
    fn beside(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(&self.folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let others = paths.filter(|path| *path != self.path);
        others.map(|path| fs::read(path).expect("a file")).collect()
    }
}

/// Whether a line gets as far as its ninth cell, and 64 hex digits of that.
fn has_hash(line: &[u8]) -> bool {
    let mut quoted = false;
    let mut cells = line.split(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    });
    let hash = cells.nth(8).and_then(|cell| cell.get(..64));
    hash.is_some_and(|hash| hash.iter().all(u8::is_ascii_hexdigit))
}

fn log(path: &Path) -> Result<(), Error> {
    let event = Event {
        run_id: RunId::new("next"),
        ..Event::new(EventKind::Run)
    };
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: false,
        now: now(),
        random: &mut |bytes| bytes.fill(7),
        since: Instant::now(),
        give_up: &mut || false,
    };
    let events = vec![(now(), event)];
    let memory = &mut Memory::default();
    ledger::append(|| FileStore::open(path), path, memory, &mut how, events).map(drop)
}
