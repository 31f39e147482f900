package fhir

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// Packs for learning meetings. They come from the quality compartment and stay in
// it; what is in them names nobody and has no score.

// mostPacked is how many cases a pack has at most: a meeting is an hour.
const mostPacked = 50

func packServices() []service {
	packed := []parameter{
		{Name: "id", Type: "id", Min: 1, Doc: "Of the pack."},
		{Name: "title", Type: "string", Min: 1, Doc: "Its title."},
		{Name: "madeAt", Type: "instant", Min: 1, Doc: "When it was made."},
		{Name: "document", Type: "Attachment", Many: true, Doc: "The pack to be read: text/html and application/pdf."},
		{Name: "figure", Many: true, Doc: "A published figure of all cases of a quarter.", Parts: []parameter{
			{Name: "measure", Type: "code", Min: 1, Doc: "Of which measure."},
			{Name: "value", Type: "string", Min: 1, Doc: "What it is, in words."},
		}},
		{Name: "case", Many: true, Doc: "One case, in the order of the pack.", Parts: []parameter{
			{Name: "exam", Type: "string", Min: 1, Doc: "What was examined."},
			{Name: "modality", Type: "code", Doc: "DICOM code."},
			{Name: "subspecialty", Type: "code", Doc: "Of its readers."},
			{Name: "age", Type: "string", Doc: "The patient's, by decades."},
			{Name: "level", Type: "code", Min: 1, Doc: "The most significant discrepancy."},
			{Name: "difference", Type: "string", Doc: "In what the readings differ."},
			{Name: "goodCall", Type: "boolean", Doc: "The original saw what is easily missed."},
			{Name: "discrepancy", Many: true, Doc: "One point in which they differ, without expectedness.", Parts: []parameter{
				{Name: "description", Type: "string", Min: 1, Doc: "What it is about."},
				{Name: "significance", Type: "code", Min: 1, Doc: "How much it matters."},
				{Name: "nature", Type: "code", Min: 1, Doc: "What kind of difference it is."},
				{Name: "direction", Type: "code", Doc: "Which way it goes."},
				{Name: "management", Type: "code", Doc: "What it may change for the patient."},
				{Name: "cause", Type: "code", Many: true, Doc: "Cause of a learning event."},
				{Name: "asymmetry", Type: "code", Many: true, Doc: "What the first reader lacked."},
			}},
			{Name: "clinician", Type: "code", Doc: "What changed for the patient, as the clinician says."},
			{Name: "right", Type: "code", Doc: "Who was right."},
			{Name: "source", Type: "code", Doc: "What showed it."},
			{Name: "learningPoint", Type: "string", Many: true, Doc: "What is to be learnt."},
			{Name: "tag", Type: "code", Many: true, Doc: "Tags of these."},
		}},
	}
	return []service{
		{name: "make-meeting-pack", id: "task-make-meeting-pack", types: []string{"Task"}, atType: true, affects: true, recorded: true, by: []access.Role{access.Quality}, scope: reading,
			does: "Makes a pack for a learning meeting of signed cases: those that are named, or those with a learning point. It has no patient, no reader and no score, and stays as it was made.",
			takes: []parameter{
				{Name: "title", Type: "string", Min: 1, Doc: "Of the pack."},
				{Name: "case", Type: "Reference", Many: true, Doc: "Task/{id} of a signed case. Without any, those with a learning point."},
				{Name: "tag", Type: "code", Many: true, Doc: "Without cases: with one of these tags."},
				{Name: "from", Type: "date", Doc: "Without cases: signed on this day or later."},
				{Name: "to", Type: "date", Doc: "Without cases: signed on this day or before."},
				{Name: "figuresOf", Type: "date", Doc: "With the figures that are published of the quarter that begins on this day (docs/disclosure.md)."},
			},
			tells: packed, handle: (*Server).makePack},
		{name: "meeting-pack", id: "task-meeting-pack", types: []string{"Task"}, atType: true, recorded: true, by: []access.Role{access.Quality}, scope: reading,
			does:  "Opens a pack for a learning meeting, or lists those that there are. Each opening is recorded.",
			takes: []parameter{{Name: "id", Type: "id", Doc: "Of the pack. Without it the packs are listed, without their cases."}},
			tells: append([]parameter{{Name: "pack", Many: true, Doc: "One that there is.", Parts: packed[:3]}}, packed...), handle: (*Server).openPack},
	}
}

