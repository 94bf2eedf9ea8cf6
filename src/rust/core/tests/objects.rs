//! Stored bytes are those that were given, or they are refused; whatever is killed, and whenever.
//!
//! `FITLEDGER_ROUNDS` sets the number of rounds in which sixteen processes are killed at random,
//! `FITLEDGER_SEED` the first round's seed.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fitledger_core::Error;
use fitledger_core::error::Damage;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::objects::{Objects, Stored, copy_file, read_file, safe_file_name};
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session};
use fitledger_core::platform::sys;
use fitledger_core::views::verify::{Status, verify, verify_with};

use wait::{PATIENCE, wait_until};

mod wait;

/// A folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fitledger-objects-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn objects(&self) -> Objects {
        Objects::beside(&self.0.join("runs.csv"))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
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

fn put(objects: &Objects, mut bytes: &[u8]) -> Stored {
    objects.put(&mut bytes, &mut random, &mut go_on).unwrap()
}

fn put_file(objects: &Objects, path: &Path) -> Result<Stored, Error> {
    objects.put_file(path, &mut random, &mut go_on)
}

fn read(objects: &Objects, digest: &Digest, size: Option<u64>) -> Result<Vec<u8>, Error> {
    objects.read(digest, size, &mut go_on)
}

fn damage<T: std::fmt::Debug>(done: Result<T, Error>) -> Damage {
    match done {
        Err(e @ Error::Artifact { damage, .. }) => {
            assert_eq!(e.class(), "artifact");
            damage
        }
        done => panic!("{done:?}"),
    }
}

/// What is wrong, said by both ways to read.
fn refused(objects: &Objects, stored: &Stored) -> Damage {
    let size = Some(stored.size);
    let opened = damage(objects.open(&stored.digest, size, &mut go_on));
    assert_eq!(opened, damage(read(objects, &stored.digest, size)));
    opened
}

fn temporaries(objects: &Objects) -> Vec<PathBuf> {
    let entries = fs::read_dir(objects.folder()).into_iter().flatten();
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("tmp-")
        })
        .collect()
}

/// All names under which bytes are there for others to see.
fn published(objects: &Objects) -> Vec<(Digest, PathBuf)> {
    let entries = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let folders = entries(objects.folder()).into_iter();
    let paths = folders
        .filter(|path| path.is_dir())
        .flat_map(|f| entries(&f));
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let digest = Digest::from_hex(name.as_bytes()).unwrap();
            assert_eq!(path, objects.path(&digest));
            (digest, path)
        })
        .collect()
}

/// Puts other bytes in the place of an object, which can't be written to.
fn replace(path: &Path, bytes: &[u8]) {
    sys::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn bytes_come_back() {
    let folder = Folder::new();
    let objects = folder.objects();
    assert_eq!(objects.folder(), folder.0.join("runs.csv.objects"));
    for size in [0_u64, 1, 262_143, 262_144, 262_145, 1_000_000] {
        let bytes: Vec<u8> = (0..size).map(|i| (i * i % 251) as u8).collect();
        let stored = put(&objects, &bytes);
        assert_eq!(stored.digest, Digest::of(&[&bytes]));
        assert_eq!(stored.size, size);
        let hex = stored.digest.to_string();
        let path = objects.folder().join(&hex[..2]).join(&hex);
        assert_eq!(objects.path(&stored.digest), path);
        assert_eq!(fs::read(&path).unwrap(), bytes);

        for size in [None, Some(stored.size)] {
            assert_eq!(read(&objects, &stored.digest, size).unwrap(), bytes);
            let mut opened = objects.open(&stored.digest, size, &mut go_on).unwrap();
            assert_eq!((&opened.path, opened.size), (&path, stored.size));
            let mut again = Vec::new();
            opened.file.read_to_end(&mut again).unwrap();
            assert_eq!(again, bytes);
        }
        let file = folder.file("source", &bytes);
        assert_eq!(put_file(&objects, &file).unwrap(), stored);
    }
    assert!(temporaries(&objects).is_empty());
}

#[test]
fn the_same_bytes_are_stored_once() {
    let folder = Folder::new();
    let objects = folder.objects();
    let stored = put(&objects, b"a model");
    let path = objects.path(&stored.digest);
    let id = sys::path_id(&path).unwrap();
    assert_eq!(put(&objects, b"a model"), stored);
    assert_eq!(sys::path_id(&path).unwrap(), id);
    assert_eq!(published(&objects).len(), 1);
    assert!(temporaries(&objects).is_empty());
}

#[test]
fn a_stored_file_can_only_be_read() {
    let folder = Folder::new();
    let objects = folder.objects();
    let path = objects.path(&put(&objects, b"a model").digest);
    let metadata = fs::metadata(&path).unwrap();
    assert!(metadata.permissions().readonly());
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        // As a new file here would be, without the right to write.
        let like = folder.file("like", b"");
        let like = fs::metadata(like).unwrap().permissions().mode();
        assert_eq!(metadata.permissions().mode(), like & !0o222);
        assert_eq!(metadata.nlink(), 1);
    }
}

