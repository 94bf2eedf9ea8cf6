//! Runs of a ledger as a store that MLflow reads.
//!
//! MLflow refuses to read a run that has a key which it doesn't allow, and to take a store over into a database in which
//! a point stands twice: neither is written.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::data_version::DataVersion;
use crate::format::digest::Digest;
use crate::format::json::{self, Json};
use crate::format::time::Timestamp;
use crate::format::value::Value;
use crate::ledger::folder;
use crate::ledger::objects::{Objects, Progress, safe_file_name};
use crate::mlflow::place::Place;
use crate::mlflow::read::{DATA_SOURCE, DEFAULT_EXPERIMENT, Names, Skipped, stem, tag};
use crate::mlflow::store::{
    ALIASES, ARTIFACTS, DATASETS, INPUTS, META, METRICS, MODELS, PARAMS, RESERVED, TAGS,
};
use crate::mlflow::yaml::Mapping;
use crate::platform::folder::OpenFolder;
use crate::platform::memory;
use crate::views::registry::Registry;
use crate::views::runs::{ALL_PARTS, Run, Runs, Status};
use crate::views::series::{Point, Points};

/// What is exported.
#[derive(Clone, Copy)]
pub struct Export<'a> {
    pub runs: &'a Runs,
    pub points: &'a Points,
    pub registry: &'a Registry,
    pub objects: &'a Objects,
    /// The rows of the runs.
    pub rows: &'a [usize],
}

/// Writes a store into a folder that is empty. What it has no place for is left out, or changed, and named.
pub fn write(export: Export<'_>, to: &Place, progress: Progress<'_>) -> Result<Vec<Skipped>> {
    let mut writer = Writer {
        root: to,
        progress,
        skipped: Vec::new(),
        experiments: HashMap::new(),
        datasets: HashSet::new(),
        exported: HashMap::new(),
    };
    let (default, name) = DEFAULT_EXPERIMENT;
    let mut ordered: Vec<usize> = export.rows.to_vec();
    ordered.sort_unstable();
    export.runs.load(&ordered, &ALL_PARTS)?;
    let began = ordered.first().map(|&row| export.runs.at(row).began());
    writer.experiment(default, name, began.unwrap_or(Timestamp::now()))?;
    let all = export.points.of(None, None)?;
    let mut series: HashMap<&str, &[Point]> = HashMap::new();
    for points in all.chunk_by(|a, b| a.run == b.run) {
        series.insert(export.points.run_ids.id(points[0].run as usize), points);
    }
    for &row in &ordered {
        let run = export.runs.at(row);
        memory::ensure(0);
        let points = series.get(run.id()).copied().unwrap_or_default();
        let series = of_metrics(export.points, points);
        writer.run(run, &series, export.objects)?;
    }
    writer.models(export.registry)?;
    Ok(writer.skipped)
}

/// The points of one run by the names of their metrics.
fn of_metrics<'a>(all: &'a Points, points: &'a [Point]) -> HashMap<&'a str, &'a [Point]> {
    let metrics = points.chunk_by(|a, b| a.metric == b.metric);
    let named = metrics.map(|points| (all.metrics[points[0].metric as usize].as_str(), points));
    named.collect()
}

struct Writer<'a> {
    root: &'a Place,
    progress: Progress<'a>,
    skipped: Vec<Skipped>,
    /// Their ids, by their names.
    experiments: HashMap<String, String>,
    /// The folders of data sets, each with that of its experiment.
    datasets: HashSet<(String, String)>,
    /// The exported runs, and the names of their artifacts in the store.
    exported: HashMap<String, HashMap<String, String>>,
}

