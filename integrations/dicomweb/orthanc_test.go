package dicomweb_test

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/overread/overread/integrations/dicomweb"
	"github.com/overread/overread/internal/orthanc"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/phantom"
	"github.com/overread/overread/workflow"
)

// pacs is the one Orthanc of this package's tests. Where there is none, they
// fail: scripts/ensure orthanc.
var pacs *orthanc.Server

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "keep" {
		if err := orthanc.Keep(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(withOrthanc(m))
}

func withOrthanc(m *testing.M) int {
	dir, err := os.MkdirTemp("", "overread-orthanc-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	pacs, err = orthanc.Start(context.Background(), orthanc.Options{Dir: dir, Exposed: true, Keeper: func(ctx context.Context, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, os.Args[0], append([]string{"keep"}, args...)...)
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer pacs.Stop()
	return m.Run()
}

// newUID is one that nobody else uses.
func newUID() string {
	id := uuid.New()
	return "2.25." + new(big.Int).SetBytes(id[:]).String()
}

// exam is a study of Mrs. Lindgren's right knee.
func exam() phantom.Study {
	return phantom.Study{
		Patient: phantom.Patient{ID: "100", Issuer: "MERCY", Name: "Lindgren^Harriet", BirthDate: "19590314", Sex: "F"},
		UID:     newUID(), Accession: uuid.NewString()[:13], Description: "MR Right knee", At: time.Now(),
	}
}

// store puts n images of a series into Orthanc.
func store(t *testing.T, st phantom.Study, se phantom.Series, n int, side string) {
	t.Helper()
	if se.UID == "" {
		se.UID = newUID()
	}
	for i := range n {
		image := phantom.Image{Study: st, Series: se, UID: newUID(), Number: i + 1, Laterality: side}
		if err := pacs.Store(t.Context(), image.File()); err != nil {
			t.Fatal(err)
		}
	}
}

// archiveOf is Orthanc as an operator would add it.
func archiveOf(t *testing.T) workflow.Archive {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(file, []byte(pacs.User+":"+pacs.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return workflow.Archive{Name: "orthanc", BaseURL: pacs.Base, CredentialFile: &file, Issuers: map[string]string{
		"MERCY": "https://mercy.example/mrn", "MERCY-RIS": "https://mercy.example/accession", "LAKESIDE-RIS": "https://lakeside.example/accession",
	}}
}

func newClient() *dicomweb.Client { return dicomweb.New("test", outbound.Loopback(), time.Now) }

func ask(t *testing.T, q workflow.Inquiry) workflow.Sighting {
	t.Helper()
	return newClient().Look(t.Context(), archiveOf(t), q)
}

var harriet = workflow.Person{
	IDs:   []workflow.PersonID{{System: "https://mercy.example/mrn", Value: "100"}},
	Names: []workflow.PersonName{{Family: "Lindgren", Given: "Harriet"}}, BirthDate: "1959-03-14", Sex: "female",
}

func TestOrthancTellsAllThatTheChecksCompare(t *testing.T) {
	t.Parallel()
	st := exam()
	store(t, st, phantom.Series{Number: 1, Modality: "MR", BodyPart: "KNEE", Laterality: "R"}, 3, "")
	store(t, st, phantom.Series{Number: 2, Modality: "SR"}, 1, "")
	want := workflow.StudyInPACS{
		PACS: "orthanc", UID: st.UID, Accession: st.Accession, Instances: 4, Series: 2,
		Modalities: []string{"MR", "SR"}, BodyParts: []string{"KNEE"}, Sides: []string{"right"}, Patient: harriet,
	}
	for name, q := range map[string]workflow.Inquiry{
		"by UID":                             {UID: st.UID},
		"by UID, whatever the accession":     {UID: st.UID, Accession: "another"},
		"by accession number":                {Accession: st.Accession},
		"by accession number of its issuer?": {Accession: st.Accession, AccessionSystem: "https://mercy.example/accession"},
	} {
		got := ask(t, q)
		if got.Answer != workflow.PACSFound || got.Status != 200 {
			t.Fatalf("%s: %+v", name, got)
		}
		if diff := cmp.Diff(want, got.Study, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOrthancShowsAStudyGrow(t *testing.T) {
	t.Parallel()
	st, se := exam(), phantom.Series{UID: newUID(), Number: 1, Modality: "CT"}
	if got := ask(t, workflow.Inquiry{UID: st.UID}); got.Answer != workflow.PACSAbsent {
		t.Fatalf("before it came: %+v", got)
	}
	for n := 1; n <= 3; n++ {
		store(t, st, se, 1, "")
		if got := ask(t, workflow.Inquiry{UID: st.UID}); got.Answer != workflow.PACSFound || got.Study.Instances != n {
			t.Errorf("after %d images: %+v", n, got)
		}
	}
}

func TestTheSideIsFoundInTheImagesWhereTheSeriesDoNotTell(t *testing.T) {
	t.Parallel()
	st := exam()
	store(t, st, phantom.Series{Number: 1, Modality: "MG"}, 2, "L")
	store(t, st, phantom.Series{Number: 2, Modality: "MG"}, 1, "R")
	store(t, st, phantom.Series{Number: 3, Modality: "MG"}, 1, "U")
	if got := ask(t, workflow.Inquiry{UID: st.UID}); len(got.Study.Sides) != 0 {
		t.Errorf("nobody asked for sides: %v", got.Study.Sides)
	}
	got := ask(t, workflow.Inquiry{UID: st.UID, Sides: true})
	if diff := cmp.Diff([]string{"left", "right"}, got.Study.Sides, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
}

func TestAnAccessionNumberIsItsIssuersOwn(t *testing.T) {
	t.Parallel()
	mercy, lakeside, unknown := exam(), exam(), exam()
	lakeside.Accession, lakeside.AccessionIssuer = mercy.Accession, "LAKESIDE-RIS"
	mercy.AccessionIssuer = "MERCY-RIS"
	store(t, mercy, phantom.Series{Number: 1, Modality: "MR"}, 1, "")
	store(t, lakeside, phantom.Series{Number: 1, Modality: "MR"}, 2, "")
	if got := ask(t, workflow.Inquiry{Accession: mercy.Accession}); got.Answer != workflow.PACSAmbiguous {
		t.Errorf("two of the same number: %+v", got)
	}
	for system, want := range map[string]string{"https://mercy.example/accession": mercy.UID, "https://lakeside.example/accession": lakeside.UID} {
		if got := ask(t, workflow.Inquiry{Accession: mercy.Accession, AccessionSystem: system}); got.Study.UID != want {
			t.Errorf("%s: %+v", system, got)
		}
	}
	if got := ask(t, workflow.Inquiry{Accession: mercy.Accession, AccessionSystem: "https://third.example"}); got.Answer != workflow.PACSAbsent {
		t.Errorf("of a third issuer: %+v", got)
	}
	unknown.Accession = mercy.Accession
	store(t, unknown, phantom.Series{Number: 1, Modality: "MR"}, 1, "")
	if got := ask(t, workflow.Inquiry{Accession: mercy.Accession, AccessionSystem: "https://mercy.example/accession"}); got.Answer != workflow.PACSAmbiguous {
		t.Errorf("one whose issuer nobody knows may be it: %+v", got)
	}
}

func TestNamesBeyondASCIIComeThrough(t *testing.T) {
	t.Parallel()
	st := exam()
	st.Patient = phantom.Patient{ID: "7", Name: "Sørensen^Jürgen^Ø", Sex: "O"}
	store(t, st, phantom.Series{Number: 1, Modality: "MR"}, 1, "")
	want := workflow.Person{IDs: []workflow.PersonID{{Value: "7"}}, Names: []workflow.PersonName{{Family: "Sørensen", Given: "Jürgen"}}, Sex: "other"}
	if diff := cmp.Diff(want, ask(t, workflow.Inquiry{UID: st.UID}).Study.Patient); diff != "" {
		t.Error(diff)
	}
}

func TestOrthancRefusesWhoeverHasTheWrongPassword(t *testing.T) {
	t.Parallel()
	a := archiveOf(t)
	for name, text := range map[string]string{"wrong": "overread:wrong", "a token": "abc", "empty": "", "two lines": "a:b\nc:d", "blanks": "a b"} {
		if err := os.WriteFile(*a.CredentialFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := newClient().Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"}); got.Answer != workflow.PACSRefused {
			t.Errorf("%s: %+v", name, got)
		}
	}
	missing := *a.CredentialFile + ".not"
	a.CredentialFile = &missing
	if got := newClient().Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"}); got.Answer != workflow.PACSRefused || got.Reason != "credential-file" {
		t.Errorf("no file: %+v", got)
	}
}

func TestALargeStudyIsReadPageByPage(t *testing.T) {
	t.Parallel()
	st := exam()
	for i := range 203 {
		store(t, st, phantom.Series{Number: i + 1, Modality: "MR"}, 1, "")
	}
	if got := ask(t, workflow.Inquiry{UID: st.UID}); got.Study.Series != 203 || got.Study.Instances != 203 {
		t.Errorf("%+v", got)
	}
}
