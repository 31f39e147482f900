package administration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pgtest"
)

// second is the other administrator.
func (o *office) second() administration.By {
	return administration.By{Person: o.ines, Actor: access.Actor{Tenant: o.here, ID: o.ines, Role: access.Admin, Display: "Ines"}}
}

// refused wants a refusal of this kind about a field.
func refused(t *testing.T, what string, err error, kind fault.Kind, field string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
		return
	}
	if got := err.(*fault.Error).Issues[0].Expression; got != field { //nolint:errorlint,forcetypeassert // fault.Is has looked
		t.Errorf("%s is about %q, want %q: %v", what, got, field, err)
	}
}

// told are what was recorded, and at which tenants, and forgets it.
func (o *office) recorded() (kinds []string, at []uuid.UUID) {
	for _, e := range o.told {
		kinds, at = append(kinds, string(e.Kind)), append(at, e.Tenant)
	}
	o.told = nil
	return kinds, at
}

func TestNobodySaysAloneWhereReportsGo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	o.behind(`INSERT INTO destination (tenant_id, destination, base_url, token_file) VALUES ($1, 'ehr', 'https://ehr.example/fhir', '/secret')`, o.here)
	want := administration.Destination{Name: "ehr", BaseURL: "https://other.example/fhir/", Packaging: "report", Timeout: 5 * time.Second, InFlightMax: 3}
	if err := k.Propose(ctx, o.sam, want, "the EHR moves"); err != nil {
		t.Fatal(err)
	}
	now := func() administration.Endpoint {
		all, err := k.Endpoints(ctx, o.here)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	if e := now(); e.BaseURL != "https://ehr.example/fhir" || !e.Authenticated {
		t.Errorf("a proposal has changed the endpoint: %+v", e)
	}
	refused(t, "agreeing to oneself", k.Agree(ctx, o.sam, "ehr", "https://other.example/fhir"), fault.Forbidden, "")
	// The same human by another account, as far as it is known, is the same.
	reader := uuid.New()
	o.behind(`UPDATE person SET reader_id = $1 WHERE person_id IN ($2, $3)`, reader, o.sam.Person, o.ines)
	refused(t, "agreeing by a second account", k.Agree(ctx, o.second(), "ehr", "https://other.example/fhir"), fault.Forbidden, "")
	o.behind(`UPDATE person SET reader_id = NULL WHERE person_id = $1`, o.ines)
	refused(t, "agreeing to what was not looked at", k.Agree(ctx, o.second(), "ehr", "https://third.example/fhir"), fault.Conflict, "")
	if err := k.Agree(ctx, o.second(), "ehr", "https://other.example/fhir"); err != nil {
		t.Fatal(err)
	}
	e := now()
	if e.BaseURL != "https://other.example/fhir" || e.Packaging != "report" || e.Timeout != 5*time.Second || e.InFlightMax != 3 {
		t.Errorf("in force is %+v", e)
	}
	if e.Authenticated {
		t.Error("the token of one server would be sent to another")
	}
	if e.PausedAt == nil || e.PausedBy != "Ines" {
		t.Errorf("reports go to a new address before anybody has tried it: %+v", e)
	}
	if kinds, _ := o.recorded(); !slices.Equal(kinds, []string{"destination-proposed", "destination-set"}) {
		t.Errorf("recorded: %v", kinds)
	}
	refused(t, "agreeing twice", k.Agree(ctx, o.second(), "ehr", "https://other.example/fhir"), fault.NotFound, "")

	// At the same server the token stays; and what was overtaken is void.
	o.behind(`UPDATE destination SET token_file = '/secret', paused_at = NULL, paused_by = NULL, pause_reason = NULL`)
	want.BaseURL = "https://other.example/r4"
	if err := k.Propose(ctx, o.second(), want, "another path"); err != nil {
		t.Fatal(err)
	}
	if err := k.Agree(ctx, o.sam, "ehr", want.BaseURL); err != nil {
		t.Fatal(err)
	}
	if e := now(); !e.Authenticated || e.BaseURL != want.BaseURL {
		t.Errorf("at the same server: %+v", e)
	}
	want.BaseURL = "https://fourth.example/fhir"
	if err := k.Propose(ctx, o.sam, want, "again"); err != nil {
		t.Fatal(err)
	}
	o.behind(`UPDATE destination SET base_url = 'https://meanwhile.example/fhir'`)
	refused(t, "agreeing to what was overtaken", k.Agree(ctx, o.second(), "ehr", want.BaseURL), fault.Conflict, "")
	if err := k.Withdraw(ctx, o.second(), "ehr"); err != nil {
		t.Fatal(err)
	}
	if left, err := k.Proposals(ctx, o.here); err != nil || len(left) != 0 {
		t.Errorf("after it was declined: %v %v", left, err)
	}
}

