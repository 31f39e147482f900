package fhir

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/overread/overread/internal/access"
)

// gallery is a server with resources of many kinds of values, by name.
func gallery(t *testing.T) (*rest, map[string]string) {
	t.Helper()
	r := startREST(t)
	ids := map[string]string{}
	for _, row := range []struct{ name, body string }{
		{"ann", `{"resourceType":"Patient","gender":"female","active":false,"name":[{"family":"Carreno Quiñones","given":["Ann-Marie"]}],"birthDate":"1980-02-29",
			"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}],"text":"Medical record"},"system":"urn:mrn","value":"A1"}],
			"telecom":[{"system":"email","value":"Ann@Example.org"}],"address":[{"city":"St. John's","line":["O'Connell Street 5"]}]}`},
		{"bob", `{"resourceType":"Patient","gender":"male","deceasedDateTime":"2020","name":[{"family":"Rupert"}],"_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},
			"managingOrganization":{"identifier":{"system":"urn:org","value":"7"},"display":"Seven"},"meta":{"tag":[{"system":"urn:tags","code":"VIP"}],"profile":["http://acme.org/fhir/StructureDefinition/p|1.0"],"source":"http://acme.org/source/1","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}}`},
		{"weight", `{"resourceType":"Observation","status":"final","code":{"text":"Body weight","coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body Weight Measured"},{"system":"urn:local","code":"Wt"}]},"subject":{"reference":"Patient/{ann}"},
			"valueQuantity":{"value":5.4,"unit":"kilo","system":"http://unitsofmeasure.org","code":"kg"}}`},
		{"low", `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"crp"}]},"valueQuantity":{"value":0.0054,"comparator":"<","unit":"mg/l"}}`},
		{"minus", `{"resourceType":"Observation","status":"amended","code":{"coding":[{"code":"be"}]},"valueQuantity":{"value":-2.0,"unit":"mmol/l"}}`},
		{"pressure", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"component":[
			{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
			{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":60,"system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`},
		{"ecg", `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"ecg"}]},"valueSampledData":{"origin":{"value":10,"unit":"mV"},"period":10,"factor":2,"dimensions":1,"data":"1 E -3 4"}}`},
		{"grade", `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"g1"}]},"valueCodeableConcept":{"text":"Grade A, certain","coding":[{"system":"urn:grades","code":"A"}]}}`},
		{"note", `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"n1"}]},"valueString":"Nodule, 5 mm"}`},
		{"seen", `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"d1"}]},"valueDateTime":"2024-05-06"}`},
		{"group", `{"resourceType":"Group","type":"person","actual":false,"characteristic":[{"code":{"coding":[{"code":"smoker"}]},"valueBoolean":true,"exclude":false},{"code":{"coding":[{"code":"sex"}]},"valueCodeableConcept":{"coding":[{"code":"f"}]},"exclude":true}]}`},
		{"asthma", `{"resourceType":"Condition","subject":{"reference":"Patient/{ann}"},"onsetRange":{"low":{"value":5,"unit":"a"},"high":{"value":7,"unit":"a"}}}`},
		{"gout", `{"resourceType":"Condition","subject":{"reference":"Group/{group}"},"onsetAge":{"value":52,"unit":"years","system":"http://unitsofmeasure.org","code":"a"},"abatementString":"in spring","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"inactive"}]}}`},
		{"old", `{"resourceType":"DocumentReference","status":"superseded","content":[{"attachment":{"url":"http://acme.org/doc/1"}}]}`},
		{"new", `{"resourceType":"DocumentReference","status":"current","relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/{old}"}},{"code":"appends","target":{"identifier":{"value":"d9"}}}],"content":[{"attachment":{"url":"http://acme.org/doc/12"}}]}`},
		{"stay", `{"resourceType":"Encounter","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"length":{"value":3.50,"unit":"d","system":"http://unitsofmeasure.org","code":"d"}}`},
	} {
		body := row.body
		for name, id := range ids {
			body = strings.ReplaceAll(body, "{"+name+"}", id)
		}
		typ, _, _ := strings.Cut(strings.TrimPrefix(body, `{"resourceType":"`), `"`)
		ids[row.name] = r.mustCreate(typ, body)
	}
	return r, ids
}

