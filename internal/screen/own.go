package screen

import (
	"time"

	"github.com/overread/overread/workflow"
)

// OwnStatistics are what somebody who reads has done at one hospital. Nobody else is
// shown them, and nobody else is in them.
type OwnStatistics struct {
	workflow.OwnStatistics

	Since time.Time
	Zone  *time.Location
}
