//! Which runs are the best.

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::columns::{Column, Tag};
use crate::views::runs::{Runs, Status};

/// The rows of the best finished runs by a metric, the best one first and of equals the first one.
/// Void runs are none of them, and neither are those without the metric.
pub fn best(runs: &Runs, metric: &Column, maximize: bool, n: usize) -> Result<Vec<usize>> {
    /// So many more than are wanted are kept before the worst of them are dropped.
    const SPARE: usize = 1000;
    let sign = if maximize { -1.0 } else { 1.0 };
    let better = |a: &(f64, usize), b: &(f64, usize)| {
        let order = a.0.partial_cmp(&b.0).expect("no NaN");
        order.then(a.1.cmp(&b.1))
    };
    let mut found: Vec<(f64, usize)> = Vec::new();
    // Once there are enough, what comes later must be better than the worst of them.
    let mut worst = None;
    metric.load_cells()?;
    for (block, (status, void)) in runs.states()?.enumerate() {
        let (tags, bits) = metric.cells(block);
        for (i, (tag, &bits)) in tags.iter().zip(bits).enumerate() {
            let number = sign
                * match tag {
                    Tag::Double => f64::from_bits(bits),
                    Tag::Int => f64::from(bits as i32),
                    _ => continue,
                };
            let is_candidate = status[i] == Status::Finished && !void[i] && !number.is_nan();
            if !is_candidate || worst.is_some_and(|worst| number >= worst) {
                continue;
            }
            found.push((number, block * BLOCK + i));
            if n > 0 && found.len() >= n.saturating_mul(2).saturating_add(SPARE) {
                found.select_nth_unstable_by(n - 1, better);
                found.truncate(n);
                worst = Some(found[n - 1].0);
            }
        }
    }
    found.sort_unstable_by(better);
    found.truncate(n);
    Ok(found.into_iter().map(|(_, row)| row).collect())
}
