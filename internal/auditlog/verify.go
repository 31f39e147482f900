package auditlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Proof is what was proved of an export.
type Proof struct {
	Origin      string
	Size        int64 // events
	Checkpoints int
	Last        time.Time // of the last checkpoint
	Erased      int64     // events without their details, each named by an erasure
	Newer       int64     // events after the last checkpoint, of which nothing is proved
}

// Broken says where an export is not what the checkpoints say.
type Broken struct { //nolint:errname // auditlog.Broken says it
	First, Last int64 // the first index that is wrong is one of these
	Why         string
}

func (b *Broken) Error() string {
	if b.First == b.Last {
		return fmt.Sprintf("index %d is wrong: %s", b.First, b.Why)
	}
	return fmt.Sprintf("index %d, or one after it up to %d, is wrong: %s", b.First, b.Last, b.Why)
}

// Verify proves that the export is the log of the checkpoints: nothing changed,
// removed, inserted, reordered or cut off. It returns a *Broken where it is not.
// Events after the last checkpoint are wrong unless newer allows them. It holds
// one line, the roots of subtrees, and the ids of erased events.
func Verify(export io.Reader, checkpoints []Checkpoint, newer bool) (Proof, error) {
	v := verifier{checkpoints: checkpoints, newer: newer, erased: map[string]int64{}}
	lines := bufio.NewReaderSize(export, 1<<20)
	header, err := lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return v.proof, err
	}
	v.proof = Proof{Origin: checkpoints[0].Origin, Checkpoints: len(checkpoints), Last: checkpoints[len(checkpoints)-1].At}
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := v.take(line); err != nil {
				return v.proof, err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return v.proof, err
		}
	}
	if !bytes.Equal(header, AppendHeader(nil, v.proof.Origin, v.tree.size)) {
		return v.proof, &Broken{0, v.tree.size, "the first line of the export is not that of this log with as many events as follow"}
	}
	return v.proof, v.end()
}

type verifier struct {
	checkpoints []Checkpoint
	next        int // the checkpoint that comes next
	newer       bool
	tree        peaks
	erased      map[string]int64 // events without salt, by id, that no erasure has named yet
	proof       Proof
}

func (v *verifier) take(line []byte) error {
	at := v.tree.size
	covered := v.next < len(v.checkpoints)
	if !covered {
		if !v.newer {
			return &Broken{at, at, "no checkpoint covers it"}
		}
		v.proof.Newer++
	}
	r, err := parseRecord(line)
	if err == nil && r.Index != at {
		err = fmt.Errorf("the export says it is %d", r.Index)
	}
	if err != nil {
		return &Broken{at, at, err.Error()}
	}
	leaf, err := r.LeafHash()
	if err == nil && leaf != r.Leaf {
		err = errors.New("the event is not the one of its leaf")
	}
	if err != nil {
		return &Broken{at, at, err.Error()}
	}
	if covered { // an erasure that nobody signed excuses nothing
		v.note(r)
	}
	v.tree.add(leaf)
	if v.next < len(v.checkpoints) && v.checkpoints[v.next].Size == v.tree.size {
		return v.check()
	}
	return nil
}

var eventID = regexp.MustCompile(`"id":"([0-9a-f-]{36})"`)

// note keeps account of erasures, which come after what was erased.
func (v *verifier) note(r Record) {
	if len(r.Salt) == 0 {
		id := "" // then nothing can name it
		if found := eventID.FindSubmatch(r.Event); found != nil {
			id = string(found[1])
		}
		if first, known := v.erased[id]; !known || first > r.Index {
			v.erased[id] = r.Index
		}
		v.proof.Erased++
	}
	for _, id := range erasures(r.Event) {
		delete(v.erased, id)
	}
}

// check compares the root with the checkpoint of this size.
func (v *verifier) check() error {
	if v.tree.root() != v.checkpoints[v.next].Root {
		return v.since("the events up to here do not have the root that was signed")
	}
	v.proof.Size = v.tree.size
	v.next++
	return nil
}

// since is that something is wrong after the last checkpoint that was met.
func (v *verifier) since(why string) error {
	return &Broken{v.proof.Size, max(v.tree.size-1, v.proof.Size), why}
}

func (v *verifier) end() error {
	if v.next < len(v.checkpoints) {
		return &Broken{v.tree.size, v.tree.size, fmt.Sprintf("the export ends here, and a checkpoint says that there were %d events", v.checkpoints[len(v.checkpoints)-1].Size)}
	}
	first := int64(-1)
	for _, index := range v.erased {
		if first < 0 || index < first {
			first = index
		}
	}
	if first >= 0 {
		return &Broken{first, first, "its details are gone, and no erasure in the log names it (one of the last minute is not sealed yet: then export again)"}
	}
	return nil
}
