package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// asked is a request to a server that serves, with headers as name, value.
func asked(t *testing.T, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestEveryKindOfAnswerHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	base := serveInProcess(t, pgtest.New(t).URL)
	root := strings.TrimSuffix(base, "/fhir")
	for _, c := range []struct {
		method, url string
		status      int
	}{
		{"GET", base + "/metadata", 200}, {"GET", base + "/docs", 200}, {"GET", base + "/docs/Patient", 200}, {"GET", base + "/openapi.json", 200},
		{"GET", root + "/healthz", 200}, {"GET", root + "/readyz", 200}, {"GET", root + "/nowhere", 404}, {"GET", base + "/Patient", 401},
		{"POST", base + "/metadata", 405}, {"OPTIONS", base + "/Patient", 405}, {"HEAD", base + "/docs", 200},
	} {
		res, _ := asked(t, c.method, c.url)
		if c.status != res.StatusCode && c.method != "OPTIONS" && c.method != "POST" {
			t.Errorf("%s %s: status %d, want %d", c.method, c.url, res.StatusCode, c.status)
		}
		for _, name := range []string{"X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy", "X-Request-Id"} {
			if len(res.Header.Values(name)) != 1 {
				t.Errorf("%s %s: %s is %q", c.method, c.url, name, res.Header.Values(name))
			}
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s %s: Content-Security-Policy is %q", c.method, c.url, csp)
		}
	}
}

func TestTooManyRequestsAreRefusedAsFHIR(t *testing.T) {
	t.Parallel()
	base := serveInProcess(t, pgtest.New(t).URL, "--auth-failure-rate", "3", "--trusted-proxy", "127.0.0.1")
	for i := range 3 {
		if res, _ := asked(t, "GET", base+"/Patient", "Authorization", fmt.Sprint("Bearer guess-", i), "X-Forwarded-For", "192.0.2.7"); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d: status %d", i, res.StatusCode)
		}
	}
	res, text := asked(t, "GET", base+"/Patient", "Authorization", "Bearer guess", "X-Forwarded-For", "198.51.100.1, 192.0.2.7")
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "20" ||
		!strings.Contains(text, `"resourceType":"OperationOutcome"`) || !strings.Contains(text, `"throttled"`) {
		t.Errorf("status %d, Retry-After %q, %s", res.StatusCode, res.Header.Get("Retry-After"), text)
	}
	if res, _ := asked(t, "GET", base+"/Patient", "Authorization", "Bearer guess", "X-Forwarded-For", "192.0.2.8"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another address behind the proxy: status %d", res.StatusCode)
	}
}

// Whoever cannot prove to be a system is one of those who guess. A token that was
// good before still works at their address.
func TestAssertionsCannotBeGuessedInBulk(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	token, _ := pgtest.AddToken(t, db, pgtest.AddTenant(t, db, "mercy"), access.Placer)
	base := serveInProcess(t, db.URL, "--auth-failure-rate", "3")
	works := func() int {
		res, _ := asked(t, "GET", base+"/Patient", "Authorization", "Bearer "+token)
		return res.StatusCode
	}
	if got := works(); got != http.StatusOK {
		t.Fatalf("a good token: status %d", got)
	}
	statuses := map[int]int{}
	for range 5 {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}, "client_assertion": {"a.b.c"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
		res, err := http.DefaultClient.PostForm(base+"/oauth/token", form)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		statuses[res.StatusCode]++
	}
	if statuses[http.StatusBadRequest] != 3 || statuses[http.StatusTooManyRequests] != 2 {
		t.Errorf("statuses %v", statuses)
	}
	if got := works(); got != http.StatusOK {
		t.Errorf("a token that was good before: status %d", got)
	}
}

func TestWithoutTrustedProxiesNobodyChoosesTheirAddress(t *testing.T) {
	t.Parallel()
	base := serveInProcess(t, pgtest.New(t).URL, "--auth-failure-rate", "3")
	statuses := map[int]int{}
	for i := range 10 {
		res, _ := asked(t, "GET", base+"/Patient", "X-Forwarded-For", fmt.Sprint("192.0.2.", i), "X-Real-Ip", fmt.Sprint("192.0.2.", i))
		statuses[res.StatusCode]++
	}
	if statuses[http.StatusUnauthorized] != 3 || statuses[http.StatusTooManyRequests] != 7 {
		t.Errorf("statuses %v", statuses)
	}
}

func TestASlowBodyIsAnsweredWithARequestTimeout(t *testing.T) {
	t.Parallel()
	w := newEHR(t)
	base := serveInProcess(t, w.database.URL, "--body-rate", "1000000")
	w.settleIn(t, base)
	address := strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/fhir")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /fhir HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/fhir+json\r\nContent-Length: 1000000\r\n\r\n{", w.clients["mercy-placer"].token)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(text), `"code":"timeout"`) || !strings.Contains(string(text), "too slowly") {
		t.Errorf("status %d: %s", res.StatusCode, text)
	}
}

func TestServeSpeaksTLSAndReadsItsCertificateAgainOnSIGHUP(t *testing.T) {
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	first := selfSigned(t, cert, key)
	base, log := serveLogged(t, pgtest.New(t).URL, "--tls-cert", cert, "--tls-key", key)
	address := strings.TrimSuffix(strings.TrimPrefix(base, "https://"), "/fhir")
	shake := func(roots *x509.CertPool) error {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if err := shake(first); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: first}}}
	res, err := client.Get(base + "/metadata")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("status %d, %s, %v", res.StatusCode, res.Proto, res.Header)
	}
	second := selfSigned(t, cert, key)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new certificate is to be used", func() error { return shake(second) })
	if !strings.Contains(log.text(), "certificate read") || strings.Contains(log.text(), "PRIVATE") {
		t.Errorf("log: %s", log.text())
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(certFile, public, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(public)
	return roots
}
