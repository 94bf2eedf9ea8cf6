// What somebody sees who has chosen nothing yet: the columns, the star, and how all of it fits on the screen.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { demonstration, eventually, launch, noR, open } from "./browser.mjs";

const skip = noR || false;
if (noR) console.error(noR);
const browser = skip ? null : await launch();
const cells = skip ? null : demonstration("first.R");
const small = skip ? null : join(cells.folder, "small.html");
const demo = skip ? null : demonstration();

async function use(address, hash, check, viewport = { width: 1300, height: 800 }) {
  const { page, context, wrong } = await open(browser, address, hash, { viewport });
  await check(page);
  assert.deepEqual(wrong, []);
  await context.close();
}

const heads = (page) => page.locator(".grid [role=columnheader] .label").allInnerTexts();
const summary = (page) => page.locator(".summary").innerText();
/** The cells, of those that a selector finds, of which something is cut off. */
const cut = (page, selector) => page.locator(selector).evaluateAll((found) => found.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.innerText));
/** Whether all of an element is on the screen and nothing stands before it. */
const inSight = (locator) => locator.evaluate((element) => {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return [[left + 1, top + 4], [right - 1, bottom - 4]].every(([x, y]) => element.contains(document.elementFromPoint(x, y)));
});

test("the end of a long id and the star are in sight", { skip }, async () => {
  for (const width of [1300, 500]) {
    for (const group of ["", "#group=learner&open=%22rpart%22"]) {
      await use(small, group, async (page) => {
        const link = page.locator(".row.best .id a");
        await eventually(async () => assert.match(await link.innerText(), /-2986$/));
        assert.equal(await link.getAttribute("title"), "20240301-091502-2986");
        assert(await inSight(link), `the id, ${width}${group}`);
        assert(await inSight(page.locator(".row.best .star")), `the star, ${width}${group}`);
        assert.deepEqual(await cut(page, ".grid .row .id"), []);
        const texts = await page.locator(".grid .row:not(.group) .id a").allInnerTexts();
        assert.equal(new Set(texts).size, texts.length, texts.join());
        assert(texts.some((text) => /^.*….*th_all_data$/.test(text)), texts.join());
      }, { width, height: 800 });
    }
  }
});

test("how a run ended is in sight where its status isn't", { skip }, () => use(demo?.page, "#void=1", async (page) => {
  for (const [status, sign] of [["failed", "✕"], ["void", "∅"]]) {
    const mark = page.locator(`.row.${status} .id .mark`).first();
    await eventually(async () => assert.equal(await mark.innerText(), sign));
    assert(await inSight(mark), status);
  }
  assert.equal(await page.locator(".row.finished .mark").count(), 0);
}));

test("values of metrics are whole, the best ones too", { skip }, async () => {
  for (const [address, hash] of [[small, ""], [small, "#maximize=1"], [cells?.page, ""], [demo?.page, ""]]) {
    await use(address, hash, async (page) => {
      const bold = page.locator(".best-value");
      await eventually(async () => assert.match(await bold.innerText(), /^\d\.\d{3,}$/));
      assert(await bold.evaluate((cell) => Number(getComputedStyle(cell).fontWeight) > 600));
      assert.deepEqual(await cut(page, ".grid .row .number.pinned"), []);
    });
  }
});

test("parameters that differ stand beside the metrics, and stay there", { skip }, async () => {
  const expected = ["run", "roc_auc", "accuracy", "brier_class", "cost_complexity", "tree_depth", "min_n", "timestamp", "status"];
  await use(cells?.page, "", async (page) => {
    await eventually(async () => assert.deepEqual((await heads(page)).slice(0, 9), expected));
    const right = await page.locator("[role=columnheader]", { hasText: "min_n" }).evaluate((head) => innerWidth - head.getBoundingClientRect().right);
    assert(right >= 0, "what was tuned is on the screen");
    // What no run shown has any more is hidden, the others keep their order.
    for (const where of ["min_n > 0", "tree_depth > 5", 'engine == "rpart"']) {
      await page.getByLabel("Where", { exact: true }).fill(where);
      await eventually(async () => assert.match(await summary(page), /of 14 runs/));
      assert.deepEqual((await heads(page)).slice(0, 9), expected, where);
    }
  });
  await use(small, "", (page) => eventually(async () => assert.deepEqual((await heads(page)).slice(0, 4), ["run", "rmse", "learner", "maxdepth"])));
});

