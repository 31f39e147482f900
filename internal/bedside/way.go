package bedside

import (
	"slices"

	"github.com/overread/overread/workflow"
)

// Step is a part of the way of a case.
type Step struct {
	Name string // in English
	Done bool
	Now  bool
}

// way is what a clinician sees of the way of a case: the states of each part.
var way = []struct {
	name   string
	states []workflow.State
}{
	{"Order received", []workflow.State{workflow.Received, workflow.IntakeReview, workflow.AwaitingInformation, workflow.AwaitingImages}},
	{"Waiting for a reader", []workflow.State{workflow.Ready, workflow.Unassignable, workflow.Offered}},
	{"Being read", []workflow.State{workflow.Accepted, workflow.Reading, workflow.Locked, workflow.Conferring, workflow.Arbitration}},
	{"Compared with the original", []workflow.State{workflow.Comparing, workflow.Adjudication, workflow.AwaitingCosign}},
	{"Signed", []workflow.State{workflow.Final, workflow.Amending}},
	{"Acknowledged", []workflow.State{workflow.Closed}},
}

// Way are the names of its parts, for those who translate them.
func Way() (names []string) {
	for _, part := range way {
		names = append(names, part.name)
	}
	return names
}

// partOf is where on the way a state is, -1 where it is not.
func partOf(state workflow.State) int {
	for i, part := range way {
		if slices.Contains(part.states, state) {
			return i
		}
	}
	return -1
}

// StateWords is a state as a clinician understands it, in English.
func StateWords(state workflow.State) string {
	if at := partOf(state); at >= 0 {
		return way[at].name
	}
	return state.Info().Display
}

// StepsOf is how far a case is: of one on hold, how far it was. Nothing for one that
// has left the way.
func StepsOf(c workflow.Case) []Step {
	state := c.State
	if state == workflow.OnHold && c.ResumeState != nil {
		state = *c.ResumeState
	}
	at := partOf(state)
	if at < 0 {
		return nil
	}
	steps := make([]Step, len(way))
	for i, part := range way {
		steps[i] = Step{Name: part.name, Done: i < at, Now: i == at}
	}
	return steps
}
