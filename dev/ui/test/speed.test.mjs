// A hundred thousand runs are quick, a million still open.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, launch, open, writePage } from "./browser.mjs";
import { madeLedger } from "./made.mjs";

const browser = await launch();
/** Says how long it took, and whether that is more than we hold ourselves to: a busy machine is no fault of the page. */
const print = (what, ms, aim = Infinity) => {
  console.log(`   ${what.padEnd(52)} ${Math.round(ms).toLocaleString("en").padStart(7)} ms${ms > aim ? `, MORE THAN ${aim} ms` : ""}`);
};

/** The time from a click to the frame that shows what it does. */
const took = (page, button) => page.evaluate(async (button) => {
  const start = performance.now();
  document.querySelector(button).click();
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - start;
}, button);

const typed = (page, text) => page.evaluate(async (text) => {
  const box = document.querySelector("#where");
  box.value = text;
  const start = performance.now();
  box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - start;
}, text);

const firstTable = async (n) => {
  const path = writePage(madeLedger(n));
  const { page, wrong } = await open(browser, null);
  const start = performance.now();
  await page.goto(`file://${path}`);
  await page.locator(".grid .body [role=row]").first().waitFor();
  const first = performance.now() - start;
  return { page, wrong, first };
};

const summary = (page) => page.locator(".summary").innerText();
const heads = async (page) => (await page.locator(".grid .head button .label").allInnerTexts());
const head = (at) => `.grid .head [role=columnheader]:nth-child(${at + 2}) button`;

test("100,000 runs", async () => {
  const { page, wrong, first } = await firstTable(100_000);
  print("100,000 runs: first table", first, 2000);

  const labels = await heads(page);
  for (const label of ["run", "timestamp", "status", "model", "lambda", "note", "rmse"]) {
    for (const turn of ["ascending", "descending"]) {
      const ms = await took(page, head(labels.indexOf(label)));
      print(`sort by ${label}, ${turn}`, ms, 200);
      await eventually(async () => assert.equal(await page.locator(head(labels.indexOf(label))).locator("..").getAttribute("aria-sort"), turn));
    }
  }
  for (const where of ["lambda > 1", 'lambda > 1 & model == "ridge"', 'model %in% c("tree", "forest") | is.na(depth) & !scaled', "log10(lambda) < -1 & accuracy / rmse > 0.5", ""]) {
    const ms = await typed(page, where);
    print(where ? `filter ${where}` : "no filter", ms, 200);
  }
  await eventually(async () => assert.match(await summary(page), /^99,\d+ runs/));

  for (const group of ["model", "depth", "note", ""]) {
    const ms = await page.evaluate(async (group) => {
      const select = document.querySelector("#group");
      select.value = group;
      const start = performance.now();
      select.dispatchEvent(new Event("change", { bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      return performance.now() - start;
    }, group);
    print(group ? `group by ${group}` : "no groups", ms, 300);
    if (group) await page.locator(".grid .row.group").first().waitFor();
    if (group === "model") {
      print("sort groups by rmse", await took(page, head((await heads(page)).indexOf("rmse"))), 300);
      print("unfold a group of 20,000", await took(page, ".grid .row.group .fold"), 200);
      await page.locator(".grid .row.within").first().waitFor();
      assert.match(await page.locator(".grid .row.group").first().innerText(), / ± .* best /);
    }
  }
  await page.locator(".grid .row.group").first().waitFor({ state: "detached" });

  const blank = await page.evaluate(async () => {
    const grid = document.querySelector(".grid");
    const far = grid.scrollHeight - grid.clientHeight;
    let [frames, blank, slowest, before] = [0, 0, 0, performance.now()];
    for (const step of [40, 400, 4000, 60_000, -250_000, 7_000]) {
      for (let i = 0; i < 40; i++) {
        grid.scrollTop = Math.min(far, Math.max(0, grid.scrollTop + step));
        await new Promise((resolve) => requestAnimationFrame(resolve));
        const edge = grid.getBoundingClientRect();
        for (const share of [0.1, 0.5, 0.95]) {
          const under = document.elementFromPoint(edge.left + 300, edge.top + 32 + (edge.height - 36) * share);
          if (!under?.closest(".body [role=row]")) blank++;
        }
        const now = performance.now();
        slowest = Math.max(slowest, now - before);
        before = now;
        frames++;
      }
    }
    return { frames, blank, slowest };
  });
  print(`${blank.frames} frames of scrolling, ${blank.blank} blank, the slowest`, blank.slowest);
  assert.equal(blank.blank, 0);

  await page.goto(`${page.url().split("#")[0]}#view=integrity`);
  print("what moves the metric", await page.evaluate(async () => {
    const start = performance.now();
    location.hash = "#view=plots&plot=effects";
    while (!document.querySelector(".effects")) await new Promise((resolve) => requestAnimationFrame(resolve));
    return performance.now() - start;
  }), 1000);
  for (const plot of ["scatter", "parallel"]) {
    const ms = await page.evaluate(async (plot) => {
      const start = performance.now();
      location.hash = `#view=plots&plot=${plot}&colour=model`;
      while (!document.querySelector(plot === "scatter" ? ".plot .dots + .dots" : ".plot .threads")) await new Promise((resolve) => requestAnimationFrame(resolve));
      return performance.now() - start;
    }, plot);
    const nodes = await page.locator(".plot svg *").count();
    print(`100,000 runs as ${plot}, ${nodes} nodes`, ms);
    assert(nodes < 500);
  }
  assert.deepEqual(wrong.filter((what) => !what.startsWith("request: file:")), []);
});

test("100,000 runs of three learners with ten parameters each", async () => {
  const data = madeLedger(100_000);
  const model = data.runs.columns.find(({ name }) => name === "model");
  for (let i = 0; i < 30; i++) {
    const at = model.codes.flatMap((code, place) => (code % 3 === i % 3 ? [place] : []));
    const name = `p${i}`;
    data.runs.columns.splice(1, 0, { kind: "parameter", name, label: name, type: "double", at, values: at.map((place) => place % (i + 2)) });
  }
  const { page, context, wrong } = await open(browser, writePage(data));
  await page.locator(".grid .body [role=row]").first().waitFor();
  for (const where of ['model == "tree"', 'model == "lasso"', ""]) {
    print(`30 more columns, ${where || "no filter"}`, await typed(page, where), 300);
    if (where) await eventually(async () => assert.match(await summary(page), /20 columns that no run here has/));
  }
  assert.deepEqual(wrong, []);
  await context.close();
});

test("a million runs", async () => {
  const { page, wrong, first } = await firstTable(1_000_000);
  print("1,000,000 runs: first table", first);
  assert.match(await summary(page), /^99\d,\d+ runs, \d,\d+ void left out/);
  const labels = await heads(page);
  print("sort by lambda", await took(page, head(labels.indexOf("lambda"))));
  print("filter lambda > 1", await typed(page, "lambda > 1"));
  await typed(page, "");
  await page.getByRole("grid", { name: "Runs" }).focus();
  await page.keyboard.press("End");
  const last = page.locator(".grid .body [role=row]").last();
  const count = Number(await page.getByRole("grid", { name: "Runs" }).getAttribute("aria-rowcount"));
  await page.locator(`.grid .body [role=row][aria-rowindex="${count}"]`).waitFor();
  await eventually(async () => assert.equal(await last.getAttribute("aria-rowindex"), String(count), "the last row can be reached"));
  assert.deepEqual(wrong.filter((what) => !what.startsWith("request: file:")), []);
});
