//! Models, how their stages moved, and whether the ledger verifies.

use crate::format::json;
use crate::format::value::{self, Value};
use crate::page::cells::{milliseconds, object, write_cell, write_list};
use crate::page::view::View;
use crate::views::registry::{Change, Registry};
use crate::views::verify;

/// One object a version.
pub(super) fn write_models(view: &View, out: &mut Vec<u8>) {
    let models = view.registry.models.iter();
    let versions = models.flat_map(|model| (1..).zip(&model.versions).map(move |v| (model, v)));
    write_list(versions, out, |(model, (number, version)), out| {
        object(out, |o| {
            o.text("model", &model.name);
            o.int("version", number);
            let run = view.runs.get(&version.run_id);
            match run.expect("no index is behind a page") {
                Some(run) => o.int("run", run.row as i64),
                None => o.null("run"),
            }
            o.text("run_id", &version.run_id);
            o.text("artifact", &version.artifact);
            match &version.entry.sha256 {
                Some(sha256) => o.text("sha256", sha256),
                None => o.null("sha256"),
            }
            o.int("registered", milliseconds(version.registered));
            let here = model
                .stages
                .iter()
                .filter(|stage| stage.current() == number);
            write_list(here, o.key("stages"), |stage, out| {
                json::write_str(&stage.name, out);
            });
            o.json("signature", version.signature.as_ref());
        });
    });
}

/// One object a change of a stage, in the order of the rows.
pub(super) fn write_changes(registry: &Registry, out: &mut Vec<u8>) {
    let models = registry.models.iter();
    let mut changes: Vec<(&str, &Change)> = models
        .flat_map(|model| {
            model
                .history
                .iter()
                .map(|change| (model.name.as_str(), change))
        })
        .collect();
    changes.sort_by_key(|(_, change)| change.seq);
    json::write_array(&changes, out, |(model, change), out| {
        object(out, |o| {
            o.text("model", model);
            o.text("stage", &change.stage);
            o.int("version", change.version);
            match change.previous {
                Some(previous) => o.int("previous", previous),
                None => o.null("previous"),
            }
            o.int("time", milliseconds(change.time));
            match registry.users.get(&change.session) {
                Some(user) => o.text("who", user),
                None => o.null("who"),
            }
            o.text("event", change.kind.name());
            match change.context.why() {
                Some(why) => o.text("why", why),
                None => o.null("why"),
            }
            if change.figures.is_empty() {
                return o.null("figures");
            }
            let figures = change.figures.iter();
            let figures = figures.map(|(key, json)| (value::unescape_key(key), json));
            json::write_object(figures, o.key("figures"), |json, out| {
                write_cell(&Value::from_json(json), out);
            });
        });
    });
}

/// What is wrong with rows of runs that aren't shown names what they hold, and isn't said.
pub(super) fn write_integrity(view: &View, report: &verify::Report, out: &mut Vec<u8>) {
    let problems = report.problems.iter();
    let shown = problems.filter(|problem| !view.leaves_out(problem.row));
    object(out, |o| {
        o.text("status", report.status.name());
        o.int("rows", report.rows as i64);
        match &report.fault {
            Some(fault) => {
                o.int("row", fault.row as i64);
                o.int("byte", fault.byte as i64);
                o.text("why", &fault.why);
            }
            None => ["row", "byte", "why"]
                .into_iter()
                .for_each(|key| o.null(key)),
        }
        write_list(shown, o.key("problems"), |problem, out| {
            object(out, |o| {
                o.int("row", problem.row as i64);
                o.text("kind", problem.kind);
                o.text("problem", &problem.what);
            });
        });
    });
}
