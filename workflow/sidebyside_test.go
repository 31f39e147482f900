package workflow

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// onlyIn are the texts of a side that the other does not have, told apart by |.
func onlyIn(side []Run) string {
	var only []string
	for _, r := range side {
		if text := strings.TrimSpace(r.Text); r.Edit != Kept && text != "" {
			only = append(only, text)
		}
	}
	return strings.Join(only, "|")
}

func TestWhatBothReportsSayIsInNoneAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ was, is, first, second string }{
		"a shared sentence between others": {
			"Lesion of 9 mm in segment II, no washout. Haemangioma in segment VI. No ascites.",
			"Hypervascular mass of 22 mm with washout in segment VIII. Haemangioma in segment VI. Portal vein thrombosis.",
			"Lesion|9|in segment II, no washout.|No ascites.", "Hypervascular mass|22|with washout in segment VIII.|Portal vein thrombosis."},
		"in another order": {
			"Haemangioma in segment VI. No focal lesion in the pancreas. Small cyst.", "Large cyst. No focal lesion in the pancreas.\nHaemangioma in segment VI.",
			"Small cyst.", "Large"},
		"findings of the one, impression of the other": {
			"Liver of normal size.\n\nHaemangioma in segment VI.", "Haemangioma in segment VI. A cyst of 4 mm in the left kidney.\n\nHCC in segment VIII.",
			"Liver of normal size.", "A cyst of 4 mm in the left kidney.\n\nHCC in segment VIII."},
		"under headings of the whole": {"Findings:\nHaemangioma in segment VI.", "Haemangioma in segment VI.", "Findings:", ""},
		"said twice by one":           {"Haemangioma in segment VI.\n\nHaemangioma in segment VI.", "Haemangioma in segment VI.", "", ""},
		"other blanks":                {"Haemangioma in\nsegment VI. Fine.", "Haemangioma  in segment VI.\r\nFine.", "", ""},
		"a word of a sentence":        {"A nodule in the left upper lobe. No effusion.", "A nodule in the right upper lobe. No effusion.", "left", "right"},
		"the same of another organ": {
			"Liver:\nOf normal size.\nSpleen:\nEnlarged to 15 cm.", "Liver:\nEnlarged to 15 cm.\nSpleen:\nOf normal size.",
			"Of normal size.|Enlarged to 15 cm.", "Enlarged to 15 cm.|Of normal size."},
		"a word that says nothing alone": {"Lung. Normal. Heart is large.", "Heart is large. Kidneys of normal size. Normal.", "Lung. Normal.", "Kidneys of normal size. Normal."},
		"nothing of the one":             {"", "A nodule.", "", "A nodule."},
	} {
		first, second := SideBySide(c.was, c.is)
		if a, b := onlyIn(first), onlyIn(second); name != "in another order" && (a != c.first || b != c.second) || name == "in another order" && strings.Contains(a+b, "segment VI") {
			t.Errorf("%s: only in the first %q, in the second %q", name, a, b)
		}
	}
}

func TestTheSidesOfAComparisonAreTheTwoTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"No nodule here. ", "Liver:\n", "Of normal size.", "\n\n", "\r\n", " ", "9 mm. ", "Größe", "\u202e", "\x00", "\xff"}), 0, 20).Draw(rt, "words"), "")
		})
		was, is := text.Draw(rt, "was"), text.Draw(rt, "is")
		first, second := SideBySide(was, is)
		for _, side := range []struct {
			runs []Run
			want string
			edit Edit
		}{{first, was, Removed}, {second, is, Added}} {
			var got strings.Builder
			for _, r := range side.runs {
				if r.Edit != Kept && r.Edit != side.edit {
					rt.Errorf("%q is %s", r.Text, r.Edit)
				}
				got.WriteString(r.Text)
			}
			if got.String() != side.want {
				rt.Errorf("%q became %q", side.want, got.String())
			}
		}
	})
}
