// A browser, and pages in it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export const here = dirname(fileURLToPath(import.meta.url));
const template = readFileSync(join(here, "../../../inst/view/page.html"), "utf8");
/** In milliseconds: what takes longer hangs, on a busy machine too. */
const patience = 300_000;
const place = '<script id="ledger" type="application/json"></script>';

function executable() {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      // Not this one.
    }
  }
  throw new Error("There is no Chromium here.");
}

/** A folder that is gone after the tests. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "fitledger-view-"));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The page as R would write it. */
export function writePage(data, path = join(folder(), "page.html")) {
  const json = JSON.stringify(data).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  writeFileSync(path, template.replace(place, () => place.replace("></", () => `>${json}</`)));
  return path;
}

export async function launch() {
  const browser = await chromium.launch({
    executablePath: executable(),
    timeout: patience,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  after(() => browser.close());
  return browser;
}

/** Opens a page, with a list of everything that went wrong on it: errors, dialogs, requests, violations. */
export async function open(browser, address, hash = "", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("console", (message) => { if (message.type() === "error") wrong.push(`console: ${message.text()}`); });
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  if (!address) return { page, context, wrong };
  const url = address.startsWith("http") ? address : pathToFileURL(address).href;
  page.on("request", (request) => {
    if (!request.url().startsWith(url.split("#")[0]) && !/^(data|blob):/.test(request.url())) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(url + hash);
  // The title is set when the page listens to what is done on it.
  await eventually(async () => assert.match(await page.title(), / · fitledger$/));
  return { page, context, wrong };
}

/** A check that may have to wait until the page has caught up; what it says in the end is why it fails. */
export async function eventually(check) {
  const end = Date.now() + patience;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Why R can't be asked here; the empty text where it can. Who names a library means it to be there. */
export const noR = (() => {
  try {
    execFileSync("Rscript", ["-e", "library(fitledger)"], { stdio: "pipe" });
    return "";
  } catch (error) {
    if (process.env.R_LIBS) throw error;
    return `SKIPPED ALOUD: R with fitledger isn't there (set R_LIBS): ${String(error.stderr ?? error.message).trim()}`;
  }
})();

/** The data in a page. */
export function pageData(page) {
  const [, json] = /<script id="ledger" type="application\/json">(.*?)<\/script>/s.exec(readFileSync(page, "utf8"));
  return JSON.parse(json);
}

/** The page that view_runs() writes of a ledger that a script of R makes, and its data. */
export function demonstration(script = "demo.R") {
  const path = folder();
  execFileSync("Rscript", [join(here, script), path], { stdio: "pipe", env: { ...process.env, LC_ALL: "C.UTF-8" } });
  const page = join(path, "page.html");
  return { folder: path, page, data: pageData(page) };
}
