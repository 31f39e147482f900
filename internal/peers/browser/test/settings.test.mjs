// What an administrator sets: a policy and a report template, which are checked while they
// are written, in the language of the page; and the readers: what they may read, when they
// work, with whom they have a conflict, which is written without a script. Every page is judged by axe-core.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dressed, judge, root, scripted, shot, signIn, upright, visitor } from '../browser.mjs';

const at = root + '/at/mercy/admin';
const short = Boolean(process.env.SHORT);

// looks judges the page as it is in each theme, where what was sent by a form stays. The
// theme of a page is that of its browser's cookie: it is set on the page as it stands.
async function look(page, name) {
  await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
  for (const theme of ['light', 'dark']) {
    await page.evaluate((t) => { document.documentElement.dataset.theme = t; }, theme);
    await page.waitForTimeout(400); // colours pass into one another
    await judge(page, `${name}, ${theme}`);
    if (!short || theme === 'light') await shot(page, `${name}-${theme}`);
  }
  await page.setViewportSize({ width: 400, height: 800 });
  await upright(page, `${name} at 400 px`);
  if (!short) await shot(page, `${name}-narrow`);
  await page.setViewportSize({ width: 1280, height: 800 });
}

// see looks at what somebody without scripts has come to.
async function see(page, name) {
  const other = await scripted(page);
  await look(other.page, name);
  await other.context.close();
}

test('a policy is checked, mended and put in force', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'lee');
  await page.goto(at + '/overview');
  await page.click('nav a:has-text("Policy")');
  await look(page, 'policy');
  await page.click('a:has-text("Write a new version")');
  const text = await page.inputValue('#text');
  const send = async (words, button) => { await page.fill('#text', words); await page.click(`button[value=${button}]`); };
  const wrong = 'assignment: pull\nclocks:\n  stat:\n    fnal: 2h\n    offer: 90\n';
  await send(wrong, 'check');
  assert.equal(await page.locator('ol.faults > li').count(), 3);
  assert.match(await page.textContent('ol.faults'), /Line 1.*assignment: pull.*must be one of offer, pool, batch.*did you mean final\?.*must be text, not a number/s);
  await look(page, 'policy-wrong');
  await dressed(context, 'light', 'de');
  await send(wrong, 'check');
  assert.match(await page.textContent('ol.faults'), /Zeile 1.*muss eines von diesen sein: offer, pool, batch.*ist keine Einstellung; war final gemeint\?.*muss Text sein, nicht eine Zahl/s);
  assert.doesNotMatch(await page.textContent('main'), /must be|did you mean/);
  await look(page, 'policy-wrong-german');
  await dressed(context, 'light', 'en');
  assert.match(text, /"perThousand": 0/, 'a policy of one line is laid out');
  await send(text.replace('"perThousand": 0', '"perThousand": 25'), 'check');
  assert.match(await page.textContent('#verdict'), /Nothing is wrong with it/);
  assert.match(await page.textContent('#changes + *'), /perThousand/);
  await look(page, 'policy-checked');
  await page.fill('#reason', 'The board has looked at it.');
  await page.click('button[value=set]');
  assert.match(await page.textContent('[role=status]'), /in force for new cases/);
  await look(page, 'policy-set');
  await page.click('tbody tr:first-child a');
  assert.match(await page.textContent('main'), /The board has looked at it/);
  await look(page, 'policy-version');
  await context.close();
});

test('a report template is written, seen and put in force', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'lee');
  await page.goto(at + '/overview');
  await page.click('nav a:has-text("Report templates")');
  await look(page, 'templates');
  await page.fill('#name', 'ct-head-trauma');
  await page.click('button:has-text("Write it")');
  const text = await page.inputValue('#text');
  await page.fill('#text', text.replace('low: 0, high: 40', 'low: 40, high: 4'));
  await page.click('button[value=check]');
  assert.match(await page.textContent('ol.faults'), /must not be below low \(40\)/);
  await look(page, 'template-wrong');
  await page.fill('#text', text);
  await page.click('button[value=check]');
  assert.match(await page.textContent('#preview + *'), /Midline shift/);
  await look(page, 'template-checked');
  await page.fill('#reason', 'Trauma is reported so from now on.');
  await page.click('button[value=set]');
  assert.match(await page.textContent('main'), /Version 1 is in force/);
  await look(page, 'template');
  await context.close();
});

