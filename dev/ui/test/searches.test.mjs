// Groups, columns, the star and plots, on a ledger of searches, of curves of which one diverges, and of runs that went wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { demonstration, eventually, launch, noR, open } from "./browser.mjs";
import { load } from "./modules.mjs";

const { Ledger } = await load("data/ledger.ts");

const skip = noR || false;
if (noR) console.error(noR);
const browser = skip ? null : await launch();
const made = skip ? null : demonstration("searches.R");
const ledger = skip ? null : new Ledger(structuredClone(made.data));
const places = (keep) => ledger.ids.map((_, place) => place).filter(keep);
const value = (kind, name, place) => ledger.column(kind, name)?.value(place);

async function use(hash, check, options) {
  const { page, context, wrong } = await open(browser, made.page, hash, options);
  await check(page);
  assert.deepEqual(wrong, []);
  await context.close();
}

const heads = (page) => page.locator(".grid [role=columnheader] .label").allInnerTexts();
const summary = (page) => page.locator(".summary").innerText();
/** The lines of the table, a group as its name, a run as its id. */
const lines = (page) => page.locator(".grid .body [role=row]").evaluateAll((rows) => rows
  .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
  .map((row) => (row.classList.contains("group") ? row.querySelector(".label").innerText : row.querySelector(".id a").title)));
const cellOf = (page, group, column) => page.evaluate(([group, column]) => {
  const heads = [...document.querySelectorAll(".grid [role=columnheader] .label")].map((head) => head.textContent);
  const row = [...document.querySelectorAll(".grid .row.group")].find((row) => row.querySelector(".label").innerText.startsWith(group));
  return row.children[heads.indexOf(column) + 1].innerText;
}, [group, column]);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

test("groups: each with its count, the mean, the spread and the best", { skip }, () => use("#group=learner", async (page) => {
  await eventually(async () => assert.deepEqual((await lines(page)).toSorted(), ["boost_tree", "glmnet", "mlp", "net"]));
  assert.equal(await page.getByRole("treegrid", { name: "Runs" }).count(), 1);
  const runs = places((place) => value("parameter", "learner", place) === "mlp");
  const scores = runs.map((place) => value("metric", "roc_auc", place)).filter((score) => score !== null);
  const sd = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean(scores)) ** 2, 0) / (scores.length - 1));
  const [, shownMean, shownSd, shownBest] = /^([\d.]+) ± ([\d.]+) best ([\d.]+)$/.exec(await cellOf(page, "mlp", "roc_auc"));
  assert(Math.abs(shownMean - mean(scores)) < 1e-4 && Math.abs(shownSd - sd) / sd < 0.05, `${shownMean} ${shownSd}`);
  assert(Math.abs(shownBest - Math.max(...scores)) < 1e-4, "larger is better");
  const [, lowest] = /best ([\d.]+)$/.exec(await cellOf(page, "mlp", "brier_class"));
  const briers = runs.map((place) => value("metric", "brier_class", place)).filter((score) => score !== null);
  assert(Math.abs(lowest - Math.min(...briers)) < 1e-4, "smaller is better");
  assert.match(await page.locator(".group", { hasText: "mlp" }).locator(".count").innerText(), /^9/);
  assert.match(await cellOf(page, "net", "status"), /^5 finished, (1 (running|lost), 1 failed|1 failed, 1 (running|lost))$/);
}));

test("groups: the runs of a search are under its name, or what it fits, and with them the search itself", { skip }, () => use("#group=parent", async (page) => {
  const searches = places((place) => value("parameter", "metrics", place) !== null);
  const short = (place) => ledger.ids[place].slice(-12);
  await eventually(async () => assert.deepEqual((await lines(page)).toSorted(), [`a small network ${short(searches[2])}`, `boost_tree ${short(searches[0])}`, `glmnet ${short(searches[1])}`, "no parent"].toSorted()));
  assert.match(await page.locator(".group", { hasText: "glmnet" }).locator(".count").innerText(), /^9/);
  await page.locator(".group", { hasText: "boost_tree" }).locator(".fold").click();
  const unfolded = (await eventually(async () => { const all = await lines(page); assert(all.length > 4); return all; }));
  const at = unfolded.findIndex((line) => line.startsWith("boost_tree"));
  assert.equal(unfolded[at + 1], ledger.ids[searches[0]], "the search comes first");
  assert.deepEqual(unfolded.slice(at + 2, at + 10).toSorted(), places((place) => value("detail", "parent", place) === ledger.ids[searches[0]]).map((place) => ledger.ids[place]).toSorted());
  assert.equal(unfolded.length, 4 + 9);
}));

