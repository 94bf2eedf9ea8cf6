//! What a session row says: with what the rows that name it were made.

use std::borrow::Cow;

use crate::format::artifact::ArtifactEntry;
use crate::format::json::{Json, Malformed};
use crate::format::object::Object;
use crate::format::row::Cell;

const USER: &str = "user";
const HOST: &str = "host";
const PID: &str = "pid";
const BOOT: &str = "boot";
const PIDS: &str = "pids";
const STARTED: &str = "started";
const PLATFORM: &str = "platform";
const LOCALE: &str = "locale";
const TIMEZONE: &str = "timezone";
const R: &str = "r";
const RNG: &str = "rng";
const PACKAGES: &str = "packages";
const SCRIPT: &str = "script";
const SCRIPT_SHA256: &str = "script_sha256";
const GIT: &str = "git";
const COMMIT: &str = "commit";
const BRANCH: &str = "branch";
const DIRTY: &str = "dirty";
const DIFF_SHA256: &str = "diff_sha256";
const LOCKFILE: &str = "lockfile";
const CODE: &str = "code";
const DIFF: &str = "diff";

/// What the value of a key is like.
enum Form {
    Text,
    Number,
    Flag,
    Texts,
    TextsByName,
    Bytes,
    Object(&'static [(&'static str, Form)]),
}

const FORMS: [(&str, Form); 17] = [
    (USER, Form::Text),
    (HOST, Form::Text),
    (PID, Form::Number),
    (BOOT, Form::Text),
    (PIDS, Form::Text),
    (STARTED, Form::Number),
    (PLATFORM, Form::Text),
    (LOCALE, Form::Text),
    (TIMEZONE, Form::Text),
    (R, Form::Text),
    (RNG, Form::Texts),
    (PACKAGES, Form::TextsByName),
    (SCRIPT, Form::Text),
    (SCRIPT_SHA256, Form::Text),
    (
        GIT,
        Form::Object(&[
            (COMMIT, Form::Text),
            (BRANCH, Form::Text),
            (DIRTY, Form::Flag),
            (DIFF_SHA256, Form::Text),
        ]),
    ),
    (LOCKFILE, Form::Bytes),
    (
        CODE,
        Form::Object(&[(SCRIPT, Form::Bytes), (DIFF, Form::Bytes)]),
    ),
];

/// The context of a session. It is kept whole, since it is shown whole; what we ask of it has a type.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionContext(Json);

/// What tells a process from every other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process<'a> {
    pub host: &'a str,
    pub boot: &'a str,
    /// The namespace of the pid.
    pub pids: &'a str,
    pub pid: i64,
    /// In ticks of the system's clock.
    pub started: i64,
}

impl SessionContext {
    pub const ID: &str = "id";
    /// The names of what is kept of the code.
    pub const KEPT: [&str; 2] = [SCRIPT, DIFF];

    pub fn read(context: Cell<'_>) -> Result<SessionContext, Malformed> {
        Ok(SessionContext(Json::Object(context.pairs()?)))
    }

