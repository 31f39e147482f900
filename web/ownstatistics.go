package web

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// ownBar is a month of the chart of what somebody has signed, in its coordinates.
type ownBar struct {
	workflow.OwnCount

	Month               time.Time
	X, Y, Height        int // of all
	AgreedY, AgreedHigh int // of those that agree
}

// The chart's measures, in its own units.
const (
	barStep, barWidth, barsHigh = 48, 30, 120
)

// ownStatistics shows somebody what they have done, and nobody else.
func (s *Server) ownStatistics(c echo.Context, at seat) error {
	own, err := s.Desk.Readers.Statistics(c.Request().Context(), at.place.Actor)
	if err != nil {
		return err
	}
	data := struct {
		screen.OwnStatistics
		Bars     []ownBar
		Width    int
		Most     int
		Compared int
	}{OwnStatistics: own, Width: barStep*len(own.Months) + 20, Compared: own.All.Signed - own.All.NoComparison}
	for _, m := range own.Months {
		data.Most = max(data.Most, m.Signed)
	}
	for i, m := range own.Months {
		bar := ownBar{OwnCount: m, X: 10 + i*barStep}
		bar.Month, _ = time.ParseInLocation("2006-01", m.Name, own.Zone) // it is one
		if data.Most > 0 {
			bar.Height, bar.AgreedHigh = m.Signed*barsHigh/data.Most, m.Agreement*barsHigh/data.Most
		}
		bar.Y, bar.AgreedY = barsHigh+20-bar.Height, barsHigh+20-bar.AgreedHigh
		data.Bars = append(data.Bars, bar)
	}
	return s.show(c, at, "ownstatistics", "Your statistics", data)
}
