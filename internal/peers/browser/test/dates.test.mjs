// Dates by locale: on no page of anybody, in German, stands a date as computers write it
// (2026-11-25), but where the text has to be that of a file or a field.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, launch, links, root, signIn, visitor } from '../browser.mjs';

// Where such a date may stand, and why.
const exceptions = {
  'code, pre': 'what is quoted: a query, a policy, an event as it stands in the log, a number of an order',
  'input, textarea, option': 'fields: the browser writes those of dates by its own locale, the others are what somebody wrote',
};

async function raw(page) {
  return page.evaluate((allowed) => {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let n = walk.nextNode(); n; n = walk.nextNode()) {
      if (/\b(19|20)\d\d-(0[1-9]|1[0-2])(-\d\d)?(?![\d-])/.test(n.textContent) && !n.parentElement.closest(allowed)) found.push(n.textContent.trim().slice(0, 160));
    }
    return found;
  }, Object.keys(exceptions).join(', '));
}

// Pages with something of each kind that has dates: the table of a doubt, the reasons of candidates.
const besides = {
  brooks: ['/coordinator/board?state=intake-review', '/coordinator/board?state=closed', '/coordinator/deliveries?state=all', '/coordinator/matching'],
  costa: ['/quality/figures?measure=discrepancy-any&by=month', '/quality/figures?measure=time-to-signature&by=month&by2=modality'],
};
const most = 6; // of each kind of page: no two cases are the same

for (const who of process.env.SHORT ? ['brooks'] : ['okafor', 'petrov', 'brooks', 'sorensen', 'costa', 'nowak', 'lee']) {
  test(`dates on the pages of ${who}, in German`, async (t) => {
    const { context, page } = await visitor();
    await signIn(page, who);
    await dressed(context, 'light', 'de');
    const queue = [...(besides[who] ?? []).map((path) => [`${root}/at/mercy${path}`, 1]), [root + '/home', 0]];
    const done = new Set();
    const times = new Map();
    const found = [];
    while (queue.length) {
      const [address, depth] = queue.shift();
      const kind = address.slice(root.length).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replace(/\?.*/, '');
      if (done.has(address) || (times.get(kind) ?? 0) >= most || kind.startsWith('/at/lakeside')) continue;
      done.add(address);
      times.set(kind, (times.get(kind) ?? 0) + 1);
      assert.equal((await page.goto(address)).status(), 200, kind);
      found.push(...(await raw(page)).map((text) => `${kind}: ${text}`));
      if (depth < 3) for (const next of await links(page)) queue.push([next, depth + 1]);
    }
    assert.deepEqual([...new Set(found)], []);
    t.diagnostic(`${done.size} pages of ${times.size} kinds`);
    await context.close();
  });
}

test('dates on the pages of a launch, in German', async () => {
  const { context, page } = await visitor();
  for (const number of ['2025-0145', '2025-0144', '2025-0131']) {
    await launch(page, number);
    await page.click('button[value="de"]');
    assert.deepEqual(await raw(page), [], `chart of ${number}`);
    await page.click('article.current h2 a');
    assert.deepEqual(await raw(page), [], number);
  }
  await context.close();
});
