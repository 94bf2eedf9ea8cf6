//! Invariant: reading runs by blocks gives what folding the events one by one gives, on any ledger.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use fitledger_core::columnar::blocks::BLOCK;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, FileStore, Memory};
use fitledger_core::views::best::{Wanted, best_runs};
use fitledger_core::views::fold;
use fitledger_core::views::parallel_read;
use fitledger_core::views::registry::Registry;
use fitledger_core::views::runs::{Run, Runs, Status};
use fitledger_core::views::series::{Point, Points};

use random::{Dice, generic, open, path, with_append, words, write};

mod random;

fn compare(path: &Path) {
    for parts in [|_| 1, |_| 2, |_| 5] {
        match (
            parallel_read::read_in_parts(&open(path), parts),
            generic(path),
        ) {
            (Ok(bulk), Ok(generic)) => {
                assert_eq!(words(bulk.view()).unwrap(), words(generic.view()).unwrap());
                assert_eq!(bulk.position(), generic.position());
            }
            (Err(bulk), Err(generic)) => assert_eq!(bulk.to_string(), generic.to_string()),
            (bulk, generic) => panic!("{:?} but {:?}", bulk.map(|_| ()), generic.map(|_| ())),
        }
    }
}

fn append(path: &Path, events: Vec<(Timestamp, Event)>) {
    let written = with_append(
        &Object::new(),
        Timestamp::now(),
        &mut |bytes| bytes.fill(1),
        |how| {
            let open = || FileStore::open(path);
            ledger::append(open, path, &mut Memory::default(), how, events)
        },
    );
    written.unwrap();
}

#[test]
fn any_ledger_reads_the_same() {
    for seed in 0..60 {
        let path = path(&format!("bulk-{seed}"));
        drop(fs::remove_file(&path));
        write(&path, &mut Dice(seed), [2, 5, 40, 1000][seed as usize % 4]);
        compare(&path);
        // What was appended since is taken over as if it had been there.
        let mut folded = parallel_read::read(&open(&path)).unwrap();
        write(&path, &mut Dice(seed + 1000), 5);
        folded.catch_up(&open(&path)).unwrap();
        let expected = words(generic(&path).unwrap().view()).unwrap();
        assert_eq!(words(folded.view()).unwrap(), expected);
        compare(&path);
        fs::remove_file(&path).unwrap();
    }
}

