//! Runs: all of them column by column, or one of them whole.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::format::json::{self, Json};
use crate::format::session_context::SessionContext;
use crate::format::value::Value;
use crate::page::cells::{
    Levels, Object, milliseconds, object, write_cells, write_fact, write_list, write_number,
    write_usize,
};
use crate::page::columns::{Head, write_columns};
use crate::page::hidden::Hidden;
use crate::page::lineage::Nodes;
use crate::page::view::View;
use crate::views::compare::{self, Fact};
use crate::views::details::{DETAILS, Detail};
use crate::views::lineage;
use crate::views::runs::{Run, Runs};
use crate::views::sessions::Session;

/// The sessions of runs, in the order in which runs name them.
pub(super) struct Sessions<'a> {
    pub list: Vec<&'a Session>,
    by_id: HashMap<&'a str, usize>,
}

impl<'a> Sessions<'a> {
    pub(super) fn of(runs: &'a Runs) -> Sessions<'a> {
        let (list, by_id) = (Vec::new(), HashMap::new());
        let mut sessions = Sessions { list, by_id };
        let mut last = None;
        for run in runs.iter() {
            // Mostly that of the run before.
            if run.is_plain() && last.is_some_and(|last| std::ptr::eq(last, run.session())) {
                continue;
            }
            for session in run.sessions() {
                last = Some(session);
                let next = sessions.list.len();
                if *sessions.by_id.entry(&session.id).or_insert(next) == next {
                    sessions.list.push(session);
                }
            }
        }
        sessions
    }
}

/// The context of a session without the packages, which are among its facts.
pub(super) fn write_session(session: &Session, nodes: &mut Nodes, out: &mut Vec<u8>) {
    object(out, |o| {
        o.text("id", &session.id);
        match session.context.as_ref().map(SessionContext::json) {
            Some(Json::Object(pairs)) => {
                let others = pairs.iter().filter(|(key, _)| key != "packages");
                let others = others.map(|(key, json)| (key.as_str(), json));
                json::write_object(others, o.key("context"), |json, out| json.write(out));
            }
            other => o.json("context", other),
        }
        let facts = compare::session_facts(session.context.as_ref());
        write_facts(&facts, o.key("facts"));
        nodes.write_session(session, o.key("edges"));
    });
}

/// By kind and data set that they are a part of, the names and values one after the other.
fn write_facts(facts: &[Fact], out: &mut Vec<u8>) {
    let of = |fact: &Fact| (fact.kind, fact.part_of.clone());
    write_list(facts.chunk_by(|a, b| of(a) == of(b)), out, |facts, out| {
        out.push(b'[');
        json::write_str(facts[0].kind, out);
        out.push(b',');
        match &facts[0].part_of {
            Some(set) => json::write_str(set, out),
            None => out.extend_from_slice(b"null"),
        }
        for fact in facts {
            out.push(b',');
            json::write_str(&fact.name, out);
            out.push(b',');
            write_fact(&fact.value, out);
        }
        out.push(b']');
    });
}

/// Writes what a run has, or says that it has nothing.
type WriteExtra = fn(Run<'_>, &mut Vec<u8>) -> bool;

/// What few runs have.
const EXTRAS: [(&str, WriteExtra); 7] = [
    ("ended", |run, out| {
        let ended = run
            .ended()
            .map(|time| json::write_int(milliseconds(time), out));
        ended.is_some()
    }),
    ("sealed", |run, out| {
        let names = run.hidden();
        json::write_array(&names, out, |(name, _), out| json::write_str(name, out));
        !names.is_empty()
    }),
    ("call", |run, out| {
        run.call().map(|call| call.json().write(out)).is_some()
    }),
    ("origin", |run, out| {
        run.origin().map(|origin| origin.write(out)).is_some()
    }),
    ("notes", |run, out| {
        json::write_array(run.notes(), out, |note, out| {
            object(out, |o| {
                o.int("time", milliseconds(note.time));
                o.text("text", &note.text);
            });
        });
        !run.notes().is_empty()
    }),
    ("void_reason", |run, out| {
        let reason = run.void_reason();
        reason.map(|reason| json::write_str(reason, out)).is_some()
    }),
    ("condition", |run, out| {
        let condition = run.condition();
        condition.map(|it| it.json().write(out)).is_some()
    }),
];

/// The entries of artifacts by their names, the hash as the node of the content.
fn write_artifacts(run: Run<'_>, nodes: &mut Nodes, out: &mut Vec<u8>) {
    let entries = run.artifacts().iter();
    let entries = entries.map(|(name, entry)| (name.as_str(), (name, entry)));
    json::write_object(entries, out, |(name, entry), out| {
        let json = entry.json();
        let Json::Object(pairs) = &json else {
            return json.write(out);
        };
        object(out, |o| {
            if let Some(content) = lineage::content(name, entry) {
                o.int("content", nodes.find_or_add(&content) as i64);
            }
            for (key, json) in pairs.iter().filter(|(key, _)| key != "sha256") {
                json.write(o.key(key));
            }
        });
    });
}

/// What each run has, by its JSON; an empty list is nothing. Runs have the same that have one key.
fn levels<'a, K: Hash + Eq>(
    runs: &'a Runs,
    key: impl Fn(Run<'a>) -> Option<K>,
    mut write: impl FnMut(Run<'a>, &mut Vec<u8>),
) -> Levels {
    let mut levels = Levels::default();
    let mut known = HashMap::new();
    let mut json = Vec::new();
    for run in runs.iter() {
        let key = key(run);
        if let Some(&code) = key.as_ref().and_then(|key| known.get(key)) {
            levels.push_code(code);
            continue;
        }
        json.clear();
        write(run, &mut json);
        let code = levels.push((json != b"[]").then_some(&json));
        known.extend(key.map(|key| (key, code)));
    }
    levels
}

/// All runs: their columns, what many have in common, and what few have.
pub(super) fn write_runs(
    view: &View,
    heads: &[Head],
    sessions: &Sessions<'_>,
    nodes: &mut Nodes,
    hidden: &Hidden,
    lost: &HashSet<usize>,
    o: &mut Object<'_>,
) {
    let runs = &view.runs;
    o.int("n", runs.len() as i64);
    write_list(runs.iter(), o.key("id"), |run, out| {
        json::write_str(run.id(), out);
    });
    write_list(runs.iter(), o.key("began"), |run, out| {
        json::write_int(milliseconds(run.began()), out);
    });
    let is_lost = |run: Run<'_>| lost.contains(&run.row);
    write_columns(view, heads, hidden, is_lost, o.key("columns"));

    let session_of = |run: Run<'_>| Some(std::ptr::from_ref(run.last_session()));
    let session = levels(runs, session_of, |run, out| {
        write_usize(sessions.by_id[run.last_session().id.as_str()], out);
    });
    session.write(o.key("session"));
    let no_facts = |run: Run<'_>| run.is_plain().then_some(());
    let facts = levels(runs, no_facts, |run, out| {
        write_facts(&compare::run_facts(run), out);
    });
    facts.write(o.key("facts"));
    // A node's label is that by which it is first named, and what a run made comes first.
    let mut made = Vec::new();
    let plain = |run| (session_of(run), lineage::run_label(run), run.unfit());
    let key = |run| Run::is_plain(run).then(|| plain(run));
    let lineage = levels(runs, key, |run, out| {
        if !run.artifacts().is_empty() {
            let mut edges = Vec::new();
            nodes.write_made(run, &mut edges);
            made.push((run, edges));
        }
        nodes.write_run(run, out);
    });
    lineage.write(o.key("lineage"));
    object(o.key("artifacts"), |o| {
        for (run, _) in &made {
            write_artifacts(*run, nodes, o.row(run.row));
        }
    });
    object(o.key("made"), |o| {
        for (run, edges) in &made {
            o.row(run.row).extend(edges);
        }
    });
    let mut written = Vec::new();
    for (key, write) in EXTRAS {
        object(o.key(key), |o| {
            for run in runs.iter() {
                written.clear();
                if write(run, &mut written) {
                    o.row(run.row).extend(&written);
                }
            }
        });
    }
}

/// One run, whole.
pub(super) fn write_run(
    run: Run<'_>,
    is_lost: bool,
    nodes: &mut Nodes,
    hidden: &Hidden,
    out: &mut Vec<u8>,
) {
    let write = |cells: Vec<(String, Value)>, out: &mut Vec<u8>| {
        let cells = cells.iter().map(|(name, value)| (name.as_str(), value));
        write_cells(cells, out);
    };
    object(out, |o| {
        o.text("id", run.id());
        o.int("began", milliseconds(run.began()));
        o.text("session", &run.last_session().id);
        write(run.params(), o.key("parameter"));
        let mut metrics = run.metrics();
        metrics.retain(|(name, _)| !hidden.has(name, run.row));
        write(metrics, o.key("metric"));
        write(run.tags(), o.key("tag"));
        write(
            run.seed()
                .map(|seed| ("seed".to_owned(), seed))
                .into_iter()
                .collect(),
            o.key("seed"),
        );
        let details = DETAILS.iter().filter(|&&detail| detail != Detail::Seed);
        let details = details.map(|detail| (detail.name(), detail.of(run, is_lost)));
        json::write_object(details, o.key("detail"), |value, out| match value {
            Some(Value::Difftime(seconds)) => write_number(seconds, out),
            Some(value) => write_fact(&value, out),
            None => out.extend_from_slice(b"null"),
        });
        write_facts(&compare::run_facts(run), o.key("facts"));
        if !run.artifacts().is_empty() {
            nodes.write_made(run, o.key("made"));
            write_artifacts(run, nodes, o.key("artifacts"));
        }
        nodes.write_run(run, o.key("lineage"));
        let mut written = Vec::new();
        for (key, write) in EXTRAS {
            written.clear();
            if write(run, &mut written) {
                o.key(key).extend_from_slice(&written);
            }
        }
    });
}
