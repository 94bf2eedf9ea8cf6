//! Checking rows from their raw bytes: their form, their order and the chain.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::RowDamage;
use crate::format::chain::{self, Head};
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::fast_row::{self, Plain, Sink};
use crate::format::id::Seq;
use crate::format::json::{self, MAX_INT};
use crate::format::row::MAX_ROW_BYTES;
use crate::format::time::Timestamp;
use crate::ledger::row_rules::{RowRead, read_row};
use crate::ledger::tail::{self, FIRST_ROW, Tail};
use crate::platform::{sys, threads};

/// What a check of every row found.
#[derive(Debug, PartialEq)]
pub struct Validation {
    pub tail: Tail,
    /// Rows that hold and break another rule of the format: links of the chain, without effect.
    pub invalid: Vec<Invalid>,
}

/// A row without effect, and which rule it breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid {
    pub seq: Seq,
    pub why: String,
}

/// Checks every row and says where and how the ledger ends. `bytes` is the file after its header.
///
/// Each row's check needs only the hash that the row before it states, so parts of the file are
/// checked side by side.
pub fn validate(bytes: &[u8]) -> Validation {
    let complete = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    let parts = split(&bytes[..complete]);
    let first_bad = AtomicUsize::new(usize::MAX);
    let outcomes = threads::map(&parts, |&(at, end)| check_part(bytes, at, end, &first_bad));

    let mut head = Head::genesis();
    let mut invalid = Vec::new();
    for part in outcomes {
        head = part.head.unwrap_or(head);
        invalid.extend(part.invalid);
        if let Some(fault) = part.fault {
            let tail = check_end(bytes, fault.at, head, fault.why, &mut invalid);
            return Validation { tail, invalid };
        }
    }
    let tail = match complete == bytes.len() {
        true => Tail::Whole { head, closed: true },
        false => check_end(
            bytes,
            complete,
            head,
            "it is unfinished".into(),
            &mut invalid,
        ),
    };
    Validation { tail, invalid }
}

/// How a ledger ends in which a line doesn't hold, or has no line feed: it may be a row still, which zeros follow or
/// nothing.
fn check_end(
    bytes: &[u8],
    at: usize,
    head: Head,
    why: RowDamage,
    invalid: &mut Vec<Invalid>,
) -> Tail {
    let rest = &bytes[at..];
    let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
    let row = tail::before_zeros(line);
    if row.len() < line.len() || line.len() == rest.len() {
        if let Ok(checked) = check_row(row, Some(head)) {
            let head = checked.head;
            invalid.extend(checked.invalid);
            if row.len() == rest.len() {
                let closed = false;
                return Tail::Whole { head, closed };
            }
            let tail = at + row.len();
            let why = "zeros stand there".into();
            return tail::judge(head, false, &bytes[tail..], FIRST_ROW + tail as u64, why);
        }
    }
    tail::judge(head, true, rest, FIRST_ROW + at as u64, why)
}

/// Cuts the bytes at line feeds into a part for each thread that is worth it.
fn split(bytes: &[u8]) -> Vec<(usize, usize)> {
    let count = sys::threads_for(bytes.len() as u64) as usize;
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
    why: RowDamage,
}

/// What the check of a part found: its last good row, those without effect, and the first bad one.
#[derive(Default)]
struct Part {
    head: Option<Head>,
    invalid: Vec<Invalid>,
    fault: Option<Fault>,
}

