package workflow

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var tuesday = time.Date(2026, 6, 2, 15, 0, 0, 0, time.UTC)

func neuroReader() Reader {
	return Reader{
		ID: uuid.MustParse("00000000-0000-7000-8000-000000000001"), PractitionerID: "pr1",
		Identifiers:    []string{"http://hl7.org/fhir/sid/us-npi|1234567893"},
		Groups:         []string{"Organization/south"},
		Subspecialties: []string{"neuro", "head-neck"}, Modalities: []string{"CT", "MR"},
		Ages:     &Ages{From: 16},
		Licences: []Licence{{Jurisdiction: "US-NY", ValidFrom: "2020-01-01", ValidTo: "2026-12-31"}, {Jurisdiction: "US-TX"}}, ReadsFrom: "US-TX",
		Capacity: 2, Zone: "America/New_York",
		Shifts:        []Shift{{Days: []string{"monday", "tuesday"}, From: "08:00", To: "17:00"}, {Days: []string{"friday"}, From: "22:00", To: "06:00"}},
		Absences:      []Absence{{"2026-07-01", "2026-07-14"}},
		MayAdjudicate: true,
	}
}

func headCT() Need {
	return Need{Duty: ToRead, Offered: true, Exam: Exam{Subspecialty: "neuro", Modality: "CT", Jurisdiction: "US-NY", PatientAge: 60,
		OriginalReaders: []string{"Practitioner/first"}, OriginalGroups: []string{"Organization/north"}}}
}

func TestEachReasonAgainstAReaderIsSaid(t *testing.T) {
	for _, test := range []struct {
		spoil func(*Need, *Reader, *time.Time)
		want  []string
	}{
		{func(*Need, *Reader, *time.Time) {}, nil},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.Subspecialty = "breast" }, []string{"no privilege for breast"}},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.Subspecialty = General }, nil},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.Modality = "US" }, []string{"no privilege for modality US"}},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.PatientAge = 3 }, []string{"no privilege for the patient's age"}},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.PatientAge = -1 }, nil},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.Jurisdiction = "US-CA" }, []string{"no licence for US-CA"}},
		{func(n *Need, r *Reader, _ *time.Time) { r.Licences[0].ValidTo = "2026-03-01" }, []string{"licence for US-NY expired 2026-03-01"}},
		{func(n *Need, r *Reader, _ *time.Time) { r.Licences[0].ValidFrom = "2026-06-03" }, []string{"licence for US-NY begins 2026-06-03"}},
		{func(n *Need, r *Reader, _ *time.Time) { r.Licences[1].ValidTo = "2026-06-01" }, []string{"licence for US-TX expired 2026-06-01"}},
		{func(n *Need, r *Reader, _ *time.Time) { r.ValidTo = "2026-06-01" }, []string{"credentialed here until 2026-06-01"}},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.OriginalReaders = []string{"Practitioner/pr1"} }, []string{"is the original reader"}},
		{func(n *Need, _ *Reader, _ *time.Time) {
			n.Exam.OriginalReaders = []string{"http://hl7.org/fhir/sid/us-npi|1234567893"}
		}, []string{"is the original reader"}},
		{func(n *Need, _ *Reader, _ *time.Time) {
			n.Exam.OriginalReaders = []string{"urn:oid:2.16.840.1.113883.4.6|1234567893"}
		}, []string{"is the original reader"}},
		{func(n *Need, r *Reader, _ *time.Time) {
			n.Exam.OriginalNames, r.Display = []string{"MEIER, Jörg (MD)"}, "Dr. Joerg Meier"
		}, []string{"bears the name of the original reader"}},
		{func(n *Need, r *Reader, _ *time.Time) {
			n.Exam.OriginalNames, r.Display = []string{"Dr Meier"}, "Joerg Meier"
		}, []string{"bears the name of the original reader"}},
		{func(n *Need, r *Reader, _ *time.Time) {
			n.Exam.OriginalNames, r.Display = []string{"Dr J. Meier", "Radiology North"}, "Dr Karl Meier"
		}, nil},
		{func(n *Need, _ *Reader, _ *time.Time) {
			n.Exam.OriginalReaders, n.Exam.OriginalGroups = nil, []string{"Organization/south"}
		}, []string{"may be the original reader: the report names only their organisation"}},
		{func(n *Need, _ *Reader, _ *time.Time) {
			n.Exam.OriginalReaders, n.Exam.OriginalGroups, n.Unnamed = nil, []string{"Organization/south"}, UnnamedAccept
		}, nil},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Exam.OriginalGroups = []string{"Organization/south"} }, nil},
		{func(n *Need, _ *Reader, _ *time.Time) {
			n.Exam.OriginalGroups, n.SameGroupForbidden = []string{"Organization/south"}, true
		}, []string{"same group as the original reader, and policy forbids it"}},
		{func(_ *Need, r *Reader, _ *time.Time) { r.Conflicts = []string{"Organization/north"} }, []string{"has declared a conflict"}},
		{func(_ *Need, r *Reader, _ *time.Time) { r.OpenCases = 2 }, []string{"has 2 open cases, at most 2"}},
		{func(n *Need, r *Reader, _ *time.Time) { r.OpenCases, n.Offered = 2, false }, nil},
		{func(_ *Need, _ *Reader, at *time.Time) { *at = at.AddDate(0, 0, 1) }, []string{"not on shift"}},
		{func(_ *Need, _ *Reader, at *time.Time) { *at = time.Date(2026, 6, 6, 9, 0, 0, 0, time.UTC) }, nil}, // Friday's night shift
		{func(_ *Need, _ *Reader, at *time.Time) { *at = at.AddDate(0, 0, 35) }, []string{"absent until 2026-07-14"}},
		{func(n *Need, r *Reader, _ *time.Time) { n.Declined = []uuid.UUID{r.ID} }, []string{"declined before"}},
		{func(n *Need, r *Reader, _ *time.Time) { n.Involved = []uuid.UUID{r.ID} }, []string{"has had a part in a second opinion on this study"}},
		{func(n *Need, r *Reader, _ *time.Time) { n.Duty, r.MayAdjudicate = ToAdjudicate, false }, []string{"not credentialed to adjudicate"}},
		{func(n *Need, r *Reader, _ *time.Time) { n.Duty, r.Trainee = ToAdjudicate, true }, []string{"needs a supervisor's signature"}},
		{func(n *Need, _ *Reader, _ *time.Time) { n.Duty = ToSupervise }, []string{"not credentialed to supervise"}},
	} {
		need, reader, at := headCT(), neuroReader(), tuesday
		test.spoil(&need, &reader, &at)
		if diff := cmp.Diff(test.want, Eligible(need, reader, at)); diff != "" {
			t.Errorf("%v: %s", test.want, diff)
		}
	}
}

