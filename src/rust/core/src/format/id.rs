//! Names of runs, sessions and ledgers.

use std::fmt;

use crate::format::time::Timestamp;

/// A source of random bytes; the system's, except in tests.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The position of an event in its ledger: 1, 2, 3 …
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a run: `[0-9A-Za-z][0-9A-Za-z._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(String);

impl RunId {
    pub fn new(text: &str) -> Option<RunId> {
        is_run_id(text.as_bytes()).then(|| RunId(text.to_owned()))
    }

    /// `YYYYMMDD-HHMMSS-` and 60 random bits.
    pub fn generate(now: Timestamp, random: Random<'_>) -> RunId {
        let mut text = String::with_capacity(28);
        text.push_str(std::str::from_utf8(&now.compact()).expect("a time is ASCII"));
        text.push('-');
        text.extend(short_id(random));
        RunId(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn is_run_id(text: &[u8]) -> bool {
    matches!(text, [first, rest @ ..] if first.is_ascii_alphanumeric()
        && rest.len() < 128
        && rest.iter().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(c)))
}

/// Twelve characters without those that are easily misread.
pub fn short_id(random: Random<'_>) -> impl Iterator<Item = char> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 12];
    random(&mut bytes);
    bytes
        .into_iter()
        .map(|b| char::from(ALPHABET[usize::from(b & 31)]))
}

/// The 32 hex digits that name a ledger.
pub fn ledger_id(random: Random<'_>) -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn is_ledger_id(text: &str) -> bool {
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    text.len() == 32 && text.bytes().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_checked() {
        for good in [
            "a",
            "20261123-042047-000000000001",
            "A.b_c-1",
            &"x".repeat(128),
        ] {
            assert!(RunId::new(good).is_some(), "{good}");
        }
        for bad in ["", "-a", "a b", "a,b", "=a", "é", "a\n", &"x".repeat(129)] {
            assert!(RunId::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_run_id_is_its_time_and_random_characters() {
        let now = Timestamp::parse(b"2026-11-23T04:20:47.123456Z").unwrap();
        let mut count = 0;
        let id = RunId::generate(now, &mut |bytes| {
            for byte in bytes {
                *byte = count;
                count += 3;
            }
        });
        assert_eq!(id.as_str(), "20261123-042047-0369cfjnrvy1");
    }
}
