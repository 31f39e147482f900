package simulation

import (
	"time"

	"github.com/overread/overread/workflow"
)

// zone is where everybody lives.
const zone = "America/New_York"

// examKind is a kind of exam: how often one is sent for a second opinion, and how
// long it takes to read.
type examKind struct {
	display, modality, site string
	share                   float64 // of all orders
	minutes                 float64 // mean, to read and dictate
}

// exams is the mix. CT to MR is as 499,632 to 324,475, which is what was done in
// England in January 2019 (NHS Diagnostic Imaging Dataset, in PMC7808358 table 5).
// Second opinions are rarely asked on what is plain; that radiographs and
// ultrasound are 14 %, mammograms 7 % and nuclear medicine 3 % is ASSUMED, and so
// are the shares of the regions.
//
// Minutes: CT of head 16.05, chest 15.84, abdomen 17.92, foot 10.96, lumbar spine
// 9.14 (Sexauer and Bestler, J Imaging 2022;8:208, 106,127 dictations); MR of the
// brain 11 by attendings (Al Yassin et al., Acad Radiol 2018). The others are ASSUMED
// in proportion.
var exams = []examKind{
	{"CT Head WO contrast", "CT", "Head", .12, 16.05},
	{"CT Chest W contrast IV", "CT", "Chest", .12, 15.84},
	{"CT Abdomen and Pelvis W contrast IV", "CT", "Abdomen", .14, 17.92},
	{"CT Neck W contrast IV", "CT", "Neck", .03, 16},
	{"CT Lumbar spine WO contrast", "CT", "Lumbar spine", .02, 9.14},
	{"CT Foot WO contrast", "CT", "Foot", .02, 10.96},
	{"CT Coronary arteries", "CT", "Heart", .01, 18},
	{"MR Brain W and WO contrast IV", "MR", "Brain", .11, 11},
	{"MR Lumbar spine WO contrast", "MR", "Lumbar spine", .06, 12},
	{"MR Knee WO contrast", "MR", "Knee", .05, 12},
	{"MR Prostate W and WO contrast IV", "MR", "Prostate", .04, 18},
	{"MR Liver W and WO contrast IV", "MR", "Liver", .03, 18},
	{"MR Heart W contrast IV", "MR", "Heart", .01, 20},
	{"Mammogram bilateral", "MG", "Breast", .07, 7},
	{"US Abdomen", "US", "Abdomen", .06, 8},
	{"XR Chest 2 views", "DX", "Chest", .05, 4},
	{"XR Hand 3 views", "DX", "Hand", .03, 3},
	{"PET/CT whole body", "PT", "Whole body", .03, 25},
}

// Each is a share of all cases unless it says otherwise. What has no source is
// ASSUMED.
const (
	spread         = 0.5 // of reading times: the coefficient of variation
	compareMinutes = 4.0 // to compare, grade and sign

	majorShare = 347.0 / 4534 // clinically important differences: Zan et al., Radiology 2010;255:135
	minorShare = 0.13

	priorityStat   = 0.03
	priorityAsap   = 0.07
	priorityUrgent = 0.25

	historyMissing  = 0.04
	questionMissing = 0.02
	imagesMissing   = 0.05
	imagesNever     = 0.02 // of those
	originalLate    = 0.06
	originalNever   = 0.20 // of those
	noOriginal      = 0.03 // the order refers to none
	sideDoubtful    = 0.01
	ordersTwice     = 0.005
	ownColleague    = 0.5 // the first reading was by one of the service's readers, of the same hospital

	cancels    = 0.02
	holds      = 0.01
	gaveBack   = 0.004 // a reader gives the case back
	amends     = 0.015
	inError    = 0.001
	neverOpens = 0.114 // reports that no clinician opens by themselves: AJR 2020;215:934

	twoDiffer   = 0.12 // of two opinions on one study
	refers      = 0.7  // of those who differ and may refer: they do so before their time is over
	comeToOne   = 0.85 // of those who differ and seek one text
	ownDecision = 0.2  // of third readers: neither the first opinion nor the second
	letsStand   = 0.3  // of findings that came from another text than is signed
	decidesNot  = 0.05 // of who decided between two: once they see the original, they give the case back

	emergent   = 0.01 // of opinions
	urgent     = 0.04
	calls      = 0.9  // of readers with a finding; for the others somebody else calls once they are told
	reaches    = 0.85 // of calls
	readsBack  = 0.7  // of those who are reached
	asks       = 0.03 // of reports
	neverReply = 0.08 // of questions: nobody answers until somebody is told

	declines = 0.05 // of offers
	ignores  = 0.03 // of offers

	reviewRejects = 0.15 // of cases in intake review

	trainees    = 0.06 // of readers
	locums      = 0.04
	adjudicates = 0.30
	supervises  = 0.30
	allAges     = 0.30 // of readers; the others read from 16 years on
	children    = 0.08 // of patients
	onLeave     = 0.15 // of readers, for a week in the period
	licenceEnds = 0.05 // of readers, in the period
	otherState  = 0.45 // a reader is licensed in each of the other states
)