// A proposal is refused where the operator's command would, and where the fence would.
func TestAProposalOfWhatThisServerDoesNotCallIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k := o.keeper
	var err error
	if k.Guard, err = outbound.New(outbound.Settings{}); err != nil {
		t.Fatal(err)
	}
	good := administration.Destination{Name: "ehr", BaseURL: "https://ehr.example/fhir", Packaging: "report", Timeout: time.Second, InFlightMax: 1}
	for _, c := range []struct {
		field  string
		change func(*administration.Destination)
	}{
		{"name", func(d *administration.Destination) { d.Name = "Not Short" }},
		{"base", func(d *administration.Destination) { d.BaseURL = "file:///etc/passwd" }},
		{"base", func(d *administration.Destination) { d.BaseURL = "https://169.254.169.254/latest" }},
		{"base", func(d *administration.Destination) { d.BaseURL = "https://10.0.0.1/fhir" }},
		{"base", func(d *administration.Destination) { d.BaseURL = "https://2130706433/fhir" }},
		{"base", func(d *administration.Destination) { d.BaseURL = "http://ehr.example/fhir" }},
		{"base", func(d *administration.Destination) { d.BaseURL = "https://me:secret@ehr.example/fhir" }},
		{"packaging", func(d *administration.Destination) { d.Packaging = "all" }},
		{"timeout", func(d *administration.Destination) { d.Timeout = time.Hour }},
		{"in-flight-max", func(d *administration.Destination) { d.InFlightMax = 0 }},
	} {
		d := good
		c.change(&d)
		refused(t, c.field+" "+d.BaseURL, k.Propose(t.Context(), o.sam, d, "because"), fault.Value, c.field)
	}
	refused(t, "without a reason", k.Propose(t.Context(), o.sam, good, " "), fault.Required, "reason")
	if len(o.told) > 0 {
		t.Errorf("recorded: %v", o.told)
	}
}

