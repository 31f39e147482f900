package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/screen"
)

// ImagesDesk is what pages show of the images of a case (docs/images.md).
type ImagesDesk struct {
	// Gallery is what a page has to show; patient waits longer for a slow PACS.
	Gallery func(ctx context.Context, actor access.Actor, task string, patient bool) (screen.Gallery, error)
	// Serve answers DICOMweb of the studies of one case: path is below root.
	Serve func(w http.ResponseWriter, r *http.Request, actor access.Actor, task, path, root string, from Caller) error
	// Viewer is where the viewer shows the case to a place of a session.
	Viewer func(ctx context.Context, session uuid.UUID, p access.Place, task string) (address string, err error)
}

// imageRooms are DICOMweb of a case, for those who read.
func (s *Server) imageRooms() []room {
	return []room{
		{http.MethodGet, "/case/:task/dicomweb/*", "", whoRead, s.dicomweb},
		{http.MethodHead, "/case/:task/dicomweb/*", "", whoRead, s.dicomweb},
		{http.MethodGet, "/case/:task/viewer", "", whoRead, s.toViewer},
	}
}

func (s *Server) dicomweb(c echo.Context, at seat) error {
	root := s.at(at.place) + "/case/" + c.Param("task") + "/dicomweb"
	return s.Desk.Images.reply(c, s.Log, func(w http.ResponseWriter, r *http.Request) error {
		return s.Desk.Images.Serve(w, r, at.place.Actor, c.Param("task"), pathBelow(r), root, s.caller(c))
	})
}

// toViewer leads to the viewer, which is at an origin of its own. From another site
// nobody is led there.
func (s *Server) toViewer(c echo.Context, at seat) error {
	address, err := s.Desk.Images.viewer(c, at.session.ID, at.place)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, address)
}

func (d ImagesDesk) viewer(c echo.Context, session uuid.UUID, p access.Place) (string, error) {
	if site := c.Request().Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return "", fault.New(fault.Forbidden, "Open the viewer from the page of the case.")
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return d.Viewer(c.Request().Context(), session, p, c.Param("task"))
}

// pathBelow is what stands in the address below the root of DICOMweb, as it was sent.
func pathBelow(r *http.Request) string {
	_, below, _ := strings.Cut(r.URL.EscapedPath(), "/dicomweb/")
	return "/" + below
}

// reply has an answer of DICOMweb given. An error is a line of text, since what asks
// is a program or an img.
func (ImagesDesk) reply(c echo.Context, log logger, serve func(w http.ResponseWriter, r *http.Request) error) error {
	err := serve(c.Response(), c.Request())
	if err == nil || c.Response().Committed {
		return nil
	}
	status, text := http.StatusServiceUnavailable, "the images cannot be shown now; try again in a moment"
	if known, ok := errors.AsType[*fault.Error](err); ok {
		text = known.Issues[0].Text
		if status, ok = statuses[known.Kind()]; !ok {
			status = http.StatusBadRequest
		}
	} else {
		log.Error("images failed", "error", pg.Describe(err), "route", c.Path())
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.String(status, text+"\n")
}

// logger is what is needed of a log.
type logger interface{ Error(msg string, args ...any) }

// galleryView is a gallery as a page shows it.
type galleryView struct {
	screen.Gallery

	Current  []stripView
	Earlier  []stripView
	Beside   bool   // the one to compare with is open beside the study's own
	Switch   bool   // a key goes through the earlier ones
	Again    string // where one waits longer for the PACS
	ViewerAt string
	Stays    bool // nothing of ours is opened in a tab
}

// stay has images and viewer opened where the page is; at is the page's address.
func (v *galleryView) stay(at string) {
	v.Stays = true
	for _, strip := range slices.Concat(v.Current, v.Earlier) {
		for i := range strip.Images {
			strip.Images[i].Stays, strip.Images[i].Large = true, at+"/image"+strip.Images[i].Path
		}
	}
}

type stripView struct {
	screen.Strip

	Images []imageView
	Later  bool // than the study of the case
}

type imageView struct {
	screen.Image

	Small, Large string
	Before       bool // of another examination, mostly an earlier one
	Later        bool // of one that came later
	Stays        bool // it opens where the page is
}

// viewOfGallery gives each image its addresses: twice as fine as it is shown, and
// large.
func viewOfGallery(g screen.Gallery, root, again string) *galleryView {
	v := &galleryView{Gallery: g, Again: again, ViewerAt: strings.TrimSuffix(root, "/dicomweb") + "/viewer"}
	var own time.Time // of the study of the case, where it is known
	if len(g.Strips) > 0 && !g.Strips[0].Prior {
		own = g.Strips[0].On
	}
	for _, strip := range g.Strips {
		view := stripView{Strip: strip, Later: strip.Prior && !own.IsZero() && strip.On.After(own)}
		for _, i := range strip.Images {
			at := root + i.Path + "?viewport="
			view.Images = append(view.Images, imageView{Image: i, Small: at + strconv.Itoa(2*i.Width) + "," + strconv.Itoa(2*i.Height), Large: at + "1600,1600", Before: strip.Prior, Later: view.Later})
		}
		if strip.Prior {
			v.Earlier = append(v.Earlier, view)
		} else {
			v.Current = append(v.Current, view)
		}
	}
	return v
}

// galleryOf is the gallery of a case on a page of its room; nil where there is none.
func (s *Server) galleryOf(c echo.Context, at seat, r screen.Reading) (*galleryView, error) {
	if r.Stage == screen.Claimable || r.Stage == screen.Waiting { // nothing is read yet, or not by them
		return nil, nil
	}
	here := s.at(at.place) + "/case/" + r.Task
	g, err := s.Desk.Images.Gallery(c.Request().Context(), at.place.Actor, r.Task, c.QueryParam("images") == "wait")
	if err != nil || g.State == screen.NotShown {
		return nil, err
	}
	v := viewOfGallery(g, here+"/dicomweb", here+"?images=wait#images")
	v.Switch, v.Beside = len(v.Earlier) > 0, len(v.Current) > 0 && len(v.Earlier) > 0 && v.Earlier[0].Alike
	return v, nil
}
