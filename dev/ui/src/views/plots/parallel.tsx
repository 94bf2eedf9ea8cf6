// Parallel coordinates: a line a run, an axis a column, ranges on the axes that become a condition.

import { brushY, type D3BrushEvent } from "d3-brush";
import { select } from "d3-selection";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Column } from "../../data/column.ts";
import { own } from "../../data/page.ts";
import { useApp } from "../../parts/context.ts";
import { count, short } from "../../parts/text.ts";
import { spansDecades } from "../../query/axes.ts";
import { varies } from "../../query/columns.ts";
import { bestMetric } from "../../query/direction.ts";
import { quoteName } from "../../query/where.ts";
import { groupsBy, heightFor, Legend, Save, scaleOf, Select, useSize, type Scale } from "./chart.tsx";

const mostAxes = 12;
const mostLines = 4000;

interface Axis {
  column: Column;
  scale: Scale;
  x: number;
}

type Range = [number, number];

function usualAxes(columns: Column[], metric: Column | undefined, places: ArrayLike<number>): string[] {
  const params = columns.filter(({ kind, type }) => kind === "parameter" && type !== "mixed").slice(0, 200);
  const told = params.filter((column) => varies(column, places) && (column.type !== "character" || column.levels.length <= 30)).slice(0, 6);
  return [...told, ...(metric ? [metric] : [])].map(({ label }) => label);
}

/** The condition that a range on an axis stands for. */
export function conditionOf({ column, scale }: Pick<Axis, "column" | "scale">, [low, high]: Range): string {
  const name = quoteName(column.label);
  if (scale.levels) {
    const inside = scale.levels.filter((_, i) => i >= low && i <= high);
    if (column.type === "logical") return inside.length === 1 ? (inside[0] === "TRUE" ? name : `!${name}`) : `!is.na(${name})`;
    return `${name} %in% c(${inside.map((level) => JSON.stringify(level)).join(", ")})`;
  }
  const bound = (value: number) => {
    if (column.type === "datetime") return `"${new Date(value).toISOString().slice(0, 19).replace("T", " ")}"`;
    if (column.type === "date") return `"${new Date(value * 864e5).toISOString().slice(0, 10)}"`;
    return String(value);
  };
  const bounds = [[">=", low] as const, ["<=", high] as const].filter(([, value]) => Number.isFinite(value));
  return bounds.map(([op, value]) => `${name} ${op} ${bound(value)}`).join(" & ");
}

