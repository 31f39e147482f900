package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
)

// Where reports go one administrator proposes and another one decides
// (internal/administration/destination.go).

// endpointForm is the form of an endpoint that is proposed.
type endpointForm struct {
	adminPage

	Known     bool // it is changed, and not new
	Name      string
	Base      string
	Packaging string
	Timeout   string // seconds
	InFlight  string
	Reason    string
	Token     bool // it has a token
}

// Packagings are what may be sent.
func (endpointForm) Packagings() []string { return []string{"transaction", "report"} }

func (s *Server) endpointForm(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := endpointForm{adminPage: page, Packaging: "transaction", Timeout: "10", InFlight: "2"}
	if name := c.QueryParam("endpoint"); name != "" {
		all, err := s.Desk.Admin.Endpoints(c.Request().Context(), at.place.Tenant)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(e administration.Endpoint) bool { return e.Name == name })
		if i < 0 {
			return fault.New(fault.NotFound, "There is no such endpoint.")
		}
		e := all[i]
		v.Known, v.Name, v.Base, v.Packaging, v.Token = true, e.Name, e.BaseURL, e.Packaging, e.Authenticated
		v.Timeout, v.InFlight = inSeconds(e.Timeout), strconv.Itoa(e.InFlightMax)
	}
	return s.show(c, at, "adminendpoint", "Propose an endpoint", &v)
}

func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// destination is what the form says.
func (v endpointForm) destination() (d administration.Destination, err error) {
	d = administration.Destination{Name: v.Name, BaseURL: v.Base, Packaging: v.Packaging}
	seconds, err := strconv.ParseFloat(strings.Replace(v.Timeout, ",", ".", 1), 64)
	if err != nil || !(seconds >= 0 && seconds < 1e6) {
		return d, fault.At(fault.Value, "timeout", "Say in seconds how long an attempt may take.")
	}
	d.Timeout = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	if d.InFlightMax, err = strconv.Atoi(strings.TrimSpace(v.InFlight)); err != nil {
		return d, fault.At(fault.Value, "in-flight-max", "It is not between 1 and 64.")
	}
	return d, nil
}

func (s *Server) proposeEndpoint(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	ctx, by := c.Request().Context(), s.by(c, at)
	v := endpointForm{page, c.FormValue("known") == "yes", strings.TrimSpace(c.FormValue("name")), c.FormValue("base"), c.FormValue("packaging"), c.FormValue("timeout"), c.FormValue("in-flight-max"), c.FormValue("reason"), false}
	d, err := v.destination()
	var p administration.Proposal
	if err == nil {
		p, err = s.Desk.Admin.CheckProposal(ctx, by, d, v.Reason)
	}
	if err == nil && !v.Known && p.Now != "" {
		err = fault.At(fault.Conflict, "name", "There is an endpoint of this name already: choose another name, or change that one.")
	}
	if err == nil && confirmed(c) {
		if err = s.Desk.Admin.Propose(ctx, by, d, v.Reason); err == nil {
			return s.goes(c, at, "/endpoints", "endpoint-proposed")
		}
	}
	if err != nil {
		return s.formAgain(c, at, err, "adminendpoint", "Propose an endpoint", &v.Wrong, &v)
	}
	ask := confirmation{Title: "Propose this endpoint?", Message: "Nothing changes before another administrator has agreed. What was proposed of it before is replaced.",
		Action: page.At + "/endpoints/set", Back: page.At + "/endpoints", Button: caution{Message: "Propose it"},
		Fields: fieldsOf(c, "known", "name", "base", "packaging", "timeout", "in-flight-max", "reason")}
	if ask.Lines, err = s.proposalLines(c, at, p); err != nil {
		return err
	}
	ask.Notes = cautionsOf(p)
	return s.confirm(c, at, ask)
}

