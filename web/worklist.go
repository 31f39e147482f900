package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// ReadersDesk is what those who read see and do (fhir/deskworklist.go and others).
type ReadersDesk struct {
	Worklist   func(ctx context.Context, actor access.Actor, want screen.WorklistWanted, from Caller) (screen.Worklist, error)
	SaveView   func(ctx context.Context, actor access.Actor, v workflow.SavedView, drop bool) error
	Reading    func(ctx context.Context, actor access.Actor, task string, from Caller) (screen.Reading, error)
	Statistics func(ctx context.Context, actor access.Actor) (screen.OwnStatistics, error)
}

// whoRead are the roles whose rooms these are.
var whoRead = []access.Role{access.Reader, access.Adjudicator, access.Supervisor}

// readerRooms are the rooms of those who read, decide between two, or countersign.
func (s *Server) readerRooms() []room {
	return []room{
		{http.MethodGet, "/worklist", "Worklist", whoRead, s.worklist},
		{http.MethodPost, "/worklist/view", "", whoRead, s.saveView},
		{http.MethodGet, "/statistics", "Your statistics", whoRead, s.ownStatistics},
	}
}

const (
	mostListed     = 100 // cases are looked at for a worklist, the most pressing ones
	mostRows       = 40  // of them are on a page, which may weigh 150 kB with its style sheet
	mostMessages   = 10  // are above them, the newest ones
	mostOfMessages = 50  // are on a page of messages alone
)

// first are the first of a list.
func first[T any](all []T, most int) []T { return all[:min(len(all), most)] }

// pageNo is a number of a page in an address: 0 where there is none.
func pageNo(text string) int {
	no, err := strconv.Atoi(text)
	if err != nil || no < 0 || no > 10_000 {
		return 0
	}
	return no
}

// worklistFilters are the filters of the page, as its address has them.
type worklistFilters struct {
	Whose, Priority, Modality, Due string
}

func filtersOf(q url.Values) worklistFilters {
	return worklistFilters{q.Get("whose"), q.Get("priority"), q.Get("modality"), q.Get("due")}
}

