//! One row of the ledger: its cells, and how they stand in the file.
//!
//! A row is stricter than CSV: each cell has one form, so that two writers produce the same bytes
//! and a reader can tell a damaged row from an unusual one.

use std::borrow::Cow;

use crate::format::digest::{Digest, HEX_LEN};
use crate::format::event::{Event, EventKind, MUST_BE_KNOWN};
use crate::format::id::{Seq, is_run_id};
use crate::format::json::{Json, Malformed};
use crate::format::object::Object;
use crate::format::time::{TIME_LEN, Timestamp};
use crate::platform::memory;

/// The first line of every ledger, without its line feed.
pub const HEADER: &str = "seq,time,event,run_id,params,metrics,artifacts,context,hash";

/// The longest row, with its line feed.
pub const MAX_ROW_BYTES: usize = 16 << 20;

/// The cells that hold JSON, in the order of the row.
pub const CELLS: [&str; 4] = ["params", "metrics", "artifacts", "context"];

/// How many bytes an event's row takes at most, but for what is said of its session.
pub fn most_bytes(event: &Event) -> usize {
    /// All but the cells of JSON.
    const OTHER_BYTES: usize = 1024;
    let cells = [
        &event.params,
        &event.metrics,
        &event.artifacts,
        &event.context,
    ];
    let quotes = |cell: &Object| cell.pairs().iter().filter(|&&byte| byte == b'"').count();
    let sizes = cells.map(|cell| cell.pairs().len() + quotes(cell));
    sizes.iter().sum::<usize>() + OTHER_BYTES
}

/// Appends a row up to, not including, the comma before its hash.
pub fn write_body(seq: Seq, time: Timestamp, event: &Event, out: &mut Vec<u8>) {
    use std::io::Write;
    write!(out, "{seq},").expect("a vector takes all bytes");
    out.extend_from_slice(&time.text());
    out.push(b',');
    out.extend_from_slice(event.kind.name().as_bytes());
    out.push(b',');
    if let Some(id) = &event.run_id {
        out.extend_from_slice(id.as_str().as_bytes());
    }
    for cell in [
        &event.params,
        &event.metrics,
        &event.artifacts,
        &event.context,
    ] {
        out.push(b',');
        write_cell(cell, out);
    }
}

fn write_cell(object: &Object, out: &mut Vec<u8>) {
    if object.is_empty() {
        return;
    }
    out.extend_from_slice(b"\"{");
    write_quoted(object.pairs(), out);
    out.extend_from_slice(b"}\"");
}

/// An object as it stands in a cell, without the quotes around it.
pub fn cell_text(object: &Object) -> Vec<u8> {
    let mut out = Vec::new();
    write_cell(object, &mut out);
    if !out.is_empty() {
        out.pop();
        out.remove(0);
    }
    out
}

/// Appends a part of what a cell holds.
pub fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A JSON cell as it stands in the file, without the quotes around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell<'a>(&'a [u8]);

impl<'a> Cell<'a> {
    /// A cell of what [`cell_text`] gave.
    pub fn of(text: &'a [u8]) -> Cell<'a> {
        Cell(text)
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether some letters stand in it, be it as a key or in a text.
    pub fn mentions(self, letters: &str) -> bool {
        memchr::memmem::find(self.0, letters.as_bytes()).is_some()
    }

    /// The JSON text: every doubled quote becomes one.
    pub fn text(self) -> Cow<'a, [u8]> {
        let Some(first) = memchr::memchr(b'"', self.0) else {
            return Cow::Borrowed(self.0);
        };
        let mut out = Vec::new();
        memory::reserve(&mut out, self.0.len());
        let mut rest = self.0;
        let mut next = Some(first);
        while let Some(at) = next {
            out.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 2..];
            next = memchr::memchr(b'"', rest);
        }
        out.extend_from_slice(rest);
        Cow::Owned(out)
    }