export function Parallel() {
  const { ledger, state, rows, go } = useApp();
  const [box, width] = useSize();
  const svg = useRef<SVGSVGElement>(null);
  const columns = ledger.columns();
  const metric = bestMetric(ledger, state);
  const labels = state.axes.length ? state.axes : usualAxes([...columns.values()], metric, rows.places);
  const wanted = labels.map((label) => columns.get(label)).filter((column) => column !== undefined && column.type !== "mixed").slice(0, mostAxes) as Column[];
  // An axis on which all runs stand at one place, or none, tells none of them apart.
  const chosen = useMemo(() => wanted.filter((column) => varies(column, rows.places)), [rows, ledger.version, labels.join("\n")]);
  const same = wanted.filter((column) => !chosen.includes(column));
  const named = columns.get(state.colour);
  const colour = named?.type === "mixed" ? undefined : named;
  const places = rows.places;
  const height = heightFor(width);
  const [top, bottom] = [42, 16];

  const plot = useMemo(() => {
    const room = Math.max(90, width - 2 * 60);
    const axes: Axis[] = chosen.map((column, i) => ({
      column, x: 60 + (chosen.length > 1 ? (i / (chosen.length - 1)) * room : room / 2),
      scale: scaleOf(column, places, [height - bottom, top], spansDecades(column, places)),
    }));
    const step = Math.max(1, Math.ceil(places.length / mostLines));
    const drawn: number[] = [];
    for (let i = 0; i < places.length; i += step) drawn.push(places[i]);
    const best = rows.best;
    if (best !== null && !drawn.includes(best)) drawn.push(best);
    return { axes, drawn };
  }, [places, ledger.version, chosen.map(({ label }) => label).join("\n"), width]);
  const { axes, drawn } = plot;

  const ranges = axes.flatMap((axis) => {
    const range = own(state.brushes, axis.column.label);
    return range ? [{ axis, range }] : [];
  });
  const inside = useMemo(() => {
    const keep = new Uint8Array(ledger.n);
    let n = 0;
    for (const place of places) {
      const all = ranges.every(({ axis, range }) => {
        const value = axis.scale.rank(axis.column.num[place]);
        return value >= range[0] && value <= range[1];
      });
      if (all) {
        keep[place] = 1;
        n++;
      }
    }
    return { keep, n };
  }, [plot, state.brushes]);

  const { groups, of } = useMemo(() => groupsBy(colour, places), [colour, places, ledger.version]);
  const paths = useMemo(() => {
    const faint: string[] = [];
    const strong: string[][] = groups.map(() => []);
    for (const place of drawn) {
      const d = thread(axes, place);
      if (inside.keep[place]) strong[of(place)].push(d);
      else faint.push(d);
    }
    return { faint: faint.join(""), strong: strong.map((parts) => parts.join("")) };
  }, [plot, inside, groups]);
  const best = rows.best !== null && inside.keep[rows.best] ? thread(axes, rows.best) : "";

  const brush = (label: string, range: Range | null) => {
    const { [label]: _gone, ...others } = state.brushes;
    go({ brushes: range ? { ...others, [label]: range } : others }, true);
  };
  const toTable = () => {
    const conditions = ranges.map(({ axis, range }) => conditionOf(axis, range));
    const where = state.where.trim() && !rows.error ? [`(${state.where.trim()})`, ...conditions] : conditions;
    go({ view: "runs", where: where.join(" & "), brushes: {} });
  };
  const options = [...columns.values()].filter(({ type, name }) => type !== "mixed" && name !== "run_id").map(({ label }) => ({ value: label, label }));
  const free = options.filter(({ value }) => !chosen.some(({ label }) => label === value));
  const setAxes = (axes: string[]) => go({ axes, brushes: Object.fromEntries(Object.entries(state.brushes).filter(([label]) => axes.includes(label))) });
  const now = chosen.map(({ label }) => label);

  return (
    <>
      <div class="toolbar">
        {chosen.length < mostAxes && <Select label="Add an axis" value="" options={[{ value: "", label: "choose" }, ...free]} onChange={(label) => label && setAxes([...now, label])} />}
        <Select label="Colour" value={colour?.label ?? ""} options={[{ value: "", label: "one" }, ...options]} onChange={(colour) => go({ colour })} />
        <Save svg={svg} name="parallel" />
        <span class="muted" role="status">{ranges.length ? `${inside.n.toLocaleString("en")} of ${count(places.length, "run")} in the ranges` : count(places.length, "run")}</span>
        {ranges.length > 0 && (
          <>
            <button type="button" onClick={toTable}>Show them in the table</button>
            <button type="button" onClick={() => go({ brushes: {} }, true)}>Clear the ranges</button>
          </>
        )}
      </div>
      <div class="plot" ref={box}>
        {width > 0 && (
          <svg ref={svg} width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img"
            aria-label={`Parallel coordinates of ${count(places.length, "run")} on ${now.join(", ")}. The ranges can be set below.`}>
            <path d={paths.faint} class="threads faint" />
            {paths.strong.map((d, g) => <path key={g} d={d} class={`threads${drawn.length > 300 ? " many" : ""}`} stroke={groups[g].colour} />)}
            {best && <path d={best} class="threads the-best" />}
            {axes.map((axis, i) => <AxisOf key={axis.column.label} axis={axis} last={i === axes.length - 1} top={top} bottom={height - bottom} range={own(state.brushes, axis.column.label)} onBrush={(range) => brush(axis.column.label, range)} />)}
          </svg>
        )}
      </div>
      {colour && <Legend groups={groups} title={colour.label} />}
      {!chosen.length && <p class="nothing">Nothing differs between these runs that an axis could show.</p>}
      {same.length > 0 && <p class="muted">Without axes, since they are the same in all runs here or missing: {same.map(({ label }) => label).join(", ")}.</p>}
      {drawn.length < places.length && <p class="muted">{count(drawn.length, "line")} of {places.length.toLocaleString("en")} are drawn, evenly chosen; the ranges count all runs.</p>}
      <div class="ranges">
        {axes.map((axis, i) => <Bounds key={axis.column.label} axis={axis} range={own(state.brushes, axis.column.label)} onChange={(range) => brush(axis.column.label, range)}
          onLeft={i > 0 ? () => setAxes([...now.slice(0, i - 1), now[i], now[i - 1], ...now.slice(i + 1)]) : undefined}
          onRemove={() => setAxes(now.filter((_, other) => other !== i))} />)}
      </div>
    </>
  );
}

/** The line of a run, broken where it has no value. */
function thread(axes: Axis[], place: number): string {
  let [d, pen] = ["", "M"];
  for (const { x, scale, column } of axes) {
    const y = scale.pixel(column.num[place]);
    if (!Number.isNaN(y)) d += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = Number.isNaN(y) ? "M" : "L";
  }
  return d;
}

const grip = 12;

