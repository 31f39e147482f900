package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/internal/tenant"
)

// The rooms of the installation: hospitals and identity providers. They are of no hospital
// and no role; who has them was named at the command line, for a time, and is asked for with
// each request and again in each transaction (internal/administration/installation.go). To
// everybody else there are no such pages.

// freshSignIn is how long ago somebody may have signed in who changes anything here.
const freshSignIn = 30 * time.Minute

// steward is somebody at these rooms.
type steward struct {
	session *session.Session
	by      administration.By
	till    time.Time // their office ends
}

func (s *Server) installationRoutes() []route {
	in := func(method, path string, handle func(c echo.Context, as steward) error) route {
		return route{method, "/installation" + path, true, s.asSteward(handle)}
	}
	return []route{
		in(http.MethodGet, "", s.installation),
		in(http.MethodGet, "/hospitals/new", s.newHospital),
		in(http.MethodPost, "/hospitals", s.addHospital),
		in(http.MethodGet, "/hospitals/:tenant", s.hospitalPage),
		in(http.MethodPost, "/hospitals/:tenant/settings", s.changeHospital),
		in(http.MethodPost, "/hospitals/:tenant/suspend", s.suspendHospital),
		in(http.MethodPost, "/hospitals/:tenant/resume", s.resumeHospital),
		in(http.MethodPost, "/hospitals/:tenant/administrators", s.firstAdministrators),
		in(http.MethodGet, "/providers/new", s.newProvider),
		in(http.MethodPost, "/providers", s.setProvider),
		in(http.MethodGet, "/providers/:provider", s.providerPage),
		in(http.MethodPost, "/providers/:provider/remove", s.removeProvider),
	}
}

// asSteward lets those in who are named, and nothing be changed by who signed in long ago:
// a browser that somebody left open is not enough.
func (s *Server) asSteward(handle func(c echo.Context, as steward) error) handler {
	return func(c echo.Context, found *session.Session) error {
		is, till, err := s.Desk.Admin.Operates(c.Request().Context(), found.PersonID)
		if err != nil {
			return err
		}
		if !is {
			return fault.New(fault.NotFound, "There is no such page, or not in your role.")
		}
		if changes(c.Request()) && s.Now().Sub(found.OpenedAt) > freshSignIn {
			return fault.New(fault.Forbidden, "You signed in more than half an hour ago. What concerns the whole installation wants a fresh sign-in: sign out, sign in, and do it again. Nothing was done.")
		}
		from := s.caller(c)
		actor := access.Actor{ID: found.PersonID, Role: access.Operator, Display: found.Display, Token: access.SessionURN(found.ID)}
		return handle(c, steward{found, administration.By{Actor: actor, Person: found.PersonID, Client: from.Address, RequestID: from.RequestID}, till})
	}
}

// stewardPage is what these pages have in common.
type stewardPage struct {
	At    string
	Till  time.Time
	Done  string
	Wrong wrong
}

func (s *Server) stewardPage(c echo.Context, as steward) stewardPage {
	return stewardPage{At: s.prefix + "/installation", Till: as.till, Done: adminDone[c.QueryParam("done")]}
}

func (s *Server) stewardReply(c echo.Context, as steward, status int, name, title string, data any) error {
	return s.reply(c, status, name, View{Title: title, Session: as.session, Data: data})
}

// stewardAgain shows a form anew with what is wrong.
func (s *Server) stewardAgain(c echo.Context, as steward, err error, name, title string, place *wrong, page any) error {
	said, status, err := refusalOf(err)
	if err != nil {
		return err
	}
	*place = said
	return s.stewardReply(c, as, status, name, title, page)
}

func (s *Server) stewardGoes(c echo.Context, path, done string) error {
	return c.Redirect(http.StatusSeeOther, s.prefix+"/installation"+path+"?done="+done)
}

func (s *Server) stewardAsks(c echo.Context, as steward, ask confirmation) error {
	return s.stewardReply(c, as, http.StatusOK, "adminconfirm", ask.Title, ask)
}

// installation is the first of the pages.
func (s *Server) installation(c echo.Context, as steward) error {
	ctx := c.Request().Context()
	v := struct {
		stewardPage

		Tenants   []tenant.Row
		Providers []administration.IdentityProvider
		Operators []administration.Operator
		Me        any
	}{stewardPage: s.stewardPage(c, as), Me: as.session.PersonID}
	var err error
	if v.Tenants, err = s.Desk.Admin.Tenants(as.by).List(ctx); err != nil {
		return err
	}
	if v.Providers, err = s.Desk.Admin.IdentityProviders(ctx); err != nil {
		return err
	}
	if v.Operators, err = s.Desk.Admin.Operators(ctx); err != nil {
		return err
	}
	return s.stewardReply(c, as, http.StatusOK, "installation", "Installation", &v)
}