func TestTheBestReaderFitsThenHasLittleToDoThenHasWaited(t *testing.T) {
	reader := func(n byte, change func(*Reader)) Reader {
		r := neuroReader()
		r.ID[15] = n
		r.Capacity = 0
		change(&r)
		return r
	}
	long, short := tuesday.Add(-48*time.Hour), tuesday.Add(-time.Hour)
	sideline := reader(1, func(r *Reader) { r.Subspecialties = []string{"chest", "neuro"} })
	busy := reader(2, func(r *Reader) { r.OpenCases, r.Queue = 3, 18 })
	recent := reader(3, func(r *Reader) { r.LastOffered = &short })
	waiting := reader(4, func(r *Reader) { r.LastOffered = &long })
	wrong := reader(5, func(r *Reader) { r.Subspecialties = nil })

	best, reasons := Choose(headCT(), []Reader{sideline, busy, recent, waiting, wrong}, tuesday)
	if best == nil || best.ID != waiting.ID {
		t.Errorf("chosen: %v", best)
	}
	if diff := cmp.Diff(map[uuid.UUID][]string{wrong.ID: {"no privilege for neuro"}}, reasons); diff != "" {
		t.Error(diff)
	}
	if best, _ := Choose(headCT(), []Reader{wrong}, tuesday); best != nil {
		t.Error("nobody is eligible")
	}
}

func TestTheSubspecialtyIsFoundFromTheExam(t *testing.T) {
	for _, test := range []struct {
		exam Exam
		want string
	}{
		{Exam{Modality: "MG"}, "breast"},
		{Exam{Modality: "PT", Display: "PET chest"}, "nuclear"},
		{Exam{Modality: "CT", Display: "CT Head W contrast IV"}, "neuro"},
		{Exam{Modality: "MR", BodySite: "Lumbar spine structure"}, "neuro"},
		{Exam{Modality: "DX", BodySite: "Thoracic structure"}, "chest"},
		{Exam{Modality: "MR", BodySite: "Knee"}, "musculoskeletal"},
		{Exam{Modality: "CT", Display: "CT angiography of coronary arteries"}, "cardiac"},
		{Exam{Modality: "OT"}, General},
		{Exam{Modality: "OT", Display: "Attribute of a tribal ribbon"}, General},
		{Exam{Modality: "CT", Display: "Computed tomography, hippocampus"}, General},
		{Exam{Modality: "DX", Display: "Ribs left"}, "chest"},
		{Exam{Modality: "DX", Display: "Hips-both"}, "musculoskeletal"},
		{Exam{Modality: "MR", Display: "Cholangiography"}, General},
		{Exam{Modality: "CT", Display: "Adrenals"}, "abdominal"},
		{Exam{Modality: "US", Display: "Uterine artery"}, "genitourinary"},
		{Exam{Modality: "CT", Display: "CT Temporal-bone left"}, "head-neck"},
		{Exam{Modality: "DX", BodySite: "LSPINE"}, "neuro"},
	} {
		if got := DecideTriage(nil, test.exam, "routine"); got.Subspecialty != test.want {
			t.Errorf("%+v: %s, want %s", test.exam, got, test.want)
		}
	}
}

func TestTheRegionsOfTheBodyAreFoundByWholeWords(t *testing.T) {
	for site, want := range map[string][]string{
		"attribute": nil, "Rib": {"chest"}, "Structure of hippocampus": nil, "CHESTABDPELVIS": {"chest", "abdomen", "pelvis"}, "ABDOMENPELVIS": {"abdomen", "pelvis"},
		"NECKCHESTABDOMEN": {"neck", "chest", "abdomen"}, "TSPINE": {"spine"}, "HEADNECK": {"head", "neck"}, "Gallbladder": {"abdomen"}, "Urinary bladder": {"pelvis"}, "WHOLEBODY": nil,
	} {
		if diff := cmp.Diff(want, bodyRegions(site)); diff != "" {
			t.Errorf("%s: %s", site, diff)
		}
	}
}
