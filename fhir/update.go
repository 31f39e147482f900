package fhir

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A reader of a change reads what a PUT, PATCH or DELETE wants, all but which
// resource it is about.
type changeReader func(c echo.Context) (change, error)

// toOne is PUT, PATCH or DELETE of /fhir/{type}/{id}.
func (s *Server) toOne(read changeReader) handler {
	return func(c echo.Context, actor access.Actor) error {
		wanted, err := read(c)
		if err != nil {
			return err
		}
		wanted.id = c.Param("id")
		switch {
		case wanted.method == http.MethodPut:
			err = wanted.checkID()
		case !idPattern.MatchString(wanted.id):
			err = notFound()
		}
		if err != nil {
			return err
		}
		return s.write(c, actor, wanted)
	}
}

// toMatch is PUT, PATCH or DELETE of /fhir/{type}?..., the one resource that meets
// the condition: FHIR R4 http.html#cond-update, #cdelete.
func (s *Server) toMatch(read changeReader) handler {
	return func(c echo.Context, actor access.Actor) error {
		wanted, err := read(c)
		if err != nil {
			return err
		}
		if wanted.condition, err = conditionOf(c); err != nil {
			return err
		}
		return s.write(c, actor, wanted)
	}
}

// update reads a PUT, FHIR R4 http.html#update: a new version, or a new resource
// of that id where there is none.
func (s *Server) update(c echo.Context) (change, error) {
	row, err := s.rowFor(c, "update")
	if err != nil {
		return change{}, err
	}
	wanted := change{method: http.MethodPut, row: row, path: row.name}
	if wanted.sent, err = s.sentResource(c, row, c.Param("id")); err != nil {
		return change{}, err
	}
	wanted.ifMatch, err = expectedForUpdate(c.Request().Header.Get("If-Match"), c.Request().Header.Get("If-None-Match"))
	return wanted, err
}

// checkID holds the id in the body to the one in the address.
func (c *change) checkID() error {
	switch {
	case !idPattern.MatchString(c.id):
		return fault.New(fault.Value, "the id in the address must be 1 to 64 letters, digits, hyphens and dots")
	case c.sent.Text("id") == "":
		return fault.At(fault.Required, c.row.name+".id", "an update needs the id in the body too, the same as in the address")
	case c.sent.Text("id") != c.id:
		return fault.At(fault.Value, c.row.name+".id", "the id in the body is not the one in the address")
	}
	return nil
}
