// fhirclient, the SMART client library, as it comes from npm, against a running
// Overread. It is given its token as a launch would have left it.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import FHIR from "fhirclient";
import { base, found, order, patient, system, token, transaction, unique } from "./world.mjs";

// The library is made for a web server's requests; outside of one it takes a
// request and a storage that are empty.
const smart = FHIR({ headers: { host: "localhost" }, url: "/", connection: {} }, {}, storage());
const client = smart.client({ serverUrl: base, tokenResponse: { access_token: token, token_type: "Bearer" } });

function storage() {
  const kept = new Map();
  return { get: async (key) => kept.get(key), set: async (key, value) => kept.set(key, value), unset: async (key) => kept.delete(key) };
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return { status: error.statusCode ?? error.status, text: error.message };
  }
  assert.fail("was not refused");
}

describe("fhirclient: one resource", () => {
  let made;
  before(async () => {
    made = await client.create(patient());
  });

  it("creates and reads", async () => {
    assert.ok(made.id);
    assert.deepEqual(await client.request("Patient/" + made.id), made);
  });
  it("updates, and reads the version before", async () => {
    const after = await client.update({ ...made, active: true });
    assert.equal(after.meta.versionId, "2");
    assert.equal((await client.request(`Patient/${made.id}/_history/1`)).active, undefined);
  });
  it("patches", async () => {
    const after = await client.patch("Patient/" + made.id, [{ op: "add", path: "/maritalStatus", value: { text: "single" } }]);
    assert.equal(after.maritalStatus.text, "single");
  });
  it("reads the history", async () => {
    const history = await client.request(`Patient/${made.id}/_history`);
    assert.deepEqual(history.entry.map((e) => e.resource.meta.versionId), ["3", "2", "1"]);
  });
  it("deletes; then it is gone", async () => {
    const other = await client.create(patient());
    await client.delete("Patient/" + other.id);
    assert.equal((await refused(() => client.request("Patient/" + other.id))).status, 410);
  });
});

describe("fhirclient: conditions and bundles", () => {
  const send = (url, method, body, headers = {}) =>
    client.request({ url, method, body: body && JSON.stringify(body), headers: { "content-type": "application/fhir+json", ...headers } });
  const value = unique();

  it("creates once", async () => {
    const headers = { "If-None-Exist": `identifier=${system}|${value}` };
    const first = await send("Patient", "POST", patient(value), headers);
    const second = await send("Patient", "POST", patient(value), headers);
    assert.equal(second.id, first.id);
  });
  it("updates and deletes what fits", async () => {
    const after = await send(`Patient?identifier=${system}|${value}`, "PUT", patient(value, "Changed"));
    assert.equal(after.name[0].family, "Changed");
    await send(`Patient?identifier=${system}|${value}`, "DELETE");
    assert.equal(found(await client.request(`Patient?identifier=${system}|${value}`)).length, 0);
  });
  it("sends a transaction and a batch", async () => {
    const entry = { resource: patient(), request: { method: "POST", url: "Patient" } };
    assert.equal((await send(base, "POST", transaction(entry))).type, "transaction-response");
    assert.equal((await send(base, "POST", { ...transaction(entry), type: "batch" })).type, "batch-response");
  });
});

describe("fhirclient: search and operations", () => {
  const family = "Smart" + unique() + system.slice(-6);
  let person;
  before(async () => {
    person = await client.create(patient(unique(), family));
    for (let i = 0; i < 5; i++) await client.create(order(person.id));
  });

  it("walks all pages by itself", async () => {
    const all = await client.request(`ServiceRequest?patient=${person.id}&_count=2`, { pageLimit: 0, flat: true });
    assert.equal(new Set(all.map((r) => r.id)).size, 5);
  });
  it("follows a chain and includes", async () => {
    const bundle = await client.request(`ServiceRequest?patient.family=${family}&_include=ServiceRequest:subject`);
    assert.equal(found(bundle).length, 5);
    assert.deepEqual(found(bundle, "include").map((r) => r.id), [person.id]);
  });
  it("resolves references", async () => {
    const all = await client.request(`ServiceRequest?patient=${person.id}&_count=1`, { resolveReferences: ["subject"], flat: true, pageLimit: 1 });
    assert.equal(all[0].subject.id, person.id);
  });
  it("validates, and takes out everything", async () => {
    const outcome = await client.request({
      url: "Patient/$validate", method: "POST", headers: { "content-type": "application/fhir+json" },
      body: JSON.stringify({ resourceType: "Patient", gender: "green" }),
    });
    assert.ok(outcome.issue.some((i) => i.severity === "error"));
    const all = await client.request(`Patient/${person.id}/$everything`);
    assert.equal(all.entry.filter((e) => e.resource.resourceType === "ServiceRequest").length, 5);
  });
  it("knows the version of FHIR that is spoken", async () => {
    assert.equal(await client.getFhirVersion(), "4.0.1");
    assert.equal(await client.getFhirRelease(), 4);
  });
});

describe("fhirclient: errors", () => {
  it("shows what the OperationOutcome says", async () => {
    const { status, text } = await refused(() => client.request("Patient?no-such-parameter=1"));
    assert.equal(status, 400);
    assert.match(text, /no-such-parameter|search parameter/);
    assert.equal((await refused(() => client.request("Patient/there-is-none"))).status, 404);
  });
});
