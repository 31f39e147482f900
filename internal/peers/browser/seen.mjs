// Which pages axe-core has judged, and in which theme: browser.mjs notes them down in the
// file OVERREAD_SEEN, and as a program (node seen.mjs) this holds that no page of the server
// (routes.txt, which a test of the server keeps) was forgotten. The short form may leave
// pages out, and says which.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

// What answers a GET and is no page that people look at.
const noPages = {
  '/': 'leads on', '/login/:provider': 'leads on', '/login/:provider/callback': 'leads on', '/launch': 'leads on', '/launch/at/:tenant': 'leads on', '/launch/callback': 'leads on',
  '/at/:tenant/:role/case/:task/viewer': 'leads on', '/launched/:session/opinion/:task/viewer': 'leads on',
  '/at/:tenant/:role/case/:task/dicomweb/*': 'images', '/launched/:session/opinion/:task/dicomweb/*': 'images',
  '/at/:tenant/:role/figures/:file': 'a file', '/at/:tenant/:role/learning/packs/:pack/:form': 'a file',
  '/healthz': 'for programs', '/readyz': 'for programs', '/session': 'for programs', '/launch/jwks.json': 'for programs', '/schema/policy.json': 'for programs', '/schema/template.json': 'for programs',
};

// What is paper on the screen too, the same in both themes.
const papers = ['/launched/:session/opinion/:task/summary/:language/:form', '/launched/:session/report/:report/:version/:form'];

export function note(address, theme) {
  if (process.env.OVERREAD_SEEN) appendFileSync(process.env.OVERREAD_SEEN, `${theme} ${new URL(address).pathname}\n`);
}

const routes = () => readFileSync(new URL('routes.txt', import.meta.url), 'utf8').trim().split('\n');

// fits tells whether a path is one of a route; a route that says the word itself comes first.
function routeOf(path, all) {
  const steps = path.split('/');
  const fits = all.filter((route) => {
    const wanted = route.split('/');
    if (wanted.at(-1) === '*') return steps.length >= wanted.length && wanted.slice(0, -1).every((w, i) => w === steps[i] || w.startsWith(':') && steps[i]);
    return wanted.length === steps.length && wanted.every((w, i) => w === steps[i] || w.startsWith(':') && steps[i]);
  });
  return fits.sort((a, b) => (a.match(/:/g) ?? []).length - (b.match(/:/g) ?? []).length)[0];
}

function main() {
  const all = routes();
  const stale = Object.keys(noPages).filter((r) => !all.includes(r));
  const pages = all.filter((r) => !noPages[r]);
  const seen = new Map(pages.map((r) => [r, new Set()]));
  const lines = existsSync(process.env.OVERREAD_SEEN) ? readFileSync(process.env.OVERREAD_SEEN, 'utf8').trim().split('\n') : [];
  for (const line of lines) {
    const [theme, path] = line.split(' ');
    seen.get(routeOf(path, all))?.add(theme);
  }
  const missing = pages.map((r) => [r, papers.includes(r) && seen.get(r).size ? [] : ['dark', 'light'].filter((t) => !seen.get(r).has(t))]).filter(([, themes]) => themes.length > 0);
  const never = missing.filter(([, themes]) => themes.length === 2);
  console.log(`axe-core judged ${pages.length - never.length} of ${pages.length} kinds of page, ${pages.length - missing.length} of them in both themes (${lines.length} times in all)`);
  if (stale.length) console.log(`seen.mjs speaks of routes that are no more: ${stale.join(', ')}`);
  if (process.env.SHORT || process.env.TESTS) {
    if (never.length) console.log(`left out here, make test-web has them: ${never.map(([r]) => r).join(', ')}`);
  } else {
    for (const [route, themes] of missing) console.log(`not judged: ${route} (${themes.join(', ')})`);
  }
  if (stale.length || missing.length && !process.env.SHORT && !process.env.TESTS) process.exitCode = 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
