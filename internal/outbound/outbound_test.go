package outbound_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/overread/overread/internal/outbound"
)

// vectors are URLs by which a stranger would make us call something inside,
// each with the reason for which the strictest guard refuses it. Names end in
// what the DNS of the test knows.
var vectors = []struct {
	url  string
	want outbound.Reason
}{
	// This machine and the inner network.
	{"https://127.0.0.1/", outbound.BadAddress},
	{"https://127.0.0.1:8443/", outbound.BadAddress},
	{"https://127.8.8.8/", outbound.BadAddress},
	{"https://0.0.0.0/", outbound.BadAddress},
	{"https://0.1.2.3/", outbound.BadAddress},
	{"https://10.0.0.1/", outbound.BadAddress},
	{"https://172.16.0.1/", outbound.BadAddress},
	{"https://172.31.255.255/", outbound.BadAddress},
	{"https://192.168.1.1/", outbound.BadAddress},
	{"https://100.64.0.1/", outbound.BadAddress},
	{"https://100.127.255.254/", outbound.BadAddress},
	{"https://198.18.0.1/", outbound.BadAddress},
	{"https://192.0.0.8/", outbound.BadAddress},
	{"https://192.0.2.1/", outbound.BadAddress},
	{"https://192.88.99.1/", outbound.BadAddress},
	{"https://198.51.100.7/", outbound.BadAddress},
	{"https://203.0.113.9/", outbound.BadAddress},
	{"https://224.0.0.1/", outbound.BadAddress},
	{"https://239.255.255.250/", outbound.BadAddress},
	{"https://240.0.0.1/", outbound.BadAddress},
	{"https://255.255.255.255/", outbound.BadAddress},
	// Metadata of clouds.
	{"https://169.254.169.254/latest/meta-data/", outbound.BadAddress},
	{"https://169.254.170.2/v2/credentials", outbound.BadAddress},
	{"https://169.254.1.1/", outbound.BadAddress},
	{"https://168.63.129.16/", outbound.BadAddress},
	{"https://100.100.100.200/", outbound.BadAddress},
	{"https://192.0.0.192/", outbound.BadAddress},
	{"https://[fd00:ec2::254]/", outbound.BadAddress},
	// IPv6.
	{"https://[::]/", outbound.BadAddress},
	{"https://[::1]/", outbound.BadAddress},
	{"https://[0:0:0:0:0:0:0:1]/", outbound.BadAddress},
	{"https://[0000:0000:0000:0000:0000:0000:0000:0001]/", outbound.BadAddress},
	{"https://[fe80::1]/", outbound.BadAddress},
	{"https://[fec0::1]/", outbound.BadAddress},
	{"https://[fc00::1]/", outbound.BadAddress},
	{"https://[fd12:3456:789a::1]/", outbound.BadAddress},
	{"https://[ff02::1]/", outbound.BadAddress},
	{"https://[2001:db8::1]/", outbound.BadAddress},
	{"https://[3fff::1]/", outbound.BadAddress},
	{"https://[100::1]/", outbound.BadAddress},
	{"https://[5f00::1]/", outbound.BadAddress},
	{"https://[2001:10::1]/", outbound.BadAddress},
	{"https://[fe80::1%25eth0]/", outbound.BadForm},
	// IPv4 within IPv6.
	{"https://[::ffff:127.0.0.1]/", outbound.BadForm},
	{"https://[::ffff:7f00:1]/", outbound.BadForm},
	{"https://[::ffff:8.8.8.8]/", outbound.BadForm},
	{"https://[::127.0.0.1]/", outbound.BadAddress},
	{"https://[::ffff:0:127.0.0.1]/", outbound.BadAddress},
	{"https://[64:ff9b::127.0.0.1]/", outbound.BadAddress},
	{"https://[64:ff9b::a9fe:a9fe]/", outbound.BadAddress},
	{"https://[64:ff9b:1::7f00:1]/", outbound.BadAddress},
	{"https://[2002:7f00:1::]/", outbound.BadAddress},
	{"https://[2002:a9fe:a9fe::]/", outbound.BadAddress},
	{"https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", outbound.BadAddress},
	{"https://[2a00:1450::5efe:7f00:1]/", outbound.BadAddress},
	{"https://[2a00:1450::200:5efe:a00:1]/", outbound.BadAddress},
	// IPv4 in odd forms.
	{"https://2130706433/", outbound.BadForm},
	{"https://017700000001/", outbound.BadForm},
	{"https://0x7f000001/", outbound.BadForm},
	{"https://0x7f.1/", outbound.BadForm},
	{"https://127.1/", outbound.BadForm},
	{"https://127.0.1/", outbound.BadForm},
	{"https://0177.0.0.1/", outbound.BadForm},
	{"https://127.0.0.01/", outbound.BadForm},
	{"https://0x7f.0x0.0x0.0x1/", outbound.BadForm},
	{"https://127.0.0.0x1/", outbound.BadForm},
	{"https://256.0.0.1/", outbound.BadForm},
	{"https://127.0.0.1.5/", outbound.BadForm},
	{"https://0/", outbound.BadForm},
	{"https://0x/", outbound.BadForm},
	{"https://127.0.0.1./", outbound.BadForm},
	{"https://%31%32%37.0.0.1/", outbound.BadForm},
	// Names in odd forms.
	{"https://localhost./", outbound.BadForm},
	{"https://public.example./", outbound.BadForm},
	{"https://public..example/", outbound.BadForm},
	{"https://.example/", outbound.BadForm},
	{"https://-a.example/", outbound.BadForm},
	{"https://a_b.example/", outbound.BadForm},
	{"https://*.example/", outbound.BadForm},
	{"https://" + strings.Repeat("a", 64) + ".example/", outbound.BadForm},
	{"https://" + strings.Repeat("a.", 130) + "example/", outbound.BadForm},
	{"https://①②⑦.⓪.⓪.①/", outbound.BadForm},
	{"https://１２７.0.0.1/", outbound.BadForm},
	{"https://127。0。0。1/", outbound.BadForm},
	{"https://lоcalhost/", outbound.BadForm}, // a Cyrillic o
	{"https://%E2%91%A0.example/", outbound.BadForm},
	{"https://loc\u00adalhost/", outbound.BadForm},
	{"https://public.example%00.evil.example/", outbound.BadForm},
	{"https://public.example%2f@127.0.0.1/", outbound.BadForm},
	// User names, backslashes, blanks, fragments.
	{"https://public.example@127.0.0.1/", outbound.BadForm},
	{"https://user:secret@public.example/", outbound.BadForm},
	{"https://@public.example/", outbound.BadForm},
	{"https://public.example:443@127.0.0.1/", outbound.BadForm},
	{"https://127.0.0.1#@public.example/", outbound.BadForm},
	{"https://public.example#", outbound.BadForm},
	{`https://127.0.0.1\@public.example/`, outbound.BadForm},
	{`https:\\127.0.0.1/`, outbound.BadForm},
	{"https://127.0.0.1 .public.example/", outbound.BadForm},
	{" https://127.0.0.1/", outbound.BadForm},
	{"https://public.example/\r\nHost: inner", outbound.BadForm},
	{"https://public.example/\tx", outbound.BadForm},
	{"https:///fhir", outbound.BadForm},
	{"https:127.0.0.1", outbound.BadForm},
	{"https://", outbound.BadForm},
	{"https://[::1", outbound.BadForm},
	{"https://[public.example]/", outbound.BadForm},
	// Schemes.
	{"http://public.example/", outbound.BadScheme},
	{"http://127.0.0.1/", outbound.BadScheme},
	{"ftp://public.example/", outbound.BadScheme},
	{"file:///etc/passwd", outbound.BadScheme},
	{"gopher://127.0.0.1:6379/_INFO", outbound.BadScheme},
	{"dict://127.0.0.1:11211/", outbound.BadScheme},
	{"ldap://127.0.0.1/", outbound.BadScheme},
	{"data:text/plain,x", outbound.BadScheme},
	{"javascript:alert(1)", outbound.BadScheme},
	{"jar:https://public.example!/", outbound.BadScheme},
	{"//127.0.0.1/", outbound.BadScheme},
	{"127.0.0.1:443", outbound.BadForm},
	{"", outbound.BadScheme},
	// Ports.
	{"https://8.8.8.8:22/", outbound.BadPort},
	{"https://8.8.8.8:5432/", outbound.BadPort},
	{"https://public.example:6379/", outbound.BadPort},
	{"https://public.example:80/", outbound.BadPort},
	{"https://public.example:0/", outbound.BadForm},
	{"https://public.example:0443/", outbound.BadForm},
	{"https://public.example:65979/", outbound.BadForm},
	{"https://public.example:/", outbound.BadForm},
	{"https://public.example:-443/", outbound.BadForm},
	// Names that lead inside; only DNS tells.
	{"https://localhost/", outbound.BadAddress},
	{"https://loopback.example/", outbound.BadAddress},
	{"https://LOOPBACK.example/", outbound.BadAddress},
	{"https://private.example/", outbound.BadAddress},
	{"https://metadata.google.internal/", outbound.BadAddress},
	{"https://mapped.example/", outbound.BadAddress},
	{"https://nat64.example/", outbound.BadAddress},
	{"https://sixtofour.example/", outbound.BadAddress},
	{"https://inner6.example/", outbound.BadAddress},
	{"https://all-inside.example/", outbound.BadAddress},
}

