// fhir-kit-client, as it comes from npm, against a running Overread.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { Client, CapabilityTool } from "fhir-kit-client";
import { base, batch, found, order, patient, system, token, transaction, unique } from "./world.mjs";

const client = new Client({ baseUrl: base, bearerToken: token });
const make = (body) => client.create({ resourceType: body.resourceType, body });
const status = (resource) => Client.httpFor(resource).response.status;
const header = (resource, name) => Client.httpFor(resource).response.headers.get(name);

// refused runs a call that must fail, and returns its status and outcome.
async function refused(call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.response.data.resourceType, "OperationOutcome");
    assert.ok(error.response.data.issue[0].details.text);
    return { status: error.response.status, code: error.response.data.issue[0].code };
  }
  assert.fail("was not refused");
}

describe("fhir-kit-client: one resource", () => {
  let made;
  before(async () => {
    made = await make(patient());
  });

  it("creates", () => {
    assert.equal(status(made), 201);
    assert.ok(header(made, "location").startsWith(`${base}/Patient/${made.id}/_history/1`));
    assert.equal(header(made, "etag"), 'W/"1"');
  });
  it("reads", async () => {
    assert.deepEqual(await client.read({ resourceType: "Patient", id: made.id }), made);
  });
  it("updates, and reads both versions", async () => {
    const changed = { ...made, active: true };
    const after = await client.update({ resourceType: "Patient", id: made.id, body: changed, options: { headers: { "If-Match": 'W/"1"' } } });
    assert.equal(after.meta.versionId, "2");
    const first = await client.vread({ resourceType: "Patient", id: made.id, version: "1" });
    assert.equal(first.active, undefined);
  });
  it("is told when somebody was faster", async () => {
    const late = () => client.update({ resourceType: "Patient", id: made.id, body: made, options: { headers: { "If-Match": 'W/"1"' } } });
    assert.deepEqual(await refused(late), { status: 412, code: "conflict" });
  });
  it("patches", async () => {
    const after = await client.patch({ resourceType: "Patient", id: made.id, jsonPatch: [{ op: "replace", path: "/gender", value: "other" }] });
    assert.equal(after.gender, "other");
  });
  it("reads the history of the resource, of the type and of all", async () => {
    const versions = await client.resourceHistory({ resourceType: "Patient", id: made.id });
    assert.equal(versions.type, "history");
    assert.deepEqual(versions.entry.map((e) => e.request.method), ["PUT", "PUT", "POST"]);
    for (const history of [await client.typeHistory({ resourceType: "Patient" }), await client.systemHistory()]) {
      assert.equal(history.type, "history");
      assert.ok(history.entry.some((e) => e.fullUrl === `${base}/Patient/${made.id}`));
    }
  });
  it("deletes; then it is gone", async () => {
    const body = await make(patient());
    await client.delete({ resourceType: "Patient", id: body.id });
    assert.deepEqual(await refused(() => client.read({ resourceType: "Patient", id: body.id })), { status: 410, code: "deleted" });
  });
});

describe("fhir-kit-client: conditions", () => {
  const value = unique();
  const condition = `identifier=${system}|${value}`;

  it("creates once", async () => {
    const options = { headers: { "If-None-Exist": condition } };
    const first = await client.create({ resourceType: "Patient", body: patient(value), options });
    const second = await client.create({ resourceType: "Patient", body: patient(value), options });
    assert.deepEqual([status(first), status(second), second.id], [201, 200, first.id]);
  });
  it("updates what fits", async () => {
    const after = await client.update({ resourceType: "Patient", searchParams: { identifier: `${system}|${value}` }, body: patient(value, "Changed") });
    assert.equal(after.name[0].family, "Changed");
    assert.equal(after.meta.versionId, "2");
  });
  it("deletes what fits", async () => {
    await client.request(`Patient?${condition}`, { method: "DELETE" });
    assert.equal(found(await client.search({ resourceType: "Patient", searchParams: { identifier: `${system}|${value}` } })).length, 0);
  });
});

describe("fhir-kit-client: bundles", () => {
  it("sends a transaction, whose references lead to what was made", async () => {
    const sent = order("none");
    sent.subject.reference = "urn:uuid:7d4f8e7e-4c55-4b57-9f0c-000000000001";
    const answer = await client.transaction({
      body: transaction(
        { fullUrl: sent.subject.reference, resource: patient(), request: { method: "POST", url: "Patient" } },
        { resource: sent, request: { method: "POST", url: "ServiceRequest" } },
      ),
    });
    assert.equal(answer.type, "transaction-response");
    const [person, request] = answer.entry.map((e) => e.response.location.split("/").slice(-4, -2).join("/"));
    const [type, id] = request.split("/");
    assert.equal((await client.read({ resourceType: type, id })).subject.reference, person);
  });
  it("undoes a transaction of which one entry is wrong", async () => {
    const value = unique();
    const call = () =>
      client.transaction({
        body: transaction(
          { resource: patient(value), request: { method: "POST", url: "Patient" } },
          { resource: { resourceType: "Patient", gender: "green" }, request: { method: "POST", url: "Patient" } },
        ),
      });
    assert.ok([400, 422].includes((await refused(call)).status));
    assert.equal(found(await client.search({ resourceType: "Patient", searchParams: { identifier: `${system}|${value}` } })).length, 0);
  });
  it("sends a batch, whose entries stand for themselves", async () => {
    const answer = await client.batch({
      body: batch(
        { resource: patient(), request: { method: "POST", url: "Patient" } },
        { request: { method: "GET", url: "Patient/there-is-none" } },
      ),
    });
    assert.equal(answer.type, "batch-response");
    assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ["201", "404"]);
  });
});

