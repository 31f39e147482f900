package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/pg"
)

// What a client does by itself, for trying it out: EHRs have their own programs.

type clientKeyCmd struct {
	File string `arg:"" type:"path" help:"Where the private key goes, as a JSON Web Key (mode 0600). It must not be there yet."`
}

// Run makes a key pair for ES384 and prints the public half, for client add --jwks.
func (c clientKeyCmd) Run(_ context.Context, t terminal) error {
	public, err := makeKey(c.File)
	if err != nil {
		return err
	}
	t.printf("%s\n", public)
	return nil
}

// makeKey writes a new private key to a file and returns the key set with its
// public half.
func makeKey(file string) (public []byte, err error) {
	private, public, err := oauth.NewKeyPair()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(append(private, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return public, nil
}

type clientTokenCmd struct {
	Base   string `arg:"" placeholder:"URL" help:"Base of a FHIR server that has a smart-configuration."`
	Client string `arg:"" help:"The client's id."`
	Key    string `name:"key" required:"" type:"existingfile" placeholder:"FILE" help:"Its private key, as overread client key writes it."`
	Scope  string `name:"scope" required:"" help:"What the token is to do, e.g. \"system/Task.rs system/Patient.rs\"."`
}

// Run gets a token as any client would, and prints it.
func (c clientTokenCmd) Run(ctx context.Context, t terminal) error {
	text, err := os.ReadFile(c.Key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	key, err := jwk.ParseKey(text)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	token, err := backendToken(ctx, strings.TrimRight(c.Base, "/"), c.Client, key, c.Scope)
	if err != nil {
		return err
	}
	t.printf("%s\n", token)
	return nil
}

// backendToken is a client of SMART Backend Services.
func backendToken(ctx context.Context, base, id string, key jwk.Key, scope string) (string, error) {
	var smart struct {
		Endpoint string `json:"token_endpoint"`
	}
	if err := askJSON(ctx, http.MethodGet, base+"/.well-known/smart-configuration", nil, &smart); err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := jwt.NewBuilder().Issuer(id).Subject(id).Audience([]string{smart.Endpoint}).
		JwtID(rand.Text()).IssuedAt(now).Expiration(now.Add(4 * time.Minute)).Build()
	if err != nil {
		return "", err
	}
	algorithm, _ := key.Algorithm()
	assertion, err := jwt.Sign(claims, jwt.WithKey(algorithm, key))
	if err != nil {
		return "", fmt.Errorf("--key: %w", err)
	}
	var got struct {
		Token string `json:"access_token"`
	}
	err = askJSON(ctx, http.MethodPost, smart.Endpoint, url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {string(assertion)},
	}, &got)
	return got.Token, err
}

func askJSON(ctx context.Context, method, address string, form url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := clientHTTP.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d: %s", method, address, answer.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}

// demoScopes are those of the demo's client: what an EHR that orders needs.
const demoScopes = "system/*.rs system/ServiceRequest.cu system/Task.cu system/Patient.cu"

// backend makes the demo's client once: its key and its id are files.
func (c *demoCmd) backend(ctx context.Context, db *pg.DB) (id string, err error) {
	folder := c.path("clients")
	known, err := os.ReadFile(filepath.Join(folder, "mercy-ehr.id"))
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	key := filepath.Join(folder, "mercy-ehr.jwk")
	if err := os.Remove(key); err != nil && !errors.Is(err, os.ErrNotExist) { // of a start that was cut off
		return "", err
	}
	public, err := makeKey(key)
	if err != nil {
		return "", err
	}
	keys := string(public)
	row := administration.Client{Tenant: "mercy", Name: "EHR of Mercy, by its own key", Role: access.Placer, Scopes: demoScopes, JWKS: &keys}
	if err := addClient(ctx, db, &row); err != nil {
		return "", err
	}
	return row.ClientID.String(), os.WriteFile(filepath.Join(folder, "mercy-ehr.id"), []byte(row.ClientID.String()+"\n"), 0o600)
}