// proposalLines are what a proposal changes.
func (s *Server) proposalLines(c echo.Context, at seat, p administration.Proposal) ([]change, error) {
	all, err := s.Desk.Admin.Endpoints(c.Request().Context(), at.place.Tenant)
	if err != nil {
		return nil, err
	}
	in := languageOf(c.Request())
	lines := []change{{Title: "Endpoint", Said: p.Name}, {Title: "Address", Before: p.Now, After: p.BaseURL},
		{Title: "What is sent", After: in.words("packaging", p.Packaging)}, {Title: "Seconds for an attempt", After: inSeconds(p.Timeout)},
		{Title: "At once", After: strconv.Itoa(p.InFlightMax)}, {Title: "Reason", Said: p.Reason}}
	for _, e := range all {
		if e.Name == p.Name {
			lines[2].Before, lines[3].Before, lines[4].Before = in.words("packaging", e.Packaging), inSeconds(e.Timeout), strconv.Itoa(e.InFlightMax)
		}
	}
	return lines, nil
}

// cautionsOf are what somebody ought to know of a proposal.
func cautionsOf(p administration.Proposal) (all []caution) {
	if p.Moves() {
		all = append(all, caution{Message: "All reports of this hospital that are signed from then on go to this address, with what they say of patients. The endpoint begins paused: try the connection, and resume it."})
	}
	if p.LosesToken() {
		all = append(all, caution{Message: "The token of this endpoint is a secret of the server of before, and is not sent to another one. Where the new one wants a token, the operator names its file: overread destination add --token-file."})
	}
	if p.Moves() && strings.HasPrefix(p.BaseURL, "http:") {
		all = append(all, caution{Message: "The address is not encrypted (http): whoever listens on the way can read the reports."})
	}
	return all
}

// agreeEndpoint puts what somebody else has proposed in force.
func (s *Server) agreeEndpoint(c echo.Context, at seat) error {
	ctx, by, name := c.Request().Context(), s.by(c, at), c.FormValue("endpoint")
	if confirmed(c) {
		err := s.Desk.Admin.Agree(ctx, by, name, c.FormValue("base"))
		if err == nil {
			return s.goes(c, at, "/endpoints", "endpoint-set")
		}
		return s.endpointsAgain(c, at, err)
	}
	all, err := s.Desk.Admin.Proposals(ctx, at.place.Tenant)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(p administration.Proposal) bool { return p.Name == name })
	if i < 0 {
		return s.endpointsAgain(c, at, fault.New(fault.Conflict, "This proposal is not there any more: somebody has decided on it."))
	}
	p, root := all[i], s.at(at.place)
	ask := confirmation{Title: "Put this endpoint in force?", Message: "Another administrator has proposed it. Make sure by another way than this page that the address is that of your EHR: ask whoever runs it.",
		Action: root + "/endpoints/agree", Back: root + "/endpoints", Button: caution{Message: "Agree, and put it in force"}, Danger: p.Moves(),
		Fields: []field{{"endpoint", p.Name}, {"base", p.BaseURL}}, Notes: cautionsOf(p)}
	if ask.Lines, err = s.proposalLines(c, at, p); err != nil {
		return err
	}
	ask.Lines = append(ask.Lines, change{Title: "Proposed by", Said: p.ByName})
	return s.confirm(c, at, ask)
}

func (s *Server) withdrawEndpoint(c echo.Context, at seat) error {
	if err := s.Desk.Admin.Withdraw(c.Request().Context(), s.by(c, at), c.FormValue("endpoint")); err != nil {
		return s.endpointsAgain(c, at, err)
	}
	return s.goes(c, at, "/endpoints", "endpoint-withdrawn")
}

// endpointsAgain is the page of endpoints with what was refused.
func (s *Server) endpointsAgain(c echo.Context, at seat, err error) error {
	v, failed := s.endpointsView(c, at)
	if failed != nil {
		return failed
	}
	return s.formAgain(c, at, err, "adminendpoints", "Endpoints", &v.Wrong, &v)
}

// hospitalForm is the form of the hospital's own settings.
type hospitalForm struct {
	adminPage

	Display string
	Creates bool
}

func (s *Server) hospitalForm(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminhospital", "Settings of this hospital", &hospitalForm{page, page.Hospital.Display, page.Hospital.CreatesByID})
}

