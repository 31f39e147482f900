// A radiologist's day at the keyboard: from the worklist to the signature in at most
// twelve keystrokes besides the text, blind until the opinion is locked; what is written
// is saved by itself, and two windows do not overwrite each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, root, shot, signIn, visitor } from '../browser.mjs';

const at = (role) => `${root}/at/mercy/${role}`;

// hands are somebody at the keyboard who counts what they press: a chord counts as
// each of its keys.
const hands = (page) => ({
  pressed: 0,
  async press(key) { this.pressed += key.split('+').length; await page.keyboard.press(key); },
  async say(text) { await page.keyboard.type(text); },
});

test('a plain-agreement case takes at most twelve keystrokes besides the text', async (t) => {
  const { context, page } = await visitor();
  await signIn(page, 'okafor');
  await page.goto(at('reader') + '/worklist');
  await judge(page, 'worklist');
  await shot(page, 'reader-worklist');
  const h = hands(page);
  await h.press('p');
  await page.waitForURL(/whose=pool/);
  assert.match(await page.textContent('.attest'), /I had no part in the first reading/);
  await shot(page, 'reader-pool');
  const exam = await page.textContent('[data-row].on th a');
  await h.press('c');
  await page.waitForSelector('#findings');
  assert.match(await page.textContent('h1'), new RegExp(exam.slice(0, 6)));
  assert.match(await page.textContent('.veil'), /withheld/);
  assert.deepEqual(await page.evaluate(() => [scrollY, document.activeElement.id]), [0, 'findings'], 'one writes at once, and sees the head of the page');
  assert.equal(await page.locator('del, ins').count(), 0);
  await judge(page, 'reading page');
  await shot(page, 'reader-reading');
  await h.say('No acute intracranial bleeding. Ventricles and cisterns of normal width.');
  await h.press('Tab');
  await h.say('Normal computed tomography of the head.');
  await page.waitForFunction(() => /^Saved/.test(document.querySelector('[data-status]').textContent));
  await shot(page, 'reader-reading-saved');
  await h.press('Control+Enter');
  await page.waitForSelector('[data-key="r"]');
  await judge(page, 'locked');
  await shot(page, 'reader-locked');
  await h.press('r');
  await page.waitForSelector('#beside');
  await shot(page, 'reader-compare');
  await judge(page, 'comparison');
  await h.press('a');
  await page.waitForSelector('#agree[open]');
  await shot(page, 'reader-agree');
  await judge(page, 'agreement');
  await h.press('Enter');
  await page.waitForSelector('[data-key="s"]');
  await h.press('s');
  await page.waitForSelector('#signing[open]');
  await h.press('Enter');
  await page.waitForSelector('text=version 1');
  await judge(page, 'signed');
  await shot(page, 'reader-signed');
  await page.locator('summary', { hasText: 'Add a learning point' }).click();
  await page.fill('#point', 'A normal head is a finding too');
  await judge(page, 'learning point');
  await shot(page, 'reader-learning-point');
  t.diagnostic(`${h.pressed} keystrokes`);
  assert.ok(h.pressed <= 12, `${h.pressed} keystrokes`);
  await context.close();
});

test('two windows do not overwrite each other, and a reload shows what was saved', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'tanaka');
  await page.goto(at('reader') + '/worklist?whose=mine');
  await page.click('[data-row] th a');
  await page.waitForSelector('#findings');
  const other = await context.newPage();
  await other.goto(page.url());
  await page.fill('#technique', 'Written in the first window.');
  await page.waitForFunction(() => /^Saved/.test(document.querySelector('[data-status]').textContent));
  await other.fill('#technique', 'Written in the second window.');
  await other.waitForFunction(() => /another window/.test(document.querySelector('[data-status]').textContent));
  await shot(other, 'reader-conflict');
  await page.reload();
  assert.equal(await page.inputValue('#technique'), 'Written in the first window.');
  await context.close();
});

test('a form that is refused stands there again with what was written, with and without a script', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { context, page } = await visitor({ javaScriptEnabled });
    await signIn(page, 'haddad');
    await page.goto(at('reader') + '/worklist?whose=mine');
    await page.locator('[data-row]', { hasText: 'Comparing' }).first().locator('th a').click();
    await page.waitForSelector('#beside');
    const differ = page.locator('#differ');
    await page.click('[data-dialog=differ]');
    await differ.locator('[name="discrepancy.0.description"]').fill('A nodule of the left lung');
    await differ.locator('[name="discrepancy.0.nature"]').selectOption('detection');
    await differ.locator('[name=comment]').fill('Seen on two slices only');
    await differ.locator('button.primary').click();
    await page.waitForSelector('#differ #refused');
    assert.match(await page.title(), /^This did not work/);
    assert.ok(await differ.isVisible());
    assert.equal(await differ.locator('[name="discrepancy.0.description"]').inputValue(), 'A nodule of the left lung');
    assert.equal(await differ.locator('[name="discrepancy.0.nature"]').inputValue(), 'detection');
    assert.equal(await differ.locator('[name=comment]').inputValue(), 'Seen on two slices only');
    await shot(page, javaScriptEnabled ? 'reader-refused' : 'reader-refused-plain');
    if (javaScriptEnabled) await judge(page, 'refused form');
    await context.close();
  }
});

