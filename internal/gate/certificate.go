package gate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificates are the files of this server's certificate, and of the
// authorities whose clients it takes. They are read again when they change,
// or when Reload is called; a pair that cannot be read (one file of two is
// new already) is logged and tried again, and the last good one stays in use.
type Certificates struct {
	files certificateFiles
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time // at the files
	stamp  string    // what they looked like when they were read
	cert   *tls.Certificate
	roots  *x509.CertPool // nil where clients need no certificate
}

type certificateFiles struct{ cert, key, clientCA string }

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// ReadCertificates reads the files; clientCA may be "".
func ReadCertificates(cert, key, clientCA string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{files: certificateFiles{cert, key, clientCA}, log: log}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config is for a server that speaks TLS 1.2 or later.
func (c *Certificates) Config() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.files.clientCA != "" {
		base.ClientAuth = tls.RequireAndVerifyClientCert
	}
	config := base.Clone()
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, _ := c.current()
		return cert, nil
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		cert, roots := c.current()
		now.Certificates, now.ClientCAs = []tls.Certificate{*cert}, roots
		return now, nil
	}
	return config
}

// Reload reads the files now, whatever they look like.
func (c *Certificates) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.try()
}

// current is what the next handshake uses.
func (c *Certificates) current() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		c.looked = time.Now()
		if c.files.stamp() != c.stamp {
			c.try()
		}
	}
	return c.cert, c.roots
}

func (c *Certificates) try() {
	if err := c.read(); err != nil {
		c.log.Warn("the new certificate cannot be used; the last one stays", "error", err)
		return
	}
	c.log.Info("certificate read", "subject", c.cert.Leaf.Subject.String(), "until", c.cert.Leaf.NotAfter)
}

func (c *Certificates) read() error {
	stamp := c.files.stamp() // before reading: a change meanwhile is seen the next time
	cert, err := tls.LoadX509KeyPair(c.files.cert, c.files.key)
	if err != nil {
		return err
	}
	var roots *x509.CertPool
	if c.files.clientCA != "" {
		text, err := os.ReadFile(c.files.clientCA)
		if err != nil {
			return err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return errors.New(c.files.clientCA + " holds no certificate in PEM")
		}
	}
	c.cert, c.roots, c.stamp, c.looked = &cert, roots, stamp, time.Now()
	return nil
}

// stamp changes when one of the files does. Files that are links (as secrets
// are mounted in Kubernetes) are followed.
func (f certificateFiles) stamp() (all string) {
	for _, name := range []string{f.cert, f.key, f.clientCA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			all += "|absent"
		case err != nil:
			all += "|" + err.Error()
		default:
			all += fmt.Sprintf("|%d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	return all
}
