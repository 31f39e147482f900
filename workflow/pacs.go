package workflow

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// PACSAnswer is what the PACS said about a study.
type PACSAnswer string

// The answers. "" means that none has come yet.
const (
	PACSFound       PACSAnswer = "found"
	PACSAbsent      PACSAnswer = "absent"      // it has no such study
	PACSAmbiguous   PACSAnswer = "ambiguous"   // it has several of this accession number
	PACSUnreachable PACSAnswer = "unreachable" // no answer came
	PACSRefused     PACSAnswer = "refused"     // it does not let us ask: credentials, rights
	PACSUnreadable  PACSAnswer = "unreadable"  // what came is no answer to what was asked

	pacsUnnamed PACSAnswer = "unnamed" // the ImagingStudy says nothing by which one could ask
)

// StudyInPACS is a study as the PACS tells it.
type StudyInPACS struct {
	PACS       string   `json:"pacs"`
	UID        string   `json:"uid"`
	Accession  string   `json:"accession,omitempty"`
	Instances  int      `json:"instances"`
	Series     int      `json:"series"`
	Modalities []string `json:"modalities,omitempty"`
	BodyParts  []string `json:"bodyParts,omitempty"` // of its series, as DICOM writes them: KNEE
	Sides      []string `json:"sides,omitempty"`     // of its series and images: left, right, bilateral
	Patient    Person   `json:"patient"`
}

// Archive is a PACS of a tenant.
type Archive struct {
	Name           string
	BaseURL        string
	CredentialFile *string
	Issuers        map[string]string // the FHIR identifier system by issuer as the PACS writes it
	Timeout        time.Duration     // of a whole look
	Resting        bool              // it has failed again and again, or asked for a pause
}

// Inquiry is what a PACS is asked about: the study of one case.
type Inquiry struct {
	TenantID        uuid.UUID
	CaseID          uuid.UUID
	UID             string // "" where only the accession number is known
	Accession       string
	AccessionSystem string // FHIR identifier system, "" where the order does not say
	Sides           bool   // its laterality matters: look for it where the series do not tell
}

// maySearch: text by which a PACS can be searched for one thing. It takes * and ?
// for wildcards and \ for a list (DICOM PS3.4 section C.2.2.2).
func maySearch(text string) bool {
	return text != "" && len(text) <= 64 && strings.IndexFunc(text, func(r rune) bool {
		return strings.ContainsRune(`*?\`, r) || r < ' '
	}) < 0
}

// isUID: DICOM PS3.5 section 9.1.
func isUID(text string) bool {
	return maySearch(text) && strings.Trim(text, "0123456789.") == "" &&
		!strings.HasPrefix(text, ".") && !strings.HasSuffix(text, ".") && !strings.Contains(text, "..")
}

// Sighting is what came of asking one PACS.
type Sighting struct {
	Answer PACSAnswer
	Study  StudyInPACS   // when it was found
	Status int           // HTTP status, 0 when there was no answer
	Reason string        // a code of ours, never the PACS's text
	Wait   time.Duration // it asked not to be called again before; 0 when it did not
}

// sick: the fault is the PACS's, or of the way to it.
func (s Sighting) sick() bool {
	return slices.Contains([]PACSAnswer{PACSUnreachable, PACSRefused, PACSUnreadable}, s.Answer)
}

// PACSFacts is what is known of the case's study in the tenant's PACS.
type PACSFacts struct {
	Answer PACSAnswer
	Study  StudyInPACS
	Steady bool // its number of instances has not changed for the policy's minutes
}

// seen is the study where the PACS has it, nil otherwise.
func (f Facts) seen() *StudyInPACS {
	if f.PACS == nil || f.PACS.Answer != PACSFound {
		return nil
	}
	return &f.PACS.Study
}

// promised is how many instances the ImagingStudy says that there are, 0 when it
// does not say.
func (s StudyFacts) promised() int {
	if s.InstancesSaid > 0 {
		return s.InstancesSaid
	}
	return max(s.Instances, 0)
}

// plainRadiography are modalities that are the same to whoever orders: film,
// plates and detectors.
var plainRadiography = []string{"CR", "DX", "DR", "RG", "XR"}

// sameModality compares DICOM modalities.
func sameModality(a, b string) bool {
	a, b = strings.ToUpper(a), strings.ToUpper(b)
	return a == b || slices.Contains(plainRadiography, a) && slices.Contains(plainRadiography, b)
}

// noneMatches: both lists say something, and nothing of the one fits the other.
func noneMatches(wanted, there []string, fits func(a, b string) bool) bool {
	for _, w := range wanted {
		for _, t := range there {
			if fits(w, t) {
				return false
			}
		}
	}
	return len(wanted) > 0 && len(there) > 0
}

// wantedModalities are the order's, else the ImagingStudy's.
func (f Facts) wantedModalities() []string {
	if f.OrderModality != "" {
		return []string{f.OrderModality}
	}
	return f.Study.Modalities
}

// wantedSide is the order's, else the ImagingStudy's; "" where it is no matter.
func (f Facts) wantedSide() string {
	for _, side := range []string{f.OrderLaterality, f.Study.Laterality} {
		if side == "left" || side == "right" {
			return side
		}
	}
	return ""
}

// wantedRegions are those of the order's body site, else of the ImagingStudy's.
func (f Facts) wantedRegions() []string {
	if regions := bodyRegions(f.OrderBodySite); len(regions) > 0 {
		return regions
	}
	return bodyRegions(f.Study.BodySite)
}

// bodyRegions are all coarse regions that a text names: CHESTABDPELVIS is three.
func bodyRegions(site string) []string {
	said := spoken(strings.ToLower(site))
	var regions []string
	for _, s := range subspecialties {
		if said.any(s.words) && !slices.Contains(regions, s.region) {
			regions = append(regions, s.region)
		}
	}
	return regions
}

// regionsInPACS are those of its series that name one.
func (s StudyInPACS) regionsInPACS() []string {
	var regions []string
	for _, part := range s.BodyParts {
		regions = append(regions, bodyRegions(part)...)
	}
	return regions
}
