package fhir

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What the intake checks find is told in three ways that agree, because all are
// made of the same workflow.Finding: by the Task (statusReason and output), by an
// OperationOutcome at Task/{id}/$check, and by a CommunicationRequest (asked.go).

// findingsNow are what keeps the case: none where it is not at intake.
func findingsNow(c workflow.Case) []workflow.Finding {
	switch c.State {
	case workflow.IntakeReview, workflow.AwaitingInformation, workflow.AwaitingImages:
		return slices.Clone(c.Findings)
	case workflow.OnHold:
		if c.Correction != nil { // the coordinator decides
			return slices.Clone(c.Findings)
		}
	}
	return nil
}

// findingText says where, as a FHIRPath in the order, and what to mend.
func findingText(f workflow.Finding) string {
	if f.Element == "" {
		return f.Text
	}
	return f.Element + ": " + f.Text
}

// findingConcept is the code of a finding with the same words.
func findingConcept(f workflow.Finding) *Node {
	return Object("coding", []*Node{coding(csFinding, f.Code, "")}, "text", findingText(f))
}

// kindWords are the kinds of findings, for people.
var kindWords = map[workflow.FindingKind]string{
	workflow.Doubtful:           "The order is doubtful",
	workflow.MissingInformation: "Information is missing",
	workflow.MissingImages:      "Images are missing",
}

// issueTypes are the codes of FHIR R4 valueset-issue-type.html, by kind of finding
// and, where one says it better, by finding.
var (
	issueTypes = map[workflow.FindingKind]string{
		workflow.Doubtful: "conflict", workflow.MissingInformation: "required", workflow.MissingImages: "not-found",
	}
	issueTypesOf = map[string]string{
		"duplicate-case": "duplicate", "consent-denied": "business-rule", "out-of-scope": "business-rule", "requester-not-authorised": "forbidden",
		"original-report-not-final": "business-rule", "study-incomplete": "incomplete", "pacs-study-incomplete": "incomplete", "pacs-study-growing": "incomplete",
		"pacs-unreachable": "transient", "pacs-refused": "transient", "pacs-unreadable": "transient",
	}
)

// checkServices are the rows of the table of services about the intake checks.
func checkServices() []service {
	return []service{
		{name: "check", id: "task-check",
			does: "What the intake checks have found in the order of a case: an OperationOutcome that names each element and says what the EHR must mend, " +
				"in the codes and words of the Task. What was set aside is told as information.",
			types: []string{"Task"}, instance: true, by: []access.Role{access.Placer, access.Coordinator, access.Director}, scope: reading,
			gives: "OperationOutcome", handle: (*Server).check},
	}
}

// check is Task/{id}/$check.
func (s *Server) check(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		found, err := s.caseSeen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		return checkOutcome(found), nil
	})
}

// checkOutcome is what stands in the way of a case.
func checkOutcome(c workflow.Case) *Node {
	var issues []*Node
	for _, f := range findingsNow(c) {
		code := issueTypes[f.Kind]
		if better := issueTypesOf[f.Code]; better != "" {
			code = better
		}
		one := issue("error", code, f.Text, f.Element, "")
		one.Set("details", Object("coding", []*Node{coding(csFinding, f.Code, "")}, "text", f.Text))
		issues = append(issues, one)
	}
	if c.Exam.MoreImages() {
		one := issue("warning", "informational", moreImages(c), "ServiceRequest.supportingInfo", "")
		one.Set("details", Object("coding", []*Node{coding(csFinding, workflow.StudyLarger, "")}, "text", moreImages(c)))
		issues = append(issues, one)
	}
	for _, code := range c.Waived {
		one := issue("information", "informational", "set aside for this case", "", "")
		one.Set("details", Object("coding", []*Node{coding(csFinding, code, "")}, "text", "set aside for this case"))
		issues = append(issues, one)
	}
	switch {
	case c.State == workflow.Received:
		issues = append(issues, issue("information", "informational", "the intake checks are about to run", "", ""))
	case len(findingsNow(c)) == 0:
		issues = append(issues, issue("information", "informational", fmt.Sprintf("nothing of the order has to be mended; the case is %s", c.State), "", ""))
	}
	return outcome(issues...)
}

func moreImages(c workflow.Case) string {
	return workflow.Phrase("the PACS has %d images, the ImagingStudy says %d; send it anew", c.Exam.Images, c.Exam.ImagesSaid)
}
