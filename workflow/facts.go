package workflow

// Facts is what the intake checks look at: the order and what it refers to, as
// far as they are here. fhir/facts.go gathers them from the stored resources.
// Patients are compared as strings: the id here, or system|value.
type Facts struct {
	Exam Exam // for matching and the report; Subspecialty "" is found from the rest

	OrderPatient    string
	OrderModality   string // DICOM code, "" when the order does not say
	OrderBodySite   string
	OrderLaterality string   // left, right, bilateral, or ""
	Question        bool     // the order says what is asked
	History         bool     // the order gives the clinical history
	Requester       bool     // the order says who asks
	Requesters      []string // who that is, in every way in which they may be named: "Practitioner/{id}" here, system|value
	Priority        string   // of the case; the engine fills this in
	Consent         string   // permit, deny, or "" when none was sent
	ConsentDoubtful bool     // one of the patient denies something, perhaps this

	StudyReferenced bool
	Study           *StudyFacts  // nil until it is here
	Priors          []PriorFacts // further studies of the order: only compared

	OriginalReferenced bool
	Original           *OriginalFacts // nil until it is here
	Reported           bool           // a first reading is here, as a report or a document
	First              FirstReaders   // who made it
	Unclear            FirstReaders   // of a signed case: named by what may be of after the second opinion

	Person Person // who the order's patient is

	Duplicates []string   // Tasks of other cases on the same study; the engine fills this in
	PACS       *PACSFacts // what the tenant's PACS says of the study; nil where it has none; the engine fills this in
}

// StudyFacts is the ImagingStudy of the order.
type StudyFacts struct {
	ID            string
	UID           string // without "urn:oid:"
	Accession     string
	AccessionOf   string // the identifier system of the accession number
	Patient       string
	Modalities    []string
	BodySite      string
	Laterality    string
	Available     bool // ImagingStudy.status is available
	Void          bool // ImagingStudy.status is entered-in-error or cancelled
	Instances     int  // that can be had
	InstancesSaid int  // that ImagingStudy.numberOfInstances promises; 0 when it does not say
}

// PriorFacts is a study that the order names after the one that is to be read.
type PriorFacts struct {
	Later    bool // made after the study that is to be read
	Reported bool // the original report is of this one
}

// OriginalFacts is the report that the first reader made.
type OriginalFacts struct {
	ID      string
	Version int64
	Patient string
	Final   bool   // status final, amended, corrected or appended
	Status  string // of FHIR R4 diagnostic-report-status
	Said    string // a digest of what it says: a version may say the same as the one before
	SaidOld string // the same as an earlier release made it, which a case may have noted
	Unclear bool   // of a signed case: nothing says that it was made before the second opinion
}
