//! What an append is asked for beside its events.

use std::time::Instant;

use crate::format::id::Random;
use crate::format::object::Object;
use crate::format::time::Timestamp;

/// With what the rows of one append were made.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Changes whenever the context does.
    pub version: u64,
    /// What is recorded of the session, without its id.
    pub context: &'a Object,
    /// The environment's lockfile, which is stored beside the ledger and named by its hash.
    pub lockfile: Option<&'a [u8]>,
    /// What of the code is to be kept too, each under its name in the context.
    pub code: &'a [(&'static str, &'a [u8])],
}

/// What an append needs beside its events.
pub struct Append<'a> {
    pub session: Session<'a>,
    /// Whether to wait until the rows are on disk.
    pub sync: bool,
    pub now: Timestamp,
    pub random: Random<'a>,
    /// Since when the writer waits: who gave up and tries again goes on waiting.
    pub since: Instant,
    /// Asked while waiting for the lock: shall we give up?
    pub give_up: &'a mut dyn FnMut() -> bool,
}
