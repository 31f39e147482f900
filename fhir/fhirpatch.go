package fhir

import "github.com/overread/overread/internal/fault"

func readFHIRPathPatch(*Node) (patch, error) {
	return nil, fault.New(fault.MediaType, "send a JSON Patch: Content-Type: application/json-patch+json")
}
