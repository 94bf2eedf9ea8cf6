// The runs as a table of which only the visible rows exist.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { TargetedEvent, TargetedMouseEvent } from "preact";
import type { Column } from "../data/column.ts";
import type { Ledger } from "../data/ledger.ts";
import { useApp } from "../parts/context.ts";
import { Menu } from "../parts/menu.tsx";
import { cell, count, csv, described, download, short, shortId, whole } from "../parts/text.ts";
import { bestMetric, shownColumns } from "../query/rows.ts";
import { quoteName } from "../query/where.ts";
import { Picker } from "./picker.tsx";

export const rowHeight = 30;
// Browsers draw nothing beyond some height (Firefox from 17 million pixels); more rows scroll in larger steps.
const tallest = 12_000_000;
const overscan = 12;
export const mostSelected = 1000;

export function Runs() {
  return (
    <>
      <Toolbar />
      <ConditionError />
      <Table />
    </>
  );
}

function Toolbar() {
  const { ledger, state, rows, go } = useApp();
  const metrics = ledger.of("metric");
  const metric = bestMetric(ledger, state);
  const columns = shownColumns(ledger, state);
  const name = ledger.file.replace(/\.csv$/i, "");
  const everything = () => {
    const places = Uint32Array.from({ length: ledger.n }, (_, place) => place);
    download(csv([...ledger.columns().values()], places), `${name}-everything.csv`);
  };
  return (
    <div class="toolbar" role="search">
      <Condition />
      <label class="field">
        <span>Search</span>
        <input type="search" value={state.search} placeholder="any text"
          onInput={(event) => go({ search: event.currentTarget.value }, true)} />
      </label>
      {metric && (
        <span class="field">
          <label for="best">Best</label>
          <span class="joined">
            <select aria-label="Lowest or highest is best" value={state.maximize ? "max" : "min"}
              onChange={(event) => go({ maximize: event.currentTarget.value === "max" })}>
              <option value="min">lowest</option>
              <option value="max">highest</option>
            </select>
            <select id="best" value={metric.label} onChange={(event) => go({ best: event.currentTarget.value })}>
              {metrics.slice(0, 500).map(({ label }) => <option key={label} value={label}>{label}</option>)}
            </select>
          </span>
        </span>
      )}
      <div class="buttons">
        <label class="check">
          <input type="checkbox" checked={state.void} onChange={(event) => go({ void: event.currentTarget.checked })} />
          Void runs
        </label>
        <Picker />
        <Menu label="CSV">
          <button type="button" onClick={() => download(csv([ledger.column("run", "run_id")!, ...columns], rows.places), `${name}-shown.csv`)}>
            What is shown: {count(rows.places.length, "run")}, {count(columns.length + 1, "column")}
          </button>
          <button type="button" onClick={everything}>
            Everything: {count(ledger.n, "run")}, {count(ledger.columns().size, "column")}
          </button>
        </Menu>
      </div>
    </div>
  );
}

function Condition() {
  const { ledger, state, rows, go } = useApp();
  const example = useMemo(() => exampleCondition(ledger), [ledger]);
  const error = rows.error;
  return (
    <div class="field condition">
      <label for="where">Where</label>
      <input id="where" type="text" spellcheck={false} autocomplete="off" value={state.where} placeholder={example}
        aria-invalid={error ? "true" : undefined} aria-describedby={error ? "where-error" : undefined}
        onInput={(event) => go({ where: event.currentTarget.value }, true)} />
    </div>
  );
}

function ConditionError() {
  const { state, rows } = useApp();
  const error = rows.error;
  if (!error) return null;
  const at = Math.min(error.at, state.where.length);
  return (
    <p id="where-error" class="error" role="alert">
      {error.message} <code>{state.where.slice(Math.max(0, at - 20), at)}<mark>{state.where.slice(at, at + error.length) || " "}</mark></code>{" "}
      at character {at + 1}. All runs are shown.
    </p>
  );
}

