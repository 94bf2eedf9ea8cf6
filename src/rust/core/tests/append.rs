//! Appending to a real file: births, sessions, torn tails, damage, strangers.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fitledger_core::Error;
use fitledger_core::format::chain::Head;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::row::HEADER;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session, Store};
use fitledger_core::platform::sys::{FileId, Network};
use fitledger_core::views::runs::Runs;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fitledger-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("log.csv")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn log(path: &Path, memory: &mut Memory, version: u64, ids: &[&str]) -> Result<Head, Error> {
    let now = Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap();
    let events: Vec<_> = ids
        .iter()
        .map(|id| {
            let event = Event {
                run_id: RunId::new(id),
                params: Object::new().value("lambda", &Value::Double(0.1)),
                metrics: Object::new().value("rmse", &Value::Double(1.5)),
                ..Event::new(EventKind::Run)
            };
            (now, event)
        })
        .collect();
    let mut how = Append {
        session: Session {
            version,
            context: &Object::new().text("user", "reader"),
            lockfile: None,
            code: &[],
        },
        sync: true,
        now,
        random: &mut |bytes| bytes.fill(version as u8),
        since: Instant::now(),
        give_up: &mut || false,
    };
    ledger::append(|| FileStore::open(path), path, memory, &mut how, events)
}

fn events(path: &Path) -> Vec<String> {
    let ledger = ledger::read(path).unwrap();
    ledger
        .rows()
        .map(|row| row.unwrap().event.to_string())
        .collect()
}

fn runs(path: &Path) -> usize {
    Runs::fold(&ledger::read(path).unwrap()).unwrap().len()
}

#[test]
fn the_first_append_makes_the_ledger_and_its_session() {
    let folder = Folder::new("birth");
    let (path, mut memory) = (folder.ledger(), Memory::default());
    log(&path, &mut memory, 1, &["a"]).unwrap();
    assert_eq!(events(&path), ["ledger", "session", "run"]);
    log(&path, &mut memory, 1, &["b", "c"]).unwrap();
    assert_eq!(events(&path), ["ledger", "session", "run", "run", "run"]);
    assert!(fs::read_to_string(&path).unwrap().starts_with(HEADER));
}

#[test]
fn a_session_is_written_again_when_it_changed_or_is_gone() {
    let folder = Folder::new("session");
    let (path, mut memory) = (folder.ledger(), Memory::default());
    log(&path, &mut memory, 1, &["a"]).unwrap();
    log(&path, &mut memory, 2, &["b"]).unwrap();
    assert_eq!(
        events(&path),
        ["ledger", "session", "run", "session", "run"]
    );
    fs::write(&path, "").unwrap();
    let gone = log(&path, &mut memory, 2, &["c"]).unwrap_err();
    assert_eq!(gone.class(), "rows_gone");
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::remove_file(&path).unwrap();
    log(&path, &mut memory, 2, &["c"]).unwrap();
    assert!(memory.take_notice().unwrap().contains("was removed"));
    assert_eq!(events(&path), ["ledger", "session", "run"]);
    log(&path, &mut Memory::default(), 2, &["d"]).unwrap();
    assert_eq!(
        events(&path),
        ["ledger", "session", "run", "session", "run"]
    );
}

#[test]
fn a_ledger_cut_anywhere_goes_on_and_keeps_what_was_torn() {
    let folder = Folder::new("cut");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a", "b", "c"]).unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        drop(fs::remove_dir_all(&folder.0));
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(&path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
        // A row counts without its line feed; the header doesn't.
        let unclosed = whole[cut] == b'\n' && lines > 0;
        let kept = (lines + usize::from(unclosed)).saturating_sub(3);
        assert_eq!(runs(&path), kept, "cut at {cut}");
        log(&path, &mut Memory::default(), 2, &["d"]).unwrap();
        assert_eq!(runs(&path), kept + 1, "cut at {cut}");

        let torn = cut > HEADER.len() + 1 && whole[cut - 1] != b'\n' && !unclosed;
        assert_eq!(
            events(&path).contains(&"recovered".to_owned()),
            torn,
            "cut at {cut}"
        );
        let aside: Vec<Vec<u8>> = fs::read_dir(&folder.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|file| *file != path)
            .map(|file| fs::read(file).unwrap())
            .collect();
        let last_line = whole[..cut]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let expected = if torn {
            vec![whole[last_line..cut].to_vec()]
        } else {
            vec![]
        };
        assert_eq!(aside, expected, "cut at {cut}");
    }
}

