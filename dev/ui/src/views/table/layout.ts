// How wide the columns of the table are, and which of them stay in sight.

import type { Column } from "../../data/column.ts";
import { cell } from "../../parts/text.ts";
import type { Rows } from "../../query/rows.ts";

/** In rem, a character of a value, of a metric's, the best of which is bold, and of a label. */
const characterWidth = 0.61;
const boldWidth = 0.72;
const labelWidth = 0.55;
const arrowWidth = 1.1;
const padding = 1.6;
export const tickWidth = 2.4;
/** Below so many pixels a screen is narrow, as in the style sheet. */
const narrow = 700;
const rem = 14;

const sampled = 300;
/** In characters. */
const mostOfValues = 28;
const mostBeside = 38;

/** Widths in rem, by what is in some of the rows and in the best; `more` has the texts that stand there beside values. */
export function widths(columns: Column[], { places, best }: Rows, more: (column: Column) => string[]): number[] {
  const step = Math.max(1, Math.floor(places.length / sampled));
  return columns.map((column) => {
    let longest = Math.max(6, best === null ? 0 : cell(column, best).length);
    for (let i = 0; i < places.length; i += step) longest = Math.max(longest, cell(column, places[i]).length);
    const beside = more(column).reduce((most, text) => Math.max(most, text.length), 0);
    const label = Math.min(mostOfValues * characterWidth, column.label.length * labelWidth + arrowWidth);
    const values = Math.min(mostOfValues, longest) * (column.kind === "metric" ? boldWidth : characterWidth);
    return Math.max(label, values, Math.min(mostBeside, beside) * characterWidth) + padding;
  });
}

/** Where a column stays while the others scroll, in rem from either edge. */
export interface Pin {
  left: number;
  right: number;
  /** The first and the last of those that stay, where others go by. */
  begins: boolean;
  ends: boolean;
}

export interface Layout {
  id: number;
  /** So many characters of a run's id have room. */
  idLength: number;
  wide: number[];
  pins: (Pin | null)[];
}

/** Metrics stay in sight as far as they leave half of the table to the rest, the one by which runs compete before others. */
export function layOut(columns: Column[], wide: number[], metric: Column | undefined, width: number, grouped: boolean): Layout {
  const isNarrow = width < narrow;
  const id = isNarrow ? (grouped ? 10.5 : 9.2) : grouped ? 17.5 : 11.5;
  const before = id + (isNarrow ? 0 : tickWidth);
  let room = (width / rem) * (isNarrow ? 0.65 : 0.6) - before;
  const pinned = new Set<number>();
  const metrics = columns.map((_, i) => i).filter((i) => columns[i].kind === "metric");
  for (const i of metrics.sort((a, b) => Number(columns[b] === metric) - Number(columns[a] === metric) || a - b)) {
    if (wide[i] > room) break;
    pinned.add(i);
    room -= wide[i];
  }
  const all = [...pinned].sort((a, b) => a - b);
  const sum = (of: number[]) => of.reduce((sum, i) => sum + wide[i], 0);
  const pins = columns.map((_, i) => pinned.has(i)
    ? { left: before + sum(all.filter((other) => other < i)), right: sum(all.filter((other) => other > i)), begins: i === all[0] && i > 0, ends: i === all.at(-1) }
    : null);
  return { id, idLength: isNarrow ? 12 : 16, wide, pins };
}