// makePack is Task/$make-meeting-pack.
func (s *Server) makePack(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		p, err := s.packMade(ctx, tx, actor, in)
		if err != nil {
			return nil, err
		}
		return packNode(p)
	})
}

// packMade makes a pack and keeps it; each of its cases is opened by that.
func (s *Server) packMade(ctx context.Context, tx pgx.Tx, actor access.Actor, in *Node) (p workflow.Pack, err error) {
	tasks, err := packTasks(ctx, tx, in)
	if err != nil {
		return p, err
	}
	p = workflow.Pack{Title: given(in, "title").Text(), FiguresOf: given(in, "figuresOf").Text()}
	if p.Figures, err = packFigures(ctx, tx, in); err != nil {
		return p, err
	}
	var files []workflow.Case
	for _, task := range tasks {
		file, shown, err := s.mayOpen(ctx, tx, actor, task)
		if err != nil {
			return p, err
		}
		if !shown || file.ReportNo == 0 {
			if len(allGiven(in, "case")) == 0 {
				continue // what is withheld from who reads here too is in no pack of theirs
			}
			return p, fault.At(fault.BusinessRule, "Parameters.parameter.where(name = 'case')", "one of the cases is not here, or not signed")
		}
		packed, names, err := s.packCase(ctx, tx, file)
		if err != nil {
			return p, err
		}
		if workflow.Named(p.Title, names) {
			return p, fault.At(fault.BusinessRule, "Parameters.parameter.where(name = 'title')", "the title names somebody")
		}
		p.Cases, files = append(p.Cases, packed), append(files, file)
	}
	if len(p.Cases) == 0 {
		return p, fault.At(fault.BusinessRule, "Parameters.parameter", "no signed case has a learning point that fits; name the cases, or add learning points first")
	}
	if err := s.qualityOpened(ctx, tx, actor, files...); err != nil {
		return p, err
	}
	return s.engine.KeepPackTx(ctx, tx, actor, p)
}

// packTasks are the Tasks that are asked for.
func packTasks(ctx context.Context, tx pgx.Tx, in *Node) ([]string, error) {
	var tasks []string
	for _, ref := range allGiven(in, "case") {
		id := localID(ref.Text("reference"), "Task")
		if id == nil {
			return nil, fault.At(fault.Value, "Parameters.parameter.where(name = 'case')", "refer to a case as Task/{id}")
		}
		tasks = append(tasks, *id)
	}
	if len(tasks) > mostPacked {
		return nil, fault.At(fault.TooLarge, "Parameters.parameter.where(name = 'case')", "a pack has at most %d cases; make several", mostPacked)
	}
	if tasks != nil {
		return tasks, nil
	}
	day := func(name string, otherwise time.Time) (time.Time, error) {
		text := given(in, name).Text()
		if text == "" {
			return otherwise, nil
		}
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return at, fault.At(fault.Value, "Parameters.parameter.where(name = '"+name+"')", "give a whole day, such as 2026-11-25")
		}
		return at, nil
	}
	from, err := day("from", time.Time{})
	if err != nil {
		return nil, err
	}
	to, err := day("to", time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, tag := range allGiven(in, "tag") {
		tags = append(tags, tag.Text())
	}
	return workflow.CasesToLearnTx(ctx, tx, from, to.AddDate(0, 0, 1), tags, mostPacked)
}

// packCase is a case as a pack has it, and the names that may not be in it.
func (s *Server) packCase(ctx context.Context, tx pgx.Tx, file workflow.Case) (workflow.PackCase, []string, error) {
	names, err := s.namesIn(ctx, tx, file)
	if err != nil {
		return workflow.PackCase{}, nil, err
	}
	grades, err := workflow.GradesTx(ctx, tx, file.CaseID)
	if err != nil {
		return workflow.PackCase{}, nil, err
	}
	later, err := laterOf(ctx, tx, file.CaseID)
	if err != nil {
		return workflow.PackCase{}, nil, err
	}
	grade, ok := workflow.InForce(grades, s.now())
	if !ok {
		grade.Content.NoComparisonReason = "no-original"
	}
	return workflow.PackCaseOf(file, grade, later.judgements, later.truths, later.points, names), names, nil
}