#[test]
fn a_damaged_last_row_is_named_and_nothing_is_written() {
    let folder = Folder::new("damage");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a", "b"]).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    match log(&path, &mut Memory::default(), 1, &["c"]) {
        Err(Error::Corrupt { row: 4, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn other_files_are_refused_and_not_touched() {
    let folder = Folder::new("strangers");
    let path = folder.ledger();
    let crlf = format!("{HEADER}\r\n");
    let bom = format!("\u{feff}{HEADER}\n");
    let longer = format!("{HEADER},more\n");
    let later = "\n1,2026-11-23T04:20:47.000001Z,ledger,,,,,\"{\"\"format\"\":2,\"\"id\"\":\"\"0123456789abcdef0123456789abcdef\"\"}\",".to_owned();
    let later = format!("{HEADER}{later}{}\n", "0".repeat(64));
    log(&path, &mut Memory::default(), 1, &["a"]).unwrap();
    let ledger = fs::read_to_string(&path).unwrap();
    let without_header = &ledger[HEADER.len() + 1..];
    let requoted = format!("\"{}\"\n", HEADER.replace(',', "\",\""));
    let semicolons = ledger.replace(',', ";");
    let cases = [
        ("\"run_id\",\"timestamp\",\"a\"\n", "plain_csv"),
        ("a,b\n1,2\n", "not_a_ledger"),
        ("run_id;timestamp;a\n", "not_a_ledger"),
        (without_header, "corrupt"),
        (&requoted, "corrupt"),
        (&semicolons, "corrupt"),
        (&crlf, "corrupt"),
        (&bom, "corrupt"),
        (&longer, "not_a_ledger"),
        (&later, "newer_format"),
    ];
    for (text, class) in cases {
        fs::write(&path, text).unwrap();
        let e = log(&path, &mut Memory::default(), 1, &["a"]).unwrap_err();
        assert_eq!(e.class(), class, "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let read = ledger::read(&path).and_then(|ledger| Runs::fold(&ledger));
        assert_eq!(read.unwrap_err().class(), class, "{text}");
    }
    let e = log(&folder.0, &mut Memory::default(), 1, &["a"]).unwrap_err();
    assert_eq!(e.class(), "not_a_ledger");
    let said = |text: &str| {
        fs::write(&path, text).unwrap();
        let e = ledger::read(&path).map(drop).unwrap_err();
        format!("{e} {}", e.hint())
    };
    for (text, why, hint) in [
        ("run_id;timestamp;a\n", "semicolons", "write.csv(runs"),
        (
            "a,b\n",
            "not a ledger's header",
            "begins with the columns `run_id`",
        ),
        (
            without_header,
            "header, its first line, is missing",
            "Put a copy",
        ),
        (&requoted, "written the ledger anew", "Put a copy"),
        (&semicolons, "written the ledger anew", "Put a copy"),
    ] {
        let said = said(text);
        assert!(said.contains(why) && said.contains(hint), "{said}");
    }
}

#[test]
fn an_event_that_must_be_understood_stops_queries_and_writes() {
    let folder = Folder::new("must");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a"]).unwrap();
    let mut head = {
        let ledger = ledger::read(&path).unwrap();
        let last = ledger.rows().last().unwrap().unwrap();
        Head {
            seq: last.seq,
            hash: last.hash,
        }
    };
    let mut bytes = fs::read(&path).unwrap();
    let now = Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap();
    for name in ["upgrade!", "note"] {
        let event = Event::new(EventKind::parse(name));
        fitledger_core::format::chain::write_row(&mut head, now, &event, &mut bytes).unwrap();
    }
    fs::write(&path, &bytes).unwrap();
    let e = log(&path, &mut Memory::default(), 1, &["b"]).unwrap_err();
    assert_eq!(e.class(), "newer_format");
    let e = Runs::fold(&ledger::read(&path).unwrap()).unwrap_err();
    assert_eq!(e.class(), "newer_format");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn waiting_for_the_lock_can_be_given_up() {
    let folder = Folder::new("lock");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a"]).unwrap();
    let mut holder = FileStore::open(&path).unwrap();
    assert!(holder.try_lock().unwrap());
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: false,
        now: Timestamp::now(),
        random: &mut |bytes| bytes.fill(1),
        since: Instant::now(),
        give_up: &mut || true,
    };
    let append = |how: &mut Append<'_>| {
        ledger::append(
            || FileStore::open(&path),
            &path,
            &mut Memory::default(),
            how,
            vec![],
        )
    };
    assert!(matches!(append(&mut how), Err(Error::Interrupted)));
    holder.unlock().unwrap();
    assert!(append(&mut how).is_ok());
}

#[test]
fn who_gave_up_and_tries_again_goes_on_waiting() {
    let folder = Folder::new("since");
    let path = folder.ledger();
    let mut memory = Memory::default();
    log(&path, &mut memory, 1, &["a"]).unwrap();
    fs::write(&path, "").unwrap();
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: false,
        now: Timestamp::now(),
        random: &mut |bytes| bytes.fill(1),
        since: Instant::now() - Duration::from_secs(10),
        give_up: &mut || true,
    };
    let open = || FileStore::open(&path);
    let e = ledger::append(open, &path, &mut memory, &mut how, vec![]).unwrap_err();
    assert_eq!(e.class(), "rows_gone");
}

#[cfg(unix)]
#[test]
fn the_last_run_of_a_ledger_is_the_last_by_whichever_path() {
    let folder = Folder::new("paths");
    let path = folder.ledger();
    let by_link = folder.0.join("link.csv");
    std::os::unix::fs::symlink(&path, &by_link).unwrap();
    let mut memory = Memory::default();
    let order = [&path, &by_link, &path, &by_link, &by_link, &path];
    for (run, written_to) in ["a", "b", "c", "d", "e", "f"].into_iter().zip(order) {
        log(written_to, &mut memory, 1, &[run]).unwrap();
        for asked in [&path, &by_link] {
            assert_eq!(memory.last_run(asked).unwrap().as_str(), run);
        }
    }
}

#[test]
fn ledgers_are_lent_side_by_side() {
    let folder = Folder::new("lent");
    let [one, other] = ["one", "other"].map(|name| folder.0.join(name).with_extension("csv"));
    let mut memory = Memory::default();
    log(&one, &mut memory, 1, &["a"]).unwrap();
    let mut lent = memory.lend(&one);
    log(&one, &mut lent, 1, &["b"]).unwrap();
    // Who asks meanwhile gets what is known, and doesn't wait.
    assert_eq!(memory.last_run(&one).unwrap().as_str(), "a");
    let mut of_other = memory.lend(&other);
    log(&other, &mut of_other, 1, &["c"]).unwrap();
    memory.take_back(&other, of_other);
    memory.take_back(&one, lent);
    assert_eq!(memory.last_run(&one).unwrap().as_str(), "b");
    assert_eq!(memory.last_run(&other).unwrap().as_str(), "c");
    for path in [&one, &other] {
        log(path, &mut memory, 1, &["d"]).unwrap();
        let sessions = events(path);
        let sessions = sessions.iter().filter(|event| *event == "session");
        assert_eq!(sessions.count(), 1);
    }
}

#[test]
fn a_row_that_is_too_long_is_refused() {
    let folder = Folder::new("long");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a"]).unwrap();
    let before = fs::read(&path).unwrap();
    let params = Object::new().text("a", &"x".repeat(16 << 20));
    let event = Event {
        run_id: RunId::new("b"),
        params,
        ..Event::new(EventKind::Run)
    };
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: false,
        now: Timestamp::now(),
        random: &mut |bytes| bytes.fill(1),
        since: Instant::now(),
        give_up: &mut || true,
    };
    let events = vec![(Timestamp::now(), event)];
    let e = ledger::append(
        || FileStore::open(&path),
        &path,
        &mut Memory::default(),
        &mut how,
        events,
    );
    assert_eq!(e.unwrap_err().class(), "row_too_long");
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// A local file that says it lies elsewhere, and is told where somebody is about to read.
struct Elsewhere<'a> {
    file: FileStore,
    network: Option<Network>,
    before_reading: &'a (dyn Fn(u64) + Sync),
}

impl Store for Elsewhere<'_> {
    fn path(&self) -> &Path {
        self.file.path()
    }
    fn beside(&self, more: &str) -> io::Result<PathBuf> {
        self.file.beside(more)
    }
    fn id(&self) -> FileId {
        self.file.id()
    }
    fn is_current(&self) -> io::Result<bool> {
        self.file.is_current()
    }
    fn try_lock(&mut self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn unlock(&mut self) -> io::Result<()> {
        self.file.unlock()
    }
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        (self.before_reading)(offset);
        self.file.read_at(bytes, offset)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes)
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
    fn sync_folder(&mut self) -> io::Result<()> {
        self.file.sync_folder()
    }
    fn is_new(&self) -> bool {
        self.file.is_new()
    }
    fn discard_if_new(&mut self) -> io::Result<()> {
        self.file.discard_if_new()
    }
    fn network(&self) -> io::Result<Option<Network>> {
        Ok(self.network.clone())
    }
    fn copy_aside(&mut self, path: &Path, part: Range<u64>, more: &[u8]) -> io::Result<()> {
        self.file.copy_aside(path, part, more)
    }
    fn replace_by(&mut self, path: &Path) -> io::Result<()> {
        self.file.replace_by(path)
    }
}