impl Writer<'_> {
    fn skip(&mut self, what: &'static str, name: String) {
        self.skipped.push(Skipped { what, name });
    }

    fn experiment(&mut self, id: &str, name: &str, began: Timestamp) -> Result<()> {
        let folder = self.root.make(id)?;
        let began = millis(began);
        let meta = Mapping::new()
            .text("artifact_location", &format!("mlflow-artifacts:/{id}"))
            .number("creation_time", began)
            .text("experiment_id", id)
            .number("last_update_time", began)
            .text("lifecycle_stage", "active")
            .text("name", name);
        self.experiments.insert(name.to_owned(), id.to_owned());
        self.meta(&folder, &meta)
    }

    fn meta(&mut self, folder: &Place, meta: &Mapping) -> Result<()> {
        self.go_on()?;
        let written = folder.write(META, meta.as_str().as_bytes());
        written.map_err(|e| Error::io(&folder.path.join(META), "write", e))
    }

    /// Whether nobody wants to stop.
    fn go_on(&mut self) -> Result<()> {
        match (self.progress)(0) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    fn run(
        &mut self,
        run: Run<'_>,
        series: &HashMap<&str, &[Point]>,
        objects: &Objects,
    ) -> Result<()> {
        let id = run.id();
        // MLflow's ids have no dots, and a run's folder stands beside those of other things.
        let is_reserved = |name: &&str| id.eq_ignore_ascii_case(name);
        if id.contains('.') || RESERVED.iter().any(is_reserved) {
            self.skip("runs with an id that MLflow can't have", id.to_owned());
            return Ok(());
        }
        let name = run.experiment().filter(|name| !name.is_empty());
        let name = name.unwrap_or(DEFAULT_EXPERIMENT.1);
        let experiment = match self.experiments.get(name) {
            Some(id) => id.clone(),
            None => {
                let id = self.experiments.len().to_string();
                self.experiment(&id, name, run.began())?;
                id
            }
        };
        let folder = self.root.make(&format!("{experiment}/{id}"))?;
        let context = run.session().context.as_ref();
        let user = context.and_then(|context| context.user());
        let status = match run.status() {
            Status::Running if run.is_lost() => 5,
            Status::Running => 1,
            Status::Finished => 3,
            Status::Failed => 4,
            Status::Interrupted => 5,
        };
        let uri = format!("mlflow-artifacts:/{experiment}/{id}/{ARTIFACTS}");
        let meta = Mapping::new().text("artifact_uri", &uri);
        let meta = match run.ended() {
            Some(ended) => meta.number("end_time", millis(ended)),
            None => meta.null("end_time"),
        };
        let meta = meta
            .text("entry_point_name", "")
            .text("experiment_id", &experiment)
            .text("lifecycle_stage", "active")
            .text("run_id", id)
            .text("run_name", run.name().unwrap_or_default())
            .text("run_uuid", id)
            .text("source_name", "")
            // One that was run on this machine.
            .number("source_type", 4)
            .text("source_version", "")
            .number("start_time", millis(run.began()))
            .number("status", status)
            .raw("tags", "[]")
            .text("user_id", user.unwrap_or("unknown"));
        self.meta(&folder, &meta)?;

        let mut params = Keys::of(folder.make(PARAMS)?);
        for (key, value) in allowed_first(run.params()) {
            self.keyed(
                &mut params,
                &key,
                text(&value).as_bytes(),
                id,
                "parameters with another name",
            )?;
        }
        let plain = self.metrics(folder.make(METRICS)?, run, series)?;
        self.tags(folder.make(TAGS)?, run, &plain)?;
        for (name, version) in run.data() {
            self.data(&experiment, &folder, id, name, version)?;
        }
        let artifacts = self.artifacts(&folder.make(ARTIFACTS)?, run, objects)?;
        self.exported.insert(id.to_owned(), artifacts);
        Ok(())
    }

    /// Writes a file of each metric, and says of which the last line is no step of a series.
    fn metrics(
        &mut self,
        folder: Place,
        run: Run<'_>,
        series: &HashMap<&str, &[Point]>,
    ) -> Result<Vec<String>> {
        let mut folder = Keys::of(folder);
        let mut plain = Vec::new();
        let ended = millis(run.ended().unwrap_or(run.began()));
        for (name, value) in allowed_first(run.metrics()) {
            let points = series.get(name.as_str()).copied().unwrap_or_default();
            memory::ensure(POINT_BYTES * points.len());
            let mut lines = String::new();
            let mut seen = HashSet::new();
            let mut shown: Option<(i64, i64, f64)> = None;
            let mut last_time = i64::MIN;
            for point in points {
                let Some(value) = point.value else {
                    self.skip(
                        "missing values of series",
                        format!("{name} of {}", run.id()),
                    );
                    continue;
                };
                let time = millis_of(point.at);
                if !seen.insert((point.step, time, in_database(value))) {
                    continue;
                }
                last_time = last_time.max(time);
                let is_later = shown.is_none_or(|(step, known, best)| {
                    (point.step, time) > (step, known)
                        || (point.step, time) == (step, known) && value > best
                });
                if is_later {
                    shown = Some((point.step, time, value));
                }
                line(&mut lines, time, value, point.step);
            }
            let is_shown =
                |value: f64| shown.is_some_and(|(_, _, shown)| shown.to_bits() == value.to_bits());
            // What the ledger shows is what MLflow shows.
            let own = number(&value).filter(|&value| !is_shown(value));
            if let Some(value) = own {
                let step = shown.map_or(0, |(step, ..)| step);
                let time = ended.max(last_time.saturating_add(1));
                line(&mut lines, time, value, step);
            }
            if lines.is_empty() {
                self.skip("metrics without a value", format!("{name} of {}", run.id()));
                continue;
            }
            let key = self.keyed(
                &mut folder,
                &name,
                lines.as_bytes(),
                run.id(),
                "metrics with another name",
            )?;
            if own.is_some() {
                plain.push(key);
            }
        }
        Ok(plain)
    }

    fn tags(&mut self, folder: Place, run: Run<'_>, plain: &[String]) -> Result<()> {
        let mut folder = Keys::of(folder);
        let context = run.session().context.as_ref();
        let texts: Vec<&str> = run.notes().iter().map(|note| note.text.as_str()).collect();
        let notes = texts.join("\n\n");
        // It began before.
        let parent = run.parent().map(Run::id);
        let is_there = |parent: &&str| self.exported.contains_key(*parent);
        let exported = parent.filter(is_there).map(str::to_owned);
        if let Some(parent) = parent.filter(|_| exported.is_none()) {
            let name = format!("{parent} of {}", run.id());
            self.skip("parents that aren't exported", name);
        }
        let names = Json::Array(plain.iter().cloned().map(Json::Str).collect()).text();
        let own = [
            (tag::NAME, run.name()),
            (tag::PARENT, exported.as_deref()),
            (
                tag::NOTE,
                Some(notes.as_str()).filter(|notes| !notes.is_empty()),
            ),
            (tag::USER, context.and_then(|context| context.user())),
            (tag::SCRIPT, context.and_then(|context| context.script())),
            (tag::COMMIT, context.and_then(|context| context.commit())),
            (tag::BRANCH, context.and_then(|context| context.branch())),
            // Without it they are series of one point when they are imported.
            (
                tag::METRICS,
                Some(names.as_str())
                    .filter(|names| !plain.is_empty() && names.len() <= MAX_TAG_BYTES),
            ),
        ];
        for (key, text) in own {
            if let Some(text) = text {
                self.keyed(&mut folder, key, text.as_bytes(), run.id(), TAGS)?;
            }
        }
        for (key, value) in allowed_first(run.tags()) {
            let text = self::text(&value);
            self.keyed(
                &mut folder,
                &key,
                text.as_bytes(),
                run.id(),
                "tags with another name",
            )?;
        }
        Ok(())
    }

    fn data(
        &mut self,
        experiment: &str,
        run: &Place,
        id: &str,
        name: &str,
        version: &DataVersion,
    ) -> Result<()> {
        let hash = version.hash.clone().unwrap_or_default();
        let source = version.json().text();
        let dataset = short_digest(&[name, &source]);
        if self
            .datasets
            .insert((experiment.to_owned(), dataset.clone()))
        {
            let folder = format!("{experiment}/{DATASETS}/{dataset}");
            let folder = self.root.make(&folder)?;
            let column = |(name, ty): &(String, String)| {
                Json::Object(vec![
                    ("type".into(), Json::Str(mlflow_type(ty).into())),
                    ("name".into(), Json::Str(name.clone())),
                    ("required".into(), Json::Bool(false)),
                ])
            };
            let columns: Vec<Json> = version.columns.iter().map(column).collect();
            let meta = Mapping::new()
                // MLflow takes 36 characters.
                .text("digest", &hash.chars().take(36).collect::<String>())
                .text("name", name);
            let meta = match version.rows {
                Some(rows) => {
                    let profile = Json::Object(vec![("num_rows".into(), Json::Int(rows))]);
                    meta.text("profile", &profile.text())
                }
                None => meta.null("profile"),
            };
            let meta = match columns.is_empty() {
                true => meta.null("schema"),
                false => {
                    let schema = [("mlflow_colspec".to_owned(), Json::Array(columns))];
                    meta.text("schema", &Json::Object(schema.into()).text())
                }
            };
            let meta = meta
                .text("source", &source)
                .text("source_type", DATA_SOURCE);
            self.meta(&folder, &meta)?;
        }
        let input = run.make(&format!("{INPUTS}/{}", short_digest(&[id, &dataset])))?;
        let meta = Mapping::new()
            .text("destination_id", id)
            .text("destination_type", "RUN")
            .text("source_id", &dataset)
            .text("source_type", "DATASET")
            .raw("tags", "{}");
        self.meta(&input, &meta)
    }

    /// Copies the stored artifacts of a run, and says how each is called in its folder.
    fn artifacts(
        &mut self,
        folder: &Place,
        run: Run<'_>,
        objects: &Objects,
    ) -> Result<HashMap<String, String>> {
        let mut names = HashMap::new();
        // Systems differ in whether `A` and `a` are one file.
        let mut taken = Names::default();
        for (name, entry) in run.artifacts() {
            let shown = format!("{name} of {}", run.id());
            let Some(digest) = entry.digest().filter(|_| entry.stored) else {
                self.skip("artifacts that are recorded by their path", shown);
                continue;
            };
            self.go_on()?;
            let file = taken.take(file_name(name, entry), |name| name.to_lowercase());
            let to = (&folder.folder, OsStr::new(&file), &*folder.path.join(&file));
            let progress = &mut *self.progress;
            let copied = match entry.folder {
                true => folder::unpack_into(objects, &digest, entry.size, to, progress),
                false => copy(objects, &digest, entry.size, to, progress),
            };
            match copied {
                Ok(()) => drop(names.insert(name.clone(), file)),
                Err(e @ (Error::Artifact { .. } | Error::Archive { .. })) => {
                    self.skip(
                        "artifacts whose bytes aren't there",
                        format!("{shown} ({e})"),
                    );
                }
                Err(e) => return Err(e),
            }
        }
        Ok(names)
    }

    fn models(&mut self, registry: &Registry) -> Result<()> {
        for model in &registry.models {
            let name = model.name.as_str();
            let mut versions = Vec::new();
            for (number, version) in (1_i64..).zip(&model.versions) {
                let artifacts = self.exported.get(&version.run_id);
                let Some(artifacts) = artifacts else {
                    self.skip(
                        "model versions of runs that aren't exported",
                        format!("{name}/{number}"),
                    );
                    continue;
                };
                match artifacts.get(&version.artifact) {
                    Some(file) => versions.push((number, version, file.clone())),
                    None => self.skip(
                        "model versions without their bytes",
                        format!("{name}/{number}"),
                    ),
                }
            }
            let Some((_, last, _)) = versions.last() else {
                continue;
            };
            if name.contains(':') || matches!(name, "." | "..") || name.len() > MAX_NAME_BYTES {
                self.skip("models with a name that MLflow can't have", name.to_owned());
                continue;
            }
            let folder = self.root.make(&format!("{MODELS}/{name}"))?;
            let mut aliases = Vec::new();
            for stage in &model.stages {
                let shown = format!("{} of {name}", stage.name);
                let is_number = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
                let is_reserved = stage.name == "latest"
                    || stage
                        .name
                        .strip_prefix('v')
                        .is_some_and(|rest| !rest.is_empty() && is_number(rest));
                let current = stage.current();
                if is_reserved {
                    self.skip("stages with a name that MLflow keeps for itself", shown);
                } else if versions.iter().any(|(number, ..)| *number == current) {
                    aliases.push((stage.name.clone(), Json::Str(current.to_string())));
                } else {
                    self.skip("stages of versions that aren't exported", shown);
                }
            }
            let times = model.history.iter().map(|change| change.time);
            let moved = times
                .chain([last.registered])
                .max()
                .unwrap_or(last.registered);
            for (alias, version) in &aliases {
                let folder = folder.make(ALIASES)?;
                let version = version.as_str().unwrap_or_default();
                let written = folder.write(alias, version.as_bytes());
                written.map_err(|e| Error::io(&folder.path, "write in", e))?;
            }
            let meta = Mapping::new()
                .raw(
                    "aliases",
                    &Json::Object(aliases).text().replace("\":", "\": "),
                )
                .number("creation_timestamp", millis(model.versions[0].registered))
                .null("description")
                .number("last_updated_timestamp", millis(moved))
                .text("name", name);
            self.meta(&folder, &meta)?;
            for (number, version, file) in versions {
                let folder = folder.make(&format!("version-{number}"))?;
                let source = format!("runs:/{}/{file}", version.run_id);
                let registered = millis(version.registered);
                let meta = Mapping::new()
                    .raw("aliases", "[]")
                    .number("creation_timestamp", registered)
                    .text("current_stage", "None")
                    .null("description")
                    .number("last_updated_timestamp", registered)
                    .text("name", name)
                    .text("run_id", &version.run_id)
                    .null("run_link")
                    .text("source", &source)
                    .text("status", "READY")
                    .null("status_message")
                    .text("storage_location", &source)
                    .null("user_id")
                    .number("version", number);
                self.meta(&folder, &meta)?;
            }
        }
        Ok(())
    }

    /// Writes the file of a key, under a name that MLflow takes and that this system can make, and gives that.
    fn keyed(
        &mut self,
        keys: &mut Keys,
        key: &str,
        bytes: &[u8],
        id: &str,
        what: &'static str,
    ) -> Result<String> {
        self.go_on()?;
        let allowed = allowed(key);
        let flat = short(&allowed.replace('/', "_"), key);
        let mut name = allowed;
        loop {
            match keys.folder.write(&name, bytes) {
                Ok(()) => break,
                Err(e) if is_taken(&e) => name = keys.names.next(&flat, name != flat),
                Err(e) => return Err(Error::io(&keys.folder.path.join(&name), "write", e)),
            }
        }
        if name != key {
            self.skip(what, format!("{key} of {id} is {name}"));
        }
        Ok(name)
    }
}

