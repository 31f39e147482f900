package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// Once a second opinion is signed, a report of its study that comes may be a first
// reading that comes late; or the EHR's own copy of what it got from here, which names
// our reader; or one that our reader has written since for reasons of their own. Only
// the first kind says who read first. docs/after-signing.md tells why each is decided so.

// precedence is whether a report was made before the opinion that is signed.
type precedence int

const (
	madeBefore precedence = iota
	madeAfter             // or a copy of it
	madeUnclear
)

// precedenceOf is asked of signed cases. Of any other everything that is here is
// made before: nobody has got anything from us that could be filed.
func (d *dossier) precedenceOf(ctx context.Context, r resolver, report found) (precedence, error) {
	id := report.id()
	if d.c.FinalAt == nil || d.c.LockedAt == nil || id == "" || slices.Contains(d.named, id) || d.c.OriginalReportID != nil && *d.c.OriginalReportID == id {
		return madeBefore, nil
	}
	signed, err := workflow.ReportsTx(ctx, r.tx, d.c.CaseID)
	if err != nil || len(signed) == 0 {
		return madeBefore, err
	}
	sealed := *d.c.LockedAt
	if text := signed[0].LockedAt; text.After(sealed) { // another has sealed the text that is signed
		sealed = text
	}
	came, err := r.came(ctx, "DiagnosticReport", id)
	if err != nil || !came.After(sealed) {
		return madeBefore, err
	}
	answers, err := d.answersOrder(ctx, r, report)
	if err != nil {
		return madeBefore, err
	}
	repeats := slices.ContainsFunc(signed, func(v workflow.Report) bool {
		return slices.ContainsFunc(strings.Split(report.Text("conclusion"), "\n\n"), func(said string) bool {
			return workflow.SameSentence(v.Opinion.Impression, said)
		})
	})
	return dated(report.Node, sealed).judge(answers, repeats, report.Text("status")), nil
}

// judge weighs what else a report says against when it says that it was made.
func (made precedence) judge(answersOrder, repeatsUs bool, status string) precedence {
	withdrawn := status == "entered-in-error" // that this reader ever read the study may be the error
	switch {
	case made == madeBefore && !answersOrder && !repeatsUs && !withdrawn:
		return madeBefore
	case made == madeBefore: // of the wrong date, or the order of the images was sent as that of the second opinion
		return madeUnclear
	case answersOrder:
		return madeAfter
	case made == madeAfter && !slices.Contains([]string{"amended", "corrected", "appended"}, status):
		return madeAfter
	}
	return madeUnclear // also of a version of which nothing says when the first one was made
}

// dated says when a report was made as it tells itself: by issued, the time of this
// version (FHIR R4 diagnosticreport-definitions.html#DiagnosticReport.issued). effective
// is the time of the images, as a rule: it only shows that a report was made after.
func dated(report *Node, sealed time.Time) precedence {
	if issued, known := moment(report.Text("issued")); known {
		if issued.After(sealed) {
			return madeAfter
		}
		return madeBefore
	}
	for _, text := range []string{report.Text("effectiveDateTime"), report.Text("effectivePeriod", "start")} {
		if at, known := moment(text); known && at.After(sealed) {
			return madeAfter
		}
	}
	return madeUnclear
}

// answersOrder: the report is the result of the order of this second opinion.
func (d *dossier) answersOrder(ctx context.Context, r resolver, report found) (bool, error) {
	for _, ref := range report.Each("basedOn") {
		literal := ref.Text("reference")
		if literal != "" && literal == d.c.ServiceRequestRef || d.isOrder(ref.Get("identifier")) {
			return true, nil
		}
		f, err := r.follow(ctx, ref, report.Node)
		if err != nil {
			return false, err
		}
		ours := d.c.ServiceRequestID != nil && f.Type() == "ServiceRequest" && f.id() == *d.c.ServiceRequestID
		if ours || slices.ContainsFunc(f.Each("identifier"), d.isOrder) {
			return true, nil
		}
	}
	return false, nil
}

// isOrder: it is the number that the placer gave the order.
func (d *dossier) isOrder(identifier *Node) bool {
	return d.c.PlacerValue != "" && identifier.Text("system") == d.c.PlacerSystem && identifier.Text("value") == d.c.PlacerValue
}

// came is when a resource was first stored here.
func (r resolver) came(ctx context.Context, typ, id string) (at time.Time, err error) {
	err = r.tx.QueryRow(ctx, `
		SELECT least((SELECT last_updated FROM resource WHERE tenant_id = @tenant AND type = @type AND id = @id),
		             (SELECT min(last_updated) FROM resource_history WHERE tenant_id = @tenant AND type = @type AND id = @id))`,
		pgx.NamedArgs{"tenant": r.tenant, "type": typ, "id": id}).Scan(&at)
	if err != nil {
		return at, fmt.Errorf("when a %s came: %w", typ, err)
	}
	return at, nil
}

// knownReader: the case knew, when somebody looked last, that they read the study
// first: one of the ways in which they are named is noted.
func knownReader(exam workflow.Exam, who workflow.FirstReaders) bool {
	known := func(noted, names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(noted, name) })
	}
	return known(exam.OriginalReaders, who.Readers) || known(exam.OriginalNames, who.Names) ||
		len(who.Readers)+len(who.Names) == 0 && known(exam.OriginalGroups, who.Groups)
}

func addTo(all *workflow.FirstReaders, who workflow.FirstReaders) {
	for list, names := range map[*[]string][]string{&all.Readers: who.Readers, &all.Groups: who.Groups, &all.Names: who.Names} {
		for _, name := range names {
			if !slices.Contains(*list, name) {
				*list = append(*list, name)
			}
		}
	}
}