// doubleReading is how many orders want two readers, by how two become one. ASSUMED.
var doubleReading = []struct {
	share   float64
	reading workflow.ReadingProtocol
}{
	{.02, workflow.RecallIfOne},
	{.015, workflow.ByConsensus},
	{.015, workflow.ByArbitration},
	{.01, workflow.MixedReading},
}

// medianCall is how long until somebody telephones with a finding. ASSUMED.
var medianCall = map[string]time.Duration{"emergent": 6 * time.Minute, "urgent": 45 * time.Minute, "non-critical": 24 * time.Hour}

// answerMinutes is the mean time until a reader answers an offer, by priority.
var answerMinutes = map[string]float64{"stat": 1.5, "asap": 4, "urgent": 10, "routine": 20}

// states are where hospitals stand.
var states = []string{"US-NY", "US-NJ", "US-CT", "US-PA"}

// byHour is how many orders come in each hour of a working day. Those that press
// come more evenly.
var (
	byHour        = [24]float64{1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 13, 12, 13, 13, 12, 11, 9, 6, 4, 3, 2, 2, 1}
	byHourPressed = [24]float64{3, 3, 2, 2, 2, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 5, 5, 4, 4}
)

// atWeekend is the share of an hour of a working day that comes in the same hour of
// a Saturday or Sunday.
const (
	atWeekend        = 0.25
	atWeekendPressed = 0.8
)

// rota is a kind of shifts: how many readers have it.
type rota struct {
	share    float64
	days     []string
	from, to string
}

// Most work by day; nights and weekends are covered thinly. ASSUMED.
var rotas = []rota{
	{.34, []string{"monday", "tuesday", "wednesday", "thursday", "friday"}, "08:00", "16:00"},
	{.22, []string{"monday", "tuesday", "wednesday", "thursday", "friday"}, "10:00", "18:00"},
	{.14, []string{"monday", "tuesday", "wednesday", "thursday", "friday"}, "14:00", "22:00"},
	{.10, []string{"wednesday", "thursday", "friday", "saturday", "sunday"}, "08:00", "16:00"},
	{.10, []string{"saturday", "sunday", "monday", "tuesday"}, "12:00", "22:00"},
	{.05, []string{"sunday", "monday", "tuesday", "wednesday"}, "22:00", "06:00"},
	{.05, []string{"thursday", "friday", "saturday"}, "22:00", "08:00"},
}

// capacity is how many open cases a reader takes at once.
const capacity = 5

// medianAcknowledge is how long until a clinician opens a report.
var medianAcknowledge = map[string]time.Duration{"stat": 8 * time.Minute, "asap": time.Hour, "urgent": 4 * time.Hour, "routine": 12 * time.Hour}

// medianArrival is how long until what is missing comes.
const medianArrival = 5 * time.Hour
