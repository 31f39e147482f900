package pgtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Pooler stands between clients and a database as a pooler in transaction mode
// does: each transaction of a client is sent on whichever connection has rested
// longest, so that no two of a client's that follow each other have the same.
// Nothing is reset in between. It returns the URL by which it is reached.
func Pooler(t testing.TB, target string, connections int) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pooler{resting: make(chan net.Conn, connections), target: target}
	for range connections {
		conn, err := p.connect()
		if err != nil {
			t.Fatal(err)
		}
		p.resting <- conn
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
		for range len(p.resting) {
			_ = (<-p.resting).Close()
		}
	})
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = listener.Addr().String()
	return u.String()
}

type pooler struct {
	resting chan net.Conn
	target  string
}

func (p *pooler) connect() (net.Conn, error) {
	conn, err := pgconn.Connect(context.Background(), p.target)
	if err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	return hijacked.Conn, nil
}

// pooled is one client, with the connection that it has while a transaction of
// its own is open.
type pooled struct {
	*pooler

	client net.Conn
	mu     sync.Mutex
	server net.Conn // nil between transactions
	asked  int      // answers that end with ReadyForQuery and have not come
}

func (p *pooler) serve(client net.Conn) {
	c := &pooled{pooler: p, client: client}
	defer func() { _ = client.Close() }()
	if !c.welcome() {
		return
	}
	for {
		kind, message, err := readMessage(client)
		if err != nil || kind == 'X' {
			break
		}
		if _, err := c.take(kind == 'Q' || kind == 'S').Write(message); err != nil {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil { // it left in the middle of a transaction
		_ = c.server.Close()
		if conn, err := p.connect(); err == nil {
			p.resting <- conn
		}
	}
}

// welcome answers the client's start (PostgreSQL, message flow): everybody may
// come in. A request to cancel is for nobody.
func (c *pooled) welcome() bool {
	var head [8]byte
	if _, err := io.ReadFull(c.client, head[:]); err != nil || binary.BigEndian.Uint32(head[4:]) != 196608 {
		return false
	}
	if _, err := io.CopyN(io.Discard, c.client, int64(binary.BigEndian.Uint32(head[:4]))-8); err != nil {
		return false
	}
	answer := message('R', []byte{0, 0, 0, 0})
	for _, pair := range []string{"server_version\x0015.0\x00", "client_encoding\x00UTF8\x00", "standard_conforming_strings\x00on\x00", "TimeZone\x00UTC\x00"} {
		answer = append(answer, message('S', []byte(pair))...)
	}
	answer = append(answer, message('K', make([]byte, 8))...)
	_, err := c.client.Write(append(answer, message('Z', []byte{'I'})...))
	return err == nil
}

// take is the client's connection, which it gets with its first message.
func (c *pooled) take(asks bool) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		c.server = <-c.resting
		go c.answers(c.server)
	}
	if asks {
		c.asked++
	}
	return c.server
}

// answers passes on what the server says until the transaction has ended.
func (c *pooled) answers(server net.Conn) {
	for {
		kind, message, err := readMessage(server)
		if err != nil {
			_ = c.client.Close()
			return
		}
		done := false
		if kind == 'Z' {
			c.mu.Lock()
			c.asked--
			if done = c.asked == 0 && message[5] == 'I'; done {
				c.server = nil
				c.resting <- server
			}
			c.mu.Unlock()
		}
		if _, err := c.client.Write(message); err != nil || done {
			return
		}
	}
}

// readMessage reads one message with its type and length.
func readMessage(from io.Reader) (kind byte, message []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, nil, err
	}
	message = make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
	copy(message, head[:])
	_, err = io.ReadFull(from, message[5:])
	return head[0], message, err
}

func message(kind byte, body []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)) //nolint:gosec // some bytes
	return append(head, body...)
}
