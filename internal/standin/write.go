package standin

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const bodyMax = 32 << 20

var idForm = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

// required is what this EHR insists on, beyond JSON.
var required = map[string][]string{
	"DiagnosticReport": {"status", "code"},
	"Communication":    {"status"},
	"Observation":      {"status", "code"},
	"Provenance":       {"target", "recorded", "agent"},
	"ServiceRequest":   {"status", "intent", "subject"},
	"ImagingStudy":     {"status", "subject"},
	"Task":             {"status", "intent"},
}

func (e *EHR) read(w http.ResponseWriter, r *http.Request) error {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	rec, ok := e.store.records[r.PathValue("type")+"/"+r.PathValue("id")]
	if !ok {
		return refuse(http.StatusNotFound, "not-found", "no such resource")
	}
	answerVersion(w, r, http.StatusOK, rec.newest())
	return nil
}

func (e *EHR) readVersion(w http.ResponseWriter, r *http.Request) error {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	rec, ok := e.store.records[r.PathValue("type")+"/"+r.PathValue("id")]
	no, err := strconv.Atoi(r.PathValue("no"))
	if !ok || err != nil || no < 1 || no > len(rec.versions) {
		return refuse(http.StatusNotFound, "not-found", "no such version")
	}
	answerVersion(w, r, http.StatusOK, rec.versions[no-1])
	return nil
}

func (e *EHR) create(w http.ResponseWriter, r *http.Request) error {
	return e.writeOne(w, r, request{Method: "POST", URL: r.PathValue("type"), IfNoneExist: r.Header.Get("If-None-Exist")})
}

func (e *EHR) update(w http.ResponseWriter, r *http.Request) error {
	return e.writeOne(w, r, request{Method: "PUT", URL: r.PathValue("type") + "/" + r.PathValue("id"), IfMatch: r.Header.Get("If-Match")})
}

func (e *EHR) updateConditionally(w http.ResponseWriter, r *http.Request) error {
	return e.writeOne(w, r, request{Method: "PUT", URL: r.PathValue("type") + "?" + r.URL.RawQuery, IfMatch: r.Header.Get("If-Match")})
}

// writeOne is a write outside a Bundle: a transaction of one.
func (e *EHR) writeOne(w http.ResponseWriter, r *http.Request, req request) error {
	resource, err := readBody(r)
	if err != nil {
		return err
	}
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	plan, err := e.store.plan(req, resource)
	if err != nil {
		return err
	}
	links := links{base: base(r), known: map[string]string{}}
	if err := e.finish(r, []*step{plan}, links); err != nil {
		return err
	}
	answerVersion(w, r, plan.status, plan.result)
	return nil
}

func readBody(r *http.Request) (object, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/fhir+json" && kind != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, "not-supported", "send application/fhir+json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyMax+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > bodyMax:
		return nil, refuse(http.StatusRequestEntityTooLarge, "too-long", "at most %d bytes", bodyMax)
	}
	resource, err := parse(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "structure", "not a JSON object")
	}
	return resource, nil
}

// request is Bundle.entry.request, or the same in HTTP headers.
type request struct {
	Method, URL, IfNoneExist, IfMatch string
}

// step is one planned write.
type step struct {
	change
	status  int
	hit     bool // a conditional create that found its resource: nothing is written
	fullURL string
}

// plan finds out what a request means, and changes nothing yet.
func (s *store) plan(req request, resource object) (*step, error) {
	path, query, conditional := strings.Cut(strings.TrimPrefix(req.URL, "/"), "?")
	typ, id, named := strings.Cut(path, "/")
	switch {
	case !slices.Contains(types, typ):
		return nil, refuse(http.StatusNotFound, "not-supported", "this EHR has no %s", typ)
	case resource["resourceType"] != typ:
		return nil, refuse(http.StatusBadRequest, "invalid", "the resource is no %s", typ)
	case named && !idForm.MatchString(id):
		return nil, refuse(http.StatusBadRequest, "value", "not an id")
	}
	for _, name := range required[typ] {
		if resource[name] == nil {
			return nil, refuse(http.StatusUnprocessableEntity, "required", "%s.%s is missing", typ, name)
		}
	}
	p := &step{change: change{typ: typ, id: id, resource: withoutVersion(resource)}}
	var err error
	switch {
	case req.Method == http.MethodPost && !named && !conditional:
		err = s.planCreate(p, req)
	case req.Method == http.MethodPut && named && !conditional:
		err = s.planUpdate(p, resource["id"])
	case req.Method == http.MethodPut && !named && conditional:
		err = s.planConditional(p, query, resource["id"])
	default:
		err = refuse(http.StatusBadRequest, "not-supported", "%s %s is not served here", req.Method, path)
	}
	if err != nil {
		return nil, err
	}
	return p, s.checkMatch(p, req.IfMatch)
}

// planCreate: FHIR R4 http.html#create, #ccreate. The client's id is ignored.
func (s *store) planCreate(p *step, req request) error {
	if req.IfNoneExist != "" {
		found, err := s.condition(p.typ, req.IfNoneExist)
		if err != nil {
			return err
		}
		if found != nil {
			p.id, p.status, p.hit, p.result = found.ID, http.StatusOK, true, found
			return nil
		}
	}
	p.id, p.status = s.newID(), http.StatusCreated
	p.resource["id"] = p.id
	return nil
}

// planUpdate: FHIR R4 http.html#update, #upsert.
func (s *store) planUpdate(p *step, bodyID any) error {
	if bodyID != p.id {
		return refuse(http.StatusBadRequest, "invalid", "the id in the resource is not the one in the URL")
	}
	p.status = http.StatusCreated
	if s.records[p.typ+"/"+p.id] != nil {
		p.status = http.StatusOK
	}
	return nil
}

// planConditional: FHIR R4 http.html#cond-update.
func (s *store) planConditional(p *step, query string, bodyID any) error {
	found, err := s.condition(p.typ, query)
	switch {
	case err != nil:
		return err
	case found != nil && bodyID != nil && bodyID != found.ID:
		return refuse(http.StatusBadRequest, "invalid", "the id in the resource is not the one that was found")
	case found != nil:
		p.id, p.status = found.ID, http.StatusOK
	case bodyID != nil:
		text, _ := bodyID.(string)
		if !idForm.MatchString(text) || s.records[p.typ+"/"+text] != nil {
			return refuse(http.StatusConflict, "conflict", "the id in the resource cannot be had")
		}
		p.id, p.status = text, http.StatusCreated
	default:
		p.id, p.status = s.newID(), http.StatusCreated
	}
	p.resource["id"] = p.id
	return nil
}

// condition finds the one resource that a condition names, or none.
func (s *store) condition(typ, query string) (*version, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) == 0 {
		return nil, refuse(http.StatusBadRequest, "invalid", "a condition needs search parameters")
	}
	found, err := s.find(typ, values)
	switch {
	case err != nil:
		return nil, err
	case len(found) > 1:
		return nil, refuse(http.StatusPreconditionFailed, "multiple-matches", "the condition matches %d resources", len(found))
	case len(found) == 1:
		return found[0].newest(), nil
	}
	return nil, nil //nolint:nilnil // none is a good answer to a condition
}

func (s *store) checkMatch(p *step, ifMatch string) error {
	if ifMatch == "" {
		return nil
	}
	if rec := s.records[p.typ+"/"+p.id]; rec == nil || ifMatch != fmt.Sprintf(`W/"%d"`, rec.newest().No) {
		return refuse(http.StatusPreconditionFailed, "conflict", "there is another version by now")
	}
	return nil
}
