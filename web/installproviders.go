package web

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
)

// providerView is the page of an identity provider, or of one that is added.
type providerView struct {
	stewardPage
	administration.IdentityProvider

	Known bool
	Root  string // of the pages: what is registered at the provider
}

func (s *Server) newProvider(c echo.Context, as steward) error {
	v := providerView{stewardPage: s.stewardPage(c, as), Root: s.Root}
	v.Scopes, v.RolesClaim = "openid profile", "groups"
	return s.stewardReply(c, as, http.StatusOK, "installprovider", "Add an identity provider", &v)
}

func (s *Server) providerView(c echo.Context, as steward) (v providerView, err error) {
	v = providerView{stewardPage: s.stewardPage(c, as), Root: s.Root, Known: true}
	all, err := s.Desk.Admin.IdentityProviders(c.Request().Context())
	if err != nil {
		return v, err
	}
	i := slices.IndexFunc(all, func(p administration.IdentityProvider) bool { return p.Name == c.Param("provider") })
	if i < 0 {
		return v, fault.New(fault.NotFound, "There is no such identity provider.")
	}
	v.IdentityProvider = all[i]
	return v, nil
}

func (s *Server) providerPage(c echo.Context, as steward) error {
	v, err := s.providerView(c, as)
	if err != nil {
		return err
	}
	return s.stewardReply(c, as, http.StatusOK, "installprovider", "Identity provider", &v)
}

// setProvider adds one or changes it. The file of its secret is named at the command line,
// and stays as it is.
func (s *Server) setProvider(c echo.Context, as steward) error {
	ctx := c.Request().Context()
	v := providerView{stewardPage: s.stewardPage(c, as), Root: s.Root, Known: c.FormValue("known") == "yes", IdentityProvider: administration.IdentityProvider{
		Name: c.FormValue("name"), Issuer: c.FormValue("issuer"), Display: c.FormValue("display"), ClientID: c.FormValue("client-id"), Scopes: c.FormValue("scopes"), RolesClaim: c.FormValue("roles-claim")}}
	now, err := s.Desk.Admin.CheckProvider(ctx, &v.IdentityProvider)
	if err == nil && !v.Known && now.Name != "" {
		err = fault.At(fault.Conflict, "name", "There is a provider of this name already: choose another name, or change that one.")
	}
	v.SecretFile, v.Roles, v.People = now.SecretFile, now.Roles, now.People
	if err == nil && confirmed(c) {
		row := v.IdentityProvider
		row.Roles = nil // they stay
		if err = s.Desk.Admin.AddProvider(ctx, as.by, &row); err == nil {
			return s.stewardGoes(c, "/providers/"+row.Name, "provider-set")
		}
	}
	if err != nil {
		return s.stewardAgain(c, as, err, "installprovider", "Identity provider", &v.Wrong, &v)
	}
	ask := confirmation{Title: "Put this identity provider in force?", Message: "It says who people are, for every hospital at which its groups mean a role. Every hospital’s audit log says that it was set.",
		Lines: []change{{Title: "Short name", Before: now.Name, After: v.Name}, {Title: "Issuer", Before: now.Issuer, After: v.Issuer}, {Title: "Name for people", Before: now.Display, After: v.Display},
			{Title: "Client id of Overread there", Before: now.ClientID, After: v.ClientID}, {Title: "Scopes", Before: now.Scopes, After: v.Scopes}, {Title: "Claim that lists a person’s groups", Before: now.RolesClaim, After: v.RolesClaim}},
		Fields: fieldsOf(c, "known", "name", "issuer", "display", "client-id", "scopes", "roles-claim"), Action: v.At + "/providers", Back: v.At, Button: caution{Message: "Put it in force"}, Danger: true}
	if now.Name == "" {
		ask.Notes = []caution{{Message: "It is offered to everybody at the sign-in page. It lets nobody in by itself: administrators say what its groups mean at their hospital. Whoever runs it can take any name that it knows: add only one that you trust with that."}}
	}
	return s.stewardAsks(c, as, ask)
}

func (s *Server) removeProvider(c echo.Context, as steward) error {
	v, err := s.providerView(c, as)
	if err != nil {
		return err
	}
	if v.Issuer == as.session.Issuer {
		err = fault.New(fault.Conflict, "You signed in by this provider, and would have no way back. Sign in by another one, or remove it at the command line: overread provider remove.")
		return s.stewardAgain(c, as, err, "installprovider", "Identity provider", &v.Wrong, &v)
	}
	if confirmed(c) {
		if _, err := s.Desk.Admin.RemoveProvider(c.Request().Context(), as.by, v.Name); err != nil {
			return err
		}
		return s.stewardGoes(c, "", "provider-removed")
	}
	return s.stewardAsks(c, as, confirmation{Title: "Remove this identity provider?", Message: "Whoever signed in by it is signed out at once and does not come in again by it. What its groups mean at all hospitals is forgotten; people stay known, as what they did names them.",
		Lines:  []change{{Title: "Identity provider", Before: v.Display}, {Title: "Issuer", Before: v.Issuer}, {Title: "People known by it", Before: strconv.Itoa(v.People)}, {Title: "Groups with a role", Before: strconv.Itoa(len(v.Roles))}},
		Action: v.At + "/providers/" + v.Name + "/remove", Back: v.At + "/providers/" + v.Name, Button: caution{Message: "Remove it"}, Danger: true})
}
