//! The YAML of a `meta.yaml`: a flat mapping as PyYAML writes it, in block style.
//!
//! Read are its scalars, plain or in quotes, on one line or folded over several, and those of the mapping `tags`.
//! Lists and whatever else YAML knows are passed over. All scalars are text: an experiment's id has more digits than
//! a double. Each byte is looked at once, whatever somebody has nested; YAML's parsers take minutes for that.

use std::collections::HashMap;
use std::fmt::Write as _;

/// The mapping whose scalars are read, too, as `tags.<name>`.
const TAGS: &str = "tags";

/// The scalars of a mapping by their keys; `None`, if the text is no mapping.
pub fn scalars(text: &str) -> Option<HashMap<String, String>> {
    let mut found = HashMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The last key of the mapping itself, and how far the mapping below it is indented.
    let mut within: Option<(String, Option<usize>)> = None;
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if is_blank(content) || line == "---" {
            rest = after;
            continue;
        }
        let is_item = content == "-" || content.starts_with("- ");
        if indent > 0 || is_item {
            let (key, inner) = within.as_mut()?;
            let is_tag = key == TAGS && !is_item && *inner.get_or_insert(indent) == indent;
            let pair = is_tag.then(|| pair(&rest[indent..], indent)).flatten();
            rest = match pair {
                Some((name, value, after)) => {
                    if let Scalar::Text(text) = value {
                        found.insert(format!("{TAGS}.{name}"), text);
                    }
                    after
                }
                None => after,
            };
            continue;
        }
        let (key, value, after) = pair(rest, 0)?;
        if let Scalar::Text(text) = value {
            found.insert(key.clone(), text);
        }
        within = Some((key, None));
        rest = after;
    }
    within.map(|_| found)
}

enum Scalar {
    Text(String),
    /// Null, or something that is no scalar.
    Other,
}

/// A line without its end, and what comes after it.
fn split_line(text: &str) -> (&str, &str) {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_suffix('\r').unwrap_or(line), after)
}

/// Whether there is nothing more on a line than a comment.
fn is_blank(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '\t']);
    text.is_empty() || text.starts_with('#')
}

/// Key and value at the start of a text, and what comes after them. A ledger holds no U+0000.
fn pair(text: &str, indent: usize) -> Option<(String, Scalar, &str)> {
    let (key, value, after) = any_pair(text, indent)?;
    Some(match value {
        Scalar::Text(text) if text.contains('\0') => (key, Scalar::Other, after),
        value => (key, value, after),
    })
}

fn any_pair(text: &str, indent: usize) -> Option<(String, Scalar, &str)> {
    let (key, rest) = match text.as_bytes().first()? {
        b'\'' | b'"' => {
            let (key, rest) = quoted(text)?;
            (key, rest.strip_prefix(':')?)
        }
        _ => {
            let (line, _) = split_line(text);
            let at_end = || line.strip_suffix(':').map(str::len);
            let colon = line.find(": ").or_else(at_end)?;
            (line[..colon].to_owned(), &text[colon + 1..])
        }
    };
    let rest = rest.trim_start_matches(' ');
    let (line, after) = split_line(rest);
    match rest.as_bytes().first() {
        Some(b'\'' | b'"') => {
            let (value, rest) = quoted(rest)?;
            let (line, after) = split_line(rest);
            is_blank(line).then_some((key, Scalar::Text(value), after))
        }
        // A list, a mapping, a block of text, a name for something.
        Some(b'[' | b'{' | b'|' | b'>' | b'&' | b'*' | b'!') => Some((key, Scalar::Other, after)),
        _ if is_blank(line) => Some((key, Scalar::Other, after)),
        _ => {
            let (value, after) = plain(line, after, indent);
            Some((key, value, after))
        }
    }
}

/// A plain scalar, which goes on in the lines that are indented further.
fn plain<'a>(line: &str, mut after: &'a str, indent: usize) -> (Scalar, &'a str) {
    let uncommented = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default();
        line.trim_matches([' ', '\t']).to_owned()
    };
    let mut text = uncommented(line);
    let mut breaks = 0;
    let mut ahead = after;
    while !ahead.is_empty() {
        let (line, behind) = split_line(ahead);
        let content = line.trim_start_matches(' ');
        ahead = behind;
        if content.is_empty() {
            breaks += 1;
            continue;
        }
        if line.len() - content.len() <= indent {
            break;
        }
        fold(&mut text, &"\n".repeat(breaks));
        text.push_str(&uncommented(content));
        breaks = 0;
        after = behind;
    }
    match text.as_str() {
        "null" | "Null" | "NULL" | "~" => (Scalar::Other, after),
        _ => (Scalar::Text(text), after),
    }
}

