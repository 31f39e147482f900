// An administrator's day: looks at how everything is, registers a system and sees its
// key once, gives and takes a role, signs somebody out, tries and pauses an endpoint;
// all of it without a script too, and every page judged by axe-core.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, root, shot, signIn, visitor } from '../browser.mjs';

const at = root + '/at/mercy/admin';
const domain = new URL(root).hostname;
const cookie = (name, value) => ({ name, value, domain, path: '/' });

// done is what the page says that was done.
const done = (page) => page.textContent('.note.fine[role=status]');

test('an administrator’s day, without a script', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'lee');

  await page.goto(at + '/overview');
  assert.match(await page.textContent('main'), /Mercy.*policy|Policy/s);
  await shot(page, 'admin-overview');

  // A system is registered; what is wrong is said beside what was written.
  await page.click('nav a:has-text("Systems")');
  await page.click('a:has-text("Register a system")');
  await page.fill('#name', 'Radiology portal');
  await page.check('input[value=own]');
  await page.fill('textarea[name=scope]', 'system/Everything!');
  await page.click('button:has-text("Register it")');
  assert.match(await page.textContent('[role=alert]'), /scopes are written/);
  assert.equal(await page.inputValue('#name'), 'Radiology portal', 'what was written is kept');
  await shot(page, 'admin-system-refused');
  await page.check('input[value=reads]');
  await page.click('button:has-text("Register it")');
  const secret = await page.inputValue('#private');
  assert.match(secret, /"d":/, 'a private key');
  await shot(page, 'admin-secret');
  await page.click('a:has-text("I have copied it")');
  const system = page.url();
  assert.doesNotMatch(await page.content(), /"d":|&#34;d&#34;/, 'the key is shown once');
  await page.check('input[value=paste]');
  await page.fill('#jwks', `{"keys": [${secret}]}`);
  await page.click('button:has-text("Change the keys")');
  assert.match(await page.textContent('[role=alert]'), /a key is private/);
  await page.check('input[value=make]');
  await page.click('button:has-text("Change the keys")');
  assert.notEqual(await page.inputValue('#private'), secret, 'other keys');
  await page.goto(system);
  await shot(page, 'admin-system');
  await page.click('summary:has-text("Revoke this system")');
  await page.click('button:has-text("Revoke it")');
  assert.match(await done(page), /revoked/);

  // An EHR is listed, and taken off the list again.
  await page.click('a:has-text("List an EHR")');
  await page.fill('#issuer', 'http://user:secret@ehr.example/fhir');
  await page.fill('#client-id', 'overread');
  await page.click('button:has-text("List it")');
  assert.match(await page.textContent('[role=alert]'), /user name or password/);
  await page.fill('#issuer', 'https://ehr.example/fhir');
  await page.click('button:has-text("List it")');
  assert.match(await done(page), /may open Overread/);
  await shot(page, 'admin-systems');
  const row = page.locator('tr', { hasText: 'https://ehr.example/fhir' });
  await row.locator('summary').click();
  await row.locator('button').click();
  assert.match(await done(page), /off the list/);

  // Somebody else is signed in, gets a role, loses it, and is signed out by that.
  const other = await visitor();
  await signIn(other.page, 'nowak');
  await page.click('nav a:has-text("People")');
  await shot(page, 'admin-people');
  await page.click('a:has-text("Piotr Nowak")');
  const person = page.url();
  const role = (name) => page.locator('tr', { has: page.locator(`input[name=role][value=${name}]`) });
  await role('coordinator').locator('summary').click();
  await role('coordinator').locator('input[name=reason]').fill('stands in for Maya Brooks');
  await role('coordinator').locator('button').click();
  assert.match(await done(page), /next sign-in/);
  await role('reader').locator('summary').click();
  await role('reader').locator('input[name=reason]').fill('wants to read');
  await role('reader').locator('button').click();
  assert.match(await page.textContent('[role=alert]'), /no reader of this hospital/);
  await page.goto(person);
  await role('auditor').locator('summary').click();
  await role('auditor').locator('input[name=reason]').fill('has another office now');
  await role('auditor').locator('button').click();
  assert.match(await done(page), /role is taken/);
  await shot(page, 'admin-person');
  await other.page.goto(root + '/home');
  assert.match(other.page.url(), /signin/, 'the session ended with the role');
  await signIn(other.page, 'nowak');
  assert.match(await other.page.textContent('main'), /coordinator/i);
  assert.doesNotMatch(await other.page.textContent('ul.places'), /auditor/i);
  await page.goto(person);
  await page.click('button:has-text("End all of them")');
  assert.match(await done(page), /sign-in page/);
  await other.page.goto(root + '/home');
  assert.match(other.page.url(), /signin/, 'the session was ended');
  await other.context.close();
  await role('auditor').locator('summary').click(); // as it was, for whoever comes after
  await role('auditor').locator('input[name=reason]').fill('is back');
  await role('auditor').locator('button').click();
  await role('coordinator').locator('summary').click();
  await role('coordinator').locator('input[name=reason]').fill('Maya Brooks is back');
  await role('coordinator').locator('button').click();
  assert.match(await done(page), /role is taken/);

  // Nobody changes their own roles.
  await page.goto(at + '/people?name=lee');
  await page.click('a:has-text("Sam Lee")');
  assert.match(await page.textContent('main'), /This is you/);
  assert.equal(await page.locator('input[name=reason]').count(), 0);

  // The last group that makes administrators stays.
  await page.goto(at + '/people');
  const admins = page.locator('tr', { hasText: 'mercy-admins' });
  await admins.locator('summary').click();
  await admins.locator('button').click();
  assert.match(await page.textContent('main'), /Nobody would be left/);

  // An endpoint is tried, paused, and resumed.
  await page.goto(at + '/endpoints');
  await page.click('button:has-text("Try the connection")');
  assert.match(await page.textContent('main'), /It answers, and speaks FHIR/);
  await page.click('summary:has-text("Pause")');
  await page.fill('input[name=reason]', 'the EHR is upgraded tonight');
  await page.click('form[action$=pause] button');
  assert.match(await done(page), /until it is resumed/);
  await shot(page, 'admin-endpoints');
  await page.goto(at + '/health');
  assert.match(await page.textContent('main'), /paused/);
  await shot(page, 'admin-health');
  await page.goto(at + '/endpoints');
  await page.click('button:has-text("Resume")');
  assert.match(await done(page), /sent to this endpoint again/);
  await context.close();
});

