package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/overread/overread/workflow"
)

// mailbox is a real mail server for everybody.
type mailbox struct {
	address string
	mu      sync.Mutex
	letters []string
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	box := &mailbox{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailVisit{box: box}, nil }))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.address = listener.Addr().String()
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return box
}

func (m *mailbox) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.letters, "\n")
}

type mailVisit struct{ box *mailbox }

func (v *mailVisit) Mail(string, *smtp.MailOptions) error { return nil }
func (v *mailVisit) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (v *mailVisit) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	v.box.mu.Lock()
	defer v.box.mu.Unlock()
	v.box.letters = append(v.box.letters, string(text))
	return err
}
func (v *mailVisit) Reset()        {}
func (v *mailVisit) Logout() error { return nil }

// TestAClockThatRunsOutIsMailedOnceByTwoReplicasUntilSomebodyTakesNote takes the
// whole way: the operator sets a policy, an order comes in, its clock runs out
// by the database's time, two servers tick, mail comes, the coordinator takes
// note, and the report tells the times.
func TestAClockThatRunsOutIsMailedOnceByTwoReplicasUntilSomebodyTakesNote(t *testing.T) {
	t.Parallel()
	w, box := newEHR(t), newMailbox(t)
	mail := []string{"--smtp-url", "smtp-plain://" + box.address, "--mail-from", "overread@clinic.example"}
	base := serveInProcess(t, w.database.URL, mail...)
	serveInProcess(t, w.database.URL, mail...)
	w.settleIn(t, base)
	policy := written(t, "policy.yaml", `
clocks: {routine: {final: 4s, assign: 1h, intake: 1h}}
contacts: {coordinator: [desk@clinic.example], director: [chief@clinic.example]}
escalations:
  - clock: final
    at: 50
    chain: [{tell: reader, by: [mail], wait: 1h}, {tell: coordinator, by: [page, mail], wait: 2s}, {tell: director, by: [page, mail]}]
  - {clock: final, at: 100, chain: [{tell: coordinator, by: [page, notification]}]}
  - {clock: acknowledge, at: 100, chain: [{tell: coordinator, by: [page]}]}
`)
	if out, err := overreadOutput(t, "policy", "set", "mercy", policy, "--database-url", w.database.URL); err != nil {
		t.Fatal(err, out)
	}
	row := sampleCase{"mercy", "brain", "routine", workflow.Ready, "", asItShouldBe}
	o := w.orderOf(0, row)
	task, err := w.order(t.Context(), o, w.clients["mercy-placer"])
	if err != nil {
		t.Fatal(err)
	}
	coordinator := w.clients["mercy-coordinator"]
	eventually(t, "both are told, and the breach is", func() error {
		notified, err := coordinator.get(t.Context(), "Communication?category=notification")
		switch letters := box.all(); {
		case err != nil:
			return err
		case !strings.Contains(letters, "To: <desk@clinic.example>") || !strings.Contains(letters, "To: <chief@clinic.example>"):
			return fmt.Errorf("mail so far: %s", letters)
		case len(notified.Each("entry")) != 1:
			return fmt.Errorf("%d Communications", len(notified.Each("entry")))
		}
		return nil
	})
	if _, err := coordinator.send(t.Context(), http.MethodPost, "Task/"+task+"/$heed", nil); err != nil {
		t.Error(err)
	}
	letters := box.all()
	if n := len(box.letters); n != 2 || !strings.Contains(strings.ReplaceAll(letters, "=\r\n", ""), "/at/mercy/coordinator/board/"+task) {
		t.Errorf("%d letters: %s", n, letters)
	}
	for _, secret := range []string{o.patient.family, o.patient.given, o.patient.mrn, o.number, "Brain", "brain"} {
		if secret != "" && strings.Contains(letters, secret) {
			t.Errorf("the mail says %q", secret)
		}
	}
	served, err := http.Get(strings.TrimSuffix(base, "/fhir") + "/schema/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	defer served.Body.Close()
	if text, err := io.ReadAll(served.Body); err != nil || string(text) != string(workflow.PolicySchema()) || served.Header.Get("Content-Type") != "application/schema+json" {
		t.Errorf("%v: the schema is served as %s", err, served.Header.Get("Content-Type"))
	}
	out, err := overreadOutput(t, "policy", "show", "mercy", "--database-url", w.database.URL)
	if err != nil || !strings.Contains(out, "final: 4s") {
		t.Errorf("%v: %s", err, out)
	}
}
