//! A stored folder comes back as it was, has one hash for one content, and stays within the folder
//! that it is unpacked to, whoever made its archive.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fitledger_core::Error;
use fitledger_core::ledger::folder::{self, Content, Entry};
use fitledger_core::ledger::objects::{Objects, Stored};
use fitledger_core::platform::sys;
use tar::{Builder, EntryType, Header};

/// A folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fitledger-folder-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn objects(&self) -> Objects {
        Objects::beside(&self.0.join("runs.csv"))
    }

    /// A folder of which each name is made: one that ends in `/` is a folder, any other a file.
    fn tree(&self, name: &str, names: &[&str]) -> PathBuf {
        let tree = self.0.join(name);
        fs::create_dir(&tree).unwrap();
        for name in names {
            let path = tree.join(name);
            match name.ends_with('/') {
                true => fs::create_dir_all(path).unwrap(),
                false => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, format!("what is in {name}")).unwrap();
                }
            }
        }
        tree
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn random(bytes: &mut [u8]) {
    sys::random(bytes).unwrap();
}

fn go_on(_done: u64) -> bool {
    false
}

fn put(objects: &Objects, tree: &Path) -> Result<Stored, Error> {
    folder::Folder::look(tree)?.put(objects, &mut random, &mut go_on)
}

fn unpack(objects: &Objects, stored: &Stored, to: &Path) -> Result<(), Error> {
    folder::unpack(objects, &stored.digest, Some(stored.size), to, &mut go_on)
}

/// What is in a folder: names with `/` at the end of a folder's, and the bytes of files.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            match fs::symlink_metadata(&path).unwrap() {
                there if there.is_dir() => {
                    found.push((format!("{name}/"), Vec::new()));
                    folders.push(path);
                }
                there => {
                    assert!(there.is_file(), "{name}");
                    found.push((name.to_owned(), fs::read(&path).unwrap()));
                }
            }
        }
    }
    found.sort();
    found
}

fn long_name() -> String {
    format!("{}/{}.txt", "é".repeat(100), "b".repeat(90))
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let folder = Folder::new();
    let objects = folder.objects();
    let long = long_name();
    let names = [
        "a",
        "a-b",
        "a.d/x",
        "empty/",
        "deep/deeper/empty/",
        "~/notes",
        "-rf",
        "größe und \u{1f600}",
        "a b",
        ".hidden/.too",
        &long,
    ];
    let tree = folder.tree("tree", &names);
    fs::write(tree.join("nothing"), b"").unwrap();
    fs::write(tree.join("large"), vec![7; 1_000_001]).unwrap();
    let stored = put(&objects, &tree).unwrap();
    let to = folder.0.join("unpacked");
    unpack(&objects, &stored, &to).unwrap();
    assert_eq!(content(&to), content(&tree));
    assert!(!folder.0.join("unpacked.tar").exists());

    let empty = folder.tree("none", &[]);
    let stored = put(&objects, &empty).unwrap();
    let to = folder.0.join("unpacked too");
    unpack(&objects, &stored, &to).unwrap();
    assert_eq!(content(&to), []);
    // What is there is not unpacked to.
    let e = unpack(&objects, &stored, &to).unwrap_err();
    assert_eq!(e.class(), "io");
}

