package web

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/internal/session"
)

// The page of one second opinion, and what a clinician does there.

func (l *Launched) opinion(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	from, _ := strconv.Atoi(c.QueryParam("from")) // what is no number is no version: the last two
	to, _ := strconv.Atoi(c.QueryParam("to"))
	opened, err := l.Opinion(c.Request().Context(), v.actor, c.Param("task"), from, to)
	if missing(err) {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no such second opinion", Path: l.path(v.id), Message: "It is not this patient's, or not here any more."})
	}
	if err != nil {
		return err
	}
	at := l.path(v.id) + "/opinion/" + url.PathEscape(c.Param("task"))
	shown, err := l.Images.Gallery(c.Request().Context(), v.actor, c.Param("task"), c.QueryParam("images") == "wait")
	if err != nil {
		return err
	}
	gallery := viewOfGallery(shown, at+"/dicomweb", at+"?images=wait#images")
	if inFrame(c.Request()) {
		gallery.stay(at)
	}
	view := l.whole(c, v, launchedView{Title: "Second opinion", Gallery: gallery, Opened: &opened, Patient: &opened.Patient, Done: acts[c.QueryParam("done")].done})
	return l.page(c, http.StatusOK, v.shows.FrameOrigins, view)
}

// dicomweb is DICOMweb of the case of a second opinion, to read.
func (l *Launched) dicomweb(c echo.Context) error {
	noStore(c)
	return l.Images.reply(c, l.Log, func(w http.ResponseWriter, r *http.Request) error {
		v, err := l.session(c)
		if err != nil {
			return err
		}
		root := l.path(v.id) + "/opinion/" + url.PathEscape(c.Param("task")) + "/dicomweb"
		from := Caller{RequestID: c.Response().Header().Get("X-Request-Id"), Address: c.RealIP()}
		return l.Images.Serve(w, r, v.actor, c.Param("task"), pathBelow(r), root, from)
	})
}

// toViewer leads to the viewer.
func (l *Launched) toViewer(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	address, err := l.Images.viewer(c, v.id, v.session.Places[0])
	if _, refused := errors.AsType[*fault.Error](err); refused {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no such second opinion", Path: l.path(v.id), Message: "It is not this patient's, or not here any more."})
	}
	if err != nil {
		return err
	}
	if !inFrame(c.Request()) {
		return c.Redirect(http.StatusSeeOther, address)
	}
	return l.page(c, http.StatusOK, v.shows.FrameOrigins, launchedView{Title: "Open the viewer", Path: l.path(v.id), Door: address, Return: l.path(v.id) + "/opinion/" + url.PathEscape(c.Param("task")) + "#images",
		Message: "It opens in a tab of its own, since it is shown within no other page. The way there is good once, within a minute: after that, go back and ask for it again."})
}

// A frame of another site has a cookie of its own, which no tab has (CHIPS). So a page in a
// frame opens nothing of ours in a tab: an image is shown in the frame, with a way back, and
// the viewer, which is at an origin of its own and in no frame, is reached by a ticket that
// the frame's page has (internal/session/ticket.go).