// newHospitalView is the form of a hospital that is added.
type newHospitalView struct {
	stewardPage
	administration.NewTenant
}

func (s *Server) newHospital(c echo.Context, as steward) error {
	return s.stewardReply(c, as, http.StatusOK, "installnewhospital", "Add a hospital", &newHospitalView{stewardPage: s.stewardPage(c, as)})
}

func (s *Server) addHospital(c echo.Context, as steward) error {
	v := newHospitalView{s.stewardPage(c, as), administration.NewTenant{Name: c.FormValue("name"), Display: c.FormValue("display"), EHRBase: c.FormValue("ehr-base"), OwnIDs: c.FormValue("creates") == "no"}}
	ctx := c.Request().Context()
	err := v.Check()
	if err == nil && confirmed(c) {
		if err = s.Desk.Admin.AddTenant(ctx, as.by, &v.NewTenant); err == nil {
			return s.stewardGoes(c, "/hospitals/"+v.Name, "tenant-added")
		}
	}
	if err == nil {
		err = s.nameIsFree(c, as, v.Name)
	}
	if err != nil {
		return s.stewardAgain(c, as, err, "installnewhospital", "Add a hospital", &v.Wrong, &v)
	}
	in := languageOf(c.Request())
	ids := in.say("creates it")
	if v.OwnIDs {
		ids = in.say("is refused")
	}
	return s.stewardAsks(c, as, confirmation{Title: "Add this hospital?", Message: "It begins with the defaults of the policy, which its administrators change. It cannot be removed, only suspended or moved.",
		Lines:  []change{{Title: "Short name", After: v.Name}, {Title: "Name for people", After: v.Display}, {Title: "Base of its EHR", After: v.EHRBase}, {Title: "When the EHR sends a resource under an id that is new here (PUT)", After: ids}},
		Fields: fieldsOf(c, "name", "display", "ehr-base", "creates"), Action: v.At + "/hospitals", Back: v.At, Button: caution{Message: "Add the hospital"}})
}

func (s *Server) nameIsFree(c echo.Context, as steward, name string) error {
	all, err := s.Desk.Admin.Tenants(as.by).List(c.Request().Context())
	if err == nil && slices.ContainsFunc(all, func(t tenant.Row) bool { return t.Name == name }) {
		err = fault.At(fault.Conflict, "name", "A hospital of this short name exists already.")
	}
	return err
}

// hospitalView is the page of one hospital.
type hospitalView struct {
	stewardPage

	Row       tenant.Row
	Creates   bool
	Display   string
	Reason    string
	HasAdmins bool
	Provider  string // of the form of its first administrators
	Value     string
	Providers []administration.Provider
	by        administration.By // for this hospital
}

// Here tells whether it may be resumed at a page: one that was moved or copied may be at
// work elsewhere, and only the command line says that it is not.
func (v hospitalView) Here() bool { return v.Row.State == tenant.Suspended }

func (s *Server) hospitalView(c echo.Context, as steward) (v hospitalView, err error) {
	ctx := c.Request().Context()
	v.stewardPage = s.stewardPage(c, as)
	all, err := s.Desk.Admin.Tenants(as.by).List(ctx)
	if err != nil {
		return v, err
	}
	i := slices.IndexFunc(all, func(t tenant.Row) bool { return t.Name == c.Param("tenant") })
	if i < 0 {
		return v, fault.New(fault.NotFound, "There is no such hospital.")
	}
	v.Row, v.by = all[i], as.by.For(all[i].TenantID)
	v.Display = v.Row.Display
	if v.Creates, err = s.Desk.Admin.CreatesByID(ctx, v.Row.TenantID); err != nil {
		return v, err
	}
	if v.HasAdmins, err = s.Desk.Admin.HasAdministrators(ctx, v.Row.TenantID); err != nil {
		return v, err
	}
	v.Providers, err = s.Desk.Admin.Providers(ctx)
	return v, err
}

func (s *Server) hospitalPage(c echo.Context, as steward) error {
	v, err := s.hospitalView(c, as)
	if err != nil {
		return err
	}
	return s.stewardReply(c, as, http.StatusOK, "installhospital", "Hospital", &v)
}

