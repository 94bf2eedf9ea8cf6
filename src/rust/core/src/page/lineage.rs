//! What rests on what, as the page puts it together.

use std::collections::{HashMap, HashSet};

use crate::format::json;
use crate::page::cells::{object, write_list};
use crate::views::lineage::{self, Kind, Named, Relation, Told};
use crate::views::registry::Registry;
use crate::views::runs::{Run, Runs};
use crate::views::sessions::Session;

/// The nodes that edges name, each once.
#[derive(Default)]
pub(super) struct Nodes {
    index: HashMap<(Kind, String), usize>,
    json: Vec<Vec<u8>>,
}

/// Stands in edges for what they are told of.
const THIS: i64 = -1;

impl Nodes {
    pub(super) fn find_or_add(&mut self, node: &Named<'_>) -> usize {
        let next = self.json.len();
        let index = *self
            .index
            .entry((node.kind, node.id.clone()))
            .or_insert(next);
        if index == next {
            let label = node.about.label();
            let mut json = Vec::new();
            json::write_array(
                &[node.kind.name(), &node.id, &label],
                &mut json,
                |text, out| json::write_str(text, out),
            );
            self.json.push(json);
        }
        index
    }

    /// Triples of what rests, how, and on what, each once. Packages would crowd a picture.
    fn write_edges(&mut self, this: Option<(Kind, &str)>, edges: &[Told<'_>], out: &mut Vec<u8>) {
        let mut seen = HashSet::new();
        let mut number = |node: &Named<'_>| match this == Some((node.kind, &node.id)) {
            true => THIS,
            false => self.find_or_add(node) as i64,
        };
        let shown = edges.iter().filter(|edge| edge.1 != Relation::Loaded);
        let edges = shown.map(|(from, relation, to)| (number(from), relation.name(), number(to)));
        let edges = edges.filter(|edge| seen.insert(*edge));
        write_list(edges, out, |(from, relation, to), out| {
            out.push(b'[');
            json::write_int(from, out);
            out.push(b',');
            json::write_str(relation, out);
            out.push(b',');
            json::write_int(to, out);
            out.push(b']');
        });
    }

    /// What a run is and rests on.
    pub(super) fn write_run(&mut self, run: Run<'_>, out: &mut Vec<u8>) {
        object(out, |o| {
            o.text("label", lineage::run_label(run));
            if let Some(problem) = lineage::problem(run) {
                o.text("problem", &problem);
            }
            let this = Some((Kind::Run, run.id()));
            self.write_edges(this, &lineage::run_edges(run), o.key("edges"));
        });
    }

    /// What rests on a run because it made it.
    pub(super) fn write_made(&mut self, run: Run<'_>, out: &mut Vec<u8>) {
        let this = Some((Kind::Run, run.id()));
        self.write_edges(this, &lineage::artifact_edges(run), out);
    }

    pub(super) fn write_session(&mut self, session: &Session, out: &mut Vec<u8>) {
        let this = Some((Kind::Session, session.id.as_str()));
        self.write_edges(this, &lineage::session_edges(session), out);
    }

    pub(super) fn write_registry(&mut self, registry: &Registry, runs: &Runs, out: &mut Vec<u8>) {
        self.write_edges(None, &lineage::registry_edges(registry, runs), out);
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        json::write_array(&self.json, out, |node, out| out.extend_from_slice(node));
    }
}
