// A metric against a parameter, or any column against any other.

import { line } from "d3-shape";
import { useMemo, useRef, useState } from "preact/hooks";
import type { Column } from "../../data/column.ts";
import { useApp } from "../../parts/context.ts";
import { cell, count, shortId } from "../../parts/text.ts";
import { isChosen, spansDecades } from "../../query/axes.ts";
import { varies, variesAlone } from "../../query/columns.ts";
import { bestMetric } from "../../query/direction.ts";
import { bestRun } from "../../query/rows.ts";
import { Axes, Check, dots, groupsBy, heightFor, Legend, Save, scaleOf, Select, Tooltip, useSize, type Box } from "./chart.tsx";

const mostJoined = 200;
const reach = 24;

/** The parameter that is most likely meant: a number that varies. */
function likelyX(columns: Column[], places: ArrayLike<number>): Column | undefined {
  const params = columns.filter(({ kind }) => kind === "parameter");
  return params.find((column) => column.numeric && varies(column, places)) ?? params.find((column) => varies(column, places)) ?? params[0];
}

export function Scatter() {
  const { ledger, state, rows, go, say } = useApp();
  const [box, width] = useSize();
  const svg = useRef<SVGSVGElement>(null);
  const [at, setAt] = useState(-1);
  const plottable = [...ledger.columns().values()].filter(({ type, name }) => type !== "mixed" && name !== "run_id");
  const columns = new Map(plottable.map((column) => [column.label, column]));
  const places = rows.places;
  const x = columns.get(state.x) ?? likelyX(plottable, places) ?? ledger.began;
  const y = columns.get(state.y) ?? bestMetric(ledger, state) ?? ledger.column("detail", "duration")!;
  const colour = columns.get(state.colour);
  const [logX, logY] = [x, y].map((column, i) => isChosen([state.logX, state.logY][i], () => spansDecades(column, places)));
  const height = heightFor(width);
  const frame: Box = { width, height, left: y.type === "character" ? 96 : 68, right: 18, top: 14, bottom: 48 };

  const plot = useMemo(() => {
    const xScale = scaleOf(x, places, [frame.left, width - frame.right], logX);
    const yScale = scaleOf(y, places, [height - frame.bottom, frame.top], logY);
    const xs = Float64Array.from(places, (place) => xScale.pixel(x.num[place]));
    const ys = Float64Array.from(places, (place) => yScale.pixel(y.num[place]));
    const { groups, of } = groupsBy(colour, places);
    const group = Uint8Array.from(places, of);
    const paths = groups.map((_, g) => dots(xs, ys, (i) => group[i] === g));
    let missing = 0;
    for (let i = 0; i < xs.length; i++) if (Number.isNaN(xs[i]) || Number.isNaN(ys[i])) missing++;
    const drawn = Uint32Array.from(places.keys()).filter((i) => !Number.isNaN(xs[i]) && !Number.isNaN(ys[i])).sort((a, b) => xs[a] - xs[b] || ys[a] - ys[b]);
    const distinct = new Set(Array.from(drawn, (i) => xs[i]));
    const alone = () => variesAlone(x, ledger.of("parameter"), Array.from(drawn, (i) => places[i]));
    const joined = !colour && x.numeric && drawn.length <= mostJoined && distinct.size === drawn.length && alone();
    const d = joined ? line<number>((i) => xs[i], (i) => ys[i])(drawn) : null;
    return { xScale, yScale, xs, ys, groups, paths, missing, drawn, d };
  }, [places, ledger.version, x, y, colour, width, logX, logY]);
  const { xScale, yScale, xs, ys, groups, paths, missing, drawn } = plot;

  const best = useMemo(() => {
    const isDrawn = new Set(Array.from(drawn, (i) => places[i]));
    const place = bestRun(ledger, state, (place) => isDrawn.has(place));
    return place === null ? -1 : places.indexOf(place);
  }, [plot, state.best, state.maximize, state.over]);
  const bestDrawn = best >= 0;
  const words = (i: number) => `${x.label} ${cell(x, places[i])}, ${y.label} ${cell(y, places[i])}`;
  const nearest = (event: PointerEvent | MouseEvent) => {
    const edge = svg.current!.getBoundingClientRect();
    const [px, py] = [event.clientX - edge.left, event.clientY - edge.top];
    let [found, shortest] = [-1, reach * reach];
    for (let i = 0; i < xs.length; i++) {
      const far = (xs[i] - px) ** 2 + (ys[i] - py) ** 2;
      if (far < shortest) [found, shortest] = [i, far];
    }
    return found;
  };
  const open = (i: number) => i >= 0 && go({ view: "run", id: ledger.ids[places[i]] });
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (step && drawn.length) {
      const next = drawn[Math.min(drawn.length - 1, Math.max(0, at < 0 ? 0 : drawn.indexOf(at) + step))];
      setAt(next);
      say(`Run ${ledger.ids[places[next]]}: ${words(next)}${next === best ? ", the best" : ""}`);
    } else if (event.key === "Home" && best >= 0) setAt(best);
    else if (event.key === "Enter" && at >= 0) open(at);
    else if (event.key === "Escape") setAt(-1);
    else return;
    event.preventDefault();
  };
  const options = plottable.map(({ label }) => ({ value: label, label }));
  const picked = at >= 0 && at < places.length && !Number.isNaN(xs[at]) && !Number.isNaN(ys[at])
    ? { x: xs[at], y: ys[at], lines: [<strong>{shortId(ledger.ids[places[at]])}{at === best ? " ★" : ""}</strong>, words(at), colour && `${colour.label} ${cell(colour, places[at])}`].filter(Boolean) }
    : null;
  const bestWords = bestDrawn ? `best: ${x.label} = ${cell(x, places[best])}` : "";
  const bestLeft = bestDrawn && xs[best] > width * 0.6;

  return (
    <>
      <div class="toolbar">
        <Select label="Vertical" value={y.label} options={options} onChange={(y) => go({ y, logY: "" })} />
        <Select label="Horizontal" value={x.label} options={options} onChange={(x) => go({ x, logX: "" })} />
        <Select label="Colour" value={colour?.label ?? ""} options={[{ value: "", label: "one" }, ...options]} onChange={(colour) => go({ colour })} />
        <Check label="Log horizontal" checked={logX} disabled={!x.numeric} onChange={(on) => go({ logX: on ? "1" : "0" })} />
        <Check label="Log vertical" checked={logY} disabled={!y.numeric} onChange={(on) => go({ logY: on ? "1" : "0" })} />
        <Save svg={svg} name={`${y.label}-by-${x.label}`} />
      </div>
      <div class="plot" ref={box} tabIndex={0} role="group" onKeyDown={onKeyDown}
        aria-label={`Plot of ${y.label} against ${x.label} of ${count(drawn.length, "run")}. Arrow keys go from run to run, Enter opens one.`}>
        {width > 0 && (
          <svg ref={svg} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true"
            onPointerMove={(event) => setAt(nearest(event))} onPointerLeave={() => setAt(-1)} onClick={(event) => open(nearest(event))} class={at >= 0 ? "pointing" : undefined}>
            <Axes box={frame} x={xScale} y={yScale} xLabel={x.label} yLabel={y.label} />
            {plot.d && <path d={plot.d} class="join" />}
            {paths.map((d, g) => <path key={g} d={d} class={`dots${places.length > 2000 ? " many" : ""}`} stroke={groups[g].colour} />)}
            {bestDrawn && (
              <g class="the-best" transform={`translate(${xs[best]} ${ys[best]})`}>
                <circle r="6.5" />
                <text x={bestLeft ? -12 : 12} dy={ys[best] < 40 ? "1.2em" : "-0.6em"} text-anchor={bestLeft ? "end" : "start"}>{bestWords}</text>
              </g>
            )}
            {picked && <circle data-screen cx={picked.x} cy={picked.y} r="8" class="picked" />}
          </svg>
        )}
        <Tooltip picked={picked} width={width} />
        {!drawn.length && <p class="nothing">No run has both {x.label} and {y.label}.</p>}
      </div>
      {colour && <Legend groups={groups} title={colour.label} />}
      {missing > 0 && <p class="muted">{count(missing, "run")} {missing === 1 ? "has" : "have"} no place here: a value is missing{logX || logY ? ", infinite or not above zero" : " or infinite"}.</p>}
    </>
  );
}
