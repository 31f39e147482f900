package administration_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pgtest"
)

// office is a hospital with two administrators, and what was recorded of them.
type office struct {
	t      *testing.T
	db     *pgtest.Database
	keeper administration.Keeper
	here   uuid.UUID
	sam    administration.By
	ines   uuid.UUID // administers too, by the same group
	told   []access.Event
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, db: pgtest.New(t)}
	o.here = pgtest.AddTenant(t, o.db, "here")
	o.behind(`INSERT INTO provider (name, issuer, display, client_id) VALUES ('idp', 'https://idp.example', 'IdP', 'x')`)
	o.behind(`INSERT INTO provider_role (tenant_id, provider, claim_value, role) VALUES ($1, 'idp', 'admins', 'admin')`, o.here)
	sam := o.person("sam", o.here, "admins")
	o.ines = o.person("ines", o.here, "admins")
	o.sam = administration.By{Person: sam, Actor: access.Actor{Tenant: o.here, ID: sam, Role: access.Admin, Display: "Sam"}}
	o.keeper = administration.Keeper{DB: o.db.DB, Guard: outbound.Loopback(), CheckGrant: func(access.Grant) error { return nil }, CheckLaunch: func(administration.Launch) error { return nil },
		Record: func(_ context.Context, _ pgx.Tx, e access.Event) error {
			o.told = append(o.told, e)
			return nil
		}}
	return o
}

func (o *office) behind(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.db.Owner(o.t).Exec(o.t.Context(), sql, args...); err != nil {
		o.t.Fatal(err)
	}
}

// person is somebody who has signed in as an administrator by a group.
func (o *office) person(name string, tenant uuid.UUID, group string) uuid.UUID {
	id := uuid.New()
	o.behind(`INSERT INTO person (person_id, issuer, subject, display) VALUES ($1, 'https://idp.example', $2, $2)`, id, name)
	o.behind(`INSERT INTO member (tenant_id, person_id, last_login_at) VALUES ($1, $2, now())`, tenant, id)
	o.behind(`INSERT INTO member_role (tenant_id, person_id, role, way, claim_value) VALUES ($1, $2, 'admin', 'claim', $3)`, tenant, id, group)
	return id
}

func (o *office) kinds() (all []string) {
	for _, e := range o.told {
		if e.Tenant != o.here || e.Actor.ID != o.sam.Person {
			o.t.Errorf("%s is recorded at %s by %s", e.Kind, e.Tenant, e.Actor.ID)
		}
		all = append(all, string(e.Kind))
	}
	o.told = nil
	return all
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	group := administration.Group{Provider: "idp", ClaimValue: "admins", Role: access.Admin}
	if _, err := k.RemoveGroup(ctx, o.sam, group); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "Nobody would be left") {
		t.Errorf("the only group that makes administrators: %v", err)
	}
	// A second administrator may be taken; then the first one is the last.
	if _, err := k.Revoke(ctx, o.sam, o.ines, access.Admin, "has left"); err != nil {
		t.Fatal(err)
	}
	ines := o.sam
	ines.Person = o.ines // her session has not ended yet, say
	if _, err := k.Revoke(ctx, ines, o.sam.Person, access.Admin, "me too"); !fault.Is(err, fault.Conflict) {
		t.Errorf("the last administrator: %v", err)
	}
	if has, err := k.Member(ctx, o.here, o.sam.Person); err != nil || !has.Has(access.Admin) {
		t.Errorf("they are %v: %v", has.Roles(), err)
	}
	if _, err := k.Revoke(ctx, o.sam, o.sam.Person, access.Admin, "myself"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("one's own role: %v", err)
	}
	// One who was ended, or whose group means nothing, is none who is left.
	carl := o.person("carl", o.here, "admins")
	o.behind(`UPDATE person SET ended_at = now() WHERE person_id = $1`, carl)
	o.person("dora", o.here, "another-group")
	if _, err := k.Revoke(ctx, ines, o.sam.Person, access.Admin, "me too"); !fault.Is(err, fault.Conflict) {
		t.Errorf("with one who was ended and one without a group: %v", err)
	}
	o.behind(`INSERT INTO member_role (tenant_id, person_id, role, way) VALUES ($1, $2, 'admin', 'granted')`, o.here, o.person("eve", o.here, "another-group"))
	if _, err := k.Revoke(ctx, ines, o.sam.Person, access.Admin, "eve does it"); err != nil {
		t.Errorf("with one by name: %v", err)
	}
}

