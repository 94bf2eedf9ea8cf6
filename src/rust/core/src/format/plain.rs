//! A plain CSV of runs, one row a run, as simple loggers, spreadsheets and our own exports write it (RFC 4180): its
//! cells, the types of its columns, its times.
//!
//! Nothing is invented and nothing is cut: what the file says in quotes is text, a number that would not be written so
//! again is text, and a time that can't be read is an error with its line. A file that has every cell in quotes says
//! nothing by them, and is read as if there were none.

use std::borrow::Cow;

use chrono::NaiveDate;

use crate::format::first_line::FROM_UTF16;
use crate::format::time::Timestamp;
use crate::platform::memory;

/// Why a file can't be read, and at which line of it, from 1.
#[derive(Debug, PartialEq)]
pub struct Malformed {
    pub line: u64,
    pub why: String,
    pub hint: &'static str,
}

/// A cell as it stands in the file, without its quotes.
#[derive(Debug, Clone, PartialEq)]
struct Cell<'a> {
    text: Cow<'a, str>,
    quoted: bool,
}

impl Cell<'_> {
    /// `NA` as R writes it, or nothing at all.
    fn is_missing(&self) -> bool {
        !self.quoted && matches!(trimmed(&self.text), "" | "NA")
    }
}

/// A file taken apart.
#[derive(Debug, PartialEq)]
pub struct Table<'a> {
    names: Vec<Cell<'a>>,
    /// Row after row, each with as many cells as there are names.
    cells: Vec<Cell<'a>>,
    /// The line on which each row begins.
    lines: Vec<u64>,
}

/// A column by the type that all of its values have.
#[derive(Debug, PartialEq)]
pub enum Column {
    Logical(Vec<Option<bool>>),
    Integer(Vec<Option<i32>>),
    Double(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

/// An instant, or what a clock showed somewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Time {
    /// Seconds since the epoch.
    Utc(f64),
    /// Seconds since the epoch, had the clock shown UTC.
    Local(f64),
}

impl Time {
    /// Whether a row can say it, wherever the clock was.
    fn is_sayable(self) -> bool {
        /// Clocks differ by less from UTC.
        const DAY: f64 = 86_400.0;
        let says = |seconds| Timestamp::from_seconds(seconds).is_some();
        match self {
            Time::Utc(seconds) => says(seconds),
            Time::Local(seconds) => says(seconds - DAY) && says(seconds + DAY),
        }
    }
}

/// How a quote within a quoted cell is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Escape {
    /// Twice, as RFC 4180 has it.
    Doubled,
    /// Behind a backslash, as R's `write.table()` does unless told otherwise.
    Backslash,
}

/// Takes a file apart.
pub fn parse(bytes: &[u8]) -> Result<Table<'_>, Malformed> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| not_utf8(bytes, e.valid_up_to()))?;
    if let Some(at) = memchr::memchr(0, bytes) {
        return Err(Malformed {
            line: line_of(bytes, at),
            why: "holds a zero byte, which no text does".into(),
            hint: "Compare with a copy of the file.",
        });
    }
    split(text, Escape::Doubled).or_else(|e| split(text, Escape::Backslash).map_err(|_| e))
}

fn not_utf8(bytes: &[u8], at: usize) -> Malformed {
    let is_utf16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    Malformed {
        line: line_of(bytes, at),
        why: format!(
            "is not UTF-8 text{}",
            if is_utf16 { ", but UTF-16" } else { "" }
        ),
        hint: match is_utf16 {
            true => FROM_UTF16,
            false => {
                "Save it as UTF-8: `writeLines(iconv(readLines(old), \"latin1\", \"UTF-8\"), new, useBytes = TRUE)`."
            }
        },
    }
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    1 + memchr::memchr_iter(b'\n', &bytes[..at]).count() as u64
}

