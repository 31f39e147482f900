package dicomweb

import (
	"context"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Which images stand for a study: those that somebody has selected (Key Object
// Selection, PS3.3 section A.35.4), else some of each series, from its middle.

// Picture is one image of a strip. Path is its rendered form below the root.
type Picture struct {
	Path          string
	Modality      string
	Series        int // which of the series that are shown, from 1
	Number, Of    int // in it
	Width, Height int // of the image; 0 where the PACS does not tell
	Selected      bool
}

// Strip is up to most images of a study that the viewing may see, and how many there
// are. It waits as long as the context; errors are faults, or Pending.
func (g *Gateway) Strip(ctx context.Context, v workflow.Viewing, uid string, most int) (strip []Picture, all int, err error) {
	whose, ok := v.Of(uid)
	if !ok {
		return nil, 0, notShown()
	}
	st, err := g.shelf.study(ctx, v, uid)
	if err != nil {
		return nil, 0, err
	}
	series := st.shown(whose.Veiled)
	for _, s := range series {
		all += len(s.of)
	}
	if !whose.Veiled { // who selected them has read the study
		if strip = st.selected(series, most); len(strip) > 0 {
			return strip, all, nil
		}
	}
	return st.spread(series, most), all, nil
}

// Pending tells that the PACS is still being asked.
func Pending(err error) bool { return err == errPending } //nolint:errorlint // it is never wrapped

// Unanswered tells that no PACS could be asked, as against one that has not got the
// study.
func Unanswered(err error) bool { return err != nil && !fault.Is(err, fault.NotFound) }

// shownSeries is a series with those of its instances that can be rendered.
type shownSeries struct {
	*storedSeries

	of []storedInstance
}

func (st *stored) shown(veiled bool) (all []shownSeries) {
	for _, s := range st.series {
		one := shownSeries{storedSeries: s}
		for _, i := range s.instances {
			if s.seen(i, veiled) && !slices.Contains(notes, s.modality) && (isPicture(i.class) || isCapture(i.class)) {
				one.of = append(one.of, i)
			}
		}
		if len(one.of) > 0 {
			all = append(all, one)
		}
	}
	return all
}

// isCapture tells of a class that it is a secondary capture, PS3.4 table B.5-1.
func isCapture(class string) bool {
	short, ok := strings.CutPrefix(class, storageClasses)
	return ok && (short == "7" || strings.HasPrefix(short, "7."))
}

func (st *stored) picture(series []shownSeries, s, i int) Picture {
	one := series[s].of[i]
	return Picture{
		Path:     "/studies/" + st.uid + "/series/" + series[s].uid + "/instances/" + one.uid + "/rendered",
		Modality: series[s].modality, Series: s + 1, Number: i + 1, Of: len(series[s].of), Width: one.columns, Height: one.rows,
	}
}

// selected are the images of the study's key objects.
func (st *stored) selected(series []shownSeries, most int) (strip []Picture) {
	for s := range series {
		for i, one := range series[s].of {
			if len(strip) < most && slices.Contains(st.keys, one.uid) {
				p := st.picture(series, s, i)
				p.Selected = true
				strip = append(strip, p)
			}
		}
	}
	return strip
}

// spread takes some images of each series, those in the middle of its parts. Where
// there are more series than room, some series are left out evenly.
func (st *stored) spread(series []shownSeries, most int) (strip []Picture) {
	if len(series) > most {
		var some []int
		for n := range most {
			some = append(some, (2*n+1)*len(series)/(2*most))
		}
		for _, s := range some {
			strip = append(strip, st.picture(series, s, len(series[s].of)/2))
		}
		return strip
	}
	share := make([]int, len(series)) // one after the other gets one more, as long as it has any
	for left := most; left > 0; {
		before := left
		for s := range series {
			if left > 0 && share[s] < len(series[s].of) {
				share[s]++
				left--
			}
		}
		if left == before {
			break
		}
	}
	for s, n := range share {
		for k := range n {
			strip = append(strip, st.picture(series, s, (2*k+1)*len(series[s].of)/(2*n)))
		}
	}
	return strip
}

const (
	keyObjects    = storageClasses + "88.59"
	keyObjectsMax = 4 // of a study that are read
	tagTitle      = "0040A043"
	tagEvidence   = "0040A375"
	tagRefSeries  = "00081115"
	tagRefObjects = "00081199"
	tagRefUID     = "00081155"
	tagCode       = "00080100"
)

// keyTitles are the titles of selections that show something (PS3.16 CID 7010); those
// that reject images do not.
var keyTitles = []string{"113000", "113002", "113003", "113004", "113005", "113006", "113007", "113008", "113009", "113013", "113018", "113020"}

// readKeys notes which images the key objects of a study have selected. Where that
// cannot be read the strip is a spread.
func (c *Client) readKeys(ctx context.Context, st *stored) {
	read := 0
	for _, s := range st.series {
		for _, i := range slices.Backward(s.instances) {
			if i.class != keyObjects || read == keyObjectsMax {
				continue
			}
			read++
			found, err := c.search(ctx, st.archive, "/studies/"+st.uid+"/series/"+s.uid+"/instances/"+i.uid+"/metadata", nil)
			if err != nil || len(found) == 0 {
				continue
			}
			st.keys = append(st.keys, keysIn(found[0])...)
		}
	}
}

// keysIn are the instances that a key object refers to, if its title says that they
// show something.
func keysIn(d dataset) (uids []string) {
	titles, err := d.items(tagTitle)
	if err != nil || len(titles) == 0 {
		return nil
	}
	if code, err := titles[0].text(tagCode); err != nil || !slices.Contains(keyTitles, code) {
		return nil
	}
	each(d, tagEvidence, func(study dataset) {
		each(study, tagRefSeries, func(series dataset) {
			each(series, tagRefObjects, func(object dataset) {
				if uid, err := object.text(tagRefUID); err == nil && isUID(uid) {
					uids = append(uids, uid)
				}
			})
		})
	})
	return uids
}

func each(d dataset, tag string, do func(dataset)) {
	items, err := d.items(tag)
	if err != nil {
		return
	}
	for _, item := range items {
		do(item)
	}
}
