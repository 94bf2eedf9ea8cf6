//! The JSON of objects, values and columns.

use std::collections::HashMap;

use crate::columnar::cells::Tag;
use crate::columnar::columns;
use crate::columnar::strings::StringTable;
use crate::format::json::{self, Json};
use crate::format::time::{self, Timestamp};
use crate::format::value::{Kind, Value};
use crate::views::table::Type;

/// An object that is being written.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

pub(super) fn object(out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    write(&mut Object { out, empty: true });
    out.push(b'}');
}

impl Object<'_> {
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        json::write_str(key, self.out);
        self.out.push(b':');
        self.out
    }

    pub(super) fn row(&mut self, row: usize) -> &mut Vec<u8> {
        self.key(&row.to_string())
    }

    pub(super) fn int(&mut self, key: &str, value: i64) {
        json::write_int(value, self.key(key));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        json::write_str(value, self.key(key));
    }

    pub(super) fn json(&mut self, key: &str, value: Option<&Json>) {
        match value {
            Some(json) => json.write(self.key(key)),
            None => self.null(key),
        }
    }

    pub(super) fn null(&mut self, key: &str) {
        self.key(key).extend_from_slice(b"null");
    }
}

pub(super) fn write_list<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

pub(super) fn write_texts(texts: &[impl AsRef<str>], out: &mut Vec<u8>) {
    json::write_array(texts, out, |text, out| json::write_str(text.as_ref(), out));
}

pub(super) fn write_usize(x: usize, out: &mut Vec<u8>) {
    json::write_int(x as i64, out);
}

pub(super) fn milliseconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1000)
}

/// A number in the fewest digits, or in words where JSON has none.
pub(super) fn write_number(x: f64, out: &mut Vec<u8>) {
    match x {
        f64::INFINITY => out.extend_from_slice(b"\"Inf\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Inf\""),
        x if x.is_nan() => out.extend_from_slice(b"\"NaN\""),
        x => {
            json::write_double(x, out);
            if out.ends_with(b".0") && x != 0.0 {
                out.truncate(out.len() - 2);
            }
        }
    }
}

/// A value in a column of a type. What is recorded as missing says so, unlike what isn't recorded.
fn write_bare(value: &Value, ty: Type, out: &mut Vec<u8>) {
    match value {
        Value::Null => json::write_str("NULL", out),
        Value::Na(kind) if ty == Type::Atomic(*kind) => json::write_str("NA", out),
        Value::Na(kind) => object(out, |o| o.text("na", kind.name())),
        Value::Redacted => out.extend_from_slice(b"{\"redacted\":true}"),
        Value::Bool(x) => json::write_bool(*x, out),
        Value::Int(x) => json::write_int(i64::from(*x), out),
        Value::Double(x) | Value::Difftime(x) => write_number(*x, out),
        Value::Datetime(x) => write_number(1000.0 * x, out),
        Value::Date(x) => json::write_str(&time::day_text(*x).unwrap_or_default(), out),
        other => json::write_str(&other.to_string(), out),
    }
}

/// A value with its type; of what words don't tell apart the JSON, too.
pub(super) fn write_cell(value: &Value, out: &mut Vec<u8>) {
    let name = match value {
        Value::Null => return object(out, |o| o.null("null")),
        Value::Na(_) | Value::Redacted => return write_bare(value, Type::Mixed, out),
        Value::Code(_) => "code",
        Value::Empty(_) => "empty",
        Value::Vector(_) | Value::NamedVector(_) => "vector",
        Value::List(_) | Value::NamedList(_) => "list",
        value => value.kind().map_or("unknown", Kind::name),
    };
    object(out, |o| {
        o.text("t", name);
        write_bare(value, Type::Mixed, o.key("v"));
        if matches!(name, "vector" | "list") {
            value.write(o.key("json"));
        }
    });
}

/// A value from JSON, which has a type of its own where there is one for it.
pub(super) fn write_fact(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => json::write_str(text, out),
        Value::Bool(x) => json::write_bool(*x, out),
        Value::Int(x) => json::write_int(i64::from(*x), out),
        value => write_cell(value, out),
    }
}

pub(super) fn write_cells<'a>(
    cells: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
) {
    json::write_object(cells, out, write_cell);
}

/// How a list with something for each run is written: whole, with how often each item comes, or
/// with the runs that have one.
enum Layout {
    /// For each run its row.
    Whole(Vec<Option<usize>>),
    /// The row of the first run of each stretch in which all have the same, and its length.
    Stretches(Vec<(Option<usize>, usize)>),
    Sparse(Vec<usize>),
}

impl Layout {
    /// The shortest one, given what tells the items of `n` rows apart; `None` has none.
    fn of<T: PartialEq>(n: usize, item: impl Fn(usize) -> Option<T>) -> Layout {
        let mut stretches: Vec<(Option<usize>, usize)> = Vec::new();
        let mut last = None;
        for row in 0..n {
            let item = item(row);
            match stretches.last_mut() {
                Some((_, length)) if item == last => *length += 1,
                _ => stretches.push((item.is_some().then_some(row), 1)),
            }
            last = item;
            if stretches.len() * 4 > n {
                break;
            }
        }
        if !stretches.is_empty() && stretches.len() * 4 <= n {
            return Layout::Stretches(stretches);
        }
        let there = |row: &usize| item(*row).is_some();
        let rows: Vec<usize> = (0..n).filter(there).collect();
        if rows.len() * 4 < n {
            return Layout::Sparse(rows);
        }
        let mut rows = rows.into_iter().peekable();
        Layout::Whole((0..n).map(|row| rows.next_if_eq(&row)).collect())
    }

