package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// QualityDesk is what the peer-learning room and a reader's own feedback ask for
// (fhir/screenquality.go).
type QualityDesk struct {
	List     func(ctx context.Context, actor access.Actor, q screen.QualityAsked, from Caller) (screen.QualityList, error)
	Case     func(ctx context.Context, actor access.Actor, task string, from Caller) (screen.QualityCase, error)
	MakePack func(ctx context.Context, actor access.Actor, fields url.Values, from Caller) (uuid.UUID, error)
	Pack     func(ctx context.Context, actor access.Actor, id uuid.UUID, from Caller) (workflow.Pack, error)
	PackFile func(ctx context.Context, actor access.Actor, id uuid.UUID, form, language string, from Caller) (screen.File, error)
	Feedback func(ctx context.Context, actor access.Actor, after string, from Caller) (screen.OwnFeedback, error)
	Respond  func(ctx context.Context, actor access.Actor, id uuid.UUID, agrees bool, text string, from Caller) error
}

// qualityRooms are the peer-learning room, and the feedback of those who read.
func (s *Server) qualityRooms() []room {
	roles := []access.Role{access.Quality}
	return []room{
		{http.MethodGet, "/learning", "Peer learning", roles, s.qualityList},
		{http.MethodGet, "/learning/points", "", roles, s.qualityList},
		{http.MethodGet, "/learning/feedback", "", roles, s.qualityList},
		{http.MethodGet, "/learning/outcomes", "", roles, s.qualityList},
		{http.MethodGet, "/learning/samples", "", roles, s.qualityList},
		{http.MethodGet, "/learning/packs", "", roles, s.qualityList},
		{http.MethodPost, "/learning/packs", "", roles, s.makePack},
		{http.MethodGet, "/learning/packs/:pack", "", roles, s.pack},
		{http.MethodGet, "/learning/packs/:pack/:form", "", roles, s.packFile},
		{http.MethodGet, "/learning/case/:task", "", roles, s.qualityCase},
		{http.MethodGet, "/feedback", "Feedback to you", whoRead, s.feedback},
		{http.MethodPost, "/feedback/:feedback", "", whoRead, s.respond},
	}
}

// qualityTabs are the lists of the room, each at its path.
var qualityTabs = []struct{ List, Path, Words string }{
	{"reviews", "/learning", "Reviews"},
	{"points", "/learning/points", "Learning points"},
	{"feedback", "/learning/feedback", "Feedback"},
	{"outcomes", "/learning/outcomes", "Who was right"},
	{"samples", "/learning/samples", "Second reads for quality"},
	{"packs", "/learning/packs", "Meeting packs"},
}

// narrowed are what the lists can be narrowed to; the first is what one begins with.
var narrowed = map[string][]struct{ Code, Words string }{
	"reviews":  {{"open", "Still open"}, {"closed", "Concluded"}},
	"feedback": {{string(workflow.FeedbackAnswered), "Answered"}, {string(workflow.FeedbackDisagreed), "Disagreed"}, {string(workflow.FeedbackUnopened), "Not opened yet"}, {string(workflow.FeedbackAll), "All of them"}},
	"samples":  {{"drawn", "Drawn"}, {"all", "All finals"}},
}

// qualityView is a list of the room.
type qualityView struct {
	screen.QualityList
	At, Here         string
	List, Shown, Tag string
	More             string // address of the next page
	Periods          []period
}

// Tabs, Narrowed and Code are for the template.
func (qualityView) Tabs() any               { return qualityTabs }
func (v qualityView) Narrowed() any         { return narrowed[v.List] }
func (qualityView) Code(code string) string { return codeTexts[code] }

