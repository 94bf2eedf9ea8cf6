// Each feature of the page is used, by mouse and by keyboard, on a ledger of real fits.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { demonstration, eventually, launch, noR, open, writePage } from "./browser.mjs";
import { madeLedger } from "./made.mjs";
import { load } from "./modules.mjs";

const { Ledger } = await load("data/ledger.ts");

const skip = noR || false;
if (noR) console.error(noR);
const browser = skip ? null : await launch();
const demo = skip ? null : demonstration();

async function use(hash, check, options) {
  const { page, context, wrong } = await open(browser, demo.page, hash, options);
  await check(page);
  assert.deepEqual(wrong, []);
  await context.close();
}

const rows = (page) => page.locator(".grid .body [role=row]");
const ids = (page) => page.locator(".grid .body .id a").evaluateAll((links) => links.map((link) => link.title));
const column = (page, label) => page.evaluate((label) => {
  const heads = [...document.querySelectorAll(".grid [role=columnheader] .label")].map((head) => head.textContent);
  const at = heads.indexOf(label) + 1;
  return [...document.querySelectorAll(".grid .body [role=row]")].map((row) => row.children[at].textContent);
}, label);
const numbers = (cells) => cells.filter(Boolean).map(Number);
const isSorted = (values) => values.every((value, i) => i === 0 || values[i - 1] <= value);
const summary = (page) => page.locator(".summary").innerText();
async function downloaded(page, click) {
  const [file] = await Promise.all([page.waitForEvent("download"), click()]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

test("runs: the newest first, void ones left out and shown as such when asked for", { skip }, () => use("", async (page) => {
  await eventually(async () => assert.match(await summary(page), /44 runs, 1 void left out/));
  await eventually(async () => assert.equal((await ids(page))[0], demo.data.runs.id.at(-2)));
  await page.getByLabel("Void runs").check();
  await eventually(async () => assert.match(await summary(page), /45 runs/));
  await eventually(async () => assert.equal(await page.locator(".row.void .status").innerText(), "∅ void"));
  await eventually(async () => assert.equal(await page.locator(".row.failed .status").innerText(), "✕ failed"));
  await eventually(async () => assert.equal(await page.title(), "Runs · runs.csv · fitledger"));
}));

test("runs: sorted by mouse and by keyboard, what has no value last", { skip }, () => use("", async (page) => {
  await page.getByRole("button", { name: "test_rmse", exact: true }).click();
  await eventually(async () => {
    const up = await column(page, "test_rmse");
    assert(isSorted(numbers(up)) && numbers(up).length > 20, up.join());
  });
  await eventually(async () => assert.equal(await page.getByRole("columnheader", { name: "test_rmse" }).getAttribute("aria-sort"), "ascending"));
  await page.keyboard.press("Enter");
  await eventually(async () => {
    const down = await column(page, "test_rmse");
    assert(isSorted(numbers(down).reverse()));
    assert(isSorted(down.map((cell) => (cell ? 0 : 1))));
  });
  await page.keyboard.press("Enter");
  await eventually(async () => assert.equal((await ids(page))[0], demo.data.runs.id.at(-2)));
}));

test("runs: the best is marked, lowest or highest", { skip }, () => use("", async (page) => {
  const { data } = demo;
  const ledger = new Ledger(structuredClone(data));
  const rmse = ledger.column("metric", "test_rmse");
  const candidates = data.runs.id.map((_, place) => [rmse.value(place), place]).filter(([value, place]) => value !== null && ledger.status(place) === "finished");
  const lowest = candidates.reduce((a, b) => (b[0] < a[0] ? b : a))[1];
  const highest = candidates.reduce((a, b) => (b[0] > a[0] ? b : a))[1];
  await eventually(async () => assert.equal(await page.locator(".row.best .id a").getAttribute("title"), data.runs.id[lowest]));
  await eventually(async () => assert.match(await page.locator(".row.best").innerText(), /best run/));
  await page.getByLabel("Lowest or highest is best").selectOption("highest");
  await eventually(async () => assert.match(await summary(page), /highest test_rmse/));
  await page.getByRole("button", { name: "test_rmse", exact: true }).click();
  await eventually(async () => assert.equal((await ids(page))[0], data.runs.id[highest]));
}));

test("runs: a condition filters, a wrong one says what and where", { skip }, () => use("", async (page) => {
  await eventually(async () => {
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "where");
  });
  await page.keyboard.type('lambda > 1 & learner == "ridge"');
  await eventually(async () => assert.match(await summary(page), /16 of 45 runs/));
  await eventually(async () => assert(numbers(await column(page, "lambda")).every((lambda) => lambda > 1)));
  await page.getByLabel("Where").fill("lamda > 1");
  await eventually(async () => assert.match(await page.getByRole("alert").innerText(), /There is no `lamda`. Did you mean `lambda`\? lamda at character 1/));
  await page.getByLabel("Where").fill("lambda > 1e9");
  await eventually(async () => assert.match(await page.locator(".nothing").innerText(), /No runs match lambda > 1e9\./));
  await page.getByRole("button", { name: "Show all runs" }).click();
  await eventually(async () => assert.equal(await page.getByLabel("Where").inputValue(), ""));
  await page.getByLabel("Search").fill("bob");
  await eventually(async () => assert.match(await summary(page), /10 of 45 runs/));
}));

test("runs: keyboard moves, selects a range and opens", { skip }, () => use("", async (page) => {
  const all = await ids(page);
  const grid = page.getByRole("grid", { name: "Runs" });
  await grid.focus();
  await page.keyboard.press("ArrowDown");
  await eventually(async () => {
    const active = await grid.getAttribute("aria-activedescendant");
    assert.equal(await page.locator(`#${active} .id a`).getAttribute("title"), all[1]);
  });
  await page.keyboard.press("Space");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowDown");
  await eventually(async () => assert.equal(await page.locator('.row[aria-selected="true"]').count(), 3));
  await eventually(async () => assert.match(await summary(page), /3 runs selected/));
  await page.keyboard.press("End");
  await eventually(async () => assert.equal((await ids(page)).at(-1), demo.data.runs.id[0]));
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await eventually(async () => assert.equal(await page.locator(".record h2 code").innerText(), all[0]));
  await page.goBack();
  await eventually(async () => assert.match(await summary(page), /3 runs selected/));
  await eventually(async () => {
    await grid.focus();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator('.row[aria-selected="true"]').count(), 0);
  });
}));

