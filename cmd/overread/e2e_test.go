package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/standin"
)

// world is an Overread that serves, the EHR beside it, and everybody's
// clients. It speaks HTTP only, as the world does.
type world struct {
	*seeder
	database *pgtest.Database
	ehr      *standin.EHR
	chart    client // reads the EHR
}

// newWorld starts the program's own run function on a database of the test's
// own, and a stand-in EHR, and makes the hospitals.
func newWorld(t testing.TB, hospitals ...string) *world {
	t.Helper()
	w := newEHR(t)
	base := serveInProcess(t, w.database.URL)
	w.settleIn(t, base, hospitals...)
	return w
}

// newEHR is a world without Overread.
func newEHR(t testing.TB) *world {
	t.Helper()
	return newEHRBeside(t, pgtest.New(t))
}

func newEHRBeside(t testing.TB, database *pgtest.Database) *world {
	t.Helper()
	ehr, err := standin.New(standin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- ehr.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stand-in EHR: %v", err)
		}
	})
	w := &world{database: database, ehr: ehr, chart: client{base: "http://" + listener.Addr().String() + "/fhir"}}
	return w
}

// settleIn makes the hospitals with their readers at a running server.
func (w *world) settleIn(t testing.TB, base string, hospitals ...string) {
	t.Helper()
	w.seeder = newSeeder(w.database.DB, base, w.chart.base, t.TempDir())
	if len(hospitals) == 0 {
		hospitals = []string{"mercy"}
	}
	for _, name := range hospitals {
		if err := w.addHospital(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// serveInProcess calls run as main would and returns the base of the FHIR
// surface. The server is stopped, and must stop cleanly, at the test's end.
func serveInProcess(t testing.TB, url string, more ...string) (base string) {
	t.Helper()
	base, _ = serveLogged(t, url, more...)
	return base
}

// serveLogged is serveInProcess with the server's log.
func serveLogged(t testing.TB, url string, more ...string) (base string, written *logReader) {
	t.Helper()
	args := append([]string{"serve", "--database-url", url, "--listen", "127.0.0.1:0", "--outbound-allow", "127.0.0.1", "--outbound-http", "--log-format", "json"}, more...)
	ctx, stop := context.WithCancel(context.Background())
	log := newLogReader()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, args, io.Discard, log)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Log(log.text())
		}
	})
	select {
	case base := <-log.serving:
		return base, log
	case err := <-ended:
		ended <- err
		t.Fatalf("serve ended: %v\n%s", err, log.text())
	case <-time.After(time.Minute):
		t.Fatalf("serve does not begin to serve\n%s", log.text())
	}
	return "", log
}

// logReader is a server's stderr: it waits for the line that says where the
// server listens, and keeps the rest for a test that fails.
type logReader struct {
	mu      sync.Mutex
	seen    bytes.Buffer
	told    bool
	serving chan string
}

func newLogReader() *logReader { return &logReader{serving: make(chan string, 1)} }

func (l *logReader) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.Write(p)
	if l.told {
		return len(p), nil
	}
	for line := range strings.Lines(l.seen.String()) {
		var entry struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			l.told = true
			l.serving <- entry.URL
			break
		}
	}
	return len(p), nil
}

func (l *logReader) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.String()
}

// eventually waits for something that the jobs do; it asks often and gives up
// after a time that only a fault can take.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(errors.Join(err, t.Context().Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
