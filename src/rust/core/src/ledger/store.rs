//! Where a ledger's bytes live. Everything that a write does to the outside goes through here.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::platform::folder::OpenFolder;
use crate::platform::rights::Rights;
use crate::platform::sys::{self, FileId, Network};

/// The most bytes that one system call reads or writes.
pub const PIECE_BYTES: usize = 64 << 20;

/// In bytes: what most file systems take.
const LONGEST_NAME: usize = 255;

/// The name of a file with more at its end; where that would be too long, less of the name.
fn longer_name(name: &OsStr, more: &str) -> OsString {
    let mut longer = match name.to_str() {
        Some(text) => {
            let room = LONGEST_NAME.saturating_sub(more.len());
            let fits = |&end: &usize| end <= room && text.is_char_boundary(end);
            let end = (0..=text.len()).rev().find(fits).unwrap_or(0);
            OsString::from(&text[..end])
        }
        None => name.to_owned(),
    };
    longer.push(more);
    longer
}

/// The storage of one ledger. The methods are the system calls that a write is made of.
pub trait Store: Sync {
    fn path(&self) -> &Path;
    /// The path of a file beside the ledger, by what its name has more than the ledger's. What belongs to a ledger is made
    /// beside the file, where the path leads there by links, too.
    fn beside(&self, more: &str) -> io::Result<PathBuf> {
        let name = self.path().file_name().unwrap_or_default();
        Ok(self.path().with_file_name(longer_name(name, more)))
    }
    fn id(&self) -> FileId;
    /// Whether opening the file has made it.
    fn is_new(&self) -> bool;
    /// Whether the path still means this file.
    fn is_current(&self) -> io::Result<bool>;
    fn try_lock(&mut self) -> io::Result<bool>;
    fn unlock(&mut self) -> io::Result<()>;
    fn size(&self) -> io::Result<u64>;
    /// Reads until the buffer is full or the file ends.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Appends some of the bytes; how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn sync_folder(&mut self) -> io::Result<()>;
    /// Removes the file again if opening it has made it and nothing was written since.
    fn discard_if_new(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Whether other machines may work on the file too.
    fn network(&self) -> io::Result<Option<Network>> {
        Ok(None)
    }
    /// Whether it mirrors a ledger that is kept elsewhere, and only what mirrors may write to it.
    fn is_mirror(&self) -> bool {
        false
    }
    /// Makes a new file, durably, of a part of the ledger's bytes and of what follows them. Nothing that has its
    /// name already is followed or replaced.
    fn copy_aside(&mut self, path: &Path, part: Range<u64>, more: &[u8]) -> io::Result<()>;
    /// Puts a file that was made so in the ledger's place.
    fn replace_by(&mut self, path: &Path) -> io::Result<()>;
}

/// A ledger in the file system.
pub struct FileStore {
    file: File,
    path: PathBuf,
    id: FileId,
    made: bool,
    /// Looked for when it is needed.
    place: OnceLock<Place>,
}

/// Where a file lies: the folder stays the same whatever others put in its place, or in that of the file, meanwhile.
struct Place {
    folder: OpenFolder,
    path: PathBuf,
    name: OsString,
}

impl Place {
    /// Where a path leads, if that is this file.
    fn of(path: &Path, id: FileId) -> io::Result<Place> {
        let real = path.canonicalize()?;
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let path = sys::folder_of(&real).to_owned();
        let place = Place {
            folder: OpenFolder::enter(&path)?,
            path,
            name: name.to_owned(),
        };
        place.check(id).map(|()| place)
    }

