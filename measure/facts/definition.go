package facts

import (
	"slices"
	"time"

	"github.com/overread/overread/workflow"
)

// Definition is one measure. What it counts never changes under the same version.
type Definition struct {
	ID      string
	Version string
	Title   string
	Does    string // for an auditor: what the figure says
	Counts  string // the numerator, or what the time is from and to
	Of      string // the denominator
	Higher  bool   // a higher figure is the better one
	Pairs   bool   // two grades of one case are compared: there is a kappa where all cases have both

	Discrepancies bool // the denominator is of discrepancies alone
	Late          bool // what is counted becomes known after the signature: a month is whole FollowUp after its end

	basis     string      // the column by which a case belongs to a period
	exclude   []exclusion // the first that holds is why a case is not in the denominator
	numerator string      // of the denominator; "" for a time
	from, to  string      // of a time: columns
}

// FollowUp is how long after the end of a month what is known later of its cases is waited for, before
// the month is compared with others: as long as publications wait where the policy says nothing.
const FollowUp = 30 * 24 * time.Hour

// Timed tells that the measure is a time, and not a share.
func (d Definition) Timed() bool { return d.numerator == "" }

// Exclusions are the codes of why a case is not in the denominator, in the order in
// which they are tried.
func (d Definition) Exclusions() (codes []string) {
	for _, e := range d.exclude {
		codes = append(codes, e.code)
	}
	return codes
}

// exclusion is a reason with its condition on a row of facts.
type exclusion struct{ code, when string }

// The conditions by measure_fact.excluded, which is the number of workflow.Exclusions.
var (
	notSigned    = exclusion{workflow.ExcludedOpen, "excluded = 1"}
	cancelled    = exclusion{workflow.ExcludedCancelled, "excluded = 2"}
	inError      = exclusion{workflow.ExcludedError, "excluded = 3"}
	noComparison = exclusion{workflow.ExcludedNoComparison, "excluded = 4"}
	sameStudy    = exclusion{workflow.ExcludedSameStudy, "excluded = 5"}
	sample       = exclusion{workflow.ExcludedSample, "excluded = 6"}
)

// notAdjudicated is why a case is not among those that a third reader has graded, too.
const notAdjudicated = "not-adjudicated"

var compared = []exclusion{notSigned, cancelled, inError, sample, noComparison, sameStudy}

const ofComparable = "signed cases with a comparison: of each study the judgement that counts"

func share(d Definition) Definition {
	d.Version, d.basis = "1.0.0", "period_at"
	if d.exclude == nil {
		d.exclude, d.Of = compared, ofComparable
	}
	return d
}

// Definitions is the table of measures.
var Definitions = []Definition{
	share(Definition{ID: "discrepancy-any", Title: "Any discrepancy", Does: "How often the second opinion differs from the original report in anything.",
		Counts: "a discrepancy of any significance", numerator: "significance >= 1"}),
	share(Definition{ID: "discrepancy-important", Title: "Important discrepancy", Does: "How often the second opinion differs from the original report in something important, which is what is likely to change the patient's care (Zan 2010).",
		Counts: "an important discrepancy", numerator: "significance = 2"}),
	share(Definition{ID: "discrepancy-management", Title: "Management-changing discrepancy", Does: "How often a discrepancy changes the patient's management, as who graded it says: work-up, staging, referral or treatment.",
		Counts: "a discrepancy that changes the management", numerator: "management >= 1"}),
	share(Definition{ID: "agreement", Title: "Agreement", Does: "How often the second opinion and the original report agree.", Higher: true,
		Counts: "no discrepancy", numerator: "significance = 0"}),
	share(Definition{ID: "no-comparison", Title: "No comparison", Does: "How often a signed second opinion could not be compared with an original report.",
		Of:     "signed cases, but those of a study of which another judgement counts",
		Counts: "no comparison was possible", numerator: "excluded = 4", exclude: []exclusion{notSigned, cancelled, inError, sample, sameStudy}}),
	share(Definition{ID: "adjudication-overturn", Title: "Adjudication overturn", Does: "How often a third reader's grade is of another significance than the reader's. With the kappa of the two grades where every comparable case has both.", Pairs: true, Late: true,
		Of:     ofComparable + ", which a reader and then a third reader have graded",
		Counts: "the two grades differ", numerator: "reader_level <> adjudicator_level",
		exclude: append(slices.Clip(compared), exclusion{notAdjudicated, "reader_level IS NULL OR adjudicator_level IS NULL"})}),
	share(Definition{ID: "second-opinion-correct", Title: "Second opinion correct", Does: "Of the discrepancies of which pathology, surgery or follow-up showed who was right: how often it was the second opinion.", Higher: true, Discrepancies: true, Late: true,
		Of:     ofComparable + ", with a discrepancy, of which it is known who was right",
		Counts: "the second opinion was right, and the original was not", numerator: "verified = 2",
		exclude: append(slices.Clip(compared), exclusion{"no-discrepancy", "significance = 0"}, exclusion{"not-verified", "verified IS NULL"}, exclusion{"undetermined", "verified = 0"})}),
	share(Definition{ID: "unread", Title: "Unread reports", Late: true, Does: "How often nobody has acknowledged a signed report (11.4 % of second opinions are never opened: AJR 2020;215:934).",
		Of: "signed cases", Counts: "not acknowledged by the as-of time", numerator: "acknowledged_at IS NULL", exclude: []exclusion{notSigned, cancelled, inError, sample}}),
	{ID: "turnaround", Version: "1.0.0", Title: "Turnaround", Does: "How long it takes from the order to the first signature. Open cases are counted as open so far (Kaplan-Meier), neither left out nor taken for done.",
		Of: "cases that were ordered in the period", Counts: "hours from the order to the first signature", basis: "opened_at", from: "opened_at", to: "signed_at", exclude: []exclusion{cancelled, inError, sample}},
	{ID: "acknowledgement", Version: "1.0.0", Title: "Time to acknowledgement", Does: "How long it takes from the first signature until a clinician acknowledges the report. Those that nobody has acknowledged are counted as open so far (Kaplan-Meier).",
		Of: "cases that were signed in the period", Counts: "hours from the first signature to the first acknowledgement", basis: "period_at", from: "signed_at", to: "acknowledged_at", exclude: []exclusion{notSigned, cancelled, inError, sample}},
}

// DefinitionOf finds a measure by its id.
func DefinitionOf(id string) (Definition, bool) {
	for _, d := range Definitions {
		if d.ID == id {
			return d, true
		}
	}
	return Definition{}, false
}

// Basis is the column of measure_fact by which a case belongs to a period.
func (d Definition) Basis() string { return d.basis }

// Within is the condition on a row of measure_fact that it is in the denominator.
func (d Definition) Within() string { return d.counted() }

// Condition is that of the numerator; of a time, the time.
func (d Definition) Condition() string {
	if d.Timed() {
		return "coalesce(" + d.to + ", as-of) - " + d.from
	}
	return d.numerator
}
