package fhir

import (
	"context"
	"slices"
)

// findConsents heeds what the patient denies by Consents that the order does not
// name. One without limits denies the second opinion, unless the order names another
// that permits it; that, and one within limits, is a doubt.
func (d *dossier) findConsents(ctx context.Context, r resolver) error {
	named := consentSays(d.consents)
	seen := map[string]bool{}
	for _, n := range d.consents {
		seen[n.Text("id")] = true
	}
	patients := []string{d.patientKey}
	if id := localID(d.subject().Text("reference"), "Patient"); id != nil { // whose record may have been merged
		patients = append(patients, *id)
	}
	slices.Sort(patients)
	for _, patient := range slices.Compact(patients) {
		all, err := r.referringTo(ctx, "Consent", "patient", "Patient/"+patient)
		if err != nil {
			return err
		}
		for _, f := range all {
			if seen[f.id()] || f.Text("status") != "active" || d.ended(f) || !concernsReading(f.Node) {
				continue
			}
			switch provision := f.Get("provision"); {
			case provision.Text("type") == "deny" && named != "permit" && !limited(provision):
				d.consents = append(d.consents, f.Node)
			case denies(provision):
				d.consentDoubtful = true
			}
		}
	}
	return nil
}

// ended: the time of the Consent is over.
func (d *dossier) ended(consent found) bool {
	ends, dated := parseInterval(consent.Text("provision", "period", "end"))
	return dated && ends.high.Valid && !ends.high.Time.After(d.now)
}

// otherScopes are those of Consents that are not about who reads the images (FHIR R4
// valueset-consent-scope.html): research, and advance care directives.
var otherScopes = []string{"research", "adr"}

func concernsReading(consent *Node) bool {
	codings := consent.Each("scope", "coding")
	return len(codings) == 0 || slices.ContainsFunc(codings, func(c *Node) bool { return !slices.Contains(otherScopes, c.Text("code")) })
}

// consentLimits are the elements by which a provision is one of some data, people or
// purposes only (FHIR R4 consent-definitions.html#Consent.provision).
var consentLimits = []string{"actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision"}

func limited(provision *Node) bool {
	return slices.ContainsFunc(consentLimits, func(element string) bool { return len(provision.Each(element)) > 0 })
}

// denies tells whether the provision, or one within it, denies anything.
func denies(provision *Node) bool {
	return provision.Text("type") == "deny" || slices.ContainsFunc(provision.Each("provision"), denies)
}
