//! The few things that std doesn't have on every platform that we serve.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Which file an open descriptor or a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(u64, u64);

impl FileId {
    /// Of a device, or volume, and the number of the file on it.
    pub fn new(device: u64, number: u64) -> FileId {
        FileId(device, number)
    }
}

/// Reads at an offset until the buffer is full or the file ends.
pub fn read_full(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match read_at(file, &mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}

/// The folder that a file is in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// When a file was changed, and its size: another stamp is another content.
pub type Stamp = (SystemTime, u64);

pub fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Opens a regular file of at most so many bytes. A pipe doesn't hang us.
pub fn open_regular(path: &Path, max_bytes: u64) -> io::Result<File> {
    let unfit = || io::Error::other("it is no regular file, or too large");
    // Opening a device can be an act of its own.
    if !std::fs::metadata(path)?.is_file() {
        return Err(unfit());
    }
    let file = never_block(OpenOptions::new().read(true)).open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() && metadata.len() <= max_bytes {
        true => Ok(file),
        false => Err(unfit()),
    }
}

/// Makes a file where nothing has its name: no link is followed, nothing is replaced, a pipe doesn't hang us.
pub fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    no_follow(options.read(true).write(true).create_new(true)).open(path)
}

/// A name beside a file that nobody can foresee: that of the file, a mark, and random digits.
pub fn unforeseen_name(file: &Path, mark: &str) -> io::Result<PathBuf> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!("{mark}{:016x}", u64::from_le_bytes(bytes)));
    Ok(file.with_file_name(name))
}

/// Gives a file a name that nothing has. That something has it is an error, `AlreadyExists`.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => {
            // It has its name, with this one or without.
            drop(std::fs::remove_file(from));
            Ok(())
        }
        // Not every file system has links.
        Err(_) if std::fs::symlink_metadata(to).is_err() => std::fs::rename(from, to),
        Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// Two files change names in one step. Not every system can, nor every file system.
#[cfg(target_os = "linux")]
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let one = CString::new(one.as_os_str().as_bytes())?;
    let other = CString::new(other.as_os_str().as_bytes())?;
    let (here, flag) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
    // SAFETY: both paths end in a NUL. By its number, since older C libraries have no function for it.
    match unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            here,
            one.as_ptr(),
            here,
            other.as_ptr(),
            flag,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How many threads run at once, as far as the system says.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A thread for fewer bytes than this costs more than it saves.
const MIN_THREAD_BYTES: u64 = 1 << 20;

/// How many threads a pass over some bytes is worth.
pub fn threads_for(bytes: u64) -> u64 {
    match bytes / MIN_THREAD_BYTES {
        // Asking the system how many there are takes longer than a small pass.
        0 | 1 => 1,
        worth => worth.min(processors() as u64),
    }
}

/// A file system on which other machines may work at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Locks work between machines; what one writes is not at once seen by all.
    Nfs4,
    /// Any other, by its name.
    Other(String),
}

