// The coordinator's desk of escalations: what is late or ends soon, and of which somebody was
// told. It comes last, since it waits for a clock of the server's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, judge, root, scripted, shot, signIn, visitor } from '../browser.mjs';

const at = root + '/at/mercy/coordinator';
const short = Boolean(process.env.SHORT);

test('the coordinator takes note of what is late, without a script', async (t) => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'brooks');
  await page.goto(at + '/board');
  await page.click('nav a:has-text("Escalations")');
  const waiting = () => page.locator('button:has-text("Take note")').count();
  for (let i = 0; i < (short ? 1 : 40) && await waiting() === 0; i++) { // credentials are looked at every five minutes
    await page.waitForTimeout(short ? 0 : 10000);
    await page.reload();
  }
  const before = await waiting();
  if (before === 0 && short) {
    await context.close();
    return t.skip('nothing is late in the first minutes of a demo');
  }
  assert.ok(before > 0, 'the licence of Dr. Lindqvist, who has cases, ends soon: somebody was told');
  await page.selectOption('#which', { label: 'Escalated, nobody has taken note' });
  await page.click('form.filters button');
  assert.equal(await waiting(), before);
  assert.equal(await page.locator('tr.open').count(), before);
  for (const [theme, language] of [['light', 'en'], ['dark', 'de']]) {
    await dressed(context, theme, language);
    const seen = await scripted(page);
    await judge(seen.page, `escalations, ${theme}, ${language}`);
    await shot(seen.page, `escalations-${theme}-${language}`);
    await seen.context.close();
  }
  await dressed(context, 'light', 'en');
  await page.reload();
  const order = await page.locator('tr.open code').first().textContent();
  await page.locator('button:has-text("Take note")').first().click();
  assert.match(page.url(), /\/escalations\?which=/, 'the list stays as it was narrowed');
  assert.equal(await waiting(), before - 1);
  await page.goto(at + '/escalations');
  assert.equal(await page.locator('tr.open', { hasText: order }).count(), 0, 'it waits for nobody any more');
  await context.close();
});
