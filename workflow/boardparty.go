package workflow

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// source is what a page of the board is taken from. Where one of several conditions
// holds, the beginning of each is taken by itself, in the order of the page: an index
// has that order for one state (case_by_state), and for no list of them.
func (q *boardQuery) source() string {
	if q.arms == nil {
		return q.from + " WHERE " + strings.Join(q.where, " AND ")
	}
	var each []string
	for _, arm := range q.arms {
		each = append(each, `(SELECT c.* FROM `+arm+` AND `+strings.Join(q.where, " AND ")+` ORDER BY `+q.order+` LIMIT @most)`) //nolint:unqueryvet // whoever reads from it names the columns
	}
	return "(" + strings.Join(each, " UNION ALL ") + ") c"
}

func (q *boardQuery) and(condition, name string, value any) {
	q.where = append(q.where, condition)
	q.args[name] = value
}

// byState is an arm for each of the states.
func (q *boardQuery) byState(states []State) (arms []string) {
	for i, state := range states {
		name := fmt.Sprint("arm", len(q.arms)+i)
		q.args[name] = state
		arms = append(arms, "case_file c WHERE c.state = @"+name)
	}
	return arms
}

// fewWaiting is up to how many cases that wait for somebody are all looked at for a
// page. Of more, the page is found by looking at the cases in its order.
const fewWaiting = 2000

// countWaiting tells whether few cases wait for a party by a time of waiting.
func (q *boardQuery) countWaiting(ctx context.Context, tx pgx.Tx, party string) error {
	counted := countedParty(party)
	if counted == "" {
		return nil
	}
	var n int
	err := tx.QueryRow(ctx, `
		SELECT count(*)
		FROM (SELECT FROM case_wait WHERE tenant_id = overread_tenant() AND party = @party AND ended_at IS NULL LIMIT @most) w`,
		pgx.NamedArgs{"party": counted, "most": fewWaiting}).Scan(&n)
	if err != nil {
		return fmt.Errorf("who waits for %s: %w", party, err)
	}
	q.few = n < fewWaiting
	return nil
}

// countedParty is the party as case_wait has it, "" where no time of waiting is counted for it.
func countedParty(party string) Party {
	for counted, words := range partyWords {
		if words == party {
			return counted
		}
	}
	return ""
}

// armsOf are those of waitsFor: a state each, and what waits by a time of waiting.
func (q *boardQuery) armsOf(party string) {
	var idle []State
	for state, who := range boardParty {
		if who == party {
			idle = append(idle, state)
		}
	}
	q.arms = q.byState(idle)
	q.arms = append(q.arms, "case_file c WHERE "+q.openFor(party))
	counted := countedParty(party)
	switch {
	case counted == "":
		return
	case q.few:
		q.arms = append(q.arms, `case_wait p JOIN case_file c ON c.tenant_id = p.tenant_id AND c.case_id = p.case_id
			WHERE p.tenant_id = overread_tenant() AND p.party = @party AND p.ended_at IS NULL AND c.state = ANY (@waits)`)
	default:
		for _, arm := range q.byState(statesFor(counted)) {
			q.arms = append(q.arms, arm+` AND (SELECT p.party FROM case_wait p WHERE p.tenant_id = c.tenant_id AND p.case_id = c.case_id AND p.ended_at IS NULL) = @party`)
		}
	}
	q.args["party"], q.args["waits"] = counted, waitingStates()
}

// openFor: the case has ended, and what is open on it waits for a party.
func (q *boardQuery) openFor(party string) string {
	q.args["openFor"] = party
	return openAtTheEnd + ` AND (SELECT o.party FROM (` + openMatter + `) o) = @openFor`
}

// statesFor are those in which a case may wait for a party: what the table of waits
// gives to the placer may be the others' by the finding (notThePlacers, waitOf).
func statesFor(party Party) (all []State) {
	for _, row := range waits {
		if row.Party == party || party != WaitsForPlacer {
			all = append(all, row.State)
		}
	}
	return all
}

// waitsFor: by a time of waiting that has not ended, by the state, or by what is open.
func (q *boardQuery) waitsFor(party string) {
	var states []State
	for state, who := range boardParty {
		if who == party {
			states = append(states, state)
		}
	}
	q.args["idle"] = states
	either := []string{"c.state = ANY (@idle)", q.openFor(party)}
	for counted, words := range partyWords {
		if words == party { // asked of each case in its turn, and not of all that wait at once
			either = append(either, `c.state = ANY (@waits) AND (SELECT p.party FROM case_wait p WHERE p.tenant_id = c.tenant_id AND p.case_id = c.case_id AND p.ended_at IS NULL) = @party`)
			q.args["party"], q.args["waits"] = counted, waitingStates()
		}
	}
	q.where = append(q.where, "("+strings.Join(either, " OR ")+")")
}

// waitingStates are those in which a time of waiting is counted.
func waitingStates() (all []State) {
	for _, row := range waits {
		all = append(all, row.State)
	}
	return all
}
