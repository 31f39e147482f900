package fhir

import "net/url"

// bundleWriter writes a Bundle that a client reads page by page: a searchset or
// a history. The resources go in as they are kept.
type bundleWriter struct {
	base  string
	bytes []byte
	some  bool
}

// bundleLink is a Bundle.link.
type bundleLink struct{ relation, url string }

// newBundle begins a Bundle; total is nil where it is not known.
func (s *Server) newBundle(kind string, total *int, links ...bundleLink) *bundleWriter {
	b := append(make([]byte, 0, 4096), `{"resourceType":"Bundle","type":`...)
	b = appendJSON(b, kind)
	if total != nil {
		b = append(b, `,"total":`...)
		b = appendJSON(b, *total)
	}
	for i, link := range links {
		b = append(b, []string{`,"link":[{"relation":`, `,{"relation":`}[min(i, 1)]...)
		b = appendJSON(b, link.relation)
		b = append(b, `,"url":`...)
		b = append(appendJSON(b, link.url), '}')
	}
	if links != nil {
		b = append(b, ']')
	}
	return &bundleWriter{base: s.baseURL, bytes: b}
}

// add writes an entry: the reference of what is here under it, "" for none; its
// body, nil for none; and then the members that say why it is there.
func (w *bundleWriter) add(reference string, body []byte, why string) {
	w.bytes = append(w.bytes, []string{`,"entry":[{`, `,{`}[map[bool]int{true: 1}[w.some]]...)
	w.some = true
	if reference != "" {
		w.bytes = append(w.bytes, `"fullUrl":`...)
		w.bytes = append(appendJSON(w.bytes, w.base+"/"+reference), ',')
	}
	if body != nil {
		w.bytes = append(append(append(w.bytes, `"resource":`...), body...), ',')
	}
	w.bytes = append(append(w.bytes, why...), '}')
}

// Why an entry of a searchset is there.
const (
	asMatch   = `"search":{"mode":"match"}`
	asInclude = `"search":{"mode":"include"}`
	asOutcome = `"search":{"mode":"outcome"}`
)

func (w *bundleWriter) end() []byte {
	if w.some {
		w.bytes = append(w.bytes, ']')
	}
	return append(w.bytes, '}')
}

// withQuery is an address with its parameters, if there are any.
func withQuery(address string, values url.Values) string {
	if len(values) == 0 {
		return address
	}
	return address + "?" + values.Encode()
}
