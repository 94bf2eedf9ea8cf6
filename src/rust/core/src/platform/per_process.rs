//! State that a process has for itself, though it was forked from one that has the same.
//!
//! A thread of the parent's may have held a lock at the moment of the fork. The child doesn't have that thread, so nobody
//! would ever let the lock go: a child has a lock of its own.

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value behind a lock, one in each process.
pub struct PerProcess<T: 'static> {
    owned: AtomicPtr<Owned<T>>,
    /// What a child makes of what it inherits, unless that was locked.
    inherit: fn(T) -> T,
}

struct Owned<T> {
    process: u32,
    value: Mutex<T>,
}

impl<T: Default> PerProcess<T> {
    pub const fn new(inherit: fn(T) -> T) -> PerProcess<T> {
        PerProcess {
            owned: AtomicPtr::new(ptr::null_mut()),
            inherit,
        }
    }

    /// Locks the value of this process.
    pub fn lock(&'static self) -> MutexGuard<'static, T> {
        let lock = self.owned().value.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn owned(&'static self) -> &'static Owned<T> {
        let known = self.owned.load(Ordering::Acquire);
        // SAFETY: it is null, or was made below and is never freed.
        let inherited = unsafe { known.as_ref() };
        if let Some(owned) = inherited.filter(|owned| owned.process == process::id()) {
            return owned;
        }
        let value = inherited.and_then(|owned| {
            let mut value = owned.value.try_lock().ok()?;
            Some((self.inherit)(std::mem::take(&mut *value)))
        });
        let ours = Box::into_raw(Box::new(Owned {
            process: process::id(),
            value: Mutex::new(value.unwrap_or_default()),
        }));
        let (release, acquire) = (Ordering::AcqRel, Ordering::Acquire);
        match self.owned.compare_exchange(known, ours, release, acquire) {
            // SAFETY: it was made just now.
            Ok(_) => unsafe { &*ours },
            Err(of_another_thread) => {
                // SAFETY: nobody else has seen ours; theirs is never freed.
                unsafe {
                    drop(Box::from_raw(ours));
                    &*of_another_thread
                }
            }
        }
    }
}
