package fhir

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// forgery is a request with what is no credential of the tenant: headers in turn,
// and what is added to the address.
type forgery struct {
	headers []string
	query   string
}

// forgeries are ways in which somebody tries to come in with a good token that
// they know only a part of, with one that is good no longer, or past the parser.
func (r *rest) forgeries(good string) map[string]forgery {
	auth := func(values ...string) forgery {
		var f forgery
		for _, v := range values {
			f.headers = append(f.headers, "Authorization", v)
		}
		return f
	}
	sum := sha256.Sum256([]byte(good))
	list := map[string]forgery{
		"nothing":                       {},
		"an empty header":               auth(""),
		"the scheme alone":              auth("Bearer"),
		"the scheme and a blank":        auth("Bearer "),
		"the scheme and blanks":         auth("Bearer     "),
		"the token alone":               auth(good),
		"no blank":                      auth("Bearer" + good),
		"a tab for the blank":           auth("Bearer\t" + good),
		"a colon":                       auth("Bearer: " + good),
		"an equals sign":                auth("Bearer=" + good),
		"in quotes":                     auth(`Bearer "` + good + `"`),
		"the scheme twice":              auth("Bearer Bearer " + good),
		"the header's name twice":       auth("Authorization: Bearer " + good),
		"Basic":                         auth("Basic " + good),
		"Basic with a user":             auth("Basic dXNlcjpwYXNzd29yZA=="),
		"Digest":                        auth("Digest " + good),
		"DPoP":                          auth("DPoP " + good),
		"Token":                         auth("Token " + good),
		"Negotiate":                     auth("Negotiate " + good),
		"another word that begins so":   auth("Bearerx " + good),
		"two tokens":                    auth("Bearer " + good + " " + good),
		"two tokens with a comma":       auth("Bearer " + good + ", Bearer " + good),
		"parameters after it":           auth("Bearer " + good + ", realm=x"),
		"two headers, the good first":   auth("Bearer "+good, "Bearer x"),
		"two headers, the good last":    auth("Bearer x", "Bearer "+good),
		"two headers, both good":        auth("Bearer "+good, "Bearer "+good),
		"Basic and the good":            auth("Basic dXNlcjpwYXNzd29yZA==", "Bearer "+good),
		"an empty one and the good":     auth("", "Bearer "+good),
		"a letter less":                 auth("Bearer " + good[:len(good)-1]),
		"a letter more":                 auth("Bearer " + good + "A"),
		"padded":                        auth("Bearer " + good + "="),
		"its first half":                auth("Bearer " + good[:len(good)/2]),
		"in capitals":                   auth("Bearer " + strings.ToUpper(good)),
		"in small letters":              auth("Bearer " + strings.ToLower(good)),
		"backwards":                     auth("Bearer " + reversed(good)),
		"escaped":                       auth("Bearer %" + url.QueryEscape(good)),
		"a wildcard":                    auth("Bearer %"),
		"its hash":                      auth("Bearer " + strings.ToLower(hexOf(sum[:]))),
		"its hash as PostgreSQL has it": auth(`Bearer \x` + hexOf(sum[:])),
		"SQL":                           auth("Bearer ' OR '1'='1"),
		"a NULL":                        auth("Bearer null"),
		"undefined":                     auth("Bearer undefined"),
		"very long":                     auth("Bearer " + strings.Repeat("A", 20_000)),
		"good, and very long":           auth("Bearer " + good + strings.Repeat("A", 600)),
		"beyond ASCII":                  auth("Bearer " + good + "\u00a0"),
		"a blank beyond ASCII before":   auth("Bearer \u2003" + good),
		"a JWT without a signature":     auth("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJwbGFjZXIiLCJzY29wZSI6InN5c3RlbS8qLioifQ."),
		"a JWT with one":                auth("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFjZXIifQ.c2lnbmF0dXJl"),
		"in the address":                {query: "access_token=" + good},
		"in the address as token":       {query: "token=" + good},
		"in the address as a header":    {query: "Authorization=Bearer%20" + good},
		"in a cookie":                   {headers: []string{"Cookie", "access_token=" + good + "; Authorization=Bearer " + good + "; session=" + good + "; __Host-overread=" + good + "; __Host-session=" + good}},
		"in X-Authorization":            {headers: []string{"X-Authorization", "Bearer " + good}},
		"in Proxy-Authorization":        {headers: []string{"Proxy-Authorization", "Bearer " + good}},
		"in X-Forwarded-Access-Token":   {headers: []string{"X-Forwarded-Access-Token", good}},
		"in X-Api-Key":                  {headers: []string{"X-Api-Key", good}},
		"as a trusted proxy would":      {headers: []string{"X-Forwarded-User", "placer", "X-Remote-User", "placer", "Remote-User", "placer"}},
	}
	owner := r.db.Owner(r.t)
	ended := func(name, sql string) {
		token, actor := pgtest.AddToken(r.t, r.db, r.tenant, access.Placer)
		if _, err := owner.Exec(context.Background(), sql, actor.ID); err != nil {
			r.t.Fatal(err)
		}
		list[name] = auth("Bearer " + token)
	}
	ended("revoked", `UPDATE token SET revoked_at = now() WHERE actor_id = $1`)
	ended("removed", `DELETE FROM token WHERE actor_id = $1`)
	return list
}

