//! Repairing a damaged ledger: what holds behind the damage is carried over.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::error::Result;
use crate::format::chain;
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::id::{Seq, is_ledger_id};
use crate::format::row::{HEADER, RawRow, Row};
use crate::format::run_context::RunContext;
use crate::ledger::{
    self, Append, Draft, FileStore, Ledger, Memory, Repaired, RowRead, Wreck, read_row,
};
use crate::platform::memory::{self, Budget, OutOfMemory};
use crate::views::copy::{Copied, Copier};

/// What a repair carried over from behind the damage, and what it couldn't place.
#[derive(Debug, Default)]
pub struct Carried {
    /// How many rows were copied.
    pub rows: u64,
    /// The runs that they speak of.
    pub run_ids: Vec<String>,
    pub left_out: Vec<LeftOut>,
}

/// Something behind the damage that is only in the file that was set aside.
#[derive(Debug, PartialEq)]
pub struct LeftOut {
    /// Where it began in the damaged file.
    pub byte: u64,
    /// What it says of itself, as far as it can be read.
    pub seq: Option<Seq>,
    pub event: Option<String>,
    pub run_id: Option<String>,
    pub why: String,
}

/// Repairs a ledger. `None` when every row holds.
pub fn repair(
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
) -> Result<Option<Repaired<Carried>>> {
    let open = || FileStore::open_existing(path);
    ledger::repair(open, path, memory, how, carry)
}

/// Copies the rows that hold behind the damage.
pub fn carry(wreck: &Wreck<'_>, draft: &mut Draft, how: &mut Append<'_>) -> Result<Carried> {
    let validated = wreck.good.validate();
    let last = validated.tail.head().seq;
    let lines = in_order(wreck.good, last, lines(wreck.rest));
    let first = lines.first().map(|(_, line)| *line);
    let source_id = wreck.good.id().or_else(|| ledger_id(first?));
    let mut chain = Chain::of(wreck.good);
    let start = wreck.good.size();
    let good = wreck.good;
    let mut copier =
        Copier::behind_damage(good, &validated.invalid, source_id, wreck.session, draft)?;
    let mut carried = Carried::default();
    let mut known = HashSet::new();
    let mut budget = Budget::default();
    let mut behind = lines.iter().copied();
    let mut lost = Lost {
        last,
        is_any: false,
    };
    while let Some((at, line)) = behind.next() {
        let room = budget.take(line.len());
        room.map_err(|OutOfMemory| good.out_of_memory())?;
        let mut held = chain.hold(line);
        let mended = match held {
            Ok(()) => None,
            Err(_) => chain.mend(line, behind.clone().map(|(_, line)| line)),
        };
        let line = mended.as_deref().inspect(|_| held = Ok(())).unwrap_or(line);
        lost.look_at(seq_of(line).filter(|_| held.is_ok()));
        let read = match &held {
            Ok(()) => read_row(line, None).map_err(|damage| damage.to_string()),
            Err(why) => Err((*why).to_owned()),
        };
        let copied = match read {
            Ok(RowRead::Valid(row)) => {
                if lost.is_any {
                    assume_lost_session(&mut copier, &row)?;
                }
                match copier.copy(&row, how.random) {
                    Ok(Copied::Now | Copied::WithoutParent | Copied::TagsAlone(_)) => {
                        carried.rows += 1;
                        let id = row.run_id;
                        if !id.is_empty() && !known.contains(id) {
                            known.insert(id.to_owned());
                            carried.run_ids.push(id.to_owned());
                        }
                        Ok(())
                    }
                    Ok(Copied::Before | Copied::OnDemand) => Ok(()),
                    Ok(Copied::NoEffect(why)) => Err(why.to_owned()),
                    Err(why) => Err(why.into_owned()),
                }
            }
            Ok(RowRead::Invalid(_, why) | RowRead::Newer(_, why)) => Err(why),
            Err(why) => Err(why),
        };
        if let Err(why) = copied {
            carried
                .left_out
                .push(LeftOut::of(line, start + at as u64, why));
        }
    }
    carried.left_out.sort_by_key(|left_out| left_out.byte);
    Ok(carried)
}

impl LeftOut {
    fn of(line: &[u8], byte: u64, why: String) -> LeftOut {
        let cells = String::from_utf8_lossy(&line[..line.len().min(256)]).into_owned();
        let cells: Vec<&str> = cells.split(',').collect();
        let cell = |n: usize| cells.get(n).copied().filter(|cell| !cell.is_empty());
        let seq = cell(0).and_then(|seq| seq.parse().ok()).map(Seq);
        let of_row = |n| seq.and(cell(n)).map(str::to_owned);
        LeftOut {
            byte,
            seq,
            event: of_row(2),
            run_id: of_row(3),
            why,
        }
    }
}