// openPack is Task/$meeting-pack.
func (s *Server) openPack(c echo.Context, actor access.Actor, in *Node) error {
	id, err := uuid.Parse(given(in, "id").Text())
	if given(in, "id") != nil && err != nil {
		return fault.New(fault.NotFound, "there is no such pack")
	}
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		if given(in, "id") != nil {
			p, err := s.packOpened(ctx, tx, actor, id)
			if err != nil {
				return nil, err
			}
			return packNode(p)
		}
		all, err := s.packsListed(ctx, tx, actor)
		if err != nil {
			return nil, err
		}
		var rows []*Node
		for _, p := range all {
			rows = append(rows, Object("name", "pack", "part", partsOf("id", "valueId", p.ID.String(), "title", "valueString", p.Title, "madeAt", "valueInstant", instant(p.MadeAt))))
		}
		return Object("resourceType", "Parameters", "meta", Object("security", verySensitive), "parameter", rows), nil
	})
}

// packOpened is a pack, whose opening is recorded.
func (s *Server) packOpened(ctx context.Context, tx pgx.Tx, actor access.Actor, id uuid.UUID) (workflow.Pack, error) {
	p, err := workflow.PackTx(ctx, tx, id)
	if err != nil {
		return p, err
	}
	return p, s.RecordEvent(ctx, tx, access.Event{Kind: access.QualityOpened, Tenant: actor.Tenant, Actor: actor, Object: id.String()})
}

// mostPacks is how many packs are listed.
const mostPacks = 500

// packsListed are the packs, without their cases; that they were listed is recorded.
func (s *Server) packsListed(ctx context.Context, tx pgx.Tx, actor access.Actor) ([]workflow.Pack, error) {
	all, err := workflow.PacksTx(ctx, tx, mostPacks)
	if err != nil {
		return nil, err
	}
	return all, s.RecordEvent(ctx, tx, access.Event{Kind: access.QualityOpened, Tenant: actor.Tenant, Actor: actor})
}

// packNode is a pack as the operations give it.
func packNode(p workflow.Pack) (*Node, error) {
	rows := partsOf("id", "valueId", p.ID.String(), "title", "valueString", p.Title, "madeAt", "valueInstant", instant(p.MadeAt))
	paper := paperOf(p, "en")
	pdf, err := paper.PDF()
	if err != nil {
		return nil, fmt.Errorf("write the pack: %w", err)
	}
	for _, form := range []struct {
		contentType string
		raw         []byte
	}{{"text/html", paper.HTML()}, {"application/pdf", pdf}} {
		rows = append(rows, Object("name", "document", "valueAttachment", Object("contentType", form.contentType, "language", "en",
			"data", base64.StdEncoding.EncodeToString(form.raw), "title", p.Title, "creation", instant(p.MadeAt))))
	}
	for _, f := range p.Figures {
		rows = append(rows, Object("name", "figure", "part", partsOf("measure", "valueCode", f.Measure, "value", "valueString", f.Value)))
	}
	for _, c := range p.Cases {
		rows = append(rows, Object("name", "case", "part", packParts(c)))
	}
	return Object("resourceType", "Parameters", "meta", Object("security", verySensitive), "parameter", rows), nil
}

func packParts(c workflow.PackCase) []*Node {
	parts := partsOf("exam", "valueString", examOr(c), "modality", "valueCode", c.Modality, "subspecialty", "valueCode", c.Subspecialty,
		"age", "valueString", c.Age, "level", "valueCode", string(c.Level), "difference", "valueString", c.Difference)
	if c.GoodCall {
		parts = append(parts, Object("name", "goodCall", "valueBoolean", true))
	}
	for _, d := range c.Discrepancies {
		inner := partsOf("description", "valueString", d.Finding, "significance", "valueCode", d.Significance, "nature", "valueCode", d.Nature,
			"direction", "valueCode", d.Direction, "management", "valueCode", d.Management)
		for _, cause := range d.Causes {
			inner = append(inner, Object("name", "cause", "valueCode", cause))
		}
		for _, lacked := range d.Lacked {
			inner = append(inner, Object("name", "asymmetry", "valueCode", lacked))
		}
		parts = append(parts, Object("name", "discrepancy", "part", inner))
	}
	parts = append(parts, partsOf("clinician", "valueCode", c.Clinician, "right", "valueCode", c.Right, "source", "valueCode", c.RightBy)...)
	for _, point := range c.Points {
		parts = append(parts, Object("name", "learningPoint", "valueString", point))
	}
	for _, tag := range c.Tags {
		parts = append(parts, Object("name", "tag", "valueCode", tag))
	}
	return parts
}

