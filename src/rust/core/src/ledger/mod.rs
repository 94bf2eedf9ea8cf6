//! The file: reading it, and appending to it under a lock.

mod append;
mod read;
mod repair;
mod scan;
mod store;
mod tail;

pub use append::{Append, Memory, ReadSince, Session, append, append_decided};
pub use read::{Ledger, Place, check, check_first, examine, id, newer, open, read, read_since};
pub use repair::{repair, settle};
pub use store::{FileStore, Store};
pub use tail::{FIRST_ROW, Tail};