fn split(text: &str, escape: Escape) -> Result<Table<'_>, Malformed> {
    let mut rest = text;
    let mut line = 1;
    let mut table = Table {
        names: Vec::new(),
        cells: Vec::new(),
        lines: Vec::new(),
    };
    let mut is_all_quoted = true;
    let mut row = Vec::new();
    while !rest.is_empty() {
        let began = line;
        row.clear();
        loop {
            let (cell, ends_row) = next_cell(&mut rest, &mut line, escape)?;
            row.push(cell);
            if ends_row {
                break;
            }
        }
        if matches!(&row[..], [only] if !only.quoted && trimmed(&only.text).is_empty()) {
            continue;
        }
        if table.names.is_empty() {
            table.names.append(&mut row);
            check_names(&table.names, began)?;
            continue;
        }
        if row.len() != table.names.len() {
            return Err(Malformed {
                line: began,
                why: format!(
                    "has {} cell{} where the first has {}",
                    row.len(),
                    if row.len() == 1 { "" } else { "s" },
                    table.names.len()
                ),
                hint: match row.len() == table.names.len() + 1 && table.lines.is_empty() {
                    true => ROW_NAMES,
                    false => {
                        "A run with other parameters was appended to it. Give it a header of its own in another file."
                    }
                },
            });
        }
        is_all_quoted &= row.iter().all(|cell| cell.quoted);
        memory::reserve(&mut table.lines, 1);
        table.lines.push(began);
        memory::reserve(&mut table.cells, row.len());
        table.cells.append(&mut row);
    }
    if is_all_quoted {
        table.cells.iter_mut().for_each(|cell| cell.quoted = false);
    }
    Ok(table)
}

/// What to do about R's row names.
pub(super) const ROW_NAMES: &str =
    "It looks as if row names were written: `row.names = FALSE` leaves them out.";

fn check_names(names: &[Cell<'_>], line: u64) -> Result<(), Malformed> {
    for (i, name) in names.iter().enumerate() {
        let why = if name.text.is_empty() {
            format!("gives column {} no name", i + 1)
        } else if names[..i].iter().any(|other| other.text == name.text) {
            format!("gives two columns the name `{}`", name.text)
        } else {
            continue;
        };
        return Err(Malformed {
            line,
            why,
            hint: "Give each column a name of its own in the first line.",
        });
    }
    Ok(())
}

/// The next cell, and whether its row ends with it.
fn next_cell<'a>(
    rest: &mut &'a str,
    line: &mut u64,
    escape: Escape,
) -> Result<(Cell<'a>, bool), Malformed> {
    let quoted = rest.starts_with('"');
    let text = match quoted {
        true => quoted_text(rest, line, escape)?,
        false => {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let text = &rest[..end];
            *rest = &rest[end..];
            let at_end = !rest.starts_with(',');
            Cow::Borrowed(match at_end {
                true => text.strip_suffix('\r').unwrap_or(text),
                false => text,
            })
        }
    };
    let has_bare_cr = !quoted && text.contains('\r');
    let cell = Cell { text, quoted };
    if let Some(next) = rest.strip_prefix(',').filter(|_| !has_bare_cr) {
        *rest = next;
        return Ok((cell, false));
    }
    if rest.starts_with("\r\n") || *rest == "\r" {
        *rest = &rest[1..];
    }
    if has_bare_cr || rest.starts_with('\r') {
        return Err(Malformed {
            line: *line,
            why: "has a carriage return without a line feed, as where each line ends in that alone"
                .into(),
            hint: "`writeLines(readLines(file), new)` writes it with line feeds.",
        });
    }
    if let Some(next) = rest.strip_prefix('\n') {
        *rest = next;
        *line += 1;
    } else if !rest.is_empty() {
        return Err(Malformed {
            line: *line,
            why: "has text behind a closing quote".into(),
            hint: "Within quotes a quote is written twice.",
        });
    }
    Ok((cell, true))
}

fn quoted_text<'a>(
    rest: &mut &'a str,
    line: &mut u64,
    escape: Escape,
) -> Result<Cow<'a, str>, Malformed> {
    let began = *line;
    let mut text = Cow::Borrowed("");
    *rest = &rest[1..];
    loop {
        let Some(mut end) = rest.find('"') else {
            return Err(Malformed {
                line: began,
                why: "opens a quote that nothing closes".into(),
                hint: "Compare with a copy of the file.",
            });
        };
        let next = end + 1;
        let is_escaped = match escape {
            Escape::Doubled => rest[next..].starts_with('"'),
            Escape::Backslash => rest[..end].ends_with('\\'),
        };
        if is_escaped && escape == Escape::Backslash {
            end -= 1;
        }
        *line += memchr::memchr_iter(b'\n', &rest.as_bytes()[..end]).count() as u64;
        let part = &rest[..end];
        if !is_escaped {
            *rest = &rest[next..];
            return Ok(match text.is_empty() {
                true => Cow::Borrowed(part),
                false => text + part,
            });
        }
        *rest = &rest[next + usize::from(escape == Escape::Doubled)..];
        let text = text.to_mut();
        text.push_str(part);
        text.push('"');
    }
}

