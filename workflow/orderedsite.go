package workflow

import (
	"context"
	"slices"
)

// OrderedSite is which part of the body an order names, and on which side, as the
// case has last taken it. It is only ever compared.
type OrderedSite struct {
	Side  string   `json:"side,omitempty"`  // left, right, bilateral or ""
	Parts []string `json:"parts,omitempty"` // codes and words of ServiceRequest.bodySite, and sides in the name of what is ordered
	Exams []string `json:"exams,omitempty"` // codes of ServiceRequest.code and orderDetail, and words where there is no code
}

// otherSite: the order names another part of the body, or another side of it, than
// when the case took it. Of a case that has taken none nobody can tell.
func (c *Case) otherSite(f Facts) bool {
	was, is := c.Exam.Ordered, f.Exam.Ordered
	return was != nil && is != nil && (was.Side != is.Side || !slices.Equal(was.Parts, is.Parts))
}

// siteChecks are the intake checks that compare what was ordered with what is
// there, by part of the body and by side.
var siteChecks = []string{"body-site-mismatch", "laterality-mismatch", "pacs-body-part-mismatch", "pacs-laterality-mismatch"}

// forgetWaived takes back what was set aside where it was said of something else: of
// another patient or study all of it, of another part of the body what is about that.
func (c *Case) forgetWaived(f Facts) {
	if c.movedFrom(f) {
		c.Waived = nil
	}
	if c.otherSite(f) {
		c.Waived = slices.DeleteFunc(c.Waived, func(code string) bool { return slices.Contains(siteChecks, code) })
	}
	if c.otherExam(f) {
		c.Waived = slices.DeleteFunc(c.Waived, func(code string) bool { return slices.Contains(examChecks, code) })
	}
}

// orderedElsewhere fires study-changed where the order of a signed report names
// another part of the body than it did: the report may be of the wrong side.
func (e *Engine) orderedElsewhere(ctx context.Context, j job, facts Facts) error {
	if j.c.Exam.Ordered == nil || !j.c.otherSite(facts) && !j.c.otherExam(facts) {
		return nil
	}
	read := j.c.Exam.imagesRead()
	return e.fireSystem(ctx, j, "study-changed", Input{Facts: &facts, Study: &StudyChange{Images: read, ImagesThen: read, Ordered: true}})
}