var zone = map[string][][]string{
	"public.example":           {{"8.8.8.8"}},
	"loopback.example":         {{"127.0.0.1"}},
	"LOOPBACK.example":         {{"127.0.0.1"}},
	"private.example":          {{"10.1.2.3"}},
	"metadata.google.internal": {{"169.254.169.254"}},
	"mapped.example":           {{"::ffff:127.0.0.1"}},
	"nat64.example":            {{"64:ff9b::7f00:1"}},
	"sixtofour.example":        {{"2002:7f00:1::"}},
	"inner6.example":           {{"fd00::1"}},
	"all-inside.example":       {{"127.0.0.1", "10.0.0.1", "::1"}},
	"metadata.example":         {{"169.254.169.254"}},
	"rebound.example.com":      {{"127.0.0.1"}, {"127.0.0.2"}},
	"ehr.example.com":          {{"127.0.0.1"}},
}

func TestNothingInsideCanBeReachedFromOutside(t *testing.T) {
	t.Parallel()
	dns, _ := resolver(t, zone)
	guard := guardOf(t, outbound.Settings{Resolver: dns})
	client := guard.Client(outbound.Limits{Timeout: 5 * time.Second})
	for _, c := range vectors {
		t.Run(c.url, func(t *testing.T) {
			t.Parallel()
			_, err := guard.Check(c.url)
			if err == nil { // only the address will tell
				err = get(t, client, c.url)
			}
			refusal := outbound.Refused(err)
			if refusal == nil || refusal.Reason != c.want {
				t.Errorf("%v, want a refusal for %s", err, c.want)
			}
		})
	}
	if len(vectors) < 60 {
		t.Errorf("only %d vectors", len(vectors))
	}
}

