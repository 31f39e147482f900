package main

import (
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/overread/overread/integrations/mail"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// mailFlags say how escalations are mailed (docs/policy.md).
type mailFlags struct {
	Server       string `name:"smtp-url" env:"OVERREAD_SMTP_URL" placeholder:"URL" help:"The mail server for escalations: smtps://user@host, smtp://user@host (STARTTLS), smtp-plain://localhost. Without it no mail is sent; what waits is sent once there is one, or given up after a day."`
	PasswordFile string `name:"smtp-password-file" env:"OVERREAD_SMTP_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"A file that holds the password of the mail server's user."`
	From         string `name:"mail-from" env:"OVERREAD_MAIL_FROM" placeholder:"ADDRESS" help:"The address that mail comes from."`
}

// postman sends mail, or gives up what nobody can send. pages is the root of those for
// people, "" where there are none.
func (f mailFlags) postman(db *pg.DB, baseURL, pages string, log *slog.Logger) (*workflow.Postman, error) {
	if f.Server == "" {
		return workflow.NewPostman(db, nil, log), nil
	}
	server, err := mail.ParseServer(f.Server)
	if err != nil {
		return nil, badSetting("smtp-url", "%w", err)
	}
	c := mail.Config{Server: server, From: f.From, BaseURL: baseURL, Pages: pages, Now: time.Now}
	if f.PasswordFile != "" {
		text, err := os.ReadFile(f.PasswordFile)
		if err != nil {
			return nil, badSetting("smtp-password-file", "%w", err)
		}
		if server.Scheme == "smtp-plain" {
			return nil, badSetting("smtp-url", "would send the password of --smtp-password-file / OVERREAD_SMTP_PASSWORD_FILE in the clear; use smtps:// or smtp://")
		}
		c.Password = strings.TrimSpace(string(text))
	}
	sender, err := mail.New(c)
	if err != nil {
		return nil, badSetting("mail-from", "%w", err)
	}
	return workflow.NewPostman(db, sender.Send, log), nil
}
