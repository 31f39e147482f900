package main

import (
	"encoding/json"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/overread/overread/migrations"
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
	info := versionInfo{Version: version, Go: runtime.Version(), Schema: latestMigration(), FHIR: "4.0.1"}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				info.Commit = s.Value
			}
		}
	}
	if c.JSON {
		return printJSON(t, info)
	}
	t.printf("overread %s (%s, FHIR R4 %s, schema %d)\n", info.Version, info.Go, info.FHIR, info.Schema)
	return nil
}

// latestMigration is the number of the last embedded migration, 00004_x.sql.
func latestMigration() int64 {
	var latest int64
	names, _ := fs.Glob(migrations.Files, "*.sql") // the pattern is well-formed
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			latest = max(latest, n)
		}
	}
	return latest
}

// printJSON writes v as indented JSON to stdout.
func printJSON(t terminal, v any) error {
	enc := json.NewEncoder(t.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