// What Check refuses a client must refuse too, whoever forgot to call Check.
func TestAClientChecksTheFormItself(t *testing.T) {
	t.Parallel()
	client := guardOf(t, outbound.Settings{}).Client(outbound.Limits{})
	for _, url := range []string{"https://user@public.example/", "http://public.example/", "https://127.1/", "https://127.0.0.1/"} {
		if err := get(t, client, url); outbound.Refused(err) == nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTheAddressIsJudgedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("fine")) })
	// The first answer is listed, the second is not. Nobody is spared by an
	// earlier look-up.
	dns, asked := resolver(t, zone)
	guard := guardOf(t, outbound.Settings{Resolver: dns, RootCAs: s.roots, Allow: []string{"127.0.0.1"}})
	client := guard.Client(outbound.Limits{Timeout: 5 * time.Second})
	url := "https://rebound.example.com:" + s.port + "/"
	if err := get(t, client, url); err != nil {
		t.Fatalf("the first time: %v", err)
	}
	client.CloseIdleConnections()
	if err := get(t, client, url); outbound.Refused(err) == nil || outbound.Refused(err).Reason != outbound.BadAddress {
		t.Errorf("after the name has moved: %v", err)
	}
	if got := asked.times("rebound.example.com"); got != 2 {
		t.Errorf("asked %d times: what was judged was not what was dialled", got)
	}
	if got := s.requests.Load(); got != 1 {
		t.Errorf("%d requests came through", got)
	}
}

