package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// MatterKind says what a matter is.
type MatterKind string

// The kinds of matters.
const (
	FindingMatter      MatterKind = "finding"      // somebody must be told (finding.go)
	QuestionMatter     MatterKind = "question"     // somebody asks about the report (question.go)
	VerificationMatter MatterKind = "verification" // the study changed after the signature (verification.go)
)

// Matter is something that is open on a case besides its state, with a clock of
// its own until it is settled: a row of matter.
type Matter struct {
	No          int
	Kind        MatterKind
	Key         string // the same again is the same matter
	Category    string // of a finding: emergent, urgent, non-critical
	Content     MatterContent
	OpenedAt    time.Time
	OpenedBy    *uuid.UUID // nil: the system
	OpenedRole  string
	DueAt       time.Time
	SettledAt   *time.Time // nil: it is open
	SettledBy   *uuid.UUID
	SettledRole *string
	Settlement  *string // acknowledged, answered, valid, amended, withdrawn
	Closing     Closing
	ReportNo    *int   // the version that told how it was settled
	Calls       []Call `db:"-"` // of a finding, the first one first
}

// MatterContent is what a matter is about.
type MatterContent struct {
	StudyChange // of a verification

	Text        string    `json:"text,omitempty"`        // the finding or the question, in words
	FromReport  bool      `json:"fromReport,omitempty"`  // a finding that nobody raised: the signed report says that it is pressing
	Person      string    `json:"person,omitempty"`      // who asks, as the EHR says it
	Resource    string    `json:"resource,omitempty"`    // "Communication/1": the EHR's own resource that asks
	Earlier     []string  `json:"earlier,omitempty"`     // what the question said before it was corrected, the first one first
	Follows     int       `json:"follows,omitempty"`     // the question of the same thread that was answered before
	Doubtful    bool      `json:"doubtful,omitempty"`    // a finding in images that may be of another patient: the order was corrected meanwhile
	Sealed      string    `json:"sealed,omitempty"`      // the impression that its author sealed while the finding waited: the same emergency
	Uncosigned  bool      `json:"uncosigned,omitempty"`  // a finding of a reader whose report a supervisor signs, and nobody has yet
	Stands      *LetStand `json:"stands,omitempty"`      // who signed another text and let the finding stand
	OwnNo       int       `json:"ownNo,omitempty"`       // by which who opened it knows it, where they did not know of others (known.go)
	Independent *Found    `json:"independent,omitempty"` // a director has found it independent; what else it is open for stays open
}

// Found is what somebody has found of a part of a matter that goes on.
type Found struct {
	Reason string    `json:"reason"`
	By     uuid.UUID `json:"by"`
	At     time.Time `json:"at"`
}

// Closing is how a matter was settled, in words.
type Closing struct {
	Text     string `json:"text,omitempty"`     // the answer, or why it was withdrawn
	Person   string `json:"person,omitempty"`   // who acknowledged, by name
	Role     string `json:"role,omitempty"`     // and function
	Spoken   bool   `json:"spoken,omitempty"`   // acknowledged by word of mouth: read back
	Resource string `json:"resource,omitempty"` // "Communication/1": the EHR's own resource that says so
}

// Open tells whether nobody has settled it.
func (m Matter) Open() bool { return m.SettledAt == nil }

// Withdrawn tells whether it was taken back.
func (m Matter) Withdrawn() bool { return m.Settlement != nil && *m.Settlement == "withdrawn" }

// isFinding: somebody must be told of it, and it was not taken back.
func (m Matter) isFinding() bool { return m.Kind == FindingMatter && !m.Withdrawn() }

func (m Matter) isEmergent() bool     { return m.Category == "emergent" }
func (m Matter) isPressing() bool     { return Pressing(m.Category) }
func (m Matter) isVerification() bool { return m.Kind == VerificationMatter }

// isOf tells whether it is of this key, perhaps said anew after it was taken back.
func (m Matter) isOf(key string) bool {
	return m.Key == key || strings.HasPrefix(m.Key, key+" again ")
}

// The clocks of matters are families: each matter has its own, such as
// finding-emergent/2, so that one that is late does not hide another.
const (
	ClockEmergent    ClockName = "finding-emergent"
	ClockUrgent      ClockName = "finding-urgent"
	ClockNonCritical ClockName = "finding-non-critical"
	ClockQuestion    ClockName = "question"
	ClockReverify    ClockName = "reverify"
)

var matterClocks = []ClockName{ClockEmergent, ClockUrgent, ClockNonCritical, ClockQuestion, ClockReverify}

// family is the clock without the number of its matter.
func (c ClockName) family() ClockName {
	family, _, _ := strings.Cut(string(c), "/")
	return ClockName(family)
}

// OfMatter tells whether it is the clock of a matter.
func (c ClockName) OfMatter() bool { return slices.Contains(matterClocks, c.family()) }

// clock is the clock of the matter.
func (m Matter) clock() ClockName {
	family := map[MatterKind]ClockName{QuestionMatter: ClockQuestion, VerificationMatter: ClockReverify}[m.Kind]
	if m.Kind == FindingMatter {
		family = ClockName("finding-" + m.Category)
	}
	return family + ClockName("/"+strconv.Itoa(m.No))
}

