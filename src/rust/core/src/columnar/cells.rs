//! The cells of a column: of each row that has a value a tag and eight bytes.
//!
//! A ledger can have many runs and many names, of which each run has few. So what cells take goes by how many there are,
//! not by how many rows: rows without any take nothing, and a block of rows with few says which ones have them.

use std::ops::Range;

use crate::columnar::blocks::{BLOCK, Block, Fixed, Result};
use crate::columnar::index_file::{Indexed, Reader, Writer, indexed};
use crate::format::value::Kind;
use crate::platform::memory;

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
    /// The index of a text.
    Text,
    /// The number of a kind.
    Na,
    Integer64,
    Date,
    Datetime,
    Difftime,
    /// The index of a value of any other sort.
    Other,
}

impl Tag {
    /// The kind of a single atomic value that the tag alone tells.
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            Tag::Bool => Kind::Logical,
            Tag::Int => Kind::Integer,
            Tag::Double => Kind::Double,
            Tag::Text => Kind::Character,
            Tag::Integer64 => Kind::Integer64,
            Tag::Date => Kind::Date,
            Tag::Datetime => Kind::Datetime,
            Tag::Difftime => Kind::Difftime,
            _ => return None,
        })
    }
}

pub const TAGS: [Tag; 13] = [
    Tag::Absent,
    Tag::Null,
    Tag::Redacted,
    Tag::Bool,
    Tag::Int,
    Tag::Double,
    Tag::Text,
    Tag::Na,
    Tag::Integer64,
    Tag::Date,
    Tag::Datetime,
    Tag::Difftime,
    Tag::Other,
];

impl Fixed for Tag {
    const SIZE: usize = 1;

    fn encode(self, out: &mut Vec<u8>) {
        out.push(self as u8);
    }

    fn decode(bytes: &[u8]) -> Option<Tag> {
        TAGS.get(usize::from(*bytes.first()?)).copied()
    }
}

/// The number that a cell is.
pub fn number(tag: Tag, bits: u64) -> Option<f64> {
    match tag {
        Tag::Double => Some(f64::from_bits(bits)),
        Tag::Int => Some(f64::from(bits as i32)),
        _ => None,
    }
}

/// The cells of all rows.
#[derive(Debug, Default)]
pub struct Cells {
    /// Those of each `BLOCK` rows that have any, in their order.
    blocks: Vec<CellBlock>,
}

indexed!(Cells { blocks });

impl Cells {
    /// Where the cells of some `BLOCK` rows are, or would be.
    fn search(&self, number: usize) -> std::result::Result<usize, usize> {
        match self.blocks.get(number) {
            // Every block before has cells, too.
            Some(block) if block.number() == number => Ok(number),
            _ => self.blocks.binary_search_by_key(&number, CellBlock::number),
        }
    }

    fn block(&self, number: usize) -> Option<&CellBlock> {
        self.search(number).ok().map(|index| &self.blocks[index])
    }

    pub fn tag(&self, row: usize) -> Tag {
        let cell = |block: &CellBlock| Some(block.tags.values()[block.find(row % BLOCK)?]);
        self.block(row / BLOCK)
            .and_then(cell)
            .unwrap_or(Tag::Absent)
    }

    pub fn bits(&self, row: usize) -> u64 {
        let cell = |block: &CellBlock| Some(block.bits.values()[block.find(row % BLOCK)?]);
        self.block(row / BLOCK).and_then(cell).unwrap_or_default()
    }

    /// Sets a cell; one that is `Absent` is taken away.
    pub fn put(&mut self, row: usize, tag: Tag, bits: u64) -> Result<()> {
        match self.find_or_add(row / BLOCK, tag != Tag::Absent) {
            Some(block) => block.put(row % BLOCK, tag, bits),
            None => Ok(()),
        }
    }

    /// The cells of some `BLOCK` rows. Where there are none they are added, if they are to be.
    fn find_or_add(&mut self, number: usize, is_added: bool) -> Option<&mut CellBlock> {
        let index = match self.search(number) {
            Ok(index) => index,
            Err(_) if !is_added => return None,
            Err(index) => {
                memory::ensure(0);
                if self.blocks.is_empty() {
                    // Of many names most have one.
                    self.blocks.reserve_exact(1);
                }
                self.blocks.insert(index, CellBlock::new(number));
                index
            }
        };
        Some(&mut self.blocks[index])
    }