#[test]
fn one_content_has_one_hash() {
    let folder = Folder::new();
    let objects = folder.objects();
    let names = ["b/c", "a", "b.c", "b/", "empty/"];
    let one = put(&objects, &folder.tree("one", &names)).unwrap();
    // It goes on being this one: what was stored is not to be stored again under another hash.
    let known = "e8fbdcccee9c2f8a826b641c26e216eecdcd35572d8ce8fd68be51072327422d";
    let mut reversed = names;
    reversed.reverse();
    let tree = folder.tree("two", &reversed);
    for name in ["a", "b/c"] {
        let file = fs::File::options()
            .append(true)
            .open(tree.join(name))
            .unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        file.set_modified(long_ago).unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for (name, mode) in [("a", 0o600), ("b/c", 0o664), ("b", 0o700), ("empty", 0o777)] {
            fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    assert_eq!(put(&objects, &tree).unwrap(), one);
    assert_eq!(one.digest.to_string(), known);
    assert_eq!(one.size, 10 * 512);

    fs::write(tree.join("a"), b"other").unwrap();
    assert_ne!(put(&objects, &tree).unwrap(), one);
}

#[cfg(unix)]
mod unix {
    use std::ffi::{CString, OsStr};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_right_to_execute_is_kept_and_no_other() {
        let folder = Folder::new();
        let objects = folder.objects();
        let tree = folder.tree("tree", &["run", "read", "other"]);
        let mode = |name: &str, mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(tree.join(name), permissions).unwrap();
        };
        mode("run", 0o4711);
        mode("read", 0o666);
        mode("other", 0o400);
        let stored = put(&objects, &tree).unwrap();
        let to = folder.0.join("unpacked");
        unpack(&objects, &stored, &to).unwrap();
        let new = |name: &str| fs::metadata(to.join(name)).unwrap().permissions().mode() & 0o7777;
        let like = folder.0.join("like");
        fs::write(&like, b"").unwrap();
        let plain = fs::metadata(like).unwrap().permissions().mode() & 0o7777;
        assert_eq!(new("read"), plain);
        assert_eq!(new("other"), plain);
        assert_eq!(new("run"), plain | (plain & 0o444) >> 2);
    }

    fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(work()));
        receive
            .recv_timeout(Duration::from_secs(20))
            .expect("it hangs")
    }

    #[test]
    fn what_an_archive_cannot_hold_is_refused_by_name_before_anything_is_stored() {
        let folder = Folder::new();
        let root = folder.0.clone();
        type Plant = Box<dyn Fn(&Path)>;
        let named = |name: &'static [u8]| -> Plant {
            Box::new(move |tree| fs::write(tree.join(OsStr::from_bytes(name)), b"").unwrap())
        };
        let long: Plant = Box::new(|tree| {
            let deep = (0..9).fold(tree.to_owned(), |path, _| path.join("n".repeat(240)));
            fs::create_dir_all(deep).unwrap();
        });
        let plants: Vec<(&str, &str, Plant)> = vec![
            (
                "link",
                "it is a symbolic link",
                Box::new(|tree| symlink("a", tree.join("link")).unwrap()),
            ),
            (
                "sub/link",
                "it is a symbolic link",
                Box::new(|tree| symlink("..", tree.join("sub/link")).unwrap()),
            ),
            (
                "pipe",
                "it is a pipe",
                Box::new(|tree| {
                    let path = CString::new(tree.join("pipe").as_os_str().as_bytes()).unwrap();
                    // SAFETY: the text ends in a NUL.
                    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
                }),
            ),
            (
                "socket",
                "it is a socket",
                Box::new(|tree| {
                    drop(std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap());
                }),
            ),
            ("", "its name is not UTF-8", named(b"\xff")),
            ("a\nb", "control character", named(b"a\nb")),
            ("a\\b", "a backslash", named(b"a\\b")),
            ("", "longer than 2048 bytes", long),
        ];
        for (i, (name, why, plant)) in plants.into_iter().enumerate() {
            let tree = folder.tree(&format!("t{i}"), &["a", "sub/b", "z"]);
            plant(&tree);
            let objects = folder.objects();
            let planted = tree.clone();
            let e = in_time(move || put(&objects, &planted).unwrap_err());
            assert_eq!(e.class(), "unstorable");
            let text = e.to_string();
            assert!(text.contains(why), "{text}");
            let path = format!("'{}'", tree.join(name).display());
            assert!(name.is_empty() || text.contains(&path), "{text}");
        }
        assert!(!folder.objects().folder().exists());

        // The folder itself.
        let tree = folder.tree("tree", &["a"]);
        let link = root.join("link");
        symlink(&tree, &link).unwrap();
        let e = put(&folder.objects(), &link).unwrap_err();
        assert!(e.to_string().contains("it is a symbolic link"), "{e}");
        let e = put(&folder.objects(), &tree.join("a")).unwrap_err();
        assert_eq!(e.class(), "unstorable");
        let e = put(&folder.objects(), &root.join("none")).unwrap_err();
        assert_eq!(e.class(), "not_found");
        assert!(!folder.objects().folder().exists());
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        // SAFETY: asks for a number. Everybody may read for root.
        if unsafe { libc::geteuid() } == 0 {
            return;
        }
        for name in ["sub", "sub/b"] {
            let folder = Folder::new();
            let tree = folder.tree("tree", &["a", "sub/b"]);
            let closed = fs::Permissions::from_mode(0o000);
            fs::set_permissions(tree.join(name), closed).unwrap();
            let e = put(&folder.objects(), &tree).unwrap_err();
            assert_eq!(e.class(), "unstorable");
            assert!(e.to_string().contains("can't be opened"), "{e}");
            assert!(!folder.objects().folder().exists());
            let open = fs::Permissions::from_mode(0o700);
            fs::set_permissions(tree.join(name), open).unwrap();
        }
    }

    #[test]
    fn a_folder_that_changes_while_it_is_packed_is_refused() {
        type Change = fn(&Path);
        let changes: [(Change, &str); 4] = [
            (
                |tree| fs::write(tree.join("a"), vec![8; 3_000_000]).unwrap(),
                "changed while it was read",
            ),
            (
                |tree| fs::remove_file(tree.join("z")).unwrap(),
                "can't be opened",
            ),
            (
                |tree| {
                    fs::remove_file(tree.join("z")).unwrap();
                    symlink("/etc/passwd", tree.join("z")).unwrap();
                },
                "can't be opened",
            ),
            (
                // What is read is what lies in the folder, not behind a link in its place.
                |tree| {
                    fs::rename(tree.join("sub"), tree.join("was")).unwrap();
                    symlink("was", tree.join("sub")).unwrap();
                },
                "can't be opened",
            ),
        ];
        for (change, why) in changes {
            let folder = Folder::new();
            let tree = folder.tree("tree", &["sub/b", "z"]);
            fs::write(tree.join("a"), vec![7; 2_000_000]).unwrap();
            let mut changed = false;
            let mut progress = |done| {
                if done > 1_000_000 && !std::mem::replace(&mut changed, true) {
                    change(&tree);
                }
                false
            };
            let looked = folder::Folder::look(&tree).unwrap();
            let e = looked.put(&folder.objects(), &mut random, &mut progress);
            let e = e.unwrap_err();
            assert_eq!(e.class(), "unstorable");
            assert!(e.to_string().contains(why), "{e}");
            let left = content(folder.objects().folder());
            assert_eq!(left, [], "{why}");
        }
    }
}

