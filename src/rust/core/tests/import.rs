//! Importing another ledger: what is said of each run is the same there, nothing comes twice, no stage moves, and an
//! import that was killed ends as one that wasn't.

#[allow(dead_code, reason = "other tests use the rest")]
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fitledger_core::Error;
use fitledger_core::format::artifact::ArtifactEntry;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::Json;
use fitledger_core::format::object::Object;
use fitledger_core::format::row::Row;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::ledger::{self, Append, FileStore, Memory};
use fitledger_core::platform::sys;
use fitledger_core::views::import::{Bytes, Imported, Source};
use fitledger_core::views::registry::Registry;
use fitledger_core::views::runs::{ALL_PARTS, Run, Runs, Status as RunStatus};
use fitledger_core::views::verify::{Status, verify};

use random::{Dice, with_append};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("fitledger-import-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
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

fn fill(bytes: &mut [u8]) {
    sys::random(bytes).unwrap();
}

fn append_as<T>(user: &str, write: impl FnOnce(&mut Append<'_>) -> T) -> T {
    let context = Object::new().text("user", user);
    with_append(&context, now(), &mut fill, write)
}

fn log_as(path: &Path, user: &str, events: Vec<Event>) {
    let events: Vec<_> = events.into_iter().map(|event| (now(), event)).collect();
    let open = || FileStore::open(path);
    let written = append_as(user, |how| {
        ledger::append(open, path, &mut Memory::default(), how, events)
    });
    written.unwrap();
}

/// A folder with the ledger `a`, which Ann began with these events, and the paths of that and of a ledger `b`.
fn begun_by_ann(name: &str, events: Vec<Event>) -> (Folder, PathBuf, PathBuf) {
    let folder = Folder::new(name);
    let (a, b) = (folder.file("a"), folder.file("b"));
    log_as(&a, "ann", events);
    (folder, a, b)
}

fn event(kind: EventKind<'static>, id: &str, context: &str) -> Event {
    Event {
        run_id: RunId::new(id),
        context: Object::from_text(context.as_bytes()).unwrap(),
        ..Event::new(kind)
    }
}

fn run(id: &str) -> Event {
    Event {
        metrics: Object::new().int("m", id.len() as i64),
        ..event(EventKind::Run, id, "{}")
    }
}

fn register(id: &str, version: i64) -> Event {
    Event {
        artifacts: Object::from_text(br#"{"model":{"sha256":"x"}}"#).unwrap(),
        ..event(
            EventKind::Register,
            id,
            &format!(r#"{{"model":"price","version":{version}}}"#),
        )
    }
}

fn promote(id: &str, version: i64, previous: Option<i64>, more: &str) -> Event {
    let previous = previous.map_or("null".to_owned(), |version| version.to_string());
    let context = format!(
        r#"{{"model":"price","version":{version},"stage":"production","previous":{previous}{more}}}"#
    );
    event(EventKind::Promote, id, &context)
}

fn try_import(from: &Path, to: &Path) -> Result<Imported, Error> {
    let source = Source::read(from, to)?;
    let mut bytes = Bytes::between(from, to, false);
    let open = || FileStore::open(to);
    append_as("importer", |how| {
        source.import(
            open,
            to,
            &mut Memory::default(),
            how,
            &mut bytes,
            &mut || false,
        )
    })
}

/// Enough runs for it to be asked whether to give up while they are imported.
fn many_runs() -> Vec<Event> {
    (0..25_000).map(|i| run(&format!("many-{i}"))).collect()
}

#[test]
fn who_gives_up_an_import_gets_nothing_of_it_and_nobody_waits_meanwhile() {
    let (_folder, a, b) = begun_by_ann("given-up", many_runs());
    for is_there in [false, true] {
        if is_there {
            log_as(&b, "bea", vec![run("x")]);
        }
        let before = fs::read(&b).ok();
        let asked = std::cell::Cell::new(0);
        let give_up_at = |at: u32| {
            let source = Source::read(&a, &b).unwrap();
            let mut bytes = Bytes::between(&a, &b, false);
            let open = || FileStore::open(&b);
            asked.set(0);
            let mut give_up = || {
                asked.set(asked.get() + 1);
                if let Ok(file) = fs::File::open(&b) {
                    assert!(sys::try_lock(&file).unwrap());
                }
                asked.get() == at
            };
            append_as("importer", |how| {
                let mut memory = Memory::default();
                source.import(open, &b, &mut memory, how, &mut bytes, &mut give_up)
            })
        };
        for at in [1, 2] {
            let e = give_up_at(at).unwrap_err();
            assert_eq!(e.class(), "interrupted");
            assert_eq!(fs::read(&b).ok(), before);
        }
        assert_eq!(give_up_at(3).unwrap().rows, 25_000);
        assert_eq!(asked.get(), 2);
        assert_eq!(verify(&b, None).unwrap().status, Status::Ok);
        fs::remove_file(&b).unwrap();
    }
}

#[test]
fn what_is_appended_while_an_import_is_drafted_counts() {
    let (_folder, a, b) = begun_by_ann("meanwhile", many_runs());
    for is_there in [false, true] {
        if is_there {
            log_as(&b, "bea", vec![run("x")]);
        }
        let source = Source::read(&a, &b).unwrap();
        let mut bytes = Bytes::between(&a, &b, false);
        let open = || FileStore::open(&b);
        let mut is_first = true;
        let mut meanwhile = || {
            if std::mem::take(&mut is_first) {
                log_as(&b, "bea", vec![run("many-7")]);
            }
            false
        };
        let imported = append_as("importer", |how| {
            let mut memory = Memory::default();
            source.import(open, &b, &mut memory, how, &mut bytes, &mut meanwhile)
        });
        let imported = imported.unwrap();
        assert_eq!((imported.rows, imported.left_out.len()), (24_999, 1));
        assert!(all_words(&b)["many-7"].contains("bea"));
        assert_eq!(verify(&b, None).unwrap().status, Status::Ok);
        fs::remove_file(&b).unwrap();
    }
}

/// Imports, as a look before has said, and nothing is left to come.
fn import(from: &Path, to: &Path) -> Imported {
    let before = fs::read(from).unwrap();
    let there = fs::read(to).unwrap_or_default();
    let problems = |path: &Path| match fs::metadata(path) {
        Ok(_) => verify(path, None).unwrap().problems,
        Err(_) => Vec::new(),
    };
    let old_problems = problems(to);
    let look = |from: &Path, to: &Path| {
        let plan = Source::read(from, to)
            .unwrap()
            .look(to, &mut fill, &mut || false)
            .unwrap();
        let mut bytes = Bytes::between(from, to, true);
        plan.finish(&mut bytes, &mut fill, &mut |_| false).unwrap()
    };
    let old_rows = rows(to);
    let foreseen = look(from, to);
    assert_eq!(fs::read(to).unwrap_or_default(), there);
    let imported = try_import(from, to).unwrap();
    assert_eq!(format!("{imported:?}"), format!("{foreseen:?}"));
    assert_eq!(fs::read(from).unwrap(), before);
    assert!(fs::read(to).unwrap().starts_with(&there));

    copies_are_right(from, to, old_rows);
    let report = verify(to, None).unwrap();
    assert_eq!(report.status, Status::Ok, "{report:?}");
    let lost = imported.left_out.iter().filter(|it| it.copied).count();
    let new = report.problems.len() - old_problems.len();
    assert!(new <= lost, "{:?} after {old_problems:?}", report.problems);

    let whole = fs::read(to).unwrap();
    let again = try_import(from, to).unwrap();
    assert_eq!((again.rows, again.sessions, again.objects), (0, 0, 0));
    assert!(again.run_ids.is_empty());
    assert_eq!(fs::read(to).unwrap(), whole);
    imported
}

fn runs(path: &Path) -> Runs {
    let runs = Runs::fold(&ledger::read(path).unwrap()).unwrap();
    let rows: Vec<usize> = (0..runs.len()).collect();
    runs.load(&rows, &ALL_PARTS).unwrap();
    runs
}

fn registry(path: &Path) -> Registry {
    Registry::fold(&ledger::read(path).unwrap()).unwrap()
}

fn production(path: &Path) -> Option<i64> {
    registry(path).model("price")?.current("production")
}

fn ids(path: &Path) -> Vec<String> {
    runs(path).iter().map(|run| run.id().to_owned()).collect()
}

/// Each copy says what the row does of which it is one, but for what means something within one ledger only.
fn copies_are_right(from: &Path, to: &Path, after: u64) {
    let (source, target) = (ledger::read(from).unwrap(), ledger::read(to).unwrap());
    let of_one_ledger = ["session", "origin", "parent", "takes", "undoes"];
    let context = |row: &Row<'_>| {
        let mut pairs = row.context.pairs().unwrap();
        pairs.retain(|(key, _)| !of_one_ledger.contains(&key.as_str()));
        pairs
    };
    let sources: Vec<_> = source.rows().map(Result::unwrap).collect();
    let by_hash = |hash: &str| {
        sources.iter().find(|row| {
            let origin = row.context.pairs().unwrap();
            let origin = Json::Object(origin);
            let origin = origin.get("origin").and_then(|origin| origin.get("hash"));
            match origin.and_then(Json::as_str) {
                Some(known) => known == hash,
                None => row.hash.to_string() == hash,
            }
        })
    };
    for row in target
        .rows()
        .map(Result::unwrap)
        .filter(|row| row.seq.0 > after)
    {
        let origin = Json::Object(row.context.pairs().unwrap());
        let Some(hash) = origin.get("origin").and_then(|origin| origin.get("hash")) else {
            let is_own = [EventKind::Ledger, EventKind::Session, EventKind::Recovered];
            assert!(is_own.contains(&row.event), "{row:?}");
            continue;
        };
        let of = by_hash(hash.as_str().unwrap()).unwrap();
        assert_eq!((row.time, row.run_id), (of.time, of.run_id));
        if row.event == EventKind::Session {
            continue;
        }
        let tags = |row: &Row<'_>| {
            Json::Object(row.context.pairs().unwrap())
                .get("tags")
                .cloned()
        };
        let has_no_values = row.cells()[..3].iter().all(|cell| cell.is_empty());
        // Values in a remark don't count, and stay behind.
        let same_values = match row.event.is_remark() {
            true => has_no_values,
            false => row.cells()[..3] == of.cells()[..3],
        };
        let is_same = row.event == of.event && same_values;
        if !is_same {
            // Of a row that came too late its tags.
            assert_eq!(row.event, EventKind::Log);
            assert!(has_no_values);
            assert!(tags(&row).is_some() && tags(&row) == tags(of));
            continue;
        }
        assert!(
            context(&row) == context(of) || row.event == EventKind::Log && tags(&row) == tags(of)
        );
    }
}

fn rows(path: &Path) -> u64 {
    verify(path, None).map_or(0, |report| report.rows)
}

/// What queries say of a run.
fn words(run: Run<'_>) -> String {
    let sorted = |mut pairs: Vec<(String, _)>| {
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs
    };
    let user = |session: &fitledger_core::views::sessions::Session| {
        let context = session.context.as_ref().unwrap();
        context.user().map(str::to_owned)
    };
    let notes = run.notes().iter();
    let notes = notes
        .map(|note| (note.time, &note.text, user(run.session_of(note))))
        .collect::<Vec<_>>();
    let voids: Vec<_> = run
        .voids()
        .iter()
        .map(|void| (void.is_void, &void.reason.text))
        .collect();
    let sessions: Vec<_> = run.sessions().into_iter().map(user).collect();
    let values = (
        sorted(run.params()),
        sorted(run.metrics()),
        sorted(run.tags()),
        sorted(run.sealed()),
    );
    let times = (
        run.began(),
        run.ended(),
        run.status(),
        run.is_void(),
        run.looks(),
    );
    let about = (
        run.name(),
        run.experiment(),
        run.parent().map(Run::id),
        run.seed(),
    );
    let kept = (run.artifacts(), run.data(), run.condition(), run.stream());
    format!("{times:?} {values:?} {about:?} {kept:?} {notes:?} {voids:?} {sessions:?}")
}

fn all_words(path: &Path) -> BTreeMap<String, String> {
    let runs = runs(path);
    runs.iter()
        .map(|run| (run.id().to_owned(), words(run)))
        .collect()
}

/// What is said of each run that came whole is the same in both.
fn same_is_said(from: &Path, to: &Path, imported: &Imported) {
    let (before, after) = (all_words(from), all_words(to));
    let left_out = |id: &String| {
        imported
            .left_out
            .iter()
            .any(|it| it.run_id.as_ref() == Some(id))
    };
    for id in imported.run_ids.iter().filter(|id| !left_out(id)) {
        assert_eq!(before[id], after[id], "{id}");
    }
}

#[test]
fn random_ledgers_come_together() {
    let folder = Folder::new("random");
    let (mut came, mut left) = (0, 0);
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| folder.file(&format!("{name}-{seed}")));
        random::write(&a, &mut dice, 2 + seed % 4);
        random::write(&b, &mut dice, 3);
        fs::copy(&b, &d).unwrap();
        // A to B to C, and A to C: in both orders the same runs.
        let imported = import(&a, &b);
        assert!(!imported.run_ids.is_empty());
        came += imported.run_ids.len();
        left += imported.left_out.len();
        same_is_said(&a, &b, &imported);
        same_is_said(&b, &c, &import(&b, &c));
        let more = import(&a, &c);
        assert_eq!(more.rows, 0, "{more:?}");
        let other = folder.file(&format!("other-{seed}"));
        same_is_said(&a, &other, &import(&a, &other));
        same_is_said(&b, &other, &import(&b, &other));
        same_is_said(&d, &other, &import(&d, &other));
        let (mut one, mut two) = (ids(&c), ids(&other));
        one.sort();
        two.sort();
        if imported.left_out.is_empty() {
            assert_eq!(one, two);
        }
        // Into one it was copied from.
        let back = import(&c, &a);
        same_is_said(&c, &a, &back);
    }
    assert!(came > 300 && left > 50, "{came} {left}");
}

