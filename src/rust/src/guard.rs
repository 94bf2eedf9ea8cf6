//! What a call gives back: a value, or a failure that R signals as a condition.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use extendr_api::prelude::*;
use fitledger_core::Error;
use fitledger_core::columnar::blocks::Damaged;

use crate::r::{self, GivenUp};

/// Why a call failed, in the words and with the fields of its condition.
#[derive(Debug, Default)]
pub struct Failure {
    pub class: &'static str,
    pub message: String,
    pub hint: String,
    pub path: Option<String>,
    /// Row and byte of the damage.
    pub location: Option<Box<(u64, u64)>>,
    /// The file is an index that is damaged: without it the same call has its answer.
    pub damaged_index: bool,
    /// What R is to signal in the failure's place.
    pub signal: Option<Robj>,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure {
            class: e.class(),
            message: e.to_string(),
            hint: e.hint().to_owned(),
            path: e.path().map(|path| path.display().to_string()),
            location: e.location().map(Box::new),
            damaged_index: matches!(e, Error::DamagedIndex { .. }),
            signal: None,
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

    /// A file that can't be written.
    pub fn unwritten(path: &Path, why: &std::io::Error) -> Failure {
        Failure {
            class: "io",
            message: format!("Can't write '{}': {why}.", path.display()),
            path: Some(path.display().to_string()),
            ..Failure::default()
        }
    }

    /// A file that is not to be replaced, and what it is.
    pub fn exists(path: &Path, what: &str) -> Failure {
        Failure {
            class: "exists",
            message: format!("'{}' exists and is {what}.", path.display()),
            hint: "Choose another path, or remove the file first.".into(),
            path: Some(path.display().to_string()),
            ..Failure::default()
        }
    }

    /// A failure to go on, with its reason: `busy` is for R to say so and to call again.
    fn with_reason(self, given_up: Option<GivenUp>) -> Failure {
        match given_up {
            Some(GivenUp::Signal(signal)) => Failure {
                signal: Some(signal),
                ..self
            },
            Some(GivenUp::Busy(path)) => Failure {
                class: "busy",
                path: Some(path.display().to_string()),
                ..self
            },
            None => self,
        }
    }

    fn into_robj(self) -> Robj {
        let text = |text: String| Robj::from(text.replace('\0', "\\0"));
        let number = |number: Option<u64>| number.map_or(Robj::from(()), |n| Robj::from(n as f64));
        let mut list = List::from_names_and_values(
            ["class", "message", "hint", "path", "row", "byte", "signal"],
            [
                Robj::from(self.class),
                text(self.message),
                text(self.hint),
                self.path.map_or(Robj::from(()), text),
                number(self.location.as_ref().map(|row_and_byte| row_and_byte.0)),
                number(self.location.as_ref().map(|row_and_byte| row_and_byte.1)),
                self.signal.unwrap_or(Robj::from(())),
            ],
        )
        .expect("as many names as values")
        .into_robj();
        list.set_attrib("class", "fitledger_failure")
            .expect("a list takes a class");
        list
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
    let outcome = outcome.unwrap_or_else(|_| {
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
