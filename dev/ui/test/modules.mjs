// The page's own modules, for tests that need no browser.

import { build } from "esbuild";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const source = join(dirname(fileURLToPath(import.meta.url)), "../src");

/** What some files of `src` export. */
export async function load(...files) {
  const contents = files.map((file) => `export * from "./${file}";`).join("\n");
  const folder = mkdtempSync(join(tmpdir(), "fitledger-modules-"));
  try {
    const outfile = join(folder, "modules.mjs");
    await build({ stdin: { contents, resolveDir: source }, bundle: true, outfile, format: "esm" });
    return await import(pathToFileURL(outfile));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
