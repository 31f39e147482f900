package workflow

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// Duty is what a reader is wanted for.
type Duty string

// The duties.
const (
	ToRead       Duty = "read"
	ToAdjudicate Duty = "adjudicate"
	ToSupervise  Duty = "supervise"
)

// Need is what a case asks of a reader.
type Need struct {
	Duty               Duty
	Exam               Exam
	SameGroupForbidden bool
	Unnamed            UnnamedReader // of the policy
	Offered            bool          // chosen by the server: shifts, absences and capacity count
	Declined           []uuid.UUID   // by whom the case was declined, or given back
	Lapsed             []uuid.UUID   // who let an offer of it expire, and have had their turn
	Involved           []uuid.UUID   // who has read the study before, or has another part in the case
	Opened             []uuid.UUID   // who had the patient's record open in an emergency meanwhile
	Conflicted         []uuid.UUID   // who has declined the case for a conflict, and so may have no part in it
	Due                *time.Time    // when the report is due; nil: not known yet
	Weights            Weights       // of the policy; zero: the default ones
}

// need is what the case asks for a duty.
func (c *Case) need(duty Duty) Need {
	n := Need{Duty: duty, Exam: c.Exam, SameGroupForbidden: c.Policy.SameGroupForbidden, Unnamed: c.Policy.unnamed(), Weights: c.Policy.Matching.Weights, Conflicted: c.Conflicted}
	for _, id := range []*uuid.UUID{c.ReaderID, c.OtherReaderID, c.AdjudicatorID} {
		if id != nil {
			n.Involved = append(n.Involved, *id)
		}
	}
	return n
}

// Eligible says why a reader may not have a part in a case: one sentence a
// reason, none when the reader is eligible.
func Eligible(need Need, r Reader, at time.Time) []string {
	var reasons []string
	no := func(when bool, why string) {
		if when {
			reasons = append(reasons, why)
		}
	}
	exam := need.Exam
	today := DateOf(r.local(at))
	reasons = append(reasons, unlicensed(exam, r, today)...)
	no(need.Duty == ToAdjudicate && !r.is(IsAdjudicator, today), Phrase("not credentialed to adjudicate"))
	no(need.Duty == ToSupervise && !r.is(IsSupervisor, today), Phrase("not credentialed to supervise"))
	no(need.Duty != ToRead && r.needsCosign(at), Phrase("needs a supervisor's signature"))
	reasons = append(reasons, r.unprivileged(exam, today)...)
	first := exam.readFirst(r, need.Unnamed)
	no(first != "", first)
	no(need.SameGroupForbidden && meet(exam.OriginalGroups, r.Groups), Phrase("same group as the original reader, and policy forbids it"))
	no(meet(r.Conflicts, exam.OriginalReaders) || meet(r.Conflicts, exam.OriginalGroups), Phrase("has declared a conflict"))
	no(slices.Contains(need.Involved, r.ID), Phrase("has had a part in a second opinion on this study"))
	no(slices.Contains(need.Opened, r.ID), Phrase("has opened the patient's record in an emergency, and so may have seen the first reading"))
	no(slices.Contains(need.Conflicted, r.ID), Phrase("has declared a conflict in this case"))
	no(slices.Contains(need.Declined, r.ID), Phrase("declined before"))
	no(slices.Contains(need.Lapsed, r.ID), Phrase("let an offer expire"))
	if need.Offered {
		if r.Capacity > 0 && r.OpenCases >= r.Capacity {
			reasons = append(reasons, Phrase("has %d open cases, at most %d", r.OpenCases, r.Capacity))
		}
		away := r.away(at)
		no(away != "", away)
	}
	return reasons
}

// amongThem tells of a need whether one of the readers may have the case.
func amongThem(readers []Reader, at time.Time) func(Need) bool {
	return func(need Need) bool { return anyEligible(need, readers, at) }
}

// anyEligible tells whether one of the readers may have the case.
func anyEligible(need Need, readers []Reader, at time.Time) bool {
	return slices.ContainsFunc(readers, func(r Reader) bool { return len(Eligible(need, r, at)) == 0 })
}

// unlicensed says why a reader may not practise on an exam on that day: not
// credentialed by the tenant, or without a valid licence where the images were
// made or are read.
func unlicensed(exam Exam, r Reader, today Date) (reasons []string) {
	if r.ValidFrom != "" && today < r.ValidFrom {
		reasons = append(reasons, Phrase("credentialed here from %s", r.ValidFrom))
	}
	if r.ValidTo != "" && today > r.ValidTo {
		reasons = append(reasons, Phrase("credentialed here until %s", r.ValidTo))
	}
	for _, where := range jurisdictions(exam.Jurisdiction, r.ReadsFrom) {
		if wrong := r.licence(where, today); wrong != "" {
			reasons = append(reasons, wrong)
		}
	}
	return reasons
}

