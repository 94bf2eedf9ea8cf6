// The page's own modules, for tests that need no browser.

import { build } from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const source = join(dirname(fileURLToPath(import.meta.url)), "../src");

export async function load(...names) {
  const contents = names.map((name) => `export * from "./${name}.ts";`).join("\n");
  const result = await build({ stdin: { contents, resolveDir: source }, bundle: true, write: false, format: "esm" });
  return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0].text).toString("base64")}`);
}
