// Overread in a frame of an EHR: a page of another origin, that of the stand-in EHR which
// the hospital lists (frame-ancestors), shows the launched pages and works in them; a page
// of an origin that is not listed, and frames of all other pages, show nothing.
//
// All of it is http on loopback: there the cookie is SameSite=Lax, which goes into a frame
// of the same site (another port of 127.0.0.1). Over https it is SameSite=None; Secure;
// Partitioned, for EHRs of another site (docs/launch.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, root, shot, visitor } from '../browser.mjs';

const ehr = process.env.OVERREAD_EHR;

// framed opens a page of an EHR at an origin with this address in its frame, and returns
// the frame once it has come to rest, with what the browser refused in it.
async function framed(context, origin, address) {
  const page = await context.newPage();
  const refused = [];
  page.on('requestfailed', (r) => refused.push(r.failure().errorText));
  await page.goto(`${origin}/framed?to=${encodeURIComponent(address)}`);
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  await page.waitForLoadState('networkidle');
  return { page, frame, refused };
}

// launchURL is where the EHR's button leads: Overread, with a launch of its own.
async function launchURL(context, number) {
  const page = await context.newPage();
  await page.goto(ehr + '/');
  const button = page.locator('.order', { hasText: number }).locator('form', { hasText: 'mercy' }).first();
  const [action, form] = await button.evaluate((f) => [f.action, Object.fromEntries(new FormData(f))]);
  const answer = await context.request.post(action, { form, maxRedirects: 0 });
  const to = answer.headers().location;
  await page.close();
  assert.ok(to, 'the EHR launches');
  return to;
}

test('the launched pages work in a frame of the EHR that is listed', async () => {
  const { context } = await visitor();
  const { page, frame } = await framed(context, ehr, await launchURL(context, '2025-0129'));
  assert.match(frame.url(), /\/launched\//);
  assert.notEqual(new URL(frame.url()).origin, new URL(page.url()).origin);
  await frame.click('article.current h2 a');
  await frame.waitForSelector('#question');
  await frame.fill('#question', 'Is the fracture old?');
  await frame.click('form.ask button.primary');
  await frame.waitForSelector('#done');
  assert.match(await frame.textContent('#done'), /Your question was sent/);
  await judge(page, 'the EHR with the frame');
  await shot(page, 'clinic-in-a-frame');
  await context.close();
});

test('an origin that is not listed shows nothing of a launch, and no other page is shown in any frame', async () => {
  const { context } = await visitor();
  const to = await launchURL(context, '2025-0129');
  const elsewhere = ehr.replace('127.0.0.1', 'localhost'); // the same program, and another origin
  for (const [origin, address] of [[elsewhere, to], [elsewhere, root + '/signin'], [ehr, root + '/signin'], [ehr, root + '/fhir/docs']]) {
    const { page, frame, refused } = await framed(context, origin, address);
    assert.deepEqual(refused, ['net::ERR_BLOCKED_BY_RESPONSE'], `${address} in a page of ${origin}`);
    assert.ok(!frame.url().startsWith(root), frame.url());
    await page.close();
  }
  await context.close();
});
