// What rests on what, in the words of trace_lineage(), as a graph to click through.

import { Graph, layout } from "@dagrejs/dagre";
import { useMemo } from "preact/hooks";
import type { NodeKind } from "../data/page.ts";
import { keyOf, lineageOf, type Bounds, type Node } from "../query/lineage.ts";
import type { State } from "../query/state.ts";
import { useApp } from "./context.ts";
import { shortHash, shortId } from "./text.ts";

/** As far as one can still read it. */
const bounds: Bounds = { branches: 8, nodes: 60 };

function nameOf({ kind, id }: Node): string {
  if (kind === "run") return shortId(id);
  if (kind === "environment") return `lockfile ${id.slice(0, 8)}…`;
  if (kind === "more") return id.replace(/, from .*/, "");
  return shortHash(id);
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const size = { width: 168, height: 46 };

export function LineageGraph({ kind, id }: { kind: NodeKind; id: string }) {
  const { ledger, state, href } = useApp();
  const placed = useMemo(() => {
    const lineage = lineageOf(ledger);
    const start = lineage.find(kind, id) ?? { kind, id, label: "" };
    const { nodes, edges } = lineage.around(start, bounds);
    const graph = new Graph({ multigraph: true });
    graph.setGraph({ rankdir: "TB", nodesep: 18, ranksep: 42, marginx: 6, marginy: 6 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const node of nodes) graph.setNode(keyOf(node), { ...size });
    for (const { from, relation, to } of edges) {
      graph.setEdge(keyOf(from), keyOf(to), { width: relation.length * 6, height: 12, labelpos: "c" }, relation);
    }
    layout(graph);
    const used = new Set(edges.filter(({ relation }) => relation === "used").map(({ to }) => to));
    return { start, nodes, edges, graph, used };
  }, [ledger, ledger.version, kind, id]);
  const { start, nodes, edges, graph, used } = placed;
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  if (!edges.length) return <p class="muted">Nothing else is on record that it rests on, or that rests on it.</p>;

  const address = (node: Node): Partial<State> | null => {
    if (node.kind === "run") return { view: "run", id: node.id };
    if (node.kind === "version" || node.kind === "stage") return { view: "models", id: node.id };
    if (node.kind === "commit") return { view: "runs", id: "", where: "", search: node.id };
    if (used.has(node)) {
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
        <text x="10" y="36" class="node-label">{cut(node.problem ?? (node.label || node.kind), 26)}</text>
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
