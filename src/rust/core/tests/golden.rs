//! The golden ledger reads as its description says, and is what we would write.

use std::path::Path;

use fitledger_core::format::chain::{self, Head};
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::{RunId, Seq};
use fitledger_core::format::json::Json;
use fitledger_core::format::object::Object;
use fitledger_core::format::row::HEADER;
use fitledger_core::format::value::{Kind, Value};
use fitledger_core::ledger;
use fitledger_core::views::runs::{Runs, Status};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../tests/testthat/fixtures/format-1.csv"
);

#[test]
fn the_same_events_give_the_same_bytes() {
    let golden = ledger::read(Path::new(GOLDEN)).unwrap();
    let mut written = format!("{HEADER}\n").into_bytes();
    let mut head = Head::genesis();
    for row in golden.rows() {
        let row = row.unwrap();
        let [params, metrics, artifacts, context] = row.cells().map(|cell| {
            if cell.is_empty() {
                return Object::new();
            }
            Object::from(&Json::parse_canonical(&cell.text()).unwrap())
        });
        let kind = EventKind::parse(row.event.to_string().leak());
        let run_id = RunId::new(row.run_id);
        let event = Event {
            kind,
            run_id,
            params,
            metrics,
            artifacts,
            context,
        };
        chain::write_row(&mut head, row.time, &event, &mut written).unwrap();
        assert_eq!(
            head,
            Head {
                seq: row.seq,
                hash: row.hash
            }
        );
    }
    assert_eq!(head.seq, Seq(22));
    assert_eq!(written, std::fs::read(GOLDEN).unwrap());
}

#[test]
fn values_survive_reading_and_writing() {
    let golden = ledger::read(Path::new(GOLDEN)).unwrap();
    for row in golden.rows() {
        for (key, json) in row.unwrap().params.pairs().unwrap() {
            let mut again = Vec::new();
            Value::from_json(&json).write(&mut again);
            assert_eq!(String::from_utf8(again).unwrap(), json.text(), "{key}");
        }
    }
}

#[test]
fn runs_fold_as_described() {
    let runs = Runs::fold(&ledger::read(Path::new(GOLDEN)).unwrap()).unwrap();
    assert_eq!(runs.len(), 9);
    let void: Vec<&str> = runs
        .iter()
        .filter(|run| run.is_void())
        .map(|run| run.id())
        .collect();
    assert_eq!(void, ["20261123-042047-000000000008"]);

    let live = runs.get("20261123-042048-00000000000z").unwrap();
    let live = live.unwrap();
    assert_eq!(live.status(), Status::Finished);
    assert_eq!(live.seed(), Some(Value::Int(42)));
    assert_eq!(
        live.tags(),
        [("who".to_owned(), Value::Str("=cmd()".to_owned()))]
    );
    let metrics: Vec<&str> = runs
        .metrics
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        metrics,
        ["test_rmse", "loss"],
        "the sealed metric is not shown"
    );
    let metric = |name| {
        runs.metrics
            .get(name)
            .and_then(|column| column.get(live.row))
    };
    assert_eq!(metric("loss"), Some(Value::Double(0.6)));
    assert_eq!(metric("test_rmse"), Some(Value::Double(1.99)));
    let missing = runs
        .params
        .get("missing")
        .and_then(|column| column.get(live.row));
    assert_eq!(missing, Some(Value::Na(Kind::Double)));
    assert!(runs.params.contains("$cost"));

    let ignored: Vec<u64> = runs
        .run_ids
        .without_effect
        .iter()
        .map(|row| row.seq.0)
        .collect();
    assert_eq!(ignored, [21]);
}
