package disclosure

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Pseudonyms names the people of one export. Its key is random and is never
// written anywhere: within the export the same person has the same name, and
// nobody, we included, can tell from the names of two exports who is who. (From
// figures that are the same in both, they can: docs/disclosure.md.)
type Pseudonyms struct{ key [32]byte }

// NewPseudonyms begins an export.
func NewPseudonyms() *Pseudonyms {
	p := new(Pseudonyms)
	_, _ = rand.Read(p.key[:]) // never fails, Go 1.24
	return p
}

// Of is the name of who has this id in this kind ("reader", "site"): 80 bits of
// HMAC-SHA-256 (RFC 2104), in base 32.
func (p *Pseudonyms) Of(kind, id string) string {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(kind + "\x00" + id))
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:10])
	return kind + "-" + strings.ToLower(text)
}
