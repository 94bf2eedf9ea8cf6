// Values as text: short for tables, whole for the page of a run, plain for CSV.

import type { Column } from "../data/column.ts";
import { isFields, type Json, type Preview } from "../data/page.ts";

/** A number to so many significant digits, without zeros that say nothing. */
export function short(x: number, digits = 5): string {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "Inf" : "-Inf";
  const size = Math.abs(x);
  if (x === 0 || (Number.isInteger(x) && size < 1e7)) return String(x);
  if (size >= 1e7 || size < 1e-4) return x.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  const whole = Math.floor(Math.log10(size)) + 1;
  return x.toFixed(Math.max(0, digits - whole)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

export const time = (ms: number): string =>
  Number.isFinite(ms) ? new Date(ms).toISOString().replace("T", " ").slice(0, 19) : "";

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 1) return `${short(seconds * 1000, 3)} ms`;
  if (seconds < 60) return `${short(seconds, 3)} s`;
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), Math.floor(seconds % 60)];
  return h ? `${h} h ${m} min` : `${m} min ${s} s`;
}

export const count = (n: number, one: string, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const bytes = (n: number): string => {
  const unit = n < 1e3 ? 0 : n < 1e6 ? 1 : n < 1e9 ? 2 : 3;
  return `${short(n / 1000 ** unit, 3)} ${["B", "kB", "MB", "GB"][unit]}`;
};

/** `sha256:` or `fl1:` and the first characters of a hash, or of a commit. */
export const shortHash = (text: string) =>
  text.replace(/^((?:sha256|fl1):[0-9a-f]{8})[0-9a-f]{56}$/, "$1…").replace(/^([0-9a-f]{10})[0-9a-f]{30}(?:[0-9a-f]{24})?$/, "$1");

/** The id of a run without its date and time, which stand beside it. */
export const shortId = (id: string) => id.replace(/^\d{8}-\d{6}-(\w{12})$/, "$1");

/** The same in so many characters, at least 12: ids of other forms tell the runs apart at their ends. */
export function cutId(id: string, most: number): string {
  const characters = [...shortId(id)];
  return characters.length <= most ? characters.join("") : `${characters.slice(0, most - 12).join("")}…${characters.slice(-11).join("")}`;
}

/** What a user's column is, before its name. */
export const described = ({ kind, label }: Column) => (kind === "parameter" || kind === "metric" || kind === "tag" ? `${kind} ${label}` : label);

/** A value that the ledger writes with its type. */
function tagged(tag: string, value: Json): string {
  if (tag === "$na") return "NA";
  if (tag === "$redacted") return "(redacted)";
  return tag === "$empty" ? `${plain(value)}(0)` : plain(value);
}

/** Any JSON of the ledger as one would read it, whole. */
export function plain(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
  if (Array.isArray(value)) return value.map(plain).join(", ");
  if (!isFields(value)) return String(value);
  if (value.redacted === true) return "(redacted)";
  if ("v" in value && "t" in value) return plain(value.v);
  if ("na" in value) return "NA";
  if ("null" in value) return "NULL";
  const [[key, inner] = ["", null], ...more] = Object.entries(value);
  if (key.startsWith("$") && !more.length) return tagged(key, inner);
  return Object.entries(value).map(([key, item]) => `${key}: ${plain(item)}`).join(", ");
}

/** A cell, whole. */
export function whole(column: Column, place: number): string {
  const value = column.value(place);
  if (value === null) return "";
  if (column.type === "datetime") return `${new Date(value as number).toISOString().replace("T", " ").slice(0, 23)} UTC`;
  if (column.type === "difftime" && typeof value === "number") return `${value} s`;
  return plain(value);
}

/** A cell as the table shows it. */
export function cell(column: Column, place: number): string {
  if (!column.has(place)) return "";
  const num = column.num[place];
  switch (column.type) {
    case "double": return Number.isNaN(num) ? plain(column.value(place)) : short(num);
    case "datetime": return time(num);
    case "difftime": return duration(num);
    case "character": return shortHash(column.levels[num] ?? plain(column.value(place)));
    default: return plain(column.value(place));
  }
}

const csvCell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** RFC 4180: values whole, times in ISO 8601, NA as an empty cell. */
export function csv(columns: Column[], rows: Iterable<number>): Blob {
  const line = (cells: string[]) => `${cells.map(csvCell).join(",")}\r\n`;
  const parts = [line(columns.map(({ label }) => label))];
  const text = (column: Column, place: number) => {
    const value = column.value(place);
    if (value === null) return "";
    return column.type === "datetime" ? new Date(value as number).toISOString() : plain(value);
  };
  for (const place of rows) parts.push(line(columns.map((column) => text(column, place))));
  return new Blob(parts, { type: "text/csv;charset=utf-8" });
}

export function download(blob: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** What a picture of these bytes is shown as: scripts in it don't run there. */
export const imageUrl = (preview: Preview & { kind: "image" }) =>
  /^image\/(png|jpeg|gif|webp)$/.test(preview.type) && /^[A-Za-z0-9+/=\s]*$/.test(preview.base64)
    ? `data:${preview.type};base64,${preview.base64}`
    : null;