/// A name that such a row has first is no column until another row has it.
#[test]
fn rows_without_effect_leave_the_order_of_columns_alone() {
    let path = path("bulk-columns");
    drop(fs::remove_file(&path));
    let row = |id: &str, params: &str, metrics: &str, context: &str| {
        let object = |text: &str| Object::of_pairs(text.as_bytes().to_vec());
        let event = Event {
            run_id: RunId::new(id),
            params: object(params),
            metrics: object(metrics),
            context: object(context),
            ..Event::new(EventKind::Run)
        };
        (Timestamp::now(), event)
    };
    let events = vec![
        row("a", r#""k":1"#, r#""m":1"#, ""),
        // It has begun, which shows only when the rest of the row is read.
        row("a", r#""late":1"#, r#""later":1"#, r#""tags":{"by":"ann"}"#),
        row("b", r#""new":1,"late":1"#, r#""newer":1,"later":1"#, ""),
    ];
    append(&path, events);
    compare(&path);
    fs::remove_file(&path).unwrap();
}

/// The best of runs in several blocks are found without a look at most of them; they are the same as by a look at all.
#[test]
fn the_best_of_many_runs_are_the_first_of_all_sorted() {
    let path = path("best-of-many");
    let len = 3 * BLOCK as u64 + 100;
    // They grow, fall, and repeat; some are none.
    let number = |i: u64, dice: &mut Dice| match dice.roll(20) {
        0 => r#"{"$double":"Inf"}"#.to_owned(),
        1 => r#"{"$double":"NaN"}"#.to_owned(),
        2 => r#""no number""#.to_owned(),
        3..12 => format!("{i}.5"),
        12..15 => format!("-{i}.25"),
        _ => format!("{}", i % 7),
    };
    let now = Timestamp::now();
    for seed in 0..4 {
        drop(fs::remove_file(&path));
        let mut dice = Dice(seed);
        let mut events: Vec<(Timestamp, Event)> = Vec::new();
        for i in 0..len {
            let m = number(i, &mut dice);
            let k = if i < len / 2 {
                String::new()
            } else {
                format!(r#","k":{i}"#)
            };
            let event = Event {
                run_id: RunId::new(&format!("run-{i}")),
                metrics: Object::of_pairs(format!(r#""m":{m}{k}"#).into_bytes()),
                ..Event::new(EventKind::Run)
            };
            events.push((now, event));
        }
        for i in (0..len).filter(|i| i % 1000 < 5 || i % BLOCK as u64 == 0) {
            let event = Event {
                run_id: RunId::new(&format!("run-{i}")),
                context: Object::of_pairs(br#""void":true,"reason":"x""#.to_vec()),
                ..Event::new(EventKind::Void)
            };
            events.push((now, event));
        }
        append(&path, events);
        let runs: Runs = parallel_read::read(&open(&path)).unwrap().into_view();
        assert_eq!(runs.len() as u64, len);
        let void = runs.iter().filter(|run| run.is_void()).count();
        assert_eq!(runs.count_void(), void);
        for column in runs.metrics.iter() {
            for maximize in [false, true] {
                let all = sorted(&runs, &column.name, maximize);
                for n in [0, 1, 2, 1000, BLOCK, all.len(), usize::MAX] {
                    let wanted = Wanted {
                        maximize,
                        n,
                        ..Wanted::default()
                    };
                    let expected = &all[..n.min(all.len())];
                    assert_eq!(best_runs(&runs, column, &wanted).unwrap(), expected);

                    let chosen = (0..runs.len()).map(|row| row % 3 == 1);
                    let wanted = Wanted {
                        chosen: Some(chosen.collect()),
                        ..wanted
                    };
                    let expected = all.iter().copied().filter(|row| row % 3 == 1);
                    let expected: Vec<usize> = expected.take(n).collect();
                    assert_eq!(best_runs(&runs, column, &wanted).unwrap(), expected);
                }
            }
        }
        // What stands for a series is beyond what is known of the column itself.
        let column = runs.metrics.get("k").unwrap();
        let over = HashMap::from([(5, 1e12), (2 * BLOCK + 7, -1e12), (BLOCK, 1e13)]);
        for maximize in [false, true] {
            let expected = match maximize {
                false => vec![2 * BLOCK + 7],
                true => vec![3 * BLOCK + 99],
            };
            let wanted = Wanted {
                maximize,
                n: 1,
                over: over.clone(),
                chosen: None,
            };
            assert_eq!(best_runs(&runs, column, &wanted).unwrap(), expected);
        }
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn series_and_models_read_the_same() {
    let path = path("bulk-views");
    for seed in 0..40 {
        drop(fs::remove_file(&path));
        write(&path, &mut Dice(seed), [2, 5, 40][seed as usize % 3]);
        let file = open(&path);
        let ledger = file.read().unwrap();
        let all: Points = fold::fold(&ledger).unwrap();
        let models = Registry::fold(&ledger).unwrap();
        for parts in [|_| 1, |_| 3] {
            let folded = parallel_read::read_in_parts::<Points>(&file, parts).unwrap();
            let points = folded.view().of(None, None).unwrap();
            assert_eq!(points, all.of(None, None).unwrap());
            assert_eq!(folded.view().metrics, all.metrics);
            // Those of one run or of one metric are the same ones.
            for point in points.iter().step_by(points.len() / 3 + 1) {
                let run = all.run_ids.id(point.run as usize).to_owned();
                let metric = all.metrics[point.metric as usize].clone();
                let chosen = all.of(Some(&[run]), Some(&[metric])).unwrap();
                let is_chosen = |it: &&Point| (it.run, it.metric) == (point.run, point.metric);
                assert!(chosen.iter().eq(points.iter().filter(is_chosen)));
            }
            let folded = parallel_read::read_in_parts::<Registry>(&file, parts).unwrap();
            let words = |it: &Registry| format!("{:?} {:?}", it.models, it.without_effect);
            assert_eq!(words(folded.view()), words(&models));
        }
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn damage_is_found_or_read_the_same() {
    let path = path("bulk-damage");
    drop(fs::remove_file(&path));
    write(&path, &mut Dice(7), 40);
    let whole = fs::read(&path).unwrap();
    let mut dice = Dice(11);
    for round in 0..400 {
        let mut bytes = whole.clone();
        let at = dice.roll(bytes.len() as u64) as usize;
        match round % 4 {
            0 => bytes[at] ^= 1 << dice.roll(7),
            1 => bytes.truncate(at),
            2 => bytes[at] = b"\n\",{}\0\xff0"[dice.roll(8) as usize],
            _ => {
                let line = bytes[at..]
                    .iter()
                    .position(|&b| b == b'\n')
                    .map_or(bytes.len(), |n| at + n + 1);
                let end = bytes[line..]
                    .iter()
                    .position(|&b| b == b'\n')
                    .map_or(bytes.len(), |n| line + n + 1);
                bytes.drain(line..end);
            }
        }
        fs::write(&path, &bytes).unwrap();
        compare(&path);
    }
    fs::remove_file(&path).unwrap();
}

fn sorted(runs: &Runs, metric: &str, maximize: bool) -> Vec<usize> {
    let number = |run: Run<'_>| {
        let value = run.metrics().into_iter().find(|(name, _)| name == metric);
        match value?.1 {
            Value::Double(x) => Some(x).filter(|x| !x.is_nan()),
            Value::Int(x) => Some(f64::from(x)),
            _ => None,
        }
    };
    let fit = |run: &Run<'_>| run.status() == Status::Finished && !run.is_void();
    let candidates = runs.iter().filter(fit);
    let mut all: Vec<(f64, usize)> = candidates
        .filter_map(|run| Some((number(run)?, run.row)))
        .collect();
    // A stable sort leaves equals in their order.
    all.sort_by(|a, b| match maximize {
        true => b.0.partial_cmp(&a.0).unwrap(),
        false => a.0.partial_cmp(&b.0).unwrap(),
    });
    all.into_iter().map(|(_, row)| row).collect()
}

#[test]
fn the_best_are_the_first_of_all_sorted() {
    let path = path("best");
    drop(fs::remove_file(&path));
    for seed in 0..40 {
        write(&path, &mut Dice(seed), 5);
        let runs: Runs = parallel_read::read(&open(&path)).unwrap().into_view();
        for column in runs.metrics.iter() {
            for maximize in [false, true] {
                let all = sorted(&runs, &column.name, maximize);
                for n in [0, 1, 2, 17, all.len(), usize::MAX] {
                    let expected = &all[..n.min(all.len())];
                    let wanted = Wanted {
                        maximize,
                        n,
                        ..Wanted::default()
                    };
                    assert_eq!(best_runs(&runs, column, &wanted).unwrap(), expected);
                }
            }
        }
    }
    fs::remove_file(&path).unwrap();
}
