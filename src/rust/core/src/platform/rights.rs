//! Who may read and write a file or a folder, and giving the same rights to another: those of the owner, the group and
//! everybody, and of Linux the access control list that a file may have beside them.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// Who may read and write a file or a folder.
#[derive(Debug)]
pub struct Rights {
    metadata: Metadata,
    #[cfg_attr(not(unix), allow(dead_code))]
    list: Option<list::List>,
}

impl Rights {
    pub fn of(file: &File) -> io::Result<Rights> {
        Ok(Rights {
            metadata: file.metadata()?,
            list: list::of(file),
        })
    }

    pub fn at(path: &Path) -> io::Result<Rights> {
        Ok(Rights {
            metadata: fs::metadata(path)?,
            list: list::at(path),
        })
    }
}

#[cfg(not(unix))]
impl Rights {
    /// Of a system whose files have the rights of their folder.
    pub fn of_metadata(metadata: Metadata) -> Rights {
        Rights {
            metadata,
            list: None,
        }
    }

    pub fn share_file(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }

    /// Takes the right to write to a file away from everybody.
    pub fn seal(&self, file: &File) -> io::Result<()> {
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)
    }
}

#[cfg(unix)]
mod unix {
    use super::{File, Rights, io, list};
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    impl Rights {
        /// Opens a folder of ours to those who have these rights, whatever this process's umask. A new one gets them, one that
        /// was there keeps those that it has, too, and a list of its own.
        pub fn share_folder(&self, folder: &File, is_new: bool) -> io::Result<()> {
            if !is_new && list::of(folder).is_some() {
                return Ok(());
            }
            let is_folder = self.metadata.is_dir();
            let of_folder = |right: u32| match is_folder {
                true => right,
                // Who may read a file may look into the folder.
                false => right & 0o6 | (right & 0o4) >> 2,
            };
            let kept = match is_new {
                true => 0,
                false => folder.metadata()?.mode() & 0o777,
            };
            self.give(folder, of_folder, kept)
        }

        /// Takes the right to write to a file away from everybody; those who may read may read it, whatever this process's
        /// umask.
        pub fn seal(&self, file: &File) -> io::Result<()> {
            self.give(file, |right| right & 0o4, 0)
        }

        /// Opens a file of ours to those who have these rights, and to nobody else.
        pub fn share_file(&self, file: &File) -> io::Result<()> {
            self.give(file, |right| right, 0)
        }

        /// Gives a file or folder of ours the group, and what `part` makes of the rights of each, beside those that are `kept`.
        /// Where it can't have the group, its own has no more rights than everybody.
        fn give(&self, ours: &File, part: impl Fn(u32) -> u32, kept: u32) -> io::Result<()> {
            let now = ours.metadata()?;
            // SAFETY: asks for a number.
            let user = unsafe { libc::geteuid() };
            if now.uid() != user {
                return Ok(());
            }
            let others = (now.gid() != self.metadata.gid()).then(|| self.metadata.gid());
            let regrouped = others.map(|group| std::os::unix::fs::fchown(ours, None, Some(group)));
            let mode = match &self.list {
                Some(list) => list.mode(),
                None => self.metadata.mode(),
            };
            let [owner, mut group, everybody] = [6, 3, 0].map(|shift| part(mode >> shift & 0o7));
            // Whom only a list can name: those of the owner and the group who aren't ours.
            let mut named = Vec::new();
            if self.metadata.uid() != user {
                named.push(list::Entry::of_user(self.metadata.uid(), owner));
            }
            if let Some(Err(_)) = regrouped {
                named.push(list::Entry::of_group(self.metadata.gid(), group));
                group = everybody;
            }
            let rights = owner << 6 | group << 3 | everybody | kept;
            let given = self
                .list
                .as_ref()
                .map(|list| list::give(ours, &list.of_new(rights, &named, part)));
            if let Some(Ok(())) = given {
                return Ok(());
            }
            if self.list.is_none() {
                list::remove(ours)?;
            }
            // A folder may hand its group on to what is made in it.
            let mode = now.mode() & 0o7000 | rights;
            match regrouped.is_none() && mode == now.mode() & 0o7777 {
                true => Ok(()),
                false => ours.set_permissions(Permissions::from_mode(mode)),
            }
        }
    }
}

/// POSIX access control lists, as Linux gives and takes them. The group's rights in the mode of a file that has one are not its
/// group's, but the most that anybody has beside the owner and everybody.
#[cfg(target_os = "linux")]
mod list {
    use super::{File, Path, io};
    use std::ffi::CString;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;

    const NAME: &std::ffi::CStr = c"system.posix_acl_access";
    const VERSION: u32 = 2;
    const NOBODY: u32 = u32::MAX;
    /// More than a file system keeps of any file.
    const MOST_BYTES: usize = 1 << 16;

