// Which way a metric is better, and why one says so: the only place of the page that decides it.

import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import { isFields, type Json } from "../data/page.ts";
import type { State } from "./state.ts";

export interface Direction {
  /** Larger is better. */
  larger: boolean;
  why: string;
}

/** Metrics of which more is better, as their names end. */
const largerNames = [
  "auc", "roc_auc", "pr_auc", "accuracy", "bal_accuracy", "kap", "mcc", "f_meas", "f1", "r2", "rsq", "precision", "recall",
  "sens", "spec", "sensitivity", "specificity", "ppv", "npv", "ndcg", "map",
];
const largerName = new RegExp(`(?:^|[^a-z0-9])(?:${largerNames.join("|")})$`, "i");

/** The texts of a parameter that is one text or a vector of them. */
function textsOf(value: Json): string[] {
  const found = isFields(value) ? (value.json ?? value.v ?? null) : value;
  return (Array.isArray(found) ? found : [found]).filter((text) => typeof text === "string");
}

/** A run that chose by metrics: of others, that belong to it, or of what it measured itself. */
export interface Search {
  place: number;
  /** Those of its metrics that anything was measured by; the first decides. */
  metrics: Column[];
  /** The names of those that are better if they are larger. */
  larger: Set<string>;
}

function findSearches(ledger: Ledger): Search[] {
  const [named, maximize] = [ledger.column("parameter", "metrics"), ledger.column("parameter", "maximize")];
  const parents = new Set(ledger.column("detail", "parent")?.levels);
  const found: Search[] = [];
  for (let place = 0; named && place < ledger.n; place++) {
    if (!named.has(place)) continue;
    const isParent = parents.has(ledger.ids[place]);
    const metrics = textsOf(named.value(place)).flatMap((name) => ledger.column("metric", name) ?? []);
    // Anybody may call a parameter so; a search has runs of its own, or is one.
    const own = metrics.filter((metric) => isParent || metric.has(place));
    if (own.length) found.push({ place, metrics: own, larger: new Set(maximize ? textsOf(maximize.value(place)) : []) });
  }
  return found;
}

/** What searches say of the metrics by which they chose: true where larger is better, null where they differ. */
function saidBy(searches: Search[]): Map<string, boolean | null> {
  const said = new Map<string, boolean | null>();
  for (const { metrics, larger } of searches) {
    for (const { name } of metrics) {
      const before = said.get(name);
      said.set(name, before === undefined || before === larger.has(name) ? larger.has(name) : null);
    }
  }
  return said;
}

const remembered = new WeakMap<Ledger, { version: number; searches: Search[]; said: Map<string, boolean | null> }>();

function known(ledger: Ledger) {
  let all = remembered.get(ledger);
  if (all?.version !== ledger.version) {
    const searches = findSearches(ledger);
    all = { version: ledger.version, searches, said: saidBy(searches) };
    remembered.set(ledger, all);
  }
  return all;
}

/** The searches of a ledger, in its order. */
export const searchesOf = (ledger: Ledger): Search[] => known(ledger).searches;

/** As it is known of a metric, whatever was chosen. */
export function knownDirection(ledger: Ledger, metric: Column): Direction {
  const said = known(ledger).said.get(metric.name);
  if (typeof said === "boolean") return { larger: said, why: "the search says so" };
  if (largerName.test(metric.name)) return { larger: true, why: "its name says so" };
  return { larger: false, why: "as is usual" };
}

/** The metric by which runs compete: the one that was chosen, or the first. */
export function bestMetric(ledger: Ledger, state: Pick<State, "best">): Column | undefined {
  const metrics = ledger.of("metric");
  return metrics.find(({ label }) => label === state.best) ?? metrics[0];
}

/** Which way a metric counts; what was chosen goes before what is known. */
export function directionOf(ledger: Ledger, metric: Column, state: Pick<State, "best" | "maximize">): Direction {
  const chosen = state.maximize && metric === bestMetric(ledger, state);
  return chosen ? { larger: state.maximize === "1", why: "you chose so" } : knownDirection(ledger, metric);
}

/** "larger is better: the search says so" */
export const inWords = ({ larger, why }: Direction) => `${larger ? "larger" : "smaller"} is better${why === "as is usual" ? "," : ":"} ${why}`;
