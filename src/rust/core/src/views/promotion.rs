//! Registering, promoting and rolling back: a request becomes an event, or is refused.
//!
//! Nothing here opens a file, so who only looks and who decides under the lock ask the same rules. What they let
//! through, [`Registry`] takes over when it comes to the event.

use std::path::Path;

use crate::error::{Error, LOOK_AGAIN, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::event::{Event, EventKind};
use crate::format::id::{RunId, Seq};
use crate::format::json::Json;
use crate::format::model_context::ModelContext;
use crate::format::object::Object;
use crate::views::registry::{Model, Registry, is_model_name, is_stage_name, stage_like};
use crate::views::runs::{Part, Run, Runs};

/// What a decision rests on.
#[derive(Clone, Copy)]
pub struct State<'a> {
    pub path: &'a Path,
    pub runs: &'a Runs,
    pub registry: &'a Registry,
}

/// An artifact of a run that is to be the next version of a model.
#[derive(Clone, Copy)]
pub struct Registration<'a> {
    pub model: &'a str,
    pub run_id: &'a str,
    pub artifact: &'a str,
    pub signature: Option<&'a Json>,
    /// The hash of the bytes that were looked at; `None` before anybody has.
    pub verified: Option<&'a str>,
}

/// The version that a registration makes.
#[derive(Debug)]
pub struct Registered<'a> {
    pub version: i64,
    /// The run's entry of the artifact.
    pub entry: &'a ArtifactEntry,
    pub event: Event,
}

/// How a stage is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Promote(i64),
    /// To the version before.
    Rollback,
    /// Not at all: a gate said no to this version.
    Refuse(i64),
}

/// What a stage is believed to point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever it is.
    Anything,
    /// This version, or nothing.
    Version(Option<i64>),
}

/// A move of a stage, and what goes on record with it.
#[derive(Clone, Copy)]
pub struct Promotion<'a> {
    pub model: &'a str,
    pub stage: &'a str,
    pub to: Move,
    pub expect: Expect,
    /// What a gate measured.
    pub figures: &'a Object,
    /// Why, the gate's verdict, its data.
    pub context: &'a Object,
}

/// What comes of a move.
#[derive(Debug)]
pub struct Promoted {
    pub version: i64,
    /// The version to which the stage points before the move.
    pub current: Option<i64>,
    /// `None` where the stage points to the version already.
    pub event: Option<Event>,
}

impl<'a> State<'a> {
    pub fn register(self, request: &Registration<'_>) -> Result<Registered<'a>> {
        if !is_model_name(request.model) {
            return Err(Error::Argument {
                arg: "name",
                why: format!(
                    "`name` must be text of up to 200 characters without `@` and `/`, not {:?}",
                    request.model
                ),
                hint: String::new(),
            });
        }
        let run = self.runs.known(request.run_id)?;
        self.runs.load(&[run.row], &[Part::Extras])?;
        let entry = stored_artifact(run, request.artifact)?;
        if request.verified.is_some() && request.verified != entry.sha256.as_deref() {
            let artifact = request.artifact;
            return Err(self.conflict(format!("The artifact `{artifact}` was logged anew")));
        }
        let run_id = self.fit(run, "")?;
        let model = self.registry.model(request.model);
        let version = model.map_or(0, |model| model.versions.len() as i64) + 1;
        let named = ArtifactEntry {
            data: None,
            outcome: Vec::new(),
            ..entry.clone()
        };
        let event = Event {
            run_id: Some(run_id),
            artifacts: Object::new().named_object(request.artifact, &Object::from(&named.json())),
            context: ModelContext::registration(
                request.model,
                version,
                request.signature,
                &entry.outcome,
            ),
            ..Event::new(EventKind::Register)
        };
        Ok(Registered {
            version,
            entry,
            event,
        })
    }

    pub fn promote(self, request: &Promotion<'_>) -> Result<Promoted> {
        let stage = request.stage;
        let model = self.registry.known_model(request.model)?;
        if !is_stage_name(stage) {
            return Err(Error::Argument {
                arg: "stage",
                why: format!(
                    "`stage` must be a name of lower-case letters, digits, `_` and `-`, not {stage:?}"
                ),
                hint: match stage_like(stage) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => String::new(),
                },
            });
        }
        let current = model.current(stage);
        let (version, event) = match request.to {
            Move::Promote(version) => {
                model.known_version(version)?;
                self.check_expected(request, current)?;
                let event = match current == Some(version) {
                    true => None,
                    false => {
                        let run_id = self.fit_version(model, version)?;
                        Some(request.event(EventKind::Promote, run_id, version, current, None))
                    }
                };
                (version, event)
            }
            Move::Rollback => {
                let known = model.known_stage(stage)?;
                self.check_expected(request, current)?;
                let is_fit = |version| self.fit_version(model, version).is_ok();
                let (version, undoes) = known.rollback(is_fit).ok_or_else(|| {
                    self.conflict_hinted(
                        format!(
                            "There is no version that `{stage}` of `{}` could be rolled back to",
                            model.name
                        ),
                        "Nothing was changed. `stage_history()` says where the stage has been; `promote_model()` points it to any version.",
                    )
                })?;
                let run_id = self.fit_version(model, version)?;
                let event =
                    request.event(EventKind::Promote, run_id, version, current, Some(undoes));
                (version, Some(event))
            }
            Move::Refuse(version) => {
                let run_id = self.run_id(&model.known_version(version)?.run_id)?;
                // What the gate compared with, whatever has happened meanwhile.
                let previous = match request.expect {
                    Expect::Version(expected) => expected,
                    Expect::Anything => current,
                };
                let event = request.event(EventKind::Refuse, run_id, version, previous, None);
                (version, Some(event))
            }
        };
        Ok(Promoted {
            version,
            current,
            event,
        })
    }