#[test]
fn damage_is_refused_and_named_and_healed_by_the_same_bytes() {
    let folder = Folder::new();
    let objects = folder.objects();
    let stored = put(&objects, b"a model");
    let path = objects.path(&stored.digest);

    type Harm = fn(&Path);
    let harms: [(Harm, Damage); 6] = [
        (|path| replace(path, b"a nodel"), Damage::Changed),
        (|path| replace(path, b"a model!"), Damage::Changed),
        (|path| replace(path, b"a mod"), Damage::Truncated),
        (|path| sys::remove_file(path).unwrap(), Damage::Missing),
        (
            |path| fs::remove_dir_all(path.parent().unwrap().parent().unwrap()).unwrap(),
            Damage::NoFolder,
        ),
        (
            |path| {
                sys::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            Damage::NotAFile,
        ),
    ];
    for (harm, what) in harms {
        harm(&path);
        assert_eq!(refused(&objects, &stored), what);
        assert_eq!(put(&objects, b"a model"), stored);
        assert_eq!(read(&objects, &stored.digest, Some(7)).unwrap(), b"a model");
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
        assert!(temporaries(&objects).is_empty());
    }

    // Without the size, bytes that are missing are bytes that have changed.
    replace(&path, b"a mod");
    assert_eq!(
        damage(read(&objects, &stored.digest, None)),
        Damage::Changed
    );
    put(&objects, b"a model");
    // The right bytes, of which a row says something else.
    assert_eq!(
        damage(read(&objects, &stored.digest, Some(6))),
        Damage::Changed
    );

    // What somebody keeps in a folder of this name is not ours to remove.
    sys::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("kept"), b"").unwrap();
    let e = objects.put(&mut &b"a model"[..], &mut random, &mut go_on);
    assert_eq!(e.unwrap_err().class(), "io");
    assert!(path.join("kept").exists());
    assert!(temporaries(&objects).is_empty());
}

