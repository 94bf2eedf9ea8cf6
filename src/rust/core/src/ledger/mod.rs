//! The file: reading it, and appending to it under a lock; and the bytes beside it.

mod append;
mod checked;
pub mod code;
mod file;
mod first_row;
pub mod folder;
pub mod mirror;
pub mod objects;
mod read;
mod repair;
mod row_rules;
mod sequence;
mod store;
mod tail;
mod validate;

pub use append::{
    Ahead, Append, Draft, Drafted, Memory, ReadSince, Session, SetAside, append, append_decided,
    append_drafted, begin, discard_begun,
};
pub use checked::{Checked, CheckedRow, PlainRun, checked_rows};
pub use file::{FileStamp, LedgerFile, check};
pub use read::{Ledger, Position, examine, id, read};
pub use repair::{Repaired, Wreck, repair, settle};
pub use row_rules::{RowRead, read_row};
pub use store::{FileStore, MIRROR_SUFFIX, Store};
pub use tail::{FIRST_ROW, Tail};
pub use validate::{Invalid, Validation};
