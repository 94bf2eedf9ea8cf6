//! Which runs are the best.

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::columns::{Column, Tag};
use crate::views::runs::{Runs, Status};

/// The best of some candidates, each a row and a number: the best one first, and of equals the first one.
pub fn best(
    candidates: impl Iterator<Item = (usize, f64)>,
    maximize: bool,
    n: usize,
) -> Vec<usize> {
    /// So many more than are wanted are kept before the worst of them are dropped.
    const SPARE: usize = 1000;
    let sign = if maximize { -1.0 } else { 1.0 };
    let better = |a: &(f64, usize), b: &(f64, usize)| {
        let order = a.0.partial_cmp(&b.0).expect("no NaN");
        order.then(a.1.cmp(&b.1))
    };
    let mut found: Vec<(f64, usize)> = Vec::new();
    // Once there are enough, what comes later must be better than the worst of them.
    let mut worst = f64::INFINITY;
    let mut is_full = false;
    candidates.for_each(|(row, number)| {
        let number = sign * number;
        if number.is_nan() || is_full && number >= worst {
            return;
        }
        found.push((number, row));
        if n > 0 && found.len() >= n.saturating_mul(2).saturating_add(SPARE) {
            found.select_nth_unstable_by(n - 1, better);
            found.truncate(n);
            worst = found[n - 1].0;
            is_full = true;
        }
    });
    found.sort_unstable_by(better);
    found.truncate(n);
    found.into_iter().map(|(_, row)| row).collect()
}

/// The runs that can be the best by a metric, in their order: those that are finished, not void, and have it. What `over`
/// gives for a run goes before the value that it ended with.
pub fn candidates<'a>(
    runs: &'a Runs,
    metric: &'a Column,
    over: impl Fn(usize) -> Option<f64> + Copy + 'a,
) -> Result<impl Iterator<Item = (usize, f64)> + 'a> {
    metric.load_cells()?;
    let blocks = runs.states()?.enumerate();
    Ok(blocks.flat_map(move |(block, (status, void))| {
        let (tags, bits) = metric.cells(block);
        let cells = tags.iter().zip(bits).zip(status.iter().zip(void));
        cells
            .enumerate()
            .filter_map(move |(i, ((&tag, &bits), (&status, &void)))| {
                if status != Status::Finished || void || tag == Tag::Absent {
                    return None;
                }
                let row = block * BLOCK + i;
                Some((row, over(row).or_else(|| number(tag, bits))?))
            })
    }))
}

/// The number that a metric ended with.
pub fn number(tag: Tag, bits: u64) -> Option<f64> {
    match tag {
        Tag::Double => Some(f64::from_bits(bits)),
        Tag::Int => Some(f64::from(bits as i32)),
        _ => None,
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
                assert_eq!(best(numbers.iter().copied().enumerate(), maximize, n), rows);
            }
        }
    }
}
