// The data of a page: what R puts into it or the live server sends, and the same as columns.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };
export type Sparse<T> = { [place: string]: T };

export type Type =
  | "double" | "integer" | "integer64" | "logical" | "character" | "date" | "datetime" | "difftime" | "mixed";

export interface PlainColumn {
  name: string;
  type: Type;
  values?: Json[];
  at?: number[];
  levels?: string[];
  codes?: number[];
}

export type Status = "finished" | "running" | "failed" | "interrupted" | "lost" | "void";

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

export interface Session {
  id: string;
  context: Fields | null;
}

export interface Version {
  model: string;
  version: number;
  /** The place of the run. */
  run: number;
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

/** What a run has on record beside its columns; most runs have little of it. */
interface Extras {
  sealed: string[];
  looks: number;
  tags: Fields;
  artifacts: Fields;
  data: Fields;
  call: Json;
  origin: Json;
  notes: Note[];
  void_reason: string;
  ended: number;
}

type SparseExtras = { [K in keyof Extras]?: Sparse<Extras[K]> };

interface RunsData extends SparseExtras {
  n: number;
  id: string[];
  began: number[];
  session: (number | null)[];
  status?: Sparse<Status>;
  void?: number[];
  params: PlainColumn[];
  metrics: PlainColumn[];
  seed?: PlainColumn | null;
}

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
  sessions: Session[];
  runs: RunsData;
  series?: Sparse<{ [metric: string]: Series }>;
  previews?: { [sha256: string]: Preview };
  models?: Version[];
  stages?: StageChange[];
  omitted?: string[];
}

/** Everything on record of one run; its values are `{"t":type,"v":value}`, `{"redacted":true}` or null. */
interface RunPatch extends Partial<Extras> {
  id: string;
  began: number;
  /** By its id. */
  session: string | null;
  status?: Status;
  void?: boolean;
  params: Fields;
  metrics: Fields;
  seed?: Json;
}

export interface Patch {
  sessions?: Session[];
  runs?: Sparse<RunPatch>;
  series?: Sparse<{ [metric: string]: Series }>;
  previews?: { [sha256: string]: Preview };
  models?: Version[];
  stages?: StageChange[];
  omitted?: string[];
}

const specials: { [text: string]: number } = { NaN: NaN, Inf: Infinity, "-Inf": -Infinity };

/** What an object of the ledger's has under a name, which may be `constructor` or the like. */
export const own = <T>(object: { [key: string]: T }, key: string): T | undefined => (Object.hasOwn(object, key) ? object[key] : undefined);

export const numberOf = (value: Json | undefined): number =>
  typeof value === "number" ? value : typeof value === "string" ? (own(specials, value) ?? NaN) : NaN;

