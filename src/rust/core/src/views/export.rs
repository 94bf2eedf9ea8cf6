//! Runs as a plain wide CSV, for programs that know nothing of ledgers.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use crate::columnar::blocks::Result;
use crate::columnar::columns::Column;
use crate::format::time::Timestamp;
use crate::format::value::Value;
use crate::platform::sys;
use crate::views::details::{self, Beside, Content, Detail};
use crate::views::runs::{Part, Runs, Status};
use crate::views::table;

/// A column of an export.
pub struct Shown<'a> {
    label: String,
    values: Values<'a>,
}

enum Values<'a> {
    /// Of a parameter, a metric or a tag.
    Recorded(&'a Column),
    /// Of what is on record beside them.
    Made(Box<Column>),
}

impl Shown<'_> {
    pub fn label(&self) -> &str {
        &self.label
    }

    fn value(&self, row: usize) -> Option<Value> {
        match &self.values {
            Values::Recorded(column) => column.get(row),
            Values::Made(column) => column.get(row),
        }
    }
}

/// The columns of some runs under their labels, in memory: those that are wanted in their order, or all parameters and
/// metrics, and the status. That goes with runs that didn't all finish, whatever is wanted, and with a column which else
/// could be taken for it, behind which it stands. What no column is called is left out.
pub fn columns<'a>(
    runs: &'a Runs,
    rows: &[usize],
    wanted: Option<&[String]>,
) -> Result<Vec<Shown<'a>>> {
    let names = table::column_names(runs);
    let beside = details::beside(runs, &names);
    let is_status =
        |column: &&Beside<'_>| matches!(column.content, Content::Detail(Detail::Status));
    let status = beside
        .iter()
        .find(is_status)
        .map(|column| column.label.clone());
    let usual = names.iter().map(|(label, _)| label).cloned();
    let usual = usual.chain(status.clone());
    let mut labels: Vec<String> = wanted.map_or_else(|| usual.collect(), <[String]>::to_vec);
    if let Some(status) = status {
        let is_like = |label: &String| *label != status && details::is_status_label(label);
        let has_like = labels.iter().any(is_like);
        if has_like {
            labels.retain(|label| *label != status);
        }
        let all_finished = |row: &usize| runs.at(*row).status() == Status::Finished;
        if !labels.contains(&status) && (has_like || !rows.iter().all(all_finished)) {
            labels.push(status);
        }
    }
    if labels
        .iter()
        .any(|label| beside.iter().any(|column| column.label == *label))
    {
        runs.load(rows, &[Part::Sessions, Part::Extras])?;
    }
    let mut shown = Vec::new();
    for label in labels {
        let recorded = runs.params.iter().chain(runs.metrics.iter());
        let mut recorded = names.iter().map(|(label, _)| label).zip(recorded);
        let values = match recorded.find(|(known, _)| **known == label) {
            Some((_, column)) => {
                column.load(rows)?;
                Some(Values::Recorded(column))
            }
            None => {
                let found = beside.iter().find(|column| column.label == label);
                found.and_then(|column| match column.content {
                    Content::Detail(detail) => {
                        let made = detail.column(runs, rows, |run| run.is_lost());
                        Some(Values::Made(Box::new(made)))
                    }
                    Content::Tag(tag) => Some(Values::Recorded(tag)),
                    Content::Tags => None,
                })
            }
        };
        shown.extend(values.map(|values| Shown { label, values }));
    }
    Ok(shown)
}