test('the pages of administrators have nothing that axe-core finds, in both languages and themes', async () => {
  const other = await visitor();
  await signIn(other.page, 'brooks');
  const { context, page } = await visitor();
  await signIn(page, 'lee');
  await page.goto(at + '/systems');
  const system = await page.locator('tbody a').first().getAttribute('href');
  await page.goto(at + '/people');
  const person = await page.locator('tbody a:not(:has-text("Sam Lee"))').first().getAttribute('href');
  const addresses = { overview: '/overview', systems: '/systems', newsystem: '/systems/new', newlaunch: '/launches/new', people: '/people', newperson: '/people/new', endpoints: '/endpoints', endpoint: '/endpoints/set', readerlink: '/people/reader', hospital: '/hospital', health: '/health' };
  const pages = Object.entries(addresses).map(([name, path]) => [name, at + path]).concat([['system', new URL(system, root).href], ['person', new URL(person, root).href]]);
  for (const [theme, language] of process.env.SHORT ? [['dark', 'en']] : [['dark', 'en'], ['light', 'de'], ['light', 'en'], ['dark', 'de']]) {
    await context.addCookies([cookie('overread-theme', theme), cookie('overread-language', language)]);
    for (const [name, address] of pages) {
      await page.goto(address);
      await shot(page, `admin-${name}-${theme}-${language}`);
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      await judge(page, `${address} ${theme} ${language}`);
    }
  }
  await page.setViewportSize({ width: 400, height: 800 });
  for (const [name, address] of pages) {
    await page.goto(address);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 401, `${address} is too wide for a phone`);
    if (name === 'people') await shot(page, 'admin-people-phone');
  }
  await context.close();
  await other.context.close();
});

test('these rooms are nobody else’s', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'brooks');
  for (const path of ['/overview', '/systems', '/people', '/endpoints', '/health']) {
    for (const place of [at, root + '/at/mercy/coordinator', root + '/at/lakeside/admin']) {
      assert.equal((await page.goto(place + path)).status(), 404, place + path);
    }
  }
  await context.close();
});
