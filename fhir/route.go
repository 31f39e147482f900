package fhir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/gate"
	"github.com/overread/overread/internal/pg"
)

// What every request goes through, from the outside in: observe (request id,
// log line, errors become OperationOutcomes), recover, admit (who is it, may
// they), and then its handler.

type servedKey struct{}

// served is the request that is being served: nothing outside one.
type served struct {
	requestID string
	client    string // IP address that it came from
}

func servedIn(ctx context.Context) served {
	r, _ := ctx.Value(servedKey{}).(served)
	return r
}

// requestID is the id of the request that is being served, "" outside one.
func requestID(ctx context.Context) string { return servedIn(ctx).requestID }

// requestIDPattern is what we take over from a client; it ends up in logs.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// observe gives the request its id, renders its error, and logs one line. The
// line has the route's template, never the path with its ids or the query.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		id := c.Request().Header.Get("X-Request-Id")
		if !requestIDPattern.MatchString(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		c.Response().Header().Set("X-Request-Id", id)
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), servedKey{}, served{id, clientAddress(c)})))
		if err := next(c); err != nil {
			s.fail(err, c)
		}
		s.log.LogAttrs(c.Request().Context(), slog.LevelInfo, "request",
			slog.String("method", methodName(c.Request().Method)),
			slog.String("route", c.Path()),
			slog.Int("status", c.Response().Status),
			slog.Float64("ms", float64(time.Since(began).Microseconds())/1000),
			slog.String("request_id", id))
		return nil
	}
}

// methodName is a method for the log. What is none of HTTP's is a text of the
// client's.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// errPanic is what the client of a handler that panicked is told: nothing.
var errPanic = errors.New("panic")

// recover turns a panic into an error. What was panicked with may be a
// patient's, so only its type is logged, and where.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch r := recover(); r {
			case nil:
			case http.ErrAbortHandler:
				panic(r)
			default:
				s.log.Error("panic", "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()), "request_id", requestID(c.Request().Context()))
				err = errPanic
			}
		}()
		return next(c)
	}
}

// admit looks at what concerns no caller: how long an answer may take, that it can
// be read by whoever asks, and that PostgreSQL can read the address.
func (s *Server) admit(r route, identify func(echo.Context) (access.Actor, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.patience > 0 && !r.givesFiles() { // a download takes as long as it takes
			ctx, cancel := context.WithTimeout(c.Request().Context(), s.patience)
			defer cancel()
			c.SetRequest(c.Request().WithContext(ctx))
		}
		if !r.givesFiles() && !readsBinary(c) && !acceptable(c) {
			return fault.New(fault.NotAcceptable, "only application/fhir+json (FHIR version 4.0) is served: send Accept: application/fhir+json, or none; _format in the address outweighs Accept, and can be json")
		}
		for _, value := range c.ParamValues() {
			if readable("", value) != nil { // PostgreSQL would refuse it
				return notFound()
			}
		}
		if r.by == nil {
			return r.handle(c, access.Actor{})
		}
		return s.letIn(c, r, identify)
	}
}

// letIn finds out who is calling and lets them in, or records that it did not.
// What a token was remembered to stand for is asked again in the first transaction
// of the request, or at the end where there was none.
func (s *Server) letIn(c echo.Context, r route, identify func(echo.Context) (access.Actor, error)) error {
	ctx := pg.WithChecks(c.Request().Context())
	c.SetRequest(c.Request().WithContext(ctx))
	actor, err := identify(c)
	if err == nil && r.method == http.MethodPost && r.path == "/fhir" { // each entry of a batch answers for itself
		err = pg.Checked(ctx, s.db)
	}
	known := err == nil
	if known {
		err = s.allow(c, r, actor)
	}
	refused := err != nil
	if !refused {
		err = s.watch(c, actor, r.handle)
	}
	// What had no transaction has asked nothing yet, and gave nothing of a tenant's.
	if changed := pg.Checked(ctx, s.db); changed != nil {
		actor, known = access.Actor{}, false
		if err != nil {
			err, refused = changed, true
		}
	}
	if known {
		gate.Identified(c)
	}
	if refused {
		s.refused(c, actor, err)
	}
	return err
}

