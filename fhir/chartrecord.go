package fhir

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// chartRecords are what is kept about the second opinions of one chart. Each kind is asked
// for once, whatever the number of opinions: a patient with a long history opens as fast
// as one with a short one.
type chartRecords struct {
	cases     map[string]workflow.Case // by Task, those of the actor's patient
	reports   map[uuid.UUID][]workflow.Report
	read      map[uuid.UUID][]workflow.Acknowledgement
	matters   map[uuid.UUID][]workflow.Matter // as far as the actor may read them
	due       map[uuid.UUID]*time.Time
	questions map[uuid.UUID]string
	releases  map[string]map[string]string // by report, by the instant of the signature
	readers   map[uuid.UUID]*Node          // Practitioners, of who reads and who signed
}

// chartRecords gathers them for the cases that run on Tasks.
func (s *Server) chartRecords(ctx context.Context, tx pgx.Tx, actor access.Actor, tasks []*Node) (k chartRecords, err error) {
	var named []string
	for _, task := range tasks {
		named = append(named, task.Text("id"))
	}
	if k.cases, err = workflow.CasesByTaskTx(ctx, tx, named); err != nil {
		return k, err
	}
	var ids []uuid.UUID
	var reports []string
	for task, c := range k.cases {
		if casePatient(c) != actor.Patient {
			delete(k.cases, task)
			continue
		}
		ids = append(ids, c.CaseID)
		if c.ReportID != nil {
			reports = append(reports, *c.ReportID)
		}
	}
	if len(ids) == 0 {
		return k, nil
	}
	if k.reports, err = workflow.ReportsOfTx(ctx, tx, ids); err != nil {
		return k, err
	}
	if k.read, err = workflow.AcknowledgementsOfTx(ctx, tx, ids); err != nil {
		return k, err
	}
	if k.due, err = workflow.DueOfTx(ctx, tx, ids); err != nil {
		return k, err
	}
	if actor.May("Communication", access.Read) && !actor.HidesOriginals() {
		if k.matters, err = workflow.MattersOfTx(ctx, tx, ids); err != nil {
			return k, err
		}
	}
	if k.releases, err = releases(ctx, tx, reports); err != nil {
		return k, err
	}
	return k, s.chartResources(ctx, tx, actor.Tenant, &k)
}

// chartResources adds the questions of the orders and the names of the readers.
func (s *Server) chartResources(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, k *chartRecords) error {
	r, err := s.resolver(ctx, tx, tenant)
	if err != nil {
		return err
	}
	practitioners, err := k.people(ctx, tx, tenant)
	if err != nil {
		return err
	}
	var wanted []string
	for _, id := range practitioners {
		wanted = append(wanted, "Practitioner/"+id)
	}
	for _, c := range k.cases {
		if c.Exam.QuestionRead != nil {
			continue // what was asked when it was read stands in the case
		}
		wanted = append(wanted, "Task/"+c.TaskID)
		if c.ServiceRequestID != nil {
			wanted = append(wanted, "ServiceRequest/"+*c.ServiceRequestID)
		}
	}
	if err := r.foresee(ctx, wanted); err != nil {
		return err
	}
	k.readers = map[uuid.UUID]*Node{}
	for reader, id := range practitioners {
		f, err := r.get(ctx, "Practitioner", id)
		if k.readers[reader] = f.Node; err == nil && f.Node == nil {
			k.readers[reader], err = s.practitioner(ctx, tx, tenant, &reader) // makes it
		}
		if err != nil {
			return err
		}
	}
	k.questions = map[uuid.UUID]string{}
	for _, c := range k.cases {
		src := reportSources{Case: c}
		if c.Exam.QuestionRead == nil {
			task, err := r.get(ctx, "Task", c.TaskID)
			if err != nil {
				return err
			}
			d := &dossier{c: c, task: task.Node}
			if err := d.readOrder(ctx, r); err != nil {
				return fmt.Errorf("order of case %s: %w", c.CaseID, err)
			}
			src.OrderResource, src.Task = d.order, d.task
		}
		k.questions[c.CaseID] = question(src)
	}
	return nil
}

// people are the ids of the Practitioners of all who read or signed.
func (k *chartRecords) people(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (map[uuid.UUID]string, error) {
	var readers []uuid.UUID
	for _, c := range k.cases {
		for _, id := range []*uuid.UUID{c.ReaderID, c.OtherReaderID, c.AdjudicatorID, c.SupervisorID} {
			if id != nil {
				readers = append(readers, *id)
			}
		}
		for _, r := range k.reports[c.CaseID] {
			readers = append(readers, r.SignedBy)
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT reader_id, practitioner_id
		FROM reader
		WHERE tenant_id = @tenant AND reader_id = ANY (@readers)`,
		pgx.NamedArgs{"tenant": tenant, "readers": readers})
	if err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	found := map[uuid.UUID]string{}
	var reader uuid.UUID
	var practitioner string
	if _, err := pgx.ForEachRow(rows, []any{&reader, &practitioner}, func() error { found[reader] = practitioner; return nil }); err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	return found, nil
}

// reader is the Practitioner of one, nil for nobody.
func (k *chartRecords) reader(id *uuid.UUID) *Node {
	if id == nil {
		return nil
	}
	return k.readers[*id]
}

// sources are what the signed versions of a case's report are told from; false before the first.
func (k *chartRecords) sources(c workflow.Case) (src reportSources, signed bool) {
	all := k.reports[c.CaseID]
	if len(all) == 0 {
		return src, false
	}
	last := len(all) - 1
	src = reportSources{
		Case: c, Report: all[last], History: all[:last],
		Reader: k.reader(c.ReaderID), Other: k.reader(c.OtherReaderID), Adjudicator: k.reader(c.AdjudicatorID), Supervisor: k.reader(c.SupervisorID),
		names: map[uuid.UUID]string{}, others: map[uuid.UUID]*Node{},
	}
	for _, r := range all {
		src.names[r.SignedBy] = displayOf(k.reader(&r.SignedBy))
		src.others[r.SignedBy] = k.reader(&r.SignedBy)
	}
	return src, true
}

// releases are the versions of the resources that hold the signed versions of
// reports, by the instant of the signature. Of several with the same it is the
// first: what came after it changed nothing that was signed. Their bodies, with a letter
// in each, stay where they are.
func releases(ctx context.Context, tx pgx.Tx, reports []string) (map[string]map[string]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, version, coalesce(convert_from(body, 'UTF8')::json->>'issued', '')
		FROM (
			SELECT id, version, body
			FROM resource
			WHERE type = 'DiagnosticReport' AND id = ANY (@ids) AND NOT deleted
			UNION ALL
			SELECT id, version, body
			FROM resource_history
			WHERE type = 'DiagnosticReport' AND id = ANY (@ids) AND NOT deleted
		) AS kept
		ORDER BY id, version DESC`,
		pgx.NamedArgs{"ids": reports})
	if err != nil {
		return nil, fmt.Errorf("versions of reports: %w", err)
	}
	found := map[string]map[string]string{}
	var id, issued string
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&id, &version, &issued}, func() error {
		if found[id] == nil {
			found[id] = map[string]string{}
		}
		if issued != "" {
			found[id][issued] = strconv.FormatInt(version, 10)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("versions of reports: %w", err)
	}
	return found, nil
}