#[test]
fn verifying_a_ledger_lists_what_is_wrong_with_its_artifacts() {
    let folder = Folder::new();
    let path = folder.0.join("runs.csv");
    let objects = folder.objects();
    let context = Object::new().text("user", "reader");
    let mut how = Append {
        session: Session {
            version: 1,
            context: &context,
            lockfile: None,
            code: &[],
        },
        sync: false,
        now: Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap(),
        random: &mut random,
        since: Instant::now(),
        give_up: &mut || false,
    };
    let open = || FileStore::open(&path);
    ledger::begin(open, &path, &mut Memory::default(), &mut how).unwrap();
    let models: [&[u8]; 5] = [b"whole", b"changed", b"cut", b"gone", b"whole"];
    let stored: Vec<Stored> = models.iter().map(|model| put(&objects, model)).collect();
    let events = stored.iter().enumerate().map(|(n, stored)| {
        // The last row says something else of the right bytes.
        let size = stored.size - u64::from(n == 4);
        let (name, sha256) = (n + 1, stored.digest);
        let artifacts =
            format!(r#"{{"m{name}":{{"sha256":"{sha256}","size":{size},"stored":true}}}}"#);
        let event = Event {
            run_id: RunId::new(&format!("run{name}")),
            artifacts: Object::from_text(artifacts.as_bytes()).unwrap(),
            ..Event::new(EventKind::Run)
        };
        (
            Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap(),
            event,
        )
    });
    ledger::append(open, &path, &mut Memory::default(), &mut how, events).unwrap();
    let wrong = || {
        let report = verify(&path, None).unwrap();
        assert_eq!(report.status, Status::Ok);
        let problems = report.problems.into_iter();
        problems.map(|problem| problem.what).collect::<Vec<_>>()
    };
    let other_size = "the stored bytes of the artifact 'm5' have changed";
    assert_eq!(wrong(), [other_size]);

    replace(&objects.path(&stored[1].digest), b"chang\0d");
    replace(&objects.path(&stored[2].digest), b"cu");
    sys::remove_file(&objects.path(&stored[3].digest)).unwrap();
    assert_eq!(
        wrong(),
        [
            "the stored bytes of the artifact 'm2' have changed",
            "the stored bytes of the artifact 'm3' have been cut short",
            "the stored bytes of the artifact 'm4' are not there",
            other_size,
        ]
    );

    let mut done = Vec::new();
    let mut count = |bytes| {
        done.push(bytes);
        false
    };
    verify_with(&path, None, &mut count).unwrap();
    assert!(done.len() > 1 && done.is_sorted(), "{done:?}");
    let stopped = verify_with(&path, None, &mut |_| true);
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
}

#[test]
fn what_a_session_keeps_of_the_code_is_stored_once_and_verified() {
    let folder = Folder::new();
    let path = folder.0.join("runs.csv");
    let context = Object::new().text("script", "fit.R");
    let now = Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap();
    let mut memory = Memory::default();
    let mut log = |version, code: &[(&'static str, &[u8])]| {
        let mut how = Append {
            session: Session {
                version,
                context: &context,
                lockfile: None,
                code,
            },
            sync: false,
            now,
            random: &mut random,
            since: Instant::now(),
            give_up: &mut || false,
        };
        let event = Event {
            run_id: RunId::new(&format!("run{version}")),
            ..Event::new(EventKind::Run)
        };
        let open = || FileStore::open(&path);
        ledger::append(open, &path, &mut memory, &mut how, [(now, event)]).unwrap();
        memory.take_not_recorded()
    };
    assert_eq!(log(1, &[("script", b"fit()"), ("diff", b"-1+2")]), None);
    assert_eq!(log(2, &[("script", b"fit()")]), None);
    let objects = folder.objects();
    let script = objects.path(&Digest::of(&[b"fit()"]));
    assert_eq!(fs::read(&script).unwrap(), b"fit()");
    assert!(verify(&path, None).unwrap().problems.is_empty());

    replace(&script, b"fit(2)");
    replace(&objects.path(&Digest::of(&[b"-1+2"])), b"");
    let problems = verify(&path, None).unwrap().problems.into_iter();
    assert_eq!(
        problems.map(|problem| problem.what).collect::<Vec<_>>(),
        [
            "the stored bytes of a script have changed",
            "the stored bytes of a diff have been cut short",
            "the stored bytes of a script have changed",
        ]
    );

    // What can't be stored keeps no run from being logged.
    fs::remove_dir_all(objects.folder()).unwrap();
    fs::write(objects.folder(), b"in the way").unwrap();
    let warning = log(3, &[("script", b"fit()")]).unwrap();
    assert!(
        warning.starts_with("The text of the script is not on record: "),
        "{warning}"
    );
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("code").count(), 2);
}

#[test]
fn nothing_is_there_before_the_first_store() {
    let folder = Folder::new();
    let nothing = Digest::of(&[]);
    assert_eq!(
        damage(read(&folder.objects(), &nothing, None)),
        Damage::NoFolder
    );
    assert!(!folder.objects().folder().exists());
    let nowhere = Objects::beside(&folder.0.join("no/runs.csv"));
    let e = nowhere.put(&mut io::empty(), &mut random, &mut go_on);
    assert_eq!(e.unwrap_err().class(), "io");
    let e = put_file(&folder.objects(), &folder.0.join("none"));
    assert_eq!(e.unwrap_err().class(), "not_found");
    assert!(!folder.objects().folder().exists());
}

#[cfg(unix)]
mod links_and_pipes {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_to_stored_bytes_are_refused() {
        let folder = Folder::new();
        let objects = folder.objects();
        let stored = put(&objects, b"a model");
        let path = objects.path(&stored.digest);
        let two = path.parent().unwrap();

        // An object, even where the link leads to the right bytes.
        let elsewhere = folder.0.join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert_eq!(refused(&objects, &stored), Damage::Link);
        assert_eq!(put(&objects, b"a model"), stored);
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"a model");

        // The folder of two characters, and the folder of all objects.
        for there in [two, objects.folder()] {
            let elsewhere = folder.0.join("folder");
            fs::rename(there, &elsewhere).unwrap();
            fs::write(elsewhere.join("tmp-mine"), b"").unwrap();
            symlink(&elsewhere, there).unwrap();
            assert_eq!(refused(&objects, &stored), Damage::Astray);
            let e = objects.put(&mut &b"a model"[..], &mut random, &mut go_on);
            let e = e.unwrap_err();
            assert_eq!(e.class(), "io");
            assert!(e.in_full().contains("it is a symbolic link"), "{e}");
            assert!(elsewhere.join("tmp-mine").exists());
            fs::remove_file(there).unwrap();
            fs::rename(&elsewhere, there).unwrap();
        }
        assert_eq!(put(&objects, b"a model"), stored);

        // A pipe in an object's place.
        fs::remove_file(&path).unwrap();
        make_pipe(&path);
        assert_eq!(
            in_time(move || refused(&objects, &stored)),
            Damage::NotAFile
        );
        let objects = folder.objects();
        in_time(move || put(&objects, b"a model"));
        assert_eq!(fs::read(&path).unwrap(), b"a model");
    }

    #[test]
    fn only_regular_files_are_sources() {
        let folder = Folder::new();
        let file = folder.file("model.rds", b"a model");
        let link = folder.0.join("link");
        symlink(&file, &link).unwrap();
        let dangling = folder.0.join("dangling");
        symlink("nowhere", &dangling).unwrap();
        let pipe = folder.0.join("pipe");
        make_pipe(&pipe);
        let socket = folder.0.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let sources = [
            (link, "a symbolic link"),
            (dangling, "a symbolic link"),
            (pipe, "a pipe"),
            (socket, "a socket"),
            (folder.0.clone(), "a folder"),
            (PathBuf::from("/dev/zero"), "a device"),
        ];
        for (path, what) in sources {
            let objects = folder.objects();
            let e = in_time(move || put_file(&objects, &path).unwrap_err());
            assert_eq!(e.class(), "unstorable");
            assert!(
                e.to_string()
                    .ends_with(&format!("can't be stored: it is {what}.")),
                "{e}"
            );
        }
        assert!(!folder.objects().folder().exists());
        // The way to a file may lead over links.
        let around = folder.0.join("around");
        symlink(&folder.0, &around).unwrap();
        put_file(&folder.objects(), &around.join("model.rds")).unwrap();
    }

    #[test]
    fn the_rights_of_others_are_not_widened() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let mut child = worker(&folder, "private", 0, Stdio::null());
        assert!(child.wait().unwrap().success());
        let path = folder.objects().path(&Digest::of(&[b"private"]));
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
    }

    #[test]
    fn who_may_use_the_ledger_may_use_its_objects_whatever_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (ledger, folders, files) in [
            (0o664, 0o2775, 0o444),
            (0o640, 0o2750, 0o440),
            (0o600, 0o2700, 0o400),
        ] {
            let folder = Folder::new();
            set(&folder.0, 0o2775);
            set(&folder.file("runs.csv", b""), ledger);
            let store = || {
                let mut child = worker(&folder, "private", 0, Stdio::null());
                assert!(child.wait().unwrap().success());
            };
            store();
            let objects = folder.objects();
            let path = objects.path(&Digest::of(&[b"private"]));
            let two = path.parent().unwrap();
            assert_eq!(mode(objects.folder()), folders);
            assert_eq!(mode(two), folders);
            assert_eq!(mode(&path), files);

            // What an earlier version made for its user alone is opened when that one stores something.
            set(two, 0o700);
            store();
            assert_eq!(mode(two) & 0o777, folders & 0o777);
            // A user may have closed the whole of it.
            set(objects.folder(), 0o2700);
            store();
            assert_eq!(mode(objects.folder()), 0o2700);
        }
    }

    /// Swaps the folder of the stored bytes for something else, once the first of the bytes are read.
    struct Swap<'a>(&'a dyn Fn(), &'a [u8]);

    impl Read for Swap<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.read(into)?;
            (self.0)();
            Ok(n)
        }
    }

    #[test]
    fn a_folder_that_is_swapped_meanwhile_leads_nowhere() {
        use std::os::unix::fs::PermissionsExt;
        let two = |bytes: &[u8]| Digest::of(&[bytes]).to_string()[..2].to_owned();
        let two = two(b"a model");
        for swaps_for_link in [true, false] {
            let folder = Folder::new();
            let objects = folder.objects();
            put(&objects, b"another");
            let private = folder.0.join("private");
            let inner = private.join(&two);
            fs::create_dir_all(&inner).unwrap();
            fs::write(inner.join("theirs"), b"").unwrap();
            fs::write(private.join("tmp-theirs"), b"").unwrap();
            fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
            let was = folder.0.join("was");
            let swap = || {
                if !was.exists() {
                    fs::rename(objects.folder(), &was).unwrap();
                    match swaps_for_link {
                        true => symlink(&private, objects.folder()).unwrap(),
                        false => fs::rename(&private, objects.folder()).unwrap(),
                    }
                }
            };
            let e = objects.put(&mut Swap(&swap, b"a model"), &mut random, &mut go_on);
            let e = e.unwrap_err();
            assert_eq!(e.class(), "io");
            assert!(e.in_full().contains("has come into its place"), "{e}");
            let there = fs::canonicalize(objects.folder()).unwrap();
            let inner = there.join(&two);
            assert_eq!(
                fs::metadata(&inner).unwrap().permissions().mode() & 0o777,
                0o700
            );
            assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
            assert_eq!(fs::read_dir(&there).unwrap().count(), 2);
            let left = fs::read_dir(&was).unwrap().count();
            assert_eq!(left, 1, "no temporary stays");
        }
    }

    #[test]
    fn only_a_folder_of_stored_bytes_is_opened_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let objects = folder.objects();
        let stored = put(&objects, b"another");
        fs::set_permissions(objects.folder(), fs::Permissions::from_mode(0o777)).unwrap();
        let private = |bytes: &[u8], inside: &str| {
            let inner = objects.path(&Digest::of(&[bytes]));
            let inner = inner.parent().unwrap();
            fs::create_dir(inner).unwrap();
            fs::write(inner.join(inside), b"").unwrap();
            fs::set_permissions(inner, fs::Permissions::from_mode(0o700)).unwrap();
            put(&objects, bytes);
            fs::metadata(inner).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(private(b"a model", "a file"), 0o700);
        let two = |bytes: &[u8]| Digest::of(&[bytes]).to_string();
        assert_eq!(private(b"one more", &two(b"one more")), 0o777);
        assert_eq!(private(b"the last", &stored.digest.to_string()), 0o700);
    }

    fn make_pipe(path: &Path) {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the text ends in a NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }

    fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(work()));
        receive.recv_timeout(PATIENCE).expect("it hangs")
    }
}

