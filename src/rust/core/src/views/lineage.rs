//! Lineage: what rests on what, from a stage that serves down to data, code and packages.
//!
//! Everything is a node, and an edge leads from what rests to what it rests on. A file that one run
//! left and another one used as data is one node, since both name it by its hash.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::data_version::DataVersion;
use crate::format::digest::Digest;
use crate::format::session_context::SessionContext;
use crate::format::value::Value;
use crate::ledger::objects::{Objects, Progress};
use crate::views::registry::Registry;
use crate::views::runs::{Run, Runs};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Stage,
    Version,
    /// The bytes of an artifact, or data, by hash or label.
    Content,
    Run,
    Commit,
    Environment,
    Session,
    Package,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Stage => "stage",
            Kind::Version => "version",
            Kind::Content => "content",
            Kind::Run => "run",
            Kind::Commit => "commit",
            Kind::Environment => "environment",
            Kind::Session => "session",
            Kind::Package => "package",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    PointsTo,
    IsArtifact,
    RegisteredFrom,
    StoredAs,
    MadeBy,
    Used,
    RanAt,
    RanWith,
    RanIn,
    Loaded,
}

impl Relation {
    pub fn name(self) -> &'static str {
        match self {
            Relation::PointsTo => "points to",
            Relation::IsArtifact => "is",
            Relation::RegisteredFrom => "was registered from",
            Relation::StoredAs => "is stored as",
            Relation::MadeBy => "was made by",
            Relation::Used => "used",
            Relation::RanAt => "ran at",
            Relation::RanWith => "ran with",
            Relation::RanIn => "ran in",
            Relation::Loaded => "loaded",
        }
    }
}

/// Something that rests on something, or that something rests on.
#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    pub id: String,
    /// What it is, in a few words.
    pub label: String,
    /// What is wrong with it.
    pub problem: Option<String>,
    object: Option<(Digest, Option<u64>)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub from: usize,
    pub relation: Relation,
    pub to: usize,
}

/// Whether to follow what a node rests on, or what rests on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

#[derive(Debug, Default)]
pub struct Lineage {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    by_id: HashMap<(Kind, String), usize>,
    known: HashSet<(usize, &'static str, usize)>,
    up: HashMap<usize, Vec<usize>>,
    down: HashMap<usize, Vec<usize>>,
}

impl Lineage {
    pub fn of(runs: &Runs, registry: &Registry) -> Lineage {
        let mut lineage = Lineage::default();
        for run in runs.iter() {
            lineage.add_run(run);
        }
        for model in &registry.models {
            for (number, version) in (1..).zip(&model.versions) {
                let id = format!("{}/{number}", model.name);
                let node = lineage.node(Kind::Version, id, String::new);
                if let Some(content) = lineage.artifact(&version.artifact, &version.entry) {
                    lineage.add(node, Relation::IsArtifact, content);
                    let run = lineage.node(Kind::Run, version.run_id.clone(), String::new);
                    lineage.add(content, Relation::MadeBy, run);
                    // Runs may have made the same bytes; this is the one that was registered.
                    let makers = lineage.up.get(&content).map_or(0, Vec::len);
                    if makers > 1 {
                        lineage.add(node, Relation::RegisteredFrom, run);
                    }
                }
            }
            for stage in &model.stages {
                let id = format!("{}@{}", model.name, stage.name);
                let node = lineage.node(Kind::Stage, id, String::new);
                let version = format!("{}/{}", model.name, stage.current());
                let version = lineage.node(Kind::Version, version, String::new);
                lineage.add(node, Relation::PointsTo, version);
            }
        }
        lineage
    }

    pub fn find(&self, kind: Kind, id: &str) -> Option<usize> {
        self.by_id.get(&(kind, id.to_owned())).copied()
    }

    /// All nodes of a kind whose id begins so.
    pub fn starting(&self, kind: Kind, start: &str) -> Vec<usize> {
        let fits = |node: &&usize| {
            let node = &self.nodes[**node];
            node.kind == kind && node.id.starts_with(start)
        };
        (0..self.nodes.len())
            .collect::<Vec<_>>()
            .iter()
            .filter(fits)
            .copied()
            .collect()
    }

    /// The edges that are met on the way from some nodes, each once, depth first.
    pub fn trace(&self, from: &[usize], direction: Direction) -> Vec<Edge> {
        let next = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        let mut found = Vec::new();
        let mut seen: HashSet<usize> = from.iter().copied().collect();
        let mut stack: Vec<(usize, usize)> = from.iter().rev().map(|&node| (node, 0)).collect();
        while let Some((node, at)) = stack.pop() {
            let Some(&edge) = next.get(&node).and_then(|edges| edges.get(at)) else {
                continue;
            };
            stack.push((node, at + 1));
            let edge = self.edges[edge];
            found.push(edge);
            let other = match direction {
                Direction::Up => edge.to,
                Direction::Down => edge.from,
            };
            if seen.insert(other) {
                stack.push((other, 0));
            }
        }
        found
    }

