package fhir

import (
	"encoding/json"
	"strings"

	"github.com/overread/overread/workflow"
)

// sourceSaid is what one source says of an element.
type sourceSaid struct {
	source string
	values []string
}

// compared is an element, with what every source says of it.
type compared struct {
	element   string
	agreement workflow.Agreement
	said      []sourceSaid
}

func (c compared) part() *Node {
	parts := []*Node{Object("name", "name", "valueCode", c.element), Object("name", "agreement", "valueCode", string(c.agreement))}
	for _, one := range c.said {
		for _, value := range one.values {
			parts = append(parts, Object("name", "said", "part", []*Node{
				Object("name", "source", "valueCode", one.source), Object("name", "value", "valueString", value)}))
		}
	}
	return Object("name", "element", "part", parts)
}

// sideBySide is a row of which the sources are compared by a rule.
func sideBySide(element string, same func(a, b string) bool, all ...sourceSaid) compared {
	row := compared{element: element}
	var values [][]string
	for _, one := range all {
		kept := sourceSaid{source: one.source}
		for _, value := range one.values {
			if value = strings.TrimSpace(value); value != "" {
				kept.values = append(kept.values, value)
			}
		}
		if kept.values != nil {
			row.said, values = append(row.said, kept), append(values, kept.values)
		}
	}
	row.agreement = workflow.Agree(same, values...)
	return row
}

func by(source string, values ...string) sourceSaid { return sourceSaid{source, values} }

