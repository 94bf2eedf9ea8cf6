//! What the events of a ledger add up to.

pub mod batch;
pub mod best;
pub mod checkpoint;
pub mod compare;
pub mod copy;
pub mod details;
pub mod export;
pub mod fold;
pub mod import;
pub mod index_cache;
pub mod lineage;
pub mod live;
pub mod parallel_read;
pub mod plain_runs;
pub mod promotion;
pub mod registry;
pub mod repair;
pub mod run_ids;
pub mod runs;
pub mod series;
pub mod sessions;
pub mod stored;
pub mod table;
pub mod verify;
pub mod view_cache;
