package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// A case that the house's own Dr. Petrov read first: they answer what they are told, and
// the quality role goes from the review to the case, concludes it, adds what is to be
// learnt and makes a pack, all by forms.
func TestTheQualityRoleWorksInThePeerLearningRoom(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", readHere)
	signs(r, "tanaka")

	petrov := r.comes("petrov", access.Reader)
	told := petrov.get(petrov.base + "/feedback")
	wants(t, told, r.o.sample.Exam.Display, "I disagree")
	if strings.Contains(told.text, "Tanaka") || strings.Contains(told.text, r.o.patient.family) {
		t.Error("the feedback names somebody")
	}
	id, _, _ := strings.Cut(told.text[strings.Index(told.text, petrov.base+"/feedback/")+len(petrov.base+"/feedback/"):], `"`)
	answer := url.Values{"csrf": {told.csrf()}, "agrees": {"false"}, "text": {"A normal variant, I think"}}
	if none := petrov.post(petrov.base+"/feedback/"+id, url.Values{"csrf": {told.csrf()}}); none.status != http.StatusBadRequest {
		t.Errorf("an answer that says nothing: %d", none.status)
	}
	if after := petrov.post(petrov.base+"/feedback/"+id, answer); after.status != http.StatusOK || !strings.Contains(after.text, "A normal variant, I think") {
		t.Errorf("after the answer: %d %s", after.status, after.text)
	}
	if again := petrov.post(petrov.base+"/feedback/"+id, answer); again.status != http.StatusConflict {
		t.Errorf("a second answer: %d", again.status)
	}
	tanaka := r.comes("tanaka", access.Reader)
	if other := tanaka.post(tanaka.base+"/feedback/"+id, url.Values{"csrf": {tanaka.get(tanaka.base + "/worklist").csrf()}, "agrees": {"true"}}); other.status != http.StatusNotFound {
		t.Errorf("another's feedback: %d", other.status)
	}
	if room := tanaka.get(tanaka.base + "/learning"); room.status != http.StatusNotFound {
		t.Errorf("a reader in the room: %d", room.status)
	}

	v, rooms := r.at(t, access.Quality)
	reviews := v.get(rooms + "/learning")
	wants(t, reviews, "the original reader disagrees", rooms+"/learning/case/"+r.task)
	wants(t, v.get(rooms+"/learning/feedback"), "A normal variant, I think", "disagrees")
	page := v.get(rooms + "/learning/case/" + r.task)
	wants(t, page, "Conclude the review", "Tanaka", "Petrov", "A normal variant, I think", "of 5 points", "Both readings", "<del>")
	page = v.does(page, "close-review", url.Values{"conclusion": {"stands"}, "note": {"It is torn on both series"}})
	wants(t, page, "The grade stands", "It is torn on both series", "Open a review")
	if named := v.post("/at/mercy/quality/case/"+r.task+"/do/add-learning-point", url.Values{"csrf": {page.csrf()}, "then": {page.at}, "text": {"Dr. Petrov missed it"}}); named.status != http.StatusBadRequest && named.status != http.StatusConflict {
		t.Errorf("a learning point that names somebody: %d", named.status)
	}
	page = v.does(page, "add-learning-point", url.Values{"text": {"Scroll to the end of the series"}, "tag": {"search-pattern", ""}})
	page = v.does(page, "outcome", url.Values{"right": {"second"}, "source": {"surgery"}, "date": {"2026-01-05"}, "note": {"as the surgeon saw"}})
	wants(t, page, "Scroll to the end of the series", "search-pattern", "the second reading", "by surgery")
	wants(t, v.get(rooms+"/learning?show=closed"), "It is torn on both series")
	wants(t, v.get(rooms+"/learning/outcomes"), "by surgery", "as the surgeon saw")
	points := v.get(rooms + "/learning/points?tag=search-pattern")
	wants(t, points, "Scroll to the end of the series")
	if none := v.get(rooms + "/learning/points?tag=other"); strings.Contains(none.text, "Scroll to the end") {
		t.Error("another tag has the point too")
	}
	pack := v.post(rooms+"/learning/packs", url.Values{"csrf": {points.csrf()}, "title": {"Knees in spring"}, "case": {"Task/" + r.task}})
	wants(t, pack, "Knees in spring", "Scroll to the end of the series", "Download as PDF")
	if strings.Contains(pack.text, "Petrov") || strings.Contains(pack.text, "RADPEER") || strings.Contains(pack.text, r.o.patient.family) {
		t.Error("the pack names somebody or has a score")
	}
	for form, kind := range map[string]string{"pdf": "application/pdf", "html": "text/html; charset=utf-8"} {
		file := v.get(pack.at + "/" + form)
		if file.status != http.StatusOK || file.header.Get("Content-Type") != kind || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %d %v", form, file.status, file.header)
		}
	}
	wants(t, v.get(rooms+"/learning/packs"), "Knees in spring")
	wants(t, v.get(rooms+"/learning/samples"), "Nothing was drawn")
	if wrong := v.get(rooms + "/learning?after=x"); wrong.status != http.StatusBadRequest {
		t.Errorf("a page that is none: %d", wrong.status)
	}
	// Each of the lists and the case's page, and the reader's own, opened the case.
	if n := r.opened(t); n < 8 {
		t.Errorf("%d openings of the quality compartment are recorded", n)
	}
}

