package web

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
)

// usualScopes are what systems are mostly registered for.
var usualScopes = []struct{ Code, Words, Scopes string }{
	{"orders", "An EHR that orders second opinions and reads what comes of them", "system/*.rs system/Patient.cu system/Practitioner.cu system/Organization.cu system/ImagingStudy.cu system/DiagnosticReport.cu system/Observation.cu system/ServiceRequest.cu system/Task.u system/Communication.c"},
	{"reads", "A system that reads reports and the progress of cases, and changes nothing", "system/Patient.rs system/ServiceRequest.rs system/ImagingStudy.rs system/DiagnosticReport.rs system/Observation.rs system/Task.rs"},
	{"progress", "A system that reads how cases progress, and no report", "system/ServiceRequest.rs system/Task.rs"},
}

// permission is what scopes allow, for people.
type permission struct {
	Type  string   // "" for all that the role may
	May   []string // codes of rightWords
	Query string   // only what meets it
}

// rights are scopes in an order that people can read.
func rights(scopes string) (all []permission) {
	grant, err := access.ParseGrant(scopes)
	if err != nil {
		return nil
	}
	for area, letters := range grant {
		r := permission{Type: area.Type, Query: area.Query}
		if r.Type == "*" {
			r.Type = ""
		}
		for _, letter := range letters {
			r.May = append(r.May, string(letter))
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b permission) int { return strings.Compare(a.Type+"?"+a.Query, b.Type+"?"+b.Query) })
	return all
}

// systemsView is the page of systems and keys.
type systemsView struct {
	adminPage

	Clients  []administration.Client // in force
	Revoked  []administration.Client
	Keys     []administration.Key
	Launches []administration.Launch
}

// Rights are those of scopes.
func (systemsView) Rights(scopes string) []permission { return rights(scopes) }

func (s *Server) systems(c echo.Context, at seat) error {
	ctx, tenant := c.Request().Context(), at.place.Tenant
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := systemsView{adminPage: page}
	all, err := s.Desk.Admin.Clients(ctx, tenant)
	if err != nil {
		return err
	}
	for _, client := range all {
		if client.RevokedAt == nil {
			v.Clients = append(v.Clients, client)
		} else {
			v.Revoked = append(v.Revoked, client)
		}
	}
	if v.Keys, err = s.Desk.Admin.Keys(ctx, tenant); err != nil {
		return err
	}
	if v.Launches, err = s.Desk.Admin.Launches(ctx, tenant); err != nil {
		return err
	}
	return s.show(c, at, "adminsystems", "Systems and keys", v)
}

// keysForm is the part of a form that says where a system's keys are.
type keysForm struct {
	From    string // make, paste or address
	JWKS    string
	JWKSURL string
}

func keysOf(c echo.Context) keysForm {
	return keysForm{c.FormValue("keys"), c.FormValue("jwks"), strings.TrimSpace(c.FormValue("jwks-url"))}
}

// keys are the keys that the form means; private is the half that is shown once, where
// the form asks for a new pair.
func (f keysForm) keys() (jwks, address *string, private string, err error) {
	switch f.From {
	case "make":
		secret, public, err := administration.NewKeys()
		return &public, nil, secret, err
	case "paste":
		return &f.JWKS, nil, "", nil
	case "address":
		return nil, &f.JWKSURL, "", nil
	}
	return nil, nil, "", fault.At(fault.Required, "keys", "Choose where the keys of the system are.")
}

// systemView is the page of one system, or of one that is to be registered.
type systemView struct {
	adminPage
	keysForm

	Client  administration.Client
	Usual   string // which of usualScopes; "own" for those that are written
	Written string
}

// Usuals are what systems are mostly registered for.
func (systemView) Usuals() any { return usualScopes }

// Rights are those of the client.
func (v systemView) Rights() []permission { return rights(v.Client.Scopes) }

func (s *Server) newSystem(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminnewsystem", "Register a system", systemView{adminPage: page, Usual: "orders", keysForm: keysForm{From: "make"}})
}

// addSystem registers a system in the role of a placer: those of other roles are
// registered by the operator (decision 19).
func (s *Server) addSystem(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := systemView{adminPage: page, keysForm: keysOf(c), Usual: c.FormValue("usual"), Written: c.FormValue("scope")}
	v.Client = administration.Client{Name: c.FormValue("name"), Role: access.Placer, Scopes: v.Written}
	for _, u := range usualScopes {
		if u.Code == v.Usual {
			v.Client.Scopes = u.Scopes
		}
	}
	var private string
	v.Client.JWKS, v.Client.JWKSURL, private, err = v.keys()
	if err == nil {
		err = s.Desk.Admin.AddClient(c.Request().Context(), s.by(c, at), &v.Client)
	}
	if err != nil {
		return s.formAgain(c, at, err, "adminnewsystem", "Register a system", &v.Wrong, &v)
	}
	return s.registered(c, at, v, private, "system-added")
}

