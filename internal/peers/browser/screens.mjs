// make screens: one picture of each page for docs/screens, and the index of them. It works
// at a fresh demo as the tests do, so that what is shown is what is tested; readers have
// their dark pages, the others light ones, some of them in German. Chromium itself writes
// WebP. The desk of escalations waits for a clock of the server, and so comes last.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { dressed, launch, root, signIn, visitor } from './browser.mjs';

const folder = process.env.OVERREAD_SCREENS;
const highest = 1700; // pixels of a long page that are shown
const index = [];

// picture writes a page as WebP, at the width of a window of 1280 pixels.
async function picture(page, name, line) {
  await page.waitForLoadState('networkidle');
  for (const image of await page.locator('ul.strip img:visible').all()) await image.evaluate((i) => { i.loading = 'eager'; return i.decode(); }).catch(() => {});
  const session = await page.context().newCDPSession(page);
  const { cssContentSize: size } = await session.send('Page.getLayoutMetrics');
  const clip = { x: 0, y: 0, width: page.viewportSize().width, height: Math.min(Math.ceil(size.height), highest), scale: 1 };
  const dialog = await page.locator('dialog[open]').count() > 0; // it stands in the window, not on the page
  const how = dialog ? {} : { captureBeyondViewport: true, clip };
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 72, ...how });
  await session.detach();
  writeFileSync(`${folder}/${name}.webp`, Buffer.from(data, 'base64'));
  index.push([name, line]);
}

