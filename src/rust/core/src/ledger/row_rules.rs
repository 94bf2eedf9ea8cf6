//! What the format asks of a row, by itself, beyond its being a link of the chain.

use crate::error::RowDamage;
use crate::format::event::EventKind;
use crate::format::id::Seq;
use crate::format::json::{Json, MAX_INT};
use crate::format::row::{CELLS, RawRow, Row};
use crate::format::run_context::RunContext;
use crate::format::session_context::SessionContext;
use crate::ledger::first_row::{is_own, newer_format};

/// A line that is a row with the number that it should have.
pub enum RowRead<'a> {
    Valid(Row<'a>),
    /// It breaks another rule of the format, so that it has no effect; which one.
    Invalid(RawRow<'a>, String),
    /// It must be understood and isn't; what it is.
    Newer(RawRow<'a>, String),
}

impl<'a> RowRead<'a> {
    /// The row as a link of the chain.
    pub fn link(&self) -> RawRow<'a> {
        match self {
            RowRead::Valid(row) => row.link(),
            RowRead::Invalid(link, _) | RowRead::Newer(link, _) => *link,
        }
    }
}

/// Takes a line apart that follows the row `previous`, if that is known. Its hash isn't looked at.
pub fn read_row(line: &[u8], previous: Option<Seq>) -> Result<RowRead<'_>, RowDamage> {
    let parsed = Row::parse(line);
    let link = match &parsed {
        Ok(row) => row.link(),
        Err(_) => RawRow::parse(line)?,
    };
    if let Some(previous) = previous.filter(|previous| link.seq != previous.next()) {
        let (seq, after) = (link.seq.0, previous.0);
        return Err(match seq > after {
            true => format!("its seq is {seq} after {after}").into(),
            false => RowDamage::Merged { seq, after },
        });
    }
    let first = link.seq == Seq(1);
    if let Some(what) = newer_format(&link).filter(|_| first) {
        return Ok(RowRead::Newer(link, what));
    }
    if first && !is_own(&link) {
        return Err("it is not the ledger's own row".into());
    }
    if link.event().is_some_and(must_be_understood) {
        let what = newer(&link);
        return Ok(RowRead::Newer(link, what));
    }
    let checked = parsed.map_err(str::to_owned);
    let checked = checked.and_then(|row| check_rules(&row).map(|()| row));
    Ok(match checked {
        Ok(row) if row.event == EventKind::Ledger && !first => {
            RowRead::Invalid(link, "only row 1 is the ledger's own".into())
        }
        Ok(row) => RowRead::Valid(row),
        Err(why) => RowRead::Invalid(link, why),
    })
}

/// Whether an event is one that every reader must know, and this one doesn't.
pub fn must_be_understood(event: &str) -> bool {
    matches!(EventKind::parse(event), EventKind::MustBeKnown(_))
}

/// What a row is that must be understood and isn't.
pub fn newer(row: &RawRow<'_>) -> String {
    let event = row.event().unwrap_or_default();
    format!(
        "row {} is an event '{event}' that must be understood",
        row.seq
    )
}

fn check_rules(row: &Row<'_>) -> Result<(), String> {
    for (cell, name) in row.cells().into_iter().zip(CELLS) {
        if cell.is_empty() {
            continue;
        }
        let json =
            Json::parse_canonical(&cell.text()).map_err(|e| format!("its {name} cell is {e}"))?;
        let max = match name {
            "params" => i64::from(i32::MAX),
            _ => MAX_INT,
        };
        if !integers_within(&json, max) {
            return Err(format!("its {name} cell holds an integer beyond ±{max}"));
        }
    }
    match row.event {
        EventKind::Ledger | EventKind::Recovered => {}
        EventKind::Session if SessionContext::id_of(row.context).is_none() => {
            return Err("it gives its session no id".into());
        }
        EventKind::Session => {}
        _ if RunContext::session_of(row.context).is_none() => {
            return Err("it names no session".into());
        }
        _ => {}
    }
    let of_run = row.event.begins_run()
        || row.event.continues_run() && row.event != EventKind::Note
        || row.event == EventKind::Register;
    if of_run && row.run_id.is_empty() {
        return Err("it names no run".into());
    }
    Ok(())
}

fn integers_within(json: &Json, max: i64) -> bool {
    match json {
        Json::Int(x) => x.unsigned_abs() <= max.unsigned_abs(),
        Json::Array(items) => items.iter().all(|item| integers_within(item, max)),
        Json::Object(pairs) => pairs.iter().all(|(_, value)| integers_within(value, max)),
        _ => true,
    }
}
