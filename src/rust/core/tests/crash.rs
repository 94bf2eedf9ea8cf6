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

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};

use fitledger_core::Error;
use fitledger_core::digest::Digest;
use fitledger_core::id::RunId;
use fitledger_core::json::Json;
use fitledger_core::ledger::{self, Append, Memory, Session, Store};
use fitledger_core::record::{Event, HEADER, Row};
use fitledger_core::sys::{self, FileId};
use fitledger_core::time::Timestamp;

const SECTOR: usize = 512;
const FIRST_ROW: usize = HEADER.len() + 1;

/// splitmix64
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        n > 0 && self.below(n) == 0
    }
}

/// A change that processes see and that isn't on the disk yet.
#[derive(Clone)]
enum Change {
    /// Whole sectors, up to the end of the file.
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        len: usize,
    },
}

#[derive(Clone, Default)]
struct SimFile {
    seen: Vec<u8>,
    disk: Vec<u8>,
    changes: Vec<Change>,
    /// The folder's entry is on the disk.
    named: bool,
    /// A failed sync dropped changes that processes still see.
    dropped: bool,
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => {
            image.resize(at + bytes.len(), 0);
            image[*at..].copy_from_slice(bytes);
        }
        Change::Truncate { len } => image.resize(*len, 0),
    }
}

impl SimFile {
    fn append(&mut self, bytes: &[u8]) {
        let at = self.seen.len() / SECTOR * SECTOR;
        self.seen.extend_from_slice(bytes);
        let bytes = self.seen[at..].to_vec();
        self.changes.push(Change::Write { at, bytes });
    }

    fn truncate(&mut self, len: usize) {
        self.seen.truncate(len);
        self.changes.push(Change::Truncate { len });
        self.dropped &= self.seen != self.disk;
    }

    fn sync(&mut self) {
        for change in self.changes.drain(..) {
            apply(&mut self.disk, &change);
        }
        self.dropped = self.seen != self.disk;
    }

    /// A sync that failed: the system forgets what it had to write, and processes go on seeing it.
    fn drop_changes(&mut self, random: &mut Random) {
        self.disk = self.after_power_cut(random);
        self.changes.clear();
        self.dropped = self.seen != self.disk;
    }

    /// What a power cut leaves of the file's bytes.
    fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut versions = vec![self.disk.clone()];
        for change in &self.changes {
            let mut image = versions[versions.len() - 1].clone();
            apply(&mut image, change);
            versions.push(image);
        }
        let last = versions.len() - 1;
        if last == 0 {
            return self.disk.clone();
        }
        let kept = random.below(last + 1);
        match random.below(8) {
            // Nothing was lost, or everything that could be.
            0 => versions.swap_remove(last),
            1 => versions.swap_remove(0),
            // The first changes were kept, the next one was torn at a byte; its size may be there.
            2..=4 => torn(&versions[kept], versions.get(kept + 1), random),
            // Every sector is as it was at some moment, and so is the size.
            5 => {
                let len = versions[random.below(last + 1)].len();
                sectors(&versions, len, |random| random.below(last + 1), random)
            }
            // Of everything that was written one sector was lost, or a few were.
            n => {
                let often = if n == 6 { 2 } else { 6 };
                let len = versions[last].len();
                let pick = |random: &mut Random| {
                    if random.one_in(often) {
                        random.below(last)
                    } else {
                        last
                    }
                };
                sectors(&versions, len, pick, random)
            }
        }
    }
}

fn torn(before: &[u8], after: Option<&Vec<u8>>, random: &mut Random) -> Vec<u8> {
    let Some(after) = after.filter(|after| after.len() > before.len()) else {
        return before.to_vec();
    };
    let at = before.len() + random.below(after.len() - before.len() + 1);
    let mut image = after[..at].to_vec();
    if random.one_in(2) {
        image.resize(at + random.below(after.len() - at + 1), 0);
    }
    image
}

fn sectors(
    versions: &[Vec<u8>],
    len: usize,
    pick: impl Fn(&mut Random) -> usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut image = vec![0; len];
    for (n, sector) in image.chunks_mut(SECTOR).enumerate() {
        let version = &versions[pick(random)];
        let bytes = version.get(n * SECTOR..).unwrap_or(&[]);
        let length = bytes.len().min(sector.len());
        sector[..length].copy_from_slice(&bytes[..length]);
    }
    image
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It didn't return, or its error says that its rows may or may not be there.
    Open,
    Acknowledged {
        sync: bool,
    },
    /// Its rows are in the file, and nobody knows whether on the disk.
    Kept,
    Failed,
}

#[derive(Clone)]
struct Given {
    ids: Vec<String>,
    outcome: Outcome,
}

/// Everything as a crash leaves it.
struct Image {
    ledger: Option<Vec<u8>>,
    asides: BTreeMap<PathBuf, Vec<u8>>,
    given: Vec<Given>,
    /// The machine lost its power; else only all processes ended.
    power: bool,
    truncated: bool,
    dropped: bool,
}

