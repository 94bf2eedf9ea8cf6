// What is asked of the table: conditions, the best, groups, columns.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { useApp } from "../../parts/context.ts";
import { Menu } from "../../parts/menu.tsx";
import { count, csv, download } from "../../parts/text.ts";
import { bestMetric, inWords, knownDirection } from "../../query/direction.ts";
import type { Choice, Over } from "../../query/state.ts";
import { ConditionHelp, exampleCondition } from "./conditions.tsx";
import { Picker } from "./picker.tsx";

const mostOptions = 500;
const overs: { [over in Over]: string } = { last: "last value", min: "smallest value", max: "largest value", mean: "mean" };

export function Toolbar() {
  const { ledger, state, rows, shown, go } = useApp();
  const name = ledger.file.replace(/\.csv$/i, "");
  const everything = () => {
    const places = Uint32Array.from({ length: ledger.n }, (_, place) => place);
    download(csv([...ledger.columns().values()], places), `${name}-everything.csv`);
  };
  // Where there is little room; what leaves out runs isn't hidden.
  const [open, setOpen] = useState(state.search !== "");
  return (
    <div class="toolbar" role="search">
      <Condition>
        <button type="button" class="unfold" aria-expanded={open} aria-controls="options" onClick={() => setOpen(!open)}>Options</button>
      </Condition>
      <div class={open ? "options open" : "options"} id="options">
        <label class="field">
          <span>Search</span>
          <input type="search" value={state.search} placeholder="any text"
            onInput={(event) => go({ search: event.currentTarget.value }, true)} />
        </label>
        <Best />
        <Groups />
        <div class="buttons">
          <label class="check">
            <input type="checkbox" checked={state.void} onChange={(event) => go({ void: event.currentTarget.checked })} />
            Void runs
          </label>
          <Picker />
          <Menu label="CSV">
            <button type="button" onClick={() => download(csv([ledger.column("run", "run_id")!, ...shown.columns], rows.places), `${name}-shown.csv`)}>
              What is shown: {count(rows.places.length, "run")}, {count(shown.columns.length + 1, "column")}
            </button>
            <button type="button" onClick={everything}>
              Everything: {count(ledger.n, "run")}, {count(ledger.columns().size, "column")}
            </button>
          </Menu>
        </div>
      </div>
    </div>
  );
}

/** By which metric runs compete, which way it counts, and what stands for a series. */
function Best() {
  const { ledger, state, go } = useApp();
  const metric = bestMetric(ledger, state);
  if (!metric) return null;
  const known = knownDirection(ledger, metric);
  const hasSeries = Object.values(ledger.series).some((metrics) => Object.hasOwn(metrics, metric.name));
  return (
    <span class="field">
      <label for="best">Best</label>
      <span class="joined">
        <select aria-label="Lowest or highest is best" value={state.maximize} title={inWords(known)}
          onChange={(event) => {
            const maximize = event.currentTarget.value as Choice;
            // What is chosen is chosen of this metric, whichever other runs are shown next.
            go(maximize ? { maximize, best: metric.label } : { maximize });
          }}>
          <option value="">{known.larger ? "highest" : "lowest"} (by itself)</option>
          <option value="0">lowest</option>
          <option value="1">highest</option>
        </select>
        {(hasSeries || state.over !== "last") && (
          <select aria-label="Of a series" value={state.over} onChange={(event) => go({ over: event.currentTarget.value as Over })}>
            {Object.entries(overs).map(([over, text]) => <option key={over} value={over}>{text}</option>)}
          </select>
        )}
        <select id="best" value={metric.label} onChange={(event) => go({ best: event.currentTarget.value, maximize: "" })}>
          {ledger.of("metric").slice(0, mostOptions).map(({ label }) => <option key={label} value={label}>{label}</option>)}
        </select>
      </span>
    </span>
  );
}

function Groups() {
  const { ledger, state, go } = useApp();
  const columns = [...ledger.columns().values()].filter(({ kind }) => kind !== "run");
  // What runs hang together by comes first.
  const first = ["experiment", "parent"].map((name) => ledger.column("detail", name)).filter((column) => column !== undefined);
  const rank = (kind: string) => ["tag", "parameter", "detail", "seed", "metric"].indexOf(kind);
  const options = [...first, ...columns.filter((column) => !first.includes(column)).sort((a, b) => rank(a.kind) - rank(b.kind))];
  const byMetric = ledger.columns().get(state.sort)?.kind === "metric";
  return (
    <span class="field">
      <label for="group">Group by</label>
      <span class="joined">
        <select id="group" value={ledger.columns().has(state.group) ? state.group : ""} onChange={(event) => go({ group: event.currentTarget.value, open: [] })}>
          <option value="">nothing</option>
          {options.slice(0, mostOptions).map(({ label }) => <option key={label} value={label}>{label}</option>)}
        </select>
        {state.group && byMetric && (
          <select aria-label="Order of the groups" value={state.means ? "means" : "best"} onChange={(event) => go({ means: event.currentTarget.value === "means" })}>
            <option value="best">by their best</option>
            <option value="means">by their mean</option>
          </select>
        )}
      </span>
    </span>
  );
}

function Condition({ children }: { children: ComponentChildren }) {
  const { ledger, state, rows, go } = useApp();
  const example = useMemo(() => exampleCondition(ledger), [ledger]);
  const error = rows.error;
  return (
    <div class="field condition">
      <label for="where">Where</label>
      <div class="with-help">
        <input id="where" type="text" spellcheck={false} autocomplete="off" value={state.where} placeholder={example}
          aria-invalid={error ? "true" : undefined} aria-describedby={error ? "where-error" : undefined}
          onInput={(event) => go({ where: event.currentTarget.value }, true)} />
        <Menu label="?" name="What conditions can say"><ConditionHelp /></Menu>
        {children}
      </div>
    </div>
  );
}

export function ConditionError() {
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
