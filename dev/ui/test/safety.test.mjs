// Whatever a ledger says is text: nothing of it runs, nothing leaves the page; and what axe finds.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { demonstration, eventually, launch, noR, open, writePage } from "./browser.mjs";
import { madeLedger } from "./made.mjs";

const hit = "window.hit=1";
const far = "http://evil.example/";
const hostile = [
  `<script>${hit}</script>`, `</script><script>${hit}</script>`, `<img src=x onerror="${hit}">`, `<img src="${far}a.png">`, `<svg onload="${hit}">`, `<svg><script>${hit}</script></svg>`,
  `"><script>${hit}</script>`, `'><script>${hit}</script>`, `" onmouseover="${hit}" x="`, `' onfocus='${hit}' autofocus='`, `javascript:${hit}`, `JaVaScRiPt:${hit}`, `java\tscript:${hit}`, `data:text/html,<script>${hit}</script>`,
  `<iframe src="javascript:parent.${hit}">`, `<iframe srcdoc="<script>parent.${hit}</script>">`, `<object data="javascript:${hit}">`, `<embed src="${far}">`, `<link rel=stylesheet href="${far}a.css">`, `<style>@import "${far}b.css";</style>`,
  `<style>*{background:url(${far}c.png)}</style>`, `<base href="${far}">`, `<meta http-equiv="refresh" content="0;url=${far}">`, `<form action="${far}"><button>go</button></form>`, `<a href="javascript:${hit}">click</a>`, `<body onload="${hit}">`,
  `<input autofocus onfocus="${hit}">`, `<details open ontoggle="${hit}">`, `<video src=x onerror="${hit}">`, `<audio src=x onerror="${hit}">`, `<marquee onstart="${hit}">`, `<math><mtext><img src=x onerror="${hit}">`, `<template><script>${hit}</script></template>`,
  `<!--<script>${hit}</script>-->`, `--><script>${hit}</script>`, `<![CDATA[<script>${hit}</script>]]>`, `]]><script>${hit}</script>`, `\${${hit}}`, `{{constructor.constructor('${hit}')()}}`, `\`;${hit};\``, `';${hit};//`, `";${hit};//`, `\\";${hit};//`,
  `%3Cscript%3E${hit}%3C/script%3E`, `&lt;script&gt;${hit}&lt;/script&gt;`, `&#60;script&#62;${hit}&#60;/script&#62;`, `\u003cscript\u003e${hit}\u003c/script\u003e`, `__proto__`, `constructor`, `<x style="behavior:url(${far})" onclick="${hit}">`, `\u2028${hit}\u2029`, `<noscript><p title="</noscript><img src=x onerror=${hit}>">`,
];