impl Table<'_> {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|cell| &*cell.text)
    }

    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// The line on which a row begins.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// A cell's text; none where it says that there is none.
    pub fn text(&self, row: usize, column: usize) -> Option<&str> {
        let cell = &self.cells[row * self.names.len() + column];
        (!cell.is_missing()).then_some(&*cell.text)
    }

    fn column_cells(&self, column: usize) -> impl Iterator<Item = &Cell<'_>> + Clone {
        let cells = self.cells.iter();
        cells.skip(column).step_by(self.names.len().max(1))
    }

    /// A column, as the narrowest type that says all of its cells as they stand. An empty text among numbers says nothing.
    pub fn column(&self, column: usize) -> Column {
        let cells = self.column_cells(column);
        let says = |cell: &&Cell<'_>| !cell.is_missing() && !cell.text.is_empty();
        let present = cells.clone().filter(says);
        let texts = || Column::Text(self.values(column, |text| Some(text.to_owned())));
        if present.clone().next().is_none() {
            return match cells.clone().all(Cell::is_missing) {
                true => Column::Logical(self.values(column, logical)),
                false => texts(),
            };
        }
        if present
            .clone()
            .all(|cell| !cell.quoted && logical(&cell.text).is_some())
        {
            return Column::Logical(self.values(column, logical));
        }
        let numbers = present.map(|cell| number(&cell.text).filter(|_| !cell.quoted));
        match is_whole(numbers) {
            Some(is_whole) => self.numbers(column, is_whole, number),
            None => texts(),
        }
    }

    /// A column of numbers, also where the file has them in quotes.
    pub fn metric(&self, column: usize) -> Result<Column, Malformed> {
        let is_missing = |text: &str| matches!(trimmed(text), "" | "NA");
        for (row, cell) in self.column_cells(column).enumerate() {
            if !is_missing(&cell.text) && any_number(&cell.text).is_none() {
                return Err(Malformed {
                    line: self.line(row),
                    why: format!(
                        "has no number that a double holds in the metric `{}`: {}",
                        self.names[column].text,
                        shown(&cell.text)
                    ),
                    hint: "Write it as a number, or as NA where it is missing; a column that isn't named in `metrics` is a parameter, which may be text.",
                });
            }
        }
        let present = self.column_cells(column).map(|cell| &*cell.text);
        let mut present = present.filter(|text| !is_missing(text)).peekable();
        let is_whole = present.peek().is_some() && is_whole(present.map(any_number)) == Some(true);
        Ok(self.numbers(column, is_whole, any_number))
    }

    fn numbers(
        &self,
        column: usize,
        is_whole: bool,
        read: impl Fn(&str) -> Option<Number>,
    ) -> Column {
        match is_whole {
            true => Column::Integer(self.values(column, |text| match read(text)? {
                Number::Integer(x) => Some(x),
                Number::Double(_) => None,
            })),
            false => Column::Double(self.values(column, |text| Some(read(text)?.double()))),
        }
    }

    fn values<T>(&self, column: usize, read: impl Fn(&str) -> Option<T>) -> Vec<Option<T>> {
        let mut values = Vec::new();
        memory::reserve(&mut values, self.rows());
        let cells = self.column_cells(column);
        values.extend(cells.map(|cell| match cell.is_missing() {
            true => None,
            false => read(&cell.text),
        }));
        values
    }

    /// A column of times.
    pub fn times(&self, column: usize) -> Result<Vec<Time>, Malformed> {
        let mut times = Vec::new();
        memory::reserve(&mut times, self.rows());
        for (row, cell) in self.column_cells(column).enumerate() {
            let time = time(&cell.text).filter(|time| time.is_sayable());
            times.push(time.ok_or_else(|| unreadable_time(self.line(row), &cell.text))?);
        }
        Ok(times)
    }
}

/// As much of a text as tells which it is.
pub fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    format!("\"{}\"", text.chars().take(SHOWN).collect::<String>())
}