func TestWhatAnOperatorListsCanBeReached(t *testing.T) {
	t.Parallel()
	s := server(t, func(http.ResponseWriter, *http.Request) {})
	plain := server(t, nil)
	dns, _ := resolver(t, zone)
	secure, open := "https://ehr.example.com:"+s.port, "http://127.0.0.1:"+plain.plainPort
	for name, c := range map[string]struct {
		settings outbound.Settings
		url      string
		want     outbound.Reason // "" for reached
	}{
		"a host":                        {outbound.Settings{Allow: []string{"ehr.example.com"}}, secure, ""},
		"a host in capitals":            {outbound.Settings{Allow: []string{"EHR.Example.com"}}, secure, ""},
		"a host and its port":           {outbound.Settings{Allow: []string{"ehr.example.com:" + s.port}}, secure, ""},
		"a host and another port":       {outbound.Settings{Allow: []string{"ehr.example.com:444"}}, secure, outbound.BadAddress},
		"a domain":                      {outbound.Settings{Allow: []string{"*.example.com"}}, secure, ""},
		"a domain's end in a name":      {outbound.Settings{Allow: []string{"*.ample.com"}}, secure, outbound.BadAddress},
		"another host":                  {outbound.Settings{Allow: []string{"example.com"}}, secure, outbound.BadAddress},
		"a network":                     {outbound.Settings{Allow: []string{"127.0.0.0/8"}}, secure, ""},
		"another network":               {outbound.Settings{Allow: []string{"10.0.0.0/8", "::/0"}}, secure, outbound.BadAddress},
		"an address":                    {outbound.Settings{Allow: []string{"127.0.0.1"}}, secure, ""},
		"an address and another port":   {outbound.Settings{Allow: []string{"127.0.0.1:444"}}, secure, outbound.BadAddress},
		"http where only https is":      {outbound.Settings{Allow: []string{"127.0.0.1"}}, open, outbound.BadScheme},
		"http and the address":          {outbound.Settings{Allow: []string{"127.0.0.1"}, HTTP: true}, open, ""},
		"http and not the address":      {outbound.Settings{HTTP: true}, open, outbound.BadAddress},
		"http to a public address":      {outbound.Settings{HTTP: true}, "http://8.8.8.8/", outbound.BadScheme},
		"metadata by a host's name":     {outbound.Settings{Allow: []string{"metadata.example"}}, "https://metadata.example/", outbound.BadAddress},
		"only another":                  {outbound.Settings{Allow: []string{"127.0.0.1"}, Only: []string{"other.example"}}, secure, outbound.NotListed},
		"only this":                     {outbound.Settings{Allow: []string{"127.0.0.1"}, Only: []string{"*.example.com"}}, secure, ""},
		"only this network":             {outbound.Settings{Allow: []string{"127.0.0.1"}, Only: []string{"127.0.0.0/8"}}, secure, ""},
		"only another network":          {outbound.Settings{Allow: []string{"127.0.0.1"}, Only: []string{"10.0.0.0/8"}}, secure, outbound.NotListed},
		"only opens nothing":            {outbound.Settings{Only: []string{"ehr.example.com"}}, secure, outbound.BadAddress},
		"a public address's other port": {outbound.Settings{Ports: []uint16{443}}, "https://8.8.8.8:8443/", outbound.BadPort},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.settings.Resolver, c.settings.RootCAs = dns, s.roots
			err := get(t, guardOf(t, c.settings).Client(outbound.Limits{Timeout: 5 * time.Second}), c.url)
			switch refusal := outbound.Refused(err); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (refusal == nil || refusal.Reason != c.want):
				t.Errorf("%v, want a refusal for %s", err, c.want)
			}
		})
	}
}

func TestListsThatCannotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"", "*", "*.", "https://ehr.example", "10.0.0.0/33", "0x7f.1", "2130706433", "ehr.example:0", "ehr.example:x", "ehr.example.", "a b", "::ffff:10.0.0.0/104", "fe80::1%eth0"} {
		if _, err := outbound.New(outbound.Settings{Allow: []string{entry}}); err == nil {
			t.Errorf("--outbound-allow %q is taken", entry)
		}
		if _, err := outbound.New(outbound.Settings{Only: []string{entry}}); err == nil {
			t.Errorf("--outbound-only %q is taken", entry)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	inner := server(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"http://127.0.0.1:" + inner.plainPort + "/", "http://169.254.169.254/", "/elsewhere", "file:///etc/passwd"} {
			s := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, status) })
			res, err := outbound.Loopback().Client(outbound.Limits{}).Do(request(t, "http://127.0.0.1:"+s.plainPort+"/"))
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != status || s.requests.Load() != 1 {
				t.Errorf("%d to %s: status %d after %d requests", status, to, res.StatusCode, s.requests.Load())
			}
			_ = res.Body.Close()
		}
	}
	if got := inner.requests.Load(); got != 0 {
		t.Errorf("%d requests were led inside", got)
	}
}