/// How much goes wrong in a schedule.
#[derive(Clone, Copy, Default)]
struct Faults {
    /// One call in so many fails.
    one_in: usize,
    /// Once the disk is full it stays so.
    stay_full: bool,
    /// One writer in so many is killed.
    kill_one_in: usize,
}

struct State {
    random: Random,
    ledger: Option<SimFile>,
    asides: BTreeMap<PathBuf, Vec<u8>>,
    locked_by: Option<usize>,
    /// For each descriptor, whether it has yet to hear of a failed sync.
    unheard: Vec<bool>,
    turn: usize,
    /// For each writer, whether it has something to do, and in how many calls it is killed.
    ready: Vec<bool>,
    life: Vec<Option<usize>>,
    faults: Faults,
    full: bool,
    given: Vec<Given>,
    calls: u64,
    /// Since the last image.
    changed: bool,
    take_images: bool,
    images: Vec<Image>,
    trace: Option<Vec<String>>,
}

struct World {
    state: Mutex<State>,
    next: Condvar,
    path: PathBuf,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Works,
    Fails,
    /// The process is killed in it.
    Dies,
}

fn error(kind: ErrorKind) -> IoError {
    IoError::from(kind)
}

fn io_error() -> IoError {
    IoError::other("simulated")
}

impl State {
    /// Notes what a crash at this moment may leave.
    fn consider_crash(&mut self) {
        if !self.take_images || !std::mem::take(&mut self.changed) {
            return;
        }
        let unsynced = self
            .ledger
            .as_ref()
            .is_some_and(|file| !file.changes.is_empty() || !file.named);
        for power in [true, true, false] {
            let ledger = self.ledger.as_ref();
            let image = Image {
                ledger: match ledger {
                    Some(file) if !power => Some(file.seen.clone()),
                    Some(file) if file.named || !self.random.one_in(4) => {
                        Some(file.after_power_cut(&mut self.random))
                    }
                    _ => None,
                },
                asides: self.asides.clone(),
                given: self.given.clone(),
                power,
                truncated: ledger.is_some_and(|file| {
                    let truncate = |change: &Change| matches!(change, Change::Truncate { .. });
                    file.changes.iter().any(truncate)
                }),
                dropped: ledger.is_some_and(|file| file.dropped),
            };
            self.images.push(image);
            if !unsynced && self.ledger.as_ref().is_none_or(|file| !file.dropped) {
                break;
            }
        }
    }

    fn pick_turn(&mut self) {
        let ready: Vec<usize> = (0..self.ready.len()).filter(|&w| self.ready[w]).collect();
        if !ready.is_empty() {
            self.turn = ready[self.random.below(ready.len())];
        }
    }

    fn file(&mut self) -> &mut SimFile {
        self.changed = true;
        self.ledger.as_mut().expect("a descriptor is open")
    }
}

impl World {
    fn new(random: Random, writers: usize) -> World {
        World {
            state: Mutex::new(State {
                random,
                ledger: None,
                asides: BTreeMap::new(),
                locked_by: None,
                unheard: Vec::new(),
                turn: 0,
                ready: vec![true; writers],
                life: vec![None; writers],
                faults: Faults::default(),
                full: false,
                given: Vec::new(),
                calls: 0,
                changed: true,
                take_images: true,
                images: Vec::new(),
                trace: None,
            }),
            next: Condvar::new(),
            path: PathBuf::from("simulated/log.csv"),
        }
    }

    /// The disk after a crash, healthy.
    fn after(image: &Image, random: Random, take_images: bool) -> World {
        let mut world = World::new(random, 1);
        let state = world.state.get_mut().unwrap();
        state.ledger = image.ledger.as_ref().map(|bytes| SimFile {
            seen: bytes.clone(),
            disk: bytes.clone(),
            named: true,
            ..SimFile::default()
        });
        state.asides = image.asides.clone();
        state.given = image.given.clone();
        state.take_images = take_images;
        world
    }

    fn wait<'a>(&'a self, writer: usize, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.turn != writer {
            self.next.notify_all();
            state = self.next.wait_while(state, |state| state.turn != writer).unwrap();
        }
        state
    }

    /// Begins a call: other writers may come first, and it may fail.
    fn call(&self, writer: usize, what: &str) -> io::Result<(MutexGuard<'_, State>, Fate)> {
        let mut state = self.state.lock().unwrap();
        if state.life[writer] == Some(0) {
            return Err(io_error());
        }
        if state.ready.len() > 1 && state.random.one_in(3) {
            state.pick_turn();
            state = self.wait(writer, state);
        }
        state.calls += 1;
        state.consider_crash();
        let mut fate = Fate::Works;
        if let Some(life) = &mut state.life[writer] {
            *life -= 1;
            if *life == 0 {
                fate = Fate::Dies;
            }
        }
        let one_in = state.faults.one_in;
        if fate == Fate::Works && state.random.one_in(one_in) {
            fate = Fate::Fails;
        }
        if let Some(trace) = &mut state.trace {
            let fate = ["", ": fails", ": dies"][fate as usize];
            trace.push(format!("{writer} {what}{fate}"));
        }
        Ok((state, fate))
    }

    fn open(&self, writer: usize) -> io::Result<SimStore<'_>> {
        let (mut state, fate) = self.call(writer, "open")?;
        if fate != Fate::Works {
            return Err(io_error());
        }
        if state.ledger.is_none() {
            state.ledger = Some(SimFile::default());
            state.changed = true;
        }
        state.unheard.push(false);
        let descriptor = state.unheard.len() - 1;
        Ok(SimStore { world: self, writer, descriptor })
    }
}

