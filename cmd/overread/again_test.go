package main

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// What somebody wrote in a form that is refused stands in the form again, on its page as
// that is now, with the reason above it; nothing of it becomes a part of the page.
func TestAFormThatIsRefusedIsThereAgainWithWhatWasWritten(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "head-ct", asItShouldBe)
	okafor := r.comes("okafor", access.Reader)
	okafor.does("/claim", nil)
	const words = `Subdural haematoma.</textarea><script>alert("x")</script> "quoted"`
	locks := opinionOf(words, "")
	refused := okafor.tries("/write/lock", locks)
	if refused.status != http.StatusBadRequest && refused.status != http.StatusUnprocessableEntity {
		t.Fatalf("an opinion without an impression: %d", refused.status)
	}
	wants(t, refused, `id="refused"`, `role="alert"`, "impression", "<title>This did not work · ", `data-save="`+okafor.base+"/case/"+r.task, "None.</textarea>")
	if strings.Contains(refused.text, "<script>alert") {
		t.Error("what was written is a part of the page")
	}
	_, after, _ := strings.Cut(refused.text, `id="findings"`)
	_, after, _ = strings.Cut(after, ">")
	if text, _, _ := strings.Cut(after, "</textarea>"); html.UnescapeString(text) != words {
		t.Errorf("the findings are %q", text)
	}
	// refused once more where it stands now, at an address that takes forms alone
	_, tried, _ := strings.Cut(refused.text, `name="tried" value="`)
	tried, _, _ = strings.Cut(tried, `"`)
	locks.Set("tried", tried)
	again := okafor.tries("/write/lock", locks, "Referer", r.base[:strings.LastIndex(r.base, "/")]+okafor.base+"/case/"+r.task+"/write/lock")
	wants(t, again, `id="refused"`, "None.</textarea>")
	locks.Set("impression", "Subdural haematoma.")
	okafor.does("/write/lock", locks)

	// the form of who answers an older draft has gone: the words are not
	late := okafor.tries("/write/lock", opinionOf("Seen in another window.", "Unremarkable."))
	if late.status != http.StatusConflict {
		t.Errorf("an opinion that is locked already is locked again: %d", late.status)
	}
	wants(t, late, "What you had written", "Seen in another window.", "Unremarkable.", "Back to the case")
}

// The form is the one that was sent, though others go to the same address; it is on the
// page that it was sent from, and is of the page's language.
func TestTheFormThatIsThereAgainIsTheOneThatWasSent(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "head-ct", asItShouldBe)
	okafor := r.comes("okafor", access.Reader)
	okafor.does("/claim", nil)
	okafor.does("/write/lock", opinionOf("A subdural haematoma.", "Subdural haematoma."))
	okafor.does("/do/reveal", nil)
	differ := url.Values{"agreement": {"false"}, "difference": {"A haematoma is not mentioned."}, "discrepancy.0.description": {"Haematoma"}, "discrepancy.0.nature": {"detection"}, "discrepancy.0.asymmetry": {"priors"}, "goodCall": {"true"}}
	refused := okafor.tries("/do/grade", differ, "Referer", r.base[:strings.LastIndex(r.base, "/")]+okafor.base+"/case/"+r.task, "Accept-Language", "de")
	wants(t, refused, "<title>Das hat nicht geklappt")
	_, form, found := strings.Cut(refused.text, `<dialog id="differ"`)
	form, _, _ = strings.Cut(form, "</dialog>")
	if !found {
		t.Fatalf("there is no such form: %s", refused.text)
	}
	for _, want := range []string{"again", `id="refused"`, `value="Haematoma"`, `<option value="detection" selected=""`, "A haematoma is not mentioned.</textarea>", `name="goodCall" value="true" checked=""`} {
		if !strings.Contains(form, want) {
			t.Errorf("the form has no %s: %s", want, form)
		}
	}
	for _, want := range []string{"Bitte noch angeben: Bedeutung für den Patienten.", `name="discrepancy.0.significance" value="none" aria-invalid="true"`} {
		if !strings.Contains(form, want) {
			t.Errorf("who is to say what is missing is not told %s: %s", want, form)
		}
	}
	if strings.Count(refused.text, `id="refused"`) != 1 {
		t.Error("the reason is not at one form alone")
	}
	coordinator := r.comes("coordinator", access.Coordinator)
	at := "/at/mercy/coordinator/board/" + r.task
	page := coordinator.get(at)
	taken := coordinator.post("/at/mercy/coordinator/case/"+r.task+"/do/release", url.Values{"csrf": {page.csrf()}, "then": {at}, "reason": {" "}})
	if taken.status == http.StatusOK {
		t.Fatal("a case is taken from its reader for no reason")
	}
	wants(t, taken, `id="refused"`, r.o.number, "Please say this too: Reason.")
}

// A page that shows a form again has the address of the form. What is refused on it then is
// shown again too, and the way back leads to a page.
func TestAFormIsThereAgainAlsoOnAPageThatShowsAnotherOneAgain(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "head-ct", asItShouldBe)
	okafor := r.comes("okafor", access.Reader)
	okafor.does("/claim", nil)
	host := r.base[:strings.LastIndex(r.base, "/")]
	lock := host + okafor.base + "/case/" + r.task + "/write/lock"
	wants(t, okafor.tries("/write/lock", opinionOf("Subdural haematoma.", "")), `id="refused"`)
	wants(t, okafor.tries("/do/release", url.Values{"reason": {" "}}, "Referer", lock), `id="refused"`)

	// of one who answers an older draft, in one word
	stale := opinionOf("Unremarkable.", "Normal.")
	stale.Set("follows", "7")
	late := okafor.tries("/write/draft", stale, "Referer", lock)
	wants(t, late, "What you had written", "Unremarkable.", "Normal.")
	if strings.Contains(late.text, `href="`+okafor.base+"/case/"+r.task+`/write/`) {
		t.Error("the way back is to where forms are sent")
	}
}
