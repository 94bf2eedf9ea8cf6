//! A ledger of model fits: one append-only, hash-chained CSV file.
//!
//! Layers, each using only those above it in this list:
//!
//! - bytes: [`json`], [`digest`], [`time`], [`id`]
//! - one row: [`value`], [`record`], [`plain`], [`chain`]; many values: [`blocks`], [`index`], [`texts`], [`columns`]
//! - the file: [`ledger`]; beside it the bytes of artifacts: [`objects`]
//! - views over the record, which [`follow`] keeps up to date: [`begun`] in all of them, [`runs`], read by
//!   [`bulk`] and [`cache`], with [`table`], [`best`], [`compare`], [`series`] and [`export`], [`registry`],
//!   [`lineage`], [`verify`] with [`checkpoint`]; over these [`page`]
//!
//! [`git`] and [`sys`] look at the surroundings of a run, [`data`] hashes what it was fitted to; they stand
//! by themselves.

pub mod begun;
pub mod best;
pub mod blocks;
pub mod bulk;
pub mod cache;
pub mod chain;
pub mod checkpoint;
pub mod columns;
pub mod compare;
pub mod data;
pub mod digest;
pub mod error;
pub mod export;
pub mod follow;
pub mod git;
pub mod id;
pub mod index;
pub mod json;
pub mod ledger;
pub mod lineage;
pub mod objects;
pub mod page;
pub mod plain;
pub mod record;
pub mod registry;
pub mod runs;
pub mod series;
pub mod sys;
pub mod table;
pub mod texts;
pub mod time;
pub mod value;
pub mod verify;

pub use error::{Error, Result};
