//! The first row: it is the ledger's own, and says its format and its id.

use crate::format::id::is_ledger_id;
use crate::format::row::RawRow;

/// The format that this code reads and writes.
pub const FORMAT: i64 = 1;

/// Whether a row is one that only the first can be, and must: it has a context alone, which begins with the format and
/// the id. As it stands, since a program that knows no JSON decides the same.
pub fn is_own(row: &RawRow<'_>) -> bool {
    let [_, _, event, run_id, params, metrics, artifacts, context] = row.cells();
    let bare = [run_id, params, metrics, artifacts]
        .iter()
        .all(|cell| cell.is_empty());
    let id = format_and_rest(context).and_then(|(_, rest)| rest.strip_prefix(",\"\"id\"\":\"\""));
    let named = id
        .and_then(|id| id.split_at_checked(32))
        .is_some_and(|(id, rest)| {
            is_ledger_id(id) && (rest.starts_with("\"\",") || rest.starts_with("\"\"}"))
        });
    event == "ledger" && bare && named
}

/// What the first row says of a format that this version doesn't know.
pub fn newer_format(row: &RawRow<'_>) -> Option<String> {
    let [_, _, event, .., context] = row.cells();
    let (format, _) = format_and_rest(context).filter(|_| event == "ledger")?;
    (format > FORMAT).then(|| format!("its format is {format}, this version knows {FORMAT}"))
}

/// The format with which a context begins, and what follows it.
fn format_and_rest(context: &str) -> Option<(i64, &str)> {
    let rest = context.strip_prefix("\"{\"\"format\"\":")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let format = rest[..digits].parse().ok()?;
    (!rest.starts_with('0')).then_some((format, &rest[digits..]))
}
