//! Which runs are the best.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::cells::number;
use crate::columnar::columns::Column;
use crate::platform::memory;
use crate::views::runs::{Runs, Status};

/// How many of the best are wanted, and of which.
#[derive(Debug, Default)]
pub struct Wanted {
    pub n: usize,
    pub maximize: bool,
    /// By their rows, what goes before the value that the metric of some runs ended with.
    pub over: HashMap<usize, f64>,
    /// Of each row whether its run is asked about; without it all are.
    pub chosen: Option<Vec<bool>>,
}

/// The rows of the runs that are the best by a metric: the best one first, and of equals the first one. Those that can be
/// are finished, not void, and have the metric.
///
/// Blocks of runs that can't be better than enough others are not brought into memory.
pub fn best_runs(runs: &Runs, metric: &Column, wanted: &Wanted) -> Result<Vec<usize>> {
    let Wanted { over, chosen, .. } = wanted;
    let is_chosen = |row: usize| chosen.as_ref().is_none_or(|chosen| chosen[row]);
    let mut ranking = Ranking::new(wanted.maximize, wanted.n.min(runs.len()));
    // What the best run of a block would be at best.
    let at_best = |block: usize| {
        let number = match (over.is_empty(), wanted.maximize) {
            (false, _) => f64::NEG_INFINITY,
            (true, false) => metric.bounds(block)?.least,
            (true, true) => -metric.bounds(block)?.most,
        };
        let row = block * BLOCK;
        Some(Entry { number, row })
    };
    let blocks = 0..runs.len().div_ceil(BLOCK);
    let mut blocks: Vec<Entry> = blocks.filter_map(at_best).collect();
    blocks.sort_unstable();
    for block in blocks {
        if !ranking.wants(&block) {
            break;
        }
        let first = block.row;
        let (status, void) = runs.load_states(first / BLOCK)?;
        metric.load_block(first / BLOCK, |row, tag, bits| {
            let place = row - first;
            if status[place] != Status::Finished || void[place] || !is_chosen(row) {
                return;
            }
            let over = over.get(&row).copied();
            if let Some(number) = over.or_else(|| number(tag, bits)) {
                ranking.offer(row, number);
            }
        })?;
    }
    Ok(ranking.into_rows())
}

/// The places of the best of some numbers, in the same order.
pub fn best(numbers: &[f64], maximize: bool, n: usize) -> Vec<usize> {
    let mut ranking = Ranking::new(maximize, n.min(numbers.len()));
    for (place, &number) in numbers.iter().enumerate() {
        ranking.offer(place, number);
    }
    ranking.into_rows()
}

/// The best `n` of what was offered.
struct Ranking {
    /// What makes smaller numbers the better ones.
    sign: f64,
    n: usize,
    /// The worst of them on top.
    kept: BinaryHeap<Entry>,
}

/// A row and its number, of which smaller is better.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    number: f64,
    row: usize,
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        let order = self.number.partial_cmp(&other.number);
        order.expect("no NaN").then(self.row.cmp(&other.row))
    }
}

impl Ranking {
    fn new(maximize: bool, n: usize) -> Ranking {
        memory::ensure(2 * n * size_of::<Entry>());
        Ranking {
            sign: if maximize { -1.0 } else { 1.0 },
            n,
            kept: BinaryHeap::with_capacity(n),
        }
    }

    /// Whether a row, or the best of those that begin with it, would be among them.
    fn wants(&self, entry: &Entry) -> bool {
        self.kept.len() < self.n || self.kept.peek().is_some_and(|worst| entry < worst)
    }

    fn offer(&mut self, row: usize, number: f64) {
        let entry = Entry {
            number: self.sign * number,
            row,
        };
        if number.is_nan() || !self.wants(&entry) {
            return;
        }
        if self.kept.len() == self.n {
            self.kept.pop();
        }
        self.kept.push(entry);
    }

    fn into_rows(self) -> Vec<usize> {
        let entries = self.kept.into_sorted_vec();
        entries.into_iter().map(|entry| entry.row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_the_first_of_all_in_order() {
        let mut state = 1_u64;
        let mut roll = |sides: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % sides
        };
        for (len, n) in [
            (0, 3),
            (5, 9),
            (40, 1),
            (5000, 1),
            (5000, 7),
            (5000, 3000),
            (30, 0),
        ] {
            // Few different numbers make ties; some are none.
            let numbers: Vec<f64> = (0..len)
                .map(|_| match roll(8) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::NEG_INFINITY,
                    _ => roll(50) as f64 - 20.0,
                })
                .collect();
            for maximize in [false, true] {
                let mut rows: Vec<usize> = (0..len).filter(|&i| !numbers[i].is_nan()).collect();
                rows.sort_by(|&a, &b| match maximize {
                    true => numbers[b].partial_cmp(&numbers[a]).unwrap(),
                    false => numbers[a].partial_cmp(&numbers[b]).unwrap(),
                });
                rows.truncate(n);
                assert_eq!(best(&numbers, maximize, n), rows);
            }
        }
    }
}
