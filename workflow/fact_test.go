package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// factRows are the rows of a case, the oldest first, each as text; of those in force
// known_until is NULL.
func (h *house) factRows(c Case) (rows []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, `
			SELECT row_to_json(f)::text
			FROM (SELECT case_id, known_from, `+each("%s")+`, known_until FROM measure_fact_past
			      UNION ALL
			      SELECT case_id, known_from, `+each("%s")+`, NULL FROM measure_fact) f
			WHERE case_id = $1
			ORDER BY known_from`, c.CaseID)
		if err != nil {
			return err
		}
		rows, err = pgx.CollectRows(found, pgx.RowTo[string])
		return err
	})
	return rows
}

// factsFit: what was written event by event is what the history tells.
func (h *house) factsFit(rt *rapid.T, c Case) {
	kept := h.factRows(c)
	h.in(func(ctx context.Context, tx pgx.Tx) error { return rebuildFactTx(ctx, tx, wordbook{}, c.CaseID) })
	if diff := cmp.Diff(kept, h.factRows(c)); diff != "" || len(kept) == 0 {
		rt.Errorf("facts as they were written (-) and as the history tells them (+): %s", diff)
	}
}

// asOf is how a case counts at a moment, by its facts.
func (h *house) asOf(c Case, at time.Time) (excluded string, level Level, right string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		var no int
		var significance, verified *int
		err := tx.QueryRow(ctx, `
			SELECT excluded, significance, verified
			FROM (SELECT case_id, known_from, 'infinity'::timestamptz AS known_until, excluded, significance, verified FROM measure_fact
			      UNION ALL
			      SELECT case_id, known_from, known_until, excluded, significance, verified FROM measure_fact_past) f
			WHERE case_id = $1 AND known_from <= $2 AND known_until > $2`, c.CaseID, at).Scan(&no, &significance, &verified)
		excluded = Exclusions[no]
		if significance != nil {
			level = FactLevels[*significance]
		}
		if verified != nil {
			right = FactRights[*verified]
		}
		return err
	})
	return excluded, level, right
}

// again opens another case of the study of a case, and lets the desk take it.
func (h *house) again(c Case) Case {
	h.Helper()
	other := h.open(func(f *Facts) { f.Study.UID = h.facts[c.PlacerValue].Study.UID })
	h.tick()
	h.fire(h.coordinator, other, "resolve", Input{Reason: "another question"})
	h.tick()
	return h.stands(other, Ready)
}