// anyTime are the states in which a matter may be open: a finding is not less
// urgent because its case was cancelled.
var anyTime = join(unsigned, in(OnHold, Final, Closed, Amending, Rejected, Cancelled, Failed))

// openMatter writes a matter down and starts its clock. It refuses one that the
// case has already: whoever may say something twice asks KnownMatterTx before.
func (t *turn) openMatter(ctx context.Context, m Matter, key string) error {
	m.OpenedAt, m.OpenedRole = t.now, string(t.actor.Role)
	if t.actor.ID != uuid.Nil {
		m.OpenedBy = &t.actor.ID
	}
	known, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	m.No = len(known) + 1
	for _, k := range known {
		if k.Kind == m.Kind && k.isOf(key) && (k.Withdrawn() || t.event == "sample-alert" && !k.Open() || !t.c.mayChoose(k, t.actor)) {
			m.Key = key + " again " + strconv.Itoa(m.No) // what was taken back may be said anew, and what another has seen too
		}
	}
	if no := t.c.nextNumber(known, t.actor); no != m.No {
		m.Content.OwnNo = no
	}
	if m.Key == "" {
		m.Key = key
	}
	if m.Kind == FindingMatter && t.c.ReportNo == 0 && t.actor.ReadsHere() {
		r, err := t.ledger.reader(ctx, t.actor.ID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		m.Content.Uncosigned = err != nil || r.needsCosign(t.now)
	}
	m.DueAt = t.c.Policy.Calendar.Add(t.now, t.c.limit(m.clock()))
	switch first, err := t.ledger.insertMatter(ctx, t.c, m); {
	case err != nil:
		return err
	case !first:
		return refuse("this %s is on record already", m.Kind)
	}
	t.touch(m)
	if err := t.alertSampled(ctx, m); err != nil {
		return err
	}
	return t.startClock(ctx, m.clock(), restart)
}

// KnownMatterTx tells whether the case has this matter, as far as the actor may know,
// and nobody has taken it back: then it is not opened a second time.
func KnownMatterTx(ctx context.Context, tx pgx.Tx, c Case, actor access.Actor, kind MatterKind, key string) (known bool, err error) {
	all, err := MattersTx(ctx, tx, c.CaseID)
	return slices.ContainsFunc(c.Choosable(all, actor), func(m KnownMatter) bool {
		return m.Kind == kind && m.isOf(key) && !m.Withdrawn()
	}), err
}

// touch notes in the history which matter the event is about.
func (t *turn) touch(m Matter) {
	t.matters = append(t.matters, m.No)
	t.detail["matter"], t.detail["matterKind"] = m.No, m.Kind
	if m.Category != "" {
		t.detail["category"] = m.Category
	}
}

// settleMatter ends a matter, its clock, and what was told of it. report is the
// version that tells so, 0 for none.
func (t *turn) settleMatter(ctx context.Context, m Matter, how string, closing Closing, report int) error {
	role := string(t.actor.Role)
	m.SettledAt, m.SettledRole, m.Settlement, m.Closing = &t.now, &role, &how, closing
	if t.actor.ID != uuid.Nil {
		m.SettledBy = &t.actor.ID
	}
	if report > 0 {
		m.ReportNo = &report
	}
	if err := t.ledger.updateMatter(ctx, t.c.CaseID, m); err != nil {
		return err
	}
	t.touch(m)
	if err := t.ledger.deleteEntry(ctx, entry{TenantID: t.c.TenantID, CaseID: t.c.CaseID, Kind: kindOf(m.clock())}); err != nil {
		return err
	}
	if err := t.ledger.endEscalations(ctx, t.c.CaseID, m.clock(), t.now); err != nil {
		return err
	}
	return t.planEscalation(ctx)
}

// MattersTx returns the matters of a case, the first one first, with the calls.
func MattersTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Matter, error) {
	by, err := MattersOfTx(ctx, tx, []uuid.UUID{caseID})
	return by[caseID], err
}