func examOr(c workflow.PackCase) string {
	if c.Exam == "" {
		return "Imaging study"
	}
	return c.Exam
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

// packWord is a code of a pack in words; of the families of causes and the rest the code is
// the word.
func packWord(code string) string {
	meaning := workflow.Meanings[code]
	switch {
	case slices.Contains(workflow.Words("nature"), code):
		return capitalised(meaning)
	case slices.Contains(workflow.Words("asymmetry"), code):
		return "The first reader lacked " + meaning
	case code == "first" || code == "second":
		return "the " + code + " reader"
	}
	return cmp.Or(meaning, code)
}

// truthWords are the codes of what showed who was right.
var truthWords = map[string]string{
	"pathology": "by pathology", "surgery": "by surgery", "follow-up-imaging": "by later images", "laboratory": "by the laboratory", "clinical-course": "by the clinical course", "other": "by something else",
}

// paperOf lays a pack out in a language (letter.Languages).
func paperOf(p workflow.Pack, language string) letter.Pack {
	say := func(text string, args ...any) string { return letter.In(language, text, args...) }
	word := func(code string) string { return say(packWord(code)) }
	paper := letter.Pack{Language: language, Title: p.Title, Made: p.MadeAt,
		Note: say("For learning only: no patient, no reader, no score. Quality work product; not to be passed on, and no part of any chart.")}
	if len(p.Figures) > 0 {
		figures := letter.PackCase{Heading: say("Figures of the quarter from %s", letter.Day(language, p.FiguresOf))}
		for _, f := range p.Figures {
			figures.Facts = append(figures.Facts, letter.Line{Label: f.Title, Value: f.Value})
		}
		paper.Cases = append(paper.Cases, figures)
	}
	for i, c := range p.Cases {
		one := letter.PackCase{Heading: say("Case %d: %s", i+1, say(examOr(c))), Facts: []letter.Line{
			{Label: say("Modality"), Value: c.Modality}, {Label: say("Subspecialty"), Value: c.Subspecialty}, {Label: say("Age"), Value: strings.Replace(c.Age, " to ", "–", 1)},
			{Label: say("Compared with the original report"), Value: say(agreementCodes[c.Level].Display)},
			{Label: say("Changed for the patient"), Value: say(managementCodes[c.Clinician])},
			{Label: say("Right, as it turned out"), Value: strings.TrimSpace(word(c.Right) + " " + inBrackets(say(truthWords[c.RightBy])))},
			{Label: say("Tags"), Value: strings.Join(c.Tags, ", ")},
		}}
		if c.GoodCall {
			one.Facts = append(one.Facts, letter.Line{Label: say("Good call"), Value: say("the original saw what is easily missed")})
		}
		add := func(heading, text string) {
			if text != "" {
				one.Sections = append(one.Sections, letter.Section{Heading: heading, Text: text})
			}
		}
		add(say("The readings differ"), c.Difference)
		for _, d := range c.Discrepancies {
			var said []string
			for _, code := range append([]string{d.Significance, d.Nature, d.Direction}, d.Lacked...) {
				if code != "" {
					said = append(said, word(code))
				}
			}
			var causes []string
			for _, cause := range d.Causes {
				causes = append(causes, say(cause))
			}
			add(d.Finding, strings.Join(said, "; ")+". "+say("Cause")+": "+strings.Join(causes, ", ")+".")
		}
		add(say("To be learnt"), strings.Join(c.Points, "\n"))
		paper.Cases = append(paper.Cases, one)
	}
	return paper
}
