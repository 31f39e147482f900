package workflow

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

const (
	onLeave = `UPDATE reader SET credential = credential || '{"absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}' WHERE reader_id = $1`
	isBack  = `UPDATE reader SET credential = credential - 'absences' WHERE reader_id = $1`
)

// owes is what somebody finds on their worklist of signed cases: what, and why.
func (h *house) owes(who access.Actor) string {
	var all []string
	for _, item := range h.owedTo(who) {
		all = append(all, strings.TrimSpace(string(item.Owed)+" "+string(item.StandIn)))
	}
	return strings.Join(all, ", ")
}

// asked is a signed case that somebody asks about.
func (h *house) asked(words string) Case {
	c := h.ready()
	h.signed(c)
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: words}})
	return c
}

func (h *house) signers(c Case) (names []string) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := ReportsTx(ctx, tx, c.CaseID)
		for _, r := range all {
			name := "anna"
			if r.SignedBy == h.carl.ID {
				name = "carl"
			}
			names = append(names, strings.TrimSpace(name+" "+string(r.StandIn)))
		}
		return err
	})
	return names
}

// Whose report it is, and was away, answers and changes it when they are back, though another
// has answered in their place; and what is asked then is before them alone.
func TestTheAuthorWhoIsBackHasTheirReportAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.asked("Which segment?")
	carl := as(h.carl, access.Supervisor)
	h.exec(onLeave, h.anna.ID)
	h.fire(carl, c, "answer", Input{Answer: "S3."})

	// While she is away it is his, who has answered, and nobody else's.
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "How large?"}})
	if got := h.owes(carl); got != "answer" {
		t.Errorf("who stands in has %q", got)
	}
	if got := h.toldOf(c, ClockQuestion); got != h.carl.ID {
		t.Errorf("%s is told of the question", got)
	}

	h.exec(isBack, h.anna.ID)
	if got := h.owes(h.anna); got != "answer" {
		t.Errorf("whose report it is has %q", got)
	}
	for _, role := range []access.Role{access.Supervisor, access.Adjudicator} {
		if got := h.owes(as(h.carl, role)); got != "" {
			t.Errorf("who stood in as %s has %q", role, got)
		}
	}
	if got := h.toldOf(c, ClockQuestion); got != h.anna.ID {
		t.Errorf("%s is told of the question", got)
	}
	if why := h.refused(fault.Forbidden, carl, c, "answer", Input{Answer: "8 mm."}); !strings.Contains(why, "here again") {
		t.Error(why)
	}
	h.refused(fault.Forbidden, carl, c, "amend", Input{Reason: "a slip"})
	h.fire(h.anna, c, "answer", Input{Answer: "8 mm."})
	h.refused(fault.BusinessRule, h.anna, c, "answer", Input{Answer: "8 mm."}) // once
	h.fire(h.anna, c, "amend", Input{Reason: "a slip"})
	h.refused(fault.Forbidden, carl, c, "sign", nodule)
	h.fire(h.anna, c, "sign", nodule)

	if got := strings.Join(h.signers(c), ", "); got != "anna, carl absent, anna, anna" {
		t.Errorf("signed by %s", got)
	}
	if got := h.find(c); *got.Owner() != h.anna.ID {
		t.Errorf("%s has the case", *got.Owner())
	}
	// Away again, somebody stands in as before.
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Since when?"}})
	h.exec(onLeave, h.anna.ID)
	if got := h.owes(as(h.carl, access.Supervisor)); got == "" {
		t.Error("nobody has it")
	}
	h.replays(c)
}

