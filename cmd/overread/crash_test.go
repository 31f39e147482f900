package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/overread/overread/workflow"
)

// child is an Overread in a process of its own, which can be killed as the
// kernel or a pulled plug kills: with SIGKILL, at any moment.
type child struct {
	t      *testing.T
	url    string // of the database
	listen string
	cmd    *exec.Cmd
	log    *logReader
}

// startChild starts `overread serve` (this test binary, as main_test.go says)
// and returns it with the base of its FHIR surface.
func startChild(t *testing.T, database string) (c *child, base string) {
	t.Helper()
	c = &child{t: t, url: database, listen: "127.0.0.1:0"}
	base = c.start()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c.listen = u.Host // and there again after each kill
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Log(c.log.text())
		}
	})
	return c, base
}

func (c *child) start() (base string) {
	c.log = newLogReader()
	c.cmd = exec.Command(os.Args[0], "serve", "--listen", c.listen, "--outbound-allow", "127.0.0.1", "--outbound-http", "--log-format", "json")
	c.cmd.Env = append(os.Environ(), asProgram+"=1", "OVERREAD_DATABASE_URL="+c.url)
	c.cmd.Stdout, c.cmd.Stderr = io.Discard, c.log
	if err := c.cmd.Start(); err != nil {
		c.t.Error(err)
		return ""
	}
	select {
	case base := <-c.log.serving:
		return base
	case <-time.After(time.Minute):
		c.t.Errorf("serve does not begin to serve\n%s", c.log.text())
		return ""
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// blow kills the child after a delay and starts it again; the channel is
// closed when it serves once more.
func (c *child) blow(after time.Duration) (over chan struct{}) {
	over = make(chan struct{})
	go func() {
		defer close(over)
		time.Sleep(after)
		c.kill()
		c.start()
	}()
	return over
}

// TestEveryStoryEndsRightUnderKill9 lives each story while the server is
// killed in the middle of it. A client that lost its answer looks where the
// case is and tries again, as clients must. At the end nothing is lost and
// nothing doubled: the EHR has each signed version exactly once.
//
// OVERREAD_CRASH_ROUNDS (make crash) sets how often; the seed is printed, so
// that the times of the blows can be had again.
func TestEveryStoryEndsRightUnderKill9(t *testing.T) {
	rounds := 1
	if text := os.Getenv("OVERREAD_CRASH_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("OVERREAD_CRASH_ROUNDS: %v", err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	w := newEHR(t)
	server, base := startChild(t, w.database.URL)
	w.settleIn(t, base)
	for round := range rounds {
		for i, tale := range tales() {
			t.Run(fmt.Sprintf("%s, round %d", tale.name, round+1), func(t *testing.T) {
				o := w.orderFor(tale, 1000+10*round+i)
				w.livesThrough(t, o, tale, func() chan struct{} {
					return server.blow(time.Duration(random.Int64N(int64(longestDelay))))
				})
				w.checkReport(t, o, tale)
				w.checkMessages(t, o, tale)
			})
		}
	}
}

// longestDelay is how long after the beginning of a chapter the blow falls at
// most: a request takes some 15 ms, and what the jobs do after it as much.
const longestDelay = 40 * time.Millisecond

// livesThrough lives a tale with a server that is killed once in each chapter,
// and once more while the report is on its way.
func (w *world) livesThrough(t *testing.T, o order, tale tale, blow func() chan struct{}) {
	t.Helper()
	var task string
	var at workflow.State // where the case is
	over := blow()
	eventually(t, "the order is to go in", func() (err error) {
		task, err = w.order(t.Context(), o, w.clients["mercy-placer"])
		return err
	})
	<-over
	for _, c := range tale.chapters {
		over := blow()
		done := c.does == ""
		eventually(t, fmt.Sprintf("after %q the case is to be %s", c.does, c.then), func() error {
			if !done {
				err := w.perform(t, o, task, c)
				// What leaves the case where it is may be said twice; whether it was done cannot be seen.
				lost := err != nil && c.then != at && w.mustBe(t, o, task, c) == nil
				if done = err == nil || lost; !done {
					return err
				}
			}
			return w.mustBe(t, o, task, c)
		})
		<-over
		at = c.then
	}
	<-blow()
}
