package fhir

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// What waits in the inbox tells all that an AuditEvent has: it is the same whether
// it is made at once or of its facts.
func TestAnAuditEventIsTheSameMadeOfItsFacts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 120_000_000, time.UTC)
	client := access.Actor{Tenant: uuid.New(), ID: uuid.New(), Role: access.Placer, Display: `EHR "north" <&> Zoë`, Token: access.TokenURN("token")}
	opened := client
	opened.Role, opened.Opened = access.Reader, []string{"Patient/9"}
	stranger := access.Actor{Tenant: client.Tenant}
	entries := map[string]struct {
		actor access.Actor
		entry auditEntry
	}{
		"a read":      {client, auditEntry{Interaction: "read", Target: "Patient/1/_history/3", Patient: "Patient/1", RequestID: "r-1", Client: "192.0.2.7"}},
		"a search":    {client, auditEntry{Interaction: "search-type", Query: "GET /fhir/Patient?name=\xff\xfe<Zoë>\u2028&x=\"\n", Patients: []string{"Patient/1", "Patient/2"}, Client: "2001:db8::1"}},
		"a create":    {client, auditEntry{Interaction: "create", Target: "Task/1/_history/1"}},
		"a refusal":   {client, auditEntry{Interaction: "read", Refused: "403 forbidden; 3 more like this were not recorded one by one", Query: "GET /fhir/Task/1"}},
		"a stranger":  {stranger, auditEntry{Interaction: refusedAccess, Refused: "401 not authenticated", Query: "GET /fhir/:type", Client: "192.0.2.7"}},
		"an erasure":  {client, auditEntry{Interaction: "erase", Erased: []string{"1", "2"}, Reason: "<asked for>"}},
		"break-glass": {opened, auditEntry{Interaction: "read", Target: "Observation/1/_history/1", Patient: "Patient/9"}},
		"the server":  {access.SystemActor(client.Tenant), auditEntry{Interaction: "update", Target: "Task/1/_history/2"}},
	}
	var events []recordedEvent
	var want []string
	for _, c := range entries {
		s := &Server{baseURL: "https://overread.example/fhir", now: func() time.Time { return at.Add(567 * time.Microsecond) }}
		e, err := s.recorded(c.actor, c.entry)
		if err != nil {
			t.Fatal(err)
		}
		c.entry.Emergency = inEmergency(c.actor, c.entry)
		events = append(events, e)
		want = append(want, string(auditEvent(e.ID.String(), instant(at), s.baseURL, c.actor, c.entry).Bytes()))
	}
	door := `{"resourceType":"AuditEvent","outcomeDesc":"<a> & ` + "\u2028" + `\u003c","n":1.50}`
	events, want = append(events, recordedEvent{client.Tenant, auditFacts{ID: uuid.New(), At: at, Event: json.RawMessage(door)}}), append(want, door)

	text, err := records(events)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := readRecords(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, f := range facts {
		_, body, err := f.event()
		if err != nil || f.ID != events[i].ID || !f.At.Equal(at) {
			t.Errorf("%v %s %v", err, f.ID, f.At)
		}
		got = append(got, string(body))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What the facts are called stays: another release of the program may settle them.
func TestFactsThatWereWrittenBeforeAreStillRead(t *testing.T) {
	t.Parallel()
	const text = `{"id":"0193aaaa-aaaa-7aaa-aaaa-aaaaaaaaaaaa","at":"2026-11-25T12:00:00.12Z","base":"https://overread.example/fhir","role":"placer","actor":"0193bbbb-aaaa-7aaa-aaaa-aaaaaaaaaaaa","display":"EHR","token":"urn:x","emergency":true,` +
		`"interaction":"search-type","target":"Patient/1/_history/3","patient":"Patient/1","patients":["Patient/2"],"query":"R0VU","request":"r-1","client":"192.0.2.7","refused":"403","erased":["7"],"reason":"asked for"}` + "\n"
	facts, err := readRecords([]byte(text))
	if err != nil || len(facts) != 1 {
		t.Fatal(facts, err)
	}
	if again, err := records([]recordedEvent{{auditFacts: facts[0]}}); err != nil || string(again) != text {
		t.Errorf("%v %s", err, again)
	}
	n, _, err := facts[0].event()
	if err != nil || n.Text("recorded") != "2026-11-25T12:00:00.120Z" || base64.StdEncoding.EncodeToString([]byte("GET")) != "R0VU" {
		t.Errorf("%v %s", err, n.Bytes())
	}
}

// Facts that cannot be read stay where they are, and are said: no event is lost
// for them, or without them.
func TestFactsThatCannotBeReadStay(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.mustCreate("Patient", patientJSON("1"))
	owner := r.db.Owner(t)
	for name, text := range map[string]string{
		"no JSON":           `{`,
		"nothing":           ``,
		"no id":             `{"at":"2026-11-25T12:00:00.12Z","interaction":"read"}`,
		"nothing that was":  `{"id":"0193aaaa-aaaa-7aaa-aaaa-aaaaaaaaaaaa","at":"2026-11-25T12:00:00.12Z"}`,
		"more than written": `{"id":"0193aaaa-aaaa-7aaa-aaaa-aaaaaaaaaaaa","at":"2026-11-25T12:00:00.12Z","event":{}}{"id":"0193aaaa-aaaa-7aaa-aaaa-aaaaaaaaaaab","at":"2026-11-25T12:00:00.12Z","event":{}}`,
	} {
		_, err := owner.Exec(context.Background(), `
			INSERT INTO audit_inbox (tenant_id, batch_id, recorded_at, size, records) VALUES ($1, gen_random_uuid(), now(), 1, convert_to($2, 'UTF8'))`, r.tenant, text)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.server.Settle(context.Background()); err == nil || n != 0 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		var n int
		if err := owner.QueryRow(context.Background(), `SELECT count(*) FROM audit_inbox`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
		if _, err := owner.Exec(context.Background(), `DELETE FROM audit_inbox WHERE records = convert_to($1, 'UTF8')`, text); err != nil {
			t.Fatal(err)
		}
	}
	r.settle()
	if n := r.count("audit_event"); n != 1 {
		t.Errorf("%d events", n)
	}
}
