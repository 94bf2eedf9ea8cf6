// Builds inst/view/page.html: one file, script and style inline, allowed by their hashes and nothing else;
// and inst/view/LICENSES, the licences of what is bundled. `--check` only says whether the committed ones are these.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../../inst/view");

async function bundle(entry) {
  const result = await build({
    absWorkingDir: here, entryPoints: [entry], bundle: true, minify: true, write: false, metafile: true,
    format: "iife", target: ["es2022", "chrome109", "firefox115", "safari16"], charset: "utf8",
    jsx: "automatic", jsxImportSource: "preact", legalComments: "none", logLevel: "warning",
  });
  return { text: result.outputFiles[0].text.trim(), inputs: Object.keys(result.metafile.inputs) };
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

async function page() {
  const script = await bundle("src/app.tsx");
  const style = await bundle("src/style.css");
  const policy = [
    "default-src 'none'", `script-src ${hash(script.text)}`, `style-src ${hash(style.text)}`,
    "img-src data: blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
    "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join("; ");
  const parts = { policy, style: style.text, script: script.text };
  const template = readFileSync(join(here, "src/page.html"), "utf8");
  const html = template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
  return { html, licenses: licenses(script.inputs) };
}

function licenses(inputs) {
  const folders = new Set(inputs.map((path) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license, author, contributors } = JSON.parse(readFileSync(join(here, folder, "package.json")));
    const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].find((file) => existsSync(join(here, folder, file)));
    const person = [author, ...(contributors ?? [])].map((who) => who?.name ?? who).filter(Boolean)[0];
    const text = file ? readFileSync(join(here, folder, file), "utf8").trim() : `${license}, by ${person}`;
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `What is bundled into page.html, each under its own licence.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

const { html, licenses: credits } = await page();
const files = { "page.html": html, LICENSES: credits };
if (process.argv.includes("--check")) {
  const stale = Object.keys(files).filter((name) => {
    const path = join(target, name);
    return !existsSync(path) || readFileSync(path, "utf8") !== files[name];
  });
  if (stale.length) {
    console.error(`Not what the source builds to: ${stale.join(", ")}. Run \`npm run build\` in dev/ui and commit what it makes.`);
    process.exit(1);
  }
} else {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(target, name), text);
}
console.log(`page.html: ${html.length} characters, ${gzipSync(html).length} bytes gzipped`);
