package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// reportStatus is the status (FHIR R4 diagnostic-report-status) of a report
// version that amends the one before: appended keeps the text and adds to it,
// corrected mends an error, amended is any other change.
var reportStatus = map[string]string{
	"addition":   "appended",
	"correction": "corrected",
	"amendment":  "amended",
}

var signReport = Effect{"signReport", "the report is written down word for word from the sealed opinion and the grade in force, before anything is rendered from it; the policy's feedback for the original reader is kept, and it is drawn whether a second read for quality follows",
	func(ctx context.Context, t *turn) error {
		opinion, err := t.lockedOpinion(ctx)
		if err != nil {
			return err
		}
		r := Report{
			Status: "final",
			Level:  LevelNoComparison,
		}
		r.use(opinion)
		if r.Authors, err = t.authors(ctx); err != nil {
			return err
		}
		if t.c.comparable() {
			grade, err := t.ledger.lastGrade(ctx, t.c.CaseID)
			if err != nil {
				return err
			}
			r.compare(grade)
		}
		t.c.FinalAt, r.Cosigned = &t.now, t.changed
		return t.sign(ctx, r)
	}}

var amendmentComplete = Guard{"amendmentComplete", "the amendment has a kind, a reason and its text; an addition leaves opinion and grade as they are; a grade that is given is complete",
	func(ctx context.Context, t *turn) error {
		a := t.in.Amendment
		switch {
		case a == nil:
			return refuse("sign needs the amendment")
		case reportStatus[a.Kind] == "":
			return refuse("amendment.kind must be one of addition, correction, amendment")
		case strings.TrimSpace(a.Reason) == "" || strings.TrimSpace(a.Text) == "":
			return refuse("an amendment needs its reason and its text")
		case slices.ContainsFunc(a.Remove, func(s string) bool { return !slices.Contains(Removable(), s) }):
			return refuse("only these sections can be taken back: %s", strings.Join(Removable(), ", "))
		case a.Kind == "addition" && (t.in.Opinion != nil || t.in.Grade != nil || len(a.Remove) > 0):
			return refuse("an addition leaves the opinion and the grade as they are; call it a correction or an amendment")
		case t.in.Opinion != nil && t.in.Opinion.unknownCategory():
			return errCategory
		case t.in.Grade != nil && t.in.GradeStands:
			return errGradeStands
		case t.in.Grade != nil:
			return gradeComplete.Check(ctx, t)
		}
		return nil
	}}

var amendmentGraded = Guard{"amendmentGraded", "where an amendment changes findings, impression or how soon somebody must act, the grade is given with it, or it is said that the one in force stands",
	func(ctx context.Context, t *turn) error {
		if t.in.Grade != nil || t.in.GradeStands || !t.c.comparable() {
			return nil
		}
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		if after, ok := t.amendedOpinion(report.Opinion); ok && changesWeight(report.Opinion, after) {
			return errRegradeChange
		}
		return nil
	}}

// Of two who may sign an amendment each has a text of their own before them.
var amendsInForce = Guard{"amendsInForce", "the version against which the amendment was written, where that is said, is the one in force",
	func(_ context.Context, t *turn) error {
		if no := t.in.Amends; no != 0 && no != t.c.ReportNo {
			return fault.New(fault.Conflict, "this was written against version %d of the report, and version %d is in force by now: read it, and write the amendment against it (amends = %d); nothing was signed", no, t.c.ReportNo, t.c.ReportNo)
		}
		return nil
	}}

var signAmendment = Effect{"signAmendment", "a new version of the report: the text and the grade that are given, the rest as it was; the versions before stay on record",
	func(ctx context.Context, t *turn) error {
		r, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		r.Amendment, r.Status = t.in.Amendment, reportStatus[t.in.Amendment.Kind]
		if changed, ok := t.amendedOpinion(r.Opinion); ok {
			opinion, err := t.sealInForce(ctx, PartAmendment, changed)
			if err != nil {
				return err
			}
			r.amendedBy(t.c, t.actor.ID, r.Opinion, changed)
			r.use(opinion)
		}
		if t.in.Grade != nil {
			grade, err := t.recordGrade(ctx)
			if err != nil {
				return err
			}
			r.compare(grade)
		}
		return t.sign(ctx, r)
	}}

var signAddendum = Effect{"signAddendum", "what was said is signed as an addendum: the next version of the report",
	func(ctx context.Context, t *turn) error {
		r, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		r.Amendment, r.Status = t.addendum, reportStatus[t.addendum.Kind]
		return t.sign(ctx, r)
	}}

// amendedOpinion is the earlier opinion with what the amendment gives and
// takes back; not ok when it does neither.
func (t *turn) amendedOpinion(earlier Opinion) (changed Opinion, ok bool) {
	if t.in.Opinion == nil && len(t.in.Amendment.Remove) == 0 {
		return Opinion{}, false
	}
	if t.in.Opinion != nil {
		changed = *t.in.Opinion
	}
	return changed.over(earlier.without(t.in.Amendment.Remove)), true
}

var signError = Effect{"signError", "the last version of the report says that it was entered in error, so that the EHR learns it too",
	func(ctx context.Context, t *turn) error {
		r, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		r.Amendment = &Amendment{Kind: "error", Reason: t.in.Reason}
		r.Status = "entered-in-error"
		return t.sign(ctx, r)
	}}

