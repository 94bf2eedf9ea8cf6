//! The file: reading it, and appending to it under a lock; and the bytes beside it.

mod append;
mod first_row;
pub mod objects;
mod read;
mod repair;
mod store;
mod tail;
mod validate;

pub use append::{Append, Memory, ReadSince, Session, append, append_decided};
pub use first_row::check_first;
pub use read::{Ledger, Position, check, examine, id, newer, open, read, read_since};
pub use repair::{repair, settle};
pub use store::{FileStore, Store};
pub use tail::{FIRST_ROW, Tail};
