package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Breadth is how far beyond its own subspecialty a case may be read.
type Breadth string

// The steps of a ladder, each wider than the one before.
const (
	ToRelated Breadth = "related" // the subspecialties that are related to it (relatedTo)
	ToGeneral Breadth = "general" // every reader of the modality and the age
)

// Rung is one step of the policy's ladder: how far a case is broadened when
// nobody could be found for so long.
type Rung struct {
	To    Breadth `json:"to"`
	After Span    `json:"after"`
}

// Kinship names the subspecialties that may stand in for one.
type Kinship struct {
	Subspecialty Privilege   `json:"subspecialty"`
	Related      []Privilege `json:"related"`
}

// kinships are those of a policy that says nothing of a subspecialty. Breast has
// none: who reads mammograms is regulated (in the US by the MQSA, 21 CFR 900.12).
var kinships = []Kinship{
	{"neuro", []Privilege{"head-neck"}},
	{"head-neck", []Privilege{"neuro"}},
	{"chest", []Privilege{"cardiac"}},
	{"cardiac", []Privilege{"chest", "vascular"}},
	{"vascular", []Privilege{"cardiac"}},
	{"abdominal", []Privilege{"genitourinary"}},
	{"genitourinary", []Privilege{"abdominal"}},
}

// relatedTo are the subspecialties that may stand in for one: as the policy says,
// else as the default table.
func (p Policy) relatedTo(subspecialty string) []string {
	for _, list := range [][]Kinship{p.Related, kinships} {
		if i := slices.IndexFunc(list, func(k Kinship) bool { return string(k.Subspecialty) == subspecialty }); i >= 0 {
			return texts(list[i].Related...)
		}
	}
	return nil
}

// Broadening is the recorded downgrade of a case: who may read it besides those
// who should, since when and why.
type Broadening struct {
	To      Breadth   `json:"to"`
	Related []string  `json:"related,omitempty"` // subspecialties that may read it too
	Since   time.Time `json:"since"`
	Why     string    `json:"why"` // "nobody with neuro was available for 4h"; nobody is named
}

// wanted are the subspecialties of which a reader must have one; nil: none.
func (e Exam) wanted() []string {
	switch {
	case e.Subspecialty == General || e.Subspecialty == "":
		return nil
	case e.Broadened == nil:
		return []string{e.Subspecialty}
	case e.Broadened.To == ToGeneral:
		return nil
	}
	return append([]string{e.Subspecialty}, e.Broadened.Related...)
}

// broaden is the exam's next step, or the one that is asked for: ok is false when
// it is as broad already, or would be no broader.
func (c *Case) broaden(to Breadth, why string, at time.Time) (b Broadening, ok bool) {
	related := c.Policy.relatedTo(c.Exam.Subspecialty)
	broad := c.Exam.Broadened
	if c.Exam.wanted() == nil || to == ToRelated && (broad != nil || related == nil) {
		return b, false
	}
	b = Broadening{To: to, Related: related, Since: at, Why: why}
	return b, true
}

// nextRung is the next step of the policy's ladder that makes the case broader.
func (c *Case) nextRung() (Rung, bool) {
	for _, rung := range c.Policy.Broaden {
		if _, ok := c.broaden(rung.To, "", time.Time{}); ok {
			return rung, true
		}
	}
	return Rung{}, false
}

// Downgrade says that the reader has not the subspecialty that the case asks for,
// and why they read it; "" when they have. It names nobody.
func (e Exam) downgrade(fields []string) string {
	if e.Broadened == nil || e.Subspecialty == General || e.Subspecialty == "" || slices.Contains(fields, e.Subspecialty) {
		return ""
	}
	who := "a general radiologist"
	for _, field := range fields {
		if slices.Contains(e.Broadened.Related, field) {
			who = "a radiologist of the related subspecialty " + field
			break
		}
	}
	return fmt.Sprintf("Read by %s instead of one of the subspecialty %s, because %s.", who, e.Subspecialty, strings.TrimSuffix(e.Broadened.Why, "."))
}

// ladderFaults: each step must be broader than the one before.
func (p Policy) ladderFaults() (wrong PolicyErrors) {
	for i, rung := range p.Broaden {
		if i > 0 && (p.Broaden[i-1].To == ToGeneral || p.Broaden[i-1].To == rung.To) {
			wrong = append(wrong, PolicyFault{Path: element("broaden", i), Text: Phrase("is no broader than the step before it: related comes before general, each once")})
		}
	}
	if w := p.Matching.Weights; w == (Weights{}) {
		wrong = append(wrong, PolicyFault{Path: "matching.weights", Text: Phrase("must not all be 0")})
	}
	return wrong
}

// broadenNext takes the next step of the policy's ladder.
func (e *Engine) broadenNext(ctx context.Context, j job) (time.Time, error) {
	rung, more := j.c.nextRung()
	switch {
	case !more, slices.Contains(third, j.c.State) && !j.c.NoThird():
		return done, nil
	case j.c.State == Ready:
		return j.now.Add(time.Minute), nil // being matched just now
	}
	why := Phrase("no reader of %s was available for %s", strings.Join(j.c.Exam.wanted(), " or "), rung.After.inWords())
	return done, e.fireSystem(ctx, j, "broaden", Input{Breadth: rung.To, Reason: why})
}

// inWords is a length of time as a report says it.
func (s Span) inWords() string {
	text := s.String()
	for _, unit := range [][2]string{{"bd", "business day"}, {"d", "day"}, {"h", "hour"}, {"m", "minute"}} {
		n, ok := strings.CutSuffix(text, unit[0])
		if !ok {
			continue
		}
		if n != "1" {
			unit[1] += "s"
		}
		return n + " " + unit[1]
	}
	return text
}
