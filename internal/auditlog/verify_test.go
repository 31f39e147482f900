package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// sample is an event as the server writes one, with a salt of its own.
func sample(i int64) Record {
	id := uuid.NewSHA1(uuid.Nil, binary.BigEndian.AppendUint64(nil, uint64(i))).String()
	salt := sha256.Sum256([]byte(id))
	query := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "GET /fhir/Patient?name=M%%C3%%BCller%d", i))
	event := fmt.Appendf(nil, `{"resourceType":"AuditEvent","id":%q,"meta":{"versionId":"1","lastUpdated":"2026-11-25T10:00:00.000Z","profile":["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery"]},`+
		`"type":{"system":"http://terminology.hl7.org/CodeSystem/audit-event-type","code":"rest","display":"RESTful Operation"},"subtype":[{"system":"http://hl7.org/fhir/restful-interaction","code":"search-type"}],`+
		`"action":"E","recorded":"2026-11-25T10:00:00.000Z","outcome":"0","agent":[{"type":{"coding":[{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"110153","display":"Source Role ID"}]},`+
		`"who":{"identifier":{"system":"https://overread.org/fhir/sid/actor","value":"0193-%d"},"display":"the \u0065hr"},"requestor":false}],"source":{"site":"https://overread.example/fhir","observer":{"display":"Overread"}},`+
		`"entity":[{"type":{"code":"2"},"role":{"code":"24"},"query":%q},{"what":{"reference":"Patient/p%d"},"type":{"code":"1"},"role":{"code":"1"}},{"what":{"identifier":{"value":"request-%d"}}}]}`, id, i%7, query, i%50, i)
	r := Record{Index: i, Salt: salt[:], Event: event}
	r.Leaf, _ = r.LeafHash()
	return r
}

// logOf is a log with a checkpoint after every so many events and one at its end.
func logOf(size, each int64) ([]Record, []Checkpoint) {
	var records []Record
	var tree peaks
	var checkpoints []Checkpoint
	for i := range size {
		records = append(records, sample(i))
		tree.add(records[i].Leaf)
		if tree.size%each == 0 || tree.size == size {
			checkpoints = append(checkpoints, Checkpoint{Origin: Origin(Installation), Size: tree.size, Root: tree.root(), At: time.Unix(1_790_000_000+i, 0).UTC()})
		}
	}
	return records, checkpoints
}

func exportOf(records []Record) []byte {
	text := AppendHeader(nil, Origin(Installation), int64(len(records)))
	for _, r := range records {
		text = AppendRecord(text, r)
	}
	return text
}

func TestALogThatNobodyTouchedIsProved(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 2, 3, 7, 8, 100, 257} {
		records, checkpoints := logOf(size, 10)
		proof, err := Verify(bytes.NewReader(exportOf(records)), checkpoints, false)
		if err != nil || proof.Size != size || proof.Erased != 0 {
			t.Errorf("%d events: %+v %v", size, proof, err)
		}
	}
}