func TestFactsAsOfAnyMomentAreTheStandingsOfThatMoment(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "adjudicateOn": "minor"}`)
	carl := as(h.carl, access.Adjudicator)
	first := h.ready()
	var moments []time.Time
	mark := func() { moments = append(moments, time.Now()) }
	mark()
	h.comparing(h.anna, first)
	h.fire(h.anna, first, "grade", Input{Grade: &agreement})
	mark()
	h.fire(h.anna, first, "sign", Input{})
	mark()
	second := h.again(first)
	h.comparing(h.ben, second)
	h.fire(h.ben, second, "grade", Input{Grade: &majorMiss})
	h.fire(carl, second, "claim", Input{Independent: true})
	h.fire(carl, second, "adjudicate", Input{Grade: &minorMiss})
	mark()
	h.fire(carl, second, "sign", Input{})
	mark()
	h.fire(h.placer, second, "outcome", Input{Truth: &Truth{Right: "second", Source: "pathology", FoundOn: "2026-01-02"}})
	mark()
	h.fire(h.anna, first, "amend", Input{Reason: "more"})
	h.fire(h.anna, first, "sign", Input{Amendment: &Amendment{Kind: "amendment", Reason: "r", Text: "t"}, Grade: &majorMiss})
	mark()
	h.fire(h.director, second, "declare-error", Input{Reason: "wrong"})
	h.fire(h.director2, second, "declare-error", Input{Reason: "wrong"})
	mark()
	cancelled := h.ready()
	h.fire(h.placer, cancelled, "cancel", Input{})
	mark()

	all := []Case{first, second, cancelled}
	for i, at := range moments {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			standings, err := StandingsTx(ctx, tx, at)
			if err != nil {
				return err
			}
			for _, s := range standings {
				c := all[slices.IndexFunc(all, func(c Case) bool { return c.CaseID == s.CaseID })]
				want := fmt.Sprint(s.Excluded, " ", levelOf(s), " ", s.Right)
				if s.FinalAt == nil {
					want = fmt.Sprint(s.Excluded, "  ")
				}
				excluded, level, right := h.asOf(c, at)
				if got := fmt.Sprint(excluded, " ", level, " ", right); got != want {
					t.Errorf("moment %d: fact %q, standing %q", i, got, want)
				}
			}
			return nil
		})
	}
	excluded, level, _ := h.asOf(first, moments[len(moments)-1])
	if excluded != "" || level != LevelMajor {
		t.Errorf("when the other was declared an error, the first counts again: %q %s", excluded, level)
	}
	rapid.Check(t, func(rt *rapid.T) { h.factsFit(rt, rapid.SampledFrom(all).Draw(rt, "case")) })
}

func levelOf(s Standing) Level {
	if s.Grade == nil || s.Grade.Level == LevelNoComparison {
		return ""
	}
	return s.Grade.Level
}

func TestAnAmendedGradeRestatesLaterMomentsOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	before := time.Now()
	h.fire(h.anna, c, "amend", Input{Reason: "more"})
	h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "amendment", Reason: "r", Text: "t"}, Grade: &majorMiss})
	if _, level, _ := h.asOf(c, before); level != LevelNone {
		t.Errorf("before the amendment it is known as %s", level)
	}
	if _, level, _ := h.asOf(c, time.Now()); level != LevelMajor {
		t.Errorf("after it as %s", level)
	}
}

// Who has opened the record reads no longer independently: so it is known since the lock,
// before the signature and after it, whatever a third reader does, and facts made again say it of the same moments.
func TestARecordThatWasOpenedIsKnownSinceTheLock(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "adjudicateOn": "minor", "blindAdjudication": true}`)
	c := h.ready()
	var seen []string
	look := func() {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			var word string
			err := tx.QueryRow(ctx, `SELECT word FROM measure_fact JOIN measure_word ON word_no = blinding WHERE case_id = $1`, c.CaseID).Scan(&word)
			seen = append(seen, word)
			return err
		})
	}
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.breaksGlass(h.anna, h.find(c))
	look()
	carl := as(h.carl, access.Adjudicator)
	for _, step := range []struct {
		who   access.Actor
		event Event
		in    Input
	}{
		{h.anna, "lock", Input{Opinion: &opinion}}, {h.anna, "reveal", Input{}}, {h.anna, "grade", Input{Grade: &majorMiss}},
		{carl, "claim", Input{Independent: true}}, {carl, "lock", Input{Opinion: &opinion}}, {carl, "adjudicate", Input{Grade: &minorMiss}}, {carl, "sign", Input{}},
	} {
		h.fire(step.who, c, step.event, step.in)
		look()
	}
	if diff := cmp.Diff([]string{"blinded", "unveiled", "unveiled", "unveiled", "unveiled", "unveiled", "unveiled", "unveiled"}, seen); diff != "" {
		t.Error(diff)
	}
	rapid.Check(t, func(rt *rapid.T) { h.factsFit(rt, c) })
}

func TestTheFactsOfCasesOfBeforeAreMadeInBatchesOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t, `{"assignment": "pool"}`)
	signed := h.ready()
	h.signed(signed)
	want := h.factRows(signed)
	for range factsBatch {
		h.open()
	}
	h.exec(`DELETE FROM measure_fact_past; DELETE FROM measure_fact; UPDATE case_event SET detail = detail - 'counts'`)
	if err := FactsReady(ctx, h.engine, h.tenant); err == nil {
		t.Error("facts that are not there are ready")
	}
	for _, want := range []int{factsBatch, 1, 0} {
		if got, err := h.newEngine().BuildFacts(ctx); err != nil || got != want {
			t.Fatalf("%d, %v, want %d", got, err, want)
		}
	}
	if err := FactsReady(ctx, h.engine, h.tenant); err != nil {
		t.Error(err)
	}
	got := h.factRows(signed)
	if diff := cmp.Diff(want[len(want)-1], got[len(got)-1]); diff != "" {
		t.Errorf("what is known now: %s", diff)
	}
	h.exec(`UPDATE measure_fact SET excluded = 2`)
	told := 0
	if err := h.engine.RebuildFacts(ctx, h.tenant, func(n int) { told += n }); err != nil || told != factsBatch+1 {
		t.Fatal(told, err)
	}
	if diff := cmp.Diff(got, h.factRows(signed)); diff != "" {
		t.Errorf("what a rebuild mends: %s", diff)
	}
}

