package fhir

import "strconv"

// provenance says of one signed version of the report who made it from what.
// The original is named in the version that was compared with, because it may
// be amended later: that is what an auditor asks for. version is that of our
// DiagnosticReport, previous the one before it or 0.
func provenance(src reportSources, version, previous int64) *Node {
	p := Object(
		"resourceType", "Provenance",
		"id", derivedID(src.Case, provenanceSlot(strconv.Itoa(src.Report.No), src.Report.Status)),
		"meta", Object("tag", []*Node{coding(sidRelease, releaseID(src.Case, src.Report.No), "")}),
		"target", provenanceTargets(src, version),
		"occurredDateTime", instant(src.Report.SignedAt),
		"recorded", instant(src.Report.SignedAt),
		"activity", provenanceActivity(src),
		"agent", provenanceAgents(src),
		"entity", provenanceEntities(src, previous),
	)
	return p
}

func provenanceSlot(no, status string) string { return "provenance-" + no + "-" + status }

// provenanceActivity is what was done to the report; that somebody signed it is
// said by the attester. Both codes and more are in the R4 binding (extensible):
// http://hl7.org/fhir/ValueSet/provenance-activity-type
func provenanceActivity(src reportSources) *Node {
	switch {
	case withdrawn(src):
		return concept(dataOperation, "NULLIFY", "nullify")
	case src.Report.No > 1:
		return concept(dataOperation, "UPDATE", "revise")
	}
	return concept(dataOperation, "CREATE", "create")
}

func provenanceTargets(src reportSources, version int64) []*Node {
	report := "DiagnosticReport/" + reportID(src.Case)
	targets := []*Node{refer(versioned(report, version), "DiagnosticReport", "")}
	if withdrawn(src) {
		return targets
	}
	for _, o := range observations(src) {
		targets = append(targets, refer("Observation/"+o.Text("id"), "Observation", ""))
	}
	return targets
}

// provenanceAgents: whose text it is are its authors, and nobody else; a third reader who
// decided that it stands, and a supervisor, have verified it, who may have written some
// of it too; whoever signed attests to it; our organisation keeps it.
func provenanceAgents(src reportSources) []*Node {
	agent := func(role, display string, who *Node) *Node {
		return Object(
			"type", concept(participant, role, display),
			"who", resourceReference(who),
			"onBehalfOf", resourceReference(src.Service))
	}
	var agents []*Node
	for _, p := range src.people() {
		if p.wrote {
			agents = append(agents, agent("author", "Author", p.Node))
		}
		if !p.wrote || p.Node == src.Supervisor {
			agents = append(agents, agent("verifier", "Verifier", p.Node))
		}
		if p.signed {
			agents = append(agents, agent("attester", "Attester", p.Node))
		}
	}
	return append(agents,
		Object("type", concept(participant, "custodian", "Custodian"), "who", resourceReference(src.Service)))
}

func provenanceEntities(src reportSources, previous int64) []*Node {
	var entities []*Node
	if src.Original != nil {
		original := src.Original.Clone()
		if ref := original.Text("reference"); ref != "" {
			original.Set("reference", versioned(ref, src.OriginalVersion))
		}
		entities = append(entities, Object("role", "source", "what", original))
	}
	if src.Study != nil {
		entities = append(entities, Object("role", "source", "what", src.Study.Clone()))
	}
	if previous > 0 {
		entities = append(entities, Object("role", "revision",
			"what", refer(versioned("DiagnosticReport/"+reportID(src.Case), previous), "DiagnosticReport", "")))
	}
	return entities
}

// versioned makes a reference version-specific; version 0 leaves it as it is.
func versioned(ref string, version int64) string {
	if version == 0 {
		return ref
	}
	return ref + "/_history/" + strconv.FormatInt(version, 10)
}
