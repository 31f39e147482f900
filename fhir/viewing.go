package fhir

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Viewing is what somebody may be shown of the images of a case: one who reads, or a
// clinician whose patient it is about. The study and those of before are looked up as
// a read of the Task and searches of the ImagingStudy would (Visible, ofPatient), so
// that a fence or blinding that hides one there hides its images here.
func (s *Server) Viewing(ctx context.Context, actor access.Actor, task string) (workflow.Viewing, error) {
	if !actor.ReadsHere() && actor.Patient == "" {
		return workflow.Viewing{}, fault.New(fault.Forbidden, "images are for those who read, and for the clinicians of the patient")
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (v workflow.Viewing, err error) {
		c, err := s.caseSeen(ctx, tx, actor, task)
		if err != nil {
			return v, err
		}
		if actor.Patient != "" && casePatient(c) != actor.Patient {
			return v, noCase()
		}
		if slices.Contains(workflow.Vanished, c.State) {
			return v, fault.New(fault.NotFound, "this case has ended without being read; its images are not shown any more")
		}
		v.Tenant = actor.Tenant
		if v.Archives, err = workflow.ArchivesTx(ctx, tx); err != nil {
			return v, err
		}
		p := &readingPage{s: s, tx: tx, actor: actor, c: c}
		p.page.Zone = zoneOf(c.Policy)
		if v.Studies, err = p.studies(ctx); err != nil || len(v.Studies) == 0 {
			return v, err
		}
		if err := veil(ctx, tx, actor, c, v.Studies); err != nil {
			return v, err
		}
		v.Own, err = p.ownViewer(ctx, v.Studies[0])
		return v, err
	})
}

// ownViewer is the address of the case's study in the hospital's viewer. Who reads
// blind is led to one that shows images and nothing else.
func (p *readingPage) ownViewer(ctx context.Context, study workflow.ViewedStudy) (string, error) {
	viewer, err := workflow.ViewerTx(ctx, p.tx)
	if err != nil || viewer == nil || study.Veiled && !viewer.WhileBlinded {
		return "", err
	}
	resource, err := p.look(ctx, "ImagingStudy", p.c.StudyID)
	if err != nil || resource == nil {
		return "", err
	}
	return viewer.URL.Of(study.UID, accession(resource).Text("value")), nil
}

// studies are the case's own and the patient's others, as they may see them.
func (p *readingPage) studies(ctx context.Context) (all []workflow.ViewedStudy, err error) {
	add := func(s workflow.ViewedStudy) {
		if workflow.IsUID(s.UID) && !slices.ContainsFunc(all, func(had workflow.ViewedStudy) bool { return had.UID == s.UID }) {
			all = append(all, s)
		}
	}
	study, err := p.look(ctx, "ImagingStudy", p.c.StudyID)
	if err != nil || study == nil {
		return nil, err
	}
	own := workflow.ViewedStudy{UID: studyUID(study), Title: study.Text("description"), On: p.examined(study)}
	if own.UID == "" { // known by its accession number; the PACS has told the UID
		if own.UID, err = workflow.StudySeenTx(ctx, p.tx, p.c); err != nil {
			return nil, err
		}
	}
	if add(own); len(all) == 0 || p.c.PatientID == nil || !p.actor.May("ImagingStudy", access.Search) {
		return all, nil
	}
	others, err := p.ofPatient(ctx, "ImagingStudy")
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(others, func(a, b *Node) int { return p.examined(b).Compare(p.examined(a)) })
	others = slices.DeleteFunc(others, func(n *Node) bool { return slices.Contains(idle, n.Text("status")) || studyUID(n) == own.UID })
	best := p.toCompareWith(study, others)
	if best > 0 {
		others = slices.Concat(others[best:best+1], others[:best], others[best+1:])
	}
	for i, n := range others {
		add(workflow.ViewedStudy{UID: studyUID(n), Prior: true, Alike: best >= 0 && i == 0, Title: n.Text("description"), On: p.examined(n), Number: accession(n).Text("value")})
	}
	return all, nil
}

