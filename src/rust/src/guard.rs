//! What a call gives back: a value, or a failure that R signals as a condition.

use std::cell::RefCell;
use std::error::Error as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use extendr_api::prelude::*;
use fitledger_core::Error;
use fitledger_core::columnar::blocks::Damaged;
use fitledger_core::platform::memory::OutOfMemory;

use crate::r::{self, GivenUp};

/// Why a call failed, in the words and with the fields of its condition.
#[derive(Debug, Default)]
pub struct Failure {
    pub class: &'static str,
    pub message: String,
    pub hint: String,
    pub fields: Vec<(&'static str, Field)>,
}

/// What a condition says beside its text.
#[derive(Debug)]
pub enum Field {
    Text(String),
    Number(u64),
    Texts(Vec<String>),
    /// A condition of R's.
    Condition(Robj),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        let mut failure = Failure {
            class: e.class(),
            message: e.to_string(),
            hint: e.hint().to_owned(),
            ..Failure::default()
        };
        if let Some(path) = e.path() {
            failure = failure.with("path", Field::Text(path.display().to_string()));
        }
        if let Some((row, byte)) = e.location() {
            failure = failure.with("row", Field::Number(row));
            failure = failure.with("byte", Field::Number(byte));
        }
        if let Some(cause) = e.source() {
            failure = failure.caused_by(cause);
        }
        match e {
            Error::Argument { arg, .. } => failure.with("arg", Field::Text(arg.into())),
            Error::Unknown {
                what, name, known, ..
            } => failure
                .with("what", Field::Text(what.into()))
                .with("name", Field::Text(name))
                .with("known", Field::Texts(known)),
            Error::Forked { row, .. } => failure.with("row", Field::Number(row)),
            Error::Ended { how, .. } => failure.with("how", Field::Text(how.name().into())),
            _ => failure,
        }
    }
}

impl From<Damaged> for Failure {
    fn from(damaged: Damaged) -> Failure {
        Error::from(damaged).into()
    }
}

impl Failure {
    /// An argument that R's side should have refused.
    pub fn argument(name: &str) -> Failure {
        Failure {
            class: "internal",
            message: format!("`{name}` has a type that the compiled code does not take."),
            ..Failure::default()
        }
    }

    /// What the system would not do with a file.
    pub fn io(doing: &str, path: &Path, why: &std::io::Error) -> Failure {
        let failure = Failure {
            class: "io",
            message: format!("Can't {doing} '{}'.", path.display()),
            ..Failure::default()
        };
        failure
            .with("path", Field::Text(path.display().to_string()))
            .caused_by(why)
    }

    pub fn caused_by(self, cause: &dyn std::error::Error) -> Failure {
        self.with("cause", Field::Text(cause.to_string()))
    }

    /// A file that is not to be replaced, and what it is.
    pub fn exists(path: &Path, what: &str) -> Failure {
        let failure = Failure {
            class: "exists",
            message: format!("'{}' exists and is {what}.", path.display()),
            hint: "Choose another path, or remove the file first.".into(),
            ..Failure::default()
        };
        failure.with("path", Field::Text(path.display().to_string()))
    }

    /// The index that is damaged, if that is all: without it the same call has its answer.
    pub fn damaged_index(&self) -> Option<&Path> {
        if self.class != "damaged_index" {
            return None;
        }
        self.fields.iter().find_map(|(name, field)| match field {
            Field::Text(path) if *name == "path" => Some(Path::new(path)),
            _ => None,
        })
    }

    /// A failure to go on, with its reason: `busy` is for R to say so and to call again.
    fn with_reason(self, given_up: Option<GivenUp>) -> Failure {
        match given_up {
            Some(GivenUp::Signal(signal)) => self.with("signal", Field::Condition(signal)),
            Some(GivenUp::Busy(path)) => {
                let path = path.display().to_string();
                let failure = self.with("path", Field::Text(path));
                Failure {
                    class: "busy",
                    ..failure
                }
            }
            None => self,
        }
    }

    pub fn with(mut self, name: &'static str, field: Field) -> Failure {
        self.fields.push((name, field));
        self
    }

    fn into_robj(self) -> Robj {
        let texts = [
            ("class", self.class.to_owned()),
            ("message", self.message),
            ("hint", self.hint),
        ];
        let texts = texts.map(|(name, text)| (name, Field::Text(text)));
        let (names, values): (Vec<&str>, Vec<Robj>) = texts
            .into_iter()
            .chain(self.fields)
            .map(|(name, field)| (name, field.into_robj()))
            .unzip();
        let mut list = List::from_names_and_values(names, values)
            .expect("as many names as values")
            .into_robj();
        list.set_attrib("class", "fitledger_failure")
            .expect("a list takes a class");
        list
    }
}

impl Field {
    /// R's strings hold no NUL.
    fn into_robj(self) -> Robj {
        let text = |text: String| text.replace('\0', "\\0");
        match self {
            Field::Text(it) => Robj::from(text(it)),
            Field::Number(it) => Robj::from(it as f64),
            Field::Condition(it) => it,
            Field::Texts(them) => Robj::from(them.into_iter().map(text).collect::<Vec<String>>()),
        }
    }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a call. A panic becomes a failure like any other, so R goes on.
pub fn guard(call: impl FnOnce() -> Result<Robj, Failure>) -> Robj {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|info| {
            PANIC.with(|text| *text.borrow_mut() = Some(info.to_string()))
        }));
    });
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    let outcome = outcome.unwrap_or_else(|why| {
        if why.is::<OutOfMemory>() {
            return Err(Error::Memory { path: None }.into());
        }
        let what = PANIC
            .with(|text| text.borrow_mut().take())
            .unwrap_or_default();
        Err(Failure {
            class: "internal",
            message: format!("fitledger's compiled code stopped: {what}"),
            hint: "This is a bug in fitledger; please report it with the call that led here."
                .into(),
            ..Failure::default()
        })
    });
    let given_up = r::given_up();
    outcome.unwrap_or_else(|failure| match failure.class {
        "interrupted" => failure.with_reason(given_up).into_robj(),
        _ => failure.into_robj(),
    })
}
