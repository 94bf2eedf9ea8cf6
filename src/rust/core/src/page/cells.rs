//! The JSON of objects, values and columns.

use crate::columnar::columns::{self, Tag};
use crate::columnar::strings::StringTable;
use crate::format::json::{self, Json};
use crate::format::time::{self, Timestamp};
use crate::format::value::{Kind, Value};
use crate::views::table::{self, Type};

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

/// A value whose type is known from elsewhere.
fn write_bare(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Na(_) => out.extend_from_slice(b"null"),
        Value::Redacted => out.extend_from_slice(b"{\"redacted\":true}"),
        Value::Bool(x) => json::write_bool(*x, out),
        Value::Int(x) => json::write_int(i64::from(*x), out),
        Value::Double(x) | Value::Difftime(x) => write_number(*x, out),
        Value::Datetime(x) => write_number(1000.0 * x, out),
        Value::Date(x) => json::write_str(&time::day_text(*x).unwrap_or_default(), out),
        other => json::write_str(&other.to_string(), out),
    }
}

/// A value with its type.
pub(super) fn write_cell(value: &Value, out: &mut Vec<u8>) {
    let name = match value {
        Value::Null | Value::Na(_) | Value::Redacted => return write_bare(value, out),
        Value::Code(_) => "code",
        Value::Empty(_) => "empty",
        Value::Vector(_) | Value::NamedVector(_) => "vector",
        Value::List(_) | Value::NamedList(_) => "list",
        value => value.kind().map_or("unknown", Kind::name),
    };
    object(out, |o| {
        o.text("t", name);
        write_bare(value, o.key("v"));
    });
}

pub(super) fn write_cells<'a>(
    cells: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
) {
    json::write_object(cells, out, write_cell);
}

/// The column of some runs, of `n` in all; a value that the column doesn't show is null.
pub(super) fn write_column(
    name: &str,
    column: &columns::Column,
    rows: &[usize],
    n: usize,
    out: &mut Vec<u8>,
) {
    let ty = table::Column::of(String::new(), column, rows).ty;
    let is_there = |&row: &usize| !matches!(column.tag(row), Tag::Absent | Tag::Null | Tag::Na);
    let there: Vec<usize> = rows.iter().copied().filter(is_there).collect();
    object(out, |o| {
        o.text("name", name);
        let ty_name = match ty {
            Type::Mixed => "mixed",
            Type::Atomic(kind) => kind.name(),
        };
        o.text("type", ty_name);
        let shown: Box<dyn Iterator<Item = Option<usize>>> = if there.len() * 4 < n {
            json::write_array(&there, o.key("at"), |&row, out| write_usize(row, out));
            Box::new(there.iter().copied().map(Some))
        } else {
            let mut there = there.iter().copied().peekable();
            Box::new((0..n).map(move |row| there.next_if_eq(&row)))
        };
        match ty {
            Type::Atomic(Kind::Character) => write_codes(column, shown, o),
            _ => write_list(shown, o.key("values"), |row, out| {
                let value = row.and_then(|row| column.get(row));
                match value.unwrap_or(Value::Null) {
                    value if ty == Type::Mixed => write_cell(&value, out),
                    value => write_bare(&value, out),
                }
            }),
        }
    });
}

/// Texts, each once, and which of them each run has.
fn write_codes(
    column: &columns::Column,
    shown: impl Iterator<Item = Option<usize>>,
    o: &mut Object<'_>,
) {
    const MISSING: i64 = -1;
    const REDACTED: i64 = -2;
    let add = |levels: &mut StringTable, text: &str| {
        levels.add(text).expect("the texts are in memory") as i64
    };
    let mut levels = StringTable::default();
    let mut of_text: Vec<Option<i64>> = vec![None; column.texts.len()];
    let mut codes = Vec::new();
    write_list(shown, &mut codes, |row, out| {
        let code = match row.map(|row| (row, column.tag(row))) {
            Some((row, Tag::Text)) => {
                let text = column.bits(row) as usize;
                *of_text[text].get_or_insert_with(|| add(&mut levels, column.texts.get(text)))
            }
            Some((_, Tag::Redacted)) => REDACTED,
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
