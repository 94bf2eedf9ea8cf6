//! What a store says, in the ledger's terms.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::data_version::DataVersion;
use crate::format::id::{Random, RunId};
use crate::format::json::{self, Json, MAX_INT};
use crate::format::run_context::EndStatus;
use crate::format::time::Timestamp;
use crate::format::value::Value;
use crate::ledger::folder::Folder;
use crate::ledger::objects::{Objects, Progress, safe_file_name};
use crate::mlflow::store::{
    ALIASES, ARTIFACTS, DATASETS, Entry, Found, Had, INPUTS, METRICS, MODELS, Meta, PARAMS,
    Problem, StoreFolder, TAGS, TRACES, TRASH, join,
};
use crate::platform::folder::Kind;
use crate::platform::memory;
use crate::views::registry::is_stage_name;

/// A metrics file is read whole.
const MAX_METRIC_BYTES: u64 = 1 << 31;

/// Tags for which the ledger has words of its own.
pub mod tag {
    pub const NAME: &str = "mlflow.runName";
    pub const PARENT: &str = "mlflow.parentRunId";
    pub const NOTE: &str = "mlflow.note.content";
    pub const USER: &str = "mlflow.user";
    pub const SCRIPT: &str = "mlflow.source.name";
    pub const COMMIT: &str = "mlflow.source.git.commit";
    pub const BRANCH: &str = "mlflow.source.git.branch";
    pub const PROMPT: &str = "mlflow.prompt.is_prompt";
    /// Of a run that was exported from a ledger: the metrics whose last line is no step of a series.
    pub const METRICS: &str = "fitledger.metrics";
}

/// The experiment of runs that have none.
pub const DEFAULT_EXPERIMENT: (&str, &str) = ("0", "Default");
/// Where the data of a ledger's run come from, in MLflow's words.
pub const DATA_SOURCE: &str = "fitledger";

/// All that a store holds and a ledger can hold.
#[derive(Debug)]
pub struct Content {
    /// How the store's folder is called.
    pub store: String,
    /// Each after the run that it belongs to.
    pub runs: Vec<StoreRun>,
    pub models: Vec<StoreModel>,
    pub skipped: Vec<Skipped>,
}

/// What is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped {
    /// In the plural.
    pub what: &'static str,
    /// Which, and why where that needs to be said.
    pub name: String,
}

#[derive(Debug)]
pub struct StoreRun {
    pub id: RunId,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    /// None while it runs, or waits to.
    pub status: Option<EndStatus>,
    /// When, if it is.
    pub deleted: Option<Timestamp>,
    pub name: Option<String>,
    pub experiment: Option<String>,
    pub parent: Option<String>,
    pub source: Source,
    pub note: Option<String>,
    pub params: Vec<(String, Value)>,
    pub tags: Vec<(String, String)>,
    pub metrics: Vec<Metric>,
    pub data: Vec<(String, DataVersion)>,
    pub artifacts: Vec<StoreArtifact>,
    /// Of the artifacts.
    names: Names,
}

/// Who ran it, and which code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Source {
    pub user: Option<String>,
    pub script: Option<String>,
    pub commit: Option<String>,
    pub branch: Option<String>,
}

#[derive(Debug, Default)]
pub struct Metric {
    pub name: String,
    pub steps: Vec<i64>,
    pub values: Vec<f64>,
    /// In seconds since 1970.
    pub times: Vec<f64>,
    /// The value that MLflow shows, where the last one that was reported is another.
    pub last: Option<f64>,
}

/// A file or a folder of a run.
#[derive(Debug)]
pub struct StoreArtifact {
    pub name: String,
    /// Below the store.
    pub path: String,
    is_folder: bool,
    /// Its bytes, once they are stored.
    pub entry: Option<ArtifactEntry>,
}

#[derive(Debug)]
pub struct StoreModel {
    pub name: String,
    pub versions: Vec<StoreVersion>,
    /// Stages and aliases, and the version to which each points.
    pub stages: Vec<StoreStage>,
}

#[derive(Debug)]
pub struct StoreVersion {
    pub version: i64,
    pub run_id: String,
    /// The path of the run's artifact below the store.
    path: String,
    pub created: Option<Timestamp>,
}

#[derive(Debug)]
pub struct StoreStage {
    pub stage: String,
    pub version: i64,
    pub moved: Option<Timestamp>,
}

/// Why there is no run, or no model, to be had of a folder.
enum Stop {
    /// The folder is none of one.
    None,
    /// It can't be one of a ledger, or part of it can't be read.
    LeftOut(String),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Failed(e)
    }
}

impl Stop {
    /// That a part can't be read: without it the run would be another one, for good.
    fn unread(part: &str, why: &str) -> Stop {
        Stop::LeftOut(format!("its {part} can't be read: {why}"))
    }
}

