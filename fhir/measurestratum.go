package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// strata makes the strata of a report. There may be tens of thousands: what stands in
// many of them (a word, a score of the same counts) is made and written once.
type strata struct {
	a      askedMeasure
	names  func(dimension, word string) string
	values [facts.MostBy]map[string]*Node
	scores map[facts.Counts]*Node
}

func (a askedMeasure) strata(names func(dimension, word string) string) *strata {
	s := &strata{a: a, names: names, scores: map[facts.Counts]*Node{}}
	for i := range s.values {
		s.values[i] = map[string]*Node{}
	}
	return s
}

// one has a value, or of two dimensions a component of each.
func (s *strata) one(key []string, populations []*Node, score *Node) *Node {
	n := &Node{kind: objectNode, members: make([]member, 0, 3)}
	if len(key) == 1 {
		n.Set("value", s.value(0, key[0]))
	} else {
		parts := make([]*Node, len(key))
		for i, word := range key {
			parts[i] = s.value(i, word)
		}
		n.Set("component", parts)
	}
	n.Set("population", populations)
	n.Set("measureScore", score)
	return n
}

// sortStrata puts strata in the order of what is shown: in that of their ids readers would
// stand in every export in the same order, whatever their pseudonyms.
func sortStrata(list []*Node) {
	texts := make(map[*Node]string, len(list))
	for _, n := range list {
		texts[n] = stratumText(n)
	}
	slices.SortFunc(list, func(a, b *Node) int { return strings.Compare(texts[a], texts[b]) })
}

func stratumText(n *Node) string {
	texts := []string{n.Text("value", "text")}
	for _, part := range n.Each("component") {
		texts = append(texts, part.Text("value", "text"))
	}
	return strings.Join(texts, "\x00")
}

// value is a word of a dimension, as value or component.
func (s *strata) value(i int, word string) *Node {
	n := s.values[i][word]
	if n == nil {
		name := s.a.By[i]
		if n = stratumValue(name, word, s.names); len(s.a.By) > 1 {
			n = Object("code", dimensionCode(name), "value", n)
		}
		s.values[i][word] = n.fixed()
	}
	return n
}

// share is that of the same counts.
func (s *strata) share(c facts.Counts) (*Node, error) {
	c.Initial = c.Denominator
	n, made := s.scores[c]
	if !made {
		var err error
		if n, err = s.a.share(c); err != nil {
			return nil, err
		}
		s.scores[c] = n.fixed()
	}
	return n, nil
}

// wordSystems are the code systems of the words of dimensions.
var wordSystems = map[string]string{"modality": dicom, "priority": "http://hl7.org/fhir/request-priority", "reason": workflow.ReasonSystem, "protocol": csProtocol,
	"subspecialty": Canonical + "/CodeSystem/reading-subspecialty"}

func stratumValue(dimension, word string, names func(dimension, word string) string) *Node {
	text := names(dimension, word)
	if system := wordSystems[dimension]; system != "" && word != workflow.NotSaid && word != "other" {
		return Object("coding", []*Node{coding(system, word, "")}, "text", text)
	}
	return Object("text", text)
}

// stratumNames names readers by a pseudonym of this answer, unless they are opened. An answer
// may be in pages, which are to be put together: so the pseudonyms are those of who asks, what
// and as of which moment, whichever page it is. As of another moment, to somebody else, or of
// another question they are others.
func (s *Server) stratumNames(ctx context.Context, tx pgx.Tx, actor access.Actor, a askedMeasure) (func(dimension, word string) string, error) {
	known := map[string]string{}
	if a.open {
		people, err := practitioners(ctx, tx)
		if err != nil {
			return nil, err
		}
		twice := map[string]int{}
		for _, who := range people {
			twice[who.Text("display")]++
		}
		for id, who := range people {
			name := who.Text("display")
			if twice[name] > 1 { // two of one name are two
				name += " (" + id.String() + ")"
			}
			known[id.String()] = name
		}
	}
	var pseudonyms *disclosure.Pseudonyms
	if !a.open && slices.ContainsFunc(a.By, facts.IsReader) {
		whole := a
		whole.Page = 0
		key, err := workflow.PseudonymKeyTx(ctx, tx, actor.ID.String()+" "+string(actor.Role)+" "+whole.query())
		if err != nil {
			return nil, err
		}
		pseudonyms = disclosure.PseudonymsBy(key)
	}
	return func(dimension, word string) string {
		if !facts.IsReader(dimension) || word == workflow.NotSaid {
			return word
		}
		if !a.open {
			return pseudonyms.Of("reader", word)
		}
		if name := known[word]; name != "" {
			return name
		}
		return word
	}, nil
}
