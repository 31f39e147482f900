package auditlog

import (
	"strings"
)

// lastWhole finds the last whole note in the end of a file: what it says, unproved,
// and where it ends. A note is whole with the empty line after its signatures.
func lastWhole(tail string) (c Checkpoint, end int) {
	signed := -1 // where the last line of signatures began
	for at := 0; at < len(tail); {
		line, _, whole := strings.Cut(tail[at:], "\n")
		if !whole {
			break
		}
		switch {
		case line == "" && signed >= 0:
			c, end, signed = checkpointIn(tail[:signed]), at+1, -1
		case strings.HasPrefix(line, "— "):
			signed = at
		}
		at += len(line) + 1
	}
	return c, end
}

// checkpointIn is what a note before its signatures says: its lines are origin,
// size, root, time and an empty one. It has no size where it is no checkpoint.
func checkpointIn(text string) Checkpoint {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 5 {
		return Checkpoint{}
	}
	c, err := parseCheckpoint(strings.Join(lines[len(lines)-5:len(lines)-1], "\n") + "\n")
	if err != nil {
		return Checkpoint{}
	}
	return c
}
