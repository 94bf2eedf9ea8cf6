//! Values of many runs, one column a parameter or metric.

use std::collections::HashMap;

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::cells::{Cells, TAGS, Tag, number};
use crate::columnar::index_file::indexed;
use crate::columnar::index_file::{Indexed, Reader, Writer};
use crate::columnar::strings::StringTable;
use crate::format::json::Json;
use crate::format::value::{KINDS, Kind, Value};

/// Between which numbers all of a block are, NaN aside. They may be further apart than they need be: what was replaced or
/// forgotten counts, and so do the neighbours of what was taken over from another column.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub least: f64,
    pub most: f64,
}

impl Bounds {
    /// Those of no number.
    const NONE: Bounds = Bounds {
        least: f64::INFINITY,
        most: f64::NEG_INFINITY,
    };

    fn include(&mut self, other: Bounds) {
        // Of a number and NaN these are the number.
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }
}

impl Indexed for Bounds {
    fn write(&self, to: &mut Writer<'_>) -> std::io::Result<()> {
        self.least.to_bits().write(to)?;
        self.most.to_bits().write(to)
    }

    fn read(from: &mut Reader) -> Option<Bounds> {
        Some(Bounds {
            least: f64::from_bits(u64::read(from)?),
            most: f64::from_bits(u64::read(from)?),
        })
    }
}

/// One column. A row that was never set is absent.
#[derive(Debug, Default)]
pub struct Column {
    pub name: String,
    /// Which tags there are or were, a bit each.
    sorts: u64,
    cells: Cells,
    /// Those of the numbers of each block, up to the last one that has any.
    bounds: Vec<Bounds>,
    /// The texts, each once; the bits of a cell that is one are its index here.
    pub texts: StringTable,
    /// The JSON of values of other sorts.
    others: StringTable,
}

indexed!(Column {
    name,
    sorts,
    cells,
    bounds,
    texts,
    others,
});

impl Column {
    pub fn new(name: &str) -> Column {
        Column {
            name: name.to_owned(),
            ..Column::default()
        }
    }

    pub fn set(&mut self, row: usize, value: Value) -> Result<()> {
        let (tag, bits) = match value {
            Value::Null => (Tag::Null, 0),
            Value::Redacted => (Tag::Redacted, 0),
            Value::Bool(x) => (Tag::Bool, u64::from(x)),
            Value::Int(x) => (Tag::Int, x as u64),
            Value::Double(x) => (Tag::Double, x.to_bits()),
            Value::Str(x) => (Tag::Text, self.texts.add(&x)? as u64),
            Value::Na(kind) => (Tag::Na, kind as u64),
            Value::Integer64(x) => (Tag::Integer64, x as u64),
            Value::Date(x) => (Tag::Date, x as u64),
            Value::Datetime(x) => (Tag::Datetime, x.to_bits()),
            Value::Difftime(x) => (Tag::Difftime, x.to_bits()),
            other => {
                let mut json = Vec::new();
                other.write(&mut json);
                let json = String::from_utf8(json).expect("only UTF-8 was written");
                (Tag::Other, self.others.add(&json)? as u64)
            }
        };
        self.put(row, tag, bits)
    }

    pub fn set_text(&mut self, row: usize, text: &str) -> Result<()> {
        let index = self.texts.add(text)?;
        self.put(row, Tag::Text, index as u64)
    }

    /// Sets a cell whose value the bits are.
    pub fn put(&mut self, row: usize, tag: Tag, bits: u64) -> Result<()> {
        self.sorts |= 1 << tag as u8;
        if let Some(number) = number(tag, bits) {
            let (least, most) = (number, number);
            self.widen(row / BLOCK, Bounds { least, most });
        }
        self.cells.put(row, tag, bits)
    }