    /// The text of a key of the object.
    pub fn text_of(self, key: &str) -> Option<Cow<'a, str>> {
        // Our writers put the keys that are asked for first, and plain.
        let first = self.0.strip_prefix(b"{\"\"")?.strip_prefix(key.as_bytes());
        let plain = first
            .and_then(|rest| rest.strip_prefix(b"\"\":\"\""))
            .and_then(|rest| {
                let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
                rest[end..].starts_with(b"\"\"").then(|| text(&rest[..end]))
            });
        match plain {
            Some(text) => Some(Cow::Borrowed(text)),
            None => {
                let object = Json::Object(self.pairs().ok()?);
                Some(Cow::Owned(object.get(key)?.as_str()?.to_owned()))
            }
        }
    }

    /// The pairs of the object; an empty cell has none.
    pub fn pairs(self) -> Result<Vec<(String, Json)>, Malformed> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        match Json::parse(&self.text())? {
            Json::Object(pairs) => Ok(pairs),
            _ => Err(Malformed("not a JSON object".into())),
        }
    }
}

/// A row as far as the chain goes: its bytes, its nine cells, its number and its hash. What the cells say may break
/// every other rule.
#[derive(Debug, Clone, Copy)]
pub struct RawRow<'a> {
    pub seq: Seq,
    pub hash: Digest,
    /// The bytes under the hash: those before the comma before it.
    pub body: &'a [u8],
}

impl<'a> RawRow<'a> {
    /// Takes a line, without its line feed, apart.
    pub fn parse(line: &'a [u8]) -> Result<RawRow<'a>, Defect> {
        check_bytes(line)?;
        let (body, hash) = split_hash(line)?;
        match count_cells(body).ok_or("a cell's quote is not closed")? {
            0..CELLS_BEFORE_HASH => return Err("it has fewer than nine cells"),
            CELLS_BEFORE_HASH => {}
            _ => return Err("it has more than nine cells"),
        }
        let seq = parse_seq(Cells { body, at: 0 }.bare()?).ok_or("its seq is not a number")?;
        Ok(RawRow { seq, hash, body })
    }

    /// The cells before the hash as they stand in the file, quotes included.
    pub fn cells(&self) -> [&'a str; CELLS_BEFORE_HASH] {
        let mut cells = [""; CELLS_BEFORE_HASH];
        let (mut cell, mut start, mut quoted) = (0, 0, false);
        for (at, &byte) in self.body.iter().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    cells[cell] = text(&self.body[start..at]);
                    (cell, start) = (cell + 1, at + 1);
                }
                _ => {}
            }
        }
        cells[cell] = text(&self.body[start..]);
        cells
    }

    /// What has happened, if the cell names an event.
    pub fn event(&self) -> Option<&'a str> {
        Some(self.cells()[2]).filter(|name| is_event(name))
    }
}

/// How many cells come before the hash.
pub const CELLS_BEFORE_HASH: usize = 8;

fn text(cell: &[u8]) -> &str {
    std::str::from_utf8(cell).expect("the row is UTF-8")
}

/// How many cells there are; `None` if the last one is quoted and doesn't end.
fn count_cells(body: &[u8]) -> Option<usize> {
    let (mut commas, mut quoted) = (0, false);
    for at in memchr::memchr2_iter(b'"', b',', body) {
        match body[at] {
            b'"' => quoted = !quoted,
            _ => commas += usize::from(!quoted),
        }
    }
    (!quoted).then_some(commas + 1)
}

/// Whether a line that may have been cut short has got so far as to state its hash.
pub fn states_hash(line: &[u8]) -> bool {
    let (mut commas, mut quoted) = (0, false);
    for at in memchr::memchr2_iter(b'"', b',', line) {
        match line[at] {
            b'"' => quoted = !quoted,
            _ => commas += usize::from(!quoted),
        }
        if commas == CELLS_BEFORE_HASH {
            let hash = line[at + 1..].get(..HEX_LEN);
            return hash.is_some_and(|hash| Digest::from_hex(hash).is_some());
        }
    }
    false
}

fn check_bytes(line: &[u8]) -> Result<&str, Defect> {
    if line.len() + 1 > MAX_ROW_BYTES {
        return Err("it is longer than 16 MiB");
    }
    if line.iter().any(|&byte| byte < 0x20) {
        return Err("it holds a control character");
    }
    std::str::from_utf8(line).map_err(|_| "it is not UTF-8")
}

