// What conditions can say, on columns that are there.

import type { Column } from "../../data/column.ts";
import type { Ledger } from "../../data/ledger.ts";
import { useApp } from "../../parts/context.ts";
import { short } from "../../parts/text.ts";
import { quoteName } from "../../query/where.ts";

function columnsOf(ledger: Ledger): { number?: Column; text?: Column } {
  const columns = [...ledger.of("parameter"), ...ledger.of("metric")].slice(0, 100);
  return {
    number: columns.find(({ type }) => type === "double" || type === "integer"),
    text: columns.find(({ type, levels }) => type === "character" && levels.length > 0 && levels[0].length < 20),
  };
}

/** A condition on columns that are there. */
export function exampleCondition(ledger: Ledger): string {
  const { number, text } = columnsOf(ledger);
  const parts = [
    number && `${quoteName(number.label)} > ${short(number.num.find(Number.isFinite) ?? 1, 2)}`,
    text && `${quoteName(text.label)} == ${JSON.stringify(text.levels[0])}`,
  ];
  return parts.filter(Boolean).join(" & ") || 'status == "finished"';
}

/** What can be asked, by examples. */
function examples(ledger: Ledger): [what: string, ...conditions: string[]][] {
  const { number, text } = columnsOf(ledger);
  const x = number ? quoteName(number.label) : "lambda";
  const level = text?.levels[0] ?? "ridge";
  const name = text ? quoteName(text.label) : "model";
  const tag = ledger.of("tag").find(({ type, levels }) => type === "character" && levels.length > 0);
  const middle = short(number?.num.find(Number.isFinite) ?? 1, 2);
  return [
    ["compare", `${x} >= ${middle}`, `${name} == ${JSON.stringify(level)}`, `${name} != ${JSON.stringify(level)}`],
    ["and, or, not", `${x} > ${middle} & ${name} == ${JSON.stringify(level)}`, `${x} < ${middle} | is.na(${x})`, `!(${x} > ${middle})`],
    ["one of several", `${name} %in% c(${(text?.levels.slice(0, 2) ?? [level]).map((level) => JSON.stringify(level)).join(", ")})`],
    ["text", `grepl(${JSON.stringify(level.slice(0, 3).replace(/[^\w ]/g, "."))}, ${name})`, `grepl("^a.*[0-9]$", ${name}, ignore.case = TRUE)`, `startsWith(${name}, ${JSON.stringify(level.slice(0, 2))})`, `nchar(${name}) > 3`],
    ["what is missing", `is.na(${x})`, `!is.na(notes)`, `is.finite(${x})`],
    ["times", `timestamp > Sys.time() - 3600`, `timestamp >= Sys.Date() - 7`, `as.Date(timestamp) == as.Date("2026-11-23")`, `timestamp < as.POSIXct("2026-11-23 14:30", tz = "UTC")`],
    ["arithmetic", `log10(abs(${x})) < -1`, `${x}^2 / 2 > ${middle}`, `seed %% 2 == 0`],
    ["what is on record beside", `status == "failed"`, `duration > 60`, `experiment == "folds"`, ...(tag ? [`tags$${/^[A-Za-z.][\w.]*$/.test(tag.name) ? tag.name : JSON.stringify(tag.name)} == ${JSON.stringify(tag.levels[0])}`] : [])],
  ];
}

export function ConditionHelp() {
  const { ledger, state, rows, go } = useApp();
  const add = (condition: string) => {
    const before = state.where.trim() && !rows.error ? `(${state.where.trim()}) & ` : "";
    go({ where: before + (before && /[|&]/.test(condition) ? `(${condition})` : condition) });
    document.querySelector<HTMLElement>("#where")?.focus();
  };
  return (
    <div class="help">
      <p>Conditions are R's, as <code>read_runs(where = )</code> takes them, on all columns by their names; one with spaces stands in <code>`backticks`</code>. Click one to add it.</p>
      <dl>
        {examples(ledger).map(([what, ...conditions]) => (
          <>
            <dt key={what}>{what}</dt>
            <dd key={`of ${what}`}>{conditions.map((condition) => <button key={condition} type="button" class="link" onClick={() => add(condition)}><code>{condition}</code></button>)}</dd>
          </>
        ))}
      </dl>
      <p class="muted">
        A run for which a condition is NA is left out. Also known: xor, endsWith, is.infinite, sqrt, exp, log, log2, log1p, floor, ceiling, round, trunc, sign,
        %% and %/%. Regular expressions are those that R and all other programs understand alike: <code>. * + ? {"{2,5}"} [a-z] [^0-9] ( | ) ^ $ \\d</code>.
        What the page doesn't know it refuses; R takes any condition.
      </p>
    </div>
  );
}
