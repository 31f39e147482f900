package fhir

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// reportTypes are the codes by which each kind is asked for: FHIR R4
// measure-operation-evaluate-measure.html, reportType.
var reportTypes = map[string]string{"summary": "population", "subject-list": "subject-list", "individual": "subject"}

// query is what was asked, in one form, and its SHA-256. It can be asked again as it is.
func (a askedMeasure) query() string {
	text := a.text()
	sum := sha256.Sum256([]byte(text))
	return text + " sha256:" + hex.EncodeToString(sum[:])
}

func (a askedMeasure) text() string {
	parts := []string{
		"measure=" + measureURL(a.Measure) + "|" + a.Measure.Version, "periodStart=" + a.start, "periodEnd=" + a.end, "zone=" + a.Zone.String(),
		"asOf=" + instant(a.AsOf), "reportType=" + reportTypes[a.kind], "interval=" + string(a.method),
	}
	for _, name := range a.By {
		parts = append(parts, "stratifier="+name)
	}
	var filters []string
	for name, word := range a.Where {
		if called := a.called[name]; called != "" {
			word = called // who it is stands in no report
		}
		filters = append(filters, "filter="+name+"|"+word)
	}
	slices.Sort(filters)
	parts = append(parts, filters...)
	if a.subject != "" {
		parts = append(parts, "subject="+a.subject)
	}
	if a.Page > 0 {
		parts = append(parts, "page="+strconv.Itoa(a.Page))
	}
	return strings.Join(parts, "&")
}
