// Learning curves of chosen runs, by step or by time.

import { useMemo, useRef, useState } from "preact/hooks";
import { useApp } from "../../parts/context.ts";
import { coloursOf } from "../../parts/colours.ts";
import { Menu } from "../../parts/menu.tsx";
import { cell, count, duration, short, shortId } from "../../parts/text.ts";
import { isChosen, limitsOf } from "../../query/axes.ts";
import { bestMetric } from "../../query/direction.ts";
import { Axes, Check, heightFor, ofNumbers, Save, Tooltip, useSize, type Box, type Scale } from "./chart.tsx";
import { curvesOf, dashOf, endsOf, pathOf, type Curve } from "./curve.ts";
import { useZoom, type Window } from "./zoom.ts";

const mostRuns = 24;
const usualRuns = 6;
const reach = 40;

export function Curves() {
  const { ledger, state, rows, shown, go, href, say } = useApp();
  const [box, width] = useSize();
  const svg = useRef<SVGSVGElement>(null);
  const [at, setAt] = useState<[number, number] | null>(null);
  const withSeries = (place: number) => ledger.series[place] !== undefined;
  const selected = state.selected.filter((place) => place < ledger.n);
  const places = (selected.length ? selected : [...rows.places].filter(withSeries).slice(0, usualRuns)).filter(withSeries).slice(0, mostRuns);
  const known = [...new Set(places.flatMap((place) => Object.keys(ledger.series[place])))];
  const best = bestMetric(ledger, state);
  const chosen = state.metric.filter((metric) => known.includes(metric));
  const metrics = chosen.length ? chosen : best && known.includes(best.name) ? [best.name] : known.slice(0, 1);
  const timed = places.some((place) => metrics.some((metric) => ledger.seriesOf(place, metric)?.time));
  const clock = state.clock && timed;
  const log = isChosen(state.logY, () => false);
  const height = heightFor(width);
  const frame: Box = { width, height, left: 68, right: width < 600 ? 18 : 150, top: 14, bottom: 48 };

  const plot = useMemo(() => {
    // By where they are in the whole choice, so that hiding one changes no other's colour.
    const colours = coloursOf(selected.length ? selected : places);
    const visible = places.filter((place) => !state.off.includes(place));
    const curves = curvesOf(ledger, visible, metrics, colours, { clock, smooth: state.smooth });
    const ys = curves.map(({ ys }) => (log ? ys.map((y) => (y > 0 ? Math.log10(y) : NaN)) : ys));
    const limits = limitsOf(ys, state.far);
    let [beyond, nowhere] = [0, 0];
    for (const values of ys) {
      for (const value of values) {
        if (!Number.isFinite(value)) nowhere++;
        else if (value < limits[0] || value > limits[1]) beyond++;
      }
    }
    const [x0, x1, y0, y1] = state.zoom;
    const zoomed = state.zoom.length > 0 && !(log && y0 <= 0);
    const up = log ? limits.map((limit) => 10 ** limit) : limits;
    const xScale = ofNumbers(zoomed ? [x0, x1] : limitsOf(curves.map(({ xs }) => xs), true), [frame.left, width - frame.right], { nice: !zoomed });
    const yScale = ofNumbers(zoomed ? [y0, y1] : [up[0], up[1]], [height - frame.bottom, frame.top], { log, nice: !zoomed });
    return { colours, curves, beyond, nowhere, zoomed, xScale, yScale, paths: curves.map((curve) => pathOf(curve, xScale.pixel, yScale.pixel)) };
  }, [ledger, ledger.version, places.join(), selected.join(), metrics.join("\n"), clock, log, state.smooth, state.off, state.zoom, state.far, width]);
  const { colours, curves, beyond, nowhere, zoomed, xScale, yScale, paths } = plot;

  const zoom = useZoom(svg, frame, {
    to: ([left, right, top, bottom]) => zoomTo([xScale.value(left), xScale.value(right), yScale.value(bottom), yScale.value(top)]),
    back: () => go({ zoom: [] }, true),
    isZoomed: zoomed,
    click: (x, y) => open(nearest(x, y)),
  });

  if (!places.length) {
    return (
      <div class="nothing">
        <p>{selected.length ? "None of the selected runs has a learning curve." : "No run here has a learning curve."}</p>
        <p class="muted">In R, <code>log_metrics(run, loss = 0.3, step = 1)</code> adds a point to one.</p>
      </div>
    );
  }

  const rounded = (value: number) => Number(value.toPrecision(6));
  function zoomTo(window: Window) {
    go({ zoom: window.map(rounded) });
    say("Zoomed; Escape shows all");
  }
  const telling = shown.columns.filter(({ kind, num }) => kind === "parameter" && new Set(places.map((place) => num[place])).size > 1).slice(0, 2);
  const name = (place: number) => telling.map((column) => `${column.name} ${cell(column, place) || "–"}`).join(", ");
  const called = ({ place, metric }: Curve) => [name(place) || shortId(ledger.ids[place]), metrics.length > 1 && metric].filter(Boolean).join(", ");
  const xWord = (value: number) => (clock ? duration(value) : `step ${short(value)}`);
  const isInside = (x: number, y: number) => x >= frame.left - 1 && x <= width - frame.right + 1 && y >= frame.top - 1 && y <= height - frame.bottom + 1;
  const nearest = (px: number, py: number): [number, number] | null => {
    let [found, shortest]: [[number, number] | null, number] = [null, reach * reach];
    curves.forEach(({ xs, ys }, c) => {
      for (let i = 0; i < xs.length; i++) {
        const [x, y] = [xScale.pixel(xs[i]), yScale.pixel(ys[i])];
        const far = (x - px) ** 2 + (y - py) ** 2;
        if (far < shortest && isInside(x, y)) [found, shortest] = [[c, i], far];
      }
    });
    return found;
  };
  function open(hit: [number, number] | null) {
    if (hit) go({ view: "run", id: ledger.ids[curves[hit[0]].place] });
  }
  const around = (scale: Scale, [from, to]: [number, number], middle: number): [number, number] => {
    const quarter = (to - from) / 4;
    const ends = [scale.value(middle - quarter), scale.value(middle + quarter)].sort((a, b) => a - b);
    return [ends[0], ends[1]];
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const [c, i] = at ?? [0, -1];
    const across = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
    if ((across || down) && curves.length) {
      const curve = Math.min(curves.length - 1, Math.max(0, c + down));
      const point = Math.min(curves[curve].xs.length - 1, Math.max(0, i + across));
      setAt([curve, point]);
      say(`${called(curves[curve])}, ${xWord(curves[curve].xs[point])}: ${curves[curve].metric} ${short(curves[curve].ys[point])}`);
    } else if (event.key === "+") {
      const middle = picked ?? { x: (frame.left + width - frame.right) / 2, y: (frame.top + height - frame.bottom) / 2 };
      zoomTo([...around(xScale, [frame.left, width - frame.right], middle.x), ...around(yScale, [frame.top, height - frame.bottom], middle.y)]);
    } else if (event.key === "Enter" && at) open(at);
    else if (event.key === "Escape" || event.key === "-") {
      setAt(null);
      if (state.zoom.length) go({ zoom: [] }, true);
    } else return;
    event.preventDefault();
  };
  const point = at && curves[at[0]] && at[1] < curves[at[0]].xs.length ? { curve: curves[at[0]], x: curves[at[0]].xs[at[1]], y: curves[at[0]].ys[at[1]] } : null;
  const [pointX, pointY] = point ? [xScale.pixel(point.x), yScale.pixel(point.y)] : [NaN, NaN];
  const picked = point && isInside(pointX, pointY) ? {
    x: pointX, y: pointY, lines: [<strong>{called(point.curve)}</strong>, xWord(point.x), `${point.curve.metric} ${short(point.y)}`],
  } : null;
  const ends = endsOf(curves, xScale.pixel, yScale.pixel, isInside);
  const toggle = (place: number) => go({ off: state.off.includes(place) ? state.off.filter((other) => other !== place) : [...state.off, place] }, true);
  const choose = (metric: string) => {
    const next = metrics.includes(metric) ? metrics.filter((other) => other !== metric) : [...metrics, metric];
    if (next.length) go({ metric: next, zoom: [] });
  };

  return (
    <>
      <div class="toolbar">
        <div class="field">
          <span>Metric</span>
          <Menu label={metrics.join(", ")}>
            {known.map((metric) => (
              <Check key={metric} label={metric} checked={metrics.includes(metric)} onChange={() => choose(metric)} />
            ))}
          </Menu>
        </div>
        <Check label="By time" checked={clock} disabled={!timed} onChange={(clock) => go({ clock, zoom: [] })} />
        <Check label="Log vertical" checked={log} onChange={(on) => go({ logY: on ? "1" : "0", zoom: [] })} />
        <label class="field">
          <span>Smooth {state.smooth ? short(state.smooth, 2) : "off"}</span>
          <input type="range" min="0" max="0.98" step="0.02" value={state.smooth} onInput={(event) => go({ smooth: Number(event.currentTarget.value) }, true)} />
        </label>
        <Save svg={svg} name={`${metrics.join("-")}-curves`} />
        {zoomed && <button type="button" onClick={() => go({ zoom: [] }, true)}>Zoom out</button>}
        <span class="muted">{selected.length ? count(places.length, "selected run") : `the first ${count(places.length, "run")} of the table; select others there`}</span>
      </div>
      <div class="plot" ref={box} tabIndex={0} role="group" onKeyDown={onKeyDown}
        aria-label={`Curves of ${metrics.join(", ")} of ${count(places.length - places.filter((place) => state.off.includes(place)).length, "run")}. Left and right go along a curve, up and down from run to run, Enter opens one, + zooms in and Escape out.`}>
        {width > 0 && (
          <svg ref={svg} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true" class={at ? "pointing" : "zoomable"}
            onPointerMove={(event) => { const [x, y] = zoom.at(event); if (!zoom.move(event)) setAt(nearest(x, y)); }}
            onPointerLeave={() => setAt(null)} onPointerDown={zoom.down} onPointerUp={zoom.up} onPointerCancel={zoom.cancel} onDblClick={zoom.back}>
            <clipPath id="inside"><rect x={frame.left} y={frame.top - 2} width={Math.max(0, width - frame.left - frame.right)} height={Math.max(0, height - frame.top - frame.bottom + 2)} /></clipPath>
            <Axes box={frame} x={xScale} y={yScale} xLabel={clock ? "seconds since the run began" : "step"} yLabel={metrics.join(", ")} />
            <g clip-path="url(#inside)">
              {curves.map(({ place, metric, colour, dash }, i) => <path key={`${place} ${metric}`} d={paths[i]} class={`curve${at && at[0] !== i ? " aside" : ""}`} stroke={colour} stroke-dasharray={dash} />)}
              {curves.map(({ place, metric, colour, xs, ys }) => xs.length === 1 && Number.isFinite(yScale.pixel(ys[0])) && <circle key={`${place} ${metric}`} cx={xScale.pixel(xs[0])} cy={yScale.pixel(ys[0])} r="3" fill={colour} />)}
            </g>
            {width >= 600 && ends.map(({ x, y, i }) => <text key={i} x={x + 6} y={y} dy="0.32em" class="end" style={{ fill: curves[i].colour }}>{shortened(called(curves[i]))}</text>)}
            {picked && <circle data-screen cx={picked.x} cy={picked.y} r="5" class="picked" />}
            {zoom.drawn && <rect data-screen class="drawn" {...zoom.drawn} />}
          </svg>
        )}
        <Tooltip picked={zoom.drawn ? null : picked} width={width} />
      </div>
      {(beyond > 0 || nowhere > 0 || state.far) && (
        <p class="muted limits" role="status">
          {[beyond > 0 && `${count(beyond, "point")} beyond the limits`, nowhere > 0 && `${count(nowhere, "point")} ${log ? "not above zero or " : ""}not finite`].filter(Boolean).join(", ")}
          {(beyond > 0 || state.far) && <> <button type="button" class="link" onClick={() => go({ far: !state.far, zoom: [] }, true)}>{state.far ? "limits that leave out what is far away" : "see all"}</button></>}
        </p>
      )}
      <ul class="legend" aria-label="Runs">
        {places.map((place) => (
          <li key={place} class={state.off.includes(place) ? "off" : undefined}>
            <button type="button" class="toggle" aria-pressed={!state.off.includes(place)} title={state.off.includes(place) ? "Show its curves" : "Hide its curves"} onClick={() => toggle(place)}>
              <span class="swatch" style={{ background: colours.get(place) }} />{shortId(ledger.ids[place])} {name(place) && <span class="muted">{name(place)}</span>}
            </button>
            <a href={href({ view: "run", id: ledger.ids[place] })} aria-label={`Open run ${ledger.ids[place]}`} title="Open the run">↗</a>
          </li>
        ))}
        {metrics.length > 1 && metrics.map((metric, m) => (
          <li key={metric}><svg width="26" height="8" class="stroke" aria-hidden="true"><path d="M0 4H26" stroke-dasharray={dashOf(m)} /></svg> {metric}</li>
        ))}
      </ul>
    </>
  );
}

const shortened = (text: string) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);
