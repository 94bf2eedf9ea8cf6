//! The bytes of artifacts, each in a file named by its hash, in a folder beside the ledger.
//!
//! `<ledger>.objects/ab/abcd…` holds the bytes whose SHA-256 is `abcd…`. A file appears under such
//! a name in one step, when all its bytes are on disk, and is never written to after that. While
//! bytes come in they are in `<ledger>.objects/tmp-…`, which is locked as long as its writer lives;
//! every writer removes those whose lock it can take.
//!
//! Nothing in the folder is trusted: bytes are hashed again whenever they are asked for, and
//! symbolic links are not followed, neither for a file nor for a folder. What is handed out is what
//! was hashed, in memory or in a copy that was made in the same pass. What is made, renamed, removed or
//! given rights to is found from the folder that was opened at the beginning, so that nobody who puts a
//! link or another folder in its place makes us do that elsewhere.
//!
//! Who may read or write the ledger may read or add objects: `<ledger>.objects` gets the rights and
//! the group of the ledger's file (of a ledger that isn't there yet, what the umask gives), its
//! folders and files those of `<ledger>.objects`, whatever the umask of the writer.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Damage, Error, Result};
use crate::format::digest::{Digest, Hasher};
use crate::format::id::{self, Random};
use crate::platform::folder::{Kind, OpenFolder};
use crate::platform::rights::Rights;
use crate::platform::{memory, sys};

/// Is told how many bytes are done and says whether to give up.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> bool;

const TEMPORARY: &str = "tmp-";
const BLOCK: usize = 1 << 18;
/// How often a step that others can thwart is tried.
const ATTEMPTS: usize = 100;

/// The folder of the stored bytes of one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    ledger: PathBuf,
    root: PathBuf,
}

/// What was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub digest: Digest,
    pub size: u64,
}

/// An object whose bytes were found to be right.
#[derive(Debug)]
pub struct Opened {
    /// At its first byte. What was verified is read from here.
    pub file: File,
    /// For those who need a name. Whoever may write in the folder can put another file there
    /// after the look that we took.
    pub path: PathBuf,
    pub size: u64,
}

