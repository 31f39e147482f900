// A coordinator's day: the board and its filters, a case with its history, what can be
// done, without a script; and every such page judged by axe-core, by keys too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, judge, root, shot, signIn, upright, visitor } from '../browser.mjs';

const at = root + '/at/mercy/coordinator';

test('the board shows what each case waits for, and is narrowed without a script', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'brooks');
  await page.goto(at + '/board');
  const all = await page.locator('tbody tr').count();
  assert.ok(all > 3, 'the demo has cases');
  await shot(page, 'board');
  await page.selectOption('#state', 'intake');
  await page.click('form.filters button');
  const intake = await page.locator('tbody tr').count();
  assert.ok(intake > 0 && intake < all, `${intake} of ${all} at intake`);
  await page.click('tbody tr a');
  assert.match(await page.textContent('main'), /What stands in the way/);
  await shot(page, 'board-case-intake');
  await context.close();
});

test('the pages of the desk have nothing that axe-core finds, on a phone neither', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'brooks');
  const of = async (query) => {
    await page.goto(`${at}/board?${query}`);
    return page.locator('tbody tr a').first().getAttribute('href', { timeout: 2000 }).catch(() => null);
  };
  const addresses = [at + '/board', at + '/escalations', at + '/missing', at + '/matching', at + '/deliveries?state=all'];
  const ready = await of('state=ready');
  if (ready) addresses.push(`${new URL(ready, root).href}/candidates`);
  for (const state of ['intake-review', 'awaiting-information', 'unassignable', 'reading', 'final', 'amending', 'closed']) {
    const path = await of(`state=${state}`);
    if (path) addresses.push(new URL(path, root).href);
  }
  for (const theme of ['light', 'dark']) {
    await dressed(context, theme, 'en');
    let n = 0;
    for (const address of addresses) {
      await page.goto(address);
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      await judge(page, `${address} ${theme}`);
      await shot(page, `desk-${n++}-${theme}`);
    }
  }
  await page.setViewportSize({ width: 400, height: 800 });
  for (const address of addresses) {
    await page.goto(address);
    await upright(page, `${address} at 400 px`);
  }
  await page.goto(at + '/board');
  await shot(page, 'board-phone');
  await context.close();
});

test('a case is opened by keys', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'brooks');
  await page.goto(at + '/board');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/board\/[0-9a-f-]+$/);
  assert.match(await page.textContent('main'), /What happened/);
  await context.close();
});

test('the desk of deliveries is a table that is narrowed by state, without a script and on a phone', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'brooks');
  await page.goto(at + '/deliveries');
  await page.click('nav.subnav a:has-text("Arrived")');
  assert.match(await page.locator('nav.subnav a[aria-current]').textContent(), /Arrived/);
  const heads = await page.locator('table.deliveries thead th').allTextContents();
  assert.deepEqual(heads, ['What', 'To whom', 'State', 'Attempts', 'Last answer', 'Next try', 'What can be done now']);
  const rows = await page.locator('table.deliveries tbody tr').count();
  assert.ok(rows > 5, `${rows} deliveries have arrived`);
  const row = page.locator('table.deliveries tbody tr').first();
  assert.match(await row.textContent(), /arrived[\s\S]*taken[\s\S]*200/);
  await page.setViewportSize({ width: 390, height: 800 });
  await upright(page, 'deliveries at 390 px');
  const cut = await page.locator('.wide').evaluate((e) => e.scrollWidth - e.clientWidth);
  assert.ok(cut <= 0, `on a phone ${cut} pixels of the desk are out of sight`);
  const labels = await row.locator('td').evaluateAll((cells) => cells.map((c) => getComputedStyle(c, '::before').content));
  assert.ok(labels.every((l) => l.length > 3), `each value says what it is: ${labels}`);
  await context.close();
});