/// Stores bytes in a place where they can be changed.
fn put_open(objects: &Objects, bytes: &[u8]) -> Stored {
    let stored = put(objects, bytes);
    replace(&objects.path(&stored.digest), bytes);
    stored
}

#[test]
fn what_is_handed_out_is_what_was_hashed() {
    let folder = Folder::new();
    let objects = folder.objects();
    let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
    let harm = |path: &Path, at: u64| {
        use std::io::Seek;
        let mut file = fs::File::options().write(true).open(path).unwrap();
        file.seek(io::SeekFrom::Start(at)).unwrap();
        file.write_all(b"evil").unwrap();
    };
    // What was read already doesn't change any more, what comes later is seen.
    for (at, holds) in [(1000, true), (500_000, false)] {
        let stored = put_open(&objects, &bytes);
        let path = objects.path(&stored.digest);
        let recorded = folder.file("recorded", &bytes);
        type Read<'a> = Box<dyn Fn(&mut dyn FnMut(u64) -> bool) -> Result<Vec<u8>, Error> + 'a>;
        let copy = folder.0.join("copy");
        let (digest, size) = (stored.digest, Some(stored.size));
        let whole = |file: Result<fs::File, Error>| {
            let mut bytes = Vec::new();
            file?.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, fs::read(&copy).unwrap());
            fs::remove_file(&copy).unwrap();
            Ok(bytes)
        };
        let ways: [(&Path, Read<'_>); 4] = [
            (
                &path,
                Box::new(|progress| objects.read(&digest, size, progress)),
            ),
            (
                &path,
                Box::new(|progress| whole(objects.copy(&digest, size, &copy, progress))),
            ),
            (
                &recorded,
                Box::new(|progress| read_file(&recorded, &digest, progress)),
            ),
            (
                &recorded,
                Box::new(|progress| whole(copy_file(&recorded, &digest, &copy, progress))),
            ),
        ];
        for (source, read) in ways {
            fs::write(source, &bytes).unwrap();
            let unwatched = read(&mut go_on).unwrap();
            assert_eq!(unwatched, bytes);
            let mut harmed = false;
            let mut progress = |_| {
                if !std::mem::replace(&mut harmed, true) {
                    harm(source, at);
                }
                false
            };
            match read(&mut progress) {
                Ok(read) => assert!(holds && read == bytes),
                // A file that was written to while it was read is refused in any case.
                Err(e) => assert!(!holds || e.class() == "unstorable", "{e}"),
            }
            assert!(harmed && !copy.exists());
            assert!(read(&mut go_on).is_err());
        }
    }
    // A copy takes the place of nothing.
    let stored = put(&objects, b"a model");
    let there = folder.file("there", b"precious");
    let e = objects.copy(&stored.digest, None, &there, &mut go_on);
    assert_eq!(e.unwrap_err().class(), "io");
    assert_eq!(fs::read(there).unwrap(), b"precious");
}