fn unreadable_time(line: u64, text: &str) -> Malformed {
    Malformed {
        line,
        why: format!("has a time that can't be read: {}", shown(text)),
        hint: "Write it as 2026-11-23 04:20:47 (local time) or 2026-11-23T04:20:47Z (UTC).",
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A logical as R and other programs write it.
pub fn logical(text: &str) -> Option<bool> {
    match trimmed(text) {
        "TRUE" | "True" | "true" => Some(true),
        "FALSE" | "False" | "false" => Some(false),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Integer(i32),
    Double(f64),
}

impl Number {
    fn double(self) -> f64 {
        match self {
            Number::Integer(x) => f64::from(x),
            Number::Double(x) => x,
        }
    }
}

/// Whether all numbers are whole ones that R's integers hold; `None` where one isn't a number.
fn is_whole(mut numbers: impl Iterator<Item = Option<Number>>) -> Option<bool> {
    numbers.try_fold(true, |is_whole, number| {
        let number = number?;
        Some(is_whole && matches!(number, Number::Integer(_)))
    })
}

/// A number, unless its text says more than a number would: zeros before it, a plus sign; or what no number holds.
fn number(text: &str) -> Option<Number> {
    let digits = trimmed(text);
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    let is_padded =
        digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
    match digits.starts_with('+') || is_padded {
        true => None,
        false => any_number(text),
    }
}

/// The number that a text is, if a column of such texts is one of numbers.
pub fn number_in(text: &str) -> Option<f64> {
    number(text).map(Number::double)
}

/// A number however it is written. What would come out as another one is none: a whole number that no double is equal
/// to, one so large that it would be infinite, or so small that it would be zero. Of a fraction the nearest double is taken.
fn any_number(text: &str) -> Option<Number> {
    let text = trimmed(text);
    let (is_negative, unsigned) = match text.strip_prefix(['-', '+']) {
        Some(unsigned) => (text.starts_with('-'), unsigned),
        None => (false, text),
    };
    let signed = |x: f64| Some(Number::Double(if is_negative { -x } else { x }));
    match unsigned {
        "Inf" | "inf" => return signed(f64::INFINITY),
        "NaN" | "nan" => return Some(Number::Double(f64::NAN)),
        _ => {}
    }
    let split = |text: &'_ str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = unsigned.split_at(split(unsigned));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(fraction) => fraction.split_at(split(fraction)),
        None => ("", rest),
    };
    let has_exponent = match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => are_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => false,
    };
    let is_number = !(whole.is_empty() && fraction.is_empty()) && (has_exponent || rest.is_empty());
    let x: f64 = unsigned.parse().ok().filter(|_| is_number)?;
    let is_zero = |digits: &str| digits.bytes().all(|digit| digit == b'0');
    if x.is_infinite() || (x == 0.0 && !(is_zero(whole) && is_zero(fraction))) {
        return None;
    }
    if !has_exponent
        && is_zero(fraction)
        && format!("{x:.0}").trim_start_matches('0') != whole.trim_start_matches('0')
    {
        return None;
    }
    // R's own integers end before its smallest, which is its NA.
    match text.parse::<i32>() {
        Ok(i) if unsigned.len() == whole.len() && i != i32::MIN && !(is_negative && i == 0) => {
            Some(Number::Integer(i))
        }
        _ => signed(x),
    }
}

/// A day and a time of it, in the forms of ISO 8601 that people and programs write: `-` or `/` within the day, `T` or
/// a space behind it, seconds and their fraction or not, `Z`, `UTC`, `GMT` or an offset, without which the clock is that
/// of the place.
pub fn time(text: &str) -> Option<Time> {
    let text = trimmed(text);
    if !text.is_ascii() || text.len() < 8 {
        return None;
    }
    let day_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let day = &text[..day_end];
    let mark = if day.contains('/') { '/' } else { '-' };
    let mut parts = day.split(mark);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(number_of(year)? as i32, short(month)?, short(day)?)?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp() as f64;
    if day_end == text.len() {
        return Some(Time::Local(midnight));
    }
    let clock = text[day_end + 1..].trim_start_matches(' ');
    let end = clock.find(|c: char| !matches!(c, '0'..='9' | ':' | '.' | ','));
    let (clock, zone) = clock.split_at(end.unwrap_or(clock.len()));
    let (clock, fraction) = match clock.split_once(['.', ',']) {
        // Behind a minute it would be one of that.
        Some((clock, digits)) if are_digits(digits) && clock.matches(':').count() == 2 => {
            (clock, format!("0.{digits}").parse::<f64>().ok()?)
        }
        Some(_) => return None,
        None => (clock, 0.0),
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (short(parts.next()?)?, two(parts.next()?)?);
    let second = parts.next().map_or(Some(0), two)?;
    let is_on_a_clock = hour < 24 && minute < 60 && second < 60;
    if !is_on_a_clock || parts.next().is_some() {
        return None;
    }
    let seconds = midnight + f64::from(3600 * hour + 60 * minute + second) + fraction;
    match trimmed(zone) {
        "" => Some(Time::Local(seconds)),
        "Z" | "z" | "UTC" | "GMT" => Some(Time::Utc(seconds)),
        zone => Some(Time::Utc(seconds - offset(zone)?)),
    }
}

/// `+02:00`, `+0200` or `+02`, in seconds.
fn offset(zone: &str) -> Option<f64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1.0,
        b'-' => -1.0,
        _ => return None,
    };
    let (hours, minutes) = match zone[1..].len() {
        2 => (two(&zone[1..])?, 0),
        4 => (two(&zone[1..3])?, two(&zone[3..])?),
        5 if zone.as_bytes()[3] == b':' => (two(&zone[1..3])?, two(&zone[4..])?),
        _ => return None,
    };
    (hours <= 18 && minutes < 60).then(|| sign * f64::from(3600 * hours + 60 * minutes))
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn number_of(digits: &str) -> Option<u32> {
    are_digits(digits).then(|| digits.parse().ok())?
}

fn short(digits: &str) -> Option<u32> {
    number_of(digits).filter(|_| digits.len() <= 2)
}

fn two(digits: &str) -> Option<u32> {
    number_of(digits).filter(|_| digits.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Vec<String>> {
        let table = parse(text.as_bytes()).unwrap();
        let rows = table.cells.chunks(table.names.len());
        rows.map(|row| row.iter().map(|cell| cell.text.to_string()).collect())
            .collect()
    }

    fn malformed(bytes: &[u8]) -> (u64, String) {
        let e = parse(bytes).unwrap_err();
        (e.line, e.why)
    }

    #[test]
    fn cells_are_taken_apart_as_they_were_written() {
        let row = |cells: &[&str]| {
            cells
                .iter()
                .map(|&cell| cell.to_owned())
                .collect::<Vec<_>>()
        };
        for (text, expected) in [
            ("a,b\n1,2\n", vec![row(&["1", "2"])]),
            ("a,b\r\n1,\"x\r\"\r", vec![row(&["1", "x\r"])]),
            (
                "\u{feff}a,b\r\n1,2\r\n\r\n3,",
                vec![row(&["1", "2"]), row(&["3", ""])],
            ),
            (
                "a,b\n\"x,\"\"y\"\"\n\",\"\"\n",
                vec![row(&["x,\"y\"\n", ""])],
            ),
            // As `write.table()` escapes.
            (
                "a,b\n\"say \\\"hi\\\"\",1\n\"C:\\dir\",2\n",
                vec![row(&["say \"hi\"", "1"]), row(&["C:\\dir", "2"])],
            ),
            // By RFC 4180 a backslash is one.
            ("a,b\n\"C:\\\",1\n", vec![row(&["C:\\", "1"])]),
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let said = |bytes: &[u8], line, part: &str| {
            let (at, why) = malformed(bytes);
            assert!(at == line && why.contains(part), "{at}: {why}");
        };
        said(
            b"a,b\n\"1\n\",2\n1,2,3\n",
            4,
            "has 3 cells where the first has 2",
        );
        said(b"a,b\n1,\"2\n", 2, "opens a quote");
        said(b"a,b\n1,\"2\"3\n", 2, "behind a closing quote");
        said(b"a,b\n1,caf\xe9\n", 2, "not UTF-8");
        said(b"\xff\xfea\0,\0", 1, "UTF-16");
        said(b"a,b\n1,\0\n", 2, "zero byte");
        said(b"a,\n1,2\n", 1, "column 2 no name");
        for cr in [
            "a,b\r1,2\r",
            "\"a\",\"b\"\r\"1\",2\r",
            "a\r,b\n1,2\n",
            "a,b\n1,2\r\r\n",
        ] {
            let line = if cr.contains('\n') && !cr.starts_with("a\r") {
                2
            } else {
                1
            };
            said(cr.as_bytes(), line, "a carriage return");
        }
        said(b"a,\"a\"\n1,2\n", 1, "two columns the name `a`");
    }

    #[test]
    fn a_column_has_the_type_that_says_its_cells_as_they_stand() {
        let column = |cells: &[&str]| {
            let text = format!(
                "q,x\n{}",
                cells.iter().map(|c| format!("1,{c}\n")).collect::<String>()
            );
            parse(text.as_bytes()).unwrap().column(1)
        };
        let text =
            |cells: &[&str]| Column::Text(cells.iter().map(|c| Some((*c).to_owned())).collect());
        assert_eq!(
            column(&["1", "-2", "NA", ""]),
            Column::Integer(vec![Some(1), Some(-2), None, None])
        );
        assert_eq!(
            column(&["1", "2.5", " 1e+05"]),
            Column::Double(vec![Some(1.0), Some(2.5), Some(1e5)])
        );
        assert_eq!(
            column(&["-Inf", "0"]),
            Column::Double(vec![Some(f64::NEG_INFINITY), Some(0.0)])
        );
        assert_eq!(
            column(&["TRUE", "false", "NA"]),
            Column::Logical(vec![Some(true), Some(false), None])
        );
        assert_eq!(column(&["NA", ""]), Column::Logical(vec![None, None]));
        assert_eq!(column(&["3000000000"]), Column::Double(vec![Some(3e9)]));
        for cells in [
            &["007", "10"][..],
            &["+5"],
            &["T", "F"],
            &["1", "TRUE"],
            &["0x1A"],
            &["1.", "."],
            &["1e"],
            &["12345678901234567890"],
            &["1 2"],
            &["--1"],
            &["1_000"],
            // What a double would round, to another whole number, to infinity or to zero.
            &["9007199254740993"],
            &["-9007199254740993"],
            &["9007199254740993.0"],
            &["1e400"],
            &["-1e400"],
            &["1e-400"],
            &["0.0001e-400"],
            &["1e99999999999999999999"],
        ] {
            assert_eq!(column(cells), text(cells));
        }
        assert_eq!(column(&["\"007\"", "\"10\""]), text(&["007", "10"]));
        assert_eq!(column(&["\"1\"", "2"]), text(&["1", "2"]));
        assert_eq!(
            column(&["\"NA\"", "\"\"", "NA"]),
            Column::Text(vec![Some("NA".into()), Some(String::new()), None])
        );
        let doubles = |x: &[f64]| Column::Double(x.iter().copied().map(Some).collect());
        assert_eq!(
            column(&["9007199254740992"]),
            doubles(&[9_007_199_254_740_992.0])
        );
        assert_eq!(
            column(&[
                "100000000000000000000",
                "0e-400",
                "3.14159265358979323846264"
            ]),
            doubles(&[1e20, 0.0, std::f64::consts::PI])
        );
        // Of a negative zero the sign stays.
        match column(&["-0", "1"]) {
            Column::Double(x) => assert!(x[0].unwrap().is_sign_negative()),
            other => panic!("{other:?}"),
        }
        // An empty text among numbers says nothing.
        assert_eq!(
            column(&["0.5", "\"\"", "NA"]),
            Column::Double(vec![Some(0.5), None, None])
        );
        assert_eq!(
            column(&["TRUE", "\"\""]),
            Column::Logical(vec![Some(true), None])
        );
    }

    #[test]
    fn quotes_around_every_cell_say_nothing() {
        let columns = |rows: &str| {
            let text = format!("a,b,c\n{rows}");
            let table = parse(text.as_bytes()).unwrap();
            [0, 1, 2].map(|column| table.column(column))
        };
        let text = |cells: &[Option<&str>]| {
            Column::Text(cells.iter().map(|cell| cell.map(str::to_owned)).collect())
        };
        assert_eq!(
            columns("\"1\",\"007\",\"x\"\n\"2\",\"\",\"\"\n"),
            [
                Column::Integer(vec![Some(1), Some(2)]),
                text(&[Some("007"), None]),
                text(&[Some("x"), None]),
            ]
        );
        // A cell without says that the others' mean something, also if it says no more.
        for missing in ["NA", ""] {
            assert_eq!(
                columns(&format!("\"1\",\"1e5\",{missing}\n\"2\",\"\",{missing}\n")),
                [
                    text(&[Some("1"), Some("2")]),
                    text(&[Some("1e5"), Some("")]),
                    Column::Logical(vec![None, None]),
                ]
            );
        }
    }

    #[test]
    fn a_metric_is_a_number_also_in_quotes() {
        let metric = |cells: &[&str]| {
            let cells = cells.iter().map(|cell| format!("1,{cell}\n"));
            let text = format!("k,m\n{}", cells.collect::<String>());
            parse(text.as_bytes()).unwrap().metric(1)
        };
        assert_eq!(
            metric(&["\"0.5\"", "+1", "\"007\"", "\"\"", "", "NA", "\"NA\""]),
            Ok(Column::Double(
                [Some(0.5), Some(1.0), Some(7.0), None, None, None, None].into()
            ))
        );
        assert_eq!(
            metric(&["\"1\"", "2"]),
            Ok(Column::Integer(vec![Some(1), Some(2)]))
        );
        assert_eq!(metric(&["NA"]), Ok(Column::Double(vec![None])));
        for cell in [
            "9007199254740993",
            "100000000000000000000000000001",
            "\"9007199254740993\"",
            "1e400",
            "1e-400",
            "0x1F",
            "1.5e",
            "TRUE",
            "n/a",
            "1 2",
        ] {
            let e = metric(&["1", "NA", cell]).unwrap_err();
            let shown = format!("metric `m`: \"{}\"", cell.trim_matches('"'));
            assert!(e.line == 4 && e.why.contains(&shown), "{cell}: {}", e.why);
        }
    }

    #[test]
    fn numbers_read_back_to_the_bits_that_were_written() {
        for x in [
            0.1,
            1.0 / 3.0,
            1e-320,
            f64::MAX,
            -1e300,
            123_456_789.123_456_79,
        ] {
            assert_eq!(number(&format!("{x:?}")), Some(Number::Double(x)));
        }
    }

    #[test]
    fn times_are_read_with_their_offsets_or_not_at_all() {
        let noon = 1_709_294_400.0; // 2024-03-01T12:00:00Z
        for (text, expected) in [
            ("2024-03-01 12:00:00", Time::Local(noon)),
            ("2024-03-01T12:00", Time::Local(noon)),
            ("2024/3/1 12:00:00.25", Time::Local(noon + 0.25)),
            ("2024-03-01", Time::Local(noon - 43_200.0)),
            ("2024-03-01T12:00:00Z", Time::Utc(noon)),
            ("2024-03-01 12:00:00 UTC", Time::Utc(noon)),
            (
                "2024-03-01T12:00:00.5+02:00",
                Time::Utc(noon - 7200.0 + 0.5),
            ),
            ("2024-03-01 12:00:00 +0530", Time::Utc(noon - 19_800.0)),
            ("2024-03-01 12:00:00-08", Time::Utc(noon + 28_800.0)),
            (
                "2024-03-01T12:00:00.123456789012Z",
                Time::Utc(noon + 0.123_456_789_012),
            ),
        ] {
            assert_eq!(time(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "NA",
            "01/03/2024 09:15",
            "2024-02-30",
            "2024-13-01",
            "2024-03-01 24:00:00",
            "2024-03-01 12:60",
            "2024-03-01 12:00:00 CET",
            "2024-03-01T",
            "2024-03-01 12",
            "2024-03-01 12:00:00+2:00",
            "1709294400",
            "24-03-01 12:00",
            "2024-03-01 12:00:00.",
            "2024-03-01 12:00:00.5x",
            "2024-03-01-02",
            "2024-03-01 1:2:3",
            "2024-03-01 12:00:00+19:00",
            "\u{662}024-03-01",
            "2024-03-01 12:00:00.1.2",
            // A minute's fraction, as ISO 8601 has it.
            "2024-03-01T09:15.5Z",
            "2024-03-01T09:15,5Z",
            "2024-03-01 12:00:00 PM",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