/// Reads a store. What of it can't be read now is left out whole, so that a later import brings it.
pub fn read(store: &StoreFolder, progress: Progress<'_>) -> Result<Content> {
    let experiments = store.experiments()?;
    let is_none =
        |(_, problem): &(String, Option<Problem>)| matches!(problem, Some(Problem::Unfit(_)));
    if experiments.iter().all(is_none) {
        return Err(Error::Argument {
            arg: "from",
            why: format!(
                "'{}' is a folder, but no MLflow file store: no folder in it has a `meta.yaml`",
                store.path().display()
            ),
            hint: "Give the folder of the experiments, which is mostly called `mlruns`.".into(),
        });
    }
    let metas = &store.metas(&mut *progress)?;
    let mut reader = Reader {
        store,
        metas,
        progress,
        skipped: Vec::new(),
        left_out: HashSet::new(),
    };
    let mut runs = Vec::new();
    for (experiment, problem) in experiments {
        match problem {
            None => reader.experiment(&experiment, &mut runs)?,
            Some(problem) => reader.skip("experiments", format!("{experiment} ({problem})")),
        }
    }
    let mut seen = HashSet::new();
    runs.retain(|run: &StoreRun| {
        let is_new = seen.insert(run.id.clone());
        if !is_new {
            let why = "two experiments have it";
            reader.skip("runs", format!("{} ({why})", run.id));
        }
        is_new
    });
    let models = reader.models()?;
    let by_id: HashMap<String, usize> = runs
        .iter()
        .map(|run| run.id.as_str().to_owned())
        .zip(0..)
        .collect();
    for version in models.iter().flat_map(|model| &model.versions) {
        if let Some(&run) = by_id.get(&version.run_id) {
            reader.add_artifact_of(&mut runs[run], version)?;
        }
    }
    Ok(Content {
        store: store.name(),
        runs: parents_first(runs),
        models,
        skipped: reader.skipped,
    })
}

struct Reader<'a> {
    store: &'a StoreFolder,
    metas: &'a HashMap<String, Meta>,
    progress: Progress<'a>,
    skipped: Vec<Skipped>,
    /// The runs that are left out.
    left_out: HashSet<String>,
}

/// A model that a run logged: its name and its folder.
type LoggedModels = HashMap<String, Vec<(String, String)>>;

impl<'a> Reader<'a> {
    fn skip(&mut self, what: &'static str, name: String) {
        self.skipped.push(Skipped { what, name });
    }

