package auditlog

import (
	"strconv"
	"strings"
)

// lastWhole finds the last whole note in the end of a file: its size, and where
// it ends. A note is whole with the empty line after its signatures.
func lastWhole(tail string) (size int64, end int) {
	signed := -1 // where the last line of signatures began
	for at := 0; at < len(tail); {
		line, _, whole := strings.Cut(tail[at:], "\n")
		if !whole {
			break
		}
		switch {
		case line == "" && signed >= 0:
			size, end, signed = sizeIn(tail[:signed]), at+1, -1
		case strings.HasPrefix(line, "— "):
			signed = at
		}
		at += len(line) + 1
	}
	return size, end
}

// sizeIn is the size in the text of a note: its lines are origin, size, root,
// time and an empty one.
func sizeIn(text string) int64 {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 5 {
		return 0
	}
	size, _ := strconv.ParseInt(lines[len(lines)-4], 10, 64)
	return size
}
