package facts

import "slices"

// Notes are what has to be known to read figures right. They go wherever the figures go.
const (
	// NoteSelected: agreement beyond chance needs cases that were not chosen by their outcome.
	NoteSelected = "No kappa of the two grades: a third reader has graded some of the comparable cases only, most of them because the second opinion differs from the original report. Agreement beyond chance among cases that were chosen by their outcome says nothing of all. There is a kappa where every comparable case of the question has both grades."
	// NoteRatings is the same of Fleiss' kappa and Gwet's AC1 of grades.
	NoteRatings = "No agreement of grades: a third reader has graded some of these cases only, most of them because the second opinion differs from the original report. Agreement beyond chance among cases that were chosen by their outcome says nothing of all. It is told where every case has two grades."
	// NoteAsymmetry: no grade says what the first reader lacked where nothing differs.
	NoteAsymmetry = "Information asymmetry is recorded of discrepancies alone: a case that agrees is never among its yes. It divides discrepancies, and says nothing of how often the two opinions differ with and without it."
	// NoteMargins: why nothing is told of prevalence and bias beside a kappa.
	NoteMargins = "Prevalence and bias are indices of two categories (Byrt, Bishop, Carlin 1993). These are three grades, of which each pair would have its own, so neither is told. Whether reader and third reader give each grade as often is told instead, by the test of Stuart and Maxwell: where they do not, the highest kappa that they could reach is below 1."
	// NotePart: which part stands beside it (measure-strata, measure-listed).
	NotePart = "There are more groups than one answer lists. These are a part of them, those with the most cases first; the whole, and why cases are not in it, is of all of them. Ask for the others by page=2 and so on, of the same moment (asOf)."
	// NoteKappa: why auditors are shown no kappa, and who has it (docs/disclosure.md, Kappa).
	NoteKappa = "No kappa is published. That of two readers comes of a table of four counts, of which those of disagreement are mostly few, and these can be computed from it, the number of cases and the agreement, even when it is rounded. Who has the role quality here has it: Cohen's kappa of the two who read a case without knowing of each other, with its interval and the indices of prevalence and bias, below the figures of Adjudication overturn."
	// NoteRuns: figures of a period that is not over.
	NoteRuns = "The period had not ended at this moment: these are the figures so far."
)

// NotesOf are those of the counts of a query.
func NotesOf(q Query, t Table) (notes []string) {
	if q.Measure.Pairs && !t.BothGraded() && t.Denominator > 0 {
		notes = append(notes, NoteSelected)
	}
	if q.Measure.Pairs && t.BothGraded() && t.Denominator > 0 {
		notes = append(notes, NoteMargins)
	}
	_, filtered := q.Where[Asymmetry]
	if !q.Measure.Discrepancies && (filtered || slices.Contains(q.By, Asymmetry)) {
		notes = append(notes, NoteAsymmetry)
	}
	if t.Part != nil {
		notes = append(notes, NotePart)
	}
	if q.To.After(q.AsOf) {
		notes = append(notes, NoteRuns)
	}
	return notes
}

// BothGraded tells that no comparable case lacks the grade of a reader or of a third
// reader. Otherwise those that have both were chosen, and mostly by what is counted: a
// kappa among them is that of the choice (verification bias: Begg, Greenes 1983,
// Biometrics 39:207).
func (t Table) BothGraded() bool {
	return !slices.ContainsFunc(t.Reasons, func(r Reason) bool { return r.Code == notAdjudicated && r.Cases > 0 })
}

// Asymmetry is the dimension that is known of discrepancies alone.
const Asymmetry = "asymmetry"
