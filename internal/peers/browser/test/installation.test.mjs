// What two administrators do together, and what the installation's operator does by pages:
// an endpoint is proposed and put in force, a hospital is added, suspended and resumed, an
// identity provider added and removed; without a script, and every page judged by axe-core.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, judge, root, scripted, shot, signIn, upright, visitor } from '../browser.mjs';

const at = root + '/at/mercy/admin';
const done = (page) => page.textContent('.note.fine[role=status]');
const looks = process.env.SHORT ? [['dark', 'en']] : [['dark', 'en'], ['light', 'de'], ['light', 'en'], ['dark', 'de']];

// judged judges the page that somebody without scripts has come to by a form, where an address leads to it.
async function judged(page, name) {
  const { context, page: other } = await scripted(page);
  await judge(other, name);
  await context.close();
}

test('two administrators set an endpoint, and neither does it alone', async () => {
  const [lee, albrecht] = [await visitor({ javaScriptEnabled: false }), await visitor({ javaScriptEnabled: false })];
  await signIn(lee.page, 'lee');
  await signIn(albrecht.page, 'albrecht');
  const { page } = lee;
  await page.goto(at + '/endpoints');
  await page.click('a[aria-label="Change ehr"]');
  const before = await page.inputValue('#base');
  await page.fill('#timeout', '900');
  await page.fill('#reason', 'large reports');
  await page.click('button.primary');
  assert.match(await page.textContent('[role=alert]'), /between 100ms and 2m/);
  assert.equal(await page.getAttribute('#timeout', 'aria-invalid'), 'true');
  await page.fill('#timeout', '12');
  await page.click('button.primary');
  assert.match(await page.textContent('table.changes'), /Seconds for an attempt\s*10\s*12/);
  await shot(page, 'admin-endpoint-confirm');
  await page.click('button:has-text("Propose it")');
  assert.match(await done(page), /It is proposed/);

  await page.click('a:has-text("Propose an endpoint")');
  await page.fill('#name', 'archive');
  await page.fill('#base', 'http://169.254.169.254/fhir');
  await page.fill('#reason', 'the archive wants reports');
  await page.click('button.primary');
  assert.match(await page.textContent('[role=alert]'), /metadata service/);
  await page.fill('#base', before.replace(/\/fhir$/, '/archive'));
  await page.click('button.primary');
  assert.match(await page.textContent('main'), /All reports of this hospital/);
  await page.click('button:has-text("Propose it")');
  assert.equal(await page.locator('button:has-text("agree")').count(), 0, 'nobody agrees to their own');
  await shot(page, 'admin-endpoints-proposed');

  await albrecht.page.goto(at + '/endpoints');
  await judged(albrecht.page, 'endpoints with proposals');
  await albrecht.page.click('button[aria-label="Look at it, and agree: archive"]');
  assert.match(await albrecht.page.textContent('main'), /Proposed by\s*Sam Lee/);
  await shot(albrecht.page, 'admin-endpoint-agree');
  await albrecht.page.click('a:has-text("Cancel")');
  await albrecht.page.click('button[aria-label="Decline archive"]');
  assert.match(await done(albrecht.page), /Nothing has changed/);
  await albrecht.page.click('button[aria-label="Look at it, and agree: ehr"]');
  await albrecht.page.click('button:has-text("Agree, and put it in force")');
  assert.match(await done(albrecht.page), /in force/);
  assert.match(await albrecht.page.textContent('main'), /12s for an attempt/);
  assert.doesNotMatch(await albrecht.page.textContent('main'), /Paused by/, 'the address is as it was');

  // Who is which reader: those of the demo read at both hospitals, so the operator says it.
  await page.goto(at + '/people/reader');
  await page.fill('#subject', 'somebody');
  await page.selectOption('#reader', { index: 1 });
  await page.click('button.primary');
  assert.match(await page.textContent('[role=alert]'), /another hospital too/);
  await shot(page, 'admin-readerlink-refused');

  await page.goto(at + '/hospital');
  const name = await page.inputValue('#display');
  await page.fill('#display', name + ' ');
  await page.click('button.primary');
  assert.match(await done(page), /settings are changed/);
  await lee.context.close();
  await albrecht.context.close();
});