impl Objects {
    /// The folder `<ledger>.objects`, which need not be there. A ledger that is reached through a
    /// link has its objects where it really is.
    pub fn beside(ledger: &Path) -> Objects {
        let ledger = fs::canonicalize(ledger).unwrap_or_else(|_| ledger.to_owned());
        let mut root = ledger.clone().into_os_string();
        root.push(".objects");
        let root = root.into();
        Objects { ledger, root }
    }

    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Whether any bytes are stored.
    pub fn holds_any(&self) -> io::Result<bool> {
        let folders = match fs::read_dir(&self.root) {
            Ok(folders) => folders,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        for folder in folders {
            let folder = folder?;
            let is_of_hashes = folder.file_name().len() == 2;
            if is_of_hashes && fs::read_dir(folder.path())?.next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the bytes with this hash are, or would be: `ab/abcd…`.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder_of(digest).join(name)
    }

    fn folder_of(&self, digest: &Digest) -> PathBuf {
        self.root.join(&digest.to_string()[..2])
    }

    /// Stores all that can be read. When this comes back the bytes and their name are on disk.
    ///
    /// After an error nothing is stored, but for one case: bytes whose name could not be confirmed
    /// to be on disk stay, whole and right, since another writer may count on them.
    pub fn put(
        &self,
        source: &mut dyn Read,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Stored> {
        let failed = |e| Error::io(&self.root, "read what is to be stored in", e);
        let mut fill = |sink: &mut Sink<'_>| read_blocks(source, &failed, &mut |b| sink.take(b));
        self.put_with(&mut fill, random, progress)
    }

    /// Stores a file's bytes. Only a regular file will do, one that doesn't change meanwhile.
    pub fn put_file(
        &self,
        path: &Path,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Stored> {
        let mut source = Source::open(path)?;
        let mut fill = |sink: &mut Sink<'_>| source.read(&mut |block| sink.take(block));
        self.put_with(&mut fill, random, progress)
    }

    /// Stores the bytes of a file that is open, under the same conditions. `path` says in errors which it is.
    pub fn put_open(
        &self,
        file: File,
        path: &Path,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Stored> {
        let mut source = Source::of(file, path)?;
        let mut fill = |sink: &mut Sink<'_>| source.read(&mut |block| sink.take(block));
        self.put_with(&mut fill, random, progress)
    }

    /// Stores what is put into a sink, unless that fails.
    pub(super) fn put_with(
        &self,
        fill: &mut dyn FnMut(&mut Sink<'_>) -> Result<()>,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Stored> {
        let is_new = made(&self.root, fs::create_dir(&self.root))?;
        let root = opened(&self.root, OpenFolder::enter(&self.root))?;
        if is_new {
            if let Ok(ledger) = Rights::at(&self.ledger) {
                share(&root, &ledger, true, &|name| {
                    is_temporary(name) || name.len() == 2
                });
            }
        }
        remove_abandoned(&root);
        let mut temporary = Temporary::create(&root, &self.root, random)?;
        let mut sink = Sink {
            file: &temporary.file,
            path: &temporary.path(),
            hasher: Hasher::default(),
            size: 0,
            progress,
        };
        fill(&mut sink)?;
        let Sink { hasher, size, .. } = sink;
        let digest = hasher.finish();
        self.check_place(&root)?;
        let rights = root.rights();
        let rights = rights.map_err(|e| Error::io(&self.root, "look at", e))?;
        let path = self.folder_of(&digest);
        let name = path.file_name().unwrap_or_default();
        let is_new = made(&path, root.make_folder(name))?;
        let two = opened(&path, root.enter_folder(name))?;
        share(&two, &rights, is_new, &|object| {
            object.len() == 64
                && object
                    .as_encoded_bytes()
                    .starts_with(name.as_encoded_bytes())
        });
        self.publish(&mut temporary, &two, &digest, size, &rights, progress)?;
        self.sync_name(&digest, &two, &root)?;
        self.check_place(&root)?;
        Ok(Stored { digest, size })
    }

    /// That the folder which was opened is still the one beside the ledger.
    fn check_place(&self, root: &OpenFolder) -> Result<()> {
        let why = || io::Error::other("another folder, or a link, has come into its place");
        match root.is_at(&self.root) {
            true => Ok(()),
            false => Err(Error::io(&self.root, "store in", why())),
        }
    }

    /// Puts the name of stored bytes on disk: another writer may have made it or a folder, and not have got so far yet.
    fn sync_name(&self, digest: &Digest, two: &OpenFolder, root: &OpenFolder) -> Result<()> {
        let unsynced = |folder: &Path, e| Error::io(folder, "sync", e);
        two.sync()
            .map_err(|e| unsynced(&self.folder_of(digest), e))?;
        root.sync().map_err(|e| unsynced(&self.root, e))?;
        let beside = sys::folder_of(&self.root);
        sys::sync_folder(beside).map_err(|e| unsynced(beside, e))
    }

    /// Whether something has the name of these bytes.
    pub fn has_name(&self, digest: &Digest) -> bool {
        fs::symlink_metadata(self.path(digest)).is_ok()
    }

    /// Stores the bytes with this hash from another folder, and says whether they came, or were here. The inner error
    /// is what is wrong with them there, and then nothing is stored.
    pub fn put_from(
        &self,
        from: &Objects,
        digest: &Digest,
        size: Option<u64>,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Result<bool>> {
        if let Ok(here) = self.open(digest, size, &mut |_| false) {
            sys::sync_read_only(&here.file).map_err(|e| Error::io(&here.path, "sync", e))?;
            let path = self.folder_of(digest);
            let root = opened(&self.root, OpenFolder::enter(&self.root))?;
            let two = opened(
                &path,
                root.enter_folder(path.file_name().unwrap_or_default()),
            )?;
            self.sync_name(digest, &two, &root)?;
            return Ok(Ok(false));
        }
        if !from.has_name(digest) {
            return Ok(from.open(digest, size, &mut |_| false).map(|_| false));
        }
        let mut is_theirs = false;
        let mut fill = |sink: &mut Sink<'_>| {
            let mut is_taken = true;
            let mut keep = |block: &[u8]| sink.take(block).inspect_err(|_| is_taken = false);
            let read = from.verify(digest, size, &mut keep, &mut |_| false);
            is_theirs = is_taken && read.is_err();
            read.map(drop)
        };
        match self.put_with(&mut fill, random, progress) {
            Ok(_) => Ok(Ok(true)),
            Err(e) if is_theirs => Ok(Err(e)),
            Err(e) => Err(e),
        }
    }

    /// Gives the temporary's bytes their name, unless they are there already.
    fn publish(
        &self,
        temporary: &mut Temporary<'_>,
        two: &OpenFolder,
        digest: &Digest,
        size: u64,
        rights: &Rights,
        progress: Progress<'_>,
    ) -> Result<()> {
        let path = self.path(digest);
        let name = path.file_name().unwrap_or_default();
        let mut sealed = false;
        for _ in 0..ATTEMPTS {
            let there = self.verify(digest, Some(size), &mut |_| Ok(()), &mut |_| progress(size));
            let damage = match there {
                Ok(object) => {
                    return sys::sync_read_only(&object.file)
                        .map_err(|e| Error::io(&path, "sync", e));
                }
                Err(Error::Artifact { damage, .. }) => damage,
                Err(e) => return Err(e),
            };
            if damage == Damage::Astray {
                return Err(Error::Artifact { path, damage });
            }
            if !sealed {
                temporary.seal(rights)?;
                sealed = true;
            }
            if damage == Damage::Missing {
                match temporary.folder.link(&temporary.name, two, name) {
                    Ok(()) => return Ok(()),
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                    // Links don't work here. Should somebody else be faster, then the same bytes
                    // replace each other.
                    Err(_) => {}
                }
            }
            match temporary.rename(two, name) {
                Ok(()) => return Ok(()),
                Err(e) if two.kind(name).is_err() => {
                    return Err(Error::io(&path, "make", e));
                }
                // Where an open file can't be replaced, look whether it is right by now.
                Err(e) if cfg!(windows) && damage == Damage::Missing => drop(e),
                Err(e) => return Err(Error::io(&path, "replace the damaged", e)),
            }
        }
        Err(Error::io(
            &path,
            "make",
            io::Error::other("it comes and goes"),
        ))
    }

    /// Opens the bytes with this hash, if they are what the hash says, and of this size.
    pub fn open(
        &self,
        digest: &Digest,
        size: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<Opened> {
        let mut object = self.verify(digest, size, &mut |_| Ok(()), progress)?;
        match object.file.rewind() {
            Ok(()) => Ok(object),
            Err(e) => Err(Error::io(&object.path, "read", e)),
        }
    }

    /// Reads the bytes with this hash. What comes back is what was hashed.
    pub fn read(
        &self,
        digest: &Digest,
        size: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<Vec<u8>> {
        let path = self.path(digest);
        let mut bytes = Vec::new();
        let mut keep = |block: &[u8]| {
            memory::append(&mut bytes, block).map_err(|e| Error::io(&path, "read", e))
        };
        self.verify(digest, size, &mut keep, progress)?;
        Ok(bytes)
    }

    /// Copies the bytes with this hash to a new file, which is not there if they aren't right. It
    /// comes back at its first byte.
    pub fn copy(
        &self,
        digest: &Digest,
        size: Option<u64>,
        to: &Path,
        progress: Progress<'_>,
    ) -> Result<File> {
        write_copy(to, &mut |keep| {
            self.verify(digest, size, keep, &mut *progress).map(drop)
        })
    }

    /// Copies the bytes with this hash into a file that is open and empty, in which there is anything if they aren't
    /// right. `path` says in errors which it is.
    pub fn copy_into(
        &self,
        digest: &Digest,
        size: Option<u64>,
        (to, path): (&mut File, &Path),
        progress: Progress<'_>,
    ) -> Result<()> {
        let failed = |e| Error::io(path, "write", e);
        let mut keep = |block: &[u8]| to.write_all(block).map_err(failed);
        self.verify(digest, size, &mut keep, progress)?;
        to.rewind().map_err(failed)
    }

    fn verify(
        &self,
        digest: &Digest,
        size: Option<u64>,
        keep: &mut dyn FnMut(&[u8]) -> Result<()>,
        progress: Progress<'_>,
    ) -> Result<Opened> {
        let path = self.path(digest);
        let wrong = |damage| Error::Artifact {
            path: path.clone(),
            damage,
        };
        let unread = |e| Error::io(&path, "read", e);
        let look = |path: &Path| match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(wrong(Damage::Missing)),
            looked => looked.map_err(unread),
        };
        for folder in [&self.root, &self.folder_of(digest)] {
            match look(folder) {
                Ok(there) if there.is_dir() => {}
                Ok(_) => return Err(wrong(Damage::Astray)),
                Err(Error::Artifact { .. }) if *folder == self.root => {
                    return Err(wrong(Damage::NoFolder));
                }
                Err(e) => return Err(e),
            }
        }
        let regular = |kind: FileType| match kind {
            kind if kind.is_file() => Ok(()),
            kind if kind.is_symlink() => Err(wrong(Damage::Link)),
            _ => Err(wrong(Damage::NotAFile)),
        };
        regular(look(&path)?.file_type())?;
        let mut file = match open_no_follow(&path) {
            Ok(file) => file,
            Err(e) => {
                // It may have been replaced in between.
                regular(look(&path)?.file_type())?;
                return Err(unread(e));
            }
        };
        let metadata = file.metadata().map_err(unread)?;
        regular(metadata.file_type())?;
        let expected = size.unwrap_or(metadata.len());
        let compare = |found: u64| match found {
            _ if found < expected => Err(wrong(Damage::Truncated)),
            _ if found > expected => Err(wrong(Damage::Changed)),
            _ => Ok(()),
        };
        compare(metadata.len())?;
        let mut done = 0;
        let mut keep = |block: &[u8]| {
            done += block.len() as u64;
            match done > expected {
                true => compare(done),
                false => keep(block),
            }
        };
        let mut read = |keep: Keep<'_>| read_blocks(&mut file, &unread, keep);
        let found = hash_blocks(&mut read, &mut keep, progress)?;
        compare(found.size)?;
        let size = found.size;
        match found.digest == *digest {
            true => Ok(Opened { file, path, size }),
            false => Err(wrong(Damage::Changed)),
        }
    }
}

/// What takes blocks of bytes.
type Keep<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// Where the bytes of an object go while it is being stored.
pub(super) struct Sink<'a> {
    file: &'a File,
    path: &'a Path,
    hasher: Hasher,
    size: u64,
    progress: Progress<'a>,
}

impl Sink<'_> {
    pub fn take(&mut self, block: &[u8]) -> Result<()> {
        self.hasher.update(block);
        let written = self.file.write_all(block);
        written.map_err(|e| Error::io(self.path, "write", e))?;
        self.size += block.len() as u64;
        match (self.progress)(self.size) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

/// Reads to the end and hands each block on.
fn read_blocks(
    source: &mut dyn Read,
    unread: &dyn Fn(io::Error) -> Error,
    keep: Keep<'_>,
) -> Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match source.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(n) => keep(&block[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unread(e)),
        }
    }
}

/// Hashes all blocks that a reader hands on, and hands them on itself.
fn hash_blocks(
    read: &mut dyn FnMut(Keep<'_>) -> Result<()>,
    keep: Keep<'_>,
    progress: Progress<'_>,
) -> Result<Stored> {
    let mut hasher = Hasher::default();
    let mut size = 0;
    read(&mut |block| {
        hasher.update(block);
        keep(block)?;
        size += block.len() as u64;
        match progress(size) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    })?;
    let digest = hasher.finish();
    Ok(Stored { digest, size })
}

/// Writes blocks to a new file, which goes again if they turn out wrong. It comes back at its
/// first byte.
fn write_copy(to: &Path, read: &mut dyn FnMut(Keep<'_>) -> Result<()>) -> Result<File> {
    let failed = |e| Error::io(to, "write", e);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create_new(true);
    let mut file = options.open(to).map_err(failed)?;
    let mut keep = |block: &[u8]| file.write_all(block).map_err(failed);
    let written = read(&mut keep).and_then(|()| file.rewind().map_err(failed));
    match written {
        Ok(()) => Ok(file),
        Err(e) => {
            drop(file);
            drop(fs::remove_file(to));
            Err(e)
        }
    }
}

/// Gives a folder that holds nothing but what belongs there the rights of another or of a file: one that somebody put
/// into its place is left as it is. Where the system has no rights to give nothing is lost.
fn share(folder: &OpenFolder, like: &Rights, is_new: bool, belongs: &dyn Fn(&OsStr) -> bool) {
    let is_ours = folder
        .names()
        .is_ok_and(|names| names.iter().all(|name| belongs(name)));
    if is_ours {
        drop(folder.share(like, is_new));
    }
}

fn open_no_follow(path: &Path) -> io::Result<File> {
    sys::no_follow(OpenOptions::new().read(true)).open(path)
}

/// Whether a folder was made, rather than was there.
fn made(path: &Path, made: io::Result<()>) -> Result<bool> {
    match made {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io(path, "make the folder", e)),
    }
}

/// A folder to store in; anything else that is there is refused.
fn opened(path: &Path, opened: io::Result<OpenFolder>) -> Result<OpenFolder> {
    opened.map_err(|e| match fs::symlink_metadata(path) {
        Ok(there) if !there.is_dir() => {
            let why = format!(
                "it is {}, not a folder",
                sys::kind_of_file(there.file_type())
            );
            let why = io::Error::new(io::ErrorKind::NotADirectory, why);
            Error::io(path, "store in", why)
        }
        _ => Error::io(path, "store in", e),
    })
}

fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// A file that is being written and has no name of its own yet. It is locked while this lives, and
/// goes with it.
struct Temporary<'f> {
    file: File,
    folder: &'f OpenFolder,
    /// The folder, for messages.
    root: &'f Path,
    name: OsString,
    renamed: bool,
}

impl<'f> Temporary<'f> {
    fn create(folder: &'f OpenFolder, root: &'f Path, random: Random<'_>) -> Result<Self> {
        let mut path = root.to_owned();
        for _ in 0..ATTEMPTS {
            let id: String = id::short_id(random).collect();
            let name = OsString::from(format!("{TEMPORARY}{id}"));
            path = root.join(&name);
            let file = match folder.create(&name, false) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(|e| Error::io(&path, "make", e))?,
            };
            let claimed = Temporary::claim(file, folder, root, name);
            if let Some(temporary) = claimed.map_err(|e| Error::io(&path, "lock", e))? {
                return Ok(temporary);
            }
        }
        let why = io::Error::other("others remove it again and again");
        Err(Error::io(&path, "make", why))
    }

    /// Locks a new file, unless another has taken it for an abandoned one in between.
    fn claim(
        file: File,
        folder: &'f OpenFolder,
        root: &'f Path,
        name: OsString,
    ) -> io::Result<Option<Self>> {
        match sys::try_lock(&file) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(e) => {
                let _ = folder.remove_file(&name);
                return Err(e);
            }
        }
        // What is no longer ours must not be made one of these: dropping that would remove what has the name now.
        let is_ours = is_named(&file, folder, &name)?;
        Ok(is_ours.then(|| Temporary {
            file,
            folder,
            root,
            name,
            renamed: false,
        }))
    }

    fn path(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// Puts the bytes on disk and takes the right to write to them away from everybody.
    fn seal(&mut self, rights: &Rights) -> Result<()> {
        let sealed = rights.seal(&self.file).and_then(|()| self.file.sync_all());
        sealed.map_err(|e| Error::io(&self.path(), "sync", e))
    }

    /// Takes the place of whatever is there, but of a folder only if it is empty.
    fn rename(&mut self, to: &OpenFolder, name: &OsStr) -> io::Result<()> {
        if to.kind(name).is_ok_and(|kind| kind == Kind::Folder) {
            to.remove_empty(name)?;
        }
        self.folder.rename(&self.name, to, name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = self.folder.remove_file(&self.name);
        }
    }
}

fn is_named(file: &File, folder: &OpenFolder, name: &OsStr) -> io::Result<bool> {
    let id = sys::file_id(file, &file.metadata()?)?;
    match folder.file_id(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        named => Ok(named? == id),
    }
}

/// Removes what writers that are no more have left. A failure here is nobody's loss.
fn remove_abandoned(folder: &OpenFolder) {
    for name in folder.names().unwrap_or_default() {
        let is_file = || folder.kind(&name).is_ok_and(|kind| kind == Kind::File);
        if is_temporary(&name) && is_file() {
            let _ = remove_if_abandoned(folder, &name);
        }
    }
}

fn remove_if_abandoned(folder: &OpenFolder, name: &OsStr) -> io::Result<()> {
    // Some systems lock only what may be written to; a sealed file may not.
    let file = folder.file_to_write(name).or_else(|_| folder.file(name))?;
    if sys::try_lock(&file)? && is_named(&file, folder, name)? {
        folder.remove_file(name)?;
    }
    Ok(())
}

/// The error with which a file would be refused before any of it is read.
pub fn check_storable(path: &Path) -> Result<()> {
    Source::open(path).map(drop)
}

/// The digest and the size of a file, under the same conditions as when it is stored.
pub fn hash_file(path: &Path, progress: Progress<'_>) -> Result<Stored> {
    let mut source = Source::open(path)?;
    hash_blocks(&mut |keep| source.read(keep), &mut |_| Ok(()), progress)
}

/// The bytes of a file that was recorded by its path. What comes back is what was hashed.
pub fn read_file(path: &Path, digest: &Digest, progress: Progress<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut keep =
        |block: &[u8]| memory::append(&mut bytes, block).map_err(|e| Error::io(path, "read", e));
    verify_file(path, digest, &mut keep, progress)?;
    Ok(bytes)
}

/// Copies the bytes of a file that was recorded by its path to a new one, as [`Objects::copy`] does.
pub fn copy_file(path: &Path, digest: &Digest, to: &Path, progress: Progress<'_>) -> Result<File> {
    write_copy(to, &mut |keep| {
        verify_file(path, digest, keep, &mut *progress)
    })
}

fn verify_file(path: &Path, digest: &Digest, keep: Keep<'_>, progress: Progress<'_>) -> Result<()> {
    let mut source = Source::open(path)?;
    let found = hash_blocks(&mut |keep| source.read(keep), keep, progress)?;
    match found.digest == *digest {
        true => Ok(()),
        false => Err(Error::Artifact {
            path: path.to_owned(),
            damage: Damage::Changed,
        }),
    }
}

/// A regular file that is about to be read, and how it was before.
pub(super) struct Source {
    path: PathBuf,
    file: File,
    pub before: fs::Metadata,
}

impl Source {
    fn open(path: &Path) -> Result<Source> {
        let regular = |kind: FileType| match kind.is_file() {
            true => Ok(()),
            false => Err(unstorable(
                path,
                format!("it is {}", sys::kind_of_file(kind)),
            )),
        };
        let unopened = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Error::NotFound {
                path: path.to_owned(),
            },
            _ => Error::io(path, "open", e),
        };
        // Opening a device can be an act of its own.
        regular(fs::symlink_metadata(path).map_err(unopened)?.file_type())?;
        let file = open_no_follow(path).map_err(|e| match fs::symlink_metadata(path) {
            Ok(now) if !now.is_file() => {
                let became = sys::kind_of_file(now.file_type());
                unstorable(path, format!("it became {became} just now"))
            }
            _ => unopened(e),
        })?;
        Source::of(file, path)
    }

    /// A file that was opened, if it is a regular one.
    pub fn of(file: File, path: &Path) -> Result<Source> {
        let before = file.metadata().map_err(|e| Error::io(path, "look at", e))?;
        let path = path.to_owned();
        match before.is_file() {
            true => Ok(Source { path, file, before }),
            false => Err(unstorable(
                &path,
                format!("it is {}", sys::kind_of_file(before.file_type())),
            )),
        }
    }

    /// Reads to the end. That the file has changed meanwhile is an error.
    pub fn read(&mut self, keep: Keep<'_>) -> Result<()> {
        let path = &self.path;
        let mut size = 0;
        let mut count = |block: &[u8]| {
            size += block.len() as u64;
            keep(block)
        };
        let unread = |e| Error::io(path, "read", e);
        read_blocks(&mut self.file, &unread, &mut count)?;
        unchanged(path, &self.file, &self.before, size)
    }
}

pub(super) fn unstorable(path: &Path, why: String) -> Error {
    Error::Unstorable {
        path: path.to_owned(),
        why,
    }
}

/// Refuses a file that didn't hold still while `size` bytes of it were read.
fn unchanged(path: &Path, file: &File, before: &fs::Metadata, size: u64) -> Result<()> {
    let after = file.metadata().map_err(|e| Error::io(path, "look at", e))?;
    if size != before.len() || size != after.len() {
        return Err(unstorable(
            path,
            format!(
                "it changed while it was read: it had {} bytes, {size} were read, now it has {}",
                before.len(),
                after.len()
            ),
        ));
    }
    match (before.modified(), after.modified()) {
        (Ok(before), Ok(after)) if before != after => Err(unstorable(
            path,
            "it was written to while it was read".into(),
        )),
        _ => Ok(()),
    }
}

/// The name, if a file of this name stays in the folder that it is written to, whatever the system.
///
/// Windows decides: it takes `CON` or `nul.txt` for devices, `c:x` for a drive or a stream, drops
/// dots and spaces at the end, and knows two separators.
pub fn safe_file_name(name: &str) -> Option<&str> {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    const NUMBERED: [&str; 2] = ["COM", "LPT"];
    let forbidden = |c: char| c.is_control() || r#"<>:"/\|?*"#.contains(c);
    let stem = name.split('.').next().unwrap_or("");
    let stem = stem.trim_end_matches(' ').to_ascii_uppercase();
    let device = DEVICES.contains(&stem.as_str())
        || NUMBERED.iter().any(|device| {
            let number = stem.strip_prefix(device).map(|number| number.chars());
            number.is_some_and(|mut number| {
                let digit = |c: char| c.is_ascii_digit() || "¹²³".contains(c);
                number.next().is_some_and(digit) && number.next().is_none()
            })
        });
    // `.` and `..` end in a dot.
    let safe = !name.is_empty()
        && name.len() <= 255
        && !name.contains(forbidden)
        && !name.ends_with(['.', ' '])
        && !device;
    safe.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_that_another_took_is_given_up() {
        let folder = std::env::temp_dir().join(format!("fitledger-claim-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let name = OsStr::new("tmp-000000000000");
        let path = folder.join(name);
        let open = OpenFolder::open(&folder).unwrap();
        let claim = |file| Temporary::claim(file, &open, &folder, name.to_owned()).unwrap();
        let create = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            options.open(&path).unwrap()
        };

        let file = create();
        let cleaner = File::open(&path).unwrap();
        assert!(sys::try_lock(&cleaner).unwrap());
        assert!(claim(file).is_none());
        drop(cleaner);

        let file = create();
        remove_if_abandoned(&open, name).unwrap();
        assert!(claim(file).is_none());

        // Removed, and another has the name.
        let file = create();
        fs::remove_file(&path).unwrap();
        let other = create();
        assert!(claim(file).is_none());

        let temporary = claim(other).unwrap();
        remove_if_abandoned(&open, name).unwrap();
        assert!(path.exists());
        drop(temporary);
        assert!(!path.exists());
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn a_writer_that_always_loses_its_temporary_gives_up() {
        let folder = std::env::temp_dir().join(format!("fitledger-lost-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let open = OpenFolder::open(&folder).unwrap();
        let one = Temporary::create(&open, &folder, &mut |bytes| bytes.fill(0)).unwrap();
        let two = Temporary::create(&open, &folder, &mut |bytes| bytes.fill(0));
        assert_eq!(two.err().unwrap().class(), "io");
        assert!(one.path().exists());
        drop(one);
        fs::remove_dir(&folder).unwrap();
    }
}