func TestAnAdministratorSaysWhoIsAReaderOfTheirHospitalAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	there := pgtest.AddTenant(t, o.db, "there")
	own, both, foreign := uuid.New(), uuid.New(), uuid.New()
	add := func(tenant, id uuid.UUID) {
		o.behind(`INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential) VALUES ($1, $2, 'p', 'Dr. Own', '{}')`, tenant, id)
	}
	add(o.here, own)
	add(o.here, both)
	add(there, both)
	add(there, foreign)
	link := func(subject string, reader uuid.UUID) error {
		_, err := k.LinkReader(ctx, o.sam, "idp", subject, reader)
		if _, checked := k.CheckLink(ctx, o.sam, "idp", subject, reader); err != nil && checked == nil {
			t.Errorf("%s: the page asks to confirm what is refused: %v", subject, err)
		}
		return err
	}
	refused(t, "a reader of two hospitals", link("ada", both), fault.Forbidden, "reader")
	refused(t, "a reader of another hospital", link("ada", foreign), fault.Value, "reader")
	refused(t, "nobody's reader", link("ada", uuid.New()), fault.Value, "reader")
	refused(t, "oneself", link("sam", own), fault.Forbidden, "subject")
	refused(t, "nobody", link(" ", own), fault.Required, "subject")
	// Whoever reads elsewhere would lose that by being somebody else here.
	o.behind(`INSERT INTO person (person_id, issuer, subject, display, reader_id) VALUES ($1, 'https://idp.example', 'elsa', 'Elsa', $2)`, uuid.New(), foreign)
	refused(t, "a person who reads elsewhere", link("elsa", own), fault.Forbidden, "reader")
	o.behind(`INSERT INTO person (person_id, issuer, subject, display, ended_at) VALUES ($1, 'https://idp.example', 'gone', 'Gone', now())`, uuid.New())
	refused(t, "who was ended", link("gone", own), fault.Forbidden, "subject")
	if len(o.told) > 0 {
		t.Errorf("recorded: %v", o.told)
	}
	who, err := k.LinkReader(ctx, o.sam, "idp", "ada", own)
	if err != nil {
		t.Fatal(err)
	}
	if kinds, at := o.recorded(); !slices.Equal(kinds, []string{"person-set"}) || at[0] != o.here {
		t.Errorf("recorded: %v %v", kinds, at)
	}
	m, err := k.Member(ctx, o.here, who.PersonID)
	if err != nil || !m.Reads {
		t.Errorf("%+v %v", m, err)
	}
	if err := k.Grant(ctx, o.sam, who.PersonID, access.Reader, "reads from today"); err != nil {
		t.Error(err)
	}
	// Two do not sign by one name, but for the operator's word.
	refused(t, "a second person as the same reader", link("eve", own), fault.Forbidden, "reader")
	byShell := administration.By{Actor: access.OperatorActor(uuid.Nil, "root")}
	if second, err := k.LinkReader(ctx, byShell, "idp", "ada-2", own); err != nil || !slices.Equal(second.Others, []uuid.UUID{who.PersonID}) {
		t.Errorf("by the operator: %+v %v", second, err)
	}
}

