// Curves, scatter, parallel coordinates, what moves a metric, remarks, pictures and conditions: what is shown of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { demonstration, eventually, launch, noR, open, writePage } from "./browser.mjs";
import { madeLedger } from "./made.mjs";
import { load } from "./modules.mjs";

const { Ledger, effectsOn, etaSquared, limitsOf, spearman, variesAlone } =
  await load("data/ledger.ts", "query/axes.ts", "query/columns.ts", "query/effects.ts");

const skip = noR || false;
if (noR) console.error(noR);
const browser = await launch();
const made = skip ? null : demonstration("searches.R");
const ledger = skip ? null : new Ledger(structuredClone(made.data));

async function use(hash, check, { page: address = made.page, ...options } = {}) {
  const { page, context, wrong } = await open(browser, address, hash, options);
  await check(page);
  assert.deepEqual(wrong, []);
  await context.close();
}

const net = encodeURIComponent('learner == "net"');
const numbers = (texts) => texts.map((text) => Number(text.replace("−", "-")));
/** The numbers on the vertical axis. */
const ticks = async (page) => numbers(await page.locator(".plot .axes text[text-anchor=end]").allTextContents()).filter((tick) => !Number.isNaN(tick));
const colours = async (page) => Object.fromEntries(await page.locator(".legend .toggle").evaluateAll((all) => all.map((one) => [one.innerText.slice(0, 12), one.querySelector(".swatch").style.background])));

test("limits leave out what is far away, and nothing else", () => {
  const decay = Array.from({ length: 300 }, (_, i) => 10 * Math.exp(-i / 40));
  const noise = Array.from({ length: 300 }, (_, i) => 5 + Math.sin(i));
  const exploding = Array.from({ length: 300 }, (_, i) => (i < 150 ? 5 : 5 * 3 ** (i - 150)));
  assert.deepEqual(limitsOf([decay]), [Math.min(...decay), 10]);
  assert.deepEqual(limitsOf([decay, noise]), [Math.min(...decay), 10]);
  assert(limitsOf([decay, noise, exploding])[1] < 40, String(limitsOf([decay, noise, exploding])));
  assert(limitsOf([decay, noise, exploding.map((y) => -y)])[0] > -40);
  assert.deepEqual(limitsOf([noise, [1, NaN, Infinity, -Infinity]]), [1, Math.max(...noise)]);
  assert.deepEqual(limitsOf([decay, exploding], true), [Math.min(...decay), exploding.filter(Number.isFinite).at(-1)]);
  assert.deepEqual(limitsOf([[2, 2, 2], [2, 2, 1e12]]), [2, 2]);
  assert.deepEqual(limitsOf([]), [Infinity, -Infinity]);
  assert.deepEqual(limitsOf([[NaN]]), [Infinity, -Infinity]);
});

test("ranks and shares are those of R", () => {
  const of = (...values) => Float64Array.from(values);
  // cor(c(1, 2, 2, 4, 9), c(3, 1, 4, 4, 8), method = "spearman")
  assert(Math.abs(spearman(of(1, 2, 2, 4, 9), of(3, 1, 4, 4, 8)) - 0.763157894736842) < 1e-12);
  assert.equal(spearman(of(1, 2, 3), of(9, 4, 1)), -1);
  // summary(lm(y ~ factor(g)))$r.squared of y = 1, 2, 4, 5, 9, 7 and g = 1, 1, 2, 2, 3, 3
  assert(Math.abs(etaSquared(of(1, 1, 2, 2, 3, 3), of(1, 2, 4, 5, 9, 7)) - 0.933823529411765) < 1e-12);
});

test("effects: the strongest first, honest of few runs, constants and chance", () => {
  const data = madeLedger(400);
  const column = (name, type, value) => ({ kind: "parameter", name, label: name, type, values: Array.from({ length: 400 }, value) });
  data.runs.columns.push(column("same", "double", () => 1), column("rare", "double", (_, i) => (i < 6 ? i : null)), column("never", "double", () => null));
  data.runs.columns.push({ kind: "parameter", name: "id", label: "id", type: "character", levels: Array.from({ length: 400 }, (_, i) => `run ${i}`), codes: Array.from({ length: 400 }, (_, i) => i) });
  const ledger = new Ledger(data);
  const effects = effectsOn(ledger, ledger.column("metric", "rmse"), Uint32Array.from({ length: 400 }, (_, i) => i));
  const of = (name) => effects.find(({ column }) => column.name === name);
  assert.equal(of("lambda").measure, "rank");
  assert.equal(of("model").measure, "share");
  assert(of("model").strength < 0.05, "five models that don't matter");
  assert.match(of("rare").caution, /only [456] runs/);
  assert.equal(of("same").caution, "it is the same in all runs");
  assert.equal(of("never"), undefined);
  assert(of("id").value > 0.99 && of("id").strength < 0.01, "a category a run explains nothing");
  assert.match(of("id").caution, /categories for/);
  const clear = effects.filter(({ caution }) => !caution).map(({ strength }) => strength);
  assert.deepEqual(clear, clear.toSorted((a, b) => b - a));
});