    /// Takes over others' cells of some rows, all in memory, as those from row `to` on, where none is yet. What the bits of
    /// each become is told by `bits`.
    pub fn append(
        &mut self,
        to: usize,
        other: &Cells,
        rows: Range<usize>,
        bits: impl Fn(Tag, u64) -> u64,
    ) -> Result<()> {
        for block in other.of_rows(&rows) {
            let (tags, values) = (block.tags.values(), block.bits.values());
            let range = block.range(&rows);
            if block.places.is_some() {
                for index in range {
                    let row = to + block.row(index) - rows.start;
                    self.put(row, tags[index], bits(tags[index], values[index]))?;
                }
                continue;
            }
            let (mut at, end) = (range.start, range.end);
            while at < end {
                let row = to + block.row(at) - rows.start;
                let until = end.min(at + BLOCK - row % BLOCK);
                let cells = tags[at..until].iter().zip(&values[at..until]);
                let cells = cells.map(|(&tag, &value)| bits(tag, value));
                self.extend(row, &tags[at..until], cells)?;
                at = until;
            }
        }
        Ok(())
    }

    /// Sets the cells of some rows after all that are set, all of them among the same `BLOCK` rows.
    fn extend(&mut self, row: usize, tags: &[Tag], bits: impl Iterator<Item = u64>) -> Result<()> {
        let present = count(tags);
        match self.find_or_add(row / BLOCK, present > 0) {
            Some(block) => block.extend(row % BLOCK, tags, bits, present),
            None => Ok(()),
        }
    }

    /// Forgets the cells from a row on.
    pub fn truncate(&mut self, length: usize) -> Result<()> {
        let kept = self
            .blocks
            .partition_point(|block| block.row_after() <= length);
        let Some(block) = self.blocks.get_mut(kept) else {
            return Ok(());
        };
        let rows = length.saturating_sub(block.number() * BLOCK);
        let is_left = rows > 0 && block.truncate(rows)?;
        self.blocks.truncate(kept + usize::from(is_left));
        Ok(())
    }

    /// Whether any of some rows has a cell.
    pub fn is_present(&self, rows: &Range<usize>) -> bool {
        self.of_rows(rows).any(|block| {
            let tags = &block.tags.values()[block.range(rows)];
            tags.iter().any(|&tag| tag != Tag::Absent)
        })
    }

    /// The blocks of which some rows may have cells.
    fn of_rows(&self, rows: &Range<usize>) -> impl Iterator<Item = &CellBlock> {
        let first = self
            .blocks
            .partition_point(|block| block.row_after() <= rows.start);
        let end = rows.end;
        self.blocks[first..]
            .iter()
            .take_while(move |block| block.number() * BLOCK < end)
    }

    /// Shows the cells of some `BLOCK` rows, which are brought into memory, one after the other: the row, the tag, the bits.
    pub fn load_block(&self, number: usize, mut show: impl FnMut(usize, Tag, u64)) -> Result<()> {
        let Some(block) = self.block(number) else {
            return Ok(());
        };
        block.load_tags()?;
        let cells = block.tags.load()?.iter().zip(block.bits.load()?);
        let first = number * BLOCK;
        match &block.places {
            None => {
                for (row, (&tag, &bits)) in (first..).zip(cells) {
                    if tag != Tag::Absent {
                        show(row, tag, bits);
                    }
                }
            }
            Some(places) => {
                for (&place, (&tag, &bits)) in places.values().iter().zip(cells) {
                    show(first + usize::from(place), tag, bits);
                }
            }
        }
        Ok(())
    }

    /// Brings all of them into memory.
    pub fn load(&self) -> Result<()> {
        self.blocks.iter().try_for_each(|block| {
            block.load_tags()?;
            block.bits.load().map(drop)
        })
    }

    /// Brings into memory which of some rows have a cell, and its tag; of many rows, of all.
    pub fn load_tags(&self, rows: &[usize]) -> Result<()> {
        self.each_block(rows, CellBlock::load_tags)
    }

    /// The same with the bits.
    pub fn load_rows(&self, rows: &[usize]) -> Result<()> {
        self.each_block(rows, |block| {
            block.load_tags()?;
            block.bits.load().map(drop)
        })
    }

    fn each_block(&self, rows: &[usize], load: impl Fn(&CellBlock) -> Result<()>) -> Result<()> {
        if rows.len() >= BLOCK {
            return self.blocks.iter().try_for_each(load);
        }
        let mut last = None;
        for row in rows {
            let number = row / BLOCK;
            if last.replace(number) != Some(number) {
                self.block(number).map_or(Ok(()), &load)?;
            }
        }
        Ok(())
    }

    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(CellBlock::size).sum();
        self.blocks.capacity() * size_of::<CellBlock>() + blocks
    }
}

