//! A store's folder: what is in it, found from an open folder and through no link.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::digest::Digest;
use crate::mlflow::yaml;
use crate::platform::folder::{Kind, OpenFolder};

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

/// The longest text: MLflow takes 8000 characters, and a row holds 16 MiB in which each byte may take three.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Folders within folders, as keys with `/` make them.
const MAX_DEPTH: usize = 64;

/// The scalars of a `meta.yaml`; `None` of one that can't be read.
pub type Meta = Option<HashMap<String, String>>;

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
    /// Below the folder, with `/` between its parts.
    pub name: String,
    pub problem: Option<String>,
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

    /// What is in a folder, by name; nothing where no such folder is.
    pub fn entries(&self, folder: &str) -> Vec<Entry> {
        let list = |folder: &OpenFolder| -> io::Result<Vec<Entry>> {
            let mut names = folder.names()?;
            names.sort_unstable();
            let entry = |name: OsString| {
                let kind = folder.kind(&name);
                Entry {
                    name: name.into_string(),
                    kind: kind.unwrap_or(Kind::Other("gone")),
                }
            };
            Ok(names.into_iter().map(entry).collect())
        };
        let listed = match folder {
            "" => list(&self.root),
            folder => self.in_folder(folder, |above, name| list(&above.folder(name)?)),
        };
        listed.unwrap_or_default()
    }

    /// The folders in a folder.
    pub fn folders(&self, folder: &str) -> Vec<String> {
        let entries = self.entries(folder).into_iter();
        let folders = entries.filter(|entry| entry.kind == Kind::Folder);
        folders.filter_map(|entry| entry.name.ok()).collect()
    }

    /// All files below a folder, through the folders in it.
    pub fn files_below(&self, folder: &str) -> Vec<Found> {
        let mut found = Vec::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((below, depth)) = folders.pop() {
            for entry in self.entries(&join(folder, &below)) {
                let problem = |name, why: &str| Found {
                    name,
                    problem: Some(why.to_owned()),
                };
                let name = match entry.name {
                    Ok(name) => join(&below, &name),
                    Err(name) => {
                        let name = join(&below, &name.to_string_lossy());
                        found.push(problem(name, "its name is not UTF-8"));
                        continue;
                    }
                };
                match entry.kind {
                    Kind::Folder if depth < MAX_DEPTH => folders.push((name, depth + 1)),
                    Kind::Folder => found.push(problem(name, "it is too deep in folders")),
                    Kind::File => found.push(Found {
                        name,
                        problem: None,
                    }),
                    Kind::Other(what) => found.push(problem(name, &format!("it is {what}"))),
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// A regular file, or why there is none to be had.
    fn file(&self, name: &str) -> std::result::Result<File, String> {
        let unread = |e: io::Error| format!("it can't be read: {e}");
        let file = self.in_folder(name, |folder, name| match folder.kind(name)? {
            Kind::File => folder.file(name),
            Kind::Folder => Err(io::Error::other("it is a folder")),
            Kind::Other(what) => Err(io::Error::other(format!("it is {what}"))),
        });
        let file = file.map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if !metadata.is_file() {
            return Err("it is no regular file".into());
        }
        Ok(file)
    }

    /// The hash of a file's bytes.
    pub fn digest(&self, name: &str) -> std::result::Result<Digest, String> {
        let digest = Digest::of_reader(&mut self.file(name)?);
        let digest = digest.map_err(|e| format!("it can't be read: {e}"))?;
        Ok(digest.0)
    }

    /// The bytes of a file, which are not more than so many.
    pub fn bytes(&self, name: &str, most: u64) -> std::result::Result<Vec<u8>, String> {
        let unread = |e: io::Error| format!("it can't be read: {e}");
        let file = self.file(name)?;
        let mut bytes = Vec::new();
        file.take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(unread)?;
        match bytes.len() as u64 > most {
            true => Err(format!("it is longer than {most} bytes")),
            false => Ok(bytes),
        }
    }

    /// The text of a file, or why there is none that a ledger could hold.
    pub fn text(&self, name: &str) -> std::result::Result<String, String> {
        let bytes = self.bytes(name, MAX_TEXT_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        match text.contains('\0') {
            true => Err("it holds U+0000, which a ledger can't".into()),
            false => Ok(text),
        }
    }

    /// What the `meta.yaml` of each folder says that has one.
    pub fn metas(&self) -> HashMap<String, Meta> {
        let mut folders = Vec::new();
        for experiment in self.experiments() {
            folders.push(experiment.clone());
            for name in self.folders(&experiment) {
                let folder = join(&experiment, &name);
                match name.as_str() {
                    MODELS | DATASETS => {
                        let inner = self.folders(&folder).into_iter();
                        folders.extend(inner.map(|name| join(&folder, &name)));
                    }
                    TRACES | TAGS => {}
                    _ => {
                        let inputs = join(&folder, INPUTS);
                        folders.push(folder);
                        let inner = self.folders(&inputs).into_iter();
                        folders.extend(inner.map(|name| join(&inputs, &name)));
                    }
                }
            }
        }
        for name in self.folders(MODELS) {
            let model = join(MODELS, &name);
            let versions = self.folders(&model).into_iter();
            let versions = versions.filter(|name| name.starts_with("version-"));
            folders.extend(versions.map(|name| join(&model, &name)));
            folders.push(model);
        }
        folders.retain(|folder| self.has_meta(folder));
        let meta = |folder: String| {
            let text = self.text(&join(&folder, META)).ok();
            (folder, text.and_then(|text| yaml::scalars(&text)))
        };
        folders.into_iter().map(meta).collect()
    }

    /// The folders of the experiments, the deleted ones too.
    pub fn experiments(&self) -> Vec<String> {
        let is_other = |name: &String| name != TRASH && name != MODELS;
        let deleted = self.folders(TRASH).into_iter();
        let deleted = deleted.map(|name| join(TRASH, &name));
        let kept = self.folders("").into_iter().filter(is_other);
        let all = kept.chain(deleted);
        all.filter(|folder| self.has_meta(folder)).collect()
    }

    fn has_meta(&self, folder: &str) -> bool {
        let kind = self.in_folder(&join(folder, META), OpenFolder::kind);
        kind.is_ok()
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
