package workflow

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// archive is a PACS that says what it is told to, by the study's UID.
type archive struct {
	mu     sync.Mutex
	says   map[string]Sighting
	asked  []Inquiry
	during func(Inquiry) // what happens while it is asked
}

func (a *archive) ask(_ context.Context, _ Archive, q Inquiry) Sighting {
	a.mu.Lock()
	during := a.during
	a.asked = append(a.asked, q)
	s, ok := a.says[q.UID]
	a.mu.Unlock()
	if during != nil {
		during(q)
	}
	if !ok {
		return Sighting{Answer: PACSAbsent}
	}
	return s
}

func (a *archive) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// is makes the PACS say this of a case's study.
func (a *archive) is(f *Facts, s Sighting) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says[f.Study.UID] = s
}

var mrs = Person{IDs: []PersonID{{"urn:mercy", "100"}}, Names: []PersonName{{"Lindgren", "Harriet"}}, BirthDate: "1959-03-14", Sex: "female"}

// holds is a study that the PACS has, with so many instances.
func holds(instances int) Sighting {
	return Sighting{Answer: PACSFound, Study: StudyInPACS{PACS: "archive", UID: "2.25.1", Instances: instances, Series: 1, Modalities: []string{"CT"}, BodyParts: []string{"HEAD"}, Patient: mrs}}
}

// newPACSHouse is a house whose tenant has a PACS.
func newPACSHouse(t *testing.T) (*house, *archive, *Scout) {
	t.Helper()
	h := newHouse(t, `{}`)
	h.exec(`INSERT INTO pacs (tenant_id, pacs, base_url) VALUES ($1, 'archive', 'https://pacs.example/dicom-web')`, h.tenant)
	a := &archive{says: map[string]Sighting{}}
	return h, a, h.scout(a)
}

func (h *house) scout(a *archive) *Scout {
	return NewScout(h.db.DB, h.engine, a.ask, slog.New(slog.DiscardHandler))
}

// work lets engine and scout work until nothing is due.
func (h *house) work(s *Scout) {
	h.Helper()
	for range 20 {
		looked, err := s.Tick(context.Background())
		if err != nil {
			h.Fatal(err)
		}
		if h.tick()+looked == 0 {
			return
		}
	}
	h.Fatal("there is always something to do")
}

// later lets time pass for the PACS: what is due within d is due now.
func (h *house) later(d time.Duration) {
	h.Helper()
	h.skip(d)
	h.exec(`
		UPDATE pacs_look
		SET due_at = due_at - make_interval(secs => $1), asked_at = asked_at - make_interval(secs => $1), looked_at = looked_at - make_interval(secs => $1),
		    counted_since = counted_since - make_interval(secs => $1), lease_until = lease_until - make_interval(secs => $1)`, d.Seconds())
	h.exec(`UPDATE pacs SET breaker_until = breaker_until - make_interval(secs => $1)`, d.Seconds())
}

// openOf opens a case of the patient, and returns what its order says.
func (h *house) openOf(spoil ...func(*Facts)) (Case, *Facts) {
	h.Helper()
	c := h.open(append([]func(*Facts){func(f *Facts) { f.Person = mrs }}, spoil...)...)
	return c, h.facts[c.PlacerValue]
}

// waits must be the state, for this reason first.
func (h *house) waits(c Case, want State, code string) Case {
	h.Helper()
	got := h.stands(c, want)
	if len(got.Findings) == 0 || got.Findings[0].Code != code {
		h.Fatalf("it waits for %v, want %s", got.Findings, code)
	}
	return got
}

func TestACaseGoesOnWhenThePACSHasWhatTheOrderSays(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	a.is(f, holds(3))
	h.tick()
	h.stands(c, Received) // not told anything before the PACS has answered
	h.work(s)
	got := h.stands(c, Ready)
	if got.Exam.Images != 3 || got.Exam.MoreImages() {
		t.Errorf("%d images are noted", got.Exam.Images)
	}
	h.later(2 * time.Hour)
	h.work(s)
	if a.times() != 1 {
		t.Errorf("the PACS was asked %d times", a.times())
	}
}

func TestALateStudyIsWaitedFor(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-study-missing")
	h.later(time.Minute)
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-study-missing")
	a.is(f, holds(3))
	h.work(s)
	h.stands(c, AwaitingImages) // the next look is not due yet
	h.later(2 * time.Minute)
	h.work(s)
	h.stands(c, Ready)
	if a.times() != 3 {
		t.Errorf("the PACS was asked %d times", a.times())
	}
}

