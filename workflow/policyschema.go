package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// PolicySchemaURL names the schema of policies.
const PolicySchemaURL = "https://overread.org/schema/policy.json"

// setting says of one setting of a policy what it means and what it may be, as
// far as its Go type does not.
type setting struct {
	doc   string
	oneOf []string
	codes []int // as oneOf, of a number
	least int   // of a number; of a list, how many
	most  int   // as least; 0: no limit
	must  bool  // an object without it is refused
}

// settings is the table of them all, by Go type and JSON name. With the types
// it is the schema, which judges every policy (policyfile.go) and is published
// as it is; so the schema cannot say anything else than what is done.
var settings = map[string]setting{
	"Policy.protocol":                {doc: "What the reader may see before the lock: under blinded, nothing of the original report.", oneOf: texts(protocols...)},
	"Policy.reading":                 {doc: "How many read a case independently, and how two opinions become one: single; recall-if-one-suggests (of two the more pressing stands); consensus (both agree on one text); arbitration (a third decides where they differ); mixed (consensus, and arbitration where there is none in time). Single where it is left out.", oneOf: texts(readingProtocols...)},
	"Policy.conferWithin":            {doc: "How long two readers may confer before a third one decides (arbitration, mixed); half of what adjudication may take where this is left out."},
	"Policy.blindAdjudication":       {doc: "A third reader reads and locks an opinion of their own before they see what the others say."},
	"Policy.orderMayAskProtocol":     {doc: "An order may ask for a protocol (ServiceRequest.orderDetail, codes of the CodeSystem reading-protocol)."},
	"Policy.assignment":              {doc: "How a case finds its reader: offered to the best one and then the next, claimed from the pool, or offered in batches, after a look at all cases that wait and all readers at once.", oneOf: texts(ByOffer, FromPool, ByBatch)},
	"Policy.offerRounds":             {doc: "How often the eligible readers are asked, one after the other, when they let offers expire; who declines is not asked again.", least: 1, most: 10},
	"Policy.adjudicateOn":            {doc: "The least discrepancy that demands a third reader.", oneOf: texts(AdjudicateMajor, AdjudicateMinor, AdjudicateNever)},
	"Policy.serviceRequestAuthority": {doc: "Who sets ServiceRequest.status: filler only where our copy is the authoritative one.", oneOf: texts(PlacerSets, FillerSets)},
	"Policy.clocks":                  {doc: "The time limits, by priority (FHIR request-priority)."},
	"Policy.calendar":                {doc: "When the tenant works: business days (1bd) are counted by it."},
	"Policy.duplicateWithinDays":     {doc: "A second order for a study that was reported within so many days is a possible duplicate, unless both say by coded reasons what they ask, and these have nothing in common; 0: only while the first is open.", most: 3660},
	"Policy.imagesGiveUpDays":        {doc: "A case whose images have not come in so many days fails.", least: 1, most: 3660},
	"Policy.imagesSteadyMinutes":     {doc: "So many minutes the PACS must show the same number of images, where it has more than was said; 5 where this is left out or 0.", most: 1440},
	"Policy.originalReportWait":      {doc: "How long a case waits for the original report and the history; as long as intake may take where this is left out."},
	"Policy.questionRequired":        {doc: "An order must say what is asked."},
	"Policy.historyRequired":         {doc: "An order must give the clinical history."},
	"Policy.requesterRequired":       {doc: "An order must say who asks."},
	"Policy.unnamedOriginalReader":   {doc: "What becomes of an original that does not say by an identifier who read it: review (the coordinator looks at it), compare (names are compared with those of readers, where there is only an organisation its own readers are kept away, and one with neither is looked at), accept (it is read; names are compared). Compare where it is left out.", oneOf: texts(UnnamedReview, UnnamedCompare, UnnamedAccept)},
	"Policy.consentRequired":         {doc: "An order must refer to a Consent that permits the second opinion; false: consent is assumed, and only one that denies is heeded."},
	"Policy.requesters":              {doc: "Who may order: identifiers, written system|value, of practitioners, their roles or organisations. Without it, whoever the placer lets.", least: 1},
	"Policy.outOfScope":              {doc: "Exams that are not read here: an order that meets all conditions of one of these waits for the coordinator.", least: 1},
	"Policy.sameGroupForbidden":      {doc: "No reader of the original reader's group."},
	"Policy.findings":                {doc: "How soon an actionable finding must have been acknowledged, by its category (ACR Actionable Reporting Work Group: minutes, hours, days)."},
	"Policy.preliminaryOn":           {doc: "The least category of a finding that gives an unsigned case a preliminary report, which is sent to the EHR.", oneOf: texts(PreliminaryNever, PreliminaryUrgent, PreliminaryEmergent)},
	"Policy.credentialNoticeDays":    {doc: "So many days before its last day the coordinator is told that a licence, privilege or credentialing ends of somebody who has a case, and again on the day; 0: only on the day.", most: mostNotice},
	"Policy.triage":                  {doc: "Who should read what. Tried in this order, before the rules that every tenant has; the first whose conditions hold decides."},
	"Policy.matching":                {doc: "How the best of the eligible readers is chosen."},
	"Policy.broaden":                 {doc: "How far beyond its subspecialty a case is broadened, step by step, when nobody can be found. Without it only the coordinator broadens a case.", most: 2},
	"Policy.related":                 {doc: "Which subspecialties may stand in for one. What is not named here is as in the default table (docs/matching.md)."},
	"Policy.escalations":             {doc: "Who is told when a clock has come so far, and who next when nobody takes note. A policy that has any has all its own."},
	"Policy.grading":                 {doc: "Whether readings are scored. Under peer-learning a grade has no expectedness and no scores; learning points take their place.", oneOf: texts(GradingScored, GradingPeerLearning)},
	"Policy.feedback":                {doc: "What the reader of the original is told once the second opinion is signed: nothing, whether the readings agree and in what they differ, or besides a good call and the learning points. Never a score, never who read.", oneOf: texts(FeedbackOff, FeedbackDifference, FeedbackLearning)},
	"Policy.qualityNames":            {doc: "How those who read are named to the quality role: by who they are, or by a pseudonym of each answer, so that the case is judged and not the person.", oneOf: texts(NamesOpen, NamesPseudonym)},
	"Policy.sampling":                {doc: "Of which finals the server draws some for a second read for quality."},
	"Policy.publication":             {doc: "What auditors are shown of a quarter, and when (docs/disclosure.md). What it says holds for quarters that are published after it."},
	"Policy.patientSummary":          {doc: "A summary of the signed report in plain words is offered for the patient, as a page and a PDF. Without it there is none."},
	"Policy.letterLanguages":         {doc: "In which languages a signed report is written for people (DiagnosticReport.presentedForm), the hospital's own first; in each as a page and a PDF. What people wrote stays as they wrote it. English where it is left out.", oneOf: LetterLanguages, least: 1},
	"Policy.viewer":                  {doc: "The hospital's own viewer of images, to which pages lead (docs/images.md). That of the version in force is used, also for cases that keep an older one."},
	"Policy.contacts":                {doc: "Addresses of mail of those who are told by their role. Those of the version in force are used, also for cases that keep an older one."},

	"Matching.weights":    {doc: "How much each part of the score counts; only the proportions matter."},
	"Matching.fairDays":   {doc: "Over how many days work is weighed against time at work, for fairness.", least: 1, most: 92},
	"Matching.batchEvery": {doc: "How often the pool is assigned, where assignment is batch."},

	"Weights.fit":      {doc: "Of the reader's subspecialties, how near the first the case's stands.", most: 1000},
	"Weights.load":     {doc: "How little waits for the reader already.", most: 1000},
	"Weights.fairness": {doc: "How little the reader has done in the last fairDays, for each hour at work.", most: 1000},
	"Weights.due":      {doc: "Whether the reader is at work long enough before the case is due.", most: 1000},

	"Rung.to":    {doc: "related: readers of the related subspecialties too; general: all readers of the modality and the patient's age. What the triage needs besides, licences and conflicts always count.", oneOf: texts(ToRelated, ToGeneral), must: true},
	"Rung.after": {doc: "How long nobody could be found before this step.", must: true},

	"Kinship.subspecialty": {doc: "Whom a case asks for.", must: true},
	"Kinship.related":      {doc: "Who may stand in; an empty list: nobody.", must: true},

	"TriageRule.when": {doc: "The conditions, which must all hold; what is left out holds for all.", must: true},
	"TriageRule.then": {doc: "What is decided.", must: true},

	"TriageWhen.modality": {doc: "DICOM codes of modalities.", least: 1},
	"TriageWhen.code":     {doc: "Codes of the exam, system|code or the code alone.", least: 1},
	"TriageWhen.bodySite": {doc: "Words of which one stands in the body site or the name of the exam, or begins a word there; one of three letters is the whole word, or its plural.", least: 1},
	"TriageWhen.age":      {doc: "The patient's age at the study, in full years. Where it is unknown the condition does not hold."},
	"TriageWhen.reason":   {doc: "Codes of the reasons of the request, system|code or the code alone.", least: 1},
	"TriageWhen.priority": {doc: "Priorities of the order.", oneOf: Priorities, least: 1},

	"TriageThen.subspecialty": {doc: "Who should read it: a subspecialty of the readers' credentials, or general, which all may.", must: true},
	"TriageThen.protocol":     {doc: "What the reader may see before the lock, instead of what the policy says.", oneOf: texts(protocols...)},
	"TriageThen.reading":      {doc: "How many read it and how two opinions become one, instead of what the policy says.", oneOf: texts(readingProtocols...)},
	"TriageThen.needs":        {doc: "What a reader must have among their subspecialties besides.", least: 1},

	"Ages.from": {doc: "From this age on."},
	"Ages.to":   {doc: "Up to this age, which is included; 0: without end."},

	"Escalation.clock":      {doc: "Of which clock.", oneOf: texts(ClockIntake, ClockAssign, ClockFinal, ClockGross, ClockAdjudicate, ClockAcknowledge, ClockEmergent, ClockUrgent, ClockNonCritical, ClockQuestion, ClockReverify, ClockCredential), must: true},
	"Escalation.priorities": {doc: "For cases of these priorities; all where it is left out.", oneOf: Priorities, least: 1},
	"Escalation.at":         {doc: "At so many percent of the clock's limit; 100 is the breach. Of credential, 50 is so many days before as credentialNoticeDays says, and 100 the last day.", codes: stages, must: true},
	"Escalation.chain":      {doc: "Who is told, one after the other until somebody takes note.", least: 1, most: 8, must: true},

	"Link.tell": {doc: "Who: the reader is whoever has the case or the offer then; where that is nobody, the next one is told at once.", oneOf: texts(TellReader, TellCoordinator, TellDirector), must: true},
	"Link.by":   {doc: "How: on the worklist (page), by a FHIR Communication among the tenant's resources (notification), by mail.", oneOf: texts(ByPage, ByNotification, ByMail), least: 1, must: true},
	"Link.wait": {doc: "How long it waits for somebody to take note before the next one is told; not at the end of the chain."},

	"Contacts.coordinator": {doc: "Of the coordinators."},
	"Contacts.director":    {doc: "Of the medical directors."},

	"Publication.afterDays":  {doc: "So many days after its end a quarter is published, as it is known then; 30 where this is left out. What changes later is seen by the role quality alone.", most: 366},
	"Publication.every":      {doc: "Of what figures are published at once: quarter (a year is then its quarters added up), or year, where the cases of a quarter are so few that most of it is hidden. It holds from the next year on of which nothing is published yet; quarter where it is left out.", oneOf: []string{EveryQuarter, EveryYear}},
	"Publication.detail":     {doc: "The finest detail of outcomes that is published: discrepancy (whether there is one), significance, or management (besides, whether it changes it). By two dimensions a cell is shown in the detail of the whole or not at all: a service with few cases shows more cells of less detail. management where it is left out.", oneOf: PublicationDetails},
	"Publication.dimensions": {doc: "By which dimensions figures are published. Of two that are tied, as reason and oncologic, one may be: from tables by both hidden counts can be computed. Where they are left out, all but oncologic, protocol and subspecialty; and blinding, where rules of triage say how a case is read.", least: 1},
	"Publication.pairs":      {doc: "By which two dimensions at once figures are published, as modality+site. They may not close a circle: from all tables of a circle together hidden counts can be computed. Where they are left out, modality with most others.", least: 1},

	"HospitalViewer.url":          {doc: "Its address for one study.", must: true},
	"HospitalViewer.whileBlinded": {doc: "Who reads blind is led there too: it shows images and nothing of the first reading. Without it they are not, before the first report is shown."},
	"PatientSummary.nameReaders":  {doc: "It names who has read and who has signed."},
	"PatientSummary.contact":      {doc: "Whom the patient asks, in words, such as a department with its telephone; the doctor who asked for the second opinion where it is left out."},

	"Sampling.within": {doc: "The second read begins at a moment that nobody can foresee within this time after the signature; 3d where it is left out."},
	"Sampling.rates":  {doc: "The rates, tried in this order: the first that holds for a final decides.", least: 1, must: true},

	"SampleRate.modality":     {doc: "DICOM codes of modalities.", least: 1},
	"SampleRate.subspecialty": {doc: "Subspecialties of the exam.", least: 1},
	"SampleRate.priority":     {doc: "Priorities of the order.", oneOf: Priorities, least: 1},
	"SampleRate.agreement":    {doc: "How the reader's opinion and the original agree.", oneOf: texts(LevelNone, LevelMinor, LevelMajor, LevelNoComparison), least: 1},
	"SampleRate.perThousand":  {doc: "How many of a thousand finals are drawn.", most: 1000, must: true},

	"Clocks.stat":    {doc: "Limits of orders that are stat."},
	"Clocks.asap":    {doc: "Limits of orders that are asap."},
	"Clocks.urgent":  {doc: "Limits of orders that are urgent."},
	"Clocks.routine": {doc: "Limits of all other orders."},

	"Limits.intake":      {doc: "From the order to its completeness."},
	"Limits.offer":       {doc: "How long an offer to a reader stands."},
	"Limits.assign":      {doc: "From completeness to a reader's acceptance."},
	"Limits.final":       {doc: "From completeness to the signature, less the pauses: the net time."},
	"Limits.gross":       {doc: "From the order to the signature, whatever it waited for: the gross time. Without it there is no limit."},
	"Limits.acknowledge": {doc: "From the signature until the clinician has read it."},
	"Limits.adjudicate":  {doc: "From the grade to the adjudicator's signature; where two read, from the second lock until they are one."},
	"Limits.question":    {doc: "From a question about a signed report to its answer."},
	"Limits.reverify":    {doc: "From a change of the study after the signature until who signed has looked at it."},

	"FindingLimits.emergent":    {doc: "RadLex RID49480: somebody must act within minutes."},
	"FindingLimits.urgent":      {doc: "RadLex RID49481: within hours."},
	"FindingLimits.nonCritical": {doc: "RadLex RID49482: within days or later."},

	"Calendar.zone":     {doc: "The time zone, by its IANA name, such as America/New_York."},
	"Calendar.weekend":  {doc: "The days of the week without business.", oneOf: weekdays, most: 6},
	"Calendar.holidays": {doc: "The dates without business."},
}

