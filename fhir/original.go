package fhir

import "context"

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
		if isOurs(f.Node) {
			continue
		}
		made, err := d.precedenceOf(ctx, r, f)
		if err != nil {
			return err
		}
		if made == madeBefore || made == madeUnclear && !d.originalNamed {
			d.nameOriginal(f)
			d.originalUnclear = made == madeUnclear
		}
		if made == madeBefore {
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
