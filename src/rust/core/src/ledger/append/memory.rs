//! What a process remembers of the ledgers that it wrote to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::id::{RunId, Seq};
use crate::ledger::read::Position;
use crate::ledger::store::Store;
use crate::platform::sys::{self, FileId, Network};

/// What this process knows of the ledgers that it wrote to. A hint and nothing more: everything
/// in it is checked against the file before it is used.
#[derive(Default)]
pub struct Memory {
    /// Whether to write to file systems over a network whose locks can't be relied on.
    pub allow_network: bool,
    known: HashMap<Key, Known>,
    /// What will be known of ledgers that are kept elsewhere, once what was drafted last is appended there.
    drafted: HashMap<Key, Drafted>,
    network: Vec<String>,
    not_recorded: Vec<String>,
    notices: Vec<String>,
}

/// The name under which a ledger is known: a path whose meaning doesn't change with the working folder.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::ledger) struct Key(PathBuf);

#[derive(Clone)]
pub(in crate::ledger) struct Known {
    file: FileId,
    /// It was looked at where the file lies, and it may be written to.
    place_checked: bool,
    /// Up to here the rows were looked through: they are numbered without gaps, and we understand all that we must.
    pub looked: Option<Position>,
    /// The one that this process wrote last. Its row is one of those that were looked through, and stands as long as they do.
    pub session: Option<WrittenSession>,
    pub folder_synced: bool,
    /// The run that this process began last, after the number of the last row that the call wrote.
    pub last_run: Option<(Seq, RunId)>,
}

/// What a draft makes known, if it is appended.
struct Drafted {
    session: Option<WrittenSession>,
    last_run: Option<(Seq, RunId)>,
}

#[derive(Clone)]
pub(in crate::ledger) struct WrittenSession {
    pub version: u64,
    pub id: String,
}

impl Memory {
    /// What is known of a ledger, for who writes to it while others write elsewhere, with all that there is to tell.
    pub fn lend(&mut self, path: &Path) -> Memory {
        let key = Memory::key(path);
        let known = self.known.get(&key).cloned();
        Memory {
            allow_network: self.allow_network,
            known: known.map(|known| (key, known)).into_iter().collect(),
            drafted: HashMap::new(),
            network: std::mem::take(&mut self.network),
            not_recorded: std::mem::take(&mut self.not_recorded),
            notices: std::mem::take(&mut self.notices),
        }
    }

    /// Takes back what was lent of a ledger, as it is by now.
    pub fn take_back(&mut self, path: &Path, lent: Memory) {
        self.forget(path);
        self.known.extend(lent.known);
        self.drafted.extend(lent.drafted);
        self.network.extend(lent.network);
        self.not_recorded.extend(lent.not_recorded);
        self.notices.extend(lent.notices);
    }

    /// What somebody should be warned of once: of the network file system that a ledger lies on.
    pub fn take_network(&mut self) -> Option<String> {
        joined(&mut self.network)
    }

    /// The same of what a session should have on record, and hasn't.
    pub fn take_not_recorded(&mut self) -> Option<String> {
        joined(&mut self.not_recorded)
    }

    /// Forgets a ledger: its file is about to be another.
    pub(in crate::ledger) fn forget(&mut self, path: &Path) {
        self.known.remove(&Memory::key(path));
    }

    /// What somebody should know of the file, once.
    pub fn take_notice(&mut self) -> Option<String> {
        joined(&mut self.notices)
    }

    pub(super) fn not_recorded(&mut self, what: String) {
        self.not_recorded.push(what);
    }

    pub(super) fn notice(&mut self, notice: String) {
        self.notices.push(notice);
    }

    /// Looks once at where a ledger lies, and what it is.
    pub(super) fn check_place(&mut self, key: &Key, store: &impl Store) -> Result<()> {
        if self.known(key, store.id()).place_checked {
            return Ok(());
        }
        let path = store.path();
        if store.is_mirror() {
            let path = path.to_owned();
            return Err(Error::Mirror { path });
        }
        match store.network().map_err(|e| Error::io(path, "look at", e))? {
            Some(Network::Other(system)) if !self.allow_network => {
                return Err(Error::Network {
                    path: path.to_owned(),
                    system,
                });
            }
            Some(Network::Nfs4) => self.network.push(nfs_warning(path)),
            _ => {}
        }
        self.known(key, store.id()).place_checked = true;
        Ok(())
    }