test('a discrepancy, a finding that cannot wait, and the desks of those who decide', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'haddad');
  await page.goto(at('reader') + '/worklist?whose=mine');
  const comparing = page.locator('[data-row]', { hasText: 'Comparing' }).first();
  await comparing.locator('th a').click();
  await page.waitForSelector('#beside');
  await page.keyboard.press('d');
  assert.equal(await page.isChecked('#marks'), false);
  await page.keyboard.press('d');
  await page.keyboard.press('x');
  await page.waitForSelector('#differ[open]');
  await judge(page, 'discrepancy form');
  await shot(page, 'reader-discrepancy');
  await page.click('#differ [data-close]');
  await page.keyboard.press('f');
  await page.waitForSelector('#critical[open]');
  await judge(page, 'finding dialog');
  await shot(page, 'reader-finding');
  await page.fill('#critical-text', 'A mass that needs urgent clarification');
  await page.check('[name=category][value=urgent]');
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('.matter');
  for (const form of await page.locator('.matter summary').all()) await form.click();
  await judge(page, 'matter');
  await shot(page, 'reader-matter');
  await page.fill('.matter form[action$="/do/withdraw-finding"] [name=reason]', 'It is the scar of the operation');
  await page.click('.matter form[action$="/do/withdraw-finding"] button');
  await page.waitForSelector('text=It is the scar of the operation');
  assert.equal(await page.locator('.matter form').count(), 0, 'what was taken back');
  await page.goto(at('supervisor') + '/worklist');
  await judge(page, 'worklist of a supervisor');
  await shot(page, 'supervisor-worklist');
  await context.close();

  const third = await visitor();
  await signIn(third.page, 'petrov');
  for (const role of ['adjudicator', 'supervisor']) {
    await third.page.goto(at(role) + '/worklist');
    await judge(third.page, `worklist of ${role}`);
    await shot(third.page, `${role}-worklist`);
    for (const [n, href] of (await third.page.$$eval('[data-row] th a', (as) => as.map((a) => a.href))).entries()) {
      await third.page.goto(href);
      await judge(third.page, `case of ${role}`);
      await shot(third.page, `${role}-case-${n}`);
    }
  }
  await third.page.goto(at('adjudicator') + '/worklist');
  await third.page.keyboard.press('c');
  await third.page.waitForSelector('text=Whose opinion stands?');
  await judge(third.page, 'deciding');
  await shot(third.page, 'adjudicator-deciding');
  await third.context.close();

  const two = await visitor();
  await signIn(two.page, 'sato');
  await two.page.goto(at('reader') + '/worklist');
  const row = two.page.locator('[data-row]', { hasText: 'Conferring' }).first();
  if (await row.count()) {
    await row.locator('th a').click();
    await judge(two.page, 'conferring');
    await shot(two.page, 'reader-conferring');
  }
  await two.context.close();
});

test('the page works without a script, and on a phone', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false, viewport: { width: 400, height: 850 } });
  await signIn(page, 'okafor');
  await page.goto(at('reader') + '/worklist');
  await shot(page, 'reader-phone');
  const wide = await page.locator('body').boundingBox();
  assert.ok(wide.width <= 401);
  await page.goto(at('reader') + '/worklist?priority=routine');
  await page.fill('[name=name]', 'Quiet ones');
  await page.click('button:text-is("Keep")');
  assert.match(await page.textContent('.tabs'), /Quiet ones/);
  await page.click('text=Throw this view away');
  assert.doesNotMatch(await page.textContent('.tabs'), /Quiet ones/);
  await context.close();
});

// WCAG 2.2, 2.1.4: whoever dictates into the page turns its keys off, or has them with Alt.
test('the keys of the pages are had with Alt, or not at all', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'okafor');
  const choose = async (way) => {
    await page.goto(root + '/preferences');
    await page.selectOption('#keys', way);
    await page.click('main form .primary');
    await page.goto(at('reader') + '/worklist');
  };
  await choose('off');
  await page.keyboard.press('p');
  await page.keyboard.press('Alt+p');
  await page.waitForTimeout(300);
  assert.ok(!page.url().includes('whose=pool'), 'a key that is off does something');
  await choose('alt');
  await page.keyboard.press('p');
  await page.waitForTimeout(300);
  assert.ok(!page.url().includes('whose=pool'), 'the key alone does something');
  await page.keyboard.press('Alt+p');
  await page.waitForURL(/whose=pool/);
  await choose('');
  await page.keyboard.press('p');
  await page.waitForURL(/whose=pool/);
  await context.close();
});
