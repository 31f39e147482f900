// Package gate is what a request passes on its way in, whatever it asks for:
// TLS with certificates that are read again when they change, security headers
// on every answer, a least pace for bodies, and limits for each client and each
// address. It knows no FHIR: what it refuses is a *fault.Error, which the FHIR
// surface renders.
package gate

import (
	"net/http"
)

// headers are on every answer; a page that needs more sets its own policy
// (fhir/page.go). An answer of the API is no page: a browser that is led to
// show one runs nothing in it, and lets nobody frame or embed it.
var headers = [][2]string{
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"X-Frame-Options", "DENY"},
	{"Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"},
}

// strictTransport tells browsers to come over TLS only, for a year (RFC 6797).
const strictTransport = "max-age=31536000"

// Headers puts the security headers on every answer of a handler. encrypted
// tells that clients reach this server over TLS, even if a proxy ends it.
func Headers(next http.Handler, encrypted bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, each := range headers {
			h.Set(each[0], each[1])
		}
		if encrypted || r.TLS != nil {
			h.Set("Strict-Transport-Security", strictTransport)
		}
		next.ServeHTTP(w, r)
	})
}
