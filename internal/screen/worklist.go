package screen

import (
	"time"

	"github.com/overread/overread/workflow"
)

// WorklistWanted is how many cases and messages are asked for, and how many of the newest
// messages are skipped.
type WorklistWanted struct{ Cases, SkipNotices, Notices int }

// Worklist is what somebody who reads has to do at one hospital, and how they like
// to look at it.
type Worklist struct {
	Items   []workflow.WorkItem // theirs and the pool's, the most pressing first
	Notices []workflow.Notice
	Views   []workflow.SavedView
	Zone    *time.Location // of the hospital
	Now     time.Time
}
