package gate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/gate"
)

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	ask := func(encrypted bool) http.Header {
		w := httptest.NewRecorder()
		gate.Headers(http.NotFoundHandler(), encrypted).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Header()
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		"X-Frame-Options": "DENY", "Strict-Transport-Security": "",
	} {
		if got := ask(false).Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if csp := ask(false).Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "sandbox") {
		t.Errorf("Content-Security-Policy is %q", csp)
	}
	if got := ask(true).Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=31536000") {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
}

// pacedServer answers 200 when it has read the body, and says why it did not.
func pacedServer(t *testing.T, p gate.Pace) (address string, got chan error) {
	t.Helper()
	got = make(chan error, 8)
	s := httptest.NewServer(gate.Bodies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}), p))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), got
}

func TestABodyThatComesTooSlowlyIsEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pace  gate.Pace
		chunk int
		every time.Duration
		slow  bool
	}{
		"a byte at a time":       {gate.Pace{Rate: 1000, Grace: 200 * time.Millisecond}, 1, 20 * time.Millisecond, true},
		"nothing":                {gate.Pace{Rate: 1000, Grace: 200 * time.Millisecond}, 0, 0, true},
		"fast enough":            {gate.Pace{Rate: 1000, Grace: 200 * time.Millisecond}, 100, 20 * time.Millisecond, false},
		"fast, but without end":  {gate.Pace{Rate: 10, Grace: time.Hour, Most: 300 * time.Millisecond}, 10, 20 * time.Millisecond, true},
		"slow, where all may be": {gate.Pace{}, 20, 20 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, got := pacedServer(t, c.pace)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const size = 2000
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n")
			go func() {
				for sent := 0; c.chunk > 0 && sent < size; sent += c.chunk {
					if _, err := conn.Write(make([]byte, c.chunk)); err != nil {
						return
					}
					time.Sleep(c.every)
				}
			}()
			select {
			case err := <-got:
				if fault.Is(err, fault.TooSlow) != c.slow || !c.slow && err != nil {
					t.Errorf("reading ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it is still read")
			}
		})
	}
}

// A handler may work for longer than the body took: its request must not be
// cancelled by a deadline that was meant for the body.
func TestAHandlerMayTakeItsTimeAfterTheBody(t *testing.T) {
	t.Parallel()
	cancelled := make(chan error, 1)
	s := httptest.NewServer(gate.Bodies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			cancelled <- r.Context().Err()
		case <-time.After(500 * time.Millisecond):
			cancelled <- nil
		}
	}), gate.Pace{Rate: 1000, Grace: 100 * time.Millisecond}))
	defer s.Close()
	res, err := http.Post(s.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if err := <-cancelled; err != nil {
		t.Errorf("the request ended: %v", err)
	}
}

// Nor may the time count for which a handler lets the body lie.
func TestAHandlerMayTakeItsTimeBeforeTheBody(t *testing.T) {
	t.Parallel()
	const wait = time.Second
	for _, http2 := range []bool{false, true} {
		read := make(chan error, 1)
		s := httptest.NewUnstartedServer(gate.Bodies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(wait)
			half := make([]byte, 50_000)
			_, err := io.ReadFull(r.Body, half)
			time.Sleep(wait)
			_, rest := io.Copy(io.Discard, r.Body)
			read <- errors.Join(err, rest)
		}), gate.Pace{Rate: 10_000_000, Grace: wait / 2})) // a busy machine may read slowly, too
		s.EnableHTTP2 = http2
		s.StartTLS()
		t.Cleanup(s.Close)
		res, err := s.Client().Post(s.URL, "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if err := <-read; err != nil || res.ProtoMajor == 2 != http2 {
			t.Errorf("%s: %v", res.Proto, err)
		}
	}
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue is a certificate and its key in PEM.
func (a *authority) issue(serial int64) (cert, key []byte) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

type files struct{ cert, key, clients string }

