package fhir

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Readers' credentials as plain FHIR R4: a Practitioner's qualifications with a
// jurisdiction are licences, and a PractitionerRole whose code is one of ours says
// what a reader may read, when they work and what they may be. What a coordinator
// or an admin writes of them counts from that moment on (workflow/credential.go);
// nobody else may write it (ownership.go). R4 has no elements for modalities, ages,
// capacity and conflicts, nor for the jurisdiction of a qualification: those are
// extensions of ours (docs/matching.md).

const (
	csReaderRole   = Canonical + "/CodeSystem/reader-role"
	csSubspecialty = Canonical + "/CodeSystem/reading-subspecialty"
	nucc           = "http://nucc.org/provider-taxonomy"
	iso3166        = "urn:iso:std:iso:3166"
	iso3166two     = "urn:iso:std:iso:3166:-2"

	extModality     = Canonical + "/StructureDefinition/reader-modality"
	extAges         = Canonical + "/StructureDefinition/reader-ages"
	extCapacity     = Canonical + "/StructureDefinition/reader-capacity"
	extConflict     = Canonical + "/StructureDefinition/reader-conflict"
	extZone         = Canonical + "/StructureDefinition/reader-time-zone"
	extJurisdiction = Canonical + "/StructureDefinition/licence-jurisdiction"
)

// keepsReaders are the roles whose word counts.
var keepsReaders = []access.Role{access.Coordinator, access.Admin}

// roleParts are the codes of reader-role.
var roleParts = map[string]workflow.Part{
	"reader": "", "trainee": workflow.IsTrainee, "locum": workflow.IsLocum, "adjudicator": workflow.IsAdjudicator, "supervisor": workflow.IsSupervisor,
}

// taxonomy are the subspecialties that the NUCC Health Care Provider Taxonomy
// (code set 25.0, Radiology) has codes for.
var taxonomy = map[string]string{
	"2085R0202X": workflow.General,
	"2085D0003X": "neuro", // Diagnostic Neuroimaging
	"2085N0700X": "neuro", // Neuroradiology
	"2085B0100X": "abdominal",
	"2085N0904X": "nuclear",
	"2085P0229X": "paediatric",
	"2085R0204X": "vascular",
}

// practitionerCreated, practitionerUpdated and the three of roles are hooks of the
// table of resources.
func (s *Server) practitionerCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	if err := s.statePractitioner(ctx, tx, actor, n); err != nil {
		return nil, err
	}
	return nil, s.identified(ctx, tx, nil, n)
}

func (s *Server) practitionerUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	if err := s.statePractitioner(ctx, tx, actor, after); err != nil {
		return err
	}
	return s.identified(ctx, tx, before, after)
}

func (s *Server) roleCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	if err := s.stateRole(ctx, tx, actor, nil, n); err != nil {
		return nil, err
	}
	return nil, s.roleIdentified(ctx, tx, actor, nil, n)
}

func (s *Server) roleUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	if err := s.stateRole(ctx, tx, actor, before, after); err != nil {
		return err
	}
	return s.roleIdentified(ctx, tx, actor, before, after)
}

func (s *Server) roleDeleted(ctx context.Context, tx pgx.Tx, actor access.Actor, before *Node) error {
	return s.stateRole(ctx, tx, actor, before, nil)
}

// statePractitioner states who a reader is and what licences they have. Of
// somebody who is no reader nothing is kept.
func (s *Server) statePractitioner(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) error {
	if !slices.Contains(keepsReaders, actor.Role) {
		return nil
	}
	says, err := practitionerSays(n)
	if err != nil {
		return err
	}
	return s.state(ctx, tx, actor, n.Text("id"), humanName(n), "Practitioner/"+n.Text("id"), &says)
}

func (s *Server) state(ctx context.Context, tx pgx.Tx, actor access.Actor, practitioner, display, source string, says *workflow.Reader) error {
	by := string(actor.Role) + " " + actor.ID.String()
	reader, known, err := workflow.StateTx(ctx, tx, actor.Tenant, practitioner, display, workflow.Statement{Source: source, Says: says, By: by}, s.now().UTC())
	if err != nil || !known {
		return err
	}
	if s.trail == nil {
		return nil
	}
	return s.RecordEvent(ctx, tx, access.Event{Kind: access.ReaderSet, Tenant: actor.Tenant, Actor: actor, Object: reader.String()})
}

