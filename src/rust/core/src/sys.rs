//! The few things that std doesn't have on every platform that we serve.

use std::fs::{File, Metadata, OpenOptions};
use std::io;

/// Which file an open descriptor or a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(u64, u64);

#[cfg(unix)]
mod imp {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use super::*;

    /// A FIFO without a peer must not hang us.
    pub fn never_block(options: &mut OpenOptions) -> &mut OpenOptions {
        options.custom_flags(libc::O_NONBLOCK)
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

    /// Makes a new name in a folder durable.
    pub fn sync_folder(folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
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
    use std::ffi::c_void;
    use std::os::windows::fs::FileExt;
    use std::os::windows::io::AsRawHandle;
    use std::path::Path;

    use super::*;

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

    /// NTFS journals names by itself.
    pub fn sync_folder(_folder: &Path) -> io::Result<()> {
        Ok(())
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

    pub fn host() -> Option<String> {
        std::env::var("COMPUTERNAME").ok()
    }
}

pub use imp::*;

/// What tells this process from every other: the machine's boot and the process's start in clock
/// ticks since then, where the system says so.
pub fn process() -> (Option<String>, Option<i64>) {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let stat = std::fs::read_to_string("/proc/self/stat").ok();
    // The second field is the program's name in parentheses and may hold anything.
    let started = stat.as_deref().and_then(|stat| {
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_whitespace().nth(19)?.parse().ok()
    });
    (boot.map(|id| id.trim().to_owned()), started)
}
