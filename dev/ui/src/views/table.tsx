// The runs as a table, as they are or in groups.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ComponentChild, TargetedMouseEvent } from "preact";
import type { Column } from "../data/column.ts";
import { useApp } from "../parts/context.ts";
import { Elapsed, remarksOf } from "../parts/remarks.tsx";
import { cell, count, cutId, described, short, shortId, time, whole } from "../parts/text.ts";
import { isFilled } from "../query/columns.ts";
import { bestMetric, directionOf, inWords } from "../query/direction.ts";
import { groupAt, groupRuns, lineOf, linesOf, orderGroups, type Group } from "../query/groups.ts";
import { measureOf } from "../query/rows.ts";
import { cellsOf, GroupName, nameOf } from "./table/group_row.tsx";
import { layOut, tickWidth, widths, type Pin } from "./table/layout.ts";
import { ConditionError, Toolbar } from "./table/toolbar.tsx";
import { rowHeight, useWindow } from "./table/window.ts";

export const mostSelected = 1000;
const mostUnfolded = 200;
/** In characters: what was said of a run stands whole below the table. */
const mostRemarked = 38;

export function Runs() {
  return (
    <>
      <Toolbar />
      <ConditionError />
      <Table />
    </>
  );
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

const isStatus = ({ kind, name }: Column) => kind === "detail" && name === "status";

/** A status, and the beginning of what was said of the run. */
function Status({ place, status }: { place: number; status: string }) {
  const { ledger, live, asOf } = useApp();
  const remarks = remarksOf(ledger, place);
  const notes = remarks.filter(({ what }) => what === "note").length;
  const reason = remarks.find(({ what }) => what !== "note")?.text ?? (notes ? remarks[0].text : "");
  return (
    <>
      <span class="status"><span aria-hidden="true">{statusMarks[status]} </span>{status}</span>
      {" "}
      {status === "running" && !live && <span class="remark">as of {time(asOf).slice(0, 16)}</span>}
      {notes > 0 && <span class="noted" aria-label={count(notes, "note")}>✎</span>}{" "}
      {reason && <span class="remark">{reason.split("\n", 1)[0]}</span>}
    </>
  );
}

/** What was said of the run that is at hand, whole. */
function Remarks({ place }: { place: number }) {
  const { ledger, href } = useApp();
  const remarks = remarksOf(ledger, place);
  if (!remarks.length) return null;
  return (
    <section class="remarks" aria-label={`What was said of run ${ledger.ids[place]}`} tabIndex={0}>
      <a href={href({ view: "run", id: ledger.ids[place] })}>{shortId(ledger.ids[place])}</a>
      <dl>{remarks.map(({ what, text }, i) => <div key={i}><dt>{what}</dt><dd>{text}</dd></div>)}</dl>
    </section>
  );
}

/** The groups of the runs, in the order of the table; null where runs aren't grouped. */
function useGroups(): { by: Column; groups: Group[]; open: Set<string> } | null {
  const { ledger, state, rows } = useApp();
  const by = ledger.columns().get(state.group);
  const groups = useMemo(() => by && groupRuns(ledger, by, rows.places), [ledger, rows, by]);
  const ordered = useMemo(() => groups && orderGroups(ledger, groups, state), [groups, state.sort, state.descending, state.means, state.best, state.maximize]);
  const open = useMemo(() => new Set(state.open), [state.open]);
  return by && ordered ? { by, groups: ordered, open } : null;
}

const pinned = (pin: Pin | null) => pin ? { left: `${pin.left.toFixed(2)}rem`, right: `${pin.right.toFixed(2)}rem` } : undefined;
const pinClasses = (pin: Pin | null) => [pin && "pinned", pin?.begins && "begins", pin?.ends && "ends"];
const classes = (...names: (string | false | null | undefined)[]) => names.filter(Boolean).join(" ") || undefined;

function Table() {
  const { ledger, state, rows, shown: { columns }, go, href, say } = useApp();
  const grouped = useGroups();
  const lines = useMemo(() => (grouped ? linesOf(grouped.groups, grouped.open) : rows.places), [rows, grouped?.groups, grouped?.open]);
  const n = lines.length;
  const metric = bestMetric(ledger, state);
  const said = useMemo(() => cellsOf(ledger, state), [ledger, grouped?.groups, state.best, state.maximize]);
  const wide = useMemo(() => {
    const remarked = rows.places.subarray(0, 300).reduce((longest, place) => Math.max(longest, ...remarksOf(ledger, place).map(({ text }) => text.length)), 0);
    const texts = (column: Column) => isStatus(column) && remarked ? ["x".repeat(Math.min(mostRemarked, 10 + remarked))] : (grouped?.groups ?? []).slice(0, 100).map((group) => {
      const { text, best = "" } = said(column, group);
      return best ? `${text} best ${best}` : text;
    });
    return widths(columns, rows, texts);
  }, [columns, rows, said]);
  const view = useWindow(lines, ledger.version);
  const { id, idLength, pins } = layOut(columns, wide, metric, view.width, grouped !== null);
  const selected = useMemo(() => new Set(state.selected), [state.selected]);
  // A run by its place, a group by its key.
  const [active, setActive] = useState<number | string | null>(null);
  const pivot = useRef<number | null>(null);
  const printing = usePrinting();
  const lineOfActive = typeof active === "string" ? lineOf(grouped?.groups.findIndex(({ key }) => key === active) ?? -1) : active;
  // No line is above all groups.
  const at = lineOfActive === null || lineOfActive === lineOf(-1) ? -1 : lines.indexOf(lineOfActive);
  const idColumn = ledger.column("run", "run_id")!;
  const names = ledger.column("detail", "name");

  const select = (next: Iterable<number>) => {
    const list = [...new Set(next)].slice(0, mostSelected);
    go({ selected: list }, true);
    say(`${count(list.length, "run")} selected`);
  };
  const toggle = (place: number) => {
    pivot.current = place;
    select(selected.has(place) ? state.selected.filter((other) => other !== place) : [...state.selected, place]);
  };
  const toggleGroup = ({ places }: Group) => {
    const runs = new Set(places);
    const rest = state.selected.filter((place) => !runs.has(place));
    select(places.every((place) => selected.has(place)) ? rest : [...rest, ...places]);
  };
  const range = (to: number, keep: Iterable<number>) => {
    const [a, b] = [lines.indexOf(pivot.current ?? to), lines.indexOf(to)];
    select([...keep, ...lines.subarray(Math.min(a, b), Math.max(a, b) + 1).filter((line) => line >= 0)]);
  };
  const unfold = ({ key }: Group, open: boolean) => {
    go({ open: open ? [...state.open.slice(1 - mostUnfolded), key] : state.open.filter((other) => other !== key) }, true);
  };
  const activate = (line: number) => setActive(line < 0 ? grouped!.groups[groupAt(line)].key : line);
  const move = (row: number, extend = false) => {
    if (!n) return;
    const next = Math.min(n - 1, Math.max(0, row));
    if (extend && lines[next] >= 0) {
      if (pivot.current === null) pivot.current = lines[Math.max(0, at)] < 0 ? lines[next] : lines[Math.max(0, at)];
      range(lines[next], state.selected);
    }
    activate(lines[next]);
    view.show(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const { key, shiftKey } = event;
    const group = at >= 0 && lines[at] < 0 ? grouped!.groups[groupAt(lines[at])] : null;
    const steps: { [key: string]: number } = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + view.page, PageUp: at - view.page, Home: 0, End: n - 1,
    };
    if (key in steps) move(steps[key], shiftKey);
    else if (group && key === "Enter") unfold(group, !grouped!.open.has(group.key));
    else if (group && key === "ArrowRight") unfold(group, true);
    else if (group && key === "ArrowLeft") unfold(group, false);
    else if (group && key === " ") toggleGroup(group);
    else if (grouped && at >= 0 && key === "ArrowLeft") move(lines.subarray(0, at).findLastIndex((line) => line < 0));
    else if (key === "Enter" && at >= 0) go({ view: "run", id: ledger.ids[lines[at]] });
    else if (key === " " && at >= 0) toggle(lines[at]);
    else if (key === "a" && (event.ctrlKey || event.metaKey)) select(rows.places.subarray(0, mostSelected));
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
  const onGroup = (event: TargetedMouseEvent<HTMLElement>, group: Group) => {
    if ((event.target as Element).closest("a")) return;
    setActive(group.key);
    if ((event.target as Element).closest(".tick")) toggleGroup(group);
    else unfold(group, !grouped!.open.has(group.key));
  };
  const sortBy = (column: Column) => {
    const bestFirst = column.kind === "metric" && directionOf(ledger, column, state).larger;
    if (state.sort !== column.label) go({ sort: column.label, descending: bestFirst });
    else if (state.descending === bestFirst) go({ descending: !bestFirst });
    else go({ sort: "", descending: false });
  };

  const header = (column: Column, label: string, pin: Pin | null = null) => {
    const sorted = state.sort === column.label;
    return (
      <div role="columnheader" key={column.label} class={classes(column.numeric && "number", ...pinClasses(pin))}
        style={pinned(pin)} aria-sort={sorted ? (state.descending ? "descending" : "ascending") : "none"}>
        <button type="button" onClick={() => sortBy(column)} title={column.kind === "metric" ? `${described(column)}: ${inWords(directionOf(ledger, column, state))}` : described(column)}>
          <span class="label">{label}</span>
          <span class="arrow" aria-hidden="true">{sorted ? (state.descending ? "↓" : "↑") : ""}</span>
        </button>
      </div>
    );
  };
  const star = metric && rows.best !== null && (
    <span class="star" title={`The best ${metric.label}: ${inWords(directionOf(ledger, metric, state))}`}>★<span class="hidden"> best run</span></span>
  );
  const gridcell = (column: Column, i: number, title: string, content: ComponentChild, ...names: (string | false | undefined)[]) => (
    <div role="gridcell" key={column.label} class={classes(column.numeric && "number", ...pinClasses(pins[i]), ...names)} style={pinned(pins[i])} title={title}>
      {content}
    </div>
  );
  const row = (index: number) => {
    const place = lines[index];
    const best = place === rows.best;
    const status = ledger.status(place);
    return (
      <div role="row" key={place} id={`run-${place}`} class={classes("row", index % 2 === 1 && "odd", best && "best", status, place === active && "active", grouped && "within")}
        aria-rowindex={index + 2} aria-level={grouped ? 2 : undefined}
        aria-selected={selected.has(place)} style={{ transform: `translateY(${view.offset(index)}px)` }}
        onClick={(event) => onRow(event, place)} onDblClick={() => go({ view: "run", id: ledger.ids[place] })}>
        <div role="gridcell" class="tick">
          <input type="checkbox" tabIndex={-1} checked={selected.has(place)} aria-label={`Select run ${ledger.ids[place]}`} />
        </div>
        <div role="gridcell" class="id">
          {best ? star : statusMarks[status] && <span class="mark" aria-hidden="true" title={status}>{statusMarks[status]}</span>}
          <a href={href({ view: "run", id: ledger.ids[place] })} tabIndex={-1} title={ledger.ids[place]}>{cutId(ledger.ids[place], idLength)}</a>
          {grouped && names?.has(place) && <span class="muted">{cell(names, place)}</span>}
        </div>
        {columns.map((column, i) => gridcell(
          column, i, isStatus(column) ? [status, ...remarksOf(ledger, place).map(({ what, text }) => `${what}: ${text}`)].join("\n") : whole(column, place),
          isStatus(column) ? <Status place={place} status={status} />
            : status === "running" && column.kind === "detail" && column.name === "duration" && !column.has(place) ? <Elapsed place={place} />
            : cell(column, place),
          best && column === metric && "best-value",
        ))}
      </div>
    );
  };
  const groupOfBest = useMemo(() => grouped?.groups.findIndex(({ places }) => rows.best !== null && places.includes(rows.best)) ?? -1, [grouped?.groups, rows]);
  const groupRow = (index: number) => {
    const at = groupAt(lines[index]);
    const { by, groups, open } = grouped!;
    const group = groups[at];
    const isOpen = open.has(group.key);
    const all = group.places.length > 0 && selected.size >= group.places.length && group.places.every((place) => selected.has(place));
    const { name, run } = nameOf(ledger, by, group);
    const called = [name, run].filter(Boolean).join(" ");
    return (
      <div role="row" key={`of ${group.key}`} id={`group-${at}`} class={classes("row", "group", group.key === active && "active")} aria-rowindex={index + 2}
        aria-level={1} aria-expanded={isOpen} aria-selected={all} style={{ transform: `translateY(${view.offset(index)}px)` }}
        onClick={(event) => onGroup(event, group)}>
        <div role="gridcell" class="tick">
          <input type="checkbox" tabIndex={-1} checked={all} aria-label={`Select ${count(group.places.length, "run")} of ${called}`} />
        </div>
        <div role="gridcell" class="id">
          {at === groupOfBest && star}
          <span class="fold" aria-hidden="true">{isOpen ? "▾" : "▸"}</span>
          <GroupName ledger={ledger} by={by} group={group} href={(id) => href({ view: "run", id })} />
          <span class="count" title={count(group.places.length, "run")}>{group.places.length.toLocaleString("en")}<span class="hidden"> runs</span></span>
        </div>
        {columns.map((column, i) => {
          const { text, best, title, muted } = said(column, group);
          return gridcell(column, i, title, <>{text}{best !== undefined && <span class="of-best"> best <b>{best}</b></span>}</>, muted && "muted");
        })}
      </div>
    );
  };

  const [from, to] = printing ? [0, Math.min(n, mostPrinted)] : [view.from, view.to];
  const visible = [];
  for (let index = from; index < to; index++) visible.push(lines[index] < 0 ? groupRow(index) : row(index));
  const element = active === null || at < 0 ? undefined : lines[at] < 0 ? `group-${groupAt(lines[at])}` : `run-${lines[at]}`;
  return (
    <>
      <Summary grouped={grouped} />
      <div class={n ? "grid" : "grid bare"} role={grouped ? "treegrid" : "grid"} tabIndex={0} ref={view.box} aria-label="Runs" aria-multiselectable="true"
        aria-rowcount={n + 1} aria-colcount={columns.length + 2} aria-activedescendant={element}
        onScroll={view.onScroll} onKeyDown={onKeyDown} onFocus={(event) => event.target === event.currentTarget && active === null && n && activate(lines[0])}
        style={{ "--columns": `${tickWidth}rem ${id}rem ${wide.map((w) => `${w.toFixed(2)}rem`).join(" ")} 1fr` }}>
        <div role="rowgroup" class="head">
          <div role="row" aria-rowindex={1} class="row">
            <div role="columnheader" class="tick"><span class="hidden">Selected</span></div>
            {header(idColumn, grouped ? `run by ${grouped.by.label}` : "run")}
            {columns.map((column, i) => header(column, column.label, pins[i]))}
          </div>
        </div>
        <div role="rowgroup" class="body" style={{ height: `${printing ? to * rowHeight : view.height}px` }}>{visible}</div>
      </div>
      {typeof active === "number" && at >= 0 && <Remarks place={active} />}
      {n === 0 && <NothingFound />}
      {printing && n > mostPrinted && <p>The first {mostPrinted} of {count(n, "run")} are printed.</p>}
    </>
  );
}

function Summary({ grouped }: { grouped: { by: Column; groups: Group[]; open: Set<string> } | null }) {
  const { ledger, state, rows, shown: { hidden }, go, href } = useApp();
  const metric = bestMetric(ledger, state);
  const parts = [];
  const n = rows.places.length;
  const filtered = (state.where && !rows.error) || state.search;
  parts.push(filtered ? `${n.toLocaleString("en")} of ${count(ledger.n, "run")}` : count(n, "run"));
  if (rows.voided) parts.push(`${rows.voided.toLocaleString("en")} void left out`);
  const over = { last: "", min: " at its smallest", max: " at its largest", mean: " on average" }[state.over];
  const direction = metric && directionOf(ledger, metric, state);
  const parent = ledger.column("detail", "parent");
  return (
    <p class="summary" role="status">
      <span>{parts.join(", ")}</span>
      {rows.best !== null && metric && direction && (
        <span>
          <span class="star" aria-hidden="true">★</span> best: {direction.larger ? "highest" : "lowest"} {metric.label}{over}{" "}
          <a href={href({ view: "run", id: ledger.ids[rows.best] })}>{state.over === "last" ? cell(metric, rows.best) : short(measureOf(ledger, metric, state.over)(rows.best))}</a>{" "}
          <span class="why">({inWords(direction)})</span>
        </span>
      )}
      {!grouped && parent && isFilled(parent, rows.places) && (
        <span><button type="button" class="link" onClick={() => go({ group: parent.label, open: [] })}>group by parent</button></span>
      )}
      {grouped && (
        <span>
          {count(grouped.groups.length, "group")} by {grouped.by.label}:{" "}
          {grouped.groups.length <= mostUnfolded && <><button type="button" class="link" onClick={() => go({ open: grouped.groups.map(({ key }) => key) }, true)}>unfold all</button>, </>}
          <button type="button" class="link" onClick={() => go({ open: [] }, true)}>fold all</button>
        </span>
      )}
      {hidden.length > 0 && (
        <span title={hidden.slice(0, 40).map(({ label }) => label).join(", ")}>
          {count(hidden.length, "column")} that no run here has{" "}
          <button type="button" class="link" aria-pressed={state.empty} onClick={() => go({ empty: !state.empty }, true)}>{state.empty ? "hide" : "show"}</button>
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
