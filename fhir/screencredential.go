package fhir

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// The room of readers' credentials: what is written there are a Practitioner and its
// PractitionerRoles, by the same changes as PUT and POST, with their hooks and If-Match.

func (s *Server) keepReaders(actor access.Actor) error {
	if actor.Role != access.Admin || actor.Limited() {
		return fault.New(fault.Forbidden, "the role %s does not keep readers' credentials here", actor.Role)
	}
	return nil
}

// Credentials are those of all readers of the hospital, by name. ahead is how many days
// before its end something is told to end.
func (s *Server) Credentials(ctx context.Context, actor access.Actor, ahead int, asked Asked) ([]screen.ReaderCredentials, error) {
	if err := s.keepReaders(actor); err != nil {
		return nil, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (all []screen.ReaderCredentials, err error) {
		readers, err := workflow.ReadersTx(ctx, tx, 1)
		if err != nil {
			return nil, err
		}
		for _, r := range readers {
			all = append(all, s.credentialsOf(r, ahead))
		}
		slices.SortFunc(all, func(a, b screen.ReaderCredentials) int { return strings.Compare(a.Display, b.Display) })
		return all, s.audit(ctx, tx, actor, auditEntry{Interaction: "search-type", Query: "credentials of readers", RequestID: asked.RequestID, Client: asked.Client})
	})
}

func (s *Server) credentialsOf(r workflow.Reader, ahead int) screen.ReaderCredentials {
	now := s.now()
	c := screen.ReaderCredentials{Reader: r, Missing: r.Missing(now), Today: r.Today(now)}
	for _, e := range workflow.Expiring([]workflow.Reader{r}, now, ahead) {
		last, _ := time.Parse(time.DateOnly, string(e.Last))
		c.Ends = append(c.Ends, screen.Expiring{Name: r.Display, What: e.What, Last: last, Past: e.Last < c.Today})
	}
	return c
}

// Credential is that of one reader, by their Practitioner.
func (s *Server) Credential(ctx context.Context, actor access.Actor, practitioner string, ahead int, asked Asked) (screen.ReaderCredentials, error) {
	if err := s.keepReaders(actor); err != nil {
		return screen.ReaderCredentials{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (c screen.ReaderCredentials, err error) {
		readers, err := workflow.ReadersTx(ctx, tx, 1)
		if err != nil {
			return c, err
		}
		i := slices.IndexFunc(readers, func(r workflow.Reader) bool { return r.PractitionerID == practitioner })
		if i < 0 {
			return c, fault.New(fault.NotFound, "There is no such reader.")
		}
		c = s.credentialsOf(readers[i], ahead)
		stored, err := s.store.Get(ctx, tx, "Practitioner", practitioner)
		if err != nil {
			return c, err
		}
		c.Version = stored.Version
		if err := s.nameParties(ctx, tx, &c, readers); err != nil {
			return c, err
		}
		said, err := workflow.StatementsTx(ctx, tx, c.ID)
		if err != nil {
			return c, err
		}
		for _, one := range slices.Backward(said) {
			first := !slices.ContainsFunc(c.Said, func(s screen.ReaderSaid) bool { return s.Source == one.Source })
			c.Said = append(c.Said, screen.ReaderSaid{At: one.SaidAt, Source: one.Source, By: one.SaidBy, Gone: one.Document == nil})
			if id, isRole := strings.CutPrefix(one.Source, "PractitionerRole/"); isRole && first {
				role, err := s.roleOnScreen(ctx, tx, id)
				if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Gone) {
					return c, err
				}
				if err == nil {
					c.Roles = append(c.Roles, role)
				}
			}
		}
		return c, s.audit(ctx, tx, actor, auditEntry{Interaction: "read", Target: stored.Versioned(), RequestID: asked.RequestID, Client: asked.Client})
	})
}