func TestEveryFormOfAValueFindsWhatItMeans(t *testing.T) {
	t.Parallel()
	r, ids := gallery(t)
	for question, want := range map[string]string{
		// FHIR R4 search.html#modifiers: a value that is only an extension is missing
		"Patient?birthdate:missing=true":                     "bob",
		"Patient?birthdate:missing=false":                    "ann",
		"Patient?organization:missing=false":                 "bob",
		"Patient?family:missing=true":                        "",
		"Patient?deceased:missing=true":                      "",
		"Observation?value-quantity:missing=0":               "!value",
		"Observation?component-value-quantity:missing=false": "pressure",
		"Condition?patient:missing=true":                     "gout", // its subject is a Group

		// tokens
		"Patient?deceased=true":  "bob",
		"Patient?deceased=false": "ann",
		"Patient?gender=http://hl7.org/fhir/administrative-gender|male": "bob",
		"Patient?gender=http://hl7.org/fhir/administrative-gender|":     "ann bob",
		"Patient?gender=|male":           "bob",
		"Patient?gender=urn:other|male":  "",
		"Patient?gender=MALE":            "",
		"Patient?gender:not=male":        "ann",
		"Patient?gender:not=male,female": "",
		"Patient?identifier=a1":          "", // identifiers are case sensitive
		"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|A1": "ann",
		"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|A2": "",
		"Patient?identifier:of-type=urn:mrn|MR|A1":                                       "",
		"Patient?identifier:text=medical":                                                "ann",
		"Patient?email=ann@example.ORG":                                                  "ann",
		"Patient?_tag=vip":                                                               "bob", // of an unknown code system
		"Patient?_tag=urn:tags|vip":                                                      "bob",
		"Patient?_security=r":                                                            "", // HL7's are case sensitive
		"Patient?_security=R":                                                            "bob",
		"Observation?code=wt":                                                            "weight",
		"Observation?code:text=weight":                                                   "weight",
		"Observation?code:text=MEASURED":                                                 "weight",
		"Observation?code:text=kilo":                                                     "",
		"Observation?code:not=http://loinc.org|&status=amended":                          "minus",
		"Observation?combo-code=http://loinc.org|8480-6":                                 "pressure",

		// texts
		"Patient?family=quinones":                 "ann",
		"Patient?family=Carreno%20Q":              "ann",
		"Patient?family:exact=Carreno%20Quiñones": "ann",
		"Patient?family:exact=Quiñones":           "",
		"Patient?given=marie":                     "ann",
		"Patient?phonetic=Robert":                 "bob",
		"Patient?phonetic=Carrenno":               "ann",
		"Patient?address-city=st%20johns":         "ann",
		"Patient?address=oconnell":                "ann",
		"Patient?address:contains=street":         "ann",
		"Observation?value-string=nodule%205":     "note",
		"Observation?value-string=grade":          "grade", // of the concept's text
		"Condition?abatement-string=In%20Spring":  "gout",

		// URIs
		"Patient?_source=http://acme.org/source/1":                          "bob",
		"Patient?_source=http://acme.org/source":                            "",
		"Patient?_profile=http://acme.org/fhir/StructureDefinition/p":       "bob",
		"Patient?_profile=http://acme.org/fhir/StructureDefinition/p|1.0":   "bob",
		"Patient?_profile=http://acme.org/fhir/StructureDefinition/p|2.0":   "",
		"DocumentReference?location:below=http://acme.org/doc/":             "new old",
		"DocumentReference?location:below=http://acme.org/doc/12":           "new",
		"DocumentReference?location:above=http://acme.org/doc/1/_history/2": "old",

		// references
		"Patient?organization:identifier=urn:org|7":           "bob",
		"Condition?subject:Patient={ann}":                     "asthma",
		"Condition?subject:Group=Group/{group}":               "gout",
		"Condition?subject:Patient=Group/{group}":             "!value",
		"DocumentReference?relatesto:identifier=d9":           "new",
		"DocumentReference?relatesto:DocumentReference={old}": "new",

		// FHIR R4 search.html#number and #quantity
		"Observation?value-quantity=5.4":                              "weight",
		"Observation?value-quantity=5":                                "weight",
		"Observation?value-quantity=5.40":                             "weight",
		"Observation?value-quantity=5.41":                             "",
		"Observation?value-quantity=54e-1":                            "weight",
		"Observation?value-quantity=ne5.4":                            "ecg low minus",
		"Observation?value-quantity=gt5.4":                            "ecg",
		"Observation?value-quantity=ge5.4":                            "ecg weight",
		"Observation?value-quantity=lt5.4":                            "ecg low minus",
		"Observation?value-quantity=le5.4":                            "ecg low minus weight",
		"Observation?value-quantity=sa5.3":                            "weight",
		"Observation?value-quantity=eb5.4":                            "low minus",
		"Observation?value-quantity=ap5":                              "ecg weight",
		"Observation?value-quantity=ap8":                              "ecg",
		"Observation?value-quantity=5.40e-3":                          "", // <0.0054 may be anything below
		"Observation?value-quantity=lt0.001":                          "low minus",
		"Observation?value-quantity=-2":                               "minus",
		"Observation?value-quantity=gt17.9":                           "ecg", // 10 + 2 * 4
		"Observation?value-quantity=gt18":                             "",
		"Observation?value-quantity=lt4.1":                            "ecg low minus", // 10 + 2 * -3
		"Observation?value-quantity=5.4|http://unitsofmeasure.org|kg": "weight",
		"Observation?value-quantity=5.4|http://unitsofmeasure.org|g":  "",
		"Observation?value-quantity=5.4||kg":                          "weight",
		"Observation?value-quantity=5.4||kilo":                        "weight",
		"Observation?value-quantity=gt1||kg,lt-1||mmol/l":             "minus weight",
		"Observation?component-value-quantity=107":                    "pressure",
		"Observation?combo-value-quantity=60||mm[Hg]":                 "pressure",
		"Condition?onset-age=gt6":                                     "asthma gout",
		"Condition?onset-age=gt7":                                     "gout",
		"Condition?onset-age=52||years":                               "gout",
		"Encounter?length=3.5||d":                                     "stay",

		// composites
		"Observation?code-value-quantity=http://loinc.org|29463-7$gt5||kg":      "weight",
		"Observation?code-value-quantity=29463-7$5.4":                           "weight",
		"Observation?code-value-quantity=29463-7$gt6":                           "",
		"Observation?code-value-quantity=crp$5.4,wt$5.4":                        "weight",
		"Observation?code-value-quantity=http://loinc.org|$lt100":               "weight",
		"Observation?component-code-value-quantity=http://loinc.org|8480-6$107": "pressure",
		"Observation?component-code-value-quantity=http://loinc.org|8480-6$60":  "", // of the other component
		"Observation?combo-code-value-quantity=http://loinc.org|8462-4$lt90":    "pressure",
		"Observation?combo-code-value-quantity=http://loinc.org|29463-7$lt90":   "weight",
		"Observation?code-value-concept=g1$urn:grades|a":                        "grade",
		"Observation?code-value-concept=g2$urn:grades|a":                        "",
		"Observation?combo-code-value-concept=g1$A":                             "grade",
		"Observation?code-value-string=n1$nodule":                               "note",
		"Observation?code-value-date=d1$gt2024-05":                              "",
		"Observation?code-value-date=d1$2024-05":                                "seen",
		"DocumentReference?relationship=DocumentReference/{old}$replaces":       "new",
		"DocumentReference?relationship=DocumentReference/{old}$appends":        "",
		"Group?characteristic-value=smoker$true":                                "group",
		"Group?characteristic-value=smoker$f":                                   "",
		"Group?characteristic-value=sex$f":                                      "group",
	} {
		path := question
		for name, id := range ids {
			path = strings.ReplaceAll(path, "{"+name+"}", id)
		}
		if strings.HasPrefix(want, "!") {
			r.get("/fhir/"+path).want(t, http.StatusBadRequest, want[1:])
			continue
		}
		typ, query, _ := strings.Cut(path, "?")
		got := r.get("/fhir/" + typ + "?" + strings.ReplaceAll(query, " ", "%20"))
		names := []string{}
		for _, id := range got.ids() {
			for name := range ids {
				if ids[name] == id {
					names = append(names, name)
				}
			}
		}
		slices.Sort(names)
		if got.status != http.StatusOK || strings.Join(names, " ") != want {
			t.Errorf("%s finds %q, want %q (%d %s)", question, strings.Join(names, " "), want, got.status, got.node.Text("issue", "details", "text"))
		}
	}
}

