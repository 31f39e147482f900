package fhir

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// rowFor is the row of the table for the type in the address. It returns a
// fault of kind NotFound for a type that is not served, and MethodNotAllowed
// for an interaction that the type does not have.
func (s *Server) rowFor(c echo.Context, interaction string) (*resourceType, error) {
	row, ok := s.resources[c.Param("type")]
	switch {
	case c.Param("type") == "metadata": // the route of a type, for all methods but its own
		c.Response().Header().Set("Allow", "GET, HEAD")
		return nil, fault.New(fault.MethodNotAllowed, "the CapabilityStatement is read: GET /fhir/metadata")
	case !ok:
		return nil, fault.New(fault.NotFound, "this type of resource is not served; /fhir/metadata lists those that are")
	case !row.allows(interaction):
		c.Response().Header().Set("Allow", strings.Join(row.methods(c.Path()), ", "))
		return nil, fault.New(fault.MethodNotAllowed, "%s does not have the interaction %s here; /fhir/metadata lists what it has", row.name, interaction)
	}
	return row, nil
}

// methods are those that the type takes at the path of a route.
func (r *resourceType) methods(path string) []string {
	var methods []string
	for _, i := range interactions {
		if i.path == path && r.allows(i.code) && !slices.Contains(methods, i.method) {
			methods = append(methods, i.method)
			if i.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	return methods
}

// read is GET /fhir/{type}/{id}, FHIR R4 http.html#read: one primary-key
// look-up, and the kept bytes.
func (s *Server) read(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "read")
	if err == nil {
		err = s.mayRead(actor, row)
	}
	if err != nil {
		return err
	}
	if err := namesOperation(c, c.Param("id")); err != nil {
		return err
	}
	if row.content != nil {
		return s.readContent(c, row)
	}
	ctx := c.Request().Context()
	return s.readStored(c, actor, func() (Stored, error) { return s.visibleNow(ctx, actor, row.name, c.Param("id")) })
}

// visibleNow is Visible in a transaction of its own, on one way to PostgreSQL and
// back where one statement tells it.
func (s *Server) visibleNow(ctx context.Context, actor access.Actor, typ, id string) (found Stored, err error) {
	if s.tx != nil || typ == auditEventType {
		return inTenant(ctx, s, actor, func(tx pgx.Tx) (Stored, error) { return s.store.Visible(ctx, tx, actor, typ, id) })
	}
	sql, args := visibleQuery(actor, typ, id)
	err = s.db.Ask(ctx, actor.Tenant, sql, args, func(rows pgx.Rows) (err error) {
		found, err = one(rows, nil)
		return err
	})
	return found, err
}

// vread is GET /fhir/{type}/{id}/_history/{version}, FHIR R4 http.html#vread.
func (s *Server) vread(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "vread")
	if err == nil {
		err = s.mayRead(actor, row)
	}
	if err != nil {
		return err
	}
	version, ok := versionNumber(c.Param("version"))
	if !ok {
		return notFound()
	}
	ctx := c.Request().Context()
	return s.readStored(c, actor, func() (Stored, error) {
		return inTenant(ctx, s, actor, func(tx pgx.Tx) (Stored, error) {
			return s.store.visibleVersion(ctx, tx, actor, row.name, c.Param("id"), version)
		})
	})
}

// namesOperation refuses an operation that there is not, where an id or a type
// could stand.
func namesOperation(c echo.Context, name string) error {
	switch {
	case !strings.HasPrefix(name, "$"):
		return nil
	case c.Param("member") == name:
		return fault.New(fault.NotFound, "there is no such operation of one %s, or it does not take this method; /fhir/metadata lists the operations", c.Param("type"))
	}
	return fault.New(fault.NotSupported, "there is no such operation on the type as a whole, or it does not take this method; /fhir/metadata lists the operations, some of which are of one resource: %s/{id}/$name", c.Param("type"))
}

func (s *Server) readStored(c echo.Context, actor access.Actor, get func() (Stored, error)) error {
	if !idPattern.MatchString(c.Param("id")) {
		return notFound()
	}
	shown, err := viewOf(c.Param("type"), c.QueryParams())
	if err != nil {
		return err
	}
	found, err := get()
	if err == nil {
		found, err = redacted(actor, found)
	}
	about := patientIn(found)
	if err == nil {
		found.Body, err = shown.of(found)
	}
	if err != nil {
		return err
	}
	interaction := "read"
	if c.Param("version") != "" {
		interaction = "vread"
	}
	note(c, auditEntry{Interaction: interaction, Target: found.Versioned(), Patient: about})
	if unchanged(c.Request(), found) {
		c.Response().Header().Set("ETag", found.ETag())
		return c.NoContent(http.StatusNotModified)
	}
	if found.Type == binaryType && !asksForFHIR(c) {
		return replyBinary(c, found)
	}
	return s.reply(c, http.StatusOK, found)
}

// readContent reads what is part of the program.
func (s *Server) readContent(c echo.Context, row *resourceType) error {
	shown, err := viewOf(row.name, c.QueryParams())
	if err != nil {
		return err
	}
	for _, n := range row.content() {
		if n.Text("id") == c.Param("id") {
			body, err := shown.of(Stored{Body: n.Bytes()})
			if err != nil {
				return err
			}
			return write(c, http.StatusOK, body)
		}
	}
	return notFound()
}

// healthz says that the program runs; readyz, that it can work.
func (s *Server) healthz(c echo.Context, _ access.Actor) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok", "version": s.version})
}

func (s *Server) readyz(c echo.Context, _ access.Actor) error {
	if err := s.db.Ping(c.Request().Context()); err != nil {
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable, Text: "the database does not answer"}}, Cause: err}
	}
	return c.JSON(http.StatusOK, map[string]string{"status": "ready"})
}

// inTenant runs fn in a transaction of the actor's tenant and returns what it
// returns. Like fn of pg.DB.Tenant, fn may be run again.
func inTenant[T any](ctx context.Context, s *Server, actor access.Actor, fn func(tx pgx.Tx) (T, error)) (T, error) {
	if s.tx != nil { // within the transaction of a Bundle
		return fn(s.tx)
	}
	var result T
	err := s.db.Tenant(ctx, actor.Tenant, func(tx pgx.Tx) (err error) {
		result, err = fn(tx)
		return err
	})
	return result, err
}

// replyWith replies with what fn makes in a transaction of the tenant.
func (s *Server) replyWith(c echo.Context, actor access.Actor, fn func(ctx context.Context, tx pgx.Tx) (*Node, error)) error {
	ctx := c.Request().Context()
	n, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (*Node, error) { return fn(ctx, tx) })
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, n.Bytes())
}