func (s *Server) qualityList(c echo.Context, at seat) error {
	v := qualityView{At: s.at(at.place), Tag: c.QueryParam("tag")}
	for _, tab := range qualityTabs {
		if c.Path() == "/at/:tenant/:role"+tab.Path {
			v.List, v.Here = tab.List, v.At+tab.Path
		}
	}
	for i, choice := range narrowed[v.List] {
		if i == 0 || choice.Code == c.QueryParam("show") {
			v.Shown = choice.Code
		}
	}
	var err error
	v.QualityList, err = s.Desk.Quality.List(c.Request().Context(), at.place.Actor, screen.QualityAsked{List: v.List, Tag: v.Tag, Shown: v.Shown, After: c.QueryParam("after")}, s.caller(c))
	if err != nil {
		return err
	}
	if v.Next != "" {
		q := url.Values{"after": {v.Next}}
		for name, value := range map[string]string{"show": v.Shown, "tag": v.Tag} {
			if value != "" {
				q.Set(name, value)
			}
		}
		v.More = v.Here + "?" + q.Encode()
	}
	if v.List == "packs" {
		v.Periods = slices.DeleteFunc(periodsBefore(v.Now, false), func(p period) bool { return len(p.Name) == len("2026") }) // quarters
	}
	v.inZone()
	return s.show(c, at, "quality", "Peer learning", v)
}

// inZone has every moment in the zone of the hospital.
func (v *qualityView) inZone() {
	zone := v.Zone
	for i := range v.Reviews {
		v.Reviews[i].OpenedAt, v.Reviews[i].ClosedAt = v.Reviews[i].OpenedAt.In(zone), timeIn(v.Reviews[i].ClosedAt, zone)
	}
	for i := range v.Points {
		v.Points[i].AddedAt = v.Points[i].AddedAt.In(zone)
	}
	for i := range v.Feedback {
		f := &v.Feedback[i]
		f.MadeAt, f.OpenedAt, f.AnsweredAt = f.MadeAt.In(zone), timeIn(f.OpenedAt, zone), timeIn(f.AnsweredAt, zone)
	}
	for i := range v.Outcomes {
		v.Outcomes[i].RecordedAt = v.Outcomes[i].RecordedAt.In(zone)
	}
	for i := range v.Samples {
		q := &v.Samples[i]
		q.DrawnAt, q.ConcludedAt, q.FindingAt, q.SettledAt = q.DrawnAt.In(zone), timeIn(q.ConcludedAt, zone), timeIn(q.FindingAt, zone), timeIn(q.SettledAt, zone)
	}
	for i := range v.Packs {
		v.Packs[i].MadeAt = v.Packs[i].MadeAt.In(zone)
	}
}

// qualityCaseView is a case of the room.
type qualityCaseView struct {
	screen.QualityCase
	At, Here string
	Pairs    []pairView
	Today    string
}

// WasIndependent tells it of a case that says so.
func (v qualityCaseView) WasIndependent() bool { return v.Independent != nil && *v.Independent }

// Code, Rights, Sources and Conclusions are for the template.
func (qualityCaseView) Code(code string) string { return codeTexts[code] }
func (qualityCaseView) Rights() []string        { return workflow.Rights }
func (qualityCaseView) Sources() []string       { return workflow.TruthSources }
func (qualityCaseView) Conclusions() []string   { return workflow.Conclusions }

func (s *Server) qualityCase(c echo.Context, at seat) error {
	found, err := s.Desk.Quality.Case(c.Request().Context(), at.place.Actor, c.Param("task"), s.caller(c))
	if err != nil {
		return err
	}
	v := qualityCaseView{QualityCase: found, At: s.at(at.place), Here: s.at(at.place) + "/learning/case/" + url.PathEscape(found.Task), Today: found.Now.In(found.Zone).Format(time.DateOnly)}
	for _, p := range found.Compared {
		v.Pairs = append(v.Pairs, pairView{p, "First report", "Second opinion"})
	}
	v.inZone()
	return s.show(c, at, "qualitycase", "Peer learning", v)
}

func (v *qualityCaseView) inZone() {
	zone := v.Zone
	v.Opened = v.Opened.In(zone)
	for i := range v.Grades {
		v.Grades[i].GradedAt = v.Grades[i].GradedAt.In(zone)
	}
	for i := range v.Acknowledged {
		v.Acknowledged[i].AcknowledgedAt = v.Acknowledged[i].AcknowledgedAt.In(zone)
	}
	for i := range v.Judgements {
		v.Judgements[i].JudgedAt = v.Judgements[i].JudgedAt.In(zone)
	}
	for i := range v.Truths {
		v.Truths[i].RecordedAt = v.Truths[i].RecordedAt.In(zone)
	}
	for i := range v.Points {
		v.Points[i].AddedAt = v.Points[i].AddedAt.In(zone)
	}
	for i := range v.Told {
		f := &v.Told[i]
		f.MadeAt, f.OpenedAt, f.AnsweredAt = f.MadeAt.In(zone), timeIn(f.OpenedAt, zone), timeIn(f.AnsweredAt, zone)
	}
	for i := range v.Reviews {
		v.Reviews[i].OpenedAt, v.Reviews[i].ClosedAt = v.Reviews[i].OpenedAt.In(zone), timeIn(v.Reviews[i].ClosedAt, zone)
	}
}

