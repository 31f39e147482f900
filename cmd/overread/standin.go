package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/overread/overread/internal/standin"
)

type standInCmd struct {
	Listen     string `name:"listen" env:"OVERREAD_EHR_LISTEN" default:"127.0.0.1:8090" help:"Address and port. It asks nobody who they are unless a token is set: keep it on loopback."`
	OrFreePort bool   `name:"or-free-port" help:"Take a free port when that one is taken."`
	Journal    string `name:"journal" env:"OVERREAD_EHR_JOURNAL" type:"path" placeholder:"FILE" help:"Keep what it is told in this file; without one it forgets at its end."`
	Cert       string `name:"tls-cert" env:"OVERREAD_EHR_TLS_CERT" type:"existingfile" placeholder:"FILE" help:"Speak TLS, with this certificate (PEM)."`
	Key        string `name:"tls-key" env:"OVERREAD_EHR_TLS_KEY" type:"existingfile" placeholder:"FILE" help:"The certificate's private key (PEM)."`
	TokenFile  string `name:"token-file" env:"OVERREAD_EHR_TOKEN_FILE" type:"existingfile" placeholder:"FILE" help:"A file that holds the bearer token which it wants."`
	WithParent bool   `name:"until-stdin-closes" hidden:"" help:"End when stdin closes."`
}

// Run serves until ctx ends. The first line on stdout is its FHIR base.
func (c *standInCmd) Run(ctx context.Context, t terminal) error {
	options := standin.Options{Journal: c.Journal}
	if c.TokenFile != "" {
		token, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return badSetting("ehr-token-file", "%w", err)
		}
		options.Token = strings.TrimSpace(string(token))
	}
	certs, err := gateFlags{Cert: c.Cert, Key: c.Key}.certificates(slog.New(slog.NewTextHandler(t.stderr, nil)))
	if err != nil {
		return err
	}
	bind := listen
	if c.OrFreePort {
		bind = listenOrFree
	}
	listener, err := bind(ctx, c.Listen)
	if err != nil {
		return fmt.Errorf("--listen / OVERREAD_EHR_LISTEN: %w", err)
	}
	ehr, err := standin.New(options)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	scheme := "http"
	if certs != nil {
		scheme, listener = "https", tls.NewListener(listener, certs.Config())
	}
	t.printf("%s://%s/fhir\n", scheme, listener.Addr())
	if c.WithParent {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	return ehr.Serve(ctx, listener)
}
