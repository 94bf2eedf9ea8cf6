//! Tests wait for what they need to see, never for a time.

use std::time::{Duration, Instant};

/// What takes longer hangs, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Asks again and again, and fails with what it waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
