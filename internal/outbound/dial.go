package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// dial judges each address just before its socket connects: after DNS, so
// what is judged is what is reached. plain tells that no TLS will follow.
func (g *Guard) dial(plain bool) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		d := &net.Dialer{Timeout: dialTimeout, Resolver: g.resolver, Control: func(_, to string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(to)
			if err != nil {
				return err
			}
			return g.judge(host, at.Addr(), at.Port(), plain)
		}}
		return d.DialContext(ctx, network, address)
	}
}

// guarded is the transport of a client.
type guarded struct {
	guard                  *Guard
	maxBody                int64
	secure, plain, proxied *http.Transport
}

// RoundTrip makes the request when the guard has nothing against it.
func (t *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	way, err := t.way(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // net/http.RoundTripper: also on errors
		}
		return nil, err
	}
	res, err := way.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &bounded{ReadCloser: res.Body, left: t.maxBody}
	return res, nil
}

// way is the transport for a request, or why there is none.
func (t *guarded) way(r *http.Request) (*http.Transport, error) {
	g := t.guard
	if _, err := g.Check(r.URL.String()); err != nil {
		return nil, err
	}
	if g.proxy != nil {
		switch proxy, err := g.proxy(r); {
		case err != nil:
			return nil, err
		case proxy != nil:
			return t.proxied, g.checkProxied(r)
		}
	}
	if r.URL.Scheme == "http" {
		return t.plain, nil
	}
	return t.secure, nil
}

// checkProxied is what can be said of a name that only the proxy resolves.
func (g *Guard) checkProxied(r *http.Request) error {
	host, port := r.URL.Hostname(), portOf(r.URL)
	if _, err := netip.ParseAddr(host); err == nil {
		return nil // Check has judged it
	}
	listed := g.allow.host(host, port)
	switch {
	case len(g.only) > 0 && !g.only.host(host, port):
		return refuse(NotListed, "%s is not among what --outbound-only / OVERREAD_OUTBOUND_ONLY lists", host)
	case listed:
		return nil
	case !strings.Contains(host, ".") || ofTheHouse(host):
		return refuse(BadAddress, "%s is a name of the inner network; where it is meant, list it: --outbound-allow / OVERREAD_OUTBOUND_ALLOW", host)
	case r.URL.Scheme == "http":
		return refuse(BadScheme, "http:// to %s is not allowed: use https, or list the host: --outbound-allow / OVERREAD_OUTBOUND_ALLOW", host)
	case !g.open(port):
		return refuse(BadPort, "port %d of %s is not allowed: --outbound-port / OVERREAD_OUTBOUND_PORT", port, host)
	}
	return nil
}

// ErrTooLarge is how reading ends where an answer is larger than its limit.
var ErrTooLarge = errors.New("the answer is larger than we take")

// bounded is a body that ends with ErrTooLarge after so many bytes.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}

func parsePort(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0 && text[0] != '0'
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *guarded) CloseIdleConnections() {
	for _, way := range []*http.Transport{t.secure, t.plain, t.proxied} {
		way.CloseIdleConnections()
	}
}