/// The cells of `BLOCK` rows that follow each other.
#[derive(Debug)]
struct CellBlock {
    /// How many times `BLOCK` rows come before them.
    number: u64,
    /// How many cells there are that aren't absent.
    count: u64,
    /// Where few of the rows have a cell, which ones do: their places among these rows, ascending. Otherwise the cells are
    /// those of all rows from the first on, and some of them are absent.
    places: Option<Block<u16>>,
    tags: Block<Tag>,
    bits: Block<u64>,
}

impl Indexed for CellBlock {
    fn write(&self, to: &mut Writer<'_>) -> std::io::Result<()> {
        self.number.write(to)?;
        self.count.write(to)?;
        u64::from(self.places.is_some()).write(to)?;
        if let Some(places) = &self.places {
            places.write(to)?;
        }
        self.tags.write(to)?;
        self.bits.write(to)
    }

    fn read(from: &mut Reader) -> Option<CellBlock> {
        let number = u64::read(from)?;
        let count = u64::read(from)?;
        let places: Option<Block<u16>> = match u64::read(from)? {
            0 => None,
            _ => Some(Block::read(from)?),
        };
        let tags: Block<Tag> = Block::read(from)?;
        let bits: Block<u64> = Block::read(from)?;
        let length = tags.stored_len()?;
        let as_long = bits.stored_len()? == length
            && match &places {
                None => length as u64 >= count,
                Some(places) => places.stored_len()? == length && length as u64 == count,
            };
        (as_long && length <= BLOCK).then_some(CellBlock {
            number,
            count,
            places,
            tags,
            bits,
        })
    }
}

/// Whether so few of some rows have a cell that it is worth to say which ones do. Between this and [`is_many`] a block stays as
/// it is, so that it isn't made anew with every few cells that come.
fn is_few(cells: usize, rows: usize) -> bool {
    rows > 16 * (cells + 1)
}

/// Whether so many do that it isn't.
fn is_many(cells: usize, rows: usize) -> bool {
    rows <= 8 * cells
}

fn count(tags: &[Tag]) -> usize {
    tags.iter().filter(|&&tag| tag != Tag::Absent).count()
}

impl CellBlock {
    fn new(number: usize) -> CellBlock {
        CellBlock {
            number: number as u64,
            count: 0,
            places: None,
            tags: Block::default(),
            bits: Block::default(),
        }
    }

    fn number(&self) -> usize {
        self.number as usize
    }

    /// The first row that comes after these rows.
    fn row_after(&self) -> usize {
        (self.number() + 1) * BLOCK
    }

    /// The row of the cell at an index.
    fn row(&self, index: usize) -> usize {
        let place = match &self.places {
            None => index,
            Some(places) => usize::from(places.values()[index]),
        };
        self.number() * BLOCK + place
    }

    /// The index of a row's cell.
    fn find(&self, place: usize) -> Option<usize> {
        match &self.places {
            None => Some(place).filter(|&place| place < self.tags.values().len()),
            Some(places) => places.values().binary_search(&(place as u16)).ok(),
        }
    }

    /// The indexes of the cells of some rows.
    fn range(&self, rows: &Range<usize>) -> Range<usize> {
        let first = self.number() * BLOCK;
        let start = rows.start.saturating_sub(first);
        let end = rows.end.saturating_sub(first);
        let index = |place: usize| match &self.places {
            None => place.min(self.tags.values().len()),
            Some(places) => {
                let places = places.values();
                places.partition_point(|&other| usize::from(other) < place)
            }
        };
        index(start)..index(end)
    }

    fn put(&mut self, place: usize, tag: Tag, bits: u64) -> Result<()> {
        let count = self.count as usize;
        let is_absent = tag == Tag::Absent;
        let (tags, values) = (self.tags.values_mut()?, self.bits.values_mut()?);
        let Some(places) = &mut self.places else {
            if let Some(old) = tags.get_mut(place) {
                let was_absent = std::mem::replace(old, tag) == Tag::Absent;
                values[place] = bits;
                self.count = self.count + u64::from(was_absent) - u64::from(is_absent);
                return Ok(());
            }
            if is_absent {
                return Ok(());
            }
            if is_few(count + 1, place + 1) {
                self.make_sparse()?;
                return self.put(place, tag, bits);
            }
            memory::reserve(tags, place + 1 - tags.len());
            memory::reserve(values, place + 1 - values.len());
            tags.resize(place, Tag::Absent);
            values.resize(place, 0);
            tags.push(tag);
            values.push(bits);
            self.count += 1;
            return Ok(());
        };
        let places = places.values_mut()?;
        match places.binary_search(&(place as u16)) {
            Ok(index) if is_absent => {
                places.remove(index);
                tags.remove(index);
                values.remove(index);
                self.count -= 1;
            }
            Ok(index) => {
                tags[index] = tag;
                values[index] = bits;
            }
            Err(_) if is_absent => {}
            Err(index) => {
                memory::reserve(places, 1);
                memory::reserve(tags, 1);
                memory::reserve(values, 1);
                places.insert(index, place as u16);
                tags.insert(index, tag);
                values.insert(index, bits);
                self.count += 1;
                let last = places.last().map_or(0, |&last| usize::from(last));
                if is_many(count + 1, last + 1) {
                    self.make_dense()?;
                }
            }
        }
        Ok(())
    }

