//! Values of many runs, one column a parameter or metric: a tag and eight bytes for each.

use std::collections::HashMap;

use crate::value::{KINDS, Kind, Value};

/// What the eight bytes of a cell mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// The run has no such value.
    Absent,
    Null,
    Redacted,
    Bool,
    Int,
    Double,
    /// The place of a text.
    Text,
    /// The number of a kind.
    Na,
    Integer64,
    Date,
    Datetime,
    Difftime,
    /// The place of a value of any other sort.
    Other,
}

/// One column. A row that was never set is absent.
#[derive(Debug, Default)]
pub struct Column {
    pub name: String,
    tags: Vec<Tag>,
    bits: Vec<u64>,
    texts: Texts,
    others: Vec<Value>,
}

/// Texts, each kept once.
#[derive(Debug, Default)]
struct Texts {
    list: Vec<String>,
    places: HashMap<String, u64>,
}

impl Texts {
    fn place(&mut self, text: &str) -> u64 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let place = self.list.len() as u64;
        self.list.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

impl Column {
    pub fn new(name: &str) -> Column {
        Column {
            name: name.to_owned(),
            ..Column::default()
        }
    }

    pub fn set(&mut self, row: usize, value: Value) {
        let (tag, bits) = match value {
            Value::Null => (Tag::Null, 0),
            Value::Redacted => (Tag::Redacted, 0),
            Value::Bool(x) => (Tag::Bool, u64::from(x)),
            Value::Int(x) => (Tag::Int, x as u64),
            Value::Double(x) => (Tag::Double, x.to_bits()),
            Value::Str(x) => (Tag::Text, self.texts.place(&x)),
            Value::Na(kind) => (Tag::Na, kind as u64),
            Value::Integer64(x) => (Tag::Integer64, x as u64),
            Value::Date(x) => (Tag::Date, x as u64),
            Value::Datetime(x) => (Tag::Datetime, x.to_bits()),
            Value::Difftime(x) => (Tag::Difftime, x.to_bits()),
            other => {
                self.others.push(other);
                (Tag::Other, self.others.len() as u64 - 1)
            }
        };
        self.put(row, tag, bits);
    }

    pub fn set_text(&mut self, row: usize, text: &str) {
        let place = self.texts.place(text);
        self.put(row, Tag::Text, place);
    }

    /// Sets a cell whose bytes need no place of their own.
    pub fn put(&mut self, row: usize, tag: Tag, bits: u64) {
        if row == self.tags.len() {
            self.tags.push(tag);
            self.bits.push(bits);
            return;
        }
        if row > self.tags.len() {
            self.tags.resize(row + 1, Tag::Absent);
            self.bits.resize(row + 1, 0);
        }
        self.tags[row] = tag;
        self.bits[row] = bits;
    }

    /// Takes over the cells of another column from row `to` on.
    pub fn append(&mut self, to: usize, other: &Column, rows: std::ops::Range<usize>) {
        let end = rows.end.min(other.tags.len());
        let start = rows.start.min(end);
        if !other.is_present(&rows) {
            return;
        }
        let plain = |tag: &Tag| !matches!(tag, Tag::Text | Tag::Other);
        self.tags.resize(to, Tag::Absent);
        self.bits.resize(to, 0);
        if other.tags[start..end].iter().all(plain) {
            self.tags.extend_from_slice(&other.tags[start..end]);
            self.bits.extend_from_slice(&other.bits[start..end]);
            return;
        }
        let places: Vec<u64> = other
            .texts
            .list
            .iter()
            .map(|text| self.texts.place(text))
            .collect();
        for row in start..end {
            let bits = other.bits[row];
            match other.tags[row] {
                Tag::Text => self.put(to + row - start, Tag::Text, places[bits as usize]),
                Tag::Other => self.set(to + row - start, other.others[bits as usize].clone()),
                tag => self.put(to + row - start, tag, bits),
            }
        }
    }

    /// Forgets the cells from a row on.
    pub fn truncate(&mut self, length: usize) {
        self.tags.truncate(length);
        self.bits.truncate(length);
    }

    /// Whether any of some rows has a value.
    fn is_present(&self, rows: &std::ops::Range<usize>) -> bool {
        let end = rows.end.min(self.tags.len());
        let tags = &self.tags[rows.start.min(end)..end];
        tags.iter().any(|&tag| tag != Tag::Absent)
    }

    pub fn tag(&self, row: usize) -> Tag {
        self.tags.get(row).copied().unwrap_or(Tag::Absent)
    }

    pub fn bits(&self, row: usize) -> u64 {
        self.bits.get(row).copied().unwrap_or_default()
    }

