package workflow

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMailIsSentOnceByManyPostmen(t *testing.T) {
	t.Parallel()
	h, _ := escalating(t)
	for range 5 {
		h.ready()
	}
	h.pass(51 * time.Hour)
	sent := map[string]int{}
	var mu sync.Mutex
	send := func(_ context.Context, m Mail) MailVerdict {
		mu.Lock()
		defer mu.Unlock()
		sent[m.MailID.String()]++
		return MailVerdict{Sent: true}
	}
	var postmen sync.WaitGroup
	for range 4 {
		p := NewPostman(h.db.DB, send, slog.New(slog.DiscardHandler))
		postmen.Go(func() {
			if _, err := p.Tick(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	postmen.Wait()
	if len(sent) != 1+5*2 {
		t.Errorf("%d mails", len(sent))
	}
	for id, n := range sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
}

func TestMailThatFailsIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.pass(51 * time.Hour)
	var got []Mail
	answer := MailVerdict{Reason: "no-connection"}
	p := NewPostman(h.db.DB, func(_ context.Context, m Mail) MailVerdict { got = append(got, m); return answer }, slog.New(slog.DiscardHandler))
	tick := func() {
		t.Helper()
		if _, err := p.Tick(t.Context()); err != nil {
			t.Error(err)
		}
	}
	tick()
	tick() // not due yet
	h.skip(61 * time.Second)
	tick()
	if len(got) != 2 || got[0].MailID != got[1].MailID || got[1].Attempt != 2 {
		t.Fatalf("%+v", got)
	}
	m := got[0]
	if m.Number != h.find(c).Number() || m.TaskID != c.TaskID || m.Clock != ClockFinal || m.Stage != 50 || m.Tell != TellReader || m.Recipient != "anna@north.example" {
		t.Errorf("%+v", m)
	}
	h.exec(`UPDATE mail SET lease_until = now() + interval '1 minute', next_attempt_at = now()`) // another has it
	tick()
	h.exec(`UPDATE mail SET lease_until = now()`) // and has died
	answer = MailVerdict{Sent: true}
	tick()
	tick()
	if len(got) != 3 || h.mailState() != "done" {
		t.Errorf("%d attempts, %s", len(got), h.mailState())
	}

	h.skip(11 * time.Minute)
	h.tick() // the coordinators
	answer = MailVerdict{Final: true, Reason: "refused-550"}
	tick()
	if h.mailState() != "done parked" {
		t.Error(h.mailState())
	}
	h.skip(21 * time.Minute)
	h.tick() // the director
	answer = MailVerdict{Reason: "timeout"}
	tick()
	h.skip(25 * time.Hour)
	tick()
	h.skip(time.Hour)
	before := len(got)
	tick()
	if len(got) != before || strings.Contains(h.mailState(), "queued") {
		t.Errorf("mail of yesterday is still tried: %s", h.mailState())
	}
}

func TestNoMailLeavesForATenantThatIsSuspended(t *testing.T) {
	t.Parallel()
	h, _ := escalating(t)
	h.pass(51 * time.Hour)
	sent := 0
	p := NewPostman(h.db.DB, func(context.Context, Mail) MailVerdict { sent++; return MailVerdict{Sent: true} }, slog.New(slog.DiscardHandler))
	for i, state := range []string{"suspended", "active"} {
		h.exec(`UPDATE tenant SET state = $1`, state)
		if _, err := p.Tick(t.Context()); err != nil || sent != i {
			t.Errorf("%s: %d mails, %v", state, sent, err)
		}
	}
}

func TestWithoutAMailServerMailWaitsForADay(t *testing.T) {
	t.Parallel()
	h, _ := escalating(t)
	h.pass(51 * time.Hour)
	p := NewPostman(h.db.DB, nil, slog.New(slog.DiscardHandler))
	for _, want := range []string{"queued", "parked"} {
		if _, err := p.Tick(t.Context()); err != nil {
			t.Error(err)
		}
		if got := h.mailState(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		h.skip(25 * time.Hour)
	}
}

// mailed are the addresses to which mail is queued, in the order in which they
// were told.
func (h *house) mailed() (to []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT recipient FROM mail ORDER BY mail_id`)
		if err != nil {
			return err
		}
		to, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return to
}

func (h *house) mailState() (states string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM mail`).Scan(&states)
	})
	return states
}