// toCompareWith is which of the others, the latest first, a radiologist compares a study with
// before all: one that is not later, of the same region and side of the body, if there is one
// then also of the same modality; -1 where none is.
func (p *readingPage) toCompareWith(study *Node, others []*Node) int {
	region := func(n *Node) string { return cmp.Or(bodySite(n), n.Text("description")) }
	site, side, on := region(study), seriesLaterality(study), p.examined(study)
	best := -1
	for i, n := range others {
		of := seriesLaterality(n)
		if site == "" || !workflow.SameSite(site, region(n)) || side != "" && of != "" && !workflow.SameSide(side, of) || !on.IsZero() && p.examined(n).After(on) {
			continue
		}
		if workflow.Agree(workflow.SameModality, modalities(study), modalities(n)) == workflow.Equal {
			return i
		}
		if best < 0 {
			best = i
		}
	}
	return best
}

// veil notes of which studies somebody is not to know yet what the first reading says:
// of those of cases that are hidden from them, by the rule of notHidden, of cases
// instead of resources, since what a PACS has beside the images is no resource here.
// While their own case is, all are: what is noted in one may tell of another.
func veil(ctx context.Context, tx pgx.Tx, actor access.Actor, of workflow.Case, studies []workflow.ViewedStudy) error {
	if !actor.HidesOriginals() {
		return nil
	}
	var own bool
	var hidden []string
	args := viewArgs(actor, pgx.NamedArgs{"case": of.CaseID, "uids": uidsOf(studies)})
	err := tx.QueryRow(ctx, `
		SELECT coalesce(bool_or(c.case_id = @case OR c.study_uid = (@uids::text[])[1]), false), coalesce(array_agg(c.study_uid) FILTER (WHERE c.study_uid IS NOT NULL), '{}')
		FROM case_file c
		CROSS JOIN LATERAL (SELECT (@viewer IN (c.reader_id, c.other_reader_id, c.offered_to, c.adjudicator_id)) IS TRUE AS own) AS mine
		WHERE (c.case_id = @case OR c.study_uid = ANY (@uids))
		  AND c.protocol = 'blinded'
		  AND (c.revealed_at IS NULL OR c.veiled AND c.reader_id IS DISTINCT FROM @viewer AND c.other_reader_id IS DISTINCT FROM @viewer)
		  AND c.state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
		  AND (@reads OR mine.own)
		  AND (c.patient_id = ANY (@opened)) IS NOT TRUE
		  AND (mine.own OR NOT EXISTS (
			SELECT FROM case_file seen
			WHERE seen.tenant_id = c.tenant_id AND seen.case_id <> c.case_id AND (seen.study_uid = c.study_uid OR seen.case_id = c.sample_of)
			  AND `+hasSeen+`))`, args).Scan(&own, &hidden)
	if err != nil {
		return fmt.Errorf("who reads the study blind: %w", err)
	}
	for i := range studies {
		studies[i].Veiled = own || slices.Contains(hidden, studies[i].UID)
	}
	return nil
}

func uidsOf(studies []workflow.ViewedStudy) (uids []string) {
	for _, s := range studies {
		uids = append(uids, s.UID)
	}
	return uids
}

// openings remembers which openings are in the audit log already, so that not every
// frame asks the database. It forgets all when there are too many.
type openings struct {
	mu   sync.Mutex
	told map[string]bool
}

const mostOpenings = 10_000

func (o *openings) has(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[key]
}

func (o *openings) add(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told == nil || len(o.told) >= mostOpenings {
		o.told = map[string]bool{}
	}
	o.told[key] = true
}

// OpenImages records that somebody is about to be shown images of a study of a case:
// one AuditEvent for each study in each session, before anything of it is shown.
func (s *Server) OpenImages(ctx context.Context, actor access.Actor, task, study string, asked Asked) error {
	session := cmp.Or(actor.Token, actor.ID.String())
	key := actor.Tenant.String() + " " + session + " " + task + " " + study
	if s.opened.has(key) {
		return nil
	}
	_, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (bool, error) {
		first, err := workflow.OpenImagesTx(ctx, tx, actor.Tenant, session, task, study)
		if err != nil || !first {
			return false, err
		}
		c, err := workflow.CaseByTaskTx(ctx, tx, task)
		if err != nil {
			return false, err
		}
		return true, s.RecordEvent(ctx, tx, access.Event{Kind: access.ImagesOpened, Tenant: actor.Tenant, Actor: actor, Object: study,
			Patient: casePatient(c), Case: "Task/" + task, Client: asked.Client, RequestID: asked.RequestID})
	})
	if err == nil {
		s.opened.add(key)
	}
	return err
}
