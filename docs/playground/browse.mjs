// Ask the page's models in headless Chromium: node browse.mjs ADDRESS [SCREENSHOT] < texts.json
//
// The input is `{"pronunciation": [texts], "language": [texts]}`; the answers of `generate` and
// `classify` are written in the same form.

import { readFileSync } from "node:fs";
import process from "node:process";

import puppeteer from "puppeteer-core";

const [address, screenshot] = process.argv.slice(2);
const asked = JSON.parse(readFileSync(0, "utf8"));
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"], // Chromium refuses to start as root with one.
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.setViewport({ width: 820, height: 1000, deviceScaleFactor: 2 });
  await page.goto(address);
  await page.waitForSelector("body[data-ready]", { timeout: 120_000 });
  const answers = await page.evaluate(async (asked) => {
    const methods = { pronunciation: "generate", language: "classify" };
    const found = {};
    for (const [name, texts] of Object.entries(asked)) {
      found[name] = [];
      for (const text of texts) found[name].push(await window.models[name][methods[name]](text));
    }
    return found;
  }, asked);
  // What is typed is answered on the page, too.
  const first = asked.pronunciation[0];
  await page.$eval("#pronunciation-input", (input) => (input.value = ""));
  await page.type("#pronunciation-input", first);
  await page.waitForSelector(`#pronunciation-input[data-answered="${first}"]`);
  answers.shown = await page.$eval("#pronunciation-output .best", (best) => best.textContent);
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  if (errors.length) throw new Error(errors.join("\n"));
  process.stdout.write(JSON.stringify(answers));
} finally {
  await browser.close();
}
