//! The file: reading it, and appending to it under a lock; and the bytes beside it.

mod append;
mod file;
mod first_row;
pub mod objects;
mod read;
mod repair;
mod store;
mod tail;
mod validate;

pub use append::{Append, Memory, ReadSince, Session, append, append_decided};
pub use file::{FileStamp, LedgerFile, check};
pub use first_row::check_first;
pub use read::{Ledger, Position, examine, id, newer, read};
pub use repair::{repair, settle};
pub use store::{FileStore, Store};
pub use tail::{FIRST_ROW, Tail};