test('the operator of the installation, without a script', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'vance');
  await page.click('a:has-text("Hospitals and identity providers")');
  assert.match(await page.textContent('main'), /Mercy General Hospital.*Ruth Vance \(you\)/s);

  await page.click('a:has-text("Add an identity provider")');
  await page.fill('#name', 'st-anne');
  await page.fill('#issuer', 'http://127.0.0.1:1');
  await page.fill('#client-id', 'overread');
  await page.fill('#scopes', 'profile');
  await page.click('button.primary');
  assert.match(await page.textContent('[role=alert]'), /no openid/);
  await page.fill('#scopes', 'openid profile');
  await page.click('button.primary');
  assert.match(await page.textContent('main'), /add only one that you trust/);
  await shot(page, 'installation-provider-confirm');
  await page.click('button:has-text("Put it in force")');
  assert.match(await done(page), /identity provider is set/);

  await page.click('a:has-text("Installation")');
  await page.click('a:has-text("Add a hospital")');
  await page.fill('#name', 'st-anne');
  await page.fill('#display', 'St. Anne’s Clinic');
  await page.click('button.primary');
  await shot(page, 'installation-hospital-confirm');
  await page.click('button:has-text("Add the hospital")');
  assert.match(await done(page), /Say who administers it/);
  await judged(page, 'a hospital without administrators');
  await page.selectOption('#provider', 'st-anne');
  await page.fill('#value', 'anne-it');
  await shot(page, 'installation-hospital');
  await page.click('section:has(#first) button');
  await page.click('button:has-text("Let them administer it")');
  assert.match(await done(page), /administer the hospital/);
  assert.equal(await page.locator('#value').count(), 0, 'from then on it is theirs');

  await page.fill('#reason', 'not before autumn');
  await page.click('section:has(#work) button');
  assert.match(await page.textContent('main'), /Nobody reads, signs or orders there/);
  await shot(page, 'installation-suspend');
  await page.click('button:has-text("Suspend it")');
  assert.match(await done(page), /is suspended/);
  await page.fill('#reason', 'autumn');
  await page.click('section:has(#work) button');
  assert.match(await done(page), /goes on/);

  await page.goto(root + '/installation/providers/demo');
  await page.click('button:has-text("Remove this provider")');
  assert.match(await page.textContent('[role=alert]'), /no way back/);
  await page.goto(root + '/installation/providers/st-anne');
  await page.click('button:has-text("Remove this provider")');
  await page.click('button:has-text("Remove it")');
  assert.match(await done(page), /is removed/);
  assert.doesNotMatch(await page.textContent('main'), /127.0.0.1:1</);
  await context.close();
});

test('the pages of the operator have nothing that axe-core finds, in both languages and themes', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'vance');
  const pages = { '': 'installation', '/hospitals/new': 'newhospital', '/hospitals/mercy': 'hospital', '/providers/new': 'newprovider', '/providers/demo': 'provider' };
  for (const [theme, language] of looks) {
    await dressed(context, theme, language);
    for (const [path, name] of Object.entries(pages)) {
      await page.goto(root + '/installation' + path);
      await judge(page, `${name} ${theme} ${language}`);
      await shot(page, `installation-${name}-${theme}-${language}`);
    }
    await page.goto(root + '/installation/hospitals/mercy');
    await page.fill('#reason', 'unpaid');
    await page.click('section:has(#work) button');
    await judge(page, `to confirm ${theme} ${language}`, root + '/installation/hospitals/mercy');
    await shot(page, `installation-confirm-${theme}-${language}`);
  }
  await page.setViewportSize({ width: 400, height: 800 });
  for (const path of Object.keys(pages)) {
    await page.goto(root + '/installation' + path);
    await upright(page, path);
  }
  await context.close();
});

test('the installation is nobody else’s', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'lee');
  assert.equal(await page.locator('a[href$="/installation"]').count(), 0);
  for (const path of ['', '/hospitals/new', '/hospitals/mercy', '/providers/new', '/providers/demo']) {
    assert.equal((await page.goto(root + '/installation' + path)).status(), 404, path);
  }
  await context.close();
});
