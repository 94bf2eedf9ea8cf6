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
use crate::ledger::objects::{Objects, Progress};
use crate::views::registry::Registry;
use crate::views::runs::{Run, Runs};
use crate::views::sessions::Session;

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

    /// What stands before the id where nodes of all kinds are named.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Stage | Kind::Version | Kind::Content | Kind::Run => "",
            Kind::Commit => "commit:",
            Kind::Environment => "lockfile:",
            Kind::Session => "session:",
            Kind::Package => "package:",
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
    PartOf,
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
            Relation::PartOf => "is part of",
            Relation::RanAt => "ran at",
            Relation::RanWith => "ran with",
            Relation::RanIn => "ran in",
            Relation::Loaded => "loaded",
        }
    }

    /// The same, said of what something rests on.
    pub fn backwards(self) -> &'static str {
        match self {
            Relation::PointsTo => "is pointed to by",
            Relation::IsArtifact => "is",
            Relation::RegisteredFrom => "was registered as",
            Relation::StoredAs => "holds",
            Relation::MadeBy => "made",
            Relation::Used => "was used by",
            Relation::PartOf => "is parent of",
            Relation::RanAt | Relation::RanWith | Relation::RanIn => "is of",
            Relation::Loaded => "was loaded in",
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

/// A node as the ledger names it, before the nodes are put together.
#[derive(Debug, Clone)]
pub struct Named<'a> {
    pub kind: Kind,
    pub id: String,
    pub about: About<'a>,
}

/// What a node's label is about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    Nothing,
    /// Name and entry.
    Artifact(&'a str, &'a ArtifactEntry),
    Data(&'a str, &'a DataVersion),
    /// The values that an artifact holds, by its name.
    Values(&'a str),
    /// The contexts of sessions.
    Session(&'a SessionContext),
    Environment(&'a SessionContext),
}

impl<'a> Named<'a> {
    fn new(kind: Kind, id: impl Into<String>, about: About<'a>) -> Named<'a> {
        let id = id.into();
        Named { kind, id, about }
    }

    /// The stored bytes that it stands for.
    fn object(&self) -> Option<(Digest, Option<u64>)> {
        match self.about {
            About::Artifact(_, entry) if entry.stored => object(entry),
            About::Environment(context) => object(&context.lockfile()?),
            _ => None,
        }
    }
}

impl About<'_> {
    /// What a node is, in a few words.
    pub fn label(self) -> String {
        match self {
            About::Nothing => String::new(),
            About::Artifact(name, _) => format!("artifact `{name}`"),
            About::Data(name, entry) => about_data(name, entry),
            About::Values(name) => format!("data `{name}`"),
            About::Session(context) => about_session(context),
            About::Environment(context) => about_packages(context),
        }
    }
}

/// An edge as the ledger tells it.
pub type Told<'a> = (Named<'a>, Relation, Named<'a>);

/// The edges from what a run made.
pub fn artifact_edges(run: Run<'_>) -> Vec<Told<'_>> {
    let mut edges = Vec::new();
    for (name, entry) in run.artifacts() {
        if let Some(content) = artifact(name, entry, &mut edges) {
            let run = Named::new(Kind::Run, run.id(), About::Nothing);
            edges.push((content, Relation::MadeBy, run));
        }
    }
    edges
}

/// The edges to what a run rests on.
pub fn run_edges(run: Run<'_>) -> Vec<Told<'_>> {
    let this = || Named::new(Kind::Run, run.id(), About::Nothing);
    let mut edges = Vec::new();
    if let Some(parent) = run.parent() {
        let parent = Named::new(Kind::Run, parent.id(), About::Nothing);
        edges.push((this(), Relation::PartOf, parent));
    }
    for session in run.sessions() {
        let Some(context) = &session.context else {
            continue;
        };
        if let Some(commit) = context.commit() {
            let commit = Named::new(Kind::Commit, commit, About::Nothing);
            edges.push((this(), Relation::RanAt, commit));
        }
        let session = Named::new(Kind::Session, &*session.id, About::Session(context));
        edges.push((this(), Relation::RanIn, session));
    }
    for (name, entry) in run.data() {
        if let Some(hash) = &entry.hash {
            let data = Named::new(Kind::Content, content_id(hash), About::Data(name, entry));
            edges.push((this(), Relation::Used, data));
        }
    }
    edges
}

/// The edges from a session to its environment and packages.
pub fn session_edges(session: &Session) -> Vec<Told<'_>> {
    let Some(context) = &session.context else {
        return Vec::new();
    };
    let this = || Named::new(Kind::Session, &*session.id, About::Session(context));
    let mut edges = Vec::new();
    if let Some(sha256) = context.lockfile().and_then(|lockfile| lockfile.sha256) {
        let environment = Named::new(Kind::Environment, sha256, About::Environment(context));
        edges.push((this(), Relation::RanWith, environment));
    }
    let r = context.r().map(|version| format!("R {version}"));
    let packages = context
        .packages()
        .filter_map(|(name, version)| Some(format!("{name} {}", version?)));
    for id in r.into_iter().chain(packages) {
        let package = Named::new(Kind::Package, id, About::Nothing);
        edges.push((this(), Relation::Loaded, package));
    }
    edges
}

/// The edges from stages to versions, and from these to content and runs.
pub fn registry_edges<'a>(registry: &'a Registry, runs: &Runs) -> Vec<Told<'a>> {
    let makers = Makers::of(runs, registry);
    let mut edges = Vec::new();
    for model in &registry.models {
        let version_node = |number: i64| {
            let id = format!("{}/{number}", model.name);
            Named::new(Kind::Version, id, About::Nothing)
        };
        for (number, version) in (1..).zip(&model.versions) {
            let Some(content) = artifact(&version.artifact, &version.entry, &mut edges) else {
                continue;
            };
            let run = || Named::new(Kind::Run, &*version.run_id, About::Nothing);
            let several = makers.several(&content.id);
            edges.push((version_node(number), Relation::IsArtifact, content.clone()));
            edges.push((content, Relation::MadeBy, run()));
            // Runs may have made the same bytes; this is the one that was registered.
            if several {
                edges.push((version_node(number), Relation::RegisteredFrom, run()));
            }
        }
        for stage in &model.stages {
            let id = format!("{}@{}", model.name, stage.name);
            let stage_node = Named::new(Kind::Stage, id, About::Nothing);
            let version = version_node(stage.current());
            edges.push((stage_node, Relation::PointsTo, version));
        }
    }
    edges
}

/// Which runs made what is registered.
struct Makers<'a>(HashMap<String, HashSet<&'a str>>);

