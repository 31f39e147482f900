package oauth

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
)

// mostForm bounds a request's body; an assertion has some 1,000 bytes.
const mostForm = 32 << 10

// form are the parameters of a request, each of which may stand in it once.
type form map[string]string

// readForm reads the body. What looks like another way of authentication is
// refused: RFC 6749 section 2.3 allows one in a request.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	others := []string{"client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "grant_type", "token"}
	inAddress := func(name string) bool { return r.URL.Query().Has(name) }
	switch {
	case err != nil || typ != "application/x-www-form-urlencoded":
		return nil, invalidRequest("no form")
	case r.Header.Get("Authorization") != "":
		return nil, invalidRequest("an Authorization header")
	case slices.ContainsFunc(others, inAddress):
		return nil, invalidRequest("parameters in the address")
	case r.Header.Get("Content-Encoding") != "":
		return nil, invalidRequest("a compressed form")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostForm))
	if err != nil {
		return nil, invalidRequest("a body that is too large, or ends early")
	}
	sent, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("a form that is not escaped")
	}
	f := form{}
	for name, values := range sent {
		if len(values) > 1 {
			return nil, invalidRequest("a parameter twice")
		}
		f[name] = values[0]
	}
	if f["client_secret"] != "" {
		return nil, invalidClient("a secret")
	}
	return f, nil
}