func TestAModifierOrFormThatMeansNothingIsRefused(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for question, code := range map[string]string{
		"Patient?gender:in=x":                                    "not-supported",
		"Patient?gender:below=male":                              "not-supported",
		"Patient?gender:exact=male":                              "not-supported",
		"Patient?gender:of-type=a|b|c":                           "not-supported",
		"Patient?identifier:of-type=a|b":                         "value",
		"Patient?identifier:of-type=|b|c":                        "value",
		"Patient?birthdate:exact=2020":                           "not-supported",
		"Patient?family:not=x":                                   "not-supported",
		"Patient?phonetic:contains=x":                            "not-supported",
		"Patient?organization:above=x":                           "not-supported",
		"Patient?organization:Organisation=x":                    "not-supported",
		"Patient?organization:Organization=Patient/1":            "value",
		"Patient?phone=phone|555":                                "value",
		"Patient?_id:missing=true":                               "not-supported",
		"Patient?_lastUpdated:missing=true":                      "not-supported",
		"Patient?_text=x":                                        "not-supported",
		"Observation?value-quantity=heavy":                       "value",
		"Observation?value-quantity=5.4|kg":                      "value",
		"Observation?value-quantity=5.4||":                       "value",
		"Observation?value-quantity=1e99999":                     "value",
		"Observation?value-quantity=" + strings.Repeat("9", 500): "value",
		"Observation?value-quantity:exact=5":                     "not-supported",
		"Observation?code-value-quantity=a":                      "value",
		"Observation?code-value-quantity=a$1$2":                  "value",
		"Observation?code-value-quantity=a$b":                    "value",
		"Observation?code-value-quantity:missing=true":           "not-supported",
		"Location?near=1|2":                                      "not-supported",
	} {
		typ, query, _ := strings.Cut(question, "?")
		got := r.get("/fhir/" + typ + "?" + query)
		if got.status != http.StatusBadRequest || got.node.Text("issue", "code") != code {
			t.Errorf("%s: %d %s", question, got.status, got.body)
		}
	}
}

