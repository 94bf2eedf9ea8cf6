// The README's pictures, of the demonstration ledger: R_LIBS=... npm run pictures

import { test } from "node:test";
import { join } from "node:path";
import { demonstration, here, launch, open } from "./browser.mjs";

const figures = join(here, "../../../man/figures");

test("pictures", async () => {
  const browser = await launch();
  const { page: address, data } = demonstration();
  const found = data.models.map(({ run }) => run);
  const networks = data.runs.id.map((_, place) => place).filter((place) => data.series[place]?.loss);
  const shots = {
    "view-runs": `#where=is.na(span)&sort=test_rmse&selected=${found.join(".")}&columns=test_rmse&columns=train_rmse&columns=learner&columns=lambda&columns=eta&columns=hidden&columns=timestamp&columns=status&columns=${encodeURIComponent("tags.by")}&columns=duration`,
    "view-curves": `#view=plots&plot=curves&selected=${networks.join(".")}&metric=test_loss&logY=1`,
  };
  for (const [name, hash] of Object.entries(shots)) {
    const { page } = await open(browser, address, hash, { viewport: { width: 1200, height: 680 } });
    await page.locator(".grid .row, .plot svg path").first().waitFor();
    await page.screenshot({ path: join(figures, `${name}.png`) });
  }
});
