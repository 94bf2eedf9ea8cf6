// Learning curves of chosen runs, by step or by time.

import { line } from "d3-shape";
import { useMemo, useRef, useState } from "preact/hooks";
import type { Ledger } from "../../data/ledger.ts";
import { numberOf, type Series } from "../../data/page.ts";
import { useApp } from "../../parts/context.ts";
import { cell, count, duration, short, shortId } from "../../parts/text.ts";
import { bestMetric, shownColumns } from "../../query/rows.ts";
import { Axes, Check, heightFor, ofNumbers, palette, Save, Select, Tooltip, useSize, type Box } from "./chart.tsx";

const mostRuns = 24;
const usualRuns = 6;

interface Curve {
  place: number;
  colour: string;
  dash: string | undefined;
  xs: Float64Array;
  ys: Float64Array;
}

/** Each value and what is left of those before it. */
function smoothed(values: number[], amount: number): number[] {
  if (!amount) return values;
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    sum = sum * amount + value;
    weight = weight * amount + 1;
    return sum / weight;
  });
}

function xOf(ledger: Ledger, place: number, series: Series, clock: boolean): number[] {
  if (!clock) return series.step;
  return series.step.map((_, i) => ((series.time?.[i] ?? NaN) - ledger.began.num[place]) / 1000);
}

export function Curves() {
  const { ledger, state, rows, go, href, say } = useApp();
  const [box, width] = useSize();
  const svg = useRef<SVGSVGElement>(null);
  const [at, setAt] = useState<[number, number] | null>(null);
  const withSeries = (place: number) => ledger.series[place] !== undefined;
  const selected = state.selected.filter((place) => place < ledger.n);
  const places = (selected.length ? selected : [...rows.places].filter(withSeries).slice(0, usualRuns)).filter(withSeries).slice(0, mostRuns);
  const metrics = [...new Set(places.flatMap((place) => Object.keys(ledger.series[place])))];
  const best = bestMetric(ledger, state);
  const metric = metrics.includes(state.metric) ? state.metric : best && metrics.includes(best.name) ? best.name : metrics[0];
  const timed = places.some((place) => ledger.seriesOf(place, metric)?.time);
  const clock = state.clock && timed;
  const height = heightFor(width);
  const frame: Box = { width, height, left: 68, right: width < 600 ? 18 : 150, top: 14, bottom: 48 };

  const plot = useMemo(() => {
    const curves: Curve[] = [];
    places.forEach((place, i) => {
      const series = ledger.seriesOf(place, metric);
      if (!series) return;
      const x = xOf(ledger, place, series, clock);
      const order = Uint32Array.from(x.keys()).sort((a, b) => x[a] - x[b]);
      const y = smoothed(Array.from(order, (i) => numberOf(series.value[i])), state.smooth);
      curves.push({
        place, colour: palette[i % palette.length], dash: ["", "6 3", "2 3"][Math.floor(i / palette.length)] || undefined,
        xs: Float64Array.from(order, (i) => x[i]), ys: Float64Array.from(y),
      });
    });
    const range = (of: "xs" | "ys", log: boolean): [number, number] => {
      let [low, high] = [Infinity, -Infinity];
      for (const curve of curves) for (const value of curve[of]) if (Number.isFinite(value) && (!log || value > 0)) [low, high] = [Math.min(low, value), Math.max(high, value)];
      return [low, high];
    };
    const xScale = ofNumbers(range("xs", false), [frame.left, width - frame.right]);
    const yScale = ofNumbers(range("ys", state.logY), [height - frame.bottom, frame.top], { log: state.logY });
    const paths = curves.map((curve) => draw(curve, xScale.pixel, yScale.pixel));
    return { curves, xScale, yScale, paths };
  }, [ledger, ledger.version, places.join(), metric, clock, state.smooth, state.logY, width]);
  const { curves, xScale, yScale, paths } = plot;

  if (!places.length) {
    return (
      <div class="nothing">
        <p>{selected.length ? "None of the selected runs has a learning curve." : "No run here has a learning curve."}</p>
        <p class="muted">In R, <code>log_metrics(run, loss = 0.3, step = 1)</code> adds a point to one.</p>
      </div>
    );
  }

  const name = (place: number) => {
    const telling = shownColumns(ledger, state).filter(({ kind, num }) => kind === "parameter" && new Set(places.map((place) => num[place])).size > 1).slice(0, 2);
    return telling.length ? telling.map((column) => `${column.name} ${cell(column, place)}`).join(", ") : shortId(ledger.ids[place]);
  };
  const xWord = (value: number) => (clock ? duration(value) : `step ${short(value)}`);
  const pointer = (event: PointerEvent | MouseEvent): [number, number] | null => {
    const edge = svg.current!.getBoundingClientRect();
    const [px, py] = [event.clientX - edge.left, event.clientY - edge.top];
    let [found, shortest]: [[number, number] | null, number] = [null, 40 * 40];
    curves.forEach(({ xs, ys }, c) => {
      for (let i = 0; i < xs.length; i++) {
        const far = (xScale.pixel(xs[i]) - px) ** 2 + (yScale.pixel(ys[i]) - py) ** 2;
        if (far < shortest) [found, shortest] = [[c, i], far];
      }
    });
    return found;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const [c, i] = at ?? [0, -1];
    const across = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
    if (across || down) {
      const curve = Math.min(curves.length - 1, Math.max(0, c + down));
      const point = Math.min(curves[curve].xs.length - 1, Math.max(0, i + across));
      setAt([curve, point]);
      say(`${name(curves[curve].place)}, ${xWord(curves[curve].xs[point])}: ${metric} ${short(curves[curve].ys[point])}`);
    } else if (event.key === "Enter" && at) go({ view: "run", id: ledger.ids[curves[at[0]].place] });
    else if (event.key === "Escape") setAt(null);
    else return;
    event.preventDefault();
  };
  const point = at && curves[at[0]] && at[1] < curves[at[0]].xs.length ? { curve: curves[at[0]], x: curves[at[0]].xs[at[1]], y: curves[at[0]].ys[at[1]] } : null;
  const picked = point && {
    x: xScale.pixel(point.x), y: yScale.pixel(point.y),
    lines: [<strong>{name(point.curve.place)}</strong>, xWord(point.x), `${metric} ${short(point.y)}`],
  };
  const ends = labelEnds(curves, xScale.pixel, yScale.pixel);

  return (
    <>
      <div class="toolbar">
        <Select label="Metric" value={metric} options={metrics.map((value) => ({ value, label: value }))} onChange={(metric) => go({ metric })} />
        <Check label="By time" checked={clock} disabled={!timed} onChange={(clock) => go({ clock })} />
        <Check label="Log vertical" checked={state.logY} onChange={(logY) => go({ logY })} />
        <label class="field">
          <span>Smooth {state.smooth ? short(state.smooth, 2) : "off"}</span>
          <input type="range" min="0" max="0.98" step="0.02" value={state.smooth} onInput={(event) => go({ smooth: Number(event.currentTarget.value) }, true)} />
        </label>
        <Save svg={svg} name={`${metric}-curves`} />
        <span class="muted">{selected.length ? count(places.length, "selected run") : `the first ${count(places.length, "run")} of the table; select others there`}</span>
      </div>
      <div class="plot" ref={box} tabIndex={0} role="group" onKeyDown={onKeyDown}
        aria-label={`Curves of ${metric} of ${count(curves.length, "run")}. Left and right go along a curve, up and down from run to run, Enter opens one.`}>
        {width > 0 && (
          <svg ref={svg} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true" class={at ? "pointing" : undefined}
            onPointerMove={(event) => setAt(pointer(event))} onPointerLeave={() => setAt(null)}
            onClick={(event) => { const hit = pointer(event); if (hit) go({ view: "run", id: ledger.ids[curves[hit[0]].place] }); }}>
            <Axes box={frame} x={xScale} y={yScale} xLabel={clock ? "seconds since the run began" : "step"} yLabel={metric} />
            {curves.map(({ place, colour, dash }, i) => <path key={place} d={paths[i]} class={`curve${at && at[0] !== i ? " aside" : ""}`} stroke={colour} stroke-dasharray={dash} />)}
            {width >= 600 && ends.map(({ x, y, i }) => <text key={i} x={x + 6} y={y} dy="0.32em" class="end" style={{ fill: curves[i].colour }}>{shortened(name(curves[i].place))}</text>)}
            {picked && <circle data-screen cx={picked.x} cy={picked.y} r="5" class="picked" />}
          </svg>
        )}
        <Tooltip picked={picked} width={width} />
      </div>
      <ul class="legend" aria-label="Runs">
        {curves.map(({ place, colour }) => <li key={place}><span class="swatch" style={{ background: colour }} /><a href={href({ view: "run", id: ledger.ids[place] })}>{shortId(ledger.ids[place])}</a> {name(place) !== shortId(ledger.ids[place]) && name(place)}</li>)}
      </ul>
    </>
  );
}