    /// Says of nodes whose bytes are stored what is wrong with these, if anything.
    pub fn verify(
        &mut self,
        nodes: &[usize],
        objects: &Objects,
        progress: Progress<'_>,
    ) -> Result<()> {
        for &node in nodes {
            let node = &mut self.nodes[node];
            let Some((digest, size)) = &node.object else {
                continue;
            };
            node.problem = match objects.open(digest, *size, progress) {
                Ok(_) => None,
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(Error::Artifact { damage, .. }) => {
                    Some(format!("the stored bytes {}", damage.text()))
                }
                Err(e) => Some(e.to_string()),
            };
        }
        Ok(())
    }

    fn node(&mut self, kind: Kind, id: String, label: impl FnOnce() -> String) -> usize {
        let next = self.nodes.len();
        let known = *self.by_id.entry((kind, id.clone())).or_insert(next);
        if known == next {
            self.nodes.push(Node {
                kind,
                id,
                label: label(),
                problem: None,
                object: None,
            });
        }
        known
    }

    fn add(&mut self, from: usize, relation: Relation, to: usize) {
        if self.known.insert((from, relation.name(), to)) {
            let edge = self.edges.len();
            self.edges.push(Edge { from, relation, to });
            self.up.entry(from).or_default().push(edge);
            self.down.entry(to).or_default().push(edge);
        }
    }

    fn add_run(&mut self, run: Run<'_>) {
        let node = self.node(Kind::Run, run.id().to_owned(), || about_run(run));
        self.nodes[node].problem = run.unfit().map(|why| format!("the run {why}"));
        for (name, entry) in run.artifacts() {
            if let Some(content) = self.artifact(name, entry) {
                self.add(content, Relation::MadeBy, node);
            }
        }
        for session in [run.session(), run.last_session()] {
            let Some(context) = &session.context else {
                continue;
            };
            if let Some(commit) = context.commit() {
                let commit = self.node(Kind::Commit, commit.to_owned(), String::new);
                self.add(node, Relation::RanAt, commit);
            }
            let session = self.session(&session.id, context);
            self.add(node, Relation::RanIn, session);
        }
        for (name, entry) in run.data() {
            if let Some(hash) = &entry.hash {
                let data = self.node(Kind::Content, content_id(hash), || about_data(name, entry));
                self.add(node, Relation::Used, data);
            }
        }
    }

    fn session(&mut self, id: &str, context: &SessionContext) -> usize {
        if let Some(known) = self.find(Kind::Session, id) {
            return known;
        }
        let session = self.node(Kind::Session, id.to_owned(), || about_session(context));
        let lockfile = context.lockfile().unwrap_or_default();
        if let Some(sha256) = &lockfile.sha256 {
            let environment = self.node(Kind::Environment, sha256.clone(), || {
                about_packages(context)
            });
            self.nodes[environment].object = object(&lockfile);
            self.add(session, Relation::RanWith, environment);
        }
        let r = context.r().map(|version| ("R", version));
        let packages = context
            .packages()
            .filter_map(|(name, version)| Some((name, version?)));
        for (name, version) in r.into_iter().chain(packages) {
            let package = self.node(Kind::Package, format!("{name} {version}"), String::new);
            self.add(session, Relation::Loaded, package);
        }
        session
    }

    /// The bytes of an artifact, and if they are data the node that stands for the values.
    fn artifact(&mut self, name: &str, entry: &ArtifactEntry) -> Option<usize> {
        let sha256 = entry.sha256.as_ref()?;
        let id = format!("sha256:{sha256}");
        let content = self.node(Kind::Content, id, || format!("artifact `{name}`"));
        if entry.stored {
            self.nodes[content].object = object(entry);
        }
        if let Some(hash) = &entry.data {
            let data = self.node(Kind::Content, content_id(hash), || format!("data `{name}`"));
            self.add(data, Relation::StoredAs, content);
        }
        Some(content)
    }
}

/// A hash stands for itself, anything else is a label.
pub fn content_id(hash: &str) -> String {
    match hash.starts_with("sha256:") || hash.starts_with("fl1:") {
        true => hash.to_owned(),
        false => format!("label:{hash}"),
    }
}

fn object(entry: &ArtifactEntry) -> Option<(Digest, Option<u64>)> {
    Some((entry.digest()?, entry.size))
}

fn about_run(run: Run<'_>) -> String {
    let telling = run.params().into_iter().find(|(name, value)| {
        matches!(name.as_str(), "learner" | "model") && matches!(value, Value::Str(_))
    });
    telling
        .map(|(_, value)| value.to_string())
        .unwrap_or_default()
}

fn about_data(name: &str, entry: &DataVersion) -> String {
    let shape = match (entry.rows, entry.cols) {
        (Some(rows), Some(cols)) => format!(", {rows} x {cols}"),
        (Some(rows), None) => format!(", {rows}"),
        _ => String::new(),
    };
    format!("data `{name}`{shape}")
}

fn about_session(context: &SessionContext) -> String {
    let dirty = context.dirty().filter(|dirty| *dirty);
    let parts = [
        context.user(),
        context.host(),
        context.script(),
        dirty.map(|_| "changes not committed"),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

fn about_packages(context: &SessionContext) -> String {
    let count = context.packages().len();
    match context.r() {
        Some(r) => format!("lockfile, R {r} and {count} packages"),
        None => format!("lockfile, {count} packages"),
    }
}
