// Logs: what a build prints, and millions of lines.
'use strict';

const { accessible, assert, fits, narrow, shot, signedIn, step, url } = require('./browser.cjs');

const log = (page) => page.locator('.log-view');
const row = (page, line) => page.locator(`.log-row[data-line="${line}"]`);
const status = (page, text) => page.locator('h1', { hasText: text }).waitFor();

step('what a build prints is text', async () => {
  for (const [name, options] of [
    ['hostile', {}],
    ['hostile-dark-narrow', { viewport: narrow, colorScheme: 'dark' }],
  ]) {
    const page = await signedIn(options);
    await page.goto(`${url}/-/builds/${process.env.CONSOLE_HOSTILE}`);
    await status(page, 'Failed');
    // It opens at what failed.
    await page.locator('.log-text', { hasText: 'the last words' }).first().waitFor();
    // The output of the first command, below what it is.
    const first = Number(process.env.CONSOLE_HOSTILE_LINE);
    await page.goto(`${url}/-/builds/${process.env.CONSOLE_HOSTILE}?line=${first}-${first + 5}`);
    await row(page, first).locator('.log-text', { hasText: '<img src=x onerror="alert(1)">' }).waitFor();
    await row(page, first + 6).locator('.ansi-f1', { hasText: 'red' }).waitFor();
    // What the command is stands above, as the text that it is.
    const shown = await page.locator('.log').evaluate((element, from) => ({
      strange: element.querySelectorAll('img, script, iframe, object, embed, [onerror], [onload]').length,
      links: [...element.querySelectorAll('a')].filter((a) => !a.getAttribute('href').startsWith('/-/builds/')).length,
      named: [...element.querySelectorAll('.log-named')].map((one) => one.textContent),
      text: [...element.querySelectorAll('.log-row')]
        .filter((one) => Number(one.dataset.line) >= from)
        .map((one) => one.textContent)
        .join('\n'),
    }), first);
    assert.equal(shown.strange + shown.links, 0);
    assert.ok(shown.named.includes('U+202E'), JSON.stringify(shown.named));
    assert.ok(shown.text.includes('hidden? no') && !/[\u202a-\u202e\u2066-\u2069]/.test(shown.text));
    assert.ok(!shown.text.includes('evil.example/osc8'));
    assert.equal(await page.evaluate(() => document.title.includes('hijacked')), false);
    await accessible(page, name);
    await fits(page, name);
    await shot(page, name);
    await page.getByRole('button', { name: 'First error' }).click();
    await page.locator('.log-text', { hasText: /^the last words$/ }).waitFor();
    await shot(page, `${name}-error`);
    // Its line of a megabyte is there, and bounded.
    const longest = await page.locator('.log').evaluate((element) => element.textContent.length);
    assert.ok(longest < 100_000, `${longest} characters`);
    await page.context().close();
  }
});

step('commands fold', async () => {
  const page = await signedIn();
  await page.goto(`${url}/-/builds/${process.env.CONSOLE_HOSTILE}`);
  await page.locator('.log-text', { hasText: 'the last words' }).first().waitFor();
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByRole('menuitem', { name: 'Fold all', exact: true }).click();
  await page.locator('.log-note-bad', { hasText: 'exit 3' }).waitFor();
  await page.locator('.log-note', { hasText: 'folded' }).first().waitFor();
  assert.equal(await page.locator('.log-text', { hasText: /^the last words$/ }).count(), 0);
  await page.getByRole('button', { name: 'Unfold the output of this command' }).last().click();
  await page.locator('.log-text', { hasText: /^1$/ }).waitFor();
  await page.context().close();
});

step('a log of millions of lines', async () => {
  const page = await signedIn();
  const lines = Number(process.env.CONSOLE_LARGE_LINES);
  const begun = Date.now();
  await page.goto(`${url}/-/builds/${process.env.CONSOLE_LARGE}`);
  await page.locator('.log-text', { hasText: /./ }).first().waitFor();
  console.log(`${lines} lines: first screen after ${Date.now() - begun} ms`);
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByRole('menuitem', { name: 'Last line' }).click();
  await page.locator('.log-text', { hasText: 'after all the lines' }).first().waitFor();
  // A wheel moves by some lines, in whatever log.
  const top = () => page.locator('.log-row').first().getAttribute('data-line').then(Number);
  const before = await top();
  await log(page).hover();
  await page.mouse.wheel(0, -400);
  await page.waitForFunction((from) => Number(document.querySelector('.log-row').dataset.line) < from, before);
  assert.ok(before - (await top()) < 200, `${before} ${await top()}`);
  // Search, over all of it.
  await page.getByRole('searchbox', { name: 'Search the log' }).fill('needle in the hay');
  await page.getByText('2 lines found', { exact: true }).waitFor();
  await page.getByRole('searchbox', { name: 'Search the log' }).press('Enter');
  await page.locator('.log-found .log-mark', { hasText: 'needle in the hay' }).waitFor();
  // A link to a line, for another tab.
  const line = await page.locator('.log-found').getAttribute('data-line');
  await row(page, line).locator('.log-number').click();
  await page.locator('.log-row.log-selected').waitFor();
  const link = page.url();
  assert.ok(link.endsWith(`?line=${line}`), link);
  await shot(page, 'large');
  const second = await signedIn();
  await second.goto(link);
  await row(second, line).locator('.log-text', { hasText: 'needle in the hay' }).waitFor();
  await row(second, Number(line) + 3).locator('.log-number').click({ modifiers: ['Shift'] });
  await second.getByText(`to ${(Number(line) + 3).toLocaleString('en')}`).waitFor();
  // Wherever somebody looks, there are no more rows than the screen has room for.
  const sizes = await log(second).evaluate(async (view) => {
    let most = 0;
    for (let part = 0; part <= 40; part++) {
      view.scrollTop = (view.scrollHeight * part) / 40;
      await new Promise((resolve) => setTimeout(resolve, 30));
      most = Math.max(most, view.querySelectorAll('.log-row').length);
    }
    return { most, height: view.scrollHeight };
  });
  assert.ok(sizes.most < 100 && sizes.height < 10_000_000, JSON.stringify(sizes));
  await second.close();
  await page.context().close();
});