// tamperings are ways to change an export. Each knows the format: where it can, it
// makes everything else fit.
var tamperings = map[string]func(r *rand.Rand, records []Record) []byte{
	"a byte": func(r *rand.Rand, records []Record) []byte {
		text := exportOf(records)
		at := r.IntN(len(text))
		text[at] ^= byte(1 + r.IntN(255))
		return text
	},
	"a byte of an event, with the leaf made to fit": func(r *rand.Rand, records []Record) []byte {
		i := r.IntN(len(records))
		at := r.IntN(len(records[i].Event))
		records[i].Event[at] ^= byte(1 + r.IntN(255))
		return exportOf(refit(records))
	},
	"a salt, with the leaf made to fit": func(r *rand.Rand, records []Record) []byte {
		records[r.IntN(len(records))].Salt[r.IntN(SaltSize)] ^= 1
		return exportOf(refit(records))
	},
	"an event is removed": func(r *rand.Rand, records []Record) []byte {
		i := r.IntN(len(records))
		return exportOf(refit(slices.Delete(records, i, i+1)))
	},
	"the end is cut off": func(r *rand.Rand, records []Record) []byte {
		return exportOf(records[:r.IntN(len(records))])
	},
	"the file is cut off": func(r *rand.Rand, records []Record) []byte {
		text := exportOf(records)
		return text[:r.IntN(len(text))]
	},
	"an event is inserted": func(r *rand.Rand, records []Record) []byte {
		return exportOf(refit(slices.Insert(records, r.IntN(len(records)+1), sample(int64(1_000_000+r.IntN(1000))))))
	},
	"an event comes twice": func(r *rand.Rand, records []Record) []byte {
		i := r.IntN(len(records))
		return exportOf(refit(slices.Insert(records, i, records[i])))
	},
	"two events change places": func(r *rand.Rand, records []Record) []byte {
		i := r.IntN(len(records) - 1)
		j := i + 1 + r.IntN(len(records)-i-1)
		records[i], records[j] = records[j], records[i]
		return exportOf(refit(records))
	},
	"details are taken out, and no erasure says so": func(r *rand.Rand, records []Record) []byte {
		i := r.IntN(len(records))
		records[i].Event, _ = Canonical(records[i].Event, records[i].Salt)
		records[i].Salt = nil
		return exportOf(records)
	},
	"details are taken out, and an erasure that was not in the log says so": func(r *rand.Rand, records []Record) []byte {
		i := r.IntN(len(records))
		records[i].Event, _ = Canonical(records[i].Event, records[i].Salt)
		records[i].Salt = nil
		return exportOf(refit(append(records, erasureOf(int64(len(records)), records[i]))))
	},
	"another event is put in its place": func(r *rand.Rand, records []Record) []byte {
		records[r.IntN(len(records))] = sample(int64(1_000_000 + r.IntN(1000)))
		return exportOf(refit(records))
	},
}

// refit gives the records the indexes and leaves that they should have.
func refit(records []Record) []Record {
	for i := range records {
		records[i].Index = int64(i)
		records[i].Leaf, _ = records[i].LeafHash()
	}
	return records
}

func erasureOf(index int64, of ...Record) Record {
	var entities []string
	for _, r := range of {
		entities = append(entities, `{"what":{"reference":"AuditEvent/`+string(eventID.FindSubmatch(r.Event)[1])+`"}}`)
	}
	r := sample(index)
	r.Event = []byte(`{"resourceType":"AuditEvent","id":"` + uuid.NewString() + `","subtype":[{"system":"` + EraseSystem + `","code":"erase"}],"entity":[` + strings.Join(entities, ",") + `]}`)
	r.Leaf, _ = r.LeafHash()
	return r
}

func TestAThousandTamperingsOfAnExportAreFound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	records, checkpoints := logOf(60, 7)
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range tamperings {
			if !yield(name) {
				return
			}
		}
	})
	for n := range 1200 {
		name := names[n%len(names)]
		text := tamperings[name](r, copied(records))
		if bytes.Equal(text, exportOf(records)) {
			t.Fatalf("%s changed nothing", name)
		}
		proof, err := Verify(bytes.NewReader(text), checkpoints, false)
		if _, ok := errors.AsType[*Broken](err); !ok {
			t.Errorf("%s was not found: %+v %v", name, proof, err)
		}
	}
}

func copied(records []Record) []Record {
	all := make([]Record, len(records))
	for i, r := range records {
		all[i] = Record{r.Index, bytes.Clone(r.Salt), r.Leaf, bytes.Clone(r.Event)}
	}
	return all
}

func TestTheFirstWrongIndexIsNamed(t *testing.T) {
	t.Parallel()
	records, checkpoints := logOf(60, 10)
	changed := copied(records)
	changed[33].Event = bytes.Replace(changed[33].Event, []byte("Overread"), []byte("Overroad"), 1)
	var broken *Broken
	if _, err := Verify(bytes.NewReader(exportOf(changed)), checkpoints, false); !errors.As(err, &broken) || broken.First != 33 || broken.Last != 33 {
		t.Errorf("changed: %v", err)
	}
	if _, err := Verify(bytes.NewReader(exportOf(refit(changed))), checkpoints, false); !errors.As(err, &broken) || broken.First != 30 || broken.Last != 39 {
		t.Errorf("changed, with its leaf: %v", err)
	}
	if _, err := Verify(bytes.NewReader(exportOf(records[:45])), checkpoints, false); !errors.As(err, &broken) || broken.First != 45 {
		t.Errorf("cut off: %v", err)
	}
	if _, err := Verify(bytes.NewReader(exportOf(records)), checkpoints[:3], false); !errors.As(err, &broken) || broken.First != 30 {
		t.Errorf("newer than the checkpoints: %v", err)
	}
	proof, err := Verify(bytes.NewReader(exportOf(records)), checkpoints[:3], true)
	if err != nil || proof.Size != 30 || proof.Newer != 30 {
		t.Errorf("newer than the checkpoints, and that is allowed: %+v %v", proof, err)
	}
}

