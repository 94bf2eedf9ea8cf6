//! What holds whatever crashes, and at whatever call:
//!
//! - rows that were acknowledged with `sync` are there after any power cut, and rows acknowledged
//!   without it after the end of any process;
//! - an append that failed left the rows as they were, unless its error says otherwise;
//! - every row that is there holds, and was given to an append once;
//! - the next append goes on by itself, and keeps what it sets aside.
//!
//! Random schedules of one to three writers run over a simulated disk. At each of their calls it
//! is asked what a crash would leave behind, and a new process appends to that. See [`Apart`] for
//! the few crashes after which a person has to look.
//!
//! `FITLEDGER_SCHEDULES` sets the number of schedules, `FITLEDGER_SEED` the first one's seed.

mod disk;
mod reader;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use fitledger_core::Error;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::Json;
use fitledger_core::format::object::Object;
use fitledger_core::format::row::{HEADER, Row};
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{self, Append, Memory, Session};
use fitledger_core::views::repair::carry;

use crate::disk::{Random, SECTOR};
use crate::reader::Reader;
use crate::world::{Faults, Given, Image, Outcome, World};

/// One append of a plan.
struct Planned {
    ids: Vec<String>,
    padding: usize,
    sync: bool,
    session: u64,
    /// Somebody removes the ledger before it.
    remove: bool,
}

/// Appends, notes the outcome, and looks at the file as processes see it.
fn append(
    world: &World,
    writer: usize,
    memory: &mut Memory,
    random: &mut Random,
    planned: &Planned,
) -> Result<(), Error> {
    let index = {
        let mut state = world.state.lock().unwrap();
        state.given.push(Given {
            ids: planned.ids.clone(),
            outcome: Outcome::Open,
        });
        state.given.len() - 1
    };
    let now = Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap();
    let params = Object::new().text("p", &"x".repeat(planned.padding));
    let event = |id: &String| Event {
        run_id: RunId::new(id),
        params: params.clone(),
        ..Event::new(EventKind::Run)
    };
    let mut how = Append {
        session: Session {
            version: planned.session,
            context: &Object::new().text("user", "reader"),
            lockfile: None,
            code: &[],
        },
        sync: planned.sync,
        now,
        random: &mut |bytes| bytes.fill_with(|| random.next() as u8),
        since: Instant::now(),
        give_up: &mut || true,
    };
    let events = planned.ids.iter().map(|id| (now, event(id)));
    let done = ledger::append(|| world.open(writer), &world.path, memory, &mut how, events);

    let mut state = world.state.lock().unwrap();
    state.changed = true;
    let sync = planned.sync;
    state.given[index].outcome = match &done {
        _ if state.life[writer] == Some(0) => Outcome::Open,
        Ok(_) => Outcome::Acknowledged { sync },
        Err(Error::Remains { .. }) => Outcome::Open,
        Err(Error::DurabilityUnknown { .. }) => Outcome::Kept,
        Err(_) => Outcome::Failed,
    };
    if state.trace {
        println!("writer {writer}: {:?} {done:?}", state.given[index].outcome);
    }
    done.map(drop)
}

/// How many of an append's rows are there.
fn count(append: &Given, ids: &HashSet<&str>) -> usize {
    let there = |id: &&String| ids.contains(id.as_str());
    append.ids.iter().filter(there).count()
}

/// What stands in the file while no machine has failed.
fn check_seen(reader: &mut Reader, seen: &[u8], given: &[Given]) {
    reader.read(seen);
    let ids = reader.ids();
    for append in given {
        let there = count(append, &ids);
        let right = match append.outcome {
            Outcome::Open => true,
            Outcome::Acknowledged { .. } | Outcome::Kept => there == append.ids.len(),
            Outcome::Failed => there == 0,
        };
        assert!(right, "{there} rows of {append:?}");
    }
}

/// Whether the core does what this test found to be missing: see the uses.
const STRICT: bool = false;

/// Power cuts after which an append refuses to go on, since they can't be told from damage. No
/// acknowledged row is lost in them, no byte is changed, and the place is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Apart {
    /// Whole rows stand behind a lost sector. Nobody was told that they are on disk, but the file
    /// doesn't show that.
    RowsBehind,
    /// The same, and the lost sector is the header's.
    NoHeader,
    /// A sync failed and others went on: the system had dropped rows that they saw, and theirs
    /// stand behind the gap, acknowledged.
    Dropped,
    /// A sync failed and its rows were taken back: some of their sectors stand among later ones.
    OldBytes,
    /// Of a sector only a part was lost: before the core learns that, any; then a single byte.
    PartOfSector,
}

