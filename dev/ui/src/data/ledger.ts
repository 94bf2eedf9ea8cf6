// A ledger as the page knows it: its columns, and what its runs have on record beside them.

import { Column } from "./column.ts";
import {
  extraKeys, factsIn, own, spread, type EdgeData, type Extras, type Fact, type FactsData, type Integrity, type Kind, type Levels, type NodeData, type PageData, type Patch,
  type Preview, type RunLineage, type RunPatch, type Series, type SessionData, type Sparse, type StageChange, type Status, type Version,
} from "./page.ts";

/** A session, and the nodes that its edges name. */
export type Session = SessionData & { nodes: NodeData[] };

/** Edges, and the nodes that they name. */
export interface Told {
  edges: EdgeData[];
  nodes: NodeData[];
}

/** What each run has of what many have in common. */
class ByRun<T> {
  private levels: T[];
  private codes: Int32Array;

  constructor(data: Levels<T>, size: number) {
    this.levels = data.levels;
    this.codes = new Int32Array(size).fill(-1);
    spread(data, data.codes.length, (place, index) => { this.codes[place] = data.codes[index]; });
  }

  get(place: number): T | undefined {
    return this.levels[this.codes[place] ?? -1];
  }

  set(place: number, item: T) {
    if (place >= this.codes.length) {
      const codes = new Int32Array(Math.max(place + 1, Math.ceil(this.codes.length * 1.5))).fill(-1);
      codes.set(this.codes);
      this.codes = codes;
    }
    this.codes[place] = this.levels.push(item) - 1;
  }
}

export class Ledger {
  readonly file: string;
  /** Null of a plain CSV of runs. */
  readonly id: string | null;
  readonly written: number;
  readonly integrity: Integrity | null;
  /** The kinds by which runs are compared, in their order. */
  readonly kinds: string[];
  seq: number;
  n: number;
  ids: string[];
  began: Column;
  sessions: Session[];
  series: Sparse<{ [metric: string]: Series }>;
  previews: { [sha256: string]: Preview };
  models: Version[];
  stages: StageChange[];
  /** The edges of models and stages. */
  registry: Told;
  omitted: string[];
  /** Rises with whatever changes the columns. */
  version = 0;
  private names: Column;
  private all: Column[];
  private byName = new Map<string, Column>();
  private byLabel: Map<string, Column> | null = null;
  private sessionOf: ByRun<number>;
  private factsOf: ByRun<FactsData>;
  private lineageOf: ByRun<RunLineage>;
  private nodes: NodeData[];
  /** Of the runs that were told anew. */
  private nodesOf = new Map<number, NodeData[]>();
  private extras: { [K in keyof Extras]: Sparse<Extras[K]> };
  private places: Map<string, number> | null = null;

  constructor(data: PageData) {
    const { runs, nodes } = data;
    this.file = data.file;
    this.id = data.ledger;
    this.written = data.written;
    this.integrity = data.integrity;
    this.kinds = data.kinds;
    this.seq = data.seq;
    this.n = runs.n;
    this.ids = runs.id;
    this.nodes = nodes;
    this.sessions = data.sessions.map((session) => ({ ...session, nodes }));
    this.series = data.series ?? {};
    this.previews = data.previews ?? {};
    this.models = data.models ?? [];
    this.stages = data.stages ?? [];
    this.registry = { edges: data.edges, nodes };
    this.omitted = data.omitted ?? [];
    this.sessionOf = new ByRun(runs.session, runs.n);
    this.factsOf = new ByRun(runs.facts, runs.n);
    this.lineageOf = new ByRun(runs.lineage, runs.n);
    this.extras = Object.fromEntries(extraKeys.map((key) => [key, runs[key] ?? {}])) as typeof this.extras;

    this.names = Column.ofTexts({ kind: "run", name: "run_id", label: "run_id", type: "character" }, runs.id);
    this.began = Column.of({ kind: "run", name: "timestamp", label: "timestamp", type: "datetime", values: runs.began }, runs.n);
    this.all = [this.names, this.began, ...runs.columns.map((column) => Column.of(column, runs.n))];
    for (const column of this.all) this.byName.set(`${column.kind} ${column.name}`, column);
  }

