// A clinician opens Overread from the stand-in EHR: all second opinions of a patient,
// one of them beside the original, its versions, a question, the summary for the
// patient; in both themes and languages, in a tab and at 400 pixels, without script.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, launch, root, shot, upright, visitor } from '../browser.mjs';

const short = Boolean(process.env.SHORT);

const themes = short ? ['light'] : ['light', 'dark'];
for (const colorScheme of themes) {
  test(`a clinician reads second opinions in the EHR, ${colorScheme}`, async () => {
    const { context, page } = await visitor({ colorScheme, viewport: { width: 1180, height: 800 } });
    const look = async (name) => {
      await page.evaluate(() => scrollTo(0, 0));
      await judge(page, `${name}, ${colorScheme}`);
      await upright(page, name);
      await shot(page, `clinic-${name}-${colorScheme}`);
      await page.setViewportSize({ width: 400, height: 800 });
      await judge(page, `${name} at 400 px, ${colorScheme}`);
      await upright(page, `${name} at 400 px`);
      await shot(page, `clinic-${name}-narrow-${colorScheme}`);
      await page.setViewportSize({ width: 1180, height: 800 });
    };
    await launch(page, '2025-0145'); // amended, and to be read again
    assert.match(await page.textContent('main'), /I have read this report/);
    assert.match(await page.textContent('main'), /Replaces version 1/);
    await look('chart');
    await page.click('article.current h2 a');
    assert.match(await page.textContent('main'), /Both reports side by side/);
    assert.ok(await page.locator('mark.first').count() > 0 && await page.locator('mark.second').count() > 0);
    assert.match(await page.textContent('#between'), /It has not grown within a year/);
    if (colorScheme === themes[0]) {
      await page.fill('#question', 'Would a biopsy change anything?');
      await page.click('form.ask button.primary');
      assert.match(await page.textContent('#done'), /Your question was sent/);
    }
    await look('opinion');
    const opinion = page.url();
    const shown = await page.locator('ul.strip img').count() ? await page.locator('ul.strip img').first().getAttribute('src') : `${new URL(opinion).pathname}/dicomweb/studies/1/series/1/instances/1/rendered`;
    const large = root + shown.replace('/dicomweb/', '/image/').replace(/\?.*/, '');
    await page.goto(large); // as it is shown in a frame
    await look('image');
    assert.equal((await page.goto(large + '/thumbnail')).status(), 404);
    await page.goto(opinion);
    await page.click('button[value="de"]');
    await page.click('article.current h2 a');
    assert.match(await page.textContent('main'), /Beide Befunde nebeneinander/);
    await look('opinion-german');
    const report = await page.locator('a[href*="/report/"][href$="/html"]').first().evaluate((a) => a.href);
    const letter = await context.newPage();
    await letter.setContent(await (await context.request.get(report)).text());
    await judge(letter, 'the report', report);
    await upright(letter, 'the report');
    await shot(letter, `clinic-report-${colorScheme}`);
    await letter.close();
    for (const [language, title] of [['de', /Zweitmeinung in einfachen Worten/], ['en', /second opinion, in plain words/]]) {
      // The page itself is in a sandbox in which nothing runs, axe neither: its text is judged in another.
      const address = await page.locator(`a[href$="/summary/${language}/html"]`).evaluate((a) => a.href);
      const answer = await context.request.get(address);
      assert.match(answer.headers()['content-security-policy'], /sandbox allow-modals/);
      const sheet = await context.newPage();
      await sheet.setContent(await answer.text());
      assert.match(await sheet.textContent('h1'), title);
      await judge(sheet, `summary in ${language}`, address);
      await upright(sheet, `summary in ${language}`);
      await shot(sheet, `clinic-summary-${language}-${colorScheme}`);
      await sheet.close();
    }
    if (colorScheme === themes.at(-1)) {
      await page.click('article button.primary');
      assert.match(await page.textContent('article'), /Zur Kenntnis genommen am/);
    }
    for (const [name, number] of short ? [] : [['versions', '2025-0129'], ['open', '2025-0112']]) {
      await launch(page, number);
      await page.click('article.current h2 a');
      await look(name);
    }
    await page.click('form[action$="/end"] button'); // in whatever language
    assert.match(await page.textContent('h1'), /This view has ended|Diese Ansicht ist beendet/);
    await look('ended');
    await context.close();
  });
}

test('the pages of a launch need no script', async () => {
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await launch(page, '2025-0129');
  await page.click('article.current h2 a');
  await page.selectOption('select[name="from"]', '1');
  await page.click('form.between button');
  assert.match(await page.textContent('#between'), /from version 1 to version 3/);
  await page.click('text=What did the second opinion change for this patient?');
  await page.check('input[value="work-up"]');
  await page.click('text=Send');
  assert.match(await page.textContent('#done'), /Thank you/);
  await context.close();
});
