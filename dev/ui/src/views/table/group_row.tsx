// The line of a group: what it is, how many runs it has, and what they come to.

import type { Column } from "../../data/column.ts";
import type { Ledger } from "../../data/ledger.ts";
import { cell, count, short, shortId } from "../../parts/text.ts";
import { directionOf, inWords } from "../../query/direction.ts";
import { counts, spreadOf, summarize, type Group } from "../../query/groups.ts";
import type { State } from "../../query/state.ts";

/** What a group is called; of the runs of a search or of folds, what the run to which they belong is called. */
export function nameOf(ledger: Ledger, by: Column, { example }: Group): { name: string; run: string | null } {
  if (example === null) return { name: `no ${by.label}`, run: null };
  if (by.kind !== "detail" || by.name !== "parent") return { name: cell(by, example) || "(empty)", run: null };
  const id = String(by.value(example));
  const place = ledger.place(id);
  if (place === undefined) return { name: "", run: id };
  const said = (kind: "detail" | "parameter", name: string) => {
    const column = ledger.column(kind, name);
    return column?.has(place) ? cell(column, place) : "";
  };
  // The learner of a search is how it searches, and its model what it fits.
  const learner = [said("parameter", "learner"), said("parameter", "model")].filter(Boolean).join(" ");
  return { name: said("detail", "name") || learner, run: id };
}

interface Said {
  text: string;
  /** Beside the text. */
  best?: string;
  title: string;
  muted?: boolean;
}

/** What stands in the cells of groups; each is worked out once, when it is first seen. */
export function cellsOf(ledger: Ledger, state: State): (column: Column, group: Group) => Said {
  const known = new Map<Column, WeakMap<Group, Said>>();
  return (column, group) => {
    let ofColumn = known.get(column);
    if (!ofColumn) known.set(column, (ofColumn = new WeakMap()));
    let said = ofColumn.get(group);
    if (!said) ofColumn.set(group, (said = column.kind === "metric" && column.numeric ? ofMetric(ledger, state, column, group) : ofOthers(column, group)));
    return said;
  };
}

function ofMetric(ledger: Ledger, state: State, metric: Column, group: Group): Said {
  const direction = directionOf(ledger, metric, state);
  const { n, mean, sd, best } = summarize(ledger, metric, group, direction.larger);
  if (best === null) return { text: "", title: `No finished run of these has a finite ${metric.label}.` };
  const record = cell(metric, best);
  if (n === 1) return { text: record, title: `${metric.label} of one finished run` };
  return {
    text: `${short(mean, 4)} ± ${short(sd, 2)}`, best: record,
    title: `${metric.label}: mean ${short(mean, 6)}, standard deviation ${short(sd, 3)}, best ${record}, of ${count(n, "finished run")}; ${inWords(direction)}`,
  };
}

function ofOthers(column: Column, group: Group): Said {
  if (column.kind === "detail" && column.name === "status") {
    const text = counts(column, group).map(([status, n]) => `${n.toLocaleString("en")} ${status}`).join(", ");
    return { text, title: text };
  }
  const spread = spreadOf(column, group);
  if ("same" in spread) {
    const text = spread.same === undefined ? "" : cell(column, spread.same);
    return { text, title: text };
  }
  if ("different" in spread) {
    const text = count(spread.different, "value");
    return { text, title: `${column.label} differs between the runs`, muted: true };
  }
  // Of times the day is enough, so that both have room.
  const [from, to] = [spread.from, spread.to].map((place) => (column.type === "datetime" ? cell(column, place).slice(0, 10) : cell(column, place)));
  const text = from === to ? from : `${from} – ${to}`;
  return { text, title: `${column.label} from ${cell(column, spread.from)} to ${cell(column, spread.to)}`, muted: true };
}

export function GroupName({ ledger, by, group, href }: { ledger: Ledger; by: Column; group: Group; href: (id: string) => string }) {
  const { name, run } = nameOf(ledger, by, group);
  return (
    <span class={group.example === null ? "label muted" : "label"} title={[name, run].filter(Boolean).join(" ")}>
      {name}
      {run !== null && <>{name && " "}<a href={href(run)} tabIndex={-1}>{shortId(run)}</a></>}
    </span>
  );
}
