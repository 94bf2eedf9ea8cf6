//! Writers over one simulated disk, one of them at a time, whose calls fail.

use std::collections::BTreeMap;
use std::io::{self, Error as IoError, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};

use fitledger_core::ledger::Store;
use fitledger_core::platform::sys::{self, FileId};

use crate::disk::{Change, Random, SimFile};

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It didn't return, or its error says that its rows may or may not be there.
    Open,
    Acknowledged {
        sync: bool,
    },
    /// Its rows are in the file, and nobody knows whether on the disk.
    Kept,
    /// Its rows aren't there.
    Failed,
}

#[derive(Clone, Debug)]
pub struct Given {
    pub ids: Vec<String>,
    pub outcome: Outcome,
}

/// Everything as a crash leaves it.
pub struct Image {
    pub ledger: Option<SimFile>,
    pub asides: BTreeMap<PathBuf, Vec<u8>>,
    pub given: Vec<Given>,
    /// The machine lost its power; else only all processes ended.
    pub power: bool,
    /// A cut of the file may not have reached the disk.
    pub cut: bool,
    /// A sync failed, and processes see bytes that the system no longer means to write.
    pub dropped: bool,
}

impl Image {
    pub fn bytes(&self) -> &[u8] {
        self.ledger.as_ref().map_or(&[], |file| &file.seen)
    }
}

/// How much goes wrong in a schedule.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// One call in so many fails.
    pub one_in: usize,
    /// Once the disk is full it stays so.
    pub stay_full: bool,
}

pub struct State {
    random: Random,
    pub ledger: Option<SimFile>,
    /// The file that has the ledger's name on the disk, while another has it for processes.
    former: Option<SimFile>,
    pub asides: BTreeMap<PathBuf, Vec<u8>>,
    /// How often the file was removed, or replaced.
    removals: usize,
    locked_by: Option<usize>,
    /// For each descriptor, whether it has yet to hear of a failed sync.
    unheard: Vec<bool>,
    turn: usize,
    /// For each writer, whether it waits for the lock, has nothing to do any more, and in how many
    /// calls it is killed.
    waiting: Vec<bool>,
    pub done: Vec<bool>,
    pub life: Vec<Option<usize>>,
    pub faults: Faults,
    full: bool,
    pub given: Vec<Given>,
    pub calls: u64,
    /// Since the last image.
    pub changed: bool,
    pub take_images: bool,
    pub images: Vec<Image>,
    pub trace: bool,
}

pub struct World {
    pub state: Mutex<State>,
    pub next: Condvar,
    pub path: PathBuf,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Works,
    Fails,
    /// The process is killed in it.
    Dies,
}

fn io_error() -> IoError {
    IoError::other("simulated")
}

impl State {
    /// Notes what a crash at this moment may leave.
    pub fn consider_crash(&mut self) {
        if !self.take_images || !std::mem::take(&mut self.changed) {
            return;
        }
        let ledger = self.ledger.clone();
        let cut = |file: &SimFile| {
            let mut changes = file.changes.iter();
            file.sync_failed || changes.any(|change| matches!(change, Change::Truncate { .. }))
        };
        let settled = ledger
            .as_ref()
            .is_none_or(|file| file.named && file.seen == file.disk);
        for power in [false, true, true] {
            let left = match &ledger {
                Some(file) if !power => Some(file.clone()),
                Some(_) if self.former.is_some() && self.random.one_in(2) => self.former.clone(),
                Some(file) if file.named || !self.random.one_in(4) => {
                    Some(SimFile::on_disk(file.after_power_cut(&mut self.random)))
                }
                _ => None,
            };
            self.images.push(Image {
                ledger: left,
                asides: self.asides.clone(),
                given: self.given.clone(),
                power,
                cut: ledger.as_ref().is_some_and(cut),
                dropped: ledger.as_ref().is_some_and(SimFile::dropped),
            });
            if settled {
                break;
            }
        }
    }

