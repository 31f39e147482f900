package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/overread/overread/workflow"
)

// A policy and a template are documents that an operator writes: JSON or YAML, in a
// file or on the standard input.

// readDocument reads one; - is the standard input.
func readDocument(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

// documentPages are where it is written what may be said.
var documentPages = map[string]string{"policy": "docs/policy.md", "template": "docs/templates.md"}

// tellFaults prints all that is wrong with a document, and is the error that the
// check ends with. An error that is none of the document it returns as it is.
func tellFaults(t terminal, file, kind string, asJSON bool, err error) error {
	var wrong workflow.PolicyErrors
	switch {
	case !errors.As(err, &wrong):
		return err
	case asJSON:
		return errors.Join(printJSON(t, wrong), fmt.Errorf("%s: %d faults", file, len(wrong)))
	}
	for _, one := range wrong {
		t.printf("%s: %s\n", file, one)
	}
	return fmt.Errorf("%s is no %s: %d %s; what may be said: overread %s schema, %s", file, kind, len(wrong), plural(len(wrong), "fault"), kind, documentPages[kind])
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