    /// The id of the session that a row is about.
    pub fn id_of(context: Cell<'_>) -> Option<Cow<'_, str>> {
        context.text_of(Self::ID)
    }

    pub fn from_json(json: Json) -> SessionContext {
        SessionContext(json)
    }

    /// The context of a new session: its id, what is recorded, and what is stored: the lockfile, and of
    /// the code each under its name.
    pub fn object(
        id: &str,
        recorded: &Object,
        lockfile: Option<&ArtifactEntry>,
        code: &[(&str, ArtifactEntry)],
    ) -> Object {
        let mut object = Object::new().text(Self::ID, id).extend(recorded);
        if let Some(lockfile) = lockfile {
            object = object.object(LOCKFILE, &lockfile.bytes_object());
        }
        if !code.is_empty() {
            let code = code.iter().fold(Object::new(), |object, (name, entry)| {
                object.object(name, &entry.bytes_object())
            });
            object = object.object(CODE, &code);
        }
        object
    }

    /// What another program recorded of who ran something, and of which code.
    pub fn source(
        user: Option<&str>,
        script: Option<&str>,
        commit: Option<&str>,
        branch: Option<&str>,
    ) -> Object {
        let texts = |object: Object, pairs: [(&str, Option<&str>); 2]| {
            pairs
                .into_iter()
                .fold(object, |object, (key, text)| match text {
                    Some(text) => object.text(key, text),
                    None => object,
                })
        };
        let object = texts(Object::new(), [(USER, user), (SCRIPT, script)]);
        let git = texts(Object::new(), [(COMMIT, commit), (BRANCH, branch)]);
        match git.is_empty() {
            true => object,
            false => object.object(GIT, &git),
        }
    }

    /// All of it.
    pub fn json(&self) -> &Json {
        &self.0
    }

    /// All of it, with each key that we know as its form has it: what isn't there, or says something else, is null.
    pub fn in_form(&self) -> Json {
        in_form(&self.0, &FORMS)
    }

    fn text(&self, path: &[&str]) -> Option<&str> {
        self.0.at(path)?.as_str()
    }

    pub fn id(&self) -> Option<&str> {
        self.text(&[Self::ID])
    }

    pub fn user(&self) -> Option<&str> {
        self.text(&[USER])
    }

    pub fn host(&self) -> Option<&str> {
        self.text(&[HOST])
    }

    pub fn script(&self) -> Option<&str> {
        self.text(&[SCRIPT])
    }

    /// The hash of the script's bytes, in hex.
    pub fn script_sha256(&self) -> Option<&str> {
        self.text(&[SCRIPT_SHA256])
    }

    pub fn commit(&self) -> Option<&str> {
        self.text(&[GIT, COMMIT])
    }

    pub fn branch(&self) -> Option<&str> {
        self.text(&[GIT, BRANCH])
    }

    /// Whether there were changes that weren't committed.
    pub fn dirty(&self) -> Option<bool> {
        self.0.at(&[GIT, DIRTY])?.as_bool()
    }

    /// The hash of what git prints of those changes to tracked files, in hex.
    pub fn diff_sha256(&self) -> Option<&str> {
        self.text(&[GIT, DIFF_SHA256])
    }

    /// The version of R.
    pub fn r(&self) -> Option<&str> {
        self.text(&[R])
    }

    /// Name and version of each package that was loaded.
    pub fn packages(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        let packages = match self.0.get(PACKAGES) {
            Some(Json::Object(packages)) => packages.as_slice(),
            _ => &[],
        };
        packages
            .iter()
            .map(|(name, version)| (name.as_str(), version.as_str()))
    }

    /// What else the results may depend on, each with its name.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, &Json)> {
        let keys = [PLATFORM, LOCALE, TIMEZONE, RNG].into_iter();
        keys.filter_map(|key| Some((key, self.0.get(key)?)))
    }

    /// The stored lockfile.
    pub fn lockfile(&self) -> Option<ArtifactEntry> {
        self.0.get(LOCKFILE).cloned().map(ArtifactEntry::read)
    }

    /// What is stored of the code, each with its name.
    pub fn code(&self) -> impl Iterator<Item = (&'static str, ArtifactEntry)> {
        Self::KEPT.into_iter().filter_map(|name| {
            let entry = self.0.at(&[CODE, name])?.clone();
            Some((name, ArtifactEntry::read(entry)))
        })
    }

    /// The process that wrote the session; `None` where it can't be told from others.
    pub fn process(&self) -> Option<Process<'_>> {
        let number = |key| self.0.get(key).and_then(Json::as_int);
        Some(Process {
            host: self.host()?,
            boot: self.text(&[BOOT])?,
            pids: self.text(&[PIDS])?,
            pid: number(PID)?,
            started: number(STARTED)?,
        })
    }
}

