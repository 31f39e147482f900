package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// The demo's hospital has a past: signed cases of one to two years, so that quality and
// auditors have figures to look at. Nobody can have read them now, and so they are not made
// through the surface but written as histories, as they would stand here after so long:
// the case, its events with their times, and its grade. What the figures count of them is
// made from these histories by the job that does so after an upgrade, and published by the
// job that does so each quarter. Their patients' records, orders and reports are not here.

// pastMonths is how long ago the past begins at the least; it begins with a quarter.
const pastMonths = 14

// pastEnds is how many days ago it ends: matching looks at less than that.
const pastEnds = 20

// casesAMonth is about how many were signed.
const casesAMonth = 110

// pastSite is a hospital that sent cases, with its share of them and how often a second
// reader found something else there.
type pastSite struct {
	name  string
	share float64
	rate  float64
}

var pastSites = []pastSite{{"Riverside Clinic", 0.45, 0.12}, {"Harbor Community Hospital", 0.32, 0.16}, {"Northgate Imaging Center", 0.23, 0.29}}

// pastExam is what was examined: as in the closed case of this sample, read by these.
type pastExam struct {
	sample, region, field string
	share                 float64
	factor                float64 // on the rate of the site
	readers               []string
}

var pastExams = []pastExam{
	{"chest-ct", "chest", "chest", 0.24, 1, []string{"lindqvist", "petrov"}}, {"abdomen", "abdomen", "abdominal", 0.2, 1, []string{"haddad"}}, {"spine", "spine", "neuro", 0.18, 1.1, []string{"okafor", "sato"}},
	{"knee", "limb", "musculoskeletal", 0.14, 1, []string{"tanaka", "brandt"}}, {"chest-xray", "chest", "chest", 0.24, 1, []string{"lindqvist", "petrov"}},
}

// Words with their shares.
var (
	pastPriorities = []weighed{{"routine", 0.62}, {"urgent", 0.26}, {"asap", 0.09}, {"stat", 0.03}}
	pastSettings   = []weighed{{"outpatient", 0.68}, {"inpatient", 0.23}, {"emergency", 0.09}}
	pastReasons    = []weighed{{"before-treatment", 0.3}, {"staging", 0.25}, {"inconclusive-report", 0.2}, {"rare-or-complex", 0.15}, {"", 0.1}}
	medianHours    = map[string]float64{"routine": 31, "urgent": 11, "asap": 4.5, "stat": 1.3}
)

type weighed struct {
	word  string
	share float64
}

// pastCase is a row of the temporary table that histories are written from.
type pastCase struct {
	id, task, report                                             uuid.UUID
	number, template, priority                                   string
	opened, complete, accepted, locked, revealed, signed, closed time.Time
	reader                                                       uuid.UUID
	other                                                        *uuid.UUID // who read it first, of those that two read
	reading                                                      string
	site, author                                                 string
	counts, grade                                                []byte
	first, second                                                []byte // sealed opinions of the two
	level                                                        string
}

// past draws cases, from the same seed each time: the demo is the same for everybody.
type past struct {
	*rand.Rand

	lot     *rand.Rand // who is read twice: drawn apart, so that nothing else hangs on it
	seeder  *seeder
	sites   []string            // as the facts name them: Organization/1
	authors map[string][]string // first readers by site
}

