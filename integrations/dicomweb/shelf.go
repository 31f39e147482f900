package dicomweb

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// What a PACS has of a study is asked once in a while and kept on a shelf: which
// series and instances there are, and of what class. Every image that is asked for
// must be one of these, so that a PACS that pays no heed to the UIDs before the last
// one gives nothing of anybody else, and who reads blind gets nothing but pictures.

const (
	shelfSize    = 64 // studies
	shelfFresh   = time.Minute
	shelfFailed  = 5 * time.Second // so soon a PACS that did not answer is asked again
	readPatience = 30 * time.Second
	readPage     = 1000 // instances asked for at once
	readMax      = 50_000
)

// stored is a study as a PACS has it.
type stored struct {
	archive workflow.Archive
	uid     string
	told    dataset // what a search says of it
	series  []*storedSeries
	keys    []string // instances that key objects have selected
}

type storedSeries struct {
	uid, modality, part string
	number              int
	told                dataset
	instances           []storedInstance
}

type storedInstance struct {
	uid, class                    string
	number, rows, columns, frames int
}

// seen tells whether somebody may see the instance.
func (s *storedSeries) seen(i storedInstance, veiled bool) bool {
	return !veiled || isPicture(i.class) && !slices.Contains(notes, s.modality)
}

// count is how many instances of it somebody may see.
func (s *storedSeries) count(veiled bool) (n int) {
	for _, i := range s.instances {
		if s.seen(i, veiled) {
			n++
		}
	}
	return n
}

// of is the series, nil where it has none that somebody may see.
func (st *stored) of(series string, veiled bool) *storedSeries {
	for _, s := range st.series {
		if s.uid == series && s.count(veiled) > 0 {
			return s
		}
	}
	return nil
}

func (s *storedSeries) has(instance string, veiled bool) bool {
	return slices.ContainsFunc(s.instances, func(i storedInstance) bool { return i.uid == instance && s.seen(i, veiled) })
}

// shelf keeps what is known of studies, for all who ask.
type shelf struct {
	client *Client
	now    func() time.Time
	mu     sync.Mutex
	kept   map[string]*reading
}

// reading is a study that is being asked about, or that has been.
type reading struct {
	done  chan struct{}
	at    time.Time // it was begun, then ended
	study *stored
	err   error
}

func (r *reading) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// errPending: the PACS has not answered yet. It is still being asked.
var errPending = errors.New("the PACS has not answered yet")

// study is what the PACS of a tenant have of a study. It waits as long as the
// context; the question goes on, and whoever asks next may find the answer.
func (sh *shelf) study(ctx context.Context, v workflow.Viewing, uid string) (*stored, error) {
	parts := []string{v.Tenant.String(), uid}
	for _, a := range v.Archives {
		parts = append(parts, a.BaseURL)
	}
	key := strings.Join(parts, " ")
	sh.mu.Lock()
	r := sh.kept[key]
	if r == nil || r.over() && sh.now().Sub(r.at) > r.fresh() {
		r = &reading{done: make(chan struct{}), at: sh.now()}
		sh.trim()
		sh.kept[key] = r
		go sh.read(context.WithoutCancel(ctx), r, v.Archives, uid)
	}
	sh.mu.Unlock()
	select {
	case <-r.done:
		return r.study, r.err
	default:
	}
	select {
	case <-r.done:
		return r.study, r.err
	case <-ctx.Done():
		return nil, errPending
	}
}

func (r *reading) fresh() time.Duration {
	if r.err != nil {
		return shelfFailed
	}
	return shelfFresh
}

// trim makes room for one more.
func (sh *shelf) trim() {
	for len(sh.kept) >= shelfSize {
		oldest := ""
		for key, r := range sh.kept {
			if oldest == "" || r.at.Before(sh.kept[oldest].at) {
				oldest = key
			}
		}
		delete(sh.kept, oldest) // who waits for it has it all the same
	}
}

func (sh *shelf) read(ctx context.Context, r *reading, archives []workflow.Archive, uid string) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	study, err := sh.ask(ctx, archives, uid)
	sh.mu.Lock()
	r.study, r.err, r.at = study, err, sh.now()
	sh.mu.Unlock()
	close(r.done)
}

// ask asks one PACS after the other until one has the study.
func (sh *shelf) ask(ctx context.Context, archives []workflow.Archive, uid string) (*stored, error) {
	err := error(fault.New(fault.NotFound, "the PACS has no such study"))
	for _, a := range archives {
		if a.Resting {
			err = unavailable(nil)
			continue
		}
		study, failed := sh.client.stored(ctx, a, uid)
		switch {
		case failed != nil:
			err = unavailable(failed)
		case study != nil:
			return study, nil
		}
	}
	return nil, err
}

