package letter_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/letter"
)

var update = flag.Bool("update", false, "write the golden files anew")

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// major is the letter that matters most: an important difference, in haste.
func major() letter.Letter {
	signed := at("2026-11-23T16:41:08Z")
	return letter.Letter{
		From: letter.Party{Name: "Overread Reading Service", Lines: []string{
			"Department of Second Opinions", "12 Harbour Road, Springfield", "Telephone +1 555 0100 (day and night)"}},
		To:             letter.Party{Name: "North Valley General Hospital", Lines: []string{"Dr. Maria Alvarez, Neurology"}},
		Exam:           "CT Head without and with contrast IV",
		Status:         "final",
		Number:         1,
		PatientInBrief: "Chalmers, Peter James, born 25 December 1974, MRN 12345",
		Patient: []letter.Line{
			{"Patient", "Chalmers, Peter James"}, {"Born", letter.Day("en", "1974-12-25") + " (51 years)"},
			{"Sex", "male"}, {"MRN", "12345 (North Valley General Hospital)"},
		},
		Study: []letter.Line{
			{"Examined", "22 November 2026, 19:05 UTC"}, {"Modality", "CT"}, {"Body region", "Head"},
			{"Accession", "NV-2026-118842"}, {"Priority", "stat"},
		},
		Agreement: "major-difference",
		Difference: "The original report describes no intracranial haemorrhage. There is a thin subdural collection, 4 mm wide, along the left " +
			"parietal convexity (series 3, images 41 to 48), best seen in the coronal reformation. It matters because the patient takes an anticoagulant.",
		Management:     "treatment",
		Recommendation: "Neurosurgical consultation now. Repeat CT in 6 hours or on any change of consciousness. Review of the anticoagulation.",
		Actionable:     "emergent",
		Question: "Fall from standing height two days ago, increasing headache, on apixaban. First reading found no bleeding; " +
			"second opinion asked for because of the persistent headache.",
		Sections: []letter.Section{
			{"Technique", "Axial 0.6 mm acquisition, coronal and sagittal reformations, 80 ml iodinated contrast IV."},
			{"Comparison", "CT head of 3 May 2024."},
			{"Findings", "Crescent-shaped hyperdense extra-axial collection along the left parietal convexity, up to 4 mm, 62 HU, without mass effect. " +
				"Midline central. Basal cisterns open.\n\nNo parenchymal haemorrhage. Grey-white differentiation preserved. Ventricles and sulci " +
				"appropriate for age. No abnormal enhancement.\n\nNo fracture of the calvaria or the skull base. Mastoid cells and paranasal sinuses clear."},
			{"Impression", "1. Acute subdural haematoma of the left parietal convexity, 4 mm, without midline shift.\n2. No fracture.\n3. No infarct."},
		},
		Original: []letter.Line{
			{"Report of", "North Valley General Hospital, Radiology"}, {"Issued", "22 November 2026, 20:10 UTC"}, {"Identifier", "RAD-558101"},
		},
		History: []letter.Version{{Number: 1, Status: "final", At: signed, By: "Dr. Ines Okafor"}},
		Signatures: []letter.Signature{
			{Name: "Dr. Anders Lindqvist", Qualification: "MD, neuroradiology", Role: "Reader", At: at("2026-11-23T15:58:40Z")},
			{Name: "Dr. Ines Okafor", Qualification: "MD, PhD, neuroradiology", Role: "Third reader", At: signed},
		},
		SealedAt: at("2026-11-23T15:20:11Z"),
		Identifiers: []letter.Line{
			{"Report", "https://overread.example/report | 019ab2f0-1111-7000-8000-000000000001"},
			{"Order", "https://ehr.example/order | 4711"},
			{"Study", "1.2.840.113619.2.55.3.604688119.971.1269009731.511"},
		},
	}
}

// agreement is the commonest letter, in its shortest form.
func agreement() letter.Letter {
	l := major()
	l.Agreement, l.Actionable, l.Management = "agreement", "none", "none"
	l.Difference, l.Recommendation = "", "None beyond what the original report says."
	l.Exam = "XR Chest PA and lateral"
	l.Sections = []letter.Section{{"Findings", "Heart and mediastinum normal. Lungs clear. No effusion."}, {"Impression", "No acute disease of the chest."}}
	l.Signatures = l.Signatures[:1]
	l.History = []letter.Version{{Number: 1, Status: "final", At: l.Signatures[0].At, By: l.Signatures[0].Name}}
	return l
}

func TestAChangeIsShownWithDelAndIns(t *testing.T) {
	want := "Nodule of <del>9 </del><ins>19 </ins>mm &lt;b&gt;left&lt;/b&gt;."
	if got := corrected().Changes[0].HTML(); got != want {
		t.Error(got)
	}
	said := `Nodule of <del><span class="aloud">[removed: </span>9 <span class="aloud">]</span></del><ins><span class="aloud">[added: </span>19 <span class="aloud">]</span></ins>mm &lt;b&gt;left&lt;/b&gt;.`
	if page := string(corrected().HTML()); !strings.Contains(page, said) || !strings.Contains(page, "What changed, word by word") || !strings.Contains(page, "Struck through: removed.") {
		t.Error(page)
	}
}

