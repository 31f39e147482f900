package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/overread/overread/fhir"
)

// client speaks FHIR to a server as one actor: the demo's seed and the
// end-to-end tests are such clients.
type client struct {
	base  string // of the FHIR surface
	token string // "" for none
}

// clientLimits are generous: the server is ours.
var clientLimits = fhir.Limits{Depth: 64, Names: 4096, Values: 5_000_000}

var clientHTTP = &http.Client{Timeout: 30 * time.Second}

// answer is what came back.
type answer struct {
	status   int
	location string // as the header says, absolute
	body     *fhir.Node
}

// send sends one request; body may be nil. path is below the base. An answer
// of 400 or more is an error that holds the OperationOutcome's text.
func (c client) send(ctx context.Context, method, path string, body *fhir.Node) (answer, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body.Bytes())
	}
	url := c.base
	if path != "" {
		url += "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/fhir+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := clientHTTP.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	return readAnswer(resp)
}

func readAnswer(resp *http.Response) (answer, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, location: resp.Header.Get("Location")}
	if len(raw) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if a.body, err = fhir.Parse(raw, clientLimits); err != nil {
			return a, fmt.Errorf("answer of %s: %w", resp.Request.URL.Path, err)
		}
	}
	if a.status >= http.StatusBadRequest {
		return a, fmt.Errorf("%s %s: %d: %s", resp.Request.Method, resp.Request.URL.Path, a.status, complaint(a.body))
	}
	return a, nil
}

// complaint is the text of an OperationOutcome's issues.
func complaint(outcome *fhir.Node) string {
	var texts []string
	for _, issue := range outcome.Each("issue") {
		texts = append(texts, strings.TrimSpace(issue.Text("expression")+" "+issue.Text("details", "text")+" "+issue.Text("diagnostics")))
	}
	return strings.Join(texts, "; ")
}

func (c client) get(ctx context.Context, path string) (*fhir.Node, error) {
	a, err := c.send(ctx, http.MethodGet, path, nil)
	return a.body, err
}

// op calls an operation of a case: POST Task/{id}/${name}.
func (c client) op(ctx context.Context, task, name string, parameters ...*fhir.Node) (*fhir.Node, error) {
	var body *fhir.Node
	if len(parameters) > 0 {
		body = fhir.Object("resourceType", "Parameters", "parameter", parameters)
	}
	a, err := c.send(ctx, http.MethodPost, "Task/"+task+"/$"+name, body)
	return a.body, err
}

// param is a parameter of an operation: param("reason", "valueString", "...").
func param(name, element string, value any) *fhir.Node {
	return fhir.Object("name", name, element, value)
}

// locationID is the id in a Location or in an entry's response.location.
func locationID(location, typ string) string {
	_, rest, found := strings.Cut(location, typ+"/")
	if !found {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}
