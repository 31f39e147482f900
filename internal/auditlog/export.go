package auditlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"
)

// Record is one event of a log: a line of an export.
type Record struct {
	Index int64
	Salt  []byte // empty where the details were erased
	Leaf  tlog.Hash
	Event []byte // the AuditEvent, as it is kept; has no line break
}

// LeafHash is the leaf that the event should have.
func (r Record) LeafHash() (tlog.Hash, error) {
	canonical, err := Canonical(r.Event, r.Salt)
	return tlog.RecordHash(canonical), err
}

// AppendHeader appends the first line of an export.
func AppendHeader(b []byte, origin string, size int64) []byte {
	return fmt.Appendf(b, `{"log":%q,"size":%d}`+"\n", origin, size)
}

// AppendRecord appends the line of a record.
func AppendRecord(b []byte, r Record) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, r.Index, 10)
	b = append(b, `,"salt":"`...)
	b = hex.AppendEncode(b, r.Salt)
	b = append(b, `","leaf":"`...)
	b = hex.AppendEncode(b, r.Leaf[:])
	b = append(b, `","event":`...)
	b = append(b, r.Event...)
	return append(b, "}\n"...)
}

// parseRecord reads a line, which must be written exactly as AppendRecord does.
func parseRecord(line []byte) (Record, error) {
	var r Record
	rest, ok := bytes.CutPrefix(line, []byte(`{"index":`))
	index, rest, ok1 := bytes.Cut(rest, []byte(`,"salt":"`))
	salt, rest, ok2 := bytes.Cut(rest, []byte(`","leaf":"`))
	leaf, rest, ok3 := bytes.Cut(rest, []byte(`","event":`))
	event, ok4 := bytes.CutSuffix(rest, []byte("}\n"))
	var err error
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 || len(leaf) != 2*tlog.HashSize || len(salt) != 0 && len(salt) != 2*SaltSize {
		return r, errors.New("it is no line of an export")
	}
	if r.Index, err = strconv.ParseInt(string(index), 10, 64); err != nil {
		return r, errors.New("it has no index")
	}
	r.Salt = make([]byte, len(salt)/2)
	_, saltErr := hex.Decode(r.Salt, salt)
	_, leafErr := hex.Decode(r.Leaf[:], leaf)
	r.Event = event
	if saltErr != nil || leafErr != nil || !bytes.Equal(AppendRecord(nil, r), line) {
		return r, errors.New("it is not written as an export is")
	}
	return r, nil
}

// erasures are the ids of the events whose details an event says were erased,
// nil for every other event. Its subtype is the code "erase" of ours.
func erasures(event []byte) []string {
	if !bytes.Contains(event, []byte(eraseMark)) {
		return nil
	}
	var ids []string
	dec := jsontext.NewDecoder(bytes.NewBuffer(event))
	erase, ours := false, false
	for {
		token, err := dec.ReadToken()
		if err != nil {
			if !errors.Is(err, io.EOF) || !erase || !ours {
				return nil
			}
			return ids
		}
		if token.Kind() != '"' {
			continue
		}
		text := token.String()
		switch pointer := dec.StackPointer(); {
		case pointer == "/subtype/0/system":
			ours = text == EraseSystem
		case pointer == "/subtype/0/code" && text == EraseCode:
			erase = true
		case isReference(string(pointer)) && len(text) > len("AuditEvent/") && text[:len("AuditEvent/")] == "AuditEvent/":
			ids = append(ids, text[len("AuditEvent/"):])
		}
	}
}

// EraseSystem and EraseCode are the subtype of an event that tells an erasure.
const (
	EraseSystem = "https://overread.org/fhir/CodeSystem/audit-subtype"
	EraseCode   = "erase"
	eraseMark   = `"` + EraseCode + `"`
)

func isReference(pointer string) bool {
	return strings.HasPrefix(pointer, "/entity/") && strings.HasSuffix(pointer, "/what/reference")
}
