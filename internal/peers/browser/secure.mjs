// Overread and an EHR over https, at different sites, as in a hospital: a second server
// at the demo's database, and a stand-in EHR of its own, whose patient and order are copied
// from the demo's. Both have one certificate that is made here. Names under .test lead the
// browser to loopback (browser.mjs) and the server through a proxy that is here as well.
//
// Each name is a site of its own: the part below .test is what is registered.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';

const names = { ehr: 'mercy-ehr.test', other: 'other-ehr.test', elsewhere: 'elsewhere.test', overread: 'overread.test', control: 'control.test', viewer: 'viewer.test' };

// started waits until a program says what fits.
function started(program, args, env, says) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const words = [];
  const ready = new Promise((yes, no) => {
    const hear = (text) => { words.push(text); const found = words.join('').match(says); if (found) yes(found); };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    child.on('exit', () => no(new Error(`${args[0]} has ended: ${words.join('')}`)));
    setTimeout(() => no(new Error(`${args[0]} does not start: ${words.join('')}`)), 60000).unref();
  });
  return { child, ready };
}

const listening = (server) => new Promise((yes) => { server.listen(0, '127.0.0.1', () => yes(server.address().port)); });

// connecting is a proxy (CONNECT) that knows of loopback only, and of names under .test.
const connecting = () => http.createServer((_, res) => res.writeHead(405).end()).on('connect', (req, socket) => {
  const [host, port] = req.url.split(':');
  if (!host.endsWith('.test')) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  const up = net.connect(Number(port), '127.0.0.1', () => { socket.write('HTTP/1.1 200 OK\r\n\r\n'); up.pipe(socket).pipe(up); });
  up.on('error', () => socket.destroy());
  socket.on('error', () => up.destroy());
});

// tells sets two cookies and tells which came back: a browser that keeps other sites'
// cookies out of frames sends the partitioned one only.
const tells = (req, res) => {
  if (req.url === '/set') return res.writeHead(303, { location: '/told', 'set-cookie': ['plain=1; Path=/; Secure; SameSite=None', 'parted=1; Path=/; Secure; SameSite=None; Partitioned'] }).end();
  res.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><p id="told">${req.headers.cookie ?? ''}</p>`);
};

// secured starts all of it; what it returns has the origins, and ends it.
export async function secured({ binary, data, demoEHR, order, viewer }) {
  const folder = mkdtempSync(`${tmpdir()}/overread-https.`);
  const running = [];
  const servers = [];
  const stop = async () => {
    for (const child of running) if (child.exitCode === null) await new Promise((yes) => { child.removeAllListeners('exit'); child.on('exit', yes); child.kill('SIGTERM'); });
    for (const server of servers) { server.closeAllConnections(); server.close(); }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test', '-keyout', key, '-out', cert,
      '-addext', `subjectAltName=${Object.values(names).map((n) => `DNS:${n}`).join(',')},IP:127.0.0.1`], { stdio: 'pipe' });
    const tls = { cert: readFileSync(cert), key: readFileSync(key) };

    const control = https.createServer(tls, tells);
    const proxy = connecting();
    servers.push(control, proxy);
    const [controlPort, proxyPort] = [await listening(control), await listening(proxy)];

    const ehr = started(binary, ['stand-in-ehr', '--listen', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', key], {}, /https:\/\/127\.0\.0\.1:(\d+)\/fhir/);
    running.push(ehr.child);
    const ehrPort = Number((await ehr.ready)[1]);
    const origins = { ehr: `https://${names.ehr}:${ehrPort}`, other: `https://${names.other}:${ehrPort}`, elsewhere: `https://${names.elsewhere}:${ehrPort}`, control: `https://${names.control}:${controlPort}` };

    // The server takes ports that were free a moment ago: its own addresses have to be told it.
    const freePort = () => new Promise((yes) => { const s = net.createServer().listen(0, '127.0.0.1', () => { const { port: free } = s.address(); s.close(() => yes(free)); }); });
    const [port, viewerPort] = [await freePort(), await freePort()];
    origins.viewer = `https://${names.viewer}:${viewerPort}`;
    const viewerToo = viewer ? ['--viewer-dir', viewer, '--viewer-listen', `127.0.0.1:${viewerPort}`, '--viewer-url', origins.viewer] : [];
    origins.overread = `https://${names.overread}:${port}`;
    const database = `${data}/audit/database-url`;
    execFileSync(binary, ['issuer', 'add', 'mercy', `${origins.ehr}/fhir`, '--database-url-file', database, '--client-id', 'overread', '--frame-origin', origins.ehr, '--frame-origin', origins.other], { stdio: 'pipe' });
    const server = started(binary, ['serve', '--database-url-file', database, '--listen', `127.0.0.1:${port}`, '--base-url', `${origins.overread}/fhir`, '--tls-cert', cert, '--tls-key', key,
      '--outbound-proxy', '--outbound-allow', `${names.ehr}:${ehrPort}`, '--outbound-allow', '127.0.0.0/8', '--outbound-http', ...viewerToo],
    { HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`, https_proxy: '', NO_PROXY: '', no_proxy: '', SSL_CERT_FILE: cert }, /msg=serving|"serving"/);
    running.push(server.child);
    await server.ready;

    // ask asks the EHR what it would be asked at its own name.
    const ask = (method, path, body, type = 'application/fhir+json') => new Promise((yes, no) => {
      const r = https.request({ host: '127.0.0.1', port: ehrPort, servername: names.ehr, ca: tls.cert, method, path, headers: { host: new URL(origins.ehr).host, 'content-type': type } }, (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (d) => { text += d; }).on('end', () => (res.statusCode < 400 ? yes({ to: res.headers.location, text }) : no(new Error(`${method} ${path}: ${res.statusCode} ${text}`))));
      });
      r.on('error', no);
      r.end(body);
    });
    for (const what of [`Patient/${order.patient}`, `ServiceRequest/${order.order}`]) {
      await ask('PUT', `/fhir/${what}`, await (await fetch(`${demoEHR}/fhir/${what}`)).text());
    }
    for (const app of [{ clientId: 'overread', name: 'Overread', launchUrl: `${origins.overread}/launch/at/mercy`, redirectUri: `${origins.overread}/launch/callback` },
      { clientId: 'control', name: 'control', launchUrl: `${origins.control}/set`, redirectUri: `${origins.control}/told` }]) {
      await ask('POST', '/control/app', JSON.stringify(app), 'application/json');
    }
    const launch = async () => (await ask('POST', '/launch', new URLSearchParams({ app: 'overread', ...order }).toString(), 'application/x-www-form-urlencoded')).to;
    return { origins, launch, stop };
  } catch (e) {
    await stop();
    throw e;
  }
}
