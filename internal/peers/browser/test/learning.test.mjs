// The peer-learning room: the quality role goes from a review that an original reader's
// answer has opened to its case, concludes it and makes a pack, without a script; the
// original reader's own page; and each page judged in both themes and languages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, judge, root, shot, signIn, visitor } from '../browser.mjs';

const short = Boolean(process.env.SHORT);
const at = root + '/at/mercy/quality/learning';

test('the quality role learns from a case without a script', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'costa');
  await page.goto(at);
  await page.click('tbody tr:has-text("the original reader disagrees") a');
  const text = await page.textContent('main');
  assert.match(text, /normal variant/); // what the original reader answered
  assert.match(text, /Both readings/);
  await page.selectOption('#conclusion', 'learning');
  await page.fill('#review-note', 'Shown at the next meeting.');
  await page.click('button:has-text("Conclude the review")');
  assert.match(await page.textContent('main'), /Something to learn, nothing to change/);
  await page.click('summary:has-text("Add a learning point")');
  await page.fill('#point-text', 'Compare both planes before a variant is called normal.');
  await page.fill('#point-tag', 'meniscus');
  await page.click('form[action$="add-learning-point"] button');
  await page.goto(at + '/points?tag=meniscus');
  await page.check('#pick0');
  await page.fill('#title', 'Knees');
  await page.click('button:has-text("Make a pack of the chosen cases")');
  assert.match(await page.textContent('main'), /Compare both planes/);
  assert.equal(await page.locator('[data-print]').isVisible(), false);
  await context.close();
});

test('the pages of peer learning have nothing that axe-core finds, on a phone neither', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'costa');
  await page.goto(at + '/packs');
  const pack = await page.locator('tbody th a').first().evaluate((a) => a.href);
  await page.goto(at + '/points');
  const one = await page.locator('tbody th a').last().evaluate((a) => a.href);
  await page.goto(at + '/feedback');
  const answered = await page.locator('tbody th a').first().evaluate((a) => a.href);
  const pages = { reviews: at, concluded: at + '?show=closed', points: at + '/points', feedback: at + '/feedback', outcomes: at + '/outcomes', samples: at + '/samples?show=all', packs: at + '/packs', pack, case: one, answered };
  for (const [theme, language] of short ? [['light', 'de']] : [['light', 'en'], ['dark', 'de']]) {
    await dressed(context, theme, language);
    for (const [name, address] of Object.entries(pages)) {
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.goto(address);
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      await judge(page, `${name}, ${theme}, ${language}`);
      await shot(page, `learning-${name}-${theme}-${language}`);
      await page.setViewportSize({ width: 400, height: 800 });
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 401, `${name} is too wide for a phone`);
    }
  }
  await context.close();
});

test('an original reader answers what they are told', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'petrov');
  await page.goto(root + '/at/mercy/reader/feedback');
  await judge(page, 'feedback');
  await shot(page, 'learning-own-feedback');
  const waiting = page.locator('section.told form').first();
  await waiting.locator('text=I agree').click();
  await waiting.locator('textarea').fill('Thank you.');
  await waiting.locator('button').click();
  assert.match(await page.textContent('main'), /Thank you\./);
  assert.equal(await page.locator('section.told form').count(), 0);
  await context.close();
});