/// The lines behind the damage and where each begins, without those that git put there and without sectors that were
/// lost.
fn lines(rest: &[u8]) -> impl Iterator<Item = (usize, &[u8])> + Clone {
    const MARKS: [&[u8]; 4] = [b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||"];
    let start = rest.as_ptr() as usize;
    rest.split(|&byte| byte == b'\n' || byte == 0)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty() && *line != HEADER.as_bytes())
        .filter(|line| !MARKS.iter().any(|mark| line.starts_with(mark)))
        .map(move |line| (line.as_ptr() as usize - start, line))
}

/// Lines in the order of the chain: a row that stands before the one that it follows, as where a tool has sorted them,
/// comes behind that, and what follows it along; where that is damaged or gone, by its number. All others stay as they
/// stand. `last` is the number of the last row before the damage.
fn in_order<'l>(
    good: &Ledger,
    last: Seq,
    lines: impl Iterator<Item = (usize, &'l [u8])>,
) -> Vec<(usize, &'l [u8])> {
    let mut chain = Chain::of(good);
    let mut all = Vec::new();
    let mut all_hold = true;
    for (at, line) in lines {
        all_hold &= chain.hold(line).is_ok();
        memory::reserve(&mut all, 1);
        all.push((at, line));
    }
    if all_hold {
        return all;
    }
    memory::ensure(256 * all.len());
    let rows: Vec<_> = all
        .iter()
        .map(|(_, line)| RawRow::parse(line).ok())
        .collect();
    let mut by_seq: BTreeMap<Seq, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(row) = row {
            by_seq.entry(row.seq).or_default().push(i);
        }
    }
    // Those that are put behind the row that they follow, by that.
    let mut followers: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut is_moved = vec![false; all.len()];
    for (i, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        let leads_here = |before: &usize| {
            let before = rows[*before].as_ref();
            before.is_some_and(|before| chain::link(&before.hash, row.body) == row.hash)
        };
        let numbered = by_seq
            .get(&Seq(row.seq.0 - 1))
            .map_or(&[][..], Vec::as_slice);
        let near = i.checked_sub(1).into_iter();
        let mut near = near.chain(numbered.iter().copied().take(Chain::MOST));
        // Behind the rows before the damage nothing is missing.
        let lower = by_seq.range(..row.seq).next_back();
        let lower = lower.filter(|_| row.seq.0 > last.0 + 1);
        let first = lower.and_then(|(_, lower)| lower.first().copied());
        let before = near.find(leads_here).or(first.filter(|&first| first > i));
        if let Some(before) = before.filter(|&before| before > i || is_moved[before]) {
            followers.entry(before).or_default().push(i);
            is_moved[i] = true;
        }
    }
    let mut ordered = Vec::with_capacity(all.len());
    for i in (0..all.len()).filter(|&i| !is_moved[i]) {
        let mut next = vec![i];
        while let Some(i) = next.pop() {
            ordered.push(all[i]);
            next.extend(followers.remove(&i).into_iter().flatten().rev());
        }
    }
    // Rows that no writer of ours made may follow each other in a circle.
    match ordered.len() == all.len() {
        true => ordered,
        false => all,
    }
}

/// A line up to the comma before its hash cell, wherever that begins.
fn without_hash(line: &[u8]) -> Option<&[u8]> {
    memchr::memrchr(b',', line).map(|comma| &line[..comma])
}

fn seq_of(body: &[u8]) -> Option<Seq> {
    let digits = body.split(|&byte| byte == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok().map(Seq)
}

/// Whether a row that holds is chained onto this hash of the row with that number: the next one, or one behind it, if
/// only hash cells are damaged in between.
fn leads_on<'l>(mut hash: Digest, mut seq: Seq, ahead: impl Iterator<Item = &'l [u8]>) -> bool {
    /// So many rows at most have lost their hash cells one after the other.
    const MOST: usize = 100;
    for line in ahead.take(MOST) {
        seq = Seq(seq.0 + 1);
        let Some(body) = without_hash(line).filter(|body| seq_of(body) == Some(seq)) else {
            return false;
        };
        hash = chain::link(&hash, body);
        if RawRow::parse(line).is_ok_and(|row| row.hash == hash) {
            return true;
        }
    }
    false
}