// forms are the types that a policy writes as text, and how.
var forms = []struct {
	of      reflect.Type
	pattern string // RE2 and ECMA 262 agree on it
	nothing string // pattern of what may not be said, though it has the form
	want    string
}{
	{reflect.TypeFor[Span](), `^([0-9]{1,4}(\.[0-9]+)?(bd|d)|([0-9]{1,6}(\.[0-9]{1,6})?[hms])+)$`, `^[0.bdhms]*$`, Phrase("a length of time such as 90m, 72h, 7d or 1bd (business day), and more than nothing")},
	{reflect.TypeFor[ItemID](), `^[a-z][-a-z0-9]{0,62}$`, "", Phrase("a name of small letters, digits and hyphens")},
	{reflect.TypeFor[Address](), mailPattern, "", Phrase("an address of mail")},
	{reflect.TypeFor[ViewerURL](), viewerPattern, "", Phrase("an https address with {StudyInstanceUID} or {AccessionNumber} below its host, and nothing else in braces")},
	{reflect.TypeFor[Privilege](), `^[a-z][a-z0-9-]{0,62}$`, "", Phrase("a subspecialty such as neuro or head-neck: small letters, digits and hyphens")},
	{reflect.TypeFor[Word](), `^[^A-Z]{2,100}$`, "", Phrase("a word in small letters, two at least")},
	{reflect.TypeFor[Holiday](), holidayPattern, "", Phrase(`2026-12-25, 12-25 (each year), easter-2 (days from Easter Sunday) or "last monday of may"; with " observed" behind it (of a Saturday on Friday, of a Sunday on Monday) or " moved" (of a weekend on the next business day)`)},
}