export const isFields = (value: Json | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const redactedCode = -2;

export type Kind = "run" | "param" | "metric" | "detail";

/**
 * One column of the runs. `num` has a number for each run, NaN where there is none: the number itself, 0 or 1,
 * a date in days, a time in ms, or the code of a text in `levels`. What no number can stand for is in `other`.
 */
export class Column {
  num: Float64Array;
  levels: string[] = [];
  other = new Map<number, Json>();
  label: string;
  private codes = new Map<string, number>();
  private sorted: { rows: Uint32Array; keys: Float64Array; version: number } | null = null;
  version = 0;

  constructor(readonly kind: Kind, readonly name: string, public type: Type, size: number) {
    this.label = name;
    this.num = new Float64Array(size).fill(NaN);
  }

  static of(kind: Kind, plain: PlainColumn, size: number): Column {
    const column = new Column(kind, plain.name, plain.type, size);
    const { values, at, codes, levels } = plain;
    if (codes && levels) {
      column.setLevels(levels);
      for (let i = 0; i < codes.length; i++) {
        const place = at ? at[i] : i;
        if (codes[i] >= 0) column.num[place] = codes[i];
        else if (codes[i] === redactedCode) column.other.set(place, { redacted: true });
      }
    } else if (values) {
      for (let i = 0; i < values.length; i++) column.set(at ? at[i] : i, values[i]);
    }
    return column;
  }

  private setLevels(levels: string[]) {
    this.levels = levels;
    levels.forEach((level, code) => this.codes.set(level, code));
  }

  set(place: number, value: Json) {
    this.reserve(place + 1);
    this.version++;
    this.other.delete(place);
    this.num[place] = NaN;
    if (value === null) return;
    if (this.type === "mixed" || isFields(value)) this.other.set(place, value);
    else if (this.type === "character") this.num[place] = this.code(String(value));
    else if (this.type === "date") this.num[place] = Date.parse(String(value)) / 864e5;
    else if (this.type === "integer64") {
      this.num[place] = Number(value);
      this.other.set(place, value);
    } else if (typeof value === "boolean") this.num[place] = Number(value);
    else {
      this.num[place] = numberOf(value);
      if (Number.isNaN(this.num[place])) this.other.set(place, value);
    }
  }

  private code(text: string): number {
    let code = this.codes.get(text);
    if (code === undefined) {
      code = this.levels.push(text) - 1;
      this.codes.set(text, code);
    }
    return code;
  }

  /** Room for so many runs. */
  reserve(size: number) {
    if (size <= this.num.length) return;
    const num = new Float64Array(Math.max(size, Math.ceil(this.num.length * 1.5))).fill(NaN);
    num.set(this.num);
    this.num = num;
  }

  /** A value of another type makes the column mixed; integers widen to doubles. */
  widen(type: Type, size: number) {
    if (type === this.type) return;
    if (type === "integer" && this.type === "double") return;
    if (type === "double" && this.type === "integer") this.type = "double";
    else if (this.type !== "mixed") {
      for (let place = 0; place < Math.min(size, this.num.length); place++) {
        const value = this.value(place);
        if (value !== null) this.other.set(place, isFields(value) ? value : { t: this.type, v: value });
      }
      this.num.fill(NaN);
      this.type = "mixed";
      this.version++;
    }
  }

  has(place: number): boolean {
    return !Number.isNaN(this.num[place]) || this.other.has(place);
  }

  /** As JSON has it. */
  value(place: number): Json {
    const other = this.other.get(place);
    if (other !== undefined) return other;
    const num = this.num[place];
    if (num === undefined || Number.isNaN(num)) return null;
    if (this.type === "character") return this.levels[num];
    if (this.type === "logical") return num === 1;
    if (this.type === "date") return new Date(num * 864e5).toISOString().slice(0, 10);
    return num;
  }

  get numeric(): boolean {
    return this.type !== "character" && this.type !== "mixed" && this.type !== "logical";
  }

  /** All places in ascending order, equals in that of the ledger, those without a value last. */
  order(n: number): Uint32Array {
    if (this.sorted?.version === this.version && this.sorted.rows.length === n) return this.sorted.rows;
    let keys = this.num;
    let ranked = 0;
    if (this.type === "character") {
      const rank = ranks(this.levels);
      ranked = rank.length;
      keys = this.num.map((code) => (Number.isNaN(code) ? NaN : rank[code]));
    } else if (this.type === "mixed") {
      const texts = Array.from({ length: n }, (_, place) => (this.has(place) ? JSON.stringify(this.value(place)) : ""));
      const rank = ranks(texts);
      ranked = rank.length;
      keys = Float64Array.from(texts, (text, place) => (text ? rank[place] : NaN));
    }
    const present = new Uint32Array(n);
    const absent: number[] = [];
    let count = 0;
    let ascending = true;
    for (let place = 0; place < n; place++) {
      if (Number.isNaN(keys[place])) absent.push(place);
      else {
        if (count && keys[present[count - 1]] > keys[place]) ascending = false;
        present[count++] = place;
      }
    }
    const rows = present.subarray(0, count);
    if (!ascending && ranked) sortByRank(rows, keys, ranked);
    else if (!ascending) rows.sort((a, b) => keys[a] - keys[b] || a - b);
    present.set(absent, count);
    this.sorted = { rows: present, keys, version: this.version };
    return present;
  }

  /** What `order()` has ordered by. */
  sortKey(place: number): number {
    return (this.sorted?.keys ?? this.num)[place];
  }
}

const collator = new Intl.Collator("en");
export const compareTexts = (a: string, b: string) => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

// The collator takes too long for so many texts.
const manyTexts = 10_000;

function ranks(texts: string[]): Float64Array {
  const compare = texts.length > manyTexts ? (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0) : compareTexts;
  const order = Uint32Array.from(texts, (_, i) => i).sort((a, b) => compare(texts[a], texts[b]));
  const rank = new Float64Array(texts.length);
  order.forEach((text, i) => {
    rank[text] = i && texts[text] === texts[order[i - 1]] ? rank[order[i - 1]] : i;
  });
  return rank;
}

/** By ranks below `n`, which can be counted: far quicker than comparing them. */
function sortByRank(rows: Uint32Array, rank: Float64Array, n: number) {
  const next = new Uint32Array(n + 1);
  for (const row of rows) next[rank[row] + 1]++;
  for (let i = 1; i <= n; i++) next[i] += next[i - 1];
  const sorted = new Uint32Array(rows.length);
  for (const row of rows) sorted[next[rank[row]]++] = row;
  rows.set(sorted);
}

const extraKeys = [
  "sealed", "looks", "tags", "artifacts", "data", "call", "origin", "notes", "void_reason", "ended",
] as const;

/** A ledger as columns, with what its runs have on record beside them. */
export class Ledger {
  readonly file: string;
  readonly id: string | null;
  readonly written: number;
  readonly integrity: Integrity | null;
  seq: number;
  n: number;
  ids: string[];
  began: Column;
  sessionOf: (number | null)[];
  sessions: Session[];
  series: Sparse<{ [metric: string]: Series }>;
  previews: { [sha256: string]: Preview };
  models: Version[];
  stages: StageChange[];
  omitted: string[];
  /** Rises with whatever changes the columns. */
  version = 0;
  private names: Column;
  private extras: { [K in keyof Extras]: Sparse<Extras[K]> };
  private places: Map<string, number> | null = null;
  private all = new Map<string, Column>();
  private byLabel: Map<string, Column> | null = null;

  constructor(data: PageData) {
    const runs = data.runs;
    this.file = data.file;
    this.id = data.ledger;
    this.written = data.written;
    this.integrity = data.integrity;
    this.seq = data.seq;
    this.n = runs.n;
    this.ids = runs.id;
    this.sessions = data.sessions;
    this.series = data.series ?? {};
    this.previews = data.previews ?? {};
    this.models = data.models ?? [];
    this.stages = data.stages ?? [];
    this.omitted = data.omitted ?? [];
    this.extras = Object.fromEntries(extraKeys.map((key) => [key, runs[key] ?? {}])) as typeof this.extras;

    this.names = this.add(new Column("run", "run_id", "character", runs.n));
    this.names.levels = runs.id;
    for (let place = 0; place < runs.n; place++) this.names.num[place] = place;
    this.began = this.add(Column.of("run", { name: "timestamp", type: "datetime", values: runs.began }, runs.n));
    this.sessionOf = runs.session;
    for (const plain of runs.params) this.add(Column.of("param", plain, runs.n));
    for (const plain of runs.metrics) this.add(Column.of("metric", plain, runs.n));
    this.addDetails(runs);
  }

  private add(column: Column): Column {
    this.all.set(`${column.kind}.${column.name}`, column);
    this.byLabel = null;
    return column;
  }

  private addDetails(runs: RunsData) {
    const n = runs.n;
    const status = this.add(new Column("detail", "status", "character", n));
    const finished = "finished";
    for (let place = 0; place < n; place++) status.set(place, finished);
    for (const [place, value] of Object.entries(runs.status ?? {})) status.set(Number(place), value);
    for (const place of runs.void ?? []) status.set(place, "void");

    this.add(Column.of("detail", runs.seed ?? { name: "seed", type: "integer" }, n));
    for (const [name, type] of derived) this.add(new Column("detail", name, type, n));
    for (let place = 0; place < n; place++) this.derive(place);
    for (const [place, tags] of Object.entries(this.extras.tags)) this.setTags(Number(place), tags);
  }

  /** The columns that are read off a run's session and extras. */
  private derive(place: number) {
    const context = this.session(place)?.context;
    const set = (name: string, value: Json | undefined) => {
      if (value !== undefined && value !== null) this.all.get(`detail.${name}`)!.set(place, value);
    };
    const ended = this.extras.ended[place];
    if (ended !== undefined) set("duration", (ended - this.began.num[place]) / 1000);
    if (context) {
      const git = isFields(context.git) ? context.git : {};
      set("user", context.user);
      set("host", context.host);
      set("commit", git.commit);
      set("dirty", git.dirty);
    }
    const data = this.extras.data[place];
    if (data) {
      const hashes = Object.entries(data).map(([name, entry]) => [name, isFields(entry) ? entry.hash : null]);
      set("data", hashes.length === 1 ? hashes[0][1] : hashes.map(([name, hash]) => `${name}=${hash}`).join(" "));
    }
    set("looks", this.extras.looks[place] ?? 0);
  }

  private setTags(place: number, tags: Fields) {
    for (const [name, cell] of Object.entries(tags)) this.setCell("detail", `tags$${name}`, place, cell);
  }

  private setCell(kind: Kind, name: string, place: number, cell: Json) {
    const { t, v } = isFields(cell) && typeof cell.t === "string" ? { t: knownType(cell.t), v: cell.v } : { t: null, v: cell };
    let column = this.all.get(`${kind}.${name}`);
    if (!column) column = this.add(new Column(kind, name, t ?? "character", this.n));
    if (t) column.widen(t, this.n);
    column.set(place, column.type === "mixed" && t ? cell : v);
  }

  apply(patch: Patch, seq: number) {
    this.seq = seq;
    for (const session of patch.sessions ?? []) {
      const known = this.sessions.findIndex(({ id }) => id === session.id);
      if (known < 0) this.sessions.push(session);
      else this.sessions[known] = session;
    }
    for (const [key, run] of Object.entries(patch.runs ?? {})) this.applyRun(Number(key), run);
    for (const [place, metrics] of Object.entries(patch.series ?? {})) {
      const known = (this.series[place] ??= {});
      for (const [metric, more] of Object.entries(metrics)) {
        const series = own(known, metric);
        known[metric] = series
          ? {
              step: series.step.concat(more.step),
              value: series.value.concat(more.value),
              time: series.time && more.time && series.time.concat(more.time),
            }
          : more;
      }
    }
    Object.assign(this.previews, patch.previews);
    this.models = patch.models ?? this.models;
    this.stages = patch.stages ?? this.stages;
    this.omitted = [...new Set([...this.omitted, ...(patch.omitted ?? [])])];
    this.version++;
  }

  private applyRun(place: number, run: RunPatch) {
    if (place >= this.n) {
      this.n = place + 1;
      for (const column of this.all.values()) column.reserve(this.n);
    }
    this.ids[place] = run.id;
    this.names.num[place] = place;
    this.names.version++;
    this.places?.set(run.id, place);
    this.began.set(place, run.began);
    this.sessionOf[place] = run.session === null ? null : this.sessions.findIndex(({ id }) => id === run.session);
    for (const key of extraKeys) {
      if (run[key] !== undefined) (this.extras[key] as Sparse<unknown>)[place] = run[key];
      else delete this.extras[key][place];
    }
    this.all.get("detail.status")!.set(place, run.void ? "void" : (run.status ?? "finished"));
    for (const [name, cell] of Object.entries(run.params)) this.setCell("param", name, place, cell);
    for (const [name, cell] of Object.entries(run.metrics)) this.setCell("metric", name, place, cell);
    if (run.seed !== undefined) this.setCell("detail", "seed", place, run.seed);
    this.derive(place);
    if (run.tags) this.setTags(place, run.tags);
  }

  /** Columns by their names in conditions: a name that is both parameter and metric has two longer ones. */
  columns(): Map<string, Column> {
    if (this.byLabel) return this.byLabel;
    const columns = [...this.all.values()];
    const users = columns.filter(({ kind }) => kind === "param" || kind === "metric");
    const count = new Map<string, number>();
    for (const { name } of users) count.set(name, (count.get(name) ?? 0) + 1);
    for (const column of users) {
      column.label = count.get(column.name)! > 1 ? `${column.kind}s.${column.name}` : column.name;
    }
    const taken = new Set(users.map(({ label }) => label));
    for (const column of columns) {
      if (column.kind === "detail") column.label = taken.has(column.name) ? `details.${column.name}` : column.name;
    }
    const of = (kind: Kind) => columns.filter((column) => column.kind === kind);
    const ordered = [...of("run"), ...of("param"), ...of("metric"), ...of("detail")];
    this.byLabel = new Map(ordered.map((column) => [column.label, column]));
    return this.byLabel;
  }

  column(kind: Kind, name: string): Column | undefined {
    return this.all.get(`${kind}.${name}`);
  }

  of(kind: Kind): Column[] {
    return [...this.columns().values()].filter((column) => column.kind === kind);
  }

  place(id: string): number | undefined {
    this.places ??= new Map(this.ids.map((id, place) => [id, place]));
    return this.places.get(id);
  }

  status(place: number): Status {
    return this.all.get("detail.status")!.value(place) as Status;
  }

  seriesOf(place: number, metric: string): Series | undefined {
    return own(this.series[place] ?? {}, metric);
  }

  session(place: number): Session | undefined {
    return this.sessions[this.sessionOf[place] ?? -1];
  }

  extra<K extends keyof Extras>(key: K, place: number): Extras[K] | undefined {
    return this.extras[key][place];
  }

  extraPlaces(key: keyof Extras): string[] {
    return Object.keys(this.extras[key]);
  }
}

const derived: [string, Type][] = [
  ["duration", "difftime"], ["user", "character"], ["host", "character"], ["commit", "character"],
  ["dirty", "logical"], ["data", "character"], ["looks", "integer"],
];

const types = new Set<string>([
  "double", "integer", "integer64", "logical", "character", "date", "datetime", "difftime", "mixed",
]);
const knownType = (type: string): Type => (types.has(type) ? (type as Type) : "mixed");
