package access

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestScopesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"system/Task.rs":                     "system/Task.rs",
		"system/Task.cruds":                  "system/Task.cruds",
		"system/Task.read":                   "system/Task.rs",
		"system/Task.write":                  "system/Task.cud",
		"system/Task.*":                      "system/Task.cruds",
		"system/*.*":                         "system/*.cruds",
		"system/Task.s system/Task.r":        "system/Task.rs",
		"  system/Task.d   system/Patient.r": "system/Patient.r system/Task.d",
		"":                                   "",
		"system/Task.":                       "",
		"system/Task.sr":                     "",
		"system/Task.dus":                    "",
		"system/Task.rr":                     "",
		"system/Task.R":                      "",
		"system/task.r":                      "",
		"system/Task.rs?code=x":              "system/Task.rs?code=x",
		"system/Task.rs?status=b&code=a":     "system/Task.rs?code=a&status=b",
		"system/Task.rs?code=a&code=a":       "system/Task.rs?code=a",
		"system/Task.rs?code=http://x.y/z|1": "system/Task.rs?code=http://x.y/z|1",
		"system/Task.rs?code=http%3A%2F%2Fx.y%2Fz%7C1":               "system/Task.rs?code=http://x.y/z|1",
		"system/Task.rs?code=a%20b+c%26":                             "system/Task.rs?code=a%20b%2Bc%26",
		"system/Task.r?code=a system/Task.s?code=a":                  "system/Task.rs?code=a",
		"system/Task.r?code=a system/Task.r?code=b":                  "system/Task.r?code=a system/Task.r?code=b",
		"patient/*.rs user/Task.r":                                   "patient/*.rs user/Task.r",
		"system/Task.rs?":                                            "",
		"system/Task.rs?code":                                        "",
		"system/Task.rs?code=":                                       "",
		"system/Task.rs?code=%7C":                                    "",
		"system/Task.rs?code:not=x":                                  "",
		"system/Task.rs?patient.name=x":                              "",
		"system/Task.rs?_id=x":                                       "",
		"system/Task.rs?_has:A:b:c=x":                                "",
		"system/Task.rs?code=%zz":                                    "",
		"system/*.rs?code=x":                                         "",
		"system/Task.read?code=x":                                    "",
		"system/Task.rs?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1": "",
		"system/Task/1.r":                                            "",
		"System/Task.rs":                                             "",
		"system/Task.rs openid":                                      "",
		"system/Task.readwrite":                                      "",
	} {
		g, err := ParseGrant(text)
		if (err == nil) != (want != "") || g.String() != want {
			t.Errorf("%q: %q (%v), want %q", text, g, err, want)
		}
	}
}

// What is granted is exactly what is both asked for and allowed.
func TestAGrantIsNeverMoreThanWasAskedForAndIsAllowed(t *testing.T) {
	t.Parallel()
	grants := rapid.Custom(func(r *rapid.T) Grant {
		g := Grant{}
		for _, area := range rapid.SliceOf(rapid.SampledFrom([]Area{
			{"system", "*", ""}, {"system", "Task", ""}, {"system", "Patient", ""}, {"system", "Binary", ""}, {"user", "Task", ""},
			{"system", "Task", "code=a"}, {"system", "Task", "status=b"}, {"system", "Task", "code=a&status=b"}, {"system", "Patient", "gender=female"},
		})).Draw(r, "areas") {
			g.add(area, rapid.StringMatching(`c?r?u?d?s?`).Draw(r, "letters"))
		}
		return g
	})
	rapid.Check(t, func(r *rapid.T) {
		registered, asked := grants.Draw(r, "registered"), grants.Draw(r, "asked")
		both := registered.Within(asked)
		for _, typ := range []string{"Task", "Patient", "Binary", "Group"} {
			for _, do := range []Permission{Create, Read, Update, Delete, Search} {
				for _, has := range [][]string{nil, {"code=a"}, {"status=b"}, {"code=a", "status=b"}, {"gender=female"}} {
					want := registered.opens(do, typ, has) && asked.opens(do, typ, has)
					if both.opens(do, typ, has) != want {
						r.Fatalf("%s.%c of %v: %v within %v is %v", typ, do, has, asked, registered, both)
					}
				}
			}
		}
		if again, err := ParseGrant(both.String()); len(both) > 0 && (err != nil || again.String() != both.String()) {
			r.Fatalf("%q is read as %q (%v)", both, again, err)
		}
	})
}

// opens tells whether a system may do this with a resource that meets these.
func (g Grant) opens(do Permission, typ string, has []string) bool {
	for area := range g {
		met := func(pair string) bool { return slices.Contains(has, pair) }
		if area.Level == "system" && g.covers(area, do, typ) && !slices.ContainsFunc(pairsOf(area.Query), func(p string) bool { return !met(p) }) {
			return true
		}
	}
	return false
}

func TestAPatientsScopeMeansNothingWithoutAPatient(t *testing.T) {
	t.Parallel()
	g, err := ParseGrant("patient/*.rs user/Task.r")
	if err != nil {
		t.Fatal(err)
	}
	without, with := Actor{Grant: g}, Actor{Grant: g, Patient: "Patient/1"}
	if without.May("Patient", Read) || !without.May("Task", Read) || !with.May("Patient", Read) || with.May("Patient", Create) {
		t.Error("patient/*.rs is not bound to the patient in context")
	}
	if without.Restricted() || !with.Restricted() {
		t.Error("who is bound to a patient is not restricted, or somebody else is")
	}
	if _, err := ParseSystemGrant(g.String()); err == nil {
		t.Error("a system gets a scope of people")
	}
}

func TestRestrictionsHoldWhereNoScopeHasTheWhole(t *testing.T) {
	t.Parallel()
	for scopes, want := range map[string]map[string][]string{
		"system/Task.rs?status=a":                          {"Task": {"status=a"}},
		"system/Task.rs?status=a system/Task.r?code=b":     {"Task": {"code=b", "status=a"}},
		"system/Task.rs?status=a system/Task.r":            nil,
		"system/Task.rs?status=a system/*.r":               nil,
		"system/Task.rs?status=a system/*.s":               {"Task": {"status=a"}},
		"system/Task.s?status=a":                           nil,
		"system/Task.r?status=a system/Patient.r?gender=x": {"Task": {"status=a"}, "Patient": {"gender=x"}},
		"system/Task.r?status=a user/Task.r":               nil,
		"system/Task.r?status=a patient/Task.r":            {"Task": {"status=a"}}, // no patient in context
	} {
		g, err := ParseGrant(scopes)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, Actor{Grant: g}.Restrictions(Read)); diff != "" {
			t.Errorf("%s: %s", scopes, diff)
		}
	}
}

func TestAnActorWithoutScopesMayAllThatItsRoleMay(t *testing.T) {
	t.Parallel()
	if !(Actor{Role: Placer}).May("Task", Delete) {
		t.Error("a token of the operator's is bounded by scopes")
	}
	if (Actor{Role: Placer, Grant: Grant{}}).May("Task", Read) {
		t.Error("a token whose scopes are none may read")
	}
}
