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

    /// A new folder in it.
    pub fn make(&self, name: &OsStr) -> io::Result<OpenFolder> {
        imp::make(&self.0, name, 0o777)?;
        self.folder(name)
    }

    /// A folder in it, made unless it is there.
    pub fn enter(&self, name: &OsStr) -> io::Result<OpenFolder> {
        match self.make(name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.folder(name),
            made => made,
        }
    }

    /// A new folder in it that is nobody else's business. Whoever may rename it may put another in its place before it is
    /// open: one that isn't ours, or not empty, is refused.
    pub fn make_private(&self, name: &OsStr) -> io::Result<OpenFolder> {
        imp::make(&self.0, name, 0o700)?;
        let made = self.folder(name)?;
        let is_ours = imp::keep_private(&made.0)? && made.names()?.is_empty();
        match is_ours {
            true => Ok(made),
            false => Err(io::Error::other("another folder was put in its place")),
        }
    }

    /// A new file in it, to be read and written.
    pub fn create(&self, name: &OsStr, is_executable: bool) -> io::Result<File> {
        imp::create(&self.0, name, is_executable)
    }

    /// Moves what is in it into another folder, where nothing may have the name.
    pub fn move_to(&self, name: &OsStr, to: &OpenFolder, new_name: &OsStr) -> io::Result<()> {
        imp::move_to(&self.0, name, &to.0, new_name)
    }

    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        imp::remove(&self.0, name, false)
    }

    /// Removes a folder in it that is empty.
    pub fn remove_empty(&self, name: &OsStr) -> io::Result<()> {
        imp::remove(&self.0, name, true)
    }

    /// Removes a folder in it, with all that is below.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        self.folder(name)?.clear()?;
        self.remove_empty(name)
    }

    /// Removes all that is in it.
    pub fn clear(&self) -> io::Result<()> {
        for name in self.names()? {
            match self.kind(&name)? {
                Kind::Folder => self.remove_folder(&name)?,
                _ => self.remove_file(&name)?,
            }
        }
        Ok(())
    }
}

/// Whether the system refuses something for what it is, rather than for want of memory, of descriptors or of a disk
/// that works: then it may well be there.
pub fn is_refusal(e: &io::Error) -> bool {
    use io::ErrorKind::{
        InvalidInput, IsADirectory, NotADirectory, NotFound, Other, PermissionDenied,
    };
    match e.kind() {
        NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidInput => true,
        // One of our own.
        Other if e.raw_os_error().is_none() => true,
        _ => imp::is_of_the_file(e),
    }
}

#[cfg(unix)]
mod imp {
    use std::ffi::{CStr, CString, OsStr, OsString};
    use std::fs::{File, OpenOptions, Permissions};
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    use super::Kind;
    use crate::platform::memory;

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

    /// A link, a socket, a name that is too long.
    pub fn is_of_the_file(e: &io::Error) -> bool {
        let errors = [libc::ELOOP, libc::EMLINK, libc::ENXIO, libc::ENAMETOOLONG];
        e.raw_os_error()
            .is_some_and(|error| errors.contains(&error))
    }

    fn done(result: i32) -> io::Result<()> {
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn make(folder: &Handle, name: &OsStr, rights: libc::mode_t) -> io::Result<()> {
        let name = CString::new(name.as_bytes())?;
        // SAFETY: the folder is open and the name ends in a NUL.
        done(unsafe { libc::mkdirat(folder.as_raw_fd(), name.as_ptr(), rights) })
    }

    /// Whether a folder is ours. Then nobody else has rights in it from here on, where the system has such.
    pub fn keep_private(folder: &Handle) -> io::Result<bool> {
        let metadata = folder.metadata()?;
        // SAFETY: takes nothing and can't fail.
        if metadata.uid() != unsafe { libc::geteuid() } {
            return Ok(false);
        }
        if metadata.mode() & 0o077 != 0 {
            drop(folder.set_permissions(Permissions::from_mode(0o700)));
        }
        Ok(true)
    }

    pub fn create(folder: &Handle, name: &OsStr, is_executable: bool) -> io::Result<File> {
        let name = CString::new(name.as_bytes())?;
        let flags = ITSELF | libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        let rights: libc::c_uint = if is_executable { 0o777 } else { 0o666 };
        loop {
            // SAFETY: the folder is open, the name ends in a NUL, and what is opened is ours alone.
            unsafe {
                let opened = libc::openat(folder.as_raw_fd(), name.as_ptr(), flags, rights);
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

    pub fn move_to(from: &Handle, name: &OsStr, to: &Handle, new_name: &OsStr) -> io::Result<()> {
        let (name, new_name) = (
            CString::new(name.as_bytes())?,
            CString::new(new_name.as_bytes())?,
        );
        #[cfg(target_os = "linux")]
        // SAFETY: both folders are open and both names end in a NUL.
        unsafe {
            let moved = libc::syscall(
                libc::SYS_renameat2,
                from.as_raw_fd(),
                name.as_ptr(),
                to.as_raw_fd(),
                new_name.as_ptr(),
                libc::RENAME_NOREPLACE,
            );
            if moved == 0 {
                return Ok(());
            }
            match io::Error::last_os_error() {
                // Some file systems can't.
                e if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {}
                e => return Err(e),
            }
        }
        if kind(to, OsStr::from_bytes(new_name.as_bytes())).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // SAFETY: as above.
        done(unsafe {
            let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
            libc::renameat(from, name.as_ptr(), to, new_name.as_ptr())
        })
    }

    pub fn remove(folder: &Handle, name: &OsStr, is_folder: bool) -> io::Result<()> {
        let name = CString::new(name.as_bytes())?;
        let flags = if is_folder { libc::AT_REMOVEDIR } else { 0 };
        // SAFETY: the folder is open and the name ends in a NUL.
        done(unsafe { libc::unlinkat(folder.as_raw_fd(), name.as_ptr(), flags) })
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
                memory::try_reserve(&mut names, 1)?;
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

    pub fn is_of_the_file(_e: &io::Error) -> bool {
        false
    }

    pub fn make(folder: &Handle, name: &OsStr, _rights: u32) -> io::Result<()> {
        fs::create_dir(folder.join(name))
    }

    pub fn keep_private(_folder: &Handle) -> io::Result<bool> {
        Ok(true)
    }

    pub fn create(folder: &Handle, name: &OsStr, _is_executable: bool) -> io::Result<File> {
        sys::create_new(&folder.join(name))
    }

    pub fn move_to(from: &Handle, name: &OsStr, to: &Handle, new_name: &OsStr) -> io::Result<()> {
        if kind(to, new_name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from.join(name), to.join(new_name))
    }

    pub fn remove(folder: &Handle, name: &OsStr, is_folder: bool) -> io::Result<()> {
        match is_folder {
            true => fs::remove_dir(folder.join(name)),
            false => fs::remove_file(folder.join(name)),
        }
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