impl<'a> Makers<'a> {
    fn of(runs: &'a Runs, registry: &'a Registry) -> Makers<'a> {
        let sha256 = |entry: &ArtifactEntry| {
            let sha256 = entry.sha256.as_ref();
            sha256.map(|sha256| format!("sha256:{sha256}"))
        };
        let mut makers: HashMap<String, HashSet<&str>> = HashMap::new();
        for version in registry.models.iter().flat_map(|model| &model.versions) {
            if let Some(id) = sha256(&version.entry) {
                makers.entry(id).or_default().insert(&version.run_id);
            }
        }
        if !makers.is_empty() {
            for run in runs.iter() {
                for id in run
                    .artifacts()
                    .iter()
                    .filter_map(|(_, entry)| sha256(entry))
                {
                    if let Some(makers) = makers.get_mut(&id) {
                        makers.insert(run.id());
                    }
                }
            }
        }
        Makers(makers)
    }

    fn several(&self, content: &str) -> bool {
        self.0.get(content).is_some_and(|makers| makers.len() > 1)
    }
}

/// The bytes of an artifact.
pub fn content<'a>(name: &'a str, entry: &'a ArtifactEntry) -> Option<Named<'a>> {
    let sha256 = entry.sha256.as_ref()?;
    let about = About::Artifact(name, entry);
    Some(Named::new(Kind::Content, format!("sha256:{sha256}"), about))
}

/// The bytes of an artifact; if they are data, an edge from the node that stands for the values.
fn artifact<'a>(
    name: &'a str,
    entry: &'a ArtifactEntry,
    edges: &mut Vec<Told<'a>>,
) -> Option<Named<'a>> {
    let content = content(name, entry)?;
    if let Some(hash) = &entry.data {
        let data = Named::new(Kind::Content, content_id(hash), About::Values(name));
        edges.push((data, Relation::StoredAs, content.clone()));
    }
    Some(content)
}

/// What is wrong with a run that others rest on, if anything.
pub fn problem(run: Run<'_>) -> Option<String> {
    run.unfit().map(|why| format!("the run {why}"))
}

/// What a run is, in a few words: its name, or else the learner, where a parameter says it.
pub fn run_label(run: Run<'_>) -> &str {
    let named = run.name().or_else(|| run.param_text(&["learner", "model"]));
    named.unwrap_or_default()
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
            let node =
                lineage.add_node(Kind::Run, run.id().to_owned(), || run_label(run).to_owned());
            lineage.nodes[node].problem = problem(run);
            lineage.add_edges(artifact_edges(run));
            lineage.add_edges(run_edges(run));
        }
        let mut seen = HashSet::new();
        for session in runs.iter().flat_map(Run::sessions) {
            if seen.insert(session.id.as_str()) {
                lineage.add_edges(session_edges(session));
            }
        }
        for model in &registry.models {
            for number in 1..=model.versions.len() {
                let id = format!("{}/{number}", model.name);
                lineage.add_node(Kind::Version, id, String::new);
            }
        }
        lineage.add_edges(registry_edges(registry, runs));
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
                Err(e) => Some(e.in_full()),
            };
        }
        Ok(())
    }

    fn add_edges(&mut self, edges: Vec<Told<'_>>) {
        for (from, relation, to) in edges {
            let [from, to] = [from, to].map(|node| self.add_named(node));
            self.add(from, relation, to);
        }
    }

    fn add_named(&mut self, named: Named<'_>) -> usize {
        let object = named.object();
        let node = self.add_node(named.kind, named.id, || named.about.label());
        if object.is_some() {
            self.nodes[node].object = object;
        }
        node
    }

    /// The label is that by which the node is first named.
    fn add_node(&mut self, kind: Kind, id: String, label: impl FnOnce() -> String) -> usize {
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