// registered shows the new private key of a system, this once, or leads to its page.
func (s *Server) registered(c echo.Context, at seat, v systemView, private, done string) error {
	if private == "" {
		return s.goes(c, at, "/systems/"+v.Client.ClientID.String(), done)
	}
	return s.show(c, at, "adminsecret", "The private key", struct {
		adminPage

		Client  administration.Client
		Private string
		Token   string // where the system gets its tokens
	}{v.adminPage, v.Client, private, s.Desk.Admin.TokenAt})
}

// formAgain shows a form anew with what is wrong, and all that was written. page is a
// pointer to the view that has the place for it.
func (s *Server) formAgain(c echo.Context, at seat, err error, name, title string, place *wrong, page any) error {
	said, status, err := refusalOf(err)
	if err != nil {
		return err
	}
	*place = said
	return s.reply(c, status, name, View{Title: title, Session: at.session, Place: &at.place, Data: page})
}

// systemAt is the system of the address.
func (s *Server) systemAt(c echo.Context, at seat) (v systemView, err error) {
	if v.adminPage, err = s.adminPage(c, at); err != nil {
		return v, err
	}
	all, err := s.Desk.Admin.Clients(c.Request().Context(), at.place.Tenant)
	if err != nil {
		return v, err
	}
	i := slices.IndexFunc(all, func(one administration.Client) bool { return one.ClientID.String() == c.Param("client") })
	if i < 0 {
		return v, fault.New(fault.NotFound, "There is no such system here.")
	}
	v.Client, v.From = all[i], "make"
	return v, nil
}

func (s *Server) system(c echo.Context, at seat) error {
	v, err := s.systemAt(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminsystem", "System", &v)
}

func (s *Server) rotateSystem(c echo.Context, at seat) error {
	v, err := s.systemAt(c, at)
	if err != nil {
		return err
	}
	v.keysForm = keysOf(c)
	jwks, address, private, err := v.keys()
	if err == nil {
		err = s.Desk.Admin.RotateClient(c.Request().Context(), s.by(c, at), v.Client.ClientID, jwks, address)
	}
	if err != nil {
		return s.formAgain(c, at, err, "adminsystem", "System", &v.Wrong, &v)
	}
	return s.registered(c, at, v, private, "system-rotated")
}

func (s *Server) revokeSystem(c echo.Context, at seat) error {
	v, err := s.systemAt(c, at)
	if err == nil {
		err = s.Desk.Admin.RevokeClient(c.Request().Context(), s.by(c, at), v.Client.ClientID)
	}
	if err != nil {
		return err
	}
	return s.goes(c, at, "/systems", "system-revoked")
}

func (s *Server) revokeKeys(c echo.Context, at seat) error {
	id, err := uuid.Parse(c.FormValue("actor"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such key.")
	}
	if _, err := s.Desk.Admin.RevokeKeys(c.Request().Context(), s.by(c, at), id); err != nil {
		return err
	}
	return s.goes(c, at, "/systems", "keys-revoked")
}

// launchView is the form by which an EHR is listed.
type launchView struct {
	adminPage

	Issuer, ClientID, Origins string
	Root                      string // of the pages: what is registered at the EHR
}

func (s *Server) newLaunch(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminnewlaunch", "List an EHR", launchView{adminPage: page, Root: s.Root})
}

// addLaunch lists an EHR at which Overread is a public client: secrets and keys are
// files on the server, and named by its operator.
func (s *Server) addLaunch(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := launchView{page, strings.TrimSpace(c.FormValue("issuer")), c.FormValue("client-id"), c.FormValue("frame-origin"), s.Root}
	row := administration.Launch{Issuer: v.Issuer, ClientID: v.ClientID, Authentication: "public", Scopes: s.Desk.Admin.LaunchScopes, FrameOrigins: strings.Fields(v.Origins)}
	known, err := s.Desk.Admin.Launches(c.Request().Context(), at.place.Tenant)
	if err == nil && slices.ContainsFunc(known, func(l administration.Launch) bool { return l.Issuer == row.Issuer && l.Authentication != "public" }) {
		err = fault.At(fault.Conflict, "issuer", "This EHR is listed with a secret or a key of ours, which this form would take away. The operator changes it: overread issuer add.")
	}
	if err == nil {
		err = s.Desk.Admin.AddLaunch(c.Request().Context(), s.by(c, at), row)
	}
	if err != nil {
		return s.formAgain(c, at, err, "adminnewlaunch", "List an EHR", &v.Wrong, &v)
	}
	return s.goes(c, at, "/systems", "launch-added")
}

func (s *Server) removeLaunch(c echo.Context, at seat) error {
	if _, err := s.Desk.Admin.RemoveLaunch(c.Request().Context(), s.by(c, at), c.FormValue("issuer")); err != nil {
		return err
	}
	return s.goes(c, at, "/systems", "launch-removed")
}
