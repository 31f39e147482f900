package fhir

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/fault"
)

func TestAFormsFieldsAreTheParametersOfItsOperation(t *testing.T) {
	t.Parallel()
	rows := grade
	fields, err := url.ParseQuery("difference=A+nodule%0D%0Awas+missed&goodCall=on&comment=&discrepancy.0.description=Nodule&discrepancy.0.significance=important&discrepancy.0.asymmetry=priors&discrepancy.0.asymmetry=history&discrepancy.10.description=Second&discrepancy.2.description=First")
	if err != nil {
		t.Fatal(err)
	}
	given, err := fieldsOf(rows, fields)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"discrepancy","part":[{"name":"description","valueString":"Nodule"},{"name":"significance","valueCode":"important"},{"name":"asymmetry","valueCode":"priors"},{"name":"asymmetry","valueCode":"history"}]},` +
		`{"name":"discrepancy","part":[{"name":"description","valueString":"First"}]},{"name":"discrepancy","part":[{"name":"description","valueString":"Second"}]},` +
		`{"name":"difference","valueString":"A nodule\nwas missed"},{"name":"goodCall","valueBoolean":true}]`
	var got strings.Builder
	for i, n := range given {
		got.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		got.Write(n.Bytes())
	}
	got.WriteString("]")
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAFieldThatTheOperationDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"colour=blue", "discrepancy.0.colour=blue", "discrepancy.x.description=a"} {
		fields, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if given, err := fieldsOf(grade, fields); !fault.Is(err, fault.Value) {
			t.Errorf("%s: %v, %v", query, given, err)
		}
	}
	if _, err := fieldsOf([]parameter{follows}, url.Values{"follows": {"1;"}}); !fault.Is(err, fault.Value) {
		t.Errorf("a number that is none: %v", err)
	}
}
