//! MLflow's file stores, `mlruns/`: one becomes the events of a ledger, a ledger's runs become one.
//!
//! A store is a folder of small files: `<experiment>/<run>/` with `meta.yaml`, a file a parameter, tag and metric
//! (a key with `/` is a file in a folder), and `artifacts/`; beside the experiments `models/` with versions and
//! aliases. It may come from anybody: no link in it is followed, and only what is in it is read, whatever its
//! `artifact_uri`s say. MLflow numbers statuses, counts time in milliseconds, and writes all values as text.

pub mod import;
pub mod place;
pub mod read;
pub mod store;
pub mod write;
pub mod yaml;
