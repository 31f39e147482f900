package fhir

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// mostNumber is the longest text by which a patient is looked for.
const mostNumber = 64

// patientMeant is the patient whom somebody means who is in a hurry: by the id of
// the resource, by one of the patient's identifiers (an MRN), or by the number of
// an order. It looks as the actor, and refuses (NotFound, Value) all but exactly one.
func (s *Server) patientMeant(ctx context.Context, actor access.Actor, text string) (string, error) {
	if text == "" || len(text) > mostNumber || strings.ContainsAny(text, `,|$\`) { // a token's own signs
		return "", noSuchPatient()
	}
	ids, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]string, error) {
		if idPattern.FindString(text) == text {
			there, err := s.store.Get(ctx, tx, "Patient", text)
			if err == nil && !there.Deleted {
				return []string{text}, nil
			}
			if err != nil && !fault.Is(err, fault.NotFound) {
				return nil, err
			}
		}
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT patient_id
			FROM case_file
			WHERE placer_value = $1 AND patient_id IS NOT NULL`, text)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	})
	if err != nil {
		return "", err
	}
	if !slices.Contains(ids, text) {
		known, err := s.desk(actor).found(ctx, "Patient", url.Values{"identifier": {text}, "_count": {"2"}, "_elements": {"identifier"}})
		if err != nil {
			return "", err
		}
		for _, p := range known {
			if id := p.Text("id"); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	switch len(ids) {
	case 0:
		return "", noSuchPatient()
	case 1:
		return ids[0], nil
	}
	return "", fault.New(fault.Value, "several patients are known here by this number; nothing was opened: give the id of the Patient resource")
}
