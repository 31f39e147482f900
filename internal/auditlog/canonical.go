// Package auditlog proves what was done: a Merkle log over AuditEvents, with
// signed checkpoints, which anyone can check with an export, the checkpoints and
// the public key (docs/audit.md has the format).
//
// The upper half is pure: what of an event goes into the log (canonical.go),
// checkpoints (checkpoint.go), the export (export.go) and its proof (verify.go).
// The lower half is the database's: sequence.go gives each event its place,
// seal.go signs, erase.go takes a patient's details away. There is one log for
// each tenant, and one for what belongs to none (Installation).
package auditlog

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// SaltSize is the length of a salt, exactly: an HMAC key with zeros behind it
// would be another salt of the same commitments.
const SaltSize = 32

// commitment is what stands before the digest of a detail.
const commitment = "hmac-sha256:"

// private tells whether the string at this place of an AuditEvent may say
// something about a patient: what was touched, asked or said of an entity. A
// reference to an AuditEvent says nothing, and proofs of erasure need it.
func private(pointer, value string) bool {
	parts := strings.SplitN(pointer, "/", 5) // "", entity, 0, what, reference
	if len(parts) < 4 || parts[1] != "entity" {
		return false
	}
	switch parts[3] {
	case "query", "name", "description", "detail":
		return true
	case "what":
		return len(parts) != 5 || parts[4] != "reference" || !strings.HasPrefix(value, "AuditEvent/")
	}
	return false
}

// Canonical is what of an event goes into the log: its text with each private
// string replaced by its commitment, HMAC-SHA256 under the event's salt over the
// JSON Pointer, a zero byte and the value. Everything else stays as it is, byte by
// byte. An event whose details were erased has no salt: its text is canonical
// already.
func Canonical(event, salt []byte) ([]byte, error) {
	if len(salt) == 0 {
		return event, nil
	}
	if len(salt) != SaltSize {
		return nil, fmt.Errorf("a salt has %d bytes, this one %d", SaltSize, len(salt))
	}
	c := canoniser{dec: jsontext.NewDecoder(bytes.NewBuffer(event)), text: event, out: make([]byte, 0, len(event)+256), salt: salt}
	if err := c.run(); err != nil {
		return nil, err
	}
	return append(c.out, event[c.copied:]...), nil
}

type canoniser struct {
	dec       *jsontext.Decoder
	text, out []byte
	copied    int // of text, into out
	salt      []byte
	inEntity  bool
}

func (c *canoniser) run() error {
	for {
		if c.dec.PeekKind() != '"' {
			if _, err := c.dec.ReadToken(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return errors.New("an event that is not JSON") // the decoder would quote it
			}
			continue
		}
		raw, err := c.dec.ReadValue()
		if err != nil {
			return errors.New("an event that is not JSON")
		}
		kind, length := c.dec.StackIndex(c.dec.StackDepth())
		if isName := kind == '{' && length%2 == 1; isName {
			if c.dec.StackDepth() == 1 {
				c.inEntity = string(raw) == `"entity"`
			}
			continue
		}
		if c.inEntity {
			c.commit(raw)
		}
	}
}

// commit replaces the string that was just read, if it is private.
func (c *canoniser) commit(raw jsontext.Value) {
	value, err := jsontext.AppendUnquote(nil, raw)
	pointer := string(c.dec.StackPointer())
	if err != nil || !private(pointer, string(value)) {
		return
	}
	mac := hmac.New(sha256.New, c.salt)
	mac.Write([]byte(pointer))
	mac.Write([]byte{0})
	mac.Write(value)
	end := int(c.dec.InputOffset())
	c.out = append(c.out, c.text[c.copied:end-len(raw)]...)
	c.out = append(c.out, '"')
	c.out = append(c.out, commitment...)
	c.out = base64.RawURLEncoding.AppendEncode(c.out, mac.Sum(nil))
	c.out = append(c.out, '"')
	c.copied = end
}
