package fhir

import (
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// What leaves for an EHR speaks the EHR's language: every reference is either
// the EHR's own (whatever it once sent us goes back under its own id), or an
// entry of the same Bundle, or logical, by identifier. Nothing that is sent
// makes the EHR call us back, except in the packaging "report", where our
// Observations are named by their address here.

// ehrNames says what a resource kept here ("Patient/1") is called at the EHR.
type ehrNames struct {
	base  string            // of the EHR, "" when the tenant has none
	ours  string            // our own base
	known map[string]string // "Patient/1" -> "Patient/example"
	id    map[string]*Node  // "Patient/1" -> an Identifier of it, where the EHR's id is unknown
}

// parcel is one request to an EHR: what workflow.Delivery carries.
type parcel struct {
	Method string
	Path   string // below the EHR's base
	Body   []byte
}

// transactionParcel packs a signed version as one transaction: all of it
// arrives or nothing, and sent twice it is there once. Reports and
// Observations are updated by identifier; people and organisations are made
// only where the EHR has none of that identifier; the Provenance of a version
// is made once, found again by its tag (FHIR R4 http.html#cond-update,
// #ccreate).
func transactionParcel(names ehrNames, report *Node, observations []*Node, provenance *Node, actors []*Node) parcel {
	inside := map[string]string{}
	for _, n := range append(append([]*Node{report}, observations...), actors...) {
		inside[n.Type()+"/"+n.Text("id")] = fullURL(n)
	}
	var entries []*Node
	add := func(n *Node, request *Node) {
		sent := names.translate(n, inside)
		entries = append(entries, Object("fullUrl", fullURL(n), "resource", sent, "request", request))
	}
	for _, n := range actors {
		add(n, Object("method", "POST", "url", n.Type(), "ifNoneExist", byBestIdentifier(n)))
	}
	for _, n := range observations {
		add(n, Object("method", "PUT", "url", "Observation?"+byIdentifier(n)))
	}
	add(report, Object("method", "PUT", "url", "DiagnosticReport?"+byIdentifier(report)))
	add(provenance, Object("method", "POST", "url", "Provenance", "ifNoneExist", byTag(provenance)))
	bundle := Object("resourceType", "Bundle", "type", "transaction", "entry", entries)
	return parcel{Method: "POST", Path: "", Body: bundle.Bytes()}
}

// reportParcel packs the report alone, for EHRs that take no transactions.
func reportParcel(names ehrNames, report *Node) parcel {
	inside := map[string]string{}
	for _, o := range report.Each("result") {
		inside[o.Text("reference")] = names.ours + "/" + o.Text("reference")
	}
	return parcel{Method: "PUT", Path: "DiagnosticReport?" + byIdentifier(report), Body: names.translate(report, inside).Bytes()}
}

// translate is a copy of n as the EHR should have it: without our id and
// version, all references in the EHR's id space. inside are the references
// that the parcel itself resolves.
func (names ehrNames) translate(n *Node, inside map[string]string) *Node {
	out := n.Clone()
	out.Remove("id")
	stripMeta(out)
	out.Walk(func(_ string, n *Node) {
		if ref := n.Get("reference"); n.IsObject() && ref.IsString() {
			names.translateReference(n, inside)
		}
	})
	return out
}

// stripMeta leaves of meta what is ours to say: tags, profiles and security labels.
func stripMeta(n *Node) {
	meta := n.Get("meta")
	if meta == nil {
		return
	}
	for _, name := range []string{"versionId", "lastUpdated", "source"} {
		meta.Remove(name)
	}
	if len(meta.Names()) == 0 {
		n.Remove("meta")
	}
}

func (names ehrNames) translateReference(r *Node, inside map[string]string) {
	ref := r.Text("reference")
	if below, ok := strings.CutPrefix(ref, names.base+"/"); ok && names.base != "" {
		r.Set("reference", below)
		return
	}
	local, version, versioned := strings.Cut(ref, "/_history/")
	if to, ok := inside[local]; ok {
		r.Set("reference", to)
		return
	}
	if isAbsolute(ref) || strings.HasPrefix(ref, "#") {
		return
	}
	if own, ok := names.known[local]; ok {
		r.Set("reference", own)
		if versioned {
			// The EHR counts versions of its own; ours is said as an identifier.
			r.Set("identifier", Object("system", sidVersion, "value", local+"/_history/"+version))
		}
		return
	}
	if id := names.id[local]; id != nil {
		r.Remove("reference")
		r.Set("identifier", id.Clone())
		return
	}
	r.Set("reference", names.ours+"/"+ref)
}

func isAbsolute(ref string) bool {
	return strings.Contains(ref, "://") || strings.HasPrefix(ref, "urn:")
}

// fullURL names an entry of the Bundle: the same for the same resource, so
// that the same version is packed to the same bytes.
func fullURL(n *Node) string {
	return "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(n.Type()+"/"+n.Text("id"))).String()
}

// byIdentifier is the search that finds this resource again at the EHR.
func byIdentifier(n *Node) string {
	return condition("identifier", n.Text("identifier", "system"), n.Text("identifier", "value"))
}

// byBestIdentifier prefers a national identifier, by which the EHR may know
// the person already.
func byBestIdentifier(n *Node) string {
	for _, id := range n.Each("identifier") {
		if id.Text("system") == npi {
			return condition("identifier", npi, id.Text("value"))
		}
	}
	return byIdentifier(n)
}

func byTag(n *Node) string {
	return condition("_tag", n.Text("meta", "tag", "system"), n.Text("meta", "tag", "code"))
}

func condition(param, system, value string) string {
	return param + "=" + url.QueryEscape(system+"|"+value)
}
