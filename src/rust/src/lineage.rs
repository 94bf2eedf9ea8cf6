//! Tracing what rests on what.

use extendr_api::prelude::*;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::views::lineage::{Direction, Edge, Kind, Lineage, content_id};
use fitledger_core::views::promotion::State;
use fitledger_core::views::runs::ALL_PARTS;
use fitledger_core::views::table;

use crate::from_r::path;
use crate::guard::Failure;
use crate::r::{self, R};
use crate::to_r;
use crate::view_cache::{Views, guard_views};

/// The lineage of some nodes: `list(edges, nodes)`; `NULL` where there is no such node.
///
/// `edges` is a `list(from, relation, to, backwards)`, indexes in `nodes` from 1 on, and the relation once more as said
/// of what is rested on; `nodes` a `list(kind, id, label, problem, start, name)`.
///
/// `kind` is that of the nodes, `id` the beginning of their ids if `partial`, else the whole id.
///
/// @noRd
#[extendr]
fn native_trace(file: Robj, kind: Robj, id: Robj, partial: Robj, down: Robj) -> Robj {
    guard_views(|| {
        let path = path(&file)?;
        let views = Views::of(path.clone())?;
        let State { runs, registry, .. } = views.state();
        runs.load(&table::all_rows(runs, true)?, &ALL_PARTS)?;
        let mut lineage = Lineage::of(runs, registry);
        let kind = R::of(&kind).string().and_then(|name| kind_named(&name));
        let kind = kind.ok_or_else(|| Failure::argument("kind"))?;
        let id = R::of(&id).string().ok_or_else(|| Failure::argument("id"))?;
        let id = if kind == Kind::Content {
            content_id(&id)
        } else {
            id
        };
        let start = match R::of(&partial).is_true() {
            true => lineage.starting(kind, &id),
            false => lineage.find(kind, &id).into_iter().collect(),
        };
        if start.is_empty() {
            return Ok(Robj::from(()));
        }
        let direction = match R::of(&down).is_true() {
            true => Direction::Down,
            false => Direction::Up,
        };
        let edges = lineage.trace(&start, direction);
        let mut met: Vec<usize> = start.clone();
        met.extend(edges.iter().flat_map(|edge| [edge.from, edge.to]));
        met.sort_unstable();
        met.dedup();
        lineage.verify(&met, &Objects::beside(&path), &mut |_| r::interrupted())?;

        let index = |node: usize| met.binary_search(&node).expect("it was met") as i32 + 1;
        let indexes = |of: fn(&Edge) -> usize| {
            edges
                .iter()
                .map(|edge| index(of(edge)))
                .collect::<Vec<i32>>()
        };
        let nodes: Vec<_> = met.iter().map(|&node| &lineage.nodes[node]).collect();
        let names: Vec<String> = nodes
            .iter()
            .map(|node| format!("{}{}", node.kind.prefix(), node.id))
            .collect();
        Ok(list!(
            edges = list!(
                from = indexes(|edge| edge.from),
                relation = to_r::strings(edges.iter().map(|edge| Some(edge.relation.name()))),
                to = indexes(|edge| edge.to),
                backwards = to_r::strings(edges.iter().map(|edge| Some(edge.relation.backwards())))
            ),
            nodes = list!(
                kind = to_r::strings(nodes.iter().map(|node| Some(node.kind.name()))),
                id = to_r::strings(nodes.iter().map(|node| Some(node.id.as_str()))),
                label = to_r::strings(nodes.iter().map(|node| Some(node.label.as_str()))),
                problem = to_r::strings(nodes.iter().map(|node| node.problem.as_deref())),
                start = met
                    .iter()
                    .map(|node| start.contains(node))
                    .collect::<Vec<bool>>(),
                name = to_r::strings(names.iter().map(|name| Some(name.as_str())))
            )
        )
        .into())
    })
}

fn kind_named(name: &str) -> Option<Kind> {
    let all = [
        Kind::Stage,
        Kind::Version,
        Kind::Content,
        Kind::Run,
        Kind::Commit,
        Kind::Environment,
        Kind::Session,
        Kind::Package,
    ];
    all.into_iter().find(|kind| kind.name() == name)
}

extendr_module! {
    mod lineage;
    fn native_trace;
}
