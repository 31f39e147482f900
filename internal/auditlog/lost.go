package auditlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/overread/overread/internal/pg"
)

// What was signed and is no longer there, an operator says in the log itself: that
// the database was restored, or that the file of checkpoints is gone.

// LostMark names a checkpoint in the AuditEvent that says that something was lost:
// the last one that was, or where only the file is gone the last one that the
// database has.
func LostMark(c Checkpoint) string { return fmt.Sprintf("%d %s", c.Size, c.Root) }

// The subtypes of events that tell a loss, and the system of the identifiers in them,
// each a LostMark.
const (
	RestoredCode = "audit-log-restored"     // the log lost what was signed up to the mark
	FileLostCode = "audit-checkpoints-lost" // the file of checkpoints outside the database is gone
	LostSystem   = "https://overread.org/fhir/sid/checkpoint"
)

// tells are the losses that an event tells, nil for every other event.
func tells(event []byte) []Told {
	if !bytes.Contains(event, []byte(`"`+RestoredCode+`"`)) && !bytes.Contains(event, []byte(`"`+FileLostCode+`"`)) {
		return nil
	}
	type coding struct{ System, Code string }
	var e struct {
		Subtype []coding
		Entity  []struct {
			What struct {
				Identifier struct{ System, Value string }
			}
		}
	}
	if json.Unmarshal(event, &e) != nil {
		return nil
	}
	var all []Told
	for _, code := range []string{RestoredCode, FileLostCode} {
		if !slices.Contains(e.Subtype, coding{EraseSystem, code}) {
			continue
		}
		for _, entity := range e.Entity {
			if entity.What.Identifier.System == LostSystem {
				all = append(all, Told{Code: code, Mark: entity.What.Identifier.Value})
			}
		}
	}
	return all
}

// Inside is the last checkpoint that the database has of a log, whose size is 0 where
// there is none. It returns a *ForkedError where the log does not begin with it.
func Inside(ctx context.Context, db *pg.DB, tenant uuid.UUID) (c Checkpoint, err error) {
	err = db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		if c, err = lastTx(ctx, tx, tenant); err != nil {
			return err
		}
		return holdsTx(ctx, tx, tenant, c, keptInDatabase)
	})
	return c, err
}

// AlteredError says that a file of checkpoints is not as it was signed.
type AlteredError struct {
	Path string
	Why  error
}

func (e *AlteredError) Error() string {
	return fmt.Sprintf("%s was altered, or signed with a key that was not given: %v", e.Path, e.Why)
}

// SignedOutside reads the file of a log and returns its last note. All of its notes
// must be signed with one of the keys; it returns an *AlteredError where one is not.
// What a dying process left of another note at the end is passed over.
func SignedOutside(dir string, tenant uuid.UUID, keys ...note.Verifier) (Checkpoint, error) {
	file, err := openLocked(dir, tenant, os.O_RDONLY, syscall.LOCK_SH)
	if err != nil {
		return Checkpoint{}, err
	}
	defer file.Close()
	_, end, err := tailOf(file)
	var all []Checkpoint
	if err == nil {
		all, err = ReadCheckpoints(io.NewSectionReader(file, 0, end), keys...)
	}
	if err == nil && all[0].Origin != Origin(tenant) {
		err = errors.New("it is of another log")
	}
	if err != nil {
		return Checkpoint{}, &AlteredError{file.Name(), err}
	}
	return all[len(all)-1], nil
}

// SetAside gives the file of a log that was restored another name, which it
// returns: the file proves what was lost, and a new one begins. The note that it
// ends with is the one that the caller has recorded as lost.
func SetAside(dir string, tenant uuid.UUID, lost Checkpoint, now time.Time) (string, error) {
	file, err := openLocked(dir, tenant, os.O_RDONLY, syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer file.Close()
	last, _, err := tailOf(file)
	if err != nil {
		return "", err
	}
	if last.Size != lost.Size || last.Root != lost.Root {
		return "", errors.New("the file of checkpoints was changed meanwhile: try again")
	}
	aside := filepath.Join(dir, fmt.Sprintf("%s%d-%s%s", asidePrefix(tenant), lost.Size, now.UTC().Format(asideTime), checkpointSuffix))
	if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(fmt.Errorf("%s is there already", aside), err)
	}
	return aside, os.Rename(file.Name(), aside)
}

// asidePrefix begins the names of the files of a log that were put aside; size, time
// and suffix follow.
func asidePrefix(tenant uuid.UUID) string { return tenant.String() + ".lost-" }

const asideTime = "20060102T150405Z"

// toldTx tells whether an operator has said that what this process remembers was
// lost: it is in a file that was put aside, and an event that has its place in the
// log names the last note of that file. So a server need not be started again after
// a restore, and who has only the database, or only the directory, cannot make it
// forget.
func toldTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, dir string, known Checkpoint) (bool, error) {
	paths, err := filepath.Glob(filepath.Join(dir, asidePrefix(tenant)+"*"+checkpointSuffix))
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		_, stamp, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), asidePrefix(tenant)), "-")
		at, err := time.Parse(asideTime, strings.TrimSuffix(stamp, checkpointSuffix))
		if err != nil {
			continue // it was not put aside by us
		}
		lost, has, err := lastWith(path, known)
		if err != nil {
			return false, err
		}
		if !has {
			continue
		}
		if told, err := recordedTx(ctx, tx, tenant, LostMark(lost), at); err != nil || told {
			return told, err
		}
	}
	return false, nil
}

// lastWith is the last note of a file, and whether a checkpoint is in the file.
func lastWith(path string, c Checkpoint) (last Checkpoint, has bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return last, false, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for more := true; more; {
		var text string
		text, more = nextNote(lines)
		var unverified *note.UnverifiedNoteError
		if _, err := note.Open([]byte(text), note.VerifierList()); !errors.As(err, &unverified) {
			continue
		}
		if read, err := parseCheckpoint(unverified.Note.Text); err == nil {
			last, has = read, has || read.Size == c.Size && read.Root == c.Root
		}
	}
	return last, has, lines.Err()
}

// toldWithin is how far the clocks of who put a file aside and of who wrote the event
// may be apart.
const toldWithin = time.Hour

// recordedTx tells whether an event of about this time, which has its place in the
// log, says that what is up to the mark was lost. Ids of events begin with their time
// (RFC 9562, version 7).
func recordedTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, mark string, at time.Time) (bool, error) {
	rows, err := tx.Query(ctx, `
		SELECT e.body
		FROM audit_event e
		JOIN audit_leaf l USING (tenant_id, audit_id)
		WHERE e.tenant_id = @tenant AND e.audit_id BETWEEN @from AND @to
		  AND position(convert_to(@code, 'UTF8') IN e.body) > 0`,
		pgx.NamedArgs{"tenant": tenant, "from": firstOf(at.Add(-toldWithin)), "to": firstOf(at.Add(toldWithin)), "code": RestoredCode})
	if err != nil {
		return false, err
	}
	bodies, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	return slices.ContainsFunc(bodies, func(body []byte) bool {
		return slices.Contains(tells(body), Told{Code: RestoredCode, Mark: mark})
	}), err
}

// firstOf is before all ids that were made at a time (after 1970) or later.
func firstOf(at time.Time) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16)
	return id
}
