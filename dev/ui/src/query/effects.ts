// What goes with a metric: for each parameter how strongly, and of how many runs one knows it.

import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";

export interface Effect {
  column: Column;
  /** Runs that have both. */
  n: number;
  /** `rank`: Spearman's correlation; `share`: eta squared, the share of the variance between categories. */
  measure: "rank" | "share" | "constant";
  value: number;
  /** The share of the metric's variance, of values or of ranks, less what chance alone would give: 0 and below is nothing. */
  strength: number;
  categories: number;
  /** Why one should think little of it; empty where nothing speaks against it. */
  caution: string;
}

const fewRuns = 10;

/** Where a number stands among sorted ones: before its equals, or after them. */
function position(sorted: Float64Array, value: number, after: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value || (after && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The ranks of numbers, equals with the mean of theirs. */
export function ranks(values: Float64Array, sorted: Float64Array = values.slice().sort()): Float64Array {
  const found = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const start = position(sorted, values[i], false);
    const alone = sorted[start + 1] !== values[i];
    found[i] = (start + (alone ? start + 1 : position(sorted, values[i], true)) + 1) / 2;
  }
  return found;
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

function correlation(x: Float64Array, y: Float64Array): number {
  const [a, b] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xy += (x[i] - a) * (y[i] - b);
    xx += (x[i] - a) ** 2;
    yy += (y[i] - b) ** 2;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Spearman's rank correlation. */
export const spearman = (x: Float64Array, y: Float64Array) => correlation(ranks(x), ranks(y));

/** The numbers, in another unit where squares of them are no numbers, or nothing. */
function squarable(numbers: Float64Array): Float64Array {
  const most = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return most > 1e100 || (most > 0 && most < 1e-100) ? numbers.map((value) => value / most) : numbers;
}

/** The share of the variance of numbers that lies between categories, which are numbered from 0. */
export function etaSquared(categories: Float64Array, numbers: Float64Array): number {
  const y = squarable(numbers);
  const middle = mean(y);
  const size = categories.reduce((most, category) => Math.max(most, category), 0) + 1;
  const [sums, counts] = [new Float64Array(size), new Float64Array(size)];
  let all = 0;
  for (let i = 0; i < y.length; i++) {
    sums[categories[i]] += y[i] - middle;
    counts[categories[i]]++;
    all += (y[i] - middle) ** 2;
  }
  return sums.reduce((total, sum, category) => (counts[category] ? total + (sum * sum) / counts[category] : total), 0) / all;
}

function distinct(sorted: Float64Array): number {
  let n = 0;
  for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) n++;
  return n;
}

/** What a share would be if it were 0 where chance alone gives it, and 1 where it is whole. */
const beyondChance = (share: number, byChance: number) => (byChance < 1 ? (share - byChance) / (1 - byChance) : 0);

/** Numbers of some runs, and their ranks once they are asked for. */
class Numbers {
  readonly values: Float64Array;
  readonly sorted: Float64Array;
  private ranked: Float64Array | null = null;

  constructor({ num }: Column, places: Uint32Array) {
    this.values = new Float64Array(places.length);
    for (let i = 0; i < places.length; i++) this.values[i] = num[places[i]];
    this.sorted = this.values.slice().sort();
  }

  get ranks(): Float64Array {
    return (this.ranked ??= ranks(this.values, this.sorted));
  }
}

/** `measured` are the metric's numbers of the runs that have it. */
function effectOf(column: Column, metric: Column, runs: Uint32Array, measured: Numbers): Effect {
  const both = runs.filter((place) => !Number.isNaN(column.num[place]));
  const n = both.length;
  const x = new Numbers(column, both);
  const y = n === runs.length ? measured : new Numbers(metric, both);
  const categories = distinct(x.sorted);
  const known = { column, n, categories };
  const constant = (caution: string): Effect => ({ ...known, measure: "constant", value: NaN, strength: -Infinity, caution });
  if (n === 0) return constant("no run has both");
  if (categories < 2) return constant(n === 1 ? "one run alone has both" : "it is the same in all runs");
  if (y.sorted[0] === y.sorted[n - 1]) return constant("the metric is the same in all runs");
  if (n < 3) return constant(`${n} runs alone say nothing`);
  const few = n < fewRuns ? [`only ${n} runs`] : [];
  if (column.numeric) {
    const value = correlation(x.ranks, y.ranks);
    const strength = beyondChance(value ** 2, 1 / (n - 1));
    return { ...known, measure: "rank", value, strength, caution: [...few, ...(categories === 2 ? ["two values only"] : [])].join(", ") };
  }
  const value = etaSquared(x.values, y.values);
  const crowded = categories > n / 3 ? [`${categories} categories for ${n} runs`] : [];
  return { ...known, measure: "share", value, strength: beyondChance(value, (categories - 1) / (n - 1)), caution: [...few, ...crowded].join(", ") };
}

const mostParams = 500;

/** Of finished runs, the strongest first; those of which one should think little after the others, and last what can't be told. */
export function effectsOn(ledger: Ledger, metric: Column, places: Uint32Array): Effect[] {
  const status = ledger.column("detail", "status")!;
  const finished = status.levels.indexOf("finished");
  const runs = places.filter((place) => status.num[place] === finished && Number.isFinite(metric.num[place]));
  const measured = new Numbers(metric, runs);
  const params = ledger.of("parameter").filter(({ type }) => type !== "mixed").slice(0, mostParams);
  const effects = params.map((column) => effectOf(column, metric, runs, measured));
  const told = effects.filter(({ n, measure }) => n > 0 || measure !== "constant");
  return told.sort((a, b) => Number(a.caution !== "") - Number(b.caution !== "") || (a.strength === b.strength ? b.n - a.n : b.strength - a.strength));
}