fn apart(image: &Image, end: usize) -> Apart {
    assert!(image.power, "damage without a power cut");
    let tail = &image.bytes()[end..];
    let has_row = tail
        .split(|&byte| byte == b'\n' || byte == 0)
        .any(|line| Row::parse(line).is_ok());
    let mut ends = (SECTOR - end % SECTOR..=tail.len()).step_by(SECTOR);
    if image.dropped {
        Apart::Dropped
    } else if end == 0 {
        assert!(has_row || !STRICT);
        Apart::NoHeader
    } else if image.cut && (STRICT || !has_row) {
        Apart::OldBytes
    } else if has_row {
        Apart::RowsBehind
    } else if ends.any(|end| tail[end - 1] == 0 && (!STRICT || end < 2 || tail[end - 2] != 0)) {
        Apart::PartOfSector
    } else {
        panic!("{end}: {:?}", String::from_utf8_lossy(tail));
    }
}

#[derive(Default)]
struct Tally {
    schedules: u64,
    calls: u64,
    crashes: u64,
    power_cuts: u64,
    recovered: u64,
    repairs: u64,
    /// Runs that a repair carried over from behind the damage.
    carried: u64,
    apart: BTreeMap<Apart, u64>,
    /// Appends that went on although an earlier row doesn't hold.
    unnoticed: u64,
    /// Appends that failed and whose rows a power cut brought back.
    came_back: u64,
    /// Appends whose acknowledged rows stand behind a gap.
    cut_off: u64,
}

/// Checks the rows that hold after a crash against what was promised.
fn check_rows(image: &Image, ids: &HashSet<&str>, tally: &mut Tally) {
    let mut given = 0;
    for append in &image.given {
        let there = count(append, ids);
        given += there;
        let promised = match append.outcome {
            Outcome::Acknowledged { sync } => sync || !image.power,
            Outcome::Kept => !image.power,
            _ => false,
        };
        if promised && there < append.ids.len() {
            assert!(image.dropped, "only {there} rows of {append:?}");
            tally.cut_off += 1;
            for id in &append.ids {
                let found = memchr::memmem::find(image.bytes(), id.as_bytes());
                assert!(found.is_some(), "{id} is lost");
            }
        }
        if append.outcome == Outcome::Failed && there > 0 {
            assert!(image.power && !STRICT, "{there} rows of {append:?}");
            tally.came_back += 1;
        }
    }
    assert_eq!(given, ids.len(), "rows that nobody gave");
}

/// Checks what a crash left, and that the next append goes on.
fn check_image(
    image: &Image,
    mut random: Random,
    deeper: bool,
    tally: &mut Tally,
    reader: &mut Reader,
) {
    tally.crashes += 1;
    tally.power_cuts += u64::from(image.power);
    let bytes = image.bytes();
    let end = reader.read(bytes);
    let rows = reader.held.len();
    check_rows(image, &reader.ids(), tally);

    let tail = &bytes[end..];
    let in_recovery = deeper && random.one_in(if tail.is_empty() { 64 } else { 8 });
    let world = World::after(image, random.clone(), in_recovery);
    let planned = Planned {
        ids: vec![format!("after-{}", image.given.len())],
        padding: 0,
        sync: true,
        session: 1,
        remove: false,
    };
    let done = append(&world, 0, &mut Memory::default(), &mut random, &planned);
    let mut state = world.state.into_inner().unwrap();
    tally.calls += state.calls;
    let file = state.ledger.take().unwrap();
    let now = &file.seen;
    assert!(now.starts_with(&bytes[..end]), "rows have changed");
    match done {
        Ok(()) if reader.read(now) < now.len() => {
            let noticed = image.dropped || apart(image, end) == Apart::OldBytes;
            assert!(noticed || !STRICT, "it goes on behind a gap");
            tally.unnoticed += 1;
        }
        Ok(()) => {
            assert!(file.disk == *now || image.dropped);
            assert_eq!(reader.held.last().unwrap().id, planned.ids[0]);
            let new = &reader.held[rows..];
            let recovered = new.iter().find(|row| row.event == "recovered");
            let unborn = end == 0 && HEADER.as_bytes().starts_with(tail);
            assert_eq!(recovered.is_some(), !tail.is_empty() && !unborn);
            if let Some(row) = recovered {
                tally.recovered += 1;
                check_aside(&row.line, end, tail, &state.asides);
            }
            for image in &state.images {
                check_image(image, Random(random.next()), false, tally, reader);
            }
        }
        Err(e) => {
            assert_eq!(now, bytes, "damage was touched");
            assert_eq!(state.asides, image.asides);
            match e {
                Error::Corrupt { row, byte, .. } => {
                    assert_eq!((row, byte), (rows as u64 + 1, end as u64));
                }
                Error::NotALedger { .. } => assert_eq!(end, 0),
                e => panic!("{e:?}"),
            }
            *tally.apart.entry(apart(image, end)).or_default() += 1;
            if deeper && end > 0 {
                check_repair(image, end, random, tally, reader);
            }
        }
    }
}