test("groups: ordered by their best and by their means, those without last", { skip }, () => use("#group=learner", async (page) => {
  await page.getByRole("button", { name: "roc_auc", exact: true }).click();
  await eventually(async () => assert.deepEqual(await lines(page), ["mlp", "glmnet", "boost_tree", "net"]));
  await page.getByRole("button", { name: "roc_auc", exact: true }).click();
  await eventually(async () => assert.deepEqual(await lines(page), ["boost_tree", "glmnet", "mlp", "net"]));
  await page.getByLabel("Order of the groups").selectOption("means");
  const means = async () => Promise.all((await lines(page)).slice(0, 3).map(async (group) => Number((await cellOf(page, group, "roc_auc")).split(" ")[0])));
  await eventually(async () => { const found = await means(); assert.deepEqual(found, found.toSorted()); });
  await page.getByRole("button", { name: "run by learner" }).click();
  await eventually(async () => assert.equal((await lines(page)).length, 4));
}));

test("groups: by keyboard, in the address, and selected at once", { skip }, () => use("#group=experiment", async (page) => {
  const grid = page.getByRole("treegrid", { name: "Runs" });
  const active = () => grid.getAttribute("aria-activedescendant");
  await eventually(async () => assert.deepEqual(await lines(page), ["step sizes", "churn"]));
  await grid.focus();
  await page.keyboard.press("ArrowRight");
  await eventually(async () => assert.equal((await lines(page)).length, 2 + 7));
  assert.equal(await page.locator(".group").first().getAttribute("aria-expanded"), "true");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await eventually(async () => assert.match(await active(), /^run-/));
  const { hash } = new URL(page.url());
  await use(hash, (other) => eventually(async () => assert.equal((await lines(other)).length, 2 + 7)));
  await page.keyboard.press("ArrowLeft");
  await eventually(async () => assert.equal(await active(), "group-0"));
  await page.keyboard.press("Space");
  await eventually(async () => assert.match(await summary(page), /7 runs selected/));
  await page.keyboard.press("ArrowLeft");
  await eventually(async () => assert.equal((await lines(page)).length, 2));
  await page.keyboard.press("Enter");
  await eventually(async () => assert.equal((await lines(page)).length, 9));
  await page.getByRole("button", { name: "fold all", exact: true }).click();
  await eventually(async () => assert.equal((await lines(page)).length, 2));
  await page.getByRole("button", { name: "unfold all" }).click();
  await eventually(async () => assert((await lines(page)).length > 30));
  await page.getByLabel("Group by").selectOption("tags.by");
  await eventually(async () => assert.deepEqual((await lines(page)).toSorted(), ["ann", "bob", "no tags.by"]));
}));

test("columns: those that no run shown has are hidden, counted, and shown when asked for", { skip }, () => use("#where=learner+%3D%3D+%22mlp%22", async (page) => {
  const mine = ["hidden_units", "epochs", "dropout", "activation", "batch_size", "momentum", "weight_decay", "warmup", "clip", "schedule"];
  const others = ["trees", "penalty", "eta"];
  await eventually(async () => {
    const shown = await heads(page);
    for (const name of mine) assert(shown.includes(name), name);
    for (const name of [...others, "loss", "val_loss"]) assert(!shown.includes(name), name);
    assert.match(await summary(page), /2\d columns that no run here has/);
  });
  await page.getByRole("button", { name: "show", exact: true }).click();
  await eventually(async () => { for (const name of others) assert((await heads(page)).includes(name), name); });
  await page.getByRole("button", { name: "hide", exact: true }).click();
  await page.locator("summary", { hasText: "Columns" }).click();
  await eventually(async () => assert.match(await page.locator(".picker li", { hasText: "penalty" }).innerText(), /empty here/));
  await page.keyboard.press("Escape");
  await page.getByLabel("Where").fill("eta > 0");
  await eventually(async () => {
    const shown = await heads(page);
    assert(shown.includes("eta") && !shown.includes("epochs"), shown.join());
  });
}));