func TestEachChangeOfAnAdministratorIsRecordedAndReachesNoOtherHospital(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	there := pgtest.AddTenant(t, o.db, "there")
	stranger := o.person("stranger", there, "admins")
	_, key := pgtest.AddToken(t, o.db, there, access.Placer)
	_, own := pgtest.AddToken(t, o.db, o.here, access.Placer)
	for _, tenant := range []uuid.UUID{o.here, there} {
		o.behind(`INSERT INTO destination (tenant_id, destination, base_url) VALUES ($1, 'ehr', 'https://ehr.example/fhir')`, tenant)
	}
	_, public, err := administration.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	c := administration.Client{Name: "one", Role: access.Placer, Scopes: "system/Task.rs", JWKS: &public}
	theirs := o.sam
	theirs.Actor.Tenant = there
	foreign := administration.Client{Name: "theirs", Role: access.Placer, Scopes: "system/Task.rs", JWKS: &public}
	if err := k.AddClient(ctx, theirs, &foreign); err != nil {
		t.Fatal(err)
	}
	o.told = nil
	for _, err := range []error{
		k.AddClient(ctx, o.sam, &c),
		k.RotateClient(ctx, o.sam, c.ClientID, &public, nil),
		k.RevokeClient(ctx, o.sam, c.ClientID),
		k.Pause(ctx, o.sam, "ehr", "an upgrade"),
		k.Resume(ctx, o.sam, "ehr"),
		k.AddLaunch(ctx, o.sam, administration.Launch{Issuer: "https://ehr.example/fhir", ClientID: "x", Authentication: "public", Scopes: "launch"}),
		k.Grant(ctx, o.sam, o.ines, access.Auditor, "helps"),
		k.AddGroup(ctx, o.sam, administration.Group{Provider: "idp", ClaimValue: "g", Role: access.Auditor}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := k.RevokeKeys(ctx, o.sam, own.ID); err != nil {
		t.Error(err)
	}
	if _, err := k.RemoveLaunch(ctx, o.sam, "https://ehr.example/fhir"); err != nil {
		t.Error(err)
	}
	if _, err := k.RemoveGroup(ctx, o.sam, administration.Group{Provider: "idp", ClaimValue: "g", Role: access.Auditor}); err != nil {
		t.Error(err)
	}
	want := []string{"client-added", "client-changed", "client-revoked", "destination-paused", "destination-resumed", "issuer-listed", "role-granted", "group-set", "tokens-revoked", "issuer-removed", "group-removed"}
	if diff := cmp.Diff(want, o.kinds()); diff != "" {
		t.Errorf("recorded: %s", diff)
	}

	refused := map[string]error{
		"rotate": k.RotateClient(ctx, o.sam, foreign.ClientID, &public, nil),
		"revoke": k.RevokeClient(ctx, o.sam, foreign.ClientID),
		"grant":  k.Grant(ctx, o.sam, stranger, access.Auditor, "x"),
	}
	_, refused["keys"] = k.RevokeKeys(ctx, o.sam, key.ID)
	_, refused["role"] = k.Revoke(ctx, o.sam, stranger, access.Admin, "x")
	_, refused["member"] = k.Member(ctx, o.here, stranger)
	for what, err := range refused {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s of another hospital: %v", what, err)
		}
	}
	if len(o.told) > 0 {
		t.Errorf("what was refused is recorded: %v", o.kinds())
	}
	if ends, err := k.Endpoints(ctx, there); err != nil || ends[0].PausedAt != nil {
		t.Errorf("the endpoint of the other hospital: %v %v", ends, err)
	}
}

func TestWhatIsWrongIsSaidWithItsField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k, ctx := o.keeper, t.Context()
	private, public, err := administration.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	private = `{"keys":[` + private + `]}`
	inner, plain := "https://user:pw@ehr.example/jwks", "ftp://ehr.example/jwks"
	for field, c := range map[string]administration.Client{
		"name": {Scopes: "system/Task.rs", JWKS: &public}, "scope": {Name: "x", Scopes: "everything", JWKS: &public},
		"jwks": {Name: "x", Scopes: "system/Task.rs"}, "jwks-url": {Name: "x", Scopes: "system/Task.rs", JWKSURL: &inner},
	} {
		c.Role = access.Placer
		wantField(t, k.AddClient(ctx, o.sam, &c), field)
	}
	wantField(t, k.AddClient(ctx, o.sam, &administration.Client{Name: "x", Scopes: "system/Task.rs", JWKS: &private}), "jwks")
	wantField(t, k.AddClient(ctx, o.sam, &administration.Client{Name: "x", Scopes: "system/Task.rs", JWKSURL: &plain}), "jwks-url")
	wantField(t, k.Pause(ctx, o.sam, "ehr", "  "), "reason")
	wantField(t, k.Grant(ctx, o.sam, o.ines, "king", "x"), "role")
	wantField(t, k.Grant(ctx, o.sam, o.ines, access.Reader, "x"), "role") // rests on credentials
	wantField(t, k.AddGroup(ctx, o.sam, administration.Group{Provider: "idp", Role: access.Auditor}), "value")
	if len(o.told) > 0 {
		t.Errorf("recorded: %v", o.kinds())
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	refused, ok := err.(*fault.Error) //nolint:errorlint // it is not wrapped
	if !ok || refused.Issues[0].Expression != field || refused.Issues[0].Text == "" {
		t.Errorf("%v, want a refusal about %s", err, field)
	}
}

// Nothing is asked of what the fence forbids, and no secret goes along where it is asked.
func TestATrialOfAnEndpointGoesThroughTheFenceAndWithoutASecret(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	asked := make(chan *http.Request, 10)
	body := `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","software":{"name":"Some EHR","version":"7"}}`
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	o.behind(`INSERT INTO destination (tenant_id, destination, base_url, token_file) VALUES ($1, 'ehr', $2, '/etc/hostname'), ($1, 'gone', 'http://127.0.0.1:1/fhir', NULL)`, o.here, server.URL+"/fhir")
	try := func(k administration.Keeper, name string) administration.Trial {
		got, err := k.Try(t.Context(), o.sam, name)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := try(o.keeper, "ehr")
	if r := <-asked; r.Header.Get("Authorization") != "" || r.URL.Path != "/fhir/metadata" || got.Outcome != "answers" || got.FHIR != "4.0.1" || got.Software != "Some EHR 7" {
		t.Errorf("%s %v: %+v", r.URL, r.Header, got)
	}
	status = http.StatusUnauthorized
	if got := try(o.keeper, "ehr"); got.Outcome != "asks" || got.Status != http.StatusUnauthorized {
		t.Errorf("%+v", got)
	}
	status, body = http.StatusOK, "<html>a proxy</html>"
	if got := try(o.keeper, "ehr"); got.Outcome != "other" {
		t.Errorf("%+v", got)
	}
	if got := try(o.keeper, "gone"); got.Outcome != "unreachable" {
		t.Errorf("%+v", got)
	}
	before := len(asked)
	fenced := o.keeper
	var err error
	if fenced.Guard, err = outbound.New(outbound.Settings{}); err != nil {
		t.Fatal(err)
	}
	if got := try(fenced, "ehr"); got.Outcome != "fenced" || got.Why == "" || len(asked) != before {
		t.Errorf("%+v, asked: %v", got, len(asked) != before)
	}
	if kinds := o.kinds(); len(kinds) != 5 || slices.ContainsFunc(kinds, func(k string) bool { return k != "destination-tried" }) {
		t.Errorf("recorded: %v", kinds)
	}
	if _, err := o.keeper.Try(t.Context(), o.sam, "none"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestHealthTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	of := func() map[string]administration.Verdict {
		h, err := o.keeper.Health(ctx, o.here)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]administration.Verdict{}
		for _, v := range h.Vitals {
			all[strings.TrimSpace(v.Kind+" "+v.Of)] = v.Verdict
		}
		return all
	}
	if got := of(); got["replicas"] != administration.Fail || got["outbox"] != administration.Warn { // no server, no endpoint
		t.Errorf("%v", got)
	}
	free, size := int64(1), int64(100)
	r := administration.Replica{ReplicaID: uuid.New(), Host: "one", Version: "1", DiskFree: &free, DiskSize: &size}
	if err := r.Say(ctx, o.db.DB); err != nil {
		t.Fatal(err)
	}
	o.behind(`INSERT INTO destination (tenant_id, destination, base_url) VALUES ($1, 'ehr', 'https://ehr.example/fhir')`, o.here)
	o.behind(`INSERT INTO pacs (tenant_id, pacs, base_url, breaker_until) VALUES ($1, 'archive', 'https://pacs.example/x', now() + interval '1 hour')`, o.here)
	want := map[string]administration.Verdict{"database": "ok", "schema": "ok", "disk": "ok", "disk one": "fail", "replicas": "ok", "agenda": "ok", "outbox ehr": "ok",
		"pacs archive": "fail", "mail": "ok", "audit-log": "ok", "checkpoints": "ok"}
	if diff := cmp.Diff(want, of()); diff != "" {
		t.Error(diff)
	}
	o.behind(`UPDATE replica SET seen_at = now() - interval '2 minutes'`)
	if err := (&administration.Replica{ReplicaID: uuid.New(), Host: "two", Version: "1"}).Say(ctx, o.db.DB); err != nil {
		t.Fatal(err)
	}
	if got := of(); got["replicas"] != administration.Warn {
		t.Errorf("one went without a word: %v", got)
	}
	if err := r.Leave(ctx, o.db.DB); err != nil {
		t.Fatal(err)
	}
	if got := of(); got["replicas"] != administration.OK {
		t.Errorf("it left in order: %v", got)
	}
}
