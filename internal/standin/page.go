package standin

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// chartItem is a report as the page shows it.
type chartItem struct {
	ID, Title, Patient, Status, Issued, Conclusion string
	Versions                                       int
	HTML                                           string // where its HTML form is, if it has one
	Files                                          []chartFile
}

type chartFile struct{ URL, Kind string }

// chartView is the whole page: who is here, and which reports have come.
type chartView struct {
	Reports  []chartItem
	Patients patientList
}

// patientList are the patients, each with the orders about them, and the apps that
// can be opened for them.
type patientList struct {
	Apps     []App
	Patients []chartPatient
}

type chartPatient struct {
	ID, Name, Born, Number string
	Orders                 []chartOrder
}

type chartOrder struct{ ID, Number, Title string }

// bedside is who is here. The newest patients come first.
func (e *EHR) bedside() patientList {
	e.launching.mu.Lock()
	list := patientList{Apps: slices.Clone(e.launching.apps)}
	e.launching.mu.Unlock()
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	orders := map[string][]chartOrder{}
	for _, key := range e.store.order {
		rec := e.store.records[key]
		if rec.newest().Type != "ServiceRequest" {
			continue
		}
		subject, _ := rec.current["subject"].(object)
		ref, _ := subject["reference"].(string)
		at := strings.LastIndex(ref, "Patient/")
		if at < 0 {
			continue
		}
		o := chartOrder{ID: rec.newest().ID, Title: first(textIn(rec.current, "code", "text"), "Order")}
		_, o.Number, _ = strings.Cut(first(identifiers(rec.current)...), "|")
		orders[ref[at:]] = append(orders[ref[at:]], o)
	}
	for _, key := range e.store.order {
		rec := e.store.records[key]
		if rec.newest().Type != "Patient" {
			continue
		}
		p := chartPatient{ID: rec.newest().ID, Name: humanName(rec.current), Born: textIn(rec.current, "birthDate"), Orders: orders[key]}
		_, p.Number, _ = strings.Cut(first(identifiers(rec.current)...), "|")
		list.Patients = append(list.Patients, p)
	}
	slices.Reverse(list.Patients)
	return list
}

// textIn is the first text at a place in a resource.
func textIn(o object, names ...string) string {
	for _, at := range elements(o, names...) {
		if s, ok := at.(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// page shows the reports that have arrived, the newest first.
func (e *EHR) page(w http.ResponseWriter, _ *http.Request) error {
	e.store.mu.Lock()
	var items []chartItem
	for _, key := range e.store.order {
		if rec := e.store.records[key]; rec.newest().Type == "DiagnosticReport" {
			items = append(items, e.store.chart(rec))
		}
	}
	e.store.mu.Unlock()
	slices.Reverse(items)
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, chartView{items, e.bedside()}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	_, err := out.WriteTo(w)
	return err
}

func (s *store) chart(rec *record) chartItem {
	v, o := rec.newest(), rec.current
	text := func(names ...string) string { return textIn(o, names...) }
	item := chartItem{
		ID: v.ID, Versions: len(rec.versions), Status: text("status"), Issued: text("issued"), Conclusion: text("conclusion"),
		Title: first(text("code", "text"), text("code", "coding", "display"), "Report"), Patient: s.patient(o),
	}
	for i, at := range elements(o, "presentedForm") {
		form, _ := at.(object)
		kind, _ := form["contentType"].(string)
		url := "/report/" + v.ID + "/form/" + strconv.Itoa(i)
		if strings.HasPrefix(kind, "text/html") && item.HTML == "" {
			item.HTML = url
		}
		item.Files = append(item.Files, chartFile{url, kind})
	}
	return item
}

// patient is whom a report is about, as far as this EHR knows.
func (s *store) patient(report object) string {
	subject, _ := report["subject"].(object)
	ref, _ := subject["reference"].(string)
	display, _ := subject["display"].(string)
	if rec := s.records[ref]; rec != nil {
		return first(humanName(rec.current), display, ref)
	}
	return first(display, ref)
}

// humanName is the first name of a Patient.
func humanName(patient object) string {
	names := elements(patient, "name")
	if len(names) == 0 {
		return ""
	}
	name, _ := names[0].(object)
	text, _ := name["text"].(string)
	family, _ := name["family"].(string)
	var parts []string
	for _, given := range elements(name, "given") {
		if part, ok := given.(string); ok {
			parts = append(parts, part)
		}
	}
	return first(text, strings.TrimSpace(strings.Join(parts, " ")+" "+family))
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// form serves one presented form of a report. It came from outside: it may
// not run anything, nor fetch anything.
func (e *EHR) form(w http.ResponseWriter, r *http.Request) error {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	rec := e.store.records["DiagnosticReport/"+r.PathValue("id")]
	if rec == nil {
		return refuse(http.StatusNotFound, "not-found", "no such report")
	}
	forms := elements(rec.current, "presentedForm")
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(forms) {
		return refuse(http.StatusNotFound, "not-found", "no such form")
	}
	form, _ := forms[n].(object)
	data, _ := form["data"].(string)
	content, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, "value", "the form is not base64")
	}
	kind, _ := form["contentType"].(string)
	if strings.HasPrefix(kind, "text/html") {
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:")
		kind = "text/html; charset=utf-8"
	} else if kind != "application/pdf" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(content)
	return err
}
