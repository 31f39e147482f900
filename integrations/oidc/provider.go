package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// What a provider says of itself is asked again after a while; its keys also when
// a token names one that is not known, but not more often than keysPause.
const (
	metadataLife = 15 * time.Minute
	keysPause    = 10 * time.Second
)

// algorithms are those by which a provider may sign, of the kind that everybody
// can check and nobody else can make. Never "none", never a shared secret.
var algorithms = []string{gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.ES256, gooidc.ES384, gooidc.ES512, gooidc.PS256, gooidc.PS384, gooidc.PS512, gooidc.EdDSA}

// provider is what an issuer says of itself, OpenID Connect Discovery 1.0.
type provider struct {
	*gooidc.Provider

	extra struct {
		JWKS       string   `json:"jwks_uri"`
		EndSession string   `json:"end_session_endpoint"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		SaysIssuer bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	}
	keys  *keySet
	asked time.Time
}

// discover asks an issuer, or remembers what it said.
func (c *Client) discover(ctx context.Context, issuer string) (*provider, error) {
	c.mu.Lock()
	known := c.known[issuer]
	c.mu.Unlock()
	if known != nil && c.now().Sub(known.asked) < metadataLife {
		return known, nil
	}
	fresh, err := c.ask(ctx, issuer)
	if err != nil {
		if known != nil { // its outage is not ours: endpoints rarely change
			return known, nil
		}
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known != nil && known.extra.JWKS == fresh.extra.JWKS {
		fresh.keys = known.keys
	}
	c.known[issuer] = fresh
	return fresh, nil
}

func (c *Client) ask(ctx context.Context, issuer string) (*provider, error) {
	p := &provider{asked: c.now()}
	var err error
	if p.Provider, err = gooidc.NewProvider(gooidc.ClientContext(ctx, c.http), issuer); err != nil {
		return nil, fmt.Errorf("identity provider %s does not say what it offers: %w", issuer, bare(err))
	}
	if err := p.Claims(&p.extra); err != nil {
		return nil, fmt.Errorf("identity provider %s: %w", issuer, err)
	}
	plain := strings.HasPrefix(issuer, "http://")
	endpoints := []string{p.Endpoint().AuthURL, p.Endpoint().TokenURL, p.extra.JWKS}
	if p.extra.EndSession != "" {
		endpoints = append(endpoints, p.extra.EndSession)
	}
	for _, address := range endpoints {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && (!plain || u.Scheme != "http") {
			return nil, fmt.Errorf("identity provider %s names an endpoint that is no https URL", issuer)
		}
	}
	p.keys = &keySet{address: p.extra.JWKS, http: c.http, now: c.now}
	return p, nil
}

// bare is an error of a provider's answer without the answer itself.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return errors.New("its answer is not as OpenID Connect Discovery wants it")
}

// signs are the algorithms of which the provider's ID tokens may be.
func (p *provider) signs() []string {
	said := p.extra.Algorithms
	if len(said) == 0 {
		said = []string{gooidc.RS256} // Discovery's default
	}
	return slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return !slices.Contains(said, a) })
}

// keySet is the provider's public keys. It satisfies go-oidc, and binds each key
// to its own algorithm and use.
type keySet struct {
	address string
	http    *http.Client
	now     func() time.Time

	mu    sync.Mutex
	keys  []jose.JSONWebKey
	asked time.Time
}

// errKey is the error of a token that none of the keys has signed.
var errKey = errors.New("not signed by a key of the provider's")

// VerifySignature gives the payload of a token that a key of the set has signed.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, signatureAlgorithms())
	if err != nil {
		return nil, errKey
	}
	header := signed.Signatures[0].Header
	for _, again := range []bool{false, true} {
		keys, err := k.get(ctx, again)
		if err != nil {
			return nil, err
		}
		if key := choose(keys, header); key != nil {
			payload, err := signed.Verify(key)
			if err != nil {
				return nil, errKey
			}
			return payload, nil
		}
	}
	return nil, errKey
}

func signatureAlgorithms() (all []jose.SignatureAlgorithm) {
	for _, a := range algorithms {
		all = append(all, jose.SignatureAlgorithm(a))
	}
	return all
}

// choose is the one key that a header means; nil where there is none, or several.
// jose refuses a key of a type that does not fit the algorithm.
func choose(keys []jose.JSONWebKey, header jose.Header) *jose.JSONWebKey {
	var chosen *jose.JSONWebKey
	for i, key := range keys {
		fits := key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") && (key.Algorithm == "" || key.Algorithm == header.Algorithm) &&
			(header.KeyID == "" || key.KeyID == header.KeyID)
		if fits && chosen != nil {
			return nil
		}
		if fits {
			chosen = &keys[i]
		}
	}
	return chosen
}

// get is the keys as they are known; again: as they are now, unless they have
// just been asked for.
func (k *keySet) get(ctx context.Context, again bool) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.asked)
	if k.keys != nil && age < metadataLife && (!again || age < keysPause) {
		return k.keys, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := k.http.Do(request)
	if err != nil {
		if k.keys != nil && age < time.Hour { // an outage there is none here, for a while
			return k.keys, nil
		}
		return nil, fmt.Errorf("keys of the identity provider: %w", bare(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var set jose.JSONWebKeySet
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(text, &set) != nil || len(set.Keys) == 0 {
		return nil, errors.New("keys of the identity provider cannot be read")
	}
	k.keys, k.asked = set.Keys, k.now()
	return k.keys, nil
}
