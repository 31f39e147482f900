package fhir

import (
	"bytes"
	"maps"
	"slices"
)

// A report has one status, and each of its Observations one of its own: what an EHR
// shows beside a value is what has become of that value, in any version up to this one
// (FHIR R4 valueset-observation-status.html). An addendum leaves what stands as it was,
// and a correction changes what it corrects.

// unmended is the status of an Observation that nothing has changed since the signature.
func unmended(report string) string {
	switch report {
	case "preliminary", "entered-in-error":
		return report
	}
	return "final"
}

// mended gives the Observations of a version that say something else than they once did
// the status "corrected", or "amended" where no change of theirs was a correction. That
// stays, whatever later versions do.
func mended(src reportSources, current []*Node) {
	versions := append(slices.Clone(src.History), src.Report)
	corrected, amended := map[string]bool{}, map[string]bool{}
	said := map[string][]byte{} // by id, in the version before; empty for what was taken back
	for i, r := range versions {
		at := src
		at.Report, at.History = r, versions[:i]
		now := map[string][]byte{}
		for _, o := range parts(at) {
			now[o.Text("id")] = saysNow(o)
		}
		for id, before := range said {
			switch {
			case bytes.Equal(before, now[id]):
			case r.Status == "corrected":
				corrected[id] = true
			default:
				amended[id] = true
			}
			said[id] = nil
		}
		maps.Copy(said, now)
	}
	for _, o := range current {
		switch id := o.Text("id"); {
		case o.Text("status") != "final":
		case corrected[id]:
			o.Set("status", "corrected")
		case amended[id]:
			o.Set("status", "amended")
		}
	}
}

// observed are the elements in which an Observation says what was observed.
var observed = []string{"code", "bodySite", "valueString", "valueCodeableConcept", "valueQuantity", "note", "component"}

func saysNow(o *Node) []byte {
	said := Object("resourceType", "Observation")
	for _, name := range observed {
		if value := o.Get(name); value != nil {
			said.Set(name, value.Clone())
		}
	}
	return said.Bytes()
}
