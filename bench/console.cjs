// Measures the web console in Chromium for bench/console.py: settings come as JSON on the standard input, figures go as JSON
// to the standard output. Times are milliseconds, and those of the driver are part of them.
'use strict';

const fs = require('node:fs');
const { chromium } = require('playwright-core');

const told = JSON.parse(fs.readFileSync(0, 'utf8'));
const { origin } = new URL(told.link);
const build = `${origin}/-/builds/${told.large}`;
const figures = { first: [], again: [], project: [], build: [], opened: [], end: [], linked: [], found: [], heap: [] };

async function timed(name, work) {
  const begun = performance.now();
  await work();
  figures[name].push(performance.now() - begun);
}

async function main() {
  const browser = await chromium.launch({
    executablePath: told.browser,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--enable-precise-memory-info'],
  });
  const context = async (session) => {
    const made = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    made.setDefaultTimeout(120_000);
    if (session) await made.addInitScript((kept) => sessionStorage.setItem('kiln.session', kept), session);
    return made;
  };
  const projects = (page) => page.getByRole('row', { name: /^small/ }).getByText('Succeeded').waitFor();
  const line = (page, text) => page.locator('.log-text', { hasText: text }).first().waitFor();

  const first = await (await context()).newPage();
  await first.goto(told.link);
  await projects(first);
  const session = await first.evaluate(() => sessionStorage.getItem('kiln.session'));
  await first.context().close();

  for (let round = 0; round < told.rounds; round++) {
    const some = await context(session);
    const page = await some.newPage();
    await timed('first', async () => {
      await page.goto(`${origin}/-/`);
      await projects(page);
    });
    figures.loaded ??= await page.evaluate(() => {
      const files = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/-/assets/'));
      const sum = (of) => files.reduce((all, file) => all + of(file), 0);
      return { files: files.length, packed: sum((f) => f.encodedBodySize), plain: sum((f) => f.decodedBodySize) };
    });
    await timed('again', async () => {
      await page.reload();
      await projects(page);
    });
    await timed('project', async () => {
      await page.getByRole('link', { name: 'small', exact: true }).click();
      await page.getByRole('link', { name: '#3', exact: true }).waitFor();
    });
    await timed('build', async () => {
      await page.getByRole('link', { name: '#3', exact: true }).click();
      await line(page, /\d/);
    });
    await some.close();
  }

  // Each line says when it was printed; the page says when it has it.
  const live = await (await context(session)).newPage();
  await live.goto(`${origin}/-/projects/ticks`);
  await live.getByRole('button', { name: 'Start build', exact: true }).click();
  await live.locator('.log').waitFor();
  await live.evaluate(() => {
    window.delays = [];
    const seen = new Set();
    const look = () => {
      for (const { textContent } of document.querySelectorAll('.log-text')) {
        const found = /^tick (\d{13})$/.exec(textContent);
        if (!found || seen.has(found[1])) continue;
        seen.add(found[1]);
        window.delays.push(Date.now() - Number(found[1]));
      }
    };
    new MutationObserver(look).observe(document.querySelector('.log'), {
      subtree: true,
      childList: true,
      characterData: true,
    });
  });
  await live.waitForFunction((ticks) => window.delays.length >= ticks * 0.95, told.ticks, { timeout: 600_000 });
  figures.delays = await live.evaluate(() => window.delays);
  await live.context().close();

  for (let round = 0; round < told.rounds; round++) {
    const some = await context(session);
    const page = await some.newPage();
    await timed('opened', async () => {
      await page.goto(build);
      await line(page, /\S\S/);
    });
    await page.getByRole('button', { name: 'Options' }).click();
    await timed('end', async () => {
      await page.getByRole('menuitem', { name: 'Last line' }).click();
      await line(page, told.needle);
    });
    await page.getByRole('button', { name: 'Options' }).click();
    await page.getByRole('menuitem', { name: 'First line' }).click();
    await page.locator('.log-row[data-line="1"]').waitFor();
    const search = page.getByRole('searchbox', { name: 'Search the log' });
    await search.fill(told.needle);
    await page.getByText('2 lines found', { exact: true }).waitFor();
    await search.press('Enter');
    await page.locator('.log-found').waitFor();
    await timed('found', async () => {
      await search.press('Enter');
      await page.locator(`.log-found[data-line="${told.needleLine}"]`).waitFor();
    });
    // A walk through all of it, in 200 steps.
    await page.locator('.log-view').evaluate(async (view) => {
      for (let step = 0; step <= 200; step++) {
        view.scrollTop = (view.scrollHeight * step) / 200;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
    figures.heap.push(await page.evaluate(() => performance.memory.usedJSHeapSize));
    const middle = Math.floor(told.lines / 2);
    await timed('linked', async () => {
      await page.goto(`${build}?line=${middle}`);
      await page.locator(`.log-row[data-line="${middle}"] .log-text`, { hasText: /\S\S/ }).waitFor();
    });
    await some.close();
  }
  await browser.close();
  console.log(JSON.stringify(figures));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
