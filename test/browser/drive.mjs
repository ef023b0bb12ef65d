// Drives Chromium as a list of jobs says, which comes on standard input as JSON, and writes
// what it has seen to standard output, one JSON object for each job.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const { base, jobs } = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

// what cannot be seen from outside: where the focus is, and whether that shows.
const focused = () => {
  const e = document.activeElement;
  if (!e || e === document.body) {
    return null;
  }
  const style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  return {
    name: (e.getAttribute("aria-label") || e.textContent || e.name || e.id || e.tagName).trim().slice(0, 40),
    tag: e.tagName.toLowerCase(),
    shows: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.height > 0 && box.right > 0,
  };
};

for (const job of jobs) {
  const seen = { path: job.path, errors: [], strange: [], dialogs: 0 };
  const context = await browser.newContext({
    viewport: { width: job.width || 1200, height: job.height || 900 },
    colorScheme: job.dark ? "dark" : "light",
    javaScriptEnabled: !job.plain,
    deviceScaleFactor: 1,
    locale: "en-GB",
  });
  const page = await context.newPage();
  page.on("pageerror", (e) => seen.errors.push(String(e)));
  page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") seen.errors.push(m.text()); });
  page.on("request", (r) => { if (!r.url().startsWith(base + "/")) seen.strange.push(r.url()); });
  page.on("dialog", (d) => { seen.dialogs++; d.dismiss(); });
  try {
    const answer = await page.goto(base + job.path, { waitUntil: "load" });
    seen.status = answer.status();
    for (const step of job.steps || []) {
      if (step.fill) await page.fill(step.fill, step.with);
      if (step.select) await page.selectOption(step.select, step.with);
      if (step.click) await page.click(step.click);
      if (step.press) for (let i = 0; i < (step.times || 1); i++) await page.keyboard.press(step.press);
      if (step.type) await page.keyboard.type(step.type);
      if (step.await) await page.waitForSelector(step.await, { timeout: 15000 });
      for (let i = 0; step.until && i < 60; i++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((css) => document.activeElement.matches(css), step.until)) break;
      }
      if (step.tabs) {
        seen.focus = [];
        for (let i = 0; i < step.tabs; i++) {
          await page.keyboard.press("Tab");
          const at = await page.evaluate(focused);
          if (!at) break;
          seen.focus.push(at);
        }
      }
    }
    seen.url = page.url().slice(base.length);
    seen.title = await page.title();
    if (!job.plain) {
      seen.attacked = await page.evaluate(() => "attacked" in window);
      seen.wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    }
    if (!job.plain && !job.quick) {
      await page.evaluate(axe);
      const found = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
      seen.axe = found.violations.map((v) => ({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)) }));
      seen.passes = found.passes.length;
    }
    seen.text = await page.locator("main").innerText();
    if (job.picture) {
      await page.screenshot({ path: job.picture, fullPage: !job.height });
    }
  } catch (e) {
    seen.failed = String(e);
  }
  await context.close();
  process.stdout.write(JSON.stringify(seen) + "\n");
}
await browser.close();