    /// Drafts on top of a mirror. What that would make known is so once it is appended, see [`Memory::appended`].
    pub fn drafting<T>(&mut self, mirror: &Path, draft: impl FnOnce(&mut Memory) -> T) -> T {
        let key = Memory::key(mirror);
        let before = self.known.get(&key);
        let before =
            before.map(|known| (known.looked, known.session.clone(), known.last_run.clone()));
        let drafted = draft(self);
        if let Some(known) = self.known.get_mut(&key) {
            let (looked, session, last_run) = before.unwrap_or_default();
            known.looked = looked;
            // Who drafts may; who would write to the mirror itself may not.
            known.place_checked = false;
            let after = Drafted {
                session: std::mem::replace(&mut known.session, session),
                last_run: std::mem::replace(&mut known.last_run, last_run),
            };
            self.drafted.insert(key, after);
        }
        drafted
    }

    /// What was drafted last is appended.
    pub fn appended(&mut self, mirror: &Path) {
        let key = Memory::key(mirror);
        if let (Some(known), Some(drafted)) = (self.known.get_mut(&key), self.drafted.remove(&key))
        {
            known.session = drafted.session;
            known.last_run = drafted.last_run;
        }
    }

    /// A mirror's rows were checked up to a position.
    pub fn looked_through(&mut self, mirror: &Path, position: Position) {
        if let Ok(file) = sys::path_id(mirror) {
            self.known(&Memory::key(mirror), file).looked = Some(position);
        }
    }

    /// The run that this process began last in a ledger, by whichever path it was written to. Of a file that is gone another
    /// one may have the id.
    pub fn last_run(&self, path: &Path) -> Option<&RunId> {
        let file = sys::path_id(path).ok()?;
        let means_it = |path: &Path| sys::path_id(path).is_ok_and(|id| id == file);
        let known = self.known.iter().filter(|(_, known)| known.file == file);
        let begun = known.filter_map(|(key, known)| Some((key, known.last_run.as_ref()?)));
        let begun = begun.filter(|(key, _)| means_it(&key.0));
        let last = begun.max_by_key(|(_, (written, _))| *written);
        last.map(|(_, (_, run))| run)
    }

    /// The ledger in which this process began a run last, if it is this one.
    pub fn began_last(&self, run: &RunId) -> Option<&Path> {
        let is_last = |known: &Known| known.last_run.as_ref().is_some_and(|(_, last)| last == run);
        let mut all = self.known.iter();
        let found = all.find(|(_, known)| is_last(known));
        found.map(|(key, _)| key.0.as_path())
    }

    /// What a forked child knows of what its parent did: all but what is of another process.
    pub fn inherited(mut self) -> Memory {
        self.drafted.clear();
        for known in self.known.values_mut() {
            known.session = None;
            known.last_run = None;
        }
        self
    }

    /// The name under which a ledger is known.
    pub(in crate::ledger) fn key(path: &Path) -> Key {
        Key(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// What is known of a ledger, as far as its file is the same.
    pub(in crate::ledger) fn known(&mut self, key: &Key, file: FileId) -> &mut Known {
        let fresh = |looked| Known {
            file,
            place_checked: false,
            looked,
            session: None,
            folder_synced: false,
            last_run: None,
        };
        let known = self.known.entry(key.clone());
        let known = known.or_insert_with(|| fresh(None));
        if known.file != file {
            // Whether the rows are the same is seen in the file.
            *known = fresh(known.looked);
        }
        known
    }
}

fn joined(texts: &mut Vec<String>) -> Option<String> {
    let texts = std::mem::take(texts);
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn nfs_warning(path: &Path) -> String {
    format!(
        "'{}' lies on NFS: writers on several machines don't lose each other's rows, but a reader \
         may see a row late, and a server may still lose what it has acknowledged.",
        path.display()
    )
}