const shortened = (text: string) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);

/** Of the points on one pixel across only the lowest and the highest are drawn. */
function draw({ xs, ys }: Curve, px: (x: number) => number, py: (y: number) => number): string {
  const points: [number, number][] = [];
  for (let i = 0; i < xs.length; ) {
    const column = Math.round(px(xs[i]));
    let [low, high] = [i, i];
    let next = i;
    for (; next < xs.length && Math.round(px(xs[next])) === column; next++) {
      if (ys[next] < ys[low]) low = next;
      if (ys[next] > ys[high]) high = next;
    }
    for (const j of new Set([Math.min(low, high), Math.max(low, high)])) points.push([px(xs[j]), py(ys[j])]);
    i = Math.max(next, i + 1);
  }
  return line<[number, number]>().defined(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).digits(1)(points) ?? "";
}

/** Names at the ends of the curves, as many as have room. */
function labelEnds(curves: Curve[], px: (x: number) => number, py: (y: number) => number) {
  const ends = curves.map(({ xs, ys }, i) => {
    let last = ys.length - 1;
    while (last > 0 && !Number.isFinite(ys[last])) last--;
    return { i, x: px(xs[last]), y: py(ys[last]) };
  }).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)).sort((a, b) => a.y - b.y);
  return ends.filter(({ y }, i) => i === 0 || y - ends[i - 1].y >= 12);
}
