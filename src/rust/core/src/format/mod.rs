//! One row, one value, one hash: how each is written in bytes, and read back.

pub mod chain;
pub mod data_hash;
pub mod digest;
pub mod event;
pub mod fast_row;
pub mod id;
pub mod json;
pub mod row;
pub mod time;
pub mod value;
