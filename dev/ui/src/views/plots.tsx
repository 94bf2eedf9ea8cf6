// The plots, of the runs that the table shows.

import { useApp } from "../parts/context.ts";
import { count } from "../parts/text.ts";
import type { Plot } from "../query/state.ts";
import { Curves } from "./plots/curves.tsx";
import { Effects } from "./plots/effects.tsx";
import { Parallel } from "./plots/parallel.tsx";
import { Scatter } from "./plots/scatter.tsx";

const names: { [plot in Plot]: string } = { scatter: "Metric by parameter", parallel: "Parallel coordinates", curves: "Learning curves", effects: "What moves the metric" };

export function Plots() {
  const { ledger, state, rows, href } = useApp();
  if (!rows.places.length) {
    return (
      <div class="nothing">
        <p>{ledger.n ? "No runs match, so there is nothing to draw." : "No runs yet."}</p>
        {ledger.n > 0 && <p><a href={href({ where: "", search: "" })}>All runs</a></p>}
      </div>
    );
  }
  return (
    <>
      <nav class="kinds" aria-label="Plots">
        {(Object.keys(names) as Plot[]).map((plot) => (
          <a key={plot} href={href({ plot })} aria-current={state.plot === plot ? "page" : undefined}>{names[plot]}</a>
        ))}
        {(state.where || state.search) && !rows.error && (
          <span class="muted">of {count(rows.places.length, "run")} where <code>{[state.where, state.search].filter(Boolean).join(", ")}</code> · <a href={href({ where: "", search: "" })}>all runs</a></span>
        )}
      </nav>
      {state.plot === "scatter" && <Scatter />}
      {state.plot === "parallel" && <Parallel />}
      {state.plot === "curves" && <Curves />}
      {state.plot === "effects" && <Effects />}
    </>
  );
}
