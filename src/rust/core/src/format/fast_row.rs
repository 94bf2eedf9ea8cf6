//! Rows of the usual sort, taken apart in one pass: finished runs whose cells hold plain values.
//!
//! What this refuses may still be a good row; [`crate::format::row`] knows. What it accepts is one, but
//! for its hash and the encoding of its numbers.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::format::digest::HEX_LEN;
use crate::format::event::EventKind;
use crate::format::id::is_run_id;
use crate::format::run_context::{EXPERIMENT, NAME, PARENT, SEED, SESSION};
use crate::format::time::TIME_LEN;
use crate::format::value::{KINDS, Kind};

/// A finished run, as it stands in its row.
pub struct Run<'a> {
    pub seq: u64,
    pub time: &'a [u8],
    pub id: &'a [u8],
    pub session: &'a [u8],
    /// Without anything that JSON escapes, as the experiment.
    pub name: Option<&'a [u8]>,
    pub experiment: Option<&'a [u8]>,
    /// A JSON number.
    pub seed: Option<&'a [u8]>,
    pub hash: &'a [u8],
    /// The bytes under the hash.
    pub body: &'a [u8],
}

/// A value that needs no structure.
#[derive(Debug, Clone, Copy)]
pub enum Plain<'a> {
    Null,
    Bool(bool),
    Na(Kind),
    /// Without anything that JSON escapes.
    Text(&'a [u8]),
    /// A JSON number, but no -0 without a point.
    Number(&'a [u8]),
}

/// Is told the pairs of a cell. What it returns `None` for isn't a row of this sort.
pub trait Sink {
    fn pair(&mut self, key: &[u8], value: Plain<'_>) -> Option<()>;
}

/// Takes a line apart; the pairs of its parameters and of its metrics go to the two sinks.
pub fn run<'a>(line: &'a [u8], cells: &mut [impl Sink; 2]) -> Option<Run<'a>> {
    let mut cursor = Cursor { line, at: 0 };
    let seq = cursor.seq()?;
    let time = cursor.take(TIME_LEN)?;
    cursor.event(EventKind::Run)?;
    let id = cursor.until(b',')?;
    if !is_run_id(id) {
        return None;
    }
    for cell in cells {
        cursor.object(cell)?;
    }
    cursor.expect(b",\"{\"\"")?;
    cursor.expect(SESSION.as_bytes())?;
    cursor.expect(b"\"\":\"\"")?;
    let session = cursor.until(b'"')?;
    if !session.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    cursor.expect(b"\"")?;
    let name = match cursor.key(NAME) {
        true => Some(cursor.text()?),
        false => None,
    };
    let experiment = match cursor.key(EXPERIMENT) {
        true => Some(cursor.text()?),
        false => None,
    };
    let seed = match cursor.key(SEED) {
        true => Some(cursor.number()?),
        false => None,
    };
    cursor.expect(b"}\",")?;
    let (body, hash) = (&line[..cursor.at - 1], &line[cursor.at..]);
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if hash.len() != HEX_LEN || !hash.iter().all(is_hex) {
        return None;
    }
    Some(Run {
        seq,
        time,
        id,
        session,
        name,
        experiment,
        seed,
        hash,
        body,
    })
}

/// The ids of a finished run and of its session, from a valid row, if the row names neither stored bytes nor a parent.
pub fn ids(line: &[u8]) -> Option<(&[u8], &[u8])> {
    /// Made once: that takes as long as a search of a row does.
    static SHA256: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("sha256"));
    static PARENTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PARENT));
    const BEFORE: &[u8] = b",\"";
    const CONTEXT: &[u8] = b"{\"\"session\"\":\"\"";
    let mut cursor = Cursor { line, at: 0 };
    cursor.until(b',')?;
    cursor.take(TIME_LEN)?;
    cursor.event(EventKind::Run)?;
    let id = cursor.until(b',')?;
    if SHA256.find(line).is_some() {
        return None;
    }
    // Within a cell no quote stands alone.
    let is_context = |&at: &usize| line[..at].ends_with(BEFORE) && line[at..].starts_with(CONTEXT);
    cursor.at = memchr::memrchr_iter(b'{', line).find(is_context)? + CONTEXT.len();
    if PARENTS.find(&line[cursor.at..]).is_some() {
        return None;
    }
    Some((id, cursor.until(b'"')?))
}

struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn seq(&mut self) -> Option<u64> {
        let digits = self.until(b',')?;
        if digits.is_empty() || digits.len() > 16 || digits[0] == b'0' {
            return None;
        }
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u64::from(digit - b'0'))
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.line.get(self.at..self.at + length)?;
        self.at += length;
        Some(taken)
    }

    fn take_if(&mut self, bytes: &[u8]) -> bool {
        let found = self.line[self.at..].starts_with(bytes);
        if found {
            self.at += bytes.len();
        }
        found
    }

    /// Passes a further key of an object by, if it stands here.
    fn key(&mut self, key: &str) -> bool {
        let start = self.at;
        let found =
            self.take_if(b",\"\"") && self.take_if(key.as_bytes()) && self.take_if(b"\"\":");
        if !found {
            self.at = start;
        }
        found
    }

    fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        self.take_if(bytes).then_some(())
    }

    /// The cell of an event, and the commas around it.
    fn event(&mut self, kind: EventKind<'_>) -> Option<()> {
        self.expect(b",")?;
        self.expect(kind.name().as_bytes())?;
        self.expect(b",")
    }

    /// What comes before a byte; the byte is passed by.
    fn until(&mut self, byte: u8) -> Option<&'a [u8]> {
        let rest = &self.line[self.at..];
        let end = rest.iter().position(|&other| other == byte)?;
        self.at += end + 1;
        Some(&rest[..end])
    }

    /// A cell of plain values, and the comma after it.
    fn object(&mut self, sink: &mut impl Sink) -> Option<()> {
        if self.take_if(b",") {
            return Some(());
        }
        self.expect(b"\"{")?;
        loop {
            let key = self.text()?;
            if key.is_empty() || key.starts_with(b"$") {
                return None;
            }
            self.expect(b":")?;
            sink.pair(key, self.value()?)?;
            if !self.take_if(b",") {
                return self.expect(b"}\",");
            }
        }
    }

    fn value(&mut self) -> Option<Plain<'a>> {
        Some(match self.line.get(self.at)? {
            b'"' => Plain::Text(self.text()?),
            b't' => {
                self.expect(b"true")?;
                Plain::Bool(true)
            }
            b'f' => {
                self.expect(b"false")?;
                Plain::Bool(false)
            }
            b'n' => {
                self.expect(b"null")?;
                Plain::Null
            }
            b'{' => {
                self.expect(b"{\"\"$na\"\":")?;
                let name = self.text()?;
                let (kind, _) = KINDS.iter().find(|(_, known)| known.as_bytes() == name)?;
                self.expect(b"}")?;
                Plain::Na(*kind)
            }
            _ => Plain::Number(self.number()?),
        })
    }

    /// A JSON text without escapes, whose quotes are doubled.
    fn text(&mut self) -> Option<&'a [u8]> {
        self.expect(b"\"\"")?;
        let rest = &self.line[self.at..];
        let plain = |&byte: &u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
        let end = rest.iter().position(|byte| !plain(byte))?;
        self.at += end;
        self.expect(b"\"\"")?;
        Some(&rest[..end])
    }

    /// A JSON number.
    fn number(&mut self) -> Option<&'a [u8]> {
        let rest = &self.line[self.at..];
        let digits = |from: usize| {
            let digits = rest[from..].iter();
            digits.take_while(|byte| byte.is_ascii_digit()).count()
        };
        let negative = rest.first() == Some(&b'-');
        let mut at = usize::from(negative);
        let whole = digits(at);
        if whole == 0 || whole > 1 && rest[at] == b'0' {
            return None;
        }
        let zero = rest[at] == b'0';
        at += whole;
        let mut double = false;
        if rest.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            if fraction == 0 {
                return None;
            }
            at += 1 + fraction;
            double = true;
        }
        if matches!(rest.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(rest.get(at), Some(b'+' | b'-')));
            let exponent = digits(at);
            if exponent == 0 {
                return None;
            }
            at += exponent;
            double = true;
        }
        if negative && zero && !double {
            return None;
        }
        self.at += at;
        Some(&rest[..at])
    }
}
