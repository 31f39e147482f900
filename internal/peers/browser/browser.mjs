// What the tests share: one browser, its visitors, pictures of pages (OVERREAD_SHOTS),
// and the judges of every page: axe-core, the page's own policy, its weight.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { note } from './seen.mjs';

export const root = process.env.OVERREAD_WEB;
const shots = process.env.OVERREAD_SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
before(async () => {
  // Names under .test lead to loopback, and cookies of other sites are kept out of frames,
  // as browsers do more and more (framehttps.test.mjs).
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--host-resolver-rules=MAP *.test 127.0.0.1', '--test-third-party-cookie-phaseout'] });
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
  context.setDefaultTimeout(15000);
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

// launch presses the stand-in EHR's button for an order of Mercy General Hospital.
export async function launch(page, number) {
  await page.goto(process.env.OVERREAD_EHR + '/');
  await page.locator('.order', { hasText: number }).locator('form', { hasText: 'mercy' }).first().locator('button').click();
  await page.waitForURL(/\/launched\//);
}

// judge holds a page to WCAG 2.2 AA as far as axe-core can tell, in the theme that it
// has, and sees to it that no value of a list of pairs is squeezed into a column of letters. axe runs in a world of its own, past the page's policy (CDP).
// A page that is judged in place of another one, whose policy lets nothing run, names that
// one's address.
export async function judge(page, name, address = page.url()) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  const run = (expression) => within(60, name, session.send('Runtime.evaluate', { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true }));
  await run(axe);
  const options = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] };
  const { result, exceptionDetails } = await run(`axe.run(document, ${JSON.stringify(options)}).then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.help + ' at ' + v.nodes.map((n) => n.target.join(' ')).join(', '))))`);
  const { result: thin } = await run(`JSON.stringify([...document.querySelectorAll('dl dd')].filter((d) => d.offsetWidth > 0 && d.offsetWidth < 40 && d.innerText.trim().length > 8).map((d) => d.innerText.trim()))`);
  const { result: theme } = await run(`(() => { const s = getComputedStyle(document.documentElement).colorScheme; return s === 'dark' || s === 'light' ? s : matchMedia('(prefers-color-scheme: dark)').matches && /dark/.test(s) ? 'dark' : 'light'; })()`);
  await session.detach();
  note(address, theme.value);
  assert.equal(exceptionDetails, undefined, `${name}: axe failed`);
  assert.deepEqual(JSON.parse(result.value), [], `${name}: axe-core`);
  assert.deepEqual(JSON.parse(thin.value), [], `${name}: has no room for these`);
}

// within fails when something does not come to an end: where a page's sandbox lets nothing run.
async function within(seconds, name, promise) {
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error(`${name}: axe-core has not come to an end`)), seconds * 1000); });
  try { return await Promise.race([promise, late]); } finally { clearTimeout(timer); }
}

// dressed lets pages be in a theme and language.
export async function dressed(context, theme, language) {
  const domain = new URL(root).hostname;
  await context.addCookies([{ name: 'overread-theme', value: theme, domain, path: '/' }, { name: 'overread-language', value: language, domain, path: '/' }]);
}

// upright: nothing sticks out at the side.
export async function upright(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
}

// onAPhone: at the width of a phone nothing sticks out at the side; what is wider goes
// sideways within a region of its own that the keyboard reaches, and lists are cards there.
export async function onAPhone(page, name) {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 360, height: 780 });
  await upright(page, `${name} at 360 pixels`);
  const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter((e) => /auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && !e.matches('textarea, input, select'))
    .filter((e) => e.querySelector('table.phone') || e.tabIndex < 0 && !e.querySelector('a[href], button')).map((e) => `${e.tagName}.${e.className}`));
  assert.deepEqual(wide, [], `${name} at 360 pixels`);
  await page.setViewportSize(before);
}

// scripted is a page of the same visitor with scripts, which axe-core needs, at the address
// that somebody without them has come to.
export async function scripted(page) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(15000);
  await context.addCookies(await page.context().cookies());
  const other = await context.newPage();
  await other.goto(page.url());
  return { context, page: other };
}

// links are the addresses of a page's links that lead to pages of ours, without
// what follows # and without files.
export async function links(page) {
  const all = await page.$$eval('a[href]', (as) => as.filter((a) => !a.hasAttribute('download')).map((a) => a.href.split('#')[0]));
  return [...new Set(all)].filter((a) => a.startsWith(root + '/') && !/\/(fhir|login|logout|signin|viewer|dicomweb)(\/|$|\?)/.test(a.slice(root.length)) && !/[./](pdf|csv|ndjson|parquet|json)(\?|$)|[?&]format=/.test(a));
}
