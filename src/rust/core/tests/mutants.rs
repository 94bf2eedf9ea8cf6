//! Verification says of every mutant of the golden ledgers what a strict reader says that is written from the format's
//! description and shares nothing with the crate but SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use fitledger_core::Error;
use fitledger_core::format::digest::Digest;
use fitledger_core::views::verify::verify;

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../tests/testthat/fixtures"
);
const HEADER: &[u8] = b"seq,time,event,run_id,params,metrics,artifacts,context,hash\n";

/// A verdict, how many rows hold, and where the first fault is.
type Verdict = (&'static str, u64, Option<(u64, u64)>);

/// The verdict of the strict reader.
fn strict(bytes: &[u8]) -> Verdict {
    let shared = bytes.len().min(HEADER.len());
    if let Some(byte) = (0..shared).find(|&at| bytes[at] != HEADER[at]) {
        return ("corrupt", 0, Some((0, byte as u64)));
    }
    if bytes.len() < HEADER.len() {
        return match bytes {
            b"" => ("ok", 0, None),
            _ => ("torn", 0, Some((1, 0))),
        };
    }
    let mut at = HEADER.len();
    let mut hash = Digest::of(&[&HEADER[..HEADER.len() - 1]]).to_string();
    let mut rows = 0;
    loop {
        let rest = &bytes[at..];
        let line = rest.split(|&byte| byte == b'\n').next().unwrap();
        let piece = line.split(|&byte| byte == 0).next().unwrap();
        let closed = piece.len() < rest.len() && rest[piece.len()] == b'\n';
        match strict_row(piece, rows + 1, &hash) {
            Some(stated) => {
                (rows, hash) = (rows + 1, stated);
                at += piece.len() + usize::from(closed);
                if !closed {
                    break;
                }
            }
            None => break,
        }
    }
    let rest = &bytes[at..];
    let fault = Some((rows + 1, at as u64));
    match rest {
        b"" => ("ok", rows, None),
        _ if strict_torn(rest, at, rows + 1) => ("torn", rows, fault),
        _ => ("corrupt", rows, fault),
    }
}

/// The cells of a line: commas within quotes part none.
fn cells(line: &[u8]) -> Vec<&[u8]> {
    let mut quoted = false;
    line.split(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
    .collect()
}

fn is_hash(cell: &[u8]) -> bool {
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    cell.len() == 64 && cell.iter().all(hex)
}

/// Whether a line has the form of a row, of any number.
fn has_form(line: &[u8]) -> bool {
    let cells = cells(line);
    line.len() < 16 << 20
        && line.iter().all(|&byte| byte >= 0x20)
        && std::str::from_utf8(line).is_ok()
        && cells.len() == 9
        && line.iter().filter(|&&byte| byte == b'"').count() % 2 == 0
        && is_hash(cells[8])
        && (1..=16).contains(&cells[0].len())
        && cells[0].iter().all(u8::is_ascii_digit)
        && cells[0][0] != b'0'
}

/// The hash of a row that holds.
fn strict_row(line: &[u8], seq: u64, previous: &str) -> Option<String> {
    if !has_form(line) || cells(line)[0] != seq.to_string().as_bytes() {
        return None;
    }
    let hash = Digest::of(&[previous.as_bytes(), &line[..line.len() - 65]]).to_string();
    let own = line.ends_with(hash.as_bytes());
    let text = std::str::from_utf8(line).ok()?;
    let first = |rest: &str| {
        let id = rest.strip_prefix(r#",ledger,,,,,"{""format"":1,""id"":"""#)?;
        let (id, rest) = id.split_at_checked(32)?;
        let hex = id
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        let ends = rest.starts_with(r#""","#) || rest.starts_with(r#"""}"#);
        (hex && ends).then_some(())
    };
    let after_time = text.match_indices(',').nth(1)?.0;
    (own && (seq > 1 || first(&text[after_time..]).is_some())).then_some(hash)
}

fn strict_torn(tail: &[u8], at: usize, next: u64) -> bool {
    let pieces = tail.split(|&byte| byte == b'\n' || byte == 0);
    if pieces.into_iter().any(has_form) {
        return false;
    }
    let line = tail.split(|&byte| byte == b'\n').next().unwrap();
    let open = line.len() == tail.len();
    let next = format!("{next},").into_bytes();
    let mut shown = tail;
    while let [rest @ .., 0] = shown {
        shown = rest;
    }
    let begins = shown.starts_with(&next) || next.starts_with(shown);
    let cells = cells(tail);
    let hashed = cells
        .get(8)
        .is_some_and(|cell| cell.len() >= 64 && is_hash(&cell[..64]));
    if open && begins && !hashed {
        return true;
    }
    // Any stretch of zeros from the tail's start or a sector's to a sector's end or the file's.
    let starts = (0..line.len()).filter(|&i| i == 0 || (at + i) % 512 == 0);
    let ends = |i: &usize| (at + i) % 512 == 0 || open && *i == line.len();
    starts.into_iter().any(|start| {
        let zeros = line[start..].iter().take_while(|&&byte| byte == 0).count();
        (start + 1..=start + zeros).any(|end| ends(&end))
    })
}

fn ours(path: &Path, bytes: &[u8]) -> Verdict {
    fs::write(path, bytes).unwrap();
    match verify(path, None) {
        Ok(report) => {
            let fault = report.fault.map(|fault| (fault.row, fault.byte));
            (report.status.name(), report.rows, fault)
        }
        // What doesn't begin as a ledger, and has no first row either, may never have been one.
        Err(Error::NotALedger { .. }) => {
            let same = bytes.iter().zip(HEADER).take_while(|(a, b)| a == b).count();
            ("corrupt", 0, Some((0, same as u64)))
        }
        Err(e) => panic!("{e}"),
    }
}

struct Bench {
    path: PathBuf,
    compared: u64,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let name = format!("fitledger-mutants-{name}-{}.csv", std::process::id());
        // Where nothing asks for a disk, memory is quicker.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir());
        Bench {
            path: memory.unwrap_or_else(std::env::temp_dir).join(name),
            compared: 0,
        }
    }

    fn compare(&mut self, bytes: &[u8], what: &dyn Fn() -> String) {
        assert_eq!(ours(&self.path, bytes), strict(bytes), "{}", what());
        self.compared += 1;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

fn golden() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    ["format-1.csv", "format-1-finished.csv"]
        .into_iter()
        .map(|name| (name, fs::read(Path::new(FIXTURES).join(name)).unwrap()))
}

/// Every row's hash computed anew, as somebody would forge it.
fn resealed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut hash = Digest::of(&[&HEADER[..HEADER.len() - 1]]).to_string();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if out.is_empty() {
            out.extend_from_slice(line);
            continue;
        }
        let body = &line[..line.len().saturating_sub(66)];
        hash = Digest::of(&[hash.as_bytes(), body]).to_string();
        out.extend_from_slice(body);
        out.extend_from_slice(format!(",{hash}\n").as_bytes());
    }
    out
}

#[test]
fn every_bit_flipped() {
    for (name, whole) in golden() {
        let mut bench = Bench::new(&format!("bits-{name}"));
        assert_eq!(strict(&whole).0, "ok");
        let mut bytes = whole.clone();
        for at in 0..whole.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                bench.compare(&bytes, &|| format!("{name}: bit {bit} of byte {at}"));
                bytes[at] = whole[at];
            }
        }
        assert_eq!(bench.compared, 8 * whole.len() as u64);
    }
}

