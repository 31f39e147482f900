package fhir

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/html"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// One second opinion as a clinician opens it: beside the original report, and with
// what changed between two versions of it.

// OpinionOn is the second opinion on a Task of the actor's patient, with what changed
// from one of its versions to a later one: of the last two where from and to are 0.
// It refuses (NotFound) what is not the patient's.
func (s *Server) OpinionOn(ctx context.Context, actor access.Actor, task string, from, to int) (bedside.Opened, error) {
	d := s.desk(actor)
	c, seen, err := s.opinionSeen(ctx, d, actor, task)
	if err != nil {
		return bedside.Opened{}, err
	}
	patient, err := d.get(ctx, actor.Patient, nil)
	if err != nil {
		return bedside.Opened{}, err
	}
	readable := map[string]bool{}
	if c.ReportID != nil {
		_, err := d.get(ctx, "DiagnosticReport/"+*c.ReportID, nil)
		if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Gone) {
			return bedside.Opened{}, err
		}
		readable[*c.ReportID] = err == nil
	}
	opened := bedside.Opened{Patient: patientAtBedside(patient)}
	reports, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (reports []workflow.Report, err error) {
		k, err := s.chartRecords(ctx, tx, actor, []*Node{seen})
		if c, ok := k.cases[task]; ok && err == nil {
			opened.Opinion = k.opinionOn(c, seen, readable)
		}
		if err != nil || !opened.Opinion.Signed {
			return nil, err
		}
		return k.reports[c.CaseID], nil
	})
	if err != nil || len(reports) == 0 {
		return opened, err
	}
	opened.From, opened.To, opened.Changes = changesOf(reports, from, to)
	if opened.Opinion.Glance.Withdrawn() {
		return opened, nil
	}
	return opened, d.besideOriginal(ctx, c, reports[len(reports)-1].Opinion, &opened)
}

// changesOf compares two versions, the last two unless others are named that are there.
func changesOf(reports []workflow.Report, from, to int) (before, after int, changes []letter.Change) {
	if len(reports) < 2 {
		return 0, 0, nil
	}
	if from < 1 || to > len(reports) || from >= to {
		from, to = len(reports)-1, len(reports)
	}
	return from, to, letterChanges(workflow.Changes(reports[from-1], reports[to-1]))
}

// besideOriginal lays the original report beside the second one: the version that was
// compared, as far as the clinician may read it.
func (d *desk) besideOriginal(ctx context.Context, c workflow.Case, second workflow.Opinion, opened *bedside.Opened) error {
	if c.OriginalReportID == nil || c.OriginalReportVersion == nil {
		return nil
	}
	at := "DiagnosticReport/" + *c.OriginalReportID
	now, err := d.get(ctx, at, nil)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) || fault.Is(err, fault.Forbidden) {
		return nil
	}
	if err != nil {
		return err
	}
	original := now
	if version := strconv.FormatInt(*c.OriginalReportVersion, 10); now.Text("meta", "versionId") != version {
		if original, err = d.get(ctx, at+"/_history/"+version, nil); err != nil {
			return err
		}
	}
	said, err := d.saidBy(ctx, original)
	if err != nil {
		return err
	}
	opened.Original = &bedside.Original{Title: conceptText(original.Get("code")), Issued: cmp.Or(original.Text("issued"), original.Text("effectiveDateTime")),
		Status: original.Text("status"), Later: original != now}
	opened.Sides = sidesOf(said, second)
	return nil
}

// originalSaid is what a report of others says, by sections where it has them.
type originalSaid struct{ findings, impression, recommendation, rest string }

// mostResults of an original are looked up.
const mostResults = 20

// saidBy is what a report says: its results by the sections that LOINC names, its
// conclusion, else its text.
func (d *desk) saidBy(ctx context.Context, report *Node) (said originalSaid, err error) {
	for i, ref := range report.Each("result") {
		id, ok := strings.CutPrefix(ref.Text("reference"), "Observation/")
		if !ok || !idPattern.MatchString(id) || i == mostResults {
			continue
		}
		o, err := d.get(ctx, "Observation/"+id, nil)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) || fault.Is(err, fault.Forbidden) {
			continue
		}
		if err != nil {
			return said, err
		}
		to := &said.rest
		for _, section := range sections {
			if hasCode(o.Get("code"), section.code.System, section.code.Code) {
				to = map[string]*string{"findings": &said.findings, "impression": &said.impression, "recommendation": &said.recommendation}[section.slot]
			}
		}
		addText(to, o.Text("valueString"))
	}
	if text := report.Text("conclusion"); said.impression == "" && said.findings != "" {
		said.impression = text
	} else if text != said.impression {
		addText(&said.rest, text)
	}
	for _, f := range report.Each("presentedForm") {
		if said != (originalSaid{}) {
			break
		}
		content, err := binaryContent(f)
		switch kind := mediaType(f.Text("contentType")); {
		case err != nil:
		case kind == "text/plain":
			said.rest = string(content)
		case kind == "text/html", kind == "application/xhtml+xml":
			said.rest = textOfPage(string(content))
		}
	}
	if said == (originalSaid{}) {
		said.rest = textOfPage(report.Text("text", "div"))
	}
	return said, nil
}