// opened counts the recorded openings of the quality compartment of the case.
func (r *readingRoom) opened(t *testing.T) (n int) {
	t.Helper()
	for range 50 { // the log takes them from its inbox within a moment; no client may read these
		err := r.database.Owner(t).QueryRow(t.Context(), `
			SELECT count(*)
			FROM audit_event
			WHERE strpos(convert_from(body, 'UTF8'), '"quality-opened"') > 0 AND strpos(convert_from(body, 'UTF8'), $1) > 0`, "Task/"+r.task).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n >= 8 {
			return n
		}
		time.Sleep(100 * time.Millisecond)
	}
	return n
}

// Where the policy has names withheld, the quality role is told of Reader A and B, by
// page and API, and of no scores where there are none.
func TestThePolicyWithholdsNamesAndScores(t *testing.T) {
	t.Parallel()
	r := newReadingRoomWith(t, "knee", readHere, `{"assignment": "pool", "protocol": "blinded", "feedback": "peer-learning", "grading": "peer-learning", "qualityNames": "pseudonym"}`)
	signs(r, "tanaka")
	v, rooms := r.at(t, access.Quality)
	page := v.get(rooms + "/learning/case/" + r.task)
	wants(t, page, "Reader A", "Reader B", "names withheld", "learns without scores")
	quality, err := r.clients["mercy-quality"].get(t.Context(), "Task/"+r.task+"/$quality")
	if err != nil {
		t.Fatal(err)
	}
	readings, err := r.clients["mercy-quality"].get(t.Context(), "Task/"+r.task+"/$readings")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"page": page.text, "$quality": string(quality.Bytes()), "$readings": string(readings.Bytes())} {
		for _, name := range []string{"Tanaka", "Petrov", "RADPEER", "radpeer", "of 5 points", "fivePoint"} {
			if strings.Contains(text, name) {
				t.Errorf("the %s says %s", what, name)
			}
		}
	}
	if !strings.Contains(string(quality.Bytes()), "Reader A") {
		t.Errorf("$quality: %s", quality.Bytes())
	}
}

// signs lets somebody read and sign the case, grading what the sample says.
func signs(r *readingRoom, who string) {
	r.t.Helper()
	tale := append([]chapter{{"", "", nil, workflow.Ready}}, reads(who, "knee")...)
	tale = append(tale, chapter{who, "grade", gradeParameters(r.o.sample.Diff), workflow.Comparing}, chapter{who, "sign", []*fhir.Node(nil), workflow.Final})
	for _, c := range tale {
		r.live(r.t, r.o, r.task, c)
	}
}
