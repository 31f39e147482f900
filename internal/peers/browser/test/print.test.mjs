// What comes out of a printer: the answer, and nothing that one can only press on a screen.
// Chromium lays the pages out for paper (media print, the width of A4 within its margins)
// and prints them, in the dark theme, whose ground must not reach the paper.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, launch, links, root, signIn, visitor } from '../browser.mjs';

const short = Boolean(process.env.SHORT);
const a4 = { width: Math.floor((210 - 2 * 13) / 25.4 * 96), height: 1000 };

// printed is the text of a page on paper. It fails where something to press or to fill in
// is left, where the paper is dark, and where something is cut off at the side.
async function printed(page, name) {
  const window = page.viewportSize();
  await page.emulateMedia({ media: 'print' });
  await page.setViewportSize(a4);
  const found = await page.evaluate(() => {
    const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
    const shown = (selector) => [...document.querySelectorAll(selector)].filter(seen);
    const limit = document.documentElement.clientWidth + 1;
    return {
      text: document.body.innerText,
      pressed: shown('button, .button, nav, dialog, form:not(.printed) :is(input, select, textarea, label), .skip').map((e) => e.outerHTML.slice(0, 120)),
      cut: shown('main *').filter((e) => e.getBoundingClientRect().right > limit || e.scrollWidth > e.clientWidth + 1 && ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX) && !e.closest('.hidden, .sr, svg') && !e.matches('input')).map((e) => e.outerHTML.slice(0, 120)),
      dark: ['body', 'main', 'header'].map((s) => document.querySelector(s)).filter((e) => e && getComputedStyle(e).colorScheme !== 'light').length,
      ink: getComputedStyle(document.body).color,
    };
  });
  assert.deepEqual(found.pressed, [], `${name}: on paper nobody can press this`);
  assert.deepEqual(found.cut, [], `${name}: cut off at the side`);
  assert.equal(found.dark, 0, `${name}: the paper is dark`);
  assert.equal(found.ink, 'rgb(0, 0, 0)', `${name}: the ink`);
  const paper = await page.pdf({ format: 'A4', preferCSSPageSize: true });
  assert.equal(paper.subarray(0, 5).toString(), '%PDF-', name);
  await page.emulateMedia({ media: null });
  await page.setViewportSize(window);
  return found.text;
}

test('a clinician prints a second opinion', async () => {
  const { context, page } = await visitor({ colorScheme: 'dark', viewport: { width: 1180, height: 800 } });
  await launch(page, '2025-0145'); // amended, and to be read again
  assert.match(await printed(page, 'the chart'), /Second opinions[\s\S]*MR Liver[\s\S]*Agrees with the original report/);
  await page.click('article.current h2 a');
  const presses = await page.$$eval('button, .button', (all) => all.map((e) => e.textContent.trim()).filter((t) => t.length > 5));
  assert.ok(presses.length > 5, 'there is something to press on the screen');
  const text = await printed(page, 'one opinion');
  for (const words of ['Ingrid Falk', '100733', 'Agrees with the original report', 'Haemangioma in segment VI', 'Dr. Leila Haddad', 'Both reports side by side', 'What was asked', 'Amended report', 'It has not grown within a year'])
    assert.ok(text.includes(words), `the paper does not say: ${words}`);
  for (const words of [...presses, 'For the patient', 'Your question to who signed', 'What did the second opinion change for this patient?', 'Choose one to see it larger', 'From version'])
    assert.ok(!text.includes(words), `the paper says: ${words}`);
  await context.close();
});

// What must be on the paper of some pages; the others are printed for their form alone.
const answers = {
  board: /Waits for[\s\S]*CT Head WO contrast/i, 'deliveries?state=all': /arrived/, 'figures?measure=discrepancy-any&by=modality': /Funnel plot[\s\S]*How this was counted/, trail: /Signed in/, readers: /Lindqvist/,
};

for (const who of short ? ['brooks', 'costa'] : ['okafor', 'brooks', 'costa', 'nowak', 'lee']) {
  test(`every page that ${who} can print`, async (t) => {
    const { context, page } = await visitor();
    await signIn(page, who);
    await dressed(context, 'dark', 'en');
    const done = new Set();
    const queue = [[root + '/home', 0]];
    if (who === 'brooks') queue.push([root + '/at/mercy/coordinator/deliveries?state=all', 1]);
    if (who === 'costa') queue.push([root + '/at/mercy/quality/figures?measure=discrepancy-any&by=modality', 1]);
    while (queue.length) {
      const [address, depth] = queue.shift();
      const kind = address.slice(root.length).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replace(/\?.*/, '');
      if (done.has(kind) || kind.startsWith('/at/lakeside')) continue;
      done.add(kind);
      await page.goto(address);
      const text = await printed(page, `${kind} of ${who}`);
      const answer = answers[address.split('/').at(-1)];
      if (answer) assert.match(text, answer, kind);
      if (kind.startsWith('/at/')) assert.match(text, /Mercy General Hospital, /, `${kind} does not say whose page it is`);
      if (depth < (short ? 1 : 3)) for (const next of await links(page)) queue.push([next, depth + 1]);
    }
    t.diagnostic(`${done.size} kinds of page`);
    await context.close();
  });
}