/// Begins a ledger, or recovers it, and appends no event.
fn append_nothing<S: Store>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
) -> fitledger_core::Result<()> {
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new(),
            lockfile: None,
            code: &[],
        },
        sync: true,
        now: Timestamp::now(),
        random: &mut |bytes| bytes.fill(1),
        since: Instant::now(),
        give_up: &mut || false,
    };
    ledger::append(open, path, memory, &mut how, vec![]).map(drop)
}

#[test]
fn network_file_systems_are_refused_or_warned_of_once() {
    let folder = Folder::new("network");
    let path = folder.ledger();
    let append = |memory: &mut Memory, network: Network| {
        let open = || {
            FileStore::open(&path).map(|file| Elsewhere {
                file,
                network: Some(network.clone()),
                before_reading: &|_| {},
            })
        };
        append_nothing(open, &path, memory)
    };
    let mut memory = Memory::default();
    let e = append(&mut memory, Network::Other("CIFS".into())).unwrap_err();
    assert_eq!(e.class(), "network");
    assert!(!path.exists(), "nothing is left behind");
    memory.allow_network = true;
    append(&mut memory, Network::Other("CIFS".into())).unwrap();
    assert_eq!(memory.take_network(), None);

    let mut memory = Memory::default();
    append(&mut memory, Network::Nfs4).unwrap();
    assert!(memory.take_network().unwrap().contains("NFS"));
    append(&mut memory, Network::Nfs4).unwrap();
    assert_eq!(memory.take_network(), None);
}

