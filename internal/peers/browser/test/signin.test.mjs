// A real browser signs in at the demo's identity provider, works, opens a record in
// an emergency, and signs out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, judge, root, shot, signIn, upright, visitor } from '../browser.mjs';

test('a reader signs in, sees their work at all hospitals, and signs out', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'okafor');
  await shot(page, 'home-reader');
  assert.match(await page.textContent('.me'), /Dr\. Adaeze Okafor/);
  assert.match(await page.textContent('main'), /Mercy General Hospital/);
  const cookies = await context.cookies();
  const session = cookies.find((c) => c.name.endsWith('overread'));
  assert.equal(session.httpOnly, true);
  assert.equal(session.sameSite, 'Lax');
  assert.equal(session.expires, -1);

  await page.click('text=Your sessions');
  await shot(page, 'sessions');
  assert.match(await page.textContent('main'), /this one/);

  await page.click('text=Sign out');
  await shot(page, 'signedout');
  assert.match(await page.textContent('h1'), /signed out/);
  await page.click('text=Sign out there too');
  assert.equal(page.url(), root + '/signed-out');
  await page.goto(root + '/home');
  assert.match(page.url(), /\/signin/);
  await context.close();
});

test('somebody without a role is told so', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await page.goto(root + '/signin');
  await page.click('.choices a');
  await page.click('button[value="doe"]');
  await shot(page, 'norole');
  assert.match(await page.textContent('main'), /you have no role here/);
  await context.close();
});

test('a record is opened in an emergency, and the coordinator sees it', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'tanaka');
  await page.click('text=Emergency access');
  await shot(page, 'breakglass');
  await page.selectOption('#tenant', 'mercy');
  await page.fill('#patient', process.env.OVERREAD_PATIENT);
  await page.fill('#reason', 'Trauma call, the surgeon needs all of it at once');
  await page.click('.danger');
  await shot(page, 'opened');
  assert.match(await page.textContent('h1'), /The record is open/);
  await page.click('text=To your work');
  await shot(page, 'home-open');
  assert.match(await page.textContent('main'), /open to you in an emergency/);
  assert.ok(!page.url().includes(process.env.OVERREAD_PATIENT));
  await context.close();

  const desk = await visitor({ javaScriptEnabled: false });
  await signIn(desk.page, 'brooks');
  await shot(desk.page, 'home-coordinator');
  assert.match(await desk.page.textContent('main'), /Trauma call/);
  await desk.context.close();

  const phone = await visitor({ javaScriptEnabled: false, viewport: { width: 390, height: 800 } });
  await signIn(phone.page, 'brooks');
  await shot(phone.page, 'home-phone');
  const wide = await phone.page.locator('body').boundingBox();
  assert.ok(wide.width <= 391, 'the page is wider than a phone');
  await phone.context.close();
});

test('the pages for everybody have nothing that axe-core finds', async () => {
  for (const [theme, language] of process.env.SHORT ? [['light', 'de']] : [['light', 'en'], ['dark', 'de'], ['dark', 'en']]) {
    const { context, page } = await visitor({ colorScheme: theme });
    await dressed(context, theme, language);
    for (const [name, path] of Object.entries({ signin: '/signin', ended: '/signin?why=idle', signedout: '/signed-out', nothing: '/nowhere', docs: '/fhir/docs', patientdocs: '/fhir/docs/Patient' })) {
      await page.goto(root + path);
      await judge(page, `${path}, ${theme}, ${language}`);
      await shot(page, `public-${name}-${theme}-${language}`);
      await page.setViewportSize({ width: 400, height: 800 });
      await upright(page, `${path} at 400 px`);
      await page.setViewportSize({ width: 1280, height: 800 });
    }
    await context.close();
  }
});
