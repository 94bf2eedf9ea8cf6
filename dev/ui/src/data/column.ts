// The values of all runs in one column.

import { isFields, numberOf, spread, type ColumnData, type Head, type Json, type Kind, type Type } from "./page.ts";

/** A value with its type: `{"t":type,"v":value}`, `{"na":type}`, `{"null":null}` or `{"redacted":true}`. */
export type Cell = Json;

const isMissing = (cell: Json) => isFields(cell) && ("na" in cell || "null" in cell);

// The codes of what is no text.
const redacted = -2;
const missing: { [code: number]: string } = { [-3]: "NA", [-4]: "NULL" };

/**
 * One column of the runs. `num` has a number for each run, NaN where there is none: the number itself, 0 or 1,
 * a date in days, a time in ms, or the code of a text in `levels`. What no number can stand for is in `other`.
 */
export class Column {
  readonly kind: Kind;
  readonly name: string;
  label: string;
  type: Type;
  num: Float64Array;
  levels: string[] = [];
  other = new Map<number, Json>();
  version = 0;
  /** What is recorded as missing, unlike what isn't recorded. */
  private missing = new Map<number, Cell>();
  private integers: Set<number>;
  private codes = new Map<string, number>();
  private sorted: { rows: Uint32Array; keys: Float64Array; version: number } | null = null;

  constructor({ kind, name, label, type }: Head, size: number) {
    this.kind = kind;
    this.name = name;
    this.label = label;
    this.type = type;
    this.num = new Float64Array(size).fill(NaN);
    this.integers = new Set();
  }

  static of(data: ColumnData, size: number): Column {
    const column = new Column(data, size);
    const { values, codes, levels, integers } = data;
    column.integers = new Set(integers);
    if (codes && levels) {
      column.levels = levels;
      levels.forEach((level, code) => column.codes.set(level, code));
      spread(data, codes.length, (place, index) => {
        const code = codes[index];
        if (code >= 0) column.num[place] = code;
        else if (code === redacted) column.other.set(place, { redacted: true });
        else if (code in missing) column.setMissing(place, missing[code]);
      });
    } else if (values) {
      spread(data, values.length, (place, index) => column.setBare(place, values[index]));
    }
    return column;
  }

  /** The column of one text a run. */
  static ofTexts(head: Head, texts: string[]): Column {
    const column = new Column(head, texts.length);
    column.levels = texts;
    for (let place = 0; place < texts.length; place++) column.num[place] = place;
    return column;
  }

  private setMissing(place: number, word: string) {
    this.missing.set(place, word === "NA" ? { na: this.type } : { null: null });
  }

  /** A value whose type is the column's, in a place where there was none. */
  private setBare(place: number, value: Json) {
    if (value === null) return;
    if (isMissing(value)) this.missing.set(place, value);
    else if (this.type === "mixed" || isFields(value)) this.other.set(place, value);
    else if (this.type !== "character" && (value === "NA" || value === "NULL")) this.setMissing(place, value);
    else this.put(place, value);
  }

  private put(place: number, value: Json) {
    if (this.type === "character") this.num[place] = this.code(String(value));
    else if (this.type === "date") this.num[place] = Date.parse(String(value)) / 864e5;
    else if (this.type === "integer64") {
      this.num[place] = Number(value);
      this.other.set(place, value);
    } else if (typeof value === "boolean") this.num[place] = Number(value);
    else {
      this.num[place] = numberOf(value);
      if (Number.isNaN(this.num[place])) this.other.set(place, value);
    }
  }

  /** Takes over the value of a run; null is none. */
  set(place: number, cell: Cell) {
    this.reserve(place + 1);
    this.version++;
    this.num[place] = NaN;
    for (const places of [this.other, this.missing, this.integers]) places.delete(place);
    if (cell === null) return;
    if (isMissing(cell)) this.missing.set(place, cell);
    else if (this.type === "mixed" || !isFields(cell) || !("v" in cell)) this.other.set(place, cell);
    else {
      if (this.type === "double" && cell.t === "integer") this.integers.add(place);
      this.put(place, cell.v);
    }
  }

  private code(text: string): number {
    let code = this.codes.get(text);
    if (code === undefined) {
      code = this.levels.push(text) - 1;
      this.codes.set(text, code);
    }
    return code;
  }