// What was given to somebody stays with them, beside whose report it is, until that one signs again.
func TestWhoWasGivenAnAmendmentKeepsTheReportUntilTheAuthorSigns(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	carl := as(h.carl, access.Supervisor)
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	h.fire(h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &h.carl.ID})
	h.fire(carl, c, "sign", Input{Amendment: &Amendment{Kind: "addition", Reason: "a prior", Text: "It is stable."}})
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Since when?"}})
	for _, who := range []access.Actor{h.anna, carl} {
		if got := h.owes(who); got != "answer" {
			t.Errorf("%s has %q", who.Role, got)
		}
	}
	h.fire(carl, c, "answer", Input{Answer: "2020."})
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "How large?"}})
	h.fire(h.anna, c, "answer", Input{Answer: "8 mm."})
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "And the other?"}})
	if got := h.owes(carl); got != "" {
		t.Errorf("it is hers again, and who stood in has %q", got)
	}
	h.refused(fault.Forbidden, carl, c, "answer", Input{Answer: "None."})
	// To whom it was given before, it can be given again.
	h.fire(h.anna, c, "amend", Input{Reason: "a slip"})
	h.refused(fault.Forbidden, carl, c, "sign", nodule)
	h.fire(h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &h.carl.ID})
	if got := h.owes(carl); got != "amendment named" {
		t.Errorf("given to them: %q", got)
	}
	h.fire(carl, c, "sign", nodule)
	h.replays(c)
}

// Whose report it is may sign an amendment that was given to another; then the case is theirs,
// and whom it was given to is told nothing more of it.
func TestWhoSignsWhatWasGivenAwayHasTheCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	h.fire(h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &h.carl.ID})
	h.fire(h.anna, c, "sign", nodule)
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Since when?"}})
	if got := *h.find(c).Owner(); got != h.anna.ID {
		t.Errorf("%s has the case", got)
	}
	if got := h.toldOf(c, ClockQuestion); got != h.anna.ID {
		t.Errorf("%s is told of the question", got)
	}
	if got := h.owes(as(h.carl, access.Supervisor)); got != "" {
		t.Errorf("to whom it was given has %q", got)
	}
	h.replays(c)
}

// An amendment that was begun for somebody who comes back meanwhile is finished by either,
// and not by both: what was written against a version that is no more in force is not signed.
func TestTwoDoNotSignOneAmendment(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.asked("Which segment?")
	carl := as(h.carl, access.Supervisor)
	h.exec(onLeave, h.anna.ID)
	h.fire(carl, c, "answer", Input{Answer: "S3."})
	h.fire(carl, c, "amend", Input{Reason: "a prior came"})
	h.exec(isBack, h.anna.ID)
	if got := h.owes(carl); got != "amendment" {
		t.Errorf("who began has %q", got)
	}
	mine := Input{Amends: 2, Amendment: &Amendment{Kind: "correction", Reason: "a prior came", Text: "Stable."}, Opinion: &Opinion{Impression: "Stable."}, GradeStands: true}
	h.fire(carl, c, "sign", mine)
	h.refused(fault.Conflict, h.anna, c, "sign", mine) // it is no more open
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	if why := h.refused(fault.Conflict, h.anna, c, "sign", mine); !strings.Contains(why, "version 3") {
		t.Error(why)
	}
	mine.Amends = 3
	h.fire(h.anna, c, "sign", mine)
	h.replays(c)
}

// Who stood in needs for it, as long as they do, what they needed for it first.
func TestWhoStoodInNeedsTheCredentialStill(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.asked("Which segment?")
	carl := as(h.carl, access.Supervisor)
	h.exec(onLeave, h.anna.ID)
	h.fire(carl, c, "answer", Input{Answer: "S3."})
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "How large?"}})
	h.exec(`UPDATE reader SET credential = credential - 'mayAdjudicate' - 'maySupervise' WHERE reader_id = $1`, h.carl.ID)
	h.refused(fault.Forbidden, carl, c, "answer", Input{Answer: "8 mm."})
	if got := h.owes(carl); got != "" {
		t.Errorf("who stood in has %q", got)
	}
}

// toldOf is whom a clock of the case would be told to, as its reader.
func (h *house) toldOf(c Case, clock ClockName) (who uuid.UUID) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		now := h.find(c)
		t := &turn{ledger: sqlLedger{tx}, tx: tx, c: &now, now: h.engine.moment()}
		id, err := t.whoAnswers(ctx, clock)
		if id != nil {
			who = *id
		}
		return err
	})
	return who
}
