package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// A system from its key to its last request, with what an operator does for it.
func TestASystemWorksWithAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	must := func(args ...string) string {
		t.Helper()
		out, err := overreadOutput(t, args...)
		if err != nil {
			t.Fatalf("overread %s: %v", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(out)
	}
	key := filepath.Join(t.TempDir(), "ehr.jwk")
	public := filepath.Join(t.TempDir(), "ehr.jwks")
	if err := os.WriteFile(public, []byte(must("client", "key", key)), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v %v", info.Mode(), err)
	}
	must("tenant", "create", "north", "--database-url", db.URL)
	id := must("client", "add", "north", "EHR", "--scope", "system/Patient.cruds system/Task.read", "--jwks", public, "--database-url", db.URL)

	base := serveInProcess(t, db.URL)
	get := func(scope string) (string, error) {
		out, err := overreadOutput(t, "client", "token", base, id, "--key", key, "--scope", scope)
		return strings.TrimSpace(out), err
	}
	token, err := get("system/Patient.cr system/Task.cruds")
	if err != nil {
		t.Fatal(err)
	}
	c := client{base: base, token: token}
	made, err := c.send(t.Context(), http.MethodPost, "Patient", fhir.Object("resourceType", "Patient", "gender", "female"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(t.Context(), "Patient/"+locationID(made.location, "Patient")); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"Patient", "Observation", "Task?patient:Patient.gender=female"} {
		if a, err := c.send(t.Context(), http.MethodGet, path, nil); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %v", path, a.status, err)
		}
	}
	if _, err := get("system/Observation.rs"); err == nil || !strings.Contains(err.Error(), "invalid_scope") {
		t.Errorf("a scope that the client does not have: %v", err)
	}

	var smart struct {
		Token      string   `json:"token_endpoint"`
		Grants     []string `json:"grant_types_supported"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		Algorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	}
	if err := askJSON(t.Context(), http.MethodGet, base+"/.well-known/smart-configuration", nil, &smart); err != nil {
		t.Fatal(err)
	}
	if smart.Token != base+"/oauth/token" || strings.Join(smart.Grants, " ") != "client_credentials" ||
		strings.Join(smart.Methods, " ") != "private_key_jwt" || strings.Join(smart.Algorithms, " ") != "RS384 ES384" {
		t.Errorf("the smart-configuration says %+v", smart)
	}
	statement, err := c.get(t.Context(), "metadata")
	if err != nil {
		t.Fatal(err)
	}
	if security := statement.Each("rest", "security")[0]; security.Text("service", "coding", "code") != "SMART-on-FHIR" || security.Text("extension", "extension", "valueUri") != smart.Token {
		t.Errorf("the CapabilityStatement says %s", security.Bytes())
	}

	var listed []struct {
		ClientID, Scopes string
		RevokedAt        *time.Time
	}
	list := func() {
		t.Helper()
		if err := json.Unmarshal([]byte(must("client", "list", "north", "--json", "--database-url", db.URL)), &listed); err != nil {
			t.Fatal(err)
		}
	}
	if list(); len(listed) != 1 || listed[0].ClientID != id || listed[0].Scopes != "system/Patient.cruds system/Task.rs" || listed[0].RevokedAt != nil {
		t.Errorf("listed: %+v", listed)
	}
	must("client", "revoke", "north", id, "--database-url", db.URL)
	if a, err := c.send(t.Context(), http.MethodGet, "Patient/1", nil); a.status != http.StatusUnauthorized {
		t.Errorf("with a token of a client that was revoked: %d %v", a.status, err)
	}
	if _, err := get("system/Patient.r"); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a client that was revoked gets a token: %v", err)
	}
	if list(); len(listed) != 1 || listed[0].RevokedAt == nil {
		t.Errorf("listed: %+v", listed)
	}

	// A director goes from an access to the token's issue, and finds who let the client in.
	director := client{base: base, token: must("token", "add", "north", "director", "--database-url", db.URL)}
	found := func(question string) int {
		t.Helper()
		page, err := director.get(t.Context(), "AuditEvent?"+question)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Each("entry", "resource"))
	}
	of := "policy=" + access.TokenURN(token)
	for question, want := range map[string]int{
		of + "&subtype=token-issued&agent:identifier=" + id: 1,
		of + "&subtype=create":                              1,
		"subtype=client-added":                              1,
		"subtype=client-revoked":                            1,
		"subtype=tenant-added":                              1,
		"subtype=token-added":                               1,
		"subtype=token-refused&outcome=4":                   1, // a scope; the client that was revoked is nobody's
	} {
		got := found(question)
		for until := time.Now().Add(5 * time.Second); got != want && time.Now().Before(until); got = found(question) {
			runtime.Gosched() // refusals and reads are told within a second
		}
		if got != want {
			t.Errorf("%s: %d events, want %d", question, got, want)
		}
	}
}

func TestAClientThatCannotWorkIsNotAdded(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	folder := t.TempDir()
	key := filepath.Join(folder, "key")
	public, err := makeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(folder, "good")
	if err := os.WriteFile(good, public, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := overreadOutput(t, "tenant", "create", "north", "--database-url", db.URL); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no keys":             {[]string{"north", "EHR", "--scope", "system/Task.r"}, "give one of the two"},
		"keys twice":          {[]string{"north", "EHR", "--scope", "system/Task.r", "--jwks", good, "--jwks-url", "https://ehr.example/jwks"}, "give one of the two"},
		"a private key":       {[]string{"north", "EHR", "--scope", "system/Task.r", "--jwks", key}, "--jwks: "},
		"a URL that is none":  {[]string{"north", "EHR", "--scope", "system/Task.r", "--jwks-url", "https://a@ehr.example/jwks"}, "--jwks-url: "},
		"letters out of turn": {[]string{"north", "EHR", "--scope", "system/Task.sr", "--jwks", good}, "--scope: "},
		"a query":             {[]string{"north", "EHR", "--scope", "system/Task.rs?nonsense=ready", "--jwks", good}, "--scope: "},
		"a reader":            {[]string{"north", "EHR", "--role", "reader", "--scope", "system/Task.r", "--jwks", good}, "--role"},
		"an unknown tenant":   {[]string{"south", "EHR", "--scope", "system/Task.r", "--jwks", good}, "south"},
	} {
		args := append([]string{"client", "add", "--database-url", db.URL}, c.args...)
		if _, err := overreadOutput(t, args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := makeKey(key); err == nil {
		t.Error("a key that was there is overwritten")
	}
}