#[test]
fn cut_anywhere_and_what_may_follow_a_cut() {
    for (name, whole) in golden() {
        let mut bench = Bench::new(&format!("cuts-{name}"));
        for cut in 0..whole.len() {
            let what = || format!("{name}: cut at {cut}");
            let head = &whole[..cut];
            bench.compare(head, &what);
            if cut % 7 > 0 && cut + 700 < whole.len() {
                continue;
            }
            let to_sector = cut.next_multiple_of(512) - cut;
            for zeros in [1, 511, to_sector, to_sector + 512] {
                let zeros = vec![0; zeros];
                bench.compare(&[head, &zeros].concat(), &what);
                bench.compare(&[head, &zeros, b"\n"].concat(), &what);
                bench.compare(&[head, &zeros, &whole[cut..]].concat(), &what);
                let behind = whole.get(cut + zeros.len()..).unwrap_or_default();
                bench.compare(&[head, &zeros, behind].concat(), &what);
            }
            for garbage in [&b"\n"[..], b"x", b"\r\n", b"\xff\xfe", b"9,2026-11-2"] {
                bench.compare(&[head, garbage].concat(), &what);
            }
            bench.compare(
                &[head, &whole[(cut + 1).min(whole.len())..]].concat(),
                &what,
            );
        }
    }
}

