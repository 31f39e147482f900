package workflow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// credential makes what the house says of a reader's credentials anew.
func (h *house) credential(who uuid.UUID, document string) {
	h.Helper()
	h.exec(`UPDATE reader SET credential = $1 WHERE reader_id = $2`, document, who)
}

// licensed is a credential of somebody with one licence until a day.
func licensed(until string) string {
	return fmt.Sprintf(`{"subspecialties": ["neuro"], "zone": "America/New_York", "licences": [{"jurisdiction": "US-NY", "validTo": %q}]}`, until)
}

// onThe looks at the credentials twice at a moment, as two ticks would.
func (h *house) onThe(moment string) {
	h.Helper()
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		h.Fatal(err)
	}
	e := NewEngine(h.db.DB, func() time.Time { return at }, slog.New(slog.DiscardHandler))
	e.Use(h.engine.hooks)
	for range 2 {
		if _, err := e.CredentialTick(context.Background()); err != nil {
			h.Fatal(err)
		}
	}
}

// saidOf are the stages at which the coordinator was told that credentials end.
func (h *house) saidOf(c Case) (stages []int) {
	for _, ch := range h.heard {
		for _, one := range ch.Told {
			if ch.Case.CaseID == c.CaseID && one.Clock == ClockCredential && one.Tell == TellCoordinator {
				stages = append(stages, one.Stage)
			}
		}
	}
	return stages
}

func inNewYork(f *Facts) { f.Exam.Jurisdiction = "US-NY" }

func TestTheCoordinatorIsToldOfEachOpenCaseWhoseReadersCredentialsEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, policy, credential string
		moments                  []string // of each look
		want                     []int
	}{
		{"fourteen days before, and on the day", "", licensed("2090-06-20"), []string{"2090-06-06T03:59:00Z", "2090-06-06T04:01:00Z", "2090-06-19T12:00:00Z", "2090-06-20T04:01:00Z", "2090-06-25T12:00:00Z"}, []int{50, 100}},
		{"not a minute before", "", licensed("2090-06-20"), []string{"2090-06-06T03:59:00Z"}, nil},
		{"as many days before as the policy says", "credentialNoticeDays: 3\n", licensed("2090-06-20"), []string{"2090-06-16T12:00:00Z", "2090-06-17T12:00:00Z"}, []int{50}},
		{"only on the day, where the policy says so", "credentialNoticeDays: 0\n", licensed("2090-06-20"), []string{"2090-06-19T12:00:00Z", "2090-06-20T12:00:00Z"}, []int{100}},
		{"after a look that came too late, once", "", licensed("2090-06-20"), []string{"2090-07-01T12:00:00Z", "2090-07-02T12:00:00Z"}, []int{100}},
		{"of a privilege", "", `{"subspecialties": [], "privileges": [{"subspecialties": ["neuro"], "validTo": "2090-06-20"}], "licences": [{"jurisdiction": "US-NY"}]}`, []string{"2090-06-10T12:00:00Z"}, []int{50}},
		{"of credentialing here", "", `{"subspecialties": ["neuro"], "validTo": "2090-06-20", "licences": [{"jurisdiction": "US-NY"}]}`, []string{"2090-06-10T12:00:00Z"}, []int{50}},
		{"not of a licence that the case does not ask for", "", `{"subspecialties": ["neuro"], "licences": [{"jurisdiction": "US-NY"}, {"jurisdiction": "US-NJ", "validTo": "2090-06-20"}]}`, []string{"2090-06-10T12:00:00Z"}, nil},
		{"not of a licence that goes on as another", "", `{"subspecialties": ["neuro"], "licences": [{"jurisdiction": "US-NY", "validTo": "2090-06-20"}, {"jurisdiction": "US-NY", "validFrom": "2090-06-21"}]}`, []string{"2090-06-10T12:00:00Z"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{}`)
			h.setPolicy(tc.policy + "contacts: {coordinator: [desk@north.example]}\n")
			h.credential(h.anna.ID, tc.credential)
			c := h.open(inNewYork)
			h.tick()
			h.fire(h.anna, c, "claim", Input{Independent: true})
			for _, moment := range tc.moments {
				h.onThe(moment)
			}
			if got := h.saidOf(c); !slices.Equal(got, tc.want) {
				t.Errorf("told at %v, want %v", got, tc.want)
			}
			if got := h.mailed(); len(got) != len(tc.want) {
				t.Errorf("mailed to %v", got)
			}
			h.replays(c)
		})
	}
}

func TestWhatWasToldOfCredentialsEndsWithItsReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	h.credential(h.anna.ID, licensed("2090-06-20"))
	h.credential(h.ben.ID, licensed("2099-12-31"))
	cases := []Case{h.open(inNewYork), h.open(inNewYork), h.open(inNewYork)}
	h.tick()
	for _, c := range cases {
		h.fire(h.anna, c, "claim", Input{Independent: true})
	}
	h.onThe("2090-06-10T12:00:00Z")
	if got := h.pages(h.coordinator); len(got) != 3 {
		t.Fatal(got)
	}
	h.fire(h.coordinator, cases[0], "reassign", Input{Reason: "the licence ends", ReaderID: &h.ben.ID})
	h.fire(h.coordinator, cases[1], "heed", Input{})
	h.onThe("2090-06-10T12:10:00Z")
	if got := h.pages(h.coordinator); len(got) != 1 || got[0] != cases[2].Number()+" credential 50" {
		t.Errorf("one case is left: %v", got)
	}
	h.credential(h.anna.ID, licensed("2092-06-20")) // renewed
	h.onThe("2090-06-10T12:20:00Z")
	if got := h.pages(h.coordinator); len(got) != 0 {
		t.Error(got)
	}
	h.onThe("2092-06-10T12:00:00Z") // and ends again
	if a, b := h.saidOf(cases[0]), h.saidOf(cases[2]); !slices.Equal(a, []int{50}) || !slices.Equal(b, []int{50, 50}) {
		t.Errorf("told at %v and %v", a, b)
	}
}

func TestOfWhoIsNoReaderAnyMoreItIsToldOnceAndNothingOfSignedCases(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	open, final := h.ready(), h.ready()
	for _, c := range []Case{open, final} {
		h.fire(h.anna, c, "claim", Input{Independent: true})
	}
	h.fire(h.anna, final, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, final, "reveal", Input{})
	h.fire(h.anna, final, "grade", Input{Grade: &agreement})
	h.fire(h.anna, final, "sign", Input{})
	h.exec(`UPDATE reader SET active = false WHERE reader_id = $1`, h.anna.ID)
	h.onThe("2090-06-10T12:00:00Z")
	if a, b := h.saidOf(open), h.saidOf(final); !slices.Equal(a, []int{100}) || b != nil {
		t.Errorf("told at %v and %v", a, b)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := InHandTx(ctx, tx)
		if got := all[h.anna.ID]; err != nil || !slices.Equal(got, []string{open.TaskID}) {
			t.Error(got, err)
		}
		return nil
	})
}

func TestAPolicyMayNotNameAStageThatCredentialsDoNotHave(t *testing.T) {
	t.Parallel()
	if _, err := ReadPolicy([]byte("escalations: [{clock: credential, at: 75, chain: [{tell: director, by: [page]}]}]")); err == nil {
		t.Error("taken")
	}
	if _, err := ReadPolicy([]byte("escalations: [{clock: credential, at: 100, chain: [{tell: director, by: [page]}]}]")); err != nil {
		t.Error(err)
	}
}
