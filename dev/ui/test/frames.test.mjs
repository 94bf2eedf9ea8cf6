// What is on the screen while one scrolls: not the page's own elements, which it could have before they are painted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, launch, open, writePage } from "./browser.mjs";
import { madeLedger } from "./made.mjs";

const row = ".grid .body [role=row]";

test("a hundred thousand runs scroll without blank rows", async () => {
  const { page, context, wrong } = await open(await launch(), writePage(madeLedger(100_000)));
  await page.locator(row).first().waitFor();
  const frames = [];
  const session = await context.newCDPSession(page);
  session.on("Page.screencastFrame", ({ data, sessionId }) => {
    frames.push(data);
    session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
  });
  const box = await page.locator(".grid").boundingBox();
  await page.mouse.move(box.x + 400, box.y + 300);
  await session.send("Page.startScreencast", { format: "jpeg", quality: 70 });
  await eventually(async () => {
    for (let i = 0; i < 60; i++) await page.mouse.wheel(0, i < 40 ? 300 : -5000);
    for (const top of [0.5, 0.1, 0.9, 1]) await page.locator(".grid").evaluate((grid, top) => { grid.scrollTop = top * grid.scrollHeight; }, top);
    assert(frames.length > 10, "frames are shown");
  });
  // Until a change after the last one is shown.
  const before = frames.length;
  await page.evaluate(() => { document.querySelector("h1").textContent = "to the end"; });
  await eventually(async () => assert(frames.length > before, "the end is shown"));
  await session.send("Page.stopScreencast");

  // A row's first column has always ink; a band of the height of two rows without any is blank.
  const blank = await page.evaluate(async ([frames, box]) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const blank = [];
    for (const [at, frame] of frames.entries()) {
      const image = await createImageBitmap(new Blob([Uint8Array.from(atob(frame), (c) => c.charCodeAt(0))]));
      Object.assign(canvas.canvas, { width: image.width, height: image.height });
      canvas.drawImage(image, 0, 0);
      const scale = image.width / innerWidth;
      const [left, top, width, height] = [box.x + 45, box.y + 32, 100, 60].map((x) => Math.round(x * scale));
      for (let y = top; y + height < Math.min(image.height, (box.y + box.height) * scale); y += Math.round(height / 2)) {
        const { data } = canvas.getImageData(left, y, width, height);
        let [low, high] = [255, 0];
        for (let i = 1; i < data.length; i += 4) [low, high] = [Math.min(low, data[i]), Math.max(high, data[i])];
        if (high - low < 60) blank.push(`frame ${at}, at ${y}`);
      }
    }
    return blank;
  }, [frames, box]);
  console.log(`   ${frames.length} frames as they were shown, ${blank.length} blank bands`);
  assert.deepEqual(blank, []);
  assert.match(await page.locator(row).last().getAttribute("aria-rowindex"), /^9\d{4}$|^100\d{3}$/);
  assert.deepEqual(wrong, []);
  await context.close();
});