test("a line joins runs only where one parameter alone varies", { skip }, () => {
  const params = ledger.of("parameter");
  const nets = [...ledger.ids.keys()].filter((place) => ledger.column("parameter", "learner").value(place) === "net");
  assert(variesAlone(ledger.column("parameter", "eta"), params, nets));
  assert(!variesAlone(ledger.column("parameter", "eta"), params, [...ledger.ids.keys()]));
  assert(!variesAlone(ledger.column("metric", "loss"), params, nets));
});

test("curves: a diverged run doesn't flatten the others, and all can be seen", { skip }, () => use(`#view=plots&plot=curves&metric=loss&where=${net}`, async (page) => {
  await eventually(async () => assert(Math.max(...await ticks(page)) <= 20, String(await ticks(page))));
  assert.match(await page.locator(".limits").innerText(), /^2\d points beyond the limits, 1 point not finite see all$/);
  await page.getByRole("button", { name: "see all" }).click();
  await eventually(async () => assert(Math.max(...await ticks(page)) > 1e12));
  await page.getByRole("button", { name: "limits that leave out" }).click();
  await page.getByLabel("Log vertical").check();
  await eventually(async () => assert((await ticks(page)).every((tick) => tick > 0)));
}));

test("curves: zoomed by drawing and by keyboard, and back", { skip }, () => use(`#view=plots&plot=curves&metric=loss&where=${net}`, async (page) => {
  const box = await page.locator(".plot svg").boundingBox();
  const across = async () => numbers(await page.locator(".plot .axes text[text-anchor=middle][y='17']").allTextContents());
  await eventually(async () => assert.deepEqual([Math.min(...await across()), Math.max(...await across())], [0, 65]));
  await page.mouse.move(box.x + 300, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + 500, box.y + 300, { steps: 5 });
  await page.locator(".drawn").waitFor();
  await page.mouse.up();
  await eventually(async () => { const shown = await across(); assert(Math.min(...shown) > 8 && Math.max(...shown) < 30, String(shown)); });
  assert.match(page.url(), /zoom=/);
  assert.equal(await page.locator(".drawn").count(), 0);
  await page.mouse.dblclick(box.x + 100, box.y + 20);
  await eventually(async () => assert.equal(Math.max(...await across()), 65));
  await page.getByRole("group", { name: /Curves of loss/ }).focus();
  await page.keyboard.press("+");
  await eventually(async () => { const shown = await across(); assert(Math.min(...shown) >= 15 && Math.max(...shown) <= 50, String(shown)); });
  await page.keyboard.press("Escape");
  await eventually(async () => assert.equal(Math.max(...await across()), 65));
}));

test("curves: hidden by the legend, several metrics, one colour a run everywhere", { skip }, async () => {
  const chosen = [28, 29, 30, 31, 32];
  let seen;
  await use(`#view=plots&plot=curves&metric=loss&selected=${chosen.join(".")}`, async (page) => {
    await eventually(async () => assert.equal(await page.locator(".curve").count(), 5));
    seen = await colours(page);
    assert.equal(new Set(Object.values(seen)).size, 5);
    await page.locator(".legend .toggle").nth(1).click();
    await eventually(async () => assert.equal(await page.locator(".curve").count(), 4));
    assert.equal(await page.locator(".legend .toggle").nth(1).getAttribute("aria-pressed"), "false");
    assert.match(page.url(), /off=29/);
    await page.locator(".legend .toggle").nth(1).press("Enter");
    await eventually(async () => assert.equal(await page.locator(".curve").count(), 5));
    await page.locator(".toolbar summary").click();
    await page.getByRole("checkbox", { name: "val_loss", exact: true }).check();
    await eventually(async () => assert.equal(await page.locator(".curve").count(), 10));
    const strokes = await page.locator(".curve").evaluateAll((paths) => paths.map((path) => path.getAttribute("stroke")));
    assert.equal(new Set(strokes).size, 5, "a colour a run");
    assert.equal(await page.locator(".curve[stroke-dasharray]").count(), 5);
    assert.deepEqual(await colours(page), seen);
  });
  await use(`#view=plots&plot=curves&metric=val_loss&selected=${chosen.toReversed().join(".")}&sort=loss`, async (page) => {
    await eventually(async () => assert.deepEqual(await colours(page), seen));
  });
  await use(`#view=compare&selected=${chosen.join(".")}`, async (page) => {
    const heads = await page.locator(".compare thead th:has(.swatch)").evaluateAll((all) => all.map((one) => [one.querySelector("a").innerText, one.querySelector(".swatch").style.background]));
    assert.deepEqual(Object.fromEntries(heads), seen);
  });
});

