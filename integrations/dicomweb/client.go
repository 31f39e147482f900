// Package dicomweb asks a PACS about a study: QIDO-RS finds it and counts its
// instances (DICOM PS3.18 section 10.6), WADO-RS metadata tells what a search
// cannot (section 10.4.1.1.2). It retrieves no images.
//
// study.go says what is asked and in which order, person.go how DICOM's words
// about a patient become ours, json.go how answers are read, and verdict.go has
// the one table of what follows from each status. Nothing that a PACS writes is
// logged or shown, for it may hold patient data; only codes of our own leave the
// package, and what the intake checks compare.
//
// There is no library in it. Those for DICOMweb in Go (toastcheng/dicomweb-go of
// 2020 and its fork, MIT) take no context, no limits and no client of ours, so
// their requests could not pass internal/outbound; and those for DICOM files
// (suyashkumar/dicom, MIT) do not read the JSON model.
package dicomweb

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

const (
	dicomJSON     = "application/dicom+json" // PS3.18 section 8.7.4
	longestLook   = 2 * time.Minute          // the context's own limit is tighter
	answerMax     = 8 << 20
	credentialMax = 64 << 10
)

// Client asks PACS. It may be used by many goroutines.
type Client struct {
	http      *http.Client
	userAgent string
	now       func() time.Time
}

// New makes a client that calls itself Overread/version and goes where the
// guard lets it.
func New(version string, guard *outbound.Guard, now func() time.Time) *Client {
	return &Client{
		userAgent: "Overread/" + version,
		now:       now,
		http:      guard.Client(outbound.Limits{Timeout: longestLook, MaxBody: answerMax}),
	}
}

// search asks for the resources at a path, and returns the results. Where there
// are none, that is 200 with an empty array or 204 (PS3.18 section 10.6.3.1).
func (c *Client) search(ctx context.Context, a workflow.Archive, path string, query url.Values) ([]dataset, error) {
	target := a.BaseURL + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, &trouble{workflow.PACSUnreachable, "misconfigured", 0, 0}
	}
	req.Header.Set("Accept", dicomJSON)
	req.Header.Set("User-Agent", c.userAgent)
	if a.CredentialFile != nil {
		if err := authorise(req, *a.CredentialFile); err != nil {
			return nil, &trouble{workflow.PACSRefused, "credential-file", 0, 0}
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unanswered(err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNoContent:
		return nil, nil
	case res.StatusCode != http.StatusOK:
		return nil, c.judge(res)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, unanswered(err)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != dicomJSON && kind != "application/json" {
		return nil, &trouble{workflow.PACSUnreadable, "media-type", res.StatusCode, 0}
	}
	found, err := parse(body)
	if err != nil {
		return nil, &trouble{workflow.PACSUnreadable, "dicom-json", res.StatusCode, 0}
	}
	return found, nil
}

// authorise adds what the file holds: USER:PASSWORD for Basic (RFC 7617), or a
// bearer token, which has no colon (RFC 6750 section 2.1). The file is read anew
// each time, so that whoever renews it only has to replace it.
func authorise(req *http.Request, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, credentialMax))
	if err != nil {
		return err
	}
	credential := strings.Trim(string(text), "\r\n")
	if credential == "" || strings.ContainsAny(credential, "\r\n") {
		return fmt.Errorf("credential file %s: want one line, USER:PASSWORD or a token", file)
	}
	if user, password, basic := strings.Cut(credential, ":"); basic {
		req.SetBasicAuth(user, password)
		return nil
	}
	if strings.ContainsAny(credential, " \t") {
		return fmt.Errorf("credential file %s: a token has no blanks", file)
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	return nil
}
