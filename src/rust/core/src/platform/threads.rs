//! Work side by side.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::platform::sys;

/// Does the work for each item, on a thread for each as far as the system gives threads, and for
/// the others on those that there are: this one does its share. What comes back is in the items' order.
pub fn map<T: Sync, U: Send>(items: &[T], work: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            match items.get(index) {
                Some(item) => done.push((index, work(item))),
                None => return done,
            }
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..items.len())
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, share).ok())
            .collect();
        let mut done = share();
        for other in others {
            done.extend(other.join().unwrap_or_else(|why| resume_unwind(why)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Begins a thread that outlives the call. Signals go to other threads: R's are for the one that runs R.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    sys::without_signals(|| thread::Builder::new().spawn(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..50).collect();
        let doubled = map(&items, |item| 2 * item);
        assert!(doubled.iter().copied().eq((0..50).map(|item| 2 * item)));
        assert!(map(&[] as &[usize], |item| *item).is_empty());
    }

    #[test]
    fn what_one_unwinds_with_is_handed_on() {
        let work = |item: &i32| {
            if *item == 3 {
                resume_unwind(Box::new("three"));
            }
        };
        let why = std::panic::catch_unwind(|| map(&[1, 2, 3, 4], work)).unwrap_err();
        assert_eq!(why.downcast_ref(), Some(&"three"));
    }
}