    /// Takes over the cells of another column, all in memory, from row `to` on, where none is yet.
    pub fn append(
        &mut self,
        to: usize,
        other: &Column,
        rows: std::ops::Range<usize>,
    ) -> Result<()> {
        if !other.cells.is_present(&rows) {
            return Ok(());
        }
        self.sorts |= other.sorts;
        for block in rows.start / BLOCK..rows.end.div_ceil(BLOCK) {
            if let Some(bounds) = other.bounds(block) {
                let first = to + (block * BLOCK).saturating_sub(rows.start);
                let last = to + ((block + 1) * BLOCK).min(rows.end) - 1 - rows.start;
                (first / BLOCK..=last / BLOCK).for_each(|block| self.widen(block, bounds));
            }
        }
        if !other.has(Tag::Text) && !other.has(Tag::Other) {
            return self.cells.append(to, &other.cells, rows, |_, bits| bits);
        }
        let texts = other.texts.iter().map(|text| self.texts.add(text));
        let texts = texts.collect::<Result<Vec<usize>>>()?;
        let others = other.others.iter().map(|json| self.others.add(json));
        let others = others.collect::<Result<Vec<usize>>>()?;
        let bits = |tag, bits| match tag {
            Tag::Text => texts[bits as usize] as u64,
            Tag::Other => others[bits as usize] as u64,
            _ => bits,
        };
        self.cells.append(to, &other.cells, rows, bits)
    }

    fn widen(&mut self, block: usize, by: Bounds) {
        if self.bounds.len() <= block {
            self.bounds.resize(block + 1, Bounds::NONE);
        }
        self.bounds[block].include(by);
    }

    /// Between which numbers those of a block are, if it has any.
    pub fn bounds(&self, block: usize) -> Option<Bounds> {
        let bounds = self.bounds.get(block).copied();
        bounds.filter(|bounds| bounds.least <= bounds.most)
    }

    /// Forgets the cells from a row on.
    pub fn truncate(&mut self, length: usize) -> Result<()> {
        self.bounds.truncate(length.div_ceil(BLOCK));
        self.cells.truncate(length)
    }

    /// Whether a cell has a tag, or had it once.
    pub fn has(&self, tag: Tag) -> bool {
        self.sorts & 1 << tag as u8 != 0
    }

    pub fn tag(&self, row: usize) -> Tag {
        self.cells.tag(row)
    }

    pub fn bits(&self, row: usize) -> u64 {
        self.cells.bits(row)
    }

    /// The same of a cell that is brought into memory.
    pub fn load_bits(&self, row: usize) -> Result<u64> {
        self.cells.load_rows(&[row])?;
        Ok(self.cells.bits(row))
    }

    /// A value that is neither a single atomic one nor missing.
    pub fn other(&self, row: usize) -> Option<Value> {
        match self.tag(row) {
            Tag::Other => Some(self.other_at(self.bits(row))),
            _ => None,
        }
    }