/// Goes on with a text on another line, after the ends of lines that are empty.
fn fold(text: &mut String, empty: &str) {
    text.push_str(if empty.is_empty() { " " } else { empty });
}

/// The end of a line with which a text begins, as it counts in what is folded, and what comes after it.
fn line_break(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    match chars.next()? {
        '\r' => Some((
            '\n',
            chars.as_str().strip_prefix('\n').unwrap_or(chars.as_str()),
        )),
        '\n' | '\u{85}' => Some(('\n', chars.as_str())),
        c @ ('\u{2028}' | '\u{2029}') => Some((c, chars.as_str())),
        _ => None,
    }
}

/// A scalar in quotes, which begins a text, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mark = text.chars().next()?;
    let mut out = String::new();
    // Up to here blanks count that stand at the end of a line.
    let mut kept = 0;
    let mut rest = &text[1..];
    loop {
        if let Some((first, after)) = line_break(rest) {
            let line = out[kept..].trim_end_matches([' ', '\t']).len();
            out.truncate(kept + line);
            let mut more = String::new();
            rest = after.trim_start_matches([' ', '\t']);
            while let Some((next, after)) = line_break(rest) {
                more.push(next);
                rest = after.trim_start_matches([' ', '\t']);
            }
            match first {
                '\n' => fold(&mut out, &more),
                separator => {
                    out.push(separator);
                    out.push_str(&more);
                }
            }
            kept = out.len();
            continue;
        }
        let c = rest.chars().next()?;
        let after = &rest[c.len_utf8()..];
        match c {
            '\'' if mark == c && after.starts_with('\'') => {
                out.push(c);
                rest = &after[1..];
            }
            _ if c == mark => return Some((out, after)),
            '\\' if mark == '"' => {
                rest = escaped(after, &mut out)?;
                kept = out.len();
            }
            c => {
                out.push(c);
                rest = after;
            }
        }
    }
}

/// Adds what comes after a backslash to a text, and gives what comes after that.
fn escaped<'a>(text: &'a str, out: &mut String) -> Option<&'a str> {
    let c = text.chars().next()?;
    let after = &text[c.len_utf8()..];
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // A line that goes on in the next one.
        '\r' | '\n' => {
            let next = text.strip_prefix('\r').unwrap_or(text).strip_prefix('\n')?;
            return Some(next.trim_start_matches([' ', '\t']));
        }
        c => {
            out.push(match c {
                '0' => '\0',
                'a' => '\u{7}',
                'b' => '\u{8}',
                't' | '\t' => '\t',
                'n' => '\n',
                'v' => '\u{b}',
                'f' => '\u{c}',
                'r' => '\r',
                'e' => '\u{1b}',
                'N' => '\u{85}',
                '_' => '\u{a0}',
                'L' => '\u{2028}',
                'P' => '\u{2029}',
                ' ' | '"' | '/' | '\\' => c,
                _ => return None,
            });
            return Some(after);
        }
    };
    let number = u32::from_str_radix(after.get(..digits)?, 16).ok()?;
    out.push(char::from_u32(number)?);
    Some(&after[digits..])
}

/// A `meta.yaml`: a flat mapping, whose texts are quoted as in JSON, which is YAML.
#[derive(Default)]
pub struct Mapping(String);

impl Mapping {
    pub fn new() -> Mapping {
        Mapping::default()
    }

    /// A value as it stands in YAML.
    pub fn raw(mut self, key: &str, value: &str) -> Mapping {
        writeln!(self.0, "{key}: {value}").expect("a text takes it");
        self
    }

    pub fn null(self, key: &str) -> Mapping {
        self.raw(key, "null")
    }

    pub fn number(self, key: &str, value: i64) -> Mapping {
        self.raw(key, &value.to_string())
    }

