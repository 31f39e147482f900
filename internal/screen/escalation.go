package screen

import (
	"time"

	"github.com/overread/overread/workflow"
)

// Escalations are a page of what is late, or of which somebody was told.
type Escalations struct {
	workflow.LateClocks

	Zone *time.Location // of the hospital
}
