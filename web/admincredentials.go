package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// CredentialDesk is what the room of readers' credentials asks for (fhir/screencredential.go).
type CredentialDesk struct {
	All         func(ctx context.Context, actor access.Actor, ahead int, from Caller) ([]screen.ReaderCredentials, error)
	One         func(ctx context.Context, actor access.Actor, practitioner string, ahead int, from Caller) (screen.ReaderCredentials, error)
	SetLicences func(ctx context.Context, actor access.Actor, practitioner string, version int64, licences []workflow.Licence, from Caller) error
	SetRole     func(ctx context.Context, actor access.Actor, practitioner string, role screen.ReaderRole, from Caller) error
}

// credentialRooms are the credentials of those who read.
func (s *Server) credentialRooms() []room {
	return []room{
		{http.MethodGet, "/readers", "Readers", administrators, s.readerList},
		{http.MethodGet, "/readers/:id", "", administrators, s.readerPage},
		{http.MethodPost, "/readers/:id/licences", "", administrators, s.setLicences},
		{http.MethodPost, "/readers/:id/role", "", administrators, s.setRole},
	}
}

// mostReaders is how many readers a page of their list has.
const mostReaders = 40

func (s *Server) readerList(c echo.Context, at seat) error {
	all, err := s.Desk.Credentials.All(c.Request().Context(), at.place.Actor, expiringWithin, s.caller(c))
	if err != nil {
		return err
	}
	v := struct {
		At, Name    string
		All         []screen.ReaderCredentials
		First, More string // addresses of the first and of the next page
	}{At: s.at(at.place), Name: strings.TrimSpace(c.QueryParam("name"))}
	query := url.Values{}
	if v.Name != "" {
		query.Set("name", v.Name)
		all = slices.DeleteFunc(all, func(r screen.ReaderCredentials) bool {
			return !strings.Contains(strings.ToLower(r.Display), strings.ToLower(v.Name))
		})
	}
	v.All, v.First, v.More = cut(c, all, mostReaders, v.At+"/readers", query)
	return s.show(c, at, "readers", "Readers", v)
}

// readerView is the page of one reader.
type readerView struct {
	screen.ReaderCredentials
	At, Here, Problem string
}

// readerParts are the codes of what somebody reads as.
var readerParts = []string{"reader", "trainee", "locum", "adjudicator", "supervisor"}

// Parts are the codes to choose from.
func (readerView) Parts() []string { return readerParts }

// Has tells whether a code is among others.
func (readerView) Has(codes []string, code string) bool { return slices.Contains(codes, code) }

// Rows are the licences with an empty one.
func (v readerView) Rows() []workflow.Licence {
	return append(slices.Clone(v.Licences), workflow.Licence{})
}

// Away are the absences of a role with an empty one.
func (readerView) Away(role screen.ReaderRole) []workflow.Absence {
	return append(slices.Clone(role.Absences), workflow.Absence{})
}

// List is a list as its field has it.
func (readerView) List(all []string) string { return strings.Join(all, ", ") }

// Ended tells whether a last day has passed.
func (v readerView) Ended(to workflow.Date) bool { return to != "" && to < v.Today }

func (s *Server) readerPage(c echo.Context, at seat) error { return s.readerWith(c, at, "") }

func (s *Server) readerWith(c echo.Context, at seat, problem string) error {
	one, err := s.Desk.Credentials.One(c.Request().Context(), at.place.Actor, c.Param("id"), expiringWithin, s.caller(c))
	if err != nil {
		return err
	}
	here := s.at(at.place) + "/readers/" + url.PathEscape(one.PractitionerID)
	return s.show(c, at, "readercredentials", "Readers", readerView{one, s.at(at.place), here, problem})
}

// written leads back to the reader, with what was refused.
func (s *Server) written(c echo.Context, at seat, err error) error {
	if err == nil {
		return c.Redirect(http.StatusSeeOther, s.at(at.place)+"/readers/"+url.PathEscape(c.Param("id")))
	}
	if problem := refusal(err); problem != "" {
		return s.readerWith(c, at, problem)
	}
	return err
}