// writePast writes the histories for the hospital mercy, and has them counted and published.
func (s *seeder) writePast(ctx context.Context) error {
	p := past{Rand: rand.New(rand.NewPCG(2010, 5)), lot: rand.New(rand.NewPCG(2010, 6)), seeder: s, authors: map[string][]string{}}
	if err := p.settleSites(ctx); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return p.write(ctx, tx) }); err != nil {
		return err
	}
	if err := analyze(ctx, s.url); err != nil {
		return err
	}
	for _, name := range []string{"facts", "publications"} {
		if err := s.finish(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// finish runs a job until there is nothing more for it to do.
func (s *seeder) finish(ctx context.Context, name string) error {
	i := slices.IndexFunc(s.jobs, func(j job) bool { return j.name == name })
	for {
		if worked, err := s.jobs[i].run(ctx); err != nil || worked == 0 {
			return err
		}
	}
}

// settleSites makes the organisations that sent cases, and their first readers.
func (p *past) settleSites(ctx context.Context) error {
	placer, desk := p.seeder.clients["mercy-placer"], p.seeder.clients["mercy-coordinator"]
	families := []string{"Abara", "Bianchi", "Castillo", "Dvorak", "Eriksen", "Fontaine", "Grant", "Hollis", "Iqbal"}
	for i, site := range pastSites {
		made, err := placer.send(ctx, http.MethodPost, "Organization", fhir.Object("resourceType", "Organization", "name", site.name))
		if err != nil {
			return err
		}
		ref := "Organization/" + locationID(made.location, "Organization")
		p.sites = append(p.sites, ref)
		for n, family := range families[3*i : 3*i+3] {
			made, err := desk.send(ctx, http.MethodPost, "Practitioner", practitioner("first", fmt.Sprintf("10000008%02d", 10*i+n), "Alex", family))
			if err != nil {
				return err
			}
			p.authors[ref] = append(p.authors[ref], "Practitioner/"+locationID(made.location, "Practitioner"))
		}
	}
	return nil
}

// write draws the cases and writes what there is of each.
func (p *past) write(ctx context.Context, tx pgx.Tx) error {
	now := p.seeder.now.UTC()
	first := now.AddDate(0, -pastMonths, 1-now.Day()) // from its first day, since not every month has a 31st
	begin := time.Date(first.Year(), (first.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
	var all []pastCase
	for day, end := begin, now.AddDate(0, 0, -pastEnds); day.Before(end); day = day.AddDate(0, 0, 1) {
		many := casesAMonth * 12 / 365.0
		if wd := day.Weekday(); wd == time.Saturday || wd == time.Sunday {
			many *= 0.35
		} else {
			many *= 1.26
		}
		for range p.poisson(many) {
			c, err := p.draw(day, now, len(all))
			if err != nil {
				return err
			}
			if c.closed.Before(end) {
				all = append(all, c)
			}
		}
	}
	_, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE past (id uuid, task uuid, report uuid, number text, template text, priority text, opened timestamptz, complete timestamptz, accepted timestamptz, locked timestamptz,
			revealed timestamptz, signed timestamptz, closed timestamptz, reader uuid, site text, author text, counts jsonb, grade jsonb, level text, reading text, other uuid, first jsonb, second jsonb) ON COMMIT DROP`)
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"past"}, []string{"id", "task", "report", "number", "template", "priority", "opened", "complete", "accepted", "locked", "revealed", "signed", "closed", "reader", "site", "author", "counts", "grade", "level", "reading", "other", "first", "second"},
		pgx.CopyFromSlice(len(all), func(i int) ([]any, error) {
			c := all[i]
			return []any{c.id, c.task, c.report, c.number, c.template, c.priority, c.opened, c.complete, c.accepted, c.locked, c.revealed, c.signed, c.closed, c.reader, c.site, c.author, c.counts, c.grade, c.level, c.reading, c.other, c.first, c.second}, nil
		}))
	if err != nil {
		return err
	}
	args := pgx.NamedArgs{"tenant": p.seeder.tenants["mercy"]}
	for _, sql := range pastHistory {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return fmt.Errorf("histories: %w", err)
		}
	}
	return nil
}

// pastHistory is what is written of each. A case is as the closed one of its exam is, but
// for what is its own; of the order, the patient and the reports nothing is here, and of the
// Task what a board needs: it is read by its id, and no search finds it.
var pastHistory = []string{`
	INSERT INTO case_file
	SELECT r.*
	FROM past p
	JOIN case_file t ON t.tenant_id = @tenant AND t.placer_value = p.template,
	LATERAL jsonb_populate_record(t, jsonb_build_object('case_id', p.id, 'version', CASE WHEN p.other IS NULL THEN 9 ELSE 12 END, 'state', 'closed', 'priority', p.priority, 'placer_value', p.number, 'service_request_id', NULL,
		'service_request_ref', 'ServiceRequest/order-' || p.number, 'task_id', p.task, 'patient_id', NULL, 'study_id', NULL, 'study_uid', '2.25.' || replace(p.number, '-', ''), 'accession', 'A' || p.number,
		'original_report_id', NULL, 'original_report_version', NULL, 'reader_id', p.reader, 'other_reader_id', p.other, 'reading', p.reading, 'adjudicator_id', NULL, 'supervisor_id', NULL, 'report_id', p.report, 'report_no', 1,
		'report_status', 'final', 'opinion_no', NULL, 'settled', NULL, 'sample_of', NULL, 'opened_at', p.opened, 'complete_at', p.complete, 'accepted_at', p.accepted, 'locked_at', p.locked,
		'revealed_at', p.revealed, 'final_at', p.signed, 'closed_at', p.closed,
		'exam', t.exam || jsonb_build_object('originalGroups', jsonb_build_array(p.site), 'originalAuthors', jsonb_build_array(p.author), 'originalReaders', jsonb_build_array(p.author)))) r`, `
	INSERT INTO case_event (tenant_id, case_id, seq, occurred_at, event, from_state, to_state, actor_role, actor_id, detail)
	SELECT @tenant, p.id, row_number() OVER (PARTITION BY p.id ORDER BY e.occurred_at), e.*
	FROM past p,
	LATERAL (VALUES
		(p.opened, 'open', NULL, 'received', 'placer', NULL::uuid, jsonb_build_object('counts', p.counts - 'secondReader')),
		(p.complete, 'pass-checks', 'received', 'ready', 'system', NULL, jsonb_build_object('comparable', true)),
		(p.accepted - interval '20 minutes', 'claim', 'ready', 'accepted', 'reader', p.other, jsonb_build_object('independent', true)),
		(p.accepted - interval '1199 seconds', 'start', 'accepted', 'reading', 'reader', p.other, '{}'),
		(p.accepted - interval '10 minutes', 'lock', 'reading', 'ready', 'reader', p.other, '{"opinionNo": 1}'),
		(p.accepted, 'claim', 'ready', 'accepted', 'reader', p.reader, jsonb_build_object('independent', true, 'counts', p.counts)),
		(p.accepted + interval '1 second', 'start', 'accepted', 'reading', 'reader', p.reader, '{}'),
		(p.locked, 'lock', 'reading', 'locked', 'reader', p.reader, jsonb_build_object('opinionNo', CASE WHEN p.other IS NULL THEN 1 ELSE 2 END)),
		(p.revealed, 'reveal', 'locked', 'comparing', 'reader', p.reader, '{}'),
		(p.signed - interval '1 minute', 'grade', 'comparing', 'comparing', 'reader', p.reader, '{"gradeNo": 1}'),
		(p.signed, 'sign', 'comparing', 'final', 'reader', p.reader, '{"reportNo": 1, "reportStatus": "final"}'),
		(p.closed, 'acknowledge', 'final', 'closed', 'placer', NULL, '{"reportNo": 1}')) AS e (occurred_at, event, from_state, to_state, actor_role, actor_id, detail)
	WHERE e.event NOT IN ('claim', 'start', 'lock') OR e.actor_id IS NOT NULL`, `
	INSERT INTO opinion (tenant_id, case_id, opinion_no, reader_id, part, status, content, saved_at, sealed_at, content_sha256)
	SELECT @tenant, p.id, o.no, o.who, o.part, 'locked', o.content, o.at, o.at, sha256(convert_to(o.content::text, 'UTF8'))
	FROM past p,
	LATERAL (VALUES (1, p.other, 'first', p.first, p.accepted - interval '10 minutes'), (2, p.reader, 'second', p.second, p.locked)) AS o (no, who, part, content, at)
	WHERE p.other IS NOT NULL`, `
	INSERT INTO grade (tenant_id, case_id, grade_no, graded_by, role, graded_at, level, content)
	SELECT @tenant, p.id, 1, p.reader, 'reader', p.signed - interval '1 minute', p.level, p.grade
	FROM past p`, `
	INSERT INTO resource (tenant_id, type, id, version, last_updated, deleted, body, keys, indexed, indexed_version)
	SELECT @tenant, 'Task', p.task, 1, p.closed, false, convert_to(jsonb_build_object('resourceType', 'Task', 'id', p.task, 'meta', jsonb_build_object('versionId', '1', 'lastUpdated', to_jsonb(p.closed)),
		'status', 'completed', 'intent', 'order', 'businessStatus', jsonb_build_object('coding', jsonb_build_array(jsonb_build_object('system', 'https://overread.org/fhir/CodeSystem/case-state', 'code', 'closed', 'display', 'Closed'))),
		'priority', p.priority, 'authoredOn', to_jsonb(p.opened), 'lastModified', to_jsonb(p.closed))::text, 'UTF8'), '{}', t.indexed, 1
	FROM past p, (SELECT max(indexed) AS indexed FROM resource WHERE tenant_id = @tenant AND type = 'Task') t`, `
	INSERT INTO measure_build (tenant_id) VALUES (@tenant) ON CONFLICT (tenant_id) DO UPDATE SET up_to = NULL, done_at = NULL`,
}

// draw is a case of a day.
func (p *past) draw(day, now time.Time, n int) (c pastCase, err error) {
	exam := pastExams[p.pick(len(pastExams), func(i int) float64 { return pastExams[i].share })]
	at := p.pick(len(pastSites), func(i int) float64 { return pastSites[i].share })
	site, rate := p.sites[at], pastSites[at].rate*exam.factor
	// Eight months ago many first readers were new: a control chart is for that.
	if ago := (now.Year()-day.Year())*12 + int(now.Month()-day.Month()); ago == 8 {
		rate *= 2.1
	}
	reader := exam.readers[p.IntN(len(exam.readers))]
	e := samples[exam.sample].Exam
	c = pastCase{number: fmt.Sprintf("%d-%05d", day.Year()%100, 10000+n), template: closedSample(exam.sample), priority: p.word(pastPriorities), reader: readerID(reader), site: site}
	c.author = p.authors[site][p.IntN(len(p.authors[site]))]
	c.opened = day.Add(7*time.Hour + time.Duration(p.IntN(11*3600))*time.Second)
	turnaround := time.Duration(medianHours[c.priority] * math.Exp(0.75*p.NormFloat64()) * float64(time.Hour))
	turnaround = max(turnaround, 25*time.Minute)
	c.signed = c.opened.Add(turnaround)
	c.complete = c.opened.Add(time.Duration(20+p.IntN(200)) * time.Second)
	c.locked = c.signed.Add(-time.Duration(4+p.IntN(4)) * time.Minute)
	c.revealed = c.locked.Add(10 * time.Second)
	c.accepted = c.locked.Add(-time.Duration(5+p.IntN(8)) * time.Minute)
	read := 18 * math.Exp(1.1*p.NormFloat64())
	if p.Float64() < 0.06 { // some reports nobody opens for weeks (AJR 2020;215:934)
		read = 24 * (35 + 40*p.Float64())
	}
	c.closed = c.signed.Add(time.Duration(read*float64(time.Hour)) + time.Minute)
	c.id, c.task, c.report = p.idOf(c.opened), p.idOf(c.opened), p.idOf(c.signed)
	if c.level, c.grade, err = p.judge(rate); err != nil {
		return c, err
	}
	d := workflow.Description{Modality: e.Modality, BodyRegion: exam.region, Subspecialty: exam.field, Site: site, OriginalReader: c.author, SecondReader: c.reader.String(),
		Reason: p.word(pastReasons), Priority: c.priority, Blinding: "blinded", Priors: p.word([]weighed{{"yes", 0.45}, {"no", 0.55}}), Setting: p.word(pastSettings), Reading: string(workflow.SingleReading)}
	c.reading = d.Reading
	if d.Reason == "staging" {
		d.Oncologic = "yes"
	}
	if by := readTwice(exam.readers, reader); by != "" && c.accepted.Sub(c.complete) > time.Hour && p.lot.Float64() < twiceShare {
		if err := p.twice(&c, &d, by); err != nil {
			return c, err
		}
	}
	if c.counts, err = json.Marshal(d); err != nil {
		return c, err
	}
	return c, nil
}

// judge is how the two readings of a case compared: of the discrepancies two of five are
// important, and half of all change what is done.
func (p *past) judge(rate float64) (level string, content []byte, err error) {
	var g workflow.Grade
	switch dice := p.Float64(); {
	case p.Float64() < 0.03:
		level, g.NoComparisonReason = "no-comparison", "original-unusable"
	case dice >= rate:
		level = "none"
	default:
		x := workflow.Discrepancy{Finding: "as the archive has it", Significance: "unimportant", Nature: p.word([]weighed{{"detection", 0.55}, {"interpretation", 0.45}}), Direction: p.word([]weighed{{"miss", 0.5}, {"undercall", 0.3}, {"overcall", 0.2}}),
			Management: p.word([]weighed{{"none", 0.6}, {"work-up", 0.4}}), Actionable: "none"}
		if level = "minor"; dice < 0.42*rate {
			level, x.Significance, x.Management, x.Actionable = "major", "important", p.word([]weighed{{"none", 0.25}, {"work-up", 0.3}, {"treatment", 0.3}, {"staging", 0.15}}), "non-critical"
		}
		if p.Float64() < 0.2 {
			x.Asymmetry = []string{"priors"}
		}
		g.Discrepancies = []workflow.Discrepancy{x}
		g.Difference = "It differs, as the archive has it."
	}
	content, err = json.Marshal(g)
	return level, content, err
}

// pick is one of n by their shares.
func (p *past) pick(n int, share func(int) float64) int {
	dice := p.Float64()
	for i := range n - 1 {
		if dice -= share(i); dice < 0 {
			return i
		}
	}
	return n - 1
}

func (p *past) word(of []weighed) string {
	return of[p.pick(len(of), func(i int) float64 { return of[i].share })].word
}

// poisson is how many come where so many come on average (Knuth, TAOCP 3.4.1).
func (p *past) poisson(mean float64) (n int) {
	for limit, product := math.Exp(-mean), p.Float64(); product > limit; n++ {
		product *= p.Float64()
	}
	return n
}

// idOf is an id as one made at that moment is (UUIDv7, RFC 9562 section 5.7).
func (p *past) idOf(at time.Time) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|0x7000|p.Uint64N(1<<12))
	binary.BigEndian.PutUint64(id[8:], 1<<63|p.Uint64N(1<<62))
	return id
}

// closedSample is the order's number of a sample case of mercy that is closed.
func closedSample(name string) string {
	return sampleNumber(slices.IndexFunc(sampleCases, func(c sampleCase) bool {
		return c.hospital == "mercy" && c.sample == name && c.until == workflow.Closed
	}))
}
