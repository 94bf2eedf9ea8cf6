//! The seam between R and the ledger: functions that convert and call, nothing else.
//!
//! Every function takes plain R objects and gives an R object back: its value, or a failure that
//! `R/native.R` signals as a condition. Nothing here throws an R error, and nothing that allocates
//! in R runs while the ledger is locked.

mod append_request;
mod artifacts;
mod data;
mod deferred;
mod environment;
mod from_r;
mod guard;
mod import;
mod lineage;
mod live;
mod log;
mod mirror;
mod mlflow;
mod page;
mod place;
mod plain;
mod query;
mod r;
mod record;
mod registry;
mod to_r;
mod verify;
mod view_cache;

use extendr_api::prelude::*;

extendr_module! {
    mod fitledger;
    use artifacts;
    use data;
    use environment;
    use import;
    use lineage;
    use live;
    use log;
    use mirror;
    use mlflow;
    use page;
    use plain;
    use query;
    use record;
    use registry;
    use verify;
    use view_cache;
}
