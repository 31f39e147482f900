package fhir

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// The text of a query that is narrowed to a reader tells nobody who knows all ids which it is, has no
// name in common with another query, and is nevertheless a link for who may open it.
func TestAQueryOfOneReaderTellsNobodyWho(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	const asOf = "2025-05-02T00:00:00Z"
	name := regexp.MustCompile(`filter=(?:second|original)-reader\|([^&" ]+)`)
	ask := func(reader string, more ...string) (got response, called string) {
		t.Helper()
		params := append([]string{"filter", url.QueryEscape("second-reader|" + reader), "readers", "open"}, more...)
		if got = c.stat(access.Quality, "agreement/$evaluate-measure", params...); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		_, query, err := reportAsked(got.node)
		if err != nil || name.FindStringSubmatch(query) == nil {
			t.Fatalf("%v %s", err, query)
		}
		return got, name.FindStringSubmatch(query)[1]
	}
	one, first := ask("reader-one", "asOf", asOf)
	_, second := ask("reader-two", "asOf", asOf)
	_, again := ask("reader-one", "asOf", asOf)
	_, later := ask("reader-one", "asOf", "2025-05-02T00:00:01Z")
	_, by := ask("reader-one", "asOf", asOf, "stratifier", "modality")
	if again != first || second == first || later == first || by == first || !readerPseudonym.MatchString(first) {
		t.Errorf("%s %s %s %s %s", first, again, second, later, by)
	}
	for _, id := range []string{"reader-one", "reader-two"} { // who knows them all tries them all
		sum := sha256.Sum256([]byte(id))
		if strings.Contains(one.body, hex.EncodeToString(sum[:4])) || strings.Contains(first, id) {
			t.Errorf("%s is found in %s", id, one.body)
		}
	}
	for _, ways := range [][]string{{"$measure-table"}, {"$statistic-table", "statistic", "funnel", "stratifier", "modality"}} {
		params := append([]string{"measure", "Measure/agreement", "format", "csv", "asOf", asOf, "filter", url.QueryEscape("second-reader|reader-one"), "readers", "open"}, ways[1:]...)
		file := c.stat(access.Quality, ways[0], params...)
		if got := name.FindStringSubmatch(file.body); got == nil || !readerPseudonym.MatchString(got[1]) || strings.Contains(file.body, "reader-one") {
			t.Errorf("%d %s", file.status, file.body)
		}
	}
	// The text is asked as it is, by whoever has the role, and that is recorded as of one reader.
	_, query, _ := reportAsked(one.node)
	text, _, _ := strings.Cut(query, " sha256:")
	link := "/fhir/Measure/$evaluate-measure?" + strings.ReplaceAll(text, "+", "%2B")
	before := c.openings("agreement")
	if got := c.do(access.Quality, "GET", link, ""); got.status != http.StatusOK || restated(got.node) != restated(one.node) {
		t.Errorf("%s: %d %s", link, got.status, got.body)
	}
	if c.openings("agreement") != before+1 {
		t.Error("figures of one reader are not recorded as opened")
	}
	c.do(access.Auditor, "GET", link, "").want(t, http.StatusForbidden, "forbidden")
	// In another query it names nobody, and so it does in a saved one, which is of no moment.
	for _, other := range []string{strings.Replace(link, "agreement", "discrepancy-any", 1), strings.Replace(link, "2025-03-31", "2025-02-28", 1), link + "&stratifier=site"} {
		if got := c.do(access.Quality, "GET", other, ""); got.status != http.StatusBadRequest || !strings.Contains(got.body, "pseudonym") {
			t.Errorf("%s: %d %s", other, got.status, got.body)
		}
	}
	saved := c.do(access.Quality, "POST", "/fhir/Measure/$save-query", `{"resourceType":"Parameters","parameter":[{"name":"title","valueString":"x"},{"name":"measure","valueCanonical":"Measure/agreement"},
		{"name":"periodStart","valueDate":"2025-01-01"},{"name":"periodEnd","valueDate":"2025-03-31"},{"name":"filter","valueString":"second-reader|`+first+`"}]}`)
	if saved.status != http.StatusBadRequest {
		t.Errorf("%d %s", saved.status, saved.body)
	}
}