/// An entry of any sort: its name, what it is, where a link leads, its bytes.
type Raw<'a> = (&'a str, EntryType, &'a str, &'a [u8]);

fn archive(entries: &[Raw<'_>]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, kind, link, bytes) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // As bytes: the crate would refuse some.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

const FILE: EntryType = EntryType::Regular;
const FOLDER: EntryType = EntryType::Directory;

/// Stores an archive that we did not make, and unpacks it.
fn unpack_hostile(folder: &Folder, archive: &[u8]) -> Result<PathBuf, Error> {
    let objects = folder.objects();
    let stored = objects.put(&mut &*archive, &mut random, &mut go_on);
    let to = folder.0.join("unpacked");
    let unpacked = unpack(&objects, &stored.unwrap(), &to);
    assert!(!folder.0.join("unpacked.tar").exists());
    if unpacked.is_err() {
        assert!(!to.exists());
    }
    unpacked.map(|()| to)
}

#[test]
fn what_would_leave_its_folder_is_not_unpacked() {
    let outside = std::env::temp_dir().join(format!("fitledger-escaped-{}", std::process::id()));
    let outside = outside.to_str().unwrap();
    let link = EntryType::Symlink;
    let hard = EntryType::Link;
    let cases: Vec<(&str, Vec<Raw<'_>>)> = vec![
        (
            "may lead out",
            vec![("ok", FILE, "", b"x"), (outside, FILE, "", b"x")],
        ),
        ("may lead out", vec![("../escaped", FILE, "", b"x")]),
        ("may lead out", vec![("a/../../escaped", FILE, "", b"x")]),
        ("may lead out", vec![("a//b", FILE, "", b"x")]),
        ("may lead out", vec![("./a", FILE, "", b"x")]),
        ("may lead out", vec![("..", FOLDER, "", b"")]),
        ("may lead out", vec![("/", FOLDER, "", b"")]),
        ("may lead out", vec![("", FILE, "", b"x")]),
        ("may lead out", vec![("a/", FILE, "", b"x")]),
        (
            "the link 'f'",
            vec![("f", link, outside, b""), ("f", FILE, "", b"x")],
        ),
        (
            "the link 'd'",
            vec![("d", link, "/tmp", b""), ("d/escaped", FILE, "", b"x")],
        ),
        (
            "the link 'h'",
            vec![("h", hard, outside, b""), ("h", FILE, "", b"x")],
        ),
        ("neither a file", vec![("p", EntryType::Fifo, "", b"")]),
        ("neither a file", vec![("c", EntryType::Char, "", b"")]),
        ("neither a file", vec![("b", EntryType::Block, "", b"")]),
        ("neither a file", vec![("?", EntryType::new(b'Z'), "", b"")]),
        (
            "'a' twice",
            vec![
                ("a", FILE, "", b"1"),
                ("b", FILE, "", b""),
                ("a", FILE, "", b"2"),
            ],
        ),
        (
            "'a' twice",
            vec![("a", FOLDER, "", b""), ("a/", FOLDER, "", b"")],
        ),
        (
            "'a' twice",
            vec![("a", FOLDER, "", b""), ("a", FILE, "", b"2")],
        ),
        (
            "as a file and as a folder",
            vec![
                ("a", FILE, "", b"1"),
                ("a-b", FILE, "", b""),
                ("a/x", FILE, "", b"2"),
            ],
        ),
        (
            "as a file and as a folder",
            vec![("a/b/x", FILE, "", b"1"), ("a/b", FILE, "", b"")],
        ),
    ];
    for (why, entries) in cases {
        let folder = Folder::new();
        let e = unpack_hostile(&folder, &archive(&entries)).unwrap_err();
        assert_eq!(e.class(), "artifact", "{e}");
        assert!(e.to_string().contains(why), "{why}: {e}");
        assert!(!Path::new(outside).exists());
        let mut left = content(&folder.0);
        left.retain(|(name, _)| !name.starts_with("runs.csv.objects"));
        assert_eq!(left, []);
    }
}

#[test]
fn an_archive_that_ends_early_or_is_none_is_not_unpacked() {
    let whole = archive(&[("a", FILE, "", &[1; 2000]), ("b", FILE, "", b"x")]);
    let mut huge = Header::new_gnu();
    huge.set_entry_type(FILE);
    huge.set_size(1 << 50);
    huge.as_old_mut().name[0] = b'a';
    huge.set_cksum();
    let cases: [(&[u8], &str); 5] = [
        (&whole[..1000], "it ends within 'a'"),
        (&whole[..512 + 2048 + 100], "can't be read"),
        (huge.as_bytes(), "it ends within 'a'"),
        (&[b'x'; 2000], "can't be read"),
        (&[b'x'; 20], "can't be read"),
    ];
    for (bytes, why) in cases {
        let e = unpack_hostile(&Folder::new(), bytes).unwrap_err();
        assert_eq!(e.class(), "artifact");
        assert!(e.to_string().contains(why), "{why}: {e}");
    }
}

#[test]
fn bytes_that_are_not_right_are_not_unpacked() {
    let folder = Folder::new();
    let objects = folder.objects();
    let stored = put(&objects, &folder.tree("tree", &["a"])).unwrap();
    let path = objects.path(&stored.digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[513] ^= 1;
    sys::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let to = folder.0.join("unpacked");
    let e = unpack(&objects, &stored, &to).unwrap_err();
    assert!(matches!(e, Error::Artifact { .. }), "{e}");
    assert!(!to.exists() && !folder.0.join("unpacked.tar").exists());
}

/// Of a folder `sub/deep` with a file in it, beside one that may be executed, and an empty folder that was
/// left out, as `utils::tar()` of R 4.2 packed it; the file's name of 121 bytes is split over two fields.
#[test]
fn archives_of_earlier_versions_are_unpacked() {
    let folder = Folder::new();
    let packed = include_bytes!("data/folder-by-r.tar");
    let to = unpack_hostile(&folder, packed).unwrap();
    let long = format!("sub/{}/{}", "d".repeat(40), "n".repeat(76));
    let mut expected = vec![
        ("g".to_owned(), b"c\n".to_vec()),
        ("sub/".to_owned(), Vec::new()),
        ("sub/w".to_owned(), b"a\n".to_vec()),
        (format!("sub/{}/", "d".repeat(40)), Vec::new()),
        (long, b"b\n".to_vec()),
    ];
    expected.sort();
    assert_eq!(content(&to), expected);
}

#[test]
fn a_long_name_as_r_writes_it_is_a_name_like_any_other() {
    let name_of_next = EntryType::GNULongName;
    let entry = |header: &mut Header, kind, name: &str, bytes: &[u8]| {
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        let padding = bytes.len().next_multiple_of(512) - bytes.len();
        [header.as_bytes(), bytes, &vec![0; padding]].concat()
    };
    let archive = |long: &str| {
        let name = entry(
            &mut Header::new_old(),
            name_of_next,
            "ExtendedName",
            long.as_bytes(),
        );
        let file = entry(&mut Header::new_ustar(), FILE, "dummy", b"hi");
        [name, file].concat()
    };
    let long = "n".repeat(150);
    let folder = Folder::new();
    let to = unpack_hostile(&folder, &archive(&long)).unwrap();
    assert_eq!(content(&to), [(long.clone(), b"hi".to_vec())]);

    for hostile in ["../escaped", "/tmp/escaped", "", "a//b", &"n/".repeat(2000)] {
        let folder = Folder::new();
        let e = unpack_hostile(&folder, &archive(hostile)).unwrap_err();
        assert_eq!(e.class(), "artifact", "{hostile}");
    }
}

#[test]
fn a_list_is_that_of_what_was_packed() {
    let folder = Folder::new();
    let objects = folder.objects();
    let long = long_name();
    let tree = folder.tree("tree", &["b/x", "a", "e/", &long]);
    let stored = put(&objects, &tree).unwrap();
    let bytes = objects.read(&stored.digest, None, &mut go_on).unwrap();
    let entries = folder::list(&mut Cursor::new(&bytes)).unwrap();
    let file = |name: &str| Entry {
        name: name.to_owned(),
        content: Content::File {
            size: format!("what is in {name}").len() as u64,
            is_executable: false,
        },
    };
    let below = |name: &str| Entry {
        name: name.to_owned(),
        content: Content::Folder,
    };
    let (long_folder, _) = long.split_once('/').unwrap();
    let expected = [
        file("a"),
        below("b"),
        file("b/x"),
        below("e"),
        below(long_folder),
        file(&long),
    ];
    assert_eq!(entries, expected);

    // A size of more than 8 GiB takes another form of number.
    let mut header = Header::new_gnu();
    header.set_size(9 << 30);
    assert_eq!(header.entry_size().unwrap(), 9 << 30);
}