#[cfg(unix)]
mod imp {
    use super::*;
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};

    /// A FIFO without a peer must not hang us.
    pub fn never_block(options: &mut OpenOptions) -> &mut OpenOptions {
        options.custom_flags(libc::O_NONBLOCK)
    }

    /// Who is begun without standard streams, as some daemons and queues begin their jobs, gives the number of one to what
    /// is opened next, and prints into it. So they are opened first, to lead nowhere.
    pub fn occupy_standard_streams() -> io::Result<()> {
        for stream in 0..3 {
            // SAFETY: asks about a number that may be no descriptor; the name ends in a NUL. What is opened has the lowest free
            // number, which is that of the stream, and stays open.
            let opened = unsafe {
                libc::fcntl(stream, libc::F_GETFD) != -1
                    || libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) != -1
            };
            if !opened {
                let why = io::Error::last_os_error();
                // Of what kind that is must not be taken for the ledger's own fault.
                return Err(io::Error::other(format!(
                    "a standard stream is closed, and /dev/null can't take its place: {why}"
                )));
            }
        }
        Ok(())
    }

    /// A file that was opened, by another number if it has that of a standard stream: one may have been closed since the
    /// package was loaded.
    pub fn beyond_standard_streams(file: File) -> io::Result<File> {
        if file.as_raw_fd() > 2 {
            return Ok(file);
        }
        // SAFETY: the descriptor is open, and the one that is made belongs to nobody else.
        let moved = unsafe {
            match libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) {
                -1 => return Err(io::Error::last_os_error()),
                moved => File::from_raw_fd(moved),
            }
        };
        drop(file);
        occupy_standard_streams()?;
        Ok(moved)
    }

    /// Whether there is a process, seen or not.
    pub(super) fn has_pid(pid: i64) -> bool {
        let Ok(pid) = libc::pid_t::try_from(pid) else {
            return false;
        };
        // SAFETY: sends nothing.
        let answered = unsafe { libc::kill(pid, 0) == 0 };
        answered || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
    }

    /// The file itself, not what a link leads to; a FIFO doesn't hang us.
    pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
    }

    pub(super) fn special(kind: FileType) -> Option<&'static str> {
        if kind.is_fifo() {
            Some("a pipe")
        } else if kind.is_socket() {
            Some("a socket")
        } else if kind.is_char_device() || kind.is_block_device() {
            Some("a device")
        } else {
            None
        }
    }

    /// Does something that begins a thread, in which no signal is then handled.
    pub fn without_signals<T>(begin: impl FnOnce() -> T) -> T {
        // SAFETY: a set of signals is plain data, and what this thread had is put back.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            let begun = begin();
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
            begun
        }
    }

    /// Renames a file, in the place of the one that is there.
    pub fn rename_over(from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    /// Removes a file, even one that may only be read.
    pub fn remove_file(path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Makes a file durable that is open for reading only, where the system can.
    pub fn sync_read_only(file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Tries to take the exclusive lock that belongs to the open file.
    pub fn try_lock(file: &File) -> io::Result<bool> {
        if flock(file, libc::LOCK_EX | libc::LOCK_NB)? {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            e => Err(e),
        }
    }

    pub fn unlock(file: &File) -> io::Result<()> {
        flock(file, libc::LOCK_UN)?
            .then_some(())
            .ok_or_else(io::Error::last_os_error)
    }

    fn flock(file: &File, operation: i32) -> io::Result<bool> {
        loop {
            // SAFETY: the descriptor is open as long as `file` lives.
            if unsafe { libc::flock(file.as_raw_fd(), operation) } == 0 {
                return Ok(true);
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return Ok(false);
            }
        }
    }

    pub fn file_id(_file: &File, metadata: &Metadata) -> io::Result<FileId> {
        Ok(FileId(metadata.dev(), metadata.ino()))
    }

    pub fn path_id(path: &Path) -> io::Result<FileId> {
        let metadata = std::fs::metadata(path)?;
        Ok(FileId(metadata.dev(), metadata.ino()))
    }

    pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(bytes, offset)
    }

    /// Makes a new name in a folder durable, if the folder may be opened: one that may only be
    /// passed through can't be flushed.
    pub fn sync_folder(folder: &Path) -> io::Result<()> {
        match File::open(folder) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            opened => opened?.sync_all(),
        }
    }

    /// Asks the system for the type of the file system, and the table of mounts for its name.
    #[cfg(target_os = "linux")]
    pub fn network(file: &File, _path: &Path) -> io::Result<Option<Network>> {
        let mut info = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open, and the structure is the one asked for.
        let magic = unsafe {
            if libc::fstatfs(file.as_raw_fd(), info.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            info.assume_init().f_type
        };
        let device = file.metadata()?.dev();
        let device = format!("{}:{}", libc::major(device), libc::minor(device));
        let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Ok(super::by_magic(magic as u32, || {
            super::mounted_as(&mounts(), &device)
        }))
    }

    #[cfg(target_os = "macos")]
    pub fn network(file: &File, _path: &Path) -> io::Result<Option<Network>> {
        let mut info = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open, and the structure is the one asked for; its name ends
        // in a NUL.
        unsafe {
            if libc::fstatfs(file.as_raw_fd(), info.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            let info = info.assume_init();
            if info.f_flags & libc::MNT_LOCAL as u32 != 0 {
                return Ok(None);
            }
            let name = std::ffi::CStr::from_ptr(info.f_fstypename.as_ptr());
            Ok(Some(Network::Other(name.to_string_lossy().into_owned())))
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub fn network(_file: &File, _path: &Path) -> io::Result<Option<Network>> {
        Ok(None)
    }

    /// Makes a folder that is nobody else's business, unless it is there.
    pub fn private_folder(path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)
    }

    /// Whether nobody else can have made or changed something: it is ours, and others may not write
    /// to it.
    pub fn is_private(metadata: &Metadata) -> bool {
        // SAFETY: takes nothing and can't fail.
        let user = unsafe { libc::geteuid() };
        metadata.uid() == user && metadata.mode() & 0o022 == 0
    }

    /// Makes a new file that is nobody else's business.
    pub fn private_file(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(path)
    }

    pub fn random(bytes: &mut [u8]) -> io::Result<()> {
        for part in bytes.chunks_mut(256) {
            // SAFETY: the pointer and the length are those of `part`, and 256 is the most it takes.
            if unsafe { libc::getentropy(part.as_mut_ptr().cast(), part.len()) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Whether the system would give so many bytes of memory. They are asked of it, not of the
    /// allocator, which would go about its work differently from then on, and given back untouched.
    /// That takes longer than a row takes to write: little is given where nothing limits it.
    pub fn has_room(bytes: usize) -> bool {
        if bytes <= LITTLE_BYTES && !is_memory_limited() {
            return true;
        }
        // SAFETY: a mapping of our own, of which nothing is read or written.
        unsafe {
            let (protection, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
            );
            let start = libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0);
            start != libc::MAP_FAILED && libc::munmap(start, bytes) == 0
        }
    }

    /// What a system that promises more memory than it has always promises.
    const LITTLE_BYTES: usize = 64 << 20;

    /// Whether something limits what this process is promised. A limit may be set at any time.
    fn is_memory_limited() -> bool {
        static IS_STRICT: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        let has_limit = |resource| {
            let mut limit = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            // SAFETY: the pointer is that of `limit`.
            let asked = unsafe { libc::getrlimit(resource, &mut limit) };
            asked != 0 || limit.rlim_cur != libc::RLIM_INFINITY
        };
        has_limit(libc::RLIMIT_AS)
            || has_limit(libc::RLIMIT_DATA)
            || *IS_STRICT.get_or_init(promises_no_more_than_it_has)
    }

    #[cfg(target_os = "linux")]
    fn promises_no_more_than_it_has() -> bool {
        let mode = std::fs::read_to_string("/proc/sys/vm/overcommit_memory");
        mode.is_ok_and(|mode| mode.trim() == "2")
    }

    #[cfg(not(target_os = "linux"))]
    fn promises_no_more_than_it_has() -> bool {
        false
    }

    pub fn host() -> Option<String> {
        let mut name = [0_u8; 256];
        // SAFETY: the pointer and the length are those of `name`.
        if unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) } != 0 {
            return None;
        }
        let end = name.iter().position(|&byte| byte == 0)?;
        String::from_utf8(name[..end].to_vec()).ok()
    }
}

#[cfg(windows)]
mod imp {
    use super::*;
    use std::ffi::c_void;
    use std::os::windows::fs::FileExt;
    use std::os::windows::io::AsRawHandle;

    #[repr(C)]
    struct Overlapped {
        internal: usize,
        internal_high: usize,
        offset: u32,
        offset_high: u32,
        event: *mut c_void,
    }

    #[repr(C)]
    #[derive(Default)]
    struct FileInformation {
        attributes: u32,
        times: [u32; 6],
        volume: u32,
        size: [u32; 2],
        links: u32,
        index_high: u32,
        index_low: u32,
    }

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn LockFileEx(
            file: *mut c_void,
            flags: u32,
            reserved: u32,
            low: u32,
            high: u32,
            at: *mut Overlapped,
        ) -> i32;
        fn UnlockFileEx(
            file: *mut c_void,
            reserved: u32,
            low: u32,
            high: u32,
            at: *mut Overlapped,
        ) -> i32;
        fn GetDriveTypeW(root: *const u16) -> u32;
        fn GetFileInformationByHandle(file: *mut c_void, information: *mut FileInformation) -> i32;
    }

    #[link(name = "bcrypt")]
    unsafe extern "system" {
        fn BCryptGenRandom(algorithm: *mut c_void, bytes: *mut u8, length: u32, flags: u32) -> i32;
    }

    const ERROR_LOCK_VIOLATION: i32 = 33;

    /// One byte far beyond the data, so that readers aren't shut out.
    fn lock_place() -> Overlapped {
        Overlapped {
            internal: 0,
            internal_high: 0,
            offset: 0,
            offset_high: 0x4000_0000,
            event: std::ptr::null_mut(),
        }
    }

    pub fn never_block(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn special(_kind: FileType) -> Option<&'static str> {
        None
    }

    /// A signal is no matter of a thread here.
    pub fn without_signals<T>(begin: impl FnOnce() -> T) -> T {
        begin()
    }

    pub fn rename_over(from: &Path, to: &Path) -> io::Result<()> {
        make_writable(to)?;
        std::fs::rename(from, to)
    }

    pub fn remove_file(path: &Path) -> io::Result<()> {
        make_writable(path)?;
        std::fs::remove_file(path)
    }

    /// A file that may only be read is neither removed nor replaced.
    fn make_writable(path: &Path) -> io::Result<()> {
        let metadata = match std::fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            looked => looked?,
        };
        let mut permissions = metadata.permissions();
        if metadata.is_file() && permissions.readonly() {
            #[allow(clippy::permissions_set_readonly_false)]
            permissions.set_readonly(false);
            std::fs::set_permissions(path, permissions)?;
        }
        Ok(())
    }

    /// Windows flushes only what may be written to.
    pub fn sync_read_only(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub fn try_lock(file: &File) -> io::Result<bool> {
        const EXCLUSIVE_NOW: u32 = 0x2 | 0x1;
        // SAFETY: the handle is open as long as `file` lives; the overlapped structure outlives the call.
        if unsafe {
            LockFileEx(
                file.as_raw_handle(),
                EXCLUSIVE_NOW,
                0,
                1,
                0,
                &mut lock_place(),
            )
        } != 0
        {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(ERROR_LOCK_VIOLATION) => Ok(false),
            e => Err(e),
        }
    }

    pub fn unlock(file: &File) -> io::Result<()> {
        // SAFETY: as in `try_lock`.
        match unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &mut lock_place()) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    pub fn file_id(file: &File, _metadata: &Metadata) -> io::Result<FileId> {
        let mut information = FileInformation::default();
        // SAFETY: the handle is open as long as `file` lives; the structure is the one asked for.
        if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut information) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let index = u64::from(information.index_high) << 32 | u64::from(information.index_low);
        Ok(FileId(u64::from(information.volume), index))
    }

    pub fn path_id(path: &Path) -> io::Result<FileId> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        file_id(&file, &metadata)
    }

    pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(bytes, offset)
    }

    /// A share by its name, or a drive that stands for one.
    pub fn network(_file: &File, path: &Path) -> io::Result<Option<Network>> {
        use std::path::{Component, Prefix};
        const DRIVE_REMOTE: u32 = 4;
        let absolute = std::path::absolute(path)?;
        let remote = match absolute.components().next() {
            Some(Component::Prefix(prefix)) => match prefix.kind() {
                Prefix::UNC(..) | Prefix::VerbatimUNC(..) => true,
                Prefix::Disk(letter) | Prefix::VerbatimDisk(letter) => {
                    let root = [u16::from(letter), u16::from(b':'), u16::from(b'\\'), 0];
                    // SAFETY: the text ends in a NUL.
                    unsafe { GetDriveTypeW(root.as_ptr()) == DRIVE_REMOTE }
                }
                _ => false,
            },
            _ => false,
        };
        Ok(remote.then(|| Network::Other("a network share".into())))
    }

    /// NTFS journals names by itself.
    pub fn sync_folder(_folder: &Path) -> io::Result<()> {
        Ok(())
    }

    /// A folder of the user's, with the access that its parent gives.
    pub fn private_folder(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    /// A folder of the user's gives others no access.
    pub fn is_private(_metadata: &Metadata) -> bool {
        true
    }

    pub fn private_file(path: &Path) -> io::Result<File> {
        File::create_new(path)
    }

    pub fn occupy_standard_streams() -> io::Result<()> {
        Ok(())
    }

    pub fn beyond_standard_streams(file: File) -> io::Result<File> {
        Ok(file)
    }

    pub(super) fn has_pid(_pid: i64) -> bool {
        true
    }

    pub fn random(bytes: &mut [u8]) -> io::Result<()> {
        const SYSTEM_PREFERRED: u32 = 2;
        for part in bytes.chunks_mut(1 << 20) {
            // SAFETY: the pointer and the length are those of `part`.
            let status = unsafe {
                BCryptGenRandom(
                    std::ptr::null_mut(),
                    part.as_mut_ptr(),
                    part.len() as u32,
                    SYSTEM_PREFERRED,
                )
            };
            if status != 0 {
                return Err(io::Error::other("the system has no random bytes"));
            }
        }
        Ok(())
    }

    /// Whether the system would give so many bytes of memory.
    pub fn has_room(bytes: usize) -> bool {
        let mut room = Vec::<u8>::new();
        let has_room = room.try_reserve_exact(bytes).is_ok();
        // What isn't used would not even be asked for.
        std::hint::black_box(room.as_mut_ptr());
        has_room
    }

    pub fn host() -> Option<String> {
        std::env::var("COMPUTERNAME").ok()
    }
}