/** A ledger that says such a thing wherever it says anything. */
function hostileLedger(text) {
  const data = madeLedger(6);
  const { runs } = data;
  const find = (name) => runs.columns.find((column) => column.name === name);
  const whole = (column, changes) => { for (const key of ["values", "levels", "codes", "at", "times"]) delete column[key]; Object.assign(column, changes); };
  runs.id[0] = text;
  whole(find("status"), { levels: ["finished", "void"], codes: [0, 0, 0, 0, 0, 1] });
  whole(find("note"), { levels: [text], codes: [0, 0, 0, 0, 0, 0] });
  for (const name of ["user", "host", "commit", "data"]) whole(find(name), { levels: [text], codes: [0, 0, 0, 0, 0, 0] });
  runs.columns.push(
    { kind: "parameter", name: text, label: `params.${text}`, type: "character", levels: [text, "a"], codes: [0, 1, 0, 1, 0, 1] },
    { kind: "parameter", name: "mixed", label: "mixed", type: "mixed", values: [{ t: "code", v: text }, { t: "vector", v: text, json: text }, null, { na: text }, { null: null }, { redacted: true }] },
    { kind: "metric", name: text, label: `metrics.${text}`, type: "double", values: [1, 2, 3, 4, 5, 6] },
    ...["name", "experiment", "parent"].map((name) => ({ kind: "detail", name, label: name, type: "character", levels: [text], codes: [0, 0, 0, 0, 0, 0] })),
    { kind: "tag", name: text, label: `tags.${text}`, type: "character", levels: [text], codes: [0], at: [0] },
  );
  const sha256 = "ab".repeat(32);
  const bytes = (kind) => `${kind}${"cd".repeat(31)}`;
  const contents = [sha256, ...["aa", "bb", "cc", "dd"].map(bytes)].map((hash) => ["content", `sha256:${hash}`, text]);
  data.nodes = [...contents, ["content", `label:${text}`, text], ["commit", text, text], ["session", "abcdefghijkm", text], ["environment", text, text], ["version", `${text}/1`, text], ["stage", `${text}@${text}`, text], ["run", text, text]];
  const [used, commit, session, environment, version, stage, run] = [5, 6, 7, 8, 9, 10, 11];
  runs.artifacts = { 0: { [text]: { content: 0, size: 3, file: text, stored: true }, image: { content: 1, stored: true }, vector: { content: 2, stored: true }, table: { content: 3, stored: true }, none: { content: 4, stored: true } } };
  runs.made = { 0: contents.map((_, content) => [content, "was made by", -1]) };
  runs.lineage = { levels: [{ label: text, problem: text, edges: [[-1, "ran at", commit], [-1, text, session], [-1, "used", used]] }], codes: [0], times: [6] };
  runs.facts = { levels: [[["data", null, text, text], ["data", text, `${text} rows`, 1, `${text}$${text}`, text], ["code", null, text, text], ["session", null, text, 2]]], codes: [0], at: [0] };
  runs.call = { 0: { function: text, code: text, method: text } };
  runs.origin = { 0: { file: text } };
  runs.notes = { 0: [{ time: 0, text }] };
  runs.void_reason = { 5: text };
  runs.condition = { 0: { message: text, class: [text], calls: [text] } };
  runs.sealed = { 0: [text] };
  Object.assign(data.sessions[0], { context: { id: "abcdefghijkm", user: text, host: text, script: text, r: text, git: { commit: text, branch: text, dirty: true }, lockfile: { sha256 }, [text]: text }, facts: [["package", null, text, text], ["environment", null, text, { t: text, v: text }]], edges: [[-1, "ran with", environment]] });
  data.edges = [[version, "is", 0], [version, "was registered from", run], [stage, "points to", version]];
  data.file = text;
  data.series = { 0: { [text]: { step: [1, 2, 3], value: [1, 2, 3], time: [1, 2, 3] } } };
  data.previews = {
    [sha256]: { kind: "text", text }, [bytes("aa")]: { kind: "image", type: "image/png", base64: text }, [bytes("bb")]: { kind: "image", type: text, base64: "" },
    [bytes("cc")]: { kind: "table", names: [text], rows: [[text]], of: 2 }, [bytes("dd")]: { kind: "none", why: text },
  };
  data.models = [{ model: text, version: 1, run: 0, run_id: text, artifact: text, sha256, registered: 0, stages: [text] }];
  data.stages = [{ model: text, stage: text, version: 1, previous: null, time: 0, who: text, event: "refuse", why: text, figures: { [text]: { t: "character", v: text } } }];
  data.omitted = [text];
  data.integrity = { status: "corrupt", rows: 1, row: 2, byte: 3, why: text, problems: [{ row: 1, kind: text, problem: text }] };
  return data;
}

const views = ["", "#void=1&selected=0-5&columns=timestamp", "#view=compare&selected=0-5&all=1", "#view=plots&plot=parallel", "#view=plots&plot=curves", "#view=plots&plot=effects", "#group=parent&open=-", "#group=note&empty=1", "#view=models", "#view=integrity"];

