//! A folder that is open: what is in it is found by name from here, so that nobody who replaces a
//! folder on the way by a link leads us elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

/// What a name in a folder means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// Something else, in words.
    Other(&'static str),
}

/// An open folder.
pub struct OpenFolder(imp::Handle);

impl OpenFolder {
    /// The folder itself, not what a link leads to.
    pub fn open(path: &Path) -> io::Result<OpenFolder> {
        imp::open(path).map(OpenFolder)
    }

    /// The names in it, in no order.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        imp::names(&self.0)
    }

    /// What a name is; nothing is opened and no link followed.
    pub fn kind(&self, name: &OsStr) -> io::Result<Kind> {
        imp::kind(&self.0, name)
    }

    /// A folder in it.
    pub fn folder(&self, name: &OsStr) -> io::Result<OpenFolder> {
        imp::folder(&self.0, name).map(OpenFolder)
    }

    /// A file in it, to be read. A pipe that has come into its place doesn't hang us.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        imp::file(&self.0, name)
    }
}

#[cfg(unix)]
mod imp {
    use std::ffi::{CStr, CString, OsStr, OsString};
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use super::Kind;

    pub type Handle = File;

    const ITSELF: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;

    pub fn open(path: &Path) -> io::Result<Handle> {
        let mut options = OpenOptions::new();
        let options = options.read(true);
        options.custom_flags(libc::O_DIRECTORY | ITSELF).open(path)
    }

    pub fn folder(folder: &Handle, name: &OsStr) -> io::Result<Handle> {
        open_in(folder, name, libc::O_DIRECTORY)
    }

    pub fn file(folder: &Handle, name: &OsStr) -> io::Result<File> {
        open_in(folder, name, 0)
    }

    fn open_in(folder: &Handle, name: &OsStr, flags: i32) -> io::Result<File> {
        let name = CString::new(name.as_bytes())?;
        let flags = flags | ITSELF | libc::O_RDONLY | libc::O_CLOEXEC;
        loop {
            // SAFETY: the folder is open, the name ends in a NUL, and what is opened is ours alone.
            unsafe {
                let opened = libc::openat(folder.as_raw_fd(), name.as_ptr(), flags);
                if opened >= 0 {
                    return Ok(File::from_raw_fd(opened));
                }
            }
            match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            }
        }
    }

    pub fn kind(folder: &Handle, name: &OsStr) -> io::Result<Kind> {
        let name = CString::new(name.as_bytes())?;
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the folder is open, the name ends in a NUL, and the structure is the one asked for.
        let mode = unsafe {
            let flags = libc::AT_SYMLINK_NOFOLLOW;
            if libc::fstatat(folder.as_raw_fd(), name.as_ptr(), stat.as_mut_ptr(), flags) != 0 {
                return Err(io::Error::last_os_error());
            }
            stat.assume_init().st_mode
        };
        Ok(match mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Folder,
            libc::S_IFLNK => Kind::Other("a symbolic link"),
            libc::S_IFIFO => Kind::Other("a pipe"),
            libc::S_IFSOCK => Kind::Other("a socket"),
            libc::S_IFCHR | libc::S_IFBLK => Kind::Other("a device"),
            _ => Kind::Other("not a regular file"),
        })
    }

    pub fn names(folder: &Handle) -> io::Result<Vec<OsString>> {
        struct Listing(*mut libc::DIR);
        impl Drop for Listing {
            fn drop(&mut self) {
                // SAFETY: it is open, and not used any more.
                unsafe { libc::closedir(self.0) };
            }
        }
        // A listing of its own: one that shares this handle would share its position.
        let again = self::folder(folder, OsStr::new("."))?.into_raw_fd();
        // SAFETY: the descriptor is ours, and the listing's from here on.
        let listing = unsafe {
            let listing = libc::fdopendir(again);
            if listing.is_null() {
                let e = io::Error::last_os_error();
                drop(File::from_raw_fd(again));
                return Err(e);
            }
            Listing(listing)
        };
        let mut names = Vec::new();
        loop {
            set_errno(0);
            // SAFETY: the listing is open; an entry's name ends in a NUL and is copied before the next one is asked for.
            let name = unsafe {
                let entry = libc::readdir(listing.0);
                if entry.is_null() {
                    return match io::Error::last_os_error() {
                        e if e.raw_os_error() == Some(0) => Ok(names),
                        e => Err(e),
                    };
                }
                CStr::from_ptr((*entry).d_name.as_ptr()).to_bytes()
            };
            if !matches!(name, b"." | b"..") {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
    }

    /// The end of a listing and a failure differ in this alone.
    fn set_errno(value: i32) {
        // SAFETY: the number of this thread.
        unsafe {
            #[cfg(any(target_os = "linux", target_os = "emscripten"))]
            let errno = libc::__errno_location();
            #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
            let errno = libc::__error();
            #[cfg(any(target_os = "netbsd", target_os = "openbsd", target_os = "android"))]
            let errno = libc::__errno();
            #[cfg(any(target_os = "solaris", target_os = "illumos"))]
            let errno = libc::___errno();
            *errno = value;
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::ffi::{OsStr, OsString};
    use std::fs::{self, File};
    use std::io;
    use std::path::{Path, PathBuf};

    use super::Kind;
    use crate::platform::sys;

    /// Who may replace a folder here may do so while it is open, too.
    pub type Handle = PathBuf;

    pub fn open(path: &Path) -> io::Result<Handle> {
        match kind_of(path)? {
            Kind::Folder => Ok(path.to_owned()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub fn folder(folder: &Handle, name: &OsStr) -> io::Result<Handle> {
        open(&folder.join(name))
    }

    pub fn file(folder: &Handle, name: &OsStr) -> io::Result<File> {
        File::open(folder.join(name))
    }

    pub fn kind(folder: &Handle, name: &OsStr) -> io::Result<Kind> {
        kind_of(&folder.join(name))
    }

    fn kind_of(path: &Path) -> io::Result<Kind> {
        let kind = fs::symlink_metadata(path)?.file_type();
        Ok(match () {
            () if kind.is_file() => Kind::File,
            () if kind.is_dir() => Kind::Folder,
            () => Kind::Other(sys::kind_of_file(kind)),
        })
    }

    pub fn names(folder: &Handle) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }
}