/// Writes `run_id`, `timestamp` and some columns, one row a run. Texts are in quotes, and nothing else, so that a reader
/// tells them from numbers, logicals and missing values.
pub fn write_csv(
    runs: &Runs,
    rows: &[usize],
    columns: &[Shown<'_>],
    out: impl Write,
) -> csv::Result<()> {
    // Which cells are quoted is ours to say.
    let mut csv = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Never)
        .from_writer(out);
    let labels = columns.iter().map(|column| label(&column.label));
    csv.write_record(
        ["run_id", "timestamp"]
            .map(Cow::from)
            .into_iter()
            .chain(labels)
            .map(Cow::into_owned),
    )?;
    for &row in rows {
        csv.write_field(runs.at(row).id())?;
        csv.write_field(runs.at(row).began().text())?;
        for column in columns {
            csv.write_field(cell(column.value(row).as_ref()))?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()?;
    Ok(())
}

/// What stands in the way of an export: anything but an earlier one. A link isn't followed: where it
/// leads is for the user to say.
pub fn in_the_way(to: &Path) -> io::Result<Option<&'static str>> {
    let metadata = match fs::symlink_metadata(to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        looked => looked?,
    };
    if !metadata.is_file() {
        return Ok(Some(sys::kind_of_file(metadata.file_type())));
    }
    let file = sys::no_follow(File::options().read(true)).open(to)?;
    Ok((!is_export(file)?).then_some("not an earlier export"))
}

/// Whether a file is as [`write_csv`] writes it. Other writers of such tables quote the header, or
/// write times another way.
fn is_export(mut file: impl Read + Seek) -> io::Result<bool> {
    const START: &[u8] = b"run_id,timestamp";
    let mut start = Vec::new();
    file.by_ref()
        .take(START.len() as u64 + 1)
        .read_to_end(&mut start)?;
    if !start.starts_with(START) || !matches!(start.last(), Some(b',' | b'\n')) {
        return Ok(false);
    }
    file.rewind()?;
    let mut csv = csv::Reader::from_reader(BufReader::new(file));
    let mut row = csv::ByteRecord::new();
    loop {
        match csv.read_byte_record(&mut row) {
            Ok(true) if row.get(1).and_then(Timestamp::parse).is_some() => {}
            Ok(more) => return Ok(!more),
            Err(e) => {
                return match e.into_kind() {
                    csv::ErrorKind::Io(e) => Err(e),
                    _ => Ok(false),
                };
            }
        }
    }
}

/// A value as R's `read.csv()` takes it, or as its JSON where a cell can't say it.
fn cell(value: Option<&Value>) -> String {
    match value {
        None => text(&Value::Null),
        Some(
            value @ (Value::Null
            | Value::Redacted
            | Value::Na(_)
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Integer64(_)
            | Value::Double(_)
            | Value::Difftime(_)
            | Value::Date(_)
            | Value::Datetime(_)),
        ) => text(value),
        Some(value) => quoted(&text(value)),
    }
}

/// The text of a value's cell, without quotes.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Redacted | Value::Na(_) => "NA".into(),
        Value::Bool(x) => if *x { "TRUE" } else { "FALSE" }.into(),
        Value::Int(x) => x.to_string(),
        Value::Integer64(x) => x.to_string(),
        Value::Double(x) | Value::Difftime(x) => number(*x),
        Value::Str(x) | Value::Code(x) | Value::Unknown(x) => x.clone(),
        Value::Date(days) => crate::format::time::day_text(*days).unwrap_or_default(),
        Value::Datetime(seconds) => crate::format::time::instant_text(*seconds).unwrap_or_default(),
        other => {
            let mut json = Vec::new();
            other.write(&mut json);
            String::from_utf8(json).expect("only UTF-8 was written")
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The name of a column, in quotes only where it must be.
fn label(name: &str) -> Cow<'_, str> {
    match name.is_empty() || name.contains([',', '"', '\n', '\r']) {
        true => quoted(name).into(),
        false => name.into(),
    }
}

fn number(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Inf" } else { "-Inf" }.into();
    }
    let mut digits = Vec::new();
    crate::format::json::write_double(x, &mut digits);
    let digits = String::from_utf8(digits).expect("digits are ASCII");
    digits
        .strip_suffix(".0")
        .map_or(digits.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_known_from_other_tables() {
        let time = "2026-11-23T04:20:47.123456Z";
        let known = |text: &str| is_export(io::Cursor::new(text.as_bytes())).unwrap();
        for ours in [
            "run_id,timestamp\n".to_owned(),
            "run_id,timestamp,lambda\n".to_owned(),
            format!("run_id,timestamp,a\nx,{time},1\ny,{time},\"2\n3\"\n"),
        ] {
            assert!(known(&ours), "{ours}");
        }
        for other in [
            String::new(),
            "run_id,timestamp".to_owned(),
            "run_id,timestamps,lambda\n".to_owned(),
            format!("\"run_id\",\"timestamp\",\"a\"\n\"x\",\"{time}\",1\n"),
            format!("\u{feff}run_id,timestamp,a\nx,{time},1\n"),
            "run_id,timestamp,a\nx,2026-11-23 04:20:47,1\n".to_owned(),
            "run_id,timestamp,a\nx,2026-11-23T04:20:47Z,1\n".to_owned(),
            format!("run_id,timestamp,a\nx,{time},1\ny,,2\n"),
            format!("run_id,timestamp,a\nx,{time},1\ny,{time},1,2\n"),
            format!("run_id,timestamp,a\nx,{time},1\nmy notes\n"),
        ] {
            assert!(!known(&other), "{other}");
        }
    }

    #[test]
    fn cells_are_what_read_csv_takes() {
        let cases = [
            (None, "NA"),
            (Some(Value::Bool(true)), "TRUE"),
            (Some(Value::Double(5.0)), "5"),
            (Some(Value::Double(0.1)), "0.1"),
            (Some(Value::Double(1e22)), "1e+22"),
            (Some(Value::Double(f64::NEG_INFINITY)), "-Inf"),
            (Some(Value::Date(0)), "1970-01-01"),
            (
                Some(Value::Vector(vec![Value::Int(1), Value::Int(2)])),
                "\"[1,2]\"",
            ),
            (Some(Value::Str("NA".into())), "\"NA\""),
            (Some(Value::Str("a \"b\"".into())), "\"a \"\"b\"\"\""),
        ];
        for (value, expected) in cases {
            assert_eq!(cell(value.as_ref()), expected);
        }
    }
}
