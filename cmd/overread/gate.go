package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/gate"
)

// gateFlags say how requests come in: over TLS or not, from whom, how fast.
type gateFlags struct {
	Cert         string   `name:"tls-cert" env:"OVERREAD_TLS_CERT" type:"path" placeholder:"FILE" help:"The server's certificate with its chain (PEM): speak TLS. Read again when it changes, and on SIGHUP."`
	Key          string   `name:"tls-key" env:"OVERREAD_TLS_KEY" type:"path" placeholder:"FILE" help:"The certificate's private key (PEM)."`
	ClientCA     string   `name:"tls-client-ca" env:"OVERREAD_TLS_CLIENT_CA" type:"path" placeholder:"FILE" help:"Take only clients, health checks among them, that have a certificate of these authorities (PEM)."`
	TrustedProxy []string `name:"trusted-proxy" env:"OVERREAD_TRUSTED_PROXY" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is believed, as addresses or CIDRs. Without them a client's address is that of the connection."`
	ClientRate   float64  `name:"client-rate" env:"OVERREAD_CLIENT_RATE" default:"500" help:"Requests a second that are taken with one token; ten times as many at once. 0: no limit."`
	AddressRate  float64  `name:"address-rate" env:"OVERREAD_ADDRESS_RATE" default:"1000" help:"Requests a second that are taken from one address (IPv6: network of 64 bits); ten times as many at once. 0: no limit."`
	FailureRate  float64  `name:"auth-failure-rate" env:"OVERREAD_AUTH_FAILURE_RATE" default:"30" help:"Failed authentications a minute that are taken from one address, before even good tokens that are new there have to wait. 0: no limit."`
	BodyRate     int      `name:"body-rate" env:"OVERREAD_BODY_RATE" default:"1024" help:"The least speed of a request's body, in bytes a second on average, after 10 seconds. 0: any."`
}

// A body has this long, however slow --body-rate lets it be.
const longestBody = 5 * time.Minute

// validate checks what kong cannot.
func (f gateFlags) validate() error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return badSetting("tls-cert", "and --tls-key / OVERREAD_TLS_KEY are given together")
	case f.ClientCA != "" && f.Cert == "":
		return badSetting("tls-client-ca", "needs --tls-cert / OVERREAD_TLS_CERT")
	case f.ClientRate < 0 || f.AddressRate < 0 || f.FailureRate < 0:
		return badSetting("client-rate", "and the other rates cannot be negative")
	}
	_, err := f.clientAddress()
	return err
}

// certificates are those of the files, nil where no TLS is spoken.
func (f gateFlags) certificates(log *slog.Logger) (*gate.Certificates, error) {
	if f.Cert == "" {
		return nil, nil
	}
	c, err := gate.ReadCertificates(f.Cert, f.Key, f.ClientCA, log)
	if err != nil {
		return nil, badSetting("tls-cert", "%w", err)
	}
	return c, nil
}

// clientAddress says how a client's address is found. echo's own way trusts
// every private address to be a proxy, which we do not.
func (f gateFlags) clientAddress() (echo.IPExtractor, error) {
	if len(f.TrustedProxy) == 0 {
		return echo.ExtractIPDirect(), nil
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, text := range f.TrustedProxy {
		if ip, err := netip.ParseAddr(text); err == nil {
			text = netip.PrefixFrom(ip, ip.BitLen()).String()
		}
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return nil, badSetting("trusted-proxy", "%q is neither an address nor a CIDR", text)
		}
		trust = append(trust, echo.TrustIPRange(network))
	}
	return echo.ExtractIPFromXFFHeader(trust...), nil
}

// server is the HTTP server of these settings. Its time-outs bound what a
// client can hold: a header 10 seconds, a body as pace says, an answer two
// minutes, an idle connection two minutes.
func (f gateFlags) server(handler http.Handler, encrypted bool, log *slog.Logger) *http.Server {
	handler = gate.Bodies(handler, gate.Pace{Rate: f.BodyRate, Grace: 10 * time.Second, Most: longestBody})
	return &http.Server{
		Handler:           gate.Headers(handler, encrypted),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // until the pace of the body takes over
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// serveOn serves until the server is shut down, over TLS where there are
// certificates; SIGHUP has them read again.
func serveOn(ctx context.Context, server *http.Server, listener net.Listener, certs *gate.Certificates) error {
	if certs == nil {
		return server.Serve(listener)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-hangup:
				certs.Reload()
			case <-ctx.Done():
				return
			case <-over:
				return
			}
		}
	}()
	server.TLSConfig = certs.Config()
	return server.ServeTLS(listener, "", "")
}

// scheme is how clients speak to this process.
func (f gateFlags) scheme() string {
	if f.Cert != "" {
		return "https"
	}
	return "http"
}

// isEncrypted tells whether clients come over TLS, wherever it ends.
func isEncrypted(base string) bool { return strings.HasPrefix(base, "https://") }