func (f files) write(t *testing.T, cert, key []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(f.cert, cert, 0o600), os.WriteFile(f.key, key, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "clients.pem")}
}

// serve serves over TLS and returns the address.
func serve(t *testing.T, c *gate.Certificates) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{TLSConfig: c.Config(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// shake shakes hands and returns the serial number of the server's certificate.
func shake(t *testing.T, address string, config *tls.Config) (int64, error) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	// In TLS 1.3 a server refuses the client's certificate only afterwards.
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		return 0, err
	}
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	a, f := newAuthority(t), newFiles(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	client := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	first, firstKey := a.issue(101)
	f.write(t, first, firstKey)
	var log bytes.Buffer
	certs, err := gate.ReadCertificates(f.cert, f.key, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, certs)
	want := func(serial int64, when string) {
		t.Helper()
		if got, err := shake(t, address, client); got != serial {
			t.Errorf("%s: certificate %d (%v), want %d", when, got, err, serial)
		}
	}
	want(101, "at first")

	second, secondKey := a.issue(102)
	f.write(t, second, firstKey) // half way
	certs.Reload()
	want(101, "with the key of the one and the certificate of the other")
	if !strings.Contains(log.String(), "the last one stays") {
		t.Errorf("log: %s", log.String())
	}
	f.write(t, second, secondKey)
	certs.Reload() // as on SIGHUP
	want(102, "after a reload")

	third, thirdKey := a.issue(1003)
	f.write(t, third, thirdKey)
	deadline := time.Now().Add(10 * time.Second)
	for got := int64(0); got != 1003; got, _ = shake(t, address, client) {
		if time.Now().After(deadline) {
			t.Fatal("a change of the files is not noticed")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestOnlyTLSFromOnePointTwoIsSpokenAndHTTP2Too(t *testing.T) {
	t.Parallel()
	a, f := newAuthority(t), newFiles(t)
	cert, key := a.issue(1)
	f.write(t, cert, key)
	certs, err := gate.ReadCertificates(f.cert, f.key, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, certs)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	for version, works := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := shake(t, address, &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version})
		if (err == nil) != works {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	res, err := client.Get("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Errorf("spoken is %s", res.Proto)
	}
}

func TestWithClientAuthoritiesOnlyTheirClientsComeIn(t *testing.T) {
	t.Parallel()
	a, other, f := newAuthority(t), newAuthority(t), newFiles(t)
	cert, key := a.issue(1)
	f.write(t, cert, key)
	if err := os.WriteFile(f.clients, a.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	certs, err := gate.ReadCertificates(f.cert, f.key, f.clients, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, certs)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	shows := func(a *authority) *tls.Config {
		config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if a != nil {
			cert, key := a.issue(7)
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		return config
	}
	for name, c := range map[string]struct {
		config *tls.Config
		works  bool
	}{"ours": {shows(a), true}, "somebody else's": {shows(other), false}, "none": {shows(nil), false}} {
		if _, err := shake(t, address, c.config); (err == nil) != c.works {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The authorities are read again too.
	if err := os.WriteFile(f.clients, other.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	certs.Reload()
	if _, err := shake(t, address, shows(a)); err == nil {
		t.Error("an authority that was taken away is still taken")
	}
	if _, err := shake(t, address, shows(other)); err != nil {
		t.Errorf("the new authority: %v", err)
	}
}

func TestFilesThatHoldNoCertificateAreRefused(t *testing.T) {
	t.Parallel()
	a, f := newAuthority(t), newFiles(t)
	cert, key := a.issue(1)
	f.write(t, cert, key)
	if err := os.WriteFile(f.clients, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]files{
		"no certificate": {f.clients, f.key, ""}, "no key": {f.cert, f.clients, ""}, "no authorities": {f.cert, f.key, f.clients}, "no file": {"/nowhere", f.key, ""},
	} {
		if _, err := gate.ReadCertificates(c.cert, c.key, c.clients, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
