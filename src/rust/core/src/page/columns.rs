//! The columns of the runs: what they are called, what they hold.

use crate::columnar::columns;
use crate::format::json;
use crate::page::cells::{Object, object, type_name, write_values};
use crate::page::hidden::Hidden;
use crate::page::view::View;
use crate::views::details::{self, Content, DETAILS, Detail};
use crate::views::runs::Run;
use crate::views::table::{self, Role, Type};

/// What a column is called and holds.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    /// As runs are compared by it, or `"detail"`.
    pub kind: &'static str,
    pub name: String,
    /// Its name in tables and conditions; no two have the same.
    pub label: String,
    pub ty: Type,
}

impl Head {
    fn write(&self, o: &mut Object<'_>) {
        o.text("kind", self.kind);
        o.text("name", &self.name);
        o.text("label", &self.label);
        o.text("type", type_name(self.ty));
    }
}

pub(super) fn write_heads(heads: &[Head], out: &mut Vec<u8>) {
    json::write_array(heads, out, |head, out| object(out, |o| head.write(o)));
}

/// A seed is compared, other details aren't.
fn detail_kind(detail: Detail) -> &'static str {
    match detail {
        Detail::Seed => "seed",
        _ => "detail",
    }
}

/// All columns in their order: parameters, metrics, details, tags.
pub(super) fn heads(view: &View, hidden: &Hidden) -> Vec<Head> {
    let runs = &view.runs;
    let all: Vec<usize> = (0..runs.len()).collect();
    let names = table::column_names(runs);
    let beside = details::beside(runs, &names);
    let recorded = names
        .into_iter()
        .zip(runs.params.iter().chain(runs.metrics.iter()));
    let mut heads: Vec<Head> = recorded
        .map(|((label, role), column)| Head {
            kind: match role {
                Role::Param => "parameter",
                Role::Metric => "metric",
            },
            name: column.name.clone(),
            label,
            ty: match hidden.runs(&column.name) {
                Some(hidden) if role == Role::Metric => {
                    let is_shown = |row: &usize| !hidden.contains(row);
                    let shown: Vec<usize> = all.iter().copied().filter(is_shown).collect();
                    table::column_type(column, &shown)
                }
                _ => table::column_type(column, &all),
            },
        })
        .collect();
    heads.extend(beside.into_iter().filter_map(|column| {
        let (kind, name, ty) = match column.content {
            Content::Detail(detail) => (detail_kind(detail), detail.name(), detail.ty(runs, &all)),
            Content::Tag(tag) => ("tag", tag.name.as_str(), table::column_type(tag, &all)),
            Content::Tags => return None,
        };
        Some(Head {
            kind,
            name: name.to_owned(),
            label: column.label,
            ty,
        })
    }));
    heads
}

/// All columns with their values.
pub(super) fn write_columns(
    view: &View,
    heads: &[Head],
    hidden: &Hidden,
    is_lost: impl Fn(Run<'_>) -> bool,
    out: &mut Vec<u8>,
) {
    let runs = &view.runs;
    let all: Vec<usize> = (0..runs.len()).collect();
    let details: Vec<columns::Column> = DETAILS
        .iter()
        .map(|detail| detail.column(runs, &all, &is_lost))
        .collect();
    let recorded = runs.params.iter().chain(runs.metrics.iter());
    let columns = recorded.chain(&details).chain(runs.tags.iter());
    let columns: Vec<(&Head, &columns::Column)> = heads.iter().zip(columns).collect();
    json::write_array(&columns, out, |(head, column), out| {
        let hidden = hidden.runs(&head.name).filter(|_| head.kind == "metric");
        let is_shown = |row: usize| hidden.is_none_or(|hidden| !hidden.contains(&row));
        object(out, |o| {
            head.write(o);
            write_values(column, head.ty, is_shown, runs.len(), o);
        });
    });
}