describe("fhir-kit-client: search", () => {
  const family = "Chain" + unique() + system.slice(-6);
  let person;
  before(async () => {
    person = await make(patient(unique(), family));
    for (let i = 0; i < 5; i++) await make(order(person.id));
  });

  it("follows a chain", async () => {
    const bundle = await client.search({ resourceType: "ServiceRequest", searchParams: { "patient.family": family } });
    assert.equal(found(bundle).length, 5);
  });
  it("searches by POST", async () => {
    const bundle = await client.search({ resourceType: "ServiceRequest", searchParams: { "patient.family": family }, options: { postSearch: true } });
    assert.equal(found(bundle).length, 5);
  });
  it("includes what is referred to", async () => {
    const bundle = await client.search({ resourceType: "ServiceRequest", searchParams: { patient: `Patient/${person.id}`, _include: "ServiceRequest:subject" } });
    assert.deepEqual(found(bundle, "include").map((r) => r.id), [person.id]);
  });
  it("includes what refers to it", async () => {
    const bundle = await client.search({ resourceType: "Patient", searchParams: { _id: person.id, _revinclude: "ServiceRequest:subject" } });
    assert.equal(found(bundle, "include").length, 5);
  });
  it("finds by what refers to it", async () => {
    const bundle = await client.search({ resourceType: "Patient", searchParams: { family, "_has:ServiceRequest:patient:status": "active" } });
    assert.deepEqual(found(bundle).map((r) => r.id), [person.id]);
  });
  it("walks the pages", async () => {
    const seen = new Set();
    let bundle = await client.search({ resourceType: "ServiceRequest", searchParams: { patient: person.id, _count: 2, _sort: "authored" } });
    for (let pages = 1; bundle; pages++) {
      assert.ok(pages <= 3);
      for (const r of found(bundle)) {
        assert.ok(!seen.has(r.id), "a resource is on two pages");
        seen.add(r.id);
      }
      bundle = await client.nextPage({ bundle });
    }
    assert.equal(seen.size, 5);
  });
  it("searches a compartment", async () => {
    const bundle = await client.search({ resourceType: "ServiceRequest", compartment: { resourceType: "Patient", id: person.id }, searchParams: {} });
    assert.equal(found(bundle).length, 5);
  });
  it("searches several types", async () => {
    const bundle = await client.systemSearch({ searchParams: { _type: "Patient,Task", _id: person.id } });
    assert.deepEqual(found(bundle).map((r) => r.id), [person.id]);
  });
  it("resolves a reference", async () => {
    const [request] = found(await client.search({ resourceType: "ServiceRequest", searchParams: { patient: person.id, _count: 1 } }));
    assert.equal((await client.resolve({ reference: request.subject.reference })).id, person.id);
  });
});

describe("fhir-kit-client: operations", () => {
  it("validates", async () => {
    const input = { resourceType: "Parameters", parameter: [{ name: "resource", resource: { resourceType: "Patient", gender: "green" } }] };
    const outcome = await client.operation({ name: "validate", resourceType: "Patient", input });
    assert.equal(outcome.resourceType, "OperationOutcome");
    assert.ok(outcome.issue.some((i) => i.severity === "error" && i.expression?.[0] === "Patient.gender"));
  });
  it("takes out everything of a patient", async () => {
    const person = await make(patient());
    const request = await make(order(person.id));
    const bundle = await client.operation({ name: "everything", resourceType: "Patient", id: person.id, method: "GET" });
    const ids = bundle.entry.map((e) => e.resource.id);
    assert.ok(ids.includes(person.id) && ids.includes(request.id));
  });
});

describe("fhir-kit-client: discovery and errors", () => {
  it("understands the CapabilityStatement", async () => {
    const tool = new CapabilityTool(await client.capabilityStatement());
    for (const interaction of ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"]) {
      assert.ok(tool.resourceCan("Patient", interaction), interaction);
    }
    for (const interaction of ["transaction", "batch", "history-system", "search-system"]) assert.ok(tool.serverCan(interaction), interaction);
    assert.ok(tool.resourceCapabilities({ resourceType: "ServiceRequest" }).searchParam.some((p) => p.name === "authored"));
  });
  it("is told where tokens for systems come from, and that people get none", async () => {
    const found = await client.smartAuthMetadata(); // it looks in three places, the CapabilityStatement among them
    const known = Object.entries(found).filter(([, url]) => url).map(([name, url]) => [name, String(url)]);
    assert.deepEqual(known, [["tokenUrl", `${client.baseUrl}/oauth/token`]]);
  });
  it("gets an OperationOutcome for each kind of mistake", async () => {
    assert.deepEqual(await refused(() => client.read({ resourceType: "Patient", id: "there-is-none" })), { status: 404, code: "not-found" });
    assert.equal((await refused(() => client.search({ resourceType: "Patient", searchParams: { "no-such-parameter": 1 } }))).status, 400);
    assert.equal((await refused(() => client.create({ resourceType: "Patient", body: { resourceType: "Patient", nme: [] } }))).status, 400);
    const stranger = new Client({ baseUrl: base, bearerToken: "nobody" });
    assert.deepEqual(await refused(() => stranger.read({ resourceType: "Patient", id: "x" })), { status: 401, code: "login" });
  });
});
