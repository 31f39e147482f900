package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/devidp"
)

// The demo has an identity provider of its own, of which only the demo knows: it
// asks for no password. Everything between it and the server is as with any other.

// demoProvider is what it is called here.
const demoProvider = "demo"

// demoOperator has the pages of the installation.
const demoOperator = "vance"

// demoRoles are what the groups of the demo's provider mean.
var demoRoles = []meaning{
	{Value: "readers", Tenant: "mercy", Role: access.Reader}, {Value: "readers", Tenant: "lakeside", Role: access.Reader},
	{Value: "adjudicators", Tenant: "mercy", Role: access.Adjudicator}, {Value: "adjudicators", Tenant: "lakeside", Role: access.Adjudicator},
	{Value: "supervisors", Tenant: "mercy", Role: access.Supervisor}, {Value: "supervisors", Tenant: "lakeside", Role: access.Supervisor},
	{Value: "mercy-coordinators", Tenant: "mercy", Role: access.Coordinator}, {Value: "lakeside-coordinators", Tenant: "lakeside", Role: access.Coordinator},
	{Value: "mercy-directors", Tenant: "mercy", Role: access.Director}, {Value: "mercy-auditors", Tenant: "mercy", Role: access.Auditor},
	{Value: "mercy-quality", Tenant: "mercy", Role: access.Quality}, {Value: "mercy-admins", Tenant: "mercy", Role: access.Admin},
}

// demoPersons are those of the desks; radiologists come from the table of readers.
var demoPersons = []devidp.Person{
	{Subject: "brooks", Name: "Maya Brooks", About: "coordinator at Mercy", Groups: []string{"mercy-coordinators"}},
	{Subject: "reyes", Name: "Tomás Reyes", About: "coordinator at both hospitals", Groups: []string{"mercy-coordinators", "lakeside-coordinators"}},
	{Subject: "sorensen", Name: "Dr. Helle Sørensen", About: "medical director of Mercy", Groups: []string{"mercy-directors"}},
	{Subject: "costa", Name: "Ana Costa", About: "quality, at Mercy", Groups: []string{"mercy-quality"}},
	{Subject: "nowak", Name: "Piotr Nowak", About: "auditor of Mercy", Groups: []string{"mercy-auditors"}},
	{Subject: "lee", Name: "Sam Lee", About: "admin of Mercy", Groups: []string{"mercy-admins"}},
	{Subject: "albrecht", Name: "Ines Albrecht", About: "admin of Mercy too", Groups: []string{"mercy-admins"}},
	{Subject: demoOperator, Name: "Ruth Vance", About: "admin of Lakeside; operates the installation", Groups: []string{"computing"}},
	{Subject: "doe", Name: "Jo Doe", About: "nobody whom Overread knows", Groups: []string{"canteen"}},
}

// persons are all whom a visitor of the demo can be.
func persons() (all []devidp.Person) {
	for _, r := range radiologists {
		p := devidp.Person{Subject: r.name, Name: "Dr. " + r.given + " " + r.family, Groups: []string{"readers"}}
		about := []string{"reader"}
		if r.credential.MayAdjudicate {
			p.Groups, about = append(p.Groups, "adjudicators"), append(about, "adjudicator")
		}
		if r.credential.MaySupervise {
			p.Groups, about = append(p.Groups, "supervisors"), append(about, "supervisor")
		}
		if r.credential.Trainee {
			about = append(about, "in training")
		}
		p.About = strings.Join(about, ", ") + " at both hospitals: " + strings.Join(r.credential.Subspecialties, ", ")
		all = append(all, p)
	}
	return append(all, demoPersons...)
}

// identityProvider is the provider where it listens.
type identityProvider struct {
	issuer string
	server *http.Server
}

// startProvider starts it for a server whose pages are at root, and makes it known
// there. Its address may differ from run to run; its persons stay who they are.
func (c *demoCmd) startProvider(ctx context.Context, o *overread, root string) (*identityProvider, error) {
	listener, err := listenOrFree(ctx, c.IDPListen)
	if err != nil {
		return nil, badSetting("idp-listen", "%w", err)
	}
	p := &identityProvider{issuer: "http://" + listener.Addr().String()}
	secret := access.NewToken()
	if err := errors.Join(os.WriteFile(c.path("idp-secret"), []byte(secret+"\n"), 0o600), c.knowProvider(ctx, o, p.issuer)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	at, err := devidp.New(p.issuer, devidp.Client{ID: "overread", Secret: secret, Redirects: []string{o.people.login.Callback(demoProvider)}, AfterLogout: []string{root + "/signed-out"}}, persons(), time.Now)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.server = &http.Server{Handler: at.Handler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (c *demoCmd) knowProvider(ctx context.Context, o *overread, issuer string) error {
	err := o.db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH moved AS (
				UPDATE provider p
				SET issuer = @issuer
				FROM provider was
				WHERE p.name = @name AND was.name = p.name
				RETURNING was.issuer)
			UPDATE person SET issuer = @issuer WHERE issuer IN (SELECT issuer FROM moved)`,
			pgx.NamedArgs{"name": demoProvider, "issuer": issuer})
		return err
	})
	if err != nil {
		return err
	}
	file := c.path("idp-secret")
	row := providerRow{Name: demoProvider, Issuer: issuer, Display: "The hospitals’ sign-in (demo)", ClientID: "overread", SecretFile: &file,
		Scopes: "openid profile", RolesClaim: "groups", Roles: slices.Clone(demoRoles)}
	if err := addProvider(ctx, o.db, &row); err != nil {
		return err
	}
	for _, r := range radiologists {
		id := readerID(r.name)
		if err := addPerson(ctx, o.db, demoProvider, &personRow{Subject: r.name, ReaderID: &id}); err != nil {
			return err
		}
	}
	by, err := operatorAt(ctx, o.db, "lakeside")
	if err != nil {
		return err
	}
	const reason = "the demo shows what operators do"
	id, err := office(o.db).Invite(ctx, by, administration.Newcomer{Provider: demoProvider, Subject: demoOperator, Display: "Ruth Vance"}, access.Admin, reason)
	if err == nil {
		_, err = office(o.db).Appoint(ctx, operatorOfAll(), id, reason, 365*24*time.Hour)
	}
	return err
}

// readerID is the id that a radiologist of the demo has at both hospitals.
func readerID(name string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://overread.org/demo/reader/"+name))
}