func TestAnAnswerHasItsBounds(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()
	stall := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    func(error) bool
	}{
		"as large as may be": {body(1000), func(err error) bool { return err == nil }},
		"a byte too large":   {body(1001), func(err error) bool { return errors.Is(err, outbound.ErrTooLarge) }},
		"a bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}, func(err error) bool { return errors.Is(err, outbound.ErrTooLarge) }},
		"a header too large":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Fill", strings.Repeat("x", 100<<10)) }, func(err error) bool { return err != nil }},
		"a body without an end": {stall, isTimeout},
		"no answer":             {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, isTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server(t, c.handler)
			client := outbound.Loopback().Client(outbound.Limits{Timeout: time.Second, MaxBody: 1000})
			if err := get(t, client, "http://127.0.0.1:"+s.plainPort); !c.want(err) {
				t.Error(err)
			}
		})
	}
}

func TestOldTLSIsNotSpoken(t *testing.T) {
	t.Parallel()
	s := server(t, nil, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	guard := guardOf(t, outbound.Settings{Allow: []string{"127.0.0.1"}, RootCAs: s.roots})
	if err := get(t, guard.Client(outbound.Limits{}), "https://127.0.0.1:"+s.port); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Error(err)
	}
}

func TestACertificateIsChecked(t *testing.T) {
	t.Parallel()
	s := server(t, nil)
	guard := guardOf(t, outbound.Settings{Allow: []string{"127.0.0.1"}})
	err := get(t, guard.Client(outbound.Limits{}), "https://127.0.0.1:"+s.port)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Error(err)
	}
}

// A proxy is taken only where the operator says so, and even then it is not
// asked for what has an inner name or address.
func TestTheEnvironmentsProxyIsTakenOnlyWhenAsked(t *testing.T) {
	proxy := server(t, nil)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+proxy.plainPort)
	dns, _ := resolver(t, zone)
	without := guardOf(t, outbound.Settings{Resolver: dns}).Client(outbound.Limits{Timeout: 5 * time.Second})
	if err := get(t, without, "https://private.example/"); outbound.Refused(err) == nil || proxy.requests.Load() != 0 {
		t.Errorf("not asked for: %v", err)
	}
	with := guardOf(t, outbound.Settings{Proxy: true}).Client(outbound.Limits{Timeout: 5 * time.Second})
	for _, url := range []string{"https://10.0.0.1/", "https://db/", "https://metadata.google.internal/", "https://public.example:22/", "http://public.example/"} {
		if err := get(t, with, url); outbound.Refused(err) == nil {
			t.Errorf("%s through a proxy: %v", url, err)
		}
	}
	if got := proxy.requests.Load(); got != 0 {
		t.Errorf("the proxy was asked %d times", got)
	}
	_ = get(t, with, "https://public.example/") // the test's proxy cannot CONNECT
	if got := proxy.requests.Load(); got != 1 {
		t.Errorf("the proxy was asked %d times for what it may have", got)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

func body(size int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }
}

func guardOf(t *testing.T, s outbound.Settings) *outbound.Guard {
	t.Helper()
	g, err := outbound.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	res, err := client.Do(request(t, url))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// target is a server that counts its requests, over TLS and without.
type target struct {
	port, plainPort string
	roots           *x509.CertPool
	requests        atomic.Int32
}

func server(t *testing.T, handler http.HandlerFunc, change ...func(*tls.Config)) *target {
	t.Helper()
	s := &target{roots: x509.NewCertPool()}
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if handler != nil {
			handler(w, r)
		}
	})
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure, plain := httptest.NewUnstartedServer(counted), httptest.NewUnstartedServer(counted)
	secure.Config.ErrorLog, plain.Config.ErrorLog = quiet, quiet
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	for _, c := range change {
		c(secure.TLS)
	}
	secure.StartTLS()
	plain.Start()
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	s.roots.AddCert(secure.Certificate())
	_, s.port, _ = net.SplitHostPort(secure.Listener.Addr().String())
	_, s.plainPort, _ = net.SplitHostPort(plain.Listener.Addr().String())
	return s
}