// Query is the filters as an address has them, in one order, without those that are empty.
func (f worklistFilters) Query() string {
	q := url.Values{}
	for name, value := range map[string]string{"whose": f.Whose, "priority": f.Priority, "modality": f.Modality, "due": f.Due} {
		if value != "" && len(value) <= 20 {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

func (f worklistFilters) admits(i workflow.WorkItem, now time.Time) bool {
	taken := i.Pool || i.State == workflow.Offered
	return (f.Whose == "" || (f.Whose == "pool") == taken) &&
		(f.Priority == "" || f.Priority == i.Priority) &&
		(f.Modality == "" || f.Modality == i.Modality) &&
		(f.Due == "" || urgency(i, now) == "late" || f.Due == "soon" && urgency(i, now) == "soon")
}

// urgency tells late, soon or nothing of a case: soon is within an hour, or when three
// quarters of its time are gone.
func urgency(i workflow.WorkItem, now time.Time) string {
	switch {
	case i.Due == nil:
		return ""
	case !now.Before(*i.Due):
		return "late"
	case i.Due.Sub(now) < time.Hour, i.Due.Sub(now) < i.Due.Sub(i.OpenedAt)/4:
		return "soon"
	}
	return ""
}

// owedWords say what is to be done about a signed case.
var owedWords = map[workflow.Owed]string{
	workflow.OwesAnswer: "A clinician asks: answer the question", workflow.OwesComparison: "The first report has come: compare it",
	workflow.OwesAmendment: "The report is being amended: go on with it",
	workflow.OwesLook:      "Something has changed since the signature: look whether the report holds", workflow.OwesCall: "A finding that cannot wait: nobody has taken note of it yet",
}

// standInWords say why somebody has what another would do who signed.
var standInWords = map[workflow.WhyStandIn]string{
	workflow.StandInNamed: "the coordinator has given it to you", workflow.StandInGone: "you may stand in: who signed is no reader here any more",
	workflow.StandInUnlicensed: "you may stand in: who signed may not practise at present", workflow.StandInAbsent: "you may stand in: who signed is absent",
	workflow.StandInFirstReader: "you may stand in: who signed has turned out to be the first reader",
}

// listedCase is a row of the page.
type listedCase struct {
	workflow.WorkItem

	Claimable, Offer bool
	Urgency          string
	Left             time.Duration // of its time, or how late it is
}

func (s *Server) worklist(c echo.Context, at seat) error {
	messages := pageNo(c.QueryParam("messages"))
	want := screen.WorklistWanted{Cases: mostListed, Notices: mostMessages + 1}
	if messages > 0 {
		want.Notices, want.SkipNotices = mostOfMessages+1, (messages-1)*mostOfMessages
	}
	list, err := s.Desk.Readers.Worklist(c.Request().Context(), at.place.Actor, want, s.caller(c))
	if err != nil {
		return err
	}
	f := filtersOf(c.QueryParams())
	data := struct {
		screen.Worklist
		Rows       []listedCase
		Mine, Pool int // before the filters
		Filters    worklistFilters
		Priorities []string
		Modalities []string
		Base       string
		View       string // the kept one that is shown
		Decides    bool   // as the third reader, or the supervisor

		Messages     int    // the page of messages, 0 where cases are shown
		MoreMessages bool   // than are shown
		First, More  string // addresses of the first and of the next page
	}{Messages: messages, MoreMessages: len(list.Notices) >= want.Notices, Worklist: list, Filters: f, Priorities: workflow.Priorities, Base: s.at(at.place), Decides: at.place.Role != access.Reader}
	for _, v := range list.Views {
		if v.Filters == f.Query() {
			data.View = v.Name
		}
	}
	for _, i := range list.Items {
		row := listedCase{WorkItem: i, Offer: i.State == workflow.Offered, Urgency: urgency(i, list.Now)}
		row.Claimable = at.place.Role != access.Supervisor && (i.Pool || row.Offer)
		if i.Pool || row.Offer {
			data.Pool++
		} else {
			data.Mine++
		}
		if i.Modality != "" && !slices.Contains(data.Modalities, i.Modality) {
			data.Modalities = append(data.Modalities, i.Modality)
		}
		if !f.admits(i, list.Now) {
			continue
		}
		row.OpenedAt = row.OpenedAt.In(list.Zone)
		if i.Due != nil {
			row.Due, row.Left = timeIn(i.Due, list.Zone), leftOf(i.Due, list.Now)
		}
		data.Rows = append(data.Rows, row)
	}
	slices.Sort(data.Modalities)
	data.Notices = first(data.Notices, want.Notices-1)
	query, err := url.ParseQuery(f.Query())
	if err != nil {
		return err
	}
	if messages > 0 {
		data.First, data.More = pagesAfter(data.Base+"/worklist", url.Values{}, "messages", messages, data.MoreMessages)
	} else {
		data.Rows, data.First, data.More = cut(c, data.Rows, mostRows, data.Base+"/worklist", query)
	}
	return s.show(c, at, "worklist", "Worklist", data)
}

// cut is the page of a list that the address asks for, with the addresses of the first
// page and of the next one, as far as there are such.
func cut[T any](c echo.Context, all []T, most int, path string, query url.Values) (rows []T, begin, next string) {
	page := max(1, pageNo(c.QueryParam("page")))
	from := min(len(all), (page-1)*most)
	begin, next = pagesAfter(path, query, "page", page, len(all) > from+most)
	return first(all[from:], most), begin, next
}

// pagesAfter are the addresses of the first page of a list and of the next one, as far as
// there are such.
func pagesAfter(path string, query url.Values, name string, no int, more bool) (first, next string) {
	to := func(no int) string {
		query.Set(name, strconv.Itoa(no))
		return path + "?" + query.Encode()
	}
	if no > 1 {
		first = to(1)
	}
	if more {
		next = to(no + 1)
	}
	return first, next
}

// leftOf is what is left until a time, or has passed since, to the minute.
func leftOf(due *time.Time, now time.Time) time.Duration {
	return due.Sub(now).Abs().Round(time.Minute)
}

// saveView keeps the filters that are shown under a name, or throws a view away.
func (s *Server) saveView(c echo.Context, at seat) error {
	fields, err := url.ParseQuery(c.FormValue("filters"))
	if err != nil {
		return fault.New(fault.Value, "A view has a name of at most 40 characters.")
	}
	f := filtersOf(fields)
	v := workflow.SavedView{Name: c.FormValue("name"), Filters: f.Query()}
	if err := s.Desk.Readers.SaveView(c.Request().Context(), at.place.Actor, v, c.FormValue("drop") != ""); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, s.at(at.place)+"/worklist?"+f.Query())
}
