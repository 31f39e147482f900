package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// An administrator writes a reader's licences and a role, by the resources of the API; a
// form of an older version writes nothing, and what is missing is said in words.
func TestAnAdministratorKeepsAReadersCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, rooms := w.at(t, access.Admin)
	list := v.get(rooms + "/readers")
	wants(t, list, "Petrov", "nothing is missing")
	_, at, _ := strings.Cut(list.text, rooms+"/readers/")
	at, _, _ = strings.Cut(rooms+"/readers/"+at, `"`)
	page := v.get(at)
	wants(t, page, "Nothing is missing", "Write the licences")
	field := func(p seenPage, name string) string {
		_, rest, _ := strings.Cut(p.text, `name="`+name+`" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	licences := url.Values{"csrf": {page.csrf()}, "version": {field(page, "version")}, "jurisdiction": {"us-ny", ""}, "number": {"NY-77", ""}, "from": {"2020-01-01", ""}, "to": {"2021-12-31", ""}, "issuer": {"", ""}}
	after := v.post(at+"/licences", licences)
	wants(t, after, "Gets no case now, because", "no licence is valid today", "NY-77", "2021-12-31")
	wants(t, v.post(at+"/licences", licences), "Somebody else has changed this meanwhile")
	licences.Set("version", field(after, "version"))
	licences["to"] = []string{"31.12.2021", ""}
	wants(t, v.post(at+"/licences", licences), "A day is written as 2026-07-14")
	licences["to"] = []string{"2099-12-31", ""}
	wants(t, v.post(at+"/licences", licences), "Nothing is missing")
	role := url.Values{"csrf": {page.csrf()}, "part": {"reader", "supervisor"}, "subspecialties": {"neuro, chest"}, "modalities": {"MR"}, "from": {"2026-01-01"}, "to": {"2098-12-31"},
		"agefrom": {"18"}, "capacity": {"6"}, "zone": {"America/New_York"}, "awayfrom": {"2097-07-01"}, "awayto": {"2097-07-14"}, "active": {"on"},
		"shiftfrom": {"20:00", "08:00", ""}, "shiftto": {"00:00", "12:00", ""}, "day0": {"monday", "tuesday"}, "day1": {"saturday"}, "conflict": {"http://hl7.org/fhir/sid/us-npi|1111111112", ""}, "mail": {"reader@mercy.example"}}
	wrote := v.post(at+"/role", role)
	wants(t, wrote, "Role and privilege 1", "neuro, chest", "2098-12-31", "2097-07-14", "PractitionerRole/", "America/New_York",
		"Monday, Tuesday: 20:00–24:00", "Saturday: 08:00–12:00", "us-npi|1111111112", `value="reader@mercy.example"`)
	role.Set("role", field(wrote, "role"))
	_, form, _ := strings.Cut(wrote.text, `name="role" value="`)
	_, form, _ = strings.Cut(form, `name="version" value="`)
	version, _, _ := strings.Cut(form, `"`)
	role.Set("version", version)
	role.Set("subspecialties", "NEURO!")
	wants(t, v.post(at+"/role", role), "a subspecialty is written in small letters")
	role.Set("subspecialties", "neuro")
	role["day1"] = nil
	wants(t, v.post(at+"/role", role), "A shift has days and hours")
	_, colleague, _ := strings.Cut(page.text, `<option value="Practitioner/`)
	colleague, whom, _ := strings.Cut(colleague, `">`)
	whom, _, _ = strings.Cut(whom, "<")
	role["shiftfrom"], role["shiftto"], role["conflict"] = []string{"20:00"}, []string{"06:00"}, []string{"somebody"}
	wants(t, v.post(at+"/role", role), "A conflict is with somebody of the list")
	role["conflict"] = []string{"http://hl7.org/fhir/sid/us-npi|1111111112", "Practitioner/" + colleague}
	role.Set("to", "2025-12-31")
	role.Set("from", "2025-01-01")
	wants(t, v.post(at+"/role", role), "privilege ended 31 Dec 2025", "us-npi|1111111112", "Practitioner/"+colleague+`" checked>`+whom, "Monday, Tuesday: 20:00–06:00")
	if !w.recordedAsking(t, "credentials of readers") {
		t.Error("who looked at the readers is not recorded")
	}
	other, his := w.at(t, access.Coordinator)
	if page := other.get(his + "/readers"); page.status != http.StatusNotFound {
		t.Errorf("a coordinator: %d", page.status)
	}
}
