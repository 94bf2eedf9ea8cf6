// Conditions, orders and the best on the page are what they are in R.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { Ledger, bestRun, chooseRows, initial, parseWhere, quoteName, regex, RegexError, WhereError } =
  await load("data/ledger.ts", "query/regex.ts", "query/rows.ts", "query/state.ts", "query/where.ts");
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

test(`${answers.grepl.length} regular expressions find what grepl() finds`, () => {
  for (const { pattern, ignore, found } of answers.grepl) {
    const is = regex(pattern, ignore);
    assert.deepEqual([...answers.texts.keys()].filter((text) => is(answers.texts[text])), found, `${pattern} ${ignore}`);
  }
});

test("regular expressions that mean different things to different readers are refused, with the reason", () => {
  const refused = [
    ["\\w", /differs between machines/], ["\\bx", /differs/], ["(a)\\1", /back to a group/], ["(?i)a", /Perl's/], ["(?=a)", /Perl's/], ["a.*?b", /Two repetitions/], ["a**", /Two repetitions/], ["a++", /Two repetitions/], ["*a", /nothing that this `\*`/], ["|+", /nothing that/],
    ["^*", /can't be repeated/], ["a{,2}", /is written/], ["a{", /is written/], ["a{3,1}", /smaller number first/], ["a{999}", /up to 255/], ["(a", /never closed/], ["a)", /closes nothing/], ["[a", /never closed/], ["[]", /never closed/], ["[[:alpha:]]", /differs between machines/], ["[\\d]", /backslash/],
    ["[à-z]", /the same on every machine/], ["[z-a]", /the same on every machine/], ["[A-z]", /the same on every machine/], ["a\\", /missing after/], ["\\<a", /something else/], ["((((a{200}){200}){200}))", /too long/], ["(".repeat(200), /too deeply/],
  ];
  for (const [pattern, message] of refused) {
    assert.throws(() => regex(pattern), (e) => e instanceof RegexError && message.test(e.message), pattern);
  }
  assert.throws(() => regex("é", true), /beyond a to z/);
});

test("no regular expression takes long", () => {
  const text = "a".repeat(20_000);
  for (const pattern of ["(a+)+$", "(a|a)*b", "(a*)*b", "(a|aa)+$b", ".*.*.*.*x"]) assert.equal(typeof regex(pattern)(text), "boolean");
});

test(`${answers.sort.length} orders are those of order()`, () => {
  for (const { by, descending, rows } of answers.sort) {
    assert.deepEqual([...chooseRows(ledger, { ...initial, sort: by, descending }).places], rows, `${by}, ${descending ? "descending" : "ascending"}`);
  }
});

test(`${answers.best.length} times the best run is that of best_run()`, () => {
  const labels = new Map(ledger.of("metric").map(({ name, label }) => [name, label]));
  for (const { metric, maximize, where = "", rows } of answers.best) {
    const state = { ...initial, best: labels.get(metric), maximize: maximize ? "1" : "0", where };
    assert.equal(chooseRows(ledger, state).best, rows[0] ?? null, JSON.stringify({ metric, maximize, where }));
    if (!where) assert.equal(bestRun(ledger, state, () => true), rows[0] ?? null);
  }
});

test(`${answers.over.length} times the best over series is that of best_run()`, () => {
  const labels = new Map(ledger.of("metric").map(({ name, label }) => [name, label]));
  for (const { metric, maximize, over, where, rows } of answers.over) {
    const state = { ...initial, best: labels.get(metric), maximize: maximize ? "1" : "0", over, where };
    assert.equal(chooseRows(ledger, state).best, rows[0] ?? null, JSON.stringify({ maximize, over, where }));
  }
});

test("what isn't understood is refused, with words and a place", () => {
  const refused = [
    ["lambda > ", /missing at the end/, 8], ["lambda >> 1", /`>` isn't understood/, 8], ["lamda > 1", /There is no `lamda`. Did you mean `lambda`\?/, 0],
    ["lambda = 1", /write `==`/, 7], ["model == \"ridge", /never closed/, 9], ["lambda > 1 model", /operator/, 11], ["(lambda > 1", /`\)` is missing/, 11],
    ["system(\"ls\")", /`system\(\)` isn't known/, 0], ["is.an(k)", /Did you mean `is.na`/, 0], ["model > 1", /compares text with a number/, 6], ["model", /TRUE or FALSE is needed/, 0], ["k", /this is a number/, 0], ["k + 1", /this is a number/, 0],
    ["k %in% lambda", /needs values on its right/, 7], ["k == c(1, 2)", /%in%/, 5], ["1 < k < 3", /can't be chained/, 6], ["k %like% 3", /isn't known/, 2], ["day > \"soon\"", /isn't a date/, 6],
    ["c(1, \"a\") %in% k", /mixes/, 5], ["#", /isn't understood/, 0], ["`odd name", /never closed/, 0], ["k[1] == 1", /isn't understood/, 1],
    ["grepl(model, \"a\")", /a text in quotes first/, 6], ["grepl(\"a\", k)", /looks in text/, 11], ["grepl(\"(\", model)", /from its character 1 on: This `\(` is never closed/, 6], ["grepl(\"a\", model, perl = TRUE)", /takes no `perl`/, undefined], ["grepl(\"a\")", /takes two values/, 0],
    ["grepl(\"a\", model, fixed = TRUE, ignore.case = TRUE)", /doesn't go with/, undefined], ["grepl(\"a\", model, fixed = k)", /TRUE or FALSE/, undefined], ["when - when > 3600", /the unit of a difference of times depends/, 5], ["Sys.time() + when > 1", /can't be added/, undefined],
    ["when > 1", /compares a time with a number/, undefined], ["1 - day > 2", /can't be taken from/, undefined], ["day == as.Date(\"2026-02-30\")", /takes a date in quotes/, undefined], ["day == as.Date(\"1 March\")", /takes a date/, undefined], ["when > as.POSIXct(\"2026-03-01T12:00\")", /takes a time in quotes/, undefined],
    ["when > as.POSIXct(\"2026-03-01\", tz = \"Europe/Rome\")", /time zones/, undefined], ["Sys.time(1) > when", /takes no value/, 0], ["when > \"2026-03-01 25:00\"", /isn't a date/, undefined], ["abs(x = k) > 1", /takes no `x`/, undefined], ["nchar(k) > 1", /takes text/, undefined], ["x > 1", /There is no `x`/, 0],
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
