//! What a process remembers of the ledgers that it wrote to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ledger::read::Position;
use crate::ledger::store::Store;
use crate::platform::sys::{FileId, Network};

/// What this process knows of the ledgers that it wrote to. A hint and nothing more: everything
/// in it is checked against the file before it is used.
#[derive(Default)]
pub struct Memory {
    /// Whether to write to file systems over a network whose locks can't be relied on.
    pub allow_network: bool,
    known: HashMap<PathBuf, Known>,
    process: u32,
    pub(super) warning: Option<String>,
}

pub(super) struct Known {
    file: FileId,
    /// The file system was looked at.
    network_checked: bool,
    /// Up to here no event was found that we don't understand and must.
    pub understood: u64,
    pub session: Option<WrittenSession>,
    pub folder_synced: bool,
}

pub(super) struct WrittenSession {
    pub version: u64,
    pub id: String,
    pub position: Position,
}

impl Memory {
    /// What somebody should be told once, if there is anything.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// Looks once at where a ledger lies.
    pub(super) fn check_network(&mut self, store: &impl Store) -> Result<()> {
        let path = store.path();
        if self.known(path, store.id()).network_checked {
            return Ok(());
        }
        match store.network().map_err(|e| Error::io(path, "look at", e))? {
            Some(Network::Other(system)) if !self.allow_network => {
                return Err(Error::Network {
                    path: path.to_owned(),
                    system,
                });
            }
            Some(Network::Nfs4) => self.warning = Some(nfs_warning(path)),
            _ => {}
        }
        self.known(path, store.id()).network_checked = true;
        Ok(())
    }

    /// A forked child starts afresh: its session is not its parent's.
    pub(super) fn known(&mut self, path: &Path, file: FileId) -> &mut Known {
        if self.process != std::process::id() {
            self.process = std::process::id();
            self.known.clear();
        }
        let fresh = || Known {
            file,
            network_checked: false,
            understood: 0,
            session: None,
            folder_synced: false,
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = self.known.entry(path).or_insert_with(&fresh);
        if known.file != file {
            *known = fresh();
        }
        known
    }
}

fn nfs_warning(path: &Path) -> String {
    format!(
        "'{}' lies on NFS: writers on several machines don't lose each other's rows, but a reader \
         may see a row late, and a server may still lose what it has acknowledged.",
        path.display()
    )
}
