package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// One tenant's bad row must not stop the server of all.
func TestAJobThatPanicsHasFailedAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	runs := 0
	w := &worker{log: slog.New(slog.NewTextHandler(&told, nil)), job: job{name: "reports", run: func(context.Context) (int, error) {
		if runs++; runs == 1 {
			panic(errors.New("index out of range"))
		}
		return 0, nil
	}}}
	w.work(t.Context())
	w.work(t.Context())
	if text := told.String(); runs != 2 || !strings.Contains(text, "job panicked") || !strings.Contains(text, "works again") || strings.Contains(text, "index out of range") {
		t.Errorf("%d runs: %s", runs, text)
	}
}
