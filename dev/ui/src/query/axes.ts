// Limits and scales that show most of what there is.

import type { Column } from "../data/column.ts";
import type { Choice } from "./state.ts";

/** What was chosen, or what would be by itself. */
export const isChosen = (choice: Choice, usual: () => boolean): boolean => (choice ? choice === "1" : usual());

/** Whether the numbers of a column are worth a logarithmic axis: none is below zero, and those above it span over two decades. */
export function spansDecades(column: Column, places: ArrayLike<number>): boolean {
  if (column.type !== "double" && column.type !== "integer") return false;
  let [low, high] = [Infinity, 0];
  for (let i = 0; i < places.length; i++) {
    const value = column.num[places[i]];
    if (value < 0) return false;
    if (!Number.isFinite(value) || value === 0) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high > 100 * low;
}

/** Numbers, and how much each of them counts. */
interface Weighted {
  value: number;
  weight: number;
}

function quantile(sorted: Weighted[], share: number): number {
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  for (const { value, weight } of sorted) {
    sum += weight;
    if (sum >= share * total) return value;
  }
  return sorted.at(-1)!.value;
}

// What is so many times further away than most are apart would flatten them to a line.
const flattens = 50;
const reaches = 1.5;
const sampled = 2000;

/**
 * The limits within which curves can be told apart: all of them, unless few points are so far away that the others would
 * be one line. Each curve counts the same, however many points it has. `far` takes those in, too.
 */
export function limitsOf(curves: ArrayLike<number>[], far = false): [number, number] {
  const points: Weighted[] = [];
  for (const curve of curves) {
    const step = Math.max(1, Math.floor(curve.length / sampled));
    const values: number[] = [];
    for (let i = 0; i < curve.length; i += step) if (Number.isFinite(curve[i])) values.push(curve[i]);
    for (const value of values) points.push({ value, weight: 1 / values.length });
  }
  if (far || !points.length) return extent(curves, -Infinity, Infinity);
  points.sort((a, b) => a.value - b.value);
  // Up to a third of the points may be astray on one side.
  const [q05, q35, q65, q95] = [0.05, 0.35, 0.65, 0.95].map((share) => quantile(points, share));
  const apart = (a: number, b: number) => b - a || Math.abs(b) || 1;
  const [up, down] = [apart(q05, q65), apart(q35, q95)];
  const [low, high] = extent(curves, -Infinity, Infinity);
  return extent(curves, q35 - low > flattens * down ? q35 - reaches * down : low, high - q65 > flattens * up ? q65 + reaches * up : high);
}

/** The lowest and the highest of the numbers between two others. */
function extent(curves: ArrayLike<number>[], least: number, most: number): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const curve of curves) {
    for (let i = 0; i < curve.length; i++) {
      const value = curve[i];
      if (!Number.isFinite(value) || value < least || value > most) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}