// room is a page of somebody at Mercy General Hospital: whose, its path, and what it is.
const first = (selector) => async (page) => { await page.locator(selector).first().click(); await page.waitForLoadState(); };
const rooms = [
  ['okafor', 'dark', 'en', 'reader', [
    ['worklist', '/worklist', 'Reader: the worklist, by priority and due time; a case is claimed with one key'],
    ['reading-deciding-together', '/case', 'Reader: two independent readings that differ, side by side', async (page) => { await page.goto(root + '/at/mercy/reader/worklist'); await page.locator('[data-row]', { hasText: 'Conferring' }).locator('th a').click(); await page.waitForSelector('#images'); }],
    ['own-statistics', '/statistics', 'Reader: statistics of one’s own, which nobody else sees'],
    ['break-glass', root + '/break-glass', 'A record is opened in an emergency: audited, and told the coordinator'],
    ['home', root + '/home', 'Everybody’s first page: their work at all hospitals'],
    ['sessions', root + '/sessions', 'Where one is signed in'],
    ['preferences', root + '/preferences', 'Language, colours and keys'],
  ]],
  ['tanaka', 'dark', 'en', 'reader', [
    ['reading', '/worklist?whose=mine', 'Reader: the reading page, the first report withheld; images, question, history, structured report with autosave', async (page) => { await page.locator('[data-row] th a').first().click(); await page.waitForSelector('#images'); }],
  ]],
  ['haddad', 'dark', 'en', 'reader', [
    ['comparing', '/worklist?whose=mine', 'Reader: after locking, both reports and what differs', async (page) => { await page.locator('[data-row]', { hasText: 'Comparing' }).first().locator('th a').click(); await page.waitForSelector('#beside'); }],
    ['grading', null, 'Reader: a discrepancy is graded', async (page) => { await page.keyboard.press('x'); await page.waitForSelector('#differ[open]'); await page.evaluate(() => scrollTo(0, 0)); }],
    ['critical-finding', null, 'Reader: a finding that cannot wait', async (page) => { await page.click('#differ [data-close]'); await page.keyboard.press('f'); await page.waitForSelector('#critical[open]'); }],
  ]],
  ['petrov', 'dark', 'en', 'adjudicator', [
    ['deciding', '/worklist', 'Third reader: whose opinion stands', async (page) => { await page.keyboard.press('c'); await page.waitForSelector('text=Whose opinion stands?'); }],
    ['feedback', root + '/at/mercy/reader/feedback', 'First reader: what a second opinion found, to learn from and to answer'],
  ]],
  ['brooks', 'light', 'en', 'coordinator', [
    ['board', '/board', 'Coordinator: all cases, and what each waits for'],
    ['case-in-doubt', '/board?state=intake-review', 'Coordinator: a case in doubt; what order, study and report say stands side by side', first('tbody tr th a')],
    ['case-signed', '/board?state=final', 'Coordinator: a signed case with its deliveries, clocks and history', first('tbody tr th a')],
    ['missing', '/missing', 'Coordinator: what is missing, and asked of whom'],
    ['matching', '/matching', 'Coordinator: cases without a reader, and credentials that end'],
    ['candidates', '/matching', 'Coordinator: who may read a case and who may not, with the reasons', first('tbody td a')],
    ['deliveries', '/deliveries?state=all', 'Coordinator: each delivery with its attempts'],
    ['emergencies', '/emergencies', 'Coordinator: records opened in an emergency'],
  ]],
  ['costa', 'light', 'en', 'quality', [
    ['figures', '/figures?measure=discrepancy-any&by=modality', 'Quality: a rate with its interval, funnel plot and table'],
    ['figures-by-month', '/figures?measure=discrepancy-any&by=month', 'Qualität: eine Kennzahl nach Monaten', null, 'de'],
    ['learning', '/learning?show=all', 'Quality: the peer-learning room, its reviews'],
    ['learning-points', '/learning/points', 'Quality: what is to be learnt'],
    ['learning-case', '/learning/points', 'Qualität: ein Fall mit beiden Befunden und ihrer Bewertung', first('tbody th a'), 'de'],
    ['learning-feedback', '/learning/feedback', 'Quality: what original readers were told, and answered'],
    ['learning-outcomes', '/learning/outcomes', 'Quality: who was right, as it turned out'],
    ['learning-samples', '/learning/samples?show=all', 'Quality: cases that the server drew for a second read'],
    ['learning-packs', '/learning/packs', 'Quality: packs for a meeting'],
    ['learning-pack', '/learning/packs', 'Quality: a pack, which names no patient and no reader', first('tbody th a')],
  ]],
  ['nowak', 'light', 'en', 'auditor', [
    ['auditor-figures', '/figures?measure=discrepancy-any&by=modality', 'Auditor: published figures, small counts withheld'],
    ['trail', '/trail', 'Auditor: the audit trail'],
    ['trail-event', '/trail', 'Auditor: one event: who, what, when, why', first('table.trail tbody a')],
    ['trail-proof', '/trail/proof', 'Auditor: the log is compared, and how anybody proves it'],
  ]],
  ['lee', 'light', 'en', 'admin', [
    ['admin-overview', '/overview', 'Administrator: the hospital at a glance'],
    ['admin-systems', '/systems', 'Administratorin: Systeme und Schlüssel', null, 'de'],
    ['admin-system', '/systems', 'Administrator: one system', first('tbody a')],
    ['admin-new-system', '/systems/new', 'Administrator: a system is registered'],
    ['admin-new-launch', '/launches/new', 'Administrator: an EHR that may launch Overread'],
    ['admin-people', '/people', 'Administrator: people and roles'],
    ['admin-person', '/people', 'Administrator: one person’s roles and sessions', first('tbody th a')],
    ['admin-new-person', '/people/new', 'Administrator: somebody gets a role before they come'],
    ['admin-endpoints', '/endpoints', 'Administrator: where reports go'],
    ['admin-endpoint', '/endpoints/set', 'Administrator: an endpoint is proposed; another administrator agrees'],
    ['admin-reader-link', '/people/reader', 'Administrator: who is which reader'],
    ['admin-hospital', '/hospital', 'Administrator: the settings of the hospital'],
    ['admin-health', '/health', 'Administrator: the health of the system'],
    ['admin-readers', '/readers', 'Administrator: who may read, and what ends soon'],
    ['admin-reader', '/readers', 'Administrator: a reader’s licences, role, shifts and conflicts', first('tr:has-text("Lindqvist") a')],
    ['admin-policy', '/policy', 'Administrator: versions of the policy'],
    ['admin-policy-version', '/policy/versions/1', 'Administrator: a version, and what it changed'],
    ['admin-policy-edit', '/policy/edit', 'Administratorin: ein Regelwerk wird geprüft; die Fehler stehen bei ihren Zeilen', async (page) => { await page.fill('#text', 'assignment: pull\nclocks:\n  stat:\n    fnal: 2h\n    offer: 90\n'); await page.click('button[value=check]'); }, 'de'],
    ['admin-templates', '/templates', 'Administrator: report templates'],
    ['admin-template', '/templates/ct-chest', 'Administrator: a template and its preview'],
    ['admin-template-edit', '/templates/ct-chest/edit', 'Administrator: a template is written', async (page) => { await page.click('button[value=check]'); }],
  ]],
  ['vance', 'light', 'en', 'admin', [
    ['installation', root + '/installation', 'Operator of the installation: its hospitals and identity providers'],
    ['installation-hospital', root + '/installation/hospitals/mercy', 'Operator: one hospital'],
    ['installation-new-hospital', root + '/installation/hospitals/new', 'Operator: a hospital is added'],
    ['installation-provider', root + '/installation/providers/demo', 'Operator: who may say who somebody is'],
  ]],
];