    fn check_expected(self, request: &Promotion<'_>, current: Option<i64>) -> Result<()> {
        let expected = match request.expect {
            Expect::Version(expected) if expected != current => expected,
            _ => return Ok(()),
        };
        let version =
            |version: Option<i64>| version.map_or("no version".into(), |v| format!("version {v}"));
        Err(self.conflict(format!(
            "`{}` of `{}` points to {}, not to {}",
            request.stage,
            request.model,
            version(current),
            version(expected)
        )))
    }

    /// The run of a version, if somebody may rest on it.
    fn fit_version(self, model: &Model, version: i64) -> Result<RunId> {
        let run = self.runs.known(&model.known_version(version)?.run_id)?;
        self.fit(run, &format!(" of `{}/{version}`", model.name))
    }

    fn fit(self, run: Run<'_>, of: &str) -> Result<RunId> {
        match run.unfit() {
            Some(why) => Err(self.conflict(format!("The run `{}`{of} {why}", run.id()))),
            None => self.run_id(run.id()),
        }
    }

    fn run_id(self, id: &str) -> Result<RunId> {
        RunId::new(id).ok_or_else(|| self.conflict(format!("`{id}` is no run's id")))
    }

    fn conflict(self, what: String) -> Error {
        self.conflict_hinted(what, LOOK_AGAIN)
    }

    fn conflict_hinted(self, what: String, hint: &'static str) -> Error {
        Error::Conflict {
            path: self.path.to_owned(),
            what,
            hint,
        }
    }
}

impl Promotion<'_> {
    fn event(
        &self,
        kind: EventKind<'static>,
        run_id: RunId,
        version: i64,
        previous: Option<i64>,
        undoes: Option<Seq>,
    ) -> Event {
        let (model, stage) = (self.model, self.stage);
        let undoes = undoes.map(|seq| seq.0);
        let context = ModelContext::promotion(model, version, stage, previous, undoes);
        Event {
            run_id: Some(run_id),
            metrics: self.figures.clone(),
            context: context.extend(self.context),
            ..Event::new(kind)
        }
    }
}

fn stored_artifact<'a>(run: Run<'a>, name: &str) -> Result<&'a ArtifactEntry> {
    let artifacts = run.artifacts();
    let Some((_, entry)) = artifacts.iter().find(|(known, _)| known == name) else {
        return Err(Error::Unknown {
            what: "artifact",
            name: name.to_owned(),
            known: artifacts.iter().map(|(name, _)| name.clone()).collect(),
            hint: String::new(),
        });
    };
    if !entry.stored {
        return Err(Error::Argument {
            arg: "artifact",
            why: format!("The artifact `{name}` was recorded by its path and isn't stored"),
            hint: "Log it with `keep = TRUE`, so that the version can't vanish.".into(),
        });
    }
    if entry.pointers {
        return Err(Error::Argument {
            arg: "artifact",
            why: format!(
                "The artifact `{name}` can't come back as it was: it held external pointers"
            ),
            hint: "Save the model to a file by the function that its package has for that, and log the file.".into(),
        });
    }
    Ok(entry)
}
