package outbound_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a small DNS server: what each name resolves to, the first time it
// is asked for, the second time, and from then on as the last.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr // by name with its final dot
	asked   map[string]int            // questions for A
}

// resolver starts a DNS server that ends with the test.
func resolver(t *testing.T, answers map[string][][]string) (*net.Resolver, *names) {
	t.Helper()
	n := &names{answers: map[string][][]netip.Addr{}, asked: map[string]int{}}
	for name, rounds := range answers {
		for _, round := range rounds {
			var all []netip.Addr
			for _, ip := range round {
				all = append(all, netip.MustParseAddr(ip))
			}
			n.answers[name+"."] = append(n.answers[name+"."], all)
		}
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go n.serve(conn)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, n
}

func (n *names) serve(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Additionals = true, nil
		m.Answers, m.RCode = n.answer(m.Questions[0])
		if answer, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (n *names) answer(q dnsmessage.Question) (found []dnsmessage.Resource, code dnsmessage.RCode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	rounds, ok := n.answers[q.Name.String()]
	if !ok {
		return nil, dnsmessage.RCodeNameError
	}
	round := rounds[min(n.asked[q.Name.String()], len(rounds)-1)]
	if q.Type == dnsmessage.TypeA {
		n.asked[q.Name.String()]++
	}
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	for _, ip := range round {
		switch {
		case q.Type == dnsmessage.TypeA && ip.Is4():
			found = append(found, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: ip.As4()}})
		case q.Type == dnsmessage.TypeAAAA && ip.Is6():
			found = append(found, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	return found, dnsmessage.RCodeSuccess
}

// times is how often a name was asked for.
func (n *names) times(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[name+"."]
}