test(`${hostile.length} hostile texts in every field run nothing and fetch nothing`, async () => {
  const browser = await launch();
  const { page, wrong } = await open(browser, null);
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  const own = [];
  page.on("request", (request) => { if (/^https?:|^ws/.test(request.url())) own.push(request.url()); });
  for (const text of hostile) {
    const address = new URL(`file://${writePage(hostileLedger(text))}`).href;
    const quoted = encodeURIComponent(text);
    for (const hash of [...views, `#view=run&id=${quoted}`, `#where=${quoted}&search=${quoted}&sort=${quoted}`, `#view=plots&x=${quoted}&y=${quoted}&colour=${quoted}`, `#group=${encodeURIComponent(`tags.${text}`)}&open=${encodeURIComponent(JSON.stringify(text))}&best=${encodeURIComponent(`metrics.${text}`)}`, `#view=plots&plot=curves&metric=${quoted}&zoom=${quoted}&off=${quoted}`, `#view=models&id=${quoted}`]) {
      await page.goto(address + hash);
      if (hash === "#void=1&selected=0-5&columns=timestamp") {
        await page.locator(".row.void .tick").click();
        await page.locator(".condition summary").click();
        await page.locator(".remarks").waitFor();
      }
      if (hash.startsWith("#view=run")) {
        assert((await page.locator(".record").innerText()).length > 300, "the page of the run is there");
        await page.hover("h2");
      }
      const state = await page.evaluate(() => ({
        hit: window.hit, violations: window.violations, scripts: document.scripts.length, links: [...document.querySelectorAll("a, area, form, iframe, object, embed, base, link")].map((link) => link.getAttribute("href") ?? link.localName),
        handlers: [...document.querySelectorAll("*")].flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith("on")),
      }));
      assert.equal(state.hit, undefined, `${text} at ${hash}`);
      assert.deepEqual(state.violations, [], `${text} at ${hash}`);
      assert.deepEqual(state.handlers, [], `${text} at ${hash}`);
      assert(state.scripts <= 2, `${text} at ${hash}`);
      assert.deepEqual(state.links.filter((link) => !/^(#|data:,$)/.test(link)), [], `${text} at ${hash}`);
    }
  }
  assert.deepEqual(own, []);
  assert.deepEqual(wrong.filter((what) => !what.startsWith("request: file:")), []);
});

test("the largest and the smallest numbers that there are can be drawn", async () => {
  const data = madeLedger(8);
  const values = [1.7e308, -1.7e308, { na: true }, 5e-324, 0, 1, 1e308, 1e-310];
  const numbers = (kind, name, from) => ({ kind, name, label: name, type: "double", values: values.map((_, i) => values[(i + from) % 8]).map((value) => (typeof value === "number" ? value : null)) });
  data.runs.columns.push(
    numbers("parameter", "p", 0), numbers("metric", "q", 1),
    ...["tiny", "huge"].map((name, i) => ({ kind: "metric", name, label: name, type: "double", values: Array(8).fill([5e-324, 1.7e308][i]) })),
  );
  data.series = { 0: { q: { step: [-(2 ** 53), 0, 1, 2 ** 53], value: [1.7e308, -1.7e308, 0, 1], time: [1, 2, 3, 4] } } };
  const browser = await launch();
  const { page, wrong } = await open(browser, writePage(data));
  const plots = [["p", "q"], ["tiny", "huge"], ["huge", "tiny"]].flatMap(([x, y]) => ["", "&logX=1&logY=1"].map((log) => `#view=plots&x=${x}&y=${y}&colour=${x}${log}`));
  const views = [
    ...plots, "#view=plots&plot=curves&metric=q", "#view=plots&plot=curves&metric=q&far=1&smooth=0.9", "#view=plots&plot=parallel&axes=p,q,tiny,huge&colour=q",
    "#view=plots&plot=effects&best=q", "#view=plots&plot=effects&best=huge", `#view=run&id=${data.runs.id[0]}`, "#view=compare&selected=0-7", "#group=p&best=q", "#group=model&sort=q&means=1",
  ];
  for (const view of views) {
    await page.evaluate((hash) => { location.hash = hash; }, view);
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
    const odd = await page.evaluate(() => [...document.querySelectorAll("svg *")].flatMap((element) => [...element.attributes]).filter(({ name, value }) => !/^(class|key|aria|title)/.test(name) && /NaN|Infinity|undefined/.test(value)).map(({ name, value }) => `${name}: ${value}`));
    assert.deepEqual(odd, [], view);
    assert.deepEqual(wrong, [], view);
  }
});

test("a condition of any length is answered or refused", async () => {
  const browser = await launch();
  const { page, wrong } = await open(browser, writePage(madeLedger(3)));
  for (const where of [Array(20000).fill("lambda > 0").join(" & "), `${Array(20000).fill("1").join("+")} > lambda`, `${"!".repeat(20000)}TRUE`, `${"(".repeat(20000)}TRUE`]) {
    await page.evaluate((hash) => { location.hash = hash; }, `#where=${encodeURIComponent(where)}`);
    await eventually(async () => assert.match(await page.locator("main").innerText(), /too long|too deeply/));
    await page.evaluate(() => { location.hash = ""; });
    await eventually(async () => assert.doesNotMatch(await page.locator("main").innerText(), /too long|too deeply/));
  }
  await page.evaluate((hash) => { location.hash = hash; }, `#where=${encodeURIComponent(`lambda %in% c(${Array(3000).fill("1").join()}) | ${Array(900).fill("lambda > 0").join(" & ")}`)}`);
  await eventually(async () => assert.equal(await page.locator(".grid .body .row").count(), 3));
  assert.deepEqual(wrong, []);
});

test("an address that selects a million runs is answered on a view of thousands of links", async () => {
  const data = madeLedger(6);
  data.models = Array.from({ length: 12000 }, (_, i) => ({ model: "price", version: i + 1, run: 0, run_id: data.runs.id[0], artifact: "model", sha256: "ab".repeat(32), registered: 0, stages: [] }));
  const browser = await launch();
  const { page, wrong } = await open(browser, writePage(data), "#view=models&selected=0-999999");
  assert.equal(await page.locator("tbody tr").count(), 12000);
  assert.deepEqual(wrong, []);
});

test("the policy stops what gets in all the same", async () => {
  const browser = await launch();
  const { page } = await open(browser, writePage(madeLedger(3)));
  await page.evaluate(async () => {
    const found = window.found = [];
    addEventListener("securitypolicyviolation", (event) => found.push(event.violatedDirective));
    const attempt = async (what) => { try { await what(); } catch { found.push("thrown"); } };
    await attempt(() => { document.body.innerHTML = "<img src=x>"; });
    await attempt(() => fetch("http://evil.example/"));
    await attempt(() => { const script = document.createElement("script"); script.append("window.hit = 1"); document.body.append(script); });
    await attempt(() => new Promise((resolve) => { const image = new Image(); image.onerror = resolve; image.src = "http://evil.example/a.png"; document.body.append(image); }));
  });
  await eventually(async () => {
    const found = await page.evaluate(() => window.found);
    assert(found.filter((what) => what === "thrown").length >= 2, found.join());
    for (const directive of ["require-trusted-types-for", "connect-src", "img-src"]) assert(found.includes(directive), `${directive} in ${found}`);
  });
  assert.equal(await page.evaluate(() => window.hit), undefined);
});

test("axe finds no serious fault on any view, light or dark", { skip: noR || false }, async () => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  const browser = await launch();
  const demo = demonstration();
  const id = demo.data.runs.id[demo.data.models[1].run];
  const every = ["", "#where=nothing+%3E+1", "#search=nowhere", "#void=1&selected=1.3", "#view=compare", "#view=compare&selected=0.30.36&all=1", "#view=compare&selected=35-40", "#view=plots", "#view=plots&colour=lambda", "#view=plots&plot=parallel&colour=learner&brushes=0.1,0.2,test_rmse", "#view=plots&plot=curves", "#view=plots&plot=effects", "#group=learner&open=%22ridge%22", `#view=run&id=${id}`, "#view=run&id=nobody", "#view=models", "#view=integrity"];
  for (const colorScheme of ["light", "dark"]) {
    for (const hash of every) {
      // axe brings its own script, which the page's policy would not let in.
      const { page, context } = await open(browser, demo.page, hash, { colorScheme, bypassCSP: true });
      if (hash === "") await page.locator("summary", { hasText: "Columns" }).click();
      if (hash === "#void=1&selected=1.3") {
        await page.locator(".row.failed .status").click();
        await page.locator(".condition summary").click();
      }
      await page.addScriptTag({ path: axe });
      // What the colours are is all that is different in the dark.
      const rules = colorScheme === "dark" ? ["color-contrast", "link-in-text-block"] : undefined;
      const found = await page.evaluate((rules) => window.axe.run(rules ? { runOnly: rules } : {}), rules);
      const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`), [], `${colorScheme} ${hash}`);
      await context.close();
    }
  }
});
