package disclosure

// Course is how soon cases of one set ended: how many of them within so many hours, and
// how many by the time of the publication. Every count of it may be told by the rule by
// itself; what is made of it for an auditor is shares in whole per cent (Share) and no
// count, so that nothing is subtracted from the counts of other publications whose cases
// are partly the same (docs/disclosure.md).
type Course struct {
	Cases  int
	Ended  *int // nil: few have ended, or few have not
	Within []Within
}

// Within is how many had ended within so many hours.
type Within struct{ Hours, Cases int }

// NewCourse leaves out what tells few cases: hours within which few had ended, or after
// which few were left, or few ended between them and those that are told before, or
// between them and the end. Within is in the order of its hours and counts from the
// beginning. Nil where the cases are few.
func NewCourse(rule Rule, cases, ended int, within []Within) *Course {
	if rule.small(cases) {
		return nil
	}
	c := &Course{Cases: cases}
	if !rule.small(ended) && !rule.small(cases-ended) {
		c.Ended = &ended
	}
	before := 0
	for _, w := range within {
		if rule.small(w.Cases) || rule.small(cases-w.Cases) || rule.small(w.Cases-before) || c.Ended != nil && rule.small(ended-w.Cases) {
			continue
		}
		c.Within = append(c.Within, w)
		before = w.Cases
	}
	return c
}

// SumCourses is a year from its quarters: the hours that all of them tell, which is no
// more than they tell together. Nil where one of them is.
func SumCourses(parts ...*Course) *Course {
	if len(parts) == 0 || parts[0] == nil {
		return nil
	}
	sum := &Course{Cases: parts[0].Cases, Ended: parts[0].Ended, Within: parts[0].Within}
	for _, p := range parts[1:] {
		if p == nil {
			return nil
		}
		sum.Cases += p.Cases
		if sum.Ended != nil && p.Ended != nil {
			both := *sum.Ended + *p.Ended
			sum.Ended = &both
		} else {
			sum.Ended = nil
		}
		var within []Within
		for _, w := range sum.Within {
			for _, o := range p.Within {
				if o.Hours == w.Hours {
					within = append(within, Within{w.Hours, w.Cases + o.Cases})
				}
			}
		}
		sum.Within = within
	}
	return sum
}

// Share is a count of the course in whole per cent, rounded half up; false of no case.
func (c *Course) Share(cases int) (percent int, defined bool) {
	if c.Cases == 0 {
		return 0, false
	}
	return (200*cases + c.Cases) / (2 * c.Cases), true
}

// By is the hours within which this many per cent had ended, and those before, within
// which they had not (0: the beginning); false where no hours that are told are so long.
func (c *Course) By(percent int) (after, within int, reached bool) {
	for _, w := range c.Within {
		if c.Cases > 0 && 100*w.Cases >= percent*c.Cases {
			return after, w.Hours, true
		}
		after = w.Hours
	}
	return after, 0, false
}

// steps are the numbers of cases that AtLeast names.
var steps = []int{30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000}

// AtLeast is a round number of cases that there are at the least, 0 under 30: with it an
// interval can be given that is not too narrow, and the number itself is not told.
func AtLeast(cases int) (n int) {
	for _, step := range steps {
		if cases >= step {
			n = step
		}
	}
	return n
}

// Show is what is told of counts by a scheme, of all cases together: at the finest level
// at which no block is small.
func (s *Scheme) Show(rule Rule, c Counts) Figures { return s.figures(c, s.finest(c, rule)) }

// Beside is what is told (by Show) of what third readers made of discrepancies, as far as it
// can be told beside the total of the outcomes. Its leaves are those that they did not see,
// those in which they upheld the grade, and those in which it was overturned. By the policy
// every important discrepancy of a reader goes to a third reader, or every discrepancy, and no
// agreement does: then what they saw less what is important (or discrepant) is some of what
// they overturned, and what they upheld is what is important. So how many they saw is told
// where these differences are not small, and how many they upheld where it is told how many
// are important.
func (s *Scheme) Beside(rule Rule, f, total Figures, discrepant, important Leaves) Figures {
	saw, told := f.Of(0b110)
	if f.Level < 2 || !told {
		return f
	}
	level := f.Level
	if _, told := total.Of(important); !told {
		level = 2
	}
	for _, outcomes := range []Leaves{discrepant, important} {
		if n, told := total.Of(outcomes); told && (rule.small(saw-n) || rule.small(n-saw)) {
			level = 1
		}
	}
	coarser := Figures{Level: level}
	for _, block := range s.levels[level-1] {
		n, _ := f.Of(block)
		coarser.Blocks = append(coarser.Blocks, Block{block, n})
	}
	return coarser
}

// SumOf is figures of quarters added up, in the detail that all of them have.
func SumOf(parts ...Figures) Figures {
	all := make([]*Published, len(parts))
	for i, f := range parts {
		all[i] = &Published{Total: f}
	}
	return sumFigures(all, func(p *Published) (Figures, bool) { return p.Total, true })
}