    const OWNER: u16 = 0x01;
    const USER: u16 = 0x02;
    const OWN_GROUP: u16 = 0x04;
    const GROUP: u16 = 0x08;
    const MASK: u16 = 0x10;
    const EVERYBODY: u16 = 0x20;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Entry {
        tag: u16,
        id: u32,
        right: u32,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct List(Vec<Entry>);

    impl Entry {
        pub fn of_user(id: u32, right: u32) -> Entry {
            Entry {
                tag: USER,
                id,
                right,
            }
        }

        pub fn of_group(id: u32, right: u32) -> Entry {
            Entry {
                tag: GROUP,
                id,
                right,
            }
        }
    }

    impl List {
        fn read(bytes: &[u8]) -> Option<List> {
            let (version, entries) = bytes.split_first_chunk::<4>()?;
            let entries =
                (u32::from_le_bytes(*version) == VERSION).then(|| entries.chunks_exact(8))?;
            let entry = |bytes: &[u8]| Entry {
                tag: u16::from_le_bytes([bytes[0], bytes[1]]),
                right: u16::from_le_bytes([bytes[2], bytes[3]]).into(),
                id: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            };
            Some(List(entries.map(entry).collect()))
        }

        fn write(&self) -> Vec<u8> {
            let mut bytes = VERSION.to_le_bytes().to_vec();
            for entry in &self.0 {
                bytes.extend(entry.tag.to_le_bytes());
                bytes.extend((entry.right as u16).to_le_bytes());
                bytes.extend(entry.id.to_le_bytes());
            }
            bytes
        }

        fn right(&self, tag: u16) -> Option<u32> {
            let entry = self.0.iter().find(|entry| entry.tag == tag);
            entry.map(|entry| entry.right)
        }

        /// What the owner, the group and everybody may, without the others on the list.
        pub fn mode(&self) -> u32 {
            let right = |tag| self.right(tag).unwrap_or(0);
            let most = self.right(MASK).unwrap_or(0o7);
            right(OWNER) << 6 | (right(OWN_GROUP) & most) << 3 | right(EVERYBODY)
        }

        /// The list of something new, of this mode, of some whom it names and of the same others with a part of their rights.
        pub fn of_new(&self, mode: u32, named: &[Entry], part: impl Fn(u32) -> u32) -> List {
            let most = self.right(MASK).unwrap_or(0o7);
            let is_other = |entry: &&Entry| {
                let is_same = |other: &Entry| (other.tag, other.id) == (entry.tag, entry.id);
                matches!(entry.tag, USER | GROUP) && !named.iter().any(is_same)
            };
            let lessened = |entry: &Entry| Entry {
                right: part(entry.right & most),
                ..*entry
            };
            let others = self.0.iter().filter(is_other).map(lessened);
            let mut entries: Vec<Entry> = named.iter().copied().chain(others).collect();
            let group = mode >> 3 & 0o7;
            let most = entries.iter().fold(group, |most, entry| most | entry.right);
            let own = [
                (OWNER, mode >> 6 & 0o7),
                (OWN_GROUP, group),
                (MASK, most),
                (EVERYBODY, mode & 0o7),
            ];
            let id = NOBODY;
            entries.extend(own.map(|(tag, right)| Entry { tag, id, right }));
            entries.sort();
            List(entries)
        }
    }

    /// That of an open file, if it has one.
    pub fn of(file: &File) -> Option<List> {
        read(|to, size| {
            // SAFETY: the file is open, and there is room for so many bytes.
            unsafe { libc::fgetxattr(file.as_raw_fd(), NAME.as_ptr(), to, size) }
        })
    }

    pub fn at(path: &Path) -> Option<List> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        read(|to, size| {
            // SAFETY: the path ends in a NUL, and there is room for so many bytes.
            unsafe { libc::getxattr(path.as_ptr(), NAME.as_ptr(), to, size) }
        })
    }

    fn read(get: impl Fn(*mut libc::c_void, usize) -> isize) -> Option<List> {
        // Most have none: then nothing is made to read it into.
        if get(std::ptr::null_mut(), 0) <= 0 {
            return None;
        }
        let mut bytes = vec![0; MOST_BYTES];
        let size = usize::try_from(get(bytes.as_mut_ptr().cast(), bytes.len())).ok()?;
        List::read(&bytes[..size])
    }

