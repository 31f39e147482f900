package workflow

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Two records are merged by mistake, and parted again. What was signed meanwhile is of the
// patient whose record was kept: once they are parted it stands in the record of somebody
// else, here and in the EHR, and is missing in that of its patient. A signed report is not
// changed behind the back of who signed it, so a verification is open: what comes of it,
// an addendum or an amendment, is rendered for the right patient and takes the place of
// what the EHR has.

var partedWords = Phrase("the records of two patients were parted again, and the report was signed into the record of the other one")

// PartedTx has a signed report looked at that stands in the record of another patient: whose it is.
func (e *Engine) PartedTx(ctx context.Context, tx pgx.Tx, tenant, caseID uuid.UUID, whose string) error {
	c, err := CaseByIDTx(ctx, tx, caseID)
	if err != nil || c.SampleOf != nil || !slices.Contains(join(signed, in(Amending)), c.State) {
		return err
	}
	read := c.Exam.imagesRead()
	_, err = e.FireTx(ctx, tx, access.SystemActor(tenant), caseID, "study-changed", Input{Study: &StudyChange{Images: read, ImagesThen: read, Parted: true, PartedIn: whose, PartedNo: c.ReportNo}})
	return err
}

// standsElsewhere: no version of the report was signed since the records were parted, which
// would stand in the record of its patient, and they are not merged again.
func (c *Case) standsElsewhere(m MatterContent) bool {
	again := m.PartedIn != "" && c.PatientID != nil && *c.PatientID == m.PartedIn
	return m.Parted && !again && (m.PartedNo == 0 || c.ReportNo <= m.PartedNo)
}