func (s *Server) setLicences(c echo.Context, at seat) error {
	version, err := strconv.ParseInt(c.FormValue("version"), 10, 64)
	if err != nil {
		return fault.New(fault.Value, "This form did not come whole. Please go back and try again.")
	}
	form := c.Request().PostForm
	var licences []workflow.Licence
	for i := range form["jurisdiction"] {
		l := workflow.Licence{Jurisdiction: nth(form, "jurisdiction", i), Number: nth(form, "number", i), Issuer: nth(form, "issuer", i)}
		if l.Jurisdiction == "" {
			continue
		}
		if l.ValidFrom, l.ValidTo, err = daysOf(form, i); err != nil {
			return s.written(c, at, err)
		}
		licences = append(licences, l)
	}
	return s.written(c, at, s.Desk.Credentials.SetLicences(c.Request().Context(), at.place.Actor, c.Param("id"), version, licences, s.caller(c)))
}

func (s *Server) setRole(c echo.Context, at seat) error {
	role := screen.ReaderRole{ID: c.FormValue("role"), Active: c.FormValue("active") == "on", Zone: strings.TrimSpace(c.FormValue("zone")),
		Subspecialties: listOf(c.FormValue("subspecialties")), Modalities: listOf(c.FormValue("modalities"))}
	role.Version, _ = strconv.ParseInt(c.FormValue("version"), 10, 64) // a new one has none
	form := c.Request().PostForm
	for _, part := range form["part"] {
		if slices.Contains(readerParts, part) {
			role.Parts = append(role.Parts, part)
		}
	}
	if role.Parts == nil {
		role.Parts = []string{"reader"}
	}
	for _, n := range []struct {
		name string
		to   *int
	}{{"agefrom", &role.AgeFrom}, {"ageto", &role.AgeTo}, {"capacity", &role.Capacity}} {
		if text := strings.TrimSpace(c.FormValue(n.name)); text != "" {
			number, err := strconv.Atoi(text)
			if err != nil || number < 0 || number > 999 {
				return s.written(c, at, fault.New(fault.Value, "Ages and open cases are whole numbers, or left out."))
			}
			*n.to = number
		}
	}
	var err error
	if role.From, role.To, err = daysOf(form, 0); err != nil {
		return s.written(c, at, err)
	}
	for i := range form["awayfrom"] {
		a := workflow.Absence{From: workflow.Date(nth(form, "awayfrom", i)), To: workflow.Date(nth(form, "awayto", i))}
		if a == (workflow.Absence{}) {
			continue
		}
		if !isDay(a.From) || !isDay(a.To) || a.From == "" || a.To != "" && a.To < a.From {
			return s.written(c, at, badDays())
		}
		role.Absences = append(role.Absences, a)
	}
	if role.Shifts, err = shiftsOf(form); err != nil {
		return s.written(c, at, err)
	}
	if role.Conflicts, err = conflictsOf(form); err != nil {
		return s.written(c, at, err)
	}
	if role.Mail = workflow.Address(strings.TrimSpace(c.FormValue("mail"))); role.Mail != "" && !role.Mail.Valid() {
		return s.written(c, at, fault.New(fault.Value, "An address of mail is written as reader@hospital.example."))
	}
	return s.written(c, at, s.Desk.Credentials.SetRole(c.Request().Context(), at.place.Actor, c.Param("id"), role, s.caller(c)))
}

// nth is one of several fields of a name.
func nth(form url.Values, name string, i int) string {
	if i >= len(form[name]) {
		return ""
	}
	return strings.TrimSpace(form[name][i])
}

// daysOf are the first and the last day of a row.
func daysOf(form url.Values, i int) (from, to workflow.Date, err error) {
	from, to = workflow.Date(nth(form, "from", i)), workflow.Date(nth(form, "to", i))
	if !isDay(from) || !isDay(to) || from != "" && to != "" && to < from {
		return "", "", badDays()
	}
	return from, to, nil
}

func badDays() error {
	return fault.New(fault.Value, "A day is written as 2026-07-14, and the last is not before the first.")
}

func isDay(d workflow.Date) bool {
	_, err := time.Parse(time.DateOnly, string(d))
	return d == "" || err == nil
}

// listOf are the words of a field, between commas or spaces.
func listOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
}
