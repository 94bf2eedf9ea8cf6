//! Many texts, each once, and the index of each.

use crate::columnar::blocks::{BLOCK, Block, Blocks, Result};
use crate::columnar::index_file::indexed;
use crate::platform::memory;

/// Texts in the order in which they were first added, and a table to find them by.
#[derive(Debug, Default)]
pub struct StringTable {
    /// The texts one after the other. None is in two pages.
    pages: Vec<Block<u8>>,
    /// Where each ends: the number of its page above 32 bits, below them the byte.
    ends: Blocks<u64>,
    /// Where a hash leads to: 0, or an index plus 1, below the upper half of its hash. At most half
    /// of the slots are taken.
    table: Blocks<u64>,
}

indexed!(StringTable { pages, ends, table });

/// A page that has as much takes no further text.
const PAGE_BYTES: usize = 1 << 20;

/// Where the search for a text ends.
enum Slot {
    /// That of the text, which has this index.
    Of(usize),
    /// One where the text could be put.
    Free(usize),
}

impl StringTable {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        let pages: usize = self.pages.iter().map(Block::size).sum();
        pages + self.ends.size() + self.table.size()
    }

    fn end(&self, index: usize) -> (usize, usize) {
        let end = self.ends.get(index).expect("a text's index");
        ((end >> 32) as usize, end as u32 as usize)
    }

    fn bytes(&self, index: usize) -> &[u8] {
        let (page, end) = self.end(index);
        let before = index.checked_sub(1).map(|before| self.end(before));
        let start = before.filter(|before| before.0 == page);
        &self.pages[page].values()[start.map_or(0, |before| before.1)..end]
    }

    pub fn get(&self, index: usize) -> &str {
        std::str::from_utf8(self.bytes(index)).expect("only texts were added")
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Brings the text at an index into memory.
    pub fn load_at(&self, index: usize) -> Result<()> {
        if let Some(before) = index.checked_sub(1) {
            self.ends.load_at(before)?;
        }
        let end = self.ends.load_at(index)?.expect("a text's index");
        self.pages[(end >> 32) as usize].load().map(drop)
    }

    /// Brings all texts into memory.
    pub fn load(&self) -> Result<()> {
        self.ends.load()?;
        self.pages.iter().try_for_each(|page| page.load().map(drop))
    }

    /// The index of a text.
    pub fn find(&self, text: &str) -> Result<Option<usize>> {
        if self.table.is_empty() {
            return Ok(None);
        }
        Ok(match self.search(text.as_bytes(), hash(text.as_bytes()))? {
            Slot::Of(index) => Some(index),
            Slot::Free(_) => None,
        })
    }

    fn search(&self, text: &[u8], hash: u64) -> Result<Slot> {
        let mask = self.table.len() - 1;
        let mut slot = (hash >> 32) as usize & mask;
        loop {
            let entry = self.table.load_at(slot)?.expect("a slot of the table");
            if entry == 0 {
                return Ok(Slot::Free(slot));
            }
            let index = entry as u32 as usize - 1;
            if entry >> 32 == hash >> 32 {
                self.load_at(index)?;
                if self.bytes(index) == text {
                    return Ok(Slot::Of(index));
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a text and gives its index, or the one that it has already.
    pub fn add(&mut self, text: &str) -> Result<usize> {
        let (index, _) = self.insert(text.as_bytes(), hash(text.as_bytes()))?;
        Ok(index)
    }

    /// Adds a text in UTF-8 and gives its index; `None` if it is there already.
    pub fn add_new(&mut self, text: &[u8], hash: u64) -> Result<Option<usize>> {
        let (index, is_new) = self.insert(text, hash)?;
        Ok(is_new.then_some(index))
    }

    /// The index of a text, and whether it is new.
    fn insert(&mut self, text: &[u8], hash: u64) -> Result<(usize, bool)> {
        self.reserve(1)?;
        let slot = match self.search(text, hash)? {
            Slot::Of(index) => return Ok((index, false)),
            Slot::Free(slot) => slot,
        };
        let is_full = match self.pages.last() {
            Some(page) => page.load()?.len() >= PAGE_BYTES,
            None => true,
        };
        if is_full {
            self.pages.push(Block::default());
        }
        let number = self.pages.len() - 1;
        let page = self.pages[number].values_mut()?;
        memory::reserve(page, text.len());
        page.extend_from_slice(text);
        self.ends.push((number as u64) << 32 | page.len() as u64)?;
        self.table.set(slot, hash >> 32 << 32 | self.len() as u64)?;
        Ok((self.len() - 1, true))
    }

    /// Makes room for more texts.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        let wanted = 2 * (self.len() + more);
        if wanted <= self.table.len() {
            return Ok(());
        }
        let slots = wanted.next_power_of_two().max(8);
        if slots >= BLOCK {
            // Once as it is filled, once in blocks.
            memory::ensure(2 * slots * size_of::<u64>());
        }
        self.table.load()?;
        let mut table = vec![0; slots];
        let mask = table.len() - 1;
        for entry in self.table.iter().filter(|&entry| entry != 0) {
            let mut slot = (entry >> 32) as usize & mask;
            while table[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            table[slot] = entry;
        }
        self.table = Blocks::default();
        self.table.extend(&table)
    }
}

pub fn hash(text: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = text.len() as u64;
    for chunk in text.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(MIX);
    }
    hash ^ hash >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_its_place() {
        let mut texts = StringTable::default();
        // Some are longer than a page.
        let text = |i: usize| match i % 1000 {
            17 => "é".repeat(PAGE_BYTES / 2 + i),
            _ => format!("run-{}", i * i),
        };
        for i in 0..5000 {
            let text = text(i);
            assert_eq!(texts.find(&text).unwrap(), None);
            assert_eq!(texts.add(&text).unwrap(), i);
        }
        for (i, known) in texts.iter().enumerate() {
            assert_eq!(known, text(i));
            assert_eq!(texts.find(known).unwrap(), Some(i));
        }
        for i in 0..5000 {
            assert_eq!(texts.add(&text(i)).unwrap(), i);
            let known = texts.add_new(text(i).as_bytes(), hash(text(i).as_bytes()));
            assert_eq!(known.unwrap(), None);
        }
        // Texts of one hash are told apart.
        let other = texts.add_new(b"other", hash(b"run-0"));
        assert_eq!(other.unwrap(), Some(5000));
        assert_eq!(texts.get(5000), "other");
    }
}