func (a *Ages) include(years int) bool {
	return a == nil || years >= a.From && (a.To == 0 || years <= a.To)
}

// jurisdictions are those in which a licence is needed: where the images were
// made and where they are read, as far as they are known.
func jurisdictions(made, read string) (in []string) {
	if made != "" {
		in = append(in, made)
	}
	if read != "" && !strings.EqualFold(made, read) {
		in = append(in, read)
	}
	return in
}

// General is the subspecialty of exams that every reader may read.
const General = "general"

// subspecialties is the table of who reads what, by the words of a body site. The
// rules of triage that every tenant has are made from it (triagedefault.go).
var subspecialties = []struct {
	name   string
	region string // of the body
	words  []string
}{
	{"breast", "breast", []string{"breast", "mamm"}},
	{"cardiac", "heart", []string{"cardiac", "heart", "coronar"}},
	{"vascular", "vessels", []string{"angiogr", "aorta", "carotid", "vascular", "cardiovascular"}},
	{"musculoskeletal", "limb", []string{"head of femur", "head of humerus", "femoral head", "humeral head", "radial head"}},
	{"abdominal", "abdomen", []string{"head of pancreas", "pancreatic head"}},
	{"neuro", "head", []string{"head", "brain", "skull", "neuro", "pituitary", "orbit", "cranial", "intracranial", "cerebr"}},
	{"neuro", "spine", []string{"spine", "spinal", "vertebra", "lumbar", "sacral", "lumbosacral", "thoracolumbar"}},
	{"head-neck", "neck", []string{"neck", "sinus", "thyroid", "parathyroid", "temporal bone", "larynx", "face"}},
	{"chest", "chest", []string{"chest", "thorax", "thoracic", "lung", "pulmonary", "rib"}},
	{"abdominal", "abdomen", []string{"abdom", "abd", "liver", "pancrea", "bowel", "colon", "kidney", "renal", "adrenal", "spleen", "biliary", "hepatobiliary", "gallbladder"}},
	{"genitourinary", "pelvis", []string{"pelvi", "prostat", "uter", "cervix", "ovar", "bladder", "scrot"}},
	{"musculoskeletal", "limb", []string{"knee", "shoulder", "hip", "ankle", "foot", "forefoot", "midfoot", "hindfoot", "wrist", "hand", "elbow", "femur", "tibia", "humerus", "bone", "joint", "extremit", "finger", "toe", "leg", "arm", "thigh", "calf", "forearm"}},
}

// BodyRegions are the coarse regions that there are.
func BodyRegions() (all []string) {
	for _, s := range subspecialties {
		if !slices.Contains(all, s.region) {
			all = append(all, s.region)
		}
	}
	return all
}

// bodyRegion is the coarse region of a body site, "" when nothing tells.
func bodyRegion(site string) string {
	said := spoken(strings.ToLower(site))
	for _, s := range subspecialties {
		if said.any(s.words) {
			return s.region
		}
	}
	return ""
}

// containsAny tells whether one of the words begins a word of the text, which is in
// small letters: there is no rib in "attribute", and no uterus in "computed". One of
// three letters is the whole word, or its plural: there is no hip in "hippocampus".
func containsAny(text string, words []string) bool { return spoken(text).any(words) }

// saidWords is a text as containsAny looks at it: its words with one space between
// and around them. Who asks a text for many words takes it apart once.
type saidWords string

func spoken(text string) saidWords {
	found := strings.FieldsFunc(text, betweenWords)
	for i, word := range found {
		if dicomWord.MatchString(word) {
			found[i] = strings.TrimSpace(dicomParts.ReplaceAllString(word, " $0"))
		}
	}
	return saidWords(" " + strings.Join(found, " ") + " ")
}

func betweenWords(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// any is containsAny.
func (said saidWords) any(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		if strings.ContainsFunc(w, betweenWords) {
			w = strings.Join(strings.FieldsFunc(w, betweenWords), " ")
		}
		if len(w) > 3 {
			return said.has(w, "")
		}
		return said.has(w, " ") || said.has(w, "s ")
	})
}

// has tells whether a word begins so, and goes on so.
func (said saidWords) has(word, then string) bool {
	for rest := string(said); ; {
		i := strings.Index(rest, word)
		if i < 0 {
			return false
		}
		if i > 0 && rest[i-1] == ' ' && strings.HasPrefix(rest[i+len(word):], then) {
			return true
		}
		if word == "" {
			return strings.Contains(rest, " "+then)
		}
		rest = rest[i+1:]
	}
}

// dicomWord is a part of the body as DICOM writes it, CHESTABDPELVIS or LSPINE
// (PS3.16 annex L), which is several words.
var (
	dicomWord  = regexp.MustCompile(`^[ctls]?(head|neck|chest|abdomen|abd|pelvis|pelv|spine)+$`)
	dicomParts = regexp.MustCompile(`head|neck|chest|abdomen|abd|pelv|spine`)
)
