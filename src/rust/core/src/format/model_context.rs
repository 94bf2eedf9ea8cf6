//! What the context of a row says that speaks of a model version.

use crate::format::json::{Json, Malformed};
use crate::format::object::Object;
use crate::format::row::Cell;
use crate::format::run_context::SESSION;
use crate::format::value::unescape_key;

const MODEL: &str = "model";
const VERSION: &str = "version";
const STAGE: &str = "stage";
const PREVIOUS: &str = "previous";
const SIGNATURE: &str = "signature";
const COLUMNS: &str = "columns";
const TYPE: &str = "type";
const LEVELS: &str = "levels";
const WHY: &str = "why";

/// The context of a `register`, `promote` or `refuse`. It is kept whole: a gate's verdict has no fixed form.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelContext(Json);

impl ModelContext {
    /// The seq of the promotion that a rollback takes back.
    pub const UNDOES: &str = "undoes";

    pub fn read(context: Cell<'_>) -> Result<ModelContext, Malformed> {
        Ok(ModelContext(Json::Object(context.pairs()?)))
    }

    /// That a version of a model is made. What the model predicts is no column of its signature.
    pub fn registration(
        model: &str,
        version: i64,
        signature: Option<&Json>,
        outcome: &[String],
    ) -> Object {
        let object = Object::new().text(MODEL, model).int(VERSION, version);
        match signature {
            Some(signature) => object.json(SIGNATURE, &without_columns(signature, outcome)),
            None => object,
        }
    }

    /// That a stage, which pointed to a version or to none, is to point to another; `undoes` is the seq of the
    /// promotion that a rollback takes back.
    pub fn promotion(
        model: &str,
        version: i64,
        stage: &str,
        previous: Option<i64>,
        undoes: Option<u64>,
    ) -> Object {
        let object = Object::new()
            .text(MODEL, model)
            .int(VERSION, version)
            .text(STAGE, stage);
        let object = match previous {
            Some(version) => object.int(PREVIOUS, version),
            None => object.null(PREVIOUS),
        };
        match undoes {
            Some(seq) => object.int(Self::UNDOES, seq as i64),
            None => object,
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    fn int(&self, key: &str) -> Option<i64> {
        self.0.get(key)?.as_int()
    }

    /// The session that wrote the row.
    pub fn session(&self) -> Option<&str> {
        self.text(SESSION)
    }

    pub fn model(&self) -> Option<&str> {
        self.text(MODEL)
    }

    pub fn version(&self) -> Option<i64> {
        self.int(VERSION)
    }

    pub fn stage(&self) -> Option<&str> {
        self.text(STAGE)
    }

    /// The version to which the stage pointed.
    pub fn previous(&self) -> Option<i64> {
        self.int(PREVIOUS)
    }

    /// Whether it takes a promotion back.
    pub fn is_rollback(&self) -> bool {
        self.0.get(Self::UNDOES).is_some()
    }

    /// What the model predicts from: the columns that have a type, and the levels that are texts.
    pub fn signature(&self) -> Option<Json> {
        match self.0.at(&[SIGNATURE, COLUMNS])? {
            Json::Object(columns) => {
                // A key that begins with one `$` would make a tagged value of the whole.
                let is_name = |name: &str| name.starts_with("$$") || !name.starts_with('$');
                let columns = columns.iter().filter(|(name, _)| is_name(name));
                let columns =
                    columns.filter_map(|(name, column)| Some((name.clone(), in_form(column)?)));
                Some(object([(COLUMNS, Json::Object(columns.collect()))]))
            }
            _ => None,
        }
    }

    pub fn why(&self) -> Option<&str> {
        self.text(WHY)
    }
}

/// A signature without some of its columns.
fn without_columns(signature: &Json, names: &[String]) -> Json {
    let mut signature = signature.clone();
    if let Json::Object(parts) = &mut signature {
        for (key, part) in parts {
            if let (COLUMNS, Json::Object(columns)) = (key.as_str(), part) {
                columns.retain(|(name, _)| !names.iter().any(|known| known == unescape_key(name)));
            }
        }
    }
    signature
}

/// A column of a signature; `None` without a type.
fn in_form(column: &Json) -> Option<Json> {
    let is_text = |json: &&Json| json.as_str().is_some();
    let kind = column.get(TYPE).filter(is_text)?.clone();
    Some(match column.get(LEVELS) {
        Some(Json::Array(levels)) => {
            let levels = levels.iter().filter(is_text).cloned().collect();
            object([(TYPE, kind), (LEVELS, Json::Array(levels))])
        }
        _ => object([(TYPE, kind)]),
    })
}

fn object<const N: usize>(pairs: [(&str, Json); N]) -> Json {
    let pairs = pairs.into_iter();
    Json::Object(pairs.map(|(key, json)| (key.to_owned(), json)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_in_its_form() {
        let signature = |text: &str| {
            let json = Json::parse(format!(r#"{{"signature":{text}}}"#).as_bytes()).unwrap();
            ModelContext(json).signature().map(|json| json.text())
        };
        let text =
            r#"{"columns":{"x":{"type":"double"},"f":{"type":"factor","levels":["a","b"]}}}"#;
        assert_eq!(signature(text).as_deref(), Some(text));
        for odd in [
            "null",
            "true",
            r#""x""#,
            "[]",
            "{}",
            r#"{"columns":5}"#,
            r#"{"columns":["x"]}"#,
        ] {
            assert_eq!(signature(odd), None, "{odd}");
        }
        let odd = r#"{"columns":{"a":5,"b":{},"c":{"type":null},"f":{"type":"factor","levels":["a",5]},"g":{"type":"factor","levels":"a"}}}"#;
        let kept = r#"{"columns":{"f":{"type":"factor","levels":["a"]},"g":{"type":"factor"}}}"#;
        assert_eq!(signature(odd).as_deref(), Some(kept));
    }
}