test("runs: boxes and shift select by mouse", { skip }, () => use("", async (page) => {
  await rows(page).nth(1).locator(".tick input").click();
  await eventually(async () => assert.equal(await page.locator(".tick input:checked").count(), 1));
  await rows(page).nth(5).locator(".tick input").click({ modifiers: ["Shift"] });
  await eventually(async () => assert.match(await summary(page), /5 runs selected/));
  await eventually(async () => assert.equal(await page.locator(".tick input:checked").count(), 5));
  await page.getByRole("button", { name: "clear" }).click();
  await eventually(async () => assert.doesNotMatch(await summary(page), /selected/));
}));

test("runs: columns are picked and ordered by keyboard and by dragging, and persist", { skip }, () => use("", async (page) => {
  const heads = () => page.locator(".grid [role=columnheader] .label").allInnerTexts();
  await page.locator("summary", { hasText: "Columns" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("checkbox", { name: "timestamp" }).focus();
  await page.keyboard.press("Alt+ArrowDown");
  await eventually(async () => { const shown = await heads(); assert.equal(shown.indexOf("timestamp"), shown.indexOf("status") + 1, shown.join()); });
  await page.getByRole("checkbox", { name: "learner" }).press("Space");
  await eventually(async () => assert(!(await heads()).includes("learner")));
  await page.getByLabel("Find a column").fill("by");
  await page.getByRole("checkbox", { name: "tags.by" }).check();
  await eventually(async () => assert.equal((await heads()).at(-1), "tags.by"));
  await page.getByLabel("Find a column").fill("");
  await page.locator(".picker li", { hasText: "tags.by" }).dragTo(page.locator(".picker li", { hasText: "duration" }));
  await eventually(async () => assert.deepEqual((await heads()).slice(-2), ["tags.by", "duration"]));
  await page.keyboard.press("Escape");
  const before = await heads();
  await page.goto(page.url().split("#")[0]);
  await page.reload();
  await eventually(async () => assert.deepEqual(await heads(), before));
}));

test("runs: CSV of what is shown and of everything", { skip }, () => use("#where=learner+%3D%3D+%22loess%22", async (page) => {
  await page.locator("summary", { hasText: "CSV" }).click();
  const shown = await downloaded(page, () => page.getByRole("button", { name: "What is shown" }).click());
  const lines = shown.bytes.toString("utf8").split("\r\n");
  assert.equal(shown.name, "runs-shown.csv");
  assert.equal(lines.length, 12);
  assert.match(lines[0], /^run_id,test_rmse,train_rmse,learner,features,span,degree,timestamp,status/);
  assert.match(lines[1], /^20\d{6}-\d{6}-\w{12},0\.\d+,0\.\d+,loess,2,[\d.]+,[12],20\d\d-\d\d-\d\dT.*Z,finished/);
  const all = await downloaded(page, () => page.getByRole("button", { name: "Everything" }).click());
  assert.equal(all.bytes.toString("utf8").split("\r\n").length, 47);
  const value = new Ledger(structuredClone(demo.data)).column("metric", "test_rmse").value(0);
  assert(all.bytes.includes(String(value)), "numbers are whole");
}));

test("compare: what differs, against the first or the best", { skip }, () => use("#view=compare&selected=0.3", async (page) => {
  const fields = () => page.locator(".compare th[scope=row]").allInnerTexts();
  await eventually(async () => assert.deepEqual(await fields(), ["lambda", "test_rmse", "train_rmse"]));
  await eventually(async () => assert.match(await page.locator(".compare .difference").first().innerText(), /^\+0\.\d+ \(\+\d+ %\)$/));
  await page.getByLabel("What is the same, too").check();
  for (const field of ["learner", "by", "seed", "train", "train$area", "script", "base", "platform"]) await eventually(async () => assert((await fields()).includes(field), field));
  await page.getByRole("button", { name: `Remove ${demo.data.runs.id[0]}` }).press("Enter");
  await eventually(async () => assert.equal(await page.locator(".compare thead a").count(), 1));
  await page.goto(`${page.url().split("#")[0]}#view=compare`);
  await page.getByRole("button", { name: /Compare the first 3/ }).click();
  await eventually(async () => assert.equal(await page.locator(".compare thead a").count(), 3));
}));

test("plots: metric by parameter, with the best, by mouse and keyboard", { skip }, () => use("#view=plots&logX=1&where=learner+%3D%3D+%22ridge%22", async (page) => {
  const svg = page.locator(".plot svg");
  await eventually(async () => assert.equal(await svg.locator(".dots").count(), 1));
  await eventually(async () => assert.match(await svg.locator(".the-best text").innerHTML(), /best: lambda = 31\.6/));
  await eventually(async () => assert.deepEqual(await svg.locator(".axes .name").allTextContents(), ["lambda", "test_rmse"]));
  await page.getByLabel("Log horizontal").uncheck();
  await page.getByRole("combobox", { name: "Colour" }).selectOption("features");
  await page.getByRole("group", { name: /Plot of test_rmse against lambda of 25 runs/ }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await eventually(async () => assert.match(await page.locator(".tooltip").innerText(), /lambda 0\.017783, test_rmse 0\.\d+/));
  await page.keyboard.press("Enter");
  await eventually(async () => assert.match(await page.locator(".record").innerText(), /0\.0177827/));
  await page.goBack();
  await page.getByLabel("Log horizontal").check();
  const box = await svg.locator(".the-best circle").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await eventually(async () => assert.match(await page.locator(".tooltip").innerText(), /★/));
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await eventually(async () => assert.match(await page.locator(".record h2").innerText(), /best/));
}));

test("plots: saved as SVG and PNG", { skip }, async () => {
  for (const [plot, has] of [["scatter", /lambda/], ["parallel", /test_rmse/], ["curves", /step/]]) {
    await use(`#view=plots&plot=${plot}`, async (page) => {
      await page.locator(".plot svg .axes").first().waitFor();
      const svg = await downloaded(page, () => page.getByRole("button", { name: "SVG" }).click());
      const text = svg.bytes.toString("utf8");
      assert.match(text, /^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
      assert.match(text, has);
      assert.match(text, /stroke="rgb\(/);
      assert.doesNotMatch(text, /class=|style=|var\(/);
      const png = await downloaded(page, () => page.getByRole("button", { name: "PNG" }).click());
      assert.equal(png.bytes.subarray(1, 4).toString(), "PNG");
      assert(png.bytes.length > 5000 && png.bytes.readUInt32BE(16) > 2000, "twice as sharp");
    });
  }
});

test("plots: ranges on parallel coordinates become a condition, by mouse and keyboard", { skip }, () => use("#view=plots&plot=parallel&axes=learner&axes=lambda&axes=test_rmse", async (page) => {
  await page.locator(".plot svg .brush .overlay").nth(2).waitFor();
  const overlay = await page.locator(".brush .overlay").nth(2).boundingBox();
  await page.mouse.move(overlay.x + overlay.width / 2, overlay.y + overlay.height * 0.6);
  await page.mouse.down();
  await page.mouse.move(overlay.x + overlay.width / 2, overlay.y + overlay.height, { steps: 4 });
  await page.mouse.up();
  const status = page.locator(".toolbar [role=status]");
  await eventually(async () => assert.match(await status.innerText(), /\d+ of 44 runs in the ranges/));
  await page.getByLabel("learner from").selectOption("ridge");
  await page.getByLabel("learner up to").selectOption("ridge");
  await page.getByLabel("lambda up to").fill("100");
  await page.keyboard.press("Tab");
  let inside;
  await eventually(async () => {
    [, inside] = /^(\d+) of/.exec(await status.innerText());
    assert(Number(inside) > 5 && Number(inside) < 25, inside);
  });
  await page.getByRole("button", { name: "Show them in the table" }).click();
  await eventually(async () => assert.match(await page.getByLabel("Where").inputValue(), /^learner %in% c\("ridge"\) & lambda <= 100 & test_rmse >= 0\.\d+ & test_rmse <= 0\.\d+$/));
  await eventually(async () => assert.match(await summary(page), new RegExp(`^${inside} of 45 runs`)));
}));

test("plots: learning curves by step and by time, smoothed", { skip }, () => use("#view=plots&plot=curves", async (page) => {
  await eventually(async () => assert.equal(await page.locator(".curve").count(), 6));
  await page.locator(".toolbar summary").click();
  await page.getByRole("checkbox", { name: "test_loss", exact: true }).check();
  await page.getByRole("checkbox", { name: "loss", exact: true }).uncheck();
  await page.keyboard.press("Escape");
  const by = () => page.locator(".curve").first().getAttribute("d");
  const steps = await by();
  await page.getByLabel("By time").check();
  await eventually(async () => assert.notEqual(await by(), steps));
  await page.getByLabel("By time").uncheck();
  await page.getByLabel(/Smooth/).fill("0.9");
  await eventually(async () => assert.notEqual(await by(), steps));
  await page.getByRole("group", { name: /Curves of test_loss of 6 runs/ }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await eventually(async () => assert.match(await page.locator(".tooltip").innerText(), /step 3/));
  const id = /^\w{12}/.exec(await page.locator(".legend .toggle").nth(1).innerText())[0];
  await page.keyboard.press("Enter");
  await eventually(async () => assert((await page.locator(".record h2").innerText()).includes(id)));
}));

test("plots: without a series there are no curves, and that is said", { skip }, async () => {
  const { page, context, wrong } = await open(browser, writePage({ ...madeLedger(3), series: {} }), "#view=plots&plot=curves");
  await page.getByText("log_metrics").waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
});

test("one run: everything on record, with previews and sparklines", { skip }, async () => {
  const { data } = demo;
  const id = data.runs.id[data.models[1].run];
  await use(`#view=run&id=${id}`, async (page) => {
    const text = await page.locator(".record").innerText();
    for (const word of ["eta", "hidden", "Converged after 200 steps", "fl1:", "400", "demo.R", "Mersenne-Twister", "report.txt", "12 hidden units", "The first 100 of 200 rows"]) assert(text.includes(word), word);
    await eventually(async () => assert.equal(await page.locator(".sparkline").count(), 2));
    const image = page.getByAltText("The artifact fit.png");
    await eventually(async () => assert.equal(await image.evaluate((image) => image.naturalWidth), 640));
    await page.getByText(/packages$/).first().click();
    await eventually(async () => assert.match(await page.locator("details[open]").innerText(), /fitledger/));
    await page.getByRole("link", { name: "version price/2" }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".lineage .start", { hasText: "price/2" }).waitFor();
    await page.getByRole("link", { name: `run ${id}` }).click();
    await page.getByRole("link", { name: "next →" }).click();
    await page.locator(".record h2 code", { hasNotText: id }).waitFor();
  });
  await use("", async (page) => {
    await page.locator(".row.failed a").first().click();
    const record = page.locator(".record");
    await eventually(async () => assert.match(await record.locator("h2").innerText(), /^too fast /));
    assert.match(await record.locator("header").innerText(), /In experiment step sizes, part of/);
    const why = record.locator("section", { hasText: "Why it failed" });
    assert.equal(await why.locator(".condition").innerText(), "The loss is not a number any more.");
    await why.getByText("The calls that led to it").click();
    assert.match(await why.locator("details[open] pre").innerText(), /stop\(/);
    await record.locator("header").getByRole("link", { name: id }).click();
    await eventually(async () => assert.equal(await record.locator("h2 code").innerText(), id));
  });
  const sealed = Object.keys(data.runs.sealed)[0];
  await use(`#view=run&id=${data.runs.id[sealed]}`, async (page) => {
    await eventually(async () => assert.match(await page.locator(".sealed").innerText(), /audit_rmse/));
  });
  await use("#view=run&id=nobody", (page) => eventually(async () => assert.match(await page.locator("main").innerText(), /There is no run nobody/)));
});

test("models: versions, stages, history with figures, refusals, lineage", { skip }, () => use("#view=models", async (page) => {
  const text = await page.locator("main").innerText();
  for (const word of ["3 versions, 1 promotion refused", "candidate_rmse", "rolled back 2 → 1", "refused 2 → 3", "a drill", "better on the holdout"]) assert(text.includes(word), word);
  await page.getByRole("link", { name: "price, version 3" }).click();
  await eventually(async () => assert.match(await page.getByRole("group", { name: "Lineage of version price/3" }).innerText(), /version price\/3 is content/));
  await page.goBack();
  await eventually(async () => assert.equal(await page.locator(".lineage .start .node-name").innerHTML(), "price@production"));
}));

test("integrity: the verdict and how to check again", { skip }, () => use("", async (page) => {
  await page.getByRole("link", { name: "verified" }).click();
  const text = await page.locator("main").innerText();
  assert.match(text, new RegExp(`✓ Verified[^]*${demo.data.seq} rows hold[^]*verify_ledger\\("runs.csv"\\)`));
}));

test("a permalink brings back the same state, and so do back and forward", { skip }, () => use("", async (page) => {
  await page.getByLabel("Where").fill("test_rmse < 0.3");
  await page.getByRole("button", { name: "lambda", exact: true }).click();
  await rows(page).nth(2).locator(".tick input").click();
  const before = [await summary(page), await ids(page)];
  const address = page.url();
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Models" }).click();
  await page.goBack();
  await eventually(async () => assert.deepEqual([await summary(page), await ids(page)], before));
  await page.goForward();
  await eventually(async () => assert.equal(await page.locator(".model h2").innerText(), "price"));
  await use(new URL(address).hash, (other) => eventually(async () => assert.deepEqual([await summary(other), await ids(other)], before)));
}));

test("narrow, dark and on paper", { skip }, async () => {
  for (const view of ["runs", "compare&selected=0-3", "plots", "models", "integrity"]) {
    await use(`#view=${view}`, async (page) => {
      const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert(wide[0] <= wide[1], `${view} is ${wide[0]} wide`);
    }, { viewport: { width: 390, height: 844 } });
  }
  await use("", async (page) => {
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await paper();
    await page.getByRole("button", { name: /Colours/ }).click();
    await page.getByRole("button", { name: /Colours/ }).press("Enter");
    await page.locator("html[data-theme=light]").waitFor();
    await eventually(async () => assert.notEqual(await paper(), dark));
    await page.emulateMedia({ media: "print" });
    await rows(page).nth(43).waitFor();
    await eventually(async () => assert.equal(await page.locator(".buttons").isVisible(), false));
  }, { colorScheme: "dark" });
});

test("in a frame of another page, which keeps nothing for it", { skip }, async () => {
  const { page, context } = await open(browser, null);
  await page.evaluate((html) => {
    for (const sandbox of ["allow-scripts", "allow-scripts allow-same-origin"]) {
      const frame = document.createElement("iframe");
      frame.sandbox = sandbox;
      frame.width = "1000";
      frame.height = "600";
      frame.srcdoc = html;
      document.body.append(frame);
    }
  }, readFileSync(demo.page, "utf8"));
  for (const frame of [page.frameLocator("iframe >> nth=0"), page.frameLocator("iframe >> nth=1")]) {
    await frame.getByLabel("Where").fill("lambda > 1");
    await frame.locator(".summary", { hasText: "16 of 45 runs" }).waitFor();
    await frame.getByRole("link", { name: "Models" }).click();
    await frame.locator(".model h2", { hasText: "price" }).waitFor();
    await frame.getByRole("link", { name: "price, version 3" }).press("Enter");
    await frame.locator(".lineage .start", { hasText: "price/3" }).waitFor();
  }
  await context.close();
});
