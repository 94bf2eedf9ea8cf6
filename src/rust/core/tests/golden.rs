//! What the golden ledgers add up to, as the description beside the format says.

use std::path::Path;

use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger;
use fitledger_core::views::runs::{Runs, Status};
use fitledger_core::views::verify::verify;

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../tests/testthat/fixtures"
);

fn named<'a>(pairs: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

#[test]
fn what_follows_the_end_of_a_run() {
    let path = Path::new(FIXTURES).join("format-1-finished.csv");
    let runs = Runs::fold(&ledger::read(&path).unwrap()).unwrap();
    let [a, b, c] = [0, 1, 2].map(|row| runs.at(row));
    assert_eq!(runs.len(), 3);
    for run in runs.iter() {
        assert_eq!(run.status(), Status::Finished, "{}", run.id());
        assert!(!run.is_void() && run.artifacts().is_empty(), "{}", run.id());
    }

    assert_eq!(named(&a.params(), "eta"), Some(&Value::Double(0.3)));
    assert_eq!(named(&a.metrics(), "rmse"), Some(&Value::Double(5.0)));
    assert_eq!(named(&a.metrics(), "loss"), Some(&Value::Double(0.7)));
    assert_eq!(a.name(), Some("first try"));
    let experiments = runs.iter().map(|run| run.experiment());
    assert!(experiments.eq([Some("ames"); 3]));
    let parents = runs.iter().map(|run| run.parent().map(|run| run.row));
    assert!(parents.eq([None, Some(0), Some(0)]));
    assert_eq!(runs.children(0).unwrap(), [b.id(), c.id()]);
    assert_eq!((a.notes().len(), b.notes().len()), (0, 2));
    let tags = a.tags();
    assert_eq!(named(&tags, "by"), Some(&Value::Str("somebody".into())));
    assert_eq!(named(&tags, "checked"), Some(&Value::Bool(true)));
    assert_eq!(named(&b.metrics(), "rmse"), Some(&Value::Double(4.0)));
    assert_eq!(named(&c.metrics(), "rmse"), Some(&Value::Double(6.0)));
    assert_eq!(a.ended(), Timestamp::parse(b"2026-11-25T09:00:04.000000Z"));

    let report = verify(&path, None).unwrap();
    assert_eq!(report.status.name(), "ok");
    let rows: Vec<u64> = report.problems.iter().map(|problem| problem.row).collect();
    assert_eq!(rows, [6, 7, 9, 10]);
}