    pub fn pick_turn(&mut self) {
        let ready = |&writer: &usize| !self.waiting[writer] && !self.done[writer];
        let ready: Vec<usize> = (0..self.done.len()).filter(ready).collect();
        if !ready.is_empty() {
            self.turn = ready[self.random.below(ready.len())];
        }
    }

    pub fn remove(&mut self) {
        self.ledger = None;
        self.removals += 1;
        self.locked_by = None;
        self.waiting.fill(false);
        self.changed = true;
    }

    fn file(&mut self) -> &mut SimFile {
        self.changed = true;
        self.ledger.as_mut().expect("a descriptor is open")
    }
}

impl World {
    pub fn new(random: Random, writers: usize) -> World {
        World {
            state: Mutex::new(State {
                random,
                ledger: None,
                former: None,
                asides: BTreeMap::new(),
                removals: 0,
                locked_by: None,
                unheard: Vec::new(),
                turn: 0,
                waiting: vec![false; writers],
                done: vec![false; writers],
                life: vec![None; writers],
                faults: Faults::default(),
                full: false,
                given: Vec::new(),
                calls: 0,
                changed: true,
                take_images: true,
                images: Vec::new(),
                trace: false,
            }),
            next: Condvar::new(),
            path: PathBuf::from("simulated/log.csv"),
        }
    }

    /// The disk after a crash, healthy.
    pub fn after(image: &Image, random: Random, take_images: bool) -> World {
        let mut world = World::new(random, 1);
        let state = world.state.get_mut().unwrap();
        state.ledger = image.ledger.clone();
        state.asides = image.asides.clone();
        state.given = image.given.clone();
        for append in state.given.iter_mut().filter(|_| image.power) {
            if append.outcome != (Outcome::Acknowledged { sync: true }) {
                append.outcome = Outcome::Open;
            }
        }
        state.take_images = take_images;
        world
    }

    pub fn wait<'a>(
        &'a self,
        writer: usize,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        if state.turn != writer {
            self.next.notify_all();
            state = self
                .next
                .wait_while(state, |state| state.turn != writer)
                .unwrap();
        }
        state
    }

    /// Begins a call: other writers may come first, and it may fail.
    fn call(&self, writer: usize, what: &str) -> io::Result<(MutexGuard<'_, State>, Fate)> {
        let mut state = self.state.lock().unwrap();
        if state.life[writer] == Some(0) {
            return Err(io_error());
        }
        if state.done.len() > 1 && state.random.one_in(3) {
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
        if state.trace {
            println!("writer {writer}: {what} {fate:?}");
        }
        Ok((state, fate))
    }

    pub fn open(&self, writer: usize) -> io::Result<SimStore<'_>> {
        let (mut state, fate) = self.call(writer, "open")?;
        if fate != Fate::Works {
            return Err(io_error());
        }
        let made = state.ledger.is_none();
        if made {
            state.ledger = Some(SimFile::default());
            state.changed = true;
        }
        state.unheard.push(false);
        let descriptor = state.unheard.len() - 1;
        Ok(SimStore {
            world: self,
            writer,
            descriptor,
            file: state.removals,
            made,
        })
    }
}

