package fhir

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// The rules of IHE BALP 1.1.4, read from its StructureDefinitions (their package is
// in no registry that we can reach): what a profile fixes, who must be among the
// agents and what among the entities, how often, and with which elements.
type balpRules struct {
	subtypes []string // one of them must be there; nil: any
	action   string
	agents   []balpSlice
	entities []balpSlice
}

// balpSlice are the elements of one slice: those whose type has the code.
type balpSlice struct {
	code     string // of type
	role     string // entities: of role
	min, max int
	with     []string // elements that must be there
	without  []string // elements that must not
}

const many = 1 << 20

var (
	balpRequest = balpSlice{"XrequestId", "", 0, 1, []string{"what"}, nil}
	balpData    = balpSlice{"2", "4", 1, 1, []string{"what"}, nil}
	balpQuery   = balpSlice{"2", "24", 1, 1, []string{"query"}, []string{"what", "lifecycle", "detail"}}
	balpPatient = balpSlice{"1", "1", 1, 1, []string{"what"}, nil}
	// Whoever writes has another code (AUT, INF, CST) than whoever reads.
	balpReader = balpSlice{"IRCP", "", 0, 1, []string{"who", "requestor"}, []string{"media", "network"}}
	balpWriter = balpSlice{"AUT", "", 0, 1, []string{"who", "requestor"}, []string{"media", "network"}}
)

func balpParty(code string) balpSlice {
	return balpSlice{code, "", 1, 1, []string{"who", "network"}, []string{"media"}}
}

var balpProfiles = map[string]balpRules{
	"Create": {[]string{"create"}, "C", []balpSlice{balpParty("110153"), balpParty("110152"), balpWriter}, []balpSlice{balpData, balpRequest}},
	"Update": {[]string{"update", "patch"}, "U", []balpSlice{balpParty("110153"), balpParty("110152"), balpWriter}, []balpSlice{balpData, balpRequest}},
	"Delete": {[]string{"delete"}, "D", []balpSlice{balpParty("110150"), balpParty("custodian"), balpWriter}, []balpSlice{balpData, balpRequest}},
	"Read":   {[]string{"read", "vread"}, "R", []balpSlice{balpParty("110152"), balpParty("110153"), balpReader}, []balpSlice{balpData, balpRequest}},
	"Query":  {nil, "E", []balpSlice{balpParty("110153"), balpParty("110152"), balpReader}, []balpSlice{balpQuery, balpRequest}},
	"OAUTHaccessTokenUse.Minimal": {nil, "", []balpSlice{
		{"UserOauthAgent", "", 1, many, []string{"requestor", "policy"}, []string{"media", "network"}}}, nil},
}

// breaks are the rules of the profiles that an AuditEvent claims and does not keep.
func balpBreaks(event *Node) (broken []string) {
	for _, p := range event.Each("meta", "profile") {
		name := strings.TrimPrefix(p.Text(), balp)
		rules, known := balpProfiles[strings.TrimPrefix(name, "Patient")]
		if !known {
			broken = append(broken, "there is no profile "+p.Text())
			continue
		}
		say := func(format string, args ...any) { broken = append(broken, name+": "+fmt.Sprintf(format, args...)) }
		if strings.HasPrefix(name, "Patient") {
			rules.entities = append(slices.Clone(rules.entities), balpPatient)
		}
		if rules.action != "" {
			if event.Text("type", "code") != "rest" || event.Text("action") != rules.action || event.Text("outcome") != "0" || event.Text("recorded") == "" {
				say("type, action, outcome or recorded")
			}
			if event.Text("subtype", "code") == "" || rules.subtypes != nil && !slices.Contains(rules.subtypes, event.Text("subtype", "code")) {
				say("subtype")
			}
		}
		for _, of := range []struct {
			element string
			slices  []balpSlice
			typed   []string
		}{{"agent", rules.agents, []string{"type", "coding", "code"}}, {"entity", rules.entities, []string{"type", "code"}}} {
			for _, slice := range of.slices {
				n := 0
				for _, e := range event.Get(of.element).Items() {
					if !slices.ContainsFunc(e.Each(of.typed...), func(c *Node) bool { return c.Text() == slice.code }) {
						continue
					}
					n++
					if slice.role != "" && e.Text("role", "code") != slice.role && n <= slice.max {
						say("%s %s has role %q", of.element, slice.code, e.Text("role", "code"))
					}
					for _, must := range slice.with {
						if e.Get(must) == nil {
							say("%s %s without %s", of.element, slice.code, must)
						}
					}
					for _, never := range slice.without {
						if e.Get(never) != nil {
							say("%s %s with %s", of.element, slice.code, never)
						}
					}
					if slice.code == "UserOauthAgent" && (len(e.Each("policy")) != 1 || !strings.HasPrefix(e.Text("policy"), access.OAuthPrefix)) {
						say("policy is not one jti")
					}
				}
				if n < slice.min || n > slice.max {
					say("%d of %s %s", n, of.element, slice.code)
				}
			}
		}
	}
	return broken
}

