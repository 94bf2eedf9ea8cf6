//! Registering and promoting models, and looking them up.

use std::path::{Path, PathBuf};

use extendr_api::prelude::*;
use fitledger_core::error::Error;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::model_context::ModelContext;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::{Value, unescape_key};
use fitledger_core::ledger::{LedgerFile, ReadSince};
use fitledger_core::views::registry::{self, Change, Kind, Model, Registry, Version};
use fitledger_core::views::runs::Runs;
use fitledger_core::views::view_cache::ViewGuard;

use crate::append_request::{AppendRequest, Entropy, with_warning};
use crate::from_r::{self, path};
use crate::guard::{Failure, guard};
use crate::r::R;
use crate::to_r;
use crate::view_cache::{REGISTRIES, RUNS, guard_views};

fn ask(file: &Robj, question: impl FnOnce(&Registry) -> Robj) -> Result<Robj, Failure> {
    Ok(question(REGISTRIES.lend(path(file)?)?.view()))
}

fn text(x: &Robj, name: &str) -> Result<String, Failure> {
    R::of(x).string().ok_or_else(|| Failure::argument(name))
}

fn whole(x: &Robj) -> Option<i64> {
    let x = R::of(x);
    match (x.ty(), x.len()) {
        (extendr_ffi::SEXPTYPE::REALSXP, 1) => Some(x.doubles()[0] as i64),
        _ => None,
    }
}

/// Whether a text can name a model (`stage` is `FALSE`) or a stage.
///
/// @noRd
#[extendr]
fn native_is_name(name: Robj, stage: Robj) -> Robj {
    guard(|| {
        let name = text(&name, "name")?;
        Ok(Robj::from(match R::of(&stage).is_true() {
            true => registry::is_stage_name(&name),
            false => registry::is_model_name(&name),
        }))
    })
}

/// Every version of every model: `list(model, version, run_id, sha256, stages, registered)`.
///
/// @noRd
#[extendr]
fn native_models(file: Robj) -> Robj {
    guard(|| {
        ask(&file, |registry| {
            let versions: Vec<(&Model, i64, &Version)> = registry
                .models
                .iter()
                .flat_map(|model| (1..).zip(&model.versions).map(move |(i, v)| (model, i, v)))
                .collect();
            let stages = versions.iter().map(|(model, version, _)| {
                let current = model
                    .stages
                    .iter()
                    .filter(|stage| stage.current() == *version);
                let names: Vec<&str> = current.map(|stage| stage.name.as_str()).collect();
                to_r::strings(names.into_iter().map(Some))
            });
            let hashes = versions.iter().map(|(_, _, v)| v.entry.sha256.as_deref());
            list!(
                model = to_r::strings(
                    versions
                        .iter()
                        .map(|(model, _, _)| Some(model.name.as_str()))
                ),
                version = versions
                    .iter()
                    .map(|(_, i, _)| *i as i32)
                    .collect::<Vec<i32>>(),
                run_id = to_r::strings(versions.iter().map(|(_, _, v)| Some(v.run_id.as_str()))),
                sha256 = to_r::strings(hashes),
                stages = List::from_values(stages.collect::<Vec<Robj>>()),
                registered =
                    to_r::instants(versions.iter().map(|(_, _, v)| v.registered.seconds()))
            )
            .into()
        })
    })
}

/// A model's stages: `list(versions, stages, current)`; `NULL` if there is no such model.
///
/// @noRd
#[extendr]
fn native_model(file: Robj, name: Robj) -> Robj {
    guard(|| {
        let name = text(&name, "name")?;
        ask(&file, |registry| match registry.model(&name) {
            None => Robj::from(()),
            Some(model) => list!(
                versions = model.versions.len() as f64,
                stages = to_r::strings(model.stages.iter().map(|stage| Some(stage.name.as_str()))),
                current = to_r::doubles(model.stages.iter().map(|stage| stage.current() as f64))
            )
            .into(),
        })
    })
}

/// The names of all models.
///
/// @noRd
#[extendr]
fn native_model_names(file: Robj) -> Robj {
    guard(|| {
        ask(&file, |registry| {
            to_r::strings(
                registry
                    .models
                    .iter()
                    .map(|model| Some(model.name.as_str())),
            )
        })
    })
}

