package pg

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Describe is the text of an error for the log. PostgreSQL's own words about a
// statement may quote a value, which is a patient's; of them only the code and
// what was violated are kept. Its words about the connection stay.
func Describe(err error) string {
	text := err.Error()
	for _, p := range refusals(err) {
		text = strings.ReplaceAll(text, p.Error(),
			fmt.Sprintf("PostgreSQL %s, constraint %q, table %q, routine %s", p.Code, p.ConstraintName, p.TableName, p.Routine))
	}
	return text
}

// State is the code (SQLSTATE) of what PostgreSQL refused, "" where it is no such
// error.
func State(err error) string {
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		return p.Code
	}
	return ""
}

// refusals are what PostgreSQL refused, wherever in the tree of errors it is.
func refusals(err error) (found []*pgconn.PgError) {
	switch e := err.(type) { //nolint:errorlint // this is the walk that errors.As does, and it wants all
	case *pgconn.PgError:
		if e.Severity != "FATAL" {
			found = append(found, e)
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			found = refusals(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			found = append(found, refusals(inner)...)
		}
	}
	return found
}
