package auditlog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/auditlog"
)

func (l *log) status() (s auditlog.Status) {
	l.t.Helper()
	err := l.db.Tenant(context.Background(), l.tenant, func(tx pgx.Tx) (err error) {
		s, err = auditlog.StatusTx(context.Background(), tx, l.tenant)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *log) compare(signed []auditlog.Checkpoint, most int) (events int, err error) {
	l.t.Helper()
	err = l.db.Tenant(context.Background(), l.tenant, func(tx pgx.Tx) (err error) {
		events, err = auditlog.CompareTx(context.Background(), tx, l.tenant, signed, most)
		return err
	})
	return events, err
}

// A status tells what is signed and what waits; a comparison finds an event that is not
// what stands in the log, one that is gone, and a checkpoint that the log does not fit.
func TestALogIsComparedWithWhatWasSignedOfIt(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	if s := l.status(); s.Size != 0 || len(s.Signed) > 0 || s.Waiting != nil || s.Outside {
		t.Errorf("before anything: %+v", s)
	}
	l.add(37)
	if s := l.status(); s.Waiting == nil {
		t.Error("nothing waits")
	}
	l.sequence()
	l.seal()
	s := l.status()
	if s.Size != 37 || len(s.Signed) != 1 || s.Signed[0].Size != 37 || s.Signed[0].Key != l.key.KeyHash() || s.Waiting != nil {
		t.Fatalf("signed: %+v", s)
	}
	for most, want := range map[int]int{0: 0, 10: 10, 1000: 37} {
		if n, err := l.compare(s.Signed, most); n != want || err != nil {
			t.Errorf("of at most %d: %d (%v)", most, n, err)
		}
	}
	owner := l.db.Owner(t)
	spoil := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var changed *auditlog.ChangedError
	spoil(`UPDATE audit_event SET body = body || '\x20' WHERE audit_id = (SELECT audit_id FROM audit_leaf WHERE index = 35)`)
	if _, err := l.compare(s.Signed, 10); !errors.As(err, &changed) || changed.Index != 35 {
		t.Errorf("an event was changed: %v", err)
	}
	if _, err := l.compare(s.Signed, 1); err != nil {
		t.Errorf("the last one was not: %v", err)
	}
	spoil(`DELETE FROM audit_event WHERE audit_id = (SELECT audit_id FROM audit_leaf WHERE index = 36)`)
	if _, err := l.compare(s.Signed, 1); !errors.As(err, &changed) || changed.Index != 36 {
		t.Errorf("an event is gone: %v", err)
	}
	other := s.Signed[0]
	other.Root[0]++
	var forked *auditlog.ForkedError
	if _, err := l.compare([]auditlog.Checkpoint{other}, 0); !errors.As(err, &forked) {
		t.Errorf("another root was signed: %v", err)
	}
}