// inFrame tells whether a page is asked for by a frame, and not by a tab (Fetch Metadata,
// Sec-Fetch-Dest). Browsers that do not say get what works in both.
func inFrame(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Dest") != "document" }

// picture is one image, as large as the page.
type picture struct{ Src string }

// imagePath is the path of a rendered image below the root of DICOMweb (PS3.18 section 10.4.1).
var imagePath = regexp.MustCompile(`^studies/[0-9.]{1,64}/series/[0-9.]{1,64}/instances/[0-9.]{1,64}(/frames/[0-9]{1,6})?/rendered$`)

// image shows one image of a second opinion, with a way back. The image itself is asked for
// by the page as any other one, and so judged and recorded as any other one.
func (l *Launched) image(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	at := l.path(v.id) + "/opinion/" + url.PathEscape(c.Param("task"))
	opened, err := l.Opinion(c.Request().Context(), v.actor, c.Param("task"), 0, 0)
	if missing(err) || err == nil && !imagePath.MatchString(c.Param("*")) {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no such second opinion", Path: l.path(v.id), Message: "It is not this patient's, or not here any more."})
	}
	if err != nil {
		return err
	}
	view := l.whole(c, v, launchedView{Title: "Image", Patient: &opened.Patient, Return: at + "#images", Picture: &picture{at + "/dicomweb/" + c.Param("*") + "?viewport=1600,1600"}})
	return l.page(c, http.StatusOK, v.shows.FrameOrigins, view)
}

// session is that of a request for what is no page; an error where it is over.
func (l *Launched) session(c echo.Context) (v visit, err error) {
	over := fault.New(fault.Unauthenticated, "This view has ended")
	if v.id, err = uuid.Parse(c.Param("session")); err != nil || v.id.String() != c.Param("session") {
		return v, over
	}
	v.session, err = l.Sessions.OfLaunch(c.Request(), v.id)
	if errors.Is(err, session.ErrNone) || err == nil && len(v.session.Places) != 1 {
		return v, over
	}
	if err == nil {
		v.actor, err = (access.Choice{}).Of(v.session.Places)
	}
	return v, err
}

func missing(err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone)
}

// nameOf is a person's name without the reference that the audit has with it.
func nameOf(display string) string {
	if at := strings.LastIndex(display, " ("); at > 0 && strings.HasSuffix(display, ")") {
		return display[:at]
	}
	return display
}

func (l *Launched) form(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	form, err := l.Form(c.Request().Context(), v.actor, c.Param("report"), c.Param("version"), c.Param("form"), l.spoken(c).Code)
	if missing(err) {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no such report", Path: l.path(v.id), Message: "It is not this patient's, or not here any more."})
	}
	if err != nil {
		return err
	}
	return l.document(c, v, form, "second-opinion.pdf")
}

// summary is what is printed and given to the patient.
func (l *Launched) summary(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	form, err := l.Summary(c.Request().Context(), v.actor, c.Param("task"), c.Param("language"), c.Param("form"))
	if missing(err) || fault.Is(err, fault.BusinessRule) || fault.Is(err, fault.Value) {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no summary for the patient", Path: l.path(v.id), Message: "There is none in this language, of this report, or at this hospital."})
	}
	if err != nil {
		return err
	}
	return l.document(c, v, form, "summary.pdf")
}

