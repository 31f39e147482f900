package main

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/pgtest"
)

// TestAStoryBehindAPooler tells a story by two replicas whose transactions are
// shuffled over a few connections.
func TestAStoryBehindAPooler(t *testing.T) {
	t.Parallel()
	w := newEHR(t)
	w.livesBehind(t, pgtest.Pooler(t, w.database.URL, 6))
}

func TestAStoryBehindPgBouncer(t *testing.T) {
	t.Parallel()
	w := newEHR(t)
	pooled := pgtest.PgBouncer(t, w.database.URL, 4)
	if pooled == "" {
		t.Skip("PgBouncer is not installed (scripts/ensure pgbouncer); TestAStoryBehindAPooler has a pooler of its own")
	}
	w.livesBehind(t, pooled)
}

func (w *world) livesBehind(t *testing.T, pooled string) {
	t.Helper()
	base := serveInProcess(t, pooled, "--database-pooler")
	serveInProcess(t, pooled, "--database-pooler")
	w.settleIn(t, base)
	tale := tales()[1] // with adjudication
	o := w.orderFor(tale, 921)
	task := w.send(t, o)
	for _, c := range tale.chapters {
		w.live(t, o, task, c)
	}
	w.checkReport(t, o, tale)
	for question, who := range map[string]string{"Task?_include=*&_total=accurate": "coordinator", "Task/" + task + "/$everything": "placer", "AuditEvent?_count=3": "auditor", "_history?_count=5": "placer"} {
		if _, err := w.clients["mercy-"+who].get(t.Context(), question); err != nil {
			t.Errorf("%s: %v", question, err)
		}
	}
	if _, err := overreadOutput(t, "migrate", "--database-url", pooled, "--database-pooler"); err == nil || !strings.Contains(err.Error(), "own URL") {
		t.Errorf("a migration through a pooler: %v", err)
	}
}
