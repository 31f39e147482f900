package workflow

import "slices"

// MovingEvents are those that can make a case another patient's.
func MovingEvents() (names []string) {
	moves := []string{followPatient.Name, takeCorrection.Name, noteFacts.Name}
	for _, row := range Transitions {
		if slices.ContainsFunc(row.Effects, func(e Effect) bool { return slices.Contains(moves, e.Name) }) && !slices.Contains(names, string(row.Event)) {
			names = append(names, string(row.Event))
		}
	}
	return names
}

func orNothing(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