/// A descriptor of the simulated file.
struct SimStore<'a> {
    world: &'a World,
    writer: usize,
    descriptor: usize,
}

impl SimStore<'_> {
    fn call(&self, what: &str) -> io::Result<(MutexGuard<'_, State>, Fate)> {
        self.world.call(self.writer, what)
    }

    /// A call that does nothing when it fails.
    fn plain(&self, what: &str) -> io::Result<MutexGuard<'_, State>> {
        match self.call(what)? {
            (state, Fate::Works) => Ok(state),
            _ => Err(io_error()),
        }
    }

    fn release(&self, state: &mut State) {
        if state.locked_by == Some(self.descriptor) {
            state.locked_by = None;
            state.ready.iter_mut().for_each(|ready| *ready = true);
        }
    }
}

impl Drop for SimStore<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.world.state.lock() {
            self.release(&mut state);
            state.unheard[self.descriptor] = false;
        }
    }
}

impl Store for SimStore<'_> {
    fn path(&self) -> &Path {
        &self.world.path
    }

    fn id(&self) -> FileId {
        static ID: OnceLock<FileId> = OnceLock::new();
        *ID.get_or_init(|| sys::path_id(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap())
    }

    fn is_current(&self) -> io::Result<bool> {
        let mut state = self.plain("is_current")?;
        let again = state.faults.one_in > 0 && state.random.one_in(20);
        Ok(!again)
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        let mut state = self.plain("try_lock")?;
        while state.locked_by.is_some() {
            state.ready[self.writer] = false;
            state.pick_turn();
            state = self.world.wait(self.writer, state);
        }
        state.locked_by = Some(self.descriptor);
        Ok(true)
    }

    fn unlock(&mut self) -> io::Result<()> {
        let mut state = self.plain("unlock")?;
        self.release(&mut state);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.plain("size")?.file().seen.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.plain("read_at")?;
        let seen = state.file().seen.get(offset as usize..).unwrap_or(&[]);
        let length = seen.len().min(bytes.len());
        bytes[..length].copy_from_slice(&seen[..length]);
        Ok(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut state, fate) = self.call("append")?;
        assert_eq!(state.locked_by, Some(self.descriptor), "a write without the lock");
        if fate == Fate::Works && !state.full {
            state.file().append(bytes);
            return Ok(bytes.len());
        }
        let part = match state.random.below(3) {
            0 => 0,
            _ => state.random.below(bytes.len() + 1),
        };
        if part > 0 && !state.full {
            state.file().append(&bytes[..part]);
        }
        if state.full || fate == Fate::Dies {
            return Err(error(ErrorKind::StorageFull));
        }
        match state.random.below(5) {
            // A short write, after which the disk is full or is not.
            0 | 1 => {
                state.full = state.faults.stay_full;
                Ok(part)
            }
            2 if part == 0 => Err(error(ErrorKind::Interrupted)),
            // The worst that a system could do: it wrote, and failed.
            _ => Err(io_error()),
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let (mut state, fate) = self.call("truncate")?;
        assert_eq!(state.locked_by, Some(self.descriptor), "a cut without the lock");
        if fate == Fate::Works || fate == Fate::Dies && state.random.one_in(2) {
            state.file().truncate(len as usize);
        }
        if fate == Fate::Works { Ok(()) } else { Err(io_error()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, fate) = self.call("sync")?;
        state.changed = true;
        // As Linux does since 4.13: every descriptor that was open hears of a failure once.
        if std::mem::take(&mut state.unheard[self.descriptor]) {
            return Err(io_error());
        }
        match fate {
            Fate::Works => {
                state.file().sync();
                Ok(())
            }
            Fate::Dies => Err(io_error()),
            Fate::Fails => {
                if state.random.one_in(2) {
                    let mut random = state.random.clone();
                    state.file().drop_changes(&mut random);
                    state.random = random;
                    state.unheard.iter_mut().for_each(|unheard| *unheard = true);
                    state.unheard[self.descriptor] = false;
                }
                Err(io_error())
            }
        }
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.plain("sync_folder")?.file().named = true;
        Ok(())
    }

    fn keep_aside(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (mut state, fate) = self.call("keep_aside")?;
        let part = match fate {
            Fate::Works => bytes.len(),
            _ => state.random.below(bytes.len() + 1),
        };
        state.asides.insert(path.to_owned(), bytes[..part].to_vec());
        state.changed = true;
        if fate != Fate::Works {
            return Err(io_error());
        }
        state.file().named = true;
        Ok(())
    }
}
