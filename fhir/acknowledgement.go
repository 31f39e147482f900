package fhir

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Who has read a report has read one version of it. An acknowledgement is of that
// version and of no other: a correction that comes while the older text is on the
// clinician's screen is not read with it.

// acknowledge notes which version was read, and by whom. Said again by the same person
// of an older one, whose successor they have been told of, it is noted once; of the
// one in force the table says what follows.
func (s *Server) acknowledge(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	if c.ReportNo > 0 && (r.ReportNo > 0 && r.ReportNo < c.ReportNo || c.State == workflow.Amending) {
		said, err := saidBefore(ctx, tx, c, r.Input)
		if err != nil {
			return err
		}
		if said {
			return workflow.MayFire(actor, c.State, "acknowledge")
		}
	}
	_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "acknowledge", r.Input)
	return err
}

// saidBefore: the same person has acknowledged the same version since the one in
// force was signed.
func saidBefore(ctx context.Context, tx pgx.Tx, c workflow.Case, in workflow.Input) (bool, error) {
	reports, err := workflow.ReportsTx(ctx, tx, c.CaseID)
	if err != nil {
		return false, err
	}
	all, err := workflow.AcknowledgementsTx(ctx, tx, c.CaseID)
	return slices.ContainsFunc(all, func(a workflow.Acknowledgement) bool {
		return a.ReportNo == cmp.Or(in.ReportNo, c.ReportNo) && sameReader(a.Content, in.Acknowledged) && !a.AcknowledgedAt.Before(reports[len(reports)-1].SignedAt)
	}), err
}

func sameReader(a, b workflow.Acknowledged) bool { return a.Person == b.Person && a.Role == b.Role }

// acknowledging is an acknowledgement as the audit tells it: of which signed version.
func acknowledging(no int) string { return "$acknowledge?report=" + strconv.Itoa(no) }

// versionRead is the number of the signed version that was read: the one that a
// reference names; else the last one that the clinician can have seen at the moment
// in which they said so (zero: now). It returns a fault of kind Value for a version
// that was never signed.
func (s *Server) versionRead(ctx context.Context, tx pgx.Tx, c workflow.Case, about []*Node, said time.Time) (int, error) {
	for _, ref := range about {
		literal := strings.TrimPrefix(ref.Text("reference"), s.baseURL+"/")
		switch named := parseReference(literal); {
		case named.absolute():
			if no, err := workflow.VersionAtTx(ctx, tx, c.CaseID, literal); err != nil || no > 0 {
				return no, err
			}
		case c.ReportID != nil && named.typ == "DiagnosticReport" && named.id == *c.ReportID && named.version != "":
			return s.signedAs(ctx, tx, c, named.version)
		}
	}
	if now := s.now(); said.IsZero() || said.After(now) {
		said = now
	}
	return workflow.VersionReadTx(ctx, tx, c.CaseID, said)
}

// namesReport refuses a reference that can be none to the report of the case.
func (s *Server) namesReport(c workflow.Case, ref *Node) error {
	named := parseReference(strings.TrimPrefix(ref.Text("reference"), s.baseURL+"/"))
	if ref.Text("reference") != "" && (named.typ != "DiagnosticReport" || named.local() && (c.ReportID == nil || named.id != *c.ReportID)) {
		return fault.New(fault.Value, "refer to the report of this case, as DiagnosticReport/{id}/_history/{version}")
	}
	return nil
}

// signedAs is the number of the signed version that a version of the resource holds.
func (s *Server) signedAs(ctx context.Context, tx pgx.Tx, c workflow.Case, version string) (int, error) {
	unsigned := fault.New(fault.Value, "there is no signed version %s of this report; DiagnosticReport/%s/_history has those there are", version, *c.ReportID)
	number, ok := versionNumber(version)
	if !ok {
		return 0, unsigned
	}
	stored, err := s.store.Version(ctx, tx, "DiagnosticReport", *c.ReportID, number)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return 0, unsigned
	}
	if err != nil {
		return 0, err
	}
	report, err := stored.found()
	if err != nil {
		return 0, err
	}
	reports, err := workflow.ReportsTx(ctx, tx, c.CaseID)
	if err != nil {
		return 0, err
	}
	for _, r := range reports {
		if report.Text("issued") == instant(r.SignedAt) {
			return r.No, nil
		}
	}
	return 0, unsigned
}

