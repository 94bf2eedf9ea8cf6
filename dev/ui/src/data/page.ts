// What the core tells the page, as JSON: all of a ledger, and then what is new.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };
export type Sparse<T> = { [place: string]: T };

export type Type =
  | "double" | "integer" | "integer64" | "logical" | "character" | "date" | "datetime" | "difftime" | "mixed";

/** As runs are compared by it; what isn't compared is a detail, and `run` what tells a run from all others. */
export type Kind = "run" | "parameter" | "metric" | "detail" | "seed" | "tag";

/** Which runs the items of a list are for: those at some places, so many in a row each, or one each. */
export interface Spread {
  at?: number[];
  times?: number[];
}

/** What many runs have in common: each once, and which of them each run has, below 0 none. */
export interface Levels<T> extends Spread {
  levels: T[];
  codes: number[];
}

/** What a column is called and holds. No two have one label. */
export interface Head {
  kind: Kind;
  name: string;
  label: string;
  type: Type;
}

/** A column of texts has levels and codes, any other one values: null for nothing, `"NA"`, `"NULL"`, `"NaN"`, `"Inf"`. */
export interface ColumnData extends Head, Spread {
  values?: Json[];
  levels?: string[];
  codes?: number[];
  /** The places of the integers among doubles. */
  integers?: number[];
}

export type Status = "finished" | "running" | "failed" | "interrupted" | "lost" | "void";

/** Something that a run recorded; the value is bare if it is a text, a logical or an integer. */
export interface Fact {
  kind: string;
  /** The data set that it is a part of. */
  partOf: string | null;
  name: string;
  value: Json;
}

/** Names and values, one after the other. */
export type FactsData = [kind: string, partOf: string | null, ...pairs: Json[]][];

export type NodeKind = "stage" | "version" | "content" | "run" | "commit" | "session" | "environment";
export type NodeData = [kind: NodeKind, id: string, label: string];
/** What rests, how, and on what: numbers of nodes, below 0 what the edge is told of. */
export type EdgeData = [from: number, relation: string, to: number];

/** What a run is, and what it rests on. */
export interface RunLineage {
  label: string;
  /** Why nobody should rest on it. */
  problem?: string;
  edges: EdgeData[];
}

export interface Series {
  step: number[];
  value: (number | string | null)[];
  time?: (number | null)[];
}

export type Preview =
  | { kind: "image"; type: string; base64: string }
  | { kind: "text"; text: string; cut?: boolean }
  | { kind: "table"; names: string[]; rows: Json[][]; of: number }
  | { kind: "none"; why: string };

export interface SessionData {
  id: string;
  context: Fields | null;
  facts: FactsData;
  edges: EdgeData[];
}

export interface Version {
  model: string;
  version: number;
  /** The place of the run, where it is on the page. */
  run: number | null;
  run_id: string;
  artifact: string;
  signature?: Json;
  sha256: string;
  registered: number;
  stages: string[];
}

export interface StageChange {
  model: string;
  stage: string;
  version: number;
  previous: number | null;
  time: number;
  who: string | null;
  event: "promote" | "rollback" | "refuse";
  why: string | null;
  figures: Fields | null;
}

export interface Integrity {
  status: "ok" | "pending" | "torn" | "truncated" | "corrupt" | "forked";
  rows: number;
  row: number | null;
  byte: number | null;
  why: string | null;
  problems: { row: number; kind: string; problem: string }[];
}

export interface Note {
  time: number;
  text: string;
}

/** What few runs have. */
export interface Extras {
  sealed: string[];
  call: Json;
  origin: Json;
  notes: Note[];
  void_reason: string;
  /** For what a run failed: its message, classes and calls. */
  condition: Json;
  ended: number;
  /** Entries by their names; `content` is the number of a node. */
  artifacts: Fields;
  /** What rests on the run because it made it. */
  made: EdgeData[];
}

export const extraKeys = ["sealed", "call", "origin", "notes", "void_reason", "condition", "ended", "artifacts", "made"] as const;

export type RunsData = { [K in keyof Extras]?: Sparse<Extras[K]> } & {
  n: number;
  id: string[];
  began: number[];
  columns: ColumnData[];
  /** The session in which each last said something, by its number. */
  session: Levels<number>;
  facts: Levels<FactsData>;
  lineage: Levels<RunLineage>;
};

export interface PageData {
  format: 1;
  live?: { token: string; poll: number };
  /** Where the data stand, in the server's own words. */
  mark: string;
  file: string;
  /** Null of a plain CSV of runs. */
  ledger: string | null;
  seq: number;
  written: number;
  version: string;
  integrity: Integrity | null;
  /** The kinds by which runs are compared, in their order. */
  kinds: string[];
  sessions: SessionData[];
  runs: RunsData;
  series?: Sparse<{ [metric: string]: Series }>;
  previews?: { [sha256: string]: Preview };
  models?: Version[];
  stages?: StageChange[];
  /** The edges of models and stages. */
  edges: EdgeData[];
  nodes: NodeData[];
  omitted?: string[];
}

/** Everything on record of one run; its values are cells, but for the details, whose types the columns have. */
export type RunPatch = Partial<Extras> & { [kind in "parameter" | "metric" | "tag" | "seed" | "detail"]: Fields } & {
  id: string;
  began: number;
  /** By its id. */
  session: string;
  facts: FactsData;
  lineage: RunLineage;
};

export interface Patch {
  /** All of them, where one came, or is called or holds something else. */
  columns?: Head[];
  sessions?: SessionData[];
  runs?: Sparse<RunPatch>;
  series?: Sparse<{ [metric: string]: Series }>;
  previews?: { [sha256: string]: Preview };
  models?: Version[];
  stages?: StageChange[];
  edges?: EdgeData[];
  /** What its edges name. */
  nodes: NodeData[];
  omitted?: string[];
}

/** What an object of the ledger's has under a name, which may be `constructor` or the like. */
export const own = <T>(object: { [key: string]: T }, key: string): T | undefined => (Object.hasOwn(object, key) ? object[key] : undefined);

export const isFields = (value: Json | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const specials: { [text: string]: number } = { NaN: NaN, Inf: Infinity, "-Inf": -Infinity };

export const numberOf = (value: Json | undefined): number =>
  typeof value === "number" ? value : typeof value === "string" ? (own(specials, value) ?? NaN) : NaN;

/** Facts one by one. */
export const factsIn = (data: FactsData): Fact[] =>
  data.flatMap(([kind, partOf, ...pairs]) => pairs.flatMap((name, i) => (i % 2 ? [] : [{ kind, partOf, name: String(name), value: pairs[i + 1] }])));

/** Calls for each run that a list has an item for, with the item's index. */
export function spread({ at, times }: Spread, items: number, visit: (place: number, index: number) => void) {
  let place = 0;
  for (let index = 0; index < items; index++) {
    if (at) visit(at[index], index);
    else for (let i = times ? times[index] : 1; i > 0; i--) visit(place++, index);
  }
}