func texts[T ~string](list ...T) (out []string) {
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}

// policySchema is the schema, compiled, and as its published text.
var policySchema = sync.OnceValues(func() (*jsonschema.Schema, []byte) {
	return compileSchema(PolicySchemaURL, "Policy of a tenant of Overread", "How a tenant wants its cases to run. What is left out has its default.",
		schemaOf(reflect.TypeFor[Policy](), setting{}, defaultTree()))
})

// compileSchema finishes the schema of a document that tenants write.
func compileSchema(address, title, about string, schema map[string]any) (*jsonschema.Schema, []byte) {
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["$id"], schema["title"], schema["description"] = address, title, about
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		panic("workflow: " + title + ": " + err.Error())
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text.Bytes()))
	if err != nil {
		panic("workflow: " + title + ": " + err.Error())
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(address, doc); err != nil {
		panic("workflow: " + title + ": " + err.Error())
	}
	return compiler.MustCompile(address), text.Bytes()
}

// PolicySchema is the JSON Schema (draft 2020-12) of policies.
func PolicySchema() []byte {
	_, text := policySchema()
	return bytes.Clone(text)
}

// schemaOf describes a Go type. preset is its default, nil where there is none.
func schemaOf(t reflect.Type, s setting, preset any) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	schema := map[string]any{}
	if s.doc != "" {
		schema["description"] = s.doc
	}
	if preset != nil && t.Kind() != reflect.Struct {
		schema["default"] = preset
	}
	for _, f := range forms {
		if f.of == t {
			schema["type"], schema["pattern"] = "string", f.pattern
			schema["description"] = strings.TrimSpace(s.doc + " Written as " + f.want + ".")
			if f.nothing != "" {
				schema["not"] = map[string]any{"pattern": f.nothing}
			}
			if preset != nil {
				schema["default"] = preset
			}
			return schema
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		objectSchema(schema, t, preset)
	case reflect.Slice:
		schema["type"], schema["items"] = "array", schemaOf(t.Elem(), setting{oneOf: s.oneOf}, nil)
		if t.Elem().Kind() == reflect.String {
			schema["uniqueItems"] = true
		}
		bound(schema, "minItems", "maxItems", s)
	case reflect.String:
		schema["type"] = "string"
		if s.oneOf != nil {
			schema["enum"] = s.oneOf
		} else {
			schema["minLength"] = 1
		}
	case reflect.Int:
		schema["type"] = "integer"
		if s.codes != nil {
			schema["enum"] = s.codes
			break
		}
		schema["minimum"] = 0
		bound(schema, "minimum", "maximum", s)
	case reflect.Bool:
		schema["type"] = "boolean"
	default:
		panic("workflow: a policy holds no " + t.String())
	}
	return schema
}

func bound(schema map[string]any, least, most string, s setting) {
	if s.least > 0 {
		schema[least] = s.least
	}
	if s.most > 0 {
		schema[most] = s.most
	}
}

func objectSchema(schema map[string]any, t reflect.Type, preset any) {
	presets, _ := preset.(map[string]any)
	properties := map[string]any{}
	var required []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		s, known := settings[t.Name()+"."+name]
		if !known {
			s, known = templateSettings[t.Name()+"."+name]
		}
		if !known {
			panic(fmt.Sprintf("workflow: the table of settings lacks %s.%s", t.Name(), name))
		}
		properties[name] = schemaOf(field.Type, s, presets[name])
		if s.must {
			required = append(required, name)
		}
	}
	schema["type"], schema["properties"], schema["additionalProperties"] = "object", properties, false
	if required != nil {
		schema["required"] = required
	}
}

// defaultTree is DefaultPolicy as JSON.
func defaultTree() (tree map[string]any) {
	raw, err := json.Marshal(DefaultPolicy())
	if err == nil {
		err = json.Unmarshal(raw, &tree)
	}
	if err != nil {
		panic("workflow: the default policy is no JSON: " + err.Error())
	}
	return tree
}
