// What the tests of both clients need: where the server is, a token, and bodies
// that nothing else on the server has.
import { randomUUID } from "node:crypto";

export const base = process.env.OVERREAD_BASE;
export const token = process.env.OVERREAD_TOKEN;
if (!base || !token) throw new Error("OVERREAD_BASE and OVERREAD_TOKEN are needed: run make test-clients");

export const system = "urn:peer:" + randomUUID();

let count = 0;
export const unique = () => "n" + ++count;

export function patient(value = unique(), family = "Peer") {
  return {
    resourceType: "Patient",
    identifier: [{ system, value }],
    name: [{ family, given: ["Nora"] }],
    gender: "female",
    birthDate: "1980-02-29",
  };
}

export function order(patientId, value = unique()) {
  return {
    resourceType: "ServiceRequest",
    identifier: [{ system, value }],
    status: "active",
    intent: "order",
    code: { coding: [{ system: "http://loinc.org", code: "24627-2" }] },
    subject: { reference: "Patient/" + patientId },
    authoredOn: "2026-11-20T08:00:00Z",
  };
}

export const transaction = (...entry) => ({ resourceType: "Bundle", type: "transaction", entry });
export const batch = (...entry) => ({ resourceType: "Bundle", type: "batch", entry });

export const found = (bundle, mode = "match") =>
  (bundle.entry ?? []).filter((e) => (e.search?.mode ?? "match") === mode).map((e) => e.resource);