#[test]
fn a_file_that_changes_meanwhile_is_refused() {
    let folder = Folder::new();
    let objects = folder.objects();
    let path = folder.file("log", &[7; 600_000]);
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let set_time = || {
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(long_ago).unwrap();
    };
    let refused = |change: &mut dyn FnMut()| {
        set_time();
        let mut changed = false;
        let mut progress = |_| {
            if !std::mem::replace(&mut changed, true) {
                change();
            }
            false
        };
        let e = objects.put_file(&path, &mut random, &mut progress);
        let e = e.unwrap_err();
        assert_eq!(e.class(), "unstorable");
        assert!(temporaries(&objects).is_empty());
        assert!(published(&objects).is_empty());
        e.to_string()
    };
    let write = |append: bool, bytes: &[u8]| {
        let mut options = fs::File::options();
        let mut file = options.write(!append).append(append).open(&path).unwrap();
        file.write_all(bytes).unwrap();
    };
    let said = refused(&mut || write(true, b"more"));
    assert!(
        said.contains("it had 600000 bytes, 600004 were read, now it has 600004"),
        "{said}"
    );
    let said = refused(&mut || write(false, b"other"));
    assert!(said.contains("it was written to"), "{said}");
    let said = refused(&mut || {
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(10)
            .unwrap()
    });
    assert!(said.contains("now it has 10"), "{said}");
    set_time();
    put_file(&objects, &path).unwrap();
}