// unavailable is what a client hears of a PACS that gives no answer. Why, it is told
// in codes of ours (overread doctor --pacs says more).
func unavailable(why error) error {
	code := "resting"
	if t, ok := errors.AsType[*trouble](why); ok {
		code = t.reason
	}
	return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable, Text: "the PACS does not answer (" + code + "); try again in a moment"}}, Cause: why}
}

// stored asks one PACS what it has of a study; nil where it has not got it.
func (c *Client) stored(ctx context.Context, a workflow.Archive, uid string) (*stored, error) {
	query := include(tagModalities, tagStudyInstances, tagDescription)
	query.Set(tagStudyUID, uid)
	found, err := c.search(ctx, a, "/studies", query)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(d dataset) bool { got, err := d.text(tagStudyUID); return err != nil || got != uid })
	if len(found) == 0 {
		return nil, nil
	}
	st := &stored{archive: a, uid: uid, told: found[0]}
	all, err := c.search(ctx, a, "/studies/"+uid+"/series", include(tagModality, tagBodyPart, tagLaterality, tagSeriesDescription))
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		s := &storedSeries{told: d}
		if s.uid, err = d.text(tagSeriesUID); err != nil || !isUID(s.uid) {
			return nil, &trouble{workflow.PACSUnreadable, "dicom-json", http.StatusOK, 0}
		}
		if s.modality, err = d.text(tagModality); err == nil {
			s.part, err = d.text(tagBodyPart)
		}
		if err != nil {
			return nil, &trouble{workflow.PACSUnreadable, "dicom-json", http.StatusOK, 0}
		}
		s.modality = strings.ToUpper(s.modality)
		s.number = d.whole(tagSeriesNumber)
		if !slices.ContainsFunc(st.series, func(t *storedSeries) bool { return t.uid == s.uid }) {
			st.series = append(st.series, s)
		}
	}
	if err := c.storedInstances(ctx, st); err != nil {
		return nil, err
	}
	slices.SortStableFunc(st.series, func(a, b *storedSeries) int { return cmp.Compare(a.number, b.number) })
	for _, s := range st.series {
		slices.SortStableFunc(s.instances, func(a, b storedInstance) int { return cmp.Compare(a.number, b.number) })
	}
	c.readKeys(ctx, st)
	return st, nil
}

// storedInstances reads the instances of a study, page by page.
func (c *Client) storedInstances(ctx context.Context, st *stored) error {
	bySeries, seen := map[string]*storedSeries{}, map[string]bool{}
	for _, s := range st.series {
		bySeries[s.uid] = s
	}
	for offset := 0; offset < readMax; {
		query := include(tagRows, tagColumns, tagFrames, tagClass)
		query.Set("limit", strconv.Itoa(readPage))
		query.Set("offset", strconv.Itoa(offset))
		found, err := c.search(ctx, st.archive, "/studies/"+st.uid+"/instances", query)
		if err != nil {
			return err
		}
		fresh := 0
		for _, d := range found {
			uid, err := d.text(tagInstanceUID)
			if err != nil || !isUID(uid) {
				return &trouble{workflow.PACSUnreadable, "dicom-json", http.StatusOK, 0}
			}
			in, _ := d.text(tagSeriesUID)
			class, _ := d.text(tagClass)
			s := bySeries[in]
			if s == nil || seen[uid] {
				continue
			}
			seen[uid] = true
			fresh++
			s.instances = append(s.instances, storedInstance{uid, class, d.whole(tagInstanceNumber), d.whole(tagRows), d.whole(tagColumns), d.whole(tagFrames)})
		}
		if len(found) < readPage || fresh == 0 {
			return nil
		}
		offset += len(found)
	}
	return &trouble{workflow.PACSUnreadable, "study-too-large", http.StatusOK, 0}
}

// whole is a number that only orders and measures; 0 where it is not told, or none.
func (d dataset) whole(tag string) int {
	if len(d[tag].Value) == 0 {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.Trim(string(d[tag].Value[0]), `"`)))
	if err != nil || n < 0 || n > countMax {
		return 0
	}
	return n
}

// parametersOf are those of a query that name what to look for, by keyword or tag.
func parametersOf(q url.Values, keyword, tag string) []string {
	var all []string
	for _, text := range slices.Concat(q[keyword], q[tag]) {
		for uid := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\\' }) { // PS3.18 section 8.3.4.1: a list
			all = append(all, uid)
		}
	}
	return all
}