test("the star is for the metric by which the search chose", { skip }, async () => {
  const { ids, first, best } = { ids: cells?.data.runs.id, first: 1, best: 12 };
  await use(cells?.page, "", async (page) => {
    await eventually(async () => assert.match(await summary(page), /best: highest roc_auc 0\.69899 .*the search says so/));
    assert.equal(await page.locator(".row.best .id a").getAttribute("title"), ids[first]);
    await page.locator("#best").selectOption("accuracy");
    await eventually(async () => assert.equal(await page.locator(".row.best .id a").getAttribute("title"), ids[best]));
  });
  // Candidates belong to their search where it isn't shown; other runs don't.
  await use(cells?.page, "#where=min_n+%3E+0", (page) => eventually(async () => assert.match(await summary(page), /highest roc_auc/)));
  await use(cells?.page, "#where=engine+%3D%3D+%22C5.0%22&void=1", (page) => eventually(async () => assert.equal(await page.locator("#best").inputValue(), "brier_class")));
});

test("runs that have parents can be grouped by them", { skip }, async () => {
  await use(cells?.page, "", async (page) => {
    await page.getByRole("button", { name: "group by parent" }).click();
    await eventually(async () => assert.match(await summary(page), /1 group by parent/));
    assert.equal(await page.locator("#group").inputValue(), "parent");
    assert.equal(await page.getByRole("button", { name: "group by parent" }).count(), 0);
  });
  await use(small, "", async (page) => {
    await eventually(async () => assert.match(await summary(page), /7 runs/));
    assert.equal(await page.getByRole("button", { name: "group by parent" }).count(), 0);
  });
});

test("the toolbar is one line, and the edge stands after the last metric that stays", { skip }, async () => {
  for (const hash of ["", "#group=parent", "#columns=status&columns=brier_class&columns=roc_auc&columns=min_n&columns=accuracy"]) {
    for (const width of [1300, 700, 500]) {
      await use(cells?.page, hash, async (page) => {
        await page.locator(".grid .row").nth(1).waitFor();
        const columns = await page.locator(".grid .head .row > :nth-child(n + 3)").evaluateAll((all) => all.map(({ classList }) => [classList.contains("pinned"), classList.contains("ends")]));
        const last = columns.findLastIndex(([pinned]) => pinned);
        assert.deepEqual(columns.flatMap(([, ends], i) => (ends ? [i] : [])), last < 0 ? [] : [last], `${hash} ${width}`);
        if (width < 1300) return;
        assert.equal(await page.locator(".grid .head .ends").evaluate((head) => getComputedStyle(head).borderRightWidth), "1px");
        if (!hash) assert.equal(last, 2, "three metrics have room");
        const [condition, buttons] = await Promise.all([".condition", ".buttons"].map((part) => page.locator(part).boundingBox()));
        assert(Math.abs(condition.y + condition.height - buttons.y - buttons.height) < 2, `${condition.y} ${buttons.y}`);
      }, { width, height: 800 });
    }
  }
});

test("a narrow screen: no bar in the row of tabs, and what isn't the condition is folded", { skip }, () => use(cells?.page, "", async (page) => {
  assert(await page.locator("nav").evaluate((nav) => getComputedStyle(nav).overflowY === "visible" || nav.scrollHeight <= nav.clientHeight), "a bar beside the tabs");
  const top = () => page.locator(".grid").evaluate((grid) => grid.getBoundingClientRect().top);
  const options = page.getByRole("button", { name: "Options" });
  await eventually(async () => assert.equal(await options.getAttribute("aria-expanded"), "false"));
  assert(await top() < 300, `the table begins at ${await top()}`);
  assert.equal(await page.locator("#best").isVisible(), false);
  await options.press("Enter");
  await eventually(async () => assert(await page.locator("#best").isVisible()));
  await page.getByLabel("Search").fill("rpart");
  await page.reload();
  await eventually(async () => assert.equal(await page.getByLabel("Search").inputValue(), "rpart"));
  assert(await page.getByLabel("Search").isVisible(), "what leaves out runs isn't hidden");
  await page.getByText("?", { exact: true }).click();
  const panel = await page.locator(".condition .panel").boundingBox();
  assert(panel.x >= 0 && panel.x + panel.width <= 500, JSON.stringify(panel));
}, { width: 500, height: 800 }));

test("nothing scrolls but the views", { skip }, async () => {
  for (const view of ["runs", "compare&selected=0-3", "plots", "models", "integrity", `run&id=${demo?.data.runs.id[3]}`]) {
    await use(demo?.page, `#view=${view}`, async (page) => {
      await page.locator("main > *").first().waitFor();
      const [all, seen] = await page.evaluate(() => [document.documentElement.scrollHeight, innerHeight]);
      assert(all <= seen, `${view} is ${all} high`);
    });
  }
  await use(demo?.page, "#view=models", async (page) => {
    await page.locator(".lineage svg").waitFor();
    const within = await page.locator("main *").evaluateAll((all) => all.filter((element) => element.scrollHeight > element.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(element).overflowY)).map(({ className }) => className));
    assert.deepEqual(within, []);
  });
});
