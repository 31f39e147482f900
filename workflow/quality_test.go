package workflow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

func qualityOf(h *house) access.Actor {
	_, a := pgtest.AddToken(h, h.db, h.tenant, access.Quality)
	return a
}

// firstRead credentials the reader of the original of wholeFacts.
func (h *house) firstRead() access.Actor {
	h.Helper()
	_, a := pgtest.AddReader(h, h.db, h.tenant, "Olga", []byte(`{"subspecialties": ["neuro"], "identifiers": ["urn:npi|first"]}`))
	return a
}

func byOlga(f *Facts) {
	f.First.Readers = []string{"urn:npi|first"}
	f.First.Authors = f.First.Readers
}

func TestWhatBecameOfASecondOpinionIsKeptWordByWordAndTheLastCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	quality := qualityOf(h)
	c := h.ready()
	h.refused(fault.Conflict, h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "none"}})
	h.signed(c)
	h.refused(fault.BusinessRule, h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "cured"}})
	h.refused(fault.Forbidden, h.anna, c, "judge-management", Input{Judgement: &Judgement{Management: "none"}})
	h.fire(h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "work-up", Note: "MRI ordered"}})
	h.fire(h.placer, c, "acknowledge", Input{})
	h.fire(h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "treatment"}})
	tomorrow := DateOf(time.Now().Add(72 * time.Hour))
	for want, o := range map[string]Truth{
		"right must be":    {Right: "me", Source: "pathology", FoundOn: "2026-01-02"},
		"source must be":   {Right: "first", Source: "a dream", FoundOn: "2026-01-02"},
		"date must be":     {Right: "first", Source: "pathology", FoundOn: "lately"},
		"of a day to come": {Right: "first", Source: "pathology", FoundOn: tomorrow},
	} {
		if got := h.refused(fault.BusinessRule, h.placer, c, "outcome", Input{Truth: &o}); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	h.fire(h.placer, c, "outcome", Input{Truth: &Truth{Right: "second", Source: "follow-up-imaging", FoundOn: "2026-01-02"}})
	h.fire(quality, c, "outcome", Input{Truth: &Truth{Right: "first", Source: "pathology", FoundOn: "2026-01-09", Evidence: []string{"DiagnosticReport/p"}}})
	h.stands(c, Closed)
	h.replays(c)
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		judgements, err := JudgementsTx(ctx, tx, c.CaseID)
		if err != nil || len(judgements) != 2 || judgements[0].Management != "work-up" || judgements[1].Management != "treatment" || judgements[0].JudgedBy != h.placer.ID {
			t.Errorf("%+v, %v", judgements, err)
		}
		truths, err := TruthsTx(ctx, tx, c.CaseID)
		if err != nil || len(truths) != 2 || truths[1].Right != "first" || truths[1].Role != "quality" || truths[0].FoundOn != "2026-01-02" || truths[1].Evidence[0] != "DiagnosticReport/p" {
			t.Errorf("%+v, %v", truths, err)
		}
		return nil
	})
	bare := h.open(func(f *Facts) { f.Original, f.OriginalReferenced = nil, false })
	h.tick()
	h.comparing(h.anna, bare)
	h.fire(h.anna, bare, "sign", Input{})
	h.refused(fault.BusinessRule, h.placer, bare, "outcome", Input{Truth: &Truth{Right: "first", Source: "pathology", FoundOn: "2026-01-02"}})
	h.fire(h.placer, bare, "outcome", Input{Truth: &Truth{Right: "second", Source: "pathology", FoundOn: "2026-01-02"}})
}

func TestALearningPointNamesNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "grading": "peer-learning"}`)
	quality := qualityOf(h)
	c := h.ready()
	h.comparing(h.anna, c)
	scored := majorMiss
	scored.Discrepancies = []Discrepancy{scored.Discrepancies[0]}
	scored.Discrepancies[0].Expectedness = "not-ordinarily"
	if got := h.refused(fault.BusinessRule, h.anna, c, "grade", Input{Grade: &scored}); !strings.Contains(got, "leave expectedness out") {
		t.Error(got)
	}
	h.fire(h.anna, c, "grade", Input{Grade: &minorMiss})
	h.fire(h.anna, c, "sign", Input{})
	names := []string{"Betsy", "Shaw-O'Neil", "MRN-1032702", "1987-02-20", "Li"}
	for _, text := range []string{"Seen in BETSY first.", "Mrs shaw o'neil had it.", "as in mrn 1032702", "on 1987-02-20", " "} {
		h.refused(fault.BusinessRule, h.anna, c, "add-learning-point", Input{Point: &LearningPoint{Text: text, Names: names}})
	}
	h.refused(fault.BusinessRule, h.anna, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Look.", Tags: []string{"Two Words"}}})
	h.refused(fault.Forbidden, h.ben, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Look."}})
	h.fire(h.anna, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Li nes of the pleura hide nodules; the year 1987 is none of this.", Tags: []string{"lung-nodule"}, Names: names}})
	h.fire(quality, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Compare with the prior."}})
	h.fire(quality, c, "withdraw-learning-point", Input{Point: &LearningPoint{No: 1}})
	h.refused(fault.BusinessRule, quality, c, "withdraw-learning-point", Input{Point: &LearningPoint{No: 1}})
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		points, err := PointsTx(ctx, tx, c.CaseID)
		if err != nil || len(points) != 1 || points[0].PointNo != 2 {
			t.Errorf("%+v %v", points, err)
		}
		return nil
	})
	if got := Anonymous("Betsy's nodule", names); strings.Contains(got, "Betsy") {
		t.Error(got)
	}
}

const sampleAll = `{"assignment": "pool", "sampling": {"within": "5d", "rates": [{"perThousand": 1000}]}}`
