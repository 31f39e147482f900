package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// seeder makes the sample cases the way the world would: through the FHIR
// surface, as the EHR, the readers and the desks. It runs the jobs itself,
// between the steps, so that nothing has to be waited for.
type seeder struct {
	db      *pg.DB
	url     string // of the database, as its owner
	jobs    []job
	ehr     string    // base of the EHR
	pacs    *demoPACS // nil where there is none
	tokens  string    // folder
	tenants map[string]uuid.UUID
	readers map[uuid.UUID]string // names of the radiologists
	clients map[string]client    // by "hospital-who"
	base    string               // where the surface listens while seeding
	next    map[string]int       // patients are taken in turn
	sent    []order              // by the row of sampleCases
	now     time.Time
}

func newSeeder(db *pg.DB, base, ehr, tokens string) *seeder {
	return &seeder{db: db, base: base, ehr: ehr, tokens: tokens, now: time.Now(),
		tenants: map[string]uuid.UUID{}, readers: map[uuid.UUID]string{}, clients: map[string]client{}, next: map[string]int{}}
}

// seed makes tenants, readers, tokens and cases, and marks the folder as seeded.
func (c *demoCmd) seed(ctx context.Context, o *overread, url, ehr string, pacs *demoPACS) (err error) {
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: o.handler(func() {}), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer func() { err = errors.Join(err, server.Close()) }()

	s := newSeeder(o.db, "http://"+listener.Addr().String()+"/fhir", ehr, c.path("tokens"))
	s.url, s.jobs, s.pacs = url, o.jobs, pacs
	for _, name := range slices.Sorted(maps.Keys(hospitals)) {
		if err := s.addHospital(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := s.keepReaderAtEHR(ctx); err != nil {
		return err
	}
	for i, row := range sampleCases {
		if err := s.play(ctx, i, row); err != nil {
			return fmt.Errorf("case %d, a %s to be %s: %w", i, row.sample, row.until, err)
		}
	}
	if err := s.pack(ctx); err != nil {
		return fmt.Errorf("the pack for a meeting: %w", err)
	}
	if err := s.writePast(ctx); err != nil {
		return fmt.Errorf("the past of the hospital: %w", err)
	}
	return os.WriteFile(c.path("seeded"), []byte(s.now.UTC().Format(time.RFC3339)+"\n"), 0o600)
}

// keepReaderAtEHR has the hospital know one of our readers before a report of theirs
// arrives, which would bring a second record of them: orders name them as first reader.
func (s *seeder) keepReaderAtEHR(ctx context.Context) error {
	them := order{quirk: readHere}.firstReader()
	if _, err := (client{base: s.ehr}).send(ctx, http.MethodPut, "Practitioner/"+them.Text("id"), them); err != nil {
		return fmt.Errorf("stand-in EHR: %w", err)
	}
	return nil
}

// addHospital makes a tenant with its desks, its readers and its EHR.
func (s *seeder) addHospital(ctx context.Context, name string) error {
	policy, err := workflow.ReadPolicy([]byte(hospitals[name].policy))
	if err != nil {
		return err
	}
	row := tenantRow{Name: name, Display: hospitals[name].display, EHRBase: s.ehr, Policy: policy}
	if err := addTenant(ctx, s.db, &row); err != nil {
		return err
	}
	s.tenants[name] = row.TenantID
	err = addDestination(ctx, s.db, destinationRow{Tenant: name, Name: "ehr", BaseURL: s.ehr, Packaging: "transaction", Timeout: 10 * time.Second, InFlightMax: 2})
	if err != nil {
		return err
	}
	if s.pacs != nil {
		err := addPACS(ctx, s.db, pacsRow{Tenant: name, Name: "archive", BaseURL: s.pacs.Base, CredentialFile: s.pacs.credential, Issuers: issuers, Timeout: 20 * time.Second})
		if err != nil {
			return err
		}
	}
	for _, desk := range slices.Sorted(maps.Keys(desks)) {
		if err := s.addToken(ctx, tokenRow{Tenant: name, Role: desks[desk], Display: hospitals[name].display + ", " + desk}, desk); err != nil {
			return err
		}
	}
	for _, r := range radiologists {
		if err := s.addRadiologist(ctx, name, r); err != nil {
			return fmt.Errorf("reader %s: %w", r.name, err)
		}
	}
	return nil
}

// addRadiologist credentials a reader at a hospital: the Practitioner, the
// reader, and a token for each role that the credential allows.
func (s *seeder) addRadiologist(ctx context.Context, hospital string, r radiologist) error {
	created, err := s.clients[hospital+"-coordinator"].send(ctx, http.MethodPost, "Practitioner", practitioner(r.name, r.npi, r.given, r.family))
	if err != nil {
		return err
	}
	credential := r.credential
	credential.Identifiers = []string{npi + "|" + r.npi}
	if r.name == onLeave {
		credential.Absences = []workflow.Absence{{From: workflow.DateOf(s.now.AddDate(0, 0, -3)), To: workflow.DateOf(s.now.AddDate(0, 0, 11))}}
	}
	if r.name == renewsSoon {
		credential.Licences = slices.Clone(credential.Licences)
		credential.Licences[0].ValidTo = workflow.DateOf(s.now.AddDate(0, 0, 12))
	}
	row := readerRow{
		ReaderID: readerID(r.name), Tenant: hospital,
		PractitionerID: locationID(created.location, "Practitioner"), Display: "Dr. " + r.given + " " + r.family, Credential: credential,
	}
	if err := addReader(ctx, s.db, &row); err != nil {
		return err
	}
	s.readers[row.ReaderID] = r.name
	if r.name == atNight {
		if _, err := s.clients[hospital+"-coordinator"].send(ctx, http.MethodPost, "PractitionerRole", nightRole(row.PractitionerID)); err != nil {
			return err
		}
	}
	for _, token := range []struct {
		role access.Role
		may  bool
		name string
	}{
		{access.Reader, true, r.name},
		{access.Adjudicator, credential.MayAdjudicate, r.name + "-adjudicator"},
		{access.Supervisor, credential.MaySupervise, r.name + "-supervisor"},
	} {
		if !token.may {
			continue
		}
		err := s.addToken(ctx, tokenRow{Tenant: hospital, Role: token.role, ActorID: row.ReaderID, Display: row.Display}, token.name)
		if err != nil {
			return err
		}
	}
	return nil
}

// addToken makes a token, keeps it in the data folder and makes its client.
func (s *seeder) addToken(ctx context.Context, row tokenRow, who string) error {
	if err := addToken(ctx, s.db, &row); err != nil {
		return err
	}
	name := row.Tenant + "-" + who
	s.clients[name] = client{base: s.base, token: row.Token}
	return os.WriteFile(filepath.Join(s.tokens, name), []byte(row.Token+"\n"), 0o600)
}

// play sends one order and takes its case as far as the row says.
func (s *seeder) play(ctx context.Context, i int, row sampleCase) error {
	task, err := s.order(ctx, s.orderOf(i, row), s.clients[row.hospital+"-placer"])
	if err != nil {
		return err
	}
	if row.until == workflow.Received {
		return s.freezeIntake(ctx, row.hospital, task)
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	for _, name := range row.road() {
		if err := s.act(ctx, row, task, name); err != nil {
			return fmt.Errorf("$%s: %w", name, err)
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	state, err := s.state(ctx, row.hospital, task)
	if err == nil && state != row.until {
		err = fmt.Errorf("it is %s", state)
	}
	return err
}

// order sends the order and returns the id of the case's Task.
func (s *seeder) order(ctx context.Context, o order, placer client) (task string, err error) {
	if err := errors.Join(o.keepAtEHR(ctx), o.keepInPACS(ctx, s.pacs)); err != nil {
		return "", err
	}
	if _, err := placer.send(ctx, http.MethodPost, "", o.bundle()); err != nil {
		return "", err
	}
	return taskOf(ctx, placer, o.number)
}

// taskOf finds the Task of the case that an order opened.
func taskOf(ctx context.Context, c client, number string) (string, error) {
	orders, err := c.get(ctx, "ServiceRequest?identifier="+placerSystem+"%7C"+number)
	if err != nil {
		return "", err
	}
	id := orders.Text("entry", "resource", "id")
	tasks, err := c.get(ctx, "Task?based-on=ServiceRequest/"+id)
	if err != nil {
		return "", err
	}
	if task := tasks.Text("entry", "resource", "id"); task != "" {
		return task, nil
	}
	return "", fmt.Errorf("order %s has no case", number)
}

// act does one deed, by the row's reader or the one whom the case was offered
// to. Where a third reader is asked for before the signature, the third reader
// decides and signs.
func (s *seeder) act(ctx context.Context, row sampleCase, task, name string) error {
	reader := row.reader
	if reader == "" && deeds[name].by == "" {
		var err error
		if reader, err = s.offeredTo(ctx, row.hospital, task); err != nil {
			return err
		}
	}
	if name == "sign" {
		state, err := s.state(ctx, row.hospital, task)
		if err != nil {
			return err
		}
		if state == workflow.Adjudication {
			reader = "petrov-adjudicator"
			if err := s.do(ctx, row, task, "claim third", reader); err != nil {
				return err
			}
			if err := s.do(ctx, row, task, "adjudicate", reader); err != nil {
				return err
			}
		}
	}
	return s.do(ctx, row, task, name, reader)
}

// pack makes one for a learning meeting.
func (s *seeder) pack(ctx context.Context) error {
	_, err := s.clients["mercy-quality"].send(ctx, http.MethodPost, "Task/$make-meeting-pack",
		fhir.Object("resourceType", "Parameters", "parameter", []*fhir.Node{param("title", "valueString", "Monthly learning meeting")}))
	return err
}

// respond answers, as the reader of originals, what is new among what they are told.
func (s *seeder) respond(ctx context.Context, hospital string) error {
	actor := s.clients[hospital+"-petrov"]
	told, err := actor.get(ctx, "Communication/$feedback")
	if err != nil {
		return err
	}
	for _, n := range told.Each("entry", "resource") {
		if n.Get("note") != nil {
			continue
		}
		_, err := actor.send(ctx, http.MethodPost, "Communication/"+n.Text("id")+"/$respond", fhir.Object("resourceType", "Parameters", "parameter", []*fhir.Node{
			param("agrees", "valueBoolean", false), param("text", "valueString", "On the sagittal series it is a normal variant; please look again.")}))
		return err
	}
	return errors.New("there is no feedback to answer")
}

func (s *seeder) do(ctx context.Context, row sampleCase, task, name, reader string) error {
	if name == "respond" {
		return s.respond(ctx, row.hospital)
	}
	d := deeds[name]
	who := d.by
	if who == "" {
		who = reader
	}
	var parameters []*fhir.Node
	if d.with != nil {
		parameters = d.with(samples[row.sample])
	}
	operation, _, _ := strings.Cut(name, " ")
	actor := s.clients[row.hospital+"-"+who]
	if operation == "acknowledge" {
		read, err := versionInForce(ctx, actor, task)
		if err != nil {
			return err
		}
		parameters = append(parameters, read)
	}
	_, err := actor.op(ctx, task, operation, parameters...)
	return err
}

// versionInForce names the version of a case's report that is in force, for $acknowledge:
// the EHR may not have got it yet.
func versionInForce(ctx context.Context, actor client, task string) (*fhir.Node, error) {
	n, err := actor.get(ctx, "Task/"+task)
	if err != nil {
		return nil, err
	}
	for _, out := range n.Each("output") {
		ref := out.Text("valueReference", "reference")
		if !strings.HasPrefix(ref, "DiagnosticReport/") {
			continue
		}
		report, err := actor.get(ctx, ref)
		if err != nil {
			return nil, err
		}
		return param("report", "valueReference", fhir.Object("reference", ref+"/_history/"+report.Text("meta", "versionId"))), nil
	}
	return nil, fmt.Errorf("the case of Task/%s has no report", task)
}

func (s *seeder) state(ctx context.Context, hospital, task string) (workflow.State, error) {
	n, err := s.clients[hospital+"-coordinator"].get(ctx, "Task/"+task)
	return workflow.State(n.Text("businessStatus", "coding", "code")), err
}

// settle runs the jobs until they find nothing to do.
func (s *seeder) settle(ctx context.Context) error {
	for {
		all := 0
		for _, job := range s.jobs {
			if !job.kicked {
				continue
			}
			worked, err := job.run(ctx)
			if err != nil {
				return fmt.Errorf("job %s: %w", job.name, err)
			}
			all += worked
		}
		if all == 0 {
			return nil
		}
	}
}

// offeredTo is the reader who has the case's offer, or has taken it.
func (s *seeder) offeredTo(ctx context.Context, hospital, task string) (name string, err error) {
	tenant := s.tenants[hospital]
	err = s.db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
		var id uuid.UUID
		err := tx.QueryRow(ctx, `
			SELECT coalesce(offered_to, reader_id)
			FROM case_file
			WHERE tenant_id = $1 AND task_id = $2`, tenant, task).Scan(&id)
		name = s.readers[id]
		return err
	})
	return name, err
}

// freezeIntake puts off the intake checks of a case for ever, so that the demo
// can show a case that has only just come in. No part of the product does this.
func (s *seeder) freezeIntake(ctx context.Context, hospital, task string) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `
		UPDATE agenda SET due_at = 'infinity'
		FROM case_file c
		WHERE agenda.tenant_id = c.tenant_id AND agenda.case_id = c.case_id
		  AND c.tenant_id = $1 AND c.task_id = $2`, s.tenants[hospital], task)
	return err
}