// about are the rows of a doubt: of what it is about, and what else helps to decide.
func (e *evidence) about(code string) (rows []compared) {
	groups := map[string][]func() []compared{
		"patient-mismatch":         {e.identity},
		"pacs-patient-mismatch":    {e.identity},
		"modality-mismatch":        {e.examined, e.studies},
		"pacs-modality-mismatch":   {e.examined, e.studies},
		"body-site-mismatch":       {e.examined, e.studies},
		"pacs-body-part-mismatch":  {e.examined, e.studies},
		"laterality-mismatch":      {e.examined, e.studies},
		"pacs-laterality-mismatch": {e.examined, e.studies},
		"pacs-study-ambiguous":     {e.studies, e.examined},
		"priors-doubtful":          {e.studies},
		"duplicate-case":           {e.asked},
		"out-of-scope":             {e.outOfScope, e.examined},
		"requester-not-authorised": {e.requester},
		"consent-denied":           {e.consented},
		"original-reader-unnamed":  {e.firstReader},
		workflow.OrderCorrected:    {e.identity, e.studies, e.consented},
		workflow.ConsentDoubtful:   {e.consented},
	}[code]
	if groups == nil {
		groups = []func() []compared{e.identity, e.examined, e.studies}
	}
	for _, group := range groups {
		rows = append(rows, group()...)
	}
	return rows
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// identity: who the patient is.
func (e *evidence) identity() []compared {
	record := compared{element: "record"}
	var keys [][]string
	var people []workflow.Person
	identifier, name, birth, sex := compared{element: "identifier"}, compared{element: "name"}, compared{element: "birthDate"}, compared{element: "sex"}
	add := func(row *compared, source string, values ...string) {
		one := sideBySide("", equalFold, sourceSaid{source, values})
		row.said = append(row.said, one.said...)
	}
	for _, p := range e.people {
		people = append(people, p.Person)
		if p.record != "" {
			keys = append(keys, []string{p.record})
		}
		add(&record, p.source, p.record)
		for _, id := range p.IDs {
			add(&identifier, p.source, strings.TrimPrefix(id.System+"|"+id.Value, "|"))
		}
		for _, n := range p.Names {
			add(&name, p.source, strings.TrimSuffix(n.Family+", "+n.Given, ", "))
		}
		add(&birth, p.source, p.BirthDate)
		add(&sex, p.source, p.Sex)
	}
	a := workflow.AgreePeople(people...)
	record.agreement = workflow.Agree(func(a, b string) bool { return a == b }, keys...)
	identifier.agreement, name.agreement, birth.agreement, sex.agreement = a.Identifier, a.Name, a.BirthDate, a.Sex
	return []compared{record, identifier, name, birth, sex}
}

func (e *evidence) inPACS() workflow.StudyInPACS {
	if e.facts.PACS == nil {
		return workflow.StudyInPACS{}
	}
	return e.facts.PACS.Study
}

// examined: what was imaged.
func (e *evidence) examined() []compared {
	pacs, study := e.inPACS(), e.study.Node
	siteOrdered := e.facts.OrderBodySite
	return []compared{
		sideBySide("exam", equalFold, by("order", append(conceptTexts(e.order.Each("code")), conceptTexts(e.order.Each("orderDetail"))...)...),
			by("study", append(conceptTexts(study.Each("procedureCode")), study.Text("description"))...), by("original", conceptText(e.original.Get("code")))),
		sideBySide("modality", workflow.SameModality, by("order", e.facts.OrderModality), by("study", modalities(study)...), by("pacs", pacs.Modalities...)),
		sideBySide("bodySite", workflow.SameSite, by("order", siteOrdered), by("study", bodySite(study)), by("pacs", pacs.BodyParts...)),
		sideBySide("laterality", workflow.SameSide, by("order", e.facts.OrderLaterality), by("study", seriesLaterality(study)), by("pacs", pacs.Sides...)),
	}
}

func conceptTexts(concepts []*Node) (texts []string) {
	for _, c := range concepts {
		texts = append(texts, conceptText(c))
	}
	return texts
}

// studies: which study is meant, and which are its priors.
func (e *evidence) studies() []compared {
	pacs := e.inPACS()
	uids, started, named := []sourceSaid{by("study", studyUID(e.study.Node)), by("pacs", pacs.UID)},
		[]sourceSaid{by("study", e.study.Text("started"))}, []sourceSaid{by("study", e.study.Text("description"))}
	if was := e.c.StudyUID; was != nil && e.c.Correction != nil {
		uids = append(uids, by("read", *was))
	}
	row := sideBySide("studyInstanceUid", equalFold, uids...)
	for _, prior := range e.priors { // another study, by what it is
		row.said = append(row.said, sideBySide("", equalFold, by("prior", studyUID(prior.Node))).said...)
		started, named = append(started, by("prior", prior.Text("started"))), append(named, by("prior", prior.Text("description")))
	}
	of := by("original")
	for _, ref := range e.original.Each("imagingStudy") {
		of.values = append(of.values, ref.Text("reference"))
	}
	refs := []sourceSaid{by("study", storedAs("ImagingStudy", e.study.id())), of}
	for _, prior := range e.priors {
		refs = append(refs, by("prior", storedAs("ImagingStudy", prior.id())))
	}
	reported := sideBySide("reportedStudy", equalFold, refs...)
	reported.agreement = workflow.Agree(equalFold, nonEmpty(refs[0].values[0]), of.values)
	return []compared{
		row,
		sideBySide("accessionNumber", equalFold, by("study", accession(e.study.Node).Text("value")), by("pacs", pacs.Accession)),
		sideBySide("started", equalFold, started...),
		sideBySide("description", equalFold, named...),
		reported,
	}
}

func storedAs(typ, id string) string {
	if id == "" {
		return ""
	}
	return typ + "/" + id
}

// asked: what this order asks, and what the other cases on the same study ask.
func (e *evidence) asked() []compared {
	rows := []struct {
		element string
		of      func(d *dossier) []string
	}{
		{"case", func(d *dossier) []string { return []string{"Task/" + d.c.TaskID} }},
		{"order", func(d *dossier) []string { return []string{d.c.PlacerValue} }},
		{"state", func(d *dossier) []string { return []string{string(d.c.State)} }},
		{"ordered", func(d *dossier) []string { return []string{d.c.OpenedAt.UTC().Format("2006-01-02T15:04:05Z")} }},
		{"studyInstanceUid", func(d *dossier) []string { return []string{studyUID(d.study.Node)} }},
		{"question", (*dossier).questionWords},
		{"reason", func(d *dossier) []string { return codingsOf(d.order.Each("reasonCode")) }},
		{"code", func(d *dossier) []string {
			return codingsOf(append(d.order.Each("code"), d.order.Each("orderDetail")...))
		}},
		{"requester", func(d *dossier) []string { return d.requesters }},
	}
	var out []compared
	for _, row := range rows {
		all := []sourceSaid{by("order", row.of(e.dossier)...)}
		for _, other := range e.others {
			all = append(all, by("other-case", row.of(other)...))
		}
		out = append(out, sideBySide(row.element, equalFold, all...))
	}
	return out
}

// questionWords are what order and Task say in words of what is asked.
func (d *dossier) questionWords() (texts []string) {
	nodes := []*Node{d.order}
	if d.order != d.task {
		nodes = append(nodes, d.task)
	}
	for _, n := range nodes {
		for _, c := range n.Each("reasonCode") {
			texts = append(texts, c.Text("text"))
		}
		for _, note := range n.Each("note") {
			texts = append(texts, note.Text("text"))
		}
	}
	return texts
}

// codingsOf are the codings of concepts, as system|code.
func codingsOf(concepts []*Node) (codes []string) {
	for _, concept := range concepts {
		for _, c := range concept.Each("coding") {
			codes = append(codes, c.Text("system")+"|"+c.Text("code"))
		}
	}
	return codes
}

func (e *evidence) outOfScope() []compared {
	var rules []string
	for _, w := range e.c.Policy.OutOfScope {
		if text, err := json.Marshal(w); err == nil {
			rules = append(rules, string(text))
		}
	}
	row := sideBySide("scope", equalFold, by("policy", rules...))
	return []compared{row}
}

func (e *evidence) requester() []compared {
	same := func(a, b string) bool { return a == b }
	row := sideBySide("requester", same, by("order", e.requesters...), by("policy", e.c.Policy.Requesters...))
	return []compared{row, sideBySide("requesterName", equalFold, by("order", e.order.Text("requester", "display")))}
}

func (e *evidence) consented() []compared {
	var says, status, when []string
	for _, n := range e.consents {
		says, status, when = append(says, n.Text("provision", "type")), append(status, n.Text("status")), append(when, n.Text("dateTime"))
	}
	return []compared{
		sideBySide("consent", equalFold, by("consent", says...)), sideBySide("consentStatus", equalFold, by("consent", status...)), sideBySide("consentDate", equalFold, by("consent", when...)),
	}
}

// firstReader: what the original says of who read it.
func (e *evidence) firstReader() []compared {
	var names []string
	for _, ref := range append(e.original.Each("resultsInterpreter"), e.original.Each("performer")...) {
		names = append(names, ref.Text("display"))
	}
	return []compared{
		sideBySide("firstReader", equalFold, by("original", e.first.Readers...)),
		sideBySide("firstReaderName", equalFold, by("original", names...)),
		sideBySide("firstReaderOrganization", equalFold, by("original", e.first.Groups...)),
	}
}