fn in_form(json: &Json, forms: &[(&str, Form)]) -> Json {
    let pairs = match json {
        Json::Object(pairs) => pairs.as_slice(),
        _ => &[],
    };
    let known = forms.iter().map(|(key, form)| {
        let value = json.get(key).and_then(|value| form.of(value));
        ((*key).to_owned(), value.unwrap_or(Json::Null))
    });
    // A key that begins with `$` would make a tagged value of the whole.
    let is_other =
        |key: &str| !key.starts_with('$') && forms.iter().all(|(known, _)| *known != key);
    let others = pairs.iter().filter(|(key, _)| is_other(key)).cloned();
    Json::Object(known.chain(others).collect())
}

impl Form {
    /// A value that has the form; of a list or an object, the elements that have it.
    fn of(&self, value: &Json) -> Option<Json> {
        let is_text = |value: &Json| value.as_str().is_some();
        match (self, value) {
            (Form::Text, Json::Str(_))
            | (Form::Number, Json::Int(_))
            | (Form::Flag, Json::Bool(_)) => Some(value.clone()),
            (Form::Texts, Json::Array(items)) => {
                let texts: Vec<Json> = items.iter().filter(|item| is_text(item)).cloned().collect();
                (!texts.is_empty()).then_some(Json::Array(texts))
            }
            (Form::TextsByName, Json::Object(pairs)) => {
                let is_named = |key: &str| !key.starts_with('$');
                let texts = pairs
                    .iter()
                    .filter(|(key, value)| is_named(key) && is_text(value));
                Some(Json::Object(texts.cloned().collect()))
            }
            (Form::Object(forms), Json::Object(_)) => Some(in_form(value, forms)),
            (Form::Bytes, Json::Object(_)) => {
                let entry = ArtifactEntry::read(value.clone());
                entry.digest()?;
                let bytes = ArtifactEntry {
                    sha256: entry.sha256,
                    size: entry.size,
                    ..ArtifactEntry::default()
                };
                Some(bytes.json())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_form(text: &str) -> String {
        let json = Json::parse(text.as_bytes()).unwrap();
        let json = SessionContext::from_json(json).in_form();
        let Json::Object(pairs) = json else {
            panic!("{text}");
        };
        let said = pairs.into_iter().filter(|(_, value)| *value != Json::Null);
        Json::Object(said.collect()).text()
    }

    #[test]
    fn what_is_in_form_is_what_the_row_says() {
        let hex = "ab".repeat(32);
        let text = format!(
            r#"{{"user":"u","pid":4,"r":"4.2.2","rng":["a","b"],"packages":{{"x":"1.0"}},"git":{{"commit":"c","branch":null,"dirty":true,"diff_sha256":"d"}},"lockfile":{{"sha256":"{hex}","size":5,"stored":false}},"id":"s"}}"#
        );
        assert_eq!(in_form(&text), text);
    }

    #[test]
    fn what_is_not_in_form_is_left_out() {
        let odd = [
            "null",
            "true",
            "5",
            "1e+300",
            r#""x""#,
            "[]",
            "[null]",
            "{}",
            r#"{"a":null}"#,
            r#"{"commit":5,"dirty":"x"}"#,
            r#"{"sha256":"ab","size":5}"#,
            r#"{"$na":"character"}"#,
        ];
        for (key, form) in &FORMS {
            for value in odd {
                let text = format!(r#"{{"{key}":{value}}}"#);
                let parsed = Json::parse(text.as_bytes()).unwrap();
                let kept = SessionContext::from_json(parsed).in_form();
                let holds = match (form, kept.get(key).unwrap()) {
                    (_, Json::Null) => true,
                    (_, Json::Object(pairs))
                        if pairs.iter().any(|(key, _)| key.starts_with('$')) =>
                    {
                        false
                    }
                    (Form::Text, value) => value.as_str().is_some(),
                    (Form::Number, value) => value.as_int().is_some(),
                    (Form::TextsByName, Json::Object(pairs)) => {
                        pairs.iter().all(|(_, value)| value.as_str().is_some())
                    }
                    (Form::Object(forms), Json::Object(pairs)) => {
                        pairs.iter().all(|(key, value)| {
                            *value == Json::Null || !forms.iter().any(|(known, _)| known == key)
                        })
                    }
                    _ => false,
                };
                assert!(holds, "{text} is {}", kept.text());
            }
        }
    }
}
