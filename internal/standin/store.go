package standin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// version is one version of a resource.
type version struct {
	Type, ID string
	No       int
	At       time.Time
	Body     json.RawMessage
}

func (v *version) place() string { return fmt.Sprintf("%s/%s/_history/%d", v.Type, v.ID, v.No) }

// record is a resource with all its versions, and the newest as an object.
type record struct {
	versions []*version
	current  object
}

func (r *record) newest() *version { return r.versions[len(r.versions)-1] }

// change is one write of a request, before and after it is done.
type change struct {
	typ, id  string
	resource object // with id and without meta.versionId, meta.lastUpdated
	result   *version
	changed  bool // false: the resource was like this already, no version was made
}

// store holds the resources. Whoever calls it holds mu.
type store struct {
	mu      sync.Mutex
	records map[string]*record  // by Type/id
	order   []string            // keys of records, oldest first
	tokens  map[string][]string // keys of records by Type, parameter, system and value
	writes  []Write
	nextID  int
	journal *os.File
}

// line is what the journal keeps of a request: all its writes or none.
type line struct {
	At      time.Time  `json:"at"`
	Method  string     `json:"method"`
	Path    string     `json:"path"`
	Changes []lineItem `json:"changes"`
}

type lineItem struct {
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Changed bool            `json:"changed"`
	Body    json.RawMessage `json:"body,omitempty"`
}

func openStore(path string) (*store, error) {
	s := &store{records: map[string]*record{}, tokens: map[string][]string{}, nextID: 10001}
	if path == "" {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := s.replay(f); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, err), f.Close())
	}
	s.journal = f
	return s, nil
}

// replay reads the journal. A last line without its end was never
// acknowledged: it is cut off.
func (s *store) replay(f *os.File) error {
	reader := bufio.NewReader(f)
	var whole int64
	for {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("at byte %d: %w", whole, err)
		}
		if err := s.apply(l); err != nil {
			return fmt.Errorf("at byte %d: %w", whole, err)
		}
		whole += int64(len(text))
	}
	if err := f.Truncate(whole); err != nil {
		return err
	}
	_, err := f.Seek(whole, io.SeekStart)
	return err
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	err := s.journal.Close()
	s.journal = nil
	return err
}

// commit does all the changes of one request: first on disk, then in memory.
func (s *store) commit(method, path string, changes []*change) error {
	l := line{At: time.Now().UTC(), Method: method, Path: path}
	for _, c := range changes {
		item := lineItem{Type: c.typ, ID: c.id, Changed: s.differs(c)}
		if c.changed = item.Changed; c.changed {
			body, err := json.Marshal(c.resource)
			if err != nil {
				return err
			}
			item.Body = body
		}
		l.Changes = append(l.Changes, item)
	}
	if err := s.keep(l); err != nil {
		return err
	}
	if err := s.apply(l); err != nil {
		return err
	}
	for _, c := range changes {
		c.result = s.records[c.typ+"/"+c.id].newest()
	}
	return nil
}

func (s *store) keep(l line) error {
	if s.journal == nil {
		return nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := s.journal.Write(append(text, '\n')); err != nil {
		return err
	}
	return s.journal.Sync()
}

// differs tells whether the change makes a difference to what is here.
func (s *store) differs(c *change) bool {
	have, ok := s.records[c.typ+"/"+c.id]
	if !ok {
		return true
	}
	was, errWas := json.Marshal(withoutVersion(have.current))
	is, errIs := json.Marshal(c.resource)
	return errWas != nil || errIs != nil || !bytes.Equal(was, is)
}

// apply puts a line of the journal into memory.
func (s *store) apply(l line) error {
	for _, item := range l.Changes {
		key := item.Type + "/" + item.ID
		if item.Changed {
			if err := s.put(key, l.At, item); err != nil {
				return err
			}
		}
		have, ok := s.records[key]
		if !ok {
			return fmt.Errorf("%s is not here", key)
		}
		s.writes = append(s.writes, Write{
			Seq: len(s.writes) + 1, At: l.At, Method: l.Method, Path: l.Path, Type: item.Type, ID: item.ID,
			Version: have.newest().No, Changed: item.Changed, Identifiers: identifiers(have.current),
		})
	}
	return nil
}

func (s *store) put(key string, at time.Time, item lineItem) error {
	resource, err := parse(item.Body)
	if err != nil {
		return err
	}
	have, ok := s.records[key]
	if !ok {
		have = &record{}
		s.records[key] = have
		s.order = append(s.order, key)
	}
	v := &version{Type: item.Type, ID: item.ID, No: len(have.versions) + 1, At: at}
	meta, _ := resource["meta"].(object)
	if meta == nil {
		meta = object{}
	}
	meta["versionId"], meta["lastUpdated"] = strconv.Itoa(v.No), at.Format(time.RFC3339Nano)
	resource["meta"] = meta
	if v.Body, err = json.Marshal(resource); err != nil {
		return err
	}
	s.index(key, item.Type, have.current, resource)
	have.versions, have.current = append(have.versions, v), resource
	if n, err := strconv.Atoi(item.ID); err == nil && n >= s.nextID {
		s.nextID = n + 1
	}
	return nil
}

// index keeps the look-up by identifier and tag, which conditional writes need.
func (s *store) index(key, typ string, was, is object) {
	for _, name := range []string{"identifier", "_tag"} {
		for _, token := range tokensOf(was, params[name]) {
			at := typ + " " + name + " " + token
			s.tokens[at] = slices.DeleteFunc(s.tokens[at], func(k string) bool { return k == key })
		}
		for _, token := range tokensOf(is, params[name]) {
			at := typ + " " + name + " " + token
			s.tokens[at] = append(s.tokens[at], key)
		}
	}
}

// newID is the next id of this EHR's own id space.
func (s *store) newID() string {
	s.nextID++
	return strconv.Itoa(s.nextID - 1)
}

// parse reads a JSON object and keeps its numbers as they are written.
func parse(body []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var o object
	if err := decoder.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return o, nil
}

// withoutVersion is the resource without what the server adds to it.
func withoutVersion(resource object) object {
	out := maps.Clone(resource)
	meta := object{}
	if m, ok := out["meta"].(object); ok {
		for name, value := range m {
			if name != "versionId" && name != "lastUpdated" {
				meta[name] = value
			}
		}
	}
	delete(out, "meta")
	if len(meta) > 0 {
		out["meta"] = meta
	}
	return out
}
