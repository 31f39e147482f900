package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/standin"
	"github.com/overread/overread/workflow"
)

// signs lets a case be read and signed, of which the EHR is ill as the fault says.
func (w *world) signs(t *testing.T, o order, f standin.Fault) (task string) {
	t.Helper()
	task = w.sends(t, o)
	chapters := append([]chapter{{"", "", nil, workflow.Ready}}, reads("tanaka", "knee")...)
	chapters = append(chapters, chapter{"tanaka", "grade", agreement(), workflow.Comparing}, chapter{"tanaka", "sign", nil, workflow.Final})
	for i, c := range chapters {
		if i == len(chapters)-1 {
			f.Contains = o.number
			w.ehr.Order(f)
		}
		w.live(t, o, task, c)
	}
	return task
}

// tells waits until the placer's Task says this of what does not arrive (nothing: ""), and
// returns the Task.
func (w *world) tells(t *testing.T, task, code, text string) (n *fhir.Node) {
	t.Helper()
	eventually(t, "the Task is to tell what has not arrived", func() (err error) {
		if n, err = w.clients["mercy-placer"].get(t.Context(), "Task/"+task); err != nil {
			return err
		}
		var found []string
		for _, out := range n.Each("output") {
			if said := out.Text("type", "coding", "code"); strings.HasPrefix(said, "delivery-") {
				found = append(found, said+": "+out.Text("valueString"))
			}
		}
		if said := strings.Join(found, "; "); code == "" && said != "" || !strings.HasPrefix(said, code) || !strings.Contains(said, text) {
			return fmt.Errorf("it tells %q", said)
		}
		return nil
	})
	return n
}

// taskVersions is how many versions of the Task there are.
func (w *world) taskVersions(t *testing.T, task string) int {
	t.Helper()
	n, err := w.clients["mercy-placer"].get(t.Context(), "Task/"+task+"/_history?_count=100")
	if err != nil {
		t.Fatal(err)
	}
	return len(n.Each("entry"))
}

func (w *world) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := w.database.Owner(t).Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// The EHR is down when the report is signed. The placer's other systems, and the EHR when it
// is back, read in the Task that the report is late: one version when that begins, however
// often it is tried, and one when it has arrived.
func TestTheTaskTellsThatTheReportHasNotReachedTheEHR(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("LATE-1")
	task := w.signs(t, o, standin.Fault{Mode: "down"})
	before := w.taskVersions(t, task)
	w.tells(t, task, "", "")
	w.sql(t, `UPDATE delivery SET queued_at = queued_at - interval '11 minutes'`)
	n := w.tells(t, task, "delivery-late", "Version 1 of the report has not reached")
	report := ""
	for _, out := range n.Each("output") {
		if out.Text("type", "coding", "code") == "report" {
			report = out.Text("valueReference", "reference")
		}
	}
	w.tells(t, task, "delivery-late", "read here: "+report)
	if n.Text("status") != "completed" || n.Text("businessStatus", "coding", "code") != "final" {
		t.Errorf("the case is as it was: %s", n.Bytes())
	}
	if err := w.ehrIsTried(t, o, task, chapter{}); err != nil { // it keeps failing
		t.Fatal(err)
	}
	if now := w.taskVersions(t, task); now != before+1 {
		t.Errorf("%d versions of the Task, and there were %d: one more is to be there", now, before)
	}
	eventually(t, "the report is to arrive", func() error {
		if err := w.ehrComesBack(t, o, task, chapter{}); err != nil {
			return err
		}
		w.sql(t, `UPDATE destination SET failures = 0, breaker_until = NULL`)
		found, err := w.chart.get(t.Context(), "DiagnosticReport?based-on=ServiceRequest/order-"+o.number)
		if err == nil && len(found.Each("entry")) == 0 {
			err = errors.New("it has not")
		}
		return err
	})
	w.tells(t, task, "", "")
	if now := w.taskVersions(t, task); now != before+2 {
		t.Errorf("%d versions of the Task, and there were %d: two more are to be there", now, before)
	}
}

// What the EHR refuses for good is told too, until it is taken after all, or the desk has
// settled it by hand.
func TestTheTaskTellsThatTheEHRHasRefusedTheReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, number := range []string{"REFUSED-1", "REFUSED-2"} {
		o := w.knee(number)
		task := w.signs(t, o, standin.Fault{Mode: "status", Status: http.StatusUnprocessableEntity})
		w.tells(t, task, "delivery-refused", "Version 1 of the report has not reached")
		said := w.taskVersions(t, task)
		if number == "REFUSED-1" {
			w.ehr.Heal()
			if _, err := w.clients["mercy-coordinator"].op(t.Context(), task, "redeliver"); err != nil {
				t.Fatal(err)
			}
		} else {
			v, rooms := w.at(t, access.Coordinator)
			page := v.get(rooms + "/deliveries")
			wants(t, page, number)
			after := v.post(rooms+"/board/"+task+"/settle", url.Values{"csrf": {page.csrf()}, "then": {page.at}, "destination": {"ehr"}, "number": {"1"}, "how": {"arrived"}, "reason": {"faxed and read back"}})
			if after.status != http.StatusOK {
				t.Fatalf("%d %s", after.status, after.text)
			}
		}
		w.tells(t, task, "", "")
		if now := w.taskVersions(t, task); now != said+1 {
			t.Errorf("%s: %d versions of the Task, and there were %d: one more is to be there", number, now, said)
		}
	}
}
