package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// chance draws.
type chance struct{ *rand.Rand }

func draws(seed, stream uint64) chance { return chance{rand.New(rand.NewPCG(seed, stream))} }

func (c chance) happens(share float64) bool { return c.Float64() < share }

// lognormal has the given median and a long tail.
func (c chance) lognormal(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(c.NormFloat64()*sigma))
}

// around has the given mean, and spread as its coefficient of variation.
func (c chance) around(mean float64) float64 {
	sigma := math.Sqrt(math.Log(1 + spread*spread))
	return mean * math.Exp(c.NormFloat64()*sigma-sigma*sigma/2)
}

func (c chance) id() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(c.Uint32() & 0xFF)
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

// weighted draws an index by weights.
func (c chance) weighted(n int, weight func(i int) float64) int {
	sum := 0.0
	for i := range n {
		sum += weight(i)
	}
	at := c.Float64() * sum
	for i := range n {
		if at -= weight(i); at < 0 {
			return i
		}
	}
	return n - 1
}

// hospital is who orders.
type hospital struct {
	group, state string
	weight       float64 // large ones order more
}

func someHospitals(n int, c chance) []hospital {
	list := make([]hospital, n)
	for i := range list {
		list[i] = hospital{fmt.Sprint("Organization/h", i), states[i%len(states)], 0.3 + c.ExpFloat64()}
	}
	return list
}

// truth is what is so of a reader, for the checker: nothing of it is asked of the
// rules.
type truth struct {
	practitioner string
	licences     map[string]time.Time // by jurisdiction: until when, exclusive; zero: without end
	readsFrom    string
	cosigned     bool
}

// fieldsOf says which subspecialty reads a kind of exam, by the rules of triage.
func fieldsOf() map[string]float64 {
	need := map[string]float64{}
	for _, e := range exams {
		t := workflow.DecideTriage(nil, workflow.Exam{Display: e.display, Modality: e.modality, BodySite: e.site, PatientAge: 50}, "routine")
		need[t.Subspecialty] += e.share * (e.minutes + compareMinutes)
	}
	return need
}

// someReaders draws the readers. Their main subspecialties are as the work is.
func someReaders(cfg Config, hospitals []hospital, c chance) ([]workflow.Reader, map[uuid.UUID]truth) {
	need := fieldsOf()
	var fields []string
	for f := range need {
		fields = append(fields, f)
	}
	slices.Sort(fields)
	readers, truths := make([]workflow.Reader, cfg.Readers), map[uuid.UUID]truth{}
	for i := range readers {
		h := hospitals[i%len(hospitals)]
		r := workflow.Reader{ID: c.id(), PractitionerID: fmt.Sprint("p", i), Groups: []string{h.group}, Zone: zone, Capacity: capacity, ReadsFrom: h.state}
		r.Subspecialties = append(r.Subspecialties, fields[c.weighted(len(fields), func(i int) float64 { return need[fields[i]] })])
		for range 1 + c.IntN(2) {
			if f := fields[c.weighted(len(fields), func(i int) float64 { return need[fields[i]] })]; !slices.Contains(r.Subspecialties, f) {
				r.Subspecialties = append(r.Subspecialties, f)
			}
		}
		if !c.happens(allAges) {
			r.Ages = &workflow.Ages{From: 16}
		}
		shift := rotas[c.weighted(len(rotas), func(i int) float64 { return rotas[i].share })]
		r.Shifts = []workflow.Shift{{Days: shift.days, From: shift.from, To: shift.to}}
		r.Trainee = c.happens(trainees)
		r.Locum = !r.Trainee && c.happens(locums)
		senior := !r.Trainee && !r.Locum
		r.MayAdjudicate, r.MaySupervise = senior && c.happens(adjudicates), senior && c.happens(supervises)
		if c.happens(onLeave) {
			from := cfg.Start.AddDate(0, 0, c.IntN(max(1, cfg.Days-7)))
			r.Absences = []workflow.Absence{{From: workflow.DateOf(from), To: workflow.DateOf(from.AddDate(0, 0, 6))}}
		}
		truths[r.ID] = license(&r, cfg, c)
		readers[i] = r
		if cfg.spoil.reader != nil {
			cfg.spoil.reader(&readers[i])
		}
	}
	return readers, truths
}

// license draws the licences of a reader. One that ends does so at the midnight
// after its last day, where the reader is.
func license(r *workflow.Reader, cfg Config, c chance) truth {
	t := truth{practitioner: "Practitioner/" + r.PractitionerID, licences: map[string]time.Time{}, readsFrom: r.ReadsFrom, cosigned: r.Trainee || r.Locum}
	there, _ := time.LoadLocation(zone)
	ends := c.happens(licenceEnds)
	for _, state := range states {
		if state != r.ReadsFrom && !c.happens(otherState) {
			continue
		}
		l := workflow.Licence{Jurisdiction: state, ValidFrom: "2020-01-01"}
		t.licences[state] = time.Time{}
		if ends {
			last := cfg.Start.In(there).AddDate(0, 0, c.IntN(cfg.Days))
			l.ValidTo = workflow.DateOf(last)
			t.licences[state] = time.Date(last.Year(), last.Month(), last.Day()+1, 0, 0, 0, 0, there)
		}
		r.Licences = append(r.Licences, l)
	}
	return t
}

// actor is somebody in a role.
func (s *service) actor(role access.Role, id uuid.UUID) access.Actor {
	a := access.Actor{Tenant: s.model.Tenant(), ID: id, Role: role}
	if role == access.Reader || role == access.Adjudicator || role == access.Supervisor {
		a.Reader = id
	}
	return a
}
