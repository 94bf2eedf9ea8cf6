//! The registry: model versions, the stages that point to them, and how these moved.

use std::collections::HashMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::event::EventKind;
use crate::format::id::Seq;
use crate::format::json::Json;
use crate::format::model_context::ModelContext;
use crate::format::row::Row;
use crate::format::session_context::SessionContext;
use crate::format::time::Timestamp;
use crate::ledger::Ledger;
use crate::views::batch::Batch;
use crate::views::fold::{self, Fold, Refusal};
use crate::views::parallel_read::BulkFold;
use crate::views::run_ids::{Effect, RunIds, WithoutEffect};

/// All models of a ledger, in the order of their first versions.
#[derive(Debug, Default)]
pub struct Registry {
    pub models: Vec<Model>,
    pub without_effect: Vec<WithoutEffect>,
    /// The user of each session.
    pub users: HashMap<String, String>,
    by_name: HashMap<String, usize>,
    pub run_ids: RunIds,
}

#[derive(Debug)]
pub struct Model {
    pub name: String,
    /// Version 1 is the first.
    pub versions: Vec<Version>,
    pub stages: Vec<Stage>,
    pub history: Vec<Change>,
}

/// A model version: an artifact of a run.
#[derive(Debug)]
pub struct Version {
    pub run_id: String,
    /// Name and entry of the artifact.
    pub artifact: String,
    pub entry: ArtifactEntry,
    pub signature: Option<Json>,
    pub registered: Timestamp,
}

/// A name that points to one version.
#[derive(Debug)]
pub struct Stage {
    pub name: String,
    /// The versions that it pointed to, each with the seq of its promotion; the last one is
    /// current. A rollback takes from the end.
    path: Vec<(i64, Seq)>,
    rolled_back: Vec<i64>,
}

impl Stage {
    pub fn current(&self) -> i64 {
        self.path.last().expect("a stage points to a version").0
    }

    /// Where a rollback leads: the last version before the current one that is fit and was never
    /// rolled back from, and the seq of the promotion that it undoes.
    pub fn rollback(&self, fit: impl Fn(i64) -> bool) -> Option<(i64, Seq)> {
        let (_, undoes) = *self.path.last()?;
        let usable = |version: i64| self.may_return(version) && fit(version);
        let target = self
            .path
            .iter()
            .rev()
            .find(|(version, _)| usable(*version))?;
        Some((target.0, undoes))
    }

    /// Whether a rollback may lead to a version.
    fn may_return(&self, version: i64) -> bool {
        version != self.current() && !self.rolled_back.contains(&version)
    }

    fn promote(&mut self, version: i64, seq: Seq) {
        self.path.push((version, seq));
    }

    fn roll_back(&mut self, version: i64, seq: Seq) {
        self.rolled_back.push(self.current());
        match self.path.iter().rposition(|(known, _)| *known == version) {
            Some(at) => self.path.truncate(at + 1),
            None => self.path.push((version, seq)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Promotion,
    Rollback,
    /// A gate said no, or failed: the stage stayed as it was.
    Refusal,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Promotion => "promote",
            Kind::Rollback => "rollback",
            Kind::Refusal => "refuse",
        }
    }
}

/// Something that happened, or was refused, to a stage.
#[derive(Debug)]
pub struct Change {
    pub seq: Seq,
    pub time: Timestamp,
    pub kind: Kind,
    pub stage: String,
    pub version: i64,
    pub previous: Option<i64>,
    pub session: String,
    /// What the gate measured.
    pub figures: Vec<(String, Json)>,
    /// The whole context of the row: why, the gate's verdict, its data.
    pub context: ModelContext,
}

impl Registry {
    pub fn fold(ledger: &Ledger) -> Result<Registry> {
        fold::fold(ledger)
    }

    pub fn model(&self, name: &str) -> Option<&Model> {
        self.by_name.get(name).map(|&index| &self.models[index])
    }