fn check_part(bytes: &[u8], start: usize, end: usize, first_bad: &AtomicUsize) -> Part {
    let mut part = Part::default();
    // What the row before says of itself is that row's own affair.
    let mut previous = stated_head(&bytes[..start]);
    let mut at = start;
    while at < end && at < first_bad.load(Ordering::Relaxed) {
        let length = memchr::memchr(b'\n', &bytes[at..end]).unwrap_or(end - at);
        match check_row(&bytes[at..at + length], previous) {
            Ok(checked) => {
                part.head = Some(checked.head);
                part.invalid.extend(checked.invalid);
                previous = part.head;
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
        seq: Seq(seq),
        hash,
    })
}

/// A row that holds, and which other rule it breaks, if it does.
#[derive(Debug, PartialEq)]
pub(in crate::ledger) struct Checked {
    pub head: Head,
    invalid: Option<Invalid>,
}

/// Checks a row, and that it follows the one before it, if that is known.
pub(in crate::ledger) fn check_row(
    line: &[u8],
    previous: Option<Head>,
) -> Result<Checked, RowDamage> {
    match check_plain(line, previous) {
        Some(head) => Ok(Checked {
            head,
            invalid: None,
        }),
        None => check_any_row(line, previous),
    }
}

fn check_any_row(line: &[u8], previous: Option<Head>) -> Result<Checked, RowDamage> {
    let read = read_row(line, previous.map(|previous| previous.seq))?;
    let link = read.link();
    // Without one the row before is damaged, which its own part reports.
    if previous.is_some_and(|previous| chain::link(&previous.hash, link.body) != link.hash) {
        return Err("its hash doesn't match its content and the row before it".into());
    }
    let (seq, hash) = (link.seq, link.hash);
    Ok(Checked {
        head: Head { seq, hash },
        invalid: match read {
            RowRead::Invalid(_, why) => Some(Invalid { seq, why }),
            _ => None,
        },
    })
}

/// The same for a row of the usual sort that holds; `None` is for [`check_any_row`] to explain.
fn check_plain(line: &[u8], previous: Option<Head>) -> Option<Head> {
    let previous = previous?;
    let limit = |max| Canonical {
        max,
        keys: [(0, 0); MAX_KEYS],
        count: 0,
        line,
    };
    let run = fast_row::run(line, &mut [limit(i64::from(i32::MAX)), limit(MAX_INT)])?;
    let hash = Digest::from_hex(run.hash)?;
    let seed_is_whole = run.seed.is_none_or(|seed| is_integer(seed, MAX_INT));
    let holds = line.len() < MAX_ROW_BYTES
        && seed_is_whole
        && run.seq > 1
        && run.seq == previous.seq.next().0
        && Timestamp::parse(run.time).is_some()
        && chain::link(&previous.hash, run.body) == hash;
    holds.then_some(Head {
        seq: previous.seq.next(),
        hash,
    })
}

/// Accepts pairs in the one encoding.
struct Canonical<'a> {
    /// The largest integer.
    max: i64,
    /// Where the keys stand that came before, and how many there are.
    keys: [(usize, usize); MAX_KEYS],
    count: usize,
    line: &'a [u8],
}

/// A row with more keys in a cell is none of the usual sort.
const MAX_KEYS: usize = 64;

impl Sink for Canonical<'_> {
    fn pair(&mut self, key: &[u8], value: Plain<'_>) -> Option<()> {
        let start = key.as_ptr() as usize - self.line.as_ptr() as usize;
        let known = |&(start, end): &(usize, usize)| &self.line[start..end] == key;
        if self.keys[..self.count].iter().any(known) || !key.is_ascii() {
            return None;
        }
        *self.keys.get_mut(self.count)? = (start, start + key.len());
        self.count += 1;
        match value {
            Plain::Number(text)
                if text
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'-') =>
            {
                is_integer(text, self.max).then_some(())
            }
            Plain::Number(text) => {
                let x: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
                (x.is_finite() && json::is_double(x, text)).then_some(())
            }
            Plain::Text(text) => text.is_ascii().then_some(()),
            _ => Some(()),
        }
    }
}

fn is_integer(text: &[u8], max: i64) -> bool {
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    number.is_some_and(|x| x.unsigned_abs() <= max.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row whose hash holds, whatever its cells are.
    fn sealed(previous: Head, cells: &[u8]) -> Vec<u8> {
        let body = [format!("{},", previous.seq.next()).as_bytes(), cells].concat();
        let hash = chain::link(&previous.hash, &body);
        [&body, b",".as_slice(), &hash.hex()].concat()
    }

    #[test]
    fn what_the_quick_check_accepts_the_other_one_accepts() {
        let head = Head {
            seq: crate::format::id::Seq(6),
            hash: Digest::of(&[b"before"]),
        };
        let time = "2026-11-23T04:20:47.000001Z";
        let context = r#""{""session"":""0a1b2c3d4e5f"",""seed"":42}""#;
        let params = r#""{""model"":""ridge"",""lambda"":0.1,""k"":5,""on"":true,""no"":null,""na"":{""$na"":""double""}}""#;
        let row = format!("{time},run,run-1,{params},\"{{\"\"rmse\"\":1.5e-7}}\",,{context}");
        let line = sealed(head, row.as_bytes());
        assert!(check_plain(&line, Some(head)).is_some());

        let odd = b"{}[]\",:.-+eE0159az $\\\x7f\xc3\n\0";
        let mut state = 1_u64;
        let mut roll = |sides: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % sides
        };
        let mut quick = 0;
        for _ in 0..200_000 {
            let mut cells = row.clone().into_bytes();
            for _ in 0..=roll(2) {
                let at = roll(cells.len());
                let byte = odd[roll(odd.len())];
                match roll(4) {
                    0 => cells[at] = byte,
                    1 => cells.insert(at, byte),
                    2 => drop(cells.remove(at)),
                    _ => {
                        let end = (at + roll(12)).min(cells.len());
                        let piece = cells[at..end].to_vec();
                        let to = roll(cells.len());
                        cells.splice(to..to, piece);
                    }
                }
            }
            let line = sealed(head, &cells);
            if let Some(found) = check_plain(&line, Some(head)) {
                quick += 1;
                let text = String::from_utf8_lossy(&line);
                let checked = Checked {
                    head: found,
                    invalid: None,
                };
                assert_eq!(check_any_row(&line, Some(head)), Ok(checked), "{text}");
            }
        }
        assert!(quick > 1000, "{quick}");
    }
}
