//! The file of an index: the blocks of a view's arrays, then a directory that says where each is.
//!
//! An index is a cache: it can be deleted at any time, its format may change with any version, and
//! what isn't just as it was written, or is where others could have put it, is as good as not there.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::columnar::blocks::{AsJson, BLOCK, Block, Blocks, Fixed, LazyJson, Source, Stored};
use crate::format::digest::Digest;
use crate::platform::{memory, sys};

const MAGIC: &[u8; 24] = b"fitledger index, form 8\n";
/// At the end: where the directory begins, its digest, the magic bytes again.
const TRAILER: usize = 8 + 32 + MAGIC.len();

/// What can be in an index.
pub trait Indexed: Sized {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()>;

    /// `None` if it isn't there.
    fn read(from: &mut Reader) -> Option<Self>;
}

/// A struct, field by field.
macro_rules! indexed {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::columnar::index_file::Indexed for $name {
            fn write(&self, to: &mut $crate::columnar::index_file::Writer<'_>) -> std::io::Result<()> {
                $($crate::columnar::index_file::Indexed::write(&self.$field, to)?;)*
                Ok(())
            }

            fn read(from: &mut $crate::columnar::index_file::Reader) -> Option<$name> {
                $(let $field = $crate::columnar::index_file::Indexed::read(from)?;)*
                Some($name { $($field),* })
            }
        }
    };
}
pub(crate) use indexed;

pub struct Writer<'a> {
    out: &'a mut dyn Write,
    at: u64,
    directory: Vec<u8>,
}

/// Writes an index.
pub fn write(out: &mut dyn Write, content: &impl Indexed) -> io::Result<()> {
    out.write_all(MAGIC)?;
    let mut writer = Writer {
        out,
        at: MAGIC.len() as u64,
        directory: Vec::new(),
    };
    content.write(&mut writer)?;
    let Writer { out, at, directory } = writer;
    out.write_all(&directory)?;
    out.write_all(&at.to_le_bytes())?;
    out.write_all(Digest::of(&[&directory]).bytes())?;
    out.write_all(MAGIC)?;
    out.flush()
}

impl Writer<'_> {
    fn stored(&mut self, bytes: &[u8], digest: Digest) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at.encode(&mut self.directory);
        (bytes.len() as u64).encode(&mut self.directory);
        self.directory.extend_from_slice(digest.bytes());
        self.at += bytes.len() as u64;
        Ok(())
    }
}

pub struct Reader {
    directory: Vec<u8>,
    at: usize,
    source: Arc<Source>,
    /// Where the blocks end.
    end: u64,
}

/// Reads the directory of an index of at most so many bytes; blocks are read when they are needed.
pub fn read<T: Indexed>(path: &Path, max_bytes: u64) -> Option<T> {
    let file = sys::no_follow(File::options().read(true)).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !sys::is_private(&metadata) || metadata.len() > max_bytes {
        return None;
    }
    let size = metadata.len();
    let at = size.checked_sub(TRAILER as u64)?;
    let mut trailer = [0; TRAILER];
    if sys::read_full(&file, &mut trailer, at).ok()? < TRAILER || !trailer.ends_with(MAGIC) {
        return None;
    }
    let start = u64::decode(&trailer[..8])?;
    let mut directory = memory::zeroed(at.checked_sub(start)?).ok()?;
    let read = sys::read_full(&file, &mut directory, start).ok()?;
    if read < directory.len() || Digest::of(&[&directory]).bytes() != &trailer[8..40] {
        return None;
    }
    let path = path.to_owned();
    T::read(&mut Reader {
        directory,
        at: 0,
        source: Arc::new(Source { path, file }),
        end: start,
    })
}

impl Reader {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.directory.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

impl Indexed for u64 {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        self.encode(&mut to.directory);
        Ok(())
    }

    fn read(from: &mut Reader) -> Option<u64> {
        u64::decode(from.take(8)?)
    }
}

impl Indexed for String {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        (self.len() as u64).write(to)?;
        to.directory.extend_from_slice(self.as_bytes());
        Ok(())
    }

    fn read(from: &mut Reader) -> Option<String> {
        let length = usize::try_from(u64::read(from)?).ok()?;
        String::from_utf8(from.take(length)?.to_vec()).ok()
    }
}

impl<T: Indexed> Indexed for Vec<T> {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        (self.len() as u64).write(to)?;
        self.iter().try_for_each(|item| item.write(to))
    }

    fn read(from: &mut Reader) -> Option<Vec<T>> {
        let length = u64::read(from)?;
        (0..length).map(|_| T::read(from)).collect()
    }
}

impl Indexed for Digest {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        to.directory.extend_from_slice(self.bytes());
        Ok(())
    }

    fn read(from: &mut Reader) -> Option<Digest> {
        Some(Digest::from_bytes(from.take(32)?.try_into().ok()?))
    }
}

impl<T: Fixed> Indexed for Block<T> {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        if let Some(stored) = self.in_file() {
            let copied = stored.read(|bytes| to.stored(bytes, stored.digest));
            return copied.ok_or(io::ErrorKind::InvalidData)?;
        }
        let values = self.values();
        let mut bytes = Vec::with_capacity(values.len() * T::SIZE);
        values.iter().for_each(|value| value.encode(&mut bytes));
        let digest = Digest::of(&[&bytes]);
        to.stored(&bytes, digest)
    }

    fn read(from: &mut Reader) -> Option<Block<T>> {
        let at = u64::read(from)?;
        let size = u64::read(from)?;
        let digest = Digest::read(from)?;
        if at.checked_add(size)? > from.end {
            return None;
        }
        let size = usize::try_from(size).ok()?;
        Some(Block::stored(Stored {
            source: Arc::clone(&from.source),
            at,
            size,
            digest,
        }))
    }
}

impl<T: Fixed> Indexed for Blocks<T> {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        (self.len() as u64).write(to)?;
        self.blocks().iter().try_for_each(|block| block.write(to))
    }

    fn read(from: &mut Reader) -> Option<Blocks<T>> {
        let length = usize::try_from(u64::read(from)?).ok()?;
        let count = length.div_ceil(BLOCK);
        let block = |i: usize| {
            let size = BLOCK.min(length - i * BLOCK) * T::SIZE;
            let block: Block<T> = Block::read(from)?;
            let is_whole = block.in_file().is_some_and(|stored| stored.size == size);
            is_whole.then_some(block)
        };
        let blocks: Option<Vec<Block<T>>> = (0..count).map(block).collect();
        Some(Blocks::of(blocks?, length))
    }
}

impl<T: AsJson> Indexed for LazyJson<T> {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        match self.changed() {
            Some(json) => Block::of(json).write(to),
            None => self.block().write(to),
        }
    }

    fn read(from: &mut Reader) -> Option<LazyJson<T>> {
        Block::read(from).map(LazyJson::of)
    }
}
