//! What a view is made of, in pieces, each of which is in memory or still in a file.

use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::format::digest::Digest;
use crate::format::json::Json;
use crate::format::time::Timestamp;
use crate::platform::{memory, sys};

/// How many values a block of an array has, but for the last one. Who wants one value reads and hashes its block, and so for
/// each column of one run; who opens an index reads where its blocks are and what they hash to.
pub const BLOCK: usize = 1 << 13;

/// A value that is kept in bytes of a fixed number.
pub trait Fixed: Copy {
    const SIZE: usize;

    fn encode(self, out: &mut Vec<u8>);

    /// `None` if the bytes are no such value.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

macro_rules! fixed {
    ($($number:ty),*) => {$(
        impl Fixed for $number {
            const SIZE: usize = size_of::<$number>();

            fn encode(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(bytes: &[u8]) -> Option<$number> {
                Some(<$number>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

fixed!(u8, u16, u32, u64, i64);

impl Fixed for bool {
    const SIZE: usize = 1;

    fn encode(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }

    fn decode(bytes: &[u8]) -> Option<bool> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Fixed for Timestamp {
    const SIZE: usize = 8;

    fn encode(self, out: &mut Vec<u8>) {
        self.micros().encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<Timestamp> {
        Timestamp::from_micros(i64::decode(bytes)?)
    }
}

/// A file that blocks are in. It is replaced as a whole or not at all, so that what was opened stays.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub file: File,
}

/// That a block of a file isn't what was written. Whoever asks anew, without the file, gets the answer.
#[derive(Debug, Clone)]
pub struct Damaged(Arc<Source>);

pub type Result<T> = std::result::Result<T, Damaged>;

impl From<Damaged> for Error {
    fn from(Damaged(source): Damaged) -> Error {
        Error::DamagedIndex {
            path: source.path.clone(),
        }
    }
}

/// Bytes in a file.
#[derive(Debug, Clone)]
pub struct Stored {
    pub source: Arc<Source>,
    pub at: u64,
    pub size: usize,
    pub digest: Digest,
}

impl Stored {
    /// Lends the bytes, if they are the ones that were written.
    pub fn read<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        const MAX_KEPT_BYTES: usize = 1 << 20;
        thread_local! {
            // New memory costs more than the reading.
            static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        // Nobody can have written more than the file has.
        let there = self.source.file.metadata().ok()?.len();
        if there < self.at.checked_add(self.size as u64)? {
            return None;
        }
        let mut bytes = BYTES.take();
        let more = self.size.saturating_sub(bytes.len());
        memory::reserve(&mut bytes, more);
        bytes.resize(self.size.max(bytes.len()), 0);
        let block = &mut bytes[..self.size];
        let read = sys::read_full(&self.source.file, block, self.at).ok()?;
        let whole = read == self.size && Digest::of(&[block]) == self.digest;
        let seen = whole.then(|| look(block));
        if bytes.len() <= MAX_KEPT_BYTES {
            BYTES.set(bytes);
        }
        seen
    }

    fn damaged(&self) -> Damaged {
        Damaged(Arc::clone(&self.source))
    }
}

/// Some values, in memory or still in a file.
///
/// What reads values can't fail, so they are loaded before. What changes them loads them itself.
#[derive(Debug)]
pub struct Block<T> {
    values: OnceLock<Vec<T>>,
    stored: Option<Stored>,
}

impl<T> Default for Block<T> {
    fn default() -> Block<T> {
        Block::of(Vec::new())
    }
}

impl<T> Block<T> {
    pub fn of(values: Vec<T>) -> Block<T> {
        Block {
            values: OnceLock::from(values),
            stored: None,
        }
    }

    pub fn stored(stored: Stored) -> Block<T> {
        Block {
            values: OnceLock::new(),
            stored: Some(stored),
        }
    }

    /// Where the file has it, if it does.
    pub fn in_file(&self) -> Option<&Stored> {
        self.stored.as_ref()
    }

    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        self.values
            .get()
            .map_or(0, |values| values.capacity() * size_of::<T>())
    }
}

impl<T: Fixed> Block<T> {
    /// How many values the file has of it.
    pub fn stored_len(&self) -> Option<usize> {
        let size = self.stored.as_ref()?.size;
        (size % T::SIZE == 0).then_some(size / T::SIZE)
    }

    /// The values, which are brought into memory.
    pub fn load(&self) -> Result<&[T]> {
        match self.values.get() {
            Some(values) => Ok(values),
            None => self.load_stored(),
        }
    }

    #[cold]
    fn load_stored(&self) -> Result<&[T]> {
        let stored = self.stored.as_ref().expect("in memory or in a file");
        memory::ensure(2 * stored.size);
        let values = stored.read(|bytes| bytes.chunks_exact(T::SIZE).map(T::decode).collect());
        let values: Vec<T> = values.flatten().ok_or_else(|| stored.damaged())?;
        Ok(self.values.get_or_init(|| values))
    }

    /// The values that were loaded.
    pub fn values(&self) -> &[T] {
        debug_assert!(self.values.get().is_some(), "read before it was loaded");
        self.load().expect("what is read was loaded before")
    }

    /// The values, of which those in the file are no copy any more.
    pub fn values_mut(&mut self) -> Result<&mut Vec<T>> {
        self.load()?;
        self.stored = None;
        Ok(self.values.get_mut().expect("they were loaded"))
    }
}

/// Something that is kept as JSON in a file until it is loaded.
#[derive(Debug, Default)]
pub struct LazyJson<T> {
    value: OnceLock<T>,
    json: Block<u8>,
}

/// What can be said in JSON.
pub trait AsJson: Default {
    fn json(&self) -> Json;

    fn of_json(json: Json) -> Option<Self>;
}

impl<T: AsJson> LazyJson<T> {
    pub fn of(json: Block<u8>) -> LazyJson<T> {
        LazyJson {
            value: OnceLock::new(),
            json,
        }
    }

    /// The value, which is brought into memory.
    pub fn load(&self) -> Result<&T> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = match self.json.in_file() {
            None => T::default(),
            Some(stored) => {
                memory::ensure(4 * stored.size);
                let json = stored.read(|bytes| Json::parse(bytes).ok());
                let value = json.flatten().and_then(T::of_json);
                value.ok_or_else(|| stored.damaged())?
            }
        };
        Ok(self.value.get_or_init(|| value))
    }

    /// The value that was loaded.
    pub fn get(&self) -> &T {
        debug_assert!(
            self.value.get().is_some() || self.json.in_file().is_none(),
            "read before it was loaded"
        );
        self.load().expect("what is read was loaded before")
    }

    /// The value, if it is in memory.
    pub fn loaded(&self) -> Option<&T> {
        self.value.get()
    }

    pub fn get_mut(&mut self) -> Result<&mut T> {
        self.load()?;
        self.json = Block::default();
        Ok(self.value.get_mut().expect("it was loaded"))
    }

    /// Its JSON, if the file hasn't got it.
    pub fn changed(&self) -> Option<Vec<u8>> {
        match self.json.in_file() {
            Some(_) => None,
            None => Some(self.get().json().text().into_bytes()),
        }
    }

    pub fn block(&self) -> &Block<u8> {
        &self.json
    }
}

/// An array.
#[derive(Debug)]
pub struct Blocks<T> {
    blocks: Vec<Block<T>>,
    len: usize,
}

impl<T> Default for Blocks<T> {
    fn default() -> Blocks<T> {
        Blocks {
            blocks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Blocks<T> {
    /// An array of so many values that are in these blocks.
    pub fn of(blocks: Vec<Block<T>>, len: usize) -> Blocks<T> {
        Blocks { blocks, len }
    }

    pub fn blocks(&self) -> &[Block<T>] {
        &self.blocks
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        self.blocks.iter().map(Block::size).sum()
    }
}

impl<T: Fixed> Blocks<T> {
    pub fn get(&self, index: usize) -> Option<T> {
        let block = self.blocks.get(index / BLOCK)?;
        block.values().get(index % BLOCK).copied()
    }

    /// The same of one that is brought into memory.
    pub fn load_at(&self, index: usize) -> Result<Option<T>> {
        match self.blocks.get(index / BLOCK) {
            Some(block) => Ok(block.load()?.get(index % BLOCK).copied()),
            None => Ok(None),
        }
    }

    /// The values of a block, which are brought into memory; none of one that isn't there.
    pub fn load_block(&self, block: usize) -> Result<&[T]> {
        self.blocks.get(block).map_or(Ok(&[]), Block::load)
    }

    pub fn set(&mut self, index: usize, value: T) -> Result<()> {
        self.blocks[index / BLOCK].values_mut()?[index % BLOCK] = value;
        Ok(())
    }

    pub fn push(&mut self, value: T) -> Result<()> {
        if self.len % BLOCK == 0 {
            self.add_block();
        }
        let last = self.blocks.last_mut().expect("a block").values_mut()?;
        memory::reserve(last, 1);
        last.push(value);
        self.len += 1;
        Ok(())
    }

    pub fn extend(&mut self, mut values: &[T]) -> Result<()> {
        while !values.is_empty() {
            if self.len % BLOCK == 0 {
                self.add_block();
            }
            let room = BLOCK - self.len % BLOCK;
            let (now, later) = values.split_at(room.min(values.len()));
            let last = self.blocks.last_mut().expect("a block").values_mut()?;
            memory::reserve(last, now.len());
            last.extend_from_slice(now);
            self.len += now.len();
            values = later;
        }
        Ok(())
    }

    fn add_block(&mut self) {
        memory::ensure(0);
        self.blocks.push(Block::default());
    }

    /// Grows or shrinks to a length.
    pub fn resize(&mut self, len: usize, value: T) -> Result<()> {
        self.truncate(len)?;
        while self.len < len {
            let missing = len - self.len;
            let room = BLOCK - self.len % BLOCK;
            if room == BLOCK {
                self.add_block();
            }
            let last = self.blocks.last_mut().expect("a block").values_mut()?;
            memory::reserve(last, room.min(missing));
            last.resize(last.len() + room.min(missing), value);
            self.len += room.min(missing);
        }
        Ok(())
    }

    pub fn truncate(&mut self, len: usize) -> Result<()> {
        if len >= self.len {
            return Ok(());
        }
        self.blocks.truncate(len.div_ceil(BLOCK));
        if len % BLOCK != 0 {
            let last = self.blocks.last_mut().expect("a block");
            last.values_mut()?.truncate(len % BLOCK);
        }
        self.len = len;
        Ok(())
    }

    /// Brings all of it into memory.
    pub fn load(&self) -> Result<()> {
        self.blocks
            .iter()
            .try_for_each(|block| block.load().map(drop))
    }

    /// Brings the values at some indexes into memory; of many, those of all.
    pub fn load_rows(&self, rows: &[usize]) -> Result<()> {
        if rows.len() >= BLOCK {
            return self.load();
        }
        let mut last = None;
        for row in rows {
            let block = row / BLOCK;
            if last.replace(block) != Some(block) {
                self.load_block(block)?;
            }
        }
        Ok(())
    }

    /// The values from one index to another, in pieces.
    pub fn slices(&self, range: Range<usize>) -> impl Iterator<Item = &[T]> {
        let end = range.end.min(self.len);
        let mut at = range.start.min(end);
        std::iter::from_fn(move || {
            if at == end {
                return None;
            }
            let (block, start) = (at / BLOCK, at % BLOCK);
            let until = BLOCK.min(start + end - at);
            at += until - start;
            Some(&self.blocks[block].values()[start..until])
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.slices(0..self.len).flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_in_blocks_is_an_array() {
        let (mut blocks, mut plain) = (Blocks::default(), Vec::new());
        let same = |blocks: &Blocks<u32>, plain: &[u32]| {
            assert_eq!(blocks.len(), plain.len());
            assert!(blocks.iter().eq(plain.iter().copied()));
            assert_eq!(blocks.blocks().len(), plain.len().div_ceil(BLOCK));
        };
        for (round, &len) in [3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 0, 2 * BLOCK]
            .iter()
            .enumerate()
        {
            blocks.resize(len, round as u32).unwrap();
            plain.resize(len, round as u32);
            same(&blocks, &plain);
            let more: Vec<u32> = (0..BLOCK as u32 + 7).collect();
            blocks.extend(&more).unwrap();
            plain.extend(&more);
            blocks.push(9).unwrap();
            plain.push(9);
            blocks.set(len, 11).unwrap();
            plain[len] = 11;
            same(&blocks, &plain);
            let range = len..len + BLOCK + 3;
            assert!(blocks.slices(range.clone()).flatten().eq(&plain[range]));
            assert_eq!(blocks.get(plain.len()), None);
        }
    }
}
