package smart

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// privateKey reads a private key as overread client key writes it. It must have a
// kid, and be of one of the algorithms of SMART App Launch 2.2.
func privateKey(text []byte) (jwk.Key, error) {
	key, err := jwk.ParseKey(text)
	if err != nil {
		return nil, errors.New("is no JSON Web Key") // the parser's words might quote it
	}
	private, err := jwk.IsPrivateKey(key)
	if err != nil || !private {
		return nil, errors.New("is no private key")
	}
	id, _ := key.KeyID()
	algorithm, _ := key.Algorithm()
	if id == "" || algorithm != jwa.ES384() && algorithm != jwa.RS384() {
		return nil, errors.New("needs a kid, and alg ES384 or RS384")
	}
	return key, nil
}

// CheckKey tells what is wrong with a private key that an issuer is added with,
// and returns the key set with its public half, to be registered there.
func CheckKey(text []byte) (public []byte, err error) {
	key, err := privateKey(text)
	if err != nil {
		return nil, err
	}
	return publicSet(key)
}

func publicSet(keys ...jwk.Key) ([]byte, error) {
	set := jwk.NewSet()
	for _, key := range keys {
		half, err := key.PublicKey()
		if err != nil {
			return nil, err
		}
		_ = set.AddKey(half) // refused only where it is there already
	}
	return json.Marshal(set)
}

// assertionOf proves who we are for some minutes, SMART App Launch 2.2
// client-confidential-asymmetric.html.
func assertionOf(text []byte, client, endpoint string, now time.Time) (string, error) {
	key, err := privateKey(text)
	if err != nil {
		return "", fmt.Errorf("our key %w", err)
	}
	claims, err := jwt.NewBuilder().Issuer(client).Subject(client).Audience([]string{endpoint}).
		JwtID(rand.Text()).IssuedAt(now).Expiration(now.Add(4 * time.Minute)).Build()
	if err != nil {
		return "", err
	}
	algorithm, _ := key.Algorithm()
	signed, err := jwt.Sign(claims, jwt.WithKey(algorithm, key))
	return string(signed), err
}

// PublicKeys is the key set by which EHRs know us (jwks_uri of our registration).
func (c *Client) PublicKeys(ctx context.Context) ([]byte, error) {
	var files []string
	err := c.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT secret_file
			FROM ehr_issuer
			WHERE authentication = 'key'
			ORDER BY secret_file`)
		if err != nil {
			return err
		}
		files, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, err
	}
	var keys []jwk.Key
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		key, err := privateKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s %w", file, err)
		}
		keys = append(keys, key)
	}
	return publicSet(keys...)
}
