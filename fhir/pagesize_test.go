package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAPageEndsWhereItIsFull(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		mib   []int
		count int
		want  int
	}{
		{"nothing", nil, 10, 0},
		{"fewer than it may have", []int{1, 1}, 10, 2},
		{"as many as it may have", []int{1, 1, 1}, 2, 2},
		{"just full", []int{16, 16, 1}, 10, 2},
		{"too full for the next", []int{16, 15, 2, 1}, 10, 2},
		{"one that is too large by itself", []int{40, 1}, 10, 1},
	} {
		all := make([]Stored, len(c.mib))
		for i, n := range c.mib {
			all[i].Body = make([]byte, n*mib)
		}
		if got := pageEnd(all, c.count); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// Ten Binaries of 4 MB: a page ends early, and its links lead through all.
func TestALargePageOfASearchOrAHistoryEndsEarly(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	content := strings.Repeat("x", 3_100_000)
	var ids []string
	for i := range 9 {
		id := fmt.Sprint("b", i)
		if got := r.put("/fhir/Binary/"+id, content, "Content-Type", "application/x-raw", "Prefer", "return=minimal"); got.status != http.StatusCreated {
			t.Fatal(got.status, got.body)
		}
		ids = append(ids, id)
	}
	for _, start := range []string{"/fhir/Binary?_count=500&_sort=_id", "/fhir?_type=Binary,Patient&_count=500", "/fhir/Binary/_history?_count=500"} {
		var found []string
		pages := 0
		for path := start; path != ""; pages++ {
			got := r.get(path)
			if got.status != http.StatusOK || len(got.body) > pageBytes+100_000 || pages > 3 {
				t.Fatalf("%s: %d, %d bytes", path, got.status, len(got.body))
			}
			found = append(found, got.ids()...)
			path = ""
			for _, link := range got.node.Each("link") {
				if link.Text("relation") == "next" {
					path = strings.TrimPrefix(link.Text("url"), r.url)
				}
			}
		}
		if slices.Sort(found); pages != 2 || !slices.Equal(found, ids) {
			t.Errorf("%s: %d pages, %v", start, pages, found)
		}
	}
	heads := make([]string, 9)
	for i := range heads {
		heads[i] = requestJSON("HEAD", fmt.Sprint("Binary/b", i))
	}
	got := r.post("/fhir", batchJSON(heads...)).statuses()
	if got[0] != "200" || got[8] != "413" {
		t.Errorf("HEADs of a batch: %v", got)
	}
}
