package dicomweb

import (
	"strings"
	"time"

	"github.com/overread/overread/workflow"
)

// person is the patient of a result, in our words.
func person(d dataset, a workflow.Archive) (workflow.Person, error) {
	ids, err := identifiers(d, a)
	if err != nil {
		return workflow.Person{}, err
	}
	p := workflow.Person{IDs: ids}
	groups, err := d.names(tagPatientName)
	if err != nil {
		return workflow.Person{}, err
	}
	for _, group := range groups {
		if name := personName(group); name != (workflow.PersonName{}) {
			p.Names = append(p.Names, name)
		}
	}
	born, err := d.text(tagBirthDate)
	if err != nil {
		return workflow.Person{}, err
	}
	sex, err := d.text(tagSex)
	p.BirthDate, p.Sex = isoDate(born), sexes[strings.ToUpper(sex)]
	return p, err
}

// sexes, DICOM PS3.3 section C.7.1.1.
var sexes = map[string]string{"M": "male", "F": "female", "O": "other"}

// personName: family^given^middle^prefix^suffix, PS3.5 section 6.2.1.
func personName(group string) workflow.PersonName {
	parts := strings.Split(group, "^")
	name := workflow.PersonName{Family: strings.TrimSpace(parts[0])}
	if len(parts) > 1 {
		name.Given = strings.TrimSpace(parts[1])
	}
	return name
}

// isoDate is a DA, PS3.5 section 6.2; "" where it is none. 1970.01.02 is how
// ACR-NEMA wrote it.
func isoDate(da string) string {
	at, err := time.Parse("20060102", strings.ReplaceAll(da, ".", ""))
	if err != nil {
		return ""
	}
	return at.Format(time.DateOnly)
}

// identifiers are PatientID and OtherPatientIDsSequence, each with its issuer.
func identifiers(d dataset, a workflow.Archive) ([]workflow.PersonID, error) {
	all := []dataset{d}
	others, err := d.items(tagOtherIDs)
	if err != nil {
		return nil, err
	}
	var ids []workflow.PersonID
	for _, one := range append(all, others...) {
		value, err := one.text(tagPatientID)
		if err != nil {
			return nil, err
		}
		if value == "" {
			continue
		}
		issuer, err := one.text(tagPatientIssuer)
		if err != nil {
			return nil, err
		}
		system, err := systemOf(one, tagIssuerQualifiers, issuer, a)
		if err != nil {
			return nil, err
		}
		ids = append(ids, workflow.PersonID{System: system, Value: value})
	}
	return ids, nil
}

// systemOf is the FHIR identifier system of an issuer: what the operator says
// that the PACS means by its name, else its universal identifier (HL7 v2
// hierarchic designator, PS3.3 table 10-17); "" where nobody knows.
func systemOf(d dataset, sequence, namespace string, a workflow.Archive) (string, error) {
	qualifiers, err := d.items(sequence)
	if err != nil {
		return "", err
	}
	for _, q := range qualifiers {
		if namespace == "" {
			if namespace, err = q.text(tagLocalNamespace); err != nil {
				return "", err
			}
		}
	}
	if system := a.Issuers[namespace]; system != "" {
		return system, nil
	}
	for _, q := range qualifiers {
		id, err := q.text(tagUniversalID)
		if err != nil {
			return "", err
		}
		kind, err := q.text(tagUniversalType)
		if err != nil {
			return "", err
		}
		switch {
		case id == "":
		case kind == "ISO":
			return "urn:oid:" + id, nil
		case kind == "URI":
			return id, nil
		case kind == "UUID":
			return "urn:uuid:" + strings.ToLower(id), nil
		}
	}
	return "", nil
}
