package web

import (
	"testing"
	"time"

	"github.com/overread/overread/internal/screen"
)

// An examination is a later one where it is known when the study of the case was made.
func TestAnExaminationIsLaterThanAStudyOfAKnownDay(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 11, n, 9, 0, 0, 0, time.UTC) }
	for name, row := range map[string]struct {
		own, other time.Time
		later      bool
	}{
		"before":                    {day(5), day(4), false},
		"after":                     {day(5), day(6), true},
		"a study of no known day":   {time.Time{}, day(6), false},
		"neither is known":          {time.Time{}, time.Time{}, false},
		"the other has no day here": {day(5), time.Time{}, false},
	} {
		v := viewOfGallery(screen.Gallery{Strips: []screen.Strip{{On: row.own}, {Prior: true, On: row.other}}}, "/dicomweb", "")
		if len(v.Current) != 1 || len(v.Earlier) != 1 || v.Earlier[0].Later != row.later {
			t.Errorf("%s: %+v", name, v.Earlier)
		}
	}
	// Where the PACS has not got the study itself there is nothing to be later than.
	if v := viewOfGallery(screen.Gallery{Strips: []screen.Strip{{Prior: true, On: day(6)}}}, "/dicomweb", ""); v.Current != nil || v.Earlier[0].Later {
		t.Errorf("%+v", v)
	}
}
