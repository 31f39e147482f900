package standin

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// transaction: FHIR R4 http.html#transaction. All entries or none; the answer
// has one entry for each, in their order.
func (e *EHR) transaction(w http.ResponseWriter, r *http.Request) error {
	bundle, err := readBody(r)
	if err != nil {
		return err
	}
	if bundle["resourceType"] != "Bundle" || bundle["type"] != "transaction" {
		return refuse(http.StatusBadRequest, "not-supported", "only a transaction Bundle may be posted here")
	}
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	steps, err := e.planEntries(r, elements(bundle, "entry"))
	if err != nil {
		return err
	}
	links := links{base: base(r), known: map[string]string{}}
	for _, p := range steps {
		if p.fullURL != "" {
			links.known[p.fullURL] = p.typ + "/" + p.id
		}
	}
	if err := e.finish(r, steps, links); err != nil {
		return err
	}
	entries := []object{}
	for _, p := range steps {
		entries = append(entries, object{"response": object{
			"status": fmt.Sprintf("%d %s", p.status, http.StatusText(p.status)), "location": p.result.place(),
			"etag": fmt.Sprintf(`W/"%d"`, p.result.No), "lastModified": p.result.At.Format(time.RFC3339Nano),
		}})
	}
	answer(w, http.StatusOK, object{"resourceType": "Bundle", "type": "transaction-response", "entry": entries})
	return nil
}

func (e *EHR) planEntries(r *http.Request, entries []any) ([]*step, error) {
	var steps []*step
	seen := map[string]bool{}
	for i, at := range entries {
		entry, _ := at.(object)
		resource, _ := entry["resource"].(object)
		asked, _ := entry["request"].(object)
		if resource == nil || asked == nil {
			return nil, refuse(http.StatusBadRequest, "required", "Bundle.entry[%d]: resource and request are needed", i)
		}
		text := func(name string) string { s, _ := asked[name].(string); return s }
		p, err := e.store.plan(request{
			Method: text("method"), URL: strings.TrimPrefix(text("url"), base(r)+"/"),
			IfNoneExist: text("ifNoneExist"), IfMatch: text("ifMatch"),
		}, resource)
		if err != nil {
			return nil, inEntry(i, err)
		}
		key := p.typ + "/" + p.id
		if seen[key] && !p.hit {
			return nil, refuse(http.StatusBadRequest, "invalid", "Bundle.entry[%d]: %s is written twice", i, p.typ)
		}
		seen[key] = true
		p.fullURL, _ = entry["fullUrl"].(string)
		steps = append(steps, p)
	}
	return steps, nil
}

func inEntry(i int, err error) error {
	if no, ok := err.(*refusal); ok { //nolint:errorlint // made by plan, never wrapped
		return &refusal{no.status, no.code, fmt.Sprintf("Bundle.entry[%d]: %s", i, no.text)}
	}
	return err
}

// finish resolves the references of planned writes and does them all.
func (e *EHR) finish(r *http.Request, steps []*step, l links) error {
	var changes []*change
	for _, p := range steps {
		if p.hit {
			continue
		}
		l.from = p.fullURL
		if err := l.resolve(e.store, p.resource); err != nil {
			return err
		}
		changes = append(changes, &p.change)
	}
	if e.opts.StrictReferences {
		if err := e.checkReferences(steps); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return e.store.commit(r.Method, r.URL.RequestURI(), changes)
}

// links are the entries of a Bundle by their fullUrl (FHIR R4 bundle.html#references).
type links struct {
	base  string            // of this server
	from  string            // fullUrl of the entry whose references are resolved
	known map[string]string // fullUrl -> Type/id here
}

var restful = regexp.MustCompile(`^(.*/)[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}$`)

// resolve rewrites, anywhere in the resource, what names an entry of the
// Bundle: references, other URLs, and links within narrative.
func (l links) resolve(s *store, o object) error {
	for name, value := range o {
		changed, err := l.resolved(s, name, value)
		if err != nil {
			return err
		}
		o[name] = changed
	}
	return nil
}

func (l links) resolved(s *store, name string, value any) (any, error) {
	switch value := value.(type) {
	case object:
		return value, l.resolve(s, value)
	case []any:
		for i := range value {
			changed, err := l.resolved(s, name, value[i])
			if err != nil {
				return nil, err
			}
			value[i] = changed
		}
		return value, nil
	case string:
		return l.text(s, name, value)
	}
	return value, nil
}

func (l links) text(s *store, name, value string) (string, error) {
	if here, ok := l.known[value]; ok {
		return here, nil
	}
	if name == "div" {
		for url, here := range l.known {
			value = strings.ReplaceAll(value, `"`+url+`"`, `"`+here+`"`)
		}
		return value, nil
	}
	if name != "reference" {
		return value, nil
	}
	if typ, query, ok := strings.Cut(value, "?"); ok && !strings.Contains(typ, "/") {
		found, err := s.condition(typ, query)
		if err == nil && found == nil {
			err = refuse(http.StatusPreconditionFailed, "not-found", "a conditional reference to %s finds nothing", typ)
		}
		if err != nil {
			return "", err
		}
		return found.Type + "/" + found.ID, nil
	}
	if root := restful.FindStringSubmatch(l.from); root != nil {
		if here, ok := l.known[root[1]+value]; ok {
			return here, nil
		}
	}
	return strings.TrimPrefix(value, l.base+"/"), nil
}

var local = regexp.MustCompile(`^[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}`)

// checkReferences refuses a reference to a resource that is not here.
func (e *EHR) checkReferences(steps []*step) error {
	planned := map[string]bool{}
	for _, p := range steps {
		planned[p.typ+"/"+p.id] = true
	}
	for i, p := range steps {
		for _, ref := range references(p.resource) {
			key := local.FindString(ref)
			if key != "" && !planned[key] && e.store.records[key] == nil {
				typ, _, _ := strings.Cut(key, "/")
				return inEntry(i, refuse(http.StatusUnprocessableEntity, "not-found", "refers to a %s that is not here", typ))
			}
		}
	}
	return nil
}

// references is every literal reference within a value.
func references(at any) []string {
	var out []string
	switch at := at.(type) {
	case object:
		if ref, ok := at["reference"].(string); ok {
			out = append(out, ref)
		}
		for _, value := range at {
			out = append(out, references(value)...)
		}
	case []any:
		for _, item := range at {
			out = append(out, references(item)...)
		}
	}
	return out
}
