//! Registering and promoting models, and looking them up.

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::{Value, unescape_key};
use fitledger_core::ledger::objects::Objects;
use fitledger_core::views::promotion::{Expect, Move, Promotion, Registration, State};
use fitledger_core::views::registry::{Change, Model, Version};
use fitledger_core::views::runs::Part;

use crate::append_request::{AppendRequest, Entropy, with_remarks};
use crate::artifacts::progress;
use crate::from_r::{self, path};
use crate::guard::{Failure, guard};
use crate::r::R;
use crate::to_r;
use crate::view_cache::{REGISTRIES, Views, guard_views};

fn text(x: &Robj, name: &str) -> Result<String, Failure> {
    R::of(x).string().ok_or_else(|| Failure::argument(name))
}

fn number(x: &Robj, name: &str) -> Result<f64, Failure> {
    let x = R::of(x);
    match (x.ty(), x.len()) {
        (SEXPTYPE::REALSXP, 1) => Ok(x.doubles()[0]),
        _ => Err(Failure::argument(name)),
    }
}

/// How a stage is to move: `"promote"` and `"refuse"` speak of a version.
fn move_of(change: &Robj, version: &Robj) -> Result<Move, Failure> {
    let version = || Ok::<i64, Failure>(number(version, "version")? as i64);
    match text(change, "change")?.as_str() {
        "promote" => Ok(Move::Promote(version()?)),
        "refuse" => Ok(Move::Refuse(version()?)),
        "rollback" => Ok(Move::Rollback),
        _ => Err(Failure::argument("change")),
    }
}

/// What a stage is believed to point to: a version, `NA` for none, `NULL` for whatever it is.
fn expect_of(x: &Robj) -> Result<Expect, Failure> {
    if R::of(x).is_null() {
        return Ok(Expect::Anything);
    }
    let version = number(x, "expect")?;
    Ok(Expect::Version(
        (!version.is_nan()).then_some(version as i64),
    ))
}

/// Every version of every model: `list(model, version, run_id, sha256, stages, registered)`.
///
/// @noRd
#[extendr]
fn native_models(file: Robj) -> Robj {
    guard(|| {
        let cached = REGISTRIES.lend(path(&file)?)?;
        let registry = cached.view();
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
        Ok(list!(
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
            registered = to_r::instants(versions.iter().map(|(_, _, v)| v.registered.seconds()))
        )
        .into())
    })
}

/// The model version that `name@stage` or `name/version` stands for: `list(name, version, run_id, artifact,
/// sha256, size, file, folder, stored, unfit, signature, params, metrics)`; `unfit` says why nobody should rest on its
/// run, and the last two are that's.
///
/// @noRd
#[extendr]
fn native_version(file: Robj, model: Robj) -> Robj {
    guard_views(|| {
        let views = Views::of(path(&file)?)?;
        let state = views.state();
        let (model, version) = state.registry.resolve(&text(&model, "model")?)?;
        Ok(facts(state, model, version)?)
    })
}

fn facts(state: State<'_>, model: &Model, number: i64) -> fitledger_core::Result<Robj> {
    let version = model.known_version(number)?;
    let run = state.runs.known(&version.run_id)?;
    state.runs.load(&[run.row], &[Part::Values])?;
    let text = |text: &Option<String>| text.as_deref().map_or(Robj::from(()), Robj::from);
    let entry = &version.entry;
    let signature = version.signature.as_ref();
    Ok(list!(
        name = model.name.as_str(),
        version = number as i32,
        run_id = version.run_id.as_str(),
        artifact = version.artifact.as_str(),
        sha256 = text(&entry.sha256),
        size = entry.size.map_or(f64::NAN, |size| size as f64),
        file = text(&entry.file),
        folder = entry.folder,
        stored = entry.stored,
        unfit = run.unfit().map_or(Robj::from(()), Robj::from),
        signature = signature.map_or(Robj::from(()), |json| to_r::value(&Value::from_json(json))),
        params = to_r::value(&Value::NamedList(run.params())),
        metrics = to_r::value(&Value::NamedList(run.metrics()))
    )
    .into())
}

/// What happened to a model's stages:
/// `list(time, stage, change, version, previous, why, user, figures)`.
///
/// @noRd
#[extendr]
fn native_stage_history(file: Robj, name: Robj) -> Robj {
    guard(|| {
        let cached = REGISTRIES.lend(path(&file)?)?;
        let registry = cached.view();
        let changes = &registry.known_model(&text(&name, "name")?)?.history;
        let texts = |of: &dyn Fn(&Change) -> Option<String>| {
            let texts: Vec<Option<String>> = changes.iter().map(of).collect();
            to_r::strings(texts.iter().map(Option::as_deref))
        };
        let figures = changes.iter().map(|change| {
            let figures = change.figures.iter();
            let figures =
                figures.map(|(key, json)| (unescape_key(key).to_owned(), Value::from_json(json)));
            to_r::value(&Value::NamedList(figures.collect()))
        });
        let previous = |change: &Change| match change.previous {
            Some(version) => i32::try_from(version).map_or(Rint::na(), Rint::from),
            None => Rint::na(),
        };
        Ok(list!(
            time = to_r::instants(changes.iter().map(|change| change.time.seconds())),
            stage = texts(&|change| Some(change.stage.clone())),
            change = texts(&|change| Some(change.kind.name().to_owned())),
            version = changes
                .iter()
                .map(|change| change.version as i32)
                .collect::<Vec<i32>>(),
            previous = changes.iter().map(previous).collect::<Integers>(),
            why = texts(&|change| change.context.why().map(str::to_owned)),
            user = texts(&|change| registry.users.get(&change.session).cloned()),
            figures = List::from_values(figures.collect::<Vec<Robj>>())
        )
        .into())
    })
}