#[test]
fn a_whole_row_behind_lost_sectors_is_damage() {
    let folder = Folder::new("sectors");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a", "b"]).unwrap();
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    let zeros = vec![0; 2048];
    let torn = [&whole, zeros.as_slice(), b"\n"].concat();
    fs::write(&path, &torn).unwrap();
    log(&path, &mut Memory::default(), 1, &["c"]).unwrap();
    assert!(events(&path).contains(&"recovered".to_owned()));
    for between in [&b""[..], b"\n"] {
        let damaged = [&whole, zeros.as_slice(), between, &whole[last..]].concat();
        fs::write(&path, &damaged).unwrap();
        let e = log(&path, &mut Memory::default(), 1, &["d"]).unwrap_err();
        assert_eq!(e.class(), "corrupt");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
#[cfg(unix)]
fn a_birth_that_fails_leaves_a_link_alone() {
    let folder = Folder::new("link");
    let path = folder.ledger();
    std::os::unix::fs::symlink(folder.0.join("elsewhere.csv"), &path).unwrap();
    let open = || {
        FileStore::open(&path).map(|file| Elsewhere {
            file,
            network: Some(Network::Other("CIFS".into())),
            before_reading: &|_| {},
        })
    };
    append_nothing(open, &path, &mut Memory::default()).unwrap_err();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert!(!folder.0.join("elsewhere.csv").exists());
}

#[test]
#[cfg(unix)]
fn a_torn_tail_is_set_aside_beside_the_file_that_is_locked() {
    let folder = Folder::new("swapped");
    let path = folder.ledger();
    log(&path, &mut Memory::default(), 1, &["a"]).unwrap();
    let torn_at = fs::metadata(&path).unwrap().len();
    let torn = [fs::read(&path).unwrap().as_slice(), b"4,2026-"].concat();
    fs::write(&path, &torn).unwrap();
    let others = folder.0.join("others");
    fs::create_dir(&others).unwrap();
    fs::write(others.join("notes"), b"theirs").unwrap();
    let away = folder.0.join("away.csv");
    // While the tail is read, which may take long, somebody has the path lead elsewhere.
    let swap = |offset| {
        if offset == torn_at && !away.exists() {
            fs::rename(&path, &away).unwrap();
            std::os::unix::fs::symlink(others.join("notes"), &path).unwrap();
        }
    };
    let open = || {
        FileStore::open(&path).map(|file| Elsewhere {
            file,
            network: None,
            before_reading: &swap,
        })
    };
    let e = append_nothing(open, &path, &mut Memory::default()).unwrap_err();
    assert_eq!(e.class(), "io", "{e}");
    assert_eq!(fs::read(&away).unwrap(), torn);
    assert_eq!(fs::read(others.join("notes")).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(&others).unwrap().count(), 1);
}
