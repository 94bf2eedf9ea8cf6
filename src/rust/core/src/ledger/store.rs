//! Where a ledger's bytes live. Everything that a write does to the outside goes through here.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::platform::sys::{self, FileId, Network};

/// The most bytes that one system call reads or writes.
pub const PIECE_BYTES: usize = 64 << 20;

/// The storage of one ledger. The methods are the system calls that a write is made of.
pub trait Store {
    fn path(&self) -> &Path;
    fn id(&self) -> FileId;
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
    /// Keeps bytes durably in a file of its own beside the ledger.
    fn keep_aside(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
}

/// A ledger in the file system.
pub struct FileStore {
    file: File,
    path: PathBuf,
    id: FileId,
    made: bool,
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
        })
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }
}

impl Store for FileStore {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> FileId {
        self.id
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
        sys::sync_folder(self.folder())
    }

    fn discard_if_new(&mut self) -> io::Result<()> {
        if self.made && self.size()? == 0 && self.is_current()? {
            // A link that led nowhere goes on leading nowhere.
            std::fs::remove_file(self.path.canonicalize()?)?;
        }
        Ok(())
    }

    fn network(&self) -> io::Result<Option<Network>> {
        sys::network(&self.file, &self.path)
    }

    fn keep_aside(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.sync_folder()
    }
}