// What SQL finds among stored resources is what memory finds among them.
func TestSQLAndMemoryAgree(t *testing.T) {
	t.Parallel()
	r, _ := gallery(t)
	ctx := context.Background()
	values := []string{
		"1", "5.4", "5", "gt5", "lt6.0", "ge5.4", "le5.4", "ne5", "sa5", "eb5", "ap5", "-2", "5.4||kg", "107|http://unitsofmeasure.org|mm[Hg]",
		"2020", "ge2000-01", "lt2024-05-06T00:00:00Z", "ap1980", "eb1990", "ne2020",
		"true", "final", "male", "A1", "wt", "http://loinc.org|", "|crp", "http://loinc.org|85354-9", "urn:mrn|A1", "g1$A", "crp$lt1", "29463-7$5.4",
		"ann", "a", "Quinones", "nodule", "http://acme.org/fhir/Measure/agreement", "http://acme.org/", "Patient/1", "1,2", "final,amended",
	}
	err := r.db.Tenant(ctx, r.tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT type, id, version, last_updated, deleted, body FROM resource`)
		if err != nil {
			return err
		}
		stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
		if err != nil {
			return err
		}
		actor := access.Actor{Tenant: r.tenant, Role: access.Placer}
		for i := range values {
			if one := stored[i%len(stored)]; i < len(stored) {
				values = append(values, one.Reference(), one.ID)
			}
		}
		asked := 0
		rapid.Check(t, func(t *rapid.T) {
			row := r.server.resources[rapid.SampledFrom(stored).Draw(t, "of").Type]
			p := rapid.SampledFrom(row.search).Draw(t, "param")
			modifier := rapid.SampledFrom(append([]string{"missing", "Patient"}, modifiers[p.kind]...)).Draw(t, "modifier")
			value := rapid.SampledFrom(append(values, "true", "false")).Draw(t, "value")
			name := p.name
			if modifier != "" {
				name += ":" + modifier
			}
			q, err := r.server.parseQuery(ctx, tx, r.tenant, row, url.Values{name: {value}}, false)
			if err != nil {
				return // refused alike
			}
			asked++
			found, err := q.find(ctx, tx, actor, 1000)
			if err != nil {
				t.Fatal(err)
			}
			bySQL, inMemory := []string{}, []string{}
			for _, one := range found {
				bySQL = append(bySQL, one.Reference())
			}
			for _, one := range stored {
				if n, err := Parse(one.Body, Limits{}); err == nil && one.Type == row.name && q.matches(n) {
					inMemory = append(inMemory, one.Reference())
				}
			}
			slices.Sort(bySQL)
			slices.Sort(inMemory)
			if diff := cmp.Diff(bySQL, inMemory); diff != "" {
				t.Fatalf("%s?%s=%s (-SQL +memory)\n%s", row.name, name, value, diff)
			}
		})
		if asked == 0 {
			return fmt.Errorf("no question was understood")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
