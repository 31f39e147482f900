// Package mail sends mail about escalations, and reports that were kept, by SMTP.
//
// A mail has the number of a case, its address here and which clock speaks, or the
// address of a report: nothing of the patient, since mail is read, kept and passed on by many. What
// a mail server answers is not logged or stored; only codes of our own leave
// this package.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/overread/overread/workflow"
)

// Config says where mail goes out.
type Config struct {
	Server   *url.URL // ParseServer has read it
	Password string
	From     string         // an address, or a name with one
	BaseURL  string         // of the FHIR surface: below it are the cases
	Pages    string         // the root of the pages for people, where they sign in; "" where there are none
	Roots    *x509.CertPool // authorities of the server's certificate; nil: those of the machine
	Now      func() time.Time
}

// schemes are how a server may be spoken to, and its usual port.
var schemes = map[string]int{
	"smtps":      465, // TLS from the first byte (RFC 8314)
	"smtp":       587, // STARTTLS, which the server must offer
	"smtp-plain": 25,  // in the clear: for a server on the same machine
}

// ParseServer reads smtps://user@host, smtp://host:587 or smtp-plain://host.
func ParseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("is no URL")
	}
	if _, known := schemes[u.Scheme]; !known || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("must be smtps://[user@]host[:port], or smtp:// for STARTTLS, or smtp-plain:// for a server on this machine")
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("has a password in it; give that in a file")
	}
	return u, nil
}

// Sender sends mail. It may be used by many goroutines.
type Sender struct {
	config  Config
	options []gomail.Option
	domain  string // of the Message-IDs
}

// New makes a sender. It does not speak to the server yet.
func New(c Config) (*Sender, error) {
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("%q is no address of mail", c.From)
	}
	port := schemes[c.Server.Scheme]
	if text := c.Server.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("%q is no port", text)
		}
	}
	s := &Sender{config: c, domain: from.Address[strings.LastIndex(from.Address, "@")+1:]}
	s.options = []gomail.Option{gomail.WithPort(port), gomail.WithTLSConfig(&tls.Config{ServerName: c.Server.Hostname(), RootCAs: c.Roots, MinVersion: tls.VersionTLS12})}

	switch c.Server.Scheme {
	case "smtps":
		s.options = append(s.options, gomail.WithSSL())
	case "smtp":
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if user := c.Server.User.Username(); user != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(user), gomail.WithPassword(c.Password))
	}
	return s, nil
}

// Send makes one attempt to send a mail, within the context's deadline.
func (s *Sender) Send(ctx context.Context, m workflow.Mail) workflow.MailVerdict {
	message, err := s.letter(m)
	if err != nil {
		return workflow.MailVerdict{Final: true, Reason: "address-refused"}
	}
	options := s.options
	if deadline, ok := ctx.Deadline(); ok { // go-mail looks at the context only while it dials
		options = append(slices.Clone(options), gomail.WithTimeout(max(time.Millisecond, time.Until(deadline))))
	}
	client, err := gomail.NewClient(s.config.Server.Hostname(), options...)
	if err != nil {
		return workflow.MailVerdict{Reason: "misconfigured"}
	}
	err = client.DialAndSendWithContext(ctx, message)
	if message.IsDelivered() { // only the farewell can have failed
		err = nil
	}
	return verdict(err)
}

// letter is the whole of what a mail says.
func (s *Sender) letter(m workflow.Mail) (*gomail.Msg, error) {
	message := gomail.NewMsg()
	if err := errors.Join(message.From(s.config.From), message.To(m.Recipient)); err != nil {
		return nil, err
	}
	subject, text := s.words(m)
	message.Subject("Overread: " + subject)
	message.SetMessageIDWithValue(m.MailID.String() + "@" + s.domain)
	message.SetDateWithValue(s.config.Now())
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no replies by machines
	message.SetBodyString(gomail.TypeTextPlain, text)
	return message, nil
}

// words are of a case's clock, or of a report that was kept: nobody's name, no figure.
func (s *Sender) words(m workflow.Mail) (subject, text string) {
	if r := m.Report; r != nil {
		return "a report is there", fmt.Sprintf("The report of a saved query was made, of the period that began on %s.\n\n%s/Measure/$saved-query?id=%s&startsOn=%s\n\nIt opens for the role that saved the query. All that are there: %s/Measure/$saved-queries\n",
			r.StartsOn, s.config.BaseURL, r.QueryID, r.StartsOn, s.config.BaseURL)
	}
	spoken := workflow.Spoken(m.Number, m.Clock, m.Stage, m.Reminder)
	first, _, _ := strings.Cut(spoken, ". ")
	return strings.TrimSuffix(first, "."), fmt.Sprintf("%s\n\n%s\n\nYou are told as the %s. %s\n", spoken, s.address(m), m.Tell, toDo(m))
}

// address is where who is told sees the case: coordinators and directors its file,
// readers their work, among which it is.
func (s *Sender) address(m workflow.Mail) string {
	switch {
	case s.config.Pages == "":
		return s.config.BaseURL + "/Task/" + m.TaskID
	case m.Tell == workflow.TellReader:
		return s.config.Pages + "/home"
	}
	return fmt.Sprintf("%s/at/%s/%s/board/%s", s.config.Pages, m.Tenant, m.Tell, m.TaskID)
}

// toDo is what is to be done. Of an emergency a note ends nothing (workflow/reminder.go).
func toDo(m workflow.Mail) string {
	switch {
	case m.Clock.Pressing() && m.Tell == workflow.TellReader:
		return "Call whoever cares for the patient, have them read back what you say, and record the call at the case ($communicate). Until the finding is acknowledged, somebody is told again and again, whoever takes note of it."
	case m.Clock.Pressing():
		return "Read at this address what was found, call whoever cares for the patient, have them read back what you say, and record the call there. Until the finding is acknowledged, somebody is told again and again, whoever takes note of it."
	}
	return "Please take note of it there; then nobody else is told."
}

// verdict is what follows from what the server, or the way to it, said.
func verdict(err error) workflow.MailVerdict {
	var refused *gomail.SendError
	var network net.Error
	switch {
	case err == nil:
		return workflow.MailVerdict{Sent: true}
	case errors.As(err, &refused) && refused.ErrorCode() >= 500 && !refused.IsTemp():
		return workflow.MailVerdict{Final: true, Reason: fmt.Sprintf("refused-%d", refused.ErrorCode())}
	case errors.As(err, &refused) && refused.ErrorCode() >= 400:
		return workflow.MailVerdict{Reason: fmt.Sprintf("put-off-%d", refused.ErrorCode())}
	case errors.As(err, &network) && network.Timeout():
		return workflow.MailVerdict{Reason: "timeout"}
	}
	return workflow.MailVerdict{Reason: "no-connection"}
}
