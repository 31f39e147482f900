package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/workflow"
)

// office is a real mail server that keeps what it takes.
type office struct {
	url    string
	refuse error // at RCPT

	mu    sync.Mutex
	took  []letter
	tried []string // passwords
}

type letter struct {
	from, to string
	text     string
}

func startOffice(t *testing.T, refuse error, secure ...any) *office {
	t.Helper()
	o := &office{refuse: refuse}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &visit{office: o}, nil }))
	s.Domain = "mail.example"
	s.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.url = "smtp-plain://" + listener.Addr().String()
	if len(secure) > 0 {
		s.TLSConfig = secure[0].(*tls.Config)
	}
	if len(secure) > 1 {
		listener = tls.NewListener(listener, s.TLSConfig)
	}
	go s.Serve(listener)
	t.Cleanup(func() { s.Close() })
	return o
}

type visit struct {
	office *office
	letter letter
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error { v.letter.from = from; return nil }
func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.letter.to = to
	return v.office.refuse
}
func (v *visit) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	v.letter.text = string(text)
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.took = append(v.office.took, v.letter)
	return err
}
func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }
func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		v.office.mu.Lock()
		defer v.office.mu.Unlock()
		v.office.tried = append(v.office.tried, password)
		if user != "overread" || password != "secret" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}
func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

func newSender(t *testing.T, server string) *Sender {
	t.Helper()
	u, err := ParseServer(server)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Server: u, From: "Overread <overread@clinic.example>", BaseURL: "https://overread.example/fhir", Pages: "https://overread.example", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var example = workflow.Mail{
	MailID: uuid.MustParse("019abc00-0000-7000-8000-000000000001"), Recipient: "desk@clinic.example",
	Number: "OR261125-ABCD-EFGH", TaskID: "task-1", Clock: workflow.ClockFinal, Stage: 75, Tell: workflow.TellCoordinator, Tenant: "north",
}

func TestAMailHasTheNumberAndTheAddressOfTheCaseAndNothingElse(t *testing.T) {
	t.Parallel()
	o := startOffice(t, nil)
	s := newSender(t, o.url)
	if v := s.Send(t.Context(), example); !v.Sent {
		t.Fatalf("%+v", v)
	}
	if len(o.took) != 1 || o.took[0].from != "overread@clinic.example" || o.took[0].to != "desk@clinic.example" {
		t.Fatalf("%+v", o.took)
	}
	m, err := mail.ReadMessage(strings.NewReader(o.took[0].text))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := "Case OR261125-ABCD-EFGH: 75 % of the time for the report have passed.\r\n\r\nhttps://overread.example/at/north/coordinator/board/task-1\r\n\r\n" +
		"You are told as the coordinator. Please take note of it there; then nobody else is told.\r\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(string(body), "=\r\n", "")); diff != "" {
		t.Error(diff)
	}
	for header, want := range map[string]string{
		"Subject":        "Overread: Case OR261125-ABCD-EFGH: 75 % of the time for the report have passed",
		"Message-Id":     "<019abc00-0000-7000-8000-000000000001@clinic.example>",
		"Auto-Submitted": "auto-generated",
		"To":             "<desk@clinic.example>",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

// Of an emergency a note ends nothing, and a mail that said so would leave it to nobody.
func TestAMailOfAnEmergencySaysWhatToDoAndWhere(t *testing.T) {
	t.Parallel()
	o := startOffice(t, nil)
	for i, test := range []struct {
		tell   workflow.Addressee
		number int
		wants  []string
	}{
		{workflow.TellDirector, 0, []string{"an emergent finding is not acknowledged, and 50 % of the time for that have passed.", "https://overread.example/at/north/director/board/task-1\r\n", "call whoever cares for the patient"}},
		{workflow.TellDirector, 4, []string{"an emergent finding is still not acknowledged. This is reminder 4.", "somebody is told again and again"}},
		{workflow.TellReader, 0, []string{"https://overread.example/home\r\n", "$communicate"}},
	} {
		m := example
		m.Clock, m.Stage, m.Tell, m.Reminder = workflow.ClockEmergent+"/1", 50, test.tell, test.number
		if v := newSender(t, o.url).Send(t.Context(), m); !v.Sent {
			t.Fatalf("%+v", v)
		}
		letter, err := mail.ReadMessage(strings.NewReader(o.took[i].text))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(letter.Body))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.wants {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s: no %q in\n%s", test.tell, want, body)
			}
		}
		if strings.Contains(string(body), "nobody else") {
			t.Errorf("not true:\n%s", body)
		}
	}
}

