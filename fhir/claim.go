package fhir

import (
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// What a resource says of itself in meta.profile. A claim of a profile of ours
// is held to; those of others are left unread (FHIR R4
// profiling.html#conformance: a claim may be ignored).

// keepsItsClaims refuses a resource that claims a profile of ours and does not
// conform to it. FHIR R4 http.html#create: 422 for what violates a profile.
func (s *Server) keepsItsClaims(n *Node) error {
	c := &profileCheck{codes: s.valueSetCodes}
	if c.claims(n, n.Type()); len(c.issues) > 0 {
		return &fault.Error{Issues: c.issues[:min(len(c.issues), maxIssues)]}
	}
	return nil
}

func (c *profileCheck) claims(n *Node, at string) {
	for _, claim := range n.Each("meta", "profile") {
		if p := profileOf(claim.Text()); p != nil {
			c.resource(p, n, at)
		}
	}
}

// profileOf finds a profile of ours by its canonical URL, which may name the
// version; nil for one of somebody else's.
func profileOf(canonical string) *profile {
	url, version, _ := strings.Cut(canonical, "|")
	p := profiles()[url]
	if p == nil || version != "" && version != p.version {
		return nil
	}
	return p
}

// valueSetCodes are the codes of a value set that is served here.
func (s *Server) valueSetCodes(url string) (ValueSet, bool) {
	for _, n := range s.resources["ValueSet"].content() {
		if n.Text("url") == url {
			return codesOfValueSet(n), true
		}
	}
	return nil, false
}

// codesOfValueSet lists the codes of a value set of ours, which names them, or a
// code system of ours.
func codesOfValueSet(vs *Node) ValueSet {
	var codes ValueSet
	for _, include := range vs.Each("compose", "include") {
		system := include.Text("system")
		concepts := include.Get("concept").Items()
		if cs := ourCodeSystem(system); cs != nil && concepts == nil {
			concepts = cs.Get("concept").Items()
		}
		for _, concept := range concepts {
			codes = append(codes, workflow.Coding{System: system, Code: concept.Text("code"), Display: concept.Text("display")})
		}
	}
	return codes
}

// ourCodeSystem is nil for the systems of others.
func ourCodeSystem(url string) *Node {
	all := codeSystems()
	if i := slices.IndexFunc(all, func(n *Node) bool { return n.Text("url") == url }); i >= 0 {
		return all[i]
	}
	return nil
}