// makePack makes a pack by the parameters of $make-meeting-pack, and leads to it.
func (s *Server) makePack(c echo.Context, at seat) error {
	if err := c.Request().ParseForm(); err != nil {
		return fault.New(fault.Structure, "This form did not come whole. Please go back and try again.")
	}
	fields := c.Request().PostForm
	fields.Del(session.CSRFField)
	id, err := s.Desk.Quality.MakePack(c.Request().Context(), at.place.Actor, fields, s.caller(c))
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, s.at(at.place)+"/learning/packs/"+id.String())
}

func packAsked(c echo.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(c.Param("pack"))
	if err != nil {
		return id, fault.New(fault.NotFound, "There is no such pack.")
	}
	return id, nil
}

func (s *Server) pack(c echo.Context, at seat) error {
	id, err := packAsked(c)
	if err != nil {
		return err
	}
	p, err := s.Desk.Quality.Pack(c.Request().Context(), at.place.Actor, id, s.caller(c))
	if err != nil {
		return err
	}
	return s.show(c, at, "pack", "Meeting pack", packView{p, s.at(at.place)})
}

// packView is a pack to be looked at together.
type packView struct {
	workflow.Pack
	At string
}

// Code is for the template.
func (packView) Code(code string) string { return codeTexts[code] }

func (s *Server) packFile(c echo.Context, at seat) error {
	id, err := packAsked(c)
	if err != nil {
		return err
	}
	f, err := s.Desk.Quality.PackFile(c.Request().Context(), at.place.Actor, id, c.Param("form"), languageOf(c.Request()).Code, s.caller(c))
	if err != nil {
		return err
	}
	return sendFile(c, f)
}

// feedback is what somebody who reads is told of second opinions on their reports.
func (s *Server) feedback(c echo.Context, at seat) error {
	found, err := s.Desk.Quality.Feedback(c.Request().Context(), at.place.Actor, c.QueryParam("after"), s.caller(c))
	if err != nil {
		return err
	}
	v := struct {
		screen.OwnFeedback
		At, More string
	}{OwnFeedback: found, At: s.at(at.place)}
	if found.Next != "" {
		v.More = v.At + "/feedback?" + url.Values{"after": {found.Next}}.Encode()
	}
	for i := range v.Told {
		v.Told[i].MadeAt, v.Told[i].AnsweredAt = v.Told[i].MadeAt.In(found.Zone), timeIn(v.Told[i].AnsweredAt, found.Zone)
	}
	return s.show(c, at, "feedback", "Feedback to you", v)
}

// respond keeps somebody's answer to what they were told.
func (s *Server) respond(c echo.Context, at seat) error {
	id, err := uuid.Parse(c.Param("feedback"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such page, or not in your role.")
	}
	agrees := c.FormValue("agrees")
	if agrees != "true" && agrees != "false" {
		return fault.New(fault.Value, "Please say whether you agree.")
	}
	if err := s.Desk.Quality.Respond(c.Request().Context(), at.place.Actor, id, agrees == "true", c.FormValue("text"), s.caller(c)); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, s.at(at.place)+"/feedback")
}

// textsOfQuality are the texts of tables of the room, and what rules write as the reason of a review.
func textsOfQuality() []string {
	all := []string{workflow.OriginalReaderDisagrees, workflow.FindingNotTold, workflow.AmendedToDiscrepancy}
	for _, tab := range qualityTabs {
		all = append(all, tab.Words)
	}
	for _, choices := range narrowed {
		for _, choice := range choices {
			all = append(all, choice.Words)
		}
	}
	return all
}