func (s *Server) roleOnScreen(ctx context.Context, tx pgx.Tx, id string) (role screen.ReaderRole, err error) {
	stored, err := s.store.Get(ctx, tx, "PractitionerRole", id)
	if err != nil {
		return role, err
	}
	n, err := Parse(stored.Body, Limits{})
	if err != nil {
		return role, err
	}
	says, err := roleSays(n)
	if err != nil {
		return role, err
	}
	scope := says.Privileges[0]
	role = screen.ReaderRole{ID: id, Version: stored.Version, Active: n.Text("active") != "false", Subspecialties: scope.Subspecialties, Modalities: scope.Modalities,
		From: scope.ValidFrom, To: scope.ValidTo, Capacity: says.Capacity, Zone: says.Zone, Absences: says.Absences,
		Shifts: says.Shifts, Conflicts: says.Conflicts, Mail: says.Mail}
	if scope.Ages != nil {
		role.AgeFrom, role.AgeTo = scope.Ages.From, scope.Ages.To
	}
	for _, c := range n.Each("code", "coding") {
		if c.Text("system") == csReaderRole {
			role.Parts = append(role.Parts, c.Text("code"))
		}
	}
	return role, nil
}

// SetLicences writes a reader's licences into their Practitioner; all else of it stays.
// It is a Conflict if the Practitioner is another version than version.
func (s *Server) SetLicences(ctx context.Context, actor access.Actor, practitioner string, version int64, licences []workflow.Licence, asked Asked) error {
	return s.changeCredential(ctx, actor, "Practitioner", practitioner, version, asked, func(n *Node) {
		var kept []*Node
		for _, q := range n.Each("qualification") {
			if extension(q, extJurisdiction) == nil {
				kept = append(kept, q)
			}
		}
		for _, l := range licences {
			q := Object("code", Object("text", "Licence"), "extension", []*Node{Object("url", extJurisdiction,
				"valueCodeableConcept", Object("coding", []*Node{coding(iso3166two, strings.ToUpper(l.Jurisdiction), "")}))})
			if l.Number != "" {
				q.Set("identifier", []*Node{Object("value", l.Number)})
			}
			setPeriod(q, l.ValidFrom, l.ValidTo)
			switch {
			case strings.Contains(l.Issuer, "/"):
				q.Set("issuer", Object("reference", l.Issuer))
			case l.Issuer != "":
				q.Set("issuer", Object("display", l.Issuer))
			}
			kept = append(kept, q)
		}
		n.Remove("qualification")
		if kept != nil {
			n.Set("qualification", kept)
		}
	})
}

func setPeriod(n *Node, from, to workflow.Date) {
	n.Remove("period")
	period := Object()
	if from != "" {
		period.Set("start", string(from))
	}
	if to != "" {
		period.Set("end", string(to))
	}
	if from != "" || to != "" {
		n.Set("period", period)
	}
}

// SetRole writes a role of a reader, or makes a new one (without an id); what its form
// does not have stays: group and place.
func (s *Server) SetRole(ctx context.Context, actor access.Actor, practitioner string, role screen.ReaderRole, asked Asked) error {
	return s.changeCredential(ctx, actor, "PractitionerRole", role.ID, role.Version, asked, func(n *Node) {
		n.Set("active", role.Active)
		n.Set("practitioner", Object("reference", "Practitioner/"+practitioner))
		n.Set("code", concepts(n.Each("code"), csReaderRole, role.Parts))
		fields := role.Subspecialties
		if len(fields) == 0 {
			fields = []string{workflow.General}
		}
		n.Set("specialty", concepts(nil, csSubspecialty, fields))
		setPeriod(n, role.From, role.To)
		setLimits(n, role)
		setAbsences(n, role.Absences)
		setShifts(n, role.Shifts)
		setConflicts(n, role.Conflicts)
		setMail(n, role.Mail)
	})
}