// practitionerSays is pure: identifiers and licences.
func practitionerSays(n *Node) (r workflow.Reader, err error) {
	r.Inactive = n.Text("active") == "false"
	r.Identifiers = identifierKeys(n)
	for i, q := range n.Each("qualification") {
		at := fmt.Sprintf("Practitioner.qualification[%d]", i)
		place := extension(q, extJurisdiction)
		if place == nil {
			continue // a degree, or a board certificate
		}
		where, err := jurisdictionOf(place.Get("valueCodeableConcept"), at)
		if err != nil {
			return r, err
		}
		l := workflow.Licence{Jurisdiction: where, Number: q.Text("identifier", "value"), Issuer: q.Text("issuer", "display")}
		if l.Issuer == "" {
			l.Issuer = q.Text("issuer", "reference")
		}
		if l.ValidFrom, l.ValidTo, err = days(q.Get("period"), at+".period"); err != nil {
			return r, err
		}
		r.Licences = append(r.Licences, l)
	}
	return r, nil
}

// stateRole states what a PractitionerRole says, and that it says nothing any more
// where it is gone, not active, or of another reader.
func (s *Server) stateRole(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	was, is := isReaderRole(before), isReaderRole(after)
	if !was && !is {
		return nil
	}
	if !slices.Contains(keepsReaders, actor.Role) {
		return fault.At(fault.Forbidden, "PractitionerRole.code", "only a coordinator or an admin says who reads here; use another code for everybody else")
	}
	id := before.Text("id")
	if after != nil {
		id = after.Text("id")
	}
	source := "PractitionerRole/" + id
	whose := localID(after.Text("practitioner", "reference"), "Practitioner")
	if is && whose == nil {
		return fault.At(fault.Required, "PractitionerRole.practitioner", "refer to the reader's Practitioner here as Practitioner/{id}")
	}
	if former := localID(before.Text("practitioner", "reference"), "Practitioner"); was && former != nil && (!is || *former != *whose) {
		if err := s.state(ctx, tx, actor, *former, "", source, nil); err != nil {
			return err
		}
	}
	if !is {
		return nil
	}
	return s.stateRoleOf(ctx, tx, actor, *whose, source, after)
}

func (s *Server) stateRoleOf(ctx context.Context, tx pgx.Tx, actor access.Actor, practitioner, source string, role *Node) error {
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return err
	}
	person, err := r.get(ctx, "Practitioner", practitioner)
	if err != nil {
		return err
	}
	if person.Node == nil {
		return fault.At(fault.BusinessRule, "PractitionerRole.practitioner", "there is no such Practitioner here; send it first, or in the same transaction")
	}
	var says *workflow.Reader
	if role.Text("active") != "false" {
		said, err := roleSays(role)
		if err != nil {
			return err
		}
		if said.ReadsFrom, err = placeOf(ctx, r, role); err != nil {
			return err
		}
		says = &said
	}
	known, err := isReader(ctx, tx, actor.Tenant, person.Node)
	if err != nil {
		return err
	}
	if err := s.state(ctx, tx, actor, practitioner, humanName(person.Node), source, says); err != nil || known {
		return err
	}
	return s.statePractitioner(ctx, tx, actor, person.Node) // of a new reader: what it says by now
}

// isReaderRole tells whether a PractitionerRole has a code of ours.
func isReaderRole(n *Node) bool {
	return slices.ContainsFunc(n.Each("code", "coding"), func(c *Node) bool { return c.Text("system") == csReaderRole })
}

// roleSays is pure: what a PractitionerRole of a reader says, but for where they
// read, which is in its Location.
func roleSays(n *Node) (r workflow.Reader, err error) {
	scope := workflow.Scope{}
	for i, c := range n.Each("code", "coding") {
		if c.Text("system") != csReaderRole {
			continue
		}
		part, known := roleParts[c.Text("code")]
		if !known {
			return r, fault.At(fault.Value, fmt.Sprintf("PractitionerRole.code.coding[%d].code", i), "is no code of %s; there are reader, trainee, locum, adjudicator and supervisor", csReaderRole)
		}
		if part != "" {
			scope.Parts = append(scope.Parts, part)
		}
	}
	if scope.ValidFrom, scope.ValidTo, err = days(n.Get("period"), "PractitionerRole.period"); err != nil {
		return r, err
	}
	if err := takeFields(&scope, n); err != nil {
		return r, err
	}
	for _, each := range extensions(n, extModality) {
		scope.Modalities = append(scope.Modalities, each.Text("valueCoding", "code"))
	}
	if ages := extension(n, extAges); ages != nil {
		scope.Ages = &workflow.Ages{From: number(ages.Get("valueRange", "low", "value")), To: number(ages.Get("valueRange", "high", "value"))}
	}
	r.Privileges = []workflow.Scope{scope}
	r.Capacity = number(extension(n, extCapacity).Get("valuePositiveInt"))
	r.Zone = extension(n, extZone).Text("valueCode")
	if !workflow.KnownZone(r.Zone) {
		return r, fault.At(fault.Value, "PractitionerRole.extension", "%s must be the IANA name of a time zone, such as America/New_York", extZone)
	}
	for _, each := range extensions(n, extConflict) {
		r.Conflicts = append(r.Conflicts, keysOf(each.Get("valueReference"))...)
	}
	r.Groups = keysOf(n.Get("organization"))
	for _, t := range n.Each("telecom") {
		if t.Text("system") == "email" && r.Mail == "" && workflow.Address(t.Text("value")).Valid() {
			r.Mail = workflow.Address(t.Text("value"))
		}
	}
	return r, takeTimes(&r, scope, n)
}

var subspecialtyPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// takeFields reads the specialties: codes of ours, which a tenant may add to, or of
// the NUCC taxonomy. One that is neither says nothing here; none at all is an error.
func takeFields(scope *workflow.Scope, n *Node) error {
	scope.Subspecialties = []string{}
	said := n.Each("specialty", "coding")
	for i, c := range said {
		name := ""
		switch c.Text("system") {
		case csSubspecialty:
			if name = c.Text("code"); !subspecialtyPattern.MatchString(name) {
				return fault.At(fault.Value, fmt.Sprintf("PractitionerRole.specialty.coding[%d].code", i), "a subspecialty is written in small letters, digits and hyphens, such as neuro or head-neck")
			}
		case nucc:
			name = taxonomy[c.Text("code")]
		}
		if name != "" && name != workflow.General && !slices.Contains(scope.Subspecialties, name) {
			scope.Subspecialties = append(scope.Subspecialties, name)
		}
		if name != "" {
			said = nil // one is understood
		}
	}
	if len(said) > 0 {
		return fault.At(fault.Value, "PractitionerRole.specialty", "none of these is known here: give a code of %s (neuro, chest, ...; general for none) or of %s", csSubspecialty, nucc)
	}
	return nil
}

// days are the first and the last day of a Period, both included; "" where it does
// not say. A month or a year is all of it, a time its day (FHIR R4
// datatypes.html#Period: the end includes what its precision covers).
func days(period *Node, at string) (from, to workflow.Date, err error) {
	from, to = dayOf(period.Text("start"), false), dayOf(period.Text("end"), true)
	if from != "" && to != "" && to < from {
		err = fault.At(fault.Value, at, "ends before it begins")
	}
	return from, to, err
}

func dayOf(text string, last bool) workflow.Date {
	switch len(text) {
	case 0:
		return ""
	case len("2006"), len("2006-01"):
		return workflow.DayOf(text, last)
	}
	return workflow.Date(text[:len("2006-01-02")])
}

// jurisdictionOf is ISO 3166-2 (US-NY) or ISO 3166-1 alpha 2 (FR).
func jurisdictionOf(concept *Node, at string) (string, error) {
	for _, c := range concept.Each("coding") {
		if sys := c.Text("system"); (sys == iso3166 || sys == iso3166two) && c.Text("code") != "" {
			return strings.ToUpper(c.Text("code")), nil
		}
	}
	return "", fault.At(fault.Value, at+".extension", "%s needs a code of ISO 3166-2 or 3166-1: {\"system\": %q, \"code\": \"US-NY\"}", extJurisdiction, iso3166two)
}

// placeOf is where a role's first Location with an address stands: where the
// reader reads.
func placeOf(ctx context.Context, r resolver, role *Node) (string, error) {
	for _, ref := range role.Each("location") {
		at, err := r.follow(ctx, ref, role)
		if err != nil {
			return "", err
		}
		if place := jurisdictionOfAddress(at.Node); place != "" {
			return place, nil
		}
	}
	return "", nil
}

// jurisdictionOfAddress is that of a Location or an Organization: US-NY, FR; "" where it does not say.
func jurisdictionOfAddress(n *Node) string {
	country, state := n.Text("address", "country"), n.Text("address", "state")
	if country != "" && state != "" {
		country += "-" + state
	}
	return country
}

// keysOf are the ways in which a Reference says whom it means: Type/{id} here, or
// system|value.
func keysOf(ref *Node) (keys []string) {
	for _, typ := range []string{"Organization", "Practitioner"} {
		if id := localID(ref.Text("reference"), typ); id != nil {
			keys = append(keys, typ+"/"+*id)
		}
	}
	return append(keys, identifierKeys(ref)...)
}

func extensions(n *Node, url string) (all []*Node) {
	for _, e := range n.Each("extension") {
		if e.Text("url") == url {
			all = append(all, e)
		}
	}
	return all
}

// extension is the first of this URL, nil where there is none.
func extension(n *Node, url string) *Node {
	if all := extensions(n, url); len(all) > 0 {
		return all[0]
	}
	return nil
}
