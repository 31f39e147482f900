package fhir

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// answerPage is what is asked for of a long answer of an operation, the newest first.
type answerPage struct {
	after workflow.Place
	count int
}

// pageParameters are what such an operation takes.
func pageParameters() []parameter {
	return []parameter{
		{Name: "_count", Type: "integer", Doc: "How many at most, from 1 to " + strconv.Itoa(maxCount) + "; " + strconv.Itoa(defaultPage) + " where it is left out."},
		{Name: "_after", Type: "string", Doc: "Where a page begins: what the page before it gave as next."},
	}
}

// defaultPage is how many are given at once to who does not say.
const defaultPage = 100

// pageOf reads them.
func pageOf(in *Node) (p answerPage, err error) {
	p.count = defaultPage
	if said := given(in, "_count"); said != nil {
		if p.count, err = strconv.Atoi(said.Text()); err != nil || p.count < 1 {
			return p, fault.At(fault.Value, "Parameters.parameter.where(name = '_count')", "must be a whole number from 1")
		}
		p.count = min(p.count, maxCount)
	}
	said := given(in, "_after")
	if said == nil {
		return p, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(said.Text())
	if err == nil {
		err = json.Unmarshal(text, &p.after)
	}
	if year := p.after.At.Year(); err != nil || year < 2000 || year > 9999 {
		return p, fault.At(fault.Value, "Parameters.parameter.where(name = '_after')", "must be what the page before gave as next")
	}
	return p, nil
}

// nextPage is the _after of the page behind a place.
func nextPage(last workflow.Place) string {
	text, _ := json.Marshal(last) // a moment and an id
	return base64.RawURLEncoding.EncodeToString(text)
}
