package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// What the operations cost that people wait for or that a page calls every few
// seconds, each as a multiple of a read of the case's Task by the same person in the
// same run. They take turns, so that whatever else the machine does hits them alike.
//
//	go test ./fhir -run xxx -bench RESTCaseOperations -benchtime 1x -cpu 2
func BenchmarkRESTCaseOperations(b *testing.B) {
	for _, readers := range []int{10, 100, 300} {
		b.Run(fmt.Sprintf("candidates/readers=%d", readers), func(b *testing.B) {
			c := startClinic(b)
			for i := range readers - 2 { // there are two already
				pgtest.AddReader(b, c.db, c.tenant, fmt.Sprint("Dr Reader ", i), workflow.Reader{Subspecialties: []string{"chest"}})
			}
			id := c.order(chestXray(b, "asked")...)
			c.tick()
			c.compare(b, 100, access.Coordinator, id, func(int) response {
				return c.do(access.Coordinator, "GET", "/fhir/Task/"+id+"/$candidates", "")
			})
		})
	}
	page := strings.Repeat("Lungs clear, heart of normal size. ", 60) // some 2 kB, as a long report has
	for _, way := range []struct {
		name string
		text func(i int) string
	}{
		{"a new version", func(i int) string { return fmt.Sprint(page, i) }},
		{"as it was", func(int) string { return page }},
	} {
		b.Run("draft/"+way.name, func(b *testing.B) {
			c := startClinic(b)
			id := c.order(chestXray(b, "written")...)
			c.tick()
			c.mustAct(access.Reader, id, "$claim", "independent", true)
			c.mustAct(access.Reader, id, "$start")
			version := 0
			c.compare(b, 400, access.Reader, id, func(i int) response {
				got := c.do(access.Reader, "POST", "/fhir/Task/"+id+"/$draft", Object("resourceType", "Parameters", "parameter", []*Node{
					Object("name", "follows", "valueInteger", version), Object("name", "findings", "valueString", way.text(i)),
				}).jsonText())
				if i == 0 || way.name == "a new version" {
					version++
				}
				return got
			})
		})
	}
}

// compare asks the operation and a read of the Task so many times in turns, and
// reports the medians and their ratio.
func (c *clinic) compare(b *testing.B, times int, as access.Role, id string, operation func(i int) response) {
	b.Helper()
	var took, read []time.Duration
	n := 0
	for b.Loop() {
		for range times {
			began := time.Now()
			c.expect(http.StatusOK, operation(n))
			took = append(took, time.Since(began))
			began = time.Now()
			c.expect(http.StatusOK, c.do(as, "GET", "/fhir/Task/"+id, ""))
			read = append(read, time.Since(began))
			n++
		}
	}
	slices.Sort(took)
	slices.Sort(read)
	median := func(all []time.Duration) float64 { return float64(all[len(all)/2].Microseconds()) }
	b.ReportMetric(median(took), "us-operation")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "us-operation-p99")
	b.ReportMetric(median(read), "us-read")
	b.ReportMetric(median(took)/median(read), "x-read")
}
