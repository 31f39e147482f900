package screen

import "time"

// FigureCases are cases that a figure is made of, as the role quality sees them.
type FigureCases struct {
	Title    string // of the measure
	Of       string // the denominator in words
	Counts   string // the numerator, or what the time is from and to
	Timed    bool
	From, To string // days of the period
	AsOf     time.Time
	Query    string // in one form, with its digest
	Zone     *time.Location
	Sites    map[string]string // the names of sites that the figure is narrowed to

	Groups []FigureMembers // all, and what they divide into
	Shown  string          // which of them is listed
	Lines  []FigureCase
	Next   string // the place of the next page; "" at the end

	Withheld bool // who asks reads here too: cases that are withheld from them are left out
}

// FigureMembers is how many cases are counted where.
type FigureMembers struct {
	Of     string // facts.Members
	Reason bool   // it is one of why cases are not counted
	Cases  int
}

// FigureCase is a case of such a list.
type FigureCase struct {
	Task, Order, Exam, Modality string
	At                          time.Time // by which it belongs to the period
	Excluded                    string    // why it is not counted
	Counted                     bool
	Hours                       *float64 // of a time
}
