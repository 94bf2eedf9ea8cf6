//! A ledger of model fits: one append-only, hash-chained CSV file.
//!
//! Layers, each a folder that uses only those above it in this list:
//!
//! - [`error`]: what can go wrong, said so that somebody can act on it
//! - [`platform`]: what the machine says and gives
//! - [`format`]: one row, one value, one hash
//! - [`ledger`]: the file, and the bytes beside it
//! - [`columnar`]: many values
//! - [`views`]: what the events add up to
//! - [`mlflow`]: MLflow's file stores, in and out
//! - [`page`]: what the page is told
//!
//! Within a folder no two modules use each other, be it by way of others; `tests/layers.rs` holds all of this
//! against the imports.

pub mod columnar;
pub mod error;
pub mod format;
pub mod ledger;
pub mod mlflow;
pub mod page;
pub mod platform;
pub mod views;

pub use error::{Error, Result};
