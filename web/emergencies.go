package web

import (
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// The page of one's work shows what was opened of late, so much of it at most, and
// how many more there are; their own page has all, so many at a time.
const (
	recent          = 7 * 24 * time.Hour
	mostEmergencies = 50
)

// told are the records that were opened at a tenant.
type told struct {
	Place access.Place
	workflow.EmergencyList
}

// emergencies shows a coordinator or director all records that were opened in an
// emergency at their hospital.
func (s *Server) emergencies(c echo.Context, at seat) error {
	w := workflow.EmergencyWindow{Most: mostEmergencies}
	if before := c.QueryParam("before"); before != "" {
		var err error
		if w.Before, err = uuid.Parse(before); err != nil {
			return fault.New(fault.NotFound, "There is no such page.")
		}
	}
	list, err := s.Desk.Emergencies(c.Request().Context(), at.place.Actor, w, s.caller(c))
	if err != nil {
		return err
	}
	return s.show(c, at, "emergencies", "Records opened in an emergency", told{at.place, list})
}

// Last is the one before which the next page begins; only where there are more.
func (t told) Last() uuid.UUID { return t.Emergencies[len(t.Emergencies)-1].BreakID }
