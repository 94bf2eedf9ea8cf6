//! What the core says of the contract's ledger is what R says: `tests/testthat/fixtures/contract`.

use std::path::{Path, PathBuf};

use fitledger_core::ledger;
use fitledger_core::views::best::{Wanted, best_runs};
use fitledger_core::views::details::{Content, beside};
use fitledger_core::views::runs::Runs;
use fitledger_core::views::table::{self, Role};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../tests/testthat/fixtures/contract"
    );
    Path::new(folder).join(name)
}

fn runs() -> Runs {
    Runs::fold(&ledger::read(&fixture("runs.csv")).unwrap()).unwrap()
}

fn answers(question: &str) -> Vec<Value> {
    let json = std::fs::read(fixture("answers.json")).unwrap();
    let answers: Value = serde_json::from_slice(&json).unwrap();
    answers[question].as_array().unwrap().clone()
}

#[test]
fn the_best_runs_are_those() {
    let runs = runs();
    let mut asked = 0;
    // Conditions are R's and the page's.
    let without_condition = |answer: &Value| answer.get("where").is_none();
    for answer in answers("best").into_iter().filter(without_condition) {
        let metric = runs.metrics.get(answer["metric"].as_str().unwrap());
        let wanted = Wanted {
            maximize: answer["maximize"].as_bool().unwrap(),
            n: answer["n"].as_u64().unwrap() as usize,
            ..Wanted::default()
        };
        let found = best_runs(&runs, metric.unwrap(), &wanted).unwrap();
        assert_eq!(serde_json::json!(found), answer["rows"], "{answer}");
        asked += 1;
    }
    assert!(asked > 10);
}

#[test]
fn statuses_are_those() {
    let runs = runs();
    let statuses: Vec<&str> = runs
        .iter()
        .map(|run| run.status_name(run.is_lost()))
        .collect();
    assert_eq!(statuses, answers("statuses"));
}

#[test]
fn columns_are_called_so() {
    let runs = runs();
    let names = table::column_names(&runs);
    let mut labels = vec!["run_id".to_owned(), "timestamp".to_owned()];
    for role in [Role::Param, Role::Metric] {
        let of_role = names.iter().filter(|(_, known)| *known == role);
        labels.extend(of_role.map(|(name, _)| name.clone()));
    }
    let beside = beside(&runs, &names).into_iter();
    let beside = beside.filter(|column| !matches!(column.content, Content::Tags));
    labels.extend(beside.map(|column| column.label));
    assert_eq!(labels, answers("labels"));
}