/// A descriptor of the simulated file.
pub struct SimStore<'a> {
    world: &'a World,
    writer: usize,
    descriptor: usize,
    /// How often the path's file had been removed when this one was opened.
    file: usize,
    made: bool,
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
            state.waiting.fill(false);
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

    /// A new file often gets the number of one that was removed.
    fn id(&self) -> FileId {
        static ID: OnceLock<FileId> = OnceLock::new();
        *ID.get_or_init(|| sys::path_id(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap())
    }

    fn is_current(&self) -> io::Result<bool> {
        let mut state = self.plain("is_current")?;
        let again = state.faults.one_in > 0 && state.random.one_in(20);
        Ok(!again && self.file == state.removals && state.ledger.is_some())
    }

    fn is_new(&self) -> bool {
        self.made
    }

    fn discard_if_new(&mut self) -> io::Result<()> {
        let mut state = self.plain("discard_if_new")?;
        if self.made && self.file == state.removals && state.file().seen.is_empty() {
            assert_eq!(
                state.locked_by,
                Some(self.descriptor),
                "a removal without the lock"
            );
            state.remove();
        }
        Ok(())
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        let mut state = self.plain("try_lock")?;
        let others = |holder: usize| holder != self.descriptor;
        while state.locked_by.is_some_and(others) && self.file == state.removals {
            state.waiting[self.writer] = true;
            state.pick_turn();
            assert_ne!(state.turn, self.writer, "nobody can go on");
            state = self.world.wait(self.writer, state);
        }
        if self.file == state.removals {
            state.locked_by = Some(self.descriptor);
        }
        Ok(true)
    }

    fn unlock(&mut self) -> io::Result<()> {
        let (mut state, fate) = self.call("unlock")?;
        if fate == Fate::Fails && crate::STRICT {
            return Err(io_error());
        }
        if fate != Fate::Dies {
            self.release(&mut state);
        }
        Ok(())
    }

    /// A descriptor that is looked at before the lock may be of a file that was removed since.
    fn size(&self) -> io::Result<u64> {
        let mut state = self.plain("size")?;
        let there = self.file == state.removals && state.ledger.is_some();
        Ok(if there {
            state.file().seen.len() as u64
        } else {
            0
        })
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.plain("read_at")?;
        if self.file != state.removals || state.ledger.is_none() {
            return Ok(0);
        }
        let seen = state.file().seen.get(offset as usize..).unwrap_or(&[]);
        let length = seen.len().min(bytes.len());
        bytes[..length].copy_from_slice(&seen[..length]);
        Ok(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut state, fate) = self.call("append")?;
        assert_eq!(
            state.locked_by,
            Some(self.descriptor),
            "a write without the lock"
        );
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
            return Err(ErrorKind::StorageFull.into());
        }
        match state.random.below(5) {
            // A short write, after which the disk is full or is not.
            0 | 1 => {
                state.full = state.faults.stay_full;
                Ok(part)
            }
            2 if part == 0 => Err(ErrorKind::Interrupted.into()),
            // The worst that a system could do: it wrote, and failed.
            _ => Err(io_error()),
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let (mut state, fate) = self.call("truncate")?;
        assert_eq!(
            state.locked_by,
            Some(self.descriptor),
            "a cut without the lock"
        );
        if fate == Fate::Works || fate == Fate::Dies && state.random.one_in(2) {
            state.file().truncate(len as usize);
        }
        if fate == Fate::Works {
            Ok(())
        } else {
            Err(io_error())
        }
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

    fn copy_aside(&mut self, path: &Path, part: Range<u64>, more: &[u8]) -> io::Result<()> {
        let (mut state, fate) = self.call("copy_aside")?;
        if state.asides.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let part = &state.file().seen[part.start as usize..part.end as usize];
        let bytes = [part, more].concat();
        let written = match fate {
            Fate::Works => bytes.len(),
            _ => state.random.below(bytes.len() + 1),
        };
        // What couldn't be written whole is removed, unless the process ends.
        if fate != Fate::Fails {
            let written = bytes[..written].to_vec();
            state.asides.insert(path.to_owned(), written);
        }
        state.changed = true;
        if fate != Fate::Works {
            return Err(io_error());
        }
        state.file().named = true;
        Ok(())
    }

    fn replace_by(&mut self, path: &Path) -> io::Result<()> {
        let (mut state, fate) = self.call("replace_by")?;
        assert_eq!(
            state.locked_by,
            Some(self.descriptor),
            "a replacement without the lock"
        );
        if fate != Fate::Works && state.random.one_in(2) {
            return Err(io_error());
        }
        let new = state.asides.remove(path).expect("the file was made");
        let former = state.ledger.take();
        state.remove();
        state.ledger = Some(SimFile::on_disk(new));
        if fate != Fate::Works {
            // The folder wasn't flushed.
            state.file().named = false;
            state.former = former;
            return Err(io_error());
        }
        Ok(())
    }
}