/// A folder with a file a key.
struct Keys {
    folder: Place,
    names: Names,
}

impl Keys {
    fn of(folder: Place) -> Keys {
        let names = Names::default();
        Keys { folder, names }
    }
}

/// Copies stored bytes to a new file, which is not there if they aren't right.
fn copy(
    objects: &Objects,
    digest: &Digest,
    size: Option<u64>,
    (folder, name, path): (&OpenFolder, &OsStr, &Path),
    progress: Progress<'_>,
) -> Result<()> {
    let file = folder.create(name, false);
    let mut file = file.map_err(|e| Error::io(path, "write", e))?;
    let copied = objects.copy_into(digest, size, (&mut file, path), progress);
    copied.inspect_err(|_| drop(folder.remove_file(name)))
}

/// Whether a file has that name, or a folder, or where a folder would be is a file.
fn is_taken(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

/// What a point takes as a line and in the set of those that were written.
const POINT_BYTES: usize = 256;

/// MLflow's databases take tags of so many characters.
const MAX_TAG_BYTES: usize = 5000;

/// The longest name that we make: file systems take 255 bytes, of which a number may take some.
const MAX_NAME_BYTES: usize = 240;
/// MLflow takes keys of so many characters.
const MAX_KEY_CHARS: usize = 250;
/// Folders within folders that a key with `/` makes; a system's paths have an end.
const MAX_KEY_PARTS: usize = 32;

/// A key as MLflow allows it: letters, digits, `_`, `.`, `-`, `:`, blanks, and `/` between parts that stay where they
/// are; short enough for it and for file systems.
fn allowed(key: &str) -> String {
    let is_allowed =
        |c: char| c.is_alphanumeric() || "_.- /".contains(c) || c == ':' && !cfg!(windows);
    let plain = key.replace(|c: char| !is_allowed(c), "_");
    let mut parts: Vec<&str> = plain.split('/').collect();
    for part in &mut parts {
        if matches!(*part, "" | "." | "..") {
            *part = "_";
        }
    }
    let is_long = |part: &&str| part.len() > MAX_NAME_BYTES;
    let name = parts.join("/");
    let is_short = parts.len() <= MAX_KEY_PARTS && name.chars().count() <= MAX_KEY_CHARS;
    match is_short && !parts.iter().any(is_long) {
        true => name,
        false => short(&name.replace('/', "_"), key),
    }
}

/// The name of a file; of a long one its beginning, and digits that stand for the whole key.
fn short(name: &str, key: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let digits = short_digest(&[key]);
    let end = (0..MAX_NAME_BYTES - digits.len()).rev();
    let end = end.into_iter().find(|&end| name.is_char_boundary(end));
    format!("{}-{digits}", &name[..end.unwrap_or(0)])
}

/// The keys that can be written as they are before those that can't, which would take their names.
fn allowed_first<K: AsRef<str>, V>(named: impl IntoIterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut named: Vec<(K, V)> = named.into_iter().collect();
    let keys: HashSet<String> = named
        .iter()
        .map(|(key, _)| key.as_ref().to_owned())
        .collect();
    named.sort_by_cached_key(|(key, _)| {
        let key = key.as_ref();
        // A file can't be a folder, too.
        let mut above = key.match_indices('/').map(|(end, _)| &key[..end]);
        allowed(key) != key || above.any(|folder| keys.contains(folder))
    });
    named
}

/// How an artifact's file is called, so that its name without the extension is the artifact's.
pub(super) fn file_name(name: &str, entry: &ArtifactEntry) -> String {
    let file = entry.file.as_deref().unwrap_or(name);
    let file = file.rsplit(['/', '\\']).next().unwrap_or(name);
    let file = match entry.folder {
        true => name.to_owned(),
        false if file == name || stem(file) == name => file.to_owned(),
        false => format!("{name}{}", &file[stem(file).len()..]),
    };
    let plain = allowed(&file.replace('/', "_"));
    let safe = safe_file_name(&file).filter(|name| name.len() <= MAX_NAME_BYTES);
    let safe = safe.or_else(|| safe_file_name(&plain));
    safe.unwrap_or("artifact").to_owned()
}

/// The millisecond in which something was, for all times alike: what was reported before a run ended stays before its end.
fn millis(time: Timestamp) -> i64 {
    time.micros().div_euclid(1000)
}

/// The same of a point's seconds since 1970, which are exact to the microsecond.
fn millis_of(seconds: f64) -> i64 {
    ((seconds * 1e6).round() / 1e3).floor() as i64
}

fn line(lines: &mut String, millis: i64, value: f64, step: i64) {
    writeln!(lines, "{millis} {} {step}", digits(value)).expect("a text takes it");
}

/// A number as Python reads it.
fn digits(x: f64) -> String {
    match x {
        _ if x.is_nan() => "nan".into(),
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        _ => {
            let mut out = Vec::new();
            json::write_double(x, &mut out);
            String::from_utf8(out).expect("digits are ASCII")
        }
    }
}

/// What tells values apart in MLflow's databases: they hold no infinities, and zero has no sign.
fn in_database(x: f64) -> Option<u64> {
    let x = x.clamp(-f64::MAX, f64::MAX);
    (!x.is_nan()).then(|| if x == 0.0 { 0 } else { x.to_bits() })
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Double(x) | Value::Difftime(x) => Some(*x),
        Value::Int(x) => Some(f64::from(*x)),
        Value::Integer64(x) => Some(*x as f64),
        _ => None,
    }
}