func TestErasedDetailsLeaveTheProofWhole(t *testing.T) {
	t.Parallel()
	records, _ := logOf(20, 7)
	records = append(records, erasureOf(20, records[3], records[11]))
	var tree peaks
	for _, r := range records {
		tree.add(r.Leaf)
	}
	signed := []Checkpoint{{Origin: Origin(Installation), Size: tree.size, Root: tree.root(), At: time.Unix(1_790_000_000, 0).UTC()}}
	for _, i := range []int{3, 11} {
		records[i].Event, _ = Canonical(records[i].Event, records[i].Salt)
		records[i].Salt = nil
		for _, detail := range []string{"Patient/p", "UGF0aWVud", "request-", base64.StdEncoding.EncodeToString([]byte("GET /fhir"))[:8]} {
			if bytes.Contains(records[i].Event, []byte(detail)) {
				t.Errorf("%s is still in %s", detail, records[i].Event)
			}
		}
	}
	proof, err := Verify(bytes.NewReader(exportOf(records)), signed, false)
	if err != nil || proof.Erased != 2 || proof.Size != 21 {
		t.Errorf("%+v %v", proof, err)
	}
}

// Whoever can write to the database can put an erasure after the last checkpoint.
// Nobody signed it, so it excuses nothing, even where newer events are allowed.
func TestAnErasureThatNobodySignedExcusesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(records []Record) []Record{
		"after the last checkpoint": func(records []Record) []Record {
			return append(records, erasureOf(20, records[3]))
		},
		"with the code of another system": func(records []Record) []Record {
			fake := erasureOf(20, records[3])
			fake.Event = bytes.Replace(fake.Event, []byte(EraseSystem), []byte("https://elsewhere.example"), 1)
			return refit(append(records, fake))
		},
	} {
		records, signed := logOf(20, 7)
		records = change(records)
		records[3].Event, _ = Canonical(records[3].Event, records[3].Salt)
		records[3].Salt = nil
		var wrong *Broken
		if proof, err := Verify(bytes.NewReader(exportOf(records)), signed, true); !errors.As(err, &wrong) || wrong.First != 3 {
			t.Errorf("%s: %+v %v", name, proof, err)
		}
	}
}

// The example of docs/audit.md, for those who write a verifier of their own.
func TestTheExampleOfTheDocumentationIsRight(t *testing.T) {
	t.Parallel()
	salt := make([]byte, SaltSize)
	for i := range salt {
		salt[i] = byte(i)
	}
	event := `{"resourceType":"AuditEvent","id":"1","entity":[{"what":{"reference":"Patient/1"},"role":{"code":"1"}},{"what":{"reference":"AuditEvent/2"}}]}`
	canonical, err := Canonical([]byte(event), salt)
	want := `{"resourceType":"AuditEvent","id":"1","entity":[{"what":{"reference":"hmac-sha256:g64S-y0YRiOVqSG-YQKbVCNc_ftnSIgUaL--YJLpEIo"},"role":{"code":"1"}},{"what":{"reference":"AuditEvent/2"}}]}`
	leaf := tlog.RecordHash(canonical)
	if err != nil || string(canonical) != want || hex.EncodeToString(leaf[:]) != "e8f6b4e22b8d08a81a72508ccfa3abf4f75948658c28c51588c78692cbf76b2b" {
		t.Errorf("%s\n%x %v", canonical, leaf[:], err)
	}
}

func TestOurTreeIsTheOneOfTlog(t *testing.T) {
	t.Parallel()
	var tree peaks
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, i := range indexes {
			found = append(found, stored[i])
		}
		return found, nil
	})
	for n := range int64(200) {
		leaf := sample(n).Leaf
		more, err := tlog.StoredHashesForRecordHash(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		tree.add(leaf)
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil || want != tree.root() {
			t.Fatalf("size %d: %v", n+1, err)
		}
	}
}