pub use imp::*;

/// What something that is no regular file is.
pub fn kind_of_file(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file"
    } else {
        imp::special(kind).unwrap_or("not a regular file")
    }
}

/// Linux's numbers of the file systems that span machines.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn by_magic(magic: u32, mounted_as: impl FnOnce() -> Option<String>) -> Option<Network> {
    const NFS: u32 = 0x6969;
    const FUSE: u32 = 0x6573_5546;
    const OTHERS: [(u32, &str); 11] = [
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x0102_1997, "9P"),
        (0x5346_414f, "AFS"),
        (0x7375_7245, "Coda"),
        (0x00c3_6400, "Ceph"),
        (0x0bd0_0bd0, "Lustre"),
        (0x4750_4653, "GPFS"),
        (0x1983_0326, "BeeGFS"),
        (0x7461_636f, "OCFS2"),
    ];
    const OVER_FUSE: [&str; 8] = [
        "sshfs",
        "s3fs",
        "rclone",
        "gcsfuse",
        "glusterfs",
        "davfs",
        "juicefs",
        "cephfs",
    ];
    let other = |name: &str| Some(Network::Other(name.to_owned()));
    match magic {
        NFS => match mounted_as().as_deref() {
            Some("nfs4") => Some(Network::Nfs4),
            _ => other("NFS before version 4"),
        },
        FUSE => {
            let name = mounted_as()?;
            let driver = name.strip_prefix("fuse.").unwrap_or(&name);
            OVER_FUSE
                .iter()
                .any(|known| driver.contains(known))
                .then(|| Network::Other(driver.to_owned()))
        }
        _ => OTHERS
            .iter()
            .find(|(number, _)| *number == magic)
            .and_then(|(_, name)| other(name)),
    }
}

