// Which runs are shown, in which order, and which is the best of them.

import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import { numberOf } from "../data/page.ts";
import { bestMetric, directionOf, searchesOf, type Search } from "./direction.ts";
import type { Over, State } from "./state.ts";
import { parseWhere, WhereError } from "./where.ts";

export interface Rows {
  /** Places of the runs, in the order shown. */
  places: Uint32Array;
  best: number | null;
  error: WhereError | null;
  /** Void runs that are left out only for being void. */
  voided: number;
}

export interface Matching {
  /** The runs that fulfil the condition and the search, as marks: 1 for each that does. */
  keep: Uint8Array;
  error: WhereError | null;
  voided: number;
}

export function matching(ledger: Ledger, state: Pick<State, "where" | "search" | "void">): Matching {
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

export function chooseRows(ledger: Ledger, state: State, { keep, error, voided } = matching(ledger, state)): Rows {
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

/**
 * The metric that was chosen. Else one that the runs have, so that a condition on some of them has a best run: of those by
 * which the first search chose that they belong to, or of all, the first.
 */
export function chosenBest(ledger: Ledger, { best }: Pick<State, "best">, { keep }: Matching): string {
  const metrics = ledger.of("metric");
  if (metrics.some(({ label }) => label === best)) return best;
  const isFilled = (column: Column) => keep.some((kept, place) => kept === 1 && column.has(place));
  const decisive = searchOf(ledger, keep)?.metrics.find(isFilled);
  return (decisive ?? metrics.slice(0, lookedAt).find(isFilled) ?? metrics[0])?.label ?? "";
}

/** The first search that is among the runs, or to which one of them belongs. */
function searchOf(ledger: Ledger, keep: Uint8Array): Search | undefined {
  const searches = searchesOf(ledger);
  const parent = ledger.column("detail", "parent");
  if (!searches.length || !parent) return searches.find(({ place }) => keep[place] === 1);
  const parents = new Set<number>();
  for (let place = 0; place < keep.length; place++) {
    const code = parent.num[place] ?? NaN;
    if (keep[place] && !Number.isNaN(code)) parents.add(code);
  }
  const belongsTo = new Set([...parents].map((code) => parent.levels[code]));
  return searches.find(({ place }) => keep[place] === 1 || belongsTo.has(ledger.ids[place]));
}

const lookedAt = 100;

/** The number by which a run competes: what its metric ended with, or what stands for its series. */
export function measureOf(ledger: Ledger, metric: Column, over: Over): (place: number) => number {
  if (over === "last") return (place) => metric.num[place];
  return (place) => {
    if (Number.isNaN(metric.num[place]) && metric.cell(place) === null) return NaN;
    const series = ledger.seriesOf(place, metric.name);
    const values = series?.value.map(numberOf).filter((value) => !Number.isNaN(value));
    return values?.length ? summaries[over](values) : metric.num[place];
  };
}

const summaries: { [over in Exclude<Over, "last">]: (values: number[]) => number } = {
  min: (values) => values.reduce((a, b) => Math.min(a, b)),
  max: (values) => values.reduce((a, b) => Math.max(a, b)),
  // As the core adds them up, so that equal runs stay equal.
  // From an infinite mean there is no distance to a value.
  mean: (values) => values.reduce((mean, value, i) => mean + (Math.abs(mean) === Infinity ? value : (value - mean) / (i + 1))),
};

/** As best_run(): finished runs only, the first of equals. */
export function bestRun(ledger: Ledger, state: Pick<State, "best" | "maximize" | "over">, keep: (place: number) => boolean): number | null {
  const metric = bestMetric(ledger, state);
  const status = ledger.column("detail", "status")!;
  const finished = status.levels.indexOf("finished");
  if (!metric || finished < 0) return null;
  const { larger } = directionOf(ledger, metric, state);
  const measure = measureOf(ledger, metric, state.over);
  let best: number | null = null;
  let record = NaN;
  for (let place = 0; place < ledger.n; place++) {
    if (status.num[place] !== finished) continue;
    const value = measure(place);
    if (Number.isNaN(value)) continue;
    const better = best === null || (larger ? value > record : value < record);
    if (better && keep(place)) [best, record] = [place, value];
  }
  return best;
}
