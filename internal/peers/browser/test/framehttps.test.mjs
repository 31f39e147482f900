// The launch in a frame over https, between sites: the cookie is SameSite=None; Secure;
// Partitioned (CHIPS), and the browser keeps other sites' cookies out of frames. Who frames
// sees its own session and no other site's; who is not listed frames nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, shot, visitor } from '../browser.mjs';
import { secured } from '../secure.mjs';

const skip = process.env.SHORT && 'the short form starts no second server';
const demoEHR = process.env.OVERREAD_EHR;

// orderOf is what the EHR's button sends for an order of the demo.
async function orderOf(number) {
  const { context, page } = await visitor();
  await page.goto(demoEHR + '/');
  const form = page.locator('.order', { hasText: number }).locator('form', { hasText: 'mercy' }).first();
  const { patient, order } = await form.evaluate((f) => Object.fromEntries(new FormData(f)));
  await context.close();
  return { patient, order };
}

// framed opens a page of an origin with an address in its frame, once all has come to rest.
async function framed(context, origin, address) {
  const page = await context.newPage();
  const refused = [];
  page.on('requestfailed', (r) => refused.push(r.failure().errorText));
  await page.goto(`${origin}/framed?to=${encodeURIComponent(address)}`);
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  await page.waitForLoadState('networkidle');
  return { page, frame, refused };
}

test('over https, in a frame of another site', { skip }, async (t) => {
  const at = await secured({ binary: process.env.OVERREAD_BINARY, data: process.env.OVERREAD_DATA, demoEHR, order: await orderOf('2025-0124'), viewer: process.env.VIEWER_DIR });
  t.after(() => at.stop());
  const { context } = await visitor({ ignoreHTTPSErrors: true });
  const { ehr, other, elsewhere, overread, control } = at.origins;

  await t.test('this browser keeps cookies of other sites out of frames, but for partitioned ones', async () => {
    const { page, frame } = await framed(context, ehr, `${control}/set`);
    assert.equal(await frame.textContent('#told'), 'parted=1');
    await page.close();
  });

  let session;
  await t.test('a clinician reads, acknowledges and asks', async () => {
    const { page, frame } = await framed(context, ehr, await at.launch());
    assert.match(frame.url(), new RegExp(`^${overread}/launched/`));
    session = frame.url();
    await frame.click('article.current h2 a');
    await frame.waitForSelector('#question');
    await frame.fill('#question', 'Is it seen over https, too?');
    await frame.click('form.ask button.primary');
    await frame.waitForSelector('#done');
    assert.match(await frame.textContent('#done'), /Your question was sent/);
    await frame.click('article form[action$="/acknowledge"] button.primary');
    await frame.waitForSelector('article .seen');
    assert.match(await frame.textContent('article .seen'), /Acknowledged on/);
    const kept = (await context.cookies()).filter((c) => c.domain === new URL(overread).hostname);
    assert.ok(kept.length > 0);
    for (const c of kept) assert.deepEqual([c.name.slice(0, 7), c.secure, c.httpOnly, c.sameSite, c.partitionKey], ['__Host-', true, true, 'None', 'https://mercy-ehr.test'], c.name);
    await page.close();
  });

  await t.test('the EHR shows the session in a frame again', async () => {
    const { page, frame } = await framed(context, ehr, session);
    assert.ok(await frame.locator('article.current h2').count() === 1);
    await page.close();
  });

  await t.test('an image is shown large in the frame, with a way back', { skip: process.env.OVERREAD_PACS !== '1' && 'the demo has no PACS here' }, async () => {
    const { page, frame } = await framed(context, ehr, session);
    await frame.click('article.current h2 a');
    await frame.waitForSelector('ul.strip img');
    const opinion = frame.url();
    assert.equal(await frame.locator('ul.strip a[target]').count(), 0, 'no tab has the frame’s cookie');
    await frame.click('ul.strip a >> nth=0');
    await frame.waitForURL(/\/image\/studies\//);
    assert.ok(await frame.$eval('.picture img', async (i) => { await i.decode(); return i.naturalWidth; }) > 0, 'it has no pixels');
    await judge(page, 'a large image in a frame');
    await shot(page, 'clinic-image-in-a-frame');
    await frame.click('.back a');
    await frame.waitForSelector('ul.strip img');
    assert.equal(frame.url().split('#')[0], opinion.split('#')[0]);
    const tab = await context.newPage();
    assert.notEqual((await tab.goto(opinion)).status(), 200, 'a tab has the frame’s session');
    await tab.close();
    await page.close();
  });

  await t.test('the viewer opens in a tab from the frame, by a ticket that is good once', { skip: !process.env.VIEWER_DIR && 'the viewer is not installed' }, async () => {
    const { page, frame } = await framed(context, ehr, session);
    await frame.click('article.current h2 a');
    await frame.click('.galleryhead a:has-text("Open the viewer")');
    const door = frame.locator('main a', { hasText: 'Open the viewer in a tab' });
    const address = await door.getAttribute('href');
    assert.ok(address.startsWith(at.origins.viewer + '/open/'), address);
    await judge(page, 'the way to the viewer in a frame');
    await shot(page, 'clinic-viewer-in-a-frame');
    const [viewer] = await Promise.all([context.waitForEvent('page'), door.click()]);
    await viewer.waitForURL(/\/viewer\?StudyInstanceUIDs=/);
    await viewer.waitForFunction(() => [...document.querySelectorAll('canvas')].some((c) => c.width > 100 && c.height > 100), null, { timeout: 60000 });
    await viewer.close();
    const again = await context.newPage();
    assert.ok((await again.goto(address)).status() >= 400, 'the ticket is good twice');
    await again.close();
    await frame.click('main a:has-text("Back to the second opinion")');
    await frame.waitForSelector('article');
    await page.close();
  });

  await t.test('another site that may frame, and a tab, have not got the session', async () => {
    const { page, frame, refused } = await framed(context, other, session);
    assert.equal(await frame.locator('article').count(), 0);
    assert.ok(refused.length > 0 || /This view/.test(await frame.textContent('main')));
    await page.goto(session);
    assert.equal(await page.locator('article').count(), 0);
    await page.close();
  });

  await t.test('another site that may frame has a launch of its own', async () => {
    const { page, frame } = await framed(context, other, await at.launch());
    assert.ok(await frame.locator('article.current h2').count() === 1);
    await page.close();
  });

  await t.test('a site that is not listed frames neither a launch nor a session', async () => {
    for (const address of [await at.launch(), session]) {
      const { page, frame, refused } = await framed(context, elsewhere, address);
      assert.deepEqual(refused, ['net::ERR_BLOCKED_BY_RESPONSE']);
      assert.ok(!frame.url().startsWith(overread), frame.url());
      await page.close();
    }
  });
  await context.close();
});
