//! Runs: all of them column by column, or one of them whole.

use std::collections::{HashMap, HashSet};

use crate::columnar::columns::Tag;
use crate::format::artifact::ArtifactEntry;
use crate::format::data_version::DataVersion;
use crate::format::json::{self, Json};
use crate::format::session_context::SessionContext;
use crate::format::value::Value;
use crate::page::cells::{
    Object, milliseconds, object, write_cell, write_cells, write_column, write_list, write_usize,
};
use crate::page::hidden::Hidden;
use crate::page::view::View;
use crate::views::runs::{Run, Runs, Status};
use crate::views::sessions::Session;

/// The sessions of runs, in the order in which runs name them.
pub(super) struct Sessions<'a> {
    pub list: Vec<&'a Session>,
    of_run: Vec<usize>,
}

impl<'a> Sessions<'a> {
    pub(super) fn of(runs: &'a Runs) -> Sessions<'a> {
        let mut list: Vec<&Session> = Vec::new();
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        let mut last = 0;
        let of_run = runs.iter().map(|run| {
            let session = run.session();
            if list.get(last).is_none_or(|known| known.id != session.id) {
                last = *by_id.entry(&session.id).or_insert(list.len());
                if last == list.len() {
                    list.push(session);
                }
            }
            last
        });
        let of_run = of_run.collect();
        Sessions { list, of_run }
    }
}

pub(super) fn write_session(session: &Session, out: &mut Vec<u8>) {
    object(out, |o| {
        o.text("id", &session.id);
        o.json(
            "context",
            session.context.as_ref().map(SessionContext::json),
        );
    });
}

fn status(run: Run<'_>, is_lost: bool) -> &'static str {
    match is_lost {
        true => "lost",
        false => run.status().name(),
    }
}

/// Writes what a run has, or says that it has nothing.
type WriteExtra = fn(&View, Run<'_>, &mut Vec<u8>) -> bool;

/// What few runs have.
const EXTRAS: [(&str, WriteExtra); 11] = [
    ("ended", |_, run, out| {
        let ended = run
            .ended()
            .map(|time| json::write_int(milliseconds(time), out));
        ended.is_some()
    }),
    ("sealed", |_, run, out| {
        let names = run.hidden();
        json::write_array(&names, out, |(name, _), out| json::write_str(name, out));
        !names.is_empty()
    }),
    ("looks", |_, run, out| {
        json::write_int(i64::from(run.looks()), out);
        run.looks() > 0
    }),
    ("tags", |_, run, out| {
        let tags = run.tags();
        write_cells(tags.iter().map(|(name, value)| (name.as_str(), value)), out);
        !tags.is_empty()
    }),
    ("artifacts", |_, run, out| {
        write_entries(run.artifacts(), ArtifactEntry::json, out)
    }),
    ("data", |_, run, out| {
        write_entries(run.data(), DataVersion::json, out)
    }),
    ("call", |_, run, out| {
        run.call().map(|call| call.json().write(out)).is_some()
    }),
    ("origin", |_, run, out| {
        run.origin().map(|origin| origin.write(out)).is_some()
    }),
    ("notes", |view, run, out| {
        let notes = view.notes.get(&run.row).map_or(&[][..], Vec::as_slice);
        json::write_array(notes, out, |(time, text), out| {
            object(out, |o| {
                o.int("time", milliseconds(*time));
                o.text("text", text);
            });
        });
        !notes.is_empty()
    }),
    ("void", |_, run, out| {
        json::write_bool(true, out);
        run.is_void()
    }),
    ("void_reason", |view, run, out| {
        let reason = view.void_reasons.get(&run.row);
        reason.map(|reason| json::write_str(reason, out)).is_some() && run.is_void()
    }),
];

fn write_entries<T>(entries: &[(String, T)], json: fn(&T) -> Json, out: &mut Vec<u8>) -> bool {
    let pairs = entries.iter().map(|(name, entry)| (name.as_str(), entry));
    json::write_object(pairs, out, |entry, out| json(entry).write(out));
    !entries.is_empty()
}

/// All runs, column by column.
pub(super) fn write_runs(
    view: &View,
    sessions: &Sessions<'_>,
    hidden: &Hidden,
    lost: &HashSet<usize>,
    o: &mut Object<'_>,
) {
    let runs = &view.runs;
    let n = runs.len();
    let all: Vec<usize> = (0..n).collect();
    o.int("n", n as i64);
    write_list(runs.iter(), o.key("id"), |run, out| {
        json::write_str(run.id(), out);
    });
    write_list(runs.iter(), o.key("began"), |run, out| {
        json::write_int(milliseconds(run.began()), out);
    });
    json::write_array(&sessions.of_run, o.key("session"), |&index, out| {
        write_usize(index, out);
    });
    object(o.key("status"), |o| {
        let unfinished = runs.iter().filter(|run| run.status() != Status::Finished);
        for run in unfinished {
            o.text(&run.row.to_string(), status(run, lost.contains(&run.row)));
        }
    });
    write_list(runs.params.iter(), o.key("params"), |column, out| {
        write_column(&column.name, column, &all, n, out);
    });
    write_list(
        runs.metrics.iter(),
        o.key("metrics"),
        |column, out| match hidden.runs(&column.name) {
            None => write_column(&column.name, column, &all, n, out),
            Some(_) => {
                let shown = |row: &usize| !hidden.has(&column.name, *row);
                let shown: Vec<usize> = all.iter().copied().filter(shown).collect();
                write_column(&column.name, column, &shown, n, out);
            }
        },
    );
    if all.iter().any(|&row| runs.seeds.tag(row) != Tag::Absent) {
        write_column("seed", &runs.seeds, &all, n, o.key("seed"));
    } else {
        o.null("seed");
    }
    let mut written = Vec::new();
    for (key, write) in EXTRAS {
        let of_runs = runs.iter().filter_map(|run| {
            written.clear();
            write(view, run, &mut written).then(|| (run.row, written.clone()))
        });
        match key {
            "void" => write_list(of_runs, o.key(key), |(row, _), out| {
                write_usize(row, out);
            }),
            _ => object(o.key(key), |o| {
                of_runs.for_each(|(row, written)| o.row(row).extend(written));
            }),
        }
    }
}

/// One run, whole.
pub(super) fn write_run(
    view: &View,
    run: Run<'_>,
    is_lost: bool,
    hidden: &Hidden,
    out: &mut Vec<u8>,
) {
    let write = |cells: Vec<(String, Value)>, out: &mut Vec<u8>| {
        write_cells(
            cells.iter().map(|(name, value)| (name.as_str(), value)),
            out,
        );
    };
    object(out, |o| {
        o.text("id", run.id());
        o.int("began", milliseconds(run.began()));
        o.text("session", &run.session().id);
        o.text("status", status(run, is_lost));
        write(run.params(), o.key("params"));
        let mut metrics = run.metrics();
        metrics.retain(|(name, _)| !hidden.has(name, run.row));
        write(metrics, o.key("metrics"));
        if let Some(seed) = run.seed() {
            write_cell(&seed, o.key("seed"));
        }
        let mut written = Vec::new();
        for (key, write) in EXTRAS {
            written.clear();
            if write(view, run, &mut written) {
                o.key(key).extend_from_slice(&written);
            }
        }
    });
}