func TestTheInstallationIsOperatedByWhomTheCommandLineHasNamed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	pgtest.AddTenant(t, o.db, "there")
	byShell := administration.By{Actor: access.OperatorActor(uuid.Nil, "root")}
	atPage := administration.By{Person: o.sam.Person, Actor: access.Actor{ID: o.sam.Person, Role: access.Operator, Display: "Sam"}}
	if _, err := k.Appoint(ctx, atPage, o.sam.Person, "to help", time.Hour); !fault.Is(err, fault.Forbidden) {
		t.Errorf("named at a page: %v", err)
	}
	_, err := k.Appoint(ctx, byShell, uuid.New(), "to help", time.Hour)
	refused(t, "naming nobody", err, fault.NotFound, "")
	_, err = k.Appoint(ctx, byShell, o.sam.Person, "to help", 9000*time.Hour)
	refused(t, "naming for ever", err, fault.Value, "for")
	does := map[string]func() error{
		"add a tenant": func() error {
			return k.AddTenant(ctx, atPage, &administration.NewTenant{Name: "new" + uuid.NewString()[:8]})
		},
		"change a tenant": func() error {
			name := "Name"
			return k.SetTenant(ctx, atPage.For(o.here), administration.TenantSettings{Display: &name})
		},
		"name a group": func() error {
			return k.AddGroup(ctx, atPage.For(o.here), administration.Group{Provider: "idp", ClaimValue: uuid.NewString(), Role: access.Admin})
		},
		"add a provider":    func() error { return k.AddProvider(ctx, atPage, provider("p"+uuid.NewString()[:8])) },
		"find a tenant":     func() error { _, err := k.At(ctx, atPage, "here"); return err },
		"remove a provider": func() error { _, err := k.RemoveProvider(ctx, atPage, "old"); return err },
	}
	o.behind(`INSERT INTO provider (name, issuer, display, client_id) VALUES ('old', 'https://old.example', 'Old', 'x')`)
	nobody := func(when string) {
		t.Helper()
		for what, do := range does {
			if err := do(); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %s: %v", when, what, err)
			}
		}
		if is, _, err := k.Operates(ctx, o.sam.Person); is || err != nil {
			t.Errorf("%s: %v %v", when, is, err)
		}
	}
	nobody("before")
	o.told = nil
	named, err := k.Appoint(ctx, byShell, o.sam.Person, "the new hospitals of autumn", 48*time.Hour)
	if err != nil || time.Until(named.EndsAt) < 47*time.Hour {
		t.Fatal(named, err)
	}
	if kinds, at := o.recorded(); !slices.Equal(kinds, []string{"operator-named", "operator-named"}) || at[0] == at[1] {
		t.Errorf("each hospital is told: %v at %v", kinds, at)
	}
	for what, do := range does {
		if err := do(); err != nil {
			t.Errorf("named: %s: %v", what, err)
		}
	}
	for _, e := range o.told {
		if e.Actor.Role != access.Operator || e.Actor.ID != o.sam.Person || e.Actor.Tenant != e.Tenant {
			t.Errorf("%s is recorded of %+v", e.Kind, e.Actor)
		}
	}
	// Its own group would make them an administrator: for themselves it does not count.
	if groups, err := k.Groups(ctx, o.sam); err != nil || !slices.ContainsFunc(groups, func(g administration.Group) bool { return g.Own }) {
		t.Errorf("%+v %v", groups, err)
	}
	if err := k.AddFirstAdministrators(ctx, atPage.For(o.here), administration.Group{Provider: "idp", ClaimValue: "mine"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("administrators of a hospital that has some: %v", err)
	}
	o.behind(`UPDATE installation_operator SET ends_at = now()`)
	nobody("when the time has come")
	if _, err := k.Appoint(ctx, byShell, o.sam.Person, "again", time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := k.Dismiss(ctx, byShell, o.sam.Person); err != nil {
		t.Fatal(err)
	}
	nobody("dismissed")
}

func provider(name string) *administration.IdentityProvider {
	return &administration.IdentityProvider{Name: name, Issuer: "https://" + name + ".example", ClientID: "overread", Scopes: "openid", RolesClaim: "groups"}
}

func TestAProviderIsAddedAndChangedByTheSameRulesEverywhere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	byShell := administration.By{Actor: access.OperatorActor(uuid.Nil, "root")}
	for _, c := range []struct {
		field  string
		kind   fault.Kind
		change func(*administration.IdentityProvider)
	}{
		{"name", fault.Value, func(p *administration.IdentityProvider) { p.Name = "Not Short" }},
		{"issuer", fault.Value, func(p *administration.IdentityProvider) { p.Issuer = "file:///x" }},
		{"client-id", fault.Required, func(p *administration.IdentityProvider) { p.ClientID = " " }},
		{"scopes", fault.Value, func(p *administration.IdentityProvider) { p.Scopes = "profile" }},
		{"roles-claim", fault.Required, func(p *administration.IdentityProvider) { p.RolesClaim = "" }},
		{"issuer", fault.Conflict, func(p *administration.IdentityProvider) { p.Issuer = "https://idp.example" }},
		{"issuer", fault.Conflict, func(p *administration.IdentityProvider) { p.Name = "idp" }},
		{"roles-claim", fault.Conflict, func(p *administration.IdentityProvider) {
			p.Name, p.Issuer, p.RolesClaim = "idp", "https://idp.example", "other"
		}},
	} {
		p, q := provider("new"), provider("new")
		c.change(p)
		c.change(q)
		refused(t, c.field, k.AddProvider(ctx, byShell, p), c.kind, c.field)
		_, err := k.CheckProvider(ctx, q)
		refused(t, "asked before, "+c.field, err, c.kind, c.field)
	}
	var err error
	if k.Guard, err = outbound.New(outbound.Settings{}); err != nil {
		t.Fatal(err)
	}
	inside := provider("inside")
	inside.Issuer = "https://10.0.0.1"
	_, err = k.CheckProvider(ctx, inside)
	refused(t, "an issuer behind the fence", err, fault.Value, "issuer")
}
