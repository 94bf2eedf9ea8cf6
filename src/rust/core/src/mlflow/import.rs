//! A store as events of a ledger: those that aren't there yet.
//!
//! What a store says is compared with what was brought over from one before, run by run and value by value, so that
//! an import goes on where another one was broken off or where the run was then, and adds nothing the second time.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::format::artifact::ArtifactEntry;
use crate::format::event::{Event, EventKind};
use crate::format::id::{self, Random};
use crate::format::json::Json;
use crate::format::model_context::ModelContext;
use crate::format::object::Object;
use crate::format::origin::StoreOrigin;
use crate::format::row::{self, MAX_ROW_BYTES, Row};
use crate::format::run_context::{
    DATA, EXPERIMENT, EndStatus, NAME, ORIGIN, PARENT, REASON, RunContext, STATUS, TAGS, TEXT,
};
use crate::format::series;
use crate::format::session_context::SessionContext;
use crate::format::time::Timestamp;
use crate::format::value::{Value, unescape_key};
use crate::ledger::Ledger;
use crate::mlflow::read::{
    Content, Metric, Skipped, Source, StoreModel, StoreRun, StoreVersion, tag,
};
use crate::mlflow::write::file_name;
use crate::platform::memory;
use crate::views::fold::{self, Fold, Refusal};
use crate::views::registry::{Registry, Version, is_model_name};

/// So many bytes of values are put into one row, which may hold twice as many when it is written.
const ROW_BYTES: usize = 2 << 20;
/// So many points of a series, of at most so many bytes each.
const ROW_POINTS: usize = 20_000;
const POINT_BYTES: usize = 100;

/// Unwinds if there is no room for a text that becomes part of a row.
fn ensure_text(bytes: usize) {
    /// A byte takes six as JSON; it is put together from copies.
    const FACTOR: usize = 24;
    memory::ensure(FACTOR * bytes);
}

const DELETED: &str = "Deleted in MLflow.";

/// What was brought over into a ledger before, as far as it has an effect there.
#[derive(Debug, Default)]
pub struct Imported {
    registry: Registry,
    /// The ids of sessions, by what they say.
    sessions: HashMap<String, String>,
    runs: HashMap<String, ImportedRun>,
    /// What MLflow calls a version, and what it is here.
    versions: HashMap<String, i64>,
}

#[derive(Debug, Default)]
struct ImportedRun {
    params: HashSet<String>,
    tags: HashMap<String, String>,
    artifacts: Vec<(String, Json)>,
    /// How many points of a series.
    points: HashMap<String, usize>,
    /// The bits of values that are of no series.
    last: HashMap<String, Option<u64>>,
    notes: HashSet<String>,
    is_void: bool,
}

impl Imported {
    pub fn fold(ledger: &Ledger) -> Result<Imported> {
        fold::fold(ledger)
    }

    /// Whether more than remarks may be added of a run.
    pub fn is_open(&self, run: &StoreRun) -> Result<bool> {
        let id = run.id.as_str();
        Ok(match self.registry.run_ids.find(id)? {
            None => true,
            Some(row) => self.runs.contains_key(id) && self.registry.run_ids.is_open(row)?,
        })
    }

    fn take_run(&mut self, row: &Row<'_>, context: RunContext) -> std::result::Result<(), Refusal> {
        let run = self.runs.entry(row.run_id.to_owned()).or_default();
        let name = |key: &str| unescape_key(key).to_owned();
        let params = row.params.pairs()?.into_iter();
        run.params.extend(params.map(|(key, _)| name(&key)));
        for (key, json) in row.metrics.pairs()? {
            let mut points = 0;
            series::each_point(&json, row.time, |_, _, _| points += 1);
            match points {
                0 => drop(run.last.insert(name(&key), bits(&json))),
                points => *run.points.entry(name(&key)).or_default() += points,
            }
        }
        for (key, entry) in row.artifacts.pairs()? {
            run.artifacts.push((name(&key), entry));
        }
        for (tag, json) in context.tags {
            run.tags
                .insert(tag, json.as_str().unwrap_or_default().to_owned());
        }
        run.notes.extend(context.text);
        run.is_void |= row.event == EventKind::Void;
        Ok(())
    }
}

