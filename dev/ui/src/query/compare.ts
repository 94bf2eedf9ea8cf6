// Runs side by side: what each recorded, and in what they differ, as compare_runs() says it.

import type { Cell } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import { isFields, type Fact, type Json } from "../data/page.ts";

export interface Field {
  kind: string;
  name: string;
  /** What each run says of it, null where it recorded nothing. */
  cells: Cell[];
}

/** A value with its type, which texts, logicals and integers among facts don't name. */
function typed(value: Json): Cell {
  if (typeof value === "string") return { t: "character", v: value };
  if (typeof value === "boolean") return { t: "logical", v: value };
  return typeof value === "number" ? { t: "integer", v: value } : value;
}

/** Everything that a run recorded, with its values as cells; of its sessions the last. */
function factsOf(ledger: Ledger, place: number): Fact[] {
  // What a run is called is among its facts.
  const compared = ledger.kinds.filter((kind) => kind !== "run").flatMap((kind) => ledger.of(kind));
  const ofColumns = compared.map((column) => ({ kind: column.kind, partOf: null, name: column.name, value: column.cell(place) }));
  const others = [...ledger.facts(place), ...ledger.sessionFacts(place)].map((fact) => ({ ...fact, value: typed(fact.value) }));
  return [...ofColumns.filter(({ value }) => value !== null), ...others];
}

/** Tells cells apart; JSON has no sign of zero. */
const identity = (cell: Cell) => (isFields(cell) && Object.is(cell.v, -0) ? `-0 ${cell.t}` : JSON.stringify(cell));

export function compareRuns(ledger: Ledger, places: number[], all: boolean): Field[] {
  const facts = places.map((place) => factsOf(ledger, place));
  const keyOf = ({ kind, partOf, name }: Fact) => JSON.stringify([kind, partOf, name]);
  const said = facts.map((facts) => new Map(facts.map((fact) => [keyOf(fact), fact.value])));
  // A run without a data set has nothing to say of its parts.
  const sets = facts.map((facts) => new Set(facts.map(({ kind, partOf, name }) => partOf ?? (kind === "data" ? name : null))));
  const seen = new Set<string>();
  const fields: Field[] = [];
  for (const kind of ledger.kinds) {
    for (const fact of facts.flat()) {
      const key = keyOf(fact);
      if (fact.kind !== kind || seen.has(key)) continue;
      seen.add(key);
      const { partOf, name } = fact;
      const cells = said.map((said) => said.get(key) ?? null);
      const concerned = cells.filter((_, i) => partOf === null || sets[i].has(partOf)).map(identity);
      if (all || concerned.some((cell) => cell !== concerned[0])) fields.push({ kind, name, cells });
    }
  }
  return fields;
}
