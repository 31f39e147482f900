// Package outbound is the one guard of every request that this program makes
// to an address which came from outside: EHRs and other destinations, key sets
// (JWKS), issuers, subscription endpoints.
//
// A URL is looked at three times. Check reads its form, and refuses what two
// readers could understand differently. The names that an operator limits
// requests to are compared. And the address is judged when it is dialled,
// after DNS, on the very socket that is about to connect, so a name that
// answers differently the second time gains nothing. A client of Client
// follows no redirect, uses no proxy that the operator did not ask for, wants
// TLS 1.2 or later, and reads a bounded answer in a bounded time.
//
// Public addresses over https at the usual ports are open to all. Whatever
// else a house needs (an EHR in its own network, plain http) its operator
// lists: see Settings.
package outbound

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// Settings are what an operator allows. The zero value is the strictest.
type Settings struct {
	// Allow lists what may be reached although it is no public address, at any
	// port: HOST, HOST:PORT, *.DOMAIN, ADDRESS, ADDRESS:PORT or CIDR. A host
	// may be at a private or loopback address; the addresses of cloud metadata
	// services, link-local and multicast ones must be listed themselves.
	Allow []string
	// Only, where it is not empty, is all that may be reached: written as
	// Allow, it opens nothing by itself.
	Only []string
	// Ports are those of public addresses; default: DefaultPorts.
	Ports []uint16
	// HTTP allows http:// too, to what Allow lists.
	HTTP bool
	// Proxy takes the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name.
	// What a name resolves to is then the proxy's to judge.
	Proxy bool
	// RootCAs are those of servers; default: the system's.
	RootCAs *x509.CertPool
	// Resolver finds addresses; default: the system's.
	Resolver *net.Resolver
}

// DefaultPorts are where the public web speaks TLS.
var DefaultPorts = []uint16{443, 8443, 9443}

// Guard judges URLs and addresses. It may be used by many goroutines.
type Guard struct {
	allow, only rules
	ports       []uint16
	http        bool
	resolver    *net.Resolver
	roots       *x509.CertPool
	proxy       func(*http.Request) (*url.URL, error)
}

// New makes a guard, or says which setting cannot be read.
func New(s Settings) (*Guard, error) {
	allow, err := readRules(s.Allow)
	if err != nil {
		return nil, err
	}
	only, err := readRules(s.Only)
	if err != nil {
		return nil, err
	}
	g := &Guard{allow: allow, only: only, ports: s.Ports, http: s.HTTP, resolver: s.Resolver, roots: s.RootCAs}
	if len(g.ports) == 0 {
		g.ports = DefaultPorts
	}
	if s.Proxy {
		g.proxy = http.ProxyFromEnvironment
	}
	return g, nil
}

// Loopback is the guard of demo and tests: this machine too, over http.
func Loopback() *Guard {
	return &Guard{ports: DefaultPorts, http: true, allow: rules{
		{prefix: netip.MustParsePrefix("127.0.0.0/8")},
		{prefix: netip.MustParsePrefix("::1/128")},
	}}
}

// Refusal is why a request is not made. Its text names the host, its address
// and the setting that would allow it, and nothing of path or query.
type Refusal struct { //nolint:errname // outbound.Refusal says it; fault.Error is the error that clients read
	Reason Reason
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

// Reason is a refusal in one word.
type Reason string

// The reasons.
const (
	BadForm    Reason = "form"    // not a URL, or one that can be read in two ways
	BadScheme  Reason = "scheme"  // neither https nor allowed http
	BadPort    Reason = "port"    // not one where we look for the public web
	BadAddress Reason = "address" // private, special, and not listed
	NotListed  Reason = "only"    // the operator has limited what may be reached
)

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// Refused returns the refusal in err, nil where there is none.
func Refused(err error) *Refusal {
	r, _ := errors.AsType[*Refusal](err)
	return r
}

// Limits bound one request of a client.
type Limits struct {
	Timeout   time.Duration // from dialling to the last byte of the answer; default: 10 s
	MaxBody   int64         // bytes of an answer, unpacked; default: 1 MiB
	MaxHeader int64         // bytes of its header; default: 64 KiB
}

// Client makes a client whose every request passes the guard. Redirects are
// not followed: the caller sees the 3xx answer.
func (g *Guard) Client(l Limits) *http.Client {
	return &http.Client{
		Timeout:       cmp.Or(l.Timeout, 10*time.Second),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &guarded{
			guard:   g,
			maxBody: cmp.Or(l.MaxBody, 1<<20),
			secure:  g.transport(l, g.dial(false), nil),
			plain:   g.transport(l, g.dial(true), nil),
			proxied: g.transport(l, (&net.Dialer{Timeout: dialTimeout}).DialContext, g.proxy),
		},
	}
}

const dialTimeout = 10 * time.Second

func (g *Guard) transport(l Limits, dial dialer, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.roots},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  cmp.Or(l.Timeout, 10*time.Second),
		MaxResponseHeaderBytes: cmp.Or(l.MaxHeader, 64<<10),
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           256,
		IdleConnTimeout:        30 * time.Second,
	}
}

// judge says whether this address may be dialled for this host.
func (g *Guard) judge(host string, ip netip.Addr, port uint16, plain bool) error {
	if len(g.only) > 0 && !g.only.host(host, port) && !g.only.address(ip, port) {
		return refuse(NotListed, "%s is not among what --outbound-only / OVERREAD_OUTBOUND_ONLY lists", host)
	}
	special := whySpecial(ip)
	listed := g.allow.address(ip, port) || g.allow.host(host, port) && (special == nil || special.byHost)
	switch {
	case special != nil && !listed:
		return refuse(BadAddress, "%s is at %s, %s; where it is meant, list it: --outbound-allow / OVERREAD_OUTBOUND_ALLOW", host, ip, special.why)
	case plain && (!g.http || !listed):
		return refuse(BadScheme, "http:// to %s is not allowed: use https, or list it (--outbound-allow / OVERREAD_OUTBOUND_ALLOW) and allow --outbound-http / OVERREAD_OUTBOUND_HTTP", host)
	case !listed && !slices.Contains(g.ports, port):
		return refuse(BadPort, "port %d of %s is not allowed: add it (--outbound-port / OVERREAD_OUTBOUND_PORT) or list the host (--outbound-allow / OVERREAD_OUTBOUND_ALLOW)", port, host)
	}
	return nil
}