    /// That this file has the name still.
    fn check(&self, id: FileId) -> io::Result<()> {
        match self.folder.file_id(&self.name)? == id {
            true => Ok(()),
            false => Err(io::Error::other("another file has come into its place")),
        }
    }
}

impl FileStore {
    /// Opens the file for appending and creates it if need be.
    pub fn open(path: &Path) -> io::Result<FileStore> {
        let mut options = OpenOptions::new();
        let options = sys::never_block(options.read(true).append(true));
        match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = options.create(true).open(path)?;
                Ok(FileStore {
                    made: true,
                    ..FileStore::of(file, path)?
                })
            }
            opened => FileStore::of(opened?, path),
        }
    }

    /// Opens a file that is there for appending.
    pub fn open_existing(path: &Path) -> io::Result<FileStore> {
        let mut options = OpenOptions::new();
        FileStore::of(
            sys::never_block(options.read(true).append(true)).open(path)?,
            path,
        )
    }

    /// Opens a file that is there, to read it and to lock it.
    pub fn open_to_read(path: &Path) -> io::Result<FileStore> {
        let mut options = OpenOptions::new();
        FileStore::of(sys::never_block(options.read(true)).open(path)?, path)
    }

    pub(super) fn of(file: File, path: &Path) -> io::Result<FileStore> {
        let file = sys::beyond_standard_streams(file)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let id = sys::file_id(&file, &metadata)?;
        Ok(FileStore {
            file,
            path: path.to_owned(),
            id,
            made: false,
            place: OnceLock::new(),
        })
    }

    fn is_link(&self) -> bool {
        self.path.is_symlink()
    }

    fn real_path(&self) -> PathBuf {
        let real = self.path.canonicalize();
        real.unwrap_or_else(|_| self.path.clone())
    }

    fn place(&self) -> io::Result<&Place> {
        match self.place.get() {
            Some(place) => Ok(place),
            None => {
                let place = Place::of(&self.path, self.id)?;
                Ok(self.place.get_or_init(|| place))
            }
        }
    }

    /// Removes the file. A link that leads to it goes on leading there.
    pub(super) fn remove(&self) -> io::Result<()> {
        let place = Place::of(&self.path, self.id)?;
        place.folder.remove_file(&place.name)
    }

    /// Copies a part of the file in pieces.
    fn copy_part(&self, part: Range<u64>, to: &mut File) -> io::Result<()> {
        let mut piece = Vec::new();
        let mut at = part.start;
        while at < part.end {
            piece.resize((part.end - at).min(COPIED_BYTES) as usize, 0);
            let read = self.read_at(&mut piece, at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            to.write_all(&piece[..read])?;
            at += read as u64;
        }
        Ok(())
    }
}

/// How the names of mirrors end.
pub const MIRROR_SUFFIX: &str = ".mirror.csv";

/// So many bytes are in memory while a part of a ledger is copied.
const COPIED_BYTES: u64 = 1 << 20;

impl Store for FileStore {
    fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, more: &str) -> io::Result<PathBuf> {
        let place = self.place()?;
        Ok(place.path.join(longer_name(&place.name, more)))
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn is_new(&self) -> bool {
        self.made
    }

    fn is_current(&self) -> io::Result<bool> {
        match sys::path_id(&self.path) {
            Ok(id) => Ok(id == self.id),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        sys::try_lock(&self.file)
    }

    fn unlock(&mut self) -> io::Result<()> {
        sys::unlock(&self.file)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match sys::read_at(&self.file, &mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(read)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        sys::sync_folder(sys::folder_of(&self.real_path()))
    }

    fn discard_if_new(&mut self) -> io::Result<()> {
        if self.made && self.size()? == 0 && self.is_current()? {
            // A link that led nowhere goes on leading nowhere.
            self.remove()?;
        }
        Ok(())
    }

    fn network(&self) -> io::Result<Option<Network>> {
        sys::network(&self.file, &self.path)
    }

    fn is_mirror(&self) -> bool {
        let is_mirror = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.as_encoded_bytes().ends_with(MIRROR_SUFFIX.as_bytes())
        };
        is_mirror(&self.path) || self.is_link() && is_mirror(&self.real_path())
    }

    fn copy_aside(&mut self, path: &Path, part: Range<u64>, more: &[u8]) -> io::Result<()> {
        let folder = &self.place()?.folder;
        let name = path.file_name().unwrap_or_default();
        let mut file = folder.create(name, false)?;
        let made = (|| {
            // Who may read the ledger may read the copy, and nobody else.
            Rights::of(&self.file)?.share_file(&file)?;
            self.copy_part(part, &mut file)?;
            file.write_all(more)?;
            file.sync_all()?;
            folder.sync()
        })();
        if made.is_err() {
            drop(folder.remove_file(name));
        }
        made
    }

    fn replace_by(&mut self, path: &Path) -> io::Result<()> {
        let place = self.place()?;
        let name = path.file_name().unwrap_or_default();
        let replaced = place
            .check(self.id)
            .and_then(|()| place.folder.rename(name, &place.folder, &place.name));
        if replaced.is_err() {
            drop(place.folder.remove_file(name));
        }
        replaced?;
        place.folder.sync()
    }
}
