package auditlog

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Installation is the log of what belongs to no tenant: whoever was not let in.
var Installation = uuid.Nil

// Origin names the log of a tenant in its checkpoints and exports.
func Origin(tenant uuid.UUID) string { return "overread.org/audit/" + tenant.String() }

// KeyName is the name that keys have in signatures.
const KeyName = "overread-audit"

// NewKey makes a pair of Ed25519 keys, as golang.org/x/mod/sumdb/note writes them.
func NewKey() (private, public string, err error) { return note.GenerateKey(rand.Reader, KeyName) }

// Checkpoint says that the log had this size and root at a time.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	At     time.Time // to the second
	Key    uint32    // the hash of the key that signed it; 0 where that was not asked
}

// Sign is the checkpoint as a signed note: C2SP tlog-checkpoint, with the time as
// its extension line.
func (c Checkpoint) Sign(signer note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.text()}, signer)
}

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\ntime %s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), c.At.UTC().Format(time.RFC3339))
}

// parseCheckpoint reads the text of a note.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return Checkpoint{}, errors.New("it is no checkpoint")
	}
	c := Checkpoint{Origin: lines[0]}
	var sizeErr, timeErr error
	c.Size, sizeErr = strconv.ParseInt(lines[1], 10, 64)
	root, rootErr := base64.StdEncoding.DecodeString(lines[2])
	copy(c.Root[:], root)
	c.At, timeErr = time.Parse("time "+time.RFC3339, lines[3])
	if errors.Join(sizeErr, rootErr, timeErr) != nil || c.Size < 1 || c.text() != text {
		return Checkpoint{}, errors.New("it is no checkpoint")
	}
	return c, nil
}

// OpenCheckpoint reads a signed note, whose signature must be of one of the keys.
func OpenCheckpoint(text []byte, keys ...note.Verifier) (Checkpoint, error) {
	n, err := note.Open(text, note.VerifierList(keys...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("its signature is of no key that was given: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	c.Key = n.Sigs[0].Hash
	return c, err
}

// ReadCheckpoints reads a file of signed checkpoints, each followed by an empty
// line. They must all be of one log, of the keys, and grow.
func ReadCheckpoints(r io.Reader, keys ...note.Verifier) ([]Checkpoint, error) {
	var all []Checkpoint
	lines := bufio.NewScanner(r)
	for {
		text, more := nextNote(lines)
		if text == "" && !more {
			break
		}
		c, err := OpenCheckpoint([]byte(text), keys...)
		n := len(all)
		switch {
		case err != nil:
			return nil, fmt.Errorf("checkpoint %d of the file: %w", n+1, err)
		case n == 0:
		case c.Origin != all[0].Origin:
			return nil, fmt.Errorf("checkpoint %d of the file is of another log", n+1)
		case c.Size <= all[n-1].Size || c.At.Before(all[n-1].At):
			return nil, fmt.Errorf("checkpoint %d of the file (size %d) is not after the one before it", n+1, c.Size)
		}
		all = append(all, c)
	}
	if len(all) == 0 && lines.Err() == nil {
		return nil, errors.New("there is no checkpoint in the file")
	}
	return all, lines.Err()
}

// keyOf is the hash of the key that a note says it is signed with, unproved.
func keyOf(text string) uint32 {
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open([]byte(text), note.VerifierList()); errors.As(err, &unverified) && len(unverified.Note.UnverifiedSigs) > 0 {
		return unverified.Note.UnverifiedSigs[0].Hash
	}
	return 0
}

// nextNote is the text of the next note: up to the empty line after its
// signatures. The first empty line is the one before them.
func nextNote(lines *bufio.Scanner) (string, bool) {
	var b strings.Builder
	signed := false
	for lines.Scan() {
		line := lines.Text()
		if line == "" && signed {
			return b.String(), true
		}
		signed = signed || strings.HasPrefix(line, "— ")
		b.WriteString(line + "\n")
	}
	return b.String(), false
}
