//! Memory in amounts that a file decides.
//!
//! Where memory runs out Rust ends the process, and R with it; an allocator that unwinds instead is
//! not allowed on stable Rust. So what grows with a file is asked for in ways that can fail:
//!
//! - a buffer by [`zeroed`], [`reserve`] or std's `read_to_end`, which say so in a `Result`;
//! - what is built piece by piece (columns, tables of strings, JSON) after a look whether there is
//!   room for the next piece, [`ensure`] or a [`Budget`]. Where a view grows there is nobody to
//!   hand a `Result` to, so [`ensure`] unwinds with [`OutOfMemory`], which the seam to R turns
//!   into an error as it does an index's damage.
//!
//! A look asks for more than the next piece takes, since the pieces themselves, other threads and
//! whoever tells the user need something too.

use std::alloc::{Layout, alloc_zeroed};
use std::io;
use std::panic::resume_unwind;

use crate::platform::sys;

/// So many bytes more than the next piece takes must there be.
const MARGIN_BYTES: usize = 16 << 20;

/// That there is too little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl OutOfMemory {
    pub fn unwind(self) -> ! {
        resume_unwind(Box::new(self))
    }
}

impl From<OutOfMemory> for io::Error {
    fn from(_: OutOfMemory) -> io::Error {
        io::ErrorKind::OutOfMemory.into()
    }
}

/// Whether there is room for so many bytes.
pub fn look(bytes: usize) -> Result<(), OutOfMemory> {
    match sys::has_room(bytes.saturating_add(MARGIN_BYTES)) {
        true => Ok(()),
        false => Err(OutOfMemory),
    }
}

/// The same; unwinds if there isn't.
pub fn ensure(bytes: usize) {
    look(bytes).unwrap_or_else(|e| e.unwind());
}

/// So many zeros, which the system mostly has: `Vec::resize` would write each.
pub fn zeroed(bytes: u64) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(bytes).map_err(|_| OutOfMemory)?;
    let layout = Layout::array::<u8>(bytes).map_err(|_| OutOfMemory)?;
    if bytes == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout is that of a vector of so many bytes, of which there is one at least; all of them are set.
    unsafe {
        let start = alloc_zeroed(layout);
        match start.is_null() {
            true => Err(OutOfMemory.into()),
            false => Ok(Vec::from_raw_parts(start, bytes, bytes)),
        }
    }
}

/// Appends, if there is room.
pub fn append(to: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    to.try_reserve(bytes.len()).map_err(|_| OutOfMemory)?;
    to.extend_from_slice(bytes);
    Ok(())
}

/// Makes room for more values as `Vec` does; unwinds if there is none. Little is not asked for:
/// that costs more than it takes.
#[inline]
pub fn reserve<T>(values: &mut Vec<T>, more: usize) {
    try_reserve(values, more).unwrap_or_else(|e| e.unwind());
}

/// The same for those who have a `Result` to say so in.
#[inline]
pub fn try_reserve<T>(values: &mut Vec<T>, more: usize) -> Result<(), OutOfMemory> {
    match values.capacity() - values.len() < more {
        true => grow(values, more),
        false => Ok(()),
    }
}

#[cold]
fn grow<T>(values: &mut Vec<T>, more: usize) -> Result<(), OutOfMemory> {
    const LITTLE_BYTES: usize = 1 << 16;
    let wanted = (2 * values.len()).max(values.len() + more);
    let bytes = wanted.saturating_mul(size_of::<T>());
    if bytes > LITTLE_BYTES {
        look(bytes)?;
    }
    values.reserve(more);
    Ok(())
}

/// Looks for room now and then while bytes of a file become values.
#[derive(Debug, Default)]
pub struct Budget {
    left: usize,
    taken: usize,
}

impl Budget {
    /// So many bytes of memory does a byte of a file become at most, as in the JSON array
    /// `[1,1,1]`, whose elements take 32 bytes each, twice as much while it grows, and are kept
    /// as values of as many.
    const FACTOR: usize = 64;
    /// For so many bytes of a file one look is enough.
    const STEP_BYTES: usize = MARGIN_BYTES / Budget::FACTOR;

    /// For what is known to be little.
    pub fn unlimited() -> Budget {
        Budget {
            left: usize::MAX,
            taken: 0,
        }
    }

    /// To be called before so many bytes are taken over.
    pub fn take(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if bytes > self.left {
            let values = bytes.saturating_mul(Budget::FACTOR);
            // Lists and tables of what was taken over so far get room for twice as much at once.
            look(values.saturating_add(self.taken))?;
            self.left = Budget::STEP_BYTES;
        }
        self.left = self.left.saturating_sub(bytes);
        self.taken += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_MUCH: usize = usize::MAX / 4;

    #[test]
    fn what_no_machine_has_is_refused() {
        assert_eq!(look(1 << 20), Ok(()));
        assert_eq!(look(TOO_MUCH), Err(OutOfMemory));
        assert_eq!(look(usize::MAX), Err(OutOfMemory));
        let refused = zeroed(TOO_MUCH as u64).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(zeroed(3).unwrap(), [0, 0, 0]);
        assert_eq!(
            Budget::default().take(TOO_MUCH / Budget::FACTOR),
            Err(OutOfMemory)
        );

        let why = std::panic::catch_unwind(|| reserve(&mut Vec::<u64>::new(), TOO_MUCH / 8));
        assert!(why.unwrap_err().is::<OutOfMemory>());
        let mut values = vec![1, 2];
        reserve(&mut values, 1000);
        assert!(values.capacity() >= 1002);
    }

    #[test]
    fn a_step_of_small_pieces_takes_one_look() {
        let mut budget = Budget::default();
        budget.take(1).unwrap();
        assert_eq!(budget.left, Budget::STEP_BYTES - 1);
        budget.take(Budget::STEP_BYTES - 1).unwrap();
        assert_eq!(budget.left, 0);
    }
}
