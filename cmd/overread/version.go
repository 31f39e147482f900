package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/overread/overread/internal/pg"
)

// version is set by the linker (Makefile); a plain `go build` leaves it.
var version = "dev"

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// versionInfo is what `overread version --json` prints.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	Schema  int64  `json:"schema"` // the schema version that this binary wants
	FHIR    string `json:"fhir"`
}

func (c versionCmd) Run(t terminal) error {
	schema, err := pg.LatestSchema()
	if err != nil {
		return err
	}
	info := versionInfo{Version: version, Go: runtime.Version(), Schema: schema, FHIR: "4.0.1"}
	info.Commit = buildSetting("vcs.revision")
	if c.JSON {
		return printJSON(t, info)
	}
	t.printf("overread %s (%s, FHIR R4 %s, schema %d)\n", info.Version, info.Go, info.FHIR, info.Schema)
	return nil
}

// built is when the source of this binary was committed, the zero time where
// the build does not say.
func built() time.Time {
	at, _ := time.Parse(time.RFC3339, buildSetting("vcs.time"))
	return at
}

func buildSetting(key string) string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}

// printJSON writes v as indented JSON to stdout.
func printJSON(t terminal, v any) error {
	enc := json.NewEncoder(t.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
