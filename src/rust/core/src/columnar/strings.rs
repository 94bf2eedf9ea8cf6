//! Many texts, each once, and the index of each.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::OnceLock;

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
    /// By which its texts are hashed. An index keeps the one of the process that wrote it.
    key: Key,
}

indexed!(StringTable {
    pages,
    ends,
    table,
    key
});

/// A secret on which hashes depend: nobody can write a ledger whose texts all have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    start: u64,
    factor: u64,
}

indexed!(Key { start, factor });

impl Default for Key {
    /// That of this process.
    fn default() -> Key {
        static KEY: OnceLock<Key> = OnceLock::new();
        *KEY.get_or_init(|| {
            let random = RandomState::new();
            Key {
                start: random.hash_one(0),
                factor: random.hash_one(1) | 1,
            }
        })
    }
}

impl Key {
    fn hash(self, text: &[u8]) -> u64 {
        let fold = |word: u64| {
            let product = u128::from(word) * u128::from(self.factor);
            product as u64 ^ (product >> 64) as u64
        };
        let mut hash = self.start ^ text.len() as u64;
        for chunk in text.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = fold(hash.rotate_left(5) ^ u64::from_le_bytes(word));
        }
        fold(hash ^ self.start)
    }
}

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

    /// The page where a text is, and where in it the text ends.
    fn load_end(&self, index: usize) -> Result<(usize, usize)> {
        let end = self.ends.load_at(index)?.expect("a text's index");
        Ok(((end >> 32) as usize, end as u32 as usize))
    }

    /// The bytes of a text, which are brought into memory.
    fn load_bytes(&self, index: usize) -> Result<&[u8]> {
        let (page, end) = self.load_end(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => Some(self.load_end(before)?).filter(|before| before.0 == page),
            None => None,
        };
        Ok(&self.pages[page].load()?[start.map_or(0, |before| before.1)..end])
    }

    pub fn get(&self, index: usize) -> &str {
        let bytes = self.load_bytes(index);
        let bytes = bytes.expect("what is read was loaded before");
        std::str::from_utf8(bytes).expect("only texts were added")
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Brings the text at an index into memory.
    pub fn load_at(&self, index: usize) -> Result<()> {
        self.load_bytes(index).map(drop)
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
        let hash = self.key.hash(text.as_bytes());
        Ok(match self.search(text.as_bytes(), hash)? {
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
            if entry >> 32 == hash >> 32 && self.load_bytes(index)? == text {
                return Ok(Slot::Of(index));
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a text and gives its index, or the one that it has already.
    pub fn add(&mut self, text: &str) -> Result<usize> {
        let (index, _) = self.insert(text.as_bytes(), self.key.hash(text.as_bytes()))?;
        Ok(index)
    }

    /// Adds a text in UTF-8, with its hash in this process, and gives its index; `None` if it is there already.
    pub fn add_new(&mut self, text: &[u8], hash: u64) -> Result<Option<usize>> {
        let hash = match self.key == Key::default() {
            true => hash,
            false => self.key.hash(text),
        };
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

/// The hash of a text, in this process.
pub fn hash(text: &[u8]) -> u64 {
    Key::default().hash(text)
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
        // From another process, as an index brings them.
        let mut others = StringTable {
            key: Key {
                start: 1,
                factor: 3,
            },
            ..StringTable::default()
        };
        for i in 0..5000 {
            let text = format!("run-{i}");
            let added = others.add_new(text.as_bytes(), hash(text.as_bytes()));
            assert_eq!(added.unwrap(), Some(i));
            assert_eq!(others.find(&text).unwrap(), Some(i));
        }
        // Texts of one hash are told apart.
        let other = texts.add_new(b"other", hash(b"run-0"));
        assert_eq!(other.unwrap(), Some(5000));
        assert_eq!(texts.get(5000), "other");
    }

    #[test]
    fn no_texts_have_one_hash_under_every_key() {
        use std::collections::HashSet;
        const PAIRS: u32 = 12;
        // The highest bit of a word is one whatever odd number it is multiplied with, and the next word takes it away.
        let text = |n: u32| -> Vec<u8> {
            let pair = |i: u32| match n >> i & 1 {
                0 => [0, 0],
                _ => [1 << 63, 1 << 4],
            };
            let words = (0..PAIRS).flat_map(pair);
            words.flat_map(u64::to_le_bytes).collect()
        };
        let key = |n: u64| Key {
            start: n,
            factor: n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        for key in [Key::default(), key(7), key(1 << 40)] {
            let halves = (0..1 << PAIRS).map(|n| key.hash(&text(n)) >> 32);
            let found: HashSet<u64> = halves.collect();
            assert!(found.len() > (1 << PAIRS) - 10, "{key:?}: {}", found.len());
        }
        assert_ne!(key(7).hash(b"a"), key(8).hash(b"a"));
    }
}
