//! What the first line of a file shows of it: columns of runs, those of a ledger, or neither, and what other programs
//! have made of them.

/// The columns that a plain CSV of runs begins with.
const RUN_COLUMNS: [&str; 2] = ["run_id", "timestamp"];

/// The names in a line, and what stands between them.
#[derive(Debug, PartialEq)]
pub struct Columns {
    separator: u8,
    pub names: Vec<String>,
}

/// How a file that begins so stands to a plain CSV of runs.
#[derive(Debug, PartialEq)]
pub enum Likeness {
    Runs,
    /// It could be one, but for this; and what to do about it.
    Nearly(String, &'static str),
    /// It has columns, of something else.
    OtherColumns,
    Nothing,
}

impl Columns {
    /// The columns that the first line names, by what separates most of them.
    pub fn of(start: &[u8]) -> Columns {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let end = memchr::memchr2(b'\n', b'\r', start).unwrap_or(start.len());
        let line = &start[..end];
        let count = |separator: &u8| memchr::memchr_iter(*separator, line).count();
        // Of equals the last one counts, which is the comma.
        let separators = [b'|', b'\t', b';', b','];
        let separator = separators.into_iter().max_by_key(count).unwrap_or(b',');
        let name = |cell: &[u8]| {
            let quoted = cell
                .strip_prefix(b"\"")
                .and_then(|cell| cell.strip_suffix(b"\""));
            String::from_utf8_lossy(quoted.unwrap_or(cell)).into_owned()
        };
        Columns {
            separator,
            names: line.split(|&byte| byte == separator).map(name).collect(),
        }
    }

    fn begin_with(&self, names: [&str; 2]) -> bool {
        self.names.iter().map(String::as_str).take(2).eq(names)
    }

    /// How a file with this first line stands to a plain CSV of runs.
    fn likeness(&self) -> Likeness {
        let between = match self.separator {
            b',' => None,
            b';' => Some("semicolons"),
            b'\t' => Some("tabs"),
            _ => Some("bars"),
        };
        if between.is_none() && self.begin_with(RUN_COLUMNS) {
            return Likeness::Runs;
        }
        let names_runs = self.names.iter().any(|name| {
            let name = name.trim().to_lowercase();
            RUN_COLUMNS.contains(&&*name)
        });
        if !names_runs {
            return match self.names.len() > 1 {
                true => Likeness::OtherColumns,
                false => Likeness::Nothing,
            };
        }
        let but = |but: String| format!("it looks like a plain CSV of runs, but {but}");
        if let Some(between) = between {
            return Likeness::Nearly(
                but(format!(
                    "with {between} between its cells, where commas belong"
                )),
                "Write it with `write.csv(runs, file, row.names = FALSE)`; `write.csv2()` and `write.table()` have other separators.",
            );
        }
        if self.names[0].is_empty() && self.names[1..].iter().take(2).eq(RUN_COLUMNS.iter()) {
            return Likeness::Nearly(
                but("its first column has no name, as that of row names".into()),
                "Leave the row names out: `write.csv(runs, file, row.names = FALSE)`, or `index = False` in pandas.",
            );
        }
        let first = self.names.iter().take(2).map(|name| format!("`{name}`"));
        Likeness::Nearly(
            but(format!(
                "begins with {}, where the columns `run_id` and `timestamp` belong",
                first.collect::<Vec<_>>().join(" and ")
            )),
            match RUN_COLUMNS
                .iter()
                .all(|column| self.names.iter().any(|name| name == column))
            {
                true => {
                    "Put these two first: `runs[union(c(\"run_id\", \"timestamp\"), names(runs))]`."
                }
                false => {
                    "Give each run an id of its own, and its time as 2026-11-23 04:20:47, in columns of these names."
                }
            },
        )
    }
}

/// How a file that begins so stands to a plain CSV of runs.
pub fn likeness(start: &[u8]) -> Likeness {
    // Every other byte of what is written in letters of ours is zero.
    let is_utf16 = match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, b, c, d, ..] => {
            let zeros = [a, b, c, d].map(|&byte| byte == 0);
            zeros == [false, true, false, true] || zeros == [true, false, true, false]
        }
        _ => false,
    };
    match is_utf16 {
        true => Likeness::Nearly("it is text in UTF-16".into(), FROM_UTF16),
        false => Columns::of(start).likeness(),
    }
}

pub(super) const FROM_UTF16: &str = "Save it as UTF-8: `con <- file(old, encoding = \"UTF-16\"); writeLines(readLines(con), new, useBytes = TRUE); close(con)`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_plain_csv_is_said() {
        for runs in [
            "run_id,timestamp\n",
            "run_id,timestamp,k;j\r\n",
            "\"run_id\",\"timestamp\",\"k\"\n1",
            "\u{feff}run_id,\"timestamp\",k",
            "run_id,timestamp,k\ra,b,c",
        ] {
            assert_eq!(likeness(runs.as_bytes()), Likeness::Runs, "{runs}");
        }
        let said = |bytes: &[u8], part: &str| match likeness(bytes) {
            Likeness::Nearly(why, _) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        };
        said(b"\"run_id\";\"timestamp\";\"k\"\n", "semicolons");
        said(b"\xef\xbb\xbfrun_id;timestamp;k,j\n", "semicolons");
        said(b"run_id\ttimestamp\n", "tabs");
        said(b"\"\",\"run_id\",\"timestamp\",\"k\"\n", "row names");
        said(b",run_id,timestamp,k\n", "row names");
        said(b"k,run_id,timestamp\n", "begins with `k` and `run_id`");
        said(b"run_id,time,k\n", "begins with `run_id` and `time`");
        said(b"Run_ID,Timestamp,k\n", "begins with `Run_ID`");
        said(b"run_id\n", "begins with `run_id`, where");
        said(b"\xff\xfer\0u\0n\0", "UTF-16");
        said(b"\0r\0u\0n", "UTF-16");
        assert_eq!(likeness(b"a,b\n1,2\n"), Likeness::OtherColumns);
        for other in [&b""[..], b"Dear diary\n", b"\0\0\0\0\0", b"\x7fELF"] {
            assert_eq!(likeness(other), Likeness::Nothing);
        }
    }
}
