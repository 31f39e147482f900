package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/overread/overread/workflow"
)

func TestTheAddressOfAViewerNamesAStudyAndNothingElse(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"https://viewer.example/?StudyInstanceUIDs={StudyInstanceUID}":         true,
		"https://viewer.example:8443/a/{AccessionNumber}/{StudyInstanceUID}#x": true,
		"https://viewer.example/":                                 false, // of which study?
		"http://viewer.example/{StudyInstanceUID}":                false,
		"https://{StudyInstanceUID}.example/":                     false,
		"https://viewer.example/{PatientID}":                      false,
		"https://viewer.example/{PatientName}/{StudyInstanceUID}": false,
		"https://user@viewer.example/{StudyInstanceUID}":          false,
		"https://viewer.example\\\\@evil/{StudyInstanceUID}":      false,
		"javascript:alert('{StudyInstanceUID}')":                  false,
		"//viewer.example/{StudyInstanceUID}":                     false,
		"https://viewer.example/{StudyInstanceUID}\\n":            false,
	} {
		_, err := workflow.ReadPolicy([]byte(fmt.Sprintf(`{"viewer": {"url": "%s"}}`, address)))
		if (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && !strings.Contains(err.Error(), "viewer.url") {
			t.Errorf("%s: %v does not name the setting", address, err)
		}
	}
	at := workflow.ViewerURL("https://viewer.example/{AccessionNumber}?study={StudyInstanceUID}")
	if got := at.Of("1.2.3", "A 1/2&x=y#"); got != "https://viewer.example/A%201%2F2%26x%3Dy%23?study=1.2.3" {
		t.Error(got)
	}
	if got := at.Of("1.2.3", ""); got != "" {
		t.Errorf("without an accession number: %s", got)
	}
}
