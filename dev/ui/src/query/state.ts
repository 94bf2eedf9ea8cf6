// What the page shows, as it stands in the address: a permalink for every state.

export type View = "runs" | "compare" | "plots" | "run" | "models" | "integrity";
export type Plot = "scatter" | "parallel" | "curves" | "effects";
/** What was chosen where the page would know by itself: "1" yes, "0" no. */
export type Choice = "" | "0" | "1";
/** What stands for a series when runs are compared by it. */
export type Over = "last" | "min" | "max" | "mean";

export interface State {
  view: View;
  /** The run or the model that is looked at. */
  id: string;
  where: string;
  search: string;
  sort: string;
  descending: boolean;
  best: string;
  maximize: Choice;
  over: Over;
  void: boolean;
  columns: string[];
  /** Columns that no run shown has are shown all the same. */
  empty: boolean;
  /** The column by which runs are grouped. */
  group: string;
  /** The keys of the groups that are unfolded. */
  open: string[];
  /** Groups are ordered by their means, and not by their best runs. */
  means: boolean;
  selected: number[];
  all: boolean;
  plot: Plot;
  x: string;
  y: string;
  colour: string;
  logX: Choice;
  logY: Choice;
  axes: string[];
  brushes: { [axis: string]: [number, number] };
  /** The metrics whose curves are drawn. */
  metric: string[];
  clock: boolean;
  smooth: number;
  /** The runs whose curves are hidden. */
  off: number[];
  /** What of the curves is looked at: from and to, across and up; empty for all. */
  zoom: number[];
  /** Points far from all others are within the limits, too. */
  far: boolean;
}

export const initial: State = {
  view: "runs", id: "", where: "", search: "", sort: "", descending: false, best: "", maximize: "", over: "last", void: false,
  columns: [], empty: false, group: "", open: [], means: false, selected: [], all: false,
  plot: "scatter", x: "", y: "", colour: "", logX: "", logY: "",
  axes: [], brushes: {}, metric: [], clock: false, smooth: 0, off: [], zoom: [], far: false,
};

const views: string[] = ["runs", "compare", "plots", "run", "models", "integrity"];
const plots: string[] = ["scatter", "parallel", "curves", "effects"];
const overs: string[] = ["last", "min", "max", "mean"];
const choices = ["maximize", "logX", "logY"] as const;

/** Selections as links say them. Each link of a view has the same one, which may be long: it is written once. */
const texts = new WeakMap<number[], string>();

/** 1, 2, 3, 7 as `1-3.7`. */
const ranges = (places: number[]) => {
  const known = texts.get(places);
  if (known !== undefined) return known;
  const sorted = [...places].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const from = sorted[i];
    while (sorted[i + 1] === sorted[i] + 1) i++;
    parts.push(sorted[i] === from ? `${from}` : `${from}-${sorted[i]}`);
  }
  const text = parts.join(".");
  texts.set(places, text);
  return text;
};

const fromRanges = (text: string): number[] => {
  const places: number[] = [];
  for (const part of text.split(".")) {
    const match = /^(\d{1,8})(?:-(\d{1,8}))?$/.exec(part);
    if (!match) continue;
    for (let place = Number(match[1]); place <= Number(match[2] ?? match[1]) && places.length < 1e6; place++) places.push(place);
  }
  return places;
};

export function toHash(state: State): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (key === "selected" || key === "off") {
      if (state[key].length) query.set(key, ranges(state[key]));
    } else if (key === "zoom") {
      if (state.zoom.length) query.set(key, state.zoom.join(","));
    } else if (Array.isArray(value)) {
      for (const item of value) query.append(key, item);
    } else if (key === "brushes") {
      for (const [axis, [low, high]] of Object.entries(state.brushes)) query.append(key, `${low},${high},${axis}`);
    } else if (value !== initial[key as keyof State]) query.set(key, value === true ? "1" : String(value));
  }
  return `#${query}`;
}

/** Two ranges, or none. */
const zoomed = (ends: number[]) =>
  ends.length === 4 && ends.every(Number.isFinite) && ends[0] < ends[1] && ends[2] < ends[3] ? ends : [];

export function fromHash(hash: string): State {
  const query = new URLSearchParams(hash.replace(/^#/, ""));
  const state: State = { ...initial };
  const fields = state as unknown as { [key: string]: unknown };
  for (const [key, value] of Object.entries(initial)) {
    const text = query.get(key);
    if (text === null) continue;
    if (key === "selected" || key === "off") state[key] = [...new Set(fromRanges(text))];
    else if (key === "zoom") state.zoom = zoomed(text.split(",").map(Number));
    else if (Array.isArray(value)) fields[key] = query.getAll(key);
    else if (key === "brushes") {
      const parts = query.getAll(key).map((part) => /^([^,]+),([^,]+),(.*)$/s.exec(part));
      const brushes = parts.filter((part) => part !== null).map(([, low, high, axis]) => [axis, [Number(low), Number(high)]] as const);
      state.brushes = Object.fromEntries(brushes.filter(([, [low, high]]) => low <= high)) as State["brushes"];
    } else if (typeof value === "boolean") fields[key] = text === "1";
    else if (typeof value === "number") fields[key] = Math.min(1, Math.max(0, Number(text) || 0));
    else fields[key] = text;
  }
  if (!views.includes(state.view)) state.view = "runs";
  if (!plots.includes(state.plot)) state.plot = "scatter";
  if (!overs.includes(state.over)) state.over = "last";
  for (const key of choices) if (!["0", "1"].includes(state[key])) state[key] = "";
  return state;
}

/** What the browser keeps, where it keeps anything for this page. */
export const kept = {
  get(key: string): string | null {
    try {
      return localStorage.getItem(`fitledger:${key}`);
    } catch {
      return null;
    }
  },
  set(key: string, value: string) {
    try {
      localStorage.setItem(`fitledger:${key}`, value);
    } catch {
      // Pages from files or in frames may not keep anything.
    }
  },
};
