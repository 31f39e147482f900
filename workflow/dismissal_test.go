package workflow

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// doubtedAndUncompared is a report by Anna; then the first report of the study comes, and its
// reader bears her name: one verification is open for both.
func (h *house) doubtedAndUncompared() Case {
	h.Helper()
	c := h.unreported()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "sign", Input{})
	f, whole := h.facts[c.PlacerValue], wholeFacts()
	f.Original, f.Reported, f.First = whole.Original, true, FirstReaders{Names: []string{"Dr. Anna Karenina"}}
	h.recheckSigned(c)
	all := h.matters(c)
	if len(all) != 1 || !all[0].Content.SameReader || !all[0].Content.FirstReport {
		h.Fatalf("%+v", all)
	}
	return c
}

// That it is another Anna says nothing of what her report and the other one differ in.
func TestThatItIsSomebodyElseLeavesTheComparisonOpen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.doubtedAndUncompared()
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna"})
	all := h.matters(c)
	if len(all) != 1 || !all[0].Open() || all[0].Content.Words() != originalCame || all[0].Content.Independent == nil || all[0].Content.Independent.Reason != "another Anna" {
		t.Fatalf("%+v", all)
	}
	h.refused(fault.Forbidden, h.coordinator, c, "dismiss-verification", Input{Reason: "no time"})
	h.fire(h.anna, c, "amend", Input{Reason: "the first report came"})
	amendment := Amendment{Kind: "amendment", Reason: "the first report came", Text: "The two were compared.", Verifies: true}
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Amendment: &amendment})
	if r := h.fire(h.anna, c, "sign", Input{Amendment: &amendment, Grade: &minorMiss}).Report; r.Level != LevelMinor {
		t.Errorf("the report says %s", r.Level)
	}
	h.replays(c)

	c = h.doubtedAndUncompared() // and what is left may be dismissed too, by one more decision
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna"})
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "a copy of our own report"})
	if all := h.matters(c); len(all) != 1 || !all[0].Withdrawn() {
		t.Errorf("%+v", all)
	}
	h.mattersHaveClocks(c)
}

// mattersHaveClocks: what is open has its clock, and what is settled none.
func (h *house) mattersHaveClocks(c Case) {
	h.Helper()
	for _, m := range h.matters(c) {
		if _, runs := h.clockOf(c, kindOf(m.clock())); runs != m.Open() {
			h.Errorf("%s %d: open %t, its clock runs: %t", m.Kind, m.No, m.Open(), runs)
		}
	}
}

// What a director found of a name holds for that name.
func TestWhoIsFoundToBeSomebodyElseIsDoubtedAnewByWhatNamesThemBetter(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(anna string) FirstReaders{
		"by an identifier": func(anna string) FirstReaders {
			return FirstReaders{Readers: []string{anna}, Names: []string{"Dr. Anna Karenina"}}
		},
		"by another name of theirs": func(string) FirstReaders {
			return FirstReaders{Names: []string{"Dr. Anna Karenina", "Anna"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.ready()
			h.signed(c)
			var anna string
			h.in(func(ctx context.Context, tx pgx.Tx) error {
				return tx.QueryRow(ctx, `SELECT 'Practitioner/' || practitioner_id FROM reader WHERE reader_id = $1`, h.anna.ID).Scan(&anna)
			})
			h.facts[c.PlacerValue].First = FirstReaders{Names: []string{"Dr. Anna Karenina"}}
			h.recheckSigned(c)
			h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna"})
			h.facts[c.PlacerValue].First = FirstReaders{Names: []string{"Dr. Anna Karenina", "Dr. Somebody Else"}}
			h.recheckSigned(c) // who says nothing of Anna
			h.fire(h.anna, c, "amend", Input{Reason: "a word is missing"})
			h.fire(h.anna, c, "withdraw-amendment", Input{Reason: "none is"})
			h.facts[c.PlacerValue].First = next(anna)
			h.recheckSigned(c)
			all := h.matters(c)
			if len(all) != 2 || !all[1].Open() || !all[1].Content.SameReader {
				t.Fatalf("%+v", all)
			}
			h.refused(fault.Forbidden, h.anna, c, "amend", Input{Reason: "a word is missing"})
			h.replays(c)
		})
	}
}

// Of whom an identifier names nobody finds that they are somebody else, until it is corrected
// where it stands.
func TestWhoIsNamedByAnIdentifierIsNotFoundToBeSomebodyElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	h.exec(`UPDATE reader SET credential = credential || '{"identifiers": ["urn:npi|anna"]}' WHERE reader_id = $1`, h.anna.ID)
	c := h.ready()
	h.signed(c)
	first := &h.facts[c.PlacerValue].First
	*first = FirstReaders{Names: []string{"Dr. Anna Karenina"}}
	h.recheckSigned(c)
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna"})
	*first = FirstReaders{Readers: []string{"urn:npi|anna"}, Names: []string{"Dr. Anna Karenina"}}
	h.recheckSigned(c)
	if why := h.refused(fault.BusinessRule, h.director, c, "dismiss-verification", Input{Reason: "another Anna"}); !strings.Contains(why, "by an identifier") || !strings.Contains(why, "the hospital corrects") {
		t.Error(why)
	}
	h.refused(fault.Forbidden, h.coordinator, c, "dismiss-verification", Input{Reason: "another Anna"})
	h.refused(fault.Forbidden, h.anna, c, "amend", Input{Reason: "a word is missing"})

	*first = FirstReaders{Readers: []string{"urn:npi|boris"}, Names: []string{"Dr. Anna Karenina"}} // it was the number of another
	h.recheckSigned(c)
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna, as the hospital says"})
	h.fire(h.anna, c, "amend", Input{Reason: "a word is missing"})
	h.replays(c)
	h.mattersHaveClocks(c)
}

