package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// figuresRow is what a file of figures says of a group, and of what measure.
type figuresRow struct {
	Measure   string `json:"measure" parquet:"measure,optional"`
	Dimension string `json:"dimension_1" parquet:"dimension_1,optional"`
	Value     string `json:"value_1" parquet:"value_1,optional"`
}

var figuresFileLink = regexp.MustCompile(`<a class="button small" href="([^"]+)" download>(\w+)</a>`)
var groupLink = regexp.MustCompile(`<th scope="row"><a href="(\?[^"]+)">([^<]+)</a>(?: <small[^<]*</small>)?</th>`)

// The files that a page of figures links have its measure and its groups, and each group
// leads to the figures narrowed to it: all by the links as the page writes them.
func TestTheLinksOfFiguresLeadToWhatThePageShows(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", readHere)
	signs(r, "tanaka")
	engine := workflow.NewEngine(r.database.DB, time.Now, slog.New(slog.DiscardHandler))
	eventually(t, "the facts are to be made", func() error { // the server's own job works on it too
		if _, err := engine.BuildFacts(t.Context()); err != nil {
			return err
		}
		return workflow.FactsReady(t.Context(), engine, r.tenants["mercy"])
	})
	v, rooms := r.at(t, access.Quality)
	for _, query := range []string{"measure=discrepancy-any&by=modality", "measure=turnaround&by=month", "measure=discrepancy-important&by=modality&only=priority%7Curgent"} {
		asked, _ := url.ParseQuery(query)
		page := v.get(rooms + "/figures?" + query)
		rows := groupLink.FindAllStringSubmatch(page.text, -1)
		if page.status != http.StatusOK || len(rows) == 0 {
			t.Fatalf("%s: %d, no groups: %s", query, page.status, page.text)
		}
		if asked.Get("by") == "month" {
			wants(t, page, "The picture as a table", "Still open")
		}
		files := figuresFileLink.FindAllStringSubmatch(page.text, -1)
		if len(files) != 3 {
			t.Errorf("%s: %d files", query, len(files))
		}
		for _, link := range files {
			file := v.get(html.UnescapeString(link[1]))
			var groups []string
			for _, row := range rowsOfFigures(t, link[2], file) {
				if id := row.Measure[strings.LastIndex(row.Measure, "/")+1:]; !strings.HasPrefix(id, asked.Get("measure")) || id != asked.Get("measure") && !strings.HasPrefix(id, asked.Get("measure")+"|") {
					t.Errorf("%s as %s is of %s", query, link[2], row.Measure)
				}
				if row.Dimension == asked.Get("by") && !slices.Contains(groups, row.Value) {
					groups = append(groups, row.Value)
				}
			}
			if len(groups) == 0 {
				t.Errorf("%s as %s has no groups: %s", query, link[2], file.text)
			}
			if asked.Get("by") != "month" { // which the page writes in words
				if diff := cmp.Diff(unique(rows), groups); diff != "" {
					t.Errorf("%s as %s: %s", query, link[2], diff)
				}
			}
		}
		narrowed := v.get(rooms + "/figures" + html.UnescapeString(rows[0][1]))
		to, err := url.Parse(narrowed.at)
		if err != nil {
			t.Fatal(err)
		}
		q := to.Query()
		if narrowed.status != http.StatusOK || q.Get("measure") != asked.Get("measure") || q.Has("by") || len(groupLink.FindAllString(narrowed.text, -1)) > 0 || strings.Contains(narrowed.text, `class="note warn"`) {
			t.Errorf("%s narrowed: %d %s", query, narrowed.status, narrowed.at)
		}
		switch {
		case asked.Get("by") == "month":
			wants(t, narrowed, `name="from" type="date" value="`+q.Get("from")+`"`)
			if !strings.HasSuffix(q.Get("from"), "-01") || q.Get("to")[:7] != q.Get("from")[:7] {
				t.Errorf("the month: %s", narrowed.at)
			}
		case asked.Has("only"):
			wants(t, narrowed, `value="priority|urgent" checked`, `<option value="modality|`+rows[0][2]+`" selected>`)
			if got := q["only"]; len(got) != 2 {
				t.Errorf("narrowed twice: %v", got)
			}
		default:
			wants(t, narrowed, `<option value="modality|`+rows[0][2]+`" selected>`)
		}
	}
}

// unique are the words of rows: a time has one of each percentile.
func unique(rows [][]string) (words []string) {
	for _, row := range rows {
		if !slices.Contains(words, row[2]) {
			words = append(words, row[2])
		}
	}
	return words
}

func rowsOfFigures(t *testing.T, format string, file seenPage) (rows []figuresRow) {
	t.Helper()
	if file.status != http.StatusOK {
		t.Fatalf("%s: %d %s", format, file.status, file.text)
	}
	switch format {
	case "csv":
		lines, err := csv.NewReader(strings.NewReader(file.text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		at := func(line []string, name string) string { return line[slices.Index(lines[0], name)] }
		for _, line := range lines[1:] {
			rows = append(rows, figuresRow{at(line, "measure"), at(line, "dimension_1"), at(line, "value_1")})
		}
	case "ndjson":
		for line := range strings.Lines(file.text) {
			var row figuresRow
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	case "parquet":
		var err error
		if rows, err = parquet.Read[figuresRow](bytes.NewReader([]byte(file.text)), int64(len(file.text))); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("%s is not looked into", format)
	}
	return rows
}
