package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/overread/overread/fhir"
)

// storyText is the story of one case as shell commands: what the demo prints,
// what the README shows, and what a test runs.
//
//go:embed story.sh
var storyText string

var storyTemplate = template.Must(template.New("story").Parse(storyText))

// story is what the commands need to know.
type story struct {
	Base, EHR, Page string // URLs
	Data            string // folder
	Number          string // of the order
	PACS            string // URL, "" where there is none
}

// tell writes the story's files and prints what to open and what to try.
func (c *demoCmd) tell(ctx context.Context, t terminal, o *overread, database, ehr string, pacs *demoPACS) error {
	smp := samples["knee"]
	who := person{"199001", "Juniper", "Vance", "female", "1997-04-09"}
	first := order{ehr: ehr, number: "STORY-" + time.Now().UTC().Format("0102-150405.000"), hospital: "mercy",
		priority: "urgent", patient: who, sample: smp, at: time.Now()}
	if err := errors.Join(first.keepAtEHR(ctx), first.keepInPACS(ctx, pacs)); err != nil {
		return err
	}
	for name, n := range map[string]*fhir.Node{
		"order.json": first.bundle(),
		"claim.json": fhir.Object("resourceType", "Parameters", "parameter", deeds["claim"].with(smp)),
		"lock.json":  fhir.Object("resourceType", "Parameters", "parameter", deeds["lock"].with(smp)),
		"grade.json": fhir.Object("resourceType", "Parameters", "parameter", deeds["grade"].with(smp)),
	} {
		if err := c.writeStory(name, n); err != nil {
			return err
		}
	}
	var script bytes.Buffer
	s := story{Base: o.baseURL, EHR: ehr, Page: strings.TrimSuffix(ehr, "fhir"), Data: c.Data, Number: first.number}
	archive := "none: cases are not looked up"
	if pacs != nil {
		s.PACS = pacs.Base
		archive = pacs.Base + "  (Orthanc with phantoms; user and password: " + pacs.credential + ")"
	}
	if err := storyTemplate.Execute(&script, s); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("story/story.sh"), script.Bytes(), 0o600); err != nil {
		return err
	}
	system, err := c.backend(ctx, o.db)
	if err != nil {
		return fmt.Errorf("the demo's client: %w", err)
	}
	proof, err := c.proofCommands(ctx, o, database)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	t.printf(`
Overread is running.

  sign in          %[11]s/home  (no password: choose whom to be: a reader or adjudicator at both hospitals, a coordinator, ...)
  FHIR surface     %[1]s/metadata
  its index        %[1]s/docs  (every type, parameter and operation, with examples to copy; open it in a browser)
  stand-in EHR     %[2]s  (the reports that have arrived, as a person reads them; its buttons open Overread for a patient, by SMART App Launch)
  PACS             %[13]s
  viewer           %[16]s
  sample cases     %[3]d, in every state, at two hospitals: mercy (readers claim from a pool), lakeside (cases are offered)
  tokens           %[4]s  (one file for each desk and reader)
  token by key     %[5]s client token %[1]s %[6]s --key %[7]s --scope "system/Task.rs system/Patient.r"
  log              %[8]s

Cases of mercy to look at first, by the numbers of their orders. The Task of one, with the token of whoever looks
and then one of its operations, such as %[1]s/Task/ID/\$readings (%[1]s/docs has them all):

    curl -sS -H "Authorization: Bearer $(cat '%[4]s/mercy-okafor')" "%[1]s/Task?based-on:ServiceRequest.identifier=%[14]s"

%[15]s
The story of one case. Copy these lines into another terminal, or run them all: sh %[9]s

%[10]s
To prove the audit log of mercy offline (signed each minute), and to see that a change of it is found:

%[12]s
Ctrl-C stops everything; the next run finds its data.
`, s.Base, s.Page, len(sampleCases), c.path("tokens"), os.Args[0], system, c.path("clients/mercy-ehr.jwk"), c.path("overread.log"), c.path("story/story.sh"), script.String(), strings.TrimSuffix(s.Base, "/fhir"), proof, archive, sampleNumber(slices.Index(sampleCases, showcases[0].row)), showcaseLines(), c.viewerWords(o))
	return nil
}

// writeStory writes a file of the story, indented for people.
func (c *demoCmd) writeStory(name string, n *fhir.Node) error {
	var text bytes.Buffer
	if err := json.Indent(&text, n.Bytes(), "", "  "); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text.WriteByte('\n')
	file := c.path("story/" + name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o600)
}
