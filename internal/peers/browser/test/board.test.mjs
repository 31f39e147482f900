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