// allow tells whether the route is for the actor's role and scopes.
func (s *Server) allow(c echo.Context, r route, actor access.Actor) error {
	if !slices.Contains(r.by, actor.Role) {
		return fault.New(fault.Forbidden, "the role %s may not do this", actor.Role)
	}
	return s.inScope(c, r, actor)
}

// callerOf finds out whose token it is, or whose session.
func (s *Server) callerOf(c echo.Context) (access.Actor, error) {
	if s.whoCalls != nil {
		return s.whoCalls(c.Request())
	}
	token, err := access.Bearer(c.Request())
	if err != nil {
		return access.Actor{}, err
	}
	return s.tokens.Identify(c.Request().Context(), token, access.ChoiceOf(c.Request()))
}

// fail writes an error as an OperationOutcome. It is the only place that does.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, body := s.refusal(err, c)
	header := c.Response().Header()
	for _, name := range []string{"ETag", "Last-Modified", "Location"} {
		header.Del(name) // a handler may have prepared them for its success
	}
	switch status {
	case http.StatusMethodNotAllowed: // of an update that would create
		if header.Get("Allow") == "" {
			header.Set("Allow", "GET, HEAD, PATCH, DELETE")
		}
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="overread"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		switch {
		case header.Get("Retry-After") != "": // the gate knows better
		case errors.Is(err, pg.ErrSuspended):
			header.Set("Retry-After", "300")
		default:
			header.Set("Retry-After", "5")
		}
	}
	_ = write(c, status, body.Bytes()) // the client has gone
}

// refusal is an error as its client may see it. What is internal is logged.
func (s *Server) refusal(err error, c echo.Context) (status int, body *Node) {
	id := requestID(c.Request().Context())
	err = explain(err)
	status, body = Outcome(err, id)
	if status == http.StatusInternalServerError && !errors.Is(err, errPanic) {
		s.log.Error("internal error", "error", pg.Describe(err), "route", c.Path(), "request_id", id)
	}
	return status, body
}

// explain finds the fault in errors of the router, of net/http and of the way
// to PostgreSQL; what is left is internal.
func explain(err error) error {
	var (
		routing *echo.HTTPError
		tooLong *http.MaxBytesError
		connect *pgconn.ConnectError
		network *net.OpError
		refused *pgconn.PgError
		known   *fault.Error
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, pg.ErrSuspended): // since they were let in
		return access.Suspended()
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		return fault.New(fault.MethodNotAllowed, "this address does not take this method; the Allow header says which it takes, and /fhir/metadata everything that is served")
	case errors.As(err, &routing) && routing.Code == http.StatusNotFound:
		return fault.New(fault.NotFound, "nothing is served at this address; FHIR is below /fhir, and /fhir/metadata says what is")
	case errors.As(err, &tooLong):
		return fault.New(fault.TooLarge, "the body is larger than %d bytes", tooLong.Limit)
	case errors.Is(err, pg.ErrAgain), errors.As(err, &connect), errors.As(err, &refused) && unavailable(refused.Code), pgconn.SafeToRetry(err):
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable, Text: "try again in a moment: the same request is safe to repeat"}}, Cause: err}
	case errors.Is(err, context.DeadlineExceeded): // before the others: pgx wraps it in what they look like
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable, Text: "this took too long and was given up; if it was to change something, look whether it did: then ask for less at once, or try again later"}}, Cause: err}
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.Canceled):
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable, Text: "the database was lost on the way, and it is not known whether this was done: look, then try again"}}, Cause: err}
	}
	return err
}

// unavailable tells by its SQLSTATE whether an error will pass by itself: the
// server is going down or full or a standby, or two transactions met.
func unavailable(code string) bool {
	return slices.Contains([]string{"57P01", "57P02", "57P03", "25006", "25P03", "40001", "40P01", "55P03", "57014"}, code) ||
		strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53")
}
