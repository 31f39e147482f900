package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"regexp"
	"sync/atomic"
	"testing"
)

// mostPage is what a page may weigh with its style sheet and script, without images, as
// they are before compression (issue 7).
const mostPage = 150_000

var ofPage = regexp.MustCompile(`(?:href|src)="(/[^"]*\.(?:css|js))"`)

// weigher weighs pages with their style sheets and scripts.
type weigher struct {
	*crowd
	assets map[string]int
}

func (w *weigher) weight(p pageOf, body []byte) int {
	weight := len(body)
	for _, found := range ofPage.FindAllSubmatch(body, -1) {
		at := string(found[1])
		if w.assets[at] == 0 {
			asset, _ := w.get(pageOf{at, at, p.as})
			w.assets[at] = len(asset)
		}
		weight += w.assets[at]
	}
	return weight
}

// mostStatements is how many statements a page may cost, whatever it shows: a list that
// asks for something of each of its lines costs more as soon as it is full.
const mostStatements = 60

// Every page of every role is light, and costs no more statements where there are many
// cases than where there are few.
func TestEveryPageIsLightAndAsksOfTheDatabaseABoundedNumberOfTimes(t *testing.T) {
	t.Parallel()
	counted := &counter{t: t}
	c := newCrowd(t, counted.before)
	pages := c.pages()
	few := map[string]int64{}
	weigh := weigher{c, map[string]int{}}
	ask := func(p pageOf) (body []byte, statements int64, there bool) {
		c.get(p) // what a pool and prepared statements need once is not counted
		before := counted.n.Load()
		body, there = c.get(p)
		return body, counted.n.Load() - before, there
	}
	for _, p := range pages {
		body, statements, there := ask(p)
		if !there {
			continue
		}
		few[p.name] = statements
		if weight := weigh.weight(p, body); weight > mostPage {
			t.Errorf("%s weighs %d bytes", p.name, weight)
		}
	}
	if len(few) < 60 {
		t.Fatalf("only %d pages are there", len(few))
	}
	c.grow(6000)
	for _, p := range pages {
		body, statements, there := ask(p)
		most := min(mostStatements, few[p.name]+6)
		for tries := 0; there && statements > most && tries < 8; tries++ { // the server's own work is counted too, now and then
			_, again, _ := ask(p)
			statements = min(statements, again)
		}
		if there && statements > most {
			t.Errorf("%s costs %d statements, %d where there are few cases", p.name, statements, few[p.name])
		}
		if weight := weigh.weight(p, body); weight > mostPage {
			t.Errorf("%s weighs %d bytes where there are many cases, %d of them its own", p.name, weight, len(body))
		}
		// Of many messages a worklist shows the newest, and leads to all.
		told := bytes.Count(body, []byte(`class="note warn"`))
		switch p.name {
		case "reader /worklist":
			if told != 10 || !bytes.Contains(body, []byte(`/worklist?messages=1"`)) {
				t.Errorf("%s shows %d messages", p.name, told)
			}
		case "reader /worklist?messages=1":
			if told <= 10 || told > 50 {
				t.Errorf("%s shows %d messages", p.name, told)
			}
		}
	}
}

// counter stands before PostgreSQL and counts the statements that are run: Execute and
// Query messages (PostgreSQL 15, 55.2 Message Flow).
type counter struct {
	t testing.TB
	n atomic.Int64
}

// before is the URL of a database through the counter.
func (c *counter) before(database string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = listener.Close() })
	u, err := url.Parse(database)
	if err != nil {
		c.t.Fatal(err)
	}
	behind := u.Host
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(conn, behind)
		}
	}()
	u.Host = listener.Addr().String()
	return u.String()
}

func (c *counter) carry(client net.Conn, behind string) {
	defer client.Close()
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
	for first := true; ; {
		head := make([]byte, 5)
		if first { // the startup message has no type
			head = head[:4]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		size := int64(binary.BigEndian.Uint32(head[len(head)-4:])) - 4
		if !first && (head[0] == 'E' || head[0] == 'Q') {
			c.n.Add(1)
		}
		if first && size == 4 { // SSLRequest is followed by a startup message
			first = true
		} else {
			first = false
		}
		if _, err := server.Write(head); err != nil {
			return
		}
		if _, err := io.CopyN(server, client, size); err != nil {
			return
		}
	}
}
