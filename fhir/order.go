package fhir

import (
	"cmp"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// ValueSet is a set of codes, listed one by one.
type ValueSet []workflow.Coding

// SecondOpinionCodes are the codes that ask for a second opinion when an
// operator configures no others.
var SecondOpinionCodes = ValueSet{
	{System: dicom, Code: "111418", Display: "Review of an outside study"},
	{System: loinc, Code: "73575-3", Display: "Radiology Consult note"},
}

// Has tells whether one of the codings of a CodeableConcept, or of a list of
// them, is in the set.
func (v ValueSet) Has(concept *Node) bool {
	for _, c := range v {
		if hasCode(concept, c.System, c.Code) {
			return true
		}
	}
	return false
}

// asksForSecondOpinion tells whether a ServiceRequest is an order for us: it
// is in force, it authorises (a proposal or a plan does not, FHIR R4
// valueset-request-intent.html), and one of its codes says second opinion.
func asksForSecondOpinion(sr *Node, codes ValueSet) bool {
	return sr.Text("status") == "active" && authorises[sr.Text("intent")] && sr.Text("doNotPerform") != "true" && meansSecondOpinion(sr, codes)
}

// understood refuses an order, or a Task for one, that says something which may
// turn its meaning round and which we do not know: FHIR R4
// extensibility.html#modifierExtension, resource.html#implicitRules.
func understood(n *Node) error {
	for _, name := range []string{"modifierExtension", "implicitRules"} {
		if n.Get(name) != nil {
			return fault.At(fault.BusinessRule, n.Type()+"."+name, "this may change what the order means, and it is not understood here: no case can run on it; send the order without it")
		}
	}
	return nil
}

var authorises = map[string]bool{
	"order": true, "original-order": true, "reflex-order": true, "filler-order": true, "instance-order": true,
}

func meansSecondOpinion(sr *Node, codes ValueSet) bool {
	return codes.Has(sr.Get("category")) || codes.Has(sr.Get("code")) ||
		hasCode(sr.Get("reasonCode"), v2Referral, "S")
}

// orderOf maps a ServiceRequest that is kept here to the order of a case whose
// Task has this id. It returns a fault of kind Required when the order has no
// number of its placer, BusinessRule when it is not understood.
func orderOf(sr *Node, taskID string) (workflow.Order, error) {
	if err := understood(sr); err != nil {
		return workflow.Order{}, err
	}
	placer, err := placerIdentifier(sr)
	if err == nil {
		err = placer.checkLength("ServiceRequest.identifier")
	}
	if err != nil {
		return workflow.Order{}, err
	}
	id := sr.Text("id")
	return workflow.Order{
		PlacerSystem:      placer.system,
		PlacerValue:       placer.value,
		ServiceRequestID:  &id,
		ServiceRequestRef: "ServiceRequest/" + id,
		TaskID:            taskID,
		PatientID:         localID(sr.Text("subject", "reference"), "Patient"),
		Priority:          priorityOf(sr),
		Asked:             orNone(protocolAsked(sr)),
	}, nil
}

// protocolAsked is what the order wants of the reading protocol: codes of ours in
// orderDetail, which says how what is ordered is to be done (FHIR R4
// servicerequest-definitions.html#ServiceRequest.orderDetail); nil for nothing.
func protocolAsked(sr *Node) *workflow.ProtocolWish {
	var asked workflow.ProtocolWish
	for _, c := range sr.Each("orderDetail", "coding") {
		if c.Text("system") != csProtocol {
			continue
		}
		if w, ok := workflow.ProtocolWishOf(c.Text("code")); ok {
			asked.Protocol, asked.Reading = cmp.Or(w.Protocol, asked.Protocol), cmp.Or(w.Reading, asked.Reading)
		}
	}
	if asked == (workflow.ProtocolWish{}) {
		return nil
	}
	return &asked
}

func orNone(w *workflow.ProtocolWish) workflow.ProtocolWish {
	if w == nil {
		return workflow.ProtocolWish{}
	}
	return *w
}

// asksProtocol tells whether a detail of the order is about the protocol, and
// not about the exam.
func asksProtocol(detail *Node) bool {
	return slices.ContainsFunc(detail.Each("coding"), func(c *Node) bool { return c.Text("system") == csProtocol })
}

// businessIdentifier is an Identifier that can be compared: both parts are there.
type businessIdentifier struct{ system, value string }

// longestIdentifier bounds what becomes the key of a case, system and value
// together, in bytes. PostgreSQL takes 2700 bytes of a key.
const longestIdentifier = 1024

// checkLength returns a fault of kind Value for what is too long for a key.
func (b businessIdentifier) checkLength(at string) error {
	if len(b.system)+len(b.value) > longestIdentifier {
		return fault.At(fault.Value, at, "the placer's order number, its system and value together, is longer than %d bytes", longestIdentifier)
	}
	return nil
}

// placerIdentifier is the number under which the placer knows its order, which
// makes one case of however many copies arrive: the identifier of type PLAC,
// else the first that is neither a filler's number nor an accession number
// (accession numbers are not unique, and belong to the first reading).
func placerIdentifier(sr *Node) (businessIdentifier, error) {
	var other *businessIdentifier
	for _, id := range sr.Each("identifier") {
		found := businessIdentifier{id.Text("system"), id.Text("value")}
		if found.system == "" || found.value == "" {
			continue
		}
		switch {
		case hasCode(id.Get("type"), v2Identifier, "PLAC"):
			return found, nil
		case hasCode(id.Get("type"), v2Identifier, "FILL"), hasCode(id.Get("type"), v2Identifier, "ACSN"):
		case other == nil:
			other = &found
		}
	}
	if other == nil {
		return businessIdentifier{}, fault.At(fault.Required, "ServiceRequest.identifier",
			"an order for a second opinion needs the placer's order number: an identifier with system and value, of type v2-0203|PLAC (or at least neither FILL nor ACSN), so that the same order sent twice opens one case")
	}
	return *other, nil
}

// priorityOf is the priority of a request or Task; FHIR R4 says that an absent
// one means routine.
func priorityOf(n *Node) string {
	if p := n.Text("priority"); p != "" {
		return p
	}
	return "routine"
}

// localID is the id in a reference to a resource of this type that is kept
// here ("Patient/1" or "Patient/1/_history/2"), or nil.
func localID(ref, typ string) *string {
	rest, ok := strings.CutPrefix(ref, typ+"/")
	if !ok {
		return nil
	}
	id, _, _ := strings.Cut(rest, "/_history/")
	if id == "" || strings.Contains(id, "/") {
		return nil
	}
	return &id
}

// localIDs are the ids of what these References name of a type that is kept here.
func localIDs(refs []*Node, typ string) []string {
	ids := []string{}
	for _, ref := range refs {
		if id := localID(ref.Text("reference"), typ); id != nil {
			ids = append(ids, *id)
		}
	}
	return ids
}
