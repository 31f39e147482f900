// A reporter that says at the end what was not tried, and why: a skipped test is no success.
export default async function* skipped(events) {
  const all = new Map();
  for await (const { type, data } of events) {
    if (type === 'test:pass' && data.skip !== undefined) all.set(data.name, data.skip || 'no reason is given');
  }
  yield all.size ? `\nNOT TRIED (${all.size}):\n${[...all].map(([name, why]) => `  ${name}: ${why}\n`).join('')}` : '\nNo test was skipped.\n';
}
