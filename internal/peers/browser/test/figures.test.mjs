// Figures and what follows from them, as the role quality and an auditor see them: without a
// script, in both themes, judged by axe-core.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, root, shot, signIn, visitor } from '../browser.mjs';

const today = new Date().toISOString().slice(0, 10);
const before = new Date(Date.now() - 80 * 86400e3).toISOString().slice(0, 10);
const asked = (rest) => `?measure=discrepancy-any&from=${before}&to=${today}&${rest}`;

test('statistics stand below the figures that they are made of', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'costa');
  const at = `${root}/at/mercy/quality/figures`;
  const pages = { site: asked('by=modality'), month: asked('by=month'), reader: asked('by=second-reader'), overturn: asked('').replace('discrepancy-any', 'adjudication-overturn'),
    cases: '/cases' + asked('of=denominator'), times: '/cases' + asked('of=all').replace('discrepancy-any', 'turnaround') };
  for (const theme of ['light', 'dark']) {
    for (const language of ['en', 'de']) {
      await context.addCookies([{ name: 'overread-theme', value: theme, domain: new URL(root).hostname, path: '/' }, { name: 'overread-language', value: language, domain: new URL(root).hostname, path: '/' }]);
      for (const [name, address] of Object.entries(pages)) {
        await page.goto(at + address);
        await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
        await judge(page, `figures ${name} ${theme} ${language}`);
        await shot(page, `figures-${name}-${theme}-${language}`);
      }
    }
  }
  // A number of cases leads to as many, and each of them to its case.
  await page.goto(at + asked('by=modality'));
  const number = page.locator('table a[href^="figures/cases"]').first();
  const cases = Number((await number.innerText()).replace(/\D/g, ''));
  await number.click();
  assert.equal(await page.locator('tr[data-row]').count(), Math.min(cases, 50));
  await page.locator('tr[data-row] a').first().click();
  assert.match(page.url(), /\/learning\/case\//);
  await context.close();
});