    pub fn known_model(&self, name: &str) -> Result<&Model> {
        self.model(name).ok_or_else(|| Error::Unknown {
            what: "model",
            name: name.to_owned(),
            known: self.models.iter().map(|model| model.name.clone()).collect(),
            hint: String::new(),
        })
    }

    /// The version that `name@stage` or `name/version` stands for.
    pub fn resolve(&self, text: &str) -> Result<(&Model, i64)> {
        let Some(at) = text.find(['@', '/']) else {
            let model = self.known_model(text)?;
            let stages = model.stages.iter();
            let mut forms: Vec<String> = stages
                .map(|stage| format!("`{text}@{}`", stage.name))
                .collect();
            forms.push(format!("`{text}/{}`", model.versions.len()));
            return Err(Error::Argument {
                arg: "model",
                why: format!("`{text}` names no version"),
                hint: format!("Write {}.", forms.join(" or ")),
            });
        };
        let (model, which) = (self.known_model(&text[..at])?, &text[at + 1..]);
        if text[at..].starts_with('@') {
            return Ok((model, model.known_stage(which)?.current()));
        }
        let is_number = which.bytes().all(|byte| byte.is_ascii_digit()) && !which.starts_with('0');
        let number: i64 = match which.parse() {
            Ok(number) if is_number => number,
            _ => return Err(model.unknown_version(which.to_owned())),
        };
        model.known_version(number)?;
        Ok((model, number))
    }

    /// Takes an event over, or says why it changes nothing.
    fn change(&mut self, row: &Row<'_>) -> std::result::Result<Option<&'static str>, Refusal> {
        let context = ModelContext::read(row.context)?;
        let (Some(name), Some(version)) = (context.model(), context.version()) else {
            return Ok(Some("it names no model or no version"));
        };
        if !is_model_name(name) {
            return Ok(Some("its model has a name that none can have"));
        }
        if self.run_ids.find(row.run_id)?.is_none() {
            return Ok(Some("its run has not begun"));
        }
        if row.event == EventKind::Register {
            return self.register(row, name, version, &context);
        }
        let Some(stage) = context.stage() else {
            return Ok(Some("it names no stage"));
        };
        if !is_stage_name(stage) {
            return Ok(Some("its stage has a name that none can have"));
        }
        let Some(&index) = self.by_name.get(name) else {
            return Ok(Some("its model has no version"));
        };
        let model = &mut self.models[index];
        match model.version(version) {
            None => return Ok(Some("its version is unknown")),
            Some(known) if known.run_id != row.run_id => {
                return Ok(Some("its version was made from another run"));
            }
            Some(_) => {}
        }
        let previous = context.previous();
        let kind = match row.event {
            EventKind::Refuse => Kind::Refusal,
            _ if context.is_rollback() => Kind::Rollback,
            _ => Kind::Promotion,
        };
        if kind != Kind::Refusal {
            if previous != model.current(stage) {
                return Ok(Some("its stage pointed to another version by then"));
            }
            if kind == Kind::Rollback
                && model
                    .stage(stage)
                    .is_none_or(|stage| !stage.may_return(version))
            {
                return Ok(Some("it returns to a version that was rolled back from"));
            }
            model.point(stage, version, kind, row.seq);
        }
        model.history.push(Change {
            seq: row.seq,
            time: row.time,
            kind,
            stage: stage.to_owned(),
            version,
            previous,
            session: context.session().unwrap_or_default().to_owned(),
            figures: row.metrics.pairs()?,
            context,
        });
        Ok(None)
    }

    fn register(
        &mut self,
        row: &Row<'_>,
        name: &str,
        version: i64,
        context: &ModelContext,
    ) -> std::result::Result<Option<&'static str>, Refusal> {
        let index = self.by_name.get(name).copied();
        let known = index.map_or(0, |index| self.models[index].versions.len());
        if version != known as i64 + 1 {
            return Ok(Some("its version is not the next one of the model"));
        }
        let Some((artifact, entry)) = row.artifacts.pairs()?.into_iter().next() else {
            return Ok(Some("it names no artifact"));
        };
        let index = index.unwrap_or_else(|| {
            self.by_name.insert(name.to_owned(), self.models.len());
            self.models.push(Model {
                name: name.to_owned(),
                versions: Vec::new(),
                stages: Vec::new(),
                history: Vec::new(),
            });
            self.models.len() - 1
        });
        self.models[index].versions.push(Version {
            run_id: row.run_id.to_owned(),
            artifact: crate::format::value::unescape_key(&artifact).to_owned(),
            entry: ArtifactEntry::read(entry),
            signature: context.signature(),
            registered: row.time,
        });
        Ok(None)
    }
}

impl Fold for Registry {
    fn size(&self) -> usize {
        let model = |model: &Model| 1024 * (1 + model.versions.len() + model.history.len());
        self.run_ids.size() + self.models.iter().map(model).sum::<usize>()
    }

    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        if self.run_ids.apply(row)? == Effect::None {
            return Ok(());
        }
        if row.event == EventKind::Session {
            let context = SessionContext::read(row.context)?;
            if let (Some(id), Some(user)) = (context.id(), context.user()) {
                self.users.insert(id.to_owned(), user.to_owned());
            }
        }
        if row.event.is_of_model() {
            if let Some(why) = self.change(row)? {
                let seq = row.seq;
                self.without_effect.push(WithoutEffect { seq, why });
            }
        }
        Ok(())
    }
}

