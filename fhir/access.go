package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/fault"
)

// What changes something writes its AuditEvent in its own transaction (audit.go).
// All else that gives or refuses data is recorded here: the handler notes what it
// gave, and watch, around the handler, has it written (trail.go).

// Of one access no more patients than these are listed, and no longer query than
// this is kept.
const (
	mostPatients   = 100
	longestRequest = 4 << 10
)

// note says what the handler is about to give.
func note(c echo.Context, e auditEntry) { c.Set("access", e) }

// watch runs a handler and records what it noted. Before it runs there is a place
// for the record: what cannot be recorded is not done.
func (s *Server) watch(c echo.Context, actor access.Actor, handle handler) error {
	if s.trail == nil { // benchmarks, which measure what recording costs
		return handle(c, actor)
	}
	if s.tx != nil { // within a transaction Bundle, whose transaction has room for it
		err := handle(c, actor)
		if e, noted := c.Get("access").(auditEntry); noted && err == nil {
			err = s.audit(c.Request().Context(), s.tx, actor, s.accessOf(c, e))
		}
		if f := (*fault.Error)(nil); errors.As(err, &f) { // all else is tried again, or fails the Bundle
			s.refused(c, actor, err) // beside the transaction, which is undone
		}
		return err
	}
	if err := s.trail.reserve(c.Request().Context()); err != nil {
		return err
	}
	used := false
	defer func() {
		if !used {
			s.trail.release()
		}
	}()
	err := handle(c, actor)
	if e, noted := c.Get("access").(auditEntry); noted && err == nil {
		event, err := s.recorded(actor, s.accessOf(c, e))
		if err != nil {
			return err
		}
		used = true
		s.trail.put(event)
	}
	if err != nil {
		if event, ok := s.failedAccess(c, actor, err); ok {
			used = true
			s.trail.put(event)
		}
	}
	return err
}

// accessOf is what all accesses have in common, and their bounds.
func (s *Server) accessOf(c echo.Context, e auditEntry) auditEntry {
	from := servedIn(c.Request().Context())
	e.RequestID, e.Client = from.requestID, from.client
	if len(e.Query) > longestRequest {
		e.Query = e.Query[:longestRequest]
	}
	slices.Sort(e.Patients)
	e.Patients = slices.Compact(e.Patients)
	e.Patients = slices.DeleteFunc(e.Patients, func(p string) bool { return p == "" })
	e.Patients = e.Patients[:min(len(e.Patients), mostPatients)]
	return e
}

// clientAddress is the address of the connection, or what a proxy that the
// operator trusts says of it. What a header says else anybody may have written.
func clientAddress(c echo.Context) string {
	host, _, _ := net.SplitHostPort(c.Request().RemoteAddr)
	if c.Echo().IPExtractor != nil {
		host = c.RealIP()
	}
	if net.ParseIP(host) == nil {
		return ""
	}
	return host
}

// asText is a request as it is told in an AuditEvent.
func asText(c echo.Context, form url.Values) string {
	text := c.Request().Method + " " + c.Request().URL.RequestURI()
	if c.Request().Method == http.MethodPost && len(form) > 0 {
		text += "\n" + form.Encode()
	}
	return text
}

// patientIn is the patient whom a kept resource is about, or "". It looks at the
// elements of patientOf without reading the rest.
func patientIn(r Stored) string {
	if r.Type == "Patient" {
		return "Patient/" + r.ID
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(r.Body))
	if _, err := dec.ReadToken(); err != nil {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		element := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return ""
		}
		if slices.Contains(namesPatient, element) {
			if n, err := Parse(value, Limits{}); err == nil {
				if id := localID(n.Text("reference"), "Patient"); id != nil {
					return "Patient/" + *id
				}
			}
		}
	}
	return ""
}

// patientsIn are the patients whom the resources of a page are about.
func patientsIn(pages ...[]Stored) []string {
	var patients []string
	for _, page := range pages {
		for _, r := range page {
			if p := patientIn(r); p != "" && !slices.Contains(patients, p) {
				patients = append(patients, p)
			}
			if len(patients) == mostPatients {
				return patients
			}
		}
	}
	return patients
}