#[test]
fn forks_of_a_ledger_come_together() {
    let folder = Folder::new("forks");
    for seed in 20..26 {
        let mut dice = Dice(seed);
        let [a, b] = ["a", "b"].map(|name| folder.file(&format!("{name}-{seed}")));
        random::write(&a, &mut dice, 3);
        fs::copy(&a, &b).unwrap();
        let common = ids(&a);
        random::write(&a, &mut dice, 3);
        random::write(&b, &mut dice, 4);
        let imported = import(&b, &a);
        assert!(imported.run_ids.iter().all(|id| !common.contains(id)));
        same_is_said(&b, &a, &imported);
        let back = import(&a, &b);
        same_is_said(&a, &b, &back);
        let more = import(&b, &a);
        assert_eq!(more.rows, 0, "{more:?}");
    }
}

/// A ledger in which every sort of row depends on others, and stages move to and fro.
fn eventful(path: &Path) {
    let artifact = Event {
        artifacts: Object::from_text(br#"{"model":{"sha256":"x"}}"#).unwrap(),
        ..run("a")
    };
    log_as(
        path,
        "ann",
        vec![
            artifact,
            run("b"),
            event(EventKind::Run, "c", r#"{"parent":"a","tags":{"by":"ann"}}"#),
        ],
    );
    let row_of = |path: &Path, at: usize| {
        let ledger = ledger::read(path).unwrap();
        let rows = ledger.rows().map(Result::unwrap);
        let promotions: Vec<_> = rows.filter(|row| row.event == EventKind::Promote).collect();
        promotions[at].seq.0
    };
    log_as(
        path,
        "bea",
        vec![
            register("a", 1),
            register("b", 2),
            promote("a", 1, None, ""),
            promote("b", 2, Some(1), ""),
            event(EventKind::Start, "live", r#"{"seed":7}"#),
            Event {
                metrics: Object::from_text(br#"{"loss":{"step":[1,2],"value":[0.5,0.25]}}"#)
                    .unwrap(),
                ..event(EventKind::Log, "live", "{}")
            },
        ],
    );
    let undoes = row_of(path, 1);
    log_as(
        path,
        "cid",
        vec![
            promote("a", 1, Some(2), &format!(r#","undoes":{undoes}"#)),
            register("c", 3),
            promote("c", 3, Some(1), ""),
            event(
                EventKind::Refuse,
                "b",
                r#"{"model":"price","version":2,"stage":"production","previous":3}"#,
            ),
            event(EventKind::End, "live", r#"{"status":"failed"}"#),
            event(EventKind::Resume, "live", "{}"),
            event(EventKind::End, "live", r#"{"status":"finished"}"#),
            event(EventKind::Note, "a", r#"{"text":"a note"}"#),
            event(EventKind::Void, "b", r#"{"reason":"why"}"#),
        ],
    );
}

fn history(path: &Path) -> String {
    let registry = registry(path);
    let model = registry.model("price").unwrap();
    let changes = model.history.iter();
    let changes: Vec<_> = changes
        .map(|change| {
            (
                change.kind,
                change.version,
                change.previous,
                change.stage.clone(),
            )
        })
        .collect();
    let ledger = ledger::read(path).unwrap();
    let promotions: Vec<_> = ledger
        .rows()
        .map(Result::unwrap)
        .filter(|row| row.event == EventKind::Promote)
        .collect();
    let undone: Vec<_> = promotions
        .iter()
        .filter_map(|row| {
            let context = Json::Object(row.context.pairs().unwrap());
            let undoes = context.get("undoes").and_then(Json::as_int)?;
            let undone = promotions.iter().find(|row| row.seq.0 as i64 == undoes);
            Some(undone.map(|row| row.run_id))
        })
        .collect();
    format!("{changes:?} {undone:?} {:?}", model.current("production"))
}

#[test]
fn an_import_that_was_killed_ends_as_one_that_was_not() {
    let folder = Folder::new("killed");
    let (from, to) = (folder.file("from"), folder.file("to"));
    eventful(&from);
    log_as(&to, "dan", vec![run("own")]);
    let before = fs::read(&to).unwrap();
    let imported = import(&from, &to);
    assert!(imported.left_out.is_empty(), "{imported:?}");
    assert_eq!(production(&to), Some(3));
    assert!(
        history(&from).contains(r#"[Some("b")]"#),
        "{}",
        history(&from)
    );
    assert_eq!(history(&from), history(&to));
    let (whole, words, stages) = (fs::read(&to).unwrap(), all_words(&to), history(&to));

    let killed = folder.file("killed");
    let ends: Vec<usize> = (before.len()..=whole.len())
        .filter(|&end| whole[end - 1] == b'\n')
        .collect();
    assert!(ends.len() > 20);
    for end in ends {
        fs::write(&killed, &whole[..end]).unwrap();
        import(&from, &killed);
        assert_eq!(all_words(&killed), words);
        assert_eq!(history(&killed), stages);
        // What was cut within a row is set aside first.
        if end < whole.len() {
            fs::write(&killed, &whole[..end + 9]).unwrap();
            try_import(&from, &killed).unwrap();
            assert_eq!(all_words(&killed), words);
            assert_eq!(history(&killed), stages);
        }
    }
}

#[test]
fn the_next_import_goes_on_with_a_stage_up_to_where_the_first_one_would_have_got() {
    let folder = Folder::new("goes-on");
    let (from, to) = (folder.file("from"), folder.file("to"));
    eventful(&from);
    import(&from, &to);
    let whole = fs::read_to_string(&to).unwrap();
    let last = whole.match_indices(",promote,").last().unwrap().0;
    let end = whole[..last].rfind('\n').unwrap() + 1;
    fs::write(&to, &whole[..end]).unwrap();
    assert_eq!(production(&to), Some(1));
    // The source moves on meanwhile, and that is no part of what was begun.
    log_as(&from, "ann", vec![promote("a", 1, Some(3), "")]);
    let killed = folder.file("killed");
    fs::copy(&to, &killed).unwrap();
    let imported = import(&from, &killed);
    assert_eq!(production(&killed), Some(3));
    assert_eq!(imported.left_out.len(), 1);
    assert!(
        imported.left_out[0]
            .why
            .contains("stands at version 3 there"),
        "{imported:?}"
    );

    // Where somebody has moved it here, it stays.
    let registered = fs::read_to_string(&to)
        .unwrap()
        .matches(",register,")
        .count();
    assert_eq!(registered, 3);
    log_as(&to, "dan", vec![promote("b", 2, Some(1), "")]);
    import(&from, &to);
    assert_eq!(production(&to), Some(2));

    // Another ledger that has no such row doesn't go on with it either.
    let other = folder.file("other");
    fs::write(&killed, &whole[..end]).unwrap();
    eventful(&other);
    let imported = import(&other, &killed);
    assert_eq!(production(&killed), Some(1));
    assert!(imported.run_ids.is_empty());
}

#[test]
fn a_stage_that_is_there_never_moves() {
    let (folder, a, b) = begun_by_ann(
        "stage",
        vec![
            run("x"),
            run("y"),
            register("x", 1),
            register("y", 2),
            promote("x", 1, None, ""),
        ],
    );
    fs::copy(&a, &b).unwrap();
    log_as(&b, "bea", vec![promote("y", 2, Some(1), "")]);
    let imported = import(&b, &a);
    assert_eq!(production(&a), Some(1));
    assert_eq!(imported.rows, 0);
    let [left_out] = &imported.left_out[..] else {
        panic!("{imported:?}");
    };
    assert_eq!(
        (left_out.event.as_str(), left_out.copied),
        ("promote", false)
    );
    assert!(left_out.why.contains("`promote_model()` moves it"));
    // A stage that came by an import is one that is there.
    let c = folder.file("c");
    import(&a, &c);
    assert_eq!(production(&c), Some(1));
    log_as(&a, "ann", vec![promote("y", 2, Some(1), "")]);
    import(&a, &c);
    import(&b, &c);
    assert_eq!(production(&c), Some(1));
}

#[test]
fn a_promotion_that_was_left_out_does_not_come_once_its_version_does() {
    let (_folder, a, b) = begun_by_ann(
        "left-out",
        vec![
            run("old"),
            run("x"),
            run("y"),
            register("x", 1),
            promote("x", 1, None, ""),
            register("old", 2),
            register("y", 3),
            promote("y", 3, Some(1), ""),
        ],
    );
    // Another run of that id: the second version can't come, and so neither the third nor its promotion.
    log_as(&b, "bea", vec![run("old")]);
    import(&a, &b);
    assert_eq!(production(&b), Some(1));
    log_as(&b, "bea", vec![register("old", 2)]);
    let imported = import(&a, &b);
    assert_eq!(imported.rows, 1, "the third version: {imported:?}");
    assert_eq!(production(&b), Some(1));
}

#[test]
fn versions_never_meet_by_their_numbers() {
    let (_folder, a, b) = begun_by_ann("versions", vec![run("x"), register("x", 1)]);
    log_as(
        &b,
        "bea",
        vec![
            run("y"),
            run("z"),
            register("y", 1),
            register("z", 2),
            promote("z", 2, None, ""),
            promote("y", 1, Some(2), ""),
        ],
    );
    let imported = import(&b, &a);
    let model = registry(&a);
    let model = model.model("price").unwrap();
    let runs: Vec<_> = model
        .versions
        .iter()
        .map(|version| version.run_id.as_str())
        .collect();
    // Version 2 is free here, and is the same one.
    assert_eq!(runs, ["x", "z"]);
    assert_eq!(model.current("production"), Some(2));
    let left: Vec<_> = imported.left_out.iter().map(|it| it.seq.0).collect();
    assert_eq!(left, [5, 8], "{imported:?}");
}

#[test]
fn a_run_whose_id_is_taken_stays_out_with_all_that_is_about_it() {
    let (_folder, a, b) = begun_by_ann("taken", vec![run("same")]);
    log_as(
        &b,
        "bea",
        vec![
            run("same"),
            event(EventKind::Note, "same", r#"{"text":"t"}"#),
            event(EventKind::Run, "child", r#"{"parent":"same"}"#),
            event(EventKind::Log, "same", r#"{"tags":{"by":"bea"}}"#),
        ],
    );
    let before = all_words(&a)["same"].clone();
    let imported = import(&b, &a);
    assert_eq!(all_words(&a)["same"], before);
    assert_eq!(imported.run_ids, ["child"]);
    let left: Vec<_> = imported
        .left_out
        .iter()
        .map(|it| (it.seq.0, it.copied))
        .collect();
    assert_eq!(left, [(3, false), (4, false), (5, true), (6, false)]);
    assert!(runs(&a).get("child").unwrap().unwrap().parent().is_none());
}

#[test]
fn tags_of_a_row_that_comes_too_late_come_along() {
    let folder = Folder::new("late");
    let (a, b, c) = (folder.file("a"), folder.file("b"), folder.file("c"));
    let late = || Event {
        metrics: Object::new().int("m", 99),
        ..event(EventKind::Log, "x", r#"{"tags":{"late":true}}"#)
    };
    log_as(
        &a,
        "ann",
        vec![
            run("x"),
            late(),
            event(
                EventKind::End,
                "x",
                r#"{"status":"failed","tags":{"end":1}}"#,
            ),
        ],
    );
    log_as(&a, "ann", vec![event(EventKind::Resume, "x", "{}")]);
    let imported = import(&a, &b);
    assert_eq!((imported.rows, imported.left_out.len()), (3, 0));
    assert_eq!(all_words(&a), all_words(&b));
    assert!(verify(&b, None).unwrap().problems.is_empty());

    // Late here only: the run has ended in the meantime.
    log_as(&c, "ann", vec![event(EventKind::Start, "live", "{}")]);
    let d = folder.file("d");
    fs::copy(&c, &d).unwrap();
    log_as(
        &c,
        "ann",
        vec![event(EventKind::End, "live", r#"{"status":"finished"}"#)],
    );
    log_as(
        &d,
        "bea",
        vec![Event {
            run_id: RunId::new("live"),
            ..late()
        }],
    );
    let imported = import(&d, &c);
    let run = runs(&c);
    let run = run.get("live").unwrap().unwrap();
    assert!(run.metrics().is_empty());
    assert_eq!(run.tags().len(), 1);
    assert!(imported.left_out[0].copied && imported.left_out[0].why.contains("only its tags"));
}

#[test]
fn what_came_too_late_does_not_come_once_its_run_is_resumed() {
    let (_folder, a, b) = begun_by_ann("turn", vec![event(EventKind::Start, "live", "{}")]);
    fs::copy(&a, &b).unwrap();
    let point = |m: i64| Event {
        metrics: Object::new().int("m", m),
        ..event(EventKind::Log, "live", "{}")
    };
    let failed = || event(EventKind::End, "live", r#"{"status":"failed"}"#);
    log_as(&a, "ann", vec![point(1), failed()]);
    log_as(
        &b,
        "bea",
        vec![
            point(2),
            failed(),
            event(EventKind::Resume, "live", "{}"),
            point(3),
        ],
    );
    // Again, as `import()` does it, nothing comes.
    let imported = import(&b, &a);
    assert_eq!((imported.rows, imported.left_out.len()), (2, 2));
    assert!(all_words(&a)["live"].contains("Running"));
}

#[test]
fn a_run_that_is_running_goes_on_with_the_next_import() {
    let (_folder, a, b) = begun_by_ann("running", vec![event(EventKind::Start, "live", "{}")]);
    import(&a, &b);
    let status = |path: &Path| runs(path).get("live").unwrap().unwrap().status();
    assert_eq!(status(&b), RunStatus::Running);
    let point = Event {
        metrics: Object::from_text(br#"{"loss":{"step":[1],"value":[0.5]}}"#).unwrap(),
        ..event(EventKind::Log, "live", "{}")
    };
    let id = {
        let runs = runs(&a);
        runs.get("live").unwrap().unwrap().session().id.clone()
    };
    log_as(
        &a,
        "bea",
        vec![
            point,
            event(EventKind::Resume, "live", &format!(r#"{{"takes":"{id}"}}"#)),
        ],
    );
    import(&a, &b);
    assert_eq!(status(&b), RunStatus::Running);
    let taken = fs::read_to_string(&b).unwrap();
    assert!(!taken.contains(&id), "the session has another id");
    log_as(
        &a,
        "bea",
        vec![event(EventKind::End, "live", r#"{"status":"finished"}"#)],
    );
    let imported = import(&a, &b);
    assert_eq!((imported.rows, imported.run_ids.len()), (1, 0));
    assert_eq!(all_words(&a), all_words(&b));
}

#[test]
fn a_session_whose_id_is_taken_is_another_one_still() {
    let (_folder, a, b) = begun_by_ann("sessions", vec![run("x")]);
    // The same id here, of somebody else.
    let text = fs::read_to_string(&a).unwrap();
    let id = runs(&a).get("x").unwrap().unwrap().session().id.clone();
    assert!(text.contains(&id));
    let mut ids = id.bytes();
    let mut random = |bytes: &mut [u8]| match bytes.len() {
        12 => bytes.fill_with(|| {
            let letter = ids.next().unwrap();
            let alphabet = b"0123456789abcdefghjkmnpqrstvwxyz";
            alphabet.iter().position(|known| *known == letter).unwrap() as u8
        }),
        _ => fill(bytes),
    };
    let open = || FileStore::open(&b);
    let context = Object::new().text("user", "bea");
    let written = with_append(&context, now(), &mut random, |how| {
        ledger::append(open, &b, &mut Memory::default(), how, [(now(), run("y"))])
    });
    written.unwrap();
    assert_eq!(runs(&b).get("y").unwrap().unwrap().session().id, id);
    import(&a, &b);
    assert_eq!(all_words(&b)["x"], all_words(&a)["x"]);
    assert!(all_words(&b)["y"].contains("bea"));
}

/// What a hostile ledger says of its rows: that they are copies of those of another one.
fn claims(path: &Path, row: &Row<'_>) -> String {
    let id = ledger::read(path).unwrap().id().unwrap();
    format!(
        r#""origin":{{"ledger":"{id}","seq":{},"hash":"{}","by":"sess00000001"}}"#,
        row.seq.0, row.hash
    )
}

#[test]
fn a_claim_to_be_a_copy_counts_only_if_it_says_the_same() {
    let honest = || {
        vec![
            Event {
                params: Object::new().text("model", "good"),
                ..event(EventKind::Start, "x", r#"{"name":"first"}"#)
            },
            Event {
                metrics: Object::new().int("auc", 9),
                ..event(EventKind::Log, "x", r#"{"tags":{"a":1}}"#)
            },
            event(EventKind::End, "x", r#"{"status":"finished"}"#),
            run("y"),
            event(EventKind::Note, "y", r#"{"text":"fine"}"#),
        ]
    };
    let session = |user: &str, claim: &str| {
        let context = format!(r#"{{"id":"aaaaaaaaaaaa","user":"{user}",{claim}}}"#);
        event(EventKind::Session, "", &context)
    };
    let of_hers = |event: Event| Event {
        session: Some("aaaaaaaaaaaa".into()),
        ..event
    };
    type Hostile<'h> = &'h dyn Fn(&dyn Fn(&str) -> String) -> Vec<Event>;
    // What the hostile ledger says, whether the run `x` of the honest one comes then, and how many rows are named.
    let cases: [(&str, Hostile<'_>, bool, usize); 6] = [
        (
            "session",
            &|claim| vec![session("mallory", &claim("session")), of_hers(run("z"))],
            true,
            0,
        ),
        (
            "run-of-another-id",
            &|claim| {
                vec![event(
                    EventKind::Start,
                    "z",
                    &format!("{{{}}}", claim("start")),
                )]
            },
            false,
            3,
        ),
        (
            "run-of-the-same-id",
            &|claim| {
                vec![event(
                    EventKind::Start,
                    "x",
                    &format!("{{{}}}", claim("start")),
                )]
            },
            false,
            3,
        ),
        (
            "run-of-another-session",
            &|claim| {
                let start = Event {
                    context: Object::from_text(
                        format!(r#"{{"name":"first",{}}}"#, claim("start")).as_bytes(),
                    )
                    .unwrap(),
                    ..honest().remove(0)
                };
                vec![start]
            },
            false,
            3,
        ),
        (
            "plain-run",
            &|claim| vec![event(EventKind::Run, "z", &format!("{{{}}}", claim("run")))],
            true,
            2,
        ),
        (
            "values",
            &|claim| {
                let decoy = format!("{{{}}}", claim("log"));
                vec![
                    event(EventKind::Start, "z", "{}"),
                    event(EventKind::Log, "z", &decoy),
                ]
            },
            true,
            1,
        ),
    ];
    for (what, hostile, comes, named) in cases {
        let (folder, a, b) = begun_by_ann(&format!("claims-{what}"), honest());
        let mallory = folder.file("mallory");
        let whole = ledger::read(&a).unwrap();
        let claim = |event: &str| {
            let mut rows = whole.lines().filter_map(|line| Row::parse(line).ok());
            claims(&a, &rows.find(|row| row.event.name() == event).unwrap())
        };
        log_as(&mallory, "mallory", hostile(&claim));
        import(&mallory, &b);
        let imported = import(&a, &b);
        assert_eq!(imported.left_out.len(), named, "{what}: {imported:?}");
        let words = all_words(&b);
        if named == 0 {
            assert_eq!(words["x"], all_words(&a)["x"], "{what}");
            assert_eq!(words["y"], all_words(&a)["y"], "{what}");
        } else {
            let why = &imported.left_out[0].why;
            assert!(why.contains("and says something else"), "{what}: {why}");
        }
        let is_honest = words.get("x").is_some_and(|words| words.contains("ann"));
        assert_eq!(is_honest, comes, "{what}");
        // Nor does it come by a ledger in between, and what came is known again.
        let again = import(&a, &b);
        assert_eq!((again.rows, again.left_out.len()), (0, named), "{what}");
        let c = folder.file("c");
        import(&b, &c);
        assert_eq!(all_words(&c), words, "{what}");
    }
}

/// The text of an artifact's cell, of bytes that are stored beside a ledger.
fn stored(path: &Path, bytes: &[u8]) -> Object {
    let stored = Objects::beside(path)
        .put(&mut &*bytes, &mut fill, &mut |_| false)
        .unwrap();
    let entry = ArtifactEntry {
        stored: true,
        file: Some("model.rds".into()),
        ..ArtifactEntry::of_bytes(stored.digest, stored.size)
    };
    Object::new().json("model", &entry.json())
}

fn with_artifact(id: &str, artifacts: Object) -> Event {
    Event {
        artifacts,
        ..run(id)
    }
}

#[test]
fn stored_bytes_come_along() {
    let (_folder, a, b) = begun_by_ann("objects", vec![run("first")]);
    let kept = [b"one".as_slice(), b"two", b"three"].map(|bytes| stored(&a, bytes));
    let [one, two, three] = kept.clone();
    log_as(
        &a,
        "ann",
        vec![
            with_artifact("x", one),
            with_artifact("y", two),
            with_artifact("z", three),
        ],
    );
    let object = |path: &Path, artifacts: &Object| {
        let mut text = Vec::new();
        artifacts.write(&mut text);
        let entry = Json::parse(&text).unwrap().get("model").cloned().unwrap();
        let digest = ArtifactEntry::read(entry).digest().unwrap();
        Objects::beside(path).path(&digest)
    };
    let replace = |path: &Path, bytes: &[u8]| {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };
    // Two is damaged, three isn't there.
    replace(&object(&a, &kept[1]), b"owt");
    fs::remove_file(object(&a, &kept[2])).unwrap();
    let imported = import(&a, &b);
    assert_eq!((imported.run_ids.len(), imported.objects), (4, 1));
    let left: Vec<_> = imported
        .left_out
        .iter()
        .map(|it| (it.copied, it.why.to_string()))
        .collect();
    assert_eq!(
        left,
        [
            (
                true,
                "copied, but the stored bytes of the artifact 'model' have changed".to_owned()
            ),
            (
                true,
                "copied, but the stored bytes of the artifact 'model' are not there".to_owned()
            ),
        ]
    );
    assert_eq!(fs::read(object(&b, &kept[0])).unwrap(), b"one");
    assert!(!object(&b, &kept[1]).exists() && !object(&b, &kept[2]).exists());
    let count = || {
        let folders = fs::read_dir(Objects::beside(&b).folder()).unwrap();
        folders
            .map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count())
            .sum::<usize>()
    };
    assert_eq!(count(), 1);
    // Once they are there, they come with the next import.
    replace(&object(&a, &kept[1]), b"two");
    let later = try_import(&a, &b).unwrap();
    assert_eq!((later.rows, later.objects), (0, 1));
    assert_eq!(fs::read(object(&b, &kept[1])).unwrap(), b"two");
    assert_eq!(verify(&b, None).unwrap().problems.len(), 1);
}

#[test]
fn the_lockfile_and_the_code_of_a_session_come_along() {
    let folder = Folder::new("lockfile");
    let (a, b) = (folder.file("a"), folder.file("b"));
    let open = || FileStore::open(&a);
    let written = append_as("ann", |how| {
        how.session.lockfile = Some(b"{}");
        how.session.code = &[("script", b"log_run()")];
        ledger::append(open, &a, &mut Memory::default(), how, [(now(), run("x"))])
    });
    written.unwrap();
    let imported = import(&a, &b);
    assert_eq!(
        (imported.sessions, imported.objects, imported.left_out.len()),
        (1, 2, 0)
    );
    assert!(verify(&b, None).unwrap().problems.is_empty());
}

#[test]
fn what_cannot_be_imported_leaves_no_trace() {
    let (folder, a, b) = begun_by_ann("refused", vec![run("x"), run("y")]);
    let refused = |from: &Path, class: &str| {
        let e = try_import(from, &b).expect_err(class);
        assert_eq!(e.class(), class, "{e}");
        assert!(!b.exists());
        e
    };
    refused(&folder.file("nothing"), "not_found");
    let good = fs::read_to_string(&a).unwrap();
    let bad = folder.file("bad");
    fs::write(&bad, good.replacen("\"\"m\"\":1", "\"\"m\"\":2", 1)).unwrap();
    let e = refused(&bad, "corrupt");
    assert_eq!(e.location().unwrap().0, 3);
    fs::write(&bad, "a,b\n1,2\n").unwrap();
    refused(&bad, "not_a_ledger");
    // An event that must be understood, chained as it should be.
    fs::copy(&a, &bad).unwrap();
    log_as(
        &bad,
        "ann",
        vec![event(EventKind::MustBeKnown("later!"), "x", "{}")],
    );
    refused(&bad, "newer_format");

    // A torn tail isn't read, and one that is whole but for its line feed is.
    fs::write(&bad, format!("{good}5,2026-11-2")).unwrap();
    assert_eq!(import(&bad, &b).run_ids, ["x", "y"]);
    fs::write(&bad, good.trim_end()).unwrap();
    assert_eq!(import(&bad, &folder.file("c")).run_ids, ["x", "y"]);
}

#[test]
fn a_ledger_is_not_imported_into_itself() {
    let folder = Folder::new("itself");
    let a = folder.file("a");
    log_as(&a, "ann", vec![run("x")]);
    let before = fs::read(&a).unwrap();
    let mut same = vec![a.clone(), folder.0.join(".").join("a")];
    #[cfg(unix)]
    {
        let (soft, hard) = (folder.file("soft"), folder.file("hard"));
        std::os::unix::fs::symlink("a", &soft).unwrap();
        fs::hard_link(&a, &hard).unwrap();
        same.extend([soft, hard]);
    }
    for path in same {
        assert_eq!(try_import(&a, &path).err().unwrap().class(), "argument");
        assert_eq!(try_import(&path, &a).err().unwrap().class(), "argument");
    }
    assert_eq!(fs::read(&a).unwrap(), before);
}

#[test]
fn unknown_events_are_named_and_rows_without_effect_are_not() {
    let (_folder, a, b) = begun_by_ann(
        "unknown",
        vec![
            run("x"),
            event(EventKind::Unknown("later"), "x", "{}"),
            run("x"),
            event(EventKind::Note, "nobody", r#"{"text":"t"}"#),
            promote("x", 9, None, ""),
        ],
    );
    let imported = import(&a, &b);
    assert_eq!(imported.rows, 1);
    let left: Vec<_> = imported
        .left_out
        .iter()
        .map(|it| it.event.as_str())
        .collect();
    assert_eq!(left, ["later"]);
}
