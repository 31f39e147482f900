package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// Two replicas work on an export, and both are killed in the middle, again and
// again: every patient is in its files, once.
func TestAnExportIsWholeUnderKill9(t *testing.T) {
	const patients = 30_000
	database := pgtest.New(t)
	tenant := pgtest.AddTenant(t, database, "mercy")
	token, _ := pgtest.AddToken(t, database, tenant, access.Director)
	owner := database.Owner(t)
	_, err := owner.Exec(t.Context(), `
		INSERT INTO resource (tenant_id, type, id, version, last_updated, body)
		SELECT $1, 'Patient', 'p' || n, 1, now() - interval '1 hour', convert_to('{"resourceType":"Patient","id":"p' || n || '"}', 'UTF8')
		FROM generate_series(1, $2::int) AS n`, tenant, patients)
	if err != nil {
		t.Fatal(err)
	}
	first, base := startChild(t, database.URL)
	second, other := startChild(t, database.URL)
	ask := func(url, prefer string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Prefer", prefer)
		return http.DefaultClient.Do(request)
	}
	started, err := ask(base+"/$export", "respond-async")
	if err != nil || started.StatusCode != http.StatusAccepted {
		t.Fatalf("%v %v", started, err)
	}
	started.Body.Close()
	status := other + started.Header.Get("Content-Location")[len(base):]
	var manifest struct {
		Output []struct{ URL string }
	}
	running := func() (any bool) {
		err := owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM export_job WHERE state = 'running')`).Scan(&any)
		if err != nil {
			t.Fatal(err)
		}
		return any
	}
	blows := 0
	for ; blows < 6 && running(); blows++ {
		one, two := first.blow(60*time.Millisecond), second.blow(90*time.Millisecond)
		<-one
		<-two
	}
	if blows < 2 {
		t.Error("the export had ended before the second blow")
	}
	eventually(t, "the export is to end", func() error {
		answer, err := ask(status, "")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d, %s", answer.StatusCode, answer.Header.Get("X-Progress"))
		}
		return json.NewDecoder(answer.Body).Decode(&manifest)
	})
	seen := map[string]int{}
	for _, file := range manifest.Output {
		answer, err := ask(file.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(answer.Body)
		for {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) && line == "" {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			seen[line]++
		}
		answer.Body.Close()
	}
	for line, n := range seen {
		if n != 1 {
			t.Fatalf("%d times: %s", n, line)
		}
	}
	if len(seen) != patients {
		t.Errorf("%d of %d patients after %d blows", len(seen), patients, blows)
	}
}
