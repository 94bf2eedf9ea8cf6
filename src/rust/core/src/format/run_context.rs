//! What the context of a run's row says.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::format::data_version::DataVersion;
use crate::format::json::{Json, Malformed};
use crate::format::row::Cell;
use crate::format::value::unescape_key;

/// The id of the session that wrote the row.
pub const SESSION: &str = "session";
/// Where the row was copied from.
pub const ORIGIN: &str = "origin";
/// The run that a run belongs to.
pub const PARENT: &str = "parent";
/// The session that a `resume` takes a running run from.
pub const TAKES: &str = "takes";
pub const NAME: &str = "name";
/// What the run is a part of, together with others.
pub const EXPERIMENT: &str = "experiment";
pub const SEED: &str = "seed";
pub const TAGS: &str = "tags";
/// Metrics that nobody is to see yet.
pub const SEALED: &str = "sealed";
/// The data sets that the run used, by their names.
pub const DATA: &str = "data";
pub const CALL: &str = "call";
pub const STATUS: &str = "status";
const VOID: &str = "void";
pub const REASON: &str = "reason";
pub const TEXT: &str = "text";
pub const CONDITION: &str = "condition";
const STREAM: &str = "stream";

/// The context of a row that speaks of a run. Keys that this version doesn't know stay in the row alone.
#[derive(Debug, Default, PartialEq)]
pub struct RunContext {
    /// Empty where the row names none.
    pub session: String,
    pub origin: Option<Json>,
    pub name: Option<String>,
    pub experiment: Option<String>,
    /// The id of a run.
    pub parent: Option<String>,
    pub seed: Option<Json>,
    /// Name and value of each.
    pub tags: Vec<(String, Json)>,
    pub sealed: Vec<(String, Json)>,
    pub data: Vec<(String, DataVersion)>,
    pub call: Option<Call>,
    /// Of an `end`, if it is one that this version knows.
    pub status: Option<EndStatus>,
    /// Of a `void`: `false` takes another one back.
    pub void: Option<bool>,
    pub reason: Option<String>,
    /// Of a `note`.
    pub text: Option<String>,
    /// Of an `end`: why the run failed.
    pub condition: Option<Condition>,
    /// The state of R's random stream before the run, which drew from it without a seed.
    pub stream: Option<String>,
}

/// How a live run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndStatus {
    Finished,
    Failed,
    Interrupted,
}

impl EndStatus {
    pub const fn name(self) -> &'static str {
        match self {
            EndStatus::Finished => "finished",
            EndStatus::Failed => "failed",
            EndStatus::Interrupted => "interrupted",
        }
    }

    pub fn parse(name: &str) -> Option<EndStatus> {
        let all = [
            EndStatus::Finished,
            EndStatus::Failed,
            EndStatus::Interrupted,
        ];
        all.into_iter().find(|status| status.name() == name)
    }
}