/// What is under the hash, and the hash.
fn split_hash(line: &[u8]) -> Result<(&[u8], Digest), Defect> {
    let hash_at = line.len().checked_sub(HEX_LEN).ok_or("it has no hash")?;
    if hash_at == 0 || line[hash_at - 1] != b',' {
        return Err("it has no hash");
    }
    let hash = Digest::from_hex(&line[hash_at..]).ok_or("its hash is not 64 hex digits")?;
    Ok((&line[..hash_at - 1], hash))
}

/// A row as it stands in the file. Its form was checked, its hash and its JSON weren't.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    pub seq: Seq,
    pub time: Timestamp,
    pub event: EventKind<'a>,
    pub run_id: &'a str,
    pub params: Cell<'a>,
    pub metrics: Cell<'a>,
    pub artifacts: Cell<'a>,
    pub context: Cell<'a>,
    pub hash: Digest,
    /// The bytes under the hash: those before the comma before it.
    pub body: &'a [u8],
}

/// What is wrong with the form of a row.
pub type Defect = &'static str;

impl<'a> Row<'a> {
    /// Takes a line, without its line feed, apart.
    pub fn parse(line: &'a [u8]) -> Result<Row<'a>, Defect> {
        let text = check_bytes(line)?;
        let (body, hash) = split_hash(line)?;
        let mut cells = Cells { body, at: 0 };
        let seq = parse_seq(cells.bare()?).ok_or("its seq is not a number")?;
        let time = cells.bare()?;
        let time = (time.len() == TIME_LEN)
            .then(|| Timestamp::parse(time))
            .flatten()
            .ok_or("its time is not a time")?;
        let event_at = cells.at..cells.at + cells.bare()?.len();
        let event = &text[event_at];
        if !is_event(event) {
            return Err("its event is not a name");
        }
        let event = EventKind::parse(event);
        let run_id_at = cells.at..cells.at + cells.bare()?.len();
        let run_id = &text[run_id_at];
        if !run_id.is_empty() && !is_run_id(run_id.as_bytes()) {
            return Err("its run_id is not an id");
        }
        let params = cells.json()?;
        let metrics = cells.json()?;
        let artifacts = cells.json()?;
        let context = cells.json()?;
        if cells.at != body.len() + 1 {
            return Err("it has more than nine cells");
        }
        Ok(Row {
            seq,
            time,
            event,
            run_id,
            params,
            metrics,
            artifacts,
            context,
            hash,
            body,
        })
    }

    pub fn cells(&self) -> [Cell<'a>; 4] {
        [self.params, self.metrics, self.artifacts, self.context]
    }

    /// The row as a link of the chain.
    pub fn link(&self) -> RawRow<'a> {
        RawRow {
            seq: self.seq,
            hash: self.hash,
            body: self.body,
        }
    }
}