// use takes a sealed opinion as the text of the report.
func (r *Report) use(o Sealed) {
	r.Opinion, r.OpinionSHA256, r.LockedAt = o.Content, o.SHA256, o.SealedAt
}

// compare takes from a grade what may stand in the chart, and nothing else.
func (r *Report) compare(g GivenGrade) {
	r.GradeNo, r.Level, r.Difference = g.GradeNo, g.Content.Level(), g.Content.Difference
	if r.Level == LevelNoComparison {
		r.Difference = ""
	}
	r.Management, r.Compared = g.Content.Management(), g.Content.Actionable()
}

// sign records the report as the case's next version.
func (t *turn) sign(ctx context.Context, r Report) error {
	c := t.c
	c.ReportNo++
	c.ReportStatus = &r.Status
	r.No = c.ReportNo
	r.Actionable = r.urgency()
	if err := t.tellFindings(ctx, &r); err != nil {
		return err
	}
	if err := t.noteWhose(ctx, &r); err != nil {
		return err
	}
	authors := r.AuthoredBy()
	r.ReaderID, r.OtherReaderID, r.AdjudicatorID, r.SupervisorID = *c.ReaderID, nil, c.AdjudicatorID, c.SupervisorID
	if c.OtherReaderID != nil && slices.Contains(authors, *c.OtherReaderID) {
		r.OtherReaderID = c.OtherReaderID
	}
	r.SignedBy, r.SignedAt = t.actor.ID, t.now
	sum, err := t.ledger.insertReport(ctx, c.CaseID, r)
	if err != nil {
		return err
	}
	if sealed, ok := t.detail["sha256"]; ok { // of an opinion that was sealed in this very event
		t.detail["opinionSha256"] = sealed
	}
	t.detail["reportNo"], t.detail["reportStatus"], t.detail["sha256"] = r.No, r.Status, sum
	t.report = &r
	for _, follow := range t.afterSigning {
		if err := follow(ctx); err != nil {
			return err
		}
	}
	return t.afterSignature(ctx, r)
}

// tellFindings brings into the report what was found that somebody must act on,
// and whom somebody told of it.
func (t *turn) tellFindings(ctx context.Context, r *Report) (err error) {
	if r.Status == "entered-in-error" {
		return nil
	}
	if err := t.raiseFromReport(ctx, *r); err != nil {
		return err
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, r.wasTakenBack) && !slices.ContainsFunc(all, r.isToldBy) {
		r.Actionable = "" // what its text calls pressing was taken back
	}
	r.Findings, err = t.reportedFindings(ctx, *r)
	for _, f := range r.Findings {
		r.Actionable = mostPressing(r.Actionable, f.Category)
	}
	return err
}

// insertReportTx records what is signed and returns its SHA-256 in hex.
func insertReportTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, r Report) (string, error) {
	text, sum, err := canonical(r)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO signed_report (tenant_id, case_id, report_no, status, signed_by, signed_at, content, content_sha256)
		VALUES (overread_tenant(), @case_id, @no, @status, @signed_by, @signed_at, @content, @sum)`,
		pgx.NamedArgs{"case_id": caseID, "no": r.No, "status": r.Status, "signed_by": r.SignedBy, "signed_at": r.SignedAt, "content": string(text), "sum": sum[:]})
	if err != nil {
		return "", fmt.Errorf("insert signed report: %w", err)
	}
	return hexOf(sum), nil
}

// ReportsTx returns every version of the case's report, the oldest first.
func ReportsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Report, error) {
	by, err := ReportsOfTx(ctx, tx, []uuid.UUID{caseID})
	return by[caseID], err
}

// ReportsOfTx is ReportsTx of several cases at once.
func ReportsOfTx(ctx context.Context, tx pgx.Tx, cases []uuid.UUID) (map[uuid.UUID][]Report, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, content
		FROM signed_report
		WHERE case_id = ANY ($1)
		ORDER BY case_id, report_no`, cases)
	if err != nil {
		return nil, fmt.Errorf("signed reports: %w", err)
	}
	return perCase(rows, func(r struct {
		CaseID  uuid.UUID
		Content Report
	}) (uuid.UUID, Report) {
		return r.CaseID, r.Content
	})
}

// perCase collects rows of several cases, in their order.
func perCase[Row, T any](rows pgx.Rows, of func(Row) (uuid.UUID, T)) (map[uuid.UUID][]T, error) {
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, err
	}
	by := map[uuid.UUID][]T{}
	for _, row := range all {
		id, found := of(row)
		by[id] = append(by[id], found)
	}
	return by, nil
}

// lastReportTx returns the version in force; a fault of kind BusinessRule
// before the first.
func lastReportTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (Report, error) {
	reports, err := ReportsTx(ctx, tx, caseID)
	if err == nil && len(reports) == 0 {
		err = refuse("nothing is signed yet")
	}
	if err != nil {
		return Report{}, err
	}
	return reports[len(reports)-1], nil
}

// versionOf is one of a case's signed versions; a fault of kind BusinessRule where
// there is none of that number.
func versionOf(reports []Report, no int) (Report, error) {
	if no < 1 || no > len(reports) {
		return Report{}, refuse("no version %d of the report is signed", no)
	}
	return reports[no-1], nil
}