fn bits(json: &Json) -> Option<u64> {
    match Value::from_json(json) {
        Value::Double(x) => Some(x.to_bits()),
        _ => None,
    }
}

impl Fold for Imported {
    fn size(&self) -> usize {
        self.registry.size() + 1024 * self.runs.len()
    }

    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        let known = |registry: &Registry| {
            registry.without_effect.len() + registry.run_ids.without_effect.len()
        };
        let before = known(&self.registry);
        self.registry.apply(row)?;
        if known(&self.registry) > before || !row.context.mentions(ORIGIN) {
            return Ok(());
        }
        let context = Json::Object(row.context.pairs()?);
        let Some(origin) = context.get(ORIGIN).and_then(StoreOrigin::read) else {
            return Ok(());
        };
        let model = ModelContext::read(row.context)?;
        match row.event {
            EventKind::Session => {
                let session = SessionContext::from_json(context);
                if let Some(id) = session.id() {
                    let said = session_text(&Source::of(&session));
                    self.sessions.insert(said, id.to_owned());
                }
            }
            EventKind::Register => {
                self.versions
                    .extend(model.version().map(|version| (origin.of, version)));
            }
            kind if kind.begins_run() || kind.continues_run() => {
                return self.take_run(row, RunContext::read(row.context)?);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Source {
    fn of(session: &SessionContext) -> Source {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Source {
            user: text(session.user()),
            script: text(session.script()),
            commit: text(session.commit()),
            branch: text(session.branch()),
        }
    }

    fn object(&self) -> Object {
        let [user, script, commit, branch] =
            [&self.user, &self.script, &self.commit, &self.branch].map(Option::as_deref);
        SessionContext::source(user, script, commit, branch)
    }
}

fn session_text(source: &Source) -> String {
    String::from_utf8_lossy(source.object().pairs()).into_owned()
}

/// What an import adds.
#[derive(Debug, Default)]
pub struct Plan {
    pub events: Vec<(Timestamp, Event)>,
    /// The runs that come.
    pub run_ids: Vec<String>,
    /// Those that were there, of which more has come.
    pub continued: Vec<String>,
    /// How many were there and are as they were.
    pub known: usize,
    pub versions: usize,
    pub stages: usize,
    pub skipped: Vec<Skipped>,
}

/// What a store adds to a ledger.
pub fn plan(
    content: &Content,
    imported: &Imported,
    now: Timestamp,
    random: Random<'_>,
) -> Result<Plan> {
    let mut planner = Planner {
        content,
        imported,
        now,
        plan: Plan::default(),
        sessions: imported.sessions.clone(),
        runs: HashMap::new(),
        left_out: HashSet::new(),
    };
    for run in &content.runs {
        memory::ensure(0);
        planner.run(run, random)?;
    }
    for model in &content.models {
        planner.model(model);
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    content: &'a Content,
    imported: &'a Imported,
    now: Timestamp,
    plan: Plan,
    /// The ids of the sessions that there are by now.
    sessions: HashMap<String, String>,
    /// The runs of the store that are in the ledger by now.
    runs: HashMap<&'a str, &'a StoreRun>,
    /// Those that don't fit into rows.
    left_out: HashSet<&'a str>,
}

/// The rows of one run.
struct Rows<'a> {
    run: &'a StoreRun,
    /// What each row says of where it is from.
    about: Object,
    events: Vec<(Timestamp, Event)>,
    /// More of the run, until it fills a row.
    more: Event,
}

impl<'a> Planner<'a> {
    fn skip(&mut self, what: &'static str, name: String) {
        self.plan.skipped.push(Skipped { what, name });
    }

    fn origin(&self, of: &str) -> Object {
        let origin = StoreOrigin {
            store: self.content.store.clone(),
            of: of.to_owned(),
        };
        Object::new().object(ORIGIN, &origin.object())
    }

    /// The id of the session in which a run was made. Of one of which the store says nothing nothing is known: it
    /// wasn't that of the import.
    fn session(&mut self, run: &StoreRun, random: Random<'_>) -> String {
        let said = run.source.object();
        let key = session_text(&run.source);
        if let Some(known) = self.sessions.get(&key) {
            return known.clone();
        }
        let id: String = id::short_id(random).collect();
        let context = SessionContext::object(&id, &said, None, &[]);
        let event = Event {
            context: context.extend(&self.origin(run.id.as_str())),
            ..Event::new(EventKind::Session)
        };
        self.plan.events.push((run.start, event));
        self.sessions.insert(key, id.clone());
        id
    }

    fn run(&mut self, run: &'a StoreRun, random: Random<'_>) -> Result<()> {
        let id = run.id.as_str();
        let has_begun = self.imported.registry.run_ids.find(id)?.is_some();
        let none = ImportedRun::default();
        let before = match self.imported.runs.get(id) {
            Some(before) => before,
            // It was logged here, or came from elsewhere.
            None if has_begun => {
                self.plan.known += 1;
                self.runs.insert(id, run);
                return Ok(());
            }
            None => &none,
        };
        let is_open = self.imported.is_open(run)?;
        let mut rows = Rows {
            run,
            about: self.origin(id),
            events: Vec::new(),
            more: Event::new(EventKind::Log),
        };
        let parent = run.parent.as_deref();
        let is_there = match parent {
            Some(parent) => {
                self.runs.contains_key(parent)
                    || self.imported.registry.run_ids.find(parent)?.is_some()
            }
            None => false,
        };
        let stays_tag = parent.filter(|_| !is_there && !has_begun);
        let tags = run
            .tags
            .iter()
            .map(|(tag, text)| (tag.as_str(), text.as_str()));
        let tags = tags.chain(stays_tag.map(|parent| (tag::PARENT, parent)));
        let is_new = |(tag, text): &(&str, &str)| before.tags.get(*tag).is_none_or(|it| it != text);
        let tags: Vec<(&str, &str)> = tags.filter(is_new).collect();
        let skipped = self.plan.skipped.len();
        if let Some(parent) = stays_tag {
            self.skip(
                "parents that aren't there, kept as tags",
                format!("{parent} of {id}"),
            );
        }
        match has_begun {
            false => rows.begin(parent.filter(|_| is_there), &tags),
            true if !tags.is_empty() => {
                rows.remark(EventKind::Log, run.ended(), tags_object(&tags))
            }
            true => {}
        }
        if is_open {
            rows.values(before);
            rows.end(before);
        } else if has_changed(run, before) {
            self.skip(
                "runs that had ended, of which MLflow says more since",
                id.to_owned(),
            );
        }
        rows.join();
        if let Some(note) = run
            .note
            .as_ref()
            .filter(|note| !before.notes.contains(*note))
        {
            rows.remark(EventKind::Note, run.ended(), Object::new().text(TEXT, note));
        }
        if let Some(deleted) = run.deleted.filter(|_| !before.is_void) {
            rows.remark(
                EventKind::Void,
                deleted,
                Object::new().text(REASON, DELETED),
            );
        }
        let is_too_long = |(_, event): &(_, Event)| row::most_bytes(event) > MAX_ROW_BYTES;
        if rows.events.iter().any(is_too_long) {
            self.plan.skipped.truncate(skipped);
            let why = "its tags or data sets are more than the 16 MiB of a row";
            self.skip("runs", format!("{id} ({why})"));
            self.left_out.insert(id);
            return Ok(());
        }
        match (has_begun, rows.events.is_empty()) {
            (false, _) => self.plan.run_ids.push(id.to_owned()),
            (true, true) => self.plan.known += 1,
            (true, false) => self.plan.continued.push(id.to_owned()),
        }
        let session = match rows.events.is_empty() {
            true => None,
            false => Some(self.session(run, random)),
        };
        for (time, mut event) in rows.events {
            // That a run was deleted nobody knows who said.
            if event.kind != EventKind::Void {
                event.session = session.clone();
            }
            self.plan.events.push((time, event));
        }
        self.runs.insert(id, run);
        Ok(())
    }

    fn model(&mut self, model: &'a StoreModel) {
        if !is_model_name(&model.name) {
            self.skip(
                "models with a name that a ledger can't have",
                model.name.clone(),
            );
            return;
        }
        // Later versions would get the number of one that may come yet.
        let of_none = |version: &&StoreVersion| self.left_out.contains(version.run_id.as_str());
        if let Some(version) = model.versions.iter().find(of_none) {
            let why = format!(
                "its version {} is of a run that is left out",
                version.version
            );
            self.skip("models", format!("{} ({why})", model.name));
            return;
        }
        let here = self.imported.registry.model(&model.name);
        let mut next = here.map_or(0, |here| here.versions.len() as i64) + 1;
        // What MLflow calls each, and what it is here and of which run.
        let mut versions: HashMap<i64, (i64, &str)> = HashMap::new();
        for version in &model.versions {
            let shown = format!("{}/{}", model.name, version.version);
            let known = self.imported.versions.get(&shown).copied();
            // One that was exported from this ledger has its number.
            let is_same = |number: &i64| {
                let here = here.and_then(|here| here.version(*number));
                here.is_some_and(|here| self.is_same(version, here, known == Some(*number)))
            };
            let mut numbers = known.into_iter().chain([version.version]);
            if let Some(number) = numbers.find(is_same) {
                versions.insert(version.version, (number, &version.run_id));
                continue;
            }
            let Some((artifact, entry)) = self.artifact(version) else {
                self.skip(
                    "model versions",
                    format!("{shown} (its artifact isn't stored)"),
                );
                continue;
            };
            if next != version.version {
                let name = format!("{shown} is {}/{next} here", model.name);
                self.skip("model versions with another number", name);
            }
            let context = ModelContext::registration(&model.name, next, None, &[]);
            let event = Event {
                run_id: self
                    .runs
                    .get(version.run_id.as_str())
                    .map(|run| run.id.clone()),
                artifacts: Object::new().named_object(&artifact, &Object::from(&entry)),
                context: context.extend(&self.origin(&shown)),
                ..Event::new(EventKind::Register)
            };
            let time = version.created.unwrap_or(self.now);
            self.plan.events.push((time, event));
            self.plan.versions += 1;
            versions.insert(version.version, (next, &version.run_id));
            next += 1;
        }
        for pointed in &model.stages {
            let shown = format!("{}/{}", model.name, pointed.version);
            let stage = &pointed.stage;
            let Some((version, run_id)) = versions.get(&pointed.version) else {
                self.skip(
                    "stages and aliases of versions that aren't there",
                    format!("{stage} of {shown}"),
                );
                continue;
            };
            // No import moves what somebody may have deployed.
            match here.and_then(|here| here.current(stage)) {
                None => {}
                Some(current) if current == *version => continue,
                Some(current) => {
                    let name = format!("{stage} of {} to {shown}, here to {current}", model.name);
                    self.skip("stages that point elsewhere here, where they stay", name);
                    continue;
                }
            }
            let context = ModelContext::promotion(&model.name, *version, stage, None, None);
            let event = Event {
                run_id: self.runs.get(run_id).map(|run| run.id.clone()),
                context: context.extend(&self.origin(&shown)),
                ..Event::new(EventKind::Promote)
            };
            let time = pointed.moved.unwrap_or(self.now);
            self.plan.events.push((time, event));
            self.plan.stages += 1;
        }
    }

    /// Whether a version of the ledger is made of the artifact of which MLflow's is. Of one that was brought over it
    /// may not be in the store any more.
    fn is_same(&self, version: &StoreVersion, here: &Version, was_imported: bool) -> bool {
        if here.run_id != version.run_id {
            return false;
        }
        let Some(run) = self.runs.get(version.run_id.as_str()) else {
            return false;
        };
        let Some(artifact) = StoreModel::artifact(version, run) else {
            return was_imported;
        };
        let mut hashes: Vec<String> = Vec::new();
        hashes.extend(
            artifact
                .entry
                .as_ref()
                .and_then(|entry| entry.sha256.clone()),
        );
        if let Some(before) = self.imported.runs.get(run.id.as_str()) {
            let known = before.artifacts.iter();
            let known = known.filter(|(name, _)| *name == artifact.name);
            hashes.extend(known.filter_map(|(_, entry)| ArtifactEntry::read(entry.clone()).sha256));
        }
        match &here.entry.sha256 {
            Some(hash) if !hashes.is_empty() => hashes.contains(hash),
            // Bytes of a run that was logged here aren't read again.
            _ => {
                let file = artifact.path.rsplit('/').next();
                artifact.name == here.artifact
                    || file == Some(file_name(&here.artifact, &here.entry).as_str())
            }
        }
    }

    /// Name and entry of the artifact of which a version was made, as it stands in the ledger by now.
    fn artifact(&self, version: &StoreVersion) -> Option<(String, Json)> {
        let run = self.runs.get(version.run_id.as_str())?;
        let artifact = StoreModel::artifact(version, run)?;
        let before = self.imported.runs.get(run.id.as_str());
        let before = before.and_then(|before| {
            let mut known = before.artifacts.iter();
            known.find(|(name, _)| *name == artifact.name)
        });
        let entry = artifact.entry.as_ref().map(ArtifactEntry::json);
        let entry = entry.or_else(|| before.map(|(_, entry)| entry.clone()))?;
        Some((artifact.name.clone(), entry))
    }
}

/// Whether a run that has ended says more than was brought over.
fn has_changed(run: &StoreRun, before: &ImportedRun) -> bool {
    let more_points = |metric: &Metric| {
        metric.values.len() > before.points.get(&metric.name).copied().unwrap_or(0)
    };
    run.params
        .iter()
        .any(|(name, _)| !before.params.contains(name))
        || run.metrics.iter().any(more_points)
}

fn tags_object(tags: &[(&str, &str)]) -> Object {
    let named = tags.iter().fold(Object::new(), |object, (name, text)| {
        object.named(name, &Value::Str((*text).to_owned()))
    });
    match named.is_empty() {
        true => named,
        false => Object::new().object(TAGS, &named),
    }
}

impl StoreRun {
    /// When it ended, or what it reported last.
    fn ended(&self) -> Timestamp {
        let times = self.metrics.iter().flat_map(|metric| &metric.times);
        let last = times.copied().fold(self.start.seconds(), f64::max);
        self.end
            .unwrap_or_else(|| Timestamp::from_seconds(last).unwrap_or(self.start))
    }
}

impl Rows<'_> {
    fn push(&mut self, kind: EventKind<'static>, time: Timestamp, event: Event) {
        let context = self.about.clone().extend(&event.context);
        let event = Event {
            kind,
            run_id: Some(self.run.id.clone()),
            context,
            ..event
        };
        self.events.push((time, event));
    }

    fn remark(&mut self, kind: EventKind<'static>, time: Timestamp, context: Object) {
        let event = Event {
            context,
            ..Event::new(kind)
        };
        self.push(kind, time, event);
    }

    /// Makes one row of a finished run whose end has no time, as a run that was logged at once has.
    fn join(&mut self) {
        let is_of_this = self.run.end.is_none() && self.run.status == Some(EndStatus::Finished);
        let metrics = self.run.metrics.iter();
        let is_twice = |metric: &Metric| metric.last.is_some() && !metric.values.is_empty();
        let kinds: Vec<EventKind<'_>> = self.events.iter().map(|(_, event)| event.kind).collect();
        let is_short = matches!(
            kinds.as_slice(),
            [EventKind::Start, EventKind::End] | [EventKind::Start, EventKind::Log, EventKind::End]
        );
        let size = self.events.iter().map(|(_, event)| row::most_bytes(event));
        let fits = size.sum::<usize>() <= MAX_ROW_BYTES;
        if !is_of_this || !is_short || !fits || metrics.into_iter().any(is_twice) {
            return;
        }
        let mut events = std::mem::take(&mut self.events).into_iter();
        if let Some((time, start)) = events.next() {
            let whole = events.fold(start, |whole, (_, event)| Event {
                kind: EventKind::Run,
                params: whole.params.extend(&event.params),
                metrics: whole.metrics.extend(&event.metrics),
                artifacts: whole.artifacts.extend(&event.artifacts),
                ..whole
            });
            self.events.push((time, whole));
        }
    }

    fn begin(&mut self, parent: Option<&str>, tags: &[(&str, &str)]) {
        let run = self.run;
        let bytes = tags.iter().map(|(_, text)| text.len());
        ensure_text(bytes.sum());
        let about = [
            (NAME, run.name.as_deref()),
            (EXPERIMENT, run.experiment.as_deref()),
            (PARENT, parent),
        ];
        let mut context = about
            .into_iter()
            .fold(Object::new(), |object, (key, text)| match text {
                Some(text) => object.text(key, text),
                None => object,
            });
        if !run.data.is_empty() {
            let data = run
                .data
                .iter()
                .fold(Object::new(), |object, (name, version)| {
                    object.named_object(name, &Object::from(&version.json()))
                });
            context = context.object(DATA, &data);
        }
        self.remark(
            EventKind::Start,
            run.start,
            context.extend(&tags_object(tags)),
        );
    }

    /// What isn't there yet, in rows that aren't too long.
    fn values(&mut self, before: &ImportedRun) {
        let run = self.run;
        for (name, value) in &run.params {
            if !before.params.contains(name) {
                let text = if let Value::Str(text) = value {
                    text.len()
                } else {
                    0
                };
                ensure_text(text);
                self.more.params = std::mem::take(&mut self.more.params).named(name, value);
                self.flush_if_full();
            }
        }
        let known: HashSet<&str> = before
            .artifacts
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        for artifact in &run.artifacts {
            let is_known = known.contains(artifact.name.as_str());
            if let Some(entry) = artifact.entry.as_ref().filter(|_| !is_known) {
                let artifacts = std::mem::take(&mut self.more.artifacts);
                let entry = Object::from(&entry.json());
                self.more.artifacts = artifacts.named_object(&artifact.name, &entry);
                self.flush_if_full();
            }
        }
        for metric in &run.metrics {
            let known = before.points.get(&metric.name).copied().unwrap_or(0);
            for from in (known..metric.values.len()).step_by(ROW_POINTS) {
                let points = from..metric.values.len().min(from + ROW_POINTS);
                ensure_text(points.len() * POINT_BYTES);
                let values = metric.values[points.clone()].iter();
                let values: Vec<Value> = values.copied().map(Value::Double).collect();
                let times = &metric.times[points.clone()];
                let stretch = series::object(&metric.steps[points.clone()], &values, times);
                // Of one series there is one stretch in a row.
                if from > known {
                    self.flush();
                }
                let metrics = std::mem::take(&mut self.more.metrics);
                self.more.metrics = metrics.named_object(&metric.name, &stretch);
                self.flush_if_full();
            }
        }
        self.flush();
    }

    fn flush_if_full(&mut self) {
        let cells = [&self.more.params, &self.more.metrics, &self.more.artifacts];
        if cells.map(|cell| cell.pairs().len()).iter().sum::<usize>() > ROW_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let more = std::mem::replace(&mut self.more, Event::new(EventKind::Log));
        let cells = [&more.params, &more.metrics, &more.artifacts];
        if cells.iter().any(|cell| !cell.is_empty()) {
            self.push(EventKind::Log, self.run.ended(), more);
        }
    }

    /// The end, with the values that are of no series; of a run that goes on these alone.
    fn end(&mut self, before: &ImportedRun) {
        let run = self.run;
        let mut event = Event::new(EventKind::End);
        for metric in &run.metrics {
            let known = before.last.get(&metric.name).copied().flatten();
            if let Some(last) = metric.last.filter(|last| known != Some(last.to_bits())) {
                event.metrics = event.metrics.named(&metric.name, &Value::Double(last));
            }
        }
        if let Some(status) = run.status {
            event.context = Object::new().text(STATUS, status.name());
            self.push(EventKind::End, run.ended(), event);
        } else if !event.metrics.is_empty() {
            self.push(EventKind::Log, run.ended(), event);
        }
    }
}