    /// The text of a cell that is one.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self.tag(row) {
            Tag::Text => Some(&self.texts.list[self.bits[row] as usize]),
            _ => None,
        }
    }

    /// The texts, each once; the bits of a cell that is one are its place here.
    pub fn texts(&self) -> &[String] {
        &self.texts.list
    }

    /// A value that is neither a single atomic one nor missing.
    pub fn other(&self, row: usize) -> Option<&Value> {
        match self.tag(row) {
            Tag::Other => self.others.get(self.bits[row] as usize),
            _ => None,
        }
    }

    pub fn get(&self, row: usize) -> Option<Value> {
        let bits = self.bits(row);
        Some(match self.tag(row) {
            Tag::Absent => return None,
            Tag::Null => Value::Null,
            Tag::Redacted => Value::Redacted,
            Tag::Bool => Value::Bool(bits != 0),
            Tag::Int => Value::Int(bits as i32),
            Tag::Double => Value::Double(f64::from_bits(bits)),
            Tag::Text => Value::Str(self.texts.list[bits as usize].clone()),
            Tag::Na => Value::Na(kind(bits)),
            Tag::Integer64 => Value::Integer64(bits as i64),
            Tag::Date => Value::Date(bits as i32),
            Tag::Datetime => Value::Datetime(f64::from_bits(bits)),
            Tag::Difftime => Value::Difftime(f64::from_bits(bits)),
            Tag::Other => self.others[bits as usize].clone(),
        })
    }

    /// The kind of a cell that is a single atomic value.
    pub fn kind(&self, row: usize) -> Option<Kind> {
        Some(match self.tag(row) {
            Tag::Bool => Kind::Logical,
            Tag::Int => Kind::Integer,
            Tag::Double => Kind::Double,
            Tag::Text => Kind::Character,
            Tag::Na => kind(self.bits(row)),
            Tag::Integer64 => Kind::Integer64,
            Tag::Date => Kind::Date,
            Tag::Datetime => Kind::Datetime,
            Tag::Difftime => Kind::Difftime,
            _ => return None,
        })
    }
}

fn kind(bits: u64) -> Kind {
    KINDS[bits as usize].0
}

/// Columns by name, in the order in which they first appear.
#[derive(Debug, Default)]
pub struct Columns {
    columns: Vec<Column>,
    places: HashMap<String, usize>,
}

impl Columns {
    /// The place of a column, which is made if there is none of the name.
    pub fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.columns.len();
        self.columns.push(Column::new(name));
        self.places.insert(name.to_owned(), place);
        place
    }

    pub fn set(&mut self, name: &str, row: usize, value: Value) {
        let place = self.place(name);
        self.columns[place].set(row, value);
    }

    /// Whether the column at a place has this name.
    pub fn named(&self, place: usize, name: &[u8]) -> bool {
        self.columns
            .get(place)
            .is_some_and(|column| column.name.as_bytes() == name)
    }

    pub fn truncate(&mut self, length: usize) {
        for column in &mut self.columns {
            column.truncate(length);
        }
    }

    pub fn at(&mut self, place: usize) -> &mut Column {
        &mut self.columns[place]
    }

    pub fn get(&self, name: &str) -> Option<&Column> {
        self.places.get(name).map(|&place| &self.columns[place])
    }

    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter()
    }

    /// About how many bytes they take.
    pub fn size(&self) -> usize {
        let text = |text: &String| 2 * (text.len() + 64);
        let column = |column: &Column| {
            let texts: usize = column.texts.list.iter().map(text).sum();
            9 * column.tags.len() + texts + 256 * column.others.len()
        };
        self.columns.iter().map(column).sum()
    }

    /// The values of a row, each with its name.
    pub fn row(&self, row: usize) -> Vec<(String, Value)> {
        let cell = |column: &Column| Some((column.name.clone(), column.get(row)?));
        self.columns.iter().filter_map(cell).collect()
    }

    /// Takes over rows of other columns.
    pub fn append(&mut self, to: usize, other: &Columns, rows: std::ops::Range<usize>) {
        for column in &other.columns {
            if column.is_present(&rows) {
                let place = self.place(&column.name);
                self.columns[place].append(to, column, rows.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_comes_back() {
        let values = [
            Value::Null,
            Value::Redacted,
            Value::Bool(true),
            Value::Int(-5),
            Value::Double(-0.0),
            Value::Str("x".into()),
            Value::Str("x".into()),
            Value::Na(Kind::Date),
            Value::Integer64(i64::MIN),
            Value::Date(-1),
            Value::Datetime(1.5),
            Value::Difftime(f64::INFINITY),
            Value::Vector(vec![Value::Int(1), Value::Int(2)]),
            Value::Code("y ~ x".into()),
        ];
        let mut column = Column::new("a");
        for (row, value) in values.iter().enumerate() {
            column.set(2 * row + 1, value.clone());
        }
        let mut copy = Column::new("a");
        copy.set(1, Value::Str("first".into()));
        copy.append(3, &column, 0..100);
        for (row, value) in values.iter().enumerate() {
            assert_eq!(column.get(2 * row + 1).as_ref(), Some(value));
            assert_eq!(column.get(2 * row), None);
            assert_eq!(column.kind(2 * row + 1), value.kind());
            assert_eq!(copy.get(3 + 2 * row + 1).as_ref(), Some(value));
        }
        assert_eq!(copy.get(1), Some(Value::Str("first".into())));
        assert_eq!(column.get(1000), None);
    }
}
