package workflow

import (
	"context"
	"slices"
)

// What an order asks, and which exam it names, as the case has last taken it. A
// question that changes is told to whoever has the case, and the reading goes on; an
// exam that changes stops it (correction.go). A report prints the question with which
// its opinion was sealed.

// otherQuestion: the order asks something else than when the case took it.
func (c *Case) otherQuestion(f Facts) bool {
	was, is := c.Exam.Question, f.Exam.Question
	return was != nil && is != nil && *was != *is
}

// otherExam: the order names another exam. Of a case that has taken none nobody can tell.
func (c *Case) otherExam(f Facts) bool {
	was, is := c.Exam.Ordered, f.Exam.Ordered
	return was != nil && is != nil && len(was.Exams) > 0 && !slices.Equal(was.Exams, is.Exams)
}

// examChecks are the intake checks that compare which exam was ordered with what is there.
var examChecks = []string{"modality-mismatch", "pacs-modality-mismatch"}

var noteQuestion = Effect{"noteQuestion", "what the order asks now is kept with the case; a report prints what it asked when its opinion was sealed",
	func(_ context.Context, t *turn) error {
		t.c.Exam.Question = t.in.Facts.Exam.Question
		return nil
	}}
