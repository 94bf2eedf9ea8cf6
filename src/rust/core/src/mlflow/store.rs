//! A store's folder: what is in it, found from an open folder and through no link.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::digest::Digest;
use crate::ledger::objects::Progress;
use crate::mlflow::yaml;
use crate::platform::folder::{Kind, OpenFolder, is_refusal};
use crate::platform::memory::{self, OutOfMemory};

/// The folder in which MLflow keeps deleted experiments.
pub const TRASH: &str = ".trash";
/// Registered models, beside the experiments; the models that runs logged, in an experiment.
pub const MODELS: &str = "models";
pub const META: &str = "meta.yaml";
pub const ARTIFACTS: &str = "artifacts";
pub const INPUTS: &str = "inputs";
pub const DATASETS: &str = "datasets";
pub const TRACES: &str = "traces";
pub const TAGS: &str = "tags";
pub const PARAMS: &str = "params";
pub const METRICS: &str = "metrics";
pub const ALIASES: &str = "aliases";
/// What beside the folders of runs is in an experiment's.
pub const RESERVED: [&str; 4] = [MODELS, DATASETS, TRACES, TAGS];

/// The longest text: MLflow takes 8000 characters, and a row holds 16 MiB in which each byte may take three.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// A `meta.yaml` may say some of the texts twice, with four bytes for one.
const MAX_META_BYTES: u64 = 1 << 26;
/// Folders within folders, as keys with `/` make them, or as stored folders have them.
pub const MAX_DEPTH: usize = 1100;
/// Memory that a byte of a text takes until it is in a row.
const TEXT_FACTOR: usize = 32;

/// Why something can't be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It can't be read as it is, which may change.
    Unread(String),
    /// It is nothing that a store, or a ledger, holds.
    Unfit(String),
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unread(why) => write!(f, "it can't be read: {why}"),
            Problem::Unfit(why) => f.write_str(why),
        }
    }
}

/// What was asked for, or why it can't be had. That the machine can't read anything at the moment is an error.
pub type Had<T> = std::result::Result<T, Problem>;

/// The scalars of a `meta.yaml`.
pub type Meta = Had<HashMap<String, String>>;

/// A store that is open.
pub struct StoreFolder {
    path: PathBuf,
    root: OpenFolder,
}

/// A name in a folder.
pub struct Entry {
    /// As a text, if it is one.
    pub name: std::result::Result<String, OsString>,
    pub kind: Kind,
}

/// A file below a folder, or what is no file and why.
pub struct Found {
    /// Below the folder, with `/` between its parts; empty if it is the folder itself.
    pub name: String,
    pub problem: Option<Problem>,
}

