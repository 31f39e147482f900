package fhir

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/fault"
)

// A composite parameter asks for two values that stand together: code$value of
// one component of an Observation (FHIR R4 search.html#combining). Two keys are
// indexed as one key of both; of a key and an ordered value, the value is
// indexed under a name that has the key in it.

// compositePart is one part of a composite: what it is called, its kind, and
// where its value is below the element that both stand in.
type compositePart struct{ name, kind, expression string }

// compositeParts is the table of them; R4's own list leaves them to the pages
// of the resources.
var compositeParts = map[string][2]compositePart{
	"code-value-concept":            {{"code", "token", "code"}, {"value-concept", "token", "value.as(CodeableConcept)"}},
	"code-value-date":               {{"code", "token", "code"}, {"value-date", "date", "value.as(dateTime) | value.as(Period)"}},
	"code-value-quantity":           {{"code", "token", "code"}, {"value-quantity", "quantity", "value.as(Quantity)"}},
	"code-value-string":             {{"code", "token", "code"}, {"value-string", "string", "value.as(string)"}},
	"combo-code-value-concept":      {{"combo-code", "token", "code"}, {"combo-value-concept", "token", "value.as(CodeableConcept)"}},
	"combo-code-value-quantity":     {{"combo-code", "token", "code"}, {"combo-value-quantity", "quantity", "value.as(Quantity)"}},
	"component-code-value-concept":  {{"component-code", "token", "code"}, {"component-value-concept", "token", "value.as(CodeableConcept)"}},
	"component-code-value-quantity": {{"component-code", "token", "code"}, {"component-value-quantity", "quantity", "value.as(Quantity)"}},
	"relationship":                  {{"relatesto", "reference", "target"}, {"relation", "token", "code"}},
	"characteristic-value":          {{"characteristic", "token", "code"}, {"value", "token", "value.as(CodeableConcept) | value.as(boolean)"}},
	"context-type-quantity":         {{"context-type", "token", "code"}, {"context-quantity", "quantity", "value.as(Quantity) | value.as(Range)"}},
	"context-type-value":            {{"context-type", "token", "code"}, {"context", "token", "value.as(CodeableConcept)"}},
}

// compositeBase is an element in which the parts of a composite stand together.
// Its key has nothing of the parameter's name in it, so that parameters that ask
// for the same share what is indexed.
type compositeBase struct {
	key   string
	path  valuePath
	parts [2]searchParam
}

func (p *searchParam) compileComposite(typ string) error {
	parts, ok := compositeParts[p.name]
	if !ok {
		return fmt.Errorf("the parts of the composite are not known")
	}
	for expression := range strings.SplitSeq(p.expression, " | ") {
		base := compositeBase{key: strings.TrimPrefix(expression, typ) + "$" + parts[1].expression}
		below := resourceShape(typ)
		if expression != typ {
			paths, err := compilePaths(typ, expression)
			if err != nil {
				return err
			}
			base.path, below = paths[0], paths[0].at.shape()
		}
		for i, part := range parts {
			base.parts[i] = searchParam{name: part.name, key: part.name, kind: part.kind, expression: part.expression}
			for each := range strings.SplitSeq(part.expression, " | ") {
				paths, err := walker{shape: below}.walk(stepForm.FindAllString(each, -1))
				if err != nil {
					return err
				}
				base.parts[i].paths = append(base.parts[i].paths, paths...)
			}
		}
		p.bases = append(p.bases, base)
	}
	return nil
}

// addComposite indexes the pairs of values that stand together.
func (x *index) addComposite(space keySpace, p searchParam, n *Node) {
	for _, base := range p.bases {
		space.param = base.key
		if x.indexed[base.key] {
			continue // another parameter asks for the same
		}
		if x.indexed == nil {
			x.indexed = map[string]bool{}
		}
		x.indexed[base.key] = true
		for _, element := range base.path.values(n) {
			first, second := x.part(space, base.parts[0], element), x.part(space, base.parts[1], element)
			x.addPairs(space, first.keys, second)
		}
	}
}

// part indexes one part of a composite by itself.
func (x *index) part(space keySpace, p searchParam, element *Node) *index {
	one := &index{seen: map[uuid.UUID]bool{}}
	for _, path := range p.paths {
		for _, value := range path.values(element) {
			one.add(space, p, path, value)
		}
	}
	return one
}

func (x *index) addPairs(space keySpace, first []uuid.UUID, second *index) {
	for _, key := range first {
		if key == space.key(formPresent) {
			continue
		}
		for _, other := range second.keys {
			x.addKeys(pairKey(space, key, other))
		}
		name := pairName(space, key)
		for _, d := range second.dates {
			x.dates = append(x.dates, dateRow{name, d.interval})
		}
		for _, t := range second.texts {
			if t.exact != "" {
				x.texts = append(x.texts, textRow{name, t.folded, t.exact})
			}
		}
		for _, q := range second.quantities {
			q.param = name
			x.quantities = append(x.quantities, q)
		}
	}
}

func pairKey(space keySpace, first, second uuid.UUID) uuid.UUID {
	return space.key(formPair, string(first[:]), string(second[:]))
}

// pairName is the name of rows that stand together with a key.
func pairName(space keySpace, first uuid.UUID) string { return space.param + "$" + short(first) }

// compositeQuestion is the criterion of code$value, with several of them after
// commas.
func (a asking) compositeQuestion(p searchParam, value string) (criterion, error) {
	c := criterion{param: p.key}
	for _, v := range alternatives(value) {
		dollar := indexUnescaped(v, '$')
		if dollar < 0 || indexUnescaped(v[dollar+1:], '$') >= 0 {
			parts := p.bases[0].parts
			return c, fault.New(fault.Value, "%s takes two values, %s and %s, with a $ between them", p.name, parts[0].name, parts[1].name)
		}
		for _, base := range p.bases {
			a.space.param = base.key
			first, err := a.question(base.parts[0], "", v[:dollar])
			if err != nil {
				return c, err
			}
			second, err := a.question(base.parts[1], "", v[dollar+1:])
			if err != nil {
				return c, err
			}
			c.any = append(c.any, a.paired(p, first, second))
		}
	}
	return c, nil
}

// paired is what meets both, together.
func (a asking) paired(p searchParam, first, second criterion) criterion {
	both := second
	both.param, both.rows, both.keys, both.ids = p.key, nil, nil, nil
	for _, key := range first.keys {
		for _, other := range second.keys {
			both.keys = append(both.keys, pairKey(a.space, key, other))
		}
		both.rows = append(both.rows, pairName(a.space, key))
	}
	return both
}
