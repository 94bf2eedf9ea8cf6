//! The file: reading it, and appending to it under a lock.

mod append;
mod read;
mod store;
mod tail;

pub use append::{Append, Memory, Session, append};
pub use read::{Ledger, newer, read};
pub use store::{FileStore, Store};