test("columns: metrics stay on screen beside the run, wherever one scrolls", { skip }, async () => {
  for (const width of [1440, 400]) {
    await use("", async (page) => {
      const [left, right] = await page.locator(".grid").evaluate(async (grid) => {
        grid.scrollLeft = grid.scrollWidth;
        await new Promise((resolve) => requestAnimationFrame(resolve));
        const edge = grid.getBoundingClientRect();
        const box = [...grid.querySelectorAll(".head .label")].find((head) => head.textContent === "roc_auc").closest("[role=columnheader]").getBoundingClientRect();
        return [box.left - edge.left, edge.right - box.right];
      });
      assert(left > 100 && right >= 0, `${width}: ${left} ${right}`);
      const id = await page.locator(".grid .body .id").first().boundingBox();
      assert(id.x >= 0 && id.x < 60, `the id is at ${id.x}`);
    }, { viewport: { width, height: 800 } });
  }
});

test("the star: which way is better is said by the search, by the name, or by who chooses", { skip }, () => use("", async (page) => {
  const finished = places((place) => ledger.status(place) === "finished");
  const best = (name, pick) => finished.map((place) => [value("metric", name, place), place]).filter(([score]) => typeof score === "number").reduce((a, b) => (pick(b[0], a[0]) ? b : a))[1];
  const starred = () => page.locator(".row.best .id a").getAttribute("title");
  await eventually(async () => assert.match(await summary(page), /best: highest roc_auc .*\(larger is better: the search says so\)/));
  await eventually(async () => assert.equal(await starred(), ledger.ids[best("roc_auc", (a, b) => a > b)]));
  await page.locator("#best").selectOption("gain");
  await eventually(async () => assert.match(await summary(page), /highest gain .*the search says so/));
  await page.locator("#best").selectOption("brier_class");
  await eventually(async () => assert.match(await summary(page), /lowest brier_class .*smaller is better: the search says so/));
  await page.locator("#best").selectOption("val_loss");
  await eventually(async () => assert.match(await summary(page), /lowest val_loss .*smaller is better, as is usual/));
  await page.locator("#best").selectOption("roc_auc");
  await page.getByLabel("Lowest or highest is best").selectOption("lowest");
  await eventually(async () => assert.match(await summary(page), /lowest roc_auc .*smaller is better: you chose so/));
  await eventually(async () => assert.equal(await starred(), ledger.ids[best("roc_auc", (a, b) => a < b)]));
  await page.getByLabel("Lowest or highest is best").selectOption("highest (by itself)");
  await page.locator("#best").selectOption("roc_auc");
  await page.getByLabel("Of a series").selectOption("max");
  const largest = finished.filter((place) => ledger.seriesOf(place, "roc_auc")).map((place) => [Math.max(...ledger.seriesOf(place, "roc_auc").value), place]).reduce((a, b) => (b[0] > a[0] ? b : a))[1];
  await eventually(async () => assert.match(await summary(page), /highest roc_auc at its largest 0\.\d+/));
  await eventually(async () => assert.equal(await starred(), ledger.ids[largest]));
}));

test("the star: of runs that don't have the first metric it is for one that they have, unless one was chosen", { skip }, async () => {
  const where = encodeURIComponent('learner == "net"');
  await use(`#where=${where}`, async (page) => {
    await eventually(async () => assert.match(await summary(page), /best: lowest loss 0\.\d+/));
    assert.doesNotMatch(page.url(), /best=/);
    await page.getByLabel("Where", { exact: true }).fill("");
    await eventually(async () => assert.match(await summary(page), /best: highest roc_auc/));
  });
  await use(`#where=${where}&best=roc_auc`, (page) => eventually(async () => assert.doesNotMatch(await summary(page), /best:/)));
});
