package ehr

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/overread/overread/workflow"
)

// A transaction brings the people and the organisation that its report names, each to be
// created where the EHR has none of that identifier (FHIR R4 http.html#ccreate). An EHR
// that has two of one identifier answers 412 to that for ever, and one that lets nobody
// create a Practitioner refuses it otherwise; the report would never arrive because of
// who signed it. Then the same transaction goes without them, and names them by
// identifier and in words (FHIR R4 references.html#logical).
//
// A refused transaction has done nothing (FHIR R4 http.html#trules), and what is left is
// updated by identifier: however the two are mixed, each report is there once.

// maybePeople are the refusals that may be about the people.
var maybePeople = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusPreconditionFailed, http.StatusUnprocessableEntity}

// namedOnly is the reason of a delivery that arrived without the people.
const namedOnly = "acknowledged-people-named"

// peopleTypes are what a transaction brings besides what it is about.
var peopleTypes = []string{"Practitioner", "Organization"}

type object = map[string]any

// withoutPeople is the parcel with its people named and not brought; ok is false where it
// brings none.
func withoutPeople(p workflow.Parcel) (_ workflow.Parcel, ok bool) {
	if p.To.Packaging == workflow.PackReport {
		return p, false
	}
	var sent object
	decoder := json.NewDecoder(bytes.NewReader(p.Body))
	decoder.UseNumber() // 1.50 stays what it is
	if decoder.Decode(&sent) != nil {
		return p, false
	}
	entries, _ := sent["entry"].([]any)
	people := map[string]object{}
	kept := slices.DeleteFunc(slices.Clone(entries), func(at any) bool {
		entry, _ := at.(object)
		fullURL, _ := entry["fullUrl"].(string)
		named := nameOf(entry)
		if fullURL == "" || named == nil {
			return false
		}
		people[fullURL] = named
		return true
	})
	if len(people) == 0 {
		return p, false
	}
	sent["entry"] = kept
	nameInstead(kept, people)
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(sent) != nil {
		return p, false
	}
	p.Body = body.Bytes()
	return p, true
}

// nameOf is the logical Reference to whom an entry brings; nil for an entry that brings
// something else, or nobody who has an identifier.
func nameOf(entry object) object {
	resource, _ := entry["resource"].(object)
	request, _ := entry["request"].(object)
	typ, _ := resource["resourceType"].(string)
	condition, _ := request["ifNoneExist"].(string)
	if request["method"] != http.MethodPost || condition == "" || !slices.Contains(peopleTypes, typ) {
		return nil
	}
	asked, err := url.ParseQuery(condition)
	if err != nil {
		return nil
	}
	system, value, _ := strings.Cut(asked.Get("identifier"), "|")
	if value == "" {
		return nil
	}
	named := object{"type": typ, "identifier": object{"system": system, "value": value}}
	if display := displayOf(resource); display != "" {
		named["display"] = display
	}
	return named
}

// displayOf is the name of an Organization, or the first of a Practitioner.
func displayOf(resource object) string {
	if name, ok := resource["name"].(string); ok {
		return name
	}
	names, _ := resource["name"].([]any)
	if len(names) == 0 {
		return ""
	}
	name, _ := names[0].(object)
	if text, _ := name["text"].(string); text != "" {
		return text
	}
	var parts []string
	for _, list := range []any{name["prefix"], name["given"], []any{name["family"]}, name["suffix"]} {
		items, _ := list.([]any)
		for _, item := range items {
			if part, _ := item.(string); part != "" {
				parts = append(parts, part)
			}
		}
	}
	return strings.Join(parts, " ")
}

// nameInstead makes every Reference to one of the people a logical one.
func nameInstead(value any, people map[string]object) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			nameInstead(item, people)
		}
	case object:
		to, _ := value["reference"].(string)
		if named := people[to]; named != nil {
			delete(value, "reference")
			for name, said := range named {
				if name != "display" || value[name] == nil {
					value[name] = said
				}
			}
		}
		for _, item := range value {
			nameInstead(item, people)
		}
	}
}
