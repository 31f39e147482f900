package workflow

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ledger is where a turn reads and writes all that is kept of a case. Rows of the
// table, guards, effects and chores know nothing else, so that the same rules run
// on the database (sqlLedger) and, for the simulation, in memory (Model).
type ledger interface {
	updateCase(ctx context.Context, c *Case) error
	insertEvent(ctx context.Context, ch Change, detail map[string]any) error
	keepFact(ctx context.Context, c *Case, now time.Time) error // what statistics count of it (fact.go)

	// The agenda. write leaves a row that is there as it is, unless anew.
	entries(ctx context.Context, caseID uuid.UUID) ([]entry, error)
	write(ctx context.Context, row entry, anew bool) error
	updateEntry(ctx context.Context, row entry) error
	deleteEntry(ctx context.Context, row entry) error

	// Readers. reader returns pgx.ErrNoRows for one who is not active here.
	reader(ctx context.Context, id uuid.UUID) (Reader, error)
	readers(ctx context.Context) ([]Reader, error)                                       // all, without their work
	staff(ctx context.Context, need Need) ([]Reader, error)                              // who come into question, or whose reasons are asked for; without their work
	candidates(ctx context.Context, need Need, fairDays int, why bool) ([]Reader, error) // the same with their work, as ReadersTx
	noteOffer(ctx context.Context, reader uuid.UUID, now time.Time) error
	need(ctx context.Context, c *Case, duty Duty) (Need, error)
	unveiled(ctx context.Context, c *Case) (bool, error)

	// What readers write. draft returns errNoDraft, lastGrade errNoGrade, report and
	// lastReport a fault of kind BusinessRule where there is none.
	draft(ctx context.Context, caseID uuid.UUID) (draft, error)
	openDraft(ctx context.Context, c *Case, author uuid.UUID, part ReadingPart, now time.Time) (opinionNo int, err error)
	saveDraft(ctx context.Context, c *Case, d Draft) error // the next version
	sealDraft(ctx context.Context, caseID uuid.UUID, status string, now time.Time) (Sealed, error)
	sealed(ctx context.Context, caseID uuid.UUID) ([]Sealed, error) // the oldest first
	insertGrade(ctx context.Context, caseID uuid.UUID, g GivenGrade) (no int, err error)
	lastGrade(ctx context.Context, caseID uuid.UUID) (GivenGrade, error)
	insertReport(ctx context.Context, caseID uuid.UUID, r Report) (sha256 string, err error)
	lastReport(ctx context.Context, caseID uuid.UUID) (Report, error)
	report(ctx context.Context, caseID uuid.UUID, no int) (Report, error)

	// For whom it waits, and who was told.
	endWait(ctx context.Context, caseID uuid.UUID, now time.Time) error
	beginWait(ctx context.Context, c *Case, w Wait) error
	insertTold(ctx context.Context, c *Case, told Told) (first bool, err error)
	nextEscalation(ctx context.Context, caseID uuid.UUID) (*time.Time, error)
	dueEscalations(ctx context.Context, caseID uuid.UUID) ([]Told, error)
	endEscalations(ctx context.Context, caseID uuid.UUID, clock ClockName, now time.Time) error
	endReminders(ctx context.Context, caseID uuid.UUID, told Told, last int) error // of the chain whose last link is told anew
	goesOn(ctx context.Context, caseID uuid.UUID, told Told) (bool, error)         // another chain of the same rule and clock
	putOffEscalations(ctx context.Context, caseID uuid.UUID, due time.Time) error
	openEscalations(ctx context.Context, caseID, person uuid.UUID) (open, mine int, err error)
	heedEscalations(ctx context.Context, caseID, person uuid.UUID, onlyOwn bool, now time.Time) error
	queueMail(ctx context.Context, c *Case, told Told) error
	waits(ctx context.Context, caseID uuid.UUID) ([]Wait, error)
	insertNotices(ctx context.Context, c *Case, event Event, people []uuid.UUID, now time.Time) error

	// What is open on a case besides its state. insertMatter leaves one that is there
	// by its key; updateMatter writes what may change: content and settlement.
	matters(ctx context.Context, caseID uuid.UUID) ([]Matter, error)
	hasRead(ctx context.Context, caseID, who uuid.UUID) (bool, error)
	insertMatter(ctx context.Context, c *Case, m Matter) (first bool, err error)
	updateMatter(ctx context.Context, caseID uuid.UUID, m Matter) error
	insertCall(ctx context.Context, caseID uuid.UUID, call Call) error
	insertAcknowledgement(ctx context.Context, caseID uuid.UUID, a Acknowledgement) error
	wantLookAfter(ctx context.Context, c *Case, pause time.Duration) error

	// What the intake checks look at besides the facts of the order.
	duplicates(ctx context.Context, c *Case, f Facts) ([]string, error)
	pacs(ctx context.Context, c *Case, f Facts) (*PACSFacts, error)
}

