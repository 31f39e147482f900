package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
)

// idle are the states of a study or report that says nothing, or nothing that holds.
var idle = []string{"registered", "cancelled", "entered-in-error"}

// thePriors are the patient's other examinations, the latest first. Each is listed once, by
// its study, with the text of all that was reported of it, ours among it; a report of which
// no study is known here stands for itself.
func (p *readingPage) thePriors(ctx context.Context) error {
	if p.c.PatientID == nil {
		return nil
	}
	var priors []*screen.Prior
	of := map[string]*screen.Prior{} // by the study: its UID, and the references to it
	for _, typ := range []string{"ImagingStudy", "DiagnosticReport"} {
		if !p.actor.May(typ, access.Search) {
			continue
		}
		found, err := p.ofPatient(ctx, typ)
		if err != nil {
			return err
		}
		for _, n := range found {
			if slices.Contains(idle, n.Text("status")) {
				continue
			}
			prior := p.priorOf(n, of)
			if prior == nil || typ == "DiagnosticReport" && p.ofThisCase(n) {
				continue
			}
			if typ == "DiagnosticReport" {
				report, err := p.priorReport(ctx, n)
				if err != nil {
					return err
				}
				prior.Reports = append(prior.Reports, report)
			}
			p.shown = append(p.shown, typ+"/"+n.Text("id"))
			if !slices.Contains(priors, prior) {
				priors = append(priors, prior)
			}
		}
	}
	for _, prior := range priors {
		slices.SortStableFunc(prior.Reports, func(a, b screen.PriorReport) int { return a.On.Compare(b.On) })
		p.page.Priors = append(p.page.Priors, *prior)
	}
	slices.SortStableFunc(p.page.Priors, func(a, b screen.Prior) int { return b.On.Compare(a.On) })
	p.page.Priors = p.page.Priors[:min(len(p.page.Priors), mostPriors)]
	return nil
}

func (p *readingPage) priorReport(ctx context.Context, n *Node) (report screen.PriorReport, err error) {
	report.Title = conceptText(n.Get("code"))
	if on := momentOf(n.Text("issued"), p.page.Zone); on != nil {
		report.On = *on
	}
	report.Parts, _, err = p.reportParts(ctx, n)
	return report, err
}

// priorOf is the examination that a study is or a report is about, new where it is not known
// yet; nil where it is the one that is read.
func (p *readingPage) priorOf(n *Node, of map[string]*screen.Prior) *screen.Prior {
	var keys []string
	if n.Type() == "ImagingStudy" {
		keys = append(keys, "ImagingStudy/"+n.Text("id"))
		if uid := studyUID(n); uid != "" {
			keys = append(keys, uid)
		}
	}
	for _, study := range n.Each("imagingStudy", "reference") {
		keys = append(keys, study.Text())
	}
	if slices.Contains(keys, "ImagingStudy/"+p.study) || p.c.StudyUID != nil && slices.Contains(keys, *p.c.StudyUID) {
		return nil
	}
	prior := &screen.Prior{Title: conceptText(n.Get("code")), On: p.examined(n)}
	if n.Type() == "ImagingStudy" {
		*prior = screen.Prior{Title: n.Text("description"), On: p.examined(n), Modality: strings.Join(modalities(n), ", "), Site: bodySite(n), Number: accession(n).Text("value")}
	}
	for _, key := range keys {
		if known := of[key]; known != nil {
			prior = known
		}
	}
	for _, key := range keys {
		of[key] = prior
	}
	return prior
}

// ofThisCase: the original, or what is about the same study.
func (p *readingPage) ofThisCase(report *Node) bool {
	id := report.Text("id")
	return p.c.OriginalReportID != nil && *p.c.OriginalReportID == id || p.c.ReportID != nil && *p.c.ReportID == id ||
		slices.ContainsFunc(report.Each("imagingStudy", "reference"), func(ref *Node) bool { return p.study != "" && ref.Text() == "ImagingStudy/"+p.study })
}
