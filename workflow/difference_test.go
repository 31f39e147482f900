package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestADifferenceIsReadableWordByWord(t *testing.T) {
	t.Parallel()
	before := Report{No: 1, Level: LevelNone, Opinion: Opinion{
		Findings: "A 9 mm nodule in the left upper lobe.\nHeart: normal.", Impression: "Nodule.", Recommendation: "CT in 3 months."}}
	after := before
	after.No, after.Level, after.Difference = 2, LevelMinor, "The first report has no nodule."
	after.Opinion.Findings = "A 12 mm nodule in the right upper lobe.\nHeart: normal."
	after.Opinion.Recommendation = ""
	after.Amendment = &Amendment{Kind: "correction", Text: "Side and size."}
	var got []string
	for _, c := range Changes(before, after) {
		got = append(got, c.Section+": "+Marked(c.Runs))
	}
	want := []string{
		"Findings: A [-9-] {+12+} mm nodule in the [-left-] {+right+} upper lobe.\nHeart: normal.",
		"Compared with the original report: {+The first report has no nodule.+}",
		"Level of the difference: [-agreement-] {+minor difference+}",
		"Recommendation: [-CT in 3 months.-]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnAddendumChangesNothingButAdds(t *testing.T) {
	t.Parallel()
	before := Report{No: 1, Opinion: opinion}
	after := before
	after.No, after.Amendment = 2, &Amendment{Kind: "addition", Text: "Segment 3."}
	if diff := cmp.Diff([]SectionChange{{"Addendum", []Run{{Added, "Segment 3."}}}}, Changes(before, after)); diff != "" {
		t.Error(diff)
	}
}

// A word is not struck out and written again for the blanks that follow it.
func TestWhatIsAppendedStrikesNothingOut(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"No metastasis.", "No metastasis. It has grown.", "No metastasis. {+It has grown.+}"},
		{"No metastasis.", "No metastasis.\nIt has grown.", "No metastasis.\n{+It has grown.+}"},
		{"No metastasis. It has grown.", "No metastasis.", "No metastasis. [-It has grown.-]"},
		{"It has grown.", "No metastasis. It has grown.", "{+No metastasis.+} It has grown."},
		{"One left.", "Two left.", "[-One-] {+Two+} left."},
		{"One left nodule.", "Two right nodule.", "[-One left-] {+Two right+} nodule."},
		{"Left one", "Left two", "Left [-one-] {+two+}"},
		{"Heart normal.", "Heart  normal.", "Heart  normal."},
	} {
		if got := Marked(CompareWords(c[0], c[1])); got != c[2] {
			t.Errorf("%q and %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// Whatever the texts: without what was added the runs are the one, without what
// was removed the other.
func TestTheRunsOfADifferenceAreTheTwoTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"no", "nodule", " ", "\n", "9", "mm.", "Größe", "\u202e", "\x00"}), 0, 30).Draw(rt, "words"), rapid.SampledFrom([]string{" ", ""}).Draw(rt, "glue"))
		})
		was, is := text.Draw(rt, "was"), text.Draw(rt, "is")
		var before, after strings.Builder
		for _, r := range CompareWords(was, is) {
			if r.Edit != Added {
				before.WriteString(r.Text)
			}
			if r.Edit != Removed {
				after.WriteString(r.Text)
			}
		}
		if before.String() != was || after.String() != is {
			rt.Errorf("%q and %q became %q and %q", was, is, before.String(), after.String())
		}
	})
}

func TestLongTextsAreComparedInReasonableTime(t *testing.T) {
	t.Parallel()
	long := func(word string) string { return strings.Repeat(word+" ", 3900) }
	began := time.Now()
	CompareWords(long("a")+"\n"+long("b"), long("c")+"\n"+long("d"))
	CompareWords(strings.Repeat("nodule left.\n", 3000), strings.Repeat("nodule right.\n", 3000))
	if took := time.Since(began); took > 10*time.Second {
		t.Error(took)
	}
}
