// What moves the metric: how each parameter goes with it, as a table.

import { useMemo } from "preact/hooks";
import { useApp } from "../../parts/context.ts";
import { count, short } from "../../parts/text.ts";
import { bestMetric, directionOf } from "../../query/direction.ts";
import { effectsOn, type Effect } from "../../query/effects.ts";
import { Select } from "./chart.tsx";

export function Effects() {
  const { ledger, state, rows, go, href } = useApp();
  const metric = bestMetric(ledger, state);
  const effects = useMemo(() => (metric ? effectsOn(ledger, metric, rows.places) : []), [ledger, ledger.version, rows, metric]);
  if (!metric) return <div class="nothing"><p>No run here has a metric.</p></div>;
  const { larger } = directionOf(ledger, metric, state);
  const told = effects.filter(({ measure }) => measure !== "constant");
  const silent = effects.filter(({ measure }) => measure === "constant");
  const cautions = [...new Set(silent.map(({ caution }) => caution))];
  return (
    <>
      <div class="toolbar">
        <Select label="Metric" value={metric.label} options={ledger.of("metric").map(({ label }) => ({ value: label, label }))} onChange={(best) => go({ best, maximize: "" })} />
        <span class="muted">of finished runs among {count(rows.places.length, "run")}</span>
      </div>
      {told.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`What moves ${metric.label}`}>
          <table class="effects">
            <thead>
              <tr><th scope="col">Parameter</th><th scope="col">How strongly</th><th scope="col">Measure</th><th scope="col">The more of it</th><th scope="col" class="number">Runs</th><th scope="col">But</th></tr>
            </thead>
            <tbody>{told.map((effect) => <Row key={effect.column.label} effect={effect} larger={larger} to={href({ plot: "scatter", x: effect.column.label, y: metric.label, logX: "" })} />)}</tbody>
          </table>
        </div>
      )}
      {!told.length && <p class="nothing">Nothing can be told of what moves {metric.label}.</p>}
      {cautions.map((caution) => <p key={caution} class="muted">Left out, since {caution}: {silent.filter((effect) => effect.caution === caution).map(({ column }) => column.label).join(", ")}.</p>)}
      <p class="muted effects-note">
        Of numbers the rank correlation (Spearman's ρ, from −1 to 1), of categories the share of the variance that lies between
        them (η², from 0 to 1). The bar is the share that is beyond what chance alone gives with so many runs and categories;
        without a bar there is nothing to see. Each parameter is looked at alone: two that were changed together can't be told apart,
        and a bend up and down again, or an effect that depends on another parameter, doesn't show in ρ.
      </p>
    </>
  );
}

function Row({ effect: { column, n, measure, value, strength, caution }, larger, to }: { effect: Effect; larger: boolean; to: string }) {
  const share = Math.max(0, Math.min(1, strength));
  const clear = share > 0 && measure === "rank";
  return (
    <tr class={caution ? "doubtful" : undefined}>
      <th scope="row"><a href={to}>{column.label}</a></th>
      <td><svg class="bar" width="120" height="10" role="img" aria-label={`${short(share * 100, 2)} % beyond chance`}><rect class="all" width="120" height="10" rx="2" /><rect width={120 * share} height="10" rx="2" /></svg></td>
      <td class="number">{measure === "rank" ? "ρ" : "η²"} = {value.toFixed(2).replace("-", "−")}</td>
      <td>{clear ? ((value > 0) === larger ? "the better" : "the worse") : <span class="muted">–</span>}</td>
      <td class="number">{n.toLocaleString("en")}</td>
      <td class="muted">{caution}</td>
    </tr>
  );
}
