package published

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/overread/overread/measure"
)

func TestEveryPrintedFigureIsOursButForTheSlipsThatWeName(t *testing.T) {
	t.Parallel()
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	var slips []string
	for _, r := range rows {
		if !r.Agrees {
			t.Errorf("%s: %s is %s, printed %q, exact %q", r.Study, r.Figure, r.Ours, r.Printed, r.Exact)
		}
		if r.Slip != "" {
			slips = append(slips, r.Printed+" for "+r.Ours)
		}
	}
	if got := strings.Join(slips, "; "); got != "20.0 for 20.1; 32.6 for 32.5" {
		t.Errorf("slips: %s", got)
	}
}

// Every number that the file has under "published" and "expect" is in the table, so
// that none is left out in silence.
func TestNoPrintedFigureIsLeftOut(t *testing.T) {
	t.Parallel()
	studies, err := Studies()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range studies {
		for _, part := range []string{"published", "expect"} {
			object, _ := s.at(part).(map[string]any)
			for name := range object {
				found := name == "method"
				for _, f := range figures {
					found = found || f.study == s.ID && f.path == part+"."+name
				}
				if !found {
					t.Errorf("%s: %s.%s is compared with nothing", s.ID, part, name)
				}
			}
		}
	}
	if len(studies) != 6 {
		t.Errorf("%d studies", len(studies))
	}
}

// The self-test can tell: no other method gives what Guerin et al. print.
func TestOnlyWilsonGivesThePrintedIntervalOfGuerin(t *testing.T) {
	t.Parallel()
	studies, err := Studies()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range measure.Methods() {
		f := figure{study: "guerin-2015", path: "published.ci95_pct", counts: []string{"concordant", "n"}, compute: interval(m)}
		row, err := f.row(studies[0])
		if err != nil || row.Agrees != (m == measure.MethodWilson) {
			t.Errorf("%s: %+v, %v", m, row, err)
		}
	}
}

func TestAFigureThatIsNotWhatIsPrintedDisagrees(t *testing.T) {
	t.Parallel()
	studies, err := Studies()
	if err != nil {
		t.Fatal(err)
	}
	zan := studies[2]
	for name, f := range map[string]figure{
		"another count":          {path: "published.important_pct", counts: []string{"important_detection", "comparable"}, compute: percent},
		"a slip that is none":    {path: "published.important_pct", counts: []string{"important", "comparable"}, compute: percent, slip: "it rounds to 7.7"},
		"a slip of another kind": {path: "published.important_pct", counts: []string{"important_detection", "comparable"}, compute: percent, slip: "it rounds to 7.6"},
	} {
		row, err := f.row(zan)
		if err != nil || row.Agrees || row.Verdict() != "DISAGREES" {
			t.Errorf("%s: %+v, %v", name, row, err)
		}
	}
	for name, f := range map[string]figure{
		"no such count":     {path: "published.important_pct", counts: []string{"imported", "comparable"}, compute: percent},
		"no such print":     {path: "published.imported_pct", counts: []string{"important", "comparable"}, compute: percent},
		"of no denominator": {path: "published.important_pct", counts: []string{"important", "important-important"}, compute: percent},
	} {
		if row, err := f.row(zan); err == nil {
			t.Errorf("%s: %+v", name, row)
		}
	}
}

// The customer's file may grow; ours is a copy, and the source of both are the papers.
func TestTheCopyIsTheCustomersFile(t *testing.T) {
	t.Parallel()
	theirs, err := os.ReadFile("../../../shared/fixtures/published-rates.json")
	if err != nil {
		t.Skip("the customer's fixtures are not here")
	}
	if !bytes.Equal(theirs, rates) {
		t.Error("published-rates.json is not ../shared/fixtures/published-rates.json any more: copy it again")
	}
}
