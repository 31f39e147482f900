// What the tests share: one browser, its visitors, pictures of pages (OVERREAD_SHOTS),
// and the judges of every page: axe-core, the page's own policy, its weight.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';

export const root = process.env.OVERREAD_WEB;
const shots = process.env.OVERREAD_SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(async () => browser?.close());

// shot leaves a picture of a page, docs/screens/ among others (make screens).
export async function shot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

// visitor is a fresh browser profile. It fails the test when a policy of ours was in
// the way of a page of ours, or a script of ours failed.
export async function visitor(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.on('console', (m) => { if (m.type() === 'error' && /Content Security Policy/.test(m.text())) throw new Error(m.text()); });
  page.on('pageerror', (e) => { throw e; });
  return { context, page };
}

// signIn lets somebody in who is known to the demo's provider.
export async function signIn(page, who) {
  await page.goto(root + '/home');
  await shot(page, 'signin');
  await page.click('.choices a');
  await shot(page, 'provider');
  await page.click(`button[value="${who}"]`);
  await page.waitForURL(root + '/home');
}

// judge holds a page to WCAG 2.2 AA as far as axe-core can tell, in the theme that it
// has. axe runs in a world of its own, past the page's policy (CDP).
export async function judge(page, name) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  const run = (expression) => session.send('Runtime.evaluate', { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  await run(axe);
  const options = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] };
  const { result, exceptionDetails } = await run(`axe.run(document, ${JSON.stringify(options)}).then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.help + ' at ' + v.nodes.map((n) => n.target.join(' ')).join(', '))))`);
  await session.detach();
  assert.equal(exceptionDetails, undefined, `${name}: axe failed`);
  assert.deepEqual(JSON.parse(result.value), [], `${name}: axe-core`);
}

// links are the addresses of a page's links that lead to pages of ours, without
// what follows # and without files.
export async function links(page) {
  const all = await page.$$eval('a[href]', (as) => as.filter((a) => !a.download).map((a) => a.href.split('#')[0]));
  return [...new Set(all)].filter((a) => a.startsWith(root + '/') && !/\/(fhir|login|logout|signin|viewer)(\/|$|\?)/.test(a.slice(root.length)) && !/\.(pdf|csv|ndjson|parquet)(\?|$)|[?&]format=/.test(a));
}
