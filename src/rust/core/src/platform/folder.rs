//! A folder that is open: what is in it is found by name from here, so that nobody who replaces a
//! folder on the way by a link leads us elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

use crate::platform::rights::Rights;
use crate::platform::sys::FileId;

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

    /// As [`OpenFolder::open`], even if one may only pass through it.
    pub fn enter(path: &Path) -> io::Result<OpenFolder> {
        imp::enter(path).map(OpenFolder)
    }

    /// Whether a path, to its end without a link, means this folder.
    pub fn is_at(&self, path: &Path) -> bool {
        let same =
            |there: OpenFolder| Ok::<bool, io::Error>(imp::id(&there.0)? == imp::id(&self.0)?);
        OpenFolder::enter(path).and_then(same).unwrap_or(false)
    }

    pub fn rights(&self) -> io::Result<Rights> {
        imp::rights(&self.0)
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

    /// As [`OpenFolder::folder`], even if one may only pass through it.
    pub fn enter_folder(&self, name: &OsStr) -> io::Result<OpenFolder> {
        imp::enter_folder(&self.0, name).map(OpenFolder)
    }

    /// A file in it, to be read. A pipe that has come into its place doesn't hang us.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        imp::file(&self.0, name)
    }

    /// A new folder in it.
    pub fn make(&self, name: &OsStr) -> io::Result<OpenFolder> {
        self.make_folder(name)?;
        self.folder(name)
    }

    /// A folder in it, made unless it is there.
    pub fn ensure_folder(&self, name: &OsStr) -> io::Result<OpenFolder> {
        match self.make(name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.folder(name),
            made => made,
        }
    }

    /// A new folder in it that is nobody else's business. Whoever may rename it may put another in its place before it is
    /// open: one that isn't ours, or not empty, is refused.
    pub fn make_private(&self, name: &OsStr) -> io::Result<OpenFolder> {
        imp::make_folder(&self.0, name, 0o700)?;
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

    /// Removes a file in it, even one that may only be read.
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

    /// A file in it, to be read and written.
    pub fn file_to_write(&self, name: &OsStr) -> io::Result<File> {
        imp::file_to_write(&self.0, name)
    }

    /// Which file has this name, if it is no link.
    pub fn file_id(&self, name: &OsStr) -> io::Result<FileId> {
        imp::file_id(&self.0, name)
    }

    /// Makes a folder where nothing has its name.
    pub fn make_folder(&self, name: &OsStr) -> io::Result<()> {
        imp::make_folder(&self.0, name, 0o777)
    }

    /// Gives a file in it a second name where nothing has that.
    pub fn link(&self, name: &OsStr, to: &OpenFolder, new: &OsStr) -> io::Result<()> {
        imp::link(&self.0, name, &to.0, new)
    }

    /// Renames a file in it, in the place of the one that is there.
    pub fn rename(&self, name: &OsStr, to: &OpenFolder, new: &OsStr) -> io::Result<()> {
        imp::rename(&self.0, name, &to.0, new)
    }

    /// Makes the names in it durable, if it may be opened: one that may only be passed through can't be flushed.
    pub fn sync(&self) -> io::Result<()> {
        imp::sync(&self.0)
    }

    /// Gives it the rights of another folder, or of a file, if it is this user's.
    pub fn share(&self, rights: &Rights, is_new: bool) -> io::Result<()> {
        imp::share(&self.0, rights, is_new)
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
    use crate::platform::rights::Rights;
    use crate::platform::sys::{self, FileId};

    pub type Handle = File;

    const ITSELF: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;

    pub fn open(path: &Path) -> io::Result<Handle> {
        let mut options = OpenOptions::new();
        let options = options.read(true);
        options.custom_flags(libc::O_DIRECTORY | ITSELF).open(path)
    }

    /// Opens what one may only pass through, on systems that can.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const PASS: Option<i32> = Some(libc::O_PATH);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const PASS: Option<i32> = None;

    pub fn enter(path: &Path) -> io::Result<Handle> {
        passing(open(path), |flag| {
            let mut options = OpenOptions::new();
            let options = options.read(true);
            options
                .custom_flags(libc::O_DIRECTORY | ITSELF | flag)
                .open(path)
        })
    }

    pub fn folder(folder: &Handle, name: &OsStr) -> io::Result<Handle> {
        open_in(folder, name, libc::O_DIRECTORY)
    }

    pub fn enter_folder(folder: &Handle, name: &OsStr) -> io::Result<Handle> {
        passing(self::folder(folder, name), |flag| {
            open_in(folder, name, libc::O_DIRECTORY | flag)
        })
    }

    fn passing(
        opened: io::Result<Handle>,
        pass: impl FnOnce(i32) -> io::Result<Handle>,
    ) -> io::Result<Handle> {
        match (opened, PASS) {
            (Err(e), Some(flag)) if e.kind() == io::ErrorKind::PermissionDenied => pass(flag),
            (opened, _) => opened,
        }
    }

    pub fn file(folder: &Handle, name: &OsStr) -> io::Result<File> {
        open_in(folder, name, 0)
    }

    pub fn file_to_write(folder: &Handle, name: &OsStr) -> io::Result<File> {
        open_in(folder, name, libc::O_RDWR)
    }

    pub fn create(folder: &Handle, name: &OsStr, is_executable: bool) -> io::Result<File> {
        let rights = if is_executable { 0o777 } else { 0o666 };
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        open_with(folder, name, flags, rights)
    }

    pub fn id(folder: &Handle) -> io::Result<FileId> {
        sys::file_id(folder, &folder.metadata()?)
    }

    pub fn rights(folder: &Handle) -> io::Result<Rights> {
        Rights::of(folder)
    }

    pub fn share(folder: &Handle, rights: &Rights, is_new: bool) -> io::Result<()> {
        rights.share_folder(folder, is_new)
    }

    pub fn sync(folder: &Handle) -> io::Result<()> {
        match folder.sync_all() {
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(()),
            synced => synced,
        }
    }

    pub fn make_folder(folder: &Handle, name: &OsStr, rights: libc::mode_t) -> io::Result<()> {
        let name = CString::new(name.as_bytes())?;
        // SAFETY: the folder is open, and the name ends in a NUL.
        done(unsafe { libc::mkdirat(folder.as_raw_fd(), name.as_ptr(), rights) })
    }

    pub fn link(from: &Handle, name: &OsStr, to: &Handle, new: &OsStr) -> io::Result<()> {
        let name = CString::new(name.as_bytes())?;
        let new = CString::new(new.as_bytes())?;
        let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
        // SAFETY: the folders are open, and the names end in a NUL.
        done(unsafe { libc::linkat(from, name.as_ptr(), to, new.as_ptr(), 0) })
    }

    pub fn rename(from: &Handle, name: &OsStr, to: &Handle, new: &OsStr) -> io::Result<()> {
        let name = CString::new(name.as_bytes())?;
        let new = CString::new(new.as_bytes())?;
        let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
        // SAFETY: the folders are open, and the names end in a NUL.
        done(unsafe { libc::renameat(from, name.as_ptr(), to, new.as_ptr()) })
    }

    pub fn remove(folder: &Handle, name: &OsStr, is_folder: bool) -> io::Result<()> {
        let flags = if is_folder { libc::AT_REMOVEDIR } else { 0 };
        let name = CString::new(name.as_bytes())?;
        // SAFETY: the folder is open, and the name ends in a NUL.
        done(unsafe { libc::unlinkat(folder.as_raw_fd(), name.as_ptr(), flags) })
    }

    fn done(code: i32) -> io::Result<()> {
        match code {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn open_in(folder: &Handle, name: &OsStr, flags: i32) -> io::Result<File> {
        open_with(folder, name, flags, 0)
    }

    /// `rights` are those of a file that is made, as far as the umask lets it have them.
    fn open_with(
        folder: &Handle,
        name: &OsStr,
        flags: i32,
        rights: libc::c_uint,
    ) -> io::Result<File> {
        let name = CString::new(name.as_bytes())?;
        let flags = flags | ITSELF | libc::O_CLOEXEC;
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

    /// A link, a socket, a name that is too long.
    pub fn is_of_the_file(e: &io::Error) -> bool {
        let errors = [libc::ELOOP, libc::EMLINK, libc::ENXIO, libc::ENAMETOOLONG];
        e.raw_os_error()
            .is_some_and(|error| errors.contains(&error))
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

    fn look(folder: &Handle, name: &OsStr) -> io::Result<libc::stat> {
        let name = CString::new(name.as_bytes())?;
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the folder is open, the name ends in a NUL, and the structure is the one asked for.
        unsafe {
            let flags = libc::AT_SYMLINK_NOFOLLOW;
            let looked = libc::fstatat(folder.as_raw_fd(), name.as_ptr(), stat.as_mut_ptr(), flags);
            done(looked).map(|()| stat.assume_init())
        }
    }

    pub fn file_id(folder: &Handle, name: &OsStr) -> io::Result<FileId> {
        let stat = look(folder, name)?;
        // Their types differ between systems.
        #[allow(clippy::unnecessary_cast)]
        Ok(FileId::new(stat.st_dev as u64, stat.st_ino as u64))
    }

    pub fn kind(folder: &Handle, name: &OsStr) -> io::Result<Kind> {
        Ok(match look(folder, name)?.st_mode & libc::S_IFMT {
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
    use crate::platform::rights::Rights;
    use crate::platform::sys::{self, FileId};

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

    pub fn make_folder(folder: &Handle, name: &OsStr, _rights: u32) -> io::Result<()> {
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
            false => sys::remove_file(&folder.join(name)),
        }
    }

    pub fn enter(path: &Path) -> io::Result<Handle> {
        open(path)
    }

    pub fn enter_folder(folder: &Handle, name: &OsStr) -> io::Result<Handle> {
        self::folder(folder, name)
    }

    pub fn file_to_write(folder: &Handle, name: &OsStr) -> io::Result<File> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).open(folder.join(name))
    }

    pub fn file_id(folder: &Handle, name: &OsStr) -> io::Result<FileId> {
        sys::path_id(&folder.join(name))
    }

    /// A folder isn't opened here; it is known by its path.
    pub fn id(folder: &Handle) -> io::Result<PathBuf> {
        fs::canonicalize(folder)
    }

    pub fn rights(folder: &Handle) -> io::Result<Rights> {
        fs::symlink_metadata(folder).map(Rights::of_metadata)
    }

    /// The names of a file share its attributes: the second one could be removed only if the first
    /// may be written to.
    pub fn link(_: &Handle, _: &OsStr, _: &Handle, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn rename(from: &Handle, name: &OsStr, to: &Handle, new: &OsStr) -> io::Result<()> {
        sys::rename_over(&from.join(name), &to.join(new))
    }

    pub fn sync(folder: &Handle) -> io::Result<()> {
        sys::sync_folder(folder)
    }

    /// What is in a folder has the access that the folder gives.
    pub fn share(_folder: &Handle, _rights: &Rights, _is_new: bool) -> io::Result<()> {
        Ok(())
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