#[test]
fn a_failed_store_leaves_nothing() {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1..=3 => Ok(bytes.len()),
                4 => Err(io::ErrorKind::Interrupted.into()),
                _ => Err(io::Error::other("the disk is gone")),
            }
        }
    }
    let folder = Folder::new();
    let objects = folder.objects();
    let e = objects.put(&mut Failing(0), &mut random, &mut go_on);
    let e = e.unwrap_err();
    assert_eq!(e.class(), "io");
    assert!(e.in_full().contains("the disk is gone"), "{e}");

    let mut told = Vec::new();
    let mut give_up = |done| {
        told.push(done);
        done >= 500_000
    };
    let e = objects.put(&mut io::repeat(1), &mut random, &mut give_up);
    assert!(matches!(e, Err(Error::Interrupted)), "{e:?}");
    assert_eq!(told, [262_144, 524_288]);

    assert!(temporaries(&objects).is_empty());
    assert!(published(&objects).is_empty());

    let stored = put(&objects, &[1; 1_000_000]);
    let e = read_until(&objects, &stored.digest, 300_000);
    assert!(matches!(e, Err(Error::Interrupted)), "{e:?}");
}

fn read_until(objects: &Objects, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
    objects.read(digest, None, &mut |done| done > limit)
}

#[test]
fn names_stay_in_their_folder() {
    let long = "é".repeat(127);
    for good in [
        "model.rds",
        "a",
        ".hidden",
        "a b.tar.gz",
        " leading",
        "Modèle 最终.rds",
        "console.txt",
        "com",
        "com10",
        "COM.1",
        "nul1",
        "aux_model.rds",
        "a..b",
        "it's `$(x)`;",
        &long,
    ] {
        assert_eq!(safe_file_name(good), Some(good), "{good}");
    }
    let long = format!("{long}ab");
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a/b",
        "/a",
        "../a",
        "a\\b",
        "\\\\host\\share",
        "C:",
        "c:x",
        "a:stream",
        "a<b",
        "a>b",
        "a\"b",
        "a|b",
        "a?",
        "*",
        "a\nb",
        "a\0",
        "\u{7f}",
        "\u{85}",
        "a.",
        "a ",
        "a. .",
        "CON",
        "con",
        "Prn",
        "aux",
        "nul",
        "nul.txt",
        "NUL .txt",
        "nul.tar.gz",
        "COM1",
        "com9.log",
        "com0",
        "lpt1",
        "LPT³.x",
        "com¹",
        "CONIN$",
        "conout$.txt",
        &long,
    ] {
        assert_eq!(safe_file_name(bad), None, "{bad:?}");
    }
}

// ---- processes that are killed -------------------------------------------------------------

