// The auditor's day: figures, and what was done: the trail is searched by a patient's
// number without an address that tells it, an event is opened, the log is compared and its
// proof explained. What a grade can change is not there for auditors, and is for directors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { judge, root, shot, signIn, visitor } from '../browser.mjs';

const patient = process.env.OVERREAD_PATIENT;

// Who looks at a patient is told to auditors, and not that an order came with one (decision 18).
before(async () => {
  const token = readFileSync(`${process.env.OVERREAD_DATA}/tokens/mercy-coordinator`, 'utf8').trim();
  const read = await fetch(`${root}/fhir/Patient/${patient}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(read.status, 200);
});

for (const [who, role] of Object.entries({ nowak: 'auditor', sorensen: 'director' })) {
  test(`the audit trail as ${role}`, async (t) => {
    const { context, page } = await visitor();
    const addresses = [];
    page.on('framenavigated', (f) => addresses.push(f.url()));
    await signIn(page, who);
    await page.waitForTimeout(1500); // what was done a moment ago is found within a second
    const trail = `${root}/at/mercy/${role}/trail`;
    await page.goto(trail);
    await judge(page, 'trail');
    await shot(page, `${role}-trail`);
    const all = await page.locator('table.trail tbody tr').count();
    assert.ok(all > 10, `${all} events on the first page`);

    await t.test('what is chosen without a name has an address', async () => {
      await page.selectOption('#kind', 'door');
      await page.click('form.filters button.primary');
      assert.match(page.url(), /\/trail\?kind=door$/);
      assert.ok(await page.getByRole('link', { name: 'Signed in' }).count() > 0, 'no sign-in is told');
    });

    await t.test('a patient is looked for by a form, and paged', async () => {
      await page.goto(trail);
      await page.fill('#record', `Patient/${patient}`);
      await page.click('form.filters button.primary');
      await page.waitForSelector('table.trail');
      assert.equal(page.url(), trail);
      await judge(page, 'trail of a patient');
      await shot(page, `${role}-trail-patient`);
      const roles = await page.locator('table.trail td:nth-child(2) .quiet').allTextContents();
      assert.equal(roles.includes('reader'), role === 'director', `what readers do is told to the ${role}: ${roles}`);
      await page.fill('#record', 'no such number');
      await page.click('form.filters button.primary');
      await page.getByText('No patient is known here by this number').waitFor();
    });

    await t.test('a person, an outcome and a day narrow it', async () => {
      await page.goto(trail);
      await page.fill('#person', who);
      await page.selectOption('#outcome', 'failed');
      await page.fill('#from', '2001-01-01');
      await page.fill('#to', '2001-01-02');
      await page.click('form.filters button.primary');
      await page.getByText('Nothing in the trail is like this').waitFor();
      assert.ok(!page.url().includes(who), 'a name is in the address');
    });

    await t.test('an event says who, what, when, why and what came of it', async () => {
      await page.goto(trail);
      await page.locator('table.trail tbody a').first().click();
      await page.getByRole('heading', { name: 'Who did it' }).waitFor();
      for (const words of ['When', 'What', 'Why', 'Outcome', 'In the role']) assert.ok(await page.locator('dt', { hasText: words }).count() > 0, words);
      await judge(page, 'event');
      await shot(page, `${role}-trail-event`);
      await page.getByRole('link', { name: 'All that they did' }).click();
      assert.ok(await page.locator('table.trail tbody tr').count() > 0);
    });

    await t.test('the log is compared, and how it is proved is said', async () => {
      await page.goto(`${trail}/proof`);
      await page.getByText('overread audit verify --export mercy.ndjson').waitFor();
      assert.ok(await page.getByText('INCOMPLETE').count() > 0);
      assert.equal(await page.locator('th', { hasText: 'Events' }).count(), role === 'director' ? 1 : 0);
      await page.getByRole('button', { name: 'Compare now' }).click();
      await page.getByText('Compared just now: all fits.').waitFor();
      assert.equal(await page.getByText('never on this page').count(), 0, 'beside that it was compared just now');
      await judge(page, 'proof');
      await shot(page, `${role}-proof`);
      await page.waitForTimeout(1500); // the record of it is settled within a second
      await page.goto(`${trail}/proof`);
      assert.ok(await page.locator('dd', { hasText: 'all fits' }).count() > 0, 'that it was compared is not told');
    });

    for (const address of addresses) assert.ok(!address.includes(patient), `${address} names a patient`);
    await context.close();
  });
}

test('an auditor has no page of a case', async () => {
  const { context, page } = await visitor();
  await signIn(page, 'nowak');
  for (const room of ['board', 'worklist', 'emergencies', 'deliveries']) {
    const answer = await page.goto(`${root}/at/mercy/auditor/${room}`);
    assert.equal(answer.status(), 404, room);
  }
  await context.close();
});
