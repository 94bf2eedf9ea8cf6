//! Folders as artifacts: stored as one tar archive, unpacked into a new folder.
//!
//! One content, one archive, one hash: entries are in the order of their names' bytes, each says
//! its name below the folder (with `/`; a folder's ends in one), whether it is a file or a folder,
//! a file's size, and a mode, 0755 for folders and for files that anybody may execute, else 0644.
//! Times and owners are 0 and unnamed. Empty folders are kept. It is GNU's form of the format: names
//! over 100 bytes and sizes over 8 GiB have GNU's extensions.
//!
//! What such an archive can't hold is refused by name before anything is stored: links, pipes,
//! sockets, devices, what can't be read, and names that are no UTF-8, hold a control character or a
//! backslash (another system's separator), or are longer than any system takes. Names that this
//! system has and another hasn't (`a:b`, or `A` beside `a`) are kept; a system on which they
//! can't be made says so when it unpacks them.
//!
//! An archive may come from anywhere, its hash being right notwithstanding. It is unpacked from a
//! copy that only we have, once all its entries have been found to stay in the folder.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

use crate::error::{Error, Result};
use crate::format::digest::Digest;
use crate::format::id::Random;
use crate::ledger::objects::{Objects, Progress, Sink, Source, Stored, safe_file_name, unstorable};
use crate::platform::folder::{Kind, OpenFolder, is_refusal};
use crate::platform::memory::{self, OutOfMemory};
use crate::platform::sys;

/// The longest name below the folder. Systems take paths of 1024 to 4096 bytes, of which where it
/// is unpacked takes some.
const MAX_NAME_BYTES: usize = 2048;

/// What is in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Below the folder, with `/` between its parts.
    pub name: String,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Folder,
    File { size: u64, is_executable: bool },
}

/// A folder all of which can be stored.
pub struct Folder<'a> {
    tree: Tree<'a>,
    entries: Vec<Entry>,
}

impl Folder<'_> {
    /// Looks at all of it. What can't be stored is an error.
    pub fn look(path: &Path) -> Result<Folder<'_>> {
        Folder::of(Tree::open(path)?)
    }

    /// The same for one that is open. `path` says in errors where it is.
    pub fn look_in(root: OpenFolder, path: &Path) -> Result<Folder<'_>> {
        Folder::of(Tree { path, root })
    }

    fn of(tree: Tree<'_>) -> Result<Folder<'_>> {
        let entries = tree.look()?;
        Ok(Folder { tree, entries })
    }

    /// How much its files hold.
    pub fn bytes(&self) -> u64 {
        let size = |entry: &Entry| match entry.content {
            Content::Folder => 0,
            Content::File { size, .. } => size,
        };
        self.entries.iter().map(size).fold(0, u64::saturating_add)
    }

    pub fn put(
        &self,
        objects: &Objects,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Stored> {
        let mut fill = |sink: &mut Sink<'_>| self.tree.write(&self.entries, sink);
        objects.put_with(&mut fill, random, progress)
    }
}

/// A folder that is open, and what is below it.
struct Tree<'a> {
    path: &'a Path,
    root: OpenFolder,
}

