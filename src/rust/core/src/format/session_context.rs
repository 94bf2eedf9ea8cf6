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
    pub const KEPT: [&str; 2] = ["script", "diff"];

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

    /// All of it.
    pub fn json(&self) -> &Json {
        &self.0
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
