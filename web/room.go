package web

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
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
		return r.handle(c, seat{found, p})
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
		return s.refused(c, at, err, then, fields)
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
	Written []string // what somebody had written there, so that it is not lost
}

// refused shows why a form was refused, at the place where it was sent, with the way back
// and with what was written.
func (s *Server) refused(c echo.Context, at seat, err error, then string, fields url.Values) error {
	if _, known := errors.AsType[*fault.Error](err); !known || wantsJSON(c.Request()) {
		return err
	}
	// where it would have led is often the case itself; where not, the case is still where it was tried
	p, room := problem{}, map[bool]string{true: "/board/", false: "/case/"}[slices.Contains(offices, at.place.Role)]
	if p.Back = s.at(at.place) + room + url.PathEscape(c.Param("task")); s.ours(then) && strings.Contains(then, "/"+c.Param("task")) {
		p.Back = then
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			if name != "answers" && strings.ContainsAny(strings.TrimSpace(value), " \n") { // words, and no code
				p.Written = append(p.Written, value)
			}
		}
	}
	status, text := s.told(c, err)
	p.Text = text
	return s.reply(c, status, "problem", View{Title: titleOf(status), Session: at.session, Place: &at.place, Data: p})
}

// ours tells whether a path is one of the rooms here.
func (s *Server) ours(path string) bool {
	return strings.HasPrefix(path, s.prefix+"/at/") && !strings.Contains(path, "//") && !strings.ContainsAny(path, "\\\r\n")
}
