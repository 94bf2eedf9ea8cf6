// What the page says of random ledgers is what R says, as it was written and as it was told while they grew: columns,
// details, comparisons, lineage.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { folder, here, noR, pageData } from "./browser.mjs";
import { load } from "./modules.mjs";

const skip = noR || false;
const seeds = [1, 2, 3];
const { compareRuns, Ledger, Lineage } = await load("data/ledger.ts", "query/compare.ts", "query/lineage.ts");

/** A random ledger: as the page knows it, and what R says of it. */
const made = skip ? [] : seeds.map((seed) => {
  const path = folder();
  execFileSync("Rscript", [join(here, "random.R"), path, String(seed)], { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, LC_ALL: "C.UTF-8" } });
  const read = (name) => JSON.parse(readFileSync(join(path, name), "utf8"));
  const [first, ...news] = read("live.json");
  const live = new Ledger(first);
  for (const { patch, seq } of news) live.apply(patch, seq);
  const ledgers = { written: new Ledger(pageData(join(path, "page.html"))), live };
  return { seed, ledgers, runs: read("runs.json"), compared: read("compare.json"), traced: read("lineage.json") };
});

/** Whether a text of R's, words or JSON, is this cell. */
function says(text, cell) {
  if (cell === null || text === null) return cell === null && text === null;
  const { t, v } = cell;
  if ("na" in cell) return ["NA", JSON.stringify({ $na: cell.na })].includes(text);
  if ("null" in cell) return ["NULL", "null"].includes(text);
  if ("redacted" in cell) return text === "<redacted>";
  switch (t) {
    case "logical": return text.toLowerCase() === String(v);
    case "integer": return text === String(v);
    case "double":
      if (typeof v === "string") return [v, JSON.stringify({ $double: v })].includes(text);
      return Object.is(Number(text), v);
    case "character": return text === v || text === JSON.stringify(v);
    case "date": return text.includes(v);
    case "datetime": return Date.parse(/[-\d:T.]+Z/.exec(text)[0]) === v;
    case "empty": return text === v || text.startsWith('{"$empty"');
    case "difftime": return Number.parseFloat(text) === v || text === JSON.stringify({ $difftime: v }) || text.startsWith('{"$difftime"');
    default: return text === v || text.includes(JSON.stringify(v)) || sameJson(text, cell.json);
  }
}

/** Whether a text is this JSON, however it writes its numbers. */
function sameJson(text, json) {
  try {
    const value = typeof json === "string" ? JSON.parse(json) : json;
    return text === json || isDeepStrictEqual(JSON.parse(text), value);
  } catch {
    return text === json;
  }
}

const all = made.flatMap(({ ledgers, ...rest }) => Object.entries(ledgers).map(([how, ledger]) => ({ ...rest, how, ledger })));
for (const { seed, how, ledger, runs, compared, traced } of all) {
  test(`seed ${seed}, ${how}: ${ledger.n} runs have the columns and details of read_runs()`, () => {
    assert(ledger.n > 20);
    assert.deepEqual([...ledger.columns().keys()], runs.labels);
    for (const [label, values] of Object.entries(runs.details)) {
      const column = ledger.columns().get(label);
      assert.deepEqual(ledger.ids.map((_, place) => column.value(place)), values, label);
    }
  });

  test(`seed ${seed}, ${how}: ${compared.length} comparisons are those of compare_runs()`, () => {
    for (const { runs, all, kind, field, cells } of compared) {
      const fields = compareRuns(ledger, runs.map((id) => ledger.place(id)), all);
      assert.deepEqual(fields.map(({ kind, name }) => [kind, name]), kind.map((kind, i) => [kind, field[i]]), runs.join());
      fields.forEach((field, i) => field.cells.forEach((cell, run) => {
        const text = cells[run][i];
        assert(says(text, cell), `${field.kind} ${field.name}: ${text} is not ${JSON.stringify(cell)}`);
      }));
    }
  });

  test(`seed ${seed}, ${how}: ${traced.length} traces are those of trace_lineage()`, () => {
    const lineage = new Lineage(ledger);
    const sorted = (edges) => edges.map((edge) => edge.join(" ")).sort();
    const relations = new Set();
    for (const { kind, id, direction, nodes, edges } of traced) {
      const found = lineage.trace(lineage.find(kind, id), direction);
      assert.deepEqual(
        sorted(found.map(({ from, relation, to }) => [from.kind, from.id, relation, to.kind, to.id])), sorted(edges), `${direction} from ${id}`,
      );
      for (const [, , relation] of edges) relations.add(relation);
      for (const node of nodes) {
        const { label, problem } = lineage.find(node.kind, node.id);
        assert.equal(label, node.label, `${node.kind} ${node.id}`);
        if (node.kind === "run") assert.equal(problem ?? null, node.problem ?? null, node.id);
      }
    }
    for (const relation of ["used", "was made by", "ran in", "is stored as"]) assert(relations.has(relation), relation);
  });
}

test("the random ledgers have what the page could get wrong", { skip }, () => {
  const statuses = new Set(all.flatMap(({ ledger }) => ledger.ids.map((_, place) => ledger.status(place))));
  for (const status of ["finished", "running", "failed", "interrupted", "void"]) assert(statuses.has(status), status);
  const said = (what) => made.some(({ compared, traced }) => JSON.stringify([compared, traced]).includes(what));
  for (const what of ["sessions", "was registered from", "points to", "the run was interrupted", "params.x", "list("]) assert(said(what), what);
});
