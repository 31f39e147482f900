package workflow

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func (h *house) owedTo(who access.Actor) (owed []WorkItem) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		items, err := WorklistTx(ctx, tx, who, 20)
		for _, i := range items {
			if i.Owed != "" {
				owed = append(owed, i)
			}
		}
		return err
	})
	return owed
}

// What is open on a case of which who signed cannot act stands before those who may stand
// in, with why; as long as they may, and no longer; and before nobody else.
func TestWhoMayStandInFindsWhatIsOpen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		why  WhyStandIn
		then string
	}{
		{StandInAbsent, `UPDATE reader SET credential = credential || '{"absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}' WHERE reader_id = $1`},
		{StandInUnlicensed, `UPDATE reader SET credential = credential || '{"validTo": "2020-01-01"}' WHERE reader_id = $1`},
		{StandInGone, `UPDATE reader SET active = false WHERE reader_id = $1`},
	} {
		t.Run(string(test.why), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.ready()
			h.signed(c)
			supervisor, third := as(h.carl, access.Supervisor), as(h.carl, access.Adjudicator)
			h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Which segment?"}})
			for _, who := range []access.Actor{supervisor, third} {
				if owed := h.owedTo(who); owed != nil {
					t.Errorf("who signed is here, and the %s has %v", who.Role, owed)
				}
			}
			h.refused(fault.Forbidden, supervisor, c, "answer", Input{Answer: "S3."})
			h.exec(test.then, h.anna.ID)
			for _, who := range []access.Actor{supervisor, third} {
				owed := h.owedTo(who)
				if len(owed) != 1 || owed[0].Owed != OwesAnswer || owed[0].StandIn != test.why || owed[0].Due == nil || !owed[0].Due.Equal(h.matters(c)[0].DueAt) {
					t.Errorf("the %s: %+v", who.Role, owed)
				}
			}
			for _, who := range []access.Actor{h.ben, as(h.ben, access.Supervisor), as(h.trainee, access.Supervisor), as(h.anna, access.Supervisor)} {
				if owed := h.owedTo(who); owed != nil {
					t.Errorf("%s as %s, who may not stand in, has %v", who.ID, who.Role, owed)
				}
			}
			h.fire(supervisor, c, "answer", Input{Answer: "S3."})
			if owed := append(h.owedTo(third), h.owedTo(supervisor)...); owed != nil {
				t.Errorf("it was answered: %v", owed)
			}
			h.replays(c)
		})
	}
}

func TestAnAmendmentIsOnTheWorklistOfWhoHasIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	supervisor := as(h.carl, access.Supervisor)
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	if owed := h.owedTo(supervisor); owed != nil {
		t.Errorf("it is hers: %v", owed)
	}
	h.fire(h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &h.carl.ID})
	if owed := h.owedTo(supervisor); len(owed) != 1 || owed[0].Owed != OwesAmendment || owed[0].StandIn != StandInNamed {
		t.Errorf("given to them: %+v", owed)
	}
	h.fire(supervisor, c, "sign", nodule)
	if owed := h.owedTo(supervisor); len(owed) != 1 || owed[0].Owed != OwesCall || owed[0].StandIn != "" {
		t.Errorf("what they signed is theirs, with its finding: %+v", owed)
	}
	h.fire(supervisor, c, "amend", Input{Reason: "a slip"}) // now it is what they have signed themselves
	if owed := h.owedTo(supervisor); len(owed) != 1 || owed[0].Owed != OwesAmendment || owed[0].StandIn != "" {
		t.Errorf("their own: %+v", owed)
	}
}