test("scatter: logarithmic by itself, a place for zero, a line for one parameter alone", { skip }, async () => {
  await use(`#view=plots&x=eta&y=loss&where=${net}`, async (page) => {
    await eventually(async () => assert(await page.getByLabel("Log horizontal").isChecked()));
    await eventually(async () => assert.equal(await page.locator(".plot .join").count(), 1));
    await page.getByLabel("Log horizontal").uncheck();
    await eventually(async () => assert.match(page.url(), /logX=0/));
  });
  await use("#view=plots&x=penalty&y=roc_auc", (page) => eventually(async () => {
    assert(await page.getByLabel("Log horizontal").isChecked());
    assert.equal(await page.locator(".plot .join").count(), 0);
  }));
  await use("#view=plots&x=trees&y=roc_auc", (page) => eventually(async () => assert(!await page.getByLabel("Log horizontal").isChecked())));
  const data = madeLedger(50);
  data.runs.columns.find(({ name }) => name === "lambda").values[7] = 0;
  await use("#view=plots&x=lambda", async (page) => {
    await eventually(async () => assert(await page.getByLabel("Log horizontal").isChecked()));
    await eventually(async () => assert((await page.locator(".plot .axes text[text-anchor=middle]").allTextContents()).includes("0")));
    assert.equal(await page.getByText("no place here").count(), 0, "zero has one");
  }, { page: writePage(data) });
});

test("each plot does with days and times that some runs don't have", { skip }, async () => {
  const data = madeLedger(50);
  const column = (name, type, value) => ({ kind: "parameter", name, label: name, type, values: Array.from({ length: 50 }, value) });
  data.runs.columns.push(column("day", "date", (_, i) => (i % 7 ? 20_000 + i : null)), column("at", "datetime", (_, i) => (i % 5 ? 1.7e12 + i * 1e9 : null)));
  const page = writePage(data);
  for (const plot of ["plot=parallel&axes=day&axes=at&axes=rmse", "plot=scatter&x=day&y=rmse", "plot=scatter&x=at&y=rmse", "plot=effects&best=rmse"]) {
    await use(`#view=plots&${plot}`, async (page) => {
      await eventually(async () => assert(await page.locator("main svg").count() > 0, plot));
    }, { page });
  }
});

test("parallel coordinates: no axis for what is empty or the same in all runs", { skip }, () => use(`#view=plots&plot=parallel&where=${encodeURIComponent('learner == "mlp" & !is.na(epochs)')}&axes=learner&axes=eta&axes=epochs&axes=dropout&axes=roc_auc`, async (page) => {
  await eventually(async () => assert.deepEqual(await page.locator(".plot .axes .name").evaluateAll((names) => names.map((name) => name.firstChild.data)), ["epochs", "dropout", "roc_auc"]));
  assert.match(await page.locator("main").innerText(), /the same in all runs here or missing: learner, eta/);
}));