// patientsAsked are those whom a search names, whether or not it finds anything.
func patientsAsked(path string, asked url.Values) []string {
	var patients []string
	add := func(id string) {
		if id = strings.TrimPrefix(id, "Patient/"); idPattern.MatchString(id) && len(patients) < mostPatients {
			patients = append(patients, "Patient/"+id)
		}
	}
	if parts := strings.Split(path, "/"); len(parts) == 3 && parts[0] == "Patient" {
		add(parts[1])
	}
	for name, values := range asked {
		for value := range strings.SplitSeq(strings.Join(values, ","), ",") {
			switch {
			case name == "patient", path == "Patient" && name == "_id", name == "patient:Patient", name == "subject:Patient":
				add(value)
			case strings.HasPrefix(value, "Patient/"):
				add(value)
			}
		}
	}
	return patients
}

// refusals bounds how many events are written of what was refused or failed:
// nobody fills the disk by knocking at the door, and nobody hides another's knocks
// among their own.
type refusals struct {
	mu     sync.Mutex
	each   rate.Limit
	doors  map[knocker]*rate.Limiter
	untold map[knocker]int
}

// knocker is whose refusals are counted together: an actor at a tenant. Those who
// are not let in are one.
type knocker struct{ tenant, actor uuid.UUID }

// Of each knocker so many refusals are recorded at once, and then one each second.
const refusalBurst = 60

func newRefusals() *refusals {
	return &refusals{each: 1, doors: map[knocker]*rate.Limiter{}, untold: map[knocker]int{}}
}

// admit tells whether this one is recorded, and how many before it were not.
func (r *refusals) admit(tenant, actor uuid.UUID) (untold int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := knocker{tenant, actor}
	door := r.doors[who]
	if door == nil {
		door = rate.NewLimiter(r.each, refusalBurst)
		r.doors[who] = door
	}
	if !door.Allow() {
		r.untold[who]++
		return 0, false
	}
	untold = r.untold[who]
	delete(r.untold, who)
	return untold, true
}

// refused records that somebody was not let in (then there is no actor), or was not
// given what they asked for.
func (s *Server) refused(c echo.Context, actor access.Actor, why error) {
	event, ok := s.failedAccess(c, actor, why)
	if !ok {
		return
	}
	if err := s.trail.reserve(c.Request().Context()); err != nil {
		s.log.Error("a refusal could not be recorded", "request_id", servedIn(c.Request().Context()).requestID)
		return
	}
	s.trail.put(event)
}

// failedAccess is the record of what was asked for and not done, unless there were
// too many. A body is not told, and of what would have changed something no
// parameters: their successes tell neither.
func (s *Server) failedAccess(c echo.Context, actor access.Actor, why error) (recordedEvent, bool) {
	denied := fault.Is(why, fault.Forbidden) || fault.Is(why, fault.Unauthenticated)
	known := actor.Role != ""
	if known && fault.Is(why, fault.Unauthenticated) || !known && !denied {
		return recordedEvent{}, false // letIn tells of the former, as of a stranger
	}
	untold, ok := s.refusals.admit(actor.Tenant, actor.ID)
	if !ok {
		return recordedEvent{}, false
	}
	e := auditEntry{Interaction: s.interactionOf(c), Refused: statusText(why), Query: asText(c, nil)}
	switch method, path := c.Request().Method, c.Request().URL.EscapedPath(); {
	case !known:
		// What somebody unknown writes into an address is theirs, not to be kept.
		actor.Tenant = auditlog.Installation
		e.Refused, e.Query = "401 not authenticated", method+" "+c.Path()
	case method == http.MethodGet, method == http.MethodHead:
		if below, ok := strings.CutPrefix(path, "/fhir/"); ok {
			e.Patients = patientsAsked(below, c.Request().URL.Query())
		}
	default:
		e.Query = method + " " + path
	}
	e.Refused += moreLike(untold)
	event, err := s.recorded(actor, s.accessOf(c, e))
	if err != nil {
		s.log.Error("a refusal could not be recorded", "request_id", servedIn(c.Request().Context()).requestID)
	}
	return event, err == nil
}

// statusText is how an AuditEvent tells an error: the status that was answered and
// the code of its issue, and none of its words.
func statusText(why error) string {
	var f *fault.Error
	if errors.As(explain(why), &f) && len(f.Issues) > 0 {
		if row, ok := kinds[f.Issues[0].Kind]; ok {
			return fmt.Sprintf("%d %s", row.status, row.code)
		}
	}
	return "500 exception"
}

// interactionOf is the code of what the route is, where the audit has it.
func (s *Server) interactionOf(c echo.Context) string {
	method := c.Request().Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, i := range interactions {
		if _, told := auditKinds[i.code]; told && i.method == method && i.path == c.Path() {
			return i.code
		}
	}
	if strings.Contains(c.Path(), "$") {
		return "operation"
	}
	return refusedAccess
}
