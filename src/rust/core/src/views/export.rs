//! Runs as a plain wide CSV, for programs that know nothing of ledgers.

use std::io::Write;

use crate::format::value::Value;
use crate::views::runs::Runs;
use crate::views::table::Column;

/// Writes `run_id`, `timestamp` and some columns, one row a run that isn't void.
pub fn write_csv(
    runs: &Runs,
    rows: &[usize],
    columns: &[Column<'_>],
    out: impl Write,
) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let names = columns.iter().map(|column| column.name.as_str());
    csv.write_record(["run_id", "timestamp"].into_iter().chain(names))?;
    for &row in rows {
        csv.write_field(runs.at(row).id())?;
        csv.write_field(runs.at(row).began().text())?;
        for column in columns {
            csv.write_field(text(column.values.get(row).as_ref()))?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()?;
    Ok(())
}

/// A value as R's `read.csv()` takes it, or as its JSON where a cell can't say it.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null | Value::Redacted | Value::Na(_)) => "NA".into(),
        Some(Value::Bool(x)) => if *x { "TRUE" } else { "FALSE" }.into(),
        Some(Value::Int(x)) => x.to_string(),
        Some(Value::Integer64(x)) => x.to_string(),
        Some(Value::Double(x) | Value::Difftime(x)) => number(*x),
        Some(Value::Str(x) | Value::Code(x) | Value::Unknown(x)) => x.clone(),
        Some(Value::Date(days)) => crate::format::time::day_text(*days).unwrap_or_default(),
        Some(Value::Datetime(seconds)) => {
            crate::format::time::instant_text(*seconds).unwrap_or_default()
        }
        Some(other) => {
            let mut json = Vec::new();
            other.write(&mut json);
            String::from_utf8(json).expect("only UTF-8 was written")
        }
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
                "[1,2]",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value.as_ref()), expected);
        }
    }
}
