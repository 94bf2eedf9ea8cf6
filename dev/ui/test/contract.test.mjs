// Conditions, orders and the best on the page are what they are in R.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { Ledger, bestRun, chooseRows, initial, parseWhere, quoteName, WhereError } =
  await load("data/ledger.ts", "query/rows.ts", "query/state.ts", "query/where.ts");
const read = (name) => JSON.parse(readFileSync(join(import.meta.dirname, "../../../tests/testthat/fixtures/contract", name), "utf8"));
const answers = read("answers.json");
const ledger = new Ledger(read("page.json"));
const places = Array.from({ length: ledger.n }, (_, place) => place).filter((place) => ledger.status(place) !== "void");

test("runs, statuses and columns are those of read_runs()", () => {
  assert.deepEqual(ledger.ids, answers.runs);
  assert.deepEqual(ledger.ids.map((_, place) => ledger.status(place)), answers.statuses);
  assert.deepEqual([...ledger.columns().keys()], answers.labels);
});

test(`${answers.where.length} conditions find the runs that read_runs() finds`, () => {
  for (const { where, rows } of answers.where) {
    const fits = parseWhere(where, ledger.columns());
    assert.deepEqual(places.filter(fits), rows, where);
  }
});

test(`${answers.sort.length} orders are those of order()`, () => {
  for (const { by, descending, rows } of answers.sort) {
    assert.deepEqual([...chooseRows(ledger, { ...initial, sort: by, descending }).places], rows, `${by}, ${descending ? "descending" : "ascending"}`);
  }
});

test(`${answers.best.length} times the best run is that of best_run()`, () => {
  const labels = new Map(ledger.of("metric").map(({ name, label }) => [name, label]));
  for (const { metric, maximize, where = "", rows } of answers.best) {
    const state = { ...initial, best: labels.get(metric), maximize, where };
    assert.equal(chooseRows(ledger, state).best, rows[0] ?? null, JSON.stringify({ metric, maximize, where }));
    if (!where) assert.equal(bestRun(ledger, state, () => true), rows[0] ?? null);
  }
});

test("what isn't understood is refused, with words and a place", () => {
  const refused = [
    ["lambda > ", /missing at the end/, 8], ["lambda >> 1", /`>` isn't understood/, 8], ["lamda > 1", /There is no `lamda`. Did you mean `lambda`\?/, 0],
    ["lambda = 1", /write `==`/, 7], ["model == \"ridge", /never closed/, 9], ["lambda > 1 model", /operator/, 11], ["(lambda > 1", /`\)` is missing/, 11],
    ["system(\"ls\")", /`system\(\)` isn't known/, 0], ["is.an(k)", /Did you mean `is.na`/, 0], ["model > 1", /compares text with a number/, 6], ["model", /TRUE or FALSE is needed/, 0], ["k", /this is a number/, 0], ["k + 1", /this is a number/, 0],
    ["k %in% lambda", /needs values on its right/, 7], ["k == c(1, 2)", /%in%/, 5], ["1 < k < 3", /can't be chained/, 6], ["k %like% 3", /isn't known/, 2], ["day > \"soon\"", /isn't a date/, 6],
    ["c(1, \"a\") %in% k", /mixes/, 5], ["#", /isn't understood/, 0], ["`odd name", /never closed/, 0], ["k[1] == 1", /isn't understood/, 1], ["x > 1", /There is no `x`/, 0],
    [`${"(".repeat(300)}k${")".repeat(300)}`, /nested too deeply/, undefined], [`${"-".repeat(300)}k > 1`, /nested too deeply/, undefined],
  ];
  for (const [where, message, at] of refused) {
    assert.throws(() => parseWhere(where, ledger.columns()), (e) => {
      assert(e instanceof WhereError, `${where}: ${e}`);
      assert.match(e.message, message, where);
      if (at !== undefined) assert.equal(e.at, at, where);
      return true;
    });
  }
});

test("a name in a condition is that column, whatever it is", () => {
  for (const [label, column] of ledger.columns()) {
    if (column.type === "mixed") continue;
    const fits = parseWhere(`!is.na(${quoteName(label)})`, ledger.columns());
    assert.deepEqual(places.filter(fits), places.filter((place) => !Number.isNaN(column.num[place])), label);
  }
  for (const name of ["a`b", "a\\", "TRUE", "1x", "é x", ".5", "%in%"]) {
    const columns = new Map([[name, { num: [1, NaN], type: "double", levels: [], other: new Map() }]]);
    assert.deepEqual([0, 1].map(parseWhere(`is.na(${quoteName(name)})`, columns)), [false, true], name);
  }
});
