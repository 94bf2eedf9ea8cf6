//! The registry: model versions and the stages that point to them.

use std::collections::HashMap;

use crate::error::Result;
use crate::json::{Json, Malformed};
use crate::ledger::{self, Ledger};
use crate::record::{Row, WithoutEffect};

/// All models of a ledger.
#[derive(Debug, Default)]
pub struct Registry {
    pub models: HashMap<String, Model>,
    pub without_effect: Vec<WithoutEffect>,
}

#[derive(Debug, Default)]
pub struct Model {
    /// How many versions there are: 1, 2, 3 …
    pub versions: i64,
    /// The version to which each stage points.
    pub stages: HashMap<String, i64>,
}

impl Registry {
    /// Folds the events in their order; what is not about models is skipped.
    pub fn fold(ledger: &Ledger) -> Result<Registry> {
        let mut registry = Registry::default();
        for row in ledger.rows() {
            let row = row?;
            if row.event.ends_with('!') {
                return Err(ledger::newer(ledger.path(), &row));
            }
            if matches!(row.event, "register" | "promote") {
                let applied = registry.apply(&row);
                if let Some(why) = applied.map_err(|Malformed(why)| ledger.damaged(&row, why))? {
                    registry
                        .without_effect
                        .push(WithoutEffect { seq: row.seq, why });
                }
            }
        }
        Ok(registry)
    }

    /// Takes an event over, or says why it changes nothing.
    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<Option<&'static str>, Malformed> {
        let context = Json::Object(row.context.pairs()?);
        let (Some(name), Some(version)) = (
            context.get("model").and_then(Json::as_str),
            context.get("version").and_then(Json::as_int),
        ) else {
            return Ok(Some("it names no model or no version"));
        };
        if row.event == "register" {
            let model = self.models.entry(name.to_owned()).or_default();
            if version != model.versions + 1 {
                return Ok(Some("its version is not the next one of the model"));
            }
            model.versions = version;
            return Ok(None);
        }
        let Some(stage) = context.get("stage").and_then(Json::as_str) else {
            return Ok(Some("it names no stage"));
        };
        let Some(model) = self.models.get_mut(name) else {
            return Ok(Some("its model has no version"));
        };
        if version < 1 || version > model.versions {
            return Ok(Some("its version is unknown"));
        }
        let previous = context.get("previous").and_then(Json::as_int);
        if previous != model.stages.get(stage).copied() {
            return Ok(Some("its stage pointed to another version by then"));
        }
        model.stages.insert(stage.to_owned(), version);
        Ok(None)
    }
}
