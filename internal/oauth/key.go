package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// verifier is a key that verifies, with the one algorithm for which it is good.
type verifier struct {
	id        string
	algorithm jwa.SignatureAlgorithm
	public    any // *rsa.PublicKey or *ecdsa.PublicKey
}

// algorithms are those of SMART App Launch 2.2. Each is bound to a type of key:
// RS384 to RSA, ES384 to P-384.
func algorithms() []string { return []string{"RS384", "ES384"} }

const leastRSA = 2048 // bits

// mostKeys bounds a key set.
const mostKeys = 50

// CheckKeys tells what is wrong with a key set that a client is added with. It
// must have a usable key, and none that is private or secret.
func CheckKeys(text []byte) error {
	set, err := jwkSet(text)
	if err != nil {
		return err
	}
	usable := 0
	for i := range set.Len() {
		k, _ := set.Key(i)
		if k.KeyType() == jwa.OctetSeq() {
			return errors.New("a key is symmetric: only public keys belong here")
		}
		if private, err := jwk.IsPrivateKey(k); err == nil && private {
			return errors.New("a key is private: give the public half only, and make a new pair, as others may have seen this one")
		}
		if _, err := verifierOf(k); err == nil {
			usable++
		}
	}
	if usable == 0 {
		return errors.New("no key can be used: one must have a kid, and be RSA with 2048 bits or more (RS384) or EC P-384 (ES384)")
	}
	return nil
}

func jwkSet(text []byte) (jwk.Set, error) {
	var shape struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &shape); err != nil || shape.Keys == nil {
		return nil, errors.New("this is no JSON Web Key Set: {\"keys\": [...]}")
	}
	if len(shape.Keys) > mostKeys {
		return nil, fmt.Errorf("has more than %d keys", mostKeys)
	}
	set := jwk.NewSet()
	for _, each := range shape.Keys { // one that cannot be read does no harm to the others
		if k, err := jwk.ParseKey(each); err == nil {
			_ = set.AddKey(k) // refused only where it is there already
		}
	}
	return set, nil
}

// verifierOf is the key as it may be used, or why it may not.
func verifierOf(k jwk.Key) (*verifier, error) {
	id, _ := k.KeyID()
	use, used := k.KeyUsage()
	ops, limited := k.KeyOps()
	switch {
	case id == "" || len(id) > mostID:
		return nil, errors.New("no kid")
	case used && use != "sig":
		return nil, errors.New("is not for signatures")
	case limited && !slices.Contains(ops, jwk.KeyOpVerify):
		return nil, errors.New("is not for verification")
	}
	if private, err := jwk.IsPrivateKey(k); err != nil || private {
		return nil, errors.New("is not public")
	}
	v := &verifier{id: id}
	if err := jwk.Export(k, &v.public); err != nil {
		return nil, err
	}
	switch public := v.public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < leastRSA {
			return nil, errors.New("is too short")
		}
		v.algorithm = jwa.RS384()
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P384() {
			return nil, errors.New("is of another curve")
		}
		v.algorithm = jwa.ES384()
	default:
		return nil, errors.New("is of another type")
	}
	if said, ok := k.Algorithm(); ok && said.String() != v.algorithm.String() {
		return nil, errors.New("is for another algorithm")
	}
	return v, nil
}

// choose finds the one key with this kid that is good for this algorithm. SMART
// App Launch 2.2: kid and kty have to choose exactly one.
func choose(text []byte, h header) (*verifier, bool) {
	set, err := jwkSet(text)
	if err != nil {
		return nil, false
	}
	var found []*verifier
	for i := range set.Len() {
		k, _ := set.Key(i)
		if v, err := verifierOf(k); err == nil && v.id == h.KeyID && v.algorithm.String() == h.Algorithm {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		return nil, false
	}
	return found[0], true
}

// KeyIDs are the ids of the keys of a set that can be used.
func KeyIDs(text []byte) (ids []string) {
	set, err := jwkSet(text)
	if err != nil {
		return nil
	}
	for i := range set.Len() {
		k, _ := set.Key(i)
		if _, err := verifierOf(k); err == nil {
			id, _ := k.KeyID()
			ids = append(ids, id)
		}
	}
	return ids
}

// NewKeyPair makes a key for ES384: the private half as a JSON Web Key, and the key set
// with the public half.
func NewKeyPair() (private, public []byte, err error) {
	raw, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := jwk.Import(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(jwk.AssignKeyID(key), key.Set(jwk.AlgorithmKey, jwa.ES384())); err != nil {
		return nil, nil, err
	}
	half, err := key.PublicKey()
	if err != nil {
		return nil, nil, err
	}
	set := jwk.NewSet()
	if err := set.AddKey(half); err != nil {
		return nil, nil, err
	}
	if private, err = json.Marshal(key); err == nil {
		public, err = json.Marshal(set)
	}
	return private, public, err
}
