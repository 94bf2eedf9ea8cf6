// Runs side by side: what differs between them, in the kinds and words of compare_runs().

import { useApp } from "./app.tsx";
import { isFields, type Fields, type Json, type Ledger } from "./data.ts";
import { shortId } from "./table.tsx";
import { count, plain, short, shortHash, time } from "./text.ts";

interface Cell {
  text: string;
  number?: number;
}

interface Field {
  kind: string;
  name: string;
  cells: (Cell | undefined)[];
}

type Said = Map<string, Cell>;

const cellOf = (value: Json | undefined): Cell | undefined =>
  value === null || value === undefined ? undefined : { text: plain(value), ...(typeof value === "number" ? { number: value } : {}) };

function add(said: Said, name: string, value: Json | undefined) {
  const cell = cellOf(value);
  if (cell) said.set(name, cell);
}

export const kinds: [string, (ledger: Ledger, place: number) => Said][] = [
  ["parameter", (ledger, place) => ofColumns(ledger, place, "param")],
  ["metric", (ledger, place) => ofColumns(ledger, place, "metric")],
  ["tag", (ledger, place) => ofFields(ledger.extra("tags", place))],
  ["seed", (ledger, place) => {
    const said: Said = new Map();
    add(said, "seed", ledger.column("detail", "seed")?.value(place));
    return said;
  }],
  ["data", (ledger, place) => {
    const said: Said = new Map();
    for (const [name, entry] of Object.entries(ledger.extra("data", place) ?? {})) {
      if (!isFields(entry)) continue;
      add(said, name, entry.hash);
      for (const key of ["file", "size", "rows", "cols", "type"]) add(said, `${name} ${key}`, entry[key]);
      if (isFields(entry.columns)) for (const [column, type] of Object.entries(entry.columns)) add(said, `${name}$${column}`, type);
    }
    return said;
  }],
  ["code", (ledger, place) => {
    const said: Said = new Map();
    const call = ledger.extra("call", place);
    if (isFields(call)) {
      for (const key of ["function", "version", "body", "method"]) add(said, key, call[key]);
      add(said, "call", call.code);
    }
    const context = contextOf(ledger, place);
    const git = isFields(context.git) ? context.git : {};
    add(said, "script", context.script);
    for (const key of ["commit", "branch", "dirty"]) add(said, key, git[key]);
    return said;
  }],
  ["package", (ledger, place) => {
    const context = contextOf(ledger, place);
    const said: Said = new Map();
    add(said, "R", context.r);
    if (isFields(context.packages)) for (const [name, version] of Object.entries(context.packages)) add(said, name, version);
    return said;
  }],
  ["environment", (ledger, place) => {
    const context = contextOf(ledger, place);
    const said: Said = new Map();
    for (const key of ["platform", "locale", "timezone", "rng"]) add(said, key, context[key]);
    return said;
  }],
];

const contextOf = (ledger: Ledger, place: number): Fields => ledger.session(place)?.context ?? {};

function ofFields(fields: Fields | undefined): Said {
  const said: Said = new Map();
  for (const [name, value] of Object.entries(fields ?? {})) add(said, name, value);
  return said;
}

function ofColumns(ledger: Ledger, place: number, kind: "param" | "metric"): Said {
  const said: Said = new Map();
  for (const column of ledger.of(kind)) {
    const value = column.value(place);
    if (value === null) continue;
    const number = column.numeric && column.type !== "datetime" ? { number: column.num[place] } : {};
    said.set(column.name, { text: column.type === "datetime" ? time(column.num[place]) : plain(value), ...number });
  }
  return said;
}

export function compareRuns(ledger: Ledger, places: number[], all: boolean): Field[] {
  const fields: Field[] = [];
  for (const [kind, of] of kinds) {
    const said = places.map((place) => of(ledger, place));
    const names = new Set(said.flatMap((cells) => [...cells.keys()]));
    for (const name of names) {
      const cells = said.map((one) => one.get(name));
      if (all || cells.some((cell) => cell?.text !== cells[0]?.text)) fields.push({ kind, name, cells });
    }
  }
  return fields;
}