    /// Sets the cells from a place on, after all that are set; so many of them are not absent.
    fn extend(
        &mut self,
        place: usize,
        new: &[Tag],
        bits: impl Iterator<Item = u64>,
        present: usize,
    ) -> Result<()> {
        let length = place + new.len();
        if self.places.is_some() || is_few(self.count as usize + present, length) {
            for ((place, &tag), bits) in (place..).zip(new).zip(bits) {
                self.put(place, tag, bits)?;
            }
            return Ok(());
        }
        let (tags, values) = (self.tags.values_mut()?, self.bits.values_mut()?);
        memory::reserve(tags, length - tags.len());
        memory::reserve(values, length - values.len());
        tags.resize(place, Tag::Absent);
        values.resize(place, 0);
        tags.extend_from_slice(new);
        values.extend(bits);
        self.count += present as u64;
        Ok(())
    }

    /// Forgets the cells from a place on. Whether any is left.
    fn truncate(&mut self, place: usize) -> Result<bool> {
        let (tags, values) = (self.tags.values_mut()?, self.bits.values_mut()?);
        let length = match &mut self.places {
            None => place,
            Some(places) => {
                let places = places.values_mut()?;
                let length = places.partition_point(|&other| usize::from(other) < place);
                places.truncate(length);
                length
            }
        };
        if length < tags.len() {
            tags.truncate(length);
            values.truncate(length);
            self.count = count(tags) as u64;
        }
        Ok(self.count > 0)
    }

    /// Keeps only the cells that are not absent, and says where they are.
    fn make_sparse(&mut self) -> Result<()> {
        let (tags, values) = (self.tags.load()?, self.bits.load()?);
        let is_there = |index: &usize| tags[*index] != Tag::Absent;
        let there: Vec<usize> = (0..tags.len()).filter(is_there).collect();
        let places = there.iter().map(|&index| index as u16).collect();
        let bits = there.iter().map(|&index| values[index]).collect();
        let tags = there.iter().map(|&index| tags[index]).collect();
        self.places = Some(Block::of(places));
        self.tags = Block::of(tags);
        self.bits = Block::of(bits);
        Ok(())
    }

    /// Keeps a cell of each row up to the last that has one.
    fn make_dense(&mut self) -> Result<()> {
        let Some(places) = self.places.take() else {
            return Ok(());
        };
        let places = places.load()?;
        let length = places.last().map_or(0, |&last| usize::from(last) + 1);
        let (mut tags, mut bits) = (vec![Tag::Absent; length], vec![0; length]);
        let cells = self.tags.load()?.iter().zip(self.bits.load()?);
        for (&place, (&tag, &value)) in places.iter().zip(cells) {
            tags[usize::from(place)] = tag;
            bits[usize::from(place)] = value;
        }
        self.tags = Block::of(tags);
        self.bits = Block::of(bits);
        Ok(())
    }

    /// Brings into memory which rows have a cell, and its tag.
    fn load_tags(&self) -> Result<()> {
        if let Some(places) = &self.places {
            places.load()?;
        }
        self.tags.load().map(drop)
    }