    fn meta(&self, folder: &str) -> Option<&'a HashMap<String, String>> {
        self.metas.get(folder)?.as_ref().ok()
    }

    /// Whether nobody wants to stop.
    fn go_on(&mut self) -> Result<()> {
        match (self.progress)(0) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    fn experiment(&mut self, folder: &str, runs: &mut Vec<StoreRun>) -> Result<()> {
        let found = match self.metas.get(folder) {
            Some(Ok(meta)) => Ok(meta),
            Some(Err(problem)) => Err(problem.clone()),
            None => return Ok(()),
        };
        let found = match found {
            Ok(meta) => match (self.store.entries(folder)?, self.logged_models(folder)?) {
                (Ok(entries), Ok(models)) => Ok((meta, entries, models)),
                (Err(problem), _) | (_, Err(problem)) => Err(problem),
            },
            Err(problem) => Err(problem),
        };
        let (meta, entries, models) = match found {
            Ok(found) => found,
            Err(problem) => {
                self.skip("experiments", format!("{folder} ({problem})"));
                return Ok(());
            }
        };
        let id = folder.rsplit('/').next().unwrap_or_default();
        let name = meta.get("name").filter(|name| !name.is_empty());
        let name = name.map_or(id, String::as_str);
        let experiment = (id, name) != DEFAULT_EXPERIMENT;
        let experiment = experiment.then(|| name.to_owned());
        for Entry { name, kind } in entries {
            let name = match (name, kind) {
                (Ok(name), _) => name,
                (_, Kind::File) => continue,
                (Err(name), _) => {
                    let name = name.to_string_lossy();
                    self.skip("runs", format!("{name} (its name is not UTF-8)"));
                    continue;
                }
            };
            let path = join(folder, &name);
            match (name.as_str(), kind) {
                (_, Kind::File) | (MODELS | DATASETS, _) => {}
                (TRACES, _) => {
                    let traces = self.store.folders(&path)?;
                    let traces = traces.unwrap_or_else(|problem| vec![format!("all ({problem})")]);
                    traces.into_iter().for_each(|id| self.skip("traces", id));
                }
                (TAGS, _) => {
                    let tags = self.store.files_below(&path, self.progress)?;
                    let named = tags.into_iter().map(|tag| format!("{id}: {}", tag.name));
                    named.for_each(|name| self.skip("tags of experiments", name));
                }
                (id, Kind::Other(what)) => self.leave_out(id, &format!("it is {what}")),
                (id, Kind::Folder) => {
                    let before = self.skipped.len();
                    match self.run(&path, id, experiment.as_deref(), &models) {
                        Ok(run) => {
                            memory::reserve(runs, 1);
                            runs.push(run);
                        }
                        Err(Stop::None) => {}
                        Err(Stop::LeftOut(why)) => {
                            self.skipped.truncate(before);
                            self.leave_out(id, &why);
                        }
                        Err(Stop::Failed(e)) => return Err(e),
                    }
                }
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, id: &str, why: &str) {
        self.skip("runs", format!("{id} ({why})"));
        self.left_out.insert(id.to_owned());
    }

    /// The models that the runs of an experiment logged, by the runs.
    fn logged_models(&mut self, experiment: &str) -> Result<Had<LoggedModels>> {
        let folder = join(experiment, MODELS);
        let mut models = LoggedModels::new();
        let ids = match self.store.folders(&folder)? {
            Ok(ids) => ids,
            Err(problem) => {
                let why = format!("its {MODELS}: {problem}");
                return Ok(Err(Problem::Unread(why)));
            }
        };
        for id in ids {
            let folder = join(&folder, &id);
            let meta = match self.metas.get(&folder) {
                Some(Ok(meta)) => meta,
                Some(Err(problem)) => {
                    self.skip("models that runs logged", format!("{id} ({problem})"));
                    continue;
                }
                None => continue,
            };
            if let Some(run) = meta.get("source_run_id") {
                let name = meta.get("name").filter(|name| !name.is_empty());
                let name = name.unwrap_or(&id).clone();
                let of_run = models.entry(run.clone()).or_default();
                of_run.push((name, join(&folder, ARTIFACTS)));
            }
        }
        Ok(Ok(models))
    }

    /// A run, or why it can't be one of a ledger.
    fn run(
        &mut self,
        folder: &str,
        id: &str,
        experiment: Option<&str>,
        models: &LoggedModels,
    ) -> std::result::Result<StoreRun, Stop> {
        let left_out = |why: &str| Err(Stop::LeftOut(why.to_owned()));
        let meta = match self.metas.get(folder) {
            None => return Err(Stop::None),
            Some(Err(problem)) => return left_out(&problem.to_string()),
            Some(Ok(meta)) => meta,
        };
        let named = meta.get("run_id").or_else(|| meta.get("run_uuid"));
        let Some(run_id) = RunId::new(id) else {
            return left_out("a ledger has no such ids");
        };
        if named.is_some_and(|named| named != id) {
            return left_out("its meta.yaml is of another run");
        }
        let text = |key: &str| meta.get(key).filter(|text| !text.is_empty()).cloned();
        let ended = match meta.get("status").map(String::as_str) {
            Some("1" | "RUNNING" | "2" | "SCHEDULED") => None,
            Some("3" | "FINISHED") => Some(EndStatus::Finished),
            Some("4" | "FAILED") => Some(EndStatus::Failed),
            Some("5" | "KILLED") => Some(EndStatus::Interrupted),
            _ => return left_out("it has no status that is known"),
        };
        if matches!(
            meta.get("status").map(String::as_str),
            Some("2" | "SCHEDULED")
        ) {
            self.skip("scheduled runs, which read as running", id.to_owned());
        }
        let (start, end) = (time(meta, "start_time"), time(meta, "end_time"));
        let Some(start) = start.or(end) else {
            return left_out("it has no time that a ledger can hold");
        };
        let is_deleted = meta
            .get("lifecycle_stage")
            .is_some_and(|it| it == "deleted")
            || folder.starts_with(TRASH);
        let deleted = time(meta, "deleted_time").or(end).unwrap_or(start);
        let (artifacts, taken) = self.artifacts(folder, id, meta, models)?;
        let mut run = StoreRun {
            id: run_id,
            start,
            end,
            status: ended,
            deleted: is_deleted.then_some(deleted),
            name: text("run_name"),
            experiment: experiment.map(str::to_owned),
            parent: None,
            source: Source {
                user: text("user_id").filter(|user| user != "unknown"),
                script: text("source_name"),
                commit: text("source_version"),
                branch: None,
            },
            note: None,
            params: Vec::new(),
            tags: Vec::new(),
            metrics: Vec::new(),
            data: self.data(folder, id)?,
            artifacts,
            names: taken,
        };
        for (key, text) in self.texts(&join(folder, PARAMS), "parameters", id)? {
            run.params.push((key, typed(text)));
        }
        let mut plain = HashSet::new();
        for (key, text) in self.texts(&join(folder, TAGS), "tags", id)? {
            let said = Some(text.clone()).filter(|text| !text.is_empty());
            match key.as_str() {
                tag::NAME => run.name = said,
                tag::PARENT => run.parent = said,
                tag::NOTE => run.note = said,
                tag::USER => run.source.user = said,
                tag::SCRIPT => run.source.script = said,
                tag::COMMIT => run.source.commit = said,
                tag::BRANCH => run.source.branch = said,
                tag::METRICS => plain = names(&text),
                _ => run.tags.push((key, text)),
            }
        }
        self.metrics(&join(folder, METRICS), &plain, &mut run)?;
        Ok(run)
    }

    /// What is read of each file below a folder, by its key. What a ledger can't hold is named.
    fn each_file<T>(
        &mut self,
        folder: &str,
        what: &'static str,
        id: &str,
        read: impl Fn(&StoreFolder, &str) -> Result<Had<T>>,
        mut keep: impl FnMut(&mut Self, String, T) -> Result<()>,
    ) -> std::result::Result<(), Stop> {
        for file in self.store.files_below(folder, self.progress)? {
            self.go_on()?;
            let had = match file.problem {
                Some(problem) => Err(problem),
                None => read(self.store, &join(folder, &file.name))?,
            };
            match had {
                Ok(had) => keep(self, file.name, had)?,
                Err(Problem::Unfit(why)) => {
                    self.skip(what, format!("{} of {id} ({why})", file.name));
                }
                Err(Problem::Unread(why)) => {
                    let part = folder.rsplit('/').next().unwrap_or_default();
                    return Err(Stop::unread(&join(part, &file.name), &why));
                }
            }
        }
        Ok(())
    }

    /// The texts of the files below a folder, by their keys.
    fn texts(
        &mut self,
        folder: &str,
        what: &'static str,
        id: &str,
    ) -> std::result::Result<Vec<(String, String)>, Stop> {
        let mut texts = Vec::new();
        self.each_file(folder, what, id, StoreFolder::text, |_, key, text| {
            texts.push((key, text));
            Ok(())
        })?;
        Ok(texts)
    }

    fn metrics(
        &mut self,
        folder: &str,
        plain: &HashSet<String>,
        run: &mut StoreRun,
    ) -> std::result::Result<(), Stop> {
        let id = run.id.clone();
        let id = id.as_str();
        let bytes = |store: &StoreFolder, name: &str| store.bytes(name, MAX_METRIC_BYTES);
        self.each_file(folder, "metrics", id, bytes, |reader, key, bytes| {
            let is_plain = plain.contains(&key);
            let mut left_out = Vec::new();
            let metric = metric(&key, &bytes, is_plain, &mut left_out);
            for why in left_out {
                reader.skip("points of metrics", format!("{key} of {id} ({why})"));
            }
            if !metric.values.is_empty() || metric.last.is_some() {
                run.metrics.push(metric);
            }
            Ok(())
        })
    }

    /// The data sets of a run, each under a name of its own. What MLflow calls a digest covers a sample of the rows.
    fn data(
        &mut self,
        run: &str,
        id: &str,
    ) -> std::result::Result<Vec<(String, DataVersion)>, Stop> {
        let experiment = &run[..run.rfind('/').unwrap_or(0)];
        let (inputs, datasets) = (join(run, INPUTS), join(experiment, DATASETS));
        let mut data: Vec<(String, DataVersion)> = Vec::new();
        let mut names = Names::default();
        let folders = self.store.folders(&inputs)?;
        let folders = folders.map_err(|problem| of_part(INPUTS, problem))?;
        if let (false, Err(problem)) = (folders.is_empty(), self.store.folders(&datasets)?) {
            return Err(of_part(DATASETS, problem));
        }
        for input in folders {
            self.go_on()?;
            // Its `destination_id` may be the data set's own: the run is the one in whose folder it stands.
            let input_meta = self.metas.get(&join(&inputs, &input));
            let source = input_meta.and_then(|meta| meta.as_ref().ok()?.get("source_id"));
            let of = |source: &String| self.metas.get(&join(&datasets, source));
            let found = source.and_then(of);
            for meta in [input_meta, found].into_iter().flatten() {
                if let Err(problem @ Problem::Unread(_)) = meta {
                    return Err(of_part("data sets", problem.clone()));
                }
            }
            let Some(Ok(meta)) = found else {
                self.skip("data sets", format!("{input} of {id}"));
                continue;
            };
            let tags = self.meta(&join(&inputs, &input)).into_iter().flatten();
            for tag in tags.filter_map(|(key, _)| key.strip_prefix("tags.")) {
                self.skip("tags of data sets", format!("{tag} of {id}"));
            }
            let name = meta.get("name").filter(|name| !name.is_empty());
            let name = name.map_or("data", String::as_str);
            let name = names.take(name.to_owned(), str::to_owned);
            memory::ensure(0);
            data.push((name, data_version(meta)));
        }
        Ok(data)
    }

    /// The files and folders of a run that can be stored.
    fn artifacts(
        &mut self,
        run: &str,
        id: &str,
        meta: &HashMap<String, String>,
        models: &LoggedModels,
    ) -> std::result::Result<(Vec<StoreArtifact>, Names), Stop> {
        let folder = join(run, ARTIFACTS);
        let mut found = Vec::new();
        let entries = self.store.entries(&folder)?;
        for entry in entries.map_err(|problem| of_part(ARTIFACTS, problem))? {
            let (name, why) = match (entry.name, entry.kind) {
                (Ok(name), Kind::File | Kind::Folder) => {
                    let is_folder = entry.kind == Kind::Folder;
                    found.push((name.clone(), join(&folder, &name), is_folder));
                    continue;
                }
                (Ok(name), Kind::Other(what)) => (name, format!("it is {what}")),
                (Err(name), _) => (
                    name.to_string_lossy().into_owned(),
                    "its name is not UTF-8".into(),
                ),
            };
            self.skip("artifacts", format!("{name} of {id} ({why})"));
        }
        if let Some(uri) = meta.get("artifact_uri").filter(|_| found.is_empty()) {
            let experiment = run.rsplit('/').nth(1).unwrap_or_default();
            let own = format!("{experiment}/{id}/{ARTIFACTS}");
            if !is_local(uri) || !uri.trim_end_matches('/').ends_with(&own) {
                self.skip("artifacts that lie elsewhere", format!("{uri} of {id}"));
            }
        }
        let mut artifacts: Vec<StoreArtifact> = Vec::new();
        let mut names = Names::default();
        let mut stems: HashMap<&str, usize> = HashMap::new();
        for (name, ..) in &found {
            *stems.entry(stem(name)).or_default() += 1;
        }
        let mut add = |name: &str, path: String, is_folder| {
            artifacts.push(StoreArtifact {
                name: names.take(name.to_owned(), str::to_owned),
                path,
                is_folder,
                entry: None,
            });
        };
        for (name, path, is_folder) in &found {
            let stem = stem(name);
            let name = match *is_folder || stems[stem] > 1 {
                true => name,
                false => stem,
            };
            add(name, path.clone(), *is_folder);
        }
        for (name, path) in models.get(id).into_iter().flatten() {
            add(name, path.clone(), true);
        }
        Ok((artifacts, names))
    }

    /// The artifact of which a model version was made may be deeper in the run's folder than others.
    fn add_artifact_of(&mut self, run: &mut StoreRun, version: &StoreVersion) -> Result<()> {
        self.go_on()?;
        if run.artifacts.iter().any(|known| known.path == version.path) {
            return Ok(());
        }
        let Some((_, name)) = version.path.rsplit_once('/') else {
            return Ok(());
        };
        let kind = self.store.kind(&version.path)?;
        if let Ok(Some(kind @ (Kind::File | Kind::Folder))) = kind {
            let within = format!("/{}/{ARTIFACTS}/", run.id);
            let within = version.path.split_once(&within);
            let name = within.map_or(name, |(_, below)| below);
            run.artifacts.push(StoreArtifact {
                name: run.names.take(name.to_owned(), str::to_owned),
                path: version.path.clone(),
                is_folder: kind == Kind::Folder,
                entry: None,
            });
        }
        Ok(())
    }

    fn models(&mut self) -> Result<Vec<StoreModel>> {
        let mut models = Vec::new();
        let names = match self.store.folders(MODELS)? {
            Ok(names) => names,
            Err(problem) => {
                self.skip("models", format!("all ({problem})"));
                return Ok(models);
            }
        };
        let runs = self.run_folders();
        for name in names {
            let before = self.skipped.len();
            match self.model(&name, &runs) {
                Ok(model) if model.versions.is_empty() => {
                    self.skip("models of which there is no version here", model.name);
                }
                Ok(model) => models.push(model),
                Err(Stop::None) => {}
                Err(Stop::LeftOut(why)) => {
                    self.skipped.truncate(before);
                    self.skip("models", format!("{name} ({why})"));
                }
                Err(Stop::Failed(e)) => return Err(e),
            }
        }
        Ok(models)
    }

    /// The folders that have a `meta.yaml`, by their names.
    fn run_folders(&self) -> HashMap<&'a str, &'a str> {
        let metas = self.metas;
        let mut folders: Vec<&str> = metas.keys().map(String::as_str).collect();
        folders.sort_unstable_by(|a, b| b.cmp(a));
        let named = folders.into_iter().map(|folder| {
            let name = folder.rsplit('/').next().unwrap_or_default();
            (name, folder)
        });
        named.collect()
    }

    fn model(
        &mut self,
        name: &str,
        runs: &HashMap<&str, &str>,
    ) -> std::result::Result<StoreModel, Stop> {
        let folder = &join(MODELS, name);
        let meta = match self.metas.get(folder) {
            None => return Err(Stop::None),
            Some(Err(problem)) => return Err(Stop::LeftOut(problem.to_string())),
            Some(Ok(meta)) => meta,
        };
        let name = meta.get("name").map_or(name, String::as_str).to_owned();
        let moved = time(meta, "last_updated_timestamp");
        let tags = self.texts(&join(folder, TAGS), "tags of models", &name)?;
        let is_prompt = |(tag, value): &(String, String)| {
            tag == tag::PROMPT && value.eq_ignore_ascii_case("true")
        };
        if tags.iter().any(is_prompt) {
            self.skip("prompts", name);
            return Err(Stop::None);
        }
        for (tag, _) in tags {
            self.skip("tags of models", format!("{tag} of {name}"));
        }
        let description = meta.get("description");
        if description.is_some_and(|text| !text.is_empty()) {
            self.skip("descriptions of models", name.clone());
        }
        let mut versions: Vec<(StoreVersion, bool)> = Vec::new();
        let mut stages: Vec<StoreStage> = Vec::new();
        let mut numbers: Vec<(i64, String)> = Vec::new();
        let folders = self.store.folders(folder)?;
        for version in folders.map_err(|problem| Stop::LeftOut(problem.to_string()))? {
            let number = version.strip_prefix("version-").map(str::parse);
            if let Some(Ok(number)) = number {
                numbers.push((number, join(folder, &version)));
            }
        }
        numbers.sort_unstable();
        for (number, folder) in numbers {
            self.go_on()?;
            let shown = format!("{name}/{number}");
            let meta = match self.metas.get(&folder) {
                Some(Ok(meta)) => meta,
                Some(Err(Problem::Unread(why))) => {
                    return Err(Stop::unread(&format!("version {number}"), why));
                }
                _ => {
                    let why = "its meta.yaml can't be read";
                    self.skip("model versions", format!("{shown} ({why})"));
                    continue;
                }
            };
            let text = |key: &str| meta.get(key).filter(|text| !text.is_empty()).cloned();
            let stage = text("current_stage").unwrap_or_default();
            let is_deleted = stage == "Deleted_Internal";
            let created = time(meta, "creation_timestamp");
            let moved = time(meta, "last_updated_timestamp");
            let described = text("description").is_some();
            let location = [text("source"), text("storage_location")];
            let run_id = text("run_id");
            // Later versions would get its number.
            if let Some(run) = run_id.as_ref().filter(|run| self.left_out.contains(*run)) {
                let why = format!("its version {number} is of {run}, which is left out");
                return Err(Stop::LeftOut(why));
            }
            let path = run_id.as_ref().and_then(|id| {
                let mut paths = location.iter().flatten();
                paths.find_map(|uri| self.path_of(uri, id, runs))
            });
            if described {
                self.skip("descriptions of models", shown.clone());
            }
            for tag in self
                .store
                .files_below(&join(&folder, TAGS), self.progress)?
            {
                self.skip("tags of models", format!("{} of {shown}", tag.name));
            }
            let (Some(run_id), Some(path)) = (run_id, path) else {
                if !is_deleted {
                    let why = "it is made of no run's artifact in the store";
                    self.skip("model versions", format!("{shown} ({why})"));
                }
                continue;
            };
            let version = StoreVersion {
                version: number,
                run_id,
                path,
                created,
            };
            versions.push((version, is_deleted));
            if !is_deleted && !matches!(stage.as_str(), "" | "None") {
                self.point(&name, &mut stages, &stage, number, moved);
            }
        }
        // A deleted version is there for the numbers of those after it alone.
        while versions.last().is_some_and(|(_, is_deleted)| *is_deleted) {
            versions.pop();
        }
        for (version, _) in versions.iter().filter(|(_, is_deleted)| *is_deleted) {
            let shown = format!("{name}/{}", version.version);
            self.skip(
                "deleted versions, here for the numbers of later ones",
                shown,
            );
        }
        for (alias, text) in self.texts(&join(folder, ALIASES), "aliases", &name)? {
            match text.trim().parse() {
                Ok(number) => self.point(&name, &mut stages, &alias, number, moved),
                Err(_) => self.skip("aliases", format!("{alias} of {name}")),
            }
        }
        let versions = versions.into_iter().map(|(version, _)| version).collect();
        Ok(StoreModel {
            name,
            versions,
            stages,
        })
    }

    /// Points a stage to a version, if a ledger can have a stage of that name.
    fn point(
        &mut self,
        model: &str,
        stages: &mut Vec<StoreStage>,
        stage: &str,
        version: i64,
        moved: Option<Timestamp>,
    ) {
        let shown = format!("{stage} of {model}");
        let stage = stage.to_lowercase();
        if !is_stage_name(&stage) {
            self.skip(
                "stages and aliases with names that no stage can have",
                shown,
            );
            return;
        }
        match stages.iter_mut().find(|known| known.stage == stage) {
            Some(known) => {
                let before = format!("{shown}/{}", known.version);
                (known.version, known.moved) = (version, moved);
                self.skip("stages that point to a later version, too", before);
            }
            None => stages.push(StoreStage {
                stage,
                version,
                moved,
            }),
        }
    }

    /// The path below the store of what a version was made of, if that is an artifact of a run or a model that it
    /// logged.
    fn path_of(&self, uri: &str, run: &str, runs: &HashMap<&str, &str>) -> Option<String> {
        let uri = match uri.contains("://") {
            true => percent_decoded(uri)?,
            false => uri.to_owned(),
        };
        let is_below = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let below = |path: &str| {
            let path = path.trim_end_matches('/');
            let folder = runs.get(run)?;
            is_below(path).then(|| join(&join(folder, ARTIFACTS), path))
        };
        if let Some(rest) = uri.strip_prefix("runs:/") {
            return below(rest.strip_prefix(run)?.strip_prefix('/')?);
        }
        if let Some((_, path)) = uri.split_once(&format!("/{run}/{ARTIFACTS}/")) {
            return below(path);
        }
        let inner = uri.strip_prefix("models:/").or_else(|| {
            let (_, path) = uri.rsplit_once(&format!("/{MODELS}/"))?;
            path.strip_suffix(&format!("/{ARTIFACTS}"))
        })?;
        let folder = runs.get(inner.rsplit('/').next()?)?;
        let ends = format!("/{MODELS}/{inner}");
        let is_it = is_below(inner) && folder.ends_with(&ends);
        is_it.then(|| join(folder, ARTIFACTS))
    }
}

impl Content {
    /// Whether some runs have artifacts.
    pub fn has_artifacts(&self, of: &HashSet<RunId>) -> bool {
        let mut runs = self.runs.iter().filter(|run| of.contains(&run.id));
        runs.any(|run| !run.artifacts.is_empty())
    }

    /// Takes all artifacts for stored, as who only wants to know what would come does.
    pub fn assume_stored(&mut self) {
        for artifact in self.runs.iter_mut().flat_map(|run| &mut run.artifacts) {
            artifact.entry = Some(ArtifactEntry::default());
        }
    }
}

impl StoreModel {
    /// The run's artifact of which a version was made.
    pub fn artifact<'a>(version: &StoreVersion, run: &'a StoreRun) -> Option<&'a StoreArtifact> {
        run.artifacts
            .iter()
            .find(|known| known.path == version.path)
    }
}

