package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/overread/overread/internal/auditlog"
)

type auditVerifyCmd struct {
	Export string        `name:"export" required:"" type:"existingfile" placeholder:"FILE" help:"What overread audit export wrote."`
	Notes  []string      `name:"checkpoints" required:"" sep:"none" type:"existingfile" placeholder:"FILE" help:"The checkpoints: best those of OVERREAD_AUDIT_CHECKPOINTS, kept where nobody of the database can write. After it, give it again for each file that overread audit restored put aside."`
	Key    []string      `name:"key" required:"" sep:"none" placeholder:"KEY" help:"The public key, or a file that holds it, or several, one a line. Give it again for each key that the log was signed with."`
	Newer  bool          `name:"allow-newer" help:"The export may have events after the last checkpoint; nothing is proved of them."`
	Known  []int64       `name:"acknowledge" placeholder:"INDEX" help:"The event with this index tells a loss that no file is left to show, and that is known to whoever verifies."`
	Recent time.Duration `name:"not-older-than" placeholder:"5m" help:"Fail where the last checkpoint is older than this: what came after it may have been cut off with it."`
}

func (c auditVerifyCmd) Run(t terminal) error {
	keys, err := publicKeys(c.Key)
	if err != nil {
		return err
	}
	checkpoints, before, err := c.checkpoints(keys)
	if err != nil {
		return err
	}
	export, err := os.Open(c.Export)
	if err != nil {
		return err
	}
	defer export.Close()
	proof, err := auditlog.Verify(export, checkpoints, c.Newer, before...)
	if other, ok := errors.AsType[*auditlog.OtherLogError](err); ok {
		return fmt.Errorf("%w. Give the file of checkpoints that has the id of the export's log in its name", other)
	}
	if err != nil {
		return fmt.Errorf("the export is NOT what was signed: %w", err)
	}
	if age := time.Since(proof.Last); c.Recent > 0 && age > c.Recent {
		return fmt.Errorf("the last checkpoint is of %s, %s ago: what was recorded since is not proved, and may have been cut off", proof.Last.Format(time.RFC3339), age.Round(time.Second))
	}
	unshown := c.unshown(proof.Told)
	printProof(t, proof, len(unshown) > 0)
	if len(unshown) > 0 {
		return &unshownError{unshown}
	}
	return nil
}

// unshown are the indexes of events that tell a loss which no file shows, and which
// was not acknowledged.
func (c auditVerifyCmd) unshown(told []auditlog.Told) []int64 {
	var indexes []int64
	for _, l := range told {
		if !l.Proved && !slices.Contains(c.Known, l.Index) {
			indexes = append(indexes, l.Index)
		}
	}
	return slices.Compact(indexes)
}

// unshownError says that the log is as it was signed, and tells losses that nothing
// shows.
type unshownError struct{ indexes []int64 }

func (e *unshownError) Error() string {
	return fmt.Sprintf("the log tells that what had been signed was lost (index %s): give the files that overread audit restored put aside, with --checkpoints; where there is none, and it is known, --acknowledge that index", strings.Trim(fmt.Sprint(e.indexes), "[]"))
}

// exitIncomplete tells such a log from one that is not what was signed.
const exitIncomplete = 3

// checkpoints are those of the first file, which goes on, and those of files that
// were put aside.
func (c auditVerifyCmd) checkpoints(keys []note.Verifier) (last []auditlog.Checkpoint, before [][]auditlog.Checkpoint, err error) {
	for _, path := range c.Notes {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		read, err := auditlog.ReadCheckpoints(file, keys...)
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, nil, fmt.Errorf("--checkpoints %s: %w", path, err)
		}
		before = append(before, read)
	}
	return before[0], before[1:], nil
}

// publicKeys reads keys, each given itself or in a file.
func publicKeys(given []string) ([]note.Verifier, error) {
	var keys []note.Verifier
	for _, text := range given {
		if file, err := os.ReadFile(text); err == nil {
			text = string(file)
		}
		for line := range strings.FieldsSeq(text) {
			key, err := note.NewVerifier(line)
			if err != nil {
				return nil, errors.New("--key: this is no public key; overread audit key writes one to FILE.pub")
			}
			known := func(k note.Verifier) bool { return k.Name() == key.Name() && k.KeyHash() == key.KeyHash() }
			if !slices.ContainsFunc(keys, known) { // one that is given twice would be ambiguous
				keys = append(keys, key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("--key: there is no key in it")
	}
	return keys, nil
}

func printProof(t terminal, proof auditlog.Proof, unshown bool) {
	if unshown {
		t.printf("INCOMPLETE: the %d AuditEvents of %s are as the given checkpoints say, and tell themselves that more had been signed\n", proof.Size, proof.Origin)
	} else {
		t.printf("proved: the %d AuditEvents of %s are those that were signed, in their order, none changed, removed or added\n", proof.Size, proof.Origin)
	}
	t.printf("by %d checkpoints, the last of %s\n", proof.Checkpoints, proof.Last.Format(time.RFC3339))
	t.printf("of %d of them the details were erased, each named by an erasure in the log\n", proof.Erased)
	for _, k := range proof.Keys {
		t.printf("from the checkpoint of %s (size %d) on they are signed with another key, %08x: see that its owner says so\n", k.At.Format(time.RFC3339), k.Size, k.Key)
	}
	for _, l := range proof.Lost {
		t.printf("LOST in a restore, as the AuditEvent with index %d says: %d AuditEvents had been signed until %s, of which no more than the first %d are proved to be here\n",
			l.Told, l.Signed.Size, l.Signed.At.Format(time.RFC3339), l.Kept)
	}
	for _, l := range proof.Told {
		size, _, _ := strings.Cut(l.Mark, " ")
		switch {
		case l.Code == auditlog.FileLostCode:
			t.printf("LOST FILE: the AuditEvent with index %d says that the file of checkpoints outside the database was gone when the database had one of size %s: whether more had been signed, only copies of that file show\n", l.Index, size)
		case !l.Proved:
			t.printf("LOST: the AuditEvent with index %d says that a restore lost some of the %s AuditEvents that had been signed; no file that was given shows which\n", l.Index, size)
		}
	}
	if proof.Newer > 0 {
		t.printf("not proved: %d events after the last checkpoint\n", proof.Newer)
	}
}
