// The folders of src are layers: each imports only from those before it, and no two files import each other, be it by
// way of others.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { source } from "./modules.mjs";

/** From the bottom up; `app.tsx` is above them all. */
const layers = ["data", "query", "parts", "views"];

const rank = (file) => (file === "app.tsx" ? layers.length : layers.indexOf(file.split("/")[0]));

function faults(imports) {
  const found = [];
  for (const [file, imported] of imports) {
    if (rank(file) < 0) found.push(`${file} is in no layer`);
    for (const other of imported) if (rank(other) > rank(file)) found.push(`${file} imports ${other}, which is above it`);
  }
  const [done, path] = [new Set(), []];
  const visit = (file) => {
    if (path.includes(file)) found.push(`a circle: ${[...path.slice(path.indexOf(file)), file].join(" imports ")}`);
    if (done.has(file) || path.includes(file)) return;
    path.push(file);
    (imports.get(file) ?? []).forEach(visit);
    done.add(path.pop());
  };
  [...imports.keys()].forEach(visit);
  return found;
}

test("the page is in layers", () => {
  const files = readdirSync(source, { recursive: true }).filter((file) => /\.tsx?$/.test(file));
  const imports = new Map(files.map((file) => {
    const text = readFileSync(join(source, file), "utf8");
    const paths = [...text.matchAll(/^(?:import|export)\b[^;]*?from "(\.[^"]*)"|\bimport\("(\.[^"]*)"\)/gm)].map(([, path, later]) => path ?? later);
    return [file, paths.map((path) => relative(source, join(source, dirname(file), path)))];
  }));
  const known = new Set(files);
  for (const imported of imports.values()) for (const file of imported) assert(known.has(file), file);
  assert([...imports.values()].flat().length > 50);
  assert.deepEqual(faults(imports), []);
});

test("what breaks the rule is found", () => {
  assert.deepEqual(faults(new Map([["views/run.tsx", ["data/page.ts"]], ["data/page.ts", []]])), []);
  assert.match(faults(new Map([["data/page.ts", ["parts/text.ts"]]])).join(), /above it/);
  assert.match(faults(new Map([["data/a.ts", ["data/b.ts"]], ["data/b.ts", ["data/a.ts"]]])).join(), /circle: data\/a.ts imports data\/b.ts imports data\/a.ts/);
  assert.match(faults(new Map([["elsewhere.ts", []]])).join(), /no layer/);
});