impl StoreFolder {
    pub fn open(path: &Path) -> Result<StoreFolder> {
        let root = OpenFolder::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NotFound {
                path: path.to_owned(),
            },
            _ => Error::io(path, "open the folder", e),
        })?;
        let path = path.to_owned();
        Ok(StoreFolder { path, root })
    }

    /// One that is open. `path` says in errors where it is.
    pub fn of(root: OpenFolder, path: &Path) -> StoreFolder {
        let path = path.to_owned();
        StoreFolder { path, root }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the folder is called.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(OsStr::new("."));
        name.to_string_lossy().into_owned()
    }

    /// Does something in the folder that a name below the store leads to, with the name's last part.
    fn in_folder<T>(
        &self,
        name: &str,
        last: impl Fn(&OpenFolder, &OsStr) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut parts = name.split('/').map(OsStr::new);
        let file = parts.next_back().expect("a text has a part");
        let mut opened: Option<OpenFolder> = None;
        for part in parts {
            opened = Some(opened.as_ref().unwrap_or(&self.root).folder(part)?);
        }
        last(opened.as_ref().unwrap_or(&self.root), file)
    }

    fn had<T>(&self, name: &str, looked: io::Result<T>) -> Result<Had<T>> {
        match looked {
            Ok(it) => Ok(Ok(it)),
            Err(e) if is_refusal(&e) => Ok(Err(Problem::Unread(e.to_string()))),
            Err(e) => Err(Error::io(&self.path.join(name), "read", e)),
        }
    }

    /// A folder; nothing where nothing has its name.
    pub fn folder(&self, name: &str) -> Result<Had<Option<OpenFolder>>> {
        let opened = match name {
            "" => self.root.folder(OsStr::new(".")),
            name => self.in_folder(name, |above, last| match above.kind(last)? {
                Kind::Folder => above.folder(last),
                Kind::File => Err(io::Error::other("it is a file")),
                Kind::Other(what) => Err(io::Error::other(format!("it is {what}"))),
            }),
        };
        match opened {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Ok(None)),
            opened => self.had(name, opened.map(Some)),
        }
    }

    /// What something is; nothing where nothing has its name.
    pub fn kind(&self, name: &str) -> Result<Had<Option<Kind>>> {
        match self.in_folder(name, OpenFolder::kind) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Ok(None)),
            kind => self.had(name, kind.map(Some)),
        }
    }

    /// What is in a folder, by name; nothing where no such folder is.
    pub fn entries(&self, folder: &str) -> Result<Had<Vec<Entry>>> {
        let opened = match self.folder(folder)? {
            Ok(None) => return Ok(Ok(Vec::new())),
            Ok(Some(opened)) => opened,
            Err(problem) => return Ok(Err(problem)),
        };
        let list = || {
            let mut names = opened.names()?;
            names.sort_unstable();
            let mut entries = Vec::new();
            memory::reserve(&mut entries, names.len());
            for name in names {
                let kind = match opened.kind(&name) {
                    // It went just now.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    kind => kind?,
                };
                let name = name.into_string();
                entries.push(Entry { name, kind });
            }
            Ok(entries)
        };
        self.had(folder, list())
    }

    /// The folders in a folder.
    pub fn folders(&self, folder: &str) -> Result<Had<Vec<String>>> {
        let named = |entries: Vec<Entry>| {
            let folders = entries
                .into_iter()
                .filter(|entry| entry.kind == Kind::Folder);
            folders.filter_map(|entry| entry.name.ok()).collect()
        };
        Ok(self.entries(folder)?.map(named))
    }

    /// All files below a folder, through the folders in it.
    pub fn files_below(&self, folder: &str, progress: Progress<'_>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((below, depth)) = folders.pop() {
            if progress(0) {
                return Err(Error::Interrupted);
            }
            memory::ensure(0);
            let with = |name, problem| Found {
                name,
                problem: Some(problem),
            };
            let entries = match self.entries(&join(folder, &below))? {
                Ok(entries) => entries,
                Err(problem) => {
                    found.push(with(below, problem));
                    continue;
                }
            };
            memory::reserve(&mut found, entries.len());
            for entry in entries {
                let unfit = |name, why: &str| with(name, Problem::Unfit(why.to_owned()));
                let name = match entry.name {
                    Ok(name) => join(&below, &name),
                    Err(name) => {
                        let name = join(&below, &name.to_string_lossy());
                        found.push(unfit(name, "its name is not UTF-8"));
                        continue;
                    }
                };
                match entry.kind {
                    Kind::Folder if depth < MAX_DEPTH => folders.push((name, depth + 1)),
                    Kind::Folder => found.push(unfit(name, "it is too deep in folders")),
                    Kind::File => found.push(Found {
                        name,
                        problem: None,
                    }),
                    Kind::Other(what) => found.push(unfit(name, &format!("it is {what}"))),
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A regular file.
    pub fn file(&self, name: &str) -> Result<Had<File>> {
        let file = self.in_folder(name, |folder, name| {
            let is = |what: &str| Err(io::Error::other(format!("it is {what}")));
            match folder.kind(name)? {
                Kind::File => {
                    let file = folder.file(name)?;
                    match file.metadata()?.is_file() {
                        true => Ok(file),
                        false => is("no regular file"),
                    }
                }
                Kind::Folder => is("a folder"),
                Kind::Other(what) => is(what),
            }
        });
        self.had(name, file)
    }

    /// The hash of a file's bytes.
    pub fn digest(&self, name: &str) -> Result<Had<Digest>> {
        match self.file(name)? {
            Ok(mut file) => self.had(name, Digest::of_reader(&mut file).map(|it| it.0)),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// The bytes of a file, which are not more than so many.
    pub fn bytes(&self, name: &str, most: u64) -> Result<Had<Vec<u8>>> {
        let file = match self.file(name)? {
            Ok(file) => file,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut bytes = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut bytes);
        let is_longer = bytes.len() as u64 > most;
        Ok(match self.had(name, read)? {
            Err(problem) => Err(problem),
            Ok(_) if is_longer => Err(Problem::Unfit(format!("it is longer than {most} bytes"))),
            Ok(_) => Ok(bytes),
        })
    }

    /// The text of a file, or why there is none that a ledger could hold.
    pub fn text(&self, name: &str) -> Result<Had<String>> {
        self.text_of(name, MAX_TEXT_BYTES)
    }

    fn text_of(&self, name: &str, most: u64) -> Result<Had<String>> {
        let bytes = match self.bytes(name, most)? {
            Ok(bytes) => bytes,
            Err(problem) => return Ok(Err(problem)),
        };
        memory::look(TEXT_FACTOR * bytes.len()).map_err(|OutOfMemory| Error::Memory {
            path: Some(self.path.join(name)),
        })?;
        let unfit = |why: &str| Err(Problem::Unfit(why.to_owned()));
        Ok(match String::from_utf8(bytes) {
            Err(_) => unfit("it is not UTF-8"),
            Ok(text) if text.contains('\0') => unfit("it holds U+0000, which a ledger can't"),
            Ok(text) => Ok(text),
        })
    }

    /// What the `meta.yaml` of each folder says that has one, of those in which runs, models and data sets are.
    pub fn metas(&self, progress: Progress<'_>) -> Result<HashMap<String, Meta>> {
        // What can't be listed is named by whoever reads it.
        let inner = |folder: &str| -> Result<Vec<String>> {
            let folders = self.folders(folder)?.unwrap_or_default().into_iter();
            Ok(folders.map(|name| join(folder, &name)).collect())
        };
        let mut metas = HashMap::new();
        let mut read = |folder: String| -> Result<()> {
            if progress(0) {
                return Err(Error::Interrupted);
            }
            /// A key, and what is known of a folder.
            const META_BYTES: usize = 512;
            memory::ensure(if metas.len() == metas.capacity() {
                2 * META_BYTES * metas.len()
            } else {
                0
            });
            if let Some(meta) = self.meta(&folder)? {
                metas.insert(folder, meta);
            }
            Ok(())
        };
        for (experiment, _) in self.experiments()? {
            for folder in inner(&experiment)? {
                match folder.rsplit('/').next().unwrap_or_default() {
                    MODELS | DATASETS => inner(&folder)?.into_iter().try_for_each(&mut read)?,
                    TRACES | TAGS => {}
                    _ => {
                        let inputs = inner(&join(&folder, INPUTS))?;
                        inputs.into_iter().try_for_each(&mut read)?;
                        read(folder)?;
                    }
                }
            }
            read(experiment)?;
        }
        for model in inner(MODELS)? {
            let is_version = |folder: &String| folder[model.len() + 1..].starts_with("version-");
            let versions = inner(&model)?.into_iter().filter(is_version);
            versions.into_iter().try_for_each(&mut read)?;
            read(model)?;
        }
        Ok(metas)
    }

    /// What the `meta.yaml` of a folder says; nothing if it has none.
    fn meta(&self, folder: &str) -> Result<Option<Meta>> {
        match self.has_meta(folder)? {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(problem) => return Ok(Some(Err(problem))),
        }
        let text = self.text_of(&join(folder, META), MAX_META_BYTES)?;
        let unfit = || Problem::Unfit(format!("its {META} can't be read"));
        let named = |problem| match problem {
            Problem::Unread(why) => Problem::Unread(format!("its {META}: {why}")),
            Problem::Unfit(_) => unfit(),
        };
        let text = text.map_err(named);
        Ok(Some(
            text.and_then(|text| yaml::scalars(&text).ok_or_else(unfit)),
        ))
    }

    /// The folders of the experiments, the deleted ones too; of what stands in the place of one, why it is none.
    pub fn experiments(&self) -> Result<Vec<(String, Option<Problem>)>> {
        let mut experiments = Vec::new();
        for above in ["", TRASH] {
            let entries = match self.entries(above)? {
                Ok(entries) => entries,
                Err(e) if above.is_empty() => {
                    let why = io::Error::new(io::ErrorKind::PermissionDenied, e.to_string());
                    return Err(Error::io(&self.path, "read", why));
                }
                Err(problem) => {
                    experiments.push((above.to_owned(), Some(problem)));
                    continue;
                }
            };
            for entry in entries {
                let Ok(name) = entry.name else { continue };
                let folder = join(above, &name);
                match entry.kind {
                    _ if above.is_empty() && matches!(name.as_str(), TRASH | MODELS) => {}
                    Kind::Folder => match self.has_meta(&folder)? {
                        Ok(true) => experiments.push((folder, None)),
                        Ok(false) => {}
                        Err(problem) => experiments.push((folder, Some(problem))),
                    },
                    Kind::File => {}
                    Kind::Other(what) => {
                        let problem = Problem::Unfit(format!("it is {what}"));
                        experiments.push((folder, Some(problem)));
                    }
                }
            }
        }
        Ok(experiments)
    }

    fn has_meta(&self, folder: &str) -> Result<Had<bool>> {
        match self.in_folder(&join(folder, META), OpenFolder::kind) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Ok(false)),
            looked => self.had(folder, looked.map(|_| true)),
        }
    }
}

/// A name below a folder.
pub fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}
