package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/overread/overread/internal/access"
)

func openAPIOf(t *testing.T, r *rest) *openapi3.T {
	t.Helper()
	got := r.do("", "GET", "/fhir/openapi.json", "")
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(got.body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheOpenAPIDocumentIsValid(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	if err := openAPIOf(t, r).Validate(context.Background()); err != nil {
		t.Error(err)
	}
	got := r.do("", "GET", "/fhir/openapi.json", "")
	if len(got.body) > 1<<20 {
		t.Errorf("it has %d bytes", len(got.body))
	}
	if again := r.do("", "GET", "/fhir/openapi.json", "", "If-None-Match", got.header.Get("ETag")); again.status != http.StatusNotModified {
		t.Errorf("the same again: %d", again.status)
	}
}

// Every route of the table is a path of the document, for every type that has
// it, with its method.
func TestTheOpenAPIDocumentHasEveryRoute(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	doc := openAPIOf(t, r)
	for _, row := range r.server.routes() {
		for _, address := range r.addressesOf(row) {
			item := doc.Paths.Value("/" + address)
			if item == nil || item.GetOperation(row.method) == nil {
				t.Errorf("%s %s is not in the document as /%s", row.method, row.path, address)
			}
		}
	}
}

// addressesOf are the addresses that a route serves: one for each type that has
// the interaction.
func (r *rest) addressesOf(row route) (addresses []string) {
	switch {
	case !strings.HasPrefix(row.path, "/fhir"), row.path == "/fhir/": // health; the same as /fhir
		return nil
	case row.path == "/fhir/Task/:id/:operation":
		for _, op := range operations {
			addresses = append(addresses, "Task/{id}/$"+op.Name)
		}
		return addresses
	case !strings.Contains(row.path, ":type"):
		return []string{addressOf(row.path, "")}
	}
	for _, i := range interactions {
		for _, typ := range r.server.typeNames {
			if i.method == row.method && i.path == row.path && r.server.has(r.server.resources[typ], i) {
				addresses = append(addresses, i.at(typ))
			}
		}
	}
	if len(addresses) == 0 {
		r.t.Errorf("the route %s %s belongs to no interaction that a type has", row.method, row.path)
	}
	return addresses
}

// Every path of the document leads somewhere: nothing in it is answered "no
// such address" or "no such method".
func TestEveryPathOfTheOpenAPIDocumentIsServed(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for path, item := range openAPIOf(t, r).Paths.Map() {
		address := strings.NewReplacer("{id}", "none", "{version}", "1", "{member}", "*", "{file}", "1", "{type}", "Patient").Replace(path)
		for method := range item.Operations() {
			got := r.do(access.Placer, method, "/fhir"+address, "")
			nowhere := got.status == http.StatusMethodNotAllowed || got.status >= 500 || strings.Contains(got.body, "is served at this address") || strings.Contains(got.body, "type of resource is not served")
			if nowhere {
				t.Errorf("%s %s: %d %s", method, address, got.status, got.body)
			}
		}
	}
}
