//! Sealed metrics, and from whom they are hidden.

use std::collections::{HashMap, HashSet};

use crate::views::runs::Run;

/// Metrics that nobody is to see yet, with the runs that hide them.
pub(super) struct Hidden(HashMap<String, HashSet<usize>>);

impl Hidden {
    /// The runs that hide a metric, if any does.
    pub(super) fn runs(&self, metric: &str) -> Option<&HashSet<usize>> {
        self.0.get(metric)
    }

    pub(super) fn of<'a>(runs: impl Iterator<Item = Run<'a>>) -> Hidden {
        let mut hidden: HashMap<String, HashSet<usize>> = HashMap::new();
        for run in runs {
            for (name, _) in run.hidden() {
                hidden.entry(name.clone()).or_default().insert(run.row);
            }
        }
        Hidden(hidden)
    }

    pub(super) fn has(&self, metric: &str, run: usize) -> bool {
        self.runs(metric).is_some_and(|runs| runs.contains(&run))
    }
}