/// Where to append what was decided: no ledger begins with it.
fn registry_request(request: &Robj) -> Result<AppendRequest, Failure> {
    let mut request = AppendRequest::of(request)?;
    request.create = false;
    Ok(request)
}

/// Makes the next version of a model from a run's artifact, whose bytes are verified first; the version.
///
/// @noRd
#[extendr]
fn native_register(
    request: Robj,
    name: Robj,
    run_id: Robj,
    artifact: Robj,
    signature: Robj,
    on_progress: Robj,
) -> Robj {
    guard_views(|| {
        let request = registry_request(&request)?;
        let (name, run_id) = (text(&name, "name")?, text(&run_id, "run_id")?);
        let artifact = text(&artifact, "artifact")?;
        let signature = match R::of(&signature).is_null() {
            true => None,
            false => Some(from_r::own_json(R::of(&signature))?),
        };
        let mut views = Views::of(request.path().to_owned())?;
        let registration = Registration {
            model: &name,
            run_id: &run_id,
            artifact: &artifact,
            signature: signature.as_ref(),
            verified: None,
        };
        let entry = views.state().register(&registration)?.entry.clone();
        let digest = entry
            .digest()
            .ok_or_else(|| Failure::argument("artifact"))?;
        let objects = Objects::beside(request.path());
        objects.open(&digest, entry.size, &mut progress(&on_progress))?;
        let registration = Registration {
            verified: entry.sha256.as_deref(),
            ..registration
        };
        let mut version = 0;
        let (_, remarks) = request.append_decided(&mut Entropy::new(), |read_since| {
            let decided = views.catch_up(read_since)?.register(&registration)?;
            version = decided.version;
            Ok([(Timestamp::now(), decided.event)])
        })?;
        Ok(with_remarks(Robj::from(version as i32), remarks))
    })
}

/// Looks how a stage would move: `list(candidate, current)`, both as `native_version()` gives them, `current` `NULL`
/// where the stage points nowhere. `NULL` where it points to the version already.
///
/// The arguments are those of `native_promote()`; of `expect`, `NULL` is whatever the stage points to.
///
/// @noRd
#[extendr]
fn native_look(
    file: Robj,
    change: Robj,
    name: Robj,
    version: Robj,
    stage: Robj,
    expect: Robj,
) -> Robj {
    guard_views(|| {
        let (name, stage) = (text(&name, "name")?, text(&stage, "stage")?);
        let views = Views::of(path(&file)?)?;
        let state = views.state();
        let looked = state.promote(&Promotion {
            model: &name,
            stage: &stage,
            to: move_of(&change, &version)?,
            expect: expect_of(&expect)?,
            figures: &Object::new(),
            context: &Object::new(),
        })?;
        if looked.event.is_none() {
            return Ok(Robj::from(()));
        }
        let model = state.registry.known_model(&name)?;
        let current = looked.current.map(|current| facts(state, model, current));
        Ok(list!(
            candidate = facts(state, model, looked.version)?,
            current = current.transpose()?.unwrap_or_else(|| Robj::from(()))
        )
        .into())
    })
}

/// Moves a stage of a model, or records that a gate refused to; the version.
///
/// `change` is `"promote"`, `"refuse"`, or `"rollback"`, for which `version` is not looked at. `expect` is the version
/// that the stage is believed to point to, `NA` for none: compared under the lock.
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
        let request = registry_request(&request)?;
        let (name, stage) = (text(&name, "name")?, text(&stage, "stage")?);
        let figures = from_r::object(&from_r::metrics(R::of(&figures), "figures")?);
        let more = Object::from(&from_r::own_json(R::of(&more))?);
        let promotion = Promotion {
            model: &name,
            stage: &stage,
            to: move_of(&change, &version)?,
            expect: expect_of(&expect)?,
            figures: &figures,
            context: &more,
        };
        let mut views = Views::of(request.path().to_owned())?;
        let mut version = 0;
        let (_, remarks) = request.append_decided(&mut Entropy::new(), |read_since| {
            let decided = views.catch_up(read_since)?.promote(&promotion)?;
            version = decided.version;
            let events = decided.event.into_iter();
            Ok(events.map(|event| (Timestamp::now(), event)))
        })?;
        Ok(with_remarks(Robj::from(version as i32), remarks))
    })
}

extendr_module! {
    mod registry;
    fn native_models;
    fn native_version;
    fn native_stage_history;
    fn native_register;
    fn native_look;
    fn native_promote;
}