// What was removed is struck through and what was added underlined, and who copies the text
// or has it read aloud is told so in words, however the lines break.
func TestOnPaperAChangeIsStruckThroughAndUnderlined(t *testing.T) {
	pdftotext, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("there is no pdftotext (poppler-utils)")
	}
	l := corrected()
	l.Language = "de"
	l.Changes[0].Runs = append(l.Changes[0].Runs, letter.Run{Text: strings.Repeat("länger ", 20), Removed: true}, letter.Run{Text: strings.Repeat("x", 200), Added: true}, letter.Run{Text: "\nEnde."})
	body, err := l.PDF()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), pdftotext, "-raw", "-", "-")
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{"Durchgestrichen: entfernt. Unterstrichen: hinzugefügt.", "Nodule of [entfernt: 9] [hinzugefügt: 19] mm <b>left</b>.", "länger] [entfernt: länger", "xx] [hinzugefügt: xx", "x] Ende."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

// corrected is a second version, of a minor difference.
func corrected() letter.Letter {
	l := major()
	l.Agreement, l.Actionable, l.Management = "minor-difference", "non-critical", "work-up"
	l.Status, l.Number = "corrected", 2
	l.Changes = []letter.Change{{
		Heading: "Impression",
		Runs:    []letter.Run{{Text: "Nodule of "}, {Text: "9 ", Removed: true}, {Text: "19 ", Added: true}, {Text: "mm <b>left</b>."}},
	}}
	l.Paper = "Letter"
	l.Zone = time.FixedZone("EST", -5*3600)
	l.History = append(l.History, letter.Version{
		Number: 2, Status: "corrected", At: at("2026-11-24T08:02:00Z"), By: "Dr. Ines Okafor",
		Reason: "Side named wrongly in the impression", Text: "The impression said right; the collection is on the left.",
	})
	return l
}

// long goes over many pages, in letters of several scripts.
func long() letter.Letter {
	l := agreement()
	l.Agreement = "no-comparison"
	l.Original = nil
	l.Patient[0].Value = "Nguyễn, Łucja Đorđe Ağaoğlu Παπαδόπουλος Жуков 山田 太郎 محمد 😀"
	l.Sections[0].Text = strings.Repeat("Paragraph with µ, °, ≥ 3 cm², «quoted» and a"+strings.Repeat("very", 40)+"longword. ", 60) +
		"\n" + strings.Repeat("Line.\n", 80) + "<script>alert(1)</script> & \u202eoverridden"
	return l
}

var letters = map[string]letter.Letter{
	"major": major(), "agreement": agreement(), "corrected": corrected(), "long": long(),
}

func TestLettersAreAsTheyWere(t *testing.T) {
	t.Parallel()
	for name, l := range letters {
		body, err := l.PDF()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".html", l.HTML())
		golden(t, name+".pdf", body)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case bytes.Equal(want, got):
	case strings.HasSuffix(name, ".html"):
		t.Errorf("%s is not as it was (go test -update, and look at it): %s", name, cmp.Diff(string(want), string(got)))
	default:
		t.Errorf("%s is not as it was: %d bytes, were %d (go test -update, and look at it)", name, len(got), len(want))
	}
}

func TestTheSameLetterGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	first, err := major().PDF()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := major().PDF()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatal("two PDFs of one letter differ")
		}
	}
}

func TestAPDFIsSmallAndItsMetadataNameNobody(t *testing.T) {
	t.Parallel()
	body, err := major().PDF()
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 100<<10 {
		t.Errorf("%d bytes", len(body))
	}
	for _, secret := range []string{"Chalmers", "12345"} {
		if bytes.Contains(body, []byte(secret)) || bytes.Contains(body, utf16(secret)) {
			t.Errorf("%q stands in the PDF outside the compressed pages", secret)
		}
	}
}

func TestHTMLNeedsNothingElseAndEscapesEverything(t *testing.T) {
	t.Parallel()
	page := string(long().HTML())
	for _, never := range []string{"<script", "<link", "<img", "http-equiv=\"refresh\"", " src=", " href=", "url("} {
		if strings.Contains(page, never) {
			t.Errorf("the page contains %q", never)
		}
	}
	for _, always := range []string{"&lt;script&gt;", "山田 太郎 محمد 😀", "Nguyễn"} {
		if !strings.Contains(page, always) {
			t.Errorf("the page lacks %q", always)
		}
	}
}

func TestAnEmptyLetterAndUnknownCodesDoNotFail(t *testing.T) {
	t.Parallel()
	for _, l := range []letter.Letter{{}, {Status: "odd", Agreement: "odd", Actionable: "odd", Management: "odd"}} {
		if body, err := l.PDF(); err != nil || len(body) == 0 {
			t.Error(err)
		}
		if !bytes.Contains(l.HTML(), []byte("Second opinion report")) {
			t.Error("no page")
		}
	}
}

func TestDaysKeepTheirPrecision(t *testing.T) {
	t.Parallel()
	for fhir, want := range map[string]string{
		"1956-03-02": "2 March 1956", "1956-03": "March 1956", "1956": "1956", "2026-11-22T19:05:00Z": "22 November 2026", "": "", "soon": "soon",
	} {
		if got := letter.Day("en", fhir); got != want {
			t.Errorf("Day(%q) = %q, want %q", fhir, got, want)
		}
	}
}

func utf16(text string) []byte {
	var out []byte
	for _, r := range text {
		out = append(out, 0, byte(r))
	}
	return out
}

func BenchmarkPDF(b *testing.B) {
	l := major()
	for b.Loop() {
		if _, err := l.PDF(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestALetterDoesNotClaimAnIndependenceThatIsNotThere(t *testing.T) {
	t.Parallel()
	l := major()
	l.Unveiled = true
	page := string(l.HTML())
	if strings.Contains(page, "before the original report was shown") || !strings.Contains(page, "had seen the original report in an emergency before sealing the opinion on 23 November 2026, 15:20 UTC") {
		t.Error(page)
	}
}
