package access

import (
	"testing"

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
		"system/Task.rs?code=x":              "",
		"system/Task/1.r":                    "",
		"patient/Task.rs":                    "",
		"user/Task.rs":                       "",
		"System/Task.rs":                     "",
		"system/Task.rs openid":              "",
		"system/Task.readwrite":              "",
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
		for _, typ := range rapid.SliceOf(rapid.SampledFrom([]string{"*", "Task", "Patient", "Binary"})).Draw(r, "types") {
			g.add(typ, rapid.StringMatching(`c?r?u?d?s?`).Draw(r, "letters"))
		}
		return g
	})
	rapid.Check(t, func(r *rapid.T) {
		registered, asked := grants.Draw(r, "registered"), grants.Draw(r, "asked")
		both := registered.Within(asked)
		for _, typ := range []string{"Task", "Patient", "Binary", "Group"} {
			for _, do := range []Permission{Create, Read, Update, Delete, Search} {
				want := registered.allows(do, typ) && asked.allows(do, typ)
				if both.allows(do, typ) != want {
					r.Fatalf("%s.%c: %v within %v is %v", typ, do, asked, registered, both)
				}
			}
		}
		if again, err := ParseGrant(both.String()); len(both) > 0 && (err != nil || again.String() != both.String()) {
			r.Fatalf("%q is read as %q (%v)", both, again, err)
		}
	})
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
