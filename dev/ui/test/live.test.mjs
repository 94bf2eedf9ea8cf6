// The live page, while another process trains.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { eventually, folder, launch, noR, open } from "./browser.mjs";

const before = 2000;
const values = 60;

/** An R process: its lines as they come, until it is told to end. */
function startR(code) {
  const child = spawn("Rscript", ["-e", code], { stdio: ["pipe", "pipe", "inherit"] });
  after(() => child.kill());
  let [rest, waiting] = ["", []];
  const lines = [];
  child.stdout.on("data", (chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    for (const line of parts) (waiting.shift() ?? ((text) => lines.push(text)))(line);
  });
  child.on("exit", () => waiting.forEach((tell) => tell(null)));
  return {
    line: () => (lines.length ? Promise.resolve(lines.shift()) : new Promise((resolve) => waiting.push(resolve))),
    end: () => new Promise((resolve) => { child.on("exit", resolve); child.stdin.end(); }),
  };
}

test("ten values a second are seen as they come, for traffic as small as what is new", { skip: noR || false }, async () => {
  const ledger = join(folder(), "live.csv");
  const server = startR(`
    library(fitledger)
    grid <- data.frame(k = seq_len(${before}), loss = 0)
    invisible(log_runs("${ledger}", grid, params = "k", metrics = "loss"))
    cat(view_runs("${ledger}", live = TRUE, open = FALSE), "\\n")
    invisible(readLines("stdin"))`);
  const address = (await server.line()).trim();
  const browser = await launch();
  const { page, wrong } = await open(browser, null);
  const traffic = [];
  page.on("response", async (response) => {
    if (!response.url().includes("data?since")) return;
    const { responseHeadersSize, responseBodySize } = await response.request().sizes();
    traffic.push({ status: response.status(), bytes: responseBodySize, head: responseHeadersSize });
  });
  await page.goto(`${address}#columns=k&columns=loss`);
  await page.locator(".live.live").waitFor();
  assert.match(await page.locator(".summary").innerText(), /2,000 runs/);
  await page.evaluate(() => {
    window.seen = [];
    const look = () => {
      const loss = Number(document.querySelector(".grid .body [role=row]")?.children[3]?.textContent);
      while (loss > window.seen.length) window.seen.push(Date.now());
    };
    new MutationObserver(look).observe(document.querySelector("main"), { subtree: true, childList: true, characterData: true });
  });

  const trainer = startR(`
    library(fitledger)
    run <- start_run("${ledger}", list(k = -1L))
    for (i in seq_len(${values})) {
      log_metrics(run, loss = i, step = i)
      cat(sprintf("%.0f", as.numeric(Sys.time()) * 1000), "\\n")
      Sys.sleep(0.1)
    }
    invisible(readLines("stdin"))
    end_run(run)`);
  const logged = [];
  for (let i = 0; i < values; i++) logged.push(Number(await trainer.line()));
  // What is held back in the trainer's process comes with its next call: the last values wait for its end.
  await eventually(async () => assert(await page.evaluate(() => window.seen.length) >= values - 4));
  const seen = await page.evaluate(() => window.seen);
  const late = seen.map((time, i) => time - logged[i]);
  late.sort((a, b) => a - b);
  console.log(`   ${late.length} of ${values} values seen while it trains: median ${late[late.length >> 1]} ms, slowest ${late.at(-1)} ms`);
  if (late.at(-1) > 1000) console.log("   MORE THAN A SECOND");

  const news = traffic.filter(({ status }) => status === 200);
  const quiet = traffic.filter(({ status }) => status === 204);
  const bytes = news.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`   ${news.length} patches of ${Math.round(bytes / news.length)} bytes, ${Math.round(bytes / values)} bytes a value, beside ${before} runs on record; ${quiet.length} answers without news`);
  assert(bytes / values < 1000, "a value costs its own bytes");
  assert(Math.max(...news.map(({ bytes }) => bytes)) < 5000, "no patch sends what was there");

  // How long it has been running counts on, whatever is logged.
  const { page: other } = await open(browser, null);
  await other.goto(`${address}#where=${encodeURIComponent('status == "running"')}&columns=status&columns=duration`);
  const elapsed = other.locator(".row.running .elapsed");
  const first = await elapsed.innerText();
  await eventually(async () => assert.notEqual(await elapsed.innerText(), first));
  assert.doesNotMatch(await other.locator(".row.running").innerText(), /as of/);
  await other.context().close();

  // What one looks at stays.
  await page.getByRole("grid", { name: "Runs" }).evaluate((grid) => { grid.scrollTop = 3000; });
  await page.locator(".grid .body [role=row]").nth(20).locator(".tick input").click();
  const selected = await page.locator('.row[aria-selected="true"]').getAttribute("id");
  const top = () => page.locator(`#${selected}`).evaluate((row) => row.getBoundingClientRect().top);
  const at = await top();
  await trainer.end();
  const more = startR(`library(fitledger); for (i in 1:3) log_run("${ledger}", list(k = -2L), list(loss = 1))`);
  await more.end();
  await page.locator(".summary", { hasText: "2,004 runs" }).waitFor();
  assert.equal(await page.locator('.row[aria-selected="true"]').getAttribute("id"), selected);
  assert.equal(Math.round(await top()), Math.round(at));

  // Every value is there, and the curve has grown by all of them.
  const id = await page.evaluate(() => { document.querySelector(".grid").scrollTop = 0; return new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => resolve([...document.querySelectorAll(".grid .body [role=row]")].find((row) => row.children[2].textContent === "-1").querySelector(".id a").title)))); });
  await page.goto(`${address}#view=run&id=${id}`);
  await page.getByRole("img", { name: new RegExp(`loss: ${values} points, from 1 to ${values}`) }).waitFor();

  // The file goes, and comes back.
  renameSync(ledger, `${ledger}.away`);
  await page.locator(".live.gone").waitFor();
  renameSync(`${ledger}.away`, ledger);
  await page.locator(".live.live").waitFor();
  await server.end();
  await page.locator(".live.gone").waitFor();
  assert(existsSync(ledger));
  assert.deepEqual(wrong.filter((what) => !/^request: http:\/\/127\.0\.0\.1|Failed to load resource|ERR_CONNECTION/.test(what)), []);
});
