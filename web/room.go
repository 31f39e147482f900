package web

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/internal/session"
)

// room is one row of the table of rooms: a page that somebody has at one of their
// places, /at/TENANT/ROLE and its path. Each role's rooms stand in a file of their own.
type room struct {
	method string
	path   string
	name   string // in the bar of pages; "" for one that others lead to
	roles  []access.Role
	handle func(c echo.Context, at seat) error
}

// seat is a person at one of their places.
type seat struct {
	session *session.Session
	place   access.Place
}

// allRooms is the table; it is made once (rooms).
func (s *Server) allRooms() []room {
	return slices.Concat(
		[]room{
			{http.MethodPost, "/case/:task/do/:operation", "", nil, s.perform},
			{http.MethodGet, "/emergencies", "Emergency access", []access.Role{access.Coordinator, access.Director}, s.emergencies},
		},
		s.readerRooms(), s.readingRooms(), s.imageRooms(), s.boardRooms(), s.figureRooms(), s.deskRooms(), s.adminRooms(), s.credentialRooms(), s.settingRooms(), s.qualityRooms(), s.trailRooms(),
	)
}

// at is the address of a place's rooms.
func (s *Server) at(p access.Place) string {
	return s.prefix + "/at/" + p.TenantName + "/" + string(p.Role)
}

// enterRoom finds the seat. Who has no such place is told that there is no such
// page: which hospitals there are is nobody's business.
func (s *Server) enterRoom(r room) handler {
	return func(c echo.Context, found *session.Session) error {
		p, ok := found.At(c.Param("tenant"), access.Role(c.Param("role")))
		if !ok || c.Param("role") == "" || r.roles != nil && !slices.Contains(r.roles, p.Role) {
			return fault.New(fault.NotFound, "There is no such page, or not in your role.")
		}
		if p.Suspended {
			return fault.New(fault.Forbidden, "This hospital is suspended: nothing is shown or done for it until its operator resumes it.")
		}
		if !changes(c.Request()) || wantsJSON(c.Request()) {
			return r.handle(c, seat{found, p})
		}
		if err := c.Request().ParseForm(); err != nil {
			return fault.New(fault.Structure, "This form did not come whole. Please go back and try again.")
		}
		delete(c.Request().Form, triedField)
		sent := maps.Clone(c.Request().PostForm)
		delete(c.Request().PostForm, triedField)
		return s.refused(c, seat{found, p}, r.handle(c, seat{found, p}), sent)
	}
}

// door is a room in the bar of pages.
type door struct {
	Name, Path string
	Here       bool
}

// doors are the rooms of a place that stand in the bar.
func (s *Server) doors(p access.Place, here string) (all []door) {
	for _, r := range s.rooms {
		if r.name != "" && (r.roles == nil || slices.Contains(r.roles, p.Role)) {
			path := s.at(p) + r.path
			all = append(all, door{r.name, path, path == here})
		}
	}
	return all
}

// show renders a page of a room.
func (s *Server) show(c echo.Context, at seat, name, title string, data any) error {
	return s.reply(c, http.StatusOK, name, View{Title: title, Session: at.session, Place: &at.place, Data: data})
}

// perform does an operation of a case by a form whose fields are called as the
// operation's parameters, and leads to the page that the form names (field then).
func (s *Server) perform(c echo.Context, at seat) error {
	if err := c.Request().ParseForm(); err != nil {
		return fault.New(fault.Structure, "This form did not come whole. Please go back and try again.")
	}
	fields := c.Request().PostForm
	then, follows := fields.Get("then"), fields.Get("task-version")
	for _, ours := range []string{session.CSRFField, "then", "task-version"} {
		fields.Del(ours)
	}
	done, err := s.Desk.Perform(c.Request().Context(), at.place.Actor, screen.Errand{
		Task: c.Param("task"), Operation: c.Param("operation"), Version: follows, Fields: fields}, s.caller(c))
	if err != nil {
		return err
	}
	if wantsJSON(c.Request()) {
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.JSON(http.StatusOK, done)
	}
	if !s.ours(then) {
		then = s.prefix + "/home"
	}
	return c.Redirect(http.StatusSeeOther, then)
}

// problem is why something did not work, as its page says it.
type problem struct {
	Text    string
	Back    string   // to where it was tried, "" for nowhere
	OfCase  bool     // that is a case
	Written []string // what somebody had written there, so that it is not lost
}

// refused shows a form that was refused once more, with what was written in it and why it
// was refused; where its page has no such form any more, the reason, the way back and
// what was written.
func (s *Server) refused(c echo.Context, at seat, err error, sent url.Values) error {
	known, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	status, text := s.told(c, err)
	back := s.triedAt(c, at, sent)
	in := languageOf(c.Request())
	r := refusedForm{action: s.prefix + c.Request().URL.Path, sent: sent, tried: back, title: in.say(titleOf(status)), text: in.said(text), spare: in.say("What you had written")}
	r.about(known, in)
	page, ok := again(c, strings.TrimPrefix(back, s.prefix), r)
	if !ok {
		p := problem{Text: text, Back: back, OfCase: c.Param("task") != "", Written: wordsOf(sent)}
		return s.reply(c, status, "problem", View{Title: titleOf(status), Session: at.session, Place: &at.place, Data: p})
	}
	pageHeaders(c.Response().Header())
	return c.HTMLBlob(status, page)
}

// triedAt is the page on which a form stood, as the form says where it was refused before,
// or the browser; else the page of its case, where it is of one.
func (s *Server) triedAt(c echo.Context, at seat, sent url.Values) string {
	then, tried := sent.Get("then"), sent.Get(triedField)
	if s.ours(tried) {
		return tried
	}
	if from, err := url.Parse(c.Request().Referer()); err == nil && s.ours(from.Path) && from.Path != s.prefix+c.Request().URL.Path && !performs.MatchString(from.Path) {
		return from.RequestURI()
	}
	task := c.Param("task")
	switch {
	case s.ours(then) && (task == "" || strings.Contains(then, "/"+task)):
		return then
	case task == "":
		return s.prefix + "/home"
	case slices.Contains(offices, at.place.Role):
		return s.at(at.place) + "/board/" + url.PathEscape(task)
	}
	return s.at(at.place) + "/case/" + url.PathEscape(task)
}

// performs are the addresses of forms of a case: a page that shows a form again has the
// address to which that was sent, and nobody can go back to it from the other forms there.
var performs = regexp.MustCompile(`/case/[^/]+/(do/|write/|claim$)`)

// paramNamed is how the API names a parameter that is wrong.
var paramNamed = regexp.MustCompile(`name ?= ?'([A-Za-z0-9-]+)'\)$`)

// about finds the field that a refusal is about: fields are called as parameters. Of one that
// is missing people are told by the name that it has on their page.
func (r *refusedForm) about(f *fault.Error, in *catalogue) {
	first := f.Issues[0]
	if first.Missing != "" {
		r.field, r.text = first.Missing, in.say("Something is missing.")
		r.fillIn = func(label string) string { return in.say("Please say this too: %s.", label) }
		return
	}
	r.field = first.Expression
	if named := paramNamed.FindStringSubmatch(first.Expression); named != nil {
		r.field = named[1]
	}
}

// ours tells whether a path is one of the rooms here.
func (s *Server) ours(path string) bool {
	return strings.HasPrefix(path, s.prefix+"/at/") && !strings.Contains(path, "//") && !strings.ContainsAny(path, "\\\r\n")
}