/// The file system's name in a line of the kernel's table of mounts:
/// `36 35 98:0 / /mnt rw shared:1 - nfs4 server:/ rw`.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn mounted_as(mounts: &str, device: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let here = mount.split(' ').nth(2) == Some(device);
        here.then(|| system.split(' ').next().map(str::to_owned))?
    })
}

/// What tells a process from every other, where the system says so.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The boot of the machine.
    pub boot: Option<String>,
    /// Which processes a pid counts: a container counts its own.
    pub pids: Option<String>,
    /// When the process began, in clock ticks since the boot.
    pub started: Option<i64>,
}

/// The namespace of time that Linux boots with.
const TIME_OF_THE_MACHINE: &str = "time:[4026531834]";

/// This process.
pub fn process() -> Process {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let pids = std::fs::read_link("/proc/self/ns/pid").ok();
    // Nothing can be told of others where the pids in /proc are not those of this process, or where another count of time than
    // the machine's shifts when each began.
    let ours = std::fs::read_link("/proc/self");
    let time = std::fs::read_link("/proc/self/ns/time");
    let is_shown = ours.is_ok_and(|pid| pid == Path::new(&std::process::id().to_string()))
        && time.map_or(true, |time| time == Path::new(TIME_OF_THE_MACHINE));
    Process {
        boot: boot.map(|id| id.trim().to_owned()).filter(|_| is_shown),
        pids: pids.map(|link| link.to_string_lossy().into_owned()),
        started: match started("self") {
            Ok(Began::At(ticks)) => Some(ticks),
            _ => None,
        },
    }
}

