package disclosure

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Pseudonyms names the people of one export: within it the same person has the same
// name, and nobody who has no key can tell from the names of two exports who is who.
// (From figures that are the same in both, they can: docs/disclosure.md.) A key is random
// and never written anywhere, or, of an answer in pages, secret and the same for all of them.
type Pseudonyms struct{ key [32]byte }

// NewPseudonyms begins an export.
func NewPseudonyms() *Pseudonyms {
	p := new(Pseudonyms)
	_, _ = rand.Read(p.key[:]) // never fails, Go 1.24
	return p
}

// PseudonymsBy are those of a key, which is secret and of one export alone.
func PseudonymsBy(key [32]byte) *Pseudonyms { return &Pseudonyms{key} }

// Of is the name of who has this id in this kind ("reader", "site"): 80 bits of
// HMAC-SHA-256 (RFC 2104), in base 32.
func (p *Pseudonyms) Of(kind, id string) string {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(kind + "\x00" + id))
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:10])
	return kind + "-" + strings.ToLower(text)
}
