//! The file: reading it, and appending to it under a lock.

mod append;
mod read;
mod repair;
mod scan;
mod store;
mod tail;

pub use append::{Append, Memory, Session, append};
pub use read::{Ledger, check, examine, newer, read};
pub use repair::{repair, settle};
pub use store::{FileStore, Store};
pub use tail::Tail;