    fn other_at(&self, bits: u64) -> Value {
        let json = Json::parse(self.others.get(bits as usize).as_bytes());
        Value::from_json(&json.expect("only JSON was added"))
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
            Tag::Text => Value::Str(self.texts.get(bits as usize).to_owned()),
            Tag::Na => Value::Na(kind(bits)),
            Tag::Integer64 => Value::Integer64(bits as i64),
            Tag::Date => Value::Date(bits as i32),
            Tag::Datetime => Value::Datetime(f64::from_bits(bits)),
            Tag::Difftime => Value::Difftime(f64::from_bits(bits)),
            Tag::Other => self.other_at(bits),
        })
    }

    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let own = size_of::<Column>() + self.name.len();
        own + self.cells.size() + self.texts.size() + self.others.size()
    }

    /// Shows the cells of a block, which are brought into memory, one after the other: the row, the tag, the bits.
    pub fn load_block(&self, block: usize, show: impl FnMut(usize, Tag, u64)) -> Result<()> {
        self.cells.load_block(block, show)
    }

    /// Brings all cells into memory, but not what the bits of a text or another sort stand for.
    pub fn load_cells(&self) -> Result<()> {
        self.cells.load()
    }

    /// Brings into memory what the values of some rows are.
    pub fn load(&self, rows: &[usize]) -> Result<()> {
        self.cells.load_rows(rows)?;
        self.load_table(Tag::Text, &self.texts, rows)?;
        self.load_table(Tag::Other, &self.others, rows)
    }

    /// Brings into memory of what kinds the values of some rows are.
    pub fn load_kinds(&self, rows: &[usize]) -> Result<()> {
        self.cells.load_tags(rows)?;
        if self.has(Tag::Na) || self.has(Tag::Other) {
            let told_by_bits = |row: &&usize| matches!(self.tag(**row), Tag::Na | Tag::Other);
            for &row in rows.iter().filter(told_by_bits) {
                self.load_bits(row)?;
            }
            self.load_table(Tag::Other, &self.others, rows)?;
        }
        Ok(())
    }

    /// Brings into memory what the bits of some rows' cells with a tag stand for.
    fn load_table(&self, tag: Tag, table: &StringTable, rows: &[usize]) -> Result<()> {
        match self.has(tag) {
            true if table.len() < rows.len() => table.load(),
            true => {
                let of_tag = rows.iter().filter(|&&row| self.tag(row) == tag);
                of_tag
                    .map(|&row| self.bits(row) as usize)
                    .try_for_each(|index| table.load_at(index))
            }
            false => Ok(()),
        }
    }

    /// The kind of all values that there are, if no cell ever was of another sort.
    pub fn only(&self) -> Option<Kind> {
        let sorts = self.sorts & !(1 << Tag::Absent as u64);
        let only = TAGS.iter().find(|&&tag| sorts == 1 << tag as u64);
        only.and_then(|tag| tag.kind())
    }

    /// The kind of a cell that is a single atomic value.
    pub fn kind(&self, row: usize) -> Option<Kind> {
        match self.tag(row) {
            Tag::Na => Some(kind(self.bits(row))),
            tag => tag.kind(),
        }
    }
}

fn kind(bits: u64) -> Kind {
    KINDS[bits as usize].0
}

/// Columns by name, in the order in which they first appear.
#[derive(Debug, Default)]
pub struct Columns {
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
}

impl Indexed for Columns {
    fn write(&self, to: &mut Writer<'_>) -> std::io::Result<()> {
        self.columns.write(to)
    }

    fn read(from: &mut Reader) -> Option<Columns> {
        let columns: Vec<Column> = Vec::read(from)?;
        let names = columns.iter().map(|column| column.name.clone());
        let by_name = names
            .enumerate()
            .map(|(index, name)| (name, index))
            .collect();
        Some(Columns { columns, by_name })
    }
}

impl Columns {
    /// The index of a column, which is made if there is none of the name.
    pub fn find_or_add(&mut self, name: &str) -> usize {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        let index = self.columns.len();
        self.columns.push(Column::new(name));
        self.by_name.insert(name.to_owned(), index);
        index
    }

    pub fn set(&mut self, name: &str, row: usize, value: Value) -> Result<()> {
        let index = self.find_or_add(name);
        self.columns[index].set(row, value)
    }

    /// Whether the column at an index has this name.
    pub fn named(&self, index: usize, name: &[u8]) -> bool {
        self.columns
            .get(index)
            .is_some_and(|column| column.name.as_bytes() == name)
    }

    /// Forgets the rows from one on, and the columns that came with them, from one on.
    pub fn truncate(&mut self, length: usize, columns: usize) -> Result<()> {
        for column in self.columns.drain(columns..) {
            self.by_name.remove(&column.name);
        }
        let mut columns = self.columns.iter_mut();
        columns.try_for_each(|column| column.truncate(length))
    }

    /// Brings into memory what the values of some rows are.
    pub fn load(&self, rows: &[usize]) -> Result<()> {
        self.columns.iter().try_for_each(|column| column.load(rows))
    }