func TestAGrowingStudyIsWaitedForUntilItIsWhole(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	for _, n := range []int{1, 2} {
		a.is(f, holds(n))
		h.work(s)
		got := h.waits(c, AwaitingImages, "pacs-study-incomplete")
		if !strings.HasPrefix(got.Findings[0].Text, map[int]string{1: "1 of the 3", 2: "2 of the 3"}[n]) {
			t.Error(got.Findings[0].Text)
		}
		h.later(time.Minute)
	}
	a.is(f, holds(3)) // as many as are said: no waiting until it is steady
	h.work(s)
	h.stands(c, Ready)
}

func TestMoreThanIsSaidIsWaitedForUntilItIsSteady(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	for _, n := range []int{4, 5} {
		a.is(f, holds(n))
		h.work(s)
		h.waits(c, AwaitingImages, "pacs-study-growing")
		h.later(time.Minute)
	}
	for range 4 { // four minutes the same
		h.work(s)
		h.waits(c, AwaitingImages, "pacs-study-growing")
		h.later(time.Minute)
	}
	h.later(time.Minute)
	h.work(s)
	if got := h.stands(c, Ready); !got.Exam.MoreImages() || got.Exam.Images != 5 {
		t.Errorf("the larger study is not noted: %+v", got.Exam)
	}
}

func TestAStudyThatSaysNoNumberIsWaitedForUntilItIsSteady(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf(func(f *Facts) { f.Study.Instances, f.Study.InstancesSaid, f.Study.Available = 0, 0, false })
	a.is(f, holds(7))
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-study-growing")
	for range 6 {
		h.later(time.Minute)
		h.work(s)
	}
	if got := h.stands(c, Ready); got.Exam.MoreImages() {
		t.Error("there is nothing to be more than")
	}
}

