//! Events: what a row says has happened, and how each kind is named.

use std::fmt;

use crate::format::id::RunId;
use crate::format::object::Object;

macro_rules! event_kinds {
    ($($(#[$meaning:meta])* $kind:ident = $name:literal,)*) => {
        /// What has happened. The names of the format's events stand here and nowhere else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind<'a> {
            $($(#[$meaning])* $kind,)*
            /// An event that this version doesn't know and that no reader may skip.
            MustBeKnown(&'a str),
            /// An event that this version doesn't know. It is kept, and skipped.
            Unknown(&'a str),
        }

        const KNOWN: &[EventKind<'static>] = &[$(EventKind::$kind,)*];

        impl<'a> EventKind<'a> {
            /// The kind that an event's cell names.
            pub fn parse(name: &'a str) -> EventKind<'a> {
                match name {
                    $($name => EventKind::$kind,)*
                    name if name.ends_with(MUST_BE_KNOWN) => EventKind::MustBeKnown(name),
                    name => EventKind::Unknown(name),
                }
            }

            pub const fn name(self) -> &'a str {
                match self {
                    $(EventKind::$kind => $name,)*
                    EventKind::MustBeKnown(name) | EventKind::Unknown(name) => name,
                }
            }
        }
    };
}

/// How the name of an event ends that every reader must know.
pub const MUST_BE_KNOWN: char = '!';

event_kinds! {
    /// Row 1 of every ledger.
    Ledger = "ledger",
    /// With what the rows that name it were made.
    Session = "session",
    /// A finished run in one row.
    Run = "run",
    /// A live run begins.
    Start = "start",
    /// A live run goes on after an end, or in another process.
    Resume = "resume",
    /// More of a run.
    Log = "log",
    /// A live run ends.
    End = "end",
    /// A remark on a run.
    Note = "note",
    /// A run is declared invalid, or is no longer.
    Void = "void",
    /// Sealed metrics are shown from here on.
    Reveal = "reveal",
    /// A model version is made from a run's artifact.
    Register = "register",
    /// A stage of a model points to a version.
    Promote = "promote",
    /// A gate said no, or failed.
    Refuse = "refuse",
    /// A torn tail was set aside before this row.
    Recovered = "recovered",
}

impl EventKind<'_> {
    /// The kind by itself, if this version knows it.
    pub fn known(self) -> Option<EventKind<'static>> {
        KNOWN.iter().copied().find(|kind| *kind == self)
    }

    /// Whether it is a run's first row.
    pub fn begins_run(self) -> bool {
        matches!(self, EventKind::Run | EventKind::Start)
    }

    /// Whether it speaks of a run that an earlier row began.
    pub fn continues_run(self) -> bool {
        matches!(
            self,
            EventKind::Resume
                | EventKind::Log
                | EventKind::End
                | EventKind::Note
                | EventKind::Void
                | EventKind::Reveal
        )
    }

    /// Whether it says something about a run, and nothing of what the run took and gave.
    pub fn is_remark(self) -> bool {
        matches!(self, EventKind::Note | EventKind::Void | EventKind::Reveal)
    }

    /// Whether it speaks of a model version.
    pub fn is_of_model(self) -> bool {
        matches!(
            self,
            EventKind::Register | EventKind::Promote | EventKind::Refuse
        )
    }
}

impl fmt::Display for EventKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event that isn't in a ledger yet: it gets its number, its time and its hash there.
///
/// An empty object is written as an empty cell.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: EventKind<'static>,
    pub run_id: Option<RunId>,
    pub params: Object,
    pub metrics: Object,
    pub artifacts: Object,
    pub context: Object,
    /// The session of which it is, if that isn't the one that appends it, as of what was recorded elsewhere.
    pub session: Option<String>,
}

impl Event {
    /// An event of no run, with empty cells.
    pub fn new(kind: EventKind<'static>) -> Event {
        Event {
            kind,
            run_id: None,
            params: Object::new(),
            metrics: Object::new(),
            artifacts: Object::new(),
            context: Object::new(),
            session: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_whether_it_is_known_or_not() {
        for (name, kind) in [
            ("run", EventKind::Run),
            ("recovered", EventKind::Recovered),
            ("upgrade!", EventKind::MustBeKnown("upgrade!")),
            // A known event that must be known is another event.
            ("run!", EventKind::MustBeKnown("run!")),
            ("later", EventKind::Unknown("later")),
        ] {
            assert_eq!(EventKind::parse(name), kind);
            assert_eq!(kind.to_string(), name);
        }
    }
}