/// Starts this test program again, to do nothing but one kind of work.
fn worker(folder: &Folder, work: &str, seed: u64, out: Stdio) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new(program)
        .args(["--exact", "work_of_another_process", "--nocapture"])
        .env("FITLEDGER_WORK", work)
        .env("FITLEDGER_WORK_FOLDER", &folder.0)
        .env("FITLEDGER_WORK_SEED", seed.to_string())
        .stdout(out)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A killed process must be waited for too.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn work_of_another_process() {
    let Ok(work) = std::env::var("FITLEDGER_WORK") else {
        return;
    };
    let folder = PathBuf::from(std::env::var_os("FITLEDGER_WORK_FOLDER").unwrap());
    let seed = std::env::var("FITLEDGER_WORK_SEED").unwrap().parse();
    let objects = Objects::beside(&folder.join("runs.csv"));
    match work.as_str() {
        "halt" => {
            let mut halt = |done| {
                println!("{done}");
                // Until it is killed, or nobody is there to do it.
                let _ = io::stdin().read(&mut [0]);
                true
            };
            let _ = objects.put(&mut io::repeat(1), &mut random, &mut halt);
        }
        #[cfg(unix)]
        "private" => {
            // SAFETY: it only sets this process's mask.
            unsafe { libc::umask(0o077) };
            put(&objects, b"private");
        }
        _ => store_until_killed(&folder, &objects, seed.unwrap()),
    }
}

#[test]
fn the_temporary_of_a_living_writer_stays_and_of_a_killed_one_goes() {
    let folder = Folder::new();
    let objects = folder.objects();
    let mut child = Running(worker(&folder, "halt", 0, Stdio::piped()));
    let mut out = io::BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("262144") {
        line.clear();
        assert!(io::BufRead::read_line(&mut out, &mut line).unwrap() > 0);
    }
    assert_eq!(temporaries(&objects).len(), 1);
    put(&objects, b"a model");
    assert_eq!(temporaries(&objects).len(), 1);

    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert_eq!(temporaries(&objects).len(), 1);
    let stored = put(&objects, b"a model");
    assert!(temporaries(&objects).is_empty());
    let published: Vec<Digest> = published(&objects).into_iter().map(|(d, _)| d).collect();
    assert_eq!(published, [stored.digest]);
}

#[test]
fn what_is_no_temporary_of_ours_stays() {
    let folder = Folder::new();
    let objects = folder.objects();
    put(&objects, b"a model");
    let at = |name: &str| objects.folder().join(name);
    fs::write(at("tmp-000000000000"), b"half").unwrap();
    let mut permissions = fs::metadata(at("tmp-000000000000")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(at("tmp-000000000000"), permissions).unwrap();
    fs::write(at("README"), b"").unwrap();
    fs::create_dir(at("tmp-folder")).unwrap();
    put(&objects, b"a model");
    assert!(!at("tmp-000000000000").exists());
    assert!(at("README").exists());
    assert!(at("tmp-folder").exists());
}

/// splitmix64
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A text's bytes are made of its number alone, mostly some hundred bytes, up to two million.
fn text(number: u64) -> Vec<u8> {
    let mut chance = Chance(number);
    let size = match chance.below(4) {
        0 => chance.below(2_000_000),
        1 => chance.below(300_000),
        _ => chance.below(500),
    };
    (0..size).map(|i| (i ^ number) as u8).collect()
}

const SHARED: u64 = 12;

/// Stores texts that others store too, and some of its own; writes down each that was acknowledged.
fn store_until_killed(folder: &Path, objects: &Objects, seed: u64) {
    let mut acknowledged = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join(format!("acknowledged-{seed}")))
        .unwrap();
    let mut chance = Chance(seed);
    loop {
        let number = match chance.below(3) {
            0 => 1_000_000 + chance.below(1 << 40),
            _ => chance.below(SHARED),
        };
        let bytes = text(number);
        let stored = objects.put(&mut Cursor::new(bytes), &mut random, &mut go_on);
        let line = format!("{}\n", stored.unwrap().digest);
        acknowledged.write_all(line.as_bytes()).unwrap();
    }
}

/// What the processes of a storm have written down so far, but for a line that is being written.
fn acknowledged(folder: &Folder) -> Vec<Digest> {
    let mut digests = Vec::new();
    for entry in fs::read_dir(&folder.0).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("acknowledged-") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let lines = text
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'));
            digests.extend(lines.map(|line| Digest::from_hex(line.as_bytes()).unwrap()));
        }
    }
    digests
}

