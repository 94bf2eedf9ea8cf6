// Runs side by side: what differs between them, in the kinds and words of compare_runs().

import type { Cell } from "../data/column.ts";
import { isFields } from "../data/page.ts";
import { coloursOf } from "../parts/colours.ts";
import { useApp } from "../parts/context.ts";
import { cell, count, plain, short, shortHash, shortId, time } from "../parts/text.ts";
import { compareRuns } from "../query/compare.ts";
import { Pictures } from "./compare_pictures.tsx";

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
  const colours = coloursOf(known);
  const telling = ledger.of("parameter").filter(({ num }) => new Set(places.map((place) => num[place])).size > 1).slice(0, 2);
  const named = (place: number) => telling.filter((column) => column.has(place)).map((column) => `${column.name} ${cell(column, place)}`).join(", ");
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
                  <span class="swatch" style={{ background: colours.get(place) }} />
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
                    {field.cells.map((cell, i) => <td key={places[i]} class={numberIn(cell) === null ? undefined : "number"}><Value cell={cell} first={i ? field.cells[0] : null} /></td>)}
                  </tr>
                </>
              );
            })}
          </tbody>
        </table>
        {!fields.length && <p class="nothing">{places.length > 1 ? "They differ in nothing that is on record." : "One run differs from nothing. Select another."}</p>}
      </div>
      <Pictures places={places} colours={colours} named={named} />
    </>
  );
}

/** Of a number. */
function numberIn(cell: Cell): number | null {
  return isFields(cell) && typeof cell.v === "number" && cell.t !== "datetime" ? cell.v : null;
}

function Value({ cell, first }: { cell: Cell; first: Cell }) {
  if (cell === null) return <span class="muted" aria-label="not recorded">–</span>;
  const [number, base] = [numberIn(cell), numberIn(first)];
  const text = isFields(cell) && cell.t === "datetime" && typeof cell.v === "number" ? time(cell.v) : plain(cell);
  const difference = number !== null && base !== null ? number - base : 0;
  const share = difference && base ? ` (${difference > 0 ? "+" : "−"}${short(Math.abs((difference / base) * 100), 3)} %)` : "";
  return (
    <>
      <span title={text}>{number === null ? shortHash(text) : short(number)}</span>
      {Number.isFinite(difference) && difference !== 0 && <span class="difference">{difference > 0 ? "+" : "−"}{short(Math.abs(difference), 4)}{share}</span>}
    </>
  );
}
