// The curve of a metric of a run: its points, smoothed, and its path.

import { line } from "d3-shape";
import type { Ledger } from "../../data/ledger.ts";
import { numberOf, type Series } from "../../data/page.ts";

export interface Curve {
  place: number;
  metric: string;
  colour: string;
  dash: string | undefined;
  xs: Float64Array;
  ys: Float64Array;
}

const dashes = ["", "6 3", "2 3", "9 3 2 3"];
export const dashOf = (metric: number) => dashes[metric % dashes.length] || undefined;

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

/** The curves of some metrics of some runs. */
export function curvesOf(
  ledger: Ledger, places: number[], metrics: string[], colours: Map<number, string>, { clock, smooth }: { clock: boolean; smooth: number },
): Curve[] {
  return places.flatMap((place) => metrics.flatMap((metric, m) => {
    const series = ledger.seriesOf(place, metric);
    if (!series) return [];
    const x = xOf(ledger, place, series, clock);
    const order = Uint32Array.from(x.keys()).sort((a, b) => x[a] - x[b]);
    const y = smoothed(Array.from(order, (i) => numberOf(series.value[i])), smooth);
    return [{ place, metric, colour: colours.get(place)!, dash: dashOf(m), xs: Float64Array.from(order, (i) => x[i]), ys: Float64Array.from(y) }];
  }));
}

/** Of the points on one pixel across only the lowest and the highest are drawn. */
export function pathOf({ xs, ys }: Curve, px: (x: number) => number, py: (y: number) => number): string {
  const points: [number, number][] = [];
  for (let i = 0; i < xs.length; ) {
    const column = Math.round(px(xs[i]));
    let [low, high] = [i, i];
    let next = i;
    for (; next < xs.length && Math.round(px(xs[next])) === column; next++) {
      if (ys[next] < ys[low]) low = next;
      if (ys[next] > ys[high]) high = next;
    }
    for (const j of new Set([Math.min(low, high), Math.max(low, high)])) points.push([px(xs[j]), bounded(py(ys[j]))]);
    i = Math.max(next, i + 1);
  }
  return line<[number, number]>().defined(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).digits(1)(points) ?? "";
}

// Browsers draw nothing right that is much further away; what is outside the frame isn't seen.
const outside = 20_000;
const bounded = (pixel: number) => Math.min(outside, Math.max(-outside, pixel));

/** The ends of the curves within the frame, as many as have room for a name. */
export function endsOf(curves: Curve[], px: (x: number) => number, py: (y: number) => number, isInside: (x: number, y: number) => boolean) {
  const ends = curves.map(({ xs, ys }, i) => {
    let last = ys.length - 1;
    while (last > 0 && !Number.isFinite(ys[last])) last--;
    return { i, x: px(xs[last]), y: py(ys[last]) };
  }).filter(({ x, y }) => isInside(x, y)).sort((a, b) => a.y - b.y);
  let before = -Infinity;
  return ends.filter(({ y }) => {
    const free = y - before >= 12;
    if (free) before = y;
    return free;
  });
}