/// When a process began.
enum Began {
    /// In clock ticks since the boot.
    At(i64),
    /// It has ended, and nobody has asked yet how.
    Dead,
    /// There is none, or none for us to see.
    NotSeen,
}

/// That nobody could look is an error.
fn started(process: &str) -> io::Result<Began> {
    let stat = match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => stat,
        Err(e) if is_no_process(&e) => return Ok(Began::NotSeen),
        Err(e) => return Err(e),
    };
    // The second field is the program's name in parentheses and may hold anything.
    let fields = stat.rsplit_once(')').map(|(_, after_name)| after_name);
    let mut fields = fields.unwrap_or_default().split_whitespace();
    match fields.next() {
        Some("Z" | "X") => Ok(Began::Dead),
        _ => match fields.nth(18).and_then(|ticks| ticks.parse().ok()) {
            Some(ticks) => Ok(Began::At(ticks)),
            None => Err(io::ErrorKind::InvalidData.into()),
        },
    }
}

/// A process may also end while its file is being read.
fn is_no_process(e: &io::Error) -> bool {
    #[cfg(unix)]
    if e.raw_os_error() == Some(libc::ESRCH) {
        return true;
    }
    e.kind() == io::ErrorKind::NotFound
}

/// Whether a process that ran on this machine's present boot, among the pids that we see, is no
/// more: its pid is free, or another process has it. Where that can't be told it is not gone.
pub fn is_gone(boot: &str, pids: &str, pid: i64, started_at: i64) -> bool {
    let ours = process();
    ours.boot.as_deref() == Some(boot)
        && ours.pids.as_deref() == Some(pids)
        && match started(&pid.to_string()) {
            Ok(Began::At(ticks)) => ticks != started_at,
            Ok(Began::Dead) => true,
            // Those of other users may be hidden.
            Ok(Began::NotSeen) => !imp::has_pid(pid),
            Err(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_recognised() {
        let mounts = "36 35 98:0 / /a b rw shared:1 - ext4 /dev/x rw\n\
                      37 35 0:44 / /nfs rw - nfs4 server:/ rw\n\
                      38 35 0:45 / /old rw - nfs server:/ rw\n\
                      39 35 0:46 / /ssh rw - fuse.sshfs me@there: rw\n\
                      40 35 0:47 / /ntfs rw - fuseblk /dev/y rw\n";
        let at = |magic, device: &str| by_magic(magic, || mounted_as(mounts, device));
        assert_eq!(at(0xef53, "98:0"), None);
        assert_eq!(at(0x6969, "0:44"), Some(Network::Nfs4));
        assert_eq!(
            at(0x6969, "0:45"),
            Some(Network::Other("NFS before version 4".into()))
        );
        assert_eq!(
            at(0x6969, "0:99"),
            Some(Network::Other("NFS before version 4".into()))
        );
        assert_eq!(
            at(0x6573_5546, "0:46"),
            Some(Network::Other("sshfs".into()))
        );
        assert_eq!(at(0x6573_5546, "0:47"), None);
        assert_eq!(at(0xff53_4d42, "0:48"), Some(Network::Other("CIFS".into())));
    }

    #[test]
    fn a_temporary_file_is_local() {
        let path = std::env::temp_dir().join(format!("fitledger-local-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        assert_eq!(network(&file, &path).unwrap(), None);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_is_gone_only_where_we_would_see_it() {
        let me = process();
        let (boot, pids, started) = (me.boot.unwrap(), me.pids.unwrap(), me.started.unwrap());
        let pid = i64::from(std::process::id());
        assert!(!is_gone(&boot, &pids, pid, started));
        assert!(
            is_gone(&boot, &pids, pid, started - 1),
            "the pid was used again"
        );
        assert!(!is_gone("another boot", &pids, pid, started - 1));
        assert!(!is_gone(&boot, "pid:[1]", pid, started - 1));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i64::from(child.id());
        let began = match super::started(&child.id().to_string()).unwrap() {
            Began::At(ticks) => ticks,
            _ => 0,
        };
        // Dead, not reaped.
        let begun = std::time::Instant::now();
        while !is_gone(&boot, &pids, pid, began) {
            assert!(begun.elapsed().as_secs() < 300, "it is never gone");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(imp::has_pid(pid));
        child.wait().unwrap();
        assert!(is_gone(&boot, &pids, pid, started));
        assert!(!imp::has_pid(pid));
        // Somebody else's, unless root tests.
        assert!(imp::has_pid(1));
    }
}