#[test]
fn edited_by_tools_and_by_hand() {
    for (name, whole) in golden() {
        let mut bench = Bench::new(&format!("edits-{name}"));
        let text = String::from_utf8(whole.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let each = |edit: &dyn Fn(&str) -> String| {
            let rows = lines[1..].iter().map(|line| edit(line));
            let all: Vec<String> = std::iter::once(lines[0].to_owned()).chain(rows).collect();
            all.join("\n")
        };
        let edits: Vec<(&str, String)> = vec![
            ("line feed trimmed", each(&str::to_owned)),
            ("separator", each(&|line| line.replace(',', ";"))),
            ("tabs", each(&|line| line.replace(',', "\t"))),
            ("trailing blanks", each(&|line| format!("{line} "))),
            (
                "dates",
                each(&|line| line.replace("2026-11-23T", "23/11/2026 ")),
            ),
            (
                "hashes dropped",
                each(&|line| line[..line.len() - 65].to_owned()),
            ),
            (
                "numbers quoted",
                each(&|line| {
                    let (seq, rest) = line.split_once(',').unwrap();
                    format!("\"{seq}\",{rest}")
                }),
            ),
            ("quotes halved", each(&|line| line.replace("\"\"", "\""))),
            ("upper case", each(&str::to_uppercase)),
            ("CR LF", text.replace('\n', "\r\n")),
            ("one CR", text.replacen("Z,run", "Z,run\r", 1)),
            ("byte order mark", format!("\u{feff}{text}")),
            ("header twice", format!("{}\n{text}", lines[0])),
            ("empty line", text.replacen('\n', "\n\n", 1)),
            ("reversed", {
                let mut rows = lines[1..].to_vec();
                rows.reverse();
                format!("{}\n{}\n", lines[0], rows.join("\n"))
            }),
            ("conflict markers", {
                let at = lines.len() - 2;
                let (before, last) = (lines[..at].join("\n"), lines[at..].join("\n"));
                format!("{before}\n<<<<<<< HEAD\n{last}\n=======\n{last}\n>>>>>>> other\n")
            }),
        ];
        for (what, edit) in &edits {
            for end in ["", "\n"] {
                let edit = format!("{edit}{end}");
                bench.compare(edit.as_bytes(), &|| format!("{name}: {what}{end:?}"));
            }
        }
        for i in 1..lines.len() {
            let what = || format!("{name}: row {i}");
            let mut rows = lines.clone();
            rows.remove(i);
            bench.compare((rows.join("\n") + "\n").as_bytes(), &what);
            let gap = (rows.join("\n") + "\n").into_bytes();
            bench.compare(&resealed(&gap), &what);
            for j in 1..lines.len() {
                let mut rows = lines.clone();
                rows.swap(i, j);
                bench.compare((rows.join("\n") + "\n").as_bytes(), &what);
                let mut rows = lines.clone();
                rows.insert(i, lines[j]);
                bench.compare((rows.join("\n") + "\n").as_bytes(), &what);
                bench.compare(rows.join("\n").as_bytes(), &what);
            }
        }
    }
}

/// A row that breaks a rule and is sealed well is a link of the chain, if its bytes and its nine cells are right.
#[test]
fn edited_and_sealed_anew() {
    let edits = [
        ("Z,run,", "z,run,"),
        (",run,", ",Run,"),
        (",run,", ",,"),
        (",run,", ",run!,"),
        (",run,", ",ru\"n,"),
        (",run,", ",r,un,"),
        (",run,", ",ledger,"),
        (",run,2", ",run,-2"),
        (",ledger,", ",later,"),
        ("\"\"format\"\":1", "\"\"format\"\":0"),
        ("\"\"id\"\":\"\"0", "\"\"id\"\":\"\"G"),
        ("{\"\"session", "{ \"\"session"),
        ("{\"\"session", "{\"session"),
        ("\"{\"\"session", "{\"\"session"),
        ("\"{\"\"session", "\"[\"\"session"),
        ("{\"\"session\"\":\"\"", "{\"\"session\"\":\"\"\u{1}"),
        ("\"\"}\",", "\"\"} \","),
        ("\"\"}\",", "\"\"}\"x,"),
        ("\"\"}\",", "\"\"}\",,"),
        (",,,", ",,"),
        ("2,", "02,"),
        ("2,", "3,"),
        ("2,", "2 ,"),
    ];
    for (name, whole) in golden() {
        let mut bench = Bench::new(&format!("sealed-{name}"));
        let text = String::from_utf8(whole).unwrap();
        for (old, new) in edits {
            for (at, _) in text.match_indices(old).filter(|(at, _)| *at > HEADER.len()) {
                let edited = format!("{}{new}{}", &text[..at], &text[at + old.len()..]);
                let what = || format!("{name}: {old:?} at {at} is {new:?}");
                bench.compare(&resealed(edited.as_bytes()), &what);
                bench.compare(edited.as_bytes(), &what);
            }
        }
    }
}
