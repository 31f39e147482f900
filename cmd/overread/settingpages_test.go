package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// An administrator's policy is checked as often as they like, each fault told with its
// line, and is in force only with a reason; whoever began from an older version is told so.
func TestAnAdministratorWritesAPolicyAndPutsItInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, rooms := w.at(t, access.Admin)
	edit := v.get(rooms + "/policy/edit")
	follows, _, _ := strings.Cut(edit.text[strings.Index(edit.text, `name="follows" value="`)+len(`name="follows" value="`):], `"`)
	send := func(text, do, reason string) seenPage {
		return v.post(rooms+"/policy/edit", url.Values{"csrf": {edit.csrf()}, "text": {text}, "do": {do}, "reason": {reason}, "follows": {follows}})
	}
	wants(t, send("protocol: blinded\r\nofferRounds: many\r\nreeding: single\r\n", "check", ""), "2 things are wrong", "Line 2", "offerRounds", "Line 3", "reeding", "offerRounds: many")
	good := "# ours\r\nofferRounds: 4\r\n"
	wants(t, send(good, "check", ""), "Nothing is wrong with it", "offerRounds", "Put in force")
	wants(t, send(good, "set", " "), "A new version needs the reason", "offerRounds: 4")
	done := send(good, "set", "four rounds, as agreed")
	if !strings.HasPrefix(done.at, rooms+"/policy?set=") {
		t.Fatalf("%d at %s: %s", done.status, done.at, done.text)
	}
	wants(t, done, "is in force for new cases", "four rounds, as agreed", ", admin")
	wants(t, send("offerRounds: 5", "set", "five"), "Somebody else has put another version in force meanwhile")
	version := strings.TrimPrefix(done.at, rooms+"/policy?set=")
	wants(t, v.get(rooms+"/policy/versions/"+version), "offerRounds", "# ours\nofferRounds: 4")
	wants(t, v.get(rooms+"/policy/versions/"+version+"?against=0"), "offerRounds")
	for _, none := range []string{"/policy/versions/99", "/policy/versions/x", "/policy/edit?from=77"} {
		if page := v.get(rooms + none); page.status != http.StatusNotFound {
			t.Errorf("%s: %d", none, page.status)
		}
	}
	if !w.recordedAsking(t, "four rounds, as agreed") {
		t.Error("that the policy was set is not recorded with its reason")
	}
	if forged := v.post(rooms+"/policy/edit", url.Values{"text": {good}, "do": {"set"}, "reason": {"x"}, "follows": {version}}); forged.status != http.StatusForbidden {
		t.Errorf("without the token of the session: %d", forged.status)
	}
	reader, his := w.at(t, access.Coordinator)
	for _, path := range []string{"/policy", "/policy/edit", "/templates"} {
		if page := reader.get(his + path); page.status != http.StatusNotFound {
			t.Errorf("a coordinator at %s: %d", path, page.status)
		}
	}
}

func TestAnAdministratorWritesATemplate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, rooms := w.at(t, access.Admin)
	list := v.get(rooms + "/templates")
	wants(t, list, "CT of the chest", "of the program")
	if page := v.post(rooms+"/templates/new", url.Values{"csrf": {list.csrf()}, "name": {"No Name"}}); !strings.Contains(page.text, "small letters, digits and hyphens") {
		t.Errorf("a name that is none: %s", page.text)
	}
	edit := v.post(rooms+"/templates/new", url.Values{"csrf": {list.csrf()}, "name": {"ct-head"}})
	wants(t, edit, "Write the template ct-head", "Intracranial bleeding")
	send := func(text, do, reason string) seenPage {
		return v.post(rooms+"/templates/ct-head/edit", url.Values{"csrf": {edit.csrf()}, "text": {text}, "do": {do}, "reason": {reason}, "follows": {"0"}})
	}
	wants(t, send("title: Head\nwhen: {}\n", "check", ""), "wrong", "sections")
	good := "title: CT of the head\nwhen: {modality: [CT], bodySite: [head]}\nsections:\n  - {id: brain, title: Brain, normal: No bleeding.}\n"
	wants(t, send(good, "check", ""), "Nothing is wrong with it", "No bleeding.")
	done := send(good, "set", "the head group")
	wants(t, done, "Version 1 is in force", "the head group", "No bleeding.")
	if done.at != rooms+"/templates/ct-head?set=1" {
		t.Errorf("at %s", done.at)
	}
	wants(t, v.get(rooms+"/templates"), "ct-head", "version 1")
	wants(t, v.get(rooms+"/templates/ct-chest?version=0"), "Largest nodule")
	if page := v.get(rooms + "/templates/none"); page.status != http.StatusNotFound {
		t.Errorf("no such template: %d", page.status)
	}
}
