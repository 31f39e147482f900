package flat

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/overread/overread/internal/fault"
)

var sample = Table{
	Name: "sample",
	Columns: []Column{
		{"word", Text, ""}, {"cases", Integer, ""}, {"rate", Decimal, ""}, {"hidden", Boolean, ""}, {"at", Instant, ""},
	},
	Rows: [][]any{
		{"CT, \"thin\"", 26, 5.803571, false, time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)},
		{"=HYPERLINK(\"http://evil.example\")", nil, nil, true, nil},
		{"@SUM(1)", -3, -0.5, nil, nil},
		{"Zürich\n+1", 0, 1e-7, nil, nil},
	},
}

func TestACSVFileHasNoFormula(t *testing.T) {
	t.Parallel()
	mediaType, content, err := Write("csv", sample)
	if err != nil || !strings.HasPrefix(mediaType, "text/csv") {
		t.Fatal(mediaType, err)
	}
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"word", "cases", "rate", "hidden", "at"},
		{"CT, \"thin\"", "26", "5.803571", "false", "2025-05-01T00:00:00Z"},
		{"'=HYPERLINK(\"http://evil.example\")", "", "", "true", ""},
		{"'@SUM(1)", "-3", "-0.5", "", ""},
		{"Zürich\n+1", "0", "0.0000001", "", ""},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}

func TestEachLineOfNDJSONIsARow(t *testing.T) {
	t.Parallel()
	_, content, err := Write("ndjson", sample)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(lines) != len(sample.Rows) {
		t.Fatalf("%d lines", len(lines))
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &row); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"word": "=HYPERLINK(\"http://evil.example\")", "cases": nil, "rate": nil, "hidden": true, "at": nil}, row); diff != "" {
		t.Error(diff)
	}
}

func TestAParquetFileIsReadBack(t *testing.T) {
	t.Parallel()
	_, content, err := Write("parquet", sample)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Word   *string    `parquet:"word,optional"`
		Cases  *int64     `parquet:"cases,optional"`
		Rate   *float64   `parquet:"rate,optional"`
		Hidden *bool      `parquet:"hidden,optional"`
		At     *time.Time `parquet:"at,optional,timestamp(millisecond)"`
	}
	rows, err := parquet.Read[row](bytes.NewReader(content), int64(len(content)))
	if err != nil || len(rows) != len(sample.Rows) {
		t.Fatal(len(rows), err)
	}
	if *rows[0].Word != "CT, \"thin\"" || *rows[0].Cases != 26 || *rows[0].Rate != 5.803571 || *rows[0].Hidden || !rows[0].At.Equal(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", rows[0])
	}
	if rows[1].Cases != nil || rows[1].At != nil || !*rows[1].Hidden || *rows[2].Cases != -3 {
		t.Errorf("%+v %+v", rows[1], rows[2])
	}
}

func TestAFormatThatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	if _, _, err := Write("xlsx", sample); !fault.Is(err, fault.Value) {
		t.Error(err)
	}
}
