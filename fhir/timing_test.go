package fhir

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// TestTheTimeOfATotalDoesNotTellOfABlindedOriginal measures (make test-timing)
// how long a reader waits for what depends on a blinded original, where there is
// one and where there is none: the total of a search, and a read of its id. The
// measure of what counts is the difference between two patients of whom nothing
// is hidden. OVERREAD_TIMING is the number of questions of each kind.
func TestTheTimeOfATotalDoesNotTellOfABlindedOriginal(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("OVERREAD_TIMING"))
	if err != nil {
		t.Skip("a measurement: make test-timing")
	}
	r := startREST(t)
	r.server.trail = nil // what recording costs is the same for all, and noise
	const patients = 40
	hidden, bare, other := r.blindedPatients(patients, 1), r.blindedPatients(patients, 0), r.blindedPatients(patients, 0)
	if _, err := r.db.Owner(t).Exec(context.Background(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []struct {
		name string
		ask  func(p blindedPatient) string
	}{
		{"total (_summary=count)", func(p blindedPatient) string { return "DiagnosticReport?_summary=count&patient=Patient/" + p.id }},
		{"total (_total=accurate&_count=0)", func(p blindedPatient) string {
			return "DiagnosticReport?_total=accurate&_count=0&patient=Patient/" + p.id
		}},
		{"search", func(p blindedPatient) string { return "DiagnosticReport?patient=Patient/" + p.id }},
		{"read by id", func(p blindedPatient) string { return "DiagnosticReport/" + p.report }},
	} {
		took := map[string][]float64{}
		groups := map[string][]blindedPatient{"hidden": hidden, "none": bare, "none too": other}
		for i := range rounds * 3 {
			name := []string{"hidden", "none", "none too"}[i%3]
			p := groups[name][rand.IntN(patients)]
			began := time.Now()
			got := r.do(access.Reader, "GET", "/fhir/"+kind.ask(p), "")
			took[name] = append(took[name], float64(time.Since(began).Microseconds()))
			if got.status != http.StatusOK && got.status != http.StatusNotFound || got.status == http.StatusOK && got.node.Text("total") != "1" {
				t.Fatalf("%s: %d %s", kind.name, got.status, got.body)
			}
		}
		told, noise := compare(took["hidden"], took["none"]), compare(took["none too"], took["none"])
		t.Logf("%s: median %.0f us; where something is hidden %+.1f us (right %.1f %% of the time); of nothing and nothing %+.1f us (%.1f %%)",
			kind.name, median(took["none"]), told.difference, 100*told.right, noise.difference, 100*noise.right)
		if told.right > mostRight {
			t.Errorf("%s: whoever waits can tell: who guesses by one answer's time is right %.1f %% of the time", kind.name, 100*told.right)
		}
	}
}

// mostRight is how often somebody who guesses by the time of one answer may be
// right; 50 % is a coin.
const mostRight = 0.65

// blindedPatient is a patient with one report that a reader sees. report is the
// id of the one that is hidden, or of none at all.
type blindedPatient struct{ id, report string }

func (r *rest) blindedPatients(n, originals int) (all []blindedPatient) {
	r.t.Helper()
	owner, ctx := r.db.Owner(r.t), context.Background()
	for range n {
		p := blindedPatient{id: r.mustCreate("Patient", patientJSON(uuid.NewString())), report: uuid.NewString()}
		report := `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT"},"subject":{"reference":"Patient/` + p.id + `"}}`
		r.mustCreate("DiagnosticReport", report)
		if originals > 0 {
			p.report = r.mustCreate("DiagnosticReport", report)
		}
		caseID := uuid.New()
		if _, err := owner.Exec(ctx, `INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, opened_at)
			VALUES ($1, $2, 1, 'ready', 'routine', 's', $3, 'ServiceRequest/1', $3, 'blinded', '{}', now())`, r.tenant, caseID, fmt.Sprint(caseID)); err != nil {
			r.t.Fatal(err)
		}
		if originals > 0 {
			if _, err := owner.Exec(ctx, `INSERT INTO case_original (tenant_id, case_id, type, id) VALUES ($1, $2, 'DiagnosticReport', $3)`, r.tenant, caseID, p.report); err != nil {
				r.t.Fatal(err)
			}
		}
		all = append(all, p)
	}
	return all
}

// comparison is how two samples differ: by their medians, and how often who takes
// the slower of two answers for the first kind's is right (the area under the ROC
// curve, Mann and Whitney's U).
type comparison struct{ difference, right float64 }

func compare(a, b []float64) comparison {
	type timed struct {
		took float64
		ofA  bool
	}
	var all []timed
	for _, v := range a {
		all = append(all, timed{v, true})
	}
	for _, v := range b {
		all = append(all, timed{v, false})
	}
	slices.SortFunc(all, func(x, y timed) int { return cmp.Compare(x.took, y.took) })
	var ranks float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].took == all[i].took {
			j++
		}
		for _, v := range all[i:j] {
			if v.ofA {
				ranks += float64(i+j+1) / 2
			}
		}
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	area := (ranks - n*(n+1)/2) / (n * m)
	return comparison{median(a) - median(b), math.Max(area, 1-area)}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
