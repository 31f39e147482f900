package workflow

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTwoSystemsAgreeAboutAPatientOrContradictEachOther(t *testing.T) {
	named := func(family, given string) Person { return Person{Names: []PersonName{{family, given}}} }
	with := func(p Person, change func(*Person)) Person { change(&p); return p }
	whole := Person{IDs: []PersonID{{"urn:mercy", "100"}}, Names: []PersonName{{"Lindgren", "Harriet Ann"}}, BirthDate: "1959-03-14", Sex: "female"}
	for name, c := range map[string]struct {
		a, b        Person
		differences []string
		same        bool
	}{
		"everything":                           {whole, whole, nil, true},
		"letters of machines":                  {whole, with(whole, func(p *Person) { p.Names = []PersonName{{"LINDGREN", "HARRIET"}} }), nil, true},
		"an initial":                           {whole, with(whole, func(p *Person) { p.Names = []PersonName{{"Lindgren", "H"}} }), nil, true},
		"family and given in one":              {whole, with(whole, func(p *Person) { p.Names = []PersonName{{"HARRIET LINDGREN", ""}} }), nil, true},
		"an identifier alone":                  {whole, Person{IDs: []PersonID{{"urn:mercy", "100"}}}, nil, true},
		"an identifier of nobody knows whom":   {whole, Person{IDs: []PersonID{{"", "100"}}}, nil, true},
		"another hospital's identifier":        {whole, with(whole, func(p *Person) { p.IDs = []PersonID{{"urn:lakeside", "7"}} }), nil, true},
		"the same number at another hospital":  {whole, Person{IDs: []PersonID{{"urn:lakeside", "100"}}}, nil, false},
		"another identifier of the same kind":  {whole, with(whole, func(p *Person) { p.IDs = []PersonID{{"urn:mercy", "101"}} }), []string{"identifier"}, true},
		"one of two identifiers":               {whole, with(whole, func(p *Person) { p.IDs = []PersonID{{"urn:mercy", "101"}, {"urn:mercy", "100"}} }), nil, true},
		"another given name":                   {whole, with(whole, func(p *Person) { p.Names = []PersonName{{"Lindgren", "Tobias"}} }), []string{"name"}, true},
		"a name before the marriage":           {whole, with(whole, func(p *Person) { p.Names = append([]PersonName{{"Ek", "Harriet"}}, p.Names...) }), nil, true},
		"another birth date":                   {whole, with(whole, func(p *Person) { p.BirthDate = "1959-03-15" }), []string{"birth date"}, true},
		"a year of birth":                      {whole, with(whole, func(p *Person) { p.BirthDate = "1959" }), nil, true},
		"another sex":                          {whole, with(whole, func(p *Person) { p.Sex = "male" }), []string{"sex"}, true},
		"sex other":                            {whole, with(whole, func(p *Person) { p.Sex = "other" }), nil, true},
		"somebody else":                        {whole, Person{[]PersonID{{"urn:mercy", "5"}}, []PersonName{{"Oyelaran", "Desmond"}}, "1966-01-30", "male"}, []string{"identifier", "name", "birth date", "sex"}, false},
		"nobody":                               {whole, Person{}, nil, false},
		"a name alone":                         {whole, named("Lindgren", "Harriet"), nil, false},
		"a family name alone":                  {whole, named("Lindgren", ""), nil, false},
		"another family name alone":            {whole, named("Ek", ""), []string{"name"}, false},
		"name and birth date":                  {whole, with(named("Lindgren", "Harriet"), func(p *Person) { p.BirthDate = "1959-03-14" }), nil, true},
		"umlauts plain":                        {named("Müller", "Jürgen"), named("MULLER", "JURGEN"), nil, false},
		"umlauts spelled out":                  {named("Müller", "Jürgen"), named("MUELLER", "JUERGEN"), nil, false},
		"strokes":                              {named("Sørensen", "Łucja"), named("SORENSEN", "LUCJA"), nil, false},
		"apostrophes and hyphens":              {named("O'Neill-Brown", "Zoë"), named("ONEILL BROWN", "ZOE"), nil, false},
		"particles joined":                     {named("van der Berg", "Jan"), named("VANDERBERG", "JAN"), nil, false},
		"two scripts cannot be compared":       {named("Yamada", "Tarou"), named("山田", "太郎"), nil, false},
		"the same script can":                  {named("山田", "太郎"), named("鈴木", "太郎"), []string{"name"}, false},
		"initials alone are not enough to say": {named("Lindgren", "Harriet"), named("L", "H"), []string{"name"}, false},
	} {
		differences, same := c.a.compare(c.b)
		if diff := cmp.Diff(c.differences, differences); diff != "" || same != c.same {
			t.Errorf("%s: same %v, want %v; differences %s", name, same, c.same, diff)
		}
		back, sameBack := c.b.compare(c.a)
		if !cmp.Equal(back, differences) || sameBack != same {
			t.Errorf("%s: the other way round it is %v %v", name, back, sameBack)
		}
	}
}