/// Looks whether the artifacts of some runs can be read. Runs of which one can't are left out, so that a later import
/// brings them.
pub fn check_artifacts(
    content: &mut Content,
    store: &StoreFolder,
    wanted: &HashSet<RunId>,
    progress: Progress<'_>,
) -> Result<()> {
    let mut unread: HashMap<String, String> = HashMap::new();
    for run in content.runs.iter().filter(|run| wanted.contains(&run.id)) {
        for artifact in &run.artifacts {
            if let Some(why) = unread_of(artifact, store, &mut *progress)? {
                unread.insert(run.id.as_str().to_owned(), why);
                break;
            }
        }
    }
    let of_unread = |version: &StoreVersion| unread.contains_key(&version.run_id);
    content.models.retain(|model| {
        let first = model.versions.iter().find(|version| of_unread(version));
        if let Some(version) = first {
            let why = format!(
                "its version {} is of a run that is left out",
                version.version
            );
            content.skipped.push(Skipped {
                what: "models",
                name: format!("{} ({why})", model.name),
            });
        }
        first.is_none()
    });
    content.runs.retain(|run| {
        let why = unread.get(run.id.as_str());
        if let Some(why) = why {
            content.skipped.push(Skipped {
                what: "runs",
                name: format!("{} ({why})", run.id),
            });
        }
        why.is_none()
    });
    Ok(())
}

