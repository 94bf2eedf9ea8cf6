//! Invariant: whether a run is open is the same by what was appended since it was known to be open, and by all rows,
//! but for one that somebody has resumed since: that is theirs. So is when something was reported of it last.

use std::fs;
use std::path::PathBuf;

use fitledger_core::format::chain::{self, Head};
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::row::HEADER;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::Position;
use fitledger_core::views::fold::Fold;
use fitledger_core::views::live::{Watch, check_open, last_report};
use fitledger_core::views::runs::{Part, Runs};
use fitledger_core::views::verify::verify;

use random::{Dice, open, path, write};

#[allow(dead_code, reason = "other tests use the rest")]
mod random;

#[test]
fn what_came_since_tells_as_much_as_all_rows() {
    let (mut open_still, mut ended, mut reported) = (0, 0, 0);
    let another = path("live-another");
    drop(fs::remove_file(&another));
    write(&another, &mut Dice(100), 5);
    for seed in 0..5 {
        let path = path(&format!("live-{seed}"));
        drop(fs::remove_file(&path));
        write(&path, &mut Dice(seed), 2);
        let ledger = open(&path).read().unwrap();
        let mut was_open: Vec<(Position, String, Option<f64>)> = Vec::new();
        let mut runs = Runs::default();
        let mut rows = ledger.rows();
        while let Some(row) = rows.next() {
            let row = row.unwrap();
            runs.apply(&row).unwrap();
            if row.seq.0 % 30 == 0 {
                let position = rows.position();
                let is_open = |id: &&str| check_open(&runs, id).is_ok();
                let ids = runs.iter().map(|run| run.id());
                was_open.extend(ids.filter(is_open).map(|id| {
                    let reported = last_report(&runs, id).unwrap();
                    (position, id.to_owned(), reported)
                }));
            }
        }
        let read_since = |position: &Position| open(&path).read_since(position);
        for (position, id, before) in &was_open {
            let expected = check_open(&runs, id).map_err(|e| e.to_string());
            let mut watch = Watch::new(id.clone(), *position);
            let since = watch.check_open(&read_since);
            // What is reported after both counts as the last.
            if let Ok(since) = since {
                let latest = last_report(&runs, id).unwrap();
                assert!(
                    *before >= latest || since >= latest,
                    "{id} after {position:?}"
                );
                reported += usize::from(since > *before);
            }
            let found = since.map(drop).map_err(|e| e.to_string());
            let is_theirs = |why: &String| why.contains("was taken over");
            if !found.as_ref().is_err_and(is_theirs) {
                assert_eq!(found, expected, "{id} after {position:?}");
            }
            // It stays so.
            let again = watch.check_open(&read_since).map(drop);
            let again = again.map_err(|e| e.to_string());
            assert_eq!(again, found);
            match expected {
                Ok(()) => open_still += 1,
                Err(_) => ended += 1,
            }
        }
        // A position that isn't in the file says nothing of it.
        let (position, id, _) = was_open.last().unwrap();
        let of_another = |position: &Position| open(&another).read_since(position);
        let mut watch = Watch::new(id.clone(), *position);
        watch.check_open(&of_another).unwrap_err();
        fs::remove_file(&path).unwrap();
    }
    fs::remove_file(&another).unwrap();
    assert!(
        open_still > 50 && ended > 50 && reported > 10,
        "{open_still} open, {ended} ended, {reported} reported to"
    );
}

/// A ledger of rows with these cells behind the first two, which begin it and its session `s`.
fn ledger_of(name: &str, rows: &[(EventKind<'static>, &str, Object, Object)]) -> PathBuf {
    let path = path(name);
    let mut bytes = format!("{HEADER}\n").into_bytes();
    let mut head = Head::genesis();
    let time = Timestamp::parse(b"2026-11-23T04:20:47.000000Z").unwrap();
    let first = Object::new().int("format", 1).text("id", &"a".repeat(32));
    let session = Object::new().text("id", "s");
    let mut events = vec![
        Event {
            context: first,
            ..Event::new(EventKind::Ledger)
        },
        Event {
            context: session,
            ..Event::new(EventKind::Session)
        },
    ];
    events.extend(rows.iter().map(|(kind, id, values, context)| Event {
        run_id: RunId::new(id),
        params: values.clone(),
        metrics: values.clone(),
        context: Object::new().text("session", "s").extend(context),
        ..Event::new(*kind)
    }));
    for event in &events {
        chain::write_row(&mut head, time, event, &mut bytes).unwrap();
    }
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_remark_changes_no_values() {
    let one = Object::new().value("x", &Value::Double(1.0));
    let two = Object::new().value("x", &Value::Double(2.0));
    let says = Object::new()
        .text("text", "a")
        .text("reason", "b")
        .int("seed", 7);
    for (kind, begins) in [EventKind::Note, EventKind::Void, EventKind::Reveal]
        .into_iter()
        .flat_map(|kind| [(kind, EventKind::Run), (kind, EventKind::Start)])
    {
        let path = ledger_of(
            &format!("remark-{kind}-{begins}"),
            &[
                (begins, "r", one.clone(), Object::new()),
                (kind, "r", two.clone(), says.clone()),
                (kind, "r", Object::new(), says.clone()),
            ],
        );
        let runs = Runs::fold(&open(&path).read().unwrap()).unwrap();
        runs.load(&[0], &[Part::Values, Part::Extras]).unwrap();
        let run = runs.at(0);
        let expected = vec![("x".to_owned(), Value::Double(1.0))];
        assert_eq!(
            (run.params(), run.metrics(), run.seed()),
            (expected.clone(), expected, None)
        );
        let rows = verify(&path, None).unwrap().problems;
        assert_eq!(
            rows.iter().map(|problem| problem.row).collect::<Vec<_>>(),
            [4],
            "{kind}"
        );
        fs::remove_file(&path).unwrap();
    }
}