/// A model version: `list(run_id, artifact, sha256, size, file, stored, registered, signature)`.
///
/// @noRd
#[extendr]
fn native_version(file: Robj, name: Robj, version: Robj) -> Robj {
    guard(|| {
        let name = text(&name, "name")?;
        let number = whole(&version).ok_or_else(|| Failure::argument("version"))?;
        ask(&file, |registry| {
            let model = registry.model(&name);
            let Some(version) = model.and_then(|model| model.version(number)) else {
                return Robj::from(());
            };
            let text = |text: &Option<String>| text.as_deref().map_or(Robj::from(()), Robj::from);
            let entry = &version.entry;
            let signature = version.signature.as_ref();
            list!(
                run_id = version.run_id.as_str(),
                artifact = version.artifact.as_str(),
                sha256 = text(&entry.sha256),
                size = entry.size.unwrap_or_default() as f64,
                file = text(&entry.file),
                folder = entry.folder,
                stored = entry.stored,
                registered = to_r::instants(std::iter::once(version.registered.seconds())),
                signature =
                    signature.map_or(Robj::from(()), |json| to_r::value(&Value::from_json(json)))
            )
            .into()
        })
    })
}

/// What happened to a model's stages:
/// `list(time, stage, change, version, previous, why, user, figures)`.
///
/// @noRd
#[extendr]
fn native_stage_history(file: Robj, name: Robj) -> Robj {
    guard(|| {
        let name = text(&name, "name")?;
        ask(&file, |registry| {
            let changes = registry
                .model(&name)
                .map_or(&[][..], |model| &model.history);
            let texts = |of: &dyn Fn(&Change) -> Option<String>| {
                let texts: Vec<Option<String>> = changes.iter().map(of).collect();
                to_r::strings(texts.iter().map(Option::as_deref))
            };
            let kind = |change: &Change| match change.kind {
                Kind::Promotion => "promote",
                Kind::Rollback => "rollback",
                Kind::Refusal => "refuse",
            };
            let why = |change: &Change| change.context.why().map(str::to_owned);
            let figures = changes.iter().map(|change| {
                let figures = change.figures.iter();
                let figures = figures
                    .map(|(key, json)| (unescape_key(key).to_owned(), Value::from_json(json)));
                to_r::value(&Value::NamedList(figures.collect()))
            });
            let previous = |change: &Change| match change.previous {
                Some(version) => i32::try_from(version).map_or(Rint::na(), Rint::from),
                None => Rint::na(),
            };
            list!(
                time = to_r::instants(changes.iter().map(|change| change.time.seconds())),
                stage = texts(&|change| Some(change.stage.clone())),
                change = texts(&|change| Some(kind(change).to_owned())),
                version = changes
                    .iter()
                    .map(|change| change.version as i32)
                    .collect::<Vec<i32>>(),
                previous = changes.iter().map(previous).collect::<Integers>(),
                why = texts(&why),
                user = texts(&|change| registry.users.get(&change.session).cloned()),
                figures = List::from_values(figures.collect::<Vec<Robj>>())
            )
            .into()
        })
    })
}

/// What a decision about models rests on: runs and registry, as they are under the lock.
struct State {
    runs: ViewGuard<Runs, Failure>,
    registry: ViewGuard<Registry, Failure>,
}

impl State {
    fn read(path: &Path) -> Result<State, Failure> {
        let file = LedgerFile::open(path)?;
        Ok(State {
            runs: RUNS.lend_of(&file)?,
            registry: REGISTRIES.lend_of(&file)?,
        })
    }

    fn catch_up(&mut self, read_since: ReadSince<'_>) -> fitledger_core::Result<()> {
        self.runs.catch_up(read_since)?;
        self.registry.catch_up(read_since)
    }

    /// The run, if its model may be registered and promoted.
    fn fit_run(&self, path: &Path, id: &str) -> fitledger_core::Result<RunId> {
        let conflict = |what| Error::Conflict {
            path: path.to_owned(),
            what,
        };
        let Some(run) = self.runs.view().get(id)? else {
            return Err(conflict(format!("There is no run `{id}`")));
        };
        if let Some(why) = run.unfit() {
            return Err(conflict(format!("The run `{id}` {why}")));
        }
        RunId::new(id).ok_or_else(|| conflict(format!("`{id}` is no run's id")))
    }
}

fn absolute(request: &AppendRequest) -> PathBuf {
    std::path::absolute(request.path()).unwrap_or_else(|_| request.path().to_owned())
}

