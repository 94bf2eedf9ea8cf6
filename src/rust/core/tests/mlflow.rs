//! Invariant: a store that was exported from a ledger, whatever is in that, is one that MLflow reads, and holds the runs
//! that it was made of; importing it twice adds nothing.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::ledger::{self, FileStore, LedgerFile, Memory, Position};
use fitledger_core::mlflow::import::{self, Imported};
use fitledger_core::mlflow::store::StoreFolder;
use fitledger_core::mlflow::write::{self, Export};
use fitledger_core::mlflow::{place, read};
use fitledger_core::views::fold::{Folded, fold};
use fitledger_core::views::registry::Registry;
use fitledger_core::views::runs::{ALL_PARTS, Run, Runs, Status};
use fitledger_core::views::series::Points;
use fitledger_core::views::table;
use random::{Dice, path, with_append, write as write_ledger};

#[allow(dead_code, reason = "other tests use the rest")]
mod random;

fn export(ledger: &Path, to: &Path) {
    let rows = ledger::read(ledger).unwrap();
    let runs: Runs = fold(&rows).unwrap();
    let points: Points = fold(&rows).unwrap();
    let registry: Registry = fold(&rows).unwrap();
    let chosen = table::all_rows(&runs, false).unwrap();
    let export = Export {
        runs: &runs,
        points: &points,
        registry: &registry,
        objects: &Objects::beside(ledger),
        rows: &chosen,
    };
    place::place(to, &mut |_| false, |folder, progress| {
        write::write(export, folder, progress)
    })
    .unwrap();
    assert_eq!(place::in_the_way(to, &mut |_| false).unwrap(), None);
}

