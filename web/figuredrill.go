package web

import (
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// withinGroup is a group that figures are narrowed to.
type withinGroup struct{ Dimension, Word, Value string }

// shownAs is what the page shows as an address asks for it, with other values of some
// fields; those of no value are left out. It is encoded here: a template would take the
// whole of it for one value and escape what parts its fields.
func (p *figuresPage) shownAs(other url.Values) template.URL {
	asked := url.Values{"measure": {p.MeasureID}, "period": {p.Period}}
	for _, name := range []string{"by", "by2", "interval", "from", "to", "only", "dimension", "word", "asOf"} {
		asked[name] = p.Asked[name]
	}
	maps.Copy(asked, other)
	for name, values := range asked {
		asked[name] = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	}
	return template.URL(asked.Encode())
}

// drillDown makes for each group the address of the figures narrowed to it. Only who may
// ask for exact figures narrows them; readers have pseudonyms of one answer alone, by
// which nothing can be asked.
func (p *figuresPage) drillDown() {
	if !p.Choices.Exact || slices.ContainsFunc(p.By, facts.IsReader) {
		return
	}
	for i, row := range p.Rows {
		if i > 0 && slices.Equal(row.Values, p.Rows[i-1].Values) {
			p.Links = append(p.Links, "") // another percentile of the group
			continue
		}
		p.Links = append(p.Links, p.narrowedTo(row.Values))
	}
}

func (p *figuresPage) narrowedTo(values []string) template.URL {
	only := slices.Clone(p.Asked["only"])
	if word := p.Asked.Get("word"); word != "" && len(only) == 0 { // an address that was kept
		only = []string{p.Asked.Get("dimension") + "|" + word}
	}
	other := url.Values{"by": nil, "by2": nil, "dimension": nil, "word": nil}
	for i, name := range p.By {
		if len(values) == 0 {
			break // the whole
		}
		if name != facts.Month {
			only = slices.DeleteFunc(only, func(v string) bool { return strings.HasPrefix(v, name+"|") })
			only = append(only, name+"|"+strings.TrimSuffix(values[i], workflow.NotSaid))
			continue
		}
		first, err := time.Parse("2006-01", values[i])
		if err != nil {
			return ""
		}
		from, to := first.Format(time.DateOnly), first.AddDate(0, 1, -1).Format(time.DateOnly)
		if asked := p.Asked.Get("from"); len(asked) == len(from) && asked > from && p.Asked.Get("to") != "" {
			from = asked
		}
		if asked := p.Asked.Get("to"); len(asked) == len(to) && asked < to && p.Asked.Get("from") != "" {
			to = asked
		}
		other["from"], other["to"] = []string{from}, []string{to}
	}
	other["only"] = only
	return p.shownAs(other)
}

// Link is the address of a row's group, empty where it has none.
func (p figuresPage) Link(row int) template.URL {
	if row < len(p.Links) {
		return p.Links[row]
	}
	return ""
}
