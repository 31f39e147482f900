package auditlog

import (
	"bufio"
	"bytes"
	"encoding/json"
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
	Lost        []Lost    // what restores of the database lost
	Told        []Told    // what events of the log say of losses
	Keys        []KeyChange
}

// Lost is what was signed and is not in the log, which says that it was lost in a
// restore of the database.
type Lost struct {
	Kept   int64      // events that the log still has, as far as checkpoints tell
	Signed Checkpoint // the last one before the restore
	Told   int64      // index of the event that says so
}

// Told is what an event of the log says of a loss. An operator has written it, so it
// proves a loss only as far as files of checkpoints do.
type Told struct {
	Index  int64
	Code   string // RestoredCode or FileLostCode
	Mark   string // LostMark
	Proved bool   // a file that was given has the checkpoint of the mark: it shows what was lost
}

// KeyChange says that a checkpoint is of another key than the one before it.
type KeyChange struct {
	Size int64
	At   time.Time
	Key  uint32 // its hash, as note signatures have it
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

// OtherLogError says that the export is by its own word of another log than the checkpoints, as where
// somebody has taken the file of another tenant: nothing is proved, and nothing is found wrong.
type OtherLogError struct{ Export, Checkpoints string }

func (o *OtherLogError) Error() string {
	return fmt.Sprintf("the export is of %s, and the checkpoints are of %s: nothing was compared", o.Export, o.Checkpoints)
}

// Verify proves that the export is the log of the checkpoints: nothing changed,
// removed, inserted, reordered or cut off. It returns a *Broken where it is not.
// Events after the last checkpoint are wrong unless newer allows them. It holds
// one line, the roots of subtrees, and the ids of erased events.
//
// Files of before are those that were put aside after a restore (SetAside). The log
// must be as they say too, or have an event that says that the rest was lost.
func Verify(export io.Reader, checkpoints []Checkpoint, newer bool, before ...[]Checkpoint) (Proof, error) {
	v := verifier{checkpoints: checkpoints, newer: newer, erased: map[string]int64{}, told: map[string]int64{}}
	for _, file := range before {
		v.before = append(v.before, &aside{checkpoints: file})
	}
	lines := bufio.NewReaderSize(export, 1<<20)
	header, err := lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return v.proof, err
	}
	v.proof = Proof{Origin: checkpoints[0].Origin, Checkpoints: len(checkpoints), Last: checkpoints[len(checkpoints)-1].At}
	var says struct{ Log string }
	if json.Unmarshal(header, &says) == nil && says.Log != "" && says.Log != v.proof.Origin {
		return v.proof, &OtherLogError{Export: says.Log, Checkpoints: v.proof.Origin}
	}
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
	before      []*aside
	told        map[string]int64 // LostMarks of restores, and the index of the event that has them
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
	told := tells(r.Event)
	for i := range told {
		told[i].Index = r.Index
	}
	v.proof.Told = append(v.proof.Told, told...)
	if covered { // what nobody signed excuses nothing
		v.note(r, told)
	}
	v.tree.add(leaf)
	for _, file := range v.before {
		file.compare(&v.tree)
	}
	if v.next < len(v.checkpoints) && v.checkpoints[v.next].Size == v.tree.size {
		return v.check()
	}
	return nil
}

var eventID = regexp.MustCompile(`"id":"([0-9a-f-]{36})"`)

// note keeps account of erasures, which come after what was erased, and of what is
// told to be lost.
func (v *verifier) note(r Record, told []Told) {
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
	for _, t := range told {
		if t.Code == RestoredCode {
			v.told[t.Mark] = r.Index
		}
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
	if err := v.lost(); err != nil {
		return err
	}
	v.shown()
	for i, c := range v.checkpoints[1:] {
		if c.Key != v.checkpoints[i].Key {
			v.proof.Keys = append(v.proof.Keys, KeyChange{c.Size, c.At, c.Key})
		}
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

// aside is a file of checkpoints that was put aside after a restore.
type aside struct {
	checkpoints []Checkpoint
	next        int
	kept        int64 // the log is as its checkpoint of this size says
}

func (a *aside) compare(tree *peaks) {
	if a.next == len(a.checkpoints) || a.checkpoints[a.next].Size != tree.size {
		return
	}
	if a.checkpoints[a.next].Root == tree.root() {
		a.kept = tree.size
	}
	a.next++
}

// shown marks the losses that a file shows which was put aside. A lost file is shown
// by none: what it had that is not here, nobody knows.
func (v *verifier) shown() {
	marks := map[string]bool{}
	for _, file := range v.before {
		for _, c := range file.checkpoints {
			marks[LostMark(c)] = true
		}
	}
	for i, t := range v.proof.Told {
		v.proof.Told[i].Proved = t.Code == RestoredCode && marks[t.Mark]
	}
}

// lost asks the log about each file that says more than the log has.
func (v *verifier) lost() error {
	for _, file := range v.before {
		last := file.checkpoints[len(file.checkpoints)-1]
		if file.kept == last.Size {
			continue
		}
		index, told := v.told[LostMark(last)]
		if !told || last.Origin != v.proof.Origin || index < file.kept {
			return &Broken{file.kept, max(file.kept, v.tree.size-1), fmt.Sprintf("%d events were signed before, and no event of the log says that they were lost in a restore", last.Size)}
		}
		v.proof.Lost = append(v.proof.Lost, Lost{file.kept, last, index})
	}
	return nil
}