    /// Says where the items belong; the rows to write one for each.
    fn write(self, o: &mut Object<'_>) -> Vec<Option<usize>> {
        match self {
            Layout::Whole(rows) => rows,
            Layout::Stretches(stretches) => {
                json::write_array(&stretches, o.key("times"), |(_, length), out| {
                    write_usize(*length, out);
                });
                stretches.into_iter().map(|(row, _)| row).collect()
            }
            Layout::Sparse(rows) => {
                json::write_array(&rows, o.key("at"), |&row, out| write_usize(row, out));
                rows.into_iter().map(Some).collect()
            }
        }
    }
}

/// What many runs have in common: each once, and which of them each run has.
#[derive(Default)]
pub(super) struct Levels {
    levels: Vec<Vec<u8>>,
    by_json: HashMap<Vec<u8>, usize>,
    codes: Vec<Option<usize>>,
}

impl Levels {
    /// The JSON of the next run, if it has one; the code for it.
    pub(super) fn push(&mut self, json: Option<&[u8]>) -> Option<usize> {
        let code = json.map(|json| match self.by_json.get(json) {
            Some(&code) => code,
            None => {
                self.levels.push(json.to_vec());
                self.by_json.insert(json.to_vec(), self.levels.len() - 1);
                self.levels.len() - 1
            }
        });
        self.push_code(code);
        code
    }

    /// That the next run has what another one has.
    pub(super) fn push_code(&mut self, code: Option<usize>) {
        self.codes.push(code);
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        object(out, |o| {
            json::write_array(&self.levels, o.key("levels"), |level, out| {
                out.extend_from_slice(level);
            });
            let rows = Layout::of(self.codes.len(), |row| self.codes[row]).write(o);
            json::write_array(&rows, o.key("codes"), |row, out| {
                let code = row.and_then(|row| self.codes[row]);
                json::write_int(code.map_or(MISSING, |code| code as i64), out);
            });
        });
    }
}

/// Codes of what isn't among the levels.
const MISSING: i64 = -1;
const REDACTED: i64 = -2;
const NA: i64 = -3;
const NULL: i64 = -4;

pub(super) fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Mixed => "mixed",
        Type::Atomic(kind) => kind.name(),
    }
}

/// The values of `n` runs in a column; those that aren't shown are as if they weren't there.
pub(super) fn write_values(
    column: &columns::Column,
    ty: Type,
    is_shown: impl Fn(usize) -> bool,
    n: usize,
    o: &mut Object<'_>,
) {
    let cell = |row: usize| match column.tag(row) {
        Tag::Absent => None,
        tag => is_shown(row).then(|| (tag, column.bits(row))),
    };
    let rows = Layout::of(n, cell).write(o);
    match ty {
        Type::Atomic(Kind::Character) => write_codes(column, &rows, o),
        _ => json::write_array(&rows, o.key("values"), |row, out| {
            match row.and_then(|row| column.get(row)) {
                None => out.extend_from_slice(b"null"),
                Some(value) if ty == Type::Mixed => write_cell(&value, out),
                Some(value) => write_bare(&value, ty, out),
            }
        }),
    }
    // JSON has one sort of numbers.
    if ty == Type::Atomic(Kind::Double) && column.has(Tag::Int) {
        let is_integer = |row: &usize| matches!(cell(*row), Some((Tag::Int, _)));
        write_list((0..n).filter(is_integer), o.key("integers"), write_usize);
    }
}

/// Texts, each once, and which of them each run has.
fn write_codes(column: &columns::Column, rows: &[Option<usize>], o: &mut Object<'_>) {
    let add = |levels: &mut StringTable, text: &str| {
        levels.add(text).expect("the texts are in memory") as i64
    };
    let mut levels = StringTable::default();
    let mut of_text: Vec<Option<i64>> = vec![None; column.texts.len()];
    let mut codes = Vec::new();
    json::write_array(rows, &mut codes, |row, out| {
        let code = match row.map(|row| (row, column.tag(row))) {
            Some((row, Tag::Text)) => {
                let text = column.bits(row) as usize;
                *of_text[text].get_or_insert_with(|| add(&mut levels, column.texts.get(text)))
            }
            Some((_, Tag::Redacted)) => REDACTED,
            Some((_, Tag::Na)) => NA,
            Some((_, Tag::Null)) => NULL,
            Some((row, _)) => match column.other(row) {
                Some(Value::Code(text)) => add(&mut levels, &text),
                _ => MISSING,
            },
            None => MISSING,
        };
        json::write_int(code, out);
    });
    write_list(levels.iter(), o.key("levels"), json::write_str);
    o.key("codes").extend_from_slice(&codes);
}