// sqlLedger is the ledger of the server: each method is a function beside the
// rules that it serves.
type sqlLedger struct{ tx pgx.Tx }

func (l sqlLedger) updateCase(ctx context.Context, c *Case) error { return updateCase(ctx, l.tx, c) }
func (l sqlLedger) insertEvent(ctx context.Context, ch Change, detail map[string]any) error {
	return insertEvent(ctx, l.tx, ch, detail)
}
func (l sqlLedger) keepFact(ctx context.Context, c *Case, now time.Time) error {
	return keepFactTx(ctx, l.tx, c, now)
}
func (l sqlLedger) entries(ctx context.Context, caseID uuid.UUID) ([]entry, error) {
	return entriesTx(ctx, l.tx, caseID)
}
func (l sqlLedger) write(ctx context.Context, row entry, anew bool) error {
	return writeEntry(ctx, l.tx, row, anew)
}
func (l sqlLedger) updateEntry(ctx context.Context, row entry) error {
	return updateEntry(ctx, l.tx, row)
}
func (l sqlLedger) deleteEntry(ctx context.Context, row entry) error {
	return deleteEntry(ctx, l.tx, row)
}
func (l sqlLedger) reader(ctx context.Context, id uuid.UUID) (Reader, error) {
	return ReaderByIDTx(ctx, l.tx, id)
}
func (l sqlLedger) readers(ctx context.Context) ([]Reader, error) {
	return queryReaders(ctx, l.tx, nil)
}
func (l sqlLedger) staff(ctx context.Context, _ Need) ([]Reader, error) {
	return queryReaders(ctx, l.tx, nil)
}
func (l sqlLedger) candidates(ctx context.Context, _ Need, fairDays int, _ bool) ([]Reader, error) {
	return ReadersTx(ctx, l.tx, fairDays)
}
func (l sqlLedger) noteOffer(ctx context.Context, reader uuid.UUID, now time.Time) error {
	return noteOfferTx(ctx, l.tx, reader, now)
}
func (l sqlLedger) need(ctx context.Context, c *Case, duty Duty) (Need, error) {
	return needTx(ctx, l.tx, c, duty)
}
func (l sqlLedger) unveiled(ctx context.Context, c *Case) (bool, error) {
	return UnveiledTx(ctx, l.tx, *c)
}
func (l sqlLedger) draft(ctx context.Context, caseID uuid.UUID) (draft, error) {
	return draftTx(ctx, l.tx, caseID)
}
func (l sqlLedger) openDraft(ctx context.Context, c *Case, author uuid.UUID, part ReadingPart, now time.Time) (int, error) {
	return openDraftTx(ctx, l.tx, c, author, part, now)
}
func (l sqlLedger) saveDraft(ctx context.Context, c *Case, d Draft) error {
	return saveDraftTx(ctx, l.tx, c, d)
}
func (l sqlLedger) sealDraft(ctx context.Context, caseID uuid.UUID, status string, now time.Time) (Sealed, error) {
	return sealDraftTx(ctx, l.tx, caseID, status, now)
}
func (l sqlLedger) sealed(ctx context.Context, caseID uuid.UUID) ([]Sealed, error) {
	return sealedTx(ctx, l.tx, caseID)
}
func (l sqlLedger) insertGrade(ctx context.Context, caseID uuid.UUID, g GivenGrade) (int, error) {
	return insertGradeTx(ctx, l.tx, caseID, g)
}
func (l sqlLedger) lastGrade(ctx context.Context, caseID uuid.UUID) (GivenGrade, error) {
	return lastGradeTx(ctx, l.tx, caseID)
}
func (l sqlLedger) insertReport(ctx context.Context, caseID uuid.UUID, r Report) (string, error) {
	return insertReportTx(ctx, l.tx, caseID, r)
}
func (l sqlLedger) lastReport(ctx context.Context, caseID uuid.UUID) (Report, error) {
	return lastReportTx(ctx, l.tx, caseID)
}
func (l sqlLedger) report(ctx context.Context, caseID uuid.UUID, no int) (Report, error) {
	reports, err := ReportsTx(ctx, l.tx, caseID)
	if err != nil {
		return Report{}, err
	}
	return versionOf(reports, no)
}
func (l sqlLedger) endWait(ctx context.Context, caseID uuid.UUID, now time.Time) error {
	return endWaitTx(ctx, l.tx, caseID, now)
}
func (l sqlLedger) beginWait(ctx context.Context, c *Case, w Wait) error {
	return beginWaitTx(ctx, l.tx, c, w)
}
func (l sqlLedger) insertTold(ctx context.Context, c *Case, told Told) (bool, error) {
	return insertTold(ctx, l.tx, c, told)
}
func (l sqlLedger) nextEscalation(ctx context.Context, caseID uuid.UUID) (*time.Time, error) {
	return nextEscalation(ctx, l.tx, caseID)
}
func (l sqlLedger) dueEscalations(ctx context.Context, caseID uuid.UUID) ([]Told, error) {
	return dueEscalations(ctx, l.tx, caseID)
}
func (l sqlLedger) endEscalations(ctx context.Context, caseID uuid.UUID, clock ClockName, now time.Time) error {
	return endEscalations(ctx, l.tx, caseID, clock, now)
}
func (l sqlLedger) endReminders(ctx context.Context, caseID uuid.UUID, told Told, last int) error {
	return endReminders(ctx, l.tx, caseID, told, last)
}
func (l sqlLedger) goesOn(ctx context.Context, caseID uuid.UUID, told Told) (bool, error) {
	return goesOn(ctx, l.tx, caseID, told)
}
func (l sqlLedger) putOffEscalations(ctx context.Context, caseID uuid.UUID, due time.Time) error {
	return putOffEscalations(ctx, l.tx, caseID, due)
}
func (l sqlLedger) openEscalations(ctx context.Context, caseID, person uuid.UUID) (int, int, error) {
	return openEscalations(ctx, l.tx, caseID, person)
}
func (l sqlLedger) heedEscalations(ctx context.Context, caseID, person uuid.UUID, onlyOwn bool, now time.Time) error {
	return heedEscalations(ctx, l.tx, caseID, person, onlyOwn, now)
}
func (l sqlLedger) queueMail(ctx context.Context, c *Case, told Told) error {
	return queueMail(ctx, l.tx, c, told)
}
func (l sqlLedger) matters(ctx context.Context, caseID uuid.UUID) ([]Matter, error) {
	return MattersTx(ctx, l.tx, caseID)
}
func (l sqlLedger) hasRead(ctx context.Context, caseID, who uuid.UUID) (bool, error) {
	return hasReadTx(ctx, l.tx, caseID, who)
}
func (l sqlLedger) insertMatter(ctx context.Context, c *Case, m Matter) (bool, error) {
	return insertMatterTx(ctx, l.tx, c, m)
}
func (l sqlLedger) updateMatter(ctx context.Context, caseID uuid.UUID, m Matter) error {
	return updateMatterTx(ctx, l.tx, caseID, m)
}
func (l sqlLedger) insertCall(ctx context.Context, caseID uuid.UUID, call Call) error {
	return insertCallTx(ctx, l.tx, caseID, call)
}
func (l sqlLedger) insertAcknowledgement(ctx context.Context, caseID uuid.UUID, a Acknowledgement) error {
	return insertAcknowledgementTx(ctx, l.tx, caseID, a)
}
func (l sqlLedger) wantLookAfter(ctx context.Context, c *Case, pause time.Duration) error {
	return wantLookAfterTx(ctx, l.tx, c, pause)
}
func (l sqlLedger) waits(ctx context.Context, caseID uuid.UUID) ([]Wait, error) {
	return WaitsTx(ctx, l.tx, caseID)
}
func (l sqlLedger) insertNotices(ctx context.Context, c *Case, event Event, people []uuid.UUID, now time.Time) error {
	return insertNotices(ctx, l.tx, c, event, people, now)
}
func (l sqlLedger) duplicates(ctx context.Context, c *Case, f Facts) ([]string, error) {
	return duplicatesTx(ctx, l.tx, c, f)
}
func (l sqlLedger) pacs(ctx context.Context, c *Case, f Facts) (*PACSFacts, error) {
	return pacsFactsTx(ctx, l.tx, c, f)
}
