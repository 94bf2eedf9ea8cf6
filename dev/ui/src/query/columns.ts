// Which columns are shown, of those that the runs shown have.

import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import { bestMetric, searchesOf } from "./direction.ts";
import type { State } from "./state.ts";

export interface Shown {
  columns: Column[];
  /** Those that were chosen, or would be by themselves, in their order. */
  wanted: Column[];
  /** Those that would be shown if one of the runs had something in them. */
  hidden: Column[];
}

/** Whether any of the runs has something in a column. */
export function isFilled({ num, other }: Column, places: ArrayLike<number>): boolean {
  for (let i = 0; i < places.length; i++) {
    const place = places[i];
    if (!Number.isNaN(num[place] ?? NaN) || (other.size > 0 && other.has(place))) return true;
  }
  return false;
}

/** The columns shown: those chosen, or what tells the runs apart; without those that none of the runs has. */
export function shownColumns(ledger: Ledger, state: State, places: ArrayLike<number>): Shown {
  const byLabel = ledger.columns();
  const chosen = state.columns.map((label) => byLabel.get(label)).filter((column) => column !== undefined);
  const wanted = chosen.length ? chosen : usualColumns(ledger, state, places);
  // Of no runs at all every column would be empty, which says nothing.
  if (!places.length) return { columns: wanted, wanted, hidden: [] };
  const hidden = wanted.filter((column) => !isFilled(column, places) && !countsOn(ledger, column, places));
  return { columns: state.empty ? wanted : wanted.filter((column) => !hidden.includes(column)), wanted, hidden };
}

/** Whether a column has a run's time so far, which isn't on record. */
function countsOn(ledger: Ledger, { kind, name }: Column, places: ArrayLike<number>): boolean {
  if (kind !== "detail" || name !== "duration") return false;
  const status = ledger.column("detail", "status")!;
  const running = status.levels.indexOf("running");
  return running >= 0 && Array.prototype.some.call(places, (place: number) => status.num[place] === running);
}

const mostMetrics = 6;
const mostParams = 40;
const lookedAt = 500;

function usualColumns(ledger: Ledger, state: State, places: ArrayLike<number>): Column[] {
  const best = bestMetric(ledger, state);
  // How sure a mean is, is found beside it when asked for.
  const others = ledger.of("metric").slice(0, lookedAt).filter((column) => column !== best && !/[._]std_err$/.test(column.name));
  const filled = others.filter((column) => isFilled(column, places));
  const empty = others.filter((column) => !filled.includes(column));
  const metrics = [...(best ? [best] : []), ...[...filled, ...empty].slice(0, mostMetrics - 1)];
  const of = (kind: "run" | "detail", name: string) => ledger.column(kind, name)!;
  const [timestamp, status, duration] = [of("run", "timestamp"), of("detail", "status"), of("detail", "duration")];
  const params = telling(ledger, places);
  const different = differing(ledger);
  // What was tried stands beside what came of it.
  return [
    ...metrics, ...params.filter((column) => different.has(column)),
    timestamp, status, ...params.filter((column) => !different.has(column)), duration,
  ];
}

const remembered = new WeakMap<Ledger, { version: number; different: Set<Column> }>();

/**
 * The parameters that differ among the runs, whichever are shown, so that columns stay where they are. Void runs don't count,
 * nor searches: how one searched isn't what was tried.
 */
function differing(ledger: Ledger): Set<Column> {
  const known = remembered.get(ledger);
  if (known?.version === ledger.version) return known.different;
  const status = ledger.column("detail", "status")!;
  const isVoid = status.levels.indexOf("void");
  const searches = new Set(searchesOf(ledger).filter(({ place, metrics }) => !metrics.some((metric) => metric.has(place))).map(({ place }) => place));
  const places = Uint32Array.from({ length: ledger.n }, (_, place) => place).filter((place) => status.num[place] !== isVoid && !searches.has(place));
  const different = new Set(ledger.of("parameter").slice(0, lookedAt).filter((column) => varies(column, places)));
  remembered.set(ledger, { version: ledger.version, different });
  return different;
}

const fewParams = 6;
const sampled = 2000;

/** Parameters; of very many those that most of the runs have, the empty ones last. */
function telling(ledger: Ledger, places: ArrayLike<number>): Column[] {
  const params = ledger.of("parameter").slice(0, lookedAt);
  if (params.length <= fewParams) return params;
  const step = Math.max(1, Math.floor(places.length / sampled));
  const share = (column: Column) => {
    let n = 0;
    for (let i = 0; i < places.length; i += step) if (column.has(places[i])) n++;
    return n || (isFilled(column, places) ? 0.5 : 0);
  };
  const shares = new Map(params.map((column) => [column, share(column)]));
  const filled = params.filter((column) => shares.get(column)! > 0);
  if (filled.length <= mostParams) return [...filled, ...params.filter((column) => !shares.get(column))];
  const least = filled.map((column) => shares.get(column)!).sort((a, b) => b - a)[mostParams - 1];
  return filled.filter((column) => shares.get(column)! >= least).slice(0, mostParams);
}

/** Whether a column says more than one thing of the runs. */
export function varies(column: Column, places: ArrayLike<number>): boolean {
  let first: number | string | undefined;
  for (let i = 0; i < places.length; i++) {
    if (!column.has(places[i])) continue;
    const num = column.num[places[i]];
    const value = Number.isNaN(num) ? JSON.stringify(column.value(places[i])) : num;
    if (first === undefined) first = value;
    else if (first !== value) return true;
  }
  return false;
}

/** Whether of all parameters this one alone varies among the runs, so that a line between them says something. */
export function variesAlone(column: Column, params: Column[], places: ArrayLike<number>): boolean {
  const differs = (other: Column) => varies(other, places) || (isFilled(other, places) && !isFilledInAll(other, places));
  return column.kind === "parameter" && params.every((other) => other === column || !differs(other));
}

const isFilledInAll = (column: Column, places: ArrayLike<number>) => Array.prototype.every.call(places, (place: number) => column.has(place));
