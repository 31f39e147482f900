package main

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestARecordIsOpenedInAnEmergencyByAPage(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.signIn("ito")
	form := v.get("/break-glass")
	fields := url.Values{"csrf": {form.csrf()}, "tenant": {"mercy"}, "patient": {w.patients["mercy"]}, "reason": {"The patient is unconscious <b>now</b>"}}
	without := func(name, value string) url.Values {
		changed := maps.Clone(fields)
		changed[name] = []string{value}
		return changed
	}
	for name, wrong := range map[string]url.Values{
		"without a reason": without("reason", "now"), "another hospital's patient": without("patient", w.patients["lakeside"]),
		"another hospital": without("tenant", "county"), "without the token": without("csrf", ""),
	} {
		if got := v.post("/break-glass", wrong); got.status < 400 || got.status >= 500 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	before := v.cookie()
	opened := v.post("/break-glass", fields)
	if opened.status != http.StatusOK || !strings.Contains(opened.text, "The record is open") || strings.Contains(opened.at, w.patients["mercy"]) {
		t.Fatalf("%d %s", opened.status, opened.text)
	}
	if v.cookie() == before {
		t.Error("the session has the cookie of before")
	}
	if got := v.get("/home"); !strings.Contains(got.text, "open to you in an emergency") {
		t.Error("the home page does not say that a record is open")
	}
	desk := w.visitor()
	if got := desk.signIn("kim"); !strings.Contains(got.text, "The patient is unconscious &lt;b&gt;now&lt;/b&gt;") || !strings.Contains(got.text, "Dr. Mei Ito") {
		t.Errorf("the coordinator is not told: %s", got.text)
	}
	if got := w.must("break-glass", "list", "mercy"); !strings.Contains(got, "The patient is unconscious") {
		t.Errorf("listed: %s", got)
	}
	if got := w.must("break-glass", "list", "lakeside"); got != "" {
		t.Errorf("at lakeside: %s", got)
	}
	// However many harmless ones come after it, it is not out of sight.
	w.behind(`
		INSERT INTO break_glass (tenant_id, break_id, person_id, actor_id, role, display, patient_id, reason, opened_at, till)
		SELECT tenant_id, gen_random_uuid(), person_id, actor_id, role, display, patient_id, 'a harmless reason', opened_at + n * interval '1 microsecond', till
		FROM break_glass, generate_series(1, 60) n`)
	crowded := desk.get("/home")
	if !strings.Contains(crowded.text, "And 11 more in the last 7 days") || !strings.Contains(crowded.text, `href="/at/mercy/coordinator/emergencies"`) {
		t.Errorf("the page does not say that there are more: %s", crowded.text)
	}
	first := desk.get("/at/mercy/coordinator/emergencies")
	next := regexp.MustCompile(`href="(/at/mercy/coordinator/emergencies\?before=[^"]+)"`).FindStringSubmatch(first.text)
	if next == nil {
		t.Fatalf("no second page: %s", first.text)
	}
	if got := desk.get(strings.ReplaceAll(next[1], "&amp;", "&")); !strings.Contains(got.text, "The patient is unconscious") || strings.Contains(got.text, "before=") {
		t.Errorf("the second page: %s", got.text)
	}
	for _, path := range []string{"/at/mercy/reader/emergencies", "/at/lakeside/coordinator/emergencies", "/at/mercy/coordinator/emergencies?before=x"} {
		if got := desk.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := v.get("/at/mercy/coordinator/emergencies"); got.status != http.StatusNotFound {
		t.Errorf("to a reader: %d", got.status)
	}
	if got := w.must("break-glass", "list", "mercy"); strings.Count(got, "\n") != 60 || !strings.Contains(got, "The patient is unconscious") {
		t.Errorf("listed: %s", got)
	}
	w.behind(`DELETE FROM break_glass WHERE reason = 'a harmless reason'`)
	told, _ := overreadOutput(t, "doctor", "--database-url", w.db.URL)
	if !strings.Contains(told, "in the last 7 days, at mercy: 1") {
		t.Errorf("the doctor says %s", told)
	}
	w.behind(`UPDATE break_glass SET till = now()`)
	if got := v.get("/home"); strings.Contains(got.text, "open to you in an emergency") {
		t.Error("the home page says so after its end")
	}
}
