// Everything on record of one run.

import type { Column } from "../data/column.ts";
import { isFields, numberOf, own, type Fact as Recorded, type Fields, type Json, type NodeData, type Preview, type Series } from "../data/page.ts";
import { useApp } from "../parts/context.ts";
import { LineageGraph } from "../parts/lineage_graph.tsx";
import { Elapsed } from "../parts/remarks.tsx";
import { bytes, cell, count, duration, imageUrl, plain, short, shortHash, time, whole } from "../parts/text.ts";
import { nearest } from "../query/near.ts";
import { ofNumbers } from "./plots/chart.tsx";

export function RunPage() {
  const { ledger, state, rows, go, href } = useApp();
  const place = ledger.place(state.id);
  if (place === undefined) {
    const near = nearest(state.id, ledger.ids);
    return (
      <div class="nothing">
        <p>There is no run <code>{state.id}</code> on this page.</p>
        {near.map((id) => <p key={id}>Did you mean <a href={href({ id })}>{id}</a>?</p>)}
        <p><a href={href({ view: "runs", id: "" })}>All runs</a></p>
      </div>
    );
  }
  const at = rows.places.indexOf(place);
  const status = ledger.status(place);
  const selected = state.selected.includes(place);
  const neighbour = (step: number, label: string) => {
    const other = at < 0 ? undefined : rows.places[at + step];
    return other === undefined ? <span class="muted">{label}</span> : <a href={href({ id: ledger.ids[other] })}>{label}</a>;
  };
  const recorded = (column: Column) => column.has(place);
  const params = ledger.of("parameter").filter(recorded);
  const metrics = ledger.of("metric").filter(recorded);
  const series = ledger.series[place] ?? {};
  const sealed = ledger.extra("sealed", place) ?? [];
  const looks = ledger.column("detail", "looks")!.num[place];
  const took = ledger.column("detail", "duration")!;
  const tags = ledger.of("tag").filter(recorded);
  const known = ledger.facts(place);
  const data = known.filter(({ kind }) => kind === "data");
  const sessions = known.find(({ kind }) => kind === "session");
  const artifacts = ledger.extra("artifacts", place);
  const notes = ledger.extra("notes", place) ?? [];
  const call = ledger.extra("call", place);
  const origin = ledger.extra("origin", place);
  const session = ledger.session(place);
  const seed = ledger.column("seed", "seed");
  const ended = ledger.extra("ended", place);
  const reason = ledger.extra("void_reason", place);
  const condition = ledger.extra("condition", place);
  const said = (name: string) => {
    const column = ledger.column("detail", name);
    return column?.has(place) ? String(column.value(place)) : "";
  };
  const nameOf = (id: string) => {
    const other = ledger.place(id);
    const column = ledger.column("detail", "name");
    return other !== undefined && column?.has(other) ? String(column.value(other)) : id;
  };
  const [name, experiment, parent] = ["name", "experiment", "parent"].map(said);

  return (
    <article class="record">
      <nav class="trail" aria-label="Runs">
        <a href={href({ view: "runs", id: "" })}>All runs</a>
        {neighbour(-1, "← before")} {neighbour(1, "next →")}
      </nav>
      <header>
        <h2>{name && `${name} `}<code>{state.id}</code>{place === rows.best && <span class="star"> ★ best</span>}</h2>
        <p class={`state ${status}`}>
          {status}{took.has(place) && `, took ${duration(took.num[place])}`}{reason && `: ${reason}`}
          {status === "running" && !took.has(place) && <> for <Elapsed place={place} whole /></>}
        </p>
        {(experiment || parent) && (
          <p class="muted">
            {experiment && `In experiment ${experiment}`}{experiment && parent && ", "}
            {parent && <>{experiment ? "part of " : "Part of "}<a href={href({ id: parent })}>{nameOf(parent)}</a></>}
          </p>
        )}
        <button type="button" aria-pressed={selected} onClick={() => go({ selected: selected ? state.selected.filter((other) => other !== place) : [...state.selected, place] }, true)}>
          {selected ? "Selected to compare" : "Select to compare"}
        </button>
      </header>

      {isFields(condition) && (
        <section>
          <h3>{status === "failed" || status === "void" ? "Why it failed" : "What it stopped by"}</h3>
          <pre class="condition">{plain(condition.message ?? "")}</pre>
          {Array.isArray(condition.calls) && condition.calls.length > 0 && (
            <details><summary>The calls that led to it</summary><pre>{condition.calls.map(plain).join("\n")}</pre></details>
          )}
        </section>
      )}

      {notes.length > 0 && (
        <section>
          <h3>Notes</h3>
          {notes.map((note, i) => <p key={i} class="note"><span class="muted">{time(note.time)}</span> {note.text}</p>)}
        </section>
      )}

      <div class="halves">
        <section>
          <h3>Parameters</h3>
          {params.length ? (
            <dl class="facts">{params.map((column) => <Fact key={column.label} name={column.name} value={whole(column, place)} />)}</dl>
          ) : <p class="muted">None on record.</p>}
        </section>
        <section>
          <h3>Metrics</h3>
          {metrics.length ? (
            <table class="metrics">
              <tbody>
                {metrics.map((column) => (
                  <tr key={column.label}>
                    <th scope="row">{column.name}</th>
                    <td class="number" title={whole(column, place)}>{cell(column, place)}</td>
                    <td><Sparkline name={column.name} series={ledger.seriesOf(place, column.name)} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : <p class="muted">None on record.</p>}
          {sealed.length > 0 && (
            <p class="sealed">Sealed, and not on this page: {sealed.join(", ")}. In R, <code>reveal_run()</code> shows them, and counts the look.</p>
          )}
          {looks > 0 && <p class="muted">Sealed metrics were looked at {looks === 1 ? "once" : `${looks} times`}.</p>}
          {Object.keys(series).length > 0 && (
            <p><a href={href({ view: "plots", plot: "curves", selected: selected ? state.selected : [...state.selected, place] })}>Its curves</a></p>
          )}
        </section>
      </div>

      <div class="halves">
        <section>
          <h3>Context</h3>
          <dl class="facts">
            <Fact name="began" value={`${time(ledger.began.num[place])} UTC`} />
            {ended !== undefined && <Fact name="ended" value={`${time(ended)} UTC`} />}
            {seed?.has(place) && <Fact name="seed" value={whole(seed, place)} />}
            {sessions && <Fact name="sessions" value={`${plain(sessions.value)}, this is the last`} />}
            <Context context={session?.context ?? {}} />
          </dl>
          <Packages facts={ledger.sessionFacts(place)} />
        </section>
        <section>
          {tags.length > 0 && <><h3>Tags</h3><dl class="facts">{tags.map((tag) => <Fact key={tag.name} name={tag.name} value={whole(tag, place)} />)}</dl></>}
          <h3>Data</h3>
          {data.length ? dataSets(data).map(([name, parts]) => <DataSet key={name} name={name} parts={parts} />) : <p class="muted">None on record.</p>}
          {isFields(call) && <Call call={call} />}
          {origin != null && <><h3>Copied from</h3>{isFields(origin) ? <dl class="facts">{facts(origin)}</dl> : <p>{plain(origin)}</p>}</>}
        </section>
      </div>

      {artifacts && (
        <section>
          <h3>Artifacts</h3>
          <div class="artifacts">{Object.entries(artifacts).map(([name, entry]) => <Artifact key={name} name={name} entry={entry} nodes={ledger.nodesNamedBy(place)} />)}</div>
        </section>
      )}

      <section>
        <h3>Lineage</h3>
        <LineageGraph kind="run" id={state.id} />
      </section>
    </article>
  );
}

const Fact = ({ name, value }: { name: string; value: string }) => <><dt>{name}</dt><dd>{value}</dd></>;
const facts = (fields: Fields) => Object.entries(fields).map(([name, value]) => <Fact key={name} name={name} value={plain(value)} />);

function Context({ context }: { context: Fields }) {
  const { id: _id, git, lockfile, ...rest } = context;
  return (
    <>
      {facts(rest)}
      {isFields(git) && Object.entries(git).map(([name, value]) => <Fact key={name} name={name === "dirty" ? "changes not committed" : name} value={plain(value)} />)}
      {isFields(lockfile) && <Fact name="lockfile" value={shortHash(`sha256:${plain(lockfile.sha256)}`)} />}
    </>
  );
}

function Packages({ facts }: { facts: Recorded[] }) {
  const packages = facts.filter(({ kind }) => kind === "package");
  if (!packages.length) return null;
  return (
    <details>
      <summary class="inline">{count(packages.length, "package")}</summary>
      <dl class="facts">{packages.map(({ name, value }) => <Fact key={name} name={name} value={plain(value)} />)}</dl>
    </details>
  );
}

/** The facts of each data set. */
function dataSets(facts: Recorded[]): [string, Recorded[]][] {
  const sets = new Map<string, Recorded[]>();
  for (const fact of facts) {
    const set = fact.partOf ?? fact.name;
    sets.set(set, [...(sets.get(set) ?? []), fact]);
  }
  return [...sets];
}

function DataSet({ name, parts }: { name: string; parts: Recorded[] }) {
  const ofColumn = (part: Recorded) => part.partOf !== null && part.name.startsWith(`${name}$`);
  const short = (part: string) => part.slice(name.length + 1) || name;
  const columns = parts.filter(ofColumn);
  const facts = (parts: Recorded[]) => parts.map((part) => <Fact key={part.name} name={part.partOf === null ? name : short(part.name)} value={plain(part.value)} />);
  return (
    <div class="set">
      <dl class="facts">{facts(parts.filter((part) => !ofColumn(part)))}</dl>
      {columns.length > 0 && (
        <details>
          <summary class="inline">{count(columns.length, "column")}</summary>
          <dl class="facts">{facts(columns)}</dl>
        </details>
      )}
    </div>
  );
}

function Call({ call }: { call: Fields }) {
  const { code, body: _body, ...rest } = call;
  return (
    <>
      <h3>Call</h3>
      {code !== undefined && <pre>{plain(code)}</pre>}
      <dl class="facts">{facts(rest)}</dl>
    </>
  );
}

function Sparkline({ name, series }: { name: string; series?: Series }) {
  if (!series) return null;
  const values = series.value.map(numberOf);
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return null;
  const [low, high] = finite.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [width, height] = [140, 22];
  const y = ofNumbers([low, high], [height - 2, 2], { nice: false }).pixel;
  const step = Math.max(1, Math.floor(values.length / width));
  let d = "";
  for (let i = 0; i < values.length; i += step) {
    if (!Number.isFinite(values[i])) continue;
    const x = (i / (values.length - 1)) * width;
    d += `${d ? "L" : "M"}${x.toFixed(1)} ${y(values[i]).toFixed(1)}`;
  }
  const label = `${name}: ${count(values.length, "point")}, from ${short(finite[0])} to ${short(finite.at(-1)!)}, lowest ${short(low)}, highest ${short(high)}`;
  return <svg class="sparkline" width={width} height={height} role="img" aria-label={label}><title>{label}</title><path d={d} /></svg>;
}

function Artifact({ name, entry, nodes }: { name: string; entry: Json; nodes: NodeData[] }) {
  const { ledger } = useApp();
  const { content, size, stored, ...rest } = isFields(entry) ? entry : {};
  const [, id] = nodes[typeof content === "number" ? content : -1] ?? [];
  const preview = id === undefined ? undefined : own(ledger.previews, id.replace("sha256:", ""));
  return (
    <figure class="artifact">
      <figcaption>
        <strong>{name}</strong>
        <span class="muted">
          {[typeof size === "number" ? bytes(size) : "", stored ? "kept" : "not kept", ...Object.entries(rest).map(([key, value]) => `${key} ${shortHash(plain(value))}`)].filter(Boolean).join(" · ")}
        </span>
        {id !== undefined && <code title={id}>{shortHash(id)}</code>}
      </figcaption>
      {preview && <Shown name={name} preview={preview} />}
    </figure>
  );
}

function Shown({ name, preview }: { name: string; preview: Preview }) {
  switch (preview.kind) {
    case "image": {
      const url = imageUrl(preview);
      return url ? <img src={url} alt={`The artifact ${name}`} /> : <p class="muted">An image of a kind that isn't shown.</p>;
    }
    case "text":
      return <><pre tabIndex={0} aria-label={`The text of ${name}`}>{preview.text}</pre>{preview.cut && <p class="muted">Only its beginning is on this page.</p>}</>;
    case "table":
      return (
        <>
          <div class="scroll" tabIndex={0} role="region" aria-label={`The table ${name}`}>
            <table>
              <thead><tr>{preview.names.map((name, i) => <th scope="col" key={i}>{name}</th>)}</tr></thead>
              <tbody>{preview.rows.map((row, i) => <tr key={i}>{row.map((value, j) => <td key={j} class={typeof value === "number" ? "number" : undefined}>{typeof value === "number" ? short(value) : plain(value)}</td>)}</tr>)}</tbody>
            </table>
          </div>
          {preview.of > preview.rows.length && <p class="muted">The first {preview.rows.length} of {count(preview.of, "row")}.</p>}
        </>
      );
    case "none":
      return <p class="muted">{preview.why}</p>;
  }
}
