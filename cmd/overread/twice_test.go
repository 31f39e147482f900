package main

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
)

const manyClients = 32

// atOnce does the same from 32 clients at the same moment.
func atOnce(t *testing.T, do func(i int) (answer, error)) []answer {
	t.Helper()
	answers := make([]answer, manyClients)
	var ready, all sync.WaitGroup
	ready.Add(1)
	for i := range answers {
		all.Go(func() {
			ready.Wait()
			var err error
			if answers[i], err = do(i); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	ready.Done()
	all.Wait()
	return answers
}

func TestTheSameServiceRequestFrom32ClientsIsOneCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.orderFor(tale{sample: "brain"}, 1)
	placer := w.clients["mercy-placer"]
	patient, err := placer.send(t.Context(), http.MethodPost, "Patient", o.patient.resource())
	if err != nil {
		t.Fatal(err)
	}
	sr := o.serviceRequest()
	sr.Remove("id")
	sr.Set("subject", fhir.Object("reference", "Patient/"+locationID(patient.location, "Patient")))
	answers := atOnce(t, func(int) (answer, error) { return placer.send(t.Context(), http.MethodPost, "ServiceRequest", sr) })

	places, statuses := map[string]int{}, map[int]int{}
	for _, a := range answers {
		places[locationID(a.location, "ServiceRequest")]++
		statuses[a.status]++
	}
	if len(places) != 1 || places[""] > 0 {
		t.Errorf("the clients were sent to %v", places)
	}
	if diff := cmp.Diff(map[int]int{http.StatusCreated: 1, http.StatusOK: manyClients - 1}, statuses); diff != "" {
		t.Error(diff)
	}
	w.mustHaveOneCase(t)
}

func TestTheSameBundleFrom32ClientsIsOneCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.orderFor(tale{sample: "brain"}, 1)
	placer := w.clients["mercy-placer"]
	answers := atOnce(t, func(i int) (answer, error) {
		n := o.bundle()
		if i%2 == 1 { // the same order in other bytes
			n.Set("id", "other")
		}
		return placer.send(t.Context(), http.MethodPost, "", n)
	})
	places := map[string]int{}
	for _, a := range answers {
		entries := a.body.Each("entry")
		places[locationID(entries[len(entries)-1].Text("response", "location"), "ServiceRequest")]++
	}
	if len(places) != 1 || places[""] > 0 {
		t.Errorf("the clients were sent to %v", places)
	}
	w.mustHaveOneCase(t)
}

// mustHaveOneCase looks behind the server's back.
func (w *world) mustHaveOneCase(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	var count int
	err := w.db.Tenant(ctx, w.tenants["mercy"], func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM case_file`).Scan(&count)
	})
	if err != nil {
		t.Fatal(err)
	}
	if count != 1 {
		t.Errorf("%d cases", count)
	}
	tasks, err := w.clients["mercy-placer"].get(t.Context(), "Task")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tasks.Each("entry")); n != 1 {
		t.Errorf("%d Tasks", n)
	}
}