/// A value as MLflow's Python client would have it where it has such values, or as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Str(text) | Value::Code(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Double(x) if x.is_finite() => digits(*x),
        Value::Vector(_)
        | Value::NamedVector(_)
        | Value::List(_)
        | Value::NamedList(_)
        | Value::Empty(_) => {
            let mut out = Vec::new();
            value.write(&mut out);
            String::from_utf8(out).expect("only UTF-8 was written")
        }
        other => other.to_string(),
    }
}

/// A type of R as MLflow's schemas name it.
fn mlflow_type(ty: &str) -> &'static str {
    match ty {
        "double" | "difftime" => "double",
        "integer" => "integer",
        "integer64" => "long",
        "logical" => "boolean",
        "Date" | "date" | "datetime" | "POSIXct" => "datetime",
        _ => "string",
    }
}

/// 32 hex digits that stand for some texts.
fn short_digest(texts: &[&str]) -> String {
    let parts: Vec<&[u8]> = texts
        .iter()
        .flat_map(|text| [text.as_bytes(), b"\0"])
        .collect();
    let mut digits = Digest::of(&parts).to_string();
    digits.truncate(32);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_before_an_end_stays_before_it() {
        let around = [-1_001, -1, 0, 1, 1_795_780_300_134_499];
        for at in around.into_iter().flat_map(|first| first..first + 2_003) {
            let time = Timestamp::from_micros(at).unwrap();
            assert_eq!(millis_of(time.seconds()), millis(time), "{at}");
        }
    }
}
