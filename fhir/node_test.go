package fhir

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, body string) *Node {
	t.Helper()
	n, err := Parse([]byte(body), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBytesPutTypeIdAndMetaFirstAndKeepTheRest(t *testing.T) {
	n := mustParse(t, ` { "status":"final", "meta":{"versionId":"1"}, "valueQuantity":{"value":1.50, "unit":"\u006d<\/m"}, "id":"a", "resourceType":"Observation" } `)
	want := `{"resourceType":"Observation","id":"a","meta":{"versionId":"1"},"status":"final","valueQuantity":{"value":1.50,"unit":"m</m"}}`
	if diff := cmp.Diff(want, string(n.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestObjectLeavesOutWhatIsEmpty(t *testing.T) {
	var absent *Node
	n := Object("resourceType", "Task", "status", "", "for", absent, "note", []*Node{}, "tags", []string{}, "nothing", nil,
		"count", 2, "big", int64(3), "flag", false, "names", []string{"a", "", "b"}, "parts", []*Node{Object("x", "y"), nil}, "d", Number("1.0"))
	want := `{"resourceType":"Task","count":2,"big":3,"flag":false,"names":["a","b"],"parts":[{"x":"y"}],"d":1.0}`
	if diff := cmp.Diff(want, string(n.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestNodesAreReadByNameThroughArrays(t *testing.T) {
	n := mustParse(t, `{"code":{"coding":[{"code":"a"},{"display":"x"},{"code":"b"}],"n":7},"list":["p",null,"q"]}`)
	var codes []string
	for _, c := range n.Each("code", "coding", "code") {
		codes = append(codes, c.Text())
	}
	if diff := cmp.Diff([]string{"a", "b"}, codes); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ got, want string }{
		{n.Text("code", "coding", "code"), "a"}, {n.Text("code", "n"), "7"}, {n.Text("list"), "p"},
		{n.Text("code", "absent", "deeper"), ""}, {n.Text("code"), ""}, {n.Get("code", "n").Text(), "7"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestAnAbsentNodeIsSafeToRead(t *testing.T) {
	var n *Node
	if n.Get("a", "b") != nil || n.Text("a") != "" || len(n.Each("a")) != 0 || n.Items() != nil || n.Names() != nil || n.Type() != "" || n.Clone() != nil || n.IsObject() {
		t.Error("an absent node has something")
	}
	n.Walk(func(string, *Node) { t.Error("an absent node was visited") })
}

func TestNodesAreChangedInPlaceAndClonesAreNot(t *testing.T) {
	n := mustParse(t, `{"resourceType":"Task","status":"requested","note":[{"text":"a"}],"for":{"reference":"Patient/1"}}`)
	before := n.Clone()
	n.Set("status", "accepted")
	n.Append("note", Object("text", "b"))
	n.Append("input", Object("x", "y"))
	n.Remove("absent")
	n.Get("for", "reference").SetText("Patient/2")
	n.Set("priority", "stat")
	n.Set("priority", nil)
	want := `{"resourceType":"Task","status":"accepted","note":[{"text":"a"},{"text":"b"}],"for":{"reference":"Patient/2"},"input":[{"x":"y"}]}`
	if diff := cmp.Diff(want, string(n.Bytes())); diff != "" {
		t.Error(diff)
	}
	if got := before.Text("for", "reference"); got != "Patient/1" {
		t.Errorf("the clone changed to %s", got)
	}
}

func TestWalkNamesEveryElementByItsPath(t *testing.T) {
	n := mustParse(t, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation","valueQuantity":{"unit":"m"},"_issued":{"extension":[{"valueString":"x"}]},"note":[{"text":"y"}]}}]}`)
	var paths []string
	n.Walk(func(path string, n *Node) {
		if n.IsString() {
			paths = append(paths, path)
		}
	})
	const observation = "Bundle.entry[0].resource"
	want := []string{"Bundle.resourceType", observation + ".resourceType", observation + ".valueQuantity.unit", observation + ".issued.extension[0].valueString", observation + ".note[0].text"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}
