// The registry: models, their versions, their stages and how these moved.

import { isFields, type Fields, type Json, type StageChange, type Version } from "../data/page.ts";
import { useApp } from "../parts/context.ts";
import { LineageGraph } from "../parts/lineage_graph.tsx";
import { count, plain, short, shortHash, shortId, time } from "../parts/text.ts";

export function Models() {
  const { ledger, state } = useApp();
  const names = [...new Set(ledger.models.map(({ model }) => model))];
  if (!names.length) {
    return <div class="nothing"><p>No models are registered.</p><p class="muted">In R, <code>register_model()</code> makes a version of a model from a run's artifact, and <code>promote_model()</code> points a stage to it.</p></div>;
  }
  const asked = state.id.replace(/[@/][^@/]*$/, "");
  const missing = state.id && !names.includes(asked);
  return (
    <>
      {missing && <p class="error" role="alert">There is no model <code>{state.id}</code> in this ledger.</p>}
      {names.map((name) => <Model key={name} name={name} open={asked ? name === asked : names.length === 1} />)}
    </>
  );
}

function Model({ name, open }: { name: string; open: boolean }) {
  const { ledger, state, href } = useApp();
  const versions = ledger.models.filter(({ model }) => model === name);
  const changes = ledger.stages.filter(({ model }) => model === name);
  const stages = versions.flatMap(({ stages, version }) => stages.map((stage) => ({ stage, version })));
  const refused = changes.filter(({ event }) => event === "refuse").length;
  const chosen = open && state.id ? state.id : stages.length ? `${name}@${stages[0].stage}` : `${name}/${versions.at(-1)!.version}`;
  return (
    <section class="model">
      <header>
        <h2><a class="plain" href={href({ view: "models", id: chosen })}>{name}</a></h2>
        <p class="muted">{count(versions.length, "version")}{refused > 0 && `, ${count(refused, "promotion")} refused`}</p>
        <ul class="stages" aria-label="Stages">
          {stages.map(({ stage, version }) => (
            <li key={stage}><a href={href({ view: "models", id: `${name}@${stage}` })}>{stage} <strong>{version}</strong></a></li>
          ))}
        </ul>
      </header>
      <Versions versions={versions} chosen={chosen} />
      {changes.length > 0 && <><h3>How its stages moved</h3><History changes={changes} /></>}
      {open && (
        <>
          <h3>What {chosen} rests on</h3>
          <LineageGraph kind={chosen.includes("@") ? "stage" : "version"} id={chosen} />
        </>
      )}
    </section>
  );
}

function Versions({ versions, chosen }: { versions: Version[]; chosen: string }) {
  const { href } = useApp();
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Versions">
      <table>
        <thead><tr>{["Version", "Stages", "Run", "Artifact", "Content", "Registered"].map((label) => <th scope="col" key={label}>{label}</th>)}</tr></thead>
        <tbody>
          {[...versions].reverse().map((version) => {
            const id = `${version.model}/${version.version}`;
            return (
              <tr key={id} class={id === chosen ? "chosen" : undefined}>
                <td><a href={href({ view: "models", id })} aria-label={`${version.model}, version ${version.version}`}>{version.version}</a></td>
                <td>{version.stages.join(", ")}</td>
                <td>
                  {version.run === null
                    ? <span title="The run is not on this page"><code>{shortId(version.run_id)}</code> <span class="muted">not shown</span></span>
                    : <a href={href({ view: "run", id: version.run_id })}><code>{shortId(version.run_id)}</code></a>}
                </td>
                <td>{version.artifact}</td>
                <td><code title={version.sha256}>{shortHash(`sha256:${version.sha256}`)}</code></td>
                <td>{time(version.registered)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

const eventNames = { promote: "promoted", rollback: "rolled back", refuse: "refused" };

function History({ changes }: { changes: StageChange[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="History of the stages">
      <table class="history">
        <thead><tr>{["When", "Stage", "What", "Figures of the gate", "Why", "Who"].map((label) => <th scope="col" key={label}>{label}</th>)}</tr></thead>
        <tbody>
          {[...changes].reverse().map((change, i) => (
            <tr key={i} class={change.event}>
              <td>{time(change.time)}</td>
              <td>{change.stage}</td>
              <td><strong>{eventNames[change.event]}</strong> {change.previous === null ? "" : `${change.previous} → `}{change.version}</td>
              <td>{change.figures && <Figures figures={change.figures} />}</td>
              <td>{change.why}</td>
              <td>{change.who}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Figures({ figures }: { figures: Fields }) {
  const value = (cell: Json) => {
    const inner = isFields(cell) && "v" in cell ? cell.v : cell;
    return typeof inner === "number" ? short(inner) : plain(inner);
  };
  return <dl class="figures">{Object.entries(figures).map(([name, cell]) => <div key={name}><dt>{name}</dt><dd title={plain(cell)}>{value(cell)}</dd></div>)}</dl>;
}
