package fhir

// compartments say which resources belong to one Patient or Practitioner: by
// type, the reference parameters of which any one leads to it. They are those of
// FHIR R4 compartmentdefinition.html for the types that are served; a type that
// is not here is in no compartment. The root belongs to itself.
var compartments = map[string]map[string][]string{
	"Patient": {
		"AuditEvent":           {"patient"},
		"Basic":                {"patient", "author"},
		"Communication":        {"subject", "sender", "recipient"},
		"CommunicationRequest": {"subject", "sender", "recipient", "requester"},
		"Condition":            {"patient", "asserter"},
		"Consent":              {"patient"},
		"DiagnosticReport":     {"subject"},
		"DocumentReference":    {"subject", "author"},
		"Encounter":            {"patient"},
		"Group":                {"member"},
		"ImagingStudy":         {"patient"},
		"MeasureReport":        {"patient"},
		"Media":                {"subject"},
		"Observation":          {"subject", "performer"},
		"Patient":              {"link"},
		"Provenance":           {"patient"},
		"ServiceRequest":       {"subject", "performer"},
	},
	"Practitioner": {
		"AuditEvent":           {"agent"},
		"Basic":                {"author"},
		"Communication":        {"sender", "recipient"},
		"CommunicationRequest": {"sender", "recipient", "requester"},
		"Condition":            {"asserter"},
		"DiagnosticReport":     {"performer"},
		"DocumentReference":    {"subject", "author", "authenticator"},
		"Encounter":            {"practitioner", "participant"},
		"Group":                {"member"},
		"Media":                {"subject", "operator"},
		"Observation":          {"performer"},
		"Patient":              {"general-practitioner"},
		"PractitionerRole":     {"practitioner"},
		"Provenance":           {"agent"},
		"ServiceRequest":       {"performer", "requester"},
	},
}

// inCompartment are the types of a compartment, in the order of the table of
// resources; nil where there is no such compartment here.
func (s *Server) inCompartment(root string) []string {
	members := compartments[root]
	if members == nil {
		return nil
	}
	var types []string
	for _, typ := range s.typeNames {
		if _, ok := members[typ]; ok || typ == root {
			types = append(types, typ)
		}
	}
	return types
}
