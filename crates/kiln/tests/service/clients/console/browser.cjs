// What journeys share: tabs, screenshots, axe, and what fails any of them.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Sha256 } = require('@aws-crypto/sha256-js');
const { HttpRequest } = require('@smithy/protocol-http');
const { SignatureV4 } = require('@smithy/signature-v4');
const { chromium } = require('playwright-core');

const url = process.env.CONSOLE_URL;
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.CONSOLE_SHOTS;
// To try a console that was just built without compiling Kiln again.
const dist = process.env.CONSOLE_DIST;
const wide = { width: 1440, height: 900 };
const narrow = { width: 390, height: 844 };
const PATIENCE = Number(process.env.CONSOLE_PATIENCE ?? 60_000);

const troubles = [];
let browser;

/** A tab of its own, as a person has one: nobody is signed in. */
async function tab({ viewport = wide, colorScheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, acceptDownloads: true });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== url && !['data:', 'blob:'].includes(protocol)) troubles.push(`asked ${request.url()}`);
  });
  page.on('pageerror', (error) => troubles.push(`script failed: ${error.stack}`));
  page.on('dialog', (dialog) => {
    troubles.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) troubles.push(message.text());
  });
  if (dist) {
    await page.route(({ origin, pathname }) => origin === url && pathname.startsWith('/-/assets/'), async (route) => {
      const name = new URL(route.request().url()).pathname.slice(3);
      // After a redirect the page is the one that Kiln has.
      if (!fs.existsSync(path.join(dist, name))) return route.continue();
      const types = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
      await route.fulfill({ body: fs.readFileSync(path.join(dist, name)), contentType: types[path.extname(name)] });
    });
    await page.route(
      ({ origin, pathname }) => origin === url && /^\/-\/($|access|audit|builds|caches|create-project|credentials|dashboard|images|projects|public\/|queue|repositories|secrets|webhooks)/.test(pathname),
      async (route) => {
        const answer = await route.fetch();
        await route.fulfill({ response: answer, body: fs.readFileSync(path.join(dist, 'index.html')) });
      },
    );
  }
  return page;
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`) });
}

/** What fades or slides in is there: half of the way it has too little contrast, for a moment. */
async function atRest(page) {
  await page.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const ends = (animation) => Number.isFinite(Number(animation.effect?.getComputedTiming().endTime));
    await Promise.allSettled(document.getAnimations().filter(ends).map((animation) => animation.finished));
  });
}

/** Fails for what axe calls serious or critical. It is not to copy style sheets, which the content security policy refuses. */
async function accessible(page, name) {
  await atRest(page);
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'], preload: false });
    return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.slice(0, 3).map((n) => n.html) }));
  });
  const bad = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(bad, [], `${name}: ${JSON.stringify(bad, null, 2)}`);
}

/** Nothing sticks out of the page to the right. */
async function fits(page, name) {
  const { scroll, client } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    client: document.documentElement.clientWidth,
  }));
  assert.ok(scroll <= client + 1, `${name}: ${scroll} pixels wide in ${client}`);
}

const session = {};
/** A tab in which somebody is signed in. */
async function signedIn(options) {
  const page = await tab(options);
  await page.addInitScript((kept) => sessionStorage.setItem('kiln.session', kept), session.kept);
  return page;
}

/** Calls the service itself, as who is signed in: what pages are to show, and what they have done. */
async function call(service, target, input) {
  const isQuery = target === undefined;
  const { hostname, port, host } = new URL(url);
  const { region, ...credentials } = JSON.parse(session.kept);
  const headers = isQuery
    ? { host, 'content-type': 'application/x-www-form-urlencoded' }
    : { host, 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target };
  const body = isQuery ? new URLSearchParams(input).toString() : JSON.stringify(input);
  const request = new HttpRequest({ method: 'POST', protocol: 'http:', hostname, port: Number(port), path: '/', headers, body });
  const signed = await new SignatureV4({ service, region, credentials, sha256: Sha256 }).sign(request);
  const answer = await fetch(url, { method: 'POST', headers: signed.headers, body });
  const text = await answer.text();
  assert.ok(answer.ok, `${target ?? input.Action}: ${text}`);
  return isQuery ? text : JSON.parse(text || '{}');
}

const steps = [];
/** One journey, in the order in which they are written. */
function step(name, work) {
  steps.push([name, work]);
}

/** Goes all of them, or those whose name has CONSOLE_ONLY in it. */
async function main() {
  browser = await chromium.launch({
    executablePath: process.env.CONSOLE_BROWSER ?? '/usr/bin/chromium',
    // A name that a stranger has had point to this machine.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--host-resolver-rules=MAP rebound.test 127.0.0.1'],
  });
  const only = process.env.CONSOLE_ONLY;
  for (const [name, work] of steps) {
    if (only && !name.includes(only) && !name.includes('signs in once')) continue;
    const begun = Date.now();
    try {
      await work();
      assert.deepEqual(troubles, []);
    } catch (error) {
      for (const context of browser.contexts()) {
        const page = context.pages().at(-1);
        if (page && shots) await page.screenshot({ path: path.join(shots, 'failed.png') }).catch(() => {});
        if (page) console.error((await page.locator('body').innerText().catch(() => '')).slice(0, 2000));
      }
      console.error(`not ok: ${name}`, troubles);
      throw error;
    }
    console.log(`ok: ${name} (${Date.now() - begun} ms)`);
  }
  await browser.close();
}

module.exports = { accessible, assert, call, fits, fs, main, narrow, session, shot, signedIn, step, tab, troubles, url, wide };
