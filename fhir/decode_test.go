package fhir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/overread/overread/internal/fault"
)

const fixtures = "../../shared/fixtures"

// readFixtures fails in CI where the folder is missing: a test that skips
// proves nothing. Elsewhere a clone may stand alone.
func readFixtures(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(fixtures, folder, "*.json"))
	if err != nil || len(names) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatalf("no fixtures in %s: they belong beside the checkout", filepath.Join(fixtures, folder))
		}
		t.Skipf("NOT TRIED on the official examples: there are none in %s", filepath.Join(fixtures, folder))
	}
	files := map[string][]byte{}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[folder+"/"+filepath.Base(name)] = body
	}
	return files
}

// rightlyRefused are official examples that break a rule of FHIR R4 which we hold to.
var rightlyRefused = map[string]string{
	"fhir-r4/examples/Observation-clinical-gender.json":                  "performer is an Encounter, which Observation.performer may not be",
	"fhir-r4/examples/Questionnaire-qs1.json":                            "items without linkId, which is required",
	"fhir-r4/examples/Questionnaire-zika-virus-exposure-assessment.json": "a narrative of blanks, against invariant txt-2",
}

func TestOfficialExamplesDecodeAndKeepTheirContent(t *testing.T) {
	for _, folder := range []string{"fhir-r4/examples", "us-core", "ihe-mado"} {
		for name, body := range readFixtures(t, folder) {
			reason, refused := rightlyRefused[name]
			n, err := Decode(body, "")
			if refused != (err != nil) {
				t.Errorf("%s: refused %v (%s)\n%s", name, refused, reason, issueLines(err))
			}
			if err != nil {
				continue
			}
			again, err := Decode(n.Bytes(), n.Type())
			if err != nil {
				t.Errorf("%s: its own bytes are refused: %v", name, err)
				continue
			}
			if diff := cmp.Diff(string(n.Bytes()), string(again.Bytes())); diff != "" {
				t.Errorf("%s changes when read again: %s", name, diff)
			}
		}
	}
}

func issueLines(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return "not a fault"
	}
	var lines []string
	for _, i := range f.Issues {
		lines = append(lines, string(i.Kind)+" "+i.Expression+": "+i.Text)
	}
	return strings.Join(lines, "\n")
}
