// Which runs are shown, in which order, and which is the best of them.

import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import type { State } from "./state.ts";
import { parseWhere, WhereError } from "./where.ts";

export interface Rows {
  /** Places of the runs, in the order shown. */
  places: Uint32Array;
  best: number | null;
  error: WhereError | null;
  /** Void runs that are left out only for being void. */
  voided: number;
}

/** The runs that fulfil the condition and the search, as marks: 1 for each that does. */
function matching(ledger: Ledger, state: Pick<State, "where" | "search" | "void">) {
  const keep = new Uint8Array(ledger.n).fill(1);
  let error: WhereError | null = null;
  let voided = 0;
  try {
    const where = parseWhere(state.where, ledger.columns());
    if (where) for (let place = 0; place < keep.length; place++) keep[place] = where(place) ? 1 : 0;
  } catch (e) {
    if (!(e instanceof WhereError)) throw e;
    error = e;
  }
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  for (const word of words) {
    const found = finder(ledger, word);
    for (let place = 0; place < keep.length; place++) if (keep[place] && !found(place)) keep[place] = 0;
  }
  if (!state.void) {
    const status = ledger.column("detail", "status")!;
    const code = status.levels.indexOf("void");
    for (let place = 0; code >= 0 && place < keep.length; place++) {
      if (status.num[place] === code && keep[place]) {
        keep[place] = 0;
        voided++;
      }
    }
  }
  return { keep, error, voided };
}

/** Whether a word stands in a text of a run: each text is looked at once, however many runs have it. */
function finder(ledger: Ledger, word: string): (place: number) => boolean {
  const texts = [...ledger.columns().values()].filter(({ type }) => type === "character");
  const hits = texts.map(({ levels }) => Uint8Array.from(levels, (level) => (level.toLowerCase().includes(word) ? 1 : 0)));
  return (place) => texts.some(({ num }, i) => hits[i][num[place]] === 1);
}

export function chooseRows(ledger: Ledger, state: State): Rows {
  const { keep, error, voided } = matching(ledger, state);
  const best = bestRun(ledger, state, (place) => keep[place] === 1);
  const column = ledger.columns().get(state.sort);
  const places = new Uint32Array(ledger.n);
  let n = 0;
  if (!column) {
    // The newest first.
    for (let place = ledger.n - 1; place >= 0; place--) if (keep[place]) places[n++] = place;
  } else {
    const order = column.order(ledger.n);
    if (!state.descending) {
      for (const place of order) if (keep[place]) places[n++] = place;
    } else {
      // Equals stay in the ledger's order, and what has no value stays at the end.
      const value = (at: number) => column.sortKey(order[at]);
      let end = ledger.n;
      while (end && Number.isNaN(value(end - 1))) end--;
      for (let stop = end, start = end; stop > 0; stop = start) {
        while (start > 0 && value(start - 1) === value(stop - 1)) start--;
        for (let at = start; at < stop; at++) if (keep[order[at]]) places[n++] = order[at];
      }
      for (let at = end; at < ledger.n; at++) if (keep[order[at]]) places[n++] = order[at];
    }
  }
  return { places: places.subarray(0, n), best, error, voided };
}

export function bestMetric(ledger: Ledger, state: State): Column | undefined {
  const metrics = ledger.of("metric");
  return metrics.find(({ label }) => label === state.best) ?? metrics[0];
}

/** As best_run(): finished runs only, the first of equals. */
export function bestRun(ledger: Ledger, state: State, keep: (place: number) => boolean): number | null {
  const metric = bestMetric(ledger, state);
  const status = ledger.column("detail", "status")!;
  const finished = status.levels.indexOf("finished");
  if (!metric || finished < 0) return null;
  let best: number | null = null;
  for (let place = 0; place < ledger.n; place++) {
    const value = metric.num[place];
    if (status.num[place] !== finished || Number.isNaN(value)) continue;
    const better = best === null || (state.maximize ? value > metric.num[best] : value < metric.num[best]);
    if (better && keep(place)) best = place;
  }
  return best;
}

/** The columns shown: those chosen, or what tells runs apart. */
export function shownColumns(ledger: Ledger, state: State): Column[] {
  const columns = ledger.columns();
  const chosen = state.columns.map((label) => columns.get(label)).filter((column) => column !== undefined);
  return chosen.length ? chosen : usualColumns(ledger);
}

const most = 16;

export function usualColumns(ledger: Ledger): Column[] {
  const metrics = ledger.of("metric").slice(0, 6);
  const params = telling(ledger).slice(0, most - 3 - metrics.length);
  const of = (kind: "run" | "detail", name: string) => ledger.column(kind, name)!;
  const [timestamp, status, duration] = [of("run", "timestamp"), of("detail", "status"), of("detail", "duration")];
  // A narrow screen shows two or three of them.
  return matchMedia("(max-width: 40rem)").matches
    ? [...metrics, ...params, status, timestamp, duration]
    : [timestamp, status, ...params, ...metrics, duration];
}

const fewParams = 6;
const lookedAt = 200;

/** Parameters; of many only those that more than a few runs have. */
function telling(ledger: Ledger): Column[] {
  const params = ledger.of("parameter").slice(0, lookedAt);
  if (params.length <= fewParams) return params;
  const filled = (column: Column) => {
    let n = 0;
    for (let place = 0; place < ledger.n; place++) if (column.has(place)) n++;
    return n;
  };
  const common = params.filter((column) => filled(column) >= ledger.n / 20);
  return common.length ? common : params;
}

/** Whether a column says more than one thing. */
export function varies(column: Column, n: number): boolean {
  let first: number | undefined;
  for (let place = 0; place < n; place++) {
    const value = column.num[place];
    if (Number.isNaN(value)) continue;
    if (first === undefined) first = value;
    else if (first !== value) return true;
  }
  return column.other.size > 0 && column.type === "mixed";
}