/// Makes the next version of a model from a run's artifact, a list of one; the version.
///
/// @noRd
#[extendr]
fn native_register(request: Robj, name: Robj, run_id: Robj, artifact: Robj, more: Robj) -> Robj {
    guard_views(|| {
        let mut request = AppendRequest::of(&request)?;
        request.create = false;
        let path = absolute(&request);
        let (name, run_id) = (text(&name, "name")?, text(&run_id, "run_id")?);
        let artifacts = Object::from(&from_r::own_json(R::of(&artifact))?);
        let more = Object::from(&from_r::own_json(R::of(&more))?);
        let mut state = State::read(&path)?;
        let mut version = 0;
        let outcome = request.append_decided(&mut Entropy::new(), |read_since| {
            state.catch_up(read_since)?;
            let run = state.fit_run(&path, &run_id)?;
            let model = state.registry.view().model(&name);
            version = model.map_or(1, |model| model.versions.len() as i64 + 1);
            let context = ModelContext::registration(&name, version, None).extend(&more);
            let event = Event {
                run_id: Some(run),
                artifacts,
                context,
                ..Event::new(EventKind::Register)
            };
            Ok(vec![(Timestamp::now(), event)])
        });
        let warning = outcome?;
        Ok(with_warning(Robj::from(version as f64), warning))
    })
}

/// Moves a stage of a model, or records that a gate refused to; the version.
///
/// `change` is `"promote"`, `"refuse"` or `"rollback"`, for which `version` is `NULL`. `expect` is the
/// version that the stage is believed to point to, `NULL` for none: compared under the lock.
///
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments, reason = "the cells of a row")]
fn native_promote(
    request: Robj,
    change: Robj,
    name: Robj,
    version: Robj,
    stage: Robj,
    expect: Robj,
    figures: Robj,
    more: Robj,
) -> Robj {
    guard_views(|| {
        let mut request = AppendRequest::of(&request)?;
        request.create = false;
        let path = absolute(&request);
        let (change, name, stage) = (
            text(&change, "change")?,
            text(&name, "name")?,
            text(&stage, "stage")?,
        );
        let (version, expect) = (whole(&version), whole(&expect));
        let figures = from_r::metrics(R::of(&figures), "figures")?;
        let metrics = from_r::object(&figures);
        let more = Object::from(&from_r::own_json(R::of(&more))?);
        let mut state = State::read(&path)?;
        let mut chosen = 0;
        let outcome = request.append_decided(&mut Entropy::new(), |read_since| {
            state.catch_up(read_since)?;
            let conflict = |what| Error::Conflict {
                path: path.clone(),
                what,
            };
            let model = state.registry.view().model(&name);
            let model = model.ok_or_else(|| conflict(format!("There is no model `{name}`")))?;
            let current = model.current(&stage);
            if change != "refuse" && current != expect {
                return Err(conflict(moved(&name, &stage, current, expect)));
            }
            let mut undoes = None;
            chosen = match version {
                Some(version) => version,
                None => {
                    let fit = |version| {
                        let run = model.version(version).map(|version| &version.run_id);
                        run.is_some_and(|run| state.fit_run(&path, run).is_ok())
                    };
                    let back = model.stage(&stage).and_then(|stage| stage.rollback(fit));
                    let (version, seq) = back.ok_or_else(|| {
                        conflict(format!(
                            "There is no version that `{stage}` of `{name}` could be rolled back to"
                        ))
                    })?;
                    undoes = Some(seq);
                    version
                }
            };
            let known = model.version(chosen);
            let known = known
                .ok_or_else(|| conflict(format!("There is no version {chosen} of `{name}`")))?;
            let run = match change.as_str() {
                "refuse" => RunId::new(&known.run_id),
                _ => Some(state.fit_run(&path, &known.run_id)?),
            };
            let previous = if change == "refuse" { expect } else { current };
            let undoes = undoes.map(|seq| seq.0);
            let context = ModelContext::promotion(&name, chosen, &stage, previous, undoes);
            let event = Event {
                run_id: run,
                metrics,
                context: context.extend(&more),
                ..Event::new(match change.as_str() {
                    "refuse" => EventKind::Refuse,
                    _ => EventKind::Promote,
                })
            };
            Ok(vec![(Timestamp::now(), event)])
        });
        let warning = outcome?;
        Ok(with_warning(Robj::from(chosen as f64), warning))
    })
}

fn moved(name: &str, stage: &str, current: Option<i64>, expect: Option<i64>) -> String {
    let version =
        |version: Option<i64>| version.map_or("no version".into(), |v| format!("version {v}"));
    format!(
        "`{stage}` of `{name}` points to {} by now, not to {}",
        version(current),
        version(expect)
    )
}

extendr_module! {
    mod registry;
    fn native_is_name;
    fn native_models;
    fn native_model;
    fn native_model_names;
    fn native_version;
    fn native_stage_history;
    fn native_register;
    fn native_promote;
}