fn parse_seq(digits: &[u8]) -> Option<Seq> {
    let plain = matches!(digits, [b'1'..=b'9', rest @ ..] if rest.len() < 16
        && rest.iter().all(u8::is_ascii_digit));
    plain.then(|| {
        Seq(digits
            .iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    })
}

fn is_event(name: &str) -> bool {
    let letters = name.strip_suffix(MUST_BE_KNOWN).unwrap_or(name);
    !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// The cells of a row's body, from left to right.
struct Cells<'a> {
    body: &'a [u8],
    /// Where the next cell begins; past the end by one when there is none.
    at: usize,
}

impl<'a> Cells<'a> {
    fn rest(&self) -> Result<&'a [u8], Defect> {
        self.body
            .get(self.at..)
            .ok_or("it has fewer than nine cells")
    }

    fn bare(&mut self) -> Result<&'a [u8], Defect> {
        let rest = self.rest()?;
        let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
        self.at += end + 1;
        Ok(&rest[..end])
    }

    fn json(&mut self) -> Result<Cell<'a>, Defect> {
        let rest = self.rest()?;
        match rest.first() {
            None | Some(b',') => {
                self.at += 1;
                Ok(Cell(&[]))
            }
            Some(b'"') => {
                let mut end = 1;
                loop {
                    end +=
                        memchr::memchr(b'"', &rest[end..]).ok_or("a cell's quote is not closed")?;
                    match rest.get(end + 1) {
                        Some(b'"') => end += 2,
                        Some(b',') | None => break,
                        Some(_) => return Err("a quote within a cell is not doubled"),
                    }
                }
                let inner = &rest[1..end];
                if inner.first() != Some(&b'{') || inner.last() != Some(&b'}') {
                    return Err("a cell is not a JSON object");
                }
                self.at += end + 2;
                Ok(Cell(inner))
            }
            Some(_) => Err("a JSON cell is not quoted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::RunId;

    fn event() -> Event {
        Event {
            run_id: RunId::new("20261123-042047-000000000001"),
            params: Object::new().text("model", "a \"b\", c"),
            metrics: Object::from_text(br#"{"rmse":1.5}"#).unwrap(),
            ..Event::new(EventKind::Run)
        }
    }

    fn line() -> Vec<u8> {
        let mut out = Vec::new();
        let time = Timestamp::parse(b"2026-11-23T04:20:47.000010Z").unwrap();
        write_body(Seq(3), time, &event(), &mut out);
        out.push(b',');
        out.extend_from_slice(&Digest::of(&[b"x"]).hex());
        out
    }

    #[test]
    fn a_row_reads_back() {
        let line = line();
        let row = Row::parse(&line).unwrap();
        assert_eq!(row.seq, Seq(3));
        assert_eq!(row.event, EventKind::Run);
        assert_eq!(row.run_id, "20261123-042047-000000000001");
        assert_eq!(&*row.params.text(), br#"{"model":"a \"b\", c"}"#);
        assert_eq!(
            row.metrics.pairs().unwrap(),
            [("rmse".into(), Json::Double(1.5))]
        );
        assert!(row.artifacts.is_empty() && row.context.is_empty());
        assert_eq!(row.hash, Digest::of(&[b"x"]));
    }

    #[test]
    fn the_csv_crate_reads_the_same_cells() {
        let line = line();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(line.as_slice());
        let record = reader.byte_records().next().unwrap().unwrap();
        let row = Row::parse(&line).unwrap();
        assert_eq!(record.len(), 9);
        for (cell, field) in row.cells().iter().zip(record.iter().skip(4)) {
            assert_eq!(&*cell.text(), field);
        }
    }

    #[test]
    fn every_other_form_is_a_defect() {
        let good = String::from_utf8(line()).unwrap();
        let hash = &good[good.len() - 64..];
        for bad in [
            good.replacen("3,", "03,", 1),
            good.replacen("3,", "0,", 1),
            good.replacen("3,", "+3,", 1),
            good.replacen("3,", "12345678901234567,", 1),
            good.replacen("3,", "\"3\",", 1),
            good.replacen('T', " ", 1),
            good.replacen(",run,", ",Run,", 1),
            good.replacen(",run,", ",,", 1),
            good.replacen(",run,", ",ru!n,", 1),
            good.replacen("2026112", "=026112", 1),
            good.replacen("\"\"rmse", "\"rmse", 1),
            good.replacen("\"{\"\"rmse", "{\"\"rmse", 1),
            good.replacen("1.5}\"", "1.5}\" ", 1),
            good.replacen("1.5}\"", "1.5\"", 1),
            good.replacen("1.5", "1.5\u{1}", 1),
            good.replacen(",,,", ",,", 1),
            good.replacen(",,,", ",,,,", 1),
            good.replace(hash, &hash.to_uppercase()),
            good.replace(hash, ""),
            hash.to_owned(),
            format!(",{hash}"),
            String::new(),
        ] {
            assert!(Row::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let mut invalid = good.into_bytes();
        invalid[80] = 0xff;
        assert!(Row::parse(&invalid).is_err());
    }

    #[test]
    fn an_odd_number_of_quotes_before_the_end_is_a_defect() {
        let hash = Digest::of(&[b"x"]);
        let text = format!("3,2026-11-23T04:20:47.000010Z,run,,\"{{\"\"}},,,,{hash}");
        assert!(Row::parse(text.as_bytes()).is_err());
    }
}
