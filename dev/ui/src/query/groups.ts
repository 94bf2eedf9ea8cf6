// Runs by what they have in a column: groups, what they come to, and the lines of a table of them.

import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import { directionOf } from "./direction.ts";
import type { State } from "./state.ts";

export interface Group {
  /** Tells it from the others, in addresses. */
  key: string;
  /** A run that has what the group has; null of those that have nothing. */
  example: number | null;
  /** Its runs in their order. */
  places: Uint32Array;
  /** The run to which they belong, where it is shown and belongs to no other. */
  head: number | null;
}

/** What a metric comes to in the finished runs of a group, of numbers that are finite. */
export interface Summary {
  n: number;
  mean: number;
  /** NaN of one run. */
  sd: number;
  /** The run with the best of them. */
  best: number | null;
}

const none = "-";

/** What tells the values of a column apart. */
function keyOf(column: Column, place: number): string {
  const value = column.value(place);
  if (value === null) return none;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The number of each run's group, told by the numbers that stand for its values, or by its values where none can. */
function numbered(column: Column, num: Float64Array, places: Uint32Array): { of: Int32Array; size: number } {
  const of = new Int32Array(places.length);
  const known = new Map<number | string, number>();
  const plain = column.other.size === 0;
  const exact = column.type !== "integer64";
  for (let i = 0; i < places.length; i++) {
    const value = num[places[i]] ?? NaN;
    const key = plain || (exact && !Number.isNaN(value)) ? value : keyOf(column, places[i]);
    let group = known.get(key);
    if (group === undefined) known.set(key, (group = known.size));
    of[i] = group;
  }
  return { of, size: known.size };
}

/** The runs to which others of the runs belong, and that belong to none themselves, as if each belonged to itself. */
function withHeads(ledger: Ledger, parent: Column, places: Uint32Array): Float64Array {
  const used = new Set<number>();
  for (const place of places) if (parent.has(place)) used.add(parent.num[place]);
  const num = parent.num.slice();
  for (const code of used) {
    const head = ledger.place(parent.levels[code]);
    if (head !== undefined && Number.isNaN(num[head])) num[head] = code;
  }
  return num;
}

/** The groups of runs, each in the place of its first run. */
export function groupRuns(ledger: Ledger, by: Column, places: Uint32Array): Group[] {
  const isParent = by.kind === "detail" && by.name === "parent";
  const num = isParent ? withHeads(ledger, by, places) : by.num;
  const { of, size } = numbered(by, num, places);
  const isHead = (i: number) => num !== by.num && !by.has(places[i]) && !Number.isNaN(num[places[i]]);
  // The runs of all groups in one row, group by group.
  const ends = new Uint32Array(size + 1);
  const heads = new Map<number, number>();
  for (let i = 0; i < places.length; i++) {
    if (num !== by.num && isHead(i)) heads.set(of[i], places[i]);
    else ends[of[i] + 1]++;
  }
  for (let group = 0; group < size; group++) ends[group + 1] += ends[group];
  const members = new Uint32Array(ends[size]);
  const next = ends.slice();
  for (let i = 0; i < places.length; i++) if (num === by.num || !isHead(i)) members[next[of[i]]++] = places[i];
  const groups: Group[] = [];
  for (let group = 0; group < size; group++) {
    const first = members[ends[group]];
    groups.push({
      key: keyOf(by, first), example: by.has(first) ? first : null,
      places: members.subarray(ends[group], ends[group + 1]), head: heads.get(group) ?? null,
    });
  }
  return groups;
}

export function summarize(ledger: Ledger, metric: Column, { places }: Group, larger: boolean): Summary {
  const status = ledger.column("detail", "status")!;
  const finished = status.levels.indexOf("finished");
  let [n, mean, squares, best]: [number, number, number, number | null] = [0, 0, 0, null];
  for (const place of places) {
    const value = metric.num[place];
    if (status.num[place] !== finished || !Number.isFinite(value)) continue;
    const off = value - mean;
    mean += off / ++n;
    squares += off * (value - mean);
    const record = best === null ? NaN : metric.num[best];
    // Of equals the first of the ledger, as of all runs.
    if (best === null || (larger ? value > record : value < record) || (value === record && place < best)) best = place;
  }
  return { n, mean: n ? mean : NaN, sd: n > 1 ? Math.sqrt(squares / (n - 1)) : NaN, best };
}

/**
 * Groups in the order that is asked for: by a metric by their best runs or their means, else by their first runs. Those
 * that have nothing to be ordered by come last.
 */
export function orderGroups(ledger: Ledger, groups: Group[], state: State): Group[] {
  const metric = ledger.columns().get(state.sort);
  const last = (group: Group) => (group.example === null ? 1 : 0);
  if (metric?.kind !== "metric" || !metric.numeric) return [...groups].sort((a, b) => last(a) - last(b));
  const { larger } = directionOf(ledger, metric, state);
  const keys = new Map(groups.map((group) => {
    const { mean, best } = summarize(ledger, metric, group, larger);
    return [group, state.means ? mean : best === null ? NaN : metric.num[best]];
  }));
  const sign = state.descending ? -1 : 1;
  return [...groups].sort((a, b) => {
    const [x, y] = [keys.get(a)!, keys.get(b)!];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return sign * (x - y);
  });
}

/** A line of the table: the place of a run, or below 0 a group. */
export const lineOf = (group: number) => -1 - group;
export const groupAt = (line: number) => -1 - line;

/** The lines of a table: each group, and after those that are unfolded their runs. */
export function linesOf(groups: Group[], open: ReadonlySet<string>): Int32Array {
  let n = groups.length;
  const runs = ({ head, places }: Group) => places.length + (head === null ? 0 : 1);
  for (const group of groups) if (open.has(group.key)) n += runs(group);
  const lines = new Int32Array(n);
  let at = 0;
  groups.forEach((group, i) => {
    lines[at++] = lineOf(i);
    if (!open.has(group.key)) return;
    if (group.head !== null) lines[at++] = group.head;
    lines.set(group.places, at);
    at += group.places.length;
  });
  return lines;
}

/** What the runs of a group have in a column: the same, as a run of them has it; from one to another; or so many things. */
export type Spread = { same: number } | { from: number; to: number } | { different: number };

export function spreadOf(column: Column, { places }: Group): Spread {
  const different = numbered(column, column.num, places).size;
  if (different <= 1) return { same: places[0] };
  if (!column.numeric) return { different };
  let [from, to] = [-1, -1];
  for (const place of places) {
    const value = column.num[place];
    if (Number.isNaN(value)) continue;
    if (from < 0 || value < column.num[from]) from = place;
    if (to < 0 || value > column.num[to]) to = place;
  }
  return from < 0 ? { different } : column.num[from] === column.num[to] ? { same: from } : { from, to };
}

/** How often the runs of a group have each text. */
export function counts(column: Column, { places }: Group): [text: string, n: number][] {
  const found = new Map<string, number>();
  for (const place of places) {
    const text = String(column.value(place) ?? "");
    found.set(text, (found.get(text) ?? 0) + 1);
  }
  return [...found].sort((a, b) => b[1] - a[1]);
}
