package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// What launched pages are made of: one template with its style sheet in it, so that a
// page in an EHR's frame needs no second request and no script.

// launchedTemplates are the template by language.
var launchedTemplates = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for code, c := range languages {
		page := template.New("page.html").Funcs(c.functions()).Funcs(template.FuncMap{
			"style":      func() template.CSS { return template.CSS(launchedStyle) },
			"shown":      func(v launchedView, o bedside.Opinion) shownOpinion { return shownOpinion{v, o} },
			"anchor":     anchor,
			"at":         inZone,
			"fhirday":    c.fhirDay,
			"agreement":  letter.Agreement,
			"urgency":    letter.Urgency,
			"status":     letter.Status,
			"management": letter.Management,
			"managing":   func() []string { return workflow.Words("management") },
			"languages":  func() []*catalogue { return offered },
		})
		all[code] = template.Must(page.ParseFS(files, "launched/page.html", "launched/gallery.html"))
	}
	return all
}()

var launchedStyle = func() string {
	text, err := files.ReadFile("launched/style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}()

// launchedPolicy lets the page have its one style sheet and images that we give it, and
// send its forms here.
var launchedPolicy = func() string {
	sum := sha256.Sum256([]byte(launchedStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src 'self'; base-uri 'none'; form-action 'self'"
}()

func inZone(t any, zone *time.Location) time.Time {
	at, ok := t.(time.Time)
	if p, is := t.(*time.Time); is {
		at, ok = *p, true
	}
	if !ok || zone == nil {
		return at.UTC()
	}
	return at.In(zone)
}

// fhirDay is a FHIR date or dateTime as the language writes it, as precise as it is.
func (c *catalogue) fhirDay(text string) string {
	if len(text) > len(time.DateOnly) {
		text = text[:len(time.DateOnly)]
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.Format(c.Day)
	}
	return text
}

// anchor names a second opinion within the page, without its id: what stands in an
// address may end in a log.
func anchor(task string) string {
	sum := sha256.Sum256([]byte(task))
	return "o" + base64.RawURLEncoding.EncodeToString(sum[:9])
}

// launchedView is what a launched page shows: a message, a chart, or one opinion.
type launchedView struct {
	Title, Message string
	Alarm          bool
	Path, CSRF     string
	Back           string // "" for the chart
	Door           string // an address to open in a tab
	Return         string // where the page came from
	Lang           string
	Who, At        string
	Chart          *bedside.Chart
	Opened         *bedside.Opened
	Gallery        *galleryView // of the opened one
	Picture        *picture
	Patient        *bedside.Patient
	Banner         bool
	OrderUnknown   bool
	Done           string // what was just done
}

// Alone tells whether the page is about one opinion.
func (v launchedView) Alone() bool { return v.Opened != nil }

// shownOpinion is one second opinion on its page.
type shownOpinion struct {
	View    launchedView
	Opinion bedside.Opinion
}

// At is the address of the opinion's own page.
func (s shownOpinion) At() string { return s.View.Path + "/opinion/" + s.Opinion.Task }

// spoken is the language of a launched page: the one that was chosen in it or came with the launch,
// else the browser's.
func (l *Launched) spoken(c echo.Context) *catalogue {
	if id, err := uuid.Parse(c.Param("session")); err == nil {
		if chosen := languages[l.Sessions.LaunchLanguage(c.Request(), id)]; chosen != nil {
			return chosen
		}
	}
	return languageOf(c.Request())
}

func (l *Launched) page(c echo.Context, status int, framers []string, view launchedView) error {
	language := l.spoken(c)
	view.Lang, view.Back = language.Code, cmp.Or(view.Back, view.Path)
	var out bytes.Buffer
	if err := launchedTemplates[language.Code].Execute(&out, view); err != nil {
		return err
	}
	framed(c, framers, launchedPolicy)
	return c.HTMLBlob(status, out.Bytes())
}

// whole adds what every page of a session has.
func (l *Launched) whole(c echo.Context, v visit, view launchedView) launchedView {
	// When nothing is done the session ends, and what is on the screen goes with it.
	c.Response().Header().Set("Refresh", strconv.Itoa(int(l.Sessions.IdleAfter().Seconds())+5)+"; url="+l.path(v.id))
	view.Path, view.CSRF, view.Banner = l.path(v.id), v.session.CSRF(), v.shows.Banner
	view.Who, view.At = nameOf(v.session.Display), v.session.Places[0].TenantDisplay
	return view
}

func (l *Launched) show(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	chart, err := l.Chart(c.Request().Context(), v.actor, v.shows.Task)
	if err != nil {
		return err
	}
	view := l.whole(c, v, launchedView{Title: "Second opinions", Chart: &chart, Patient: &chart.Patient, OrderUnknown: v.shows.OrderUnknown})
	return l.page(c, http.StatusOK, v.shows.FrameOrigins, view)
}

// textsOfLaunched are the texts of tables that launched pages say.
func textsOfLaunched() []string {
	all := append(letter.Phrases(), bedside.Way()...)
	all = append(all, workflow.ReportSections()...)
	for _, a := range acts {
		all = append(all, a.done)
	}
	return append(all,
		"Reader", "Second reader", "Third reader", "Supervisor", // who signs a letter
		"female", "male", "other", "unknown", // FHIR administrative-gender
		"Report", "More of the original report", // parts of two reports side by side
	)
}