test("what moves the metric: sorted, with the number of runs, and a way to the plot", { skip }, () => use("#view=plots&plot=effects&best=roc_auc", async (page) => {
  const cells = () => page.locator(".effects tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.innerText)));
  const rows = await eventually(async () => { const rows = await cells(); assert(rows.length > 20); return rows; });
  const learner = rows.find(([name]) => name === "learner");
  assert.match(learner[2], /^η² = 0\.\d\d$/);
  assert.equal(learner[4], "25");
  assert.equal(rows[0][0], "learner", "what many runs say goes before what few do");
  assert.match(rows.find(([name]) => name === "trees")[5], /only 8 runs/);
  await page.getByRole("link", { name: "penalty" }).click();
  await eventually(async () => assert.deepEqual(await page.locator(".plot .axes .name").allTextContents(), ["penalty", "roc_auc"]));
}));

test("remarks: why runs failed, are void, and what was noted, in the table and of the run", { skip }, () => use(`#where=${net}&void=1`, async (page) => {
  const failed = page.locator(".row.failed");
  await eventually(async () => assert.match(await failed.innerText(), /failed\s*The loss is not a number any more:/));
  assert.match(await failed.locator("[title*='3 halvings']").getAttribute("title"), /^failed\nerror: The loss/);
  assert.match(await page.locator(".row.void").innerText(), /void\s*eta can't be negative/);
  await failed.locator(".status").click();
  const remarks = page.getByRole("region", { name: /What was said of run/ });
  await eventually(async () => assert.match(await remarks.innerText(), /error\s+The loss is not a number any more:\s+step 12, batch 7, after 3 halvings/));
  await page.getByRole("grid", { name: "Runs" }).focus();
  await page.keyboard.press("ArrowUp");
  await eventually(async () => assert.match(await remarks.innerText(), /void\s+eta can't be negative/));
  await page.getByLabel("Where").fill("!is.na(notes)");
  await eventually(async () => assert.equal(await page.getByLabel("1 note").count(), 1));
  await page.locator(".grid .body .id a").click();
  await eventually(async () => assert.match(await page.locator(".record").innerText(), /Notes\s+.*Twice as slow as the others/));
}));

test("a run that runs: in a file as of when it was written", { skip }, async () => {
  const data = madeLedger(4);
  const status = data.runs.columns.find(({ name }) => name === "status");
  Object.assign(status, { levels: ["finished", "running"], codes: [0, 0, 0, 1] });
  data.written = data.runs.began[3] + 125_000;
  const duration = data.runs.columns.find(({ name }) => name === "duration");
  Object.assign(duration, { at: [0], values: [1] });
  const page = writePage(data);
  await use("", async (page) => {
    await eventually(async () => assert.match(await page.locator(".row.running").innerText(), /running\s+as of 2026-01-05 00:02[^]*2 min 5 s/));
  }, { page });
  await use(`#view=run&id=${data.runs.id[3]}`, (page) => eventually(async () => assert.match(await page.locator(".state").innerText(), /^running for 2 min 5 s, as of 2026-01-05 00:02 UTC$/)), { page });
});

test("pictures of one name stand side by side", { skip }, () => use("#view=compare&selected=28-32", async (page) => {
  const of = (name) => page.getByRole("region", { name: `Pictures: ${name}` }).locator("img");
  await eventually(async () => assert.equal(await of("residuals.png").count(), 5));
  assert.equal(await of("importance.png").count(), 2);
  for (const image of await of("residuals.png").all()) await eventually(async () => assert.equal(await image.evaluate((image) => image.naturalWidth), 480));
  const [first, second] = [await of("residuals.png").nth(0).boundingBox(), await of("residuals.png").nth(1).boundingBox()];
  assert(second.x >= first.x + first.width && Math.abs(first.y - second.y) < 1, "next to each other");
}));

test("conditions: what can be said is listed beside the field, and one that is clicked is added", { skip }, () => use("", async (page) => {
  await page.getByText("?", { exact: true }).click();
  const help = page.locator(".help");
  const listed = await help.getByRole("button").allInnerTexts();
  assert(listed.length > 20);
  for (const part of ["grepl(", "Sys.time()", "Sys.Date()", "as.Date(", "as.POSIXct(", "is.na(", "%in%", "%%", "nchar("]) assert(listed.some((condition) => condition.includes(part)), part);
  for (const condition of listed) {
    await page.getByLabel("Where", { exact: true }).fill(condition);
    await eventually(async () => assert.equal(await page.getByRole("alert").count(), 0, condition));
  }
  await page.getByLabel("Where", { exact: true }).fill("eta > 0");
  if (!await help.isVisible()) await page.getByText("?", { exact: true }).click();
  await help.getByRole("button", { name: 'status == "failed"' }).click();
  await eventually(async () => assert.match(await page.locator(".summary").innerText(), /^1 of 36 runs/));
  await page.getByLabel("Where", { exact: true }).fill('grepl("\\\\w", learner)');
  await eventually(async () => assert.match(await page.getByRole("alert").innerText(), /differs between machines/));
}));
