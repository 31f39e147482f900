package fhir

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// operate is POST /fhir/Task/{id}/${name}: it reads the input by the table of
// operations, fires the event, and answers with the Task as it is then. With
// If-Match, only when the Task is still of that version.
func (s *Server) operate(c echo.Context, actor access.Actor) error {
	op, err := operationCalled(c.Param("operation"))
	if err != nil {
		return err
	}
	r, err := s.readRequest(c, op)
	if err != nil {
		return err
	}
	if op.Name == "draft" {
		r.saved = new(workflow.Draft)
	}
	expected, err := expectedVersion(c.Request().Header.Get("If-Match"))
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	task, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (Stored, error) {
		return s.perform(ctx, tx, actor, c.Param("id"), op, r, expected)
	})
	if err != nil {
		return s.keepLate(ctx, actor, c.Param("id"), op, r, err)
	}
	if r.saved != nil {
		return write(c, http.StatusOK, Object("resourceType", "Parameters", "parameter", draftHead(*r.saved)).Bytes())
	}
	if !mayShow(actor, task) {
		task.Body = outcome(issue("information", "informational", "done; the scopes of this token do not let it read the Task", "", "")).Bytes()
	}
	return s.reply(c, http.StatusOK, task)
}

func operationCalled(name string) (operation, error) {
	for _, op := range operations {
		if "$"+op.Name == name {
			return op, nil
		}
	}
	if !strings.HasPrefix(name, "$") {
		return operation{}, fault.New(fault.NotFound, "nothing is served at this address; operations on a Task are written Task/{id}/$name")
	}
	names := make([]string, len(operations))
	for i, op := range operations {
		names[i] = "$" + op.Name
	}
	return operation{}, fault.New(fault.NotSupported, "there is no such operation on a Task; there are: %s", strings.Join(names, ", "))
}

// readRequest reads the body. Without one there need be no Content-Type.
func (s *Server) readRequest(c echo.Context, op operation) (request, error) {
	var body []byte
	if c.Request().ContentLength != 0 {
		var err error
		if body, err = s.body(c, fhirTypes...); err != nil {
			return request{}, err
		}
	}
	done, err := s.turns.wait(c.Request().Context(), len(body))
	if err != nil {
		return request{}, err
	}
	defer done()
	return readParameters(op, body)
}

func (s *Server) perform(ctx context.Context, tx pgx.Tx, actor access.Actor, taskID string, op operation, r request, expected *int64) (Stored, error) {
	c, err := lockedCase(ctx, tx, taskID)
	if err != nil {
		return Stored{}, err
	}
	if err := mayOperate(ctx, tx, actor, taskID); err != nil {
		return Stored{}, err
	}
	if err := s.expect(ctx, tx, taskID, expected); err != nil {
		return Stored{}, err
	}
	if err := s.fillForm(ctx, tx, c, &r); err != nil {
		return Stored{}, err
	}
	if err := s.namesReader(ctx, tx, actor, c, op, &r); err != nil {
		return Stored{}, err
	}
	query := "$" + op.Name
	if op.Name == "acknowledge" && c.ReportNo > 0 {
		if err = s.namesReport(c, r.read); err == nil {
			r.ReportNo, err = s.versionRead(ctx, tx, c, []*Node{r.read}, time.Time{})
		}
		if err != nil {
			return Stored{}, naming(err, "Parameters.parameter.where(name = 'report')")
		}
		query = acknowledging(r.ReportNo)
	}
	if op.run != nil {
		err = op.run(s, ctx, tx, actor, c, r)
	} else {
		err = s.fireOperation(ctx, tx, actor, c, op, r)
	}
	if err != nil {
		return Stored{}, naming(err, "Task")
	}
	task, err := s.store.Get(ctx, tx, "Task", taskID)
	if err != nil {
		return Stored{}, err
	}
	return task, s.audit(ctx, tx, actor, auditEntry{
		Interaction: "operation", Target: task.Versioned(), Patient: casePatient(c), Query: query, RequestID: requestID(ctx)})
}

// naming makes a refusal of the case's rules name the resource by which it was
// asked for, where it names no element.
func naming(err error, resource string) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Issues[0].Expression != "" {
		return err
	}
	issues := slices.Clone(f.Issues)
	for i := range issues {
		issues[i].Expression = resource
	}
	return &fault.Error{Issues: issues, Cause: f.Cause}
}

// lockedCase is the case of a Task, held until the transaction ends, so that
// the version that If-Match names cannot change under the operation.
func lockedCase(ctx context.Context, tx pgx.Tx, taskID string) (workflow.Case, error) {
	if _, err := tx.Exec(ctx, `SELECT 1 FROM case_file WHERE task_id = $1 FOR UPDATE`, taskID); err != nil {
		return workflow.Case{}, fmt.Errorf("lock the case of a Task: %w", err)
	}
	c, err := workflow.CaseByTaskTx(ctx, tx, taskID)
	if fault.Is(err, fault.NotFound) {
		return c, noCase()
	}
	return c, err
}