test('what a reader may read, and when they work, is written without a script', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await signIn(page, 'lee');
  await page.goto(at + '/overview');
  await page.click('nav a:has-text("Readers")');
  assert.match(await page.textContent('tr:has-text("Osei")'), /no licence is valid today/);
  await see(page, 'readers');
  await page.click('a:has-text("Lena Brandt")');
  assert.match(await page.textContent('main'), /absent until/);
  await see(page, 'reader-credentials');

  // A licence more; one whose last day is before its first writes nothing.
  const row = page.locator('table.rows tbody tr').last();
  await row.locator('[name=jurisdiction]').fill('us-ct');
  await row.locator('[name=number]').fill('CT-4711');
  await row.locator('[name=from]').fill('2025-01-01');
  await row.locator('[name=to]').fill('2024-01-01');
  await page.click('button:has-text("Write the licences")');
  assert.match(await page.textContent('[role=alert]'), /the last is not before the first/);
  const again = page.locator('table.rows tbody tr').last();
  await again.locator('[name=jurisdiction]').fill('us-ct');
  await again.locator('[name=from]').fill('2025-01-01');
  await again.locator('[name=to]').fill('2031-12-31');
  await page.click('button:has-text("Write the licences")');
  assert.equal(await page.locator('[name=jurisdiction]').nth(2).inputValue(), 'US-CT');

  // Her role begins as what the operator has said; shifts and a conflict are added.
  const role = page.locator('form[action$="/role"]').first();
  assert.equal(await role.locator('[name=subspecialties]').inputValue(), 'musculoskeletal');
  for (const day of ['monday', 'tuesday', 'thursday']) await role.locator(`[name=day0][value=${day}]`).check();
  await role.locator('[name=shiftfrom]').first().fill('08:00');
  await role.locator('[name=shiftto]').first().fill('17:30');
  await role.locator('[name=zone]').fill('America/New_York');
  const other = page.locator('datalist option', { hasText: 'Okafor' });
  await role.locator('[name=conflict]').last().fill(await other.getAttribute('value'));
  await role.locator('button:has-text("Write the role")').click();
  const said = await page.textContent('main');
  assert.match(said, /Monday, Tuesday, Thursday: 08:00–17:30/);
  assert.match(said, /absent until/, 'what the operator had said stays');
  assert.ok(await page.locator('[name=conflict]:checked').count() === 1, 'the conflict is declared');
  assert.match(await page.textContent('fieldset:has([name=conflict])'), /Okafor/);
  await see(page, 'reader-credentials-written');

  // The conflict ends, and a shift without days is refused.
  const first = page.locator('form[action$="/role"]').first();
  await first.locator('[name=conflict]:checked').uncheck();
  await first.locator('[name=shiftfrom]').last().fill('08:00');
  await first.locator('button:has-text("Write the role")').click();
  assert.match(await page.textContent('[role=alert]'), /A shift has days and hours/);
  const last = page.locator('form[action$="/role"]').first();
  await last.locator('[name=conflict]:checked').uncheck();
  await last.locator('button:has-text("Write the role")').click();
  assert.equal(await page.locator('[name=conflict]:checked').count(), 0);
  await dressed(context, 'dark', 'de');
  await page.reload();
  assert.match(await page.textContent('main'), /Montag, Dienstag, Donnerstag: 08:00–17:30/);
  await see(page, 'reader-credentials-german');
  await context.close();
});
