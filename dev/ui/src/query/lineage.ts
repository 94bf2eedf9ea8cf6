// What rests on what: the edges that the core tells of each run, session and model, put together as trace_lineage() does.

import type { Ledger, Told } from "../data/ledger.ts";
import type { NodeData, NodeKind } from "../data/page.ts";

export interface Node {
  kind: NodeKind | "more";
  id: string;
  label: string;
  problem?: string;
}

export interface Edge {
  from: Node;
  relation: string;
  to: Node;
}

export type Direction = "up" | "down";

/** How many branches of one node and how many nodes in all are followed. */
export interface Bounds {
  branches: number;
  nodes: number;
}

const unbounded: Bounds = { branches: Infinity, nodes: Infinity };

export const keyOf = (node: { kind: string; id: string }) => `${node.kind} ${node.id}`;

/** Edges by the node at one end, in their order. */
class Adjacency {
  private starts: Uint32Array;
  private edges: Uint32Array;

  constructor(nodes: number, ends: number[]) {
    this.starts = new Uint32Array(nodes + 1);
    for (const node of ends) this.starts[node + 1]++;
    for (let node = 0; node < nodes; node++) this.starts[node + 1] += this.starts[node];
    const next = this.starts.slice();
    this.edges = new Uint32Array(ends.length);
    ends.forEach((node, edge) => { this.edges[next[node]++] = edge; });
  }

  of(node: number): Uint32Array {
    return this.edges.subarray(this.starts[node], this.starts[node + 1]);
  }
}

export class Lineage {
  /** Runs by their places, then all else in the order in which it is first named. */
  private others: NodeData[] = [];
  private numbers = new Map<string, number>();
  private from: number[] = [];
  private relations: string[] = [];
  private to: number[] = [];
  private known = new Set<string>();
  private up: Adjacency;
  private down: Adjacency;

  constructor(private ledger: Ledger) {
    const runs = ledger.n;
    for (let place = 0; place < runs; place++) {
      const nodes = ledger.nodesNamedBy(place);
      this.add({ edges: ledger.extra("made", place) ?? [], nodes }, place);
      this.add({ edges: ledger.lineage(place)?.edges ?? [], nodes }, place);
    }
    for (const session of ledger.sessions) {
      const number = this.numbers.get(keyOf({ kind: "session", id: session.id }));
      if (number !== undefined) this.add(session, number);
    }
    this.add(ledger.registry, -1);
    const nodes = runs + this.others.length;
    this.up = new Adjacency(nodes, this.from);
    this.down = new Adjacency(nodes, this.to);
  }

  private add({ edges, nodes }: Told, teller: number) {
    for (const [from, relation, to] of edges) {
      const [a, b] = [from, to].map((number) => (number < 0 ? teller : this.number(nodes[number])));
      // What rests on others is told by itself alone, and once.
      if (a !== teller) {
        const key = `${a} ${relation} ${b}`;
        if (this.known.has(key)) continue;
        this.known.add(key);
      }
      this.from.push(a);
      this.relations.push(relation);
      this.to.push(b);
    }
  }

  private number(node: NodeData): number {
    const [kind, id] = node;
    const place = kind === "run" ? this.ledger.place(id) : undefined;
    if (place !== undefined) return place;
    const key = keyOf({ kind, id });
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.ledger.n + this.others.push(node) - 1;
      this.numbers.set(key, number);
    }
    return number;
  }

  private node(number: number): Node {
    const { ledger } = this;
    if (number >= ledger.n) {
      const [kind, id, label] = this.others[number - ledger.n];
      return { kind, id, label };
    }
    const { label, problem } = ledger.lineage(number)!;
    return { kind: "run", id: ledger.ids[number], label, problem };
  }

  find(kind: NodeKind, id: string): Node | undefined {
    const number = this.numberOf(kind, id);
    return number === undefined ? undefined : this.node(number);
  }

  private numberOf(kind: string, id: string): number | undefined {
    return kind === "run" ? this.ledger.place(id) : this.numbers.get(keyOf({ kind, id }));
  }

  /** The edges that are met on the way from a node, each once. */
  trace(start: Node, direction: Direction, bounds = unbounded): Edge[] {
    const begin = this.numberOf(start.kind, start.id);
    if (begin === undefined) return [];
    const next = this[direction];
    const far = direction === "up" ? this.to : this.from;
    const nodes = new Map([[begin, start]]);
    const met: Edge[] = [];
    const meet = (near: Node, relation: string, other: Node) =>
      met.push(direction === "up" ? { from: near, relation, to: other } : { from: other, relation, to: near });
    const queue = [begin];
    for (let at = 0; at < queue.length; at++) {
      const node = nodes.get(queue[at])!;
      const edges = next.of(queue[at]);
      for (const edge of edges.subarray(0, Math.min(edges.length, bounds.branches))) {
        const number = far[edge];
        if (!nodes.has(number)) {
          if (nodes.size >= bounds.nodes) continue;
          nodes.set(number, this.node(number));
          queue.push(number);
        }
        meet(node, this.relations[edge], nodes.get(number)!);
      }
      const more = edges.length - bounds.branches;
      if (more > 0) meet(node, this.relations[edges[bounds.branches]], { kind: "more", id: `${more} more, from ${node.id}`, label: "and" });
    }
    return met;
  }

  /** What a node rests on and what rests on it. */
  around(start: Node, bounds: Bounds): { nodes: Node[]; edges: Edge[] } {
    const nodes = new Map([[keyOf(start), start]]);
    const edges: Edge[] = [];
    const known = (node: Node) => {
      const key = keyOf(node);
      if (!nodes.has(key) && nodes.size < bounds.nodes) nodes.set(key, node);
      return nodes.get(key);
    };
    const seen = new Set<string>();
    for (const edge of [...this.trace(start, "up", bounds), ...this.trace(start, "down", bounds)]) {
      const [from, to] = [known(edge.from), known(edge.to)];
      const key = `${keyOf(edge.from)} ${edge.relation} ${keyOf(edge.to)}`;
      if (from && to && !seen.has(key)) edges.push({ from, relation: edge.relation, to });
      seen.add(key);
    }
    return { nodes: [...nodes.values()], edges };
  }
}

const built = new WeakMap<Ledger, { version: number; lineage: Lineage }>();

/** The lineage of a ledger as it stands. */
export function lineageOf(ledger: Ledger): Lineage {
  const known = built.get(ledger);
  if (known?.version === ledger.version) return known.lineage;
  const lineage = new Lineage(ledger);
  built.set(ledger, { version: ledger.version, lineage });
  return lineage;
}