func reversed(text string) string {
	b := []byte(text)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

func TestAForgedBearerTokenIsRefused(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	good := r.tokens[access.Placer]
	list := r.forgeries(good)
	if len(list) < 55 {
		t.Errorf("only %d forgeries", len(list))
	}
	for name, f := range list {
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			request, err := http.NewRequest(method, r.url+"/fhir/Patient/"+id+"?"+f.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(f.headers); i += 2 {
				request.Header.Add(f.headers[i], f.headers[i+1])
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			text, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") == "" || strings.Contains(string(text), id) || strings.Contains(string(text), good) {
				t.Errorf("%s: %s is answered %d %s", name, method, answer.StatusCode, text)
			}
		}
	}
	// RFC 6750 and RFC 9110 section 11.1: the scheme in any letters, and blanks after it.
	for _, value := range []string{"Bearer " + good, "bearer " + good, "BEARER " + good, "bEaReR   " + good, "Bearer " + good + "  "} {
		if got := r.do("", "GET", "/fhir/Patient/"+id, "", "Authorization", value); got.status != http.StatusOK {
			t.Errorf("%q: %d", value[:10], got.status)
		}
	}
}

// What is another tenant's is not there: its token is good, and finds nothing.
func TestATokenOfAnotherTenantFindsNothing(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	other := pgtest.AddTenant(t, r.db, "south")
	token, _ := pgtest.AddToken(t, r.db, other, access.Placer)
	none := r.do("", "GET", "/fhir/Patient/no-such", "", "Authorization", "Bearer "+token)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "Patient/" + id, ""}, {"HEAD", "Patient/" + id, ""}, {"GET", "Patient/" + id + "/_history", ""}, {"GET", "Patient/" + id + "/_history/1", ""},
		{"GET", "Patient/" + id + "/$everything", ""},
		{"PATCH", "Patient/" + id, `[{"op":"remove","path":"/birthDate"}]`},
	} {
		got := r.do("", c.method, "/fhir/"+c.path, c.body, "Authorization", "Bearer "+token, "Content-Type", "application/json-patch+json")
		if got.status != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
		if c.method == "GET" && c.path == "Patient/"+id && got.body != none.body {
			t.Errorf("what is another's is told of in other words than what is not there: %s", got.body)
		}
	}
	for _, query := range []string{"Patient?_id=" + id, "Patient?identifier=urn:mrn|1", "Patient?birthdate=1970-05", "Patient/" + id + "/Observation", "Observation?subject=Patient/" + id} {
		if got := r.do("", "GET", "/fhir/"+query, "", "Authorization", "Bearer "+token); got.status != http.StatusOK || len(got.ids()) != 0 || got.node.Text("total") != "0" {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	// A reference to it, a condition on it and a deletion find nothing either.
	if got := r.do("", "DELETE", "/fhir/Patient/"+id, "", "Authorization", "Bearer "+token); got.status != http.StatusNoContent && got.status != http.StatusNotFound {
		t.Errorf("a delete: %d", got.status)
	}
	if got := r.get("/fhir/Patient/" + id); got.status != http.StatusOK || got.header.Get("ETag") != `W/"1"` {
		t.Errorf("the other tenant touched it: %d %s", got.status, got.body)
	}
}
