package fhir

import (
	"slices"

	"github.com/overread/overread/workflow"
)

// Why a second opinion is asked for is a code of CodeSystem second-opinion-reason
// in ServiceRequest.reasonCode. Some of the codes tell what the first report says:
// an order with one of these is withheld from blinded readers as the report is, and
// the words that stand beside the code do not get into the Task.

// tellingReason tells whether a CodeableConcept has such a code.
func tellingReason(reason *Node) bool {
	return slices.ContainsFunc(workflow.Reasons, func(r workflow.Reason) bool {
		return r.Tells && hasCode(reason, workflow.ReasonSystem, r.Code)
	})
}

// tellsOfOriginal tells whether one of the reasons of an order, or of a Task, does.
func tellsOfOriginal(n *Node) bool { return slices.ContainsFunc(n.Each("reasonCode"), tellingReason) }

// withoutTelling is the order without them.
func withoutTelling(order *Node) *Node {
	if !tellsOfOriginal(order) {
		return order
	}
	order = order.Clone()
	order.Set("reasonCode", slices.DeleteFunc(order.Each("reasonCode"), tellingReason))
	return order
}

// hasSystem tells whether a coding of a list of CodeableConcepts is of this system.
func hasSystem(concepts *Node, system string) bool {
	return slices.ContainsFunc(concepts.Each("coding"), func(c *Node) bool { return c.Text("system") == system })
}
