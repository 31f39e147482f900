package screen

import "time"

// Figures is a measure over a period, as auditors and the role quality see it.
type Figures struct {
	Choices FigureChoices

	Title    string // of the measure
	Does     string
	Of       string // the denominator in words
	AsOf     time.Time
	Query    string   // in one form, with its digest
	Notes    []string // what has to be known to read the figures right
	Interval string   // how intervals were found: measure-interval-method

	Whole []FigureRow       // one, or one for each percentile
	Rows  []FigureRow       // the strata
	By    []string          // the dimensions of the strata
	Sites map[string]string // the names of those of the strata that are organisations here
	Curve []CurvePoint

	Statistics []Statistic // as far as the figures allow them
	Groups     []string    // that may be compared with each other
}

// FigureChoices are what can be asked for.
type FigureChoices struct {
	Measures   []FigureMeasure
	Dimensions []string
	Words      map[string][]string // by dimension, those by which cases can be chosen, as far as they are known
	Intervals  []string
	Exact      bool // any period, moment and filter (role quality)
}

// FigureMeasure is a measure to choose.
type FigureMeasure struct{ ID, Title string }

// FigureRow is a figure with its counts. What is nil is not told, or undefined.
type FigureRow struct {
	Values                                []string // of the dimensions; empty for the whole
	Percentile                            string
	Initial, Counted, Excluded, Numerator *int
	Score, Low, High                      *float64
	Unit                                  string // % or h
	Comparator                            string // <=: so many hours at the most
	Kappas                                []FigureKappa
	Margins                               *float64 // beside kappas: p of whether both readers use the grades as often
	AtLeast                               *int     // of a share without counts: of so many cases at the least
	Masked                                bool     // something is not shown because it is of few cases
	NotFinished                           string   // why a month is shown and not judged
	Reasons                               []FigureReason
}

// FigureKappa is Cohen's kappa of two grades, by its weights: unweighted, linear, quadratic.
type FigureKappa struct {
	Weights          string
	Value, Low, High *float64
}

// FigureReason is why cases are not counted.
type FigureReason struct {
	Code  string
	Cases int
}

// CurvePoint is a step of a Kaplan-Meier curve: the share that is still open after so
// many hours.
type CurvePoint struct {
	Hours float64
	Open  float64
}

// Statistic is what follows from figures: of the whole, and in rows below columns.
type Statistic struct {
	Name    string // of its operation
	Title   string
	Whole   []StatisticFigure
	Columns []string
	Rows    [][]StatisticFigure
}

// StatisticFigure is one of a statistic: a text or a number; what is nil is not told, or undefined.
type StatisticFigure struct {
	Name    string
	Text    string
	Number  *float64
	Count   *int
	Flagged bool // outside of what chance explains
}
