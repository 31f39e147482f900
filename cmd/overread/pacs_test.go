package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/orthanc"
	"github.com/overread/overread/internal/phantom"
	"github.com/overread/overread/workflow"
)

// startOrthanc is a PACS of a test's own. Where there is no Orthanc the test
// fails: scripts/ensure orthanc.
func startOrthanc(t *testing.T, dir string) *demoPACS {
	t.Helper()
	server, err := orthanc.Start(t.Context(), orthanc.Options{Dir: dir, Exposed: true, Keeper: func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"keep-pacs"}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return cmd
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	p := &demoPACS{Server: server, credential: filepath.Join(dir, "credential")}
	if err := os.WriteFile(p.credential, []byte(server.User+":"+server.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// withPACS is a world whose hospital has a PACS.
func withPACS(t *testing.T) (w *world, log *logReader, dir string) {
	t.Helper()
	dir = t.TempDir()
	w = newEHR(t)
	base, log := serveLogged(t, w.database.URL)
	w.settleIn(t, base)
	w.has(t, startOrthanc(t, dir))
	return w, log, dir
}

// has tells the server, as an operator would, where the hospital's PACS is.
func (w *world) has(t *testing.T, p *demoPACS) {
	t.Helper()
	w.pacs = p
	out, err := overreadOutput(t, "pacs", "add", "mercy", "archive", p.Base, "--database-url", w.database.URL,
		"--credential-file", p.credential, "--issuer", "HOSPITAL="+mrnSystem, "--issuer", "HOSPITAL-RIS="+accessionSystem)
	if err != nil || !strings.Contains(out, "studies of mercy are looked up in "+p.Base) {
		t.Fatal(out, err)
	}
}

// sends is an order that was sent while the PACS has these images.
func (w *world) sends(t *testing.T, o order, images ...[]byte) (task string) {
	t.Helper()
	w.stores(t, images...)
	placer := w.clients["mercy-placer"]
	if err := o.keepAtEHR(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := placer.send(t.Context(), http.MethodPost, "", o.bundle()); err != nil {
		t.Fatal(err)
	}
	task, err := taskOf(t.Context(), placer, o.number)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func (w *world) stores(t *testing.T, images ...[]byte) {
	t.Helper()
	if len(images) == 0 {
		return
	}
	if err := w.pacs.Store(t.Context(), images...); err != nil {
		t.Fatal(err)
	}
}

// becomes waits until the Task says so, with this reason first.
func (w *world) becomes(t *testing.T, task string, state workflow.State, code, text string) *fhir.Node {
	t.Helper()
	var n *fhir.Node
	eventually(t, fmt.Sprintf("the case is to be %s for %s", state, code), func() (err error) {
		if n, err = w.clients["mercy-coordinator"].get(t.Context(), "Task/"+task); err != nil {
			return err
		}
		got, why := n.Text("businessStatus", "coding", "code"), n.Text("statusReason", "coding", "code")
		if got != string(state) || why != code || !strings.Contains(n.Text("statusReason", "text"), text) {
			return fmt.Errorf("it is %s for %s: %s", got, why, n.Text("statusReason", "text"))
		}
		return nil
	})
	return n
}

// laterInPACS makes the next look due now.
func (w *world) laterInPACS(t *testing.T) {
	t.Helper()
	if _, err := w.database.Owner(t).Exec(t.Context(), `UPDATE pacs_look SET due_at = now() WHERE due_at IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
}

func (w *world) knee(number string) order {
	return order{ehr: w.chart.base, number: number, hospital: "mercy", priority: "routine", patient: people[""][0], sample: samples["knee"], at: time.Now()}
}

// TestOrdersGoThroughARealPACS is the intake of orders at a hospital with an
// Orthanc: what it has, what it gets late, and what it has of somebody else.
func TestOrdersGoThroughARealPACS(t *testing.T) {
	t.Parallel()
	w, log, _ := withPACS(t)

	t.Run("complete", func(t *testing.T) {
		o := w.knee("PACS-1")
		task := w.becomes(t, w.sends(t, o, o.images()...), workflow.Ready, "", "")
		if strings.Contains(string(task.Bytes()), workflow.StudyLarger) {
			t.Error("nothing is larger than was said")
		}
	})
	t.Run("late and growing", func(t *testing.T) {
		o := w.knee("PACS-2")
		images := o.images()
		task := w.sends(t, o)
		w.becomes(t, task, workflow.AwaitingImages, "pacs-study-missing", "not in the PACS")
		for i, image := range images[:2] {
			w.stores(t, image)
			w.laterInPACS(t)
			w.becomes(t, task, workflow.AwaitingImages, "pacs-study-incomplete", fmt.Sprintf("%d of the 6", i+1))
		}
		w.stores(t, images[2:]...)
		w.laterInPACS(t)
		w.becomes(t, task, workflow.Ready, "", "")
	})
	t.Run("more than was said", func(t *testing.T) {
		o := w.knee("PACS-3")
		more := o
		more.sample.Exam.Instances = fewImages
		o.sample.Exam.Instances = 4
		task := w.sends(t, o, more.images()...)
		w.becomes(t, task, workflow.AwaitingImages, "pacs-study-growing", "still be arriving")
		if _, err := w.database.Owner(t).Exec(t.Context(), `UPDATE pacs_look SET counted_since = counted_since - interval '10 minutes'`); err != nil {
			t.Fatal(err)
		}
		w.laterInPACS(t)
		n := w.becomes(t, task, workflow.Ready, "", "")
		if got := n.Text("output", "valueCodeableConcept", "coding", "code"); got != workflow.StudyLarger {
			t.Errorf("the Task says %q, want %s", got, workflow.StudyLarger)
		}
	})
	t.Run("of somebody else", func(t *testing.T) {
		o := w.knee("PACS-4")
		other := o
		other.patient = people[""][1]
		task := w.sends(t, o, other.images()...)
		n := w.becomes(t, task, workflow.IntakeReview, "pacs-patient-mismatch", "identifier, name, birth date, sex")
		for _, secret := range []string{other.patient.family, other.patient.mrn, other.patient.born} {
			if strings.Contains(n.Text("statusReason", "text"), secret) {
				t.Errorf("the reason tells %q", secret)
			}
		}
		if _, err := w.clients["mercy-coordinator"].op(t.Context(), task, "resolve", param("reason", "valueString", "the archive has merged the two")); err != nil {
			t.Fatal(err)
		}
		w.becomes(t, task, workflow.Ready, "", "")
	})
	t.Run("of the other side", func(t *testing.T) {
		o := w.knee("PACS-5")
		other := o
		other.quirk = otherSide
		w.becomes(t, w.sends(t, o, other.images()...), workflow.IntakeReview, "pacs-laterality-mismatch", "the side is not that of the images")
	})
	t.Run("of another body part and modality", func(t *testing.T) {
		o := w.knee("PACS-6")
		other := o
		other.sample.Exam.Modality, other.sample.Exam.Site = "CT", samples["head-ct"].Exam.Site
		n := w.becomes(t, w.sends(t, o, other.images()...), workflow.IntakeReview, "pacs-modality-mismatch", "the body site is not that of the images")
		if len(n.Each("output")) != 2 {
			t.Errorf("%s", n.Bytes())
		}
	})
	t.Run("by the accession number of its issuer", func(t *testing.T) {
		o := w.knee("PACS-7")
		foreign := phantom.Study{Patient: phantom.Patient{ID: "1", Name: "Falk^Ingrid", BirthDate: "19420908", Sex: "F"}, UID: "2.25.7",
			Accession: o.accession(), AccessionIssuer: "ELSEWHERE", At: o.at}
		w.stores(t, phantom.Image{Study: foreign, Series: phantom.Series{UID: "2.25.71", Modality: "CT"}, UID: "2.25.711"}.File())
		// The ImagingStudy names no UID; the foreign study's issuer is not known to the operator.
		task := w.sends(t, unnamed(o), o.images()...)
		w.becomes(t, task, workflow.IntakeReview, "pacs-study-ambiguous", "several studies of this accession number")
		w.pacsKnows(t, "ELSEWHERE", "https://elsewhere.example/accession")
		w.laterInPACS(t)
		w.becomes(t, task, workflow.Ready, "", "")
	})

	for _, secret := range []string{people[""][0].family, people[""][1].family, people[""][0].mrn, "APACS-", w.pacs.Password} {
		if strings.Contains(log.text(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
	if strings.Count(log.text(), `"PACS asked"`) < 10 {
		t.Error("the log does not tell that the PACS was asked")
	}
}

// unnamed is an order whose ImagingStudy has no Study Instance UID.
func unnamed(o order) order {
	o.quirk = noUID
	return o
}

// pacsKnows adds an issuer to what the operator has said of the PACS.
func (w *world) pacsKnows(t *testing.T, issuer, system string) {
	t.Helper()
	_, err := overreadOutput(t, "pacs", "add", "mercy", "archive", w.pacs.Base, "--database-url", w.database.URL, "--credential-file", w.pacs.credential,
		"--issuer", "HOSPITAL="+mrnSystem, "--issuer", "HOSPITAL-RIS="+accessionSystem, "--issuer", issuer+"="+system)
	if err != nil {
		t.Fatal(err)
	}
}

func TestACaseOutlivesItsPACS(t *testing.T) {
	t.Parallel()
	w, _, dir := withPACS(t)
	o := w.knee("PACS-DOWN")
	w.stores(t, o.images()...)
	if err := w.pacs.Stop(); err != nil {
		t.Fatal(err)
	}
	task := w.sends(t, o)
	w.becomes(t, task, workflow.AwaitingImages, "pacs-unreachable", "it is asked again")
	doctor, _ := overreadOutput(t, "doctor", "--pacs", "--outbound-allow", "127.0.0.1", "--outbound-http", "--database-url", w.database.URL)
	if !strings.Contains(doctor, "FAIL  PACS mercy/archive: "+w.pacs.Base+": unreachable") {
		t.Error(doctor)
	}

	w.has(t, startOrthanc(t, dir)) // it comes back, with what it had
	w.laterInPACS(t)
	w.becomes(t, task, workflow.Ready, "", "")
	doctor, _ = overreadOutput(t, "doctor", "--pacs", "--outbound-allow", "127.0.0.1", "--outbound-http", "--database-url", w.database.URL)
	if !strings.Contains(doctor, "OK    PACS mercy/archive: "+w.pacs.Base+" answers") {
		t.Error(doctor)
	}
}

func TestAnOperatorKeepsThePACS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pacs := func(args ...string) (string, error) {
		return overreadOutput(t, append(append([]string{"pacs"}, args...), "--database-url", w.database.URL)...)
	}
	for name, args := range map[string][]string{
		"base": {"add", "mercy", "archive", "ftp://pacs.example"}, "query": {"add", "mercy", "archive", "https://pacs.example/dw?x=1"},
		"name": {"add", "mercy", "A B", "https://pacs.example/dw"}, "timeout": {"add", "mercy", "archive", "https://pacs.example/dw", "--timeout", "1h"},
		"issuer": {"add", "mercy", "archive", "https://pacs.example/dw", "--issuer", "A=b"}, "tenant": {"add", "nobody", "archive", "https://pacs.example/dw"},
		"host": {"add", "mercy", "archive", "https://127.1/dw"}, "nothing to remove": {"remove", "mercy", "archive"}, "nobody's": {"list", "nobody"},
	} {
		if out, err := pacs(args...); err == nil {
			t.Errorf("%s is taken: %s", name, out)
		}
	}
	if out, err := pacs("add", "mercy", "archive", "https://pacs.example/dw/", "--issuer", "M=urn:oid:1.2"); err != nil {
		t.Fatal(out, err)
	}
	out, err := pacs("list", "mercy", "--json")
	if err != nil || !strings.Contains(out, `"baseUrl": "https://pacs.example/dw"`) || !strings.Contains(out, `"M": "urn:oid:1.2"`) {
		t.Error(out, err)
	}
	if out, err := pacs("list"); err != nil || out != "mercy/archive\thttps://pacs.example/dw\tfailures in a row: 0\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := pacs("remove", "mercy", "archive"); err != nil {
		t.Error(err)
	}
	if out, err := pacs("list"); err != nil || out != "" {
		t.Errorf("%q %v", out, err)
	}
	eventually(t, "that it was set and removed is to be in the audit log", func() error {
		var events int
		err := w.database.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM audit_event WHERE convert_from(body, 'UTF8') LIKE '%"pacs-%'`).Scan(&events)
		if err == nil && events != 2 {
			err = fmt.Errorf("%d events are", events)
		}
		return err
	})
}