// document shows a file: a page without anything that runs, or a PDF.
func (l *Launched) document(c echo.Context, v visit, form bedside.Form, name string) error {
	framed(c, v.shows.FrameOrigins, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox allow-modals")
	kind := form.ContentType
	if kind == "application/pdf" {
		c.Response().Header().Set("Content-Disposition", `inline; filename="`+name+`"`)
		framed(c, v.shows.FrameOrigins, "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'") // browsers show it in a page of their own
	} else {
		kind += "; charset=utf-8"
	}
	return c.Blob(http.StatusOK, kind, form.Content)
}

// proven takes a form: it must come from a page of this session.
func (l *Launched) proven(c echo.Context, v visit) error {
	if err := session.SameSite(c.Request()); err != nil {
		return err
	}
	if !v.session.Proves(c.FormValue(session.CSRFField)) {
		return fault.New(fault.Forbidden, "this page is too old; open it again")
	}
	return nil
}

// back is where a form leads: the page that it stood on.
func (l *Launched) back(c echo.Context, v visit, task string) string {
	if c.FormValue("from") == "opinion" {
		return l.path(v.id) + "/opinion/" + url.PathEscape(task)
	}
	return l.path(v.id)
}

func (l *Launched) acknowledge(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	if err := l.proven(c, v); err != nil {
		return l.refuse(c, v.shows.FrameOrigins, err)
	}
	task := c.FormValue("task")
	newer, err := l.Acknowledge(c.Request().Context(), v.actor, task, c.FormValue("version"), nameOf(v.session.Display))
	if f, ok := errors.AsType[*fault.Error](err); ok {
		view := launchedView{Title: "This was not acknowledged", Path: l.path(v.id), Back: l.back(c, v, task), Alarm: true,
			Message: "It was acknowledged already, is being changed, has an emergency that was not acknowledged first, or is not this patient's. Look at it again."}
		l.Log.Info("acknowledgement refused", "kind", string(f.Kind()), "session", v.id)
		return l.page(c, http.StatusConflict, v.shows.FrameOrigins, view)
	}
	if err != nil {
		return err
	}
	if newer {
		return l.page(c, http.StatusOK, v.shows.FrameOrigins, launchedView{
			Title: "A newer version must be read", Path: l.path(v.id), Back: l.back(c, v, task), Alarm: true,
			Message: "It is noted that you have read the version that you were shown. Meanwhile a newer version was signed, which may say something else: read that one too, and acknowledge it.",
		})
	}
	return c.Redirect(http.StatusSeeOther, l.back(c, v, task)+"#"+anchor(task))
}

// act is what a clinician may do besides acknowledging a report: operations of the
// case, with the fields that the forms of the page have.
type act struct {
	fields []string
	named  bool   // the operation takes who does it, by name
	done   string // what the page says then
	part   string // of the page, to which it leads
}

var acts = map[string]act{
	"ask":                 {[]string{"question", "follows"}, true, "Your question was sent to the reading service. The answer will stand here, and in the report as an addendum.", "questions"},
	"acknowledge-finding": {[]string{"finding"}, true, "It is noted that you know of this finding.", "findings"},
	"judge-management":    {[]string{"management", "note"}, false, "Thank you. What you said is kept for the quality work, and is no part of the record.", "done"},
}

// act does it, and leads back to the page.
func (l *Launched) act(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	if err := l.proven(c, v); err != nil {
		return l.refuse(c, v.shows.FrameOrigins, err)
	}
	doing, known := acts[c.Param("act")]
	if !known {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no such second opinion", Path: l.path(v.id)})
	}
	sent, err := c.FormParams()
	if err != nil {
		return fault.New(fault.Value, "this form cannot be read")
	}
	given := url.Values{}
	for name, values := range sent {
		if slices.Contains(doing.fields, name) {
			given[name] = values
		}
	}
	if doing.named {
		given.Set("clinician", nameOf(v.session.Display))
	}
	task := c.Param("task")
	err = l.Carry(c.Request().Context(), v.actor, screen.Errand{Task: task, Operation: c.Param("act"), Fields: given})
	if f, ok := errors.AsType[*fault.Error](err); ok {
		l.Log.Info("a clinician's request was refused", "operation", c.Param("act"), "kind", string(f.Kind()), "session", v.id)
		opinion, in := l.path(v.id)+"/opinion/"+url.PathEscape(task), l.spoken(c)
		why := launchedView{Title: "This was not done", Path: l.path(v.id), Back: opinion, Alarm: true,
			Message: "It was done already, something is missing in what you wrote, or it is not this patient's. Look at the second opinion again."}
		r := refusedForm{action: l.Prefix + c.Request().URL.Path, sent: sent, title: in.say(why.Title), text: in.say(why.Title) + ": " + in.said(f.Issues[0].Text), spare: in.say("What you had written")}
		r.about(f, in)
		page, ok := again(c, strings.TrimPrefix(opinion, l.Prefix), r)
		if !ok {
			return l.page(c, http.StatusConflict, v.shows.FrameOrigins, why)
		}
		l.whole(c, v, why)
		framed(c, v.shows.FrameOrigins, launchedPolicy)
		return c.HTMLBlob(http.StatusConflict, page)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, l.path(v.id)+"/opinion/"+task+"?done="+c.Param("act")+"#"+doing.part)
}

// language keeps in which language the pages of the session are.
func (l *Launched) language(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	if err := l.proven(c, v); err != nil {
		return l.refuse(c, v.shows.FrameOrigins, err)
	}
	if chosen := languages[c.FormValue("language")]; chosen != nil {
		l.Sessions.SetLaunchLanguage(c.Response(), v.id, chosen.Code, time.Until(v.session.EndsAt))
	}
	return c.Redirect(http.StatusSeeOther, l.path(v.id))
}