// setLimits writes in extensions what a role of a reader is limited to: modalities, ages
// of patients, open cases; and their time zone.
func setLimits(n *Node, role screen.ReaderRole) {
	var ext []*Node
	for _, e := range n.Each("extension") {
		if !slices.Contains([]string{extModality, extAges, extCapacity, extZone}, e.Text("url")) {
			ext = append(ext, e)
		}
	}
	for _, m := range role.Modalities {
		ext = append(ext, Object("url", extModality, "valueCoding", coding("http://dicom.nema.org/resources/ontology/DCM", strings.ToUpper(m), "")))
	}
	if role.AgeFrom > 0 || role.AgeTo > 0 {
		ages := Object()
		for _, end := range []struct {
			name  string
			years int
		}{{"low", role.AgeFrom}, {"high", role.AgeTo}} {
			if end.years > 0 {
				ages.Set(end.name, Object("value", end.years, "unit", "a", "system", "http://unitsofmeasure.org", "code", "a"))
			}
		}
		ext = append(ext, Object("url", extAges, "valueRange", ages))
	}
	if role.Capacity > 0 {
		ext = append(ext, Object("url", extCapacity, "valuePositiveInt", role.Capacity))
	}
	if role.Zone != "" {
		ext = append(ext, Object("url", extZone, "valueCode", role.Zone))
	}
	n.Remove("extension")
	if ext != nil {
		n.Set("extension", ext)
	}
}

// setAbsences writes when a reader is away; what an absence was called stays.
func setAbsences(n *Node, absences []workflow.Absence) {
	before := n.Each("notAvailable")
	n.Remove("notAvailable")
	var away []*Node
	for _, a := range absences {
		one := Object("description", "absent")
		for _, was := range before { // what it was called stays
			if from, to, _ := days(was.Get("during"), ""); from == a.From && to == a.To {
				one = Object("description", was.Text("description"))
			}
		}
		setPeriod(one, a.From, a.To)
		if period := one.Get("period"); period != nil {
			one.Set("during", period)
			one.Remove("period")
		}
		away = append(away, one)
	}
	if away != nil {
		n.Set("notAvailable", away)
	}
}

// concepts are those of other systems, and one with each code of a system.
func concepts(before []*Node, system string, codes []string) (all []*Node) {
	for _, c := range before {
		if !slices.ContainsFunc(c.Each("coding"), func(k *Node) bool { return k.Text("system") == system }) {
			all = append(all, c)
		}
	}
	for _, code := range codes {
		all = append(all, Object("coding", []*Node{coding(system, code, "")}))
	}
	return all
}

// changeCredential changes a resource of the directory as a PUT with If-Match does, or
// makes one as a POST does where id is "".
func (s *Server) changeCredential(ctx context.Context, actor access.Actor, typ, id string, version int64, asked Asked, edit func(n *Node)) error {
	if err := s.keepReaders(actor); err != nil {
		return err
	}
	ctx = context.WithValue(ctx, servedKey{}, served{requestID: asked.RequestID, client: asked.Client})
	_, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (struct{}, error) {
		wanted := change{method: http.MethodPost, row: s.resources[typ], path: typ}
		n, interaction := Object("resourceType", typ), "create"
		if id != "" {
			stored, err := s.store.Visible(ctx, tx, actor, typ, id)
			if err != nil {
				return struct{}{}, err
			}
			if n, err = Parse(stored.Body, Limits{}); err != nil {
				return struct{}{}, err
			}
			wanted.method, wanted.id, wanted.ifMatch, interaction = http.MethodPut, id, &version, "update"
		}
		edit(n)
		var err error
		if wanted.sent, err = s.decode(ctx, n.Bytes(), typ); err != nil {
			return struct{}{}, err
		}
		if err := s.apply(ctx, tx, actor, []*change{&wanted}); err != nil {
			if fault.Is(err, fault.VersionConflict) {
				err = fault.New(fault.Conflict, "%s", workflow.Phrase("Somebody else has changed this meanwhile. Nothing was written; please look at it again."))
			}
			return struct{}{}, err
		}
		return struct{}{}, s.audit(ctx, tx, actor, auditEntry{Interaction: interaction, Target: wanted.stored.Versioned(), RequestID: asked.RequestID, Client: asked.Client})
	})
	return err
}