/// Why an artifact, or what is in it, can't be read.
fn unread_of(
    artifact: &StoreArtifact,
    store: &StoreFolder,
    progress: Progress<'_>,
) -> Result<Option<String>> {
    let unread = |below: &str, why: &str| {
        let name = join(&artifact.name, below);
        Some(format!("its artifact {name} can't be read: {why}"))
    };
    let below = match artifact.is_folder {
        true => store.files_below(&artifact.path, &mut *progress)?,
        false => vec![Found {
            name: String::new(),
            problem: None,
        }],
    };
    for file in below {
        if progress(0) {
            return Err(Error::Interrupted);
        }
        match file.problem {
            Some(Problem::Unread(why)) => return Ok(unread(&file.name, &why)),
            // It is named when it is stored.
            Some(Problem::Unfit(_)) => {}
            None => {
                let path = join(&artifact.path, &file.name);
                if let Err(Problem::Unread(why)) = store.file(&path)? {
                    return Ok(unread(&file.name, &why));
                }
            }
        }
    }
    Ok(None)
}

/// Stores the bytes of some runs' artifacts. What can't be stored is left out and named.
pub fn store_artifacts(
    content: &mut Content,
    store: &StoreFolder,
    wanted: &HashSet<RunId>,
    objects: &Objects,
    random: Random<'_>,
    progress: Progress<'_>,
) -> Result<()> {
    let Content { runs, skipped, .. } = content;
    for run in runs.iter_mut().filter(|run| wanted.contains(&run.id)) {
        for artifact in &mut run.artifacts {
            // For errors; it is opened step by step from the open store.
            let path = store.path().join(&artifact.path);
            let stored = match artifact.is_folder {
                true => match store.folder(&artifact.path)? {
                    Ok(Some(folder)) => Folder::look_in(folder, &path)
                        .and_then(|it| it.put(objects, random, &mut *progress)),
                    Ok(None) => Err(Error::NotFound { path }),
                    Err(problem) => Err(Error::Unstorable {
                        path,
                        why: problem.to_string(),
                    }),
                },
                false => match store.file(&artifact.path)? {
                    Ok(file) => objects.put_open(file, &path, random, &mut *progress),
                    Err(problem) => Err(Error::Unstorable {
                        path,
                        why: problem.to_string(),
                    }),
                },
            };
            match stored {
                Ok(stored) => {
                    let name = artifact.path.rsplit('/').next().unwrap_or_default();
                    artifact.entry = Some(ArtifactEntry {
                        file: Some(match artifact.is_folder {
                            true => format!("{}.tar", label(&artifact.name)),
                            false => name.to_owned(),
                        }),
                        stored: true,
                        folder: artifact.is_folder,
                        ..ArtifactEntry::of_bytes(stored.digest, stored.size)
                    });
                }
                Err(e @ (Error::Unstorable { .. } | Error::NotFound { .. })) => {
                    let name = format!("{} of {} ({e})", artifact.name, run.id);
                    skipped.push(Skipped {
                        what: "artifacts",
                        name,
                    });
                }
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

/// A name for a file on any system.
fn label(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    let plain = name.replace(|c: char| !is_plain(c), "_");
    let safe = safe_file_name(name).or_else(|| safe_file_name(&plain));
    safe.unwrap_or("artifact").to_owned()
}

/// Each run after the run that it belongs to, and otherwise in the order of their beginnings. A run that belongs to
/// itself, by way of others, comes after none.
fn parents_first(mut runs: Vec<StoreRun>) -> Vec<StoreRun> {
    memory::ensure(3 * size_of_val(runs.as_slice()));
    runs.sort_by(|a, b| (a.start, a.id.as_str()).cmp(&(b.start, b.id.as_str())));
    let by_id: HashMap<&str, usize> = runs.iter().map(|run| run.id.as_str()).zip(0..).collect();
    let mut order = Vec::with_capacity(runs.len());
    let mut seen = vec![false; runs.len()];
    for first in 0..runs.len() {
        let mut line = Vec::new();
        let mut next = Some(first);
        while let Some(run) = next.filter(|&run| !std::mem::replace(&mut seen[run], true)) {
            line.push(run);
            let parent = runs[run].parent.as_deref();
            next = parent.and_then(|parent| by_id.get(parent).copied());
        }
        order.extend(line.into_iter().rev());
    }
    let mut runs: Vec<Option<StoreRun>> = runs.into_iter().map(Some).collect();
    let in_order = order.into_iter().filter_map(|run| runs[run].take());
    in_order.collect()
}

/// A time in milliseconds.
fn time(meta: &HashMap<String, String>, key: &str) -> Option<Timestamp> {
    let millis: i64 = meta.get(key)?.parse().ok()?;
    Timestamp::from_micros(millis.checked_mul(1000)?)
}

/// A text as the value of which it is the one text, or as it stands.
fn typed(text: String) -> Value {
    if let Ok(x) = text.parse::<i32>() {
        if x.to_string() == text && x != i32::MIN {
            return Value::Int(x);
        }
    }
    match text.as_str() {
        "TRUE" | "True" => return Value::Bool(true),
        "FALSE" | "False" => return Value::Bool(false),
        _ => {}
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if let Some(x) = text
        .parse()
        .ok()
        .filter(|x: &f64| is_number && x.is_finite())
    {
        let mut digits = Vec::new();
        json::write_double(x, &mut digits);
        if digits == text.as_bytes() {
            return Value::Double(x);
        }
    }
    Value::Str(text)
}

/// What is to be said of a part of a run that can't be read.
fn of_part(part: &str, problem: Problem) -> Stop {
    match problem {
        Problem::Unread(why) | Problem::Unfit(why) => Stop::unread(part, &why),
    }
}

/// A JSON array of texts.
fn names(text: &str) -> HashSet<String> {
    let json = Json::parse(text.as_bytes()).ok();
    let items = json.and_then(Json::into_array).unwrap_or_default();
    let name = |json: Json| json.as_str().map(str::to_owned);
    items.into_iter().filter_map(name).collect()
}

/// A point as a line has it.
#[derive(Clone, Copy)]
struct Line {
    millis: i64,
    value: f64,
    step: i128,
}

fn parse_line(line: &str) -> Option<Line> {
    let parts: Vec<&str> = line.split_ascii_whitespace().collect();
    let (millis, value, step) = match parts.as_slice() {
        [millis, value] => (millis, value, "0"),
        [millis, value, step] | [millis, value, step, _, _] => (millis, value, *step),
        _ => return None,
    };
    Some(Line {
        millis: millis.parse().ok()?,
        value: value.parse().ok()?,
        step: step.parse().ok()?,
    })
}

/// Lines that are no points: the first are named, the others counted.
struct Odd<'a> {
    named: &'a mut Vec<String>,
    more: usize,
}

impl Odd<'_> {
    const MOST: usize = 100;

    fn new(named: &mut Vec<String>) -> Odd<'_> {
        Odd { named, more: 0 }
    }

    fn name(&mut self, line: impl FnOnce() -> String) {
        match self.named.len() < Odd::MOST {
            true => self.named.push(line()),
            false => self.more += 1,
        }
    }

    fn count(self) {
        if self.more > 0 {
            self.named.push(format!("{} more such lines", self.more));
        }
    }
}

/// A metric from its file, one line a point: milliseconds, value, step. `left_out` is told of lines that are none of a
/// series.
fn metric(name: &str, bytes: &[u8], is_plain: bool, left_out: &mut Vec<String>) -> Metric {
    let mut metric = Metric {
        name: name.to_owned(),
        ..Metric::default()
    };
    let mut lines = Vec::new();
    let mut odd = Odd::new(left_out);
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let parsed = std::str::from_utf8(line).ok().and_then(parse_line);
        match parsed {
            Some(line) => {
                memory::reserve(&mut lines, 1);
                lines.push(line);
            }
            None if line.trim_ascii().is_empty() => {}
            None => odd.name(|| format!("line {number} is no point")),
        }
    }
    // What MLflow shows: with a NaN nothing compares.
    let mut shown: Option<Line> = None;
    for line in &lines {
        let is_later = shown.is_none_or(|shown| {
            let (a, b) = ((line.step, line.millis), (shown.step, shown.millis));
            a > b || a == b && line.value > shown.value
        });
        if is_later {
            shown = Some(*line);
        }
    }
    if is_plain {
        lines.pop();
    }
    let mut reported: Option<(i64, f64)> = None;
    for line in lines {
        let step = i64::try_from(line.step).ok();
        let Some(step) = step.filter(|step| step.unsigned_abs() <= MAX_INT.unsigned_abs()) else {
            odd.name(|| format!("step {} is beyond 2^53", line.step));
            continue;
        };
        memory::reserve(&mut metric.steps, 1);
        memory::reserve(&mut metric.values, 1);
        memory::reserve(&mut metric.times, 1);
        metric.steps.push(step);
        metric.values.push(line.value);
        metric.times.push(line.millis as f64 / 1000.0);
        if reported.is_none_or(|(millis, _)| line.millis >= millis) {
            reported = Some((line.millis, line.value));
        }
    }
    odd.count();
    let reported = reported.map(|(_, value)| value.to_bits());
    metric.last = shown.map(|shown| shown.value);
    metric.last = metric.last.filter(|last| Some(last.to_bits()) != reported);
    metric
}

fn data_version(meta: &HashMap<String, String>) -> DataVersion {
    let json = |key: &str| Json::parse(meta.get(key)?.as_bytes()).ok();
    if meta.get("source_type").is_some_and(|it| it == DATA_SOURCE) {
        // One that was exported from a ledger.
        return DataVersion::read(json("source").unwrap_or(Json::Null));
    }
    let columns = match json("schema").and_then(|schema| schema.get("mlflow_colspec").cloned()) {
        Some(Json::Array(columns)) => columns,
        _ => Vec::new(),
    };
    let column = |column: Json| {
        let name = column.get("name")?.as_str()?.to_owned();
        Some((name, column.get("type")?.as_str()?.to_owned()))
    };
    let mut columns: Vec<(String, String)> = columns.into_iter().filter_map(column).collect();
    let mut seen = HashSet::new();
    columns.retain(|(name, _)| seen.insert(name.clone()));
    let profile = json("profile");
    let number = |key: &str| {
        let number = profile.as_ref()?.get(key)?.as_int()?;
        (0..=MAX_INT).contains(&number).then_some(number)
    };
    DataVersion {
        hash: meta.get("digest").cloned(),
        rows: number("num_rows"),
        cols: (!columns.is_empty()).then_some(columns.len() as i64),
        columns,
        ..DataVersion::default()
    }
}

/// A path or a URI of this machine's, or of a server that keeps the artifacts in the store.
fn is_local(uri: &str) -> bool {
    match uri.split_once(':') {
        Some(("file" | "mlflow-artifacts", _)) | None => true,
        // A drive of Windows.
        Some((scheme, _)) => scheme.len() == 1,
    }
}

/// A name without its extension, as an artifact is called that is given by its path alone.
pub fn stem(name: &str) -> &str {
    let compressed = [".gz", ".bz2", ".xz"].into_iter();
    let plain = compressed
        .filter_map(|ending| name.strip_suffix(ending))
        .next();
    let name = plain.filter(|name| name.contains('.')).unwrap_or(name);
    match name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && !stem.ends_with('.')
                && !extension.is_empty()
                && extension.chars().all(|c| c.is_ascii_alphanumeric()) =>
        {
            stem
        }
        _ => name,
    }
}

/// Names that are taken.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
    /// The last number that was given to a name.
    numbers: HashMap<String, u64>,
}

impl Names {
    /// Takes a name that isn't taken: itself, or with a number. `key` is what two names may not have in common.
    pub fn take(&mut self, name: String, key: impl Fn(&str) -> String) -> String {
        let mut candidate = name.clone();
        while !self.taken.insert(key(&candidate)) {
            candidate = self.next(&name, false);
        }
        candidate
    }

    /// The next one to be tried after a name was found to be taken: itself once, if it wasn't tried, then with a number.
    pub fn next(&mut self, name: &str, is_untried: bool) -> String {
        if is_untried && !self.numbers.contains_key(name) {
            self.numbers.insert(name.to_owned(), 1);
            return name.to_owned();
        }
        let number = self.numbers.entry(name.to_owned()).or_insert(1);
        *number += 1;
        format!("{name}-{number}")
    }
}

fn percent_decoded(uri: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