  /** Room for so many runs. */
  reserve(size: number) {
    if (size <= this.num.length) return;
    const num = new Float64Array(Math.max(size, Math.ceil(this.num.length * 1.5))).fill(NaN);
    num.set(this.num);
    this.num = num;
  }

  /** Holds values of another type from now on. */
  retype(type: Type) {
    if (type === this.type) return;
    const cells: [number, Cell][] = [];
    for (let place = 0; place < this.num.length; place++) {
      const cell = this.cell(place);
      if (cell !== null) cells.push([place, cell]);
    }
    this.type = type;
    this.levels = [];
    this.codes.clear();
    for (const [place, cell] of cells) this.set(place, cell);
  }

  has(place: number): boolean {
    return !Number.isNaN(this.num[place]) || this.other.has(place);
  }

  /** As JSON has it; null where it is missing. */
  value(place: number): Json {
    const other = this.other.get(place);
    if (other !== undefined) return other;
    const num = this.num[place];
    if (num === undefined || Number.isNaN(num)) return null;
    if (this.type === "character") return this.levels[num];
    if (this.type === "logical") return num === 1;
    if (this.type === "date") return new Date(num * 864e5).toISOString().slice(0, 10);
    return num;
  }

  /** With its type; null where nothing is recorded. */
  cell(place: number): Cell {
    const missing = this.missing.get(place);
    if (missing !== undefined) return missing;
    let value = this.value(place);
    if (value === null || isFields(value)) return value;
    // As JSON says it.
    if (value === Infinity || value === -Infinity) value = value > 0 ? "Inf" : "-Inf";
    return { t: this.integers.has(place) ? "integer" : this.type, v: value };
  }

  get numeric(): boolean {
    return this.type !== "character" && this.type !== "mixed" && this.type !== "logical";
  }

  /** All places in ascending order, equals in that of the ledger, those without a value last. */
  order(n: number): Uint32Array {
    if (this.sorted?.version === this.version && this.sorted.rows.length === n) return this.sorted.rows;
    let keys = this.num;
    let ranked = 0;
    if (this.type === "character") {
      const rank = ranks(this.levels);
      ranked = rank.length;
      keys = this.num.map((code) => (Number.isNaN(code) ? NaN : rank[code]));
    } else if (this.type === "mixed") {
      const texts = Array.from({ length: n }, (_, place) => (this.has(place) ? JSON.stringify(this.value(place)) : ""));
      const rank = ranks(texts);
      ranked = rank.length;
      keys = Float64Array.from(texts, (text, place) => (text ? rank[place] : NaN));
    }
    const present = new Uint32Array(n);
    const absent: number[] = [];
    let count = 0;
    let ascending = true;
    for (let place = 0; place < n; place++) {
      if (Number.isNaN(keys[place])) absent.push(place);
      else {
        if (count && keys[present[count - 1]] > keys[place]) ascending = false;
        present[count++] = place;
      }
    }
    const rows = present.subarray(0, count);
    if (!ascending && ranked) sortByRank(rows, keys, ranked);
    else if (!ascending) rows.sort((a, b) => keys[a] - keys[b] || a - b);
    present.set(absent, count);
    this.sorted = { rows: present, keys, version: this.version };
    return present;
  }

  /** What `order()` has ordered by. */
  sortKey(place: number): number {
    return (this.sorted?.keys ?? this.num)[place];
  }
}

const collator = new Intl.Collator("en");
export const compareTexts = (a: string, b: string) => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

// The collator takes too long for so many texts.
const manyTexts = 10_000;

function ranks(texts: string[]): Float64Array {
  const compare = texts.length > manyTexts ? (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0) : compareTexts;
  const order = Uint32Array.from(texts, (_, i) => i).sort((a, b) => compare(texts[a], texts[b]));
  const rank = new Float64Array(texts.length);
  order.forEach((text, i) => {
    rank[text] = i && texts[text] === texts[order[i - 1]] ? rank[order[i - 1]] : i;
  });
  return rank;
}

/** By ranks below `n`, which can be counted: far quicker than comparing them. */
function sortByRank(rows: Uint32Array, rank: Float64Array, n: number) {
  const next = new Uint32Array(n + 1);
  for (const row of rows) next[rank[row] + 1]++;
  for (let i = 1; i <= n; i++) next[i] += next[i - 1];
  const sorted = new Uint32Array(rows.length);
  for (const row of rows) sorted[next[rank[row]]++] = row;
  rows.set(sorted);
}