/// Whether rows are lost, so that one of them may have been a session's.
struct Lost {
    /// The highest number so far of a row that holds.
    last: Seq,
    is_any: bool,
}

impl Lost {
    /// Is told of each line; `held` is the number of one that holds.
    fn look_at(&mut self, held: Option<Seq>) {
        self.is_any |= held.is_none_or(|seq| seq.0 > self.last.0 + 1);
        self.last = self.last.max(held.unwrap_or_default());
    }
}

/// A row names a session, and writers begin it before they name it: where that row isn't, it is lost.
fn assume_lost_session(copier: &mut Copier<'_>, row: &Row<'_>) -> Result<()> {
    match RunContext::session_of(row.context) {
        Some(id) if !copier.knows_session(&id) => copier.assume_session(&id, row),
        _ => Ok(()),
    }
}

/// The id of a ledger whose first row is damaged, if that still shows it.
fn ledger_id(line: &[u8]) -> Option<String> {
    const BEFORE: &[u8] = b"\"\"id\"\":\"\"";
    let start = memchr::memmem::find(line, BEFORE)? + BEFORE.len();
    let id = std::str::from_utf8(line.get(start..start + 32)?).ok()?;
    is_ledger_id(id).then(|| id.to_owned())
}

/// The hashes that rows may follow.
struct Chain<'a> {
    good: &'a Ledger,
    /// The hashes of the rows before the damage, once they are needed.
    before: Option<Vec<Digest>>,
    /// What lines behind the damage state, by their numbers.
    behind: HashMap<Seq, Vec<Digest>>,
    /// What the line before states.
    previous: Option<Digest>,
}

impl<'a> Chain<'a> {
    /// Nobody has merged so many copies; each costs every row behind it a hash.
    const MOST: usize = 100;

    fn of(good: &'a Ledger) -> Chain<'a> {
        Chain {
            good,
            before: None,
            behind: HashMap::new(),
            previous: None,
        }
    }

    /// Whether a line is a row that follows the line before it, or a row with the number before its own.
    fn hold(&mut self, line: &[u8]) -> std::result::Result<(), &'static str> {
        let stated = line.len().checked_sub(HEX_LEN).map(|at| &line[at..]);
        let stated = stated.and_then(Digest::from_hex);
        let previous = std::mem::replace(&mut self.previous, stated);
        let row = RawRow::parse(line)?;
        let holds = |hash: &Digest| chain::link(hash, row.body) == row.hash;
        let before = Seq(row.seq.0 - 1);
        let held = previous.as_ref().is_some_and(holds)
            || self
                .behind
                .get(&before)
                .is_some_and(|hashes| hashes.iter().any(holds))
            || self.before(before).is_some_and(|hash| holds(&hash));
        self.remember(row.seq, row.hash);
        held.then_some(())
            .ok_or("its hash doesn't match its content and a row before it")
    }

    fn remember(&mut self, seq: Seq, hash: Digest) {
        let known = self.behind.entry(seq).or_default();
        if known.len() < Chain::MOST {
            known.push(hash);
        }
    }

    /// The row that a line was before its hash cell alone was damaged: what is before that cell chains a row that holds,
    /// among those ahead, onto a row before. Rows in between may have lost their hash cells, too.
    fn mend<'l>(
        &mut self,
        line: &[u8],
        ahead: impl Iterator<Item = &'l [u8]> + Clone,
    ) -> Option<Vec<u8>> {
        let body = without_hash(line)?;
        let seq = seq_of(body)?;
        let before = Seq(seq.0.checked_sub(1)?);
        let mut known: Vec<Digest> = self.before(before).into_iter().collect();
        known.extend(self.behind.get(&before).into_iter().flatten());
        let mut hashes = known.iter().map(|hash| chain::link(hash, body));
        let hash = hashes.find(|hash| leads_on(*hash, seq, ahead.clone()))?;
        self.remember(seq, hash);
        self.previous = Some(hash);
        Some([body, b",", hash.to_string().as_bytes()].concat())
    }

    fn before(&mut self, seq: Seq) -> Option<Digest> {
        if seq == Seq(0) {
            return Some(chain::Head::genesis().hash);
        }
        let good = self.good;
        let hashes = self.before.get_or_insert_with(|| {
            let mut hashes = Vec::new();
            for row in good.lines().map_while(|line| RawRow::parse(line).ok()) {
                memory::reserve(&mut hashes, 1);
                hashes.push(row.hash);
            }
            hashes
        });
        hashes
            .get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
            .copied()
    }
}