/// Checks that a repair keeps the rows before the damage and the bytes from there on, and that a crash in it leaves the
/// old file or the new one.
fn check_repair(
    image: &Image,
    end: usize,
    mut random: Random,
    tally: &mut Tally,
    reader: &mut Reader,
) {
    let (old, rows) = (image.bytes(), reader.read(image.bytes()));
    assert_eq!(rows, end);
    let good = reader.held.len();
    let world = World::after(image, Random(random.next()), true);
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: true,
        now: Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap(),
        random: &mut |bytes| bytes.fill_with(|| random.next() as u8),
        since: Instant::now(),
        give_up: &mut || true,
    };
    let mut memory = Memory::default();
    let open = || world.open(0);
    ledger::repair(open, &world.path, &mut memory, &mut how, carry).unwrap();
    let mut state = world.state.into_inner().unwrap();
    state.consider_crash();
    let new = state.ledger.as_ref().unwrap().seen.clone();
    assert_eq!(reader.read(&new), new.len());
    let kept = if good > 0 { end } else { HEADER.len() };
    assert_eq!(new[..kept], old[..kept]);
    // Each run once, and none that wasn't given.
    let ids: HashSet<String> = reader.ids().into_iter().map(str::to_owned).collect();
    tally.carried += reader.held[good..]
        .iter()
        .filter(|row| row.event == "run")
        .count() as u64;
    let given = image.given.iter().flat_map(|append| &append.ids);
    let given: HashSet<&String> = given.collect();
    assert!(ids.iter().all(|id| given.contains(id)));

    tally.repairs += 1;
    for crash in &state.images {
        let left = crash.bytes();
        assert!(
            left == old || left == new,
            "neither the old file nor the new one"
        );
        let aside = crash.asides.values().any(|aside| aside == &old[end..]);
        assert!(left == old || aside, "the old bytes are gone");
    }
}

/// The bytes that were set aside are those that a `recovered` row names.
fn check_aside(line: &[u8], at: usize, tail: &[u8], asides: &BTreeMap<PathBuf, Vec<u8>>) {
    let context = Json::parse(&Row::parse(line).unwrap().context.text()).unwrap();
    let text = |key| context.get(key).and_then(Json::as_str).unwrap();
    let int = |key| context.get(key).and_then(Json::as_int).unwrap() as usize;
    assert_eq!((int("offset"), int("length")), (at, tail.len()));
    assert_eq!(text("sha256"), Digest::of(&[tail]).to_string());
    let kept = asides.get(&Path::new("simulated").join(text("file")));
    assert_eq!(kept.map(Vec::as_slice), Some(tail));
}

/// Gives the turn away when a writer is done, or panics.
struct Turn<'a>(&'a World, usize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.lock() {
            state.done[self.1] = true;
            state.pick_turn();
        }
        self.0.next.notify_all();
    }
}

fn write(world: &World, writer: usize, memory: &mut Memory, mut random: Random, plan: &[Planned]) {
    let _turn = Turn(world, writer);
    drop(world.wait(writer, world.state.lock().unwrap()));
    let mut reader = Reader::default();
    for planned in plan {
        if planned.remove {
            let mut state = world.state.lock().unwrap();
            state.remove();
            for append in &mut state.given {
                append.outcome = Outcome::Open;
            }
        }
        drop(append(world, writer, memory, &mut random, planned));
        let state = world.state.lock().unwrap();
        let seen = state.ledger.as_ref().map_or(&[][..], |file| &file.seen);
        check_seen(&mut reader, seen, &state.given);
    }
}