impl Tree<'_> {
    fn open(path: &Path) -> Result<Tree<'_>> {
        match OpenFolder::open(path) {
            Ok(root) => Ok(Tree { path, root }),
            Err(e) => Err(match fs::symlink_metadata(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Error::NotFound {
                    path: path.to_owned(),
                },
                Ok(there) if there.is_symlink() => {
                    unstorable(path, "it is a symbolic link".to_owned())
                }
                _ => unopened(path, e),
            }),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        match name {
            "" => self.path.to_owned(),
            name => self.path.join(name),
        }
    }

    /// A folder below, found step by step, and the last part of a name in it.
    fn step<T>(
        &self,
        name: &str,
        last: impl Fn(&OpenFolder, &OsStr) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut parts = name.split('/').map(OsStr::new);
        let file = parts.next_back().expect("a name has a part");
        let mut opened: Option<OpenFolder> = None;
        for part in parts {
            opened = Some(opened.as_ref().unwrap_or(&self.root).folder(part)?);
        }
        last(opened.as_ref().unwrap_or(&self.root), file)
    }

    /// Everything below, in the order of the archive. What can't be stored is an error.
    fn look(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = self.path(&folder);
            let opened = match folder.as_str() {
                "" => None,
                name => {
                    let opened = self.step(name, OpenFolder::folder);
                    Some(opened.map_err(|e| unopened(&path, e))?)
                }
            };
            let opened = opened.as_ref().unwrap_or(&self.root);
            for name in opened.names().map_err(|e| unopened(&path, e))? {
                let path = path.join(&name);
                let below = match (storable(&name), folder.as_str()) {
                    (Err(why), _) => return Err(unstorable(&path, why)),
                    (Ok(name), "") => name.to_owned(),
                    (Ok(name), folder) => format!("{folder}/{name}"),
                };
                if below.len() > MAX_NAME_BYTES {
                    let why =
                        format!("its name in the folder is longer than {MAX_NAME_BYTES} bytes");
                    return Err(unstorable(&path, why));
                }
                let kind = opened.kind(&name).map_err(|e| unopened(&path, e))?;
                let content = match kind {
                    Kind::Folder => {
                        folders.push(below.clone());
                        Content::Folder
                    }
                    Kind::File => {
                        let file = opened.file(&name).map_err(|e| unopened(&path, e))?;
                        content(&Source::of(file, &path)?.before)
                    }
                    Kind::Other(what) => return Err(unstorable(&path, format!("it is {what}"))),
                };
                let name = below;
                entries.push(Entry { name, content });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn write(&self, entries: &[Entry], sink: &mut Sink<'_>) -> Result<()> {
        let mut archive = Builder::new(Written(sink));
        for entry in entries {
            let path = self.path(&entry.name);
            let failed =
                |e: io::Error| e.downcast().unwrap_or_else(|e| Error::io(&path, "read", e));
            let mut header = Header::new_gnu();
            header.set_uid(0);
            header.set_gid(0);
            if entry.content == Content::Folder {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                header.set_mode(0o755);
                let name = format!("{}/", entry.name);
                let added = archive.append_data(&mut header, name, io::empty());
                added.map_err(failed)?;
                continue;
            }
            let file = self.step(&entry.name, OpenFolder::file);
            let file = file.map_err(|e| unopened(&path, e))?;
            let mut source = Source::of(file, &path)?;
            // As it is now; that it changes from here on is an error.
            let Content::File {
                size,
                is_executable,
            } = content(&source.before)
            else {
                continue;
            };
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            header.set_mode(if is_executable { 0o755 } else { 0o644 });
            let added = archive.append_data(&mut header, &entry.name, io::empty());
            added.map_err(failed)?;
            let out = archive.get_mut();
            source.read(&mut |block| out.0.take(block))?;
            let padding = size.next_multiple_of(BLOCK_BYTES) - size;
            out.0.take(&[0; BLOCK_BYTES as usize][..padding as usize])?;
        }
        let finished = archive.finish();
        finished.map_err(|e| {
            e.downcast()
                .unwrap_or_else(|e| Error::io(self.path, "pack", e))
        })
    }
}

/// Everything in an archive begins at a multiple of so many bytes.
const BLOCK_BYTES: u64 = 512;

/// A sink as the archive's builder wants it.
struct Written<'a, 'b>(&'a mut Sink<'b>);

impl Write for Written<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.take(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unopened(path: &Path, e: io::Error) -> Error {
    match is_refusal(&e) {
        true => unstorable(path, format!("it can't be opened: {e}")),
        false => Error::io(path, "open", e),
    }
}

/// A name that every archive holds, or why this one is none.
fn storable(name: &OsStr) -> std::result::Result<&str, String> {
    match name.to_str() {
        None => Err("its name is not UTF-8".into()),
        Some(name) if name.contains(|c: char| c.is_control() || c == '\\') => {
            Err("its name holds a control character or a backslash".into())
        }
        Some(name) => Ok(name),
    }
}

fn content(file: &fs::Metadata) -> Content {
    #[cfg(unix)]
    let is_executable = std::os::unix::fs::MetadataExt::mode(file) & 0o111 != 0;
    #[cfg(not(unix))]
    let is_executable = false;
    Content::File {
        size: file.len(),
        is_executable,
    }
}

/// The entries of an archive, all of which stay in the folder that it is unpacked to, or why it
/// can't be unpacked.
pub fn list<A: Read + Seek>(archive: &mut A) -> std::result::Result<Vec<Entry>, String> {
    let unread = |e: io::Error| format!("it can't be read: {e}");
    let size = archive.seek(io::SeekFrom::End(0)).map_err(unread)?;
    archive.rewind().map_err(unread)?;
    let mut archive = Archive::new(archive);
    let mut entries = Vec::new();
    let mut long_name = None;
    for entry in archive.entries_with_seek().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        if is_long_name(&entry) {
            long_name = Some(read_long_name(&mut entry).map_err(unread)?);
            continue;
        }
        let found = check(&entry, long_name.take())?;
        let end = entry.raw_file_position().checked_add(entry.size());
        if end.is_none_or(|end| end > size) {
            return Err(format!("it ends within '{}'", found.name));
        }
        memory::look(0).map_err(|OutOfMemory| "there is not enough memory".to_owned())?;
        entries.push(found);
    }
    // A folder comes right before what is in it.
    let key = |entry: &Entry| entry.name.replace('/', "\0");
    let mut order: Vec<(String, &Entry)> =
        entries.iter().map(|entry| (key(entry), entry)).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for pair in order.windows(2) {
        let [(before, entry), (after, _)] = pair else {
            continue;
        };
        let rest = after.strip_prefix(before.as_str());
        if rest == Some("") {
            return Err(format!("it holds '{}' twice", entry.name));
        }
        if rest.is_some_and(|rest| rest.starts_with('\0')) && entry.content != Content::Folder {
            return Err(format!(
                "it holds '{}' as a file and as a folder",
                entry.name
            ));
        }
    }
    Ok(entries)
}

/// Whether an entry is only the name of the next one: `utils::tar()`, with which earlier versions packed, writes such
/// without the mark of the form of archive that has them.
fn is_long_name<R: Read>(entry: &tar::Entry<'_, R>) -> bool {
    entry.header().entry_type() == EntryType::GNULongName
}

fn read_long_name<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut name = Vec::new();
    entry
        .take(MAX_NAME_BYTES as u64 + 2)
        .read_to_end(&mut name)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// What an entry is, if a folder may hold it.
fn check<R: Read>(
    entry: &tar::Entry<'_, R>,
    long_name: Option<Vec<u8>>,
) -> std::result::Result<Entry, String> {
    let bytes = long_name.map_or_else(|| entry.path_bytes(), Cow::Owned);
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let kind = entry.header().entry_type();
    let content = match kind {
        EntryType::Directory => Content::Folder,
        EntryType::Regular => Content::File {
            size: entry.size(),
            is_executable: entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0),
        },
        EntryType::Symlink | EntryType::Link => {
            return Err(format!("it holds the link '{}'", shown()));
        }
        _ => {
            return Err(format!(
                "it holds '{}', neither a file nor a folder",
                shown()
            ));
        }
    };
    if bytes.len() > MAX_NAME_BYTES {
        return Err(format!("it holds '{}…', a name that is too long", shown()));
    }
    let name = match (std::str::from_utf8(&bytes), content) {
        (Err(_), _) => return Err(format!("it holds '{}', a name that is not UTF-8", shown())),
        (Ok(name), Content::Folder) => name.strip_suffix('/').unwrap_or(name),
        (Ok(name), _) => name,
    };
    for part in name.split('/') {
        let stays = !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !stays {
            return Err(format!(
                "it holds '{name}', which may lead out of its folder"
            ));
        }
        if cfg!(windows) && safe_file_name(part).is_none() {
            return Err(format!("it holds '{name}', which Windows has no name for"));
        }
    }
    let name = name.to_owned();
    Ok(Entry { name, content })
}