func (s *Server) changeHospital(c echo.Context, as steward) error {
	v, err := s.hospitalView(c, as)
	if err != nil {
		return err
	}
	v.Display, v.Creates = c.FormValue("display"), c.FormValue("creates") == "yes"
	if err := s.Desk.Admin.SetTenant(c.Request().Context(), v.by, administration.TenantSettings{Display: &v.Display, CreatesByID: &v.Creates}); err != nil {
		return s.stewardAgain(c, as, err, "installhospital", "Hospital", &v.Wrong, &v)
	}
	return s.stewardGoes(c, "/hospitals/"+v.Row.Name, "tenant-set")
}

// reasonOf is a reason of the form; it refuses one that says nothing.
func reasonOf(c echo.Context) (string, error) {
	reason := strings.TrimSpace(c.FormValue("reason"))
	if reason == "" || len(reason) > 300 {
		return reason, fault.At(fault.Required, "reason", "Say why: it is kept in the audit log. Name no patient.")
	}
	return reason, nil
}

func (s *Server) suspendHospital(c echo.Context, as steward) error {
	v, err := s.hospitalView(c, as)
	if err != nil {
		return err
	}
	v.Reason, err = reasonOf(c)
	if err == nil && v.Row.State != tenant.Active {
		err = fault.New(fault.Conflict, "The hospital is not at work: somebody may have been faster.")
	}
	if err != nil {
		return s.stewardAgain(c, as, err, "installhospital", "Hospital", &v.Wrong, &v)
	}
	if confirmed(c) {
		if _, err := s.Desk.Admin.Tenants(as.by).Suspend(c.Request().Context(), v.Row.Name, v.Reason); err != nil {
			return err
		}
		return s.stewardGoes(c, "/hospitals/"+v.Row.Name, "tenant-suspended")
	}
	in := languageOf(c.Request())
	return s.stewardAsks(c, as, confirmation{Title: "Suspend this hospital?", Message: "Nobody reads, signs or orders there until it is resumed, and its EHR is answered that it is suspended. Nothing is lost; clocks go on, and what became due is done on resuming.",
		Lines: []change{{Title: "Hospital", Said: v.Row.Display}, {Title: "State", Before: in.say("at work"), After: in.say("suspended")},
			{Title: "Open cases", Said: in.number(v.Row.CasesOpen)}, {Title: "Reason", After: v.Reason}},
		Fields: fieldsOf(c, "reason"), Action: v.At + "/hospitals/" + v.Row.Name + "/suspend", Back: v.At + "/hospitals/" + v.Row.Name, Button: caution{Message: "Suspend it"}, Danger: true})
}

func (s *Server) resumeHospital(c echo.Context, as steward) error {
	v, err := s.hospitalView(c, as)
	if err != nil {
		return err
	}
	v.Reason, err = reasonOf(c)
	if err == nil && !v.Here() {
		err = fault.New(fault.Conflict, "The hospital is not suspended, or may be at work elsewhere: then overread tenant resume says what to look at.")
	}
	if err == nil {
		err = s.Desk.Admin.Tenants(as.by).Resume(c.Request().Context(), v.Row.Name, v.Reason, false)
	}
	if err != nil {
		return s.stewardAgain(c, as, err, "installhospital", "Hospital", &v.Wrong, &v)
	}
	return s.stewardGoes(c, "/hospitals/"+v.Row.Name, "tenant-resumed")
}

func (s *Server) firstAdministrators(c echo.Context, as steward) error {
	v, err := s.hospitalView(c, as)
	if err != nil {
		return err
	}
	v.Provider, v.Value = c.FormValue("provider"), strings.TrimSpace(c.FormValue("value"))
	if confirmed(c) {
		if err = s.Desk.Admin.AddFirstAdministrators(c.Request().Context(), v.by, administration.Group{Provider: v.Provider, ClaimValue: v.Value}); err == nil {
			return s.stewardGoes(c, "/hospitals/"+v.Row.Name, "admins-set")
		}
	} else if v.Value == "" {
		err = fault.At(fault.Required, "value", "Name the group as the provider does, in at most 300 letters.")
	}
	if err != nil {
		return s.stewardAgain(c, as, err, "installhospital", "Hospital", &v.Wrong, &v)
	}
	return s.stewardAsks(c, as, confirmation{Title: "Let this group administer the hospital?", Message: "Its members say who has which role there, and which systems may call. From then on only administrators of the hospital change who administers it.",
		Lines:  []change{{Title: "Hospital", Said: v.Row.Display}, {Title: "Identity provider", After: v.Provider}, {Title: "Group", After: v.Value}},
		Fields: fieldsOf(c, "provider", "value"), Action: v.At + "/hospitals/" + v.Row.Name + "/administrators", Back: v.At + "/hospitals/" + v.Row.Name, Button: caution{Message: "Let them administer it"}, Danger: true})
}
