//! Bytes to the file, and to disk.

use std::io;

use crate::error::{Error, Result};
use crate::ledger::append::memory::Known;
use crate::ledger::store::{PIECE_BYTES, Store};

/// Writes everything, or takes back what was written.
pub(in crate::ledger) fn write_all<S: Store>(
    store: &mut S,
    start: u64,
    bytes: &[u8],
) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let failure = match store.append(&rest[..rest.len().min(PIECE_BYTES)]) {
            Ok(0) => io::Error::from(io::ErrorKind::WriteZero),
            Ok(n) => {
                rest = &rest[n..];
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => e,
        };
        let path = store.path().to_owned();
        return Err(match store.truncate(start) {
            Ok(()) => Error::io(&path, "write to", failure),
            Err(_) => Error::Remains {
                path,
                source: failure,
            },
        });
    }
    Ok(())
}

/// Waits until the rows are on disk. Writers side by side share the flush, since the lock is free.
///
/// After an error the rows stay: others may have gone on from them, or keep a checkpoint that covers them. Another
/// flush would prove nothing, since the kernel may have dropped the pages.
pub(super) fn flush<S: Store>(store: &mut S, known: &mut Known) -> Result<()> {
    let mut flushed = store.sync();
    if flushed.is_ok() && !known.folder_synced {
        flushed = store.sync_folder();
        known.folder_synced = flushed.is_ok();
    }
    flushed.map_err(|source| Error::DurabilityUnknown {
        path: store.path().to_owned(),
        source,
    })
}