    fn size(&self) -> usize {
        self.places.as_ref().map_or(0, Block::size) + self.tags.size() + self.bits.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Cells, and what they are in a plain map.
    #[derive(Default)]
    struct Both {
        cells: Cells,
        plain: BTreeMap<usize, (Tag, u64)>,
    }

    impl Both {
        fn put(&mut self, row: usize, tag: Tag, bits: u64) {
            self.cells.put(row, tag, bits).unwrap();
            match tag {
                Tag::Absent => self.plain.remove(&row),
                tag => self.plain.insert(row, (tag, bits)),
            };
        }

        fn check(&self) {
            let rows = self.plain.keys().next_back().map_or(0, |last| last + 2);
            for row in 0..rows {
                let cell = self.plain.get(&row).copied();
                let (tag, bits) = (self.cells.tag(row), self.cells.bits(row));
                assert_eq!((tag != Tag::Absent).then_some((tag, bits)), cell, "{row}");
            }
            let mut shown = Vec::new();
            for number in 0..rows.div_ceil(BLOCK) + 1 {
                let show = |row, tag, bits| shown.push((row, (tag, bits)));
                self.cells.load_block(number, show).unwrap();
            }
            assert!(shown.into_iter().eq(self.plain.clone()));
            for block in &self.cells.blocks {
                assert_eq!(block.count as usize, count(block.tags.values()));
            }
        }
    }

    /// Numbers that look like chance.
    fn rolls(mut state: u64) -> impl FnMut(usize) -> usize {
        move |sides| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % sides
        }
    }

    /// Cells of which there is one in so many rows, in an order that isn't theirs.
    fn scattered(roll: &mut impl FnMut(usize) -> usize, rows: usize, one_in: usize) -> Both {
        let mut both = Both::default();
        for value in 0..(rows / one_in).max(1) {
            both.put(roll(rows), TAGS[1 + roll(12)], value as u64);
        }
        both
    }

    #[test]
    fn cells_are_what_was_put_last() {
        let mut roll = rolls(1);
        for (rows, one_in) in [
            (40, 1),
            (BLOCK, 1),
            (BLOCK, 10),
            (BLOCK, 40),
            (3 * BLOCK + 9, 3),
            (5 * BLOCK, 12),
            (9 * BLOCK, 3000),
            (40 * BLOCK, 30_000),
        ] {
            let mut both = scattered(&mut roll, rows, one_in);
            both.check();
            let known: Vec<usize> = both.plain.keys().copied().collect();
            for _ in 0..known.len() / 2 {
                both.put(known[roll(known.len())], Tag::Absent, 0);
            }
            both.put(rows + 7 * BLOCK, Tag::Absent, 0);
            both.check();
            for length in [rows + 1, rows / 2 + 3, 2 * BLOCK, BLOCK + 1, 17, 0] {
                both.cells.truncate(length).unwrap();
                both.plain.retain(|&row, _| row < length);
                both.check();
            }
            assert!(both.cells.blocks.is_empty());
        }
    }

    #[test]
    fn cells_that_are_appended_are_those_of_the_rows() {
        let mut roll = rolls(2);
        let places = [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 4];
        for one_in in [1, 6, 13, 50, 5000] {
            let other = scattered(&mut roll, 2 * BLOCK + 3, one_in);
            for start in places {
                for end in places.into_iter().filter(|&end| end >= start) {
                    let to = places[roll(places.len())];
                    let before = [1, 20, 4000][roll(3)];
                    let mut both = match to {
                        0 => Both::default(),
                        to => scattered(&mut roll, to, before),
                    };
                    let bits = |_, bits| bits + 1;
                    let rows = start..end;
                    let is_present = other.plain.range(rows.clone()).next().is_some();
                    assert_eq!(other.cells.is_present(&rows), is_present);
                    both.cells
                        .append(to, &other.cells, rows.clone(), bits)
                        .unwrap();
                    for (row, (tag, bits)) in other.plain.range(rows) {
                        both.plain.insert(to + row - start, (*tag, bits + 1));
                    }
                    both.check();
                }
            }
        }
    }

    #[test]
    fn what_cells_take_goes_by_how_many_they_are() {
        let mut roll = rolls(3);
        // Regular gaps, gaps that double, many first and one far away, in both directions.
        let orders: [&dyn Fn(usize) -> usize; 5] = [
            &|i| 700 * i,
            &|i| (1 << i.min(20)) + i,
            &|i| if i < 30 { i } else { 8000 + 50 * i },
            &|i| 1_000_000 - 700 * i,
            &|i| if i % 2 == 0 { i } else { 1_000_000 - i },
        ];
        for order in orders {
            let mut both = Both::default();
            for i in 0..60 {
                both.put(order(i), Tag::Int, roll(100) as u64);
                let most = (both.plain.len() + 1) * (2 * size_of::<CellBlock>() + 32 * 9);
                assert!(both.cells.size() <= most, "{} of {most}", both.cells.size());
            }
            both.check();
        }
        // Where all rows have one, little more than the cells themselves.
        let mut cells = Cells::default();
        (0..2 * BLOCK).for_each(|row| cells.put(row, Tag::Int, 0).unwrap());
        assert!(cells.size() < 2 * BLOCK * 9 + 4096);
    }
}
