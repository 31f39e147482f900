package workflow

import "testing"

func TestThePolicySaysWhatBecomesOfAnOriginalThatDoesNotSayWhoReadIt(t *testing.T) {
	t.Parallel()
	known := FirstReaders{Readers: []string{"urn:npi|1"}}
	display, group := FirstReaders{Names: []string{"Dr Boyd"}}, FirstReaders{Groups: []string{"Organization/north"}}
	for _, row := range []struct {
		policy UnnamedReader
		first  FirstReaders
		doubt  bool
	}{
		{"", known, false}, {"", display, false}, {"", group, false}, {"", FirstReaders{}, true},
		{UnnamedCompare, FirstReaders{}, true},
		{UnnamedReview, known, false}, {UnnamedReview, display, true}, {UnnamedReview, group, true}, {UnnamedReview, FirstReaders{}, true},
		{UnnamedAccept, FirstReaders{}, false}, {UnnamedAccept, display, false},
	} {
		f := Facts{Reported: true, First: row.first}
		if got := f.unnamedReader(Policy{UnnamedOriginalReader: row.policy}); got != row.doubt {
			t.Errorf("%q of %v: doubt %v", row.policy, row.first, got)
		}
	}
	if (Facts{}).unnamedReader(Policy{}) {
		t.Error("there is no original, and its reader is missed")
	}
}
