package fhir

import (
	"context"
	"slices"
)

// The original report: which one it is, whose, and who made it.

// takeOriginal: the first report is the original, unless a later one is of the
// very study that is to be read.
func (d *dossier) takeOriginal(m mention, f found) {
	better := d.original.Node == nil || !isOfStudy(d.original, d.study) && isOfStudy(f, d.study)
	if !d.originalNamed || f.Node != nil && better {
		d.originalRef, d.original = m.ref, f
	}
	d.originalNamed = true
}

func isOfStudy(report, study found) bool {
	for _, ref := range report.Each("imagingStudy") {
		if id := study.id(); id != "" && parseReference(ref.Text("reference")).relative() == "ImagingStudy/"+id {
			return true
		}
	}
	return false
}

// findOriginal looks for a report of the study where the order names none: EHRs
// often send the report and link it to the study only. Once the reader has
// compared, the original is the one that was compared.
func (d *dossier) findOriginal(ctx context.Context, r resolver) error {
	if d.c.RevealedAt != nil && d.c.OriginalReportID != nil && *d.c.OriginalReportID != d.original.id() {
		f, err := r.get(ctx, "DiagnosticReport", *d.c.OriginalReportID)
		if err != nil || f.Node == nil {
			return err
		}
		d.nameOriginal(f)
		return nil
	}
	if d.originalNamed || d.study.id() == "" {
		return nil
	}
	reports, err := r.referringTo(ctx, "DiagnosticReport", "imaging-study", "ImagingStudy/"+d.study.id())
	if err != nil {
		return err
	}
	for _, f := range reports {
		if !isOurs(f.Node) {
			d.nameOriginal(f)
			return nil
		}
	}
	return nil
}

func (d *dossier) nameOriginal(f found) {
	d.originalNamed, d.original = true, f
	d.originalRef = refer("DiagnosticReport/"+f.id(), "DiagnosticReport", "")
}

// followOriginal finds the Observations of the original, and whose it is.
func (d *dossier) followOriginal(ctx context.Context, r resolver) (err error) {
	for _, ref := range d.original.Each("result") {
		f, err := r.follow(ctx, ref, d.original.Node)
		if err != nil {
			return err
		}
		if f.id() != "" {
			d.originalResults = append(d.originalResults, f)
		}
	}
	d.originalPatient, err = r.patientKey(ctx, d.original.Get("subject"), d.original.Node)
	return err
}

// isOurs tells a second opinion of ours from a first reading.
func isOurs(report *Node) bool {
	return identifierOf(report, sidReport) != ""
}

// findFirstReaders names who made the original, in every way in which a reader
// or their organisation may be named, so that nobody judges their own work.
func (d *dossier) findFirstReaders(ctx context.Context, r resolver) error {
	for _, ref := range append(d.original.Each("performer"), d.original.Each("resultsInterpreter")...) {
		if err := d.nameParty(ctx, r, ref, d.original.Node); err != nil {
			return err
		}
	}
	return nil
}

// findRequester names who asks in every way in which they may be named.
func (d *dossier) findRequester(ctx context.Context, r resolver) error {
	asks := &dossier{}
	for _, n := range []*Node{d.order, d.task} {
		if ref := n.Get("requester"); ref != nil {
			if err := asks.nameParty(ctx, r, ref, n); err != nil {
				return err
			}
		}
	}
	d.requesters = slices.Concat(asks.firstReaders, asks.firstGroups)
	return nil
}

func (d *dossier) nameParty(ctx context.Context, r resolver, ref, parent *Node) error {
	f, err := r.follow(ctx, ref, parent)
	if err != nil {
		return err
	}
	typ := f.Type()
	if f.Node == nil {
		typ = typeOf(ref)
	}
	switch typ {
	case "PractitionerRole":
		for _, inner := range []*Node{f.Get("practitioner"), f.Get("organization")} {
			if inner == nil {
				continue
			}
			if err := d.nameParty(ctx, r, inner, f.Node); err != nil {
				return err
			}
		}
	case "Organization":
		d.firstGroups = appendNames(d.firstGroups, f, ref)
	default:
		d.firstReaders = appendNames(d.firstReaders, f, ref)
	}
	return nil
}

func appendNames(names []string, f found, ref *Node) []string {
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if f.id() != "" {
		add(f.Type() + "/" + f.id())
	}
	add(identifierKey(ref.Get("identifier")))
	for _, id := range f.Each("identifier") {
		add(identifierKey(id))
	}
	return names
}