func TestAMailOfAReportHasItsAddressAndNothingOfIt(t *testing.T) {
	t.Parallel()
	o := startOffice(t, nil)
	m := workflow.Mail{MailID: example.MailID, Recipient: "quality@clinic.example", Report: &workflow.KeptReport{QueryID: example.MailID, StartsOn: "2026-10-01"}}
	if got := newSender(t, o.url).Send(t.Context(), m); !got.Sent {
		t.Fatalf("%+v", got)
	}
	letter, err := mail.ReadMessage(strings.NewReader(o.took[0].text))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(letter.Body))
	if err != nil {
		t.Fatal(err)
	}
	want := "The report of a saved query was made, of the period that began on 2026-10-01.\r\n\r\n" +
		"https://overread.example/fhir/Measure/$saved-query?id=019abc00-0000-7000-8000-000000000001&startsOn=2026-10-01\r\n\r\n" +
		"It opens for the role that saved the query. All that are there: https://overread.example/fhir/Measure/$saved-queries\r\n"
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
	if subject := letter.Header.Get("Subject"); subject != "Overread: a report is there" {
		t.Error(subject)
	}
}

func TestWhatFollowsFromWhatAMailServerAnswers(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, test := range map[string]struct {
		server string
		want   workflow.MailVerdict
	}{
		"unknown for good": {startOffice(t, &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user anna"}).url, workflow.MailVerdict{Final: true, Reason: "refused-550"}},
		"busy":             {startOffice(t, &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try later"}).url, workflow.MailVerdict{Reason: "put-off-451"}},
		"nobody there":     {"smtp-plain://" + closed.Addr().String(), workflow.MailVerdict{Reason: "no-connection"}},
		"no STARTTLS":      {strings.Replace(startOffice(t, nil).url, "smtp-plain", "smtp", 1), workflow.MailVerdict{Reason: "no-connection"}},
	} {
		if got := newSender(t, test.server).Send(t.Context(), example); got != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	o := startOffice(t, nil)
	odd := example
	odd.Recipient = "nobody"
	if got := newSender(t, o.url).Send(t.Context(), odd); !got.Final || got.Reason != "address-refused" {
		t.Errorf("%+v", got)
	}
	if len(o.took) != 0 {
		t.Error("a mail to nobody was taken")
	}
}

func TestAServerThatSaysNothingIsNotWaitedForLongerThanTheAttempt(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if got := newSender(t, "smtp-plain://"+silent.Addr().String()).Send(ctx, example); got.Sent || got.Final {
		t.Errorf("%+v", got)
	}
	if time.Since(begun) > 5*time.Second {
		t.Errorf("waited for %s", time.Since(begun))
	}
}

func TestAddressesOfMailServers(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"smtps://user@mail.example": true, "smtp://mail.example:587": true, "smtp-plain://localhost": true, "smtp-plain://127.0.0.1:2525/": true,
		"mail.example": false, "http://mail.example": false, "smtp://": false, "smtp://user:secretword@mail.example": false, "smtp://mail.example/inbox": false, "smtp://%zz": false,
	} {
		_, err := ParseServer(text)
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secretword") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	u := &url.URL{Scheme: "smtps", Host: "mail.example"}
	for from, ok := range map[string]bool{"overread@clinic.example": true, "Overread <overread@clinic.example>": true, "": false, "clinic": false} {
		if _, err := New(Config{Server: u, From: from}); (err == nil) != ok {
			t.Errorf("%q: %v", from, err)
		}
	}
}

func TestTheServerIsKnownByItsCertificateBeforeThePasswordIsSaid(t *testing.T) {
	t.Parallel()
	certificate, roots := certificate(t)
	for _, scheme := range []string{"smtps", "smtp"} {
		o := startOffice(t, nil, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		if scheme == "smtps" {
			o = startOffice(t, nil, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, true)
		}
		address := strings.Replace(o.url, "smtp-plain://", scheme+"://overread@", 1)
		for _, test := range []struct {
			password string
			roots    *x509.CertPool
			want     bool
		}{{"secret", roots, true}, {"wrong", roots, false}, {"secret", x509.NewCertPool(), false}} {
			u, err := ParseServer(address)
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Server: u, Password: test.password, Roots: test.roots, From: "overread@clinic.example", Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Send(t.Context(), example); got.Sent != test.want || got.Final {
				t.Errorf("%s with %q: %+v", scheme, test.password, got)
			}
		}
		if len(o.took) != 1 || !cmp.Equal(o.tried, []string{"secret", "wrong"}) {
			t.Errorf("%s: %d mails, passwords %v", scheme, len(o.took), o.tried)
		}
	}
}

// certificate is one for 127.0.0.1, with its authority.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