/** A condition on columns that are there. */
function exampleCondition(ledger: Ledger): string {
  const columns = [...ledger.of("parameter"), ...ledger.of("metric")].slice(0, 100);
  const number = columns.find(({ type }) => type === "double" || type === "integer");
  const text = columns.find(({ type, levels }) => type === "character" && levels.length > 0 && levels[0].length < 20);
  const parts = [
    number && `${quoteName(number.label)} > ${short(number.num.find(Number.isFinite) ?? 1, 2)}`,
    text && `${quoteName(text.label)} == ${JSON.stringify(text.levels[0])}`,
  ];
  return parts.filter(Boolean).join(" & ") || 'status == "finished"';
}

function useWindow(places: Uint32Array, version: number) {
  const n = places.length;
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const [view, setView] = useState(800);
  const total = n * rowHeight;
  const height = Math.min(total, tallest);
  const scale = height > view ? Math.max(1, (total - view) / (height - view)) : 1;
  const top = scroll * scale;
  const first = Math.max(0, Math.floor(top / rowHeight));

  useLayoutEffect(() => {
    const element = box.current!;
    const resize = () => setView(element.clientHeight - rowHeight);
    const observer = new ResizeObserver(resize);
    resize();
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // What is being looked at stays where it is while runs come in above it.
  const anchor = useRef({ version, place: -1, row: 0 });
  useLayoutEffect(() => {
    const before = anchor.current;
    const now = before.version !== version && scroll > 0 ? places.indexOf(before.place) : -1;
    if (now >= 0) box.current!.scrollTop += ((now - before.row) * rowHeight) / scale;
    anchor.current = { version, place: places[first] ?? -1, row: first };
  });

  const show = (row: number) => {
    const element = box.current!;
    const y = row * rowHeight;
    if (y < top) element.scrollTop = y / scale;
    else if (y + rowHeight > top + view) element.scrollTop = Math.ceil((y + rowHeight - view) / scale);
  };
  return {
    box, height, show,
    page: Math.max(1, Math.floor(view / rowHeight) - 1),
    from: Math.max(0, first - overscan),
    to: Math.min(n, Math.ceil((top + view) / rowHeight) + overscan),
    offset: (row: number) => row * rowHeight - top + scroll,
    onScroll: (event: TargetedEvent<HTMLElement>) => setScroll(event.currentTarget.scrollTop),
  };
}

const characterWidth = 0.61;

/** Widths in rem, by what is in some of the rows. */
function widths(columns: Column[], places: Uint32Array): number[] {
  const step = Math.max(1, Math.floor(places.length / 300));
  return columns.map((column) => {
    let longest = column.label.length + 2;
    for (let i = 0; i < places.length; i += step) longest = Math.max(longest, cell(column, places[i]).length);
    return Math.min(28, Math.max(6, longest)) * characterWidth + 1.6;
  });
}

function usePrinting(): boolean {
  const [printing, setPrinting] = useState(false);
  useEffect(() => {
    const query = matchMedia("print");
    const onChange = () => setPrinting(query.matches);
    query.addEventListener("change", onChange);
    return () => query.removeEventListener("change", onChange);
  }, []);
  return printing;
}

const mostPrinted = 500;

const statusMarks: { [status: string]: string } = {
  finished: "", running: "◌", failed: "✕", interrupted: "‖", lost: "?", void: "∅",
};

function Table() {
  const { ledger, state, rows, go, href, say } = useApp();
  const places = rows.places;
  const n = places.length;
  const columns = useMemo(() => shownColumns(ledger, state), [ledger, ledger.version, state.columns]);
  const wide = useMemo(() => widths(columns, places), [columns, places]);
  const view = useWindow(places, ledger.version);
  const selected = useMemo(() => new Set(state.selected), [state.selected]);
  const [active, setActive] = useState<number | null>(null);
  const pivot = useRef<number | null>(null);
  const printing = usePrinting();
  const at = active === null ? -1 : places.indexOf(active);
  const metric = bestMetric(ledger, state);
  const idColumn = ledger.column("run", "run_id")!;

  const select = (next: Iterable<number>) => {
    const list = [...new Set(next)].slice(0, mostSelected);
    go({ selected: list }, true);
    say(`${count(list.length, "run")} selected`);
  };
  const toggle = (place: number) => {
    pivot.current = place;
    select(selected.has(place) ? state.selected.filter((other) => other !== place) : [...state.selected, place]);
  };
  const range = (to: number, keep: Iterable<number>) => {
    const [a, b] = [places.indexOf(pivot.current ?? to), places.indexOf(to)];
    select([...keep, ...places.subarray(Math.min(a, b), Math.max(a, b) + 1)]);
  };
  const move = (row: number, extend = false) => {
    if (!n) return;
    const next = Math.min(n - 1, Math.max(0, row));
    if (extend) {
      if (pivot.current === null) pivot.current = places[Math.max(0, at)];
      range(places[next], state.selected);
    }
    setActive(places[next]);
    view.show(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const { key, shiftKey } = event;
    const steps: { [key: string]: number } = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + view.page, PageUp: at - view.page, Home: 0, End: n - 1,
    };
    if (key in steps) move(steps[key], shiftKey);
    else if (key === "Enter" && at >= 0) go({ view: "run", id: ledger.ids[places[at]] });
    else if (key === " " && at >= 0) toggle(places[at]);
    else if (key === "a" && (event.ctrlKey || event.metaKey)) select(places.subarray(0, mostSelected));
    else if (key === "Escape") select([]);
    else return;
    event.preventDefault();
  };
  const onRow = (event: TargetedMouseEvent<HTMLElement>, place: number) => {
    if ((event.target as Element).closest("a")) return;
    setActive(place);
    if (event.shiftKey) range(place, state.selected);
    else if (event.ctrlKey || event.metaKey || (event.target as Element).closest(".tick")) toggle(place);
    else pivot.current = place;
  };
  const sortBy = (column: Column) => {
    const bestFirst = column === metric && state.maximize;
    if (state.sort !== column.label) go({ sort: column.label, descending: bestFirst });
    else if (state.descending === bestFirst) go({ descending: !bestFirst });
    else go({ sort: "", descending: false });
  };

  const header = (column: Column, label: string) => {
    const sorted = state.sort === column.label;
    return (
      <div role="columnheader" key={column.label} class={column.numeric ? "number" : undefined}
        aria-sort={sorted ? (state.descending ? "descending" : "ascending") : "none"}>
        <button type="button" onClick={() => sortBy(column)} title={described(column)}>
          <span class="label">{label}</span>
          <span class="arrow" aria-hidden="true">{sorted ? (state.descending ? "↓" : "↑") : ""}</span>
        </button>
      </div>
    );
  };
  const row = (index: number) => {
    const place = places[index];
    const best = place === rows.best;
    const status = ledger.status(place);
    const classes = ["row", index % 2 ? "odd" : "", best ? "best" : "", status, place === active ? "active" : ""];
    return (
      <div role="row" key={place} id={`run-${place}`} class={classes.filter(Boolean).join(" ")} aria-rowindex={index + 2}
        aria-selected={selected.has(place)} style={{ transform: `translateY(${view.offset(index)}px)` }}
        onClick={(event) => onRow(event, place)} onDblClick={() => go({ view: "run", id: ledger.ids[place] })}>
        <div role="gridcell" class="tick">
          <input type="checkbox" tabIndex={-1} checked={selected.has(place)} aria-label={`Select run ${ledger.ids[place]}`} />
        </div>
        <div role="gridcell" class="id">
          <a href={href({ view: "run", id: ledger.ids[place] })} tabIndex={-1} title={ledger.ids[place]}>{shortId(ledger.ids[place])}</a>
          {best && <span class="star" title={`The best: ${state.maximize ? "highest" : "lowest"} ${metric?.label}`}>★<span class="hidden"> best run</span></span>}
        </div>
        {columns.map((column) => (
          <div role="gridcell" key={column.label} class={`${column.numeric ? "number" : ""}${best && column === metric ? " best-value" : ""}`} title={whole(column, place)}>
            {column.kind === "detail" && column.name === "status" ? (
              <span class="status"><span aria-hidden="true">{statusMarks[status]} </span>{status}</span>
            ) : (
              cell(column, place)
            )}
          </div>
        ))}
      </div>
    );
  };

  const [from, to] = printing ? [0, Math.min(n, mostPrinted)] : [view.from, view.to];
  const visible = [];
  for (let index = from; index < to; index++) visible.push(row(index));
  return (
    <>
      <Summary />
      <div class={n ? "grid" : "grid bare"} role="grid" tabIndex={0} ref={view.box} aria-label="Runs" aria-multiselectable="true"
        aria-rowcount={n + 1} aria-colcount={columns.length + 2} aria-activedescendant={active !== null && at >= 0 ? `run-${active}` : undefined}
        onScroll={view.onScroll} onKeyDown={onKeyDown} onFocus={(event) => event.target === event.currentTarget && active === null && n && setActive(places[0])}
        style={{ "--columns": `2.4rem 11.5rem ${wide.map((w) => `${w.toFixed(2)}rem`).join(" ")} 1fr` }}>
        <div role="rowgroup" class="head">
          <div role="row" aria-rowindex={1} class="row">
            <div role="columnheader" class="tick"><span class="hidden">Selected</span></div>
            {header(idColumn, "run")}
            {columns.map((column) => header(column, column.label))}
          </div>
        </div>
        <div role="rowgroup" class="body" style={{ height: `${printing ? to * rowHeight : view.height}px` }}>{visible}</div>
      </div>
      {n === 0 && <NothingFound />}
      {printing && n > mostPrinted && <p>The first {mostPrinted} of {count(n, "run")} are printed.</p>}
    </>
  );
}

function Summary() {
  const { ledger, state, rows, go, href } = useApp();
  const metric = bestMetric(ledger, state);
  const parts = [];
  const n = rows.places.length;
  const filtered = (state.where && !rows.error) || state.search;
  parts.push(filtered ? `${n.toLocaleString("en")} of ${count(ledger.n, "run")}` : count(n, "run"));
  if (rows.voided) parts.push(`${rows.voided.toLocaleString("en")} void left out`);
  return (
    <p class="summary" role="status">
      <span>{parts.join(", ")}</span>
      {rows.best !== null && metric && (
        <span>
          <span class="star" aria-hidden="true">★</span> best: {state.maximize ? "highest" : "lowest"} {metric.label}{" "}
          <a href={href({ view: "run", id: ledger.ids[rows.best] })}>{cell(metric, rows.best)}</a>
        </span>
      )}
      {state.selected.length > 0 && (
        <span>
          {count(state.selected.length, "run")} selected{state.selected.length >= mostSelected ? ", no more than that" : ""}:{" "}
          <a href={href({ view: "compare" })}>compare</a>, <a href={href({ view: "plots", plot: "curves" })}>curves</a>,{" "}
          <button type="button" class="link" onClick={() => go({ selected: [] }, true)}>clear</button>
        </span>
      )}
    </p>
  );
}

function NothingFound() {
  const { ledger, state, rows, go } = useApp();
  if (!ledger.n) {
    return <div class="nothing"><p>No runs yet.</p><p class="muted">The first log_run() or start_run() in R begins the ledger.</p></div>;
  }
  const asked = [state.where, state.search && `“${state.search}”`].filter(Boolean).join(" and ");
  return (
    <div class="nothing">
      <p>{asked ? <>No runs match <code>{asked}</code>.</> : "All runs are void."}</p>
      {rows.voided > 0 && <p class="muted">{count(rows.voided, "void run")} would.</p>}
      {asked && <button type="button" onClick={() => go({ where: "", search: "" })}>Show all runs</button>}
    </div>
  );
}