func addText(to *string, text string) {
	if text = strings.TrimSpace(text); text != "" {
		*to = strings.TrimSpace(*to + "\n\n" + text)
	}
}

// textOfPage is what an HTML page says, a line for each of its blocks.
func textOfPage(page string) string {
	var out strings.Builder
	hidden := 0
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			lines := strings.Split(out.String(), "\n")
			lines = slices.DeleteFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "" })
			return strings.TrimSpace(strings.Join(lines, "\n"))
		case html.TextToken:
			if hidden == 0 {
				out.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if unseen := slices.Contains([]string{"style", "script", "title", "head"}, t.Data); unseen && t.Type == html.StartTagToken {
				hidden++
			} else if unseen && t.Type == html.EndTagToken {
				hidden--
			}
			if !slices.Contains([]string{"b", "i", "em", "strong", "span", "a", "sub", "sup", "code"}, t.Data) {
				out.WriteByte('\n')
			}
		}
	}
}

// sidesOf lays two reports side by side: section by section where the original has
// sections, else as one text each.
func sidesOf(first originalSaid, second workflow.Opinion) (sides []bedside.Side) {
	add := func(heading, a, b string) {
		a, b = strings.ReplaceAll(strings.TrimSpace(a), "\r\n", "\n"), strings.TrimSpace(b)
		if a == "" && b == "" {
			return
		}
		side := bedside.Side{Heading: heading}
		left, right := workflow.SideBySide(a, b)
		for _, r := range left {
			side.First = append(side.First, letter.Run{Text: r.Text, Removed: r.Edit == workflow.Removed})
		}
		for _, r := range right {
			side.Second = append(side.Second, letter.Run{Text: r.Text, Added: r.Edit == workflow.Added})
		}
		sides = append(sides, side)
	}
	if first.findings == "" && first.impression == "" {
		add("Report", first.rest, second.AllFindings()+"\n\n"+second.Impression)
		add("Recommendation", first.recommendation, second.Recommendation)
		return sides
	}
	add("Findings", first.findings, second.AllFindings())
	add("Impression", first.impression, second.Impression)
	add("Recommendation", first.recommendation, second.Recommendation)
	add("More of the original report", first.rest, "")
	return sides
}

// tellMatters adds what is open on the case besides its state, as Task/{id}/$matters
// tells a placer.
func tellMatters(c workflow.Case, all []workflow.Matter, o *bedside.Opinion) {
	if m, open := openStudyChange(all); open {
		o.Changed, o.Astray = m.Content.Words(), m.Content.Astray()
	}
	for _, m := range all {
		switch {
		case c.WaitsForSignature(m):
		case m.Kind == workflow.FindingMatter && !m.Withdrawn():
			o.Findings = append(o.Findings, bedside.Finding{No: m.No, Category: m.Category, Text: m.Content.Text, At: m.OpenedAt,
				Open: m.Open(), Due: m.DueAt, SeenAt: m.SettledAt, SeenBy: m.Closing.Person})
		case m.Kind == workflow.QuestionMatter:
			q := bedside.Question{No: m.No, Text: m.Content.Text, By: m.Content.Person, At: m.OpenedAt, Due: m.DueAt, Open: m.Open(), Taken: m.Withdrawn()}
			if !q.Open && !q.Taken {
				q.Answer, q.Answered = m.Closing.Text, m.SettledAt
			}
			if m.ReportNo != nil {
				q.Version = *m.ReportNo
			}
			o.Questions = append(o.Questions, q)
		}
	}
	slices.SortStableFunc(o.Findings, func(a, b bedside.Finding) int {
		switch {
		case a.Open != b.Open && a.Open:
			return -1
		case a.Open != b.Open:
			return 1
		}
		return b.At.Compare(a.At)
	})
}

// patientAtBedside is whom a page is about.
func patientAtBedside(patient *Node) bedside.Patient {
	return bedside.Patient{Name: humanName(patient), Born: patient.Text("birthDate"), Sex: patient.Text("gender"), Number: strings.TrimPrefix(mrn(patient), "MRN ")}
}