/// Unpacks a stored folder into a new one. After an error that isn't there.
pub fn unpack(
    objects: &Objects,
    digest: &Digest,
    size: Option<u64>,
    to: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    let failed = |e| Error::io(to, "make the folder", e);
    let above = fs::canonicalize(sys::folder_of(to)).and_then(|above| OpenFolder::open(&above));
    let name = to.file_name().ok_or(io::ErrorKind::InvalidInput);
    let (above, name) = (above.map_err(failed)?, name.map_err(|e| failed(e.into()))?);
    unpack_into(objects, digest, size, (&above, name, to), progress)
}

/// Unpacks a stored folder into a new one in an open folder, which should be nobody else's. `path` says in errors where
/// that is.
pub fn unpack_into(
    objects: &Objects,
    digest: &Digest,
    size: Option<u64>,
    (above, name, path): (&OpenFolder, &OsStr, &Path),
    progress: Progress<'_>,
) -> Result<()> {
    let mut copy = name.to_owned();
    copy.push(".tar");
    let made = above.create(&copy, false);
    let mut archive = made.map_err(|e| Error::io(path, "unpack to", e))?;
    let refused = |why| Error::Archive {
        path: objects.path(digest),
        why,
    };
    let unpacked = objects
        .copy_into(digest, size, (&mut archive, path), progress)
        .and_then(|()| list(&mut archive).map_err(refused))
        .and_then(|entries| {
            let to = above.make(name);
            let to = to.map_err(|e| Error::io(path, "make the folder", e))?;
            let written = write_entries(&mut archive, &entries, &to, path);
            written.inspect_err(|_| drop(above.remove_folder(name)))
        });
    drop(archive);
    drop(above.remove_file(&copy));
    unpacked
}

/// Makes what entries say in a new folder; every file and folder is new.
fn write_entries(
    archive: &mut File,
    entries: &[Entry],
    to: &OpenFolder,
    path: &Path,
) -> Result<()> {
    let unread = |e| Error::io(path, "unpack to", e);
    archive.rewind().map_err(unread)?;
    let mut archive = Archive::new(archive);
    let packed = archive.entries_with_seek().map_err(unread)?;
    let packed = packed.filter(|entry| !entry.as_ref().is_ok_and(is_long_name));
    for (entry, packed) in entries.iter().zip(packed) {
        let failed = |e| Error::io(&path.join(&entry.name), "write", e);
        // An earlier version's archives don't name every folder.
        let mut parts = entry.name.split('/').map(OsStr::new);
        let last = parts.next_back().expect("a name has a part");
        let mut opened: Option<OpenFolder> = None;
        for part in parts {
            opened = Some(
                opened
                    .as_ref()
                    .unwrap_or(to)
                    .ensure_folder(part)
                    .map_err(failed)?,
            );
        }
        let folder = opened.as_ref().unwrap_or(to);
        match entry.content {
            Content::Folder => drop(folder.ensure_folder(last).map_err(failed)?),
            Content::File {
                size,
                is_executable,
            } => {
                let mut file = folder.create(last, is_executable).map_err(failed)?;
                let copied = io::copy(&mut packed.map_err(unread)?, &mut file).map_err(failed)?;
                if copied != size {
                    return Err(failed(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
    Ok(())
}