// Who takes the checkpoints of another hospital is told that, and not that something was altered.
func TestCheckpointsOfAnotherLogAreNoTampering(t *testing.T) {
	t.Parallel()
	records, checkpoints := logOf(30, 10)
	for i := range checkpoints {
		checkpoints[i].Origin = Origin(uuid.Max)
	}
	var other *OtherLogError
	if _, err := Verify(bytes.NewReader(exportOf(records)), checkpoints, false); !errors.As(err, &other) || other.Export != Origin(Installation) || other.Checkpoints != Origin(uuid.Max) {
		t.Errorf("%v", err)
	}
	var broken *Broken
	bare := bytes.SplitN(exportOf(records), []byte("\n"), 2)[1]
	if _, err := Verify(bytes.NewReader(bare), checkpoints, false); !errors.As(err, &broken) { // its first line says nothing
		t.Errorf("%v", err)
	}
}

func TestCheckpointsMustBeSignedByTheKeyAndGrow(t *testing.T) {
	t.Parallel()
	private, public, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := note.NewSigner(private)
	key, _ := note.NewVerifier(public)
	other, _, _ := NewKey()
	stranger, _ := note.NewSigner(other)
	_, all := logOf(30, 10)
	file := func(by note.Signer, list ...Checkpoint) string {
		var b strings.Builder
		for _, c := range list {
			text, err := c.Sign(by)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
			b.WriteByte('\n')
		}
		return b.String()
	}
	good := file(signer, all...)
	got, err := ReadCheckpoints(strings.NewReader(good), key)
	for i := range got {
		got[i].Key = 0
	}
	if err != nil || !slices.Equal(got, all) {
		t.Fatalf("%v %v", got, err)
	}
	foreign := all[1]
	foreign.Origin = Origin(uuid.Max)
	for name, text := range map[string]string{
		"none":            "",
		"another key":     file(stranger, all...),
		"another root":    strings.Replace(good, base64.StdEncoding.EncodeToString(all[1].Root[:]), base64.StdEncoding.EncodeToString(all[2].Root[:]), 1),
		"another size":    strings.Replace(good, "\n20\n", "\n21\n", 1),
		"another time":    strings.Replace(good, "time 2026", "time 2025", 1),
		"a wrong order":   file(signer, all[1], all[0]),
		"another log":     file(signer, all[0], foreign),
		"cut off":         good[:len(good)-20],
		"something added": good + "hello\n",
	} {
		if _, err := ReadCheckpoints(strings.NewReader(text), key); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for end := range len(good) { // a process dies while it writes
		last, whole := lastWhole(good[:end])
		if want := int64(strings.Count(good[:whole], "time ")) * 10; last.Size != want || !strings.HasPrefix(good, good[:whole]) || whole > end {
			t.Fatalf("cut at %d: size %d up to %d, want %d", end, last.Size, whole, want)
		}
	}
}

// BenchmarkVerify proves a log of 1,000,000 events, with a checkpoint for each
// 1,000, that is made while it is read: what is held is what a proof needs.
func BenchmarkVerify(b *testing.B) {
	const size, each = 1_000_000, 1000
	var tree peaks
	var checkpoints []Checkpoint
	var bytesIn int64
	for i := range int64(size) {
		r := sample(i)
		tree.add(r.Leaf)
		if tree.size%each == 0 {
			checkpoints = append(checkpoints, Checkpoint{Origin: Origin(Installation), Size: tree.size, Root: tree.root(), At: time.Unix(1_790_000_000+i, 0).UTC()})
		}
	}
	for b.Loop() {
		reader, writer := io.Pipe()
		var making time.Duration
		go func() {
			text := AppendHeader(nil, Origin(Installation), size)
			for from := int64(0); from < size; from += each {
				began := time.Now()
				for i := from; i < from+each; i++ {
					text = AppendRecord(text, sample(i))
				}
				making += time.Since(began)
				bytesIn += int64(len(text))
				_, _ = writer.Write(text)
				text = text[:0]
			}
			writer.Close()
		}()
		proof, err := Verify(reader, checkpoints, false)
		if err != nil || proof.Size != size {
			b.Fatal(proof, err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapSys)/1e6, "heap-MB")
		b.ReportMetric(float64(bytesIn)/size, "B/event")
		b.ReportMetric(making.Seconds(), "s-making")
	}
}