func TestAPACSThatIsDownLosesNothing(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	down := Sighting{Answer: PACSUnreachable, Reason: "timeout"}
	var cases []Case
	var facts []*Facts
	for range 8 {
		c, f := h.openOf()
		a.is(f, down)
		cases, facts = append(cases, c), append(facts, f)
	}
	h.work(s)
	asked := a.times()
	h.work(s)
	if a.times() != asked || asked > 8 {
		t.Errorf("a PACS that rests was asked: %d, then %d times", asked, a.times())
	}
	h.later(pacsPatience + time.Second) // also those that were never asked about are told
	h.tick()
	for _, c := range cases {
		h.waits(c, AwaitingImages, "pacs-unreachable")
	}
	for _, f := range facts {
		a.is(f, holds(3))
	}
	for range 4 {
		h.later(10 * time.Minute)
		h.work(s)
	}
	for _, c := range cases {
		h.stands(c, Ready)
	}
	var failures int
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT failures FROM pacs`).Scan(&failures)
	})
	if failures != 0 {
		t.Errorf("it still counts %d failures", failures)
	}
}

func TestWhatThePACSContradictsGoesToTheCoordinator(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	other := holds(3)
	other.Study.Patient = Person{IDs: []PersonID{{"urn:mercy", "101"}}, Names: mrs.Names, BirthDate: "1960-01-01", Sex: "female"}
	a.is(f, other)
	h.work(s)
	got := h.waits(c, IntakeReview, "pacs-patient-mismatch")
	for _, value := range []string{"Lindgren", "1960", "1959", "100", "101"} {
		if strings.Contains(got.Findings[0].Text, value) {
			t.Errorf("the text tells %q: %s", value, got.Findings[0].Text)
		}
	}
	if !strings.Contains(got.Findings[0].Text, "identifier, birth date") {
		t.Error(got.Findings[0].Text)
	}
	h.fire(h.coordinator, c, "resolve", Input{Reason: "the hospital has merged the two"})
	h.work(s)
	h.stands(c, Ready)
}

func TestAPACSThatWasMendedReleasesTheCaseByItself(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf(func(f *Facts) { f.OrderLaterality = "left" })
	wrong := holds(3)
	wrong.Study.Sides = []string{"right"}
	a.is(f, wrong)
	h.work(s)
	h.waits(c, IntakeReview, "pacs-laterality-mismatch")
	if !a.asked[0].Sides {
		t.Error("the side matters, and was not asked for")
	}
	right := holds(3)
	right.Study.Sides = []string{"left"}
	a.is(f, right)
	h.later(time.Hour)
	h.work(s)
	h.stands(c, Ready)
}

func TestTheCoordinatorMayGoOnWithoutThePACS(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	a.is(f, Sighting{Answer: PACSRefused, Status: 401})
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-refused")
	h.fire(h.coordinator, c, "proceed", Input{Reason: "the images came on a disc"})
	h.work(s)
	h.stands(c, Ready)
}

func TestTwoScoutsLookOnce(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	for range 6 {
		_, f := h.openOf()
		a.is(f, holds(3))
	}
	h.tick()
	other := NewScout(h.db.DB, h.newEngine(), a.ask, slog.New(slog.DiscardHandler))
	for range 4 {
		var both sync.WaitGroup
		for _, scout := range []*Scout{s, other} {
			both.Go(func() {
				if _, err := scout.Tick(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	if a.times() != 6 {
		t.Errorf("six studies were looked up %d times", a.times())
	}
}

func TestTheAnswerToAnOlderQuestionDoesNotCount(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	a.is(f, holds(3))
	h.tick()
	a.during = func(Inquiry) { // the order turns out to mean another study
		a.during = nil
		f.Study.UID = newUID()
		h.in(func(ctx context.Context, tx pgx.Tx) error { return h.engine.RecheckTx(ctx, tx, h.tenant, c.CaseID) })
	}
	if _, err := s.Tick(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-study-missing")
}

func TestAScoutThatDiesIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	a.is(f, holds(3))
	h.tick()
	if claimed, err := claimLooks(context.Background(), h.db.DB, 10); err != nil || len(claimed) != 1 {
		t.Fatal(claimed, err)
	}
	h.work(s)
	if a.times() != 0 {
		t.Error("a leased look was done twice")
	}
	h.later(time.Minute)
	h.work(s)
	h.stands(c, Ready)
}

func TestNoScoutAtAllIsAPACSThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h, _, _ := newPACSHouse(t)
	c, _ := h.openOf()
	h.tick()
	h.later(pacsPatience + time.Second)
	h.tick()
	h.waits(c, AwaitingImages, "pacs-unreachable")
}

func TestAfterAHoldThePACSIsAskedAgain(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, f := h.openOf()
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-study-missing")
	h.fire(h.placer, c, "hold", Input{})
	h.later(time.Hour)
	h.work(s)
	asked := a.times()
	h.later(time.Hour)
	h.work(s)
	if a.times() != asked {
		t.Error("a case on hold is looked up")
	}
	a.is(f, holds(3))
	h.fire(h.placer, c, "resume", Input{})
	h.work(s)
	h.stands(c, Ready)
}

func TestATenantThatIsSuspendedIsNotLookedUp(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	_, f := h.openOf()
	a.is(f, holds(3))
	h.tick()
	h.exec(`UPDATE tenant SET state = 'suspended'`)
	h.work(s)
	if a.times() != 0 {
		t.Error("it was")
	}
	h.exec(`UPDATE tenant SET state = 'active'`)
	h.work(s)
	if a.times() != 1 {
		t.Error("it is not after that")
	}
}

func TestWithoutItsPACSATenantIsAsBefore(t *testing.T) {
	t.Parallel()
	h, a, s := newPACSHouse(t)
	c, _ := h.openOf()
	h.work(s)
	h.waits(c, AwaitingImages, "pacs-study-missing")
	h.exec(`DELETE FROM pacs`)
	h.later(time.Minute)
	h.work(s)
	h.stands(c, Ready)
	if a.times() != 1 {
		t.Errorf("asked %d times", a.times())
	}
}

func TestTheAnswerThatSaysMostCounts(t *testing.T) {
	t.Parallel()
	h, _, _ := newPACSHouse(t)
	h.exec(`INSERT INTO pacs (tenant_id, pacs, base_url) VALUES ($1, 'other', 'https://other.example/dicom-web')`, h.tenant)
	for name, c := range map[string]struct {
		one, two Sighting
		state    State
		code     string
	}{
		"found in the second": {Sighting{Answer: PACSAbsent}, holds(3), Ready, ""},
		"the fuller one":      {holds(1), holds(3), Ready, ""},
		"one is down":         {Sighting{Answer: PACSUnreachable}, Sighting{Answer: PACSAbsent}, AwaitingImages, "pacs-unreachable"},
		"down, but found":     {Sighting{Answer: PACSUnreachable}, holds(3), Ready, ""},
		"several":             {Sighting{Answer: PACSAbsent}, Sighting{Answer: PACSAmbiguous}, IntakeReview, "pacs-study-ambiguous"},
	} {
		h.exec(`UPDATE pacs SET failures = 0, breaker_until = NULL`)
		scout := NewScout(h.db.DB, h.engine, func(_ context.Context, a Archive, _ Inquiry) Sighting {
			return map[string]Sighting{"archive": c.one, "other": c.two}[a.Name]
		}, slog.New(slog.DiscardHandler))
		file, _ := h.openOf()
		h.work(scout)
		got := h.find(file)
		if got.State != c.state || c.code != "" && got.Findings[0].Code != c.code {
			t.Errorf("%s: %s %v", name, got.State, got.Findings)
		}
		h.exec(`UPDATE pacs_look SET due_at = NULL`)
	}
}

func TestEachPACSCheckFindsItsFault(t *testing.T) {
	seen := func(change func(*StudyInPACS)) func(*Facts) {
		return func(f *Facts) { change(&f.PACS.Study) }
	}
	says := func(answer PACSAnswer) func(*Facts) {
		return func(f *Facts) { f.PACS = &PACSFacts{Answer: answer} }
	}
	for _, c := range []struct {
		name  string
		spoil func(*Facts)
		want  []string
	}{
		{"nothing", func(*Facts) {}, nil},
		{"somebody else", seen(func(s *StudyInPACS) { s.Patient.Sex = "male" }), []string{"pacs-patient-mismatch"}},
		{"nobody", seen(func(s *StudyInPACS) { s.Patient = Person{} }), []string{"pacs-patient-mismatch"}},
		{"another modality", seen(func(s *StudyInPACS) { s.Modalities = []string{"MR", "SR"} }), []string{"pacs-modality-mismatch"}},
		{"one of the modalities", seen(func(s *StudyInPACS) { s.Modalities = []string{"SR", "ct"} }), nil},
		{"the ImagingStudy's modality", func(f *Facts) { f.OrderModality, f.PACS.Study.Modalities = "", []string{"MR"} }, []string{"pacs-modality-mismatch"}},
		{"plates and detectors", func(f *Facts) {
			f.OrderModality, f.Study.Modalities, f.PACS.Study.Modalities = "DX", []string{"DX"}, []string{"CR"}
		}, nil},
		{"another body part", seen(func(s *StudyInPACS) { s.BodyParts = []string{"KNEE"} }), []string{"pacs-body-part-mismatch"}},
		{"several body parts", func(f *Facts) {
			f.OrderBodySite, f.Study.BodySite, f.PACS.Study.BodyParts = "Abdomen", "Abdomen", []string{"CHESTABDPELVIS"}
		}, nil},
		{"no region of the body", seen(func(s *StudyInPACS) { s.BodyParts = []string{"WHOLEBODY"} }), nil},
		{"the other side", func(f *Facts) { f.OrderLaterality, f.PACS.Study.Sides = "left", []string{"right"} }, []string{"pacs-laterality-mismatch"}},
		{"the other side than the ImagingStudy's", func(f *Facts) { f.Study.Laterality, f.PACS.Study.Sides = "left", []string{"right"} }, []string{"pacs-laterality-mismatch"}},
		{"both sides", func(f *Facts) { f.OrderLaterality, f.PACS.Study.Sides = "left", []string{"right", "left"} }, nil},
		{"bilateral", func(f *Facts) { f.OrderLaterality, f.PACS.Study.Sides = "left", []string{"bilateral"} }, nil},
		{"no side is told", func(f *Facts) { f.OrderLaterality = "left" }, nil},
		{"several studies", says(PACSAmbiguous), []string{"pacs-study-ambiguous"}},
		{"down", says(PACSUnreachable), []string{"pacs-unreachable"}},
		{"locked", says(PACSRefused), []string{"pacs-refused"}},
		{"gibberish", says(PACSUnreadable), []string{"pacs-unreadable"}},
		{"not there", says(PACSAbsent), []string{"pacs-study-missing"}},
		{"unnamed", says(pacsUnnamed), []string{"pacs-study-missing"}},
		{"empty", seen(func(s *StudyInPACS) { s.Instances = 0 }), []string{"pacs-study-missing"}},
		{"fewer", seen(func(s *StudyInPACS) { s.Instances = 2 }), []string{"pacs-study-incomplete"}},
		{"more", seen(func(s *StudyInPACS) { s.Instances = 4 }), []string{"pacs-study-growing"}},
		{"more and steady", func(f *Facts) { f.PACS.Study.Instances, f.PACS.Steady = 4, true }, nil},
		{"the ImagingStudy is behind", func(f *Facts) { f.Study.Available, f.Study.Instances = false, 1 }, nil},
	} {
		f := wholeFacts()
		f.Person = mrs
		f.PACS = &PACSFacts{Answer: PACSFound, Study: holds(3).Study}
		c.spoil(&f)
		found := EvalIntake(f, DefaultPolicy(), nil)
		got := names(found, func(f Finding) string { return f.Code })
		if len(got)+len(c.want) > 0 && !cmp.Equal(c.want, got) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for _, finding := range found {
			if left := EvalIntake(f, DefaultPolicy(), []string{finding.Code}); len(left) != 0 {
				t.Errorf("%s: %s is waived and still found", c.name, finding.Code)
			}
		}
	}
}

func TestOnlyWhatNamesOneThingIsSearchedFor(t *testing.T) {
	for text, want := range map[string]bool{"A-17/3": true, "": false, "A*": false, "A?": false, `A\B`: false, "A\n": false, strings.Repeat("9", 65): false} {
		if maySearch(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	for text, want := range map[string]bool{"2.25.1": true, "": false, "..": false, "1..2": false, ".1": false, "1.": false, "1.a": false, "1/2": false} {
		if isUID(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