func noCase() error {
	return fault.New(fault.NotFound, "no second opinion runs on this Task, or it is not yours to see")
}

// mayOperate refuses an operation on a Task that the actor's fence hides, as if
// there were none, and on one that it lets the actor see and not change.
func mayOperate(ctx context.Context, tx pgx.Tx, actor access.Actor, taskID string) error {
	c := change{method: http.MethodPatch, row: servedTypes()["Task"], id: taskID}
	there, err := c.fenced(ctx, tx, actor, Stored{Version: 1})
	if err == nil && there.Version == 0 {
		err = noCase()
	}
	return err
}

func (s *Server) expect(ctx context.Context, tx pgx.Tx, taskID string, expected *int64) error {
	if expected == nil {
		return nil
	}
	task, err := s.store.Get(ctx, tx, "Task", taskID)
	if err == nil && task.Version != *expected {
		err = versionConflict(*expected, task.Version)
	}
	return err
}

func (s *Server) fireOperation(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, op operation, r request) error {
	if r.reader != "" {
		id, err := readerOf(ctx, tx, r.reader, "reader", false)
		if err != nil {
			return err
		}
		r.ReaderID = &id
	}
	if r.unsaid() {
		r.Grade = nil // and then there is none: who may grade at all is told what to say
	}
	if err := s.completeQuality(ctx, tx, actor, c, &r); err != nil {
		return err
	}
	ch, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, workflow.Event(op.Name), r.Input)
	if errors.Is(err, workflow.ErrNotCompared) {
		err = notCompared()
	}
	if ch.Draft != nil && r.saved != nil {
		*r.saved = *ch.Draft
		r.saved.OwnNo, err = workflow.OwnNumberTx(ctx, tx, c.CaseID, r.saved.OpinionNo)
	}
	return err
}

// readerOf finds the reader who is this Practitioner, for the parameter of this name. Who reads here no
// more is found where leaving is too: what they have read is counted as it was.
func readerOf(ctx context.Context, tx pgx.Tx, practitioner, parameter string, leaving bool) (id uuid.UUID, err error) {
	local := localID(practitioner, "Practitioner")
	if local == nil {
		return id, fault.At(fault.Value, paramAt(parameter), "refer to a reader of the service as Practitioner/{id}")
	}
	err = tx.QueryRow(ctx, `
		SELECT reader_id
		FROM reader
		WHERE practitioner_id = $1 AND (active OR $2)
		ORDER BY active DESC, reader_id
		LIMIT 1`, *local, leaving).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return id, fault.At(fault.BusinessRule, paramAt(parameter), "this Practitioner is no reader of the service; search Practitioner?name= for who is meant")
	}
	return id, err
}

// sign refuses words that would not be signed: the opinion was sealed when it
// was locked, and only a supervisor or an amendment brings new ones, or another grade.
func (s *Server) sign(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	edits := c.State == workflow.AwaitingCosign && r.Amendment == nil
	if c.State != workflow.Amending && !edits && (r.Amendment != nil || r.Opinion != nil || r.Grade != nil || r.GradeStands) {
		return fault.At(fault.BusinessRule, "Parameters.parameter", "the opinion was sealed when it was locked: sign without parameters, and change the report by $amend afterwards")
	}
	if r.Grade != nil && r.unsaid() {
		return notCompared()
	}
	_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "sign", r.Input)
	return err
}

// reprioritise is for orders that are not kept here: of those that are, the order
// says how urgent it is.
func (s *Server) reprioritise(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	if c.ServiceRequestID != nil && actor.Role == access.Placer {
		return fault.New(fault.BusinessRule, "the order of this case is kept here, and says how urgent it is: write its priority (ServiceRequest/%s)", *c.ServiceRequestID)
	}
	_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "reprioritise", r.Input)
	return err
}

// continueReading looks at what the order means now, which decides.
func (s *Server) continueReading(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	facts, err := s.Facts(ctx, tx, &c)
	if err != nil {
		return err
	}
	r.Facts = &facts
	_, err = s.engine.FireTx(ctx, tx, actor, c.CaseID, "continue-reading", r.Input)
	return err
}

// redeliver makes what a destination refused, or what waits for its next try,
// due at once. Only a coordinator may.
func (*Server) redeliver(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, _ request) error {
	if actor.Role != access.Coordinator {
		return fault.New(fault.Forbidden, "the role %s may not redeliver", actor.Role)
	}
	released, err := workflow.UnparkTx(ctx, tx, c.CaseID)
	if err == nil && released == 0 {
		err = fault.New(fault.BusinessRule, "no delivery of this case waits")
	}
	return err
}

func casePatient(c workflow.Case) string {
	if c.PatientID == nil || !idPattern.MatchString(*c.PatientID) {
		return ""
	}
	return "Patient/" + *c.PatientID
}

// operationCapabilities are the operations as the CapabilityStatement lists
// them.
func operationCapabilities() []*Node {
	var rows []*Node
	for _, op := range operations {
		rows = append(rows, Object("name", op.Name, "definition", Canonical+"/OperationDefinition/"+op.id(), "documentation", op.Does))
	}
	return rows
}
