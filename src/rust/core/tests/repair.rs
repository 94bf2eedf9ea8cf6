//! Repairing a damaged ledger: what holds behind the damage is carried over, what can't be placed is named, and the
//! old bytes are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fitledger_core::Error;
use fitledger_core::format::chain;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::Json;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session};
use fitledger_core::platform::sys;
use fitledger_core::views::registry::Registry;
use fitledger_core::views::repair::{Carried, LeftOut, repair};
use fitledger_core::views::runs::Runs;
use fitledger_core::views::verify::{Status, verify};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("fitledger-repair-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("log.csv")
    }

    /// The files beside the ledger.
    fn beside(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| *path != self.ledger()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn now() -> Timestamp {
    Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap()
}

fn with_append<T>(context: &Object, version: u64, write: impl FnOnce(&mut Append<'_>) -> T) -> T {
    write(&mut Append {
        session: Session {
            version,
            context,
            lockfile: None,
            code: &[],
        },
        sync: true,
        now: now(),
        random: &mut |bytes| sys::random(bytes).unwrap(),
        since: Instant::now(),
        give_up: &mut || false,
    })
}

fn log_as(path: &Path, user: &str, events: Vec<Event>) {
    let context = Object::new().text("user", user);
    let events: Vec<_> = events.into_iter().map(|event| (now(), event)).collect();
    let open = || FileStore::open(path);
    let written = with_append(&context, 1, |how| {
        ledger::append(open, path, &mut Memory::default(), how, events)
    });
    written.unwrap();
}

fn event(kind: EventKind<'static>, id: &str) -> Event {
    Event {
        run_id: RunId::new(id),
        ..Event::new(kind)
    }
}

fn run(id: &str) -> Event {
    Event {
        metrics: Object::new().int("m", id.len() as i64),
        ..event(EventKind::Run, id)
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Damages some lines, counted from the header, which is 0.
fn damage(path: &Path, damaged: &[usize]) {
    let mut all = lines(path);
    for &line in damaged {
        all[line] = all[line].replacen("2026-11-23", "2026-11-24", 1);
    }
    fs::write(path, all.join("\n") + "\n").unwrap();
}

fn repaired(path: &Path) -> Carried {
    let before = fs::read(path).unwrap();
    let context = Object::new().text("user", "repairer");
    let done = with_append(&context, 1, |how| repair(path, &mut Memory::default(), how));
    let done = done.unwrap().expect("there was damage");
    let report = verify(path, None).unwrap();
    assert_eq!(report.status, Status::Ok, "{report:?}");
    assert!(report.problems.is_empty(), "{:?}", report.problems);

    let aside = &done.aside;
    let now = fs::read(path).unwrap();
    let at = aside.offset as usize;
    assert_eq!(fs::read(&aside.file).unwrap(), before[at..]);
    // Where no row is before the damage there is a new first row.
    if at > 60 {
        assert_eq!(now[..at], before[..at]);
    }
    let text = String::from_utf8(now).unwrap();
    let row = text
        .lines()
        .find(|line| line.contains(",recovered,"))
        .unwrap();
    let name = aside.file.file_name().unwrap().to_str().unwrap();
    let sha256 = Digest::of(&[&before[at..]]).to_string();
    assert!(row.contains(name) && row.contains(&sha256), "{row}");
    done.carried.unwrap()
}

fn runs(path: &Path) -> Runs {
    Runs::fold(&ledger::read(path).unwrap()).unwrap()
}

fn ids(path: &Path) -> Vec<String> {
    runs(path).iter().map(|run| run.id().to_owned()).collect()
}

fn user_of(path: &Path, id: &str) -> Option<String> {
    let runs = runs(path);
    let run = runs.get(id).unwrap().unwrap();
    let session = run.session().context.as_ref().unwrap();
    session.user().map(str::to_owned)
}

/// Event, run and origin of each row.
fn origins(path: &Path) -> Vec<(String, String, Option<Json>)> {
    let ledger = ledger::read(path).unwrap();
    let rows = ledger.rows().map(|row| {
        let row = row.unwrap();
        let context = Json::Object(row.context.pairs().unwrap());
        let origin = context.get("origin").cloned();
        (row.event.to_string(), row.run_id.to_owned(), origin)
    });
    rows.collect()
}

#[test]
fn runs_behind_a_damaged_row_are_carried_over() {
    let folder = Folder::new("middle");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c"].map(run).to_vec());
    log_as(&path, "bea", ["d", "e"].map(run).to_vec());
    let old = lines(&path);
    let id = ledger::read(&path).unwrap().id().unwrap();
    // Rows: ledger, session, a, b, c, session, d, e. The damage is in b's.
    damage(&path, &[4]);
    let carried = repaired(&path);
    assert_eq!(ids(&path), ["a", "c", "d", "e"]);
    assert_eq!((carried.rows, carried.run_ids.len()), (3, 3));
    let left: Vec<_> = carried
        .left_out
        .iter()
        .map(|row| row.run_id.as_deref())
        .collect();
    assert_eq!(left, [Some("b")]);
    assert_eq!(
        carried.left_out[0].byte,
        (old[..4].join("\n").len() + 1) as u64
    );
    assert_eq!(user_of(&path, "c").as_deref(), Some("ann"));
    assert_eq!(user_of(&path, "d").as_deref(), Some("bea"));

    // Each copy says which row it is a copy of.
    let copies = origins(&path);
    for (event, run_id, origin) in &copies[3..] {
        let Some(origin) = origin else {
            assert!(matches!(event.as_str(), "recovered" | "session"), "{event}");
            continue;
        };
        let seq = origin.get("seq").and_then(Json::as_int).unwrap() as usize;
        let hash = origin.get("hash").and_then(Json::as_str).unwrap();
        assert_eq!(
            origin.get("ledger").and_then(Json::as_str),
            Some(id.as_str())
        );
        assert!(old[seq].ends_with(hash) && old[seq].contains(run_id.as_str()));
    }
    // Ann's session stands before the damage; bea's has been copied, under an id of its own.
    let sessions = copies
        .iter()
        .filter(|(event, _, origin)| event == "session" && origin.is_some());
    assert_eq!(sessions.count(), 1);

    // It goes on, and a second repair finds nothing.
    log_as(&path, "ann", vec![run("f")]);
    let context = Object::new();
    let again = with_append(&context, 1, |how| {
        repair(&path, &mut Memory::default(), how)
    });
    assert!(again.unwrap().is_none());
    assert_eq!(folder.beside().len(), 1);
}

#[test]
fn a_row_whose_hash_cell_alone_is_damaged_is_a_row_still() {
    let folder = Folder::new("hash");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c", "d", "e"].map(run).to_vec());
    let whole = fs::read(&path).unwrap();
    let old = lines(&path);
    let kinds: [fn(&str) -> String; 6] = [
        |hash| {
            format!(
                "{}{}",
                if hash.starts_with('0') { "1" } else { "0" },
                &hash[1..]
            )
        },
        |hash| hash.to_uppercase() + "A",
        |hash| hash[..60].to_owned(),
        |hash| format!("x{}", &hash[1..]),
        |_| String::new(),
        |_| "1.2345E+63".to_owned(),
    ];
    // Rows: ledger, session, a to e. Each of them, and several, but for the last, behind which nothing says what it was.
    for damaged in [
        &[1][..],
        &[2],
        &[3],
        &[4],
        &[6],
        &[3, 4],
        &[3, 5],
        &[1, 2, 3, 4, 5, 6],
    ] {
        for kind in kinds {
            let mut all = old.clone();
            for &line in damaged {
                let (body, hash) = old[line].rsplit_once(',').unwrap();
                all[line] = format!("{body},{}", kind(hash));
            }
            fs::write(&path, all.join("\n") + "\n").unwrap();
            let carried = repaired(&path);
            assert_eq!(ids(&path), ["a", "b", "c", "d", "e"], "{damaged:?}");
            assert_eq!(user_of(&path, "c").as_deref(), Some("ann"));
            let left: Vec<_> = carried
                .left_out
                .iter()
                .map(|row| row.event.as_deref())
                .collect();
            assert!(left.is_empty() || left == [Some("ledger")], "{left:?}");
            // A copy names the row by the hash that it had.
            for (_, run_id, origin) in &origins(&path)[1..] {
                if let Some(origin) = origin.as_ref().filter(|_| !run_id.is_empty()) {
                    let seq = origin.get("seq").and_then(Json::as_int).unwrap() as usize;
                    let hash = origin.get("hash").and_then(Json::as_str).unwrap();
                    assert!(old[seq].ends_with(hash), "{seq} {hash}");
                }
            }
            for file in folder.beside() {
                fs::remove_file(file).unwrap();
            }
        }
    }

    // Not of the last row, and not where more is damaged.
    let mut all = old.clone();
    all[7] = all[7][..all[7].len() - 1].to_owned() + "x";
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    assert_eq!(carried.left_out.len(), 1);
    fs::write(&path, &whole).unwrap();
    damage(&path, &[4]);
    let mut all = lines(&path);
    all[4] = all[4][..all[4].len() - 1].to_owned() + "x";
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    // What follows on it holds on to a hash that nobody knows any more.
    let left: Vec<_> = carried
        .left_out
        .iter()
        .map(|row| row.run_id.as_deref())
        .collect();
    assert_eq!(left, [Some("b"), Some("c")]);
    assert_eq!(ids(&path), ["a", "d", "e"]);
}

#[test]
fn a_live_run_goes_on_behind_the_damage() {
    let folder = Folder::new("live");
    let path = folder.ledger();
    let point = |value| Event {
        metrics: Object::new().int("loss", value),
        ..event(EventKind::Log, "live")
    };
    let end = Event {
        context: Object::new().text("status", "finished"),
        ..event(EventKind::End, "live")
    };
    let events = vec![
        event(EventKind::Start, "live"),
        point(3),
        run("x"),
        point(2),
        end,
    ];
    log_as(&path, "ann", events);
    damage(&path, &[4]);
    let carried = repaired(&path);
    assert_eq!(carried.run_ids, ["x", "live"]);
    let runs = runs(&path);
    let live = runs.get("live").unwrap().unwrap();
    assert_eq!(live.status().name(), "finished");

    // Where the row is lost that began it, it can't.
    fs::remove_file(&path).unwrap();
    let events = vec![
        run("y"),
        event(EventKind::Start, "live"),
        point(3),
        run("x"),
    ];
    log_as(&path, "ann", events);
    damage(&path, &[4]);
    let carried = repaired(&path);
    assert_eq!(carried.run_ids, ["x"]);
    let left: Vec<_> = carried
        .left_out
        .iter()
        .map(|row| row.why.as_str())
        .collect();
    assert!(left[1].contains("not begun"), "{left:?}");
}

#[test]
fn copies_that_were_merged_line_by_line_come_together() {
    for markers in [false, true] {
        let folder = Folder::new(&format!("merged-{markers}"));
        let path = folder.ledger();
        let other = folder.0.join("other.csv");
        log_as(&path, "ann", vec![run("base")]);
        fs::copy(&path, &other).unwrap();
        log_as(&path, "ann", vec![run("ours-1"), run("ours-2")]);
        log_as(&other, "bea", vec![run("theirs-1"), run("theirs-2")]);
        let base = 4;
        let (ours, theirs) = (lines(&path), lines(&other));
        let mut merged = ours[..base].to_vec();
        let mark = |text: &str| {
            if markers {
                vec![text.to_owned()]
            } else {
                vec![]
            }
        };
        merged.extend(mark("<<<<<<< HEAD"));
        merged.extend(ours[base..].to_vec());
        merged.extend(mark("======="));
        merged.extend(theirs[base..].to_vec());
        merged.extend(mark(">>>>>>> theirs"));
        fs::remove_file(&other).unwrap();
        fs::write(&path, merged.join("\n") + "\n").unwrap();

        // Nobody goes on from there unasked.
        let before = fs::read(&path).unwrap();
        let context = Object::new();
        let refused = with_append(&context, 1, |how| {
            let open = || FileStore::open(&path);
            ledger::append(
                open,
                &path,
                &mut Memory::default(),
                how,
                vec![(now(), run("z"))],
            )
        });
        let refused = refused.unwrap_err();
        let words = if markers {
            "conflict markers"
        } else {
            "merged line by line"
        };
        assert!(matches!(refused, Error::Corrupt { .. }));
        assert!(refused.to_string().contains(words), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), before);

        let carried = repaired(&path);
        assert_eq!(carried.left_out, []);
        let mut all = ids(&path);
        all.sort();
        assert_eq!(all, ["base", "ours-1", "ours-2", "theirs-1", "theirs-2"]);
        assert_eq!(user_of(&path, "theirs-2").as_deref(), Some("bea"));
    }
}

#[test]
fn rows_that_a_tool_has_sorted_are_found_by_the_chain() {
    let folder = Folder::new("sorted");
    let path = folder.ledger();
    let names: Vec<String> = (0..12).map(|i| format!("r{i}")).collect();
    log_as(
        &path,
        "ann",
        names[..5].iter().map(|name| run(name)).collect(),
    );
    log_as(
        &path,
        "bea",
        names[5..].iter().map(|name| run(name)).collect(),
    );
    let old = lines(&path);
    let sorts: [fn(&mut [String]); 5] = [
        |rows| rows.reverse(),
        |rows| rows.sort(),
        |rows| rows.swap(4, 5),
        |rows| rows.rotate_left(3),
        |rows| rows.sort_by_key(|row| row[row.len() - 64..].to_owned()),
    ];
    for sort in sorts {
        let mut all = old.clone();
        sort(&mut all[1..]);
        fs::write(&path, all.join("\n") + "\n").unwrap();
        let carried = repaired(&path);
        assert_eq!(ids(&path), names, "{all:?}");
        assert_eq!(user_of(&path, "r4").as_deref(), Some("ann"));
        assert_eq!(user_of(&path, "r5").as_deref(), Some("bea"));
        // Where a first row was made anew, the old one is no row of it.
        let left = carried.left_out.iter();
        let mut left = left.filter(|row| row.event.as_deref() != Some("ledger"));
        assert_eq!(left.next(), None);
    }
    // Where one is gone, too, what stands behind it in the chain comes behind what stands before it.
    let note = Event {
        context: Object::new().text("text", "seen"),
        ..event(EventKind::Note, "r0")
    };
    log_as(&path, "ann", vec![note, run("last")]);
    let mut all = lines(&path);
    all.remove(6);
    all[1..].reverse();
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    let lost = |row: &LeftOut| row.event.as_deref() == Some("note");
    assert!(!carried.left_out.iter().any(lost), "{:?}", carried.left_out);
    // A row that is damaged, too, costs itself alone.
    let mut all = old.clone();
    let damaged = all[6].split(',').nth(3).unwrap().to_owned();
    all[6] = all[6].replacen("2026-11-23", "2026-11-24", 1);
    all[1..].reverse();
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    assert_eq!(ids(&path).len(), 11);
    let left = carried.left_out.iter();
    let left = left.filter(|row| row.event.as_deref() != Some("ledger"));
    let left: Vec<_> = left.map(|row| row.run_id.as_deref()).collect();
    assert_eq!(left, [Some(damaged.as_str())], "{:?}", carried.left_out);
}

#[test]
fn rows_that_follow_each_other_in_a_circle_are_looked_at_all() {
    let folder = Folder::new("circle");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c", "d"].map(run).to_vec());
    let mut all = lines(&path);
    // The one is numbered behind the other, which is chained onto it.
    let hash = Digest::from_hex(&all[6].as_bytes()[all[6].len() - 64..]).unwrap();
    let body = all[5].replacen(",c,", ",forged,", 1);
    let body = body[..body.len() - 65].to_owned();
    let forged = format!("{body},{}", chain::link(&hash, body.as_bytes()));
    all[6] = all[6].replacen("2026-11-23", "2026-11-24", 1);
    all.remove(5);
    all.push(forged);
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    assert_eq!(ids(&path), ["a", "b", "forged"]);
    assert_eq!(carried.left_out.len(), 1);
    assert_eq!(carried.left_out[0].run_id.as_deref(), Some("d"));
}

#[test]
fn a_damaged_session_costs_no_run() {
    let folder = Folder::new("session");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b"].map(run).to_vec());
    damage(&path, &[2]);
    let carried = repaired(&path);
    assert_eq!(ids(&path), ["a", "b"]);
    assert_eq!(user_of(&path, "a"), None);
    assert_eq!(carried.left_out.len(), 1);
    assert_eq!(carried.left_out[0].event.as_deref(), Some("session"));
}

#[test]
fn a_session_whose_row_shows_nothing_costs_no_run() {
    let folder = Folder::new("session-gone");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b"].map(run).to_vec());
    let whole = lines(&path);
    // The cell that names it begins with {""id"":"" and its id.
    let id = whole[2].find("{\"\"id\"\":\"\"").unwrap() + 11;
    let other = match &whole[2][id..=id] {
        "a" => "b",
        _ => "a",
    };
    let mut changed = whole.clone();
    changed[2].replace_range(id..=id, other);
    let mut unreadable = whole.clone();
    unreadable[2] = "\0".repeat(whole[2].len());
    let mut gone = whole.clone();
    gone.remove(2);
    for (name, damaged) in [
        ("changed", changed),
        ("unreadable", unreadable),
        ("gone", gone),
    ] {
        fs::write(&path, damaged.join("\n") + "\n").unwrap();
        repaired(&path);
        // What follows a row that isn't there has lost what shows that it is the one that was written.
        let expected = match name {
            "changed" => &["a", "b"][..],
            _ => &["b"],
        };
        assert_eq!(ids(&path), expected, "{name}");
        assert_eq!(user_of(&path, "b"), None, "{name}");
    }
}

#[test]
fn a_row_that_names_a_session_that_never_was_is_not_carried_over() {
    let folder = Folder::new("no-session");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b"].map(run).to_vec());
    let mut all = lines(&path);
    let hash = Digest::from_hex(&all[4].as_bytes()[all[4].len() - 64..]).unwrap();
    let body = all[4].replacen("4,", "5,", 1).replacen(",b,", ",c,", 1);
    let at = body.find("\"\"session\"\":\"\"").unwrap() + 15;
    let body = format!("{}{}{}", &body[..at], "0".repeat(12), &body[at + 12..]);
    let body = &body[..body.len() - 65];
    all.push(format!("{body},{}", chain::link(&hash, body.as_bytes())));
    // Nothing is lost: a line was put in.
    let first = all[3].clone();
    all.insert(4, first);
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    assert_eq!(ids(&path), ["a", "b"]);
    let left_out: Vec<_> = carried
        .left_out
        .iter()
        .map(|out| out.run_id.as_deref())
        .collect();
    assert!(left_out.contains(&Some("c")), "{left_out:?}");
}

#[test]
fn a_damaged_first_row_begins_a_new_ledger_of_the_same_runs() {
    let folder = Folder::new("first");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b"].map(run).to_vec());
    let id = ledger::read(&path).unwrap().id().unwrap();
    damage(&path, &[1]);
    repaired(&path);
    assert_eq!(ids(&path), ["a", "b"]);
    assert_ne!(ledger::read(&path).unwrap().id().unwrap(), id);
    let origins = origins(&path);
    let ledgers = origins
        .iter()
        .filter_map(|(_, _, origin)| origin.as_ref()?.get("ledger")?.as_str());
    assert!(ledgers.clone().count() == 3 && ledgers.clone().all(|ledger| ledger == id));
}

#[test]
fn a_row_that_is_gone_takes_the_next_ones_proof_along() {
    let folder = Folder::new("gone");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c", "d"].map(run).to_vec());
    let mut all = lines(&path);
    all.remove(4);
    fs::write(&path, all.join("\n") + "\n").unwrap();
    let carried = repaired(&path);
    // Nothing shows that the row of c is the one that was written; that of d follows it.
    assert_eq!(ids(&path), ["a", "d"]);
    assert_eq!(carried.left_out.len(), 1);
    assert_eq!(carried.left_out[0].run_id.as_deref(), Some("c"));
}

fn model(kind: EventKind<'static>, id: &str, context: Object) -> Event {
    let artifacts = match kind {
        EventKind::Register => {
            Object::new().json("m", &Json::parse(br#"{"sha256":"00","size":1}"#).unwrap())
        }
        _ => Object::new(),
    };
    Event {
        artifacts,
        context: Object::new().text("model", "m").extend(&context),
        ..event(kind, id)
    }
}

fn version(n: i64) -> Object {
    Object::new().int("version", n)
}

fn stage(n: i64, previous: Option<i64>) -> Object {
    let object = version(n).text("stage", "production");
    match previous {
        Some(previous) => object.int("previous", previous),
        None => object.null("previous"),
    }
}

#[test]
fn versions_are_carried_over_where_their_numbers_mean_the_same() {
    // Rows from 3 on: run a, run b, version 1 of a, version 2 of b, promote 1, promote 2, back to 1.
    let write = |path: &Path| {
        let events = vec![
            run("a"),
            run("b"),
            model(EventKind::Register, "a", version(1)),
            model(EventKind::Register, "b", version(2)),
            model(EventKind::Promote, "a", stage(1, None)),
            model(EventKind::Promote, "b", stage(2, Some(1))),
            model(EventKind::Promote, "a", stage(1, Some(2)).int("undoes", 8)),
            model(EventKind::Refuse, "b", stage(2, Some(1))),
        ];
        log_as(path, "ann", events);
    };
    let current = |path: &Path| {
        let registry = Registry::fold(&ledger::read(path).unwrap()).unwrap();
        let model = registry.model("m");
        model.map(|model| {
            (
                model.versions.len(),
                model.current("production"),
                model.history.len(),
            )
        })
    };
    let cases = [
        // Of b's run: its version can't be, nor what names it.
        (4, Some((1, Some(1), 1)), 5),
        // Of version 1: version 2 would become the first.
        (5, None, 6),
        // Of the promotion of version 1: that of 2 follows on it.
        (7, Some((2, None, 1)), 3),
        // Of the promotion that is taken back.
        (8, Some((2, Some(1), 2)), 2),
    ];
    for (line, expected, left_out) in cases {
        let folder = Folder::new(&format!("models-{line}"));
        let path = folder.ledger();
        write(&path);
        assert_eq!(current(&path), Some((2, Some(1), 4)));
        damage(&path, &[line]);
        let carried = repaired(&path);
        assert_eq!(
            current(&path),
            expected,
            "line {line}: {:?}",
            carried.left_out
        );
        assert_eq!(
            carried.left_out.len(),
            left_out,
            "line {line}: {:?}",
            carried.left_out
        );
    }
    // All of it behind the damage: the rollback takes back the copy of the promotion.
    let folder = Folder::new("models-all");
    let path = folder.ledger();
    log_as(&path, "ann", vec![run("first")]);
    let events = vec![
        run("a"),
        run("b"),
        model(EventKind::Register, "a", version(1)),
        model(EventKind::Register, "b", version(2)),
        model(EventKind::Promote, "a", stage(1, None)),
        model(EventKind::Promote, "b", stage(2, Some(1))),
        model(EventKind::Promote, "a", stage(1, Some(2)).int("undoes", 10)),
    ];
    log_as(&path, "bea", events);
    damage(&path, &[3]);
    repaired(&path);
    assert_eq!(current(&path), Some((2, Some(1), 3)));
    let ledger = ledger::read(&path).unwrap();
    let undone = ledger.rows().map(Result::unwrap).find_map(|row| {
        let context = Json::Object(row.context.pairs().unwrap());
        context.get("undoes").and_then(Json::as_int)
    });
    let undone = ledger
        .rows()
        .map(Result::unwrap)
        .find(|row| row.seq.0 as i64 == undone.unwrap());
    assert_eq!(undone.unwrap().run_id, "b");
}

#[test]
fn copies_keep_where_they_first_came_from() {
    let folder = Folder::new("twice");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c"].map(run).to_vec());
    let first = lines(&path)[5].clone();
    damage(&path, &[4]);
    repaired(&path);
    let recovered = lines(&path)
        .iter()
        .position(|line| line.contains(",recovered,"))
        .unwrap();
    damage(&path, &[recovered]);
    repaired(&path);
    assert_eq!(ids(&path), ["a", "c"]);
    let (_, _, origin) = origins(&path)
        .into_iter()
        .find(|(_, id, _)| id == "c")
        .unwrap();
    let hash = origin
        .unwrap()
        .get("hash")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    assert!(first.ends_with(&hash));
}

#[test]
fn whole_rows_behind_zeros_are_carried_over() {
    let folder = Folder::new("zeros");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c"].map(run).to_vec());
    let mut bytes = fs::read(&path).unwrap();
    let all = lines(&path);
    let start = all[..4].join("\n").len() + 1;
    bytes[start..start + all[4].len()].fill(0);
    fs::write(&path, &bytes).unwrap();
    let report = verify(&path, None).unwrap();
    assert_eq!(report.status, Status::Corrupt);
    assert!(report.fault.unwrap().why.contains("behind zeros"));
    repaired(&path);
    assert_eq!(ids(&path), ["a"]);
}

#[test]
#[cfg(unix)]
fn a_link_to_a_ledger_stays_one_and_rights_stay_as_they_were() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("link");
    let path = folder.ledger();
    let real = folder.0.join("real.csv");
    std::os::unix::fs::symlink("real.csv", &path).unwrap();
    log_as(&path, "ann", ["a", "b"].map(run).to_vec());
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    damage(&path, &[3]);
    repaired(&path);
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&real), 0o640);
    let aside = folder
        .beside()
        .into_iter()
        .find(|path| path.to_string_lossy().contains(".torn-"));
    assert_eq!(mode(&aside.unwrap()), 0o640);
}

#[test]
#[cfg(unix)]
fn a_repair_takes_the_place_of_nothing_that_came_meanwhile() {
    let folder = Folder::new("swapped");
    let path = folder.ledger();
    log_as(&path, "ann", ["a", "b", "c"].map(run).to_vec());
    damage(&path, &[4]);
    let damaged = fs::read(&path).unwrap();
    let (away, others) = (folder.0.join("away.csv"), folder.0.join("others"));
    fs::create_dir(&others).unwrap();
    fs::write(others.join("notes"), b"theirs").unwrap();
    let by_link = || std::os::unix::fs::symlink(others.join("notes"), &path).unwrap();
    let by_file = || fs::write(&path, b"theirs").unwrap();
    for come in [&by_link as &dyn Fn(), &by_file] {
        let context = Object::new();
        let outcome = with_append(&context, 1, |how| {
            let open = || FileStore::open_existing(&path);
            let mut memory = Memory::default();
            ledger::repair(open, &path, &mut memory, how, |_, _, _| {
                fs::rename(&path, &away).unwrap();
                come();
                Ok(())
            })
        });
        let e = outcome.expect_err("another file has its name");
        assert_eq!(e.class(), "io", "{e}");
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(fs::read(others.join("notes")).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(&others).unwrap().count(), 1);
        let left = folder
            .beside()
            .into_iter()
            .map(|path| path.display().to_string());
        let left: Vec<String> = left.filter(|path| path.contains(".repaired-")).collect();
        assert_eq!(left, [""; 0]);
        assert_eq!(fs::read(&away).unwrap(), damaged);
        fs::rename(&away, &path).unwrap();
    }
    repaired(&path);
}
