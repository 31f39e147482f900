// Package migrations holds the schema as numbered SQL, embedded in the binary
// and applied by goose. Forward only: a mistake is mended by the next number.
package migrations

import "embed"

// Files are the migrations in order of their number.
//
//go:embed *.sql
var Files embed.FS