// A case is looked for among the facts of its study, where those of the others are not
// made yet.
func TestTheFactsOfOneStudyAreMadeAgainOneByOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	first := h.ready()
	h.signed(first)
	second := h.again(first)
	h.comparing(h.ben, second)
	h.fire(h.ben, second, "grade", Input{Grade: &agreement})
	h.fire(h.ben, second, "sign", Input{})
	want := [][]string{h.factRows(first), h.factRows(second)}
	if excluded, _, _ := h.asOf(first, time.Now()); excluded != ExcludedSameStudy {
		t.Fatalf("the first is excluded by %q: this test proves nothing", excluded)
	}
	h.exec(`DELETE FROM measure_fact_past; DELETE FROM measure_fact`)
	if err := h.engine.RebuildFacts(context.Background(), h.tenant, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, [][]string{h.factRows(first), h.factRows(second)}); diff != "" {
		t.Errorf("as they were written (-) and as they are made again (+): %s", diff)
	}
}

// Two replicas sign reports of one study at the same moment: one of them counts.
func TestOfTwoReportsOfOneStudyThatAreSignedAtOnceOneCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	for range 5 {
		first := h.ready()
		second := h.again(first)
		cases := []Case{first, second}
		for i, reader := range []access.Actor{h.anna, h.ben} {
			h.comparing(reader, cases[i])
			h.fire(reader, cases[i], "grade", Input{Grade: &agreement})
		}
		failed := make(chan error)
		for i, reader := range []access.Actor{h.anna, h.ben} {
			go func() {
				_, err := NewEngine(h.db.DB, time.Now, h.engine.log).Fire(context.Background(), reader, cases[i].CaseID, "sign", Input{})
				failed <- err
			}()
		}
		for range cases {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
		var counted []string
		for _, c := range cases {
			excluded, _, _ := h.asOf(c, time.Now().Add(time.Second))
			counted = append(counted, excluded)
		}
		slices.Sort(counted)
		if diff := cmp.Diff([]string{"", ExcludedSameStudy}, counted); diff != "" {
			t.Error(diff)
		}
	}
}

func TestHowACaseIsToldApart(t *testing.T) {
	t.Parallel()
	whole := Case{Protocol: Blinded, Reading: SingleReading, Priority: "stat", PlacerSystem: "urn:north", ReaderID: &uuid.UUID{15: 7}, Exam: Exam{
		Modality: "ct", BodySite: "Left upper lobe of lung", Subspecialty: "chest", Priors: []string{"ImagingStudy/1"}, Setting: "inpatient",
		OriginalReaders: []string{"a", "b"}, OriginalAuthors: []string{"b"}, OriginalGroups: []string{"Organization/1"},
		Reasons: []string{"http://loinc.org|1-1", ReasonSystem + "|transfer", "http://hl7.org/fhir/sid/icd-10-cm|c34.1"}}}
	want := Description{Modality: "CT", BodyRegion: "chest", Subspecialty: "chest", Site: "Organization/1", OriginalReader: "b",
		SecondReader: "00000000-0000-0000-0000-000000000007", Reason: "transfer", Priority: "stat", Oncologic: "yes", Blinding: "blinded", Priors: "yes", Setting: "inpatient", Reading: "single"}
	if diff := cmp.Diff(want, whole.description()); diff != "" {
		t.Error(diff)
	}
	bare := Case{PlacerSystem: "urn:north", Exam: Exam{Display: "MR Knee", Reasons: []string{secondOpinionMarker + "SO"}}}
	if diff := cmp.Diff(Description{Site: "urn:north", BodyRegion: "limb", Priors: "no"}, bare.description()); diff != "" {
		t.Error(diff)
	}
	for reason, want := range map[string]string{
		ReasonSystem + "|staging": "yes", "http://hl7.org/fhir/sid/icd-10|D48.9": "yes", "http://hl7.org/fhir/sid/icd-10|D50": "no",
		"http://loinc.org|C50": "no", "http://hl7.org/fhir/sid/icd-10|C": "no",
	} {
		if got := (Exam{Reasons: []string{reason}}).oncologic(); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
	if d := (&Case{PlacerSystem: strings.Repeat("ä", longestWord)}).description(); len(d.Site) > longestWord {
		t.Error("words are bounded")
	}
	columns := pgtest.New(t).Owner(t)
	for _, d := range FactDimensions {
		var there bool
		if err := columns.QueryRow(context.Background(), `SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'measure_fact' AND column_name = $1)`, d.Column).Scan(&there); err != nil || !there {
			t.Errorf("%s has no column (%v)", d.Name, err)
		}
	}
}