const mostCompared = 100;

export function Compare() {
  const { ledger, state, rows, go, href } = useApp();
  const known = state.selected.filter((place) => place < ledger.n);
  const places = known.slice(0, mostCompared);
  if (!places.length) {
    const newest = [...rows.places.subarray(0, 3)];
    return (
      <div class="nothing">
        <p>No runs are selected.</p>
        <p class="muted">Select runs in the table, by their boxes or with the space bar, and see here in what they differ.</p>
        {newest.length > 1 && <button type="button" onClick={() => go({ selected: newest })}>Compare the first {newest.length} of the table</button>}
      </div>
    );
  }
  const fields = compareRuns(ledger, places, state.all);
  const best = rows.best !== null && places.includes(rows.best) ? rows.best : null;
  const keep = (next: number[]) => go({ selected: next }, true);
  let kind = "";
  return (
    <>
      <div class="toolbar">
        <h2>{count(places.length, "run")} side by side</h2>
        <label class="check">
          <input type="checkbox" checked={state.all} onChange={(event) => go({ all: event.currentTarget.checked })} />
          What is the same, too
        </label>
        {best !== null && best !== places[0] && (
          <button type="button" onClick={() => keep([best, ...known.filter((place) => place !== best)])}>Measure against the best</button>
        )}
        {known.length > places.length && <span class="muted">the first {mostCompared} of {known.length} selected</span>}
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Comparison">
        <table class="compare">
          <thead>
            <tr>
              <th scope="col">Differences are from the first run</th>
              {places.map((place, i) => (
                <th scope="col" key={place}>
                  <a href={href({ view: "run", id: ledger.ids[place] })} title={ledger.ids[place]}>{shortId(ledger.ids[place])}</a>
                  {place === best && <span class="star">★<span class="hidden"> best run</span></span>}
                  <span class="actions">
                    {i > 0 && <button type="button" class="link" aria-label={`Make ${ledger.ids[place]} the first`} onClick={() => keep([place, ...known.filter((other) => other !== place)])}>first</button>}
                    <button type="button" class="link" aria-label={`Remove ${ledger.ids[place]}`} onClick={() => keep(known.filter((other) => other !== place))}>remove</button>
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {fields.map((field) => {
              const heading = field.kind !== kind;
              kind = field.kind;
              return (
                <>
                  {heading && <tr key={`of ${kind}`} class="kind"><th scope="rowgroup" colSpan={places.length + 1}>{kind}</th></tr>}
                  <tr key={`${kind} ${field.name}`}>
                    <th scope="row">{field.name}</th>
                    {field.cells.map((cell, i) => <td key={places[i]} class={cell?.number !== undefined ? "number" : undefined}><Value cell={cell} first={i ? field.cells[0] : undefined} /></td>)}
                  </tr>
                </>
              );
            })}
          </tbody>
        </table>
        {!fields.length && <p class="nothing">{places.length > 1 ? "They differ in nothing that is on record." : "One run differs from nothing. Select another."}</p>}
      </div>
    </>
  );
}

function Value({ cell, first }: { cell?: Cell; first?: Cell }) {
  if (!cell) return <span class="muted" aria-label="not recorded">–</span>;
  const { text, number } = cell;
  const difference = number !== undefined && first?.number !== undefined ? number - first.number : 0;
  const share = difference && first!.number ? ` (${difference > 0 ? "+" : "−"}${short(Math.abs((difference / first!.number!) * 100), 3)} %)` : "";
  return (
    <>
      <span title={text}>{number === undefined ? shortHash(text) : short(number)}</span>
      {Number.isFinite(difference) && difference !== 0 && <span class="difference">{difference > 0 ? "+" : "−"}{short(Math.abs(difference), 4)}{share}</span>}
    </>
  );
}
