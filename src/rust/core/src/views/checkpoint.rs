//! A few lines to keep elsewhere, with which a later file can be shown to extend today's.

use std::fmt;
use std::path::Path;

use crate::error::Result;
use crate::format::chain::Head;
use crate::format::digest::Digest;
use crate::format::id::{Seq, is_ledger_id};
use crate::ledger;

const ORIGIN: &str = "fitledger/1 ";

/// A ledger's id and its head at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub ledger: String,
    pub head: Head,
}

/// Flushes the ledger to disk under its lock and states its head.
pub fn take(path: &Path, give_up: &mut dyn FnMut() -> bool) -> Result<Checkpoint> {
    let (ledger, head) = ledger::settle(path, give_up)?;
    Ok(Checkpoint { ledger, head })
}

/// Which line of a checkpoint is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    pub line: usize,
    pub wants: &'static str,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of a checkpoint is {}", self.line, self.wants)
    }
}

impl Checkpoint {
    /// Reads the three lines. What follows them, extensions up to a blank line and signatures
    /// after it, is left to those who know it. Of several checkpoints a later one would be passed by
    /// with it, and what only that one covers would be missed: they are refused.
    pub fn parse(text: &str) -> std::result::Result<Checkpoint, BadLine> {
        let mut lines = text.split('\n');
        let mut line = |line, wants| lines.next().ok_or(BadLine { line, wants });

        let wants = "`fitledger/1` and the 32 hex digits of a ledger's id";
        let bad = BadLine { line: 1, wants };
        let ledger = line(1, wants)?.strip_prefix(ORIGIN).ok_or(bad)?;
        if !is_ledger_id(ledger) {
            return Err(bad);
        }
        let wants = "the number of the last row";
        let bad = BadLine { line: 2, wants };
        let digits = line(2, wants)?;
        let seq: u64 = digits.parse().map_err(|_| bad)?;
        if seq == 0 || seq.to_string() != digits {
            return Err(bad);
        }
        let wants = "the 64 hex digits of the last row's hash";
        let bad = BadLine { line: 3, wants };
        let hash = Digest::from_hex(line(3, wants)?.as_bytes()).ok_or(bad)?;
        if let Some(after) = lines.position(|line| line.starts_with(ORIGIN)) {
            let wants = "an extension or a signature, not another checkpoint: give one at a time";
            let line = 4 + after;
            return Err(BadLine { line, wants });
        }
        Ok(Checkpoint {
            ledger: ledger.to_owned(),
            head: Head {
                seq: Seq(seq),
                hash,
            },
        })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{ORIGIN}{}\n{}\n{}",
            self.ledger, self.head.seq, self.head.hash
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        format!(
            "{ORIGIN}{}\n42\n{}\n",
            "0123456789abcdef".repeat(2),
            Digest::of(&[b"x"])
        )
    }

    #[test]
    fn a_checkpoint_reads_back() {
        let checkpoint = Checkpoint::parse(&text()).unwrap();
        assert_eq!(checkpoint.head.seq, Seq(42));
        assert_eq!(checkpoint.to_string(), text());
        let signed = format!("{}extension\n\n— somebody abcd\n", text());
        assert_eq!(Checkpoint::parse(&signed).unwrap(), checkpoint);
        assert_eq!(Checkpoint::parse(text().trim_end()).unwrap(), checkpoint);
    }

    #[test]
    fn the_grammar_is_strict() {
        for (line, bad) in [
            (4, text().repeat(2)),
            (6, format!("{}extension\n\n{}", text(), text())),
            (1, text().replace("/1", "/2")),
            (1, text().replace("fitledger", " fitledger")),
            (1, text().replacen("01", "0A", 1)),
            (1, String::new()),
            (2, text().replace("\n42\n", "\n042\n")),
            (2, text().replace("\n42\n", "\n0\n")),
            (2, text().replace("\n42\n", "\n+42\n")),
            (2, text().replace("\n42\n", "\n\n")),
            (2, text().lines().next().unwrap().to_owned()),
            (
                3,
                text()
                    .to_uppercase()
                    .replace("FITLEDGER", "fitledger")
                    .replace("ABCDEF", "abcdef"),
            ),
            (
                3,
                text()
                    .replace('\n', "\r\n")
                    .replacen("\r\n", "\n", 1)
                    .replacen("42\r", "42", 1),
            ),
        ] {
            assert_eq!(Checkpoint::parse(&bad).unwrap_err().line, line, "{bad}");
        }
    }
}