    pub fn at(&mut self, index: usize) -> &mut Column {
        &mut self.columns[index]
    }

    pub fn get(&self, name: &str) -> Option<&Column> {
        self.by_name.get(name).map(|&index| &self.columns[index])
    }

    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
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

    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        self.columns.iter().map(Column::size).sum()
    }

    /// The values of a row, each with its name.
    pub fn row(&self, row: usize) -> Vec<(String, Value)> {
        let cell = |column: &Column| Some((column.name.clone(), column.get(row)?));
        self.columns.iter().filter_map(cell).collect()
    }

    /// Takes over rows of other columns.
    pub fn append(
        &mut self,
        to: usize,
        other: &Columns,
        rows: std::ops::Range<usize>,
    ) -> Result<()> {
        for column in &other.columns {
            if column.cells.is_present(&rows) {
                let index = self.find_or_add(&column.name);
                self.columns[index].append(to, column, rows.clone())?;
            }
        }
        Ok(())
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
            column.set(2 * row + 1, value.clone()).unwrap();
        }
        let mut copy = Column::new("a");
        copy.set(1, Value::Str("first".into())).unwrap();
        copy.append(3, &column, 0..100).unwrap();
        for (row, value) in values.iter().enumerate() {
            assert_eq!(column.get(2 * row + 1).as_ref(), Some(value));
            assert_eq!(column.get(2 * row), None);
            assert_eq!(column.kind(2 * row + 1), value.kind());
            assert_eq!(copy.get(3 + 2 * row + 1).as_ref(), Some(value));
        }
        assert_eq!(copy.get(1), Some(Value::Str("first".into())));
        assert_eq!(column.get(1000), None);
    }

    fn numbers(column: &Column, block: usize) -> impl Iterator<Item = f64> {
        let mut numbers = Vec::new();
        let show = |_, tag, bits| numbers.extend(number(tag, bits));
        column.load_block(block, show).unwrap();
        numbers.into_iter().filter(|number| !number.is_nan())
    }

    #[test]
    fn the_numbers_of_a_block_are_within_its_bounds() {
        let value = |i: usize| match i % 5 {
            0 => Value::Double(f64::NAN),
            1 => Value::Int(-(i as i32)),
            2 => Value::Str("x".into()),
            _ => Value::Double(i as f64),
        };
        let column = |rows: std::ops::Range<usize>| {
            let mut column = Column::default();
            for row in rows {
                column.set(row, value(row)).unwrap();
            }
            column
        };
        let within = |column: &Column| {
            for block in 0..5 {
                for number in numbers(column, block) {
                    let bounds = column.bounds(block).unwrap();
                    assert!(bounds.least <= number && number <= bounds.most);
                }
            }
        };
        let mut whole = column(3..2 * BLOCK + 5);
        within(&whole);
        // As close as can be.
        let (least, most) = (
            whole.bounds(1).unwrap().least,
            whole.bounds(1).unwrap().most,
        );
        assert_eq!(numbers(&whole, 1).fold(f64::INFINITY, f64::min), least);
        assert_eq!(numbers(&whole, 1).fold(f64::NEG_INFINITY, f64::max), most);

        whole.set(BLOCK + 1, Value::Double(-1e9)).unwrap();
        assert_eq!(whole.bounds(1).unwrap().least, -1e9);
        within(&whole);
        let starts = [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 4];
        for start in starts {
            for end in starts.into_iter().filter(|&end| end > start) {
                for to in starts {
                    let mut copy = column(0..to);
                    copy.append(to, &whole, start..end).unwrap();
                    within(&copy);
                }
            }
        }
        whole.truncate(BLOCK).unwrap();
        within(&whole);
        assert!(whole.bounds(1).is_none());

        let mut none = Column::default();
        none.set(0, Value::Double(f64::NAN)).unwrap();
        none.set(1, Value::Null).unwrap();
        assert!(none.bounds(0).is_none());
    }
}
