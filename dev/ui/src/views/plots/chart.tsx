// What all plots share: scales of columns, axes, colours, a frame that can be saved as SVG and PNG.

import { scaleLinear, scaleLog, scaleUtc } from "d3-scale";
import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { compareTexts, type Column } from "../../data/column.ts";
import { palette } from "../../parts/colours.ts";
import { download, short } from "../../parts/text.ts";

export interface Tick {
  at: number;
  label: string;
}

/** Where values of a column stand on an axis. */
export interface Scale {
  /** The pixel of a value of `column.num`; NaN where it has none. */
  pixel: (num: number) => number;
  /** The value of `column.num`, or of the order of its texts, at a pixel. */
  value: (pixel: number) => number;
  ticks: Tick[];
  /** The texts of a column of such, in their order on the axis. */
  levels: string[] | null;
  /** The order of a text on the axis; the number itself where it is one. */
  rank: (num: number) => number;
}

export interface Box {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const mostLevels = 24;

export function scaleOf(column: Column, places: ArrayLike<number>, [from, to]: [number, number], log = false): Scale {
  const { num, type } = column;
  if (type === "character" || type === "logical") return ofLevels(column, places, from, to);
  let [low, high] = [Infinity, -Infinity];
  let zero = false;
  for (let i = 0; i < places.length; i++) {
    const value = num[places[i]];
    if (log && value === 0) zero = true;
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (zero) return withZero([low, high], from, to);
  return ofNumbers([low, high], [from, to], { log, time: type === "datetime" ? 1 : type === "date" ? 864e5 : 0 });
}

/** In pixels: how far zero stands from the numbers of a logarithmic axis. */
const zeroGap = 34;

/** A logarithmic scale that has a place for zero before all other numbers. */
function withZero(limits: [number, number], from: number, to: number): Scale {
  const sign = Math.sign(to - from);
  const [zero, start] = [from + (sign * zeroGap) / 4, from + sign * zeroGap];
  const others = ofNumbers(limits, [start, to], { log: true });
  return {
    ...others,
    pixel: (num) => (num === 0 ? zero : others.pixel(num)),
    value: (pixel) => (sign * (pixel - (zero + start) / 2) < 0 ? 0 : others.value(pixel)),
    ticks: [{ at: zero, label: "0" }, ...others.ticks],
  };
}

export function ofNumbers([low, high]: [number, number], [from, to]: [number, number], { log = false, time = 0, nice = true } = {}): Scale {
  if (low > high) [low, high] = log ? [1, 10] : [0, 1];
  // No number is as large as the largest are apart: these are measured in a larger unit.
  const unit = !log && Math.max(-low, high) > 1e300 ? 2 ** -64 : 1;
  [low, high] = [low * unit, high * unit];
  if (low === high) [low, high] = log ? [low / 2 || low, Math.min(low * 2, Number.MAX_VALUE)] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const room = Math.max(2, Math.floor(Math.abs(to - from) / 80));
  const identity = (num: number) => num;
  if (time) {
    const scale = scaleUtc([low * time, high * time], [from, to]).nice();
    const format = scale.tickFormat(room);
    // What is no time, or too far away for one, has no place.
    const pixel = (num: number) => (Number.isNaN(new Date(num * time).getTime()) ? NaN : scale(num * time));
    return {
      pixel, value: (pixel) => scale.invert(pixel).getTime() / time, levels: null, rank: identity,
      ticks: scale.ticks(room).map((date) => ({ at: scale(date), label: format(date) })),
    };
  }
  const exact = log ? scaleLog([low, high], [from, to]) : scaleLinear([low, high], [from, to]);
  const rounded = nice ? exact.copy().nice() : exact;
  // There may be no rounder number beyond.
  const scale = rounded.domain().every((end) => Number.isFinite(end / unit) && (!log || end > 0)) ? rounded : exact;
  // Between the smallest numbers there is no room for steps.
  const all = (log && low < 1e-300 ? [low, high] : scale.ticks(room)).filter((value) => Number.isFinite(value / unit));
  const decades = all.filter((value) => Number.isInteger(Math.log10(value) + 0) || Math.abs(Math.log10(value) % 1) < 1e-9);
  const ticks = log && all.length > 10 && decades.length > 1 ? decades : all;
  return {
    pixel: (num) => (Number.isFinite(num) && (!log || num > 0) ? scale(num * unit) : NaN), value: (pixel) => scale.invert(pixel) / unit,
    levels: null, rank: identity, ticks: ticks.map((value) => ({ at: scale(value), label: short(value / unit, 6) })),
  };
}

function ofLevels(column: Column, places: ArrayLike<number>, from: number, to: number): Scale {
  const texts = column.type === "logical" ? ["FALSE", "TRUE"] : column.levels;
  const used = new Set<number>();
  for (let i = 0; i < places.length; i++) if (!Number.isNaN(column.num[places[i]])) used.add(column.num[places[i]]);
  const order = [...used].sort((a, b) => compareTexts(texts[a], texts[b]));
  const rank = new Float64Array(texts.length).fill(NaN);
  order.forEach((code, i) => { rank[code] = i; });
  const scale = scaleLinear([-0.5, order.length - 0.5], [from, to]);
  const step = Math.ceil(order.length / mostLevels);
  return {
    pixel: (num) => (Number.isNaN(num) ? NaN : scale(rank[num])), value: (pixel) => scale.invert(pixel),
    rank: (num) => rank[num], levels: order.map((code) => texts[code]),
    ticks: order.map((code, i) => ({ at: scale(i), label: texts[code] })).filter((_, i) => i % step === 0),
  };
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export function Axes({ box, x, y, xLabel, yLabel }: { box: Box; x: Scale; y: Scale; xLabel: string; yLabel: string }) {
  const { width, height, left, right, top, bottom } = box;
  const narrow = x.levels && x.levels.length > 8;
  return (
    <g class="axes">
      {x.ticks.map(({ at, label }) => (
        <g key={`${at} ${label}`} transform={`translate(${at} ${height - bottom})`}>
          <line y2={top + bottom - height} class="rule" />
          <text y="17" text-anchor="middle">{cut(label, narrow ? 7 : 14)}</text>
        </g>
      ))}
      {y.ticks.map(({ at, label }) => (
        <g key={`${at} ${label}`} transform={`translate(${left} ${at})`}>
          <line x2={width - left - right} class="rule" />
          <text x="-8" dy="0.32em" text-anchor="end">{cut(label, 9)}</text>
        </g>
      ))}
      <line x1={left} x2={width - right} y1={height - bottom} y2={height - bottom} class="axis" />
      <line x1={left} x2={left} y1={top} y2={height - bottom} class="axis" />
      <text x={(left + width - right) / 2} y={height - 8} text-anchor="middle" class="name">{cut(xLabel, 60)}</text>
      <text transform={`translate(14 ${(top + height - bottom) / 2}) rotate(-90)`} text-anchor="middle" class="name">{cut(yLabel, 50)}</text>
    </g>
  );
}

const rest = "#8d8780";
const sequence = scaleLinear<string>([0, 0.5, 1], ["#e2a93f", "#cd5a78", "#6f62cf"]);
const steps = 6;

export interface Group {
  label: string;
  colour: string;
}

/** What colours stand for, and which of them a run has. */
export function groupsBy(column: Column | undefined, places: ArrayLike<number>): { groups: Group[]; of: (place: number) => number } {
  if (!column) return { groups: [{ label: "", colour: "currentColor" }], of: () => 0 };
  const { num } = column;
  if (column.numeric) {
    const values = Float64Array.from({ length: places.length }, (_, i) => num[places[i]]).filter(Number.isFinite).sort();
    const bounds = Array.from({ length: steps + 1 }, (_, i) => values[Math.min(values.length - 1, Math.floor((i / steps) * values.length))]);
    const cuts = [...new Set(bounds)];
    const last = Math.max(1, cuts.length - 1);
    const label = (from: number, to: number) => (from === to ? short(from, 3) : `${short(from, 3)} to ${short(to, 3)}`);
    const groups = Array.from({ length: values.length ? last : 0 }, (_, i) => ({
      label: label(cuts[i], cuts[i + 1] ?? cuts[i]), colour: sequence(last > 1 ? i / (last - 1) : 0),
    }));
    const none = groups.push({ label: "none", colour: rest }) - 1;
    return {
      groups,
      of: (place) => {
        const value = num[place];
        if (!Number.isFinite(value)) return none;
        let group = last - 1;
        while (group > 0 && value < cuts[group]) group--;
        return group;
      },
    };
  }
  const counts = new Map<number, number>();
  for (let i = 0; i < places.length; i++) counts.set(num[places[i]], (counts.get(num[places[i]]) ?? 0) + 1);
  const frequent = [...counts].filter(([code]) => !Number.isNaN(code)).sort((a, b) => b[1] - a[1]).slice(0, palette.length - 1);
  const texts = column.type === "logical" ? ["FALSE", "TRUE"] : column.levels;
  const codes = frequent.map(([code]) => code).sort((a, b) => compareTexts(texts[a], texts[b]));
  const groups = codes.map((code, i) => ({ label: texts[code], colour: palette[i] }));
  if (counts.size > codes.length) groups.push({ label: "other", colour: rest });
  const group = new Map(codes.map((code, i) => [code, i]));
  return { groups, of: (place) => group.get(num[place]) ?? codes.length };
}

export function Legend({ groups, title }: { groups: Group[]; title: string }) {
  if (groups.length < 2) return null;
  return (
    <ul class="legend" aria-label={`Colours by ${title}`}>
      <li class="muted">{title}</li>
      {groups.map(({ label, colour }) => <li key={label}><span class="swatch" style={{ background: colour }} />{label}</li>)}
    </ul>
  );
}

/** The size of a box that grows and shrinks with the page. */
export function useSize(): [(element: HTMLDivElement | null) => void, number] {
  const [element, box] = useState<HTMLDivElement | null>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (!element) return;
    const resize = () => setWidth(Math.floor(element.clientWidth));
    const observer = new ResizeObserver(resize);
    resize();
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [box, width];
}

/** As high as the window has room, and no higher than looks well. */
export const heightFor = (width: number) => Math.round(Math.max(300, Math.min(560, width * 0.55, innerHeight - 270)));

const drawn = ["fill", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "fill-opacity", "opacity", "font-family", "font-size", "font-weight"];

/** The plot as a picture of its own: what the style sheet says stands in attributes. */
function standalone(svg: SVGSVGElement): { text: string; width: number; height: number } {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = [svg, ...svg.querySelectorAll<SVGElement>("*")];
  const copies = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  originals.forEach((original, i) => {
    const style = getComputedStyle(original);
    for (const name of drawn) copies[i].setAttribute(name, style.getPropertyValue(name));
    copies[i].removeAttribute("class");
    copies[i].removeAttribute("style");
  });
  for (const element of copy.querySelectorAll(".brush, [data-screen]")) element.remove();
  copies.forEach((element, i) => { if (originals[i].closest("[data-screen]")) element.remove(); });
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  paper.setAttribute("width", "100%");
  paper.setAttribute("height", "100%");
  paper.setAttribute("fill", getComputedStyle(document.documentElement).backgroundColor);
  copy.prepend(paper);
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

const sharpness = 2;

async function savePng(svg: SVGSVGElement, name: string) {
  const { text, width, height } = standalone(svg);
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width * sharpness;
  canvas.height = height * sharpness;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  canvas.toBlob((blob) => blob && download(blob, `${name}.png`));
}

export function Save({ svg, name }: { svg: RefObject<SVGSVGElement | null>; name: string }) {
  return (
    <span class="save">
      <button type="button" onClick={() => svg.current && download(new Blob([standalone(svg.current).text], { type: "image/svg+xml" }), `${name}.svg`)}>SVG</button>
      <button type="button" onClick={() => svg.current && savePng(svg.current, name)}>PNG</button>
    </span>
  );
}

export function Select({ label, value, options, onChange }: { label: string; value: string; options: { value: string; label: string }[]; onChange: (value: string) => void }) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.slice(0, 1000).map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
      </select>
    </label>
  );
}

export function Check({ label, checked, onChange, disabled = false }: { label: string; checked: boolean; onChange: (checked: boolean) => void; disabled?: boolean }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} disabled={disabled} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** Dots as one path, however many: round ends of lines without length. Those on one pixel are drawn once. */
export function dots(xs: ArrayLike<number>, ys: ArrayLike<number>, keep: (i: number) => boolean): string {
  const seen = new Set<number>();
  const parts: string[] = [];
  for (let i = 0; i < xs.length; i++) {
    if (!keep(i) || Number.isNaN(xs[i]) || Number.isNaN(ys[i])) continue;
    const [x, y] = [Math.round(xs[i] * 2), Math.round(ys[i] * 2)];
    const key = x * 10_000 + y;
    if (seen.has(key)) continue;
    seen.add(key);
    parts.push(`M${x / 2} ${y / 2}h0`);
  }
  return parts.join("");
}

export interface Picked {
  x: number;
  y: number;
  lines: ComponentChildren[];
}

export function Tooltip({ picked, width }: { picked: Picked | null; width: number }) {
  if (!picked) return null;
  const left = picked.x > width / 2;
  return (
    <div class="tooltip" style={{ transform: `translate(${picked.x}px, ${picked.y}px) translate(${left ? "calc(-100% - 12px)" : "12px"}, -50%)` }}>
      {picked.lines.map((line, i) => <div key={i}>{line}</div>)}
    </div>
  );
}