fn plan(
    random: &mut Random,
    writer: usize,
    appends: usize,
    sync: usize,
    alone: bool,
) -> Vec<Planned> {
    let one = |n| {
        let rows = [1, 1, 1, 2, 3][random.below(5)];
        Planned {
            ids: (0..rows)
                .map(|row| format!("w{writer}-{n}-{row}"))
                .collect(),
            padding: match random.below(8) {
                0..=3 => random.below(40),
                4..=6 => random.below(1000),
                _ => random.below(5000),
            },
            sync: [true, true, random.one_in(2), false][sync],
            session: 1 + u64::from(random.one_in(5)),
            remove: STRICT && alone && random.one_in(20),
        }
    };
    (0..appends).map(one).collect()
}

fn run(seed: u64, trace: bool, tally: &mut Tally) {
    let mut random = Random(seed);
    let writers = [1, 1, 1, 2, 2, 3][random.below(6)];
    let mut world = World::new(Random(random.next()), writers);
    let mut memories: Vec<Memory> = (0..writers).map(|_| Memory::default()).collect();
    let state = world.state.get_mut().unwrap();
    state.take_images = false;
    state.trace = trace;
    state.done[1..].fill(true);
    if random.one_in(2) {
        // A ledger that is there already, and perhaps torn.
        for planned in plan(&mut random, 9, 1, 0, false) {
            append(&world, 0, &mut memories[0], &mut random, &planned).unwrap();
        }
        if random.one_in(3) {
            let state = world.state.get_mut().unwrap();
            let file = state.ledger.as_mut().unwrap();
            file.truncate(random.below(file.seen.len()));
            file.sync();
            state.given[0].outcome = Outcome::Open;
        }
    }
    let state = world.state.get_mut().unwrap();
    state.take_images = true;
    state.changed = true;
    state.done.fill(false);
    if random.one_in(2) {
        state.faults = Faults {
            one_in: [6, 12, 30][random.below(3)],
            stay_full: random.one_in(2),
        };
    }
    if random.one_in(3) {
        for life in &mut state.life {
            *life = random.one_in(2).then(|| 1 + random.below(30));
        }
    }
    let sync = random.below(4);
    let appends = if writers == 1 { 4 } else { 2 };
    let plans: Vec<Vec<Planned>> = (0..writers)
        .map(|writer| {
            let appends = 1 + random.below(appends);
            plan(&mut random, writer, appends, sync, writers == 1)
        })
        .collect();
    if writers == 1 {
        write(
            &world,
            0,
            &mut memories[0],
            Random(random.next()),
            &plans[0],
        );
    } else {
        std::thread::scope(|scope| {
            for (writer, (plan, memory)) in plans.iter().zip(&mut memories).enumerate() {
                let (world, random) = (&world, Random(random.next()));
                scope.spawn(move || write(world, writer, memory, random, plan));
            }
        });
    }
    let mut state = world.state.into_inner().unwrap();
    state.consider_crash();
    tally.schedules += 1;
    tally.calls += state.calls;
    let mut reader = Reader::default();
    for image in &state.images {
        check_image(image, Random(random.next()), true, tally, &mut reader);
    }
}

/// Says how to see a failure again.
struct Announce(u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("again: FITLEDGER_SEED={} FITLEDGER_SCHEDULES=1", self.0);
        }
    }
}

#[test]
fn no_crash_loses_what_was_acknowledged() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let schedules = number("FITLEDGER_SCHEDULES").unwrap_or(10_000);
    let first = number("FITLEDGER_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    for seed in first..first + schedules {
        let _announce = Announce(seed);
        run(seed, schedules == 1, &mut tally);
    }
    println!(
        "{} schedules, {} calls, {} crashes ({} power cuts), {} tails set aside",
        tally.schedules, tally.calls, tally.crashes, tally.power_cuts, tally.recovered,
    );
    println!(
        "{} repairs, {} runs carried over",
        tally.repairs, tally.carried
    );
    println!(
        "apart: {:?}; {} gaps unnoticed, {} failed appends came back, {} cut off",
        tally.apart, tally.unnoticed, tally.came_back, tally.cut_off,
    );
}
