//! One row, one value, one hash: how each is written in bytes, and read back.

pub mod artifact;
pub mod chain;
pub mod data_hash;
pub mod data_version;
pub mod digest;
pub mod event;
pub mod fast_row;
pub mod first_line;
pub mod id;
pub mod json;
pub mod ledger_context;
pub mod model_context;
pub mod object;
pub mod origin;
pub mod plain;
pub mod row;
pub mod run_context;
pub mod series;
pub mod session_context;
pub mod time;
pub mod value;
