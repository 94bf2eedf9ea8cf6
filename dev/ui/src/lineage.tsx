// What rests on what, in the words of trace_lineage(), as a graph to click through.

import { Graph, layout } from "@dagrejs/dagre";
import { useMemo } from "preact/hooks";
import { useApp } from "./app.tsx";
import { isFields, type Fields, type Ledger, type Version } from "./data.ts";
import type { State } from "./state.ts";
import { plain, shortHash } from "./text.ts";

type NodeKind = "stage" | "version" | "content" | "run" | "commit" | "session" | "environment" | "more";

interface Node {
  kind: NodeKind;
  id: string;
  label: string;
  problem?: string;
}

interface Edge {
  from: Node;
  relation: string;
  to: Node;
}

type Step = [relation: string, node: Node];

const contentId = (hash: string) => (/^(sha256|fl1):/.test(hash) ? hash : `label:${hash}`);
const text = (fields: Fields | null | undefined, key: string) => {
  const value = fields?.[key];
  return typeof value === "string" ? value : undefined;
};

function push<K, V>(map: Map<K, V[]>, key: K, value: V) {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

/** Who made and used which content; everything else is read off the ledger as it is asked for. */
export class Lineage {
  private makers = new Map<string, number[]>();
  private users = new Map<string, number[]>();
  private storedAs = new Map<string, string[]>();
  private values = new Map<string, string[]>();
  private labels = new Map<string, string>();
  private versions = new Map<string, Version[]>();

  constructor(private ledger: Ledger) {
    for (const key of ledger.extraPlaces("artifacts")) {
      for (const [name, entry] of Object.entries(ledger.extra("artifacts", Number(key))!)) {
        const sha256 = isFields(entry) ? text(entry, "sha256") : undefined;
        if (!sha256) continue;
        const id = `sha256:${sha256}`;
        push(this.makers, id, Number(key));
        this.labels.set(id, `artifact ${name}`);
        const data = text(entry as Fields, "data");
        if (data && !this.storedAs.get(contentId(data))?.includes(id)) {
          push(this.storedAs, contentId(data), id);
          push(this.values, id, contentId(data));
          this.labels.set(contentId(data), `data ${name}`);
        }
      }
    }
    for (const key of ledger.extraPlaces("data")) {
      for (const [name, entry] of Object.entries(ledger.extra("data", Number(key))!)) {
        const hash = isFields(entry) ? text(entry, "hash") : undefined;
        if (!hash) continue;
        const { rows, cols } = entry as Fields;
        push(this.users, contentId(hash), Number(key));
        if (!this.labels.has(contentId(hash))) {
          const shape = typeof rows === "number" ? `, ${rows}${typeof cols === "number" ? ` × ${cols}` : ""}` : "";
          this.labels.set(contentId(hash), `data ${name}${shape}`);
        }
      }
    }
    for (const version of ledger.models) push(this.versions, `sha256:${version.sha256}`, version);
  }

  run(place: number): Node {
    const status = this.ledger.status(place);
    const learner = ["learner", "model"].map((name) => this.ledger.column("param", name)?.value(place)).find((value) => typeof value === "string");
    const unfit = status === "void" || status === "failed" ? `the run is ${status}` : undefined;
    return { kind: "run", id: this.ledger.ids[place], label: learner ? plain(learner) : "run", problem: unfit };
  }

  version(version: Version): Node {
    return { kind: "version", id: `${version.model}/${version.version}`, label: "version" };
  }

  content(id: string): Node {
    return { kind: "content", id, label: this.labels.get(id) ?? "content" };
  }

  /** What a node rests on. */
  up(node: Node): Step[] {
    const { ledger } = this;
    if (node.kind === "stage") {
      const version = ledger.models.find(({ model, stages }) => stages.some((stage) => `${model}@${stage}` === node.id));
      return version ? [["points to", this.version(version)]] : [];
    }
    if (node.kind === "version") {
      const version = ledger.models.find(({ model, version }) => `${model}/${version}` === node.id);
      if (!version) return [];
      const id = `sha256:${version.sha256}`;
      const several = new Set(this.makers.get(id)).size > 1;
      return [["is", this.content(id)], ...(several ? [["was registered from", this.run(version.run)] as Step] : [])];
    }
    if (node.kind === "content") {
      const stored = (this.storedAs.get(node.id) ?? []).map((id): Step => ["is stored as", this.content(id)]);
      const makers = [...new Set(this.makers.get(node.id))].map((place): Step => ["was made by", this.run(place)]);
      return [...stored, ...makers];
    }
    if (node.kind === "run") {
      const place = ledger.place(node.id)!;
      const session = ledger.session(place);
      const steps: Step[] = [];
      for (const entry of Object.values(ledger.extra("data", place) ?? {})) {
        const hash = isFields(entry) ? text(entry, "hash") : undefined;
        if (hash) steps.push(["used", this.content(contentId(hash))]);
      }
      const git = session?.context?.git;
      const commit = isFields(git) ? text(git, "commit") : undefined;
      if (commit) steps.push(["ran at", { kind: "commit", id: commit, label: isFields(git) && git.dirty === true ? "commit, with changes" : "commit" }]);
      if (session?.context) {
        const who = ["user", "host", "script"].map((key) => text(session.context, key)).filter(Boolean).join(", ");
        steps.push(["ran in", { kind: "session", id: session.id, label: who || "session" }]);
      }
      return steps;
    }
    if (node.kind === "session") {
      const context = ledger.sessions.find(({ id }) => id === node.id)?.context;
      const lockfile = context?.lockfile;
      const sha256 = isFields(lockfile) ? text(lockfile, "sha256") : undefined;
      const packages = isFields(context?.packages) ? Object.keys(context.packages).length : 0;
      return sha256 ? [["ran with", { kind: "environment", id: sha256, label: `R ${plain(context?.r)}, ${packages} packages` }]] : [];
    }
    return [];
  }

  /** What rests on a node. */
  down(node: Node): Step[] {
    const { ledger } = this;
    if (node.kind === "run") {
      const made = Object.values(ledger.extra("artifacts", ledger.place(node.id)!) ?? {});
      const hashes = made.map((entry) => (isFields(entry) ? text(entry, "sha256") : undefined)).filter((sha256) => sha256 !== undefined);
      return [...new Set(hashes)].map((sha256): Step => ["was made by", this.content(`sha256:${sha256}`)]);
    }
    if (node.kind === "content") {
      const versions = (this.versions.get(node.id) ?? []).map((version): Step => ["is", this.version(version)]);
      const values = (this.values.get(node.id) ?? []).map((id): Step => ["is stored as", this.content(id)]);
      const users = (this.users.get(node.id) ?? []).map((place): Step => ["used", this.run(place)]);
      return [...versions, ...values, ...users];
    }
    if (node.kind === "version") {
      const version = ledger.models.find(({ model, version }) => `${model}/${version}` === node.id);
      return (version?.stages ?? []).map((stage): Step => ["points to", { kind: "stage", id: `${version!.model}@${stage}`, label: "stage" }]);
    }
    return [];
  }

  /** What a node rests on and what rests on it, as far as one can still read it. */
  around(start: Node): { nodes: Node[]; edges: Edge[] } {
    const nodes = new Map([[keyOf(start), start]]);
    const edges = new Map<string, Edge>();
    const follow = (steps: (node: Node) => Step[], down: boolean) => {
      const queue = [start];
      const seen = new Set([keyOf(start)]);
      for (let node = queue.shift(); node; node = queue.shift()) {
        const all = steps.call(this, node);
        const more = all.length - mostBranches;
        const shown = all.slice(0, mostBranches);
        if (more > 0) shown.push([all[mostBranches][0], { kind: "more", id: `${more} more, from ${node.id}`, label: "and" }]);
        for (const [relation, other] of shown) {
          const key = keyOf(other);
          if (!nodes.has(key) && nodes.size >= mostNodes) continue;
          if (!nodes.has(key)) nodes.set(key, other);
          const [from, to] = down ? [other, node] : [node, other];
          edges.set(`${keyOf(from)} ${relation} ${keyOf(to)}`, { from: nodes.get(keyOf(from))!, relation, to: nodes.get(keyOf(to))! });
          if (!seen.has(key) && other.kind !== "more") queue.push(other);
          seen.add(key);
        }
      }
    };
    follow(this.up, false);
    follow(this.down, true);
    return { nodes: [...nodes.values()], edges: [...edges.values()] };
  }
}

const mostBranches = 8;
const mostNodes = 60;
const keyOf = (node: Node) => `${node.kind} ${node.id}`;

function nameOf({ kind, id }: Node): string {
  if (kind === "run") return id.replace(/^\d{8}-\d{6}-(\w{12})$/, "$1");
  if (kind === "environment") return `lockfile ${id.slice(0, 8)}…`;
  if (kind === "more") return id.replace(/, from .*/, "");
  return shortHash(id);
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const size = { width: 168, height: 46 };

export function LineageGraph({ start }: { start: Node }) {
  const { ledger, state, href } = useApp();
  const placed = useMemo(() => {
    const { nodes, edges } = new Lineage(ledger).around(start);
    const graph = new Graph({ multigraph: true });
    graph.setGraph({ rankdir: "TB", nodesep: 18, ranksep: 42, marginx: 6, marginy: 6 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const node of nodes) graph.setNode(keyOf(node), { ...size });
    for (const { from, relation, to } of edges) {
      graph.setEdge(keyOf(from), keyOf(to), { width: relation.length * 6, height: 12, labelpos: "c" }, relation);
    }
    layout(graph);
    return { nodes, edges, graph };
  }, [ledger, ledger.version, start.kind, start.id]);
  const { nodes, edges, graph } = placed;
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  if (!edges.length) return <p class="muted">Nothing else is on record that it rests on, or that rests on it.</p>;

  const address = (node: Node): Partial<State> | null => {
    if (node.kind === "run") return { view: "run", id: node.id };
    if (node.kind === "version" || node.kind === "stage") return { view: "models", id: node.id };
    if (node.kind === "commit") return { view: "runs", id: "", where: "", search: node.id };
    if (node.kind === "content" && node.label.startsWith("data ")) {
      return { view: "runs", id: "", where: "", search: node.id.replace(/^label:/, "") };
    }
    return null;
  };
  const box = (node: Node) => {
    const { x, y } = graph.node(keyOf(node)) as { x: number; y: number };
    const isStart = keyOf(node) === keyOf(start);
    const shape = (
      <>
        <title>{`${node.kind} ${node.id}: ${node.label}${node.problem ? `; ${node.problem}` : ""}`}</title>
        <rect width={size.width} height={size.height} rx="5" />
        <text x="10" y="19" class="node-name">{cut(nameOf(node), 22)}</text>
        <text x="10" y="36" class="node-label">{cut(node.problem ?? node.label, 26)}</text>
      </>
    );
    const to = isStart ? null : address(node);
    const placed = { transform: `translate(${x - size.width / 2} ${y - size.height / 2})`, class: `node ${node.kind}${isStart ? " start" : ""}${node.problem ? " wrong" : ""}` };
    return to
      ? <a key={keyOf(node)} href={href(to)} {...placed}>{shape}</a>
      : <g key={keyOf(node)} {...placed}>{shape}</g>;
  };
  const label = `Lineage of ${start.kind} ${start.id}`;
  return (
    <figure class="lineage scroll" tabIndex={0} role="group" aria-label={label} data-view={state.view}>
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
        <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0.5 L7 4 L0 7.5" class="head" /></marker></defs>
        {edges.map(({ from, relation, to }) => {
          const { points, x, y } = graph.edge(keyOf(from), keyOf(to), relation) as { points: { x: number; y: number }[]; x: number; y: number };
          const d = points.map((point, i) => `${i ? "L" : "M"}${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join("");
          return (
            <g key={`${keyOf(from)} ${relation} ${keyOf(to)}`} class="edge" aria-hidden="true">
              <path d={d} marker-end="url(#arrow)" />
              <text x={x} y={y + 4} text-anchor="middle">{relation}</text>
            </g>
          );
        })}
        {nodes.map(box)}
      </svg>
      <ul class="hidden">
        {edges.map(({ from, relation, to }) => <li key={`${keyOf(from)} ${relation} ${keyOf(to)}`}>{from.kind} {nameOf(from)} {relation} {to.kind} {nameOf(to)}</li>)}
      </ul>
    </figure>
  );
}