impl RunContext {
    /// The session that a row names.
    pub fn session_of(context: Cell<'_>) -> Option<Cow<'_, str>> {
        context.text_of(SESSION)
    }

    /// The session from which a `resume` takes the run.
    pub fn takes(context: Cell<'_>) -> Option<Cow<'_, str>> {
        context.text_of(TAKES)
    }

    /// The run to which a row that begins one says that it belongs.
    pub fn parent_of(context: Cell<'_>) -> Option<Cow<'_, str>> {
        context.text_of(PARENT)
    }

    /// How an `end` says that the run ended, if this version knows it.
    pub fn end_status(context: Cell<'_>) -> Option<EndStatus> {
        EndStatus::parse(&context.text_of(STATUS)?)
    }

    /// Whether a `void` takes back that the run is.
    pub fn takes_void_back(context: &[(String, Json)]) -> bool {
        context.contains(&(VOID.to_owned(), Json::Bool(false)))
    }

    pub fn read(context: Cell<'_>) -> Result<RunContext, Malformed> {
        let mut read = RunContext::default();
        for (key, value) in context.pairs()? {
            match (key.as_str(), value) {
                (SESSION, Json::Str(id)) => read.session = id,
                (ORIGIN, origin) => read.origin = Some(origin),
                (NAME, Json::Str(name)) => read.name = Some(name),
                (EXPERIMENT, Json::Str(name)) => read.experiment = Some(name),
                (PARENT, Json::Str(id)) => read.parent = Some(id),
                (SEED, seed) => read.seed = Some(seed),
                (TAGS, Json::Object(tags)) => read.tags = named(tags),
                (SEALED, Json::Object(metrics)) => read.sealed = named(metrics),
                (DATA, Json::Object(sets)) => {
                    let version = |(name, json)| (name, DataVersion::read(json));
                    read.data = named(sets).into_iter().map(version).collect();
                }
                (CALL, call) => read.call = Some(Call(call)),
                (STATUS, Json::Str(status)) => read.status = EndStatus::parse(&status),
                (VOID, Json::Bool(void)) => read.void = Some(void),
                (REASON, Json::Str(reason)) => read.reason = Some(reason),
                (TEXT, Json::Str(text)) => read.text = Some(text),
                (STREAM, Json::Str(stream)) => read.stream = Some(stream),
                (CONDITION, condition) => read.condition = Some(Condition(condition)),
                _ => {}
            }
        }
        Ok(read)
    }
}

/// The pairs under the names that the user gave.
fn named(pairs: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let name = |(key, json): (String, Json)| (unescape_key(&key).to_owned(), json);
    pairs.into_iter().map(name).collect()
}

/// The function call that a run is about. It is kept whole, since it is shown whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Call(Json);

impl Call {
    pub fn from_json(json: Json) -> Call {
        Call(json)
    }

    /// All of it.
    pub fn json(&self) -> &Json {
        &self.0
    }

    pub fn function(&self) -> Option<&str> {
        self.0.get("function")?.as_str()
    }

    /// Of the function's package.
    pub fn version(&self) -> Option<&str> {
        self.0.get("version")?.as_str()
    }

    /// The hash of a function's body that is in no package.
    pub fn body(&self) -> Option<&str> {
        self.0.get("body")?.as_str()
    }

    /// The method that was dispatched to.
    pub fn method(&self) -> Option<&str> {
        self.0.get("method")?.as_str()
    }

    /// The call's text.
    pub fn code(&self) -> Option<&str> {
        self.0.get("code")?.as_str()
    }
}

/// The condition that ended a run. It is kept whole, since it is shown whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Json);

impl Condition {
    pub fn from_json(json: Json) -> Condition {
        Condition(json)
    }

    /// All of it.
    pub fn json(&self) -> &Json {
        &self.0
    }

    pub fn message(&self) -> Option<&str> {
        self.0.get("message")?.as_str()
    }

    /// From the most special class to the most general one.
    pub fn classes(&self) -> Vec<&str> {
        texts(self.0.get("class"))
    }

    /// The calls that led to it, the outermost first.
    pub fn calls(&self) -> Vec<&str> {
        texts(self.0.get("calls"))
    }
}

/// The state of R's random stream as a text: base64 of its integers, each in four bytes, the lowest first.
pub fn stream_text(state: &[i32]) -> String {
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// The state of which this is the text.
pub fn stream_state(text: &str) -> Option<Vec<i32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let words = bytes.chunks(4).map(|word| word.try_into().ok());
    words.map(|word| word.map(i32::from_le_bytes)).collect()
}

/// One text or several.
fn texts(json: Option<&Json>) -> Vec<&str> {
    match json {
        Some(Json::Array(texts)) => texts.iter().filter_map(Json::as_str).collect(),
        Some(Json::Str(text)) => vec![text],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::digest::Digest;
    use crate::format::event::{Event, EventKind};
    use crate::format::id::Seq;
    use crate::format::object::Object;
    use crate::format::row::{Row, write_body};
    use crate::format::time::Timestamp;

    fn read(context: &str) -> RunContext {
        let event = Event {
            context: Object::from_text(context.as_bytes()).unwrap(),
            ..Event::new(EventKind::Log)
        };
        let time = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
        let mut line = Vec::new();
        write_body(Seq(3), time, &event, &mut line);
        line.push(b',');
        line.extend_from_slice(&Digest::of(&[b"x"]).hex());
        RunContext::read(Row::parse(&line).unwrap().context).unwrap()
    }

    #[test]
    fn what_a_row_says_has_a_type() {
        let context = read(
            r#"{"session":"0a","seed":42,"tags":{"$$by":"ann"},"data":{"d":{"hash":"fl1:x"}},"status":"failed","later":1}"#,
        );
        let version = DataVersion {
            hash: Some("fl1:x".into()),
            ..DataVersion::default()
        };
        let expected = RunContext {
            session: "0a".into(),
            seed: Some(Json::Int(42)),
            tags: vec![("$by".into(), Json::Str("ann".into()))],
            data: vec![("d".into(), version)],
            status: Some(EndStatus::Failed),
            ..RunContext::default()
        };
        assert_eq!(context, expected);
    }

    #[test]
    fn what_has_another_type_is_as_good_as_not_there() {
        let odd = r#"{"session":1,"tags":"a","sealed":[1],"data":null,"status":"gone","void":"no","text":2}"#;
        assert_eq!(read(odd), RunContext::default());
        assert_eq!(read(""), RunContext::default());
    }
}
