package ehr

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/overread/overread/workflow"
)

// entry is what there is to know of a Bundle's entry, asked or answered.
type entry struct {
	Resource struct {
		ResourceType string `json:"resourceType"`
	} `json:"resource"`
	Response struct {
		Status   string `json:"status"`
		Location string `json:"location"`
	} `json:"response"`
}

type bundle struct {
	ResourceType string  `json:"resourceType"`
	Type         string  `json:"type"`
	ID           string  `json:"id"`
	Entry        []entry `json:"entry"`
}

// place is where a server says that it keeps what was sent: relative to its base
// or absolute, with or without the version (FHIR R4 bundle.html#transaction-response).
var place = regexp.MustCompile(`(?:^|/)((DiagnosticReport|Communication)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?)$`)

// acknowledged tells whether a 200 or 201 says that the EHR has the report,
// and where. A proxy's log-in page, or a half-written answer, does not; then
// the same bytes go again.
func acknowledged(p workflow.Parcel, res *http.Response, body []byte) (location string, ok bool) {
	if p.To.Packaging == workflow.PackReport {
		typ, _, _ := strings.Cut(p.Path, "?")
		return oneAcknowledged(cmp.Or(typ, "DiagnosticReport"), res, body)
	}
	return transactionAcknowledged(p.Body, body)
}

// transactionAcknowledged wants a transaction-response with an entry for each
// entry that was sent, in the same order, all of them done.
func transactionAcknowledged(sent, answer []byte) (location string, ok bool) {
	var asked, got bundle
	if json.Unmarshal(sent, &asked) != nil || json.Unmarshal(answer, &got) != nil {
		return "", false
	}
	if got.ResourceType != "Bundle" || got.Type != "transaction-response" || len(got.Entry) != len(asked.Entry) {
		return "", false
	}
	main := mainType(asked)
	for i, e := range got.Entry {
		if !strings.HasPrefix(e.Response.Status, "2") {
			return "", false
		}
		if asked.Entry[i].Resource.ResourceType != main || location != "" {
			continue
		}
		written := strings.HasPrefix(e.Response.Status, "200") || strings.HasPrefix(e.Response.Status, "201")
		if location = placeOf(main, e.Response.Location); !written || location == "" {
			return "", false
		}
	}
	return location, location != ""
}

// mainType is what is looked for in the answer: the report, in a message the first
// Communication.
func mainType(asked bundle) string {
	if slices.ContainsFunc(asked.Entry, func(e entry) bool { return e.Resource.ResourceType == "DiagnosticReport" }) {
		return "DiagnosticReport"
	}
	return "Communication"
}

// oneAcknowledged wants the place of the one resource that was sent from the headers, or from
// the resource itself. An update may answer 200 with neither (return=minimal), but
// then with the ETag of the new version and no body that is something else.
func oneAcknowledged(typ string, res *http.Response, body []byte) (location string, ok bool) {
	for _, header := range []string{"Location", "Content-Location"} {
		if location = placeOf(typ, res.Header.Get(header)); location != "" {
			return location, true
		}
	}
	var got bundle
	if json.Unmarshal(body, &got) == nil && got.ResourceType == typ {
		location = placeOf(typ, typ+"/"+got.ID)
		return location, location != ""
	}
	minimal := len(body) == 0 && res.StatusCode == http.StatusOK && res.Header.Get("ETag") != ""
	return "", minimal
}

func placeOf(typ, location string) string {
	if found := place.FindStringSubmatch(location); found != nil && found[2] == typ {
		return found[1]
	}
	return ""
}
