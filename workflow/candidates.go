package workflow

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Judged is a reader as a candidate for a case.
type Judged struct {
	Reader      Reader
	Reasons     []string // why they may have no part in the case; none: they are eligible
	Unavailable []string // of who is eligible, why the server does not offer it to them now; a coordinator may
	Rank        int      // of those to whom the server would offer it, from 1; else 0
	Score       float64  // of who has a rank
	Parts       Parts
}

// DutyOf is what a reader is wanted for next in a case.
func DutyOf(s State) Duty {
	switch s {
	case Adjudication, Arbitration:
		return ToAdjudicate
	case AwaitingCosign:
		return ToSupervise
	}
	return ToRead
}

// CandidatesTx judges every reader of the tenant for a duty in a case, by the same
// rules as the matching: those with a rank first, then who is eligible but not
// available, then the others.
func CandidatesTx(ctx context.Context, tx pgx.Tx, c *Case, duty Duty, now time.Time) ([]Judged, error) {
	readers, err := ReadersTx(ctx, tx, c.Policy.Matching.FairDays)
	if err != nil {
		return nil, err
	}
	need, err := needTx(ctx, tx, c, duty)
	if err != nil {
		return nil, err
	}
	if need.Due, err = DueTx(ctx, tx, c.CaseID); err != nil {
		return nil, err
	}
	return judgeAll(need, c, readers, now), nil
}

func judgeAll(need Need, c *Case, readers []Reader, now time.Time) []Judged {
	offered := need
	offered.Offered, offered.Declined, offered.Lapsed = true, c.Declined, c.Lapsed
	ranked, reasons := Rank(offered, readers, now)
	var all []Judged
	for i, candidate := range ranked {
		all = append(all, Judged{Reader: *candidate.Reader, Rank: i + 1, Score: candidate.Score, Parts: candidate.Parts})
	}
	rest := len(all)
	for _, r := range readers {
		if reasons[r.ID] == nil {
			continue
		}
		j := Judged{Reader: r, Reasons: Eligible(need, r, now)}
		if j.Reasons == nil {
			j.Unavailable = reasons[r.ID]
		}
		all = append(all, j)
	}
	slices.SortFunc(all[rest:], func(a, b Judged) int {
		return cmp.Or(cmp.Compare(len(a.Reasons), len(b.Reasons)), cmp.Compare(a.Reader.Display, b.Reader.Display), slices.Compare(a.Reader.ID[:], b.Reader.ID[:]))
	})
	return all
}

// Expiry is something of a reader's credentials that ends, or has ended.
type Expiry struct {
	Reader Reader
	What   string // "licence for US-NY", "privilege for neuro", "credentialing here"
	Last   Date   // its last day
}

// Expiring is what ends within so many days, or has ended and was not renewed: per
// reader and kind the last day that there is. The soonest comes first.
func Expiring(readers []Reader, at time.Time, days int) (all []Expiry) {
	for _, r := range readers {
		until := DateOf(r.local(at).AddDate(0, 0, days))
		last := map[string]Date{}
		note := func(what string, to Date) {
			if to == "" {
				to = "9999-12-31"
			}
			last[what] = max(last[what], to)
		}
		for _, l := range r.Licences {
			note(Phrase("licence for %s", l.Jurisdiction), l.ValidTo)
		}
		for _, s := range r.scopes() {
			for _, name := range s.Subspecialties {
				note(Phrase("privilege for %s", name), s.ValidTo)
			}
		}
		note(Phrase("credentialing here"), r.ValidTo)
		for what, to := range last {
			if to <= until {
				all = append(all, Expiry{r, what, to})
			}
		}
	}
	slices.SortFunc(all, func(a, b Expiry) int {
		return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(a.Reader.Display, b.Reader.Display), cmp.Compare(a.What, b.What))
	})
	return all
}
