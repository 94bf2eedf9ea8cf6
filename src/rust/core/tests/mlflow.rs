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