impl BulkFold for Registry {
    /// A finished run alone says nothing of models.
    fn add(&mut self, batch: &Batch, rows: Range<usize>) -> Option<()> {
        self.run_ids.begin_all(batch, rows)
    }
}

impl Model {
    pub fn version(&self, version: i64) -> Option<&Version> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        self.versions.get(index)
    }

    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    pub fn known_version(&self, version: i64) -> Result<&Version> {
        let known = self.version(version);
        known.ok_or_else(|| self.unknown_version(version.to_string()))
    }

    fn unknown_version(&self, name: String) -> Error {
        Error::Unknown {
            what: "version",
            name,
            known: Vec::new(),
            hint: format!(
                "`{}` has the versions 1 to {}.",
                self.name,
                self.versions.len()
            ),
        }
    }

    pub fn known_stage(&self, name: &str) -> Result<&Stage> {
        self.stage(name).ok_or_else(|| Error::Unknown {
            what: "stage",
            name: name.to_owned(),
            known: self.stages.iter().map(|stage| stage.name.clone()).collect(),
            hint: match self.stages.is_empty() {
                true => "Nothing of this model was promoted yet.".into(),
                false => String::new(),
            },
        })
    }

    /// The version to which a stage points.
    pub fn current(&self, stage: &str) -> Option<i64> {
        self.stage(stage).map(Stage::current)
    }

    fn point(&mut self, stage: &str, version: i64, kind: Kind, seq: Seq) {
        let Some(known) = self.stages.iter_mut().find(|known| known.name == stage) else {
            self.stages.push(Stage {
                name: stage.to_owned(),
                path: vec![(version, seq)],
                rolled_back: Vec::new(),
            });
            return;
        };
        match kind {
            Kind::Rollback => known.roll_back(version, seq),
            _ => known.promote(version, seq),
        }
    }
}

/// What names a model: some text without the signs that part it from version and stage.
pub fn is_model_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=200).contains(&length) && !name.contains(['@', '/']) && !name.chars().any(char::is_control)
}

/// `[a-z][a-z0-9_-]*`
pub fn is_stage_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest) && name.len() <= 64
}

/// The name of a stage that somebody means who writes it as people do: `Production`, `in review`.
pub fn stage_like(text: &str) -> Option<String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let name = words.join("_");
    is_stage_name(&name).then_some(name)
}
