// Images on the pages: a strip of real pixels from the PACS, without a script; larger by
// a plain link; the viewer at an origin of its own, where it is installed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, root, shot, signIn, visitor } from '../browser.mjs';

const pixels = (page) => page.$$eval('ul.strip img', (all) => all.filter((i) => i.checkVisibility()).map((i) => ({ width: i.naturalWidth, alt: i.alt, src: i.getAttribute('src'), high: i.getBoundingClientRect().height })));

// everyPixel scrolls to each image, since they load when they are seen, and waits for it.
async function everyPixel(page) {
  for (const image of await page.locator('ul.strip img:visible').all()) {
    await image.scrollIntoViewIfNeeded();
    await image.evaluate((i) => i.decode());
  }
  return pixels(page);
}

const hasPACS = process.env.OVERREAD_PACS === '1';

for (const javaScriptEnabled of [true, false]) {
  test(`a reader sees the images of their case (${javaScriptEnabled ? 'with' : 'without'} script)`, { skip: !hasPACS && 'the demo has no PACS here' }, async () => {
    const { context, page } = await visitor({ javaScriptEnabled });
    await signIn(page, 'tanaka');
    await page.goto(root + '/at/mercy/reader/worklist?whose=mine');
    await page.click('[data-row] th a');
    await page.waitForSelector('#images');
    const images = javaScriptEnabled ? await everyPixel(page) : (await page.waitForTimeout(1500), await page.$$eval('ul.strip img', (all) => all.map((i) => ({ alt: i.alt, src: i.getAttribute('src') }))));
    assert.ok(images.length >= 1, 'no images');
    for (const i of images) {
      if (javaScriptEnabled) assert.ok(i.width > 0 && i.high > 50, `${i.src} has no pixels`);
      assert.match(i.alt, /image \d+ of \d+, series \d+/);
      assert.match(i.src, /^\/at\/mercy\/reader\/case\/[^/]+\/dicomweb\/studies\//);
    }
    if (javaScriptEnabled) {
      await judge(page, 'reading page with images');
      await shot(page, 'reader-images');
      const large = await context.newPage();
      await large.goto(new URL(await page.getAttribute('ul.strip a', 'href'), root).href);
      assert.ok(await large.$eval('img', (i) => i.naturalWidth) > 0, 'the larger view has no pixels');
    }
    await context.close();
  });
}

test('a key goes through the earlier examinations, and only what is open is loaded', { skip: !hasPACS && 'the demo has no PACS here' }, async () => {
  const { context, page } = await visitor();
  await signIn(page, 'okafor');
  await page.goto(root + '/at/mercy/reader/worklist');
  await page.locator('[data-row]', { hasText: 'US Thyroid' }).first().locator('th a').click();
  await page.waitForSelector('details[name=earlier]');
  const state = () => page.$$eval('details[name=earlier]', (all) => all.map((d) => [d.open, [...d.querySelectorAll('img')].some((i) => i.complete && i.naturalWidth > 0)]));
  const before = await state();
  assert.ok(before.length >= 2, 'fewer than two earlier examinations');
  for (const [open, loaded] of before) assert.ok(open || !loaded, 'what is closed was loaded');
  const first = before.findIndex(([open]) => open) + 1;
  await page.keyboard.press('v');
  await page.locator('details[name=earlier][open] img').first().evaluate((i) => i.decode());
  const after = await state();
  assert.deepEqual(after.map(([open]) => open), after.map((_, i) => i === first), 'one is open, the next');
  await judge(page, 'reading page with an earlier examination');
  await shot(page, 'reader-earlier');
  await context.close();
});

test('the viewer shows the images of the case, at its own origin, without a cookie of the pages', { skip: process.env.OVERREAD_VIEWER !== '1' && 'the viewer is not installed' }, async () => {
  const { context, page } = await visitor();
  await signIn(page, 'tanaka');
  await page.goto(root + '/at/mercy/reader/worklist?whose=mine');
  await page.click('[data-row] th a');
  const link = page.locator('.galleryhead a', { hasText: 'Open the viewer' });
  assert.match(await link.getAttribute('rel'), /noopener/);
  const [viewer] = await Promise.all([context.waitForEvent('page'), link.click()]);
  const sent = [], failed = [], refused = [];
  viewer.on('request', async (r) => { const h = await r.allHeaders().catch(() => ({})); if (/(^|; )overread=/.test(h.cookie ?? '')) sent.push(r.url()); if (!r.url().startsWith('blob:') && new URL(r.url()).protocol.startsWith('http') && new URL(r.url()).origin !== new URL(viewer.url()).origin) failed.push('asked ' + r.url()); });
  viewer.on('response', (r) => { if (r.status() >= 400) failed.push(`${r.status()} ${r.url()}`); });
  viewer.on('console', (m) => { if (/Content Security Policy/.test(m.text())) refused.push(m.text()); });
  viewer.on('pageerror', (e) => failed.push(String(e)));
  await viewer.waitForURL(/\/viewer\?StudyInstanceUIDs=/);
  assert.notEqual(new URL(viewer.url()).hostname, new URL(root).hostname);
  try {
    await viewer.waitForFunction(() => [...document.querySelectorAll('canvas')].some((c) => c.width > 100 && c.height > 100), null, { timeout: 60000 });
    await viewer.waitForTimeout(4000);
  } finally {
    await shot(viewer, 'viewer');
  }
  assert.deepEqual({ sent, failed, refused }, { sent: [], failed: [], refused: [] });
  await context.close();
});
