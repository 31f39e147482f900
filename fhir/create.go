package fhir

import (
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
)

// create is POST /fhir/{type}, FHIR R4 http.html#create, with If-None-Exist the
// conditional create. The id of the body is the client's own and not ours.
func (s *Server) create(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "create")
	if err != nil {
		return err
	}
	wanted := change{method: http.MethodPost, row: row, path: row.name}
	if wanted.sent, err = s.sentResource(c, row, ""); err != nil {
		return err
	}
	if headers := c.Request().Header.Values("If-None-Exist"); len(headers) > 0 { // an empty one is a mistake, not an absence
		if wanted.condition, err = parseCondition(s.queryAlone(headers[0], row.name)); err != nil {
			return err
		}
	}
	return s.write(c, actor, wanted)
}

// queryAlone is the query of a condition that was sent with the address that it
// belongs to, as the HAPI client does: http://.../fhir/Patient?identifier=...
func (s *Server) queryAlone(condition, typ string) string {
	for _, address := range []string{s.baseURL + "/" + typ, typ} {
		if query, ok := strings.CutPrefix(condition, address+"?"); ok {
			return query
		}
	}
	return condition
}

// write applies one change in a transaction of its own, and replies.
func (s *Server) write(c echo.Context, actor access.Actor, wanted change) error {
	ctx := c.Request().Context()
	done, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (*change, error) {
		try := wanted // the transaction may be run again
		return &try, s.apply(ctx, tx, actor, []*change{&try})
	})
	if err != nil {
		return err
	}
	if done.deletes() {
		return replyDeleted(c, done.stored)
	}
	return s.replyWritten(c, done.status(), done.stored, mayShow(actor, done.stored))
}