    pub fn give(file: &File, list: &List) -> io::Result<()> {
        let bytes = list.write();
        let (fd, start) = (file.as_raw_fd(), bytes.as_ptr().cast());
        // SAFETY: the file is open, and so many bytes are there.
        match unsafe { libc::fsetxattr(fd, NAME.as_ptr(), start, bytes.len(), 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes away what a folder's list for new files may have given.
    pub fn remove(file: &File) -> io::Result<()> {
        if of(file).is_none() {
            return Ok(());
        }
        // SAFETY: the file is open.
        match unsafe { libc::fremovexattr(file.as_raw_fd(), NAME.as_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::platform::rights::Rights;
        use std::fs;
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        fn list(entries: &[(u16, u32, u32)]) -> List {
            let entry = |&(tag, id, right)| Entry { tag, id, right };
            List(entries.iter().map(entry).collect())
        }

        #[test]
        fn of_a_list_each_has_a_part_of_what_they_had() {
            let theirs = list(&[
                (OWNER, NOBODY, 6),
                (USER, 7, 6),
                (USER, 8, 7),
                (OWN_GROUP, NOBODY, 0),
                (GROUP, 9, 4),
                (MASK, NOBODY, 6),
                (EVERYBODY, NOBODY, 0),
            ]);
            assert_eq!(List::read(&theirs.write()), Some(theirs.clone()));
            // The mode of the file says 660, by its mask.
            assert_eq!(theirs.mode(), 0o600);
            let sealed = list(&[
                (OWNER, NOBODY, 4),
                (USER, 7, 4),
                (USER, 8, 4),
                (OWN_GROUP, NOBODY, 0),
                (GROUP, 9, 4),
                (MASK, NOBODY, 4),
                (EVERYBODY, NOBODY, 0),
            ]);
            assert_eq!(theirs.of_new(0o400, &[], |right| right & 4), sealed);
            // Made by somebody else, of what the user 5 owns.
            let named = [Entry::of_user(5, 6), Entry::of_group(9, 2)];
            let by_another = theirs.of_new(0o600, &named, |right| right);
            let right_of = |id| {
                by_another
                    .0
                    .iter()
                    .find(|entry| entry.id == id)
                    .map(|entry| entry.right)
            };
            assert_eq!(
                [5, 7, 8, 9].map(right_of),
                [Some(6), Some(6), Some(6), Some(2)]
            );
            assert_eq!(List::read(b""), None);
            assert_eq!(List::read(&[1, 0, 0, 0]), None);
        }

        #[test]
        fn what_is_made_has_the_list_of_what_it_is_like() {
            let folder = std::env::temp_dir().join(format!("rights-{}", std::process::id()));
            drop(fs::remove_dir_all(&folder));
            fs::create_dir(&folder).unwrap();
            let [theirs, ours] =
                ["theirs", "ours"].map(|name| File::create(folder.join(name)).unwrap());
            let of_others = list(&[
                (OWNER, NOBODY, 6),
                (USER, 1, 6),
                (OWN_GROUP, NOBODY, 0),
                (MASK, NOBODY, 6),
                (EVERYBODY, NOBODY, 0),
            ]);
            // Not every file system has them.
            if give(&theirs, &of_others).is_ok() {
                let rights = Rights::of(&theirs).unwrap();
                rights.share_file(&ours).unwrap();
                assert_eq!(of(&ours), Some(of_others.clone()));
                assert_eq!(at(&folder.join("ours")), Some(of_others));
                rights.seal(&ours).unwrap();
                assert_eq!(ours.metadata().unwrap().mode() & 0o777, 0o440);
                let open = File::open(&folder).unwrap();
                rights.share_folder(&open, true).unwrap();
                assert_eq!(of(&open).unwrap().mode(), 0o700);
                assert_eq!(of(&open).unwrap().right(MASK), Some(7));
                // Of a ledger that has none, whatever the folder hands on.
                let plain = File::create(folder.join("plain")).unwrap();
                plain
                    .set_permissions(fs::Permissions::from_mode(0o640))
                    .unwrap();
                Rights::of(&plain).unwrap().share_file(&theirs).unwrap();
                assert_eq!(of(&theirs), None);
                assert_eq!(theirs.metadata().unwrap().mode() & 0o777, 0o640);
            }
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod list {
    use super::{File, Path};

    #[derive(Debug)]
    pub enum List {}

    #[cfg(unix)]
    #[derive(Debug, Clone, Copy)]
    pub struct Entry;

    #[cfg(unix)]
    impl Entry {
        pub fn of_user(_id: u32, _right: u32) -> Entry {
            Entry
        }

        pub fn of_group(_id: u32, _right: u32) -> Entry {
            Entry
        }
    }

    pub fn of(_file: &File) -> Option<List> {
        None
    }

    pub fn at(_path: &Path) -> Option<List> {
        None
    }

    #[cfg(unix)]
    impl List {
        pub fn mode(&self) -> u32 {
            match *self {}
        }

        pub fn of_new(&self, _mode: u32, _named: &[Entry], _part: impl Fn(u32) -> u32) -> List {
            match *self {}
        }
    }

    #[cfg(unix)]
    pub fn give(_file: &File, list: &List) -> std::io::Result<()> {
        match *list {}
    }

    #[cfg(unix)]
    pub fn remove(_file: &File) -> std::io::Result<()> {
        Ok(())
    }
}