  apply(patch: Patch, seq: number) {
    this.seq = seq;
    if (patch.columns) this.applyHeads(patch.columns);
    for (const session of patch.sessions ?? []) {
      const known = this.sessions.findIndex(({ id }) => id === session.id);
      this.sessions[known < 0 ? this.sessions.length : known] = { ...session, nodes: patch.nodes };
    }
    for (const [key, run] of Object.entries(patch.runs ?? {})) this.applyRun(Number(key), run, patch.nodes);
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
    if (patch.edges) this.registry = { edges: patch.edges, nodes: patch.nodes };
    this.omitted = [...new Set([...this.omitted, ...(patch.omitted ?? [])])];
    this.version++;
  }

  private applyHeads(heads: NonNullable<Patch["columns"]>) {
    const columns = heads.map((head) => {
      const known = this.column(head.kind, head.name);
      if (!known) return new Column(head, this.n);
      known.label = head.label;
      known.retype(head.type);
      return known;
    });
    this.all = [this.names, this.began, ...columns];
    for (const column of columns) this.byName.set(`${column.kind} ${column.name}`, column);
    this.byLabel = null;
  }

  private applyRun(place: number, run: RunPatch, nodes: NodeData[]) {
    if (place >= this.n) {
      this.n = place + 1;
      for (const column of this.all) column.reserve(this.n);
    }
    this.ids[place] = run.id;
    this.names.num[place] = place;
    this.names.version++;
    this.places?.set(run.id, place);
    this.began.set(place, { t: "datetime", v: run.began });
    this.sessionOf.set(place, this.sessions.findIndex(({ id }) => id === run.session));
    this.factsOf.set(place, run.facts);
    this.lineageOf.set(place, run.lineage);
    this.nodesOf.set(place, nodes);
    for (const key of extraKeys) {
      if (run[key] !== undefined) (this.extras[key] as Sparse<unknown>)[place] = run[key];
      else delete this.extras[key][place];
    }
    for (const kind of ["parameter", "metric", "tag", "seed"] as const) {
      for (const [name, cell] of Object.entries(run[kind])) this.column(kind, name)!.set(place, cell);
    }
    for (const [name, value] of Object.entries(run.detail)) {
      const column = this.column("detail", name)!;
      column.set(place, value === null ? null : { t: column.type, v: value });
    }
  }

  /** Columns by their labels, which are their names in conditions. */
  columns(): Map<string, Column> {
    this.byLabel ??= new Map(this.all.map((column) => [column.label, column]));
    return this.byLabel;
  }

  column(kind: Kind, name: string): Column | undefined {
    return this.byName.get(`${kind} ${name}`);
  }

  of(kind: string): Column[] {
    return this.all.filter((column) => column.kind === kind);
  }

  place(id: string): number | undefined {
    this.places ??= new Map(this.ids.map((id, place) => [id, place]));
    return this.places.get(id);
  }

  status(place: number): Status {
    return this.column("detail", "status")!.value(place) as Status;
  }

  seriesOf(place: number, metric: string): Series | undefined {
    return own(this.series[place] ?? {}, metric);
  }

  /** The one in which the run last said something. */
  session(place: number): Session | undefined {
    return this.sessions[this.sessionOf.get(place) ?? -1];
  }

  /** What a run has on record of its data, its call and its sessions. */
  facts(place: number): Fact[] {
    return factsIn(this.factsOf.get(place) ?? []);
  }

  /** With what it was made in that session. */
  sessionFacts(place: number): Fact[] {
    return factsIn(this.session(place)?.facts ?? []);
  }

  lineage(place: number): RunLineage | undefined {
    return this.lineageOf.get(place);
  }

  /** The nodes that a run's edges and artifacts name. */
  nodesNamedBy(place: number): NodeData[] {
    return this.nodesOf.get(place) ?? this.nodes;
  }

  extra<K extends keyof Extras>(key: K, place: number): Extras[K] | undefined {
    return this.extras[key][place];
  }
}
