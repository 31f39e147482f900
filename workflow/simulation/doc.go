// Package simulation lets a national service of second opinions live through some
// weeks in a minute: hospitals that order, readers with shifts and licences,
// coordinators and clinicians, all drawn from a seed. What happens to a case is
// decided by the rules that the server runs (workflow.Model); only what people do,
// and when, is made up here.
//
// Read habit.go first: it has every number that is assumed, with its source where
// there is one. service.go is the loop, order.go what placers do, desk.go what
// readers do. checker.go watches the events and knows none of the engine's code.
package simulation