#[derive(Default)]
struct Tally {
    acknowledged: usize,
    published: usize,
    unacknowledged: usize,
    left: usize,
    looks: u64,
    died: usize,
}

fn storm(seed: u64, tally: &mut Tally) {
    let mut chance = Chance(seed);
    let folder = Folder::new();
    let objects = folder.objects();
    // In some rounds one of the shared texts is damaged from the start.
    let damaged = Digest::of(&[&text(0)]);
    let with_damage = chance.below(2) == 0;
    if with_damage {
        put(&objects, &text(0));
        replace(&objects.path(&damaged), b"half");
    }

    let stop = AtomicBool::new(false);
    let healed = AtomicBool::new(!with_damage);
    let look = |digest: Digest, path: &Path| {
        let right = Digest::of(&[&fs::read(path).unwrap()]) == digest;
        if digest == damaged && right {
            healed.store(true, Ordering::Relaxed);
        }
        let may = digest == damaged && !healed.load(Ordering::Relaxed);
        assert!(right || may, "partial: {}", path.display());
    };
    let shared: Vec<(PathBuf, u64)> = (1..SHARED)
        .map(text)
        .map(|text| (objects.path(&Digest::of(&[&text])), text.len() as u64))
        .collect();
    let watch = || {
        let mut looks = 0;
        while !stop.load(Ordering::Relaxed) {
            // A size is quickly seen, and half an object may be there for a moment only.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(20) {
                for (path, size) in &shared {
                    let there = fs::symlink_metadata(path).map_or(*size, |there| there.len());
                    assert_eq!(there, *size, "partial: {}", path.display());
                }
                std::thread::sleep(Duration::from_micros(20));
            }
            for (digest, path) in published(&objects) {
                look(digest, &path);
                looks += 1;
            }
        }
        looks
    };
    std::thread::scope(|scope| {
        let watch = scope.spawn(watch);
        let running: Vec<Running> = (0..16)
            .map(|n| Running(worker(&folder, "store", seed << 8 | n, Stdio::null())))
            .collect();
        for mut child in running {
            // Now and then for none, so that some are killed before they have begun.
            let enough = acknowledged(&folder).len() + chance.below(20) as usize;
            wait_until("stores to be acknowledged", || {
                acknowledged(&folder).len() >= enough
            });
            // One that failed by itself would have ended.
            assert!(child.0.try_wait().unwrap().is_none(), "a store failed");
            child.0.kill().unwrap();
            child.0.wait().unwrap();
            tally.died += 1;
        }
        stop.store(true, Ordering::Relaxed);
        tally.looks += watch.join().unwrap();
    });

    let acknowledged = acknowledged(&folder);
    tally.acknowledged += acknowledged.len();
    let acknowledged: HashSet<Digest> = acknowledged.into_iter().collect();
    for digest in &acknowledged {
        read(&objects, digest, None).unwrap_or_else(|e| panic!("lost: {e}"));
    }
    let there = published(&objects);
    for (digest, path) in &there {
        let unhealed = *digest == damaged && with_damage && !acknowledged.contains(digest);
        let right = read(&objects, digest, None).is_ok();
        assert!(right || unhealed, "partial: {}", path.display());
    }
    tally.published += there.len();
    tally.unacknowledged += there
        .iter()
        .filter(|(digest, _)| *digest != damaged && !acknowledged.contains(digest))
        .count();
    tally.left += temporaries(&objects).len();
    put(&objects, b"the next one");
    let left = temporaries(&objects);
    assert!(left.is_empty(), "{left:?}");
}

/// Says how to see a failure again.
struct Announce(u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("again: FITLEDGER_SEED={} FITLEDGER_ROUNDS=1", self.0);
        }
    }
}

#[test]
fn no_kill_leaves_half_an_object_or_loses_one() {
    let number = |name| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse::<u64>().ok())
    };
    let rounds = number("FITLEDGER_ROUNDS").unwrap_or(10);
    let first = number("FITLEDGER_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        let _announce = Announce(seed);
        storm(seed, &mut tally);
    }
    println!(
        "{rounds} rounds, {} killed, {} stores acknowledged, {} objects ({} never acknowledged), \
         {} looks at an object meanwhile, {} temporaries left and removed",
        tally.died,
        tally.acknowledged,
        tally.published,
        tally.unacknowledged,
        tally.looks,
        tally.left,
    );
    // Else no store was killed on its way.
    assert!(tally.left + tally.unacknowledged > 0);
}