// MattersOfTx is MattersTx of several cases at once.
func MattersOfTx(ctx context.Context, tx pgx.Tx, cases []uuid.UUID) (map[uuid.UUID][]Matter, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, matter_no AS no, kind, request_key AS key, category, content, opened_at, opened_by, opened_role, due_at,
		       settled_at, settled_by, settled_role, settlement, closing, report_no
		FROM matter
		WHERE case_id = ANY ($1)
		ORDER BY case_id, matter_no`, cases)
	if err != nil {
		return nil, fmt.Errorf("matters: %w", err)
	}
	by, err := perCase(rows, func(r struct {
		CaseID uuid.UUID
		Matter
	}) (uuid.UUID, Matter) {
		return r.CaseID, r.Matter
	})
	if err != nil || len(by) == 0 {
		return nil, err
	}
	calls, err := callsOfTx(ctx, tx, slices.Collect(maps.Keys(by)))
	if err != nil {
		return nil, err
	}
	for id, all := range calls {
		for _, call := range all {
			m := &by[id][call.MatterNo-1]
			m.Calls = append(m.Calls, call)
		}
	}
	return by, nil
}

// chosen is the matter that the event is about: the one that was named, or the
// only open one of its kind. What the actor may not know of is not there.
func (t *turn) chosen(ctx context.Context, kind MatterKind) (Matter, error) {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return Matter{}, err
	}
	known := slices.DeleteFunc(t.c.Choosable(all, t.actor), func(m KnownMatter) bool { return m.Kind != kind })
	if t.in.Matter > 0 {
		i := slices.IndexFunc(known, func(m KnownMatter) bool { return m.Number == t.in.Matter })
		if i < 0 {
			return Matter{}, refuse("this case has no %s of the number %d", kind, t.in.Matter)
		}
		return known[i].Matter, nil
	}
	open := slices.DeleteFunc(known, func(m KnownMatter) bool { return !m.Open() })
	switch len(open) {
	case 0:
		return Matter{}, refuse("no %s is open on this case", kind)
	case 1:
		return open[0].Matter, nil
	}
	var numbers []string
	for _, m := range open {
		numbers = append(numbers, strconv.Itoa(m.Number))
	}
	return Matter{}, refuse("say which %s: open are the numbers %s", kind, strings.Join(numbers, ", "))
}

// touched are the matters that the event is about, as they are now.
func (t *turn) touched(ctx context.Context) ([]Matter, error) {
	if t.matters == nil {
		return nil, nil
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	return slices.DeleteFunc(all, func(m Matter) bool { return !slices.Contains(t.matters, m.No) }), err
}

// isOpen is the guard that what the event settles is open.
func isOpen(kind MatterKind) Guard {
	return Guard{string(kind) + "Open", "the " + string(kind) + " that is meant is open",
		func(ctx context.Context, t *turn) error {
			m, err := t.chosen(ctx, kind)
			if err == nil && !m.Open() {
				err = refuse("this %s was settled before (%s)", kind, *m.Settlement)
			}
			return err
		}}
}

// withdraw is the effect that what is meant is taken back.
func withdraw(kind MatterKind) Effect {
	return Effect{"withdraw" + capital(string(kind)), "the " + string(kind) + " is taken back, with the reason; its clock ends",
		func(ctx context.Context, t *turn) error {
			m, err := t.chosen(ctx, kind)
			if err != nil {
				return err
			}
			t.addendum = &Amendment{Kind: "correction", Reason: "a finding is taken back", Text: m.takenBack(t.in.Reason)}
			return t.settleMatter(ctx, m, "withdrawn", m.withdrawn(t.in.Reason), 0)
		}}
}

var withdrawMatters = Effect{"withdrawMatters", "what is open on the case is withdrawn with it",
	func(ctx context.Context, t *turn) error {
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.Open() {
				if err := t.settleMatter(ctx, m, "withdrawn", Closing{Text: "the case was entered in error"}, 0); err != nil {
					return err
				}
			}
		}
		return nil
	}}

// hasOpen tells whether any of these matters is open on the case.
func hasOpen(ctx context.Context, l ledger, caseID uuid.UUID, of func(Matter) bool) (bool, error) {
	all, err := l.matters(ctx, caseID)
	return slices.ContainsFunc(all, func(m Matter) bool { return m.Open() && of(m) }), err
}

// insertMatterTx writes a matter down; first is false where the case has it.
func insertMatterTx(ctx context.Context, tx pgx.Tx, c *Case, m Matter) (first bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO matter (tenant_id, case_id, matter_no, kind, category, request_key, content, opened_at, opened_by, opened_role, due_at)
		VALUES (@tenant, @case, @no, @kind, @category, @key, @content, @at, @by, @role, @due)
		ON CONFLICT ON CONSTRAINT one_matter_each DO NOTHING`,
		pgx.NamedArgs{"tenant": c.TenantID, "case": c.CaseID, "no": m.No, "kind": m.Kind, "category": m.Category, "key": m.Key,
			"content": m.Content, "at": m.OpenedAt, "by": m.OpenedBy, "role": m.OpenedRole, "due": m.DueAt})
	if err != nil {
		return false, fmt.Errorf("open a %s: %w", m.Kind, err)
	}
	return tag.RowsAffected() == 1, nil
}

// updateMatterTx writes what may change of a matter that is open, and what it is about
// also of one that is settled; a finding may be taken back after it was acknowledged too.
func updateMatterTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, m Matter) error {
	_, err := tx.Exec(ctx, `
		UPDATE matter
		SET content = @content, settled_at = @at, settled_by = @by, settled_role = @role, settlement = @how, closing = @closing, report_no = @report
		WHERE case_id = @case AND matter_no = @no AND (settled_at IS NULL OR settled_at = @at AND settlement = @how OR @how = 'withdrawn' AND settlement = 'acknowledged')`,
		pgx.NamedArgs{"case": caseID, "no": m.No, "content": m.Content, "at": m.SettledAt, "by": m.SettledBy, "role": m.SettledRole,
			"how": m.Settlement, "closing": m.Closing, "report": m.ReportNo})
	if err != nil {
		return fmt.Errorf("change a %s: %w", m.Kind, err)
	}
	return nil
}