// A director may read as well. Nobody judges whether their own report is independent, of the
// right side, or differs from the first.
func TestADirectorDoesNotJudgeTheReportThatTheyHadAPartIn(t *testing.T) {
	t.Parallel()
	doubts := map[string]func(h *house) Case{
		"independence": func(h *house) Case {
			c := h.ready()
			h.signed(c)
			h.facts[c.PlacerValue].First = FirstReaders{Names: []string{"Dr. Anna Karenina"}}
			h.recheckSigned(c)
			return c
		},
		"the first report": func(h *house) Case {
			c := h.unreported()
			h.comparing(h.anna, c)
			h.fire(h.anna, c, "sign", Input{})
			h.reported(c)
			return c
		},
		"the other side": func(h *house) Case {
			c := h.open(func(f *Facts) { f.Exam.Ordered = &OrderedSite{Side: "left"} })
			h.tick()
			h.signed(c)
			h.facts[c.PlacerValue].Exam.Ordered = &OrderedSite{Side: "right"}
			h.recheckSigned(c)
			return c
		},
	}
	for what, doubted := range doubts {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := doubted(h)
			if all := h.matters(c); len(all) != 1 || !all[0].Open() {
				t.Fatalf("%+v", all)
			}
			reads := h.director
			reads.Reader = h.anna.ID
			if why := h.refused(fault.Forbidden, reads, c, "dismiss-verification", Input{Reason: "it holds"}); !strings.Contains(why, "another director") {
				t.Error(why)
			}
			h.refused(fault.Forbidden, h.coordinator, c, "dismiss-verification", Input{Reason: "no time"})
			other := h.director
			other.Reader = h.ben.ID // who reads as well, and had no part in this
			h.fire(other, c, "dismiss-verification", Input{Reason: "looked at"})
			if all := h.matters(c); !all[0].Withdrawn() {
				t.Errorf("%+v", all)
			}
		})
	}
}

// Nor does a director who may have made the original.
func TestADirectorDoesNotJudgeWhetherTheyReadFirstThemselves(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	h.facts[c.PlacerValue].First = FirstReaders{Names: []string{"Anna", "Ben"}}
	h.recheckSigned(c)
	reads := h.director
	reads.Reader = h.ben.ID
	h.refused(fault.Forbidden, reads, c, "dismiss-verification", Input{Reason: "another Anna"})
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna"})
}

// Whether more images are of the examination is no physician's question.
func TestACoordinatorDismissesImagesThatAreNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	h.grows(c, 500)
	h.refused(fault.Forbidden, as(h.anna, access.Reader), c, "dismiss-verification", Input{Reason: "a secondary capture"})
	h.fire(h.coordinator, c, "dismiss-verification", Input{Reason: "a secondary capture"})
	if all := h.matters(c); len(all) != 1 || !all[0].Withdrawn() {
		t.Errorf("%+v", all)
	}
}