/// Imports a store; the runs that came.
fn import(store: &Path, ledger: &Path, dice: &mut Dice) -> Vec<String> {
    let content = read::read(&StoreFolder::open(store).unwrap(), &mut |_| false).unwrap();
    let now = Timestamp::from_micros(1_796_000_000_000_000).unwrap();
    let mut before: Folded<Imported> = Folded::default();
    if ledger.exists() {
        before.catch_up(&LedgerFile::open(ledger).unwrap()).unwrap();
    }
    let mut first = Dice(dice.roll(1000));
    let plan = import::plan(&content, before.view(), now, &mut |bytes| {
        bytes.fill_with(|| first.roll(256) as u8);
    });
    let plan = plan.unwrap();
    if plan.events.is_empty() {
        assert!(plan.run_ids.is_empty());
        return Vec::new();
    }
    let open = || FileStore::open(ledger);
    let mut random = |bytes: &mut [u8]| bytes.fill_with(|| dice.roll(256) as u8);
    let written = with_append(&Object::new(), now, &mut random, |how| {
        ledger::append_decided(open, ledger, &mut Memory::default(), how, |read_since| {
            let position = before.position().copied();
            before.take(&read_since(&position.unwrap_or(Position::origin()))?)?;
            Ok(plan.events)
        })
    });
    written.unwrap();
    plan.run_ids
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// What MLflow asks of keys, of points and of the paths of artifacts.
fn check_store(store: &Path) {
    for file in files(store) {
        let below = file
            .strip_prefix(store)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let parts: Vec<&str> = below.splitn(4, '/').collect();
        let [_, _, kind @ ("params" | "metrics" | "tags"), key] = parts.as_slice() else {
            continue;
        };
        let is_allowed = |c: char| c.is_alphanumeric() || "_.-: /".contains(c);
        assert!(!key.is_empty() && key.chars().all(is_allowed), "{below}");
        assert!(key.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if *kind != "metrics" {
            continue;
        }
        let mut seen = HashSet::new();
        for line in fs::read_to_string(&file).unwrap().lines() {
            let [millis, value, step] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            millis.parse::<i64>().unwrap();
            value.parse::<f64>().unwrap();
            step.parse::<i64>().unwrap();
            assert!(seen.insert(line.to_owned()), "{below}: {line}");
        }
    }
}

/// What of a run an export keeps, whatever its keys are called there.
fn words(run: Run<'_>) -> String {
    let status = match run.status() {
        Status::Running if run.is_lost() => Status::Interrupted,
        status => status,
    };
    let millis = |time: Timestamp| time.micros().div_euclid(1000);
    let mut data: Vec<_> = run
        .data()
        .iter()
        .map(|(name, it)| (name, &it.hash, it.rows))
        .collect();
    data.sort();
    let notes: Vec<&str> = run.notes().iter().map(|note| note.text.as_str()).collect();
    format!(
        "{} {} {status:?} {:?} {:?} {data:?} {} {:?} {}",
        run.id(),
        millis(run.began()),
        run.name(),
        run.experiment(),
        run.params().len(),
        notes.join("\n\n"),
        run.tags().len()
    )
}

/// The numbers that metrics show, and how many show none.
fn numbers(run: Run<'_>) -> (Vec<u64>, usize) {
    let bits = |value: &Value| match value {
        Value::Double(x) => Some(x.to_bits()),
        Value::Int(x) => Some(f64::from(*x).to_bits()),
        _ => None,
    };
    let metrics = run.metrics();
    let mut numbers: Vec<u64> = metrics.iter().filter_map(|(_, it)| bits(it)).collect();
    numbers.sort_unstable();
    let missing = metrics.len() - numbers.len();
    (numbers, missing)
}

#[test]
fn a_random_ledger_comes_back() {
    for seed in 0..5 {
        let from = path(&format!("mlflow-from-{seed}"));
        let to = path(&format!("mlflow-to-{seed}"));
        let store = from.with_extension("mlruns");
        for path in [&from, &to] {
            drop(fs::remove_file(path));
        }
        drop(fs::remove_dir_all(&store));
        write_ledger(&from, &mut Dice(seed), 2 + seed);
        export(&from, &store);
        check_store(&store);
        let mut dice = Dice(seed);
        let ids = import(&store, &to, &mut dice);

        let before: Runs = fold(&ledger::read(&from).unwrap()).unwrap();
        let after: Runs = fold(&ledger::read(&to).unwrap()).unwrap();
        let rows = table::all_rows(&before, false).unwrap();
        assert_eq!(after.len(), rows.len());
        assert_eq!(ids.len(), rows.len());
        before.load(&rows, &ALL_PARTS).unwrap();
        after
            .load(&(0..after.len()).collect::<Vec<_>>(), &ALL_PARTS)
            .unwrap();
        for &row in &rows {
            let run = before.at(row);
            let again = after.get_with(run.id(), &ALL_PARTS).unwrap().unwrap();
            assert_eq!(words(again), words(run), "seed {seed}");
            let ((shown, missing), (mut more, _)) = (numbers(run), numbers(again));
            for number in shown {
                let at = more.iter().position(|it| *it == number);
                more.remove(at.expect("a number comes back"));
            }
            // Of a metric that shows a missing value MLflow shows the last one of its series.
            assert!(more.len() <= missing, "seed {seed}");
        }
        assert!(after.run_ids.without_effect.is_empty());

        let bytes = fs::read(&to).unwrap();
        assert!(import(&store, &to, &mut dice).is_empty());
        assert!(import(&store, &from, &mut dice).is_empty());
        assert_eq!(fs::read(&to).unwrap(), bytes);
        export(&from, &store);
        for path in [&from, &to] {
            fs::remove_file(path).unwrap();
        }
        fs::remove_dir_all(&store).unwrap();
    }
}

/// What others do in a shared folder while an export is written there, or a store is read.
#[cfg(unix)]
mod others {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use fitledger_core::error::{Error, Result};

    /// A folder of its own, in which what is in `outside` must stay as it is.
    fn shared(name: &str) -> PathBuf {
        let shared = path(name).with_extension("shared");
        drop(fs::remove_dir_all(&shared));
        fs::create_dir_all(shared.join("outside")).unwrap();
        fs::write(shared.join("outside/secret"), "secret").unwrap();
        shared
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    fn unfinished(shared: &Path) -> PathBuf {
        let is_unfinished = |name: &&String| name.contains(".tmp-");
        let name = names(shared).iter().find(is_unfinished).cloned().unwrap();
        shared.join(name)
    }

    fn export_with(
        ledger: &Path,
        to: &Path,
        meanwhile: impl FnOnce(),
        after: impl FnOnce(),
    ) -> Result<()> {
        let rows = ledger::read(ledger).unwrap();
        let runs: Runs = fold(&rows).unwrap();
        let export = Export {
            runs: &runs,
            points: &fold(&rows).unwrap(),
            registry: &fold(&rows).unwrap(),
            objects: &Objects::beside(ledger),
            rows: &table::all_rows(&runs, false).unwrap(),
        };
        place::place(to, &mut |_| false, |folder, progress| {
            meanwhile();
            write::write(export, folder, progress)?;
            after();
            Ok(())
        })
    }

    #[test]
    fn an_export_is_written_where_it_began() {
        let shared = shared("mlflow-swapped");
        let (ledger, to) = (shared.join("l.csv"), shared.join("out"));
        write_ledger(&ledger, &mut Dice(1), 3);
        let swap = || {
            let tmp = unfinished(&shared);
            let rights = fs::metadata(&tmp).unwrap().permissions().mode() & 0o777;
            assert_eq!(rights, 0o700);
            fs::rename(&tmp, shared.join("aside")).unwrap();
            fs::create_dir(&tmp).unwrap();
            for name in ["new", "0", "earlier"] {
                symlink(shared.join("outside"), tmp.join(name)).unwrap();
            }
        };
        export_with(&ledger, &to, swap, || {}).unwrap();
        assert_eq!(names(&shared.join("outside")), ["secret"]);
        assert_eq!(place::in_the_way(&to, &mut |_| false).unwrap(), None);
        assert_eq!(names(&shared.join("aside")), Vec::<String>::new());
        check_store(&to);
        fs::remove_dir_all(&shared).unwrap();
    }

    #[test]
    fn what_comes_while_an_export_is_written_stays() {
        let shared = shared("mlflow-meanwhile");
        let (ledger, to) = (shared.join("l.csv"), shared.join("out"));
        write_ledger(&ledger, &mut Dice(2), 3);
        let log = || {
            fs::create_dir_all(to.join("0/theirs")).unwrap();
            fs::write(to.join("0/theirs/meta.yaml"), "run_id: theirs").unwrap();
        };
        let is_conflict = |result: Result<()>| {
            let e = result.unwrap_err();
            assert!(matches!(e, Error::Conflict { .. }), "{e}");
        };
        let is_there = || fs::read_to_string(to.join("0/theirs/meta.yaml")).is_ok();
        let there = ["l.csv", "out", "outside"];
        // Where nothing was, and over an earlier export.
        is_conflict(export_with(&ledger, &to, log, || {}));
        assert!(is_there());
        assert_eq!(names(&shared), there);
        fs::remove_dir_all(&to).unwrap();
        export_with(&ledger, &to, || {}, || {}).unwrap();
        is_conflict(export_with(&ledger, &to, || {}, log));
        assert!(is_there() && to.join("0/meta.yaml").exists());
        assert_eq!(names(&shared), there);
        // A file, a link to an earlier export, and a folder that is empty.
        fs::remove_dir_all(&to).unwrap();
        is_conflict(export_with(
            &ledger,
            &to,
            || fs::write(&to, "x").unwrap(),
            || {},
        ));
        assert_eq!(fs::read_to_string(&to).unwrap(), "x");
        fs::remove_file(&to).unwrap();
        let link = || symlink(shared.join("outside"), &to).unwrap();
        is_conflict(export_with(&ledger, &to, link, || {}));
        assert!(to.is_symlink());
        fs::remove_file(&to).unwrap();
        export_with(&ledger, &to, || fs::create_dir(&to).unwrap(), || {}).unwrap();
        assert_eq!(names(&shared), there);
        assert_eq!(names(&shared.join("outside")), ["secret"]);
        fs::remove_dir_all(&shared).unwrap();
    }

    #[test]
    fn an_interrupted_export_leaves_what_there_was() {
        let shared = shared("mlflow-interrupted");
        let (ledger, to) = (shared.join("l.csv"), shared.join("out"));
        write_ledger(&ledger, &mut Dice(3), 3);
        for calls in 0.. {
            let rows = ledger::read(&ledger).unwrap();
            let runs: Runs = fold(&rows).unwrap();
            let export = Export {
                runs: &runs,
                points: &fold(&rows).unwrap(),
                registry: &fold(&rows).unwrap(),
                objects: &Objects::beside(&ledger),
                rows: &table::all_rows(&runs, false).unwrap(),
            };
            let mut left = 1_i64 << (2 * calls);
            let mut stop = |_| {
                left -= 1;
                left < 0
            };
            let placed = place::place(&to, &mut stop, |folder, progress| {
                write::write(export, folder, progress)
            });
            if placed.is_ok() {
                assert!(calls > 1);
                break;
            }
            assert!(matches!(placed.unwrap_err(), Error::Interrupted));
            assert_eq!(names(&shared), ["l.csv", "outside"]);
        }
        fs::remove_dir_all(&shared).unwrap();
    }

    #[test]
    fn artifacts_come_from_the_store_that_was_looked_at() {
        let shared = shared("mlflow-artifacts");
        let (ledger, store) = (shared.join("l.csv"), shared.join("mlruns"));
        write_ledger(&ledger, &mut Dice(4), 1);
        for id in ["file", "folder"] {
            let run = store.join("0").join(id);
            fs::create_dir_all(run.join("artifacts/secret.d")).unwrap();
            fs::write(run.join("meta.yaml"), "status: 3\nstart_time: 1\n").unwrap();
            fs::write(run.join("artifacts/secret"), "harmless").unwrap();
            fs::write(run.join("artifacts/secret.d/secret"), "harmless").unwrap();
        }
        fs::write(store.join("0/meta.yaml"), "name: Default\n").unwrap();
        let open = StoreFolder::open(&store).unwrap();
        let mut content = read::read(&open, &mut |_| false).unwrap();
        let swap = |from: PathBuf| {
            fs::remove_dir_all(&from).unwrap();
            symlink(shared.join("outside"), from).unwrap();
        };
        swap(store.join("0/file/artifacts"));
        swap(store.join("0/folder/artifacts/secret.d"));
        let wanted: HashSet<_> = content.runs.iter().map(|run| run.id.clone()).collect();
        let objects = Objects::beside(&ledger);
        let mut dice = Dice(5);
        let mut random = |bytes: &mut [u8]| bytes.fill_with(|| dice.roll(256) as u8);
        let go_on = &mut |_| false;
        read::store_artifacts(&mut content, &open, &wanted, &objects, &mut random, go_on).unwrap();
        assert_eq!(content.skipped.len(), 3);
        for file in files(objects.folder()) {
            assert_ne!(fs::read(file).unwrap(), b"secret");
        }
        fs::remove_dir_all(&shared).unwrap();
    }
}
