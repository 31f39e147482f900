package fhir

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Whom and what an EHR means, in resources of ours.

// PatientHere finds whom an EHR means by a Patient of its own: by its id, where
// base is the EHR of the tenant whose resources we know by their ids there, and by
// its identifiers (system|value). All that fit are given: only one that stands
// alone is certain.
func (s *Server) PatientHere(ctx context.Context, actor access.Actor, base, id string, identifiers []string) ([]string, error) {
	return s.here(ctx, actor, "Patient", base, id, identifiers)
}

// OrderHere finds the Task of the case that is about an order of the EHR, if it is
// one about the actor's patient; "" where none is certain.
func (s *Server) OrderHere(ctx context.Context, actor access.Actor, base, id string, identifiers []string) (task string, err error) {
	orders, err := s.here(ctx, actor, "ServiceRequest", base, id, identifiers)
	if err != nil {
		return "", err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (string, error) {
		found := map[string]bool{}
		take := func(c workflow.Case, err error) error {
			switch {
			case fault.Is(err, fault.NotFound):
				return nil
			case err != nil:
				return err
			case actor.Patient != "" && casePatient(c) == actor.Patient:
				found[c.TaskID] = true
			}
			return nil
		}
		for _, order := range orders {
			if err := take(workflow.CaseByServiceRequestTx(ctx, tx, strings.TrimPrefix(order, "ServiceRequest/"))); err != nil {
				return "", err
			}
		}
		for _, text := range identifiers { // the order may have stayed at the EHR, or within its Task
			system, value, _ := strings.Cut(text, "|")
			if err := take(workflow.CaseByPlacerTx(ctx, tx, system, value)); err != nil {
				return "", err
			}
		}
		if len(found) != 1 {
			return "", nil
		}
		for task = range found {
		}
		return task, nil
	})
}

func (s *Server) here(ctx context.Context, actor access.Actor, typ, base, id string, identifiers []string) ([]string, error) {
	return inTenant(ctx, s, actor, func(tx pgx.Tx) ([]string, error) {
		var found []string
		own, err := s.ehrBase(ctx, tx)
		if err == nil && own != "" && own == base && id != "" {
			found, err = namedThere(ctx, tx, typ, id)
		}
		if err != nil {
			return nil, err
		}
		for _, text := range identifiers {
			system, value, _ := strings.Cut(text, "|")
			if system == "" || value == "" {
				continue
			}
			more, err := s.withIdentifier(ctx, tx, actor, typ, system, value)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
		slices.Sort(found)
		return slices.Compact(found), nil
	})
}

// namedThere are our copies of what the EHR calls by an id: the newest of several
// would be a guess.
func namedThere(ctx context.Context, tx pgx.Tx, typ, id string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT o.type || '/' || o.id
		FROM resource_origin o
		JOIN resource r ON r.type = o.type AND r.id = o.id AND NOT r.deleted
		WHERE o.type = @type AND o.ehr_id = @id`,
		pgx.NamedArgs{"type": typ, "id": id})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

var inToken = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

func (s *Server) withIdentifier(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, system, value string) ([]string, error) {
	if strings.ContainsRune(system+value, 0) || !utf8.ValidString(system+value) {
		return nil, nil // PostgreSQL knows no such text, so nobody has it
	}
	row := s.resources[typ]
	q, err := s.parseQuery(ctx, tx, actor.Tenant, row, url.Values{"identifier": {inToken.Replace(system) + "|" + inToken.Replace(value)}}, false)
	if err != nil {
		return nil, err
	}
	stored, err := q.find(ctx, tx, actor, 3)
	if err != nil {
		return nil, err
	}
	found := make([]string, len(stored))
	for i, r := range stored {
		found[i] = r.Reference()
	}
	return found, nil
}