func TestEveryAuditEventKeepsTheRulesOfTheProfilesThatItClaims(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	one, two := r.mustCreate("Patient", patientJSON("1")), r.mustCreate("Patient", patientJSON("2"))
	order := r.mustCreate("ServiceRequest", orderJSON("Patient/"+one))
	practitioner := r.mustCreate("Practitioner", `{"resourceType":"Practitioner","name":[{"family":"Ito"}]}`)
	r.put("/fhir/Patient/"+one, strings.Replace(patientJSON("3"), `"resourceType"`, `"id":"`+one+`","resourceType"`, 1))
	r.do(access.Placer, "PATCH", "/fhir/Patient/"+one, `[{"op":"replace","path":"/gender","value":"female"}]`, "Content-Type", "application/json-patch+json")
	for _, path := range []string{"/Patient/" + one, "/Patient/" + one + "/_history/1", "/ServiceRequest/" + order, "/Practitioner/" + practitioner, "/Patient",
		"/Patient?_id=" + one + "," + two, "/Task?patient=" + two, "/Practitioner", "?_type=Patient", "/Patient/_history", "/_history",
		"/Patient/" + two + "/_history", "/Patient/" + two + "/$everything", "/ServiceRequest?subject=Patient/none"} {
		if got := r.get("/fhir" + path); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	r.post("/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/`+one+`"}},{"resource":`+patientJSON("4")+`,"request":{"method":"POST","url":"Patient"}}]}`)
	r.remove("/fhir/ServiceRequest/" + order)
	r.do(access.Auditor, "PUT", "/fhir/Patient/"+one, patientJSON("2")) // refused
	claimed := map[string]int{}
	if err := r.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.settle()
	for _, body := range r.bodies(`SELECT body FROM audit_event`) {
		event, err := Parse(body, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, broken := range balpBreaks(event) {
			t.Errorf("%s: %s", broken, body)
		}
		for _, p := range event.Each("meta", "profile") {
			claimed[strings.TrimPrefix(p.Text(), balp)]++
		}
	}
	for _, name := range []string{"Create", "PatientCreate", "PatientUpdate", "PatientDelete", "Read", "PatientRead", "Query", "PatientQuery", "OAUTHaccessTokenUse.Minimal"} {
		if claimed[name] == 0 {
			t.Errorf("nothing claims %s: %v", name, claimed)
		}
	}
}

func TestTheRulesOfProfilesAreNoticedWhenTheyAreBroken(t *testing.T) {
	t.Parallel()
	actor := access.Actor{Role: access.Placer, Token: access.TokenURN("x")}
	good := auditEntry{Interaction: "read", Target: "Patient/1", Patient: "Patient/1", Client: "192.0.2.1"}
	if broken := balpBreaks(auditEvent("1", "2026-11-25T12:00:00Z", "https://overread.example/fhir", actor, good)); len(broken) > 0 {
		t.Error(broken)
	}
	for name, change := range map[string]func(*Node){
		"another action":      func(n *Node) { n.Set("action", "U") },
		"it was refused":      func(n *Node) { n.Set("outcome", "4") },
		"another interaction": func(n *Node) { n.Set("subtype", []*Node{coding("x", "update", "")}) },
		"no network":          func(n *Node) { n.Get("agent").Items()[0].Remove("network") },
		"nobody":              func(n *Node) { n.Get("agent").Items()[0].Remove("who") },
		"no patient":          func(n *Node) { n.Set("entity", n.Get("entity").Items()[:1]) },
		"two patients": func(n *Node) {
			n.Set("entity", append(n.Get("entity").Items(), n.Get("entity").Items()[1]))
		},
		"the token itself": func(n *Node) { n.Get("agent").Items()[2].Set("policy", []string{"x"}) },
		"two tokens": func(n *Node) {
			n.Get("agent").Items()[2].Set("policy", []string{actor.Token, actor.Token})
		},
		"a profile that is none": func(n *Node) { n.Get("meta").Set("profile", []string{balp + "Guess"}) },
	} {
		event := auditEvent("1", "2026-11-25T12:00:00Z", "https://overread.example/fhir", actor, good)
		if change(event); len(balpBreaks(event)) == 0 {
			t.Errorf("%s is not noticed", name)
		}
	}
}