    pub fn text(self, key: &str, value: &str) -> Mapping {
        self.raw(key, &in_quotes(value))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text in double quotes, all of it printable ASCII: YAML refuses some characters as they are.
fn in_quotes(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if (c as u32) < 0x1_0000 => {
                write!(out, "\\u{:04X}", c as u32).expect("a text takes it");
            }
            c => write!(out, "\\U{:08X}", c as u32).expect("a text takes it"),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, key: &str) -> Option<String> {
        scalars(text)?.get(key).cloned()
    }

    #[test]
    fn scalars_are_as_they_were_before_they_were_written() {
        let text = concat!(
            "artifact_uri: file:///home/alice/project/mlruns/1/a/artifacts\r\n",
            "# a remark\n",
            "deployment_job_id: null\n",
            "description: 'Sale''s price in kUSD\n",
            "\n",
            "  **2nd line**'\n",
            "empty: ''\n",
            "end_time:\n",
            "experiment_id: '140404202034907853'\n",
            "long: a text that is folded\n",
            "  over lines, with: a colon\n",
            "\n",
            "  and a line\n",
            "name: nested & nasty \u{2713} Gr\u{f6}\u{df}e # 2\n",
            "note: \"tab\\t, quote \\\" and \\u2713 \\U0001F98A: \\\n",
            "  \\ goes on\\x21  \n",
            "  here\"\n",
            "'quoted: key': x\n",
            "separated: 'a \u{2028}  b\u{2029}\n\n  c\u{85}  d'\n",
            "status: 3\n",
            "tags:\n",
            "- a\n",
            "tags:\n",
            "  mlflow.data.context: training\n",
            "  split: '1'\n",
            "  deep:\n",
            "    split: 2\n",
            "url: http://x#y\n",
        );
        let found = scalars(text).unwrap();
        let expected = [
            (
                "artifact_uri",
                "file:///home/alice/project/mlruns/1/a/artifacts",
            ),
            ("description", "Sale's price in kUSD\n**2nd line**"),
            ("empty", ""),
            ("experiment_id", "140404202034907853"),
            (
                "long",
                "a text that is folded over lines, with: a colon\nand a line",
            ),
            ("name", "nested & nasty \u{2713} Gr\u{f6}\u{df}e"),
            (
                "note",
                "tab\t, quote \" and \u{2713} \u{1f98a}:  goes on! here",
            ),
            ("quoted: key", "x"),
            ("separated", "a\u{2028}b\u{2029}\n\nc d"),
            ("status", "3"),
            ("tags.mlflow.data.context", "training"),
            ("tags.split", "1"),
            ("url", "http://x#y"),
        ];
        for (key, value) in expected {
            assert_eq!(found.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!(found.len(), expected.len(), "{found:?}");
    }

    #[test]
    fn what_is_written_is_read() {
        let texts = [
            "",
            "x",
            "'\"\\",
            "a: b #c",
            "\n \t\u{7f}\u{85}\u{feff}",
            "Gr\u{f6}\u{df}e \u{1f98a}",
            "null",
            " x ",
        ];
        for text in texts {
            let mapping = Mapping::new()
                .number("a", -5)
                .text("b", text)
                .null("c")
                .raw("d", "[]");
            assert!(
                mapping
                    .as_str()
                    .bytes()
                    .all(|byte| matches!(byte, b' '..=b'~' | b'\n'))
            );
            let found = scalars(mapping.as_str()).unwrap();
            assert_eq!(found.get("b").map(String::as_str), Some(text));
            assert_eq!(found.get("a").map(String::as_str), Some("-5"));
            assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn what_is_no_mapping_is_none() {
        for text in [
            "",
            "# a",
            "---\n",
            "- a\n- b\n",
            "a",
            "a: 'b",
            "a: \"\\q\"",
            "a: 'b' c",
            "  a: b",
            "'a' b",
        ] {
            assert_eq!(scalars(text), None, "{text}");
        }
        // Passed over.
        for text in [
            "a: [b,\n  c]\n",
            "a: &x y\n",
            "a: *x\n",
            "a: !expr stop()\n",
            "a: |\n  b: c\n",
        ] {
            assert_eq!(scalars(text), Some(HashMap::new()), "{text}");
        }
        assert_eq!(read("a: b\\0", "a"), Some("b\\0".into()));
        assert_eq!(read("a: \"b\\0\"", "a"), None);
    }

    #[test]
    fn nothing_that_is_nested_takes_long() {
        for text in [
            "[",
            "a: {",
            "- ",
            " a:\n",
            "'",
            "a: 'b\n",
            "a: \"\\\n",
            "a:\n  b\n",
        ] {
            drop(scalars(&text.repeat(200_000)));
            drop(scalars(&format!("tags:\n{}", text.repeat(200_000))));
            drop(scalars(&format!("a: b\n{}", text.repeat(200_000))));
        }
    }
}
