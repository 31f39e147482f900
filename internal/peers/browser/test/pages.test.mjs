// Every page that somebody can reach by links, as each kind of person, in both themes
// and both languages: axe-core finds nothing, it weighs under 150 kB, its address names
// no patient, nothing goes sideways on a phone, and there is no text that was forgotten in a catalogue.
// SHORT=1 goes one link deep and in one theme and language for each person.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, links, onAPhone, root, shot, signIn, visitor } from '../browser.mjs';

const short = Boolean(process.env.SHORT);
const people = { okafor: 'reader', tanaka: 'reader-2', brooks: 'coordinator', sorensen: 'director', costa: 'quality', nowak: 'auditor', lee: 'admin' };
const most = 150 * 1024;
const patients = (process.env.OVERREAD_PATIENTS ?? process.env.OVERREAD_PATIENT ?? '').split(',').filter(Boolean);

// kindOf is the page of an address, whatever it is about: one of each kind is judged.
const kindOf = (address) => address.slice(root.length).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replace(/\?.*/, '');

// What pages write of numbers and times in English, and German ones do not.
const english = /\b\d+ (?:d|h) \d+ (?:h|min)\b|\b\d+\.\d+ [kMGT]?B\b|\b\d{1,2} (?:Jan|Feb|Mar|May|Jun|Jul|Oct|Dec)[a-z]* \d{4}\b/g;

let turn = 0;
for (const [who, name] of Object.entries(people)) {
  test(`every page of ${name}`, async (t) => {
    const { context, page } = await visitor();
    const bytes = new Map();
    page.on('response', async (r) => {
      if (r.request().resourceType() === 'image') return;
      try { bytes.set(r.url(), (await r.body()).length); } catch { /* a redirect has none */ }
    });
    await signIn(page, who);
    const themes = short ? [['dark', 'light'][turn++ % 2]] : ['dark', 'light'];
    const languages = short ? ['en'] : ['en', 'de'];
    const queue = [[root + '/home', 0], [root + '/sessions', 0], [root + '/preferences', 0]];
    const done = new Set();
    while (queue.length) {
      const [address, depth] = queue.shift();
      const kind = kindOf(address);
      if (done.has(kind)) continue;
      done.add(kind);
      for (const p of patients) assert.ok(!address.includes(p), `${kind} names a patient`);
      for (const theme of themes) {
        for (const language of languages) {
          const url = new URL(root);
          await context.addCookies([{ name: 'overread-theme', value: theme, domain: url.hostname, path: '/' }, { name: 'overread-language', value: language, domain: url.hostname, path: '/' }]);
          bytes.clear();
          const answer = await page.goto(address);
          const label = `${kind} as ${name}, ${theme}, ${language}`;
          assert.equal(answer.status(), 200, label);
          const weight = [...bytes.values()].reduce((a, b) => a + b, 0);
          assert.ok(weight < most, `${label} weighs ${weight} bytes`);
          const text = await page.textContent('body');
          assert.ok(!/TODO |%!|\{\{/.test(text), `${label} has a text that is not right`);
          if (language === 'de') assert.deepEqual(text.match(english) ?? [], [], `${label} is not in German`);
          await judge(page, label);
          await onAPhone(page, label);
          if (language === 'en') await shot(page, `${name}${kind.replaceAll('/', '-').replace(/-at-[a-z]+-[a-z]+/, '')}-${theme}`);
        }
      }
      if (depth < (short ? 1 : 4)) for (const next of await links(page)) queue.push([next, depth + 1]);
    }
    t.diagnostic(`${done.size} kinds of page`);
    await context.close();
  });
}
