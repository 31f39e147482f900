package main

import (
	"context"
	"net/http"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/integrations/dicomweb"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/internal/viewer"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

// images are what pages show of the PACS: who may see what is the FHIR surface's to
// say, what the PACS has the gateway's.
type images struct {
	surface  func() *fhir.Server
	gateway  *dicomweb.Gateway
	sessions *session.Store
	viewer   *viewer.Viewer // nil where there is none
}

// desk is what pages ask.
func (g *images) desk() web.ImagesDesk {
	return web.ImagesDesk{
		Gallery: g.gallery,
		Viewer:  g.openViewer,
		Serve: func(w http.ResponseWriter, r *http.Request, actor access.Actor, task, path, root string, from web.Caller) error {
			return g.serve(w, r, actor, task, path, root, fhir.Asked{RequestID: from.RequestID, Client: from.Address})
		},
	}
}

const (
	stripOwn    = 8 // images of the case's own study
	stripPrior  = 3 // of one of before that is not compared with
	stripPriors = 4 // studies of before that have a strip
	soon        = 1200 * time.Millisecond
	later       = 12 * time.Second
	pictureHigh = 208 // pixels, as a strip shows it
)

// gallery is what a page shows. It waits a little for the PACS, so that a page is
// there whether or not the PACS answers; with patience it waits longer.
func (g *images) gallery(ctx context.Context, actor access.Actor, task string, patient bool) (screen.Gallery, error) {
	v, err := g.surface().Viewing(ctx, actor, task)
	switch {
	case fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) || err == nil && len(v.Studies) == 0:
		return screen.Gallery{State: screen.NotShown}, nil
	case err != nil:
		return screen.Gallery{}, err
	case len(v.Archives) == 0:
		return screen.Gallery{State: screen.NoPACS, Own: v.Own}, nil
	}
	wait := soon
	if patient {
		wait = later
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for _, study := range v.Studies[:min(len(v.Studies), 1+stripPriors)] { // all are asked about at once
		go func() { _, _, _ = g.gateway.Strip(ctx, v, study.UID, 1) }()
	}
	shown := screen.Gallery{Veiled: v.Studies[0].Veiled, Own: v.Own}
	priors := 0
	for _, study := range v.Studies {
		most := stripOwn
		if study.Prior {
			if priors++; priors > stripPriors {
				break
			}
			if !study.Alike {
				most = stripPrior
			}
		}
		strip, all, err := g.gateway.Strip(ctx, v, study.UID, most)
		switch {
		case study.Prior && (err != nil || len(strip) == 0):
			continue
		case dicomweb.Pending(err):
			shown.State = screen.PACSSlow
		case dicomweb.Unanswered(err):
			shown.State = screen.PACSSilent
		case err != nil || len(strip) == 0:
			shown.State = screen.PACSHasNone
		default:
			shown.Strips = append(shown.Strips, stripOf(study, strip, all))
		}
		if !study.Prior && shown.State != "" && shown.State != screen.PACSHasNone {
			return shown, nil // the others would not come either
		}
	}
	if shown.State == "" {
		shown.State, shown.Viewer = screen.Shown, g.viewer != nil
	}
	return shown, nil
}

func stripOf(study workflow.ViewedStudy, pictures []dicomweb.Picture, all int) screen.Strip {
	s := screen.Strip{Prior: study.Prior, Alike: study.Alike, Title: study.Title, On: study.On, Number: study.Number, All: all}
	for _, p := range pictures {
		image := screen.Image{Path: p.Path, Modality: p.Modality, Series: p.Series, Number: p.Number, Of: p.Of, Width: pictureHigh, Height: pictureHigh}
		if p.Width > 0 && p.Height > 0 { // as wide as it is, within reason
			image.Width = min(max(p.Width*pictureHigh/p.Height, pictureHigh/3), 3*pictureHigh)
		}
		s.Images, s.Selected = append(s.Images, image), s.Selected || p.Selected
	}
	return s
}

// serve answers DICOMweb of one case: QIDO-RS and WADO-RS of its studies, to read.
func (g *images) serve(w http.ResponseWriter, r *http.Request, actor access.Actor, task, path, root string, asked fhir.Asked) error {
	v, err := g.surface().Viewing(r.Context(), actor, task)
	if err != nil {
		return err
	}
	if len(v.Archives) == 0 {
		return fault.New(fault.NotFound, "this hospital has no PACS here")
	}
	return g.gateway.Serve(w, r, dicomweb.Request{Viewing: v, Path: path, Root: root, Opened: func(ctx context.Context, study string) error {
		return g.surface().OpenImages(ctx, actor, task, study, asked)
	}})
}