// publishNewer tells each who has read an older version of the report that it is not
// the one that holds, also where somebody else has read that.
func (s *Server) publishNewer(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	read := ch.Input.ReportNo
	if ch.Event != "acknowledge" || read == 0 || read >= ch.Case.ReportNo {
		return nil
	}
	all, err := workflow.AcknowledgementsTx(ctx, tx, ch.Case.CaseID)
	if err != nil {
		return err
	}
	who, no, others := ch.Input.Acknowledged, 0, false
	for _, a := range all {
		switch {
		case a.ReportNo == read:
			no = a.ReadingNo // the last one is this
		case a.ReportNo == ch.Case.ReportNo && who.Person != "" && sameReader(a.Content, who):
			return nil // they have read the newer too
		case a.ReportNo == ch.Case.ReportNo:
			others = true
		}
	}
	reports, err := workflow.ReportsTx(ctx, tx, ch.Case.CaseID)
	if err != nil {
		return err
	}
	src, err := s.matterSources(ctx, tx, ch)
	if err != nil {
		return err
	}
	n := newerVersion(src, ch, reports[len(reports)-1], no, others)
	if _, err := s.putOf(ctx, tx, ch.Case, ch.Actor, n); err != nil {
		return err
	}
	if err := s.withholdOwn(ctx, tx, ch.Case, n); err != nil {
		return err
	}
	return s.deliverMessage(ctx, tx, src, []*Node{n})
}

// newerVersion is the Communication to who has read an older version, as its reading
// of this number. others: somebody else has acknowledged the newest.
func newerVersion(src reportSources, ch workflow.Change, newest workflow.Report, reading int, others bool) *Node {
	who := ch.Input.Acknowledged
	slot := fmt.Sprintf("newer-%d-than-%d", newest.No, ch.Input.ReportNo)
	if reading > 1 {
		slot += "-reading-" + strconv.Itoa(reading)
	}
	n := communication(src, slot, "newer-version", "completed", ch.At)
	n.Set("priority", "urgent")
	if who.Resource != "" {
		n.Set("inResponseTo", []*Node{refer(who.Resource, "Communication", "")})
	}
	n.Set("recipient", []*Node{src.asker(who.Person, who.Role)})
	n.Set("sender", resourceReference(src.Service))
	state := "and has not been acknowledged: it must be read"
	if others {
		state = "and somebody else has acknowledged it: read it too"
	}
	n.Set("payload", says(fmt.Sprintf("What was acknowledged is version %d of the report. Version %d (%s), signed on %s, has taken its place %s.",
		ch.Input.ReportNo, newest.No, newest.Status, newest.SignedAt.In(zoneOf(src.Case.Policy)).Format("2 January 2006 at 15:04 MST"), state)))
	return n
}

// unread says that an older version of the report was acknowledged, and that the one
// in force was not; "" where that is not so.
func unread(c workflow.Case, read []workflow.Acknowledgement) string {
	inForce := slices.ContainsFunc(read, func(a workflow.Acknowledgement) bool { return a.ReportNo == c.ReportNo })
	if len(read) == 0 || inForce || !slices.Contains([]workflow.State{workflow.Final, workflow.Amending}, c.State) {
		return ""
	}
	return fmt.Sprintf("Version %d is in force and has not been acknowledged; version %d was.", c.ReportNo, read[len(read)-1].ReportNo)
}

// acknowledgedBefore is the Communication that is here already under the identifier of one
// that acknowledges: an EHR which has lost the answer sends it again, perhaps when a newer
// version of the report is there, which nobody has read by that. It returns nil where
// there is none, and a fault of kind Conflict where that one says something else.
func (s *Server) acknowledgedBefore(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return nil, err
	}
	space := keySpace{r.tenant, "Communication", "identifier"}
	for _, id := range n.Each("identifier") {
		if id.Text("value") == "" {
			continue
		}
		all, err := r.search(ctx, "Communication", space.key(formSystemCode, id.Text("system"), bareUID(id.Text("value"))))
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			if f.id() == n.Text("id") || !isSaid(f.Node) || !hasCode(f.Get("topic"), csTopic, "acknowledgement") {
				continue
			}
			switch same, err := r.sameContent(ctx, f.Node, n); {
			case err != nil:
				return nil, err
			case !same:
				return nil, fault.At(fault.Conflict, "Communication.identifier", "Communication/%s has this identifier, and says something else: give each acknowledgement an identifier of its own; only the same again is answered as a repetition", f.id())
			}
			stored, err := s.store.Get(ctx, tx, "Communication", f.id())
			return &stored, err
		}
	}
	return nil, nil
}