function AxisOf({ axis, top, bottom, range, last, onBrush }: { axis: Axis; top: number; bottom: number; range?: Range; last: boolean; onBrush: (range: Range | null) => void }) {
  const group = useRef<SVGGElement>(null);
  const { column, scale, x } = axis;
  const latest = useRef(onBrush);
  latest.current = onBrush;
  useEffect(() => {
    const brush = brushY<unknown>().extent([[-grip, top], [grip, bottom]]).on("end", (event: D3BrushEvent<unknown>) => {
      if (!event.sourceEvent) return;
      const selection = event.selection as [number, number] | null;
      latest.current(selection && rangeAt(scale, selection));
    });
    const element = select<SVGGElement, unknown>(group.current!);
    element.call(brush);
    const pixels = range && pixelsOf(scale, range, top, bottom);
    element.call(brush.move, pixels ?? null);
    return () => { element.on(".brush", null); };
  }, [axis, range?.[0], range?.[1], top, bottom]);
  return (
    <g transform={`translate(${x} 0)`} class="axes">
      <text y={top - 22} text-anchor="middle" class="name">{column.label.length > 16 ? `${column.label.slice(0, 15)}…` : column.label}<title>{column.label}</title></text>
      <line y1={top} y2={bottom} class="axis" />
      {scale.ticks.filter((_, i, all) => all.length <= 12 || i % Math.ceil(all.length / 12) === 0).map(({ at, label }) => (
        <text key={`${at} ${label}`} x={last ? -8 : 8} y={at} dy="0.32em" text-anchor={last ? "end" : "start"} class="tick">{label.length > 12 ? `${label.slice(0, 11)}…` : label}</text>
      ))}
      <g ref={group} class="brush" />
    </g>
  );
}

function rangeAt(scale: Scale, [a, b]: [number, number]): Range {
  const [low, high] = [scale.value(b), scale.value(a)].sort((a, b) => a - b);
  return scale.levels ? [Math.ceil(low), Math.floor(high)] : [rounded(low), rounded(high)];
}

/** Finer than a pixel. */
const rounded = (value: number) => (Math.abs(value) > 1e9 ? Math.round(value) : Number(value.toPrecision(5)));

function pixelsOf(scale: Scale, [low, high]: Range, top: number, bottom: number): [number, number] {
  // Texts stand half a step apart from the ends of a range.
  const at = (value: number) => {
    if (!Number.isFinite(value)) return value > 0 ? top : bottom;
    // What has no place on a logarithmic axis is below all that have.
    if (!scale.levels) return Number.isNaN(scale.pixel(value)) ? bottom : scale.pixel(value);
    const [first, second] = [scale.value(top), scale.value(bottom)];
    return top + ((value - first) / (second - first)) * (bottom - top);
  };
  const half = scale.levels ? 0.45 : 0;
  const clamp = (pixel: number) => Math.min(bottom, Math.max(top, pixel));
  return [clamp(at(high + half)), clamp(at(low - half))];
}

function Bounds({ axis, range, onChange, onLeft, onRemove }: { axis: Axis; range?: Range; onChange: (range: Range | null) => void; onLeft?: () => void; onRemove: () => void }) {
  const { column, scale } = axis;
  const bound = (which: 0 | 1) => {
    const label = `${column.label} ${which ? "up to" : "from"}`;
    const change = (text: string) => {
      const value = text === "" ? NaN : Number(text);
      const other = range?.[1 - which];
      const next: Range = which ? [other ?? (scale.levels ? 0 : -Infinity), value] : [value, other ?? (scale.levels ? scale.levels.length - 1 : Infinity)];
      if (Number.isNaN(value)) next[which] = which ? Infinity : -Infinity;
      onChange(next[0] === -Infinity && next[1] === Infinity ? null : next);
    };
    if (scale.levels) {
      return (
        <select aria-label={label} value={range ? String(range[which]) : ""} onChange={(event) => change(event.currentTarget.value)}>
          <option value="">{which ? "last" : "first"}</option>
          {scale.levels.slice(0, 500).map((level, i) => <option key={level} value={String(i)}>{level}</option>)}
        </select>
      );
    }
    return <input type="text" inputMode="decimal" aria-label={label} placeholder={which ? "to" : "from"} value={range && Number.isFinite(range[which]) ? short(range[which], 6) : ""} onChange={(event) => change(event.currentTarget.value)} />;
  };
  return (
    <fieldset>
      <legend>{column.label}</legend>
      {bound(0)}{bound(1)}
      {onLeft && <button type="button" class="plain" aria-label={`Move the axis ${column.label} to the left`} onClick={onLeft}>←</button>}
      <button type="button" class="plain" aria-label={`Remove the axis ${column.label}`} onClick={onRemove}>×</button>
    </fieldset>
  );
}