func (s *Server) setHospital(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := hospitalForm{page, c.FormValue("display"), c.FormValue("creates") == "yes"}
	err = s.Desk.Admin.SetTenant(c.Request().Context(), s.by(c, at), administration.TenantSettings{Display: &v.Display, CreatesByID: &v.Creates})
	if err != nil {
		return s.formAgain(c, at, err, "adminhospital", "Settings of this hospital", &v.Wrong, &v)
	}
	return s.goes(c, at, "/overview", "hospital-set")
}

// readerLink is the form that says which reader somebody is who signs in.
type readerLink struct {
	adminPage

	Provider  string
	Subject   string
	Reader    string
	Providers []administration.Provider
	Seats     []administration.Seat
}

func (s *Server) readerLinkView(c echo.Context, at seat) (v readerLink, err error) {
	ctx := c.Request().Context()
	if v.adminPage, err = s.adminPage(c, at); err != nil {
		return v, err
	}
	if v.Providers, err = s.Desk.Admin.Providers(ctx); err == nil {
		v.Seats, err = s.Desk.Admin.Seats(ctx, at.place.Tenant)
	}
	return v, err
}

func (s *Server) readerLinkForm(c echo.Context, at seat) error {
	v, err := s.readerLinkView(c, at)
	if err != nil {
		return err
	}
	if id, err := uuid.Parse(c.QueryParam("person")); err == nil { // no address says what somebody is called elsewhere
		m, err := s.Desk.Admin.Member(c.Request().Context(), at.place.Tenant, id)
		if err != nil {
			return err
		}
		v.Provider, v.Subject = m.ProviderName, m.Subject
	}
	return s.show(c, at, "adminreaderlink", "Who is which reader", &v)
}

// linkReader says which reader somebody is.
func (s *Server) linkReader(c echo.Context, at seat) error {
	v, err := s.readerLinkView(c, at)
	if err != nil {
		return err
	}
	ctx, by := c.Request().Context(), s.by(c, at)
	v.Provider, v.Subject, v.Reader = c.FormValue("provider"), strings.TrimSpace(c.FormValue("subject")), c.FormValue("reader")
	i := slices.IndexFunc(v.Seats, func(r administration.Seat) bool { return r.ReaderID.String() == v.Reader })
	if i < 0 {
		err = fault.At(fault.Value, "reader", "Choose a reader of this hospital.")
		return s.formAgain(c, at, err, "adminreaderlink", "Who is which reader", &v.Wrong, &v)
	}
	chosen := v.Seats[i]
	if confirmed(c) {
		who, err := s.Desk.Admin.LinkReader(ctx, by, v.Provider, v.Subject, chosen.ReaderID)
		if err == nil {
			return s.goes(c, at, "/people/"+url.PathEscape(who.PersonID.String()), "reader-linked")
		}
		return s.formAgain(c, at, err, "adminreaderlink", "Who is which reader", &v.Wrong, &v)
	}
	if _, err := s.Desk.Admin.CheckLink(ctx, by, v.Provider, v.Subject, chosen.ReaderID); err != nil {
		return s.formAgain(c, at, err, "adminreaderlink", "Who is which reader", &v.Wrong, &v)
	}
	provider := v.Provider
	for _, p := range v.Providers {
		if p.Name == provider {
			provider = p.Display
		}
	}
	return s.confirm(c, at, confirmation{Title: "Is this the same person?", Message: "Whoever signs in so will read and sign as this reader, where they have such a role.",
		Lines:  []change{{Title: "Identity provider", Said: provider}, {Title: "What it calls the person", Said: v.Subject}, {Title: "Reads and signs as", After: chosen.Display}},
		Notes:  []caution{{Message: "Ask the person for what the provider calls them, or whoever runs the provider. A wrong letter lets somebody else sign reports."}},
		Fields: fieldsOf(c, "provider", "subject", "reader"), Action: v.At + "/people/reader", Back: v.At + "/people", Button: caution{Message: "Yes, it is this reader"}, Danger: true})
}