test('pictures of every page', { timeout: 1800e3 }, async () => {
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(folder)) if (old.endsWith('.webp')) rmSync(`${folder}/${old}`);

  const everybody = await visitor({ colorScheme: 'light' });
  for (const [name, path, line] of [['signin', '/signin', 'The sign-in page'], ['signed-out', '/signed-out', 'After signing out'], ['not-here', '/nowhere', 'An address that is none'], ['api', '/fhir/docs', 'The API’s documentation'], ['api-type', '/fhir/docs/ServiceRequest', 'The API’s documentation of a type']]) {
    await everybody.page.goto(root + path);
    await picture(everybody.page, name, line);
  }
  await everybody.context.close();

  const clinic = await visitor({ colorScheme: 'light', viewport: { width: 1180, height: 800 } });
  const { page } = clinic;
  await launch(page, '2025-0145');
  await picture(page, 'clinic-chart', 'Clinician, from the EHR: all second opinions of the patient');
  await page.click('article.current h2 a');
  await picture(page, 'clinic-opinion', 'Clinician: one second opinion beside the original report');
  await page.setViewportSize({ width: 400, height: 800 });
  await picture(page, 'clinic-opinion-narrow', 'Clinician: the same in a narrow frame of the EHR');
  await page.setViewportSize({ width: 1180, height: 800 });
  for (const [name, link, line] of [['clinic-report', 'a[href*="/report/"][href$="/html"]', 'The report as it was signed'], ['clinic-summary', 'a[href$="/summary/de/html"]', 'Der Befund in einfachen Worten, für Patienten']]) {
    const sheet = await clinic.context.newPage();
    await sheet.goto(await page.locator(link).first().evaluate((a) => a.href));
    await sheet.setViewportSize({ width: 900, height: 800 });
    await picture(sheet, name, line);
    await sheet.close();
  }
  await clinic.context.close();

  for (const [who, theme, language, role, pages] of rooms) {
    const one = await visitor({ colorScheme: theme });
    await signIn(one.page, who);
    for (const [name, path, line, then, tongue] of pages) {
      await dressed(one.context, theme, tongue ?? language);
      if (path && path !== '/case') await one.page.goto(path.startsWith('/') ? `${root}/at/mercy/${role}${path}` : path);
      if (then) await then(one.page);
      await picture(one.page, name, line);
    }
    await one.context.close();
  }

  const desk = await visitor();
  await signIn(desk.page, 'brooks');
  await dressed(desk.context, 'light', 'en');
  for (let i = 0; i < 40; i++) {
    await desk.page.goto(root + '/at/mercy/coordinator/escalations');
    if (await desk.page.locator('tr.open').count() > 0) break;
    await desk.page.waitForTimeout(10000);
  }
  await picture(desk.page, 'escalations', 'Coordinator: what is late or ends soon, who was told and who is next');
  await desk.context.close();

  const lines = index.map(([name, line]) => `| [${name}](${name}.webp) | ${line} |`);
  writeFileSync(`${folder}/README.md`, `# What the pages look like\n\nOne picture of each page, made by \`make screens\` at a fresh demo (internal/peers/browser/screens.mjs).\n\n| Picture | What it shows |\n|---|---|\n${lines.join('\n')}\n`);
});
