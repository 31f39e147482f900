package fhir

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// csvRows are the rows of a CSV file by the names of its columns.
func csvRows(t testing.TB, text string) (rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestAReportAsAFileHasTheFiguresOfTheReport(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	const ask = "/fhir/Measure/$measure-table?measure=Measure/discrepancy-any&stratifier=site&periodStart=2025-01&periodEnd=2025-03"
	got := c.do(access.Auditor, "GET", ask+"&format=csv", "")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	rows := csvRows(t, got.body)
	if len(rows) != 3 || rows[0]["denominator"] != "448" || rows[0]["numerator"] != "26" || !strings.HasPrefix(rows[0]["low"], "3.99") || rows[1]["dimension_1"] != "site" || rows[1]["value_1"] != "site-north" {
		t.Errorf("%v", rows)
	}
	var one map[string]any
	lines := c.do(access.Auditor, "GET", ask+"&format=ndjson", "")
	if err := json.Unmarshal([]byte(strings.SplitN(lines.body, "\n", 2)[0]), &one); err != nil || one["numerator"] != 26.0 {
		t.Errorf("%v %s", err, lines.body)
	}
	file := c.do(access.Auditor, "GET", ask+"&format=parquet", "")
	type row struct {
		Numerator *int64   `parquet:"numerator,optional"`
		High      *float64 `parquet:"high,optional"`
	}
	read, err := parquet.Read[row](bytes.NewReader([]byte(file.body)), int64(len(file.body)))
	if err != nil || len(read) != 3 || *read[0].Numerator != 26 {
		t.Errorf("%v %v", read, err)
	}
	// What the operation hides, no file has.
	masked := csvRows(t, c.do(access.Auditor, "GET", strings.Replace(ask, "discrepancy-any", "discrepancy-important", 1)+"&format=csv", "").body)
	for _, row := range masked {
		if row["numerator"] != "" || row["score"] != "" || row["masked"] != "true" {
			t.Errorf("%v", row)
		}
	}
	c.do(access.Auditor, "GET", ask+"&format=xlsx", "").want(t, http.StatusBadRequest, "value")
	c.do(access.Auditor, "GET", ask+"&format=csv&filter=modality|CT", "").want(t, http.StatusForbidden, "forbidden")
	for _, role := range anybody {
		if role != access.Quality && role != access.Auditor {
			c.do(role, "GET", ask+"&format=csv", "").want(t, http.StatusForbidden, "forbidden")
		}
	}
}

func TestAFlatViewHasPseudonymsAndIsRecorded(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t)
	ask := func(view string) string {
		return "/fhir/Measure/$flat-view?periodStart=2026&periodEnd=2070&format=csv&view=" + view
	}
	cases := c.do(access.Quality, "GET", ask("cases"), "")
	rows := csvRows(t, cases.body)
	if len(rows) != 2 { // the third is not signed
		t.Fatalf("%d %s", cases.status, cases.body)
	}
	for _, row := range rows {
		if !strings.HasPrefix(row["case_key"], "case-") || !strings.HasPrefix(row["second_reader"], "reader-") || row["modality"] != "DX" || row["hours_to_signed"] == "" {
			t.Errorf("%v", row)
		}
	}
	for _, row := range rows {
		if _, digits, _ := strings.Cut(row["hours_to_signed"], "."); len(digits) > 2 || row["as_of"] == "" || row["view_version"] != viewVersion || !strings.Contains(row["query"], "view=cases|"+viewVersion+"&periodStart=2026-01-01&periodEnd=2070-12-31&") || !strings.Contains(row["query"], " sha256:") {
			t.Errorf("%v", row)
		}
	}
	grades := c.do(access.Quality, "GET", ask("grades"), "")
	if list := csvRows(t, grades.body); len(list) < 2 || list[0]["level"] == "" || !strings.HasPrefix(list[0]["grader_key"], "reader-") {
		t.Errorf("%s", grades.body)
	}
	for _, text := range []string{cases.body, grades.body} {
		for _, secret := range []string{id, "Dr Second", c.readers[access.Reader].ID.String(), c.task(id).Text("for", "reference"), "QCANARY"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in a view: %s", secret, text)
			}
		}
	}
	both := c.do(access.Quality, "GET", ask("cases")+"&view=grades", "")
	archive, err := zip.NewReader(strings.NewReader(both.body), int64(len(both.body)))
	if err != nil || len(archive.File) != 2 {
		t.Fatalf("%v %d", err, both.status)
	}
	keys := map[string]int{} // of cases, and then of grades
	for i, f := range archive.File {
		file, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range csvRows(t, string(text)) {
			if _, of := keys[row["case_key"]]; i == 1 && !of {
				t.Errorf("a grade is of no case of the same archive: %v", row)
			}
			keys[row["case_key"]]++
		}
	}
	again := csvRows(t, c.do(access.Quality, "GET", ask("cases"), "").body)
	for _, row := range rows {
		for _, other := range again {
			if row["case_key"] == other["case_key"] || row["second_reader"] == other["second_reader"] {
				t.Error("two exports can be joined by their keys")
			}
		}
	}
	opened := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|measure-opened&entity:identifier="+Canonical+"/sid/measure|view-cases", "")
	if n := len(opened.node.Each("entry")); n != 3 {
		t.Errorf("%d openings are recorded: %s", n, opened.body)
	}
	for _, role := range anybody {
		if role != access.Quality {
			c.do(role, "GET", ask("cases"), "").want(t, http.StatusForbidden, "forbidden")
		}
	}
	c.do(access.Quality, "GET", ask("patients"), "").want(t, http.StatusBadRequest, "value")
}

// docs/views has a description of each view; -update writes them.
func TestTheViewsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, v := range views() {
		path := "../docs/views/" + v.name + ".json"
		var want bytes.Buffer
		if err := json.Indent(&want, v.description().Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		want.WriteByte('\n')
		if *update {
			if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what the table says (%v); write it with -update", path, err)
		}
	}
}
